//! What happens when something is full, and when the switch ends.

use std::time::Duration;

use call::{Cause, Party};
use sip::Transport;
use testkit::{Access, Behaviour, PhoneId, Site, World};

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, dial, hang_up, idle, rings, talks,
    without_start_sound,
};

#[test]
fn a_call_without_an_rtp_port_is_503_at_once_and_leaves_nothing() {
    let mut world = World::with_ports(without_start_sound(), 2);
    let agent = world.registered("201");
    let (customer, late) = (world.registered("209"), world.registered("210"));
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agent);
    world.run(SECOND);
    dial(&mut world, late, "700");
    world.run(Duration::from_millis(5));
    assert_eq!(world[late].last_status, Some(503));
    assert_eq!(world[late].retry_after.as_deref(), Some("5"));
    assert!(talks(&world, customer) && talks(&world, agent));
    hang_up(&mut world, customer);
    world.run(SECOND);
    dial(&mut world, late, "700");
    world.run(SECOND);
    assert!(rings(&world, agent), "both ports are free again");
    hang_up(&mut world, late);
    comes_to_rest(&mut world);
    assert_eq!(world.records.len(), 2, "none for the call that never was");
}

#[test]
fn a_phone_that_cannot_be_rung_for_want_of_a_port_is_503_for_its_caller() {
    let mut world = World::with_ports(Site::sample(), 1);
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(503));
    assert!(idle(&world, bob));
    let record = &world.records[0];
    assert_eq!(
        (record.cause, record.ended_by),
        (Cause::SwitchFull, Party::Switch)
    );
    comes_to_rest(&mut world);
}

#[test]
fn customers_who_hold_all_ports_are_served_as_soon_as_one_is_free() {
    let mut world = World::with_ports(without_start_sound(), 2);
    let (first, second) = (world.registered("209"), world.registered("210"));
    dial(&mut world, first, "700");
    dial(&mut world, second, "700");
    world.run(SECOND);
    let agent = world.registered("201");
    world.run(10 * SECOND);
    assert!(idle(&world, agent), "there is no port to ring it with");
    hang_up(&mut world, second);
    world.run(5 * SECOND);
    assert!(
        rings(&world, agent),
        "the want of a port is not the agent's no answer, which would cost it 10 s"
    );
    hang_up(&mut world, first);
    comes_to_rest(&mut world);
}

#[test]
fn an_account_with_more_phones_than_ports_rings_as_many_as_it_can() {
    let mut world = World::with_ports(Site::sample(), 3);
    let phones: Vec<PhoneId> = (0..4).map(|_| world.registered("206")).collect();
    let alice = world.registered("205");
    dial(&mut world, alice, "206");
    world.run(SECOND);
    let ringing = phones.iter().filter(|phone| rings(&world, **phone));
    assert_eq!(ringing.count(), 2);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn one_call_too_many_is_503_with_the_time_to_try_again() {
    let mut site = Site::sample();
    site.settings.max_calls = 1;
    let mut world = World::new(site);
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    dial(&mut world, alice, "600");
    world.run(SECOND);
    dial(&mut world, bob, "600");
    world.run(SECOND);
    assert_eq!(world[bob].last_status, Some(503));
    assert_eq!(world[bob].retry_after.as_deref(), Some("5"));
    assert!(talks(&world, alice));
    hang_up(&mut world, alice);
    world.run(SECOND);
    dial(&mut world, bob, "600");
    world.run(SECOND);
    assert!(talks(&world, bob));
    hang_up(&mut world, bob);
    comes_to_rest(&mut world);
}

#[test]
fn a_disk_that_takes_no_call_records_stops_no_calls() {
    let mut site = Site::sample();
    site.settings.max_calls = 1;
    let mut world = World::new(site);
    let alice = world.registered("205");
    world.disk_is_full = true;
    for _ in 0..5 {
        dial(&mut world, alice, "600");
        world.run(SECOND);
        assert!(talks(&world, alice));
        hang_up(&mut world, alice);
        world.run(SECOND);
    }
    assert_eq!(world.exchange.calls(), 5, "none is forgotten");
    world.write_records();
    comes_to_rest(&mut world);
    assert_eq!(world.records.len(), 5);
}

#[test]
fn a_full_queue_lets_the_customer_go() {
    let mut site = Site::sample();
    site.queue().capacity = 1;
    let (mut world, customer, _) = call_centre(site, 0);
    let second = world.registered("210");
    dial(&mut world, customer, "700");
    world.run(SECOND);
    dial(&mut world, second, "700");
    world.run(4 * SECOND);
    assert!(talks(&world, customer) && idle(&world, second));
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::QueueFull, Party::Switch)
    );
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

/// Brings a call into a state, and says whose phones are in it.
type Scene = fn(&mut World, PhoneId, PhoneId);

#[test]
fn a_stop_ends_calls_in_every_state() {
    let scenes: [(&str, Scene); 10] = [
        ("dials", |_, _, _| {}),
        ("rings a phone", |w, c, _| dial(w, c, "202")),
        ("talks with a phone", |w, c, a| {
            w[a].behaviour = Behaviour::AnswerAfter(Duration::ZERO);
            dial(w, c, "202");
        }),
        ("hears the start sound", |w, c, _| dial(w, c, "700")),
        ("waits while an agent rings", |w, c, _| {
            dial(w, c, "700");
            w.run(3 * SECOND);
        }),
        ("talks with an agent", |w, c, a| {
            w[a].behaviour = Behaviour::AnswerAfter(Duration::ZERO);
            dial(w, c, "700");
            w.run(3 * SECOND);
        }),
        ("is held by the agent", |w, c, a| {
            w[a].behaviour = Behaviour::AnswerAfter(Duration::ZERO);
            dial(w, c, "700");
            w.run(3 * SECOND);
            w.act(a, |phone, now| phone.hold(true, now));
        }),
        ("hears an echo", |w, c, _| dial(w, c, "600")),
        ("logs in", |w, c, _| dial(w, c, "*45")),
        ("has not acknowledged", |w, c, _| {
            w[c].late_offer = true;
            w[c].acknowledges = false;
            dial(w, c, "700");
        }),
    ];
    for (name, scene) in scenes {
        let mut world = World::new(Site::sample());
        let (agent, customer) = (world.registered("202"), world.registered("209"));
        scene(&mut world, customer, agent);
        world.run(SECOND / 2);
        let calls = world.exchange.calls();
        world.control(|exchange, _| exchange.drain(30 * SECOND));
        world.control(|exchange, now| exchange.hang_up_all(now));
        world.control(|exchange, now| exchange.hang_up_all(now));
        // Who acknowledges nothing gets BYE when the 2xx is given up.
        world.run(33 * SECOND);
        assert!(idle(&world, agent) && idle(&world, customer), "{name}");
        comes_to_rest(&mut world);
        assert_eq!(world.records.len(), calls, "{name}");
        for record in &world.records {
            assert_eq!(
                (record.cause, record.ended_by),
                (Cause::Stopped, Party::Switch),
                "{name}"
            );
        }
    }
}

#[test]
fn a_draining_switch_serves_who_waits_and_refuses_new_calls() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let late = world.registered_with("210", Access::TCP);
    assert_eq!(world[late].access.transport, Transport::Tcp);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    world.control(|exchange, _| exchange.drain(30 * SECOND));
    dial(&mut world, late, "700");
    world.run(SECOND);
    assert_eq!(world[late].last_status, Some(503));
    assert_eq!(world[late].retry_after.as_deref(), Some("30"));
    answer(&mut world, agents[0]);
    world.run(SECOND);
    assert!(talks(&world, customer) && talks(&world, agents[0]));
    world.act(late, |phone, now| phone.register(3_600, now));
    world.run(SECOND);
    assert_eq!(world[late].last_status, Some(200), "phones stay registered");
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}
