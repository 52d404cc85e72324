//! The configuration changes while calls stand; the switch stops while calls stand; the switch is full.

use call::Cause;
use queue::{AgentId, Status};
use testkit::{Behaviour, PhoneState, Site, World};

use crate::scene::SECOND;

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
    site.each_agent(|agent| agent.wrap_up_time = 3 * SECOND);
    world.control(|exchange, now| exchange.configure(site.settings, now));
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
    world.control(|exchange, now| exchange.configure(changed, now));
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
