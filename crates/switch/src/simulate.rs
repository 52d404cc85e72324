//! `ringmaster simulate`: a day of the queues once more, as the configuration is and as it could be, through the same engine.

mod day;
mod made;
mod play;
mod recorded;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use queue::{AgentId, Membership, Plan, QueueSettings, Status, Strategy};

use self::day::{Chance, Day};
use crate::config::{self, Checked, Report};
use crate::service::side_by_side;

pub(crate) use made::Made;

/// What is drawn by lot is the same each time.
const SEED: u64 = 1;

/// What is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The folder of the configuration.
    pub(crate) config: PathBuf,
    /// Whose callers come.
    pub(crate) source: Source,
    /// What is changed.
    pub(crate) change: Change,
}

/// Where a day is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The call records of a day: `2026-11-20`, UTC.
    Recorded(String),
    /// Drawn by lot.
    Made(Made),
}

/// What could be otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// In this queue; none: in all.
    pub(crate) queue: Option<String>,
    /// Another strategy.
    pub(crate) strategy: Option<(&'static str, Strategy)>,
    /// So many agents more, or fewer, in each queue.
    pub(crate) agents: i32,
}

/// Why nothing is played; each says what to do.
#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error("{0}")]
    Config(#[from] Report),
    #[error("no call records of {day} in {}: {reason}", folder.display())]
    NoRecords {
        day: String,
        folder: PathBuf,
        reason: io::Error,
    },
    #[error("nobody called a queue on {0}")]
    NoCalls(String),
    #[error("unknown queue `{name}`{}", did_you_mean(near))]
    UnknownQueue { name: String, near: Option<String> },
}

fn did_you_mean(near: &Option<String>) -> String {
    let hint = |near: &String| format!(": did you mean `{near}`?");
    near.as_ref().map_or_else(String::new, hint)
}

/// Plays the day and prints its tables.
pub(crate) fn simulate(options: &Options) -> ExitCode {
    crate::tell("simulate", run(options))
}

fn run(options: &Options) -> Result<String, SimulateError> {
    let checked = config::load(&options.config)?;
    tables(&checked, &checked.call_records, options)
}

/// The tables of the day as it was recorded, if it was, as it is, and as it could be.
fn tables(checked: &Checked, records: &Path, options: &Options) -> Result<String, SimulateError> {
    let mut plan = checked.plan();
    if let Some(name) = &options.change.queue
        && !plan.queues.iter().any(|queue| *queue.id.0 == **name)
    {
        let known = plan.queues.iter().map(|queue| &*queue.id.0);
        let near = config::nearest(name, known).map(str::to_owned);
        let name = name.clone();
        return Err(SimulateError::UnknownQueue { name, near });
    }
    let mut chance = Chance(SEED);
    let (mut day, recorded, title) = match &options.source {
        Source::Made(made) => (made.draw(&plan, &mut chance), None, "a made day".to_owned()),
        Source::Recorded(date) => {
            let read = recorded::read(records, date, &checked.numbers, &mut chance);
            let (day, table) = read.map_err(|reason| SimulateError::NoRecords {
                day: date.clone(),
                folder: records.to_owned(),
                reason,
            })?;
            (day, Some(table), date.clone())
        }
    };
    if day.calls.is_empty() {
        return Err(SimulateError::NoCalls(title));
    }
    let mut text = format!(
        "{title}: {} calls, agents at work: {}\n",
        day.calls.len(),
        day.shifts.len()
    );
    let as_it_is = play::play(&plan, &day);
    let mut tables = Vec::new();
    tables.extend(recorded.as_ref().map(|table| ("recorded", table)));
    tables.push(("as it is", &as_it_is));
    let what_if = options.change.apply(&mut plan, &mut day);
    let changed = what_if.as_ref().map(|_| play::play(&plan, &day));
    if let (Some(what_if), Some(changed)) = (&what_if, &changed) {
        text.push_str(&format!("what if: {what_if}\n"));
        tables.push(("what if", changed));
    }
    text.push('\n');
    text.push_str(&side_by_side(&tables));
    Ok(text)
}

impl Change {
    /// Makes the day another one, and says how; none: nothing is to be changed.
    fn apply(&self, plan: &mut Plan, day: &mut Day) -> Option<String> {
        let mut said = Vec::new();
        said.extend(self.strategy.map(|(name, _)| name.to_owned()));
        said.extend((self.agents != 0).then(|| format!("agents {:+}", self.agents)));
        if said.is_empty() {
            return None;
        }
        said.push(match &self.queue {
            Some(queue) => format!("in `{queue}`"),
            None => "in each queue".to_owned(),
        });
        let Plan { queues, agents, .. } = plan;
        let chosen = |queue: &&mut QueueSettings| {
            let name = self.queue.as_deref();
            name.is_none_or(|name| *queue.id.0 == *name)
        };
        for queue in queues.iter_mut().filter(chosen) {
            if let Some((_, strategy)) = self.strategy {
                queue.strategy = strategy;
            }
            queue
                .members
                .sort_by_key(|member| (member.level, member.position));
            if self.agents < 0 {
                let fewer = usize::try_from(self.agents.unsigned_abs()).unwrap_or(usize::MAX);
                let left = queue.members.len().saturating_sub(fewer);
                queue.members.truncate(left);
            }
            for nth in 1..=self.agents {
                let Some(like) = queue.members.first().cloned() else {
                    break;
                };
                let settings = agents.iter().find(|agent| agent.id == like.agent);
                let mut settings = settings.cloned()?;
                settings.id = AgentId(format!("{} more {nth}", queue.id.0).into());
                settings.status = Status::Available;
                let shifts = queue.members.iter();
                let shifts = shifts.filter_map(|member| day.shifts.get(&member.agent).copied());
                if let Some(whole) = shifts.reduce(|one, other| one.and(other)) {
                    day.shifts.insert(settings.id.clone(), whole);
                }
                queue.members.push(Membership {
                    agent: settings.id.clone(),
                    ..like
                });
                agents.push(settings);
            }
        }
        Some(said.join(", "))
    }
}

#[cfg(test)]
mod tests;
