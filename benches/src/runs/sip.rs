//! `sip`: every figure of signalling in one go, and which goal is met. `parse` and `signalling`: what our crates tell of themselves.

use std::process::Command;

use serde_json::{Value, json};

use super::goals::{
    Limit::{self, AtLeast, AtMost},
    judge,
};
use super::{Row, Run, busy, overload, storm};
use crate::figures::{self, Report, round};
use crate::options::Options;
use crate::target::{Kind, Target};

/// What signalling is to reach on one core.
const GOALS: [(&str, &str, Limit); 19] = [
    ("busy-register", "cpu_ms_per_register", AtMost(0.03)),
    ("busy-calls", "cpu_ms_per_call", AtMost(0.35)),
    ("overload", "2x_goodput_percent", AtLeast(90.0)),
    ("overload", "10x_goodput_percent", AtLeast(80.0)),
    ("overload", "2x_cpu_us_per_reject", AtMost(50.0)),
    ("overload", "10x_cpu_us_per_reject", AtMost(50.0)),
    ("overload", "packets_lost", AtMost(0.0)),
    ("overload", "standing_calls_lost", AtMost(0.0)),
    ("overload", "standing_byes", AtLeast(20.0)),
    ("storm", "seconds", AtMost(15.0)),
    ("storm", "failed", AtMost(0.0)),
    ("storm", "answer_p99_ms", AtMost(500.0)),
    ("memory", "kib_per_phone", AtMost(2.0)),
    ("signalling", "kib_per_call", AtMost(12.0)),
    ("parse", "parse_invite_ns", AtMost(700.0)),
    ("parse", "parse_invite_allocations", AtMost(0.0)),
    ("parse", "parse_register_typed_ns", AtMost(1_000.0)),
    ("parse", "write_answer_ns", AtMost(500.0)),
    ("parse", "write_request_ns", AtMost(500.0)),
];

/// Each run, its rounds and seconds, and whether the peer is measured beside us.
const RUNS: [(Run, usize, u64, bool); 7] = [
    (busy::register, 5, 0, false),
    (busy::calls, 5, 0, false),
    (overload::run, 5, 8, true),
    (storm::storm, 5, 0, false),
    (storm::memory, 3, 0, false),
    (parse, 5, 0, false),
    (signalling, 1, 0, false),
];

/// All of it, in some twenty minutes; rounds and seconds are those of the table. Writes `results/<date>-sip.json` if asked to.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut reports = Vec::new();
    for (run, rounds, seconds, beside_peer) in RUNS {
        let mut options = options.clone();
        (options.rounds, options.seconds) = (rounds, seconds);
        let peer = Target::Switch(Kind::Asterisk);
        options
            .targets
            .retain(|target| beside_peer || *target != peer);
        let report = run(&options)?;
        report.print();
        reports.push(report);
    }
    println!();
    let goals: Vec<Value> = GOALS
        .into_iter()
        .map(|(run, figure, limit)| {
            let report = reports.iter().find(|report| report.run == run);
            let reached = report.and_then(|report| report.median("ringmaster", figure));
            judge(run, figure, reached, limit)
        })
        .collect();
    if options.json {
        let runs = figures::by_run(&reports);
        let path = figures::write("sip", json!({ "goals": goals, "runs": runs }))?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// Reading and writing a message, beside rsip: the example `parse` of the crate `sip`.
pub(crate) fn parse(options: &Options) -> Result<Report, String> {
    let rows = (0..options.rounds).map(|_| {
        let mut row = Row::new();
        for (name, figures) in example(&["sip", "--example", "parse"])? {
            for (figure, unit) in figures.iter().zip(["ns", "allocations"]) {
                row.insert(format!("{name}_{unit}"), json!(figure));
            }
        }
        Ok(("ringmaster", row))
    });
    Ok(Report {
        run: "parse",
        parameters: json!({ "rounds": options.rounds }),
        rows: rows.collect::<Result<_, String>>()?,
    })
}

/// Memory of a standing call without media, counted in the allocator: the example `call_cost` of the crate `call`.
pub(crate) fn signalling(_options: &Options) -> Result<Report, String> {
    let mut row = Row::new();
    for (name, figures) in example(&["call", "--example", "call_cost", "--", "memory"])? {
        let octets = figures.first().copied().unwrap_or_default();
        let name = if name == "octets_of_a_call" {
            "kib_per_call"
        } else {
            "kib_at_once"
        };
        row.insert(name.to_owned(), round(octets / 1024.0, 2));
    }
    Ok(Report {
        run: "signalling",
        parameters: json!({}),
        rows: vec![("ringmaster", row)],
    })
}

/// What an example prints.
pub(super) fn printed(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("cargo");
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["run", "--release", "--quiet", "--package"])
        .args(arguments);
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?} fails:\n{said}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What an example prints: names and their figures.
fn example(arguments: &[&str]) -> Result<Vec<(String, Vec<f64>)>, String> {
    let text = printed(arguments)?;
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        Some((name, words.filter_map(|word| word.parse().ok()).collect()))
    };
    Ok(text.lines().filter_map(line).collect())
}
