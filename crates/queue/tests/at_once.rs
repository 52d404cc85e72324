//! Agents who talk with several customers at once, and agents with call waiting.

use std::num::NonZeroU8;

use queue::{Failure, Held, Plan, Reach, State, Status, Strategy};

use crate::desk::{Desk, STRATEGIES, agent_id, plan, queue, seconds, with_agents};

const NOTHING: [&str; 0] = [];

/// Agents who may have so many calls at once, and work for 5 s after each.
fn at_once(max_calls: u8, strategy: Strategy, members: &str) -> Plan {
    with_agents(plan(&[queue("support", strategy, members)]), |agent| {
        agent.max_calls = NonZeroU8::new(max_calls).expect("some calls");
        agent.wrap_up_time = Some(seconds(5.0));
    })
}

#[test]
fn an_agent_with_two_calls_at_once_is_offered_the_second_while_it_talks_and_no_third() {
    let mut desk = Desk::new(at_once(2, Strategy::TopDown, "201"));
    let first = desk.join("support");
    desk.join("support");
    desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 201"], "one phone rings once");
    desk.answer("201");
    assert_eq!(desk.heard(), ["#1 rings 201"]);
    let second = desk.answer("201");
    assert_eq!(desk.heard(), NOTHING);
    assert_eq!(desk.state("201"), Some(State::Talking(second)));
    assert_eq!(
        desk.engine.held(&agent_id("201")),
        Some(Held::Talking(second))
    );
    // The work after a conversation comes first, though the agent still talks.
    desk.at(60.0).release(first);
    assert_eq!(desk.at(64.9).heard(), NOTHING);
    assert_eq!(desk.at(65.0).heard(), ["#2 rings 201"]);
    let third = desk.answer("201");
    desk.release(second);
    desk.release(third);
    assert!(matches!(desk.state("201"), Some(State::WrapUp { .. })));
    assert_eq!(desk.at(70.0).state("201"), Some(State::Idle));
}

#[test]
fn whoever_talks_comes_after_all_of_its_level_who_do_not_and_before_the_next_level() {
    for strategy in STRATEGIES {
        // Ring-all rings everybody who is free, and who talks with fewer than it may is.
        if strategy == Strategy::RingAll {
            continue;
        }
        let mut desk = Desk::new(at_once(2, strategy, "201 202 203@2"));
        for _ in 0..4 {
            desk.join("support");
            let rung = desk.heard().pop().expect("somebody rings");
            let agent = rung.rsplit(' ').next().expect("an agent").to_owned();
            desk.answer(&agent);
        }
        let talks = ["201", "202", "203"].map(|agent| desk.state(agent));
        assert!(
            matches!(
                talks,
                [
                    Some(State::Talking(_)),
                    Some(State::Talking(_)),
                    Some(State::Idle)
                ]
            ),
            "{strategy:?}: {talks:?}"
        );
        desk.join("support");
        assert_eq!(desk.heard(), ["#4 rings 203"], "{strategy:?}");
    }
}

#[test]
fn a_ring_goes_on_when_another_conversation_of_the_agent_ends_and_the_wrap_up_follows_it() {
    let mut desk = Desk::new(at_once(2, Strategy::TopDown, "201"));
    let first = desk.join("support");
    desk.answer("201");
    desk.join("support");
    desk.heard();
    desk.at(10.0).release(first);
    assert_eq!(desk.heard(), NOTHING, "it rings on");
    desk.join("support");
    desk.at(12.0).answer("201");
    // It works for the first until 15 s, and talks with the second.
    assert_eq!(desk.at(14.9).heard(), NOTHING);
    assert_eq!(desk.at(15.0).heard(), ["#2 rings 201"]);
}

#[test]
fn who_did_not_answer_the_second_call_rests_and_talks_on() {
    let mut desk = Desk::new(at_once(2, Strategy::TopDown, "201"));
    let first = desk.join("support");
    desk.answer("201");
    let second = desk.join("support");
    desk.fail("201", Failure::Busy);
    desk.heard();
    assert_eq!(desk.state("201"), Some(State::Talking(first)));
    assert_eq!(desk.at(9.9).heard(), NOTHING);
    assert_eq!(desk.at(10.0).heard(), ["#1 rings 201"]);
    assert_eq!(desk.answer("201"), second);
}

#[test]
fn an_agent_on_demand_has_one_call_at_a_time_whatever_it_may() {
    let mut desk = Desk::new(at_once(3, Strategy::TopDown, "201"));
    desk.set("201", Status::OnDemand);
    desk.join("support");
    desk.join("support");
    desk.answer("201");
    assert_eq!(desk.heard(), ["#0 rings 201"]);
}

#[test]
fn a_removed_agent_talks_with_all_its_customers_to_the_end() {
    let mut desk = Desk::new(at_once(2, Strategy::TopDown, "201 202"));
    let mut tickets = Vec::new();
    desk.log_out("202");
    for _ in 0..2 {
        tickets.push(desk.join("support"));
        desk.answer("201");
    }
    desk.configure(at_once(2, Strategy::TopDown, "202"));
    desk.release(tickets[0]);
    assert_eq!(desk.state("201"), Some(State::Talking(tickets[1])));
    desk.release(tickets[1]);
    assert_eq!(desk.state("201"), None);
}

#[test]
fn a_phone_with_call_waiting_rings_beside_a_call_that_no_queue_gave_it() {
    let support = plan(&[queue("support", Strategy::TopDown, "201 202")]);
    let mut desk = Desk::new(with_agents(support, |agent| {
        agent.call_waiting = agent.id == agent_id("202");
    }));
    desk.reach("201", Reach::Busy);
    desk.reach("202", Reach::Busy);
    let caller = desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 202"]);
    assert_eq!(desk.answer("202"), caller);
    desk.join("support");
    assert_eq!(desk.heard(), NOTHING, "one of the queues at a time");
}
