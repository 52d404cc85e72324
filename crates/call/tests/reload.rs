//! The configuration changes while calls stand; the switch stops while calls stand.

use call::{Cause, Settings};
use queue::{AgentId, Status, Strategy};
use sip::endpoint::Account;
use testkit::{Behaviour, PhoneState, Site, World};

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, dial, hang_up, idle, rings, talks, waiting,
    without_start_sound,
};

pub(crate) fn reload(world: &mut World, settings: Settings) {
    world.control(|exchange, now| exchange.configure(settings, now));
}

#[test]
fn a_reload_drops_no_call_and_logs_no_agent_out() {
    let mut site = Site::sample();
    site.service().start_sound = None;
    let mut world = World::new(site.clone());
    let (agent, other) = (world.registered("201"), world.registered("202"));
    let (customer, waiting) = (world.registered("209"), world.registered("210"));
    world[agent].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(other, |phone, now| phone.dial("*46", now));
    world.run(3 * SECOND);
    world.act(customer, |phone, now| phone.dial("700", now));
    world.run(3 * SECOND);
    world.act(waiting, |phone, now| phone.dial("700", now));
    world.run(SECOND);
    site.each_agent(|agent| agent.wrap_up_time = Some(3 * SECOND));
    reload(&mut world, site.settings);
    world.run(5 * SECOND);
    assert_eq!(world[customer].state(), PhoneState::Talking);
    assert_eq!(world[waiting].state(), PhoneState::Talking);
    assert_eq!(
        world.exchange.queues().status(&AgentId("202".into())),
        Some(Status::LoggedOut),
        "as it was"
    );
    assert_eq!(world.exchange.registered(), 4);
    world.act(customer, |phone, now| phone.hang_up(now));
    world.run(2 * SECOND);
    assert_eq!(
        world[agent].state(),
        PhoneState::Idle,
        "the new wrap-up time counts"
    );
    world.run(3 * SECOND);
    assert_eq!(
        world[agent].state(),
        PhoneState::Talking,
        "with the customer who waited all along"
    );
}

#[test]
fn a_customer_whose_queue_is_removed_is_told_and_let_go() {
    let site = Site::sample();
    let mut world = World::new(site.clone());
    let customer = world.registered("209");
    world.act(customer, |phone, now| phone.dial("700", now));
    world.run(5 * SECOND);
    let mut changed = site.settings;
    changed.plan.queues.clear();
    changed.queues.clear();
    changed.numbers.remove("700");
    reload(&mut world, changed);
    world.run(SECOND);
    assert_eq!(world[customer].state(), PhoneState::Idle);
    assert_eq!(world.records[0].cause, Cause::QueueGone);
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn a_draining_switch_takes_no_new_call_and_lets_standing_ones_finish() {
    let mut world = World::new(Site::sample());
    let (alice, bob, carol) = (
        world.registered("205"),
        world.registered("206"),
        world.registered("207"),
    );
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(3 * SECOND);
    world.control(|exchange, _| exchange.drain(30 * SECOND));
    world.act(carol, |phone, now| phone.dial("600", now));
    world.run(SECOND);
    assert_eq!(world[carol].last_status, Some(503));
    assert_eq!(world[alice].state(), PhoneState::Talking);
    world.control(|exchange, now| exchange.hang_up_all(now));
    world.run(SECOND);
    assert_eq!(
        (world[alice].state(), world[bob].state()),
        (PhoneState::Idle, PhoneState::Idle)
    );
    assert_eq!(world.records[0].cause, Cause::Stopped);
}

/// The site without this agent.
fn without_agent(site: &Site, agent: &str) -> Settings {
    let mut settings = site.settings.clone();
    let gone = |id: &AgentId| *id.0 == *agent;
    settings.plan.agents.retain(|settings| !gone(&settings.id));
    let members = &mut settings.plan.queues[0].members;
    members.retain(|member| !gone(&member.agent));
    settings.agents.retain(|id, _| !gone(id));
    settings
}

#[test]
fn an_agent_who_is_removed_while_it_rings_stops_ringing_and_the_next_one_rings() {
    let site = without_start_sound();
    let (mut world, customer, agents) = waiting(site.clone(), 2);
    assert!(rings(&world, agents[0]));
    let settings = without_agent(&site, "201");
    reload(&mut world, settings);
    world.run(SECOND);
    assert!(idle(&world, agents[0]) && rings(&world, agents[1]));
    answer(&mut world, agents[1]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_is_removed_in_a_conversation_finishes_it() {
    let site = without_start_sound();
    let (mut world, customer, agents) = waiting(site.clone(), 1);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    let settings = without_agent(&site, "201");
    reload(&mut world, settings);
    world.run(10 * SECOND);
    assert!(talks(&world, customer) && talks(&world, agents[0]));
    hang_up(&mut world, agents[0]);
    comes_to_rest(&mut world);
    assert!(
        world
            .exchange
            .queues()
            .state(&AgentId("201".into()))
            .is_none()
    );
    assert!(world.records[0].queues[0].talk_ms > 10_000);
}

#[test]
fn an_agent_with_another_phone_rings_there_from_the_next_offer_on() {
    let site = without_start_sound();
    let (mut world, customer, agents) = call_centre(site.clone(), 1);
    let (new, second) = (world.registered("205"), world.registered("210"));
    dial(&mut world, customer, "700");
    world.run(SECOND);
    let mut settings = site.settings;
    settings
        .agents
        .insert(AgentId("201".into()), Account("205".into()));
    reload(&mut world, settings);
    world.run(SECOND);
    assert!(rings(&world, agents[0]), "what rings rings on");
    answer(&mut world, agents[0]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    dial(&mut world, second, "700");
    world.run(SECOND);
    assert!(rings(&world, new) && idle(&world, agents[0]));
    hang_up(&mut world, second);
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_is_removed_keeps_its_call_and_gets_no_other() {
    let site = without_start_sound();
    let (mut world, customer, agents) = waiting(site.clone(), 1);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    let mut settings = without_agent(&site, "201");
    settings.sip.accounts.remove(&Account("201".into()));
    reload(&mut world, settings);
    world.run(10 * SECOND);
    assert!(talks(&world, customer) && talks(&world, agents[0]));
    assert_eq!(world.exchange.registered(), 1);
    hang_up(&mut world, agents[0]);
    world.run(SECOND);
    assert!(idle(&world, customer));
    world.act(agents[0], |phone, now| phone.register(3_600, now));
    world.run(SECOND);
    assert_eq!(world[agents[0]].last_status, Some(401));
    dial(&mut world, customer, "201");
    world.run(SECOND);
    assert_eq!(world[customer].last_status, Some(404));
    comes_to_rest(&mut world);
}

#[test]
fn a_strategy_that_changes_while_an_agent_rings_rings_the_others_too() {
    let mut site = without_start_sound();
    let (mut world, customer, agents) = waiting(site.clone(), 3);
    site.queue().strategy = Strategy::RingAll;
    reload(&mut world, site.settings);
    world.run(SECOND);
    assert!(agents.iter().all(|agent| rings(&world, *agent)));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_shorter_longest_wait_counts_for_who_waits_already() {
    let mut site = without_start_sound();
    let (mut world, customer, _) = call_centre(site.clone(), 0);
    dial(&mut world, customer, "700");
    world.run(30 * SECOND);
    site.queue().max_wait_time = Some(40 * SECOND);
    reload(&mut world, site.settings);
    world.run(9 * SECOND);
    assert!(talks(&world, customer));
    world.run(2 * SECOND);
    assert!(idle(&world, customer));
    assert_eq!(world.records[0].cause, Cause::MaxWaitTime);
    comes_to_rest(&mut world);
}
