//! Where the phones are: expiry, several contacts, connections that break, IPv6.

use std::time::Duration;

use call::{Cause, Party};
use queue::{AgentId, State};
use testkit::golden::assert_golden;
use testkit::{Access, Behaviour, PhoneId, Site, World};

use crate::scene::{
    AUDIBLE, SECOND, answer, call_centre, comes_to_rest, dial, golden, hang_up, idle, rings, talks,
    waiting, without_start_sound,
};

fn register(world: &mut World, phone: PhoneId, seconds: u32) {
    world.act(phone, |phone, now| phone.register(seconds, now));
    world.run(Duration::from_millis(10));
    assert_eq!(world[phone].last_status, Some(200));
}

fn invites(world: &World, phone: &str) -> usize {
    let messages = world.messages(phone);
    messages
        .iter()
        .filter(|m| m.starts_with("< INVITE"))
        .count()
}

#[test]
fn an_agent_whose_registration_ran_out_is_not_rung_until_it_registers_again() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    register(&mut world, agents[0], 60);
    world.run(61 * SECOND);
    assert_eq!(world.exchange.registered(), 1, "the customer's phone");
    dial(&mut world, customer, "700");
    world.run(5 * SECOND);
    assert_eq!(invites(&world, "201"), 0);
    register(&mut world, agents[0], 60);
    assert!(rings(&world, agents[0]), "the customer is offered at once");
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_registration_that_runs_out_while_the_phone_rings_disturbs_nothing() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    register(&mut world, agents[0], 60);
    world.run(55 * SECOND);
    dial(&mut world, customer, "700");
    world.run(10 * SECOND);
    assert!(rings(&world, agents[0]));
    answer(&mut world, agents[0]);
    world.run(SECOND);
    assert!(talks(&world, agents[0]) && talks(&world, customer));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_registers_again_while_it_rings_rings_on() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 2);
    register(&mut world, agents[0], 3_600);
    world.run(SECOND);
    assert!(rings(&world, agents[0]) && idle(&world, agents[1]));
    assert_eq!(invites(&world, "201"), 1);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    assert!(talks(&world, customer));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_unregisters_takes_its_own_contact_away_and_a_star_takes_all() {
    let mut world = World::new(Site::sample());
    let (desk, sofa) = (world.registered("206"), world.registered("206"));
    let alice = world.registered("205");
    register(&mut world, desk, 0);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert!(idle(&world, desk) && rings(&world, sofa));
    hang_up(&mut world, alice);
    world.run(SECOND);
    register(&mut world, desk, 3_600);
    world.act(sofa, |phone, now| phone.unregister_all(now));
    world.run(SECOND);
    assert_eq!(world[sofa].last_status, Some(200));
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(480));
    assert_eq!(world.records[1].cause, Cause::Unregistered);
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_remembers_its_nonce_is_challenged_again_only_when_it_is_stale() {
    let mut world = World::new(Site::sample());
    let phone = world.phone("205");
    world[phone].remembers_nonce = true;
    register(&mut world, phone, 3_600);
    let first = [
        "> REGISTER",
        "< 401 (REGISTER)",
        "> REGISTER",
        "< 200 (REGISTER)",
    ];
    assert_eq!(world.messages("205"), first);
    world.clear_ladder();
    register(&mut world, phone, 3_600);
    assert_eq!(world.messages("205"), ["> REGISTER", "< 200 (REGISTER)"]);
    world.run(301 * SECOND);
    world.clear_ladder();
    register(&mut world, phone, 3_600);
    assert_eq!(world.messages("205"), first, "a nonce lives 300 s");
    dial(&mut world, phone, "600");
    world.run(SECOND);
    assert!(talks(&world, phone));
}

// --- TCP -----------------------------------------------------------------------------------------------------------

#[test]
fn a_queue_call_over_tcp() {
    let mut world = World::new(without_start_sound());
    let agent = world.registered_with("201", Access::TCP);
    let customer = world.registered_with("209", Access::TCP);
    world[customer].speaks = Some(440.0);
    world[agent].speaks = Some(880.0);
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    answer(&mut world, agent);
    world.run(2 * SECOND);
    assert!(world.heard(customer, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(agent, 440.0, SECOND) > AUDIBLE);
    hang_up(&mut world, agent);
    world.run(SECOND);
    assert_golden(golden("queue-call-over-tcp.txt"), &world.ladder());
    comes_to_rest(&mut world);
    let flows: Vec<&str> = world.records[0].legs.iter().map(|l| &*l.flow).collect();
    assert_eq!(flows, ["tcp 10.0.0.2:49152", "tcp 10.0.0.1:49152"]);
}

#[test]
fn an_agent_whose_connection_broke_is_skipped_until_it_registers_again() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let other = agents[0];
    let agent = world.registered_with("202", Access::TCP);
    world.act(other, |phone, now| phone.dial("*46", now));
    world.run(3 * SECOND);
    world.disconnect(agent);
    world.run(SECOND);
    dial(&mut world, customer, "700");
    world.run(5 * SECOND);
    assert_eq!(invites(&world, "202"), 0);
    register(&mut world, agent, 3_600);
    assert!(rings(&world, agent));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_connection_that_breaks_while_the_agent_rings_gives_the_customer_to_the_next_at_once() {
    let mut world = World::new(without_start_sound());
    let agent = world.registered_with("201", Access::TCP);
    let (next, customer) = (world.registered("202"), world.registered("209"));
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(rings(&world, agent));
    world.disconnect(agent);
    world.run(Duration::from_millis(10));
    assert!(rings(&world, next));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    let legs = &world.records[0].legs;
    assert_eq!(
        (legs[1].agent.as_deref(), legs[1].status),
        (Some("201"), Some(503))
    );
}

#[test]
fn a_connection_that_breaks_during_a_conversation_ends_nothing_and_a_new_one_can_hang_up() {
    let mut world = World::new(without_start_sound());
    let agent = world.registered_with("201", Access::TCP);
    let customer = world.registered_with("209", Access::TCP);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agent);
    world.run(SECOND);
    world.disconnect(agent);
    world.disconnect(customer);
    world.run(10 * SECOND);
    assert!(talks(&world, agent) && talks(&world, customer));
    register(&mut world, agent, 3_600);
    assert!(matches!(
        world.exchange.queues().state(&AgentId("201".into())),
        Some(State::Talking(_))
    ));
    hang_up(&mut world, agent);
    world.run(SECOND);
    assert!(idle(&world, agent));
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::HangUp, Party::Callee)
    );
    // The customer's phone cannot be told: its connection is gone, and the next one it makes is another.
    comes_to_rest(&mut world);
}

#[test]
fn a_caller_whose_connection_breaks_while_a_phone_rings_has_given_up() {
    let mut world = World::new(Site::sample());
    let bob = world.registered("206");
    let alice = world.registered_with("205", Access::TCP);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert!(rings(&world, bob));
    world.disconnect(alice);
    world.run(SECOND);
    assert!(idle(&world, bob));
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::Cancelled, Party::Caller)
    );
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_over_tcp_that_dies_in_a_conversation_ends_it_after_30_seconds_without_rtp() {
    let mut world = World::new(without_start_sound());
    let agent = world.registered_with("201", Access::TCP);
    let customer = world.registered("209");
    world[agent].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    world[agent].alive = false;
    world.disconnect(agent);
    world.run(29 * SECOND);
    assert!(talks(&world, customer));
    world.run(2 * SECOND);
    assert!(idle(&world, customer));
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::MediaLost, Party::Callee)
    );
    comes_to_rest(&mut world);
}

// --- IPv6 ----------------------------------------------------------------------------------------------------------

#[test]
fn phones_of_both_families_and_transports_hear_each_other() {
    for caller in [Access::UDP, Access::UDP6, Access::TCP6] {
        for called in [Access::UDP, Access::UDP6, Access::TCP6] {
            let mut world = World::new(Site::sample());
            let alice = world.registered_with("205", caller);
            let bob = world.registered_with("206", called);
            world[alice].speaks = Some(440.0);
            world[bob].speaks = Some(880.0);
            world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
            dial(&mut world, alice, "206");
            world.run(4 * SECOND);
            assert!(
                world.heard(alice, 880.0, SECOND) > AUDIBLE,
                "{caller:?} {called:?}"
            );
            assert!(
                world.heard(bob, 440.0, SECOND) > AUDIBLE,
                "{caller:?} {called:?}"
            );
            hang_up(&mut world, bob);
            world.run(SECOND);
            assert!(idle(&world, alice));
            comes_to_rest(&mut world);
        }
    }
}

#[test]
fn an_agent_over_ipv6_serves_a_customer_over_ipv4() {
    let mut world = World::new(without_start_sound());
    let agent = world.registered_with("201", Access::UDP6);
    let customer = world.registered("209");
    world[customer].speaks = Some(440.0);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agent);
    world.run(2 * SECOND);
    assert!(world.heard(agent, 440.0, SECOND) > AUDIBLE);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].legs[1].flow, "udp [2001:db8:1::1]:5060");
}
