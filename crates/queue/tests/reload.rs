//! What a new plan keeps and what it ends.

use queue::{Plan, QueueSettings, State, Status, Strategy};

use crate::desk::{Desk, agent, agent_id, plan, queue, seconds, with_agents};
use Strategy::{LongestIdleAgent, RingAll, RoundRobin};

const NOTHING: [&str; 0] = [];

fn support(members: &str) -> QueueSettings {
    queue("support", RoundRobin, members)
}

#[test]
fn the_same_plan_again_changes_nothing() {
    let same = with_agents(plan(&[support("201 202 203")]), |agent| {
        agent.wrap_up_time = Some(seconds(30.0));
    });
    let mut desk = Desk::new(same.clone());
    let first = desk.join("support");
    desk.answer("201");
    let second = desk.join("support");
    desk.answer("202");
    desk.join("support");
    desk.join("support");
    desk.at(1.0).release(first);
    desk.log_out("202");
    desk.heard();
    let before = ["201", "202", "203"].map(|agent| desk.state(agent));
    let wake = desk.engine.poll_timeout();
    desk.configure(same);
    assert_eq!(desk.heard(), NOTHING);
    assert_eq!(["201", "202", "203"].map(|agent| desk.state(agent)), before);
    assert_eq!(desk.engine.poll_timeout(), wake);
    assert_eq!(
        desk.engine.status(&agent_id("202")),
        Some(Status::LoggedOut)
    );
    assert_eq!(desk.at(20.0).heard(), ["203 stops: NoAnswer"]);
    assert_eq!(desk.at(30.0).heard(), ["#2 rings 203"]);
    assert_eq!(desk.at(31.0).heard(), ["#3 rings 201"]);
    desk.release(second);
}

#[test]
fn callers_of_a_removed_queue_lose_it_and_conversations_go_on() {
    let mut desk = Desk::new(plan(&[support("201 202")]));
    let talking = desk.join("support");
    desk.answer("201");
    desk.join("support");
    desk.join("support");
    desk.heard();
    desk.configure(Plan {
        queues: Vec::new(),
        ..plan(&[support("201 202")])
    });
    assert_eq!(
        desk.heard(),
        [
            "202 stops: CallerGone",
            "#1 lost its queue",
            "#2 lost its queue"
        ]
    );
    assert_eq!(desk.state("201"), Some(State::Talking(talking)));
    // The agent vanishes, and there is no queue to go back to.
    desk.vanish(talking);
    assert_eq!(desk.heard(), ["#0 lost its queue"]);
    assert!(desk.is_idle("201") && desk.is_idle("202"));
}

#[test]
fn a_removed_agent_stops_ringing_and_its_caller_goes_to_the_next() {
    let mut desk = Desk::new(plan(&[support("201 202")]));
    desk.join("support");
    desk.heard();
    desk.configure(plan(&[support("202")]));
    assert_eq!(desk.heard(), ["201 stops: AgentGone", "#0 rings 202"]);
    assert_eq!(desk.state("201"), None);
    assert_eq!(desk.engine.status(&agent_id("201")), None);
}

#[test]
fn an_agent_who_leaves_the_queue_stops_ringing_for_it_and_stays_an_agent() {
    let sales = queue("sales", RoundRobin, "201");
    let mut desk = Desk::new(plan(&[support("201"), sales.clone()]));
    desk.join("support");
    desk.heard();
    desk.configure(plan(&[support(""), sales]));
    assert_eq!(desk.heard(), ["201 stops: AgentGone"]);
    desk.join("sales");
    assert_eq!(desk.heard(), ["#1 rings 201"]);
}

#[test]
fn a_removed_agent_talks_to_the_end_and_may_come_back_while_it_talks() {
    let mut desk = Desk::new(plan(&[support("201")]));
    let caller = desk.join("support");
    desk.answer("201");
    desk.join("support");
    desk.heard();
    desk.configure(plan(&[support("")]));
    assert_eq!(desk.state("201"), Some(State::Talking(caller)));
    assert!(!desk.log_out("201"), "no such agent in the plan");
    desk.configure(plan(&[support("201")]));
    assert_eq!(desk.heard(), NOTHING);
    assert_eq!(desk.state("201"), Some(State::Talking(caller)));
    desk.release(caller);
    assert_eq!(desk.heard(), ["#1 rings 201"]);
    desk.configure(plan(&[support("")]));
    assert_eq!(desk.heard(), ["201 stops: AgentGone"]);
    assert_eq!(desk.state("201"), None);
}

#[test]
fn a_removed_agent_is_gone_when_its_conversation_ends() {
    for vanishes in [false, true] {
        let mut desk = Desk::new(plan(&[support("201")]));
        let caller = desk.join("support");
        desk.answer("201");
        desk.configure(plan(&[support("")]));
        if vanishes {
            desk.vanish(caller);
        } else {
            desk.release(caller);
        }
        assert_eq!(desk.state("201"), None);
        assert_eq!(desk.engine.poll_timeout(), None);
        assert_eq!(desk.engine.position(caller), vanishes.then_some(1));
    }
}

#[test]
fn a_ring_goes_on_when_levels_strategy_and_members_change_around_it() {
    let mut desk = Desk::new(plan(&[queue("support", RingAll, "202 203")]));
    let caller = desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 202", "#0 rings 203"]);
    desk.configure(plan(&[queue(
        "support",
        LongestIdleAgent,
        "201 202@5 203@4",
    )]));
    assert_eq!(desk.heard(), NOTHING);
    desk.answer("203");
    assert_eq!(desk.heard(), ["202 stops: AnsweredElsewhere"]);
    assert_eq!(desk.state("203"), Some(State::Talking(caller)));
}

#[test]
fn a_new_level_counts_at_once() {
    let mut desk = Desk::new(plan(&[support("201@1 202@2")]));
    desk.configure(plan(&[support("201@3 202@2")]));
    desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 202"]);
}

#[test]
fn a_new_limit_counts_from_the_joining() {
    let mut desk = Desk::new(plan(&[support("")]));
    desk.join("support");
    let mut limited = support("");
    limited.max_wait_time = Some(seconds(30.0));
    desk.at(20.0).configure(plan(&[limited.clone()]));
    assert_eq!(desk.at(30.0).heard(), ["#0 timed out: MaxWait"]);
    desk.join("support");
    limited.max_wait_time = None;
    desk.configure(plan(&[limited]));
    assert_eq!(desk.engine.poll_timeout(), None);
}

#[test]
fn a_rest_lasts_as_long_as_it_was_set_and_the_next_as_the_new_plan_says() {
    let wrap_up = |length: f64| {
        with_agents(plan(&[support("201")]), |agent| {
            agent.wrap_up_time = Some(seconds(length));
        })
    };
    let mut desk = Desk::new(wrap_up(10.0));
    let caller = desk.join("support");
    desk.answer("201");
    desk.release(caller);
    desk.configure(wrap_up(3.0));
    desk.heard();
    desk.join("support");
    assert_eq!(desk.at(9.9).heard(), NOTHING);
    assert_eq!(desk.at(10.0).heard(), ["#1 rings 201"]);
    let caller = desk.answer("201");
    desk.release(caller);
    desk.join("support");
    assert_eq!(desk.at(13.0).heard(), ["#2 rings 201"]);
}

#[test]
fn of_two_entries_with_one_name_the_first_counts_and_strangers_are_passed_over() {
    let mut twice = support("201@2 201@1 202@3 nobody");
    twice.capacity = 1;
    let mut agents = vec![agent("201"), agent("202")];
    let mut other = agent("201");
    other.status = Status::LoggedOut;
    agents.push(other);
    let mut desk = Desk::new(Plan {
        queues: vec![twice, support("202")],
        agents,
        needs: Vec::new(),
    });
    desk.join("support");
    assert_eq!(desk.heard(), ["#0 rings 201"]);
    desk.log_out("201");
    assert_eq!(desk.heard(), ["201 stops: AgentGone", "#0 rings 202"]);
    assert!(desk.try_join("support").is_err());
}
