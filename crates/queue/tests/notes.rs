//! What is noted for a log, and what an agent gets back of it after a restart.

use queue::{Departure, Failure, Note, Past, Reach, Status, Strategy};

use crate::desk::{Desk, agent, agent_id, base, on_break, plan, queue, seconds, with_agents};

/// The notes so far, in words.
fn noted(desk: &mut Desk) -> Vec<String> {
    let notes = std::iter::from_fn(|| desk.engine.poll_note());
    let words = |note| match note {
        Note::Joined { ticket, queue } => format!("#{} joined {}", ticket.0, queue.0),
        Note::Full { queue } => format!("{} is full", queue.0),
        Note::Missed {
            ticket,
            agent,
            failure,
        } => format!("{} missed #{}: {failure:?}", agent.0, ticket.0),
        Note::Answered {
            ticket,
            agent,
            waited,
        } => format!("{} took #{} after {waited:?}", agent.0, ticket.0),
        Note::Vanished { ticket, agent } => format!("{} vanished from #{}", agent.0, ticket.0),
        Note::Talked {
            ticket,
            agent,
            time,
        } => format!("{} talked with #{} for {time:?}", agent.0, ticket.0),
        Note::Left {
            ticket,
            how,
            waited,
        } => format!("#{} left after {waited:?}: {how:?}", ticket.0),
        Note::WrappedUp { agent, time } => format!("{} wrapped up for {time:?}", agent.0),
        Note::Status { agent, status } => format!("{} is {status:?}", agent.0),
    };
    notes.map(words).collect()
}

#[test]
fn everything_that_happens_is_noted_once_and_in_order() {
    let mut support = queue("support", Strategy::RoundRobin, "201");
    support.capacity = 2;
    support.max_wait_time = Some(seconds(60.0));
    let plan = with_agents(plan(&[support]), |agent| {
        agent.wrap_up_time = Some(seconds(10.0));
        agent.no_answer_delay_time = seconds(5.0);
    });
    let mut desk = Desk::new(plan);
    desk.engine.keep_notes();
    let first = desk.join("support");
    let second = desk.join("support");
    desk.try_join("support").unwrap_err();
    desk.at(3.0).fail("201", Failure::NoAnswer);
    desk.at(10.0).answer("201");
    desk.at(11.0).vanish(first);
    desk.at(20.0).answer("201");
    desk.at(50.0).release(first);
    desk.at(55.0).ready("201");
    desk.set("201", on_break("lunch"));
    desk.at(61.0);
    let third = desk.join("support");
    desk.at(62.0).depart(third, Departure::Exit);
    assert_eq!(second.0, 1);
    assert_eq!(
        noted(&mut desk),
        [
            "#0 joined support",
            "#1 joined support",
            "support is full",
            "201 missed #0: NoAnswer",
            "201 took #0 after 10s",
            "201 vanished from #0",
            "201 took #0 after 20s",
            "201 talked with #0 for 30s",
            "201 wrapped up for 5s",
            "201 is OnBreak(BreakReason(\"lunch\"))",
            "#1 left after 60s: TimedOut(MaxWait)",
            "#2 joined support",
            "#2 left after 1s: Departed(Exit)",
        ]
    );
}

#[test]
fn nobody_keeps_notes_unless_it_says_so() {
    let mut desk = Desk::new(plan(&[queue("support", Strategy::RoundRobin, "201")]));
    desk.join("support");
    assert_eq!(desk.engine.poll_note(), None);
}

/// Who had fewer calls, and who was idle for longer, before a restart goes before after it.
#[test]
fn an_agent_goes_on_where_it_was() {
    for (strategy, first) in [
        (Strategy::AgentWithFewestCalls, "202"),
        (Strategy::AgentWithLeastTalkTime, "203"),
        (Strategy::LongestIdleAgent, "201"),
    ] {
        let mut desk = Desk::new(plan(&[queue("support", strategy, "201 202 203 204")]));
        for (name, status, calls, talk, idle) in [
            ("201", Status::Available, 9, 900.0, 0.0),
            ("202", Status::Available, 3, 600.0, 50.0),
            ("203", Status::Available, 5, 500.0, 60.0),
            ("204", on_break("lunch"), 1, 1.0, 0.0),
        ] {
            let past = Past {
                status,
                calls,
                talk_time: seconds(talk),
                idle_since: base() + seconds(idle),
            };
            let now = base() + seconds(100.0);
            assert!(desk.engine.restore(&agent_id(name), past.clone(), now));
            let mut pasts = desk.engine.pasts();
            let kept = pasts.find(|(id, _)| **id == agent_id(name));
            assert_eq!(kept.map(|(_, past)| past), Some(past));
        }
        desk.at(100.0).join("support");
        assert_eq!(desk.heard(), [format!("#0 rings {first}")], "{strategy:?}");
        assert_eq!(
            desk.engine.status(&agent_id("204")),
            Some(on_break("lunch"))
        );
    }
}

#[test]
fn who_is_unknown_or_at_work_is_not_restored() {
    let mut desk = Desk::new(plan(&[queue("support", Strategy::RoundRobin, "201")]));
    let past = Past {
        status: Status::LoggedOut,
        calls: 0,
        talk_time: seconds(0.0),
        idle_since: base(),
    };
    let now = base();
    assert!(!desk.engine.restore(&agent("301").id, past.clone(), now));
    desk.join("support");
    assert!(
        !desk.engine.restore(&agent_id("201"), past, now),
        "it rings"
    );
    desk.reach("201", Reach::Unregistered);
}
