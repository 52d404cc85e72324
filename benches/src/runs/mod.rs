//! What is measured. Each run starts each target afresh, and says in its figures what its own load did.

mod audience;
mod busy;
mod calls;
mod decision;
mod delays;
mod goals;
mod idle;
pub(crate) mod media;
mod overload;
pub(crate) mod queue;
mod register;
mod setup;
mod simulate;
pub(crate) mod sip;
mod stage;
mod storm;
mod talk;

use serde_json::{Map, Value};

use crate::figures::{self, Report};
use crate::options::Options;
use crate::target::{Kind, Target};

/// The figures of one target in one round.
type Row = Map<String, Value>;

/// Measures, and reports.
type Run = fn(&Options) -> Result<Report, String>;

/// All runs, by name.
pub(crate) const RUNS: [(&str, Run); 24] = [
    ("relay", talk::relay),
    ("record", talk::record),
    ("layouts", talk::layouts),
    ("secure", talk::secure),
    ("full", talk::full),
    ("half-full", talk::half),
    ("opus", audience::opus),
    ("conference", audience::conference),
    ("music", audience::music),
    ("register", register::run),
    ("busy-register", busy::register),
    ("setup", setup::run),
    ("busy-calls", busy::calls),
    ("overload", overload::run),
    ("storm", storm::storm),
    ("memory", storm::memory),
    ("delays", delays::run),
    ("idle", idle::run),
    ("busy-delays", delays::busy),
    ("rush", delays::rush),
    ("decisions", decision::run),
    ("simulate", simulate::run),
    ("parse", sip::parse),
    ("signalling", sip::signalling),
];

/// Measures each target in turn, round by round, so that a busy minute of the machine hurts all alike.
fn rounds(
    run: &'static str,
    options: &Options,
    parameters: Value,
    measure: impl Fn(Target) -> Result<Row, String>,
) -> Result<Report, String> {
    let mut rows = Vec::new();
    for round in 1..=options.rounds {
        for target in &options.targets {
            eprintln!(
                "{run}: {} round {round} of {}",
                target.name(),
                options.rounds
            );
            rows.push((target.name(), measure(*target)?));
        }
    }
    Ok(Report {
        run,
        parameters,
        rows,
    })
}

/// The same for what the limit has no figure of.
fn rounds_of_switches(
    run: &'static str,
    options: &Options,
    parameters: Value,
    measure: impl Fn(Kind) -> Result<Row, String>,
) -> Result<Report, String> {
    let mut options = options.clone();
    options.targets.retain(|target| *target != Target::Limit);
    rounds(run, &options, parameters, |target| match target {
        Target::Switch(kind) => measure(kind),
        Target::Limit => Ok(Row::new()),
    })
}

/// Adds the figure that can be carried to another machine: a cost beside that of the limit in the same round.
fn add_ratios(report: &mut Report, targets: usize, cost: &str) {
    let cost = |row: &Row| row.get(cost).and_then(Value::as_f64);
    for round in report.rows.chunks_mut(targets) {
        let limit = round
            .iter()
            .find(|(target, _)| *target == Target::Limit.name())
            .and_then(|(_, row)| cost(row));
        let Some(limit) = limit.filter(|limit| *limit > 0.0) else {
            continue;
        };
        for (_, row) in round {
            if let Some(cost) = cost(row) {
                row.insert(
                    "times_the_limit".to_owned(),
                    figures::round(cost / limit, 2),
                );
            }
        }
    }
}
