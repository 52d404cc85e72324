//! `queue`: every figure of the queue in one go, and which goal is met.

use super::decision::{self, STRATEGIES};
use super::goals::{
    Limit::{self, AtLeast, AtMost},
    Summary,
};
use super::{Run, delays, simulate};
use crate::figures::Report;
use crate::options::Options;
use crate::target::{Kind, Target};

/// Each run, and its rounds.
const RUNS: [(Run, usize); 5] = [
    (decision::run, 5),
    (delays::run, 5),
    (delays::busy, 5),
    (delays::rush, 5),
    (simulate::run, 3),
];

/// Each figure of the switch by its name, the run that it comes from, and its name there.
const FIGURES: [(&str, &str, &str); 13] = [
    (
        "caller_to_agent_p50_ms",
        "busy-delays",
        "caller_to_agent_p50_ms",
    ),
    (
        "caller_to_agent_p99_ms",
        "busy-delays",
        "caller_to_agent_p99_ms",
    ),
    (
        "caller_to_agent_calls_per_second",
        "busy-delays",
        "calls_per_second",
    ),
    (
        "freed_agent_to_next_p50_ms",
        "busy-delays",
        "freed_agent_to_next_p50_ms",
    ),
    (
        "freed_agent_to_next_p99_ms",
        "busy-delays",
        "freed_agent_to_next_p99_ms",
    ),
    (
        "quiet_caller_to_agent_p50_ms",
        "delays",
        "caller_to_agent_p50_ms",
    ),
    (
        "quiet_caller_to_agent_p99_ms",
        "delays",
        "caller_to_agent_p99_ms",
    ),
    (
        "quiet_freed_agent_to_next_p50_ms",
        "delays",
        "freed_agent_to_next_p50_ms",
    ),
    (
        "quiet_freed_agent_to_next_p99_ms",
        "delays",
        "freed_agent_to_next_p99_ms",
    ),
    ("rush_last_offer_ms", "rush", "offer_max_ms"),
    ("rush_load_sent_within_ms", "rush", "load_sent_within_ms"),
    ("simulate_million_cpu_s", "simulate", "cpu_seconds"),
    ("simulate_million_s", "simulate", "seconds"),
];

/// Figures of the engine: the worst strategy counts.
const COSTS: [&str; 4] = [
    "decision_mean_us",
    "decision_p99_us",
    "pick_mean_us",
    "pick_p99_us",
];

/// What the queue is to reach on one core. 40 times as many agents and callers: near constant is at most three times the time, for the
/// caches hold less of what is looked at.
const GOALS: [(&str, Limit); 9] = [
    ("decision_mean_us", AtMost(5.0)),
    ("decision_p99_us", AtMost(50.0)),
    ("pick_mean_us", AtMost(5.0)),
    ("decision_40000_times_1000", AtMost(3.0)),
    ("events_per_second", AtLeast(100_000.0)),
    ("caller_to_agent_p99_ms", AtMost(3.0)),
    ("freed_agent_to_next_p99_ms", AtMost(3.0)),
    ("rush_last_offer_ms", AtMost(20.0)),
    ("simulate_million_cpu_s", AtMost(20.0)),
];

/// All of it, in some ten minutes. Writes `results/<date>-queue.json` if asked to.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut reports = Vec::new();
    for (run, rounds) in RUNS {
        let mut options = options.clone();
        options.rounds = rounds;
        options.samples = None;
        let peer = Target::Switch(Kind::Asterisk);
        options.targets.retain(|target| *target != peer);
        let report = run(&options)?;
        report.print();
        reports.push(report);
    }
    summary(&reports).finish("queue", &GOALS, &reports, options.json)
}

fn summary(reports: &[Report]) -> Summary {
    let median = |run: &str, target: &str, figure: &str| {
        let report = reports.iter().find(|report| report.run == run);
        report.and_then(|report| report.median(target, figure))
    };
    let of_all = |figure: &str| {
        let of = |(name, _)| median("decisions", name, figure);
        STRATEGIES.into_iter().filter_map(of).collect::<Vec<_>>()
    };
    let mut summary = Summary::default();
    for figure in COSTS {
        for size in ["", "_at_1000", "_at_40000"] {
            let name = format!("{figure}{size}");
            let worst = of_all(&name).into_iter().reduce(f64::max);
            summary.add(&name, worst);
        }
    }
    summary.add_ratio(
        "decision_40000_times_1000",
        "decision_mean_us_at_40000",
        "decision_mean_us_at_1000",
    );
    let slowest = of_all("events_per_second").into_iter().reduce(f64::min);
    summary.add("events_per_second", slowest);
    for (name, run, figure) in FIGURES {
        summary.add(name, median(run, "ringmaster", figure));
    }
    summary
}
