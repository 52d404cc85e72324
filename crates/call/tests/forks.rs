//! Accounts with several phones: all ring, one gets the call; agents who share a phone.

use std::time::Duration;

use call::Cause;
use queue::{AgentId, Strategy};
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, Site, World};

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, dial, golden, hang_up, idle, rings, talks,
    without_start_sound,
};

/// 205 calls 206, which has a phone for each behaviour; what the caller gets.
fn fork<const N: usize>(behaviours: [Behaviour; N]) -> (World, PhoneId, [PhoneId; N]) {
    let mut world = World::new(Site::sample());
    let phones = behaviours.map(|behaviour| {
        let phone = world.registered("206");
        world[phone].behaviour = behaviour;
        phone
    });
    let alice = world.registered("205");
    dial(&mut world, alice, "206");
    world.run(SECOND);
    (world, alice, phones)
}

#[test]
fn all_phones_of_an_account_ring_and_the_first_to_answer_gets_the_call() {
    let (mut world, alice, [desk, sofa]) = fork([Behaviour::Ring; 2]);
    assert!(rings(&world, desk) && rings(&world, sofa));
    answer(&mut world, sofa);
    world.run(SECOND);
    assert!(talks(&world, alice) && talks(&world, sofa) && idle(&world, desk));
    hang_up(&mut world, sofa);
    world.run(SECOND);
    assert_golden(golden("two-phones-of-an-account.txt"), &world.ladder());
    comes_to_rest(&mut world);
    let statuses: Vec<_> = world.records[0].legs.iter().map(|l| l.status).collect();
    assert_eq!(
        statuses,
        [Some(200), Some(200), Some(487)],
        "freshest binding first"
    );
}

#[test]
fn a_busy_phone_leaves_the_other_ringing() {
    let (mut world, alice, [_, sofa]) = fork([Behaviour::Refuse(486), Behaviour::Ring]);
    assert!(rings(&world, sofa));
    answer(&mut world, sofa);
    world.run(SECOND);
    assert!(talks(&world, alice));
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn the_caller_is_told_the_refusal_that_says_most() {
    let after = |seconds, status| Behaviour::RefuseAfter(seconds * SECOND, status);
    for (behaviours, status, cause) in [
        (
            [Behaviour::Refuse(486), Behaviour::Refuse(480)],
            486,
            Cause::Busy,
        ),
        (
            [Behaviour::Refuse(480), Behaviour::Refuse(486)],
            486,
            Cause::Busy,
        ),
        (
            [Behaviour::Refuse(500), Behaviour::Refuse(404)],
            404,
            Cause::Unreachable,
        ),
        (
            // To where the phone itself is, which is no number.
            [Behaviour::Refuse(503), Behaviour::Refuse(302)],
            480,
            Cause::RedirectedAway,
        ),
        ([Behaviour::Ring, after(1, 603)], 603, Cause::Rejected),
    ] {
        let (mut world, alice, phones) = fork(behaviours);
        world.run(2 * SECOND);
        assert_eq!(world[alice].last_status, Some(status));
        assert!(phones.iter().all(|phone| idle(&world, *phone)));
        comes_to_rest(&mut world);
        assert_eq!(world.records[0].cause, cause);
    }
}

/// A waiting customer, and an agent whose phones behave so.
fn agent_with_phones<const N: usize>(behaviours: [Behaviour; N]) -> (World, PhoneId, [PhoneId; N]) {
    let mut world = World::new(without_start_sound());
    let phones = behaviours.map(|behaviour| {
        let phone = world.registered("201");
        world[phone].behaviour = behaviour;
        phone
    });
    let customer = world.registered("209");
    dial(&mut world, customer, "700");
    world.run(SECOND);
    (world, customer, phones)
}

#[test]
fn an_agent_with_a_busy_phone_answers_at_the_other() {
    let (mut world, customer, [_, sofa]) =
        agent_with_phones([Behaviour::Refuse(486), Behaviour::Ring]);
    assert!(rings(&world, sofa));
    answer(&mut world, sofa);
    world.run(SECOND);
    assert!(talks(&world, sofa) && talks(&world, customer));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_declines_at_one_phone_declines_at_all() {
    let (mut world, customer, [_, sofa]) =
        agent_with_phones([Behaviour::Refuse(603), Behaviour::Ring]);
    assert!(idle(&world, sofa), "it stops ringing at once");
    world.run(8 * SECOND);
    assert!(idle(&world, sofa), "the agent rests for reject_delay_time");
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_is_busy_at_one_phone_and_silent_at_the_other_is_busy() {
    let mut site = without_start_sound();
    site.each_agent(|agent| {
        agent.call_timeout = 5 * SECOND;
        agent.busy_delay_time = 60 * SECOND;
        agent.no_answer_delay_time = SECOND;
    });
    let mut world = World::new(site);
    let desk = world.registered("201");
    let sofa = world.registered("201");
    world[desk].behaviour = Behaviour::Refuse(486);
    world[sofa].behaviour = Behaviour::RefuseAfter(SECOND, 480);
    let customer = world.registered("209");
    dial(&mut world, customer, "700");
    world.run(50 * SECOND);
    let invites = |w: &World| {
        let messages = w.messages("201b");
        messages
            .iter()
            .filter(|m| m.starts_with("< INVITE"))
            .count()
    };
    assert_eq!(invites(&world), 1, "it rests for busy_delay_time");
    hang_up(&mut world, customer);
    world.run(60 * SECOND);
    comes_to_rest(&mut world);
}

/// Anna and Ben take turns at the phone 201.
fn shared_desk(strategy: Strategy) -> Site {
    let mut site = without_start_sound();
    site.queue().strategy = strategy;
    for agent in ["201", "202"] {
        site.settings
            .agents
            .insert(AgentId(agent.into()), sip::endpoint::Account("201".into()));
    }
    site
}

#[test]
fn agents_who_share_a_phone_are_never_rung_at_once() {
    for strategy in [Strategy::RingAll, Strategy::RoundRobin] {
        let (mut world, customer, agents) = call_centre(shared_desk(strategy), 1);
        let (desk, second) = (agents[0], world.registered("210"));
        dial(&mut world, customer, "700");
        dial(&mut world, second, "700");
        world.run(SECOND);
        assert!(rings(&world, desk));
        answer(&mut world, desk);
        world.run(20 * SECOND);
        assert!(talks(&world, desk));
        assert_eq!(world[desk].refused_for_busy, 0, "{strategy:?}");
        hang_up(&mut world, desk);
        world.run(Duration::from_millis(10));
        assert!(rings(&world, desk), "the next customer");
        hang_up(&mut world, customer);
        hang_up(&mut world, second);
        comes_to_rest(&mut world);
    }
}
