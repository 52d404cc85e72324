//! The figures of an interval: facts added up, each in the interval that it belongs to, and times split where they cross its border.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use queue::QueueId;

use super::ledger::{Fact, On};
use super::period::Moment;
use crate::service::{Fate, Table};

/// What happened in an interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Callers count where they began to wait.
    pub(super) callers: Table,
    /// By queue.
    pub(super) work: BTreeMap<String, Work>,
    pub(super) agents: BTreeMap<String, Agent>,
    /// By queue: how many were answered, and how many hung up, within each of the limits, and later than all.
    pub(super) waits: BTreeMap<String, Vec<[u64; 2]>>,
    /// Upper ends of waits, in seconds, in order.
    buckets: Vec<u64>,
}

/// What was done for a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Conversations that ended.
    pub(super) calls: u64,
    /// All their time.
    pub(super) talk: Duration,
    /// For how long of it one held the other.
    pub(super) hold: Duration,
    pub(super) wrap_up: Duration,
}

/// What an agent did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) work: Work,
    /// Callers whom it answered, and who were answered in time.
    pub(super) answered: u64,
    pub(super) in_time: u64,
    pub(super) missed: u64,
    pub(super) available: Duration,
    pub(super) breaks: BTreeMap<String, Duration>,
    /// When it talked or wrapped up; with several customers at once they overlap.
    at_work: Vec<Range<Moment>>,
}

impl Agent {
    /// How long it had breaks.
    pub(super) fn on_break(&self) -> Duration {
        self.breaks.values().sum()
    }

    /// How long it was there, breaks and all.
    pub(super) fn logged_in(&self) -> Duration {
        self.available + self.on_break()
    }

    /// How much of the time in which it took calls it worked, in per cent. A time of several conversations counts once.
    pub(super) fn occupancy(&self) -> u64 {
        let mut spans = self.at_work.clone();
        spans.sort_unstable_by_key(|span| span.start);
        let (mut worked, mut until) = (0, Moment::MIN);
        for span in spans {
            worked += (span.end - span.start.max(until)).max(0);
            until = until.max(span.end);
        }
        crate::service::percent(duration(worked).as_secs(), self.available.as_secs()).min(100)
    }
}

impl Figures {
    /// Who is answered within `within` is served well.
    pub(super) fn new(within: Duration, buckets: &[u64]) -> Self {
        Self {
            callers: Table {
                within,
                ..Table::default()
            },
            buckets: buckets.to_vec(),
            ..Self::default()
        }
    }

    /// Counts what of the fact belongs to this time.
    pub(super) fn add(&mut self, fact: &Fact, time: &Range<Moment>) {
        match fact {
            Fact::Caller {
                queue,
                fate,
                joined,
                wait,
                agent,
            } if time.contains(joined) => {
                let wait = duration(*wait);
                self.caller(queue, *fate, wait, agent.as_deref());
            }
            Fact::Missed { agent, at } if time.contains(at) => self.agent(agent).missed += 1,
            Fact::Spent {
                agent,
                on,
                time: spent,
            } => self.spent(agent, on, spent, time),
            Fact::Caller { .. } | Fact::Missed { .. } => {}
        }
    }

    fn caller(&mut self, queue: &str, fate: Fate, wait: Duration, agent: Option<&str>) {
        self.callers.add(&QueueId(queue.into()), fate, wait);
        if let Some(agent) = agent {
            let in_time = wait <= self.callers.within;
            let row = self.agent(agent);
            row.answered += 1;
            row.in_time += u64::from(in_time);
        }
        let which = match fate {
            Fate::Answered => 0,
            Fate::Abandoned => 1,
            Fate::Exit
            | Fate::TimedOut
            | Fate::NoAgent
            | Fate::Overflow
            | Fate::Full
            | Fate::Closed => return,
        };
        let limits = self.buckets.iter();
        let bucket = limits
            .take_while(|limit| wait > Duration::from_secs(**limit))
            .count();
        let waits = self.waits.entry(queue.to_owned());
        let waits = waits.or_insert_with(|| vec![[0; 2]; self.buckets.len() + 1]);
        waits[bucket][which] += 1;
    }

    fn spent(&mut self, agent: &str, on: &On, spent: &Range<Moment>, time: &Range<Moment>) {
        let ends_here = time.contains(&spent.end);
        let start = spent.start.max(time.start);
        let end = spent.end.min(time.end);
        if start > end || (start == end && !ends_here) {
            return;
        }
        let here = duration(end - start);
        if let On::Talk(queue) | On::Hold(queue) | On::WrapUp(Some(queue)) = on {
            self.work
                .entry(queue.clone())
                .or_default()
                .add(on, here, ends_here);
        }
        if start == end && matches!(on, On::Available | On::Break(_)) {
            return;
        }
        let row = self.agent(agent);
        match on {
            On::Talk(_) | On::WrapUp(_) => {
                row.work.add(on, here, ends_here);
                row.at_work.push(start..end);
            }
            On::Hold(_) => row.work.add(on, here, ends_here),
            On::Available => row.available += here,
            On::Break(reason) => *row.breaks.entry(reason.clone()).or_default() += here,
        }
    }

    fn agent(&mut self, name: &str) -> &mut Agent {
        self.agents.entry(name.to_owned()).or_default()
    }

    /// Whether anything happened.
    pub(super) fn says_anything(&self) -> bool {
        !(self.callers.queues.is_empty() && self.work.is_empty() && self.agents.is_empty())
    }

    /// How many callers came, in all queues, for whom nothing is missing: the sum of all that may become of one.
    #[cfg(test)]
    pub(super) fn callers_by_fate(&self) -> u64 {
        let rows = self.callers.queues.values();
        rows.map(|row| {
            row.answered
                + row.abandoned
                + row.exits
                + row.timed_out
                + row.no_agent
                + row.overflow
                + row.full
                + row.closed
        })
        .sum()
    }
}

impl Work {
    fn add(&mut self, on: &On, time: Duration, ends_here: bool) {
        match on {
            On::Talk(_) => {
                self.calls += u64::from(ends_here);
                self.talk += time;
            }
            On::Hold(_) => self.hold += time,
            On::WrapUp(_) => self.wrap_up += time,
            On::Available | On::Break(_) => {}
        }
    }
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
