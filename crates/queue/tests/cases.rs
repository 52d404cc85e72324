//! Cases and faults of other queue engines, named for them: see the list in `main.rs`.

use queue::{Failure, Reach, Refused, State, Strategy};

use crate::desk::{Desk, STRATEGIES, on_break, plan, queue, seconds, with_agents};
use Strategy::{LongestIdleAgent, RingAll, RoundRobin};

const NOTHING: [&str; 0] = [];

/// Ring-all, rings for 2 s, 1 s between, the caller waits for 3 s at most.
fn asterisk_ring_all() -> Desk {
    let mut q1 = queue("q1", RingAll, "one two");
    q1.max_wait_time = Some(seconds(3.0));
    Desk::new(with_agents(plan(&[q1]), |agent| {
        agent.call_timeout = seconds(2.0);
        agent.no_answer_delay_time = seconds(1.0);
    }))
}

#[test]
fn ast_q01_queue_baseline() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    let caller = desk.join("q1");
    assert_eq!(desk.heard(), ["#0 rings one"]);
    assert_eq!(desk.at(1.0).answer("one"), caller);
    assert_eq!(desk.state("one"), Some(State::Talking(caller)));
    assert_eq!(desk.engine.position(caller), None);
    desk.at(5.0).release(caller);
    assert_eq!(desk.state("one"), Some(State::Idle));
}

#[test]
fn ast_q02_maxlen_and_positions_without_priorities() {
    let mut q1 = queue("q1", RoundRobin, "");
    q1.capacity = 11;
    let mut desk = Desk::new(plan(&[q1]));
    for place in 1..=11 {
        let caller = desk.join("q1");
        assert_eq!(desk.engine.position(caller), Some(place));
    }
    assert_eq!(desk.try_join("q1"), Err(Refused::Full));
}

#[test]
fn ast_q04_reload_queue_members() {
    let queues = [queue("q1", RingAll, "1 2 3"), queue("q2", RingAll, "")];
    let mut desk = Desk::new(plan(&queues));
    let queues = [queue("q1", RingAll, "1 4 5 6"), queue("q2", RingAll, "7 8")];
    desk.configure(plan(&queues));
    for phone in ["4", "5", "6", "7", "8"] {
        desk.reach(phone, Reach::Reachable);
    }
    desk.join("q1");
    assert_eq!(
        desk.heard(),
        ["#0 rings 1", "#0 rings 4", "#0 rings 5", "#0 rings 6"]
    );
    desk.join("q2");
    assert_eq!(desk.heard(), ["#1 rings 7", "#1 rings 8"]);
}

#[test]
fn ast_q05_queue_all_paused_no_answer() {
    let mut desk = asterisk_ring_all();
    desk.log_out("one");
    desk.log_out("two");
    desk.join("q1");
    assert_eq!(desk.at(2.999).heard(), NOTHING);
    assert_eq!(desk.at(3.0).heard(), ["#0 timed out: MaxWait"]);
}

#[test]
fn ast_q06_queue_no_answer() {
    let mut desk = asterisk_ring_all();
    desk.join("q1");
    assert_eq!(
        desk.at(3.0).heard(),
        [
            "#0 rings one",
            "#0 rings two",
            "one stops: NoAnswer",
            "two stops: NoAnswer",
            "#0 timed out: MaxWait"
        ]
    );
}

#[test]
fn ast_q07_queue_one_paused_no_answer() {
    let mut desk = asterisk_ring_all();
    desk.log_out("one");
    desk.join("q1");
    assert_eq!(
        desk.at(3.0).heard(),
        [
            "#0 rings two",
            "two stops: NoAnswer",
            "#0 timed out: MaxWait"
        ]
    );
}

#[test]
fn ast_q11_reason_pause() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    desk.set("one", on_break("Break"));
    let caller = desk.join("q1");
    assert_eq!(desk.why(caller), ["one: on break: Break"]);
}

#[test]
fn ast_q13_autopause() {
    let mut desk = Desk::new(with_agents(
        plan(&[
            queue("q1", RoundRobin, "one"),
            queue("q2", RoundRobin, "one"),
        ]),
        |agent| {
            agent.call_timeout = seconds(1.0);
            agent.max_no_answer = 1;
        },
    ));
    let caller = desk.join("q2");
    assert!(desk.at(1.0).heard()[2].starts_with("one is now OnBreak"));
    desk.leave(caller);
    desk.join("q1");
    assert_eq!(desk.at(60.0).heard(), NOTHING);
}

#[test]
fn ast_q13_ringinuse_no() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    desk.reach("one", Reach::Busy);
    desk.join("q1");
    assert_eq!(desk.at(60.0).heard(), NOTHING);
    desk.reach("one", Reach::Reachable);
    assert_eq!(desk.heard(), ["#0 rings one"]);
}

#[test]
fn ast_q13_ringinuse_yes() {
    let support = plan(&[queue("q2", RoundRobin, "one")]);
    let mut desk = Desk::new(with_agents(support, |agent| {
        agent.call_waiting = true;
        agent.call_timeout = seconds(1.0);
        agent.max_no_answer = 1;
    }));
    desk.reach("one", Reach::Busy);
    desk.join("q2");
    assert_eq!(desk.heard(), ["#0 rings one"]);
    assert!(desk.at(1.0).heard()[1].starts_with("one is now OnBreak"));
}

/// Ours is the case with shared_lastcall: wrap-up is the agent's, in all its queues.
#[test]
fn ast_q14_wrapup_time() {
    let queues = [
        queue("q1", RoundRobin, "m1 m2"),
        queue("q2", RoundRobin, "m1 m2"),
    ];
    let mut desk = Desk::new(with_agents(plan(&queues), |agent| {
        agent.wrap_up_time = Some(seconds(10_000.0));
    }));
    for (queue, agent) in [("q1", "m1"), ("q2", "m2")] {
        let caller = desk.join(queue);
        desk.answer(agent);
        desk.release(caller);
    }
    desk.heard();
    desk.join("q1");
    assert_eq!(desk.heard(), NOTHING);
}

/// Wrap-up 20 s for m1, 10 s for m2; six calls of 8.5 s each.
#[test]
fn ast_q15_wrapup_time_per_member() {
    let q1 = queue("q1", LongestIdleAgent, "m1@1 m2@2");
    let mut desk = Desk::new(with_agents(plan(&[q1]), |agent| {
        let long = &*agent.id.0 == "m1";
        agent.wrap_up_time = Some(seconds(if long { 20.0 } else { 10.0 }));
    }));
    let mut now = 0.0;
    for (expected, pause) in [
        ("m1", 1.0),
        ("m2", 10.0),
        ("m2", 1.0),
        ("m1", 1.0),
        ("m2", 1.0),
    ] {
        let caller = desk.at(now).join("q1");
        assert_eq!(desk.heard(), [format!("#{} rings {expected}", caller.0)]);
        desk.answer(expected);
        now += 8.5;
        desk.at(now).release(caller);
        now += pause;
    }
    desk.at(now).join("q1");
    assert_eq!(desk.heard(), NOTHING);
}

#[test]
fn ast_a2_agent_login_errors() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    assert!(!desk.log_in("stranger"));
    assert!(!desk.log_in("one"), "already in");
}

#[test]
fn wazo_agent_logged_in_then_added_to_a_new_queue_receives_its_call() {
    let old = queue("old", RoundRobin, "one");
    let mut desk = Desk::new(plan(std::slice::from_ref(&old)));
    desk.configure(plan(&[old, queue("new", RoundRobin, "one")]));
    desk.join("new");
    assert_eq!(desk.heard(), ["#0 rings one"]);
}

#[test]
fn wazo_full_three_times_with_maxlen_1_and_4_calls() {
    let mut q1 = queue("q1", RoundRobin, "");
    q1.capacity = 1;
    let mut desk = Desk::new(plan(&[q1]));
    let refused = (0..4).filter(|_| desk.try_join("q1") == Err(Refused::Full));
    assert_eq!(refused.count(), 3);
}

#[test]
fn wazo_abandon_three_times() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    for _ in 0..3 {
        let caller = desk.join("q1");
        desk.leave(caller);
        assert!(desk.heard()[1].ends_with("CallerGone"));
    }
}

#[test]
fn wazo_ringnoanswer_once_when_ringing_5_s_and_the_caller_leaves_at_7_s() {
    let q1 = plan(&[queue("q1", RoundRobin, "one")]);
    let mut desk = Desk::new(with_agents(q1, |agent| agent.call_timeout = seconds(5.0)));
    let caller = desk.join("q1");
    desk.at(7.0).leave(caller);
    assert_eq!(
        desk.at(60.0).heard(),
        ["#0 rings one", "one stops: NoAnswer"]
    );
}

#[test]
fn wazo_agent_login_and_logoff_give_one_event_each() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    assert_eq!([desk.log_out("one"), desk.log_out("one")], [true, false]);
    assert_eq!([desk.log_in("one"), desk.log_in("one")], [true, false]);
}

#[test]
fn wazo_exitwithtimeout_twice_after_10_s_with_rings_of_5_s() {
    let mut q1 = queue("q1", RoundRobin, "one");
    q1.max_wait_time = Some(seconds(10.0));
    let mut desk = Desk::new(with_agents(plan(&[q1]), |agent| {
        agent.call_timeout = seconds(5.0);
        agent.no_answer_delay_time = seconds(1.0);
    }));
    desk.join("q1");
    desk.at(0.5).join("q1");
    // The agent rings 0-5 and 6-11 for the first, who leaves when the second ring ends; the second leaves in time.
    let heard = desk.at(11.0).heard();
    assert_eq!(
        heard
            .iter()
            .filter(|word| word.ends_with("timed out: MaxWait"))
            .count(),
        2
    );
    assert_eq!(
        heard
            .iter()
            .filter(|word| word.ends_with("rings one"))
            .count(),
        2
    );
}

#[test]
fn wazo_pauseall_and_unpauseall() {
    let queues = [
        queue("q1", RoundRobin, "one"),
        queue("q2", RoundRobin, "one"),
    ];
    let mut desk = Desk::new(plan(&queues));
    desk.log_out("one");
    desk.join("q1");
    desk.join("q2");
    assert_eq!(desk.heard(), NOTHING);
    desk.log_in("one");
    assert_eq!(desk.heard(), ["#0 rings one"]);
}

#[test]
fn wazo_wrapupstart() {
    let q1 = plan(&[queue("q1", RoundRobin, "one")]);
    let mut desk = Desk::new(with_agents(q1, |agent| {
        agent.wrap_up_time = Some(seconds(2.0))
    }));
    let caller = desk.join("q1");
    desk.answer("one");
    desk.release(caller);
    assert!(matches!(desk.state("one"), Some(State::WrapUp { .. })));
    assert_eq!(desk.at(2.0).state("one"), Some(State::Idle));
}

#[test]
fn wazo_penalty_1_rings_first_and_after_its_refusal_5_rings() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one@1 five@5")]));
    desk.join("q1");
    desk.fail("one", Failure::Rejected);
    assert_eq!(desk.heard(), ["#0 rings one", "#0 rings five"]);
}

#[test]
fn wazo_penalty_5_rings_while_1_talks() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one@1 five@5")]));
    desk.join("q1");
    desk.answer("one");
    desk.join("q1");
    assert_eq!(desk.heard(), ["#0 rings one", "#1 rings five"]);
}

#[test]
fn asterisk_176_two_agents_answer_at_once() {
    for order in [["one", "two"], ["two", "one"]] {
        let mut desk = Desk::new(plan(&[queue("q1", RingAll, "one two three")]));
        let caller = desk.join("q1");
        let offers = order.map(|agent| desk.offer(agent));
        let answers = offers.map(|offer| desk.answer_offer(offer));
        assert_eq!(answers, [Some(caller), None]);
        assert_eq!(desk.state(order[0]), Some(State::Talking(caller)));
        assert!(desk.is_idle(order[1]) && desk.is_idle("three"));
    }
}

#[test]
fn asterisk_1557_agent_answers_and_hangs_up_before_the_bridge() {
    let mut desk = Desk::new(plan(&[queue("q1", RingAll, "one two three")]));
    let caller = desk.join("q1");
    desk.answer("one");
    desk.heard();
    desk.at(0.1).vanish(caller);
    // The others ring again at once; nobody is lost.
    assert_eq!(desk.heard(), ["#0 rings two", "#0 rings three"]);
    assert_eq!(desk.answer("three"), caller);
}

#[test]
fn freeswitch_1973_caller_leaves_at_every_point_of_the_connect() {
    for point in 0..5 {
        let mut desk = Desk::new(plan(&[queue("q1", RingAll, "one two")]));
        desk.log_out("two");
        let caller = desk.join("q1");
        if point > 0 {
            desk.log_in("two");
        }
        if point > 1 {
            desk.answer("one");
        }
        if point > 2 {
            desk.vanish(caller);
        }
        if point > 3 {
            desk.answer("two");
        }
        desk.leave(caller);
        desk.at(10.0).log_in("two");
        desk.heard();
        assert_eq!(desk.engine.position(caller), None);
        assert!(desk.is_idle("one") && desk.is_idle("two"), "point {point}");
        assert_eq!(desk.engine.poll_timeout(), None, "point {point}");
        desk.join("q1");
        assert_eq!(desk.heard(), ["#1 rings one", "#1 rings two"]);
    }
}

#[test]
fn freeswitch_2540_losers_of_a_ring_all_of_many_agents_are_free_at_once() {
    let names: Vec<String> = (1..=50).map(|number| format!("a{number:02}")).collect();
    let mut desk = Desk::new(plan(&[queue("q1", RingAll, &names.join(" "))]));
    desk.join("q1");
    desk.answer("a17");
    for name in names.iter().filter(|name| *name != "a17") {
        assert!(desk.is_idle(name));
    }
    desk.heard();
    desk.join("q1");
    assert_eq!(desk.heard().len(), 49);
}

#[test]
fn freeswitch_1216_calls_flow_though_the_last_agent_is_unregistered() {
    for strategy in STRATEGIES {
        let mut desk = Desk::new(plan(&[queue("q1", strategy, "one two last")]));
        desk.reach("last", Reach::Unregistered);
        for number in 0..4 {
            let caller = desk.join("q1");
            let rings = desk.heard();
            let agent = rings[0].strip_prefix(&format!("#{number} rings ")).unwrap();
            desk.answer(agent);
            desk.release(caller);
            desk.heard();
        }
    }
}

#[test]
fn opensips_3123_agent_is_freed_though_its_phone_dies_in_any_state() {
    for dies_when_talking in [false, true] {
        let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
        let caller = desk.join("q1");
        if dies_when_talking {
            desk.answer("one");
        }
        desk.reach("one", Reach::Unregistered);
        if dies_when_talking {
            desk.release(caller);
        } else {
            desk.fail("one", Failure::NoAnswer);
        }
        assert!(desk.is_idle("one"));
        desk.heard();
        desk.at(60.0).reach("one", Reach::Reachable);
        desk.join("q1");
        assert!(desk.heard()[0].ends_with("rings one"));
    }
}

#[test]
fn kazoo_2689_agent_calls_out_while_it_is_offered() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    desk.join("q1");
    desk.reach("one", Reach::Busy);
    desk.fail("one", Failure::Busy);
    desk.heard();
    assert_eq!(desk.at(60.0).heard(), NOTHING);
    desk.reach("one", Reach::Reachable);
    assert_eq!(desk.heard(), ["#0 rings one"]);
}

#[test]
fn kazoo_6609_agent_comes_back_after_any_number_of_missed_calls() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    let caller = desk.join("q1");
    for missed in 0..100 {
        desk.at(f64::from(missed) * 30.0 + 20.0);
    }
    assert_eq!(desk.at(3_000.0).answer("one"), caller);
}

#[test]
fn openacd_6_agent_registers_again_while_it_is_offered() {
    let mut desk = Desk::new(plan(&[queue("q1", RoundRobin, "one")]));
    let caller = desk.join("q1");
    desk.reach("one", Reach::Unregistered);
    desk.reach("one", Reach::Reachable);
    assert_eq!(desk.heard(), ["#0 rings one"]);
    assert_eq!(desk.answer("one"), caller);
}
