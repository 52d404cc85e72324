//! Figures as tables for people, and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use queue::QueueId;
use serde_json::{Value, json};

use super::figures::{Agent, Figures, Work};
use crate::service::{Service, percent, side_by_side};

/// One interval after the other, each row under its interval's name.
pub(super) fn told(parts: &[(&str, &Figures)]) -> String {
    let Some((_, first)) = parts.first() else {
        return String::new();
    };
    let mut callers = first.callers.clone();
    callers.queues.clear();
    let mut work: BTreeMap<String, &Work> = BTreeMap::new();
    let mut agents: BTreeMap<String, &Agent> = BTreeMap::new();
    for (name, figures) in parts {
        let of = |row: &str| match *name {
            "" => row.to_owned(),
            name => format!("{row} {name}"),
        };
        for (queue, service) in &figures.callers.queues {
            let of = QueueId(of(&queue.0).into());
            callers.queues.insert(of, service.clone());
        }
        work.extend(figures.work.iter().map(|(queue, it)| (of(queue), it)));
        agents.extend(figures.agents.iter().map(|(agent, it)| (of(agent), it)));
    }
    let within = first.callers.within;
    [
        side_by_side(&[("", &callers)]),
        works(&work),
        of_agents(&agents, within),
    ]
    .join("\n")
}

/// How long callers waited, by the limits.
pub(super) fn waits(figures: &Figures, buckets: &[u64]) -> String {
    let mut text = String::from("queue, waited     answered  abandoned\n");
    for (queue, counts) in &figures.waits {
        for (at, [answered, abandoned]) in counts.iter().enumerate() {
            let limit = match buckets.get(at) {
                Some(limit) => format!("up to {limit} s"),
                None => "longer".to_owned(),
            };
            let name = format!("{queue} {limit}");
            line(
                &mut text,
                format_args!("{name:17} {answered:>8} {abandoned:>10}"),
            );
        }
    }
    text
}

fn works(work: &BTreeMap<String, &Work>) -> String {
    let width = width(work.keys(), "queue");
    let mut text = format!(
        "{:width$}   talks      talk  mean talk      hold   wrap-up\n",
        "queue"
    );
    for (name, work) in work {
        line(
            &mut text,
            format_args!(
                "{name:width$} {:>7} {:>9} {:>8.1} s {:>9} {:>9}",
                work.calls,
                clock(work.talk),
                mean(work),
                clock(work.hold),
                clock(work.wrap_up),
            ),
        );
    }
    text
}

fn of_agents(agents: &BTreeMap<String, &Agent>, within: Duration) -> String {
    let width = width(agents.keys(), "agent");
    let mut text = format!(
        "{:width$}   calls  in {} s  missed      talk  mean talk      hold   wrap-up  logged in  available  on break  \
         occupancy\n",
        "agent",
        within.as_secs(),
    );
    for (name, agent) in agents {
        let reasons = agent.breaks.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, time)| format!("{reason} {}", clock(*time)))
            .collect();
        line(
            &mut text,
            format_args!(
                "{name:width$} {:>7} {:>5} % {:>7} {:>9} {:>8.1} s {:>9} {:>9} {:>10} {:>10} {:>9} {:>8} %  {}",
                agent.work.calls,
                percent(agent.in_time, agent.answered),
                agent.missed,
                clock(agent.work.talk),
                mean(&agent.work),
                clock(agent.work.hold),
                clock(agent.work.wrap_up),
                clock(agent.logged_in()),
                clock(agent.available),
                clock(agent.on_break()),
                agent.occupancy(),
                reasons.join(", "),
            ),
        );
    }
    text
}

/// Where the last column is empty, no line ends with blanks.
fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let words = words.to_string();
    writeln!(text, "{}", words.trim_end()).expect("a String takes everything");
}

fn width<'a>(names: impl Iterator<Item = &'a String>, title: &str) -> usize {
    let longest = names.map(|name| name.chars().count()).max();
    longest.unwrap_or_default().max(title.len())
}

fn mean(work: &Work) -> f64 {
    work.talk.as_secs_f64() / work.calls.max(1) as f64
}

/// Hours, minutes and seconds.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The figures of an interval; times are whole milliseconds.
pub(super) fn json(figures: &Figures, buckets: &[u64]) -> Value {
    let mut names: Vec<&str> = figures.callers.queues.keys().map(|it| &*it.0).collect();
    names.extend(figures.work.keys().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let queues: serde_json::Map<String, Value> = names
        .into_iter()
        .map(|name| (name.to_owned(), queue(name, figures, buckets)))
        .collect();
    let agents: serde_json::Map<String, Value> = figures
        .agents
        .iter()
        .map(|(name, it)| (name.clone(), agent(it)))
        .collect();
    json!({ "queues": queues, "agents": agents })
}

fn queue(name: &str, figures: &Figures, buckets: &[u64]) -> Value {
    let none = (Service::default(), Work::default());
    let service = figures.callers.queues.get(&QueueId(name.into()));
    let service = service.unwrap_or(&none.0);
    let work = figures.work.get(name).unwrap_or(&none.1);
    let counts = figures.waits.get(name).into_iter().flatten().enumerate();
    let waits: Vec<Value> = counts
        .map(|(at, [answered, abandoned])| {
            json!({ "up_to_s": buckets.get(at), "answered": answered, "abandoned": abandoned })
        })
        .collect();
    json!({
        "offered": service.calls,
        "answered": service.answered,
        "answered_in_time": service.in_time,
        "abandoned": service.abandoned,
        "exit": service.exits,
        "timed_out": service.timed_out,
        "no_agent": service.no_agent,
        "overflow": service.overflow,
        "full": service.full,
        "closed": service.closed,
        "wait_ms": millis(service.waited),
        "longest_wait_ms": millis(service.longest),
        "waits": waits,
        "talks": work.calls,
        "talk_ms": millis(work.talk),
        "hold_ms": millis(work.hold),
        "wrap_up_ms": millis(work.wrap_up),
    })
}

fn agent(agent: &Agent) -> Value {
    let breaks: BTreeMap<&String, u64> = agent
        .breaks
        .iter()
        .map(|(reason, time)| (reason, millis(*time)))
        .collect();
    json!({
        "talks": agent.work.calls,
        "answered": agent.answered,
        "answered_in_time": agent.in_time,
        "missed": agent.missed,
        "talk_ms": millis(agent.work.talk),
        "hold_ms": millis(agent.work.hold),
        "wrap_up_ms": millis(agent.work.wrap_up),
        "logged_in_ms": millis(agent.logged_in()),
        "available_ms": millis(agent.available),
        "breaks_ms": breaks,
        "occupancy_percent": agent.occupancy(),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
