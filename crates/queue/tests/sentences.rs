//! What the engine promises, one sentence each.

use queue::{Failure, Reach, Refused, State, Status, Strategy, Wake};

use crate::desk::{Desk, STRATEGIES, agent_id, plan, queue, seconds, with_agents};
use Strategy::{
    AgentWithFewestCalls, AgentWithLeastTalkTime, LongestIdleAgent, RingAll, RoundRobin,
};

const NOTHING: [&str; 0] = [];

#[test]
fn a_caller_is_offered_to_a_free_agent_at_once() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201 202")]));
    let caller = desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 201"]);
    assert_eq!(desk.answer("201"), caller);
    assert_eq!(desk.state("201"), Some(State::Talking(caller)));
    desk.release(caller);
    assert!(desk.is_idle("201"));
    assert_eq!(desk.heard(), NOTHING);
    assert_eq!(desk.engine.poll_timeout(), None);
}

#[test]
fn a_freed_agent_takes_the_longest_waiting_caller_of_all_its_queues_at_once() {
    let sales = queue("sales", RoundRobin, "201");
    let mut desk = Desk::new(plan(&[queue("support", LongestIdleAgent, "201"), sales]));
    let first = desk.join("support");
    desk.answer("201");
    desk.at(1.0).join("sales");
    desk.at(2.0).join("support");
    desk.heard();
    desk.release(first);
    assert_eq!(desk.heard(), ["#1 rings 201"]);
}

#[test]
fn nobody_is_offered_whose_phone_is_not_registered_or_busy_elsewhere() {
    let mut desk = Desk::new(plan(&[queue("support", RingAll, "201 202 203")]));
    desk.reach("201", Reach::Unregistered);
    desk.reach("202", Reach::Busy);
    desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 203"]);
    desk.reach("202", Reach::Reachable);
    assert_eq!(desk.heard(), ["#0 rings 202"]);
}

#[test]
fn a_new_agent_is_unregistered_until_its_phone_comes() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "")]));
    desk.join("support");
    desk.configure(plan(&[queue("support", RoundRobin, "201")]));
    assert_eq!(desk.heard(), NOTHING);
    desk.reach("201", Reach::Reachable);
    assert_eq!(desk.heard(), ["#0 rings 201"]);
}

#[test]
fn a_phone_that_becomes_busy_while_it_rings_keeps_its_offer() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    let caller = desk.join("support");
    desk.reach("201", Reach::Busy);
    desk.reach("201", Reach::Unregistered);
    assert_eq!(desk.heard(), ["#0 rings 201"]);
    assert_eq!(desk.answer("201"), caller);
}

#[test]
fn an_agent_rests_after_no_answer_rejection_and_busy_as_long_as_its_settings_say() {
    let delays = with_agents(plan(&[queue("support", RoundRobin, "201")]), |agent| {
        agent.call_timeout = seconds(20.0);
        agent.no_answer_delay_time = seconds(30.0);
        agent.reject_delay_time = seconds(40.0);
        agent.busy_delay_time = seconds(50.0);
    });
    let mut desk = Desk::new(delays);
    desk.join("support");
    desk.heard();
    assert_eq!(desk.at(20.0).heard(), ["201 stops: NoAnswer"]);
    assert_eq!(desk.at(49.999).heard(), NOTHING);
    assert_eq!(desk.at(50.0).heard(), ["#0 rings 201"]);
    desk.fail("201", Failure::Rejected);
    assert_eq!(desk.at(89.999).heard(), NOTHING);
    assert_eq!(desk.at(90.0).heard(), ["#0 rings 201"]);
    desk.fail("201", Failure::Busy);
    assert_eq!(desk.at(139.999).heard(), NOTHING);
    assert_eq!(desk.at(140.0).heard(), ["#0 rings 201"]);
}

#[test]
fn an_unreachable_agent_rests_five_seconds_or_until_its_phone_is_back() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    desk.join("support");
    desk.heard();
    desk.fail("201", Failure::Unreachable);
    assert_eq!(desk.at(4.999).heard(), NOTHING);
    assert_eq!(desk.at(5.0).heard(), ["#0 rings 201"]);
    desk.fail("201", Failure::Unreachable);
    desk.at(8.0).reach("201", Reach::Reachable);
    assert_eq!(desk.heard(), ["#0 rings 201"]);
}

#[test]
fn wrap_up_is_exact_and_visible() {
    let wrap_up = with_agents(plan(&[queue("support", RoundRobin, "201")]), |agent| {
        agent.wrap_up_time = Some(seconds(7.25));
    });
    let mut desk = Desk::new(wrap_up);
    let caller = desk.join("support");
    desk.answer("201");
    desk.join("support");
    desk.heard();
    desk.at(3.0).release(caller);
    assert!(matches!(desk.state("201"), Some(State::WrapUp { .. })));
    assert_eq!(
        desk.engine.poll_timeout().map(|(_, why)| why),
        Some(Wake::AgentFree)
    );
    assert_eq!(desk.at(10.249).heard(), NOTHING);
    assert_eq!(desk.at(10.25).heard(), ["#1 rings 201"]);
}

#[test]
fn a_phone_that_refuses_at_once_is_not_rung_again_for_the_same_caller_within_a_growing_floor() {
    let no_delays = with_agents(plan(&[queue("support", RoundRobin, "201")]), |agent| {
        agent.reject_delay_time = seconds(0.0);
    });
    let mut desk = Desk::new(no_delays);
    desk.join("support");
    let mut moment = 0.0;
    for floor in [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] {
        assert_eq!(desk.heard(), ["#0 rings 201"]);
        desk.fail("201", Failure::Rejected);
        assert!(desk.is_idle("201"));
        assert_eq!(desk.at(moment + floor - 0.001).heard(), NOTHING);
        moment += floor;
        desk.at(moment);
    }
}

#[test]
fn the_floor_holds_one_caller_back_and_not_the_next() {
    let no_delays = with_agents(plan(&[queue("support", RoundRobin, "201")]), |agent| {
        agent.busy_delay_time = seconds(0.0);
    });
    let mut desk = Desk::new(no_delays);
    desk.join("support");
    desk.join("support");
    desk.heard();
    desk.fail("201", Failure::Busy);
    assert_eq!(desk.heard(), ["#1 rings 201"]);
}

#[test]
fn an_agent_not_yet_tried_for_this_caller_goes_first() {
    for strategy in [
        LongestIdleAgent,
        RoundRobin,
        AgentWithLeastTalkTime,
        AgentWithFewestCalls,
    ] {
        let queue = queue("support", strategy, "201 202 203");
        let no_delays = with_agents(plan(&[queue]), |agent| {
            agent.reject_delay_time = seconds(0.0);
        });
        let mut desk = Desk::new(no_delays);
        desk.join("support");
        desk.at(5.0).fail("201", Failure::Rejected);
        desk.at(10.0).fail("202", Failure::Rejected);
        desk.at(15.0).fail("203", Failure::Rejected);
        assert_eq!(
            desk.heard(),
            [
                "#0 rings 201",
                "#0 rings 202",
                "#0 rings 203",
                "#0 rings 201"
            ]
        );
    }
}

#[test]
fn ring_all_rings_everybody_and_the_first_answer_wins() {
    let mut desk = Desk::new(plan(&[queue("support", RingAll, "201 202 203")]));
    let caller = desk.join("support");
    assert_eq!(
        desk.heard(),
        ["#0 rings 201", "#0 rings 202", "#0 rings 203"]
    );
    desk.answer("202");
    assert_eq!(
        desk.heard(),
        [
            "201 stops: AnsweredElsewhere",
            "203 stops: AnsweredElsewhere"
        ]
    );
    assert_eq!(desk.state("202"), Some(State::Talking(caller)));
    assert!(desk.is_idle("201") && desk.is_idle("203"));
}

#[test]
fn ring_all_adds_agents_of_its_level_who_become_free_while_it_rings() {
    let support = queue("support", RingAll, "201@1 202@1 203@2");
    let mut desk = Desk::new(plan(&[support]));
    desk.log_out("202");
    desk.log_out("203");
    desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 201"]);
    desk.log_in("202");
    assert_eq!(desk.heard(), ["#0 rings 202"]);
    desk.log_in("203");
    assert_eq!(desk.heard(), NOTHING);
}

#[test]
fn ring_all_goes_to_the_next_level_when_the_lower_is_temporarily_unavailable_and_back() {
    let mut desk = Desk::new(plan(&[queue("support", RingAll, "201@1 202@1 203@2")]));
    desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 201", "#0 rings 202"]);
    desk.fail("201", Failure::Busy);
    assert_eq!(desk.heard(), NOTHING);
    desk.at(4.0).fail("202", Failure::Rejected);
    assert_eq!(desk.heard(), ["#0 rings 203"]);
    // The first is back after its 10 s: the lower level goes first, and what rings goes on.
    assert_eq!(desk.at(10.0).heard(), ["#0 rings 201"]);
    assert_eq!(desk.at(14.0).heard(), ["#0 rings 202"]);
}

#[test]
fn level_dominates_in_every_strategy() {
    for strategy in STRATEGIES {
        let support = queue("support", strategy, "201@2 202@1 203@3");
        let mut desk = Desk::new(plan(&[support]));
        desk.join("support");
        desk.answer("202");
        desk.join("support");
        desk.answer("201");
        desk.join("support");
        let expected = ["#0 rings 202", "#1 rings 201", "#2 rings 203"];
        assert_eq!(desk.heard(), expected, "{strategy:?}");
    }
}

#[test]
fn round_robin_keeps_its_turn_over_missed_calls_other_queues_and_reloads() {
    let queues = [
        queue("support", RoundRobin, "201 202 203"),
        queue("sales", RoundRobin, "201 202 203"),
    ];
    let mut desk = Desk::new(plan(&queues));
    let caller = desk.join("support");
    desk.leave(caller);
    let caller = desk.join("sales");
    desk.leave(caller);
    desk.configure(plan(&queues));
    let caller = desk.join("support");
    desk.leave(caller);
    desk.join("sales");
    let rings = desk
        .heard()
        .into_iter()
        .filter(|word| word.contains("rings"));
    assert_eq!(
        rings.collect::<Vec<_>>(),
        [
            "#0 rings 201",
            "#1 rings 201",
            "#2 rings 202",
            "#3 rings 202"
        ]
    );
}

#[test]
fn longest_idle_counts_from_the_last_conversation_and_else_from_log_in() {
    let mut desk = Desk::new(plan(&[queue("support", LongestIdleAgent, "201 202 203")]));
    // 201 talks until 3; 202 logs in anew at 2; 203 has been there since 0.
    let caller = desk.join("support");
    desk.answer("201");
    desk.at(1.0).log_out("202");
    desk.at(2.0).log_in("202");
    desk.at(3.0).release(caller);
    // A break does not make someone who talked look busy.
    desk.at(4.0).log_out("201");
    desk.at(5.0).log_in("201");
    desk.heard();
    for expected in ["#1 rings 203", "#2 rings 202", "#3 rings 201"] {
        desk.join("support");
        assert_eq!(desk.heard(), [expected]);
    }
}

#[test]
fn max_wait_ends_the_wait_and_zero_is_off() {
    let mut limited = queue("limited", RoundRobin, "");
    limited.max_wait_time = Some(seconds(30.0));
    let mut unlimited = queue("unlimited", RoundRobin, "");
    unlimited.max_wait_time = Some(seconds(0.0));
    let mut desk = Desk::new(plan(&[limited, unlimited]));
    desk.join("limited");
    desk.join("unlimited");
    assert_eq!(desk.at(29.999).heard(), NOTHING);
    assert_eq!(desk.at(30.0).heard(), ["#0 timed out: MaxWait"]);
    assert_eq!(desk.engine.poll_timeout(), None);
}

#[test]
fn max_wait_lets_a_ring_end_first() {
    let mut support = queue("support", RingAll, "201 202");
    support.max_wait_time = Some(seconds(30.0));
    let mut desk = Desk::new(plan(&[support]));
    desk.log_out("202");
    desk.join("support");
    desk.at(20.0);
    desk.heard();
    // Rings again from 30 s - 0 s: the rest of 10 s after no answer ends as the limit does.
    assert_eq!(desk.at(30.0).heard(), ["#0 timed out: MaxWait"]);

    let caller = desk.join("support");
    desk.at(49.0).fail("201", Failure::Unreachable);
    assert_eq!(desk.at(54.0).heard(), ["#1 rings 201", "#1 rings 201"]);
    // The limit is at 60 s; nobody more is added, and the ring goes on until 74 s.
    desk.at(61.0).log_in("202");
    assert_eq!(desk.heard(), NOTHING);
    assert_eq!(desk.at(73.999).heard(), NOTHING);
    assert_eq!(
        desk.at(74.0).heard(),
        ["201 stops: NoAnswer", "#1 timed out: MaxWait"]
    );
    assert_eq!(desk.engine.position(caller), None);
}

#[test]
fn an_answer_after_max_wait_still_counts() {
    let mut support = queue("support", RoundRobin, "201");
    support.max_wait_time = Some(seconds(10.0));
    let mut desk = Desk::new(plan(&[support]));
    let caller = desk.join("support");
    desk.at(15.0);
    assert_eq!(desk.answer("201"), caller);
    assert_eq!(desk.at(100.0).heard(), ["#0 rings 201"]);
}

#[test]
fn a_full_queue_refuses_and_an_answer_makes_room() {
    let mut support = queue("support", RoundRobin, "201");
    support.capacity = 1;
    let mut desk = Desk::new(plan(&[support]));
    assert_eq!(desk.try_join("nowhere"), Err(Refused::UnknownQueue));
    desk.join("support");
    assert_eq!(desk.try_join("support"), Err(Refused::Full));
    desk.answer("201");
    let second = desk.join("support");
    assert_eq!(desk.engine.position(second), Some(1));
}

#[test]
fn positions_count_those_who_wait_and_those_whose_agent_rings() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    let callers = [(); 3].map(|()| desk.join("support"));
    let positions = |desk: &Desk| callers.map(|caller| desk.engine.position(caller));
    assert_eq!(positions(&desk), [Some(1), Some(2), Some(3)]);
    desk.answer("201");
    assert_eq!(positions(&desk), [None, Some(1), Some(2)]);
    desk.leave(callers[1]);
    assert_eq!(positions(&desk), [None, None, Some(1)]);
}

#[test]
fn logging_out_withdraws_the_ring_and_the_caller_goes_to_the_next() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201 202")]));
    desk.join("support");
    desk.heard();
    assert!(desk.log_out("201"));
    assert_eq!(desk.heard(), ["201 stops: AgentGone", "#0 rings 202"]);
}

#[test]
fn logging_out_in_a_conversation_lets_it_go_on_and_takes_no_further_call() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    let caller = desk.join("support");
    desk.answer("201");
    desk.join("support");
    desk.heard();
    desk.log_out("201");
    assert_eq!(desk.state("201"), Some(State::Talking(caller)));
    desk.release(caller);
    assert_eq!(desk.heard(), NOTHING);
    desk.log_in("201");
    assert_eq!(desk.heard(), ["#1 rings 201"]);
}

#[test]
fn logging_out_and_in_while_it_rings_does_not_ring_at_once_again() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    desk.join("support");
    desk.log_out("201");
    desk.log_in("201");
    assert_eq!(desk.heard(), ["#0 rings 201", "201 stops: AgentGone"]);
    assert_eq!(desk.at(1.0).heard(), ["#0 rings 201"]);
}

#[test]
fn a_status_changes_once() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    assert!(!desk.log_in("201"), "available from the start");
    assert!(desk.log_out("201"));
    assert!(!desk.log_out("201"));
    assert!(!desk.log_in("nobody"));
    assert_eq!(
        desk.engine.status(&agent_id("201")),
        Some(Status::LoggedOut)
    );
    assert_eq!(desk.engine.status(&agent_id("nobody")), None);
    assert_eq!(desk.state("nobody"), None);
}

#[test]
fn a_vanished_agent_rests_and_the_caller_is_back_at_its_old_place() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201 202")]));
    let caller = desk.join("support");
    desk.answer("201");
    let behind = desk.join("support");
    desk.answer("202");
    desk.join("support");
    desk.heard();
    desk.vanish(caller);
    assert_eq!(desk.engine.position(caller), Some(1));
    assert!(desk.is_idle("201"));
    desk.release(behind);
    assert_eq!(desk.heard(), ["#0 rings 202"]);
    assert_eq!(desk.at(9.999).heard(), NOTHING);
    assert_eq!(desk.at(10.0).heard(), ["#2 rings 201"]);
}

#[test]
fn late_news_of_a_dead_offer_changes_nothing() {
    let mut desk = Desk::new(plan(&[queue("support", RingAll, "201 202")]));
    let caller = desk.join("support");
    let late = desk.offer("202");
    desk.answer("201");
    desk.heard();
    assert_eq!(desk.answer_offer(late), None);
    desk.leave(caller);
    assert_eq!(desk.answer_offer(late), None);
    assert!(desk.is_idle("202"));
    assert_eq!(desk.heard(), NOTHING);
}

#[test]
fn leaving_in_a_conversation_ends_it() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    let caller = desk.join("support");
    desk.answer("201");
    desk.leave(caller);
    assert!(desk.is_idle("201"));
    desk.release(caller);
    desk.vanish(caller);
    desk.leave(caller);
    assert_eq!(desk.heard(), ["#0 rings 201"]);
}
