//! How the callers of each queue were served.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use queue::QueueId;

/// Who is answered within this time is served well: what most call centres promise to most callers.
pub(crate) const SERVICE_LEVEL: Duration = Duration::from_secs(20);

/// What became of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// It hung up.
    Abandoned,
    /// It pressed the exit key.
    Exit,
    /// It waited for `max_wait_time`.
    TimedOut,
    /// It waited for `max_wait_time_with_no_agent`.
    NoAgent,
    /// There was no place for it, and it was led on.
    Overflow,
    /// There was no place for it.
    Full,
    /// The queue or the switch ended.
    Closed,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) in_time: u64,
    pub(crate) abandoned: u64,
    pub(crate) exits: u64,
    pub(crate) timed_out: u64,
    pub(crate) no_agent: u64,
    pub(crate) overflow: u64,
    pub(crate) full: u64,
    pub(crate) closed: u64,
    /// Of those who were answered, all together.
    pub(crate) waited: Duration,
    pub(crate) longest: Duration,
}

/// A row for each queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Who is answered within this time is served well.
    pub(crate) within: Duration,
    pub(crate) queues: BTreeMap<QueueId, Service>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            within: SERVICE_LEVEL,
            queues: BTreeMap::new(),
        }
    }
}

impl Table {
    pub(crate) fn add(&mut self, queue: &QueueId, fate: Fate, wait: Duration) {
        let service = self.queues.entry(queue.clone()).or_default();
        service.calls += 1;
        match fate {
            Fate::Answered => {
                service.answered += 1;
                service.in_time += u64::from(wait <= self.within);
                service.waited += wait;
                service.longest = service.longest.max(wait);
            }
            Fate::Abandoned => service.abandoned += 1,
            Fate::Exit => service.exits += 1,
            Fate::TimedOut => service.timed_out += 1,
            Fate::NoAgent => service.no_agent += 1,
            Fate::Overflow => service.overflow += 1,
            Fate::Full => service.full += 1,
            Fate::Closed => service.closed += 1,
        }
    }
}

/// Tables of the same day, one under the other for each queue.
pub(crate) fn side_by_side(tables: &[(&str, &Table)]) -> String {
    let mut queues: Vec<&QueueId> = tables
        .iter()
        .flat_map(|(_, table)| table.queues.keys())
        .collect();
    queues.sort();
    queues.dedup();
    let width = queues.iter().map(|queue| queue.0.chars().count()).max();
    let width = width.unwrap_or_default().max("queue".len());
    let within = tables
        .first()
        .map_or(SERVICE_LEVEL, |(_, table)| table.within);
    let mut text = format!(
        "{:width$}             calls  answered  in {} s  abandoned  exit  timed out  no agent  overflow  full  closed  mean wait   longest\n",
        "queue",
        within.as_secs(),
    );
    for queue in queues {
        let mut name = &*queue.0;
        for (label, table) in tables {
            let none = Service::default();
            let service = table.queues.get(queue).unwrap_or(&none);
            writeln!(
                text,
                "{name:width$}  {label:9} {} {} {:>6} % {:>10} {:>5} {:>10} {:>9} {:>9} {:>5} {:>7} {:>8.1} s {:>7.1} s",
                format_args!("{:>6}", service.calls),
                format_args!("{:>9}", service.answered),
                percent(service.in_time, service.calls),
                service.abandoned,
                service.exits,
                service.timed_out,
                service.no_agent,
                service.overflow,
                service.full,
                service.closed,
                mean(service),
                service.longest.as_secs_f64(),
            )
            .expect("a String takes everything");
            name = "";
        }
    }
    text
}

pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    (part * 100 + whole / 2)
        .checked_div(whole)
        .unwrap_or_default()
}

fn mean(service: &Service) -> f64 {
    service.waited.as_secs_f64() / (service.answered.max(1)) as f64
}
