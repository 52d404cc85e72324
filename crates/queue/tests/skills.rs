//! Callers who need skills of their agents, one sentence each.

use queue::{Arrival, NeedsId, Plan, Strategy, Ticket, TierRules};

use crate::desk::{Desk, STRATEGIES, agent_id, needs, plan, queue, seconds, skills, with_agents};
use Strategy::{RingAll, TopDown};

const NOTHING: [&str; 0] = [];

/// Wazo's rule: 90 at once, 80 after 10 s, 70 after 20 s.
const RELAXING: [(f64, &str); 3] = [
    (0.0, "english 90"),
    (10.0, "english 80"),
    (20.0, "english 70"),
];

/// One queue, in which each agent is called what it can do: `en95` has English at level 95, `en0` has none.
fn centre(strategy: Strategy, members: &str, steps: &[(f64, &str)]) -> Plan {
    let mut plan = with_agents(plan(&[queue("support", strategy, members)]), |agent| {
        let level = agent.id.0.trim_start_matches("en");
        if level != "0" {
            agent.skills = skills(&format!("english {level}"));
        }
    });
    plan.needs.push(needs("english", steps));
    plan
}

fn call(desk: &mut Desk) -> Ticket {
    let arrival = Arrival {
        needs: Some(NeedsId("english".into())),
        ..Arrival::default()
    };
    desk.arrive("support", &arrival).expect("room")
}

#[test]
fn wazo_skills_who_asks_for_english_gets_the_agent_who_has_it() {
    for strategy in STRATEGIES {
        let mut desk = Desk::new(centre(
            strategy,
            "en0 en60 en95 en40",
            &[(0.0, "english 91")],
        ));
        call(&mut desk);
        assert_eq!(desk.heard(), ["#0 rings en95"], "{strategy:?}");
    }
}

#[test]
fn wazo_skills_the_longer_a_caller_waits_the_less_it_asks() {
    let mut desk = Desk::new(centre(TopDown, "en75 en85 en95", &RELAXING));
    call(&mut desk);
    assert_eq!(desk.heard(), ["#0 rings en95"]);
    desk.answer("en95");
    call(&mut desk);
    assert_eq!(desk.at(9.99).heard(), NOTHING);
    assert_eq!(desk.at(10.0).heard(), ["#1 rings en85"]);
    let second = desk.answer("en85");
    call(&mut desk);
    assert_eq!(desk.at(29.99).heard(), NOTHING);
    assert_eq!(desk.at(30.0).heard(), ["#2 rings en75"]);
    desk.answer("en75");
    desk.at(31.0);
    call(&mut desk);
    desk.at(35.0).release(second);
    assert_eq!(desk.at(40.99).heard(), NOTHING);
    assert_eq!(desk.at(41.0).heard(), ["#3 rings en85"]);
}

#[test]
fn in_the_end_anybody_will_do_if_the_needs_say_so() {
    let steps = [(0.0, "english 90"), (5.0, "")];
    let mut desk = Desk::new(centre(RingAll, "en0 en50 en95", &steps));
    call(&mut desk);
    assert_eq!(desk.heard(), ["#0 rings en95"]);
    assert_eq!(desk.at(5.0).heard(), ["#0 rings en0", "#0 rings en50"]);
}

#[test]
fn a_caller_whom_nobody_can_serve_holds_up_nobody_behind_it() {
    let mut desk = Desk::new(centre(TopDown, "en0", &RELAXING));
    call(&mut desk);
    desk.join("support");
    assert_eq!(desk.heard(), ["#1 rings en0"]);
}

#[test]
fn an_agent_with_the_skill_serves_who_comes_first_whether_it_asks_for_it_or_not() {
    let mut desk = Desk::new(centre(TopDown, "en95", &RELAXING));
    let talking = desk.join("support");
    desk.answer("en95");
    desk.join("support");
    call(&mut desk);
    desk.heard();
    desk.at(3.0).release(talking);
    assert_eq!(desk.heard(), ["#1 rings en95"]);
}

#[test]
fn a_level_without_anybody_who_would_do_is_passed_over_by_tier_rules() {
    let rules = |no_agent_no_wait| {
        let mut plan = centre(TopDown, "en0@1 en95@2", &[(0.0, "english 90")]);
        plan.queues[0].tier_rules = Some(TierRules {
            wait: seconds(30.0),
            multiply_level: false,
            no_agent_no_wait,
        });
        plan
    };
    let mut desk = Desk::new(rules(true));
    call(&mut desk);
    assert_eq!(desk.heard(), ["#0 rings en95"]);
    let mut desk = Desk::new(rules(false));
    call(&mut desk);
    assert_eq!(desk.at(29.99).heard(), NOTHING);
    assert_eq!(desk.at(30.0).heard(), ["#0 rings en95"]);
}

#[test]
fn who_hangs_up_and_keeps_its_place_asks_as_little_as_if_it_had_waited_on() {
    let mut plan = centre(TopDown, "en75", &RELAXING);
    plan.queues[0].abandoned_resume = Some(seconds(60.0));
    let mut desk = Desk::new(plan);
    let arrival = Arrival {
        customer: Some(crate::desk::customer_id("+1")),
        needs: Some(NeedsId("english".into())),
        ..Arrival::default()
    };
    let first = desk.arrive("support", &arrival).unwrap();
    desk.at(5.0).leave(first);
    desk.at(15.0).arrive("support", &arrival).unwrap();
    assert_eq!(desk.at(19.99).heard(), NOTHING);
    assert_eq!(desk.at(20.0).heard(), ["#1 rings en75"]);
}

#[test]
fn a_reload_teaches_skills_and_changes_needs_at_once() {
    let untaught = centre(TopDown, "en10 en20", &[(0.0, "english 50")]);
    let taught = with_agents(untaught.clone(), |agent| {
        if agent.id == agent_id("en20") {
            agent.skills = skills("english 50");
        }
    });
    let mut undemanding = untaught.clone();
    undemanding.needs = vec![needs("english", &[(0.0, "english 10")])];
    let mut without = untaught.clone();
    without.needs.clear();
    for (plan, expected) in [(taught, "en20"), (undemanding, "en10"), (without, "en10")] {
        let mut desk = Desk::new(untaught.clone());
        call(&mut desk);
        assert_eq!(desk.heard(), NOTHING);
        desk.configure(plan);
        assert_eq!(desk.heard(), [format!("#0 rings {expected}")]);
    }
}

#[test]
fn why_says_which_skill_an_agent_lacks_and_until_when_it_is_asked() {
    let mut desk = Desk::new(centre(TopDown, "en0 en85 en95", &RELAXING));
    let caller = call(&mut desk);
    assert_eq!(
        desk.why(caller),
        [
            "en0: lacks english 90 until 10",
            "en85: lacks english 90 until 10",
            "en95: rings for #0",
        ]
    );
    desk.at(15.0);
    assert_eq!(
        desk.why(caller),
        [
            "en0: lacks english 80 until 20",
            "en85: another rings",
            "en95: rings for #0",
        ]
    );
}
