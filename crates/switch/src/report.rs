//! What happened on a day in the queues, counted from the queue log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use call::queue_log::{AgentStatus, Entry, Event};
use call::record::Outcome;
use queue::QueueId;

use crate::config;
use crate::journal::{day_file, newest};
use crate::queue_log;
use crate::records::since_midnight;
use crate::service::{Fate, SERVICE_LEVEL, Table, percent, side_by_side};

/// What is to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The folder of the configuration.
    pub(crate) config: PathBuf,
    /// The day (`2026-11-20`, UTC); none: the last that there is.
    pub(crate) day: Option<String>,
    /// Each hour for itself, too.
    pub(crate) hours: bool,
    /// Who is answered within this time is served well.
    pub(crate) within: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("{0}")]
    Mistakes(#[from] config::Report),
    #[error("there is no queue log in {}: the switch has not run yet", .0.display())]
    Nothing(PathBuf),
    #[error("no queue log of {day} in {}: {reason}", folder.display())]
    NoDay {
        day: String,
        folder: PathBuf,
        reason: io::Error,
    },
}

/// Prints the tables of a day.
pub(crate) fn report(options: &Options) -> ExitCode {
    crate::tell("report", run(options))
}

fn run(options: &Options) -> Result<String, ReportError> {
    let folder = config::load(&options.config)?.queue_log;
    let day = match &options.day {
        Some(day) => day.clone(),
        None => last_day(&folder).ok_or_else(|| ReportError::Nothing(folder.clone()))?,
    };
    let mut counted = Day::new(&day, options.within.unwrap_or(SERVICE_LEVEL));
    let read = queue_log::read(&day_file(&folder, &day), |entry| counted.take(&entry));
    read.map_err(|reason| {
        let (day, folder) = (day.clone(), folder.clone());
        ReportError::NoDay {
            day,
            folder,
            reason,
        }
    })?;
    Ok(counted.tables(options.hours))
}

fn last_day(folder: &Path) -> Option<String> {
    let newest = newest(folder).ok().flatten()?;
    Some(newest.file_stem()?.to_str()?.to_owned())
}

/// A day in the making.
struct Day {
    day: String,
    /// The last entry.
    until: Duration,
    queues: Table,
    hours: Table,
    agents: BTreeMap<String, Agent>,
    /// When callers joined who still wait, by their calls, and where.
    waiting: BTreeMap<String, (Duration, String)>,
    /// Who talks: when it joined, where, and how long it waited.
    talking: BTreeMap<String, (Duration, String, Duration)>,
}

#[derive(Default)]
struct Agent {
    calls: u64,
    missed: u64,
    talk: Duration,
    wrap_up: Duration,
    available: Duration,
    breaks: BTreeMap<String, Duration>,
    /// Its status, and since when.
    status: Option<(AgentStatus, Duration)>,
}

impl Agent {
    /// Its status until now counts, and this one begins.
    fn turn_to(&mut self, status: Option<AgentStatus>, at: Duration) {
        let before = self.status.take();
        self.status = status.map(|status| (status, at));
        let Some((before, since)) = before else {
            return;
        };
        let time = at.saturating_sub(since);
        match before {
            AgentStatus::Available | AgentStatus::OnDemand => self.available += time,
            AgentStatus::OnBreak { reason } => *self.breaks.entry(reason).or_default() += time,
            AgentStatus::LoggedOut => {}
        }
    }
}

impl Day {
    fn new(day: &str, within: Duration) -> Self {
        let table = || Table {
            within,
            ..Table::default()
        };
        Self {
            day: day.to_owned(),
            until: Duration::ZERO,
            queues: table(),
            hours: table(),
            agents: BTreeMap::new(),
            waiting: BTreeMap::new(),
            talking: BTreeMap::new(),
        }
    }

    fn take(&mut self, entry: &Entry) {
        let at = since_midnight(&entry.at, &self.day);
        match &entry.event {
            Event::Started => self.begin_anew(),
            Event::Agent { agent, status, .. } | Event::Status { agent, status } => {
                self.agent(agent).turn_to(Some(status.clone()), at);
            }
            Event::Joined { call, queue, .. } => {
                self.waiting.insert(call.clone(), (at, queue.clone()));
            }
            Event::Full { queue } => self.add(queue, Fate::Full, at, Duration::ZERO),
            Event::Missed { agent, .. } => self.agent(agent).missed += 1,
            Event::Answered {
                call,
                queue,
                wait_ms,
                ..
            } => {
                let joined = self.waiting.remove(call).map_or(at, |(joined, _)| joined);
                let wait = Duration::from_millis(*wait_ms);
                self.talking
                    .insert(call.clone(), (joined, queue.clone(), wait));
            }
            Event::Vanished { call, queue, .. } => {
                let joined = self.talking.remove(call).map_or(at, |(joined, ..)| joined);
                self.waiting.insert(call.clone(), (joined, queue.clone()));
            }
            Event::Talked {
                call,
                agent,
                talk_ms,
                ..
            } => {
                let row = self.agent(agent);
                row.calls += 1;
                row.talk += Duration::from_millis(*talk_ms);
                if let Some((joined, queue, wait)) = self.talking.remove(call) {
                    self.add(&queue, Fate::Answered, joined, wait);
                }
            }
            Event::Left {
                call,
                queue,
                outcome,
                wait_ms,
            } => {
                let joined = self.waiting.remove(call).map_or(at, |(joined, _)| joined);
                let wait = Duration::from_millis(*wait_ms);
                self.add(queue, fate(*outcome), joined, wait);
            }
            Event::WrappedUp { agent, wrap_up_ms } => {
                self.agent(agent).wrap_up += Duration::from_millis(*wrap_up_ms);
            }
        }
        self.until = self.until.max(at);
    }

    fn agent(&mut self, name: &str) -> &mut Agent {
        self.agents.entry(name.to_owned()).or_default()
    }

    fn add(&mut self, queue: &str, fate: Fate, joined: Duration, wait: Duration) {
        let hour = joined.as_secs() / 3_600;
        let of_hour = format!("{queue} {hour:02}:00");
        self.queues.add(&QueueId(queue.into()), fate, wait);
        self.hours.add(&QueueId(of_hour.into()), fate, wait);
    }

    /// The switch began: whoever waited then is gone, and nobody knows what agents did since the last entry.
    fn begin_anew(&mut self) {
        for (joined, queue) in std::mem::take(&mut self.waiting).into_values() {
            self.add(&queue, Fate::Closed, joined, Duration::ZERO);
        }
        self.settle();
    }

    /// Who talks was answered, and agents were until the last entry what they are.
    fn settle(&mut self) {
        for (joined, queue, wait) in std::mem::take(&mut self.talking).into_values() {
            self.add(&queue, Fate::Answered, joined, wait);
        }
        for agent in self.agents.values_mut() {
            agent.turn_to(None, self.until);
        }
    }

    fn tables(mut self, hours: bool) -> String {
        let waiting = self.waiting.len();
        self.settle();
        let mut text = format!("{} (UTC) until {}", self.day, clock(self.until));
        if waiting > 0 {
            write!(text, ", {waiting} still wait").expect("a String takes everything");
        }
        text.push_str("\n\n");
        text.push_str(&side_by_side(&[("", &self.queues)]));
        if hours {
            text.push('\n');
            text.push_str(&side_by_side(&[("", &self.hours)]));
        }
        text.push('\n');
        text.push_str(&agents(&self.agents));
        text
    }
}

fn fate(outcome: Outcome) -> Fate {
    match outcome {
        Outcome::Answered => Fate::Answered,
        Outcome::Abandoned => Fate::Abandoned,
        Outcome::ExitKey | Outcome::Moved => Fate::Exit,
        Outcome::MaxWaitTime => Fate::TimedOut,
        Outcome::NoAgent => Fate::NoAgent,
        Outcome::Closed => Fate::Closed,
    }
}

fn agents(agents: &BTreeMap<String, Agent>) -> String {
    let width = agents.keys().map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default().max("agent".len());
    let mut text = format!(
        "{:width$}   calls  missed      talk  mean talk   wrap-up  available  on break  occupancy\n",
        "agent"
    );
    for (name, agent) in agents {
        let breaks: Duration = agent.breaks.values().sum();
        let mean = agent.talk.as_secs_f64() / agent.calls.max(1) as f64;
        let at_work = (agent.talk + agent.wrap_up).as_secs();
        let reasons = agent.breaks.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, time)| format!("{reason} {}", clock(*time)))
            .collect();
        writeln!(
            text,
            "{name:width$} {:>7} {:>7} {:>9} {mean:>8.1} s {:>9} {:>10} {:>9} {:>8} %  {}",
            agent.calls,
            agent.missed,
            clock(agent.talk),
            clock(agent.wrap_up),
            clock(agent.available),
            clock(breaks),
            percent(at_work, agent.available.as_secs()).min(100),
            reasons.join(", "),
        )
        .expect("a String takes everything");
    }
    // Where nobody had a break, no line ends with blanks.
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads lines such as `09:00:10 {"event":"joined",..}` as entries of a day.
    fn day(lines: &str) -> Day {
        let mut day = Day::new("2026-11-20", SERVICE_LEVEL);
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (time, event) = line.split_once(' ').unwrap();
            let at = format!("2026-11-20T{time}.000Z");
            let event = serde_json::from_str(event).unwrap();
            day.take(&Entry { at, event });
        }
        day
    }

    const MORNING: &str = r#"
        08:00:00 {"event":"started"}
        08:00:00 {"event":"agent","agent":"201","status":"available","calls":9,"talk_ms":1,"idle_since":""}
        08:00:00 {"event":"agent","agent":"202","status":"logged-out","calls":0,"talk_ms":0,"idle_since":""}
        08:59:50 {"event":"joined","call":"1","queue":"support","caller":"300"}
        09:00:05 {"event":"missed","call":"1","queue":"support","agent":"201","failure":"no-answer"}
        09:00:20 {"event":"answered","call":"1","queue":"support","agent":"201","wait_ms":30000}
        09:00:20 {"event":"vanished","call":"1","queue":"support","agent":"201"}
        09:00:30 {"event":"answered","call":"1","queue":"support","agent":"201","wait_ms":40000}
        09:00:40 {"event":"joined","call":"2","queue":"support","caller":"301"}
        09:00:50 {"event":"full","queue":"support"}
        09:01:00 {"event":"left","call":"2","queue":"support","outcome":"abandoned","wait_ms":20000}
        09:10:30 {"event":"talked","call":"1","queue":"support","agent":"201","talk_ms":600000}
        09:11:00 {"event":"wrapped-up","agent":"201","wrap_up_ms":30000}
        10:00:00 {"event":"status","agent":"201","status":"on-break","reason":"lunch"}
        10:30:00 {"event":"status","agent":"201","status":"available"}
        10:30:10 {"event":"joined","call":"3","queue":"support","caller":"302"}
        10:30:15 {"event":"answered","call":"3","queue":"support","agent":"201","wait_ms":5000}
    "#;

    #[test]
    fn a_day_is_counted() {
        assert_eq!(
            day(MORNING).tables(true),
            "\
2026-11-20 (UTC) until 10:30:15

queue               calls  answered  in 20 s  abandoned  exit  timed out  no agent  full  mean wait   longest
support                 4         2     25 %          1     0          0         0     1     22.5 s    40.0 s

queue                     calls  answered  in 20 s  abandoned  exit  timed out  no agent  full  mean wait   longest
support 08:00                 1         1      0 %          0     0          0         0     0     40.0 s    40.0 s
support 09:00                 2         0      0 %          1     0          0         0     1      0.0 s     0.0 s
support 10:00                 1         1    100 %          0     0          0         0     0      5.0 s     5.0 s

agent   calls  missed      talk  mean talk   wrap-up  available  on break  occupancy
201         1       1   0:10:00    600.0 s   0:00:30    2:00:15   0:30:00        9 %  lunch 0:30:00
202         0       0   0:00:00      0.0 s   0:00:00    0:00:00   0:00:00        0 %
"
        );
    }

    /// Whoever waited when the switch was killed is gone; who talked had been answered; what agents did meanwhile is not known.
    #[test]
    fn a_kill_in_between_loses_nothing_that_was_there() {
        let killed = format!(
            "{MORNING}
             10:40:00 {{\"event\":\"joined\",\"call\":\"4\",\"queue\":\"support\",\"caller\":\"303\"}}
             11:00:00 {{\"event\":\"started\"}}
             11:00:00 {{\"event\":\"agent\",\"agent\":\"201\",\"status\":\"available\",\"calls\":9,\"talk_ms\":1,\"idle_since\":\"\"}}
             11:10:00 {{\"event\":\"joined\",\"call\":\"5\",\"queue\":\"support\",\"caller\":\"304\"}}"
        );
        let counted = day(&killed).tables(false);
        assert!(counted.contains("11:10:00, 1 still wait"), "{counted}");
        assert!(
            counted.contains("support                 5         2 "),
            "{counted}"
        );
        assert!(counted.contains("  2:20:00   0:30:00 "), "{counted}");
    }
}
