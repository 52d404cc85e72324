//! A day as its call records tell it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use call::record::Outcome;
use call::settings::{Destination, Entrance};
use queue::{AgentId, Arrival, CustomerId, Departure, QueueId};
use serde::Deserialize;

use super::day::{Call, Chance, Day, Shift};
use crate::journal::day_file;
use crate::records::since_midnight;
use crate::service::{Fate, Table};

/// How long callers talk of whom nothing is known, on a day on which nobody talked.
const TALK: Duration = Duration::from_secs(180);
/// How long an agent worked before its phone rang first, and after it did last: nobody logs in and out with a call.
const IDLE: Duration = Duration::from_secs(600);
/// How long phones ring on such a day.
const PICKUP: Duration = Duration::from_secs(4);

/// What a line says of queues.
#[derive(Deserialize)]
struct Record {
    caller: String,
    dialled: String,
    start: String,
    cause: String,
    queues: Vec<Visit>,
    legs: Vec<Leg>,
}

#[derive(Deserialize)]
struct Visit {
    queue: String,
    joined: String,
    wait_ms: u64,
    outcome: Outcome,
    talk_ms: u64,
}

#[derive(Deserialize)]
struct Leg {
    agent: Option<String>,
    start: String,
    answer: Option<String>,
    end: String,
}

/// A caller of whom not everything is known.
struct Known {
    at: Duration,
    queue: QueueId,
    arrival: Arrival,
    /// None: there was no place.
    visit: Option<Visit>,
}

/// Reads the calls of `day` (`2026-11-20`, UTC), and how they went. What cannot be known is drawn by lot from what is: how long
/// callers who were answered would have waited from those who gave up later, how long others would have talked from those who talked.
/// An agent worked from ten minutes before its phone rang first to ten after it did last. Lines that are no records say nothing.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(
    folder: &Path,
    day: &str,
    numbers: &BTreeMap<String, Destination>,
    chance: &mut Chance,
) -> io::Result<(Day, Table)> {
    let file = File::open(day_file(folder, day))?;
    let (mut known, mut it) = (Vec::new(), Day::default());
    for line in BufReader::new(file).split(b'\n') {
        let Ok(record) = serde_json::from_slice::<Record>(&line?) else {
            continue;
        };
        for leg in &record.legs {
            learn_agent(leg, day, &mut it);
        }
        known.extend(callers(record, day, numbers));
    }
    if it.pickups.is_empty() {
        it.pickups.push(PICKUP);
    }
    let mut table = Table::default();
    for caller in &known {
        let (fate, wait) = match &caller.visit {
            None => (Fate::Full, Duration::ZERO),
            Some(visit) => (visit.outcome.into(), Duration::from_millis(visit.wait_ms)),
        };
        table.add(&caller.queue, fate, wait);
    }
    let habits = Habits::of(&known);
    it.calls = known
        .into_iter()
        .map(|caller| habits.complete(caller, chance))
        .collect();
    Ok((it, table))
}

fn learn_agent(leg: &Leg, day: &str, it: &mut Day) {
    let Some(agent) = &leg.agent else {
        return;
    };
    let start = since_midnight(&leg.start, day);
    let shift = Shift {
        from: start.saturating_sub(IDLE),
        to: since_midnight(&leg.end, day) + IDLE,
    };
    let agent = AgentId(agent.as_str().into());
    let whole = it.shifts.entry(agent).or_insert(shift);
    *whole = whole.and(shift);
    let answer = leg.answer.as_ref();
    let rang = answer.map(|answer| since_midnight(answer, day).saturating_sub(start));
    it.pickups.extend(rang);
}

/// A call waits in one queue after the other; only where it was served, or came first, is it a caller of its own accord.
fn callers(
    record: Record,
    day: &str,
    numbers: &BTreeMap<String, Destination>,
) -> impl Iterator<Item = Known> {
    let entrance = match numbers.get(&record.dialled) {
        Some(Destination::Queue(entrance)) => Some(entrance.clone()),
        Some(_) | None => None,
    };
    let full = (record.queues.is_empty() && record.cause == "queue-full")
        .then(|| {
            let entrance = entrance.as_ref()?;
            Some(Known {
                at: since_midnight(&record.start, day),
                queue: entrance.queue.clone(),
                arrival: arrival(entrance, &record.caller),
                visit: None,
            })
        })
        .flatten();
    let caller = record.caller;
    let mut begins = true;
    let visits = record.queues.into_iter().filter_map(move |visit| {
        let was_sent_on = visit.outcome != Outcome::Answered;
        let is_one = std::mem::replace(&mut begins, !was_sent_on);
        let queue = QueueId(visit.queue.as_str().into());
        let entrance = entrance.clone().filter(|entrance| entrance.queue == queue);
        let entrance = entrance.unwrap_or_else(|| queue.into());
        (is_one && visit.joined.starts_with(day)).then(|| Known {
            at: since_midnight(&visit.joined, day),
            arrival: arrival(&entrance, &caller),
            queue: entrance.queue,
            visit: Some(visit),
        })
    });
    full.into_iter().chain(visits.collect::<Vec<_>>())
}

fn arrival(entrance: &Entrance, caller: &str) -> Arrival {
    entrance.arrival(Some(CustomerId(caller.into())), Duration::ZERO)
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answered => Self::Answered,
            Outcome::Abandoned => Self::Abandoned,
            Outcome::ExitKey | Outcome::Moved => Self::Exit,
            Outcome::MaxWaitTime => Self::TimedOut,
            Outcome::NoAgent => Self::NoAgent,
            Outcome::Closed => Self::Closed,
        }
    }
}

/// What the day's callers did.
struct Habits {
    /// How long those waited who gave up, in order.
    waits: Vec<Duration>,
    talks: Vec<Duration>,
}

impl Habits {
    fn of(known: &[Known]) -> Self {
        let visits = || known.iter().filter_map(|caller| caller.visit.as_ref());
        let gave_up = visits().filter(|visit| visit.outcome == Outcome::Abandoned);
        let mut waits: Vec<Duration> = gave_up
            .map(|visit| Duration::from_millis(visit.wait_ms))
            .collect();
        waits.sort_unstable();
        let answered = visits().filter(|visit| visit.outcome == Outcome::Answered);
        let mut talks: Vec<Duration> = answered
            .map(|visit| Duration::from_millis(visit.talk_ms))
            .collect();
        if talks.is_empty() {
            talks.push(TALK);
        }
        Self { waits, talks }
    }

    fn complete(&self, known: Known, chance: &mut Chance) -> Call {
        let waited = |visit: &Visit| Duration::from_millis(visit.wait_ms);
        let at_least = |wait: Duration| &self.waits[self.waits.partition_point(|it| *it <= wait)..];
        let patience = match &known.visit {
            Some(visit) => match visit.outcome {
                Outcome::Abandoned => Some((waited(visit), Departure::HungUp)),
                Outcome::ExitKey | Outcome::Moved => Some((waited(visit), Departure::Exit)),
                Outcome::Answered | Outcome::MaxWaitTime | Outcome::NoAgent | Outcome::Closed => {
                    let later = chance.one(at_least(waited(visit)));
                    later.map(|wait| (wait, Departure::HungUp))
                }
            },
            None => chance
                .one(&self.waits)
                .map(|wait| (wait, Departure::HungUp)),
        };
        let talked = known.visit.as_ref();
        let talked = talked.filter(|visit| visit.outcome == Outcome::Answered);
        let talk = talked.map(|visit| Duration::from_millis(visit.talk_ms));
        Call {
            at: known.at,
            queue: known.queue,
            arrival: known.arrival,
            patience,
            talk: talk.or_else(|| chance.one(&self.talks)).unwrap_or(TALK),
        }
    }
}
