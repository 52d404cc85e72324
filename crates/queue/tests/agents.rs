//! What agents set and what becomes of them, and why callers wait, one sentence each.

use queue::{Departure, Failure, Held, Merit, Output, Reach, State, Status, Strategy};

use crate::desk::{Desk, agent_id, on_break, plan, queue, seconds, with_agents};
use Strategy::{AgentWithFewestCalls, LongestIdleAgent, RingAll, RingProgressively, RoundRobin};

const NOTHING: [&str; 0] = [];

#[test]
fn a_break_withdraws_the_ring_and_ends_with_the_status() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201 202")]));
    desk.join("support");
    desk.heard();
    assert!(desk.set("201", on_break("lunch")));
    assert_eq!(desk.heard(), ["201 stops: AgentGone", "#0 rings 202"]);
    assert_eq!(
        desk.engine.status(&agent_id("201")),
        Some(on_break("lunch"))
    );
    assert!(desk.set("201", on_break("meeting")), "another reason");
    desk.join("support");
    assert_eq!(desk.heard(), NOTHING);
    desk.set("201", Status::Available);
    assert_eq!(desk.heard(), ["#1 rings 201"]);
}

#[test]
fn a_ring_goes_on_when_the_agent_wants_calls_on_demand() {
    let mut desk = Desk::new(plan(&[queue("support", RoundRobin, "201")]));
    let caller = desk.join("support");
    desk.set("201", Status::OnDemand);
    assert_eq!(desk.heard(), ["#0 rings 201"]);
    assert_eq!(desk.answer("201"), caller);
}

#[test]
fn on_demand_takes_one_call_and_the_next_when_it_asks_for_it() {
    let support = plan(&[queue("support", RoundRobin, "201")]);
    let mut desk = Desk::new(with_agents(support, |agent| {
        agent.status = Status::OnDemand;
        agent.wrap_up_time = Some(seconds(30.0));
    }));
    let first = desk.join("support");
    desk.answer("201");
    desk.join("support");
    desk.join("support");
    desk.heard();
    desk.release(first);
    assert_eq!(desk.state("201"), Some(State::Parked));
    assert_eq!(desk.at(100.0).heard(), NOTHING);
    assert!(desk.ready("201") && !desk.ready("201"));
    assert_eq!(desk.heard(), ["#1 rings 201"]);
    let second = desk.answer("201");
    desk.release(second);
    // So does a status that takes calls.
    desk.set("201", Status::Available);
    assert_eq!(desk.heard(), ["#2 rings 201"]);
}

#[test]
fn a_break_does_not_make_an_agent_look_idle_nor_fresh() {
    for (strategy, expected) in [(LongestIdleAgent, "202"), (AgentWithFewestCalls, "202")] {
        let mut desk = Desk::new(plan(&[queue("support", strategy, "201 202")]));
        let caller = desk.join("support");
        desk.answer("201");
        desk.at(10.0).release(caller);
        desk.at(20.0).set("201", on_break("lunch"));
        desk.at(600.0).set("201", Status::Available);
        desk.heard();
        desk.join("support");
        assert_eq!(
            desk.heard(),
            [format!("#1 rings {expected}")],
            "{strategy:?}"
        );
    }
}

#[test]
fn wrap_up_is_the_queues_unless_the_agent_has_its_own() {
    let mut support = queue("support", RoundRobin, "201 202");
    support.wrap_up_time = seconds(6.0);
    let mut desk = Desk::new(with_agents(plan(&[support]), |agent| {
        let own = (&*agent.id.0 == "202").then(|| seconds(2.5));
        agent.wrap_up_time = own;
    }));
    let callers = [desk.join("support"), desk.join("support")];
    desk.answer("201");
    desk.answer("202");
    desk.join("support");
    desk.join("support");
    desk.heard();
    for caller in callers {
        desk.release(caller);
    }
    assert_eq!(desk.at(2.499).heard(), NOTHING);
    assert_eq!(desk.at(2.5).heard(), ["#2 rings 202"]);
    assert_eq!(desk.at(5.999).heard(), NOTHING);
    assert_eq!(desk.at(6.0).heard(), ["#3 rings 201"]);
}

#[test]
fn wrap_up_ends_early_or_late_by_command() {
    let mut support = queue("support", RoundRobin, "201");
    support.wrap_up_time = seconds(10.0);
    let mut desk = Desk::new(plan(&[support]));
    let caller = desk.join("support");
    desk.answer("201");
    assert!(!desk.prolong("201", 5.0), "it talks");
    desk.release(caller);
    assert!(desk.prolong("201", 5.0));
    desk.join("support");
    desk.heard();
    assert_eq!(desk.at(14.99).heard(), NOTHING);
    assert_eq!(desk.at(15.0).heard(), ["#1 rings 201"]);
    let caller = desk.answer("201");
    desk.join("support");
    desk.at(20.0).release(caller);
    assert!(desk.at(21.0).ready("201"));
    assert_eq!(desk.heard(), ["#2 rings 201"]);
    assert!(!desk.ready("201") && !desk.prolong("201", 1.0));
}

#[test]
fn after_max_no_answer_the_agent_has_the_status_of_the_queue() {
    let mut support = queue("support", RoundRobin, "201");
    support.agent_no_answer_status = Status::LoggedOut;
    let mut desk = Desk::new(with_agents(plan(&[support]), |agent| {
        agent.max_no_answer = 2;
    }));
    desk.join("support");
    desk.fail("201", Failure::NoAnswer);
    desk.at(10.0).fail("201", Failure::Rejected);
    desk.at(20.0).fail("201", Failure::Busy);
    desk.heard();
    // Only what was not answered counts, and only one after the other.
    assert_eq!(
        desk.at(50.0).heard(),
        [
            "#0 rings 201",
            "201 stops: NoAnswer",
            "201 is now LoggedOut"
        ]
    );
    assert_eq!(desk.at(500.0).heard(), NOTHING);
    desk.log_in("201");
    desk.heard();
    desk.at(520.0);
    assert_eq!(desk.heard(), ["201 stops: NoAnswer"], "it counts anew");
}

#[test]
fn an_answer_ends_the_count_of_missed_calls() {
    let mut desk = Desk::new(with_agents(
        plan(&[queue("support", RoundRobin, "201")]),
        |agent| agent.max_no_answer = 2,
    ));
    let caller = desk.join("support");
    desk.at(30.0);
    desk.answer("201");
    desk.release(caller);
    let caller = desk.join("support");
    desk.at(50.0);
    assert_eq!(
        desk.engine.status(&agent_id("201")),
        Some(Status::Available)
    );
    desk.leave(caller);
}

#[test]
fn a_reload_keeps_every_status() {
    let support = plan(&[queue("support", RoundRobin, "201 202 203")]);
    let mut desk = Desk::new(support.clone());
    desk.set("201", on_break("lunch"));
    desk.set("202", Status::OnDemand);
    let caller = desk.join("support");
    desk.answer("202");
    desk.release(caller);
    desk.configure(support);
    assert_eq!(
        desk.engine.status(&agent_id("201")),
        Some(on_break("lunch"))
    );
    assert_eq!(desk.state("202"), Some(State::Parked));
}

#[test]
fn every_agent_has_a_reason_why_it_does_not_ring_for_a_caller() {
    let members = "201@1 202@1 203@1 204@1 205@1 206@1 207@2 208@3 209@1 210@1";
    let mut support = queue("support", RoundRobin, members);
    support.tier_rules = Some(queue::TierRules {
        wait: seconds(60.0),
        multiply_level: true,
        no_agent_no_wait: true,
    });
    let mut desk = Desk::new(with_agents(plan(&[support]), |agent| {
        agent.wrap_up_time = Some(seconds(15.0));
        agent.reject_delay_time = seconds(0.0);
    }));
    desk.set("209", Status::OnDemand);
    let talking = [(); 2].map(|()| {
        let caller = desk.join("support");
        desk.answer(if caller.0 == 0 { "201" } else { "202" });
        caller
    });
    desk.log_all_out(&["203", "204", "205", "206", "210"]);
    let parked = desk.join("support");
    desk.answer("209");
    desk.release(parked);
    desk.release(talking[1]);
    desk.set("203", on_break("lunch"));
    desk.reach("205", Reach::Unregistered);
    desk.reach("206", Reach::Busy);
    for agent in ["205", "206"] {
        desk.log_in(agent);
    }
    let caller = desk.at(2.0).join("support");
    desk.log_in("210");
    desk.at(3.0).fail("210", Failure::Rejected);
    assert_eq!(
        desk.why(caller),
        [
            "201: talks with #0",
            "202: wrap-up until 15",
            "203: on break: lunch",
            "204: LoggedOut",
            "205: Unregistered",
            "206: BusyElsewhere",
            "209: Parked",
            "210: failed it 1 times, so not until 4",
            "207: level opens at 122",
            "208: level opens at 182",
        ]
    );
    assert_eq!(desk.engine.held(&agent_id("207")), None);
    assert!(matches!(
        desk.engine.held(&agent_id("202")),
        Some(Held::WrapUp { .. })
    ));
    desk.depart(caller, Departure::Exit);
}

#[test]
fn the_reasons_say_who_rings_and_whom_that_holds_back() {
    for (strategy, expected) in [
        (
            RoundRobin,
            [
                "201: rings for #0",
                "202: another rings",
                "203: another rings",
            ],
        ),
        (
            RingProgressively,
            [
                "201: rings for #0",
                "202: another rings until 10",
                "203: another rings until 10",
            ],
        ),
        (
            RingAll,
            [
                "201: rings for #0",
                "202: rings for #0",
                "203: LowerLevelRings",
            ],
        ),
    ] {
        let mut desk = Desk::new(plan(&[queue("support", strategy, "201@1 202@1 203@2")]));
        let caller = desk.join("support");
        assert_eq!(desk.why(caller), expected, "{strategy:?}");
    }
}

#[test]
fn an_offer_says_why_it_was_this_agent() {
    let support = queue("support", AgentWithFewestCalls, "201 202");
    let no_delays = with_agents(plan(&[support]), |agent| {
        agent.reject_delay_time = seconds(0.0);
    });
    let mut desk = Desk::new(no_delays);
    desk.log_out("202");
    for _ in 0..2 {
        let caller = desk.join("support");
        desk.answer("201");
        desk.release(caller);
    }
    let caller = desk.join("support");
    desk.fail("201", Failure::Rejected);
    desk.depart(caller, Departure::Exit);
    desk.log_in("202");
    desk.join("support");
    desk.fail("202", Failure::Rejected);
    let Some(Output::Offer { agent, why, .. }) = desk.offered.last() else {
        panic!("nobody was offered");
    };
    assert_eq!(*agent, agent_id("201"));
    assert_eq!((why.merit, why.failures), (Merit::Calls(2), 0));
    let [(held, Held::Failed { times: 1, .. })] = &why.passed_over[..] else {
        panic!("{why:?}");
    };
    assert_eq!(*held, agent_id("202"));
}
