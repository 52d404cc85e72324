//! Who is served first, how long callers wait, and whose place is kept, one sentence each.

use queue::{Arrival, Departure, Failure, NoAgentLimit, QueueSettings, Reach, Refused, Strategy};

use crate::desk::{Desk, customer_id, plan, queue, seconds, with_agents};
use Strategy::{RingAll, RingProgressively, RoundRobin, SequentiallyByAgentOrder, TopDown};

const NOTHING: [&str; 0] = [];

fn arrival(priority: u32, head_start: f64) -> Arrival {
    Arrival {
        customer: None,
        priority,
        head_start: seconds(head_start),
        needs: None,
    }
}

fn support(members: &str) -> QueueSettings {
    queue("support", RoundRobin, members)
}

#[test]
fn a_higher_priority_always_comes_first_and_a_head_start_counts_as_waiting() {
    let mut desk = Desk::new(plan(&[support("")]));
    let first = desk.join("support");
    let urgent = desk.at(5.0).arrive("support", &arrival(1, 0.0)).unwrap();
    let regular = desk.at(10.0).arrive("support", &arrival(0, 9.0)).unwrap();
    let longest = desk.at(20.0).arrive("support", &arrival(0, 21.0)).unwrap();
    let positions = [urgent, longest, first, regular].map(|caller| desk.engine.position(caller));
    assert_eq!(positions, [Some(1), Some(2), Some(3), Some(4)]);
}

#[test]
fn a_freed_agent_serves_the_highest_score_of_all_its_queues() {
    let sales = queue("sales", TopDown, "201");
    let mut desk = Desk::new(plan(&[support("201"), sales]));
    let talking = desk.join("support");
    desk.answer("201");
    desk.at(1.0).join("support");
    desk.at(60.0).arrive("sales", &arrival(0, 60.0)).unwrap();
    desk.heard();
    desk.release(talking);
    assert_eq!(desk.heard(), ["#2 rings 201"]);
}

#[test]
fn top_down_tries_each_agent_once_from_the_top_and_sequentially_goes_back_to_the_first() {
    for (strategy, expected) in [
        (
            TopDown,
            [
                "#0 rings 201",
                "#0 rings 202",
                "#0 rings 203",
                "#0 rings 201",
            ],
        ),
        (
            SequentiallyByAgentOrder,
            [
                "#0 rings 201",
                "#0 rings 202",
                "#0 rings 201",
                "#0 rings 202",
            ],
        ),
    ] {
        let no_delays = with_agents(
            plan(&[queue("support", strategy, "201 202 203")]),
            |agent| {
                agent.reject_delay_time = seconds(0.0);
            },
        );
        let mut desk = Desk::new(no_delays);
        desk.join("support");
        for (moment, agent) in [(5.0, 0), (10.0, 1), (15.0, 2)] {
            let agent = expected[agent].rsplit(' ').next().unwrap();
            desk.at(moment).fail(agent, Failure::Rejected);
        }
        assert_eq!(desk.heard(), expected, "{strategy:?}");
    }
}

#[test]
fn ring_progressively_rings_one_more_agent_at_a_time_and_the_first_answer_wins() {
    let mut support = queue("support", RingProgressively, "201 202 203");
    support.ring_progressively_delay = seconds(8.0);
    let mut desk = Desk::new(plan(&[support]));
    let caller = desk.join("support");
    assert_eq!(desk.at(7.9).heard(), ["#0 rings 201"]);
    assert_eq!(desk.at(8.0).heard(), ["#0 rings 202"]);
    assert_eq!(desk.at(16.0).heard(), ["#0 rings 203"]);
    assert_eq!(desk.answer("202"), caller);
    assert_eq!(
        desk.heard(),
        [
            "201 stops: AnsweredElsewhere",
            "203 stops: AnsweredElsewhere"
        ]
    );
    desk.release(caller);
    assert_eq!(desk.engine.poll_timeout(), None);
}

#[test]
fn ring_progressively_goes_on_at_once_when_nothing_rings_and_later_when_somebody_is_free() {
    let mut desk = Desk::new(plan(&[queue("support", RingProgressively, "201 202")]));
    desk.log_out("202");
    desk.join("support");
    assert_eq!(desk.at(12.0).heard(), ["#0 rings 201"]);
    // The ten seconds are over: the next one who is free rings, too.
    desk.log_in("202");
    assert_eq!(desk.heard(), ["#0 rings 202"]);
    desk.at(13.0).fail("201", Failure::Busy);
    desk.fail("202", Failure::Busy);
    desk.heard();
    assert_eq!(desk.at(23.0).heard(), ["#0 rings 201"]);
}

#[test]
fn who_served_the_customer_last_is_rung_first_by_ring_progressively_unless_it_failed_this_caller() {
    let support = queue("support", RingProgressively, "201 202 203");
    let mut desk = Desk::new(with_agents(plan(&[support]), |agent| {
        agent.reject_delay_time = seconds(0.0);
    }));
    desk.log_all_out(&["201", "203"]);
    let caller = desk.join_as("support", "+49");
    desk.answer("202");
    desk.release(caller);
    desk.log_all_in(&["201", "203"]);
    desk.heard();
    desk.join_as("support", "+49");
    desk.at(5.0).fail("202", Failure::Rejected);
    assert_eq!(desk.heard(), ["#1 rings 202", "#1 rings 201"]);
    desk.join_as("support", "+48");
    assert_eq!(desk.heard(), ["#2 rings 202"]);
}

#[test]
fn ring_all_with_tier_rules_adds_each_level_that_opens() {
    let mut support = queue("support", RingAll, "201@1 202@2");
    support.tier_rules = Some(queue::TierRules {
        wait: seconds(15.0),
        multiply_level: false,
        no_agent_no_wait: true,
    });
    let mut desk = Desk::new(plan(&[support]));
    let caller = desk.join("support");
    assert_eq!(desk.at(14.9).heard(), ["#0 rings 201"]);
    assert_eq!(desk.at(15.0).heard(), ["#0 rings 202"]);
    desk.leave(caller);
    assert_eq!(desk.engine.poll_timeout(), None);
}

#[test]
fn a_level_opens_when_the_last_agent_below_it_logs_out() {
    let mut support = support("201@1 202@2");
    support.tier_rules = Some(queue::TierRules {
        wait: seconds(60.0),
        multiply_level: true,
        no_agent_no_wait: true,
    });
    let mut desk = Desk::new(plan(&[support]));
    desk.reach("201", Reach::Busy);
    desk.join("support");
    assert_eq!(desk.at(5.0).heard(), NOTHING);
    desk.log_out("201");
    assert_eq!(desk.heard(), ["#0 rings 202"]);
}

fn with_no_agent_limit(members: &str, max_wait_time: f64, grace: f64) -> QueueSettings {
    let mut support = support(members);
    support.max_wait_time_with_no_agent = Some(NoAgentLimit {
        max_wait_time: seconds(max_wait_time),
        grace: seconds(grace),
    });
    support
}

#[test]
fn callers_leave_when_nobody_has_served_the_queue_for_the_limit() {
    let mut desk = Desk::new(plan(&[with_no_agent_limit("201 202", 30.0, 5.0)]));
    desk.reach("201", Reach::Busy);
    desk.log_out("202");
    desk.at(10.0).join("support");
    // Busy is there; unregistered and logged out are not.
    assert_eq!(desk.at(100.0).heard(), NOTHING);
    desk.reach("201", Reach::Unregistered);
    assert_eq!(desk.at(129.9).heard(), NOTHING);
    assert_eq!(desk.at(130.0).heard(), ["#0 timed out: NoAgent"]);
    // Who comes now has the grace.
    desk.at(140.0).join("support");
    assert_eq!(desk.at(144.9).heard(), NOTHING);
    assert_eq!(desk.at(145.0).heard(), ["#1 timed out: NoAgent"]);
    desk.join("support");
    desk.at(147.0).log_in("202");
    assert_eq!(desk.heard(), ["#2 rings 202"]);
    assert_eq!(desk.at(160.0).heard(), NOTHING);
}

#[test]
fn a_reload_keeps_since_when_nobody_serves() {
    let plan = plan(&[with_no_agent_limit("", 30.0, 0.0)]);
    let mut desk = Desk::new(plan.clone());
    desk.at(20.0).join("support");
    desk.configure(plan);
    assert_eq!(desk.at(29.9).heard(), NOTHING);
    assert_eq!(desk.at(30.0).heard(), ["#0 timed out: NoAgent"]);
}

/// A queue that keeps places for a minute.
fn keeping() -> Desk {
    let mut support = support("201");
    support.abandoned_resume = Some(seconds(60.0));
    let mut desk = Desk::new(plan(&[support]));
    desk.log_out("201");
    desk
}

#[test]
fn who_hangs_up_and_calls_again_in_time_has_its_old_place() {
    let mut desk = keeping();
    let first = desk.join_as("support", "+49");
    let second = desk.join("support");
    desk.at(10.0).leave(first);
    let again = desk.at(69.9).join_as("support", "+49");
    assert_eq!(desk.engine.position(again), Some(1));
    assert_eq!(desk.engine.position(second), Some(2));
    desk.at(70.0).leave(again);
    let late = desk.at(130.0).join_as("support", "+49");
    assert_eq!(desk.engine.position(late), Some(2));
}

#[test]
fn who_calls_again_by_a_better_number_has_its_priority_and_by_a_worse_one_loses_none() {
    for (first, again) in [(0, 1), (1, 0)] {
        let mut desk = keeping();
        let customer = |priority| Arrival {
            customer: Some(customer_id("+49")),
            ..arrival(priority, 0.0)
        };
        desk.arrive("support", &arrival(1, 60.0)).unwrap();
        let early = desk.arrive("support", &customer(first)).unwrap();
        let others = [0, 0].map(|priority| {
            let other = desk.at(5.0).arrive("support", &arrival(priority, 60.0));
            other.unwrap()
        });
        desk.at(10.0).leave(early);
        let back = desk.at(20.0).arrive("support", &customer(again)).unwrap();
        let later = desk.arrive("support", &arrival(1, 0.0)).unwrap();
        let [a, b] = others;
        let positions = [back, later, a, b].map(|caller| desk.engine.position(caller));
        assert_eq!(positions, [Some(2), Some(3), Some(4), Some(5)]);
    }
}

#[test]
fn a_place_is_kept_once_and_in_its_own_queue_over_a_reload() {
    let mut keep = support("");
    keep.abandoned_resume = Some(seconds(60.0));
    let sales = queue("sales", RoundRobin, "");
    let mut desk = Desk::new(plan(&[keep.clone(), sales.clone()]));
    let first = desk.join_as("support", "+49");
    desk.at(1.0).join("support");
    desk.join("sales");
    desk.at(2.0).leave(first);
    desk.configure(plan(&[keep, sales]));
    let elsewhere = desk.join_as("sales", "+49");
    let back = desk.join_as("support", "+49");
    let twice = desk.join_as("support", "+49");
    let positions = [elsewhere, back, twice].map(|caller| desk.engine.position(caller));
    assert_eq!(positions, [Some(2), Some(1), Some(3)]);
}

#[test]
fn no_place_is_kept_for_the_anonymous_nor_after_a_timeout_or_the_exit_key() {
    let mut support = support("");
    support.abandoned_resume = Some(seconds(600.0));
    support.max_wait_time = Some(seconds(30.0));
    let mut desk = Desk::new(plan(&[support]));
    let anonymous = desk.join("support");
    let exits = desk.join_as("support", "+49");
    desk.join_as("support", "+48");
    desk.leave(anonymous);
    desk.depart(exits, Departure::Exit);
    assert_eq!(desk.at(30.0).heard(), ["#2 timed out: MaxWait"]);
    let other = desk.join("support");
    for customer in ["+49", "+48"] {
        let caller = desk.join_as("support", customer);
        assert!(desk.engine.position(caller) > desk.engine.position(other));
    }
}

#[test]
fn the_limit_of_who_comes_back_counts_anew_and_its_levels_do_not() {
    let mut support = support("201@2");
    support.abandoned_resume = Some(seconds(60.0));
    support.max_wait_time = Some(seconds(30.0));
    support.tier_rules = Some(queue::TierRules {
        wait: seconds(25.0),
        multiply_level: false,
        no_agent_no_wait: false,
    });
    let mut desk = Desk::new(plan(&[support]));
    let caller = desk.join_as("support", "+49");
    desk.at(10.0).leave(caller);
    desk.at(20.0).join_as("support", "+49");
    assert_eq!(desk.at(25.0).heard(), ["#1 rings 201"]);
    desk.fail("201", Failure::Busy);
    desk.log_out("201");
    assert_eq!(desk.at(49.9).heard(), NOTHING);
    assert_eq!(desk.at(50.0).heard(), ["#1 timed out: MaxWait"]);
}

#[test]
fn the_expected_wait_follows_the_last_answers() {
    let mut desk = Desk::new(plan(&[support("201")]));
    let mut talking = desk.join("support");
    desk.answer("201");
    let waiting = [(); 4].map(|()| desk.join("support"));
    // The agent answers every ten seconds from now on.
    for (moment, next) in [(10.0, waiting[0]), (20.0, waiting[1])] {
        desk.at(moment).release(talking);
        assert_eq!(desk.answer("201"), next);
        talking = next;
    }
    let expected = |caller| desk.engine.expected_wait(caller, 90);
    assert_eq!(expected(waiting[2]), Some(seconds(10.0)));
    assert_eq!(expected(waiting[3]), Some(seconds(20.0)));
    assert_eq!(expected(talking), None);
}

#[test]
fn ast_q02_priorities() {
    let mut q1 = queue("q1", RoundRobin, "");
    q1.capacity = 6;
    let mut desk = Desk::new(plan(&[q1]));
    for (priority, position) in [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (8, 1)] {
        let caller = desk.arrive("q1", &arrival(priority, 0.0)).unwrap();
        assert_eq!(desk.engine.position(caller), Some(position), "{priority}");
    }
    let known = Arrival {
        customer: Some(customer_id("+49")),
        ..arrival(2, 0.0)
    };
    assert_eq!(desk.arrive("q1", &known), Err(Refused::Full));
}
