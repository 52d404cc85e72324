//! `media`: every figure of the mixer in one go, ours beside the peer's and the machine's limit, and which goal is met.

use serde_json::json;

use super::goals::{
    Limit::{self, AtLeast, AtMost},
    Summary,
};
use super::sip::printed;
use super::{Row, Run, audience, talk};
use crate::figures::Report;
use crate::limit::SocketLayout;
use crate::options::Options;

/// As many rounds as a median of noisy figures needs, and so long each.
const ROUNDS: usize = 5;
const SECONDS: u64 = 12;

/// What `talk` calls the CPU time of a run.
const CPU: &str = "core_percent_per_100_calls";

const RUNS: [Run; 9] = [
    talk::relay,
    talk::layouts,
    talk::record,
    talk::secure,
    audience::opus,
    audience::conference,
    audience::music,
    talk::half,
    talk::full,
];

/// Each figure by its name, the run and the target that it comes from, and its name there.
const FIGURES: [(&str, &str, &str, &str); 26] = [
    ("relay_cpu_pct_per_100", "relay", "ringmaster", CPU),
    ("limit_cpu_pct_per_100", "relay", "limit", CPU),
    ("asterisk_relay_cpu_pct_per_100", "relay", "asterisk", CPU),
    (
        "relay_times_the_limit",
        "relay",
        "ringmaster",
        "times_the_limit",
    ),
    ("relay_kib_per_call", "relay", "ringmaster", "kib_per_call"),
    ("relay_packets_lost", "relay", "ringmaster", "packets_lost"),
    ("record_cpu_pct_per_100", "record", "ringmaster", CPU),
    ("limit_of_record_cpu_pct_per_100", "record", "limit", CPU),
    ("asterisk_record_cpu_pct_per_100", "record", "asterisk", CPU),
    (
        "record_times_the_limit",
        "record",
        "ringmaster",
        "times_the_limit",
    ),
    (
        "record_kib_per_call",
        "record",
        "ringmaster",
        "kib_per_call",
    ),
    (
        "record_packets_lost",
        "record",
        "ringmaster",
        "packets_lost",
    ),
    ("srtp_cpu_pct_per_100", "secure", "ringmaster", CPU),
    ("srtp_packets_lost", "secure", "ringmaster", "packets_lost"),
    ("opus_cpu_pct_per_100", "opus", "ringmaster", CPU),
    (
        "opus_codec_cpu_pct_per_100",
        "opus",
        "ringmaster",
        "codec_percent_per_100_calls",
    ),
    (
        "opus_times_the_codec",
        "opus",
        "ringmaster",
        "times_the_codec",
    ),
    (
        "conference_30_cpu_pct",
        "conference",
        "ringmaster",
        "core_percent",
    ),
    (
        "conference_30_packets_lost",
        "conference",
        "ringmaster",
        "packets_lost",
    ),
    ("relay_1500_loss_pct", "full", "ringmaster", "loss_percent"),
    ("relay_1500_cpu_pct_per_100", "full", "ringmaster", CPU),
    (
        "relay_1500_load_sent_late",
        "full",
        "ringmaster",
        "load_sent_late",
    ),
    ("limit_1500_loss_pct", "full", "limit", "loss_percent"),
    (
        "relay_750_delay_p50_ms",
        "half-full",
        "ringmaster",
        "packet_delay_p50_ms",
    ),
    (
        "relay_750_delay_p99_ms",
        "half-full",
        "ringmaster",
        "packet_delay_p99_ms",
    ),
    (
        "relay_750_load_sent_late",
        "half-full",
        "ringmaster",
        "load_sent_late",
    ),
];

/// What media is to reach on one core.
const GOALS: [(&str, Limit); 17] = [
    ("relay_times_the_limit", AtMost(1.3)),
    ("limit_times_the_best", AtMost(1.3)),
    ("asterisk_relay_times_ours", AtLeast(5.0)),
    ("relay_packets_lost", AtMost(0.0)),
    ("relay_kib_per_call", AtMost(40.0)),
    ("record_cpu_pct_per_100", AtMost(7.0)),
    ("record_packets_lost", AtMost(0.0)),
    ("srtp_cpu_pct_per_100", AtMost(10.0)),
    ("srtp_packets_lost", AtMost(0.0)),
    ("opus_times_the_codec", AtMost(1.2)),
    ("conference_30_cpu_pct", AtMost(3.0)),
    ("conference_30_packets_lost", AtMost(0.0)),
    ("moh_cpu_pct_per_100", AtMost(4.0)),
    ("moh_packets_lost", AtMost(0.0)),
    ("relay_1500_loss_pct", AtMost(0.1)),
    ("relay_750_delay_p50_ms", AtMost(1.0)),
    ("relay_750_delay_p99_ms", AtMost(5.0)),
];

/// All of it, in some thirty minutes. Writes `results/<date>-media.json` if asked to.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut options = options.clone();
    (options.rounds, options.seconds) = (ROUNDS, SECONDS);
    let mut reports = Vec::new();
    for run in RUNS {
        let report = run(&options)?;
        report.print();
        reports.push(report);
    }
    let report = mixer()?;
    report.print();
    reports.push(report);
    summary(&reports).finish("media", &GOALS, &reports, options.json)
}

fn summary(reports: &[Report]) -> Summary {
    let median = |run: &str, target: &str, figure: &str| {
        let report = reports.iter().find(|report| report.run == run);
        report.and_then(|report| report.median(target, figure))
    };
    let mut summary = Summary::default();
    for (name, run, target, figure) in FIGURES {
        summary.add(name, median(run, target, figure));
    }
    let mut best = f64::INFINITY;
    for layout in SocketLayout::ALL {
        let cost = median("layouts", layout.name(), CPU);
        best = best.min(cost.unwrap_or(best));
        let name = layout.name().replace('-', "_");
        summary.add(&format!("limit_{name}_cpu_pct_per_100"), cost);
    }
    summary.add(
        "best_limit_cpu_pct_per_100",
        Some(best).filter(|best| best.is_finite()),
    );
    // Both of the run `layouts`, so that no drift of the machine lies between.
    summary.add_ratio(
        "limit_times_the_best",
        "limit_epoll_window_cpu_pct_per_100",
        "best_limit_cpu_pct_per_100",
    );
    for run in ["relay", "record"] {
        summary.add_ratio(
            &format!("asterisk_{run}_times_ours"),
            &format!("asterisk_{run}_cpu_pct_per_100"),
            &format!("{run}_cpu_pct_per_100"),
        );
    }
    let (mut worst, mut lost) = (None::<f64>, None::<f64>);
    for (_, sends, name) in audience::LISTENERS {
        let of = |figure: &str| median("music", "ringmaster", &format!("{name}_{figure}"));
        let cost = of("core_percent_per_100");
        summary.add(&format!("moh_{name}_cpu_pct_per_100"), cost);
        worst = worst
            .into_iter()
            .chain(cost.filter(|_| sends))
            .reduce(f64::max);
        lost = lost.into_iter().chain(of("packets_lost")).reduce(f64::max);
    }
    summary.add("moh_cpu_pct_per_100", worst);
    summary.add("moh_packets_lost", lost);
    summary
}

/// What a packet costs in the mixer alone, without sockets: the example `mixer_cost` of the crate `media`.
fn mixer() -> Result<Report, String> {
    let text = printed(&["media", "--example", "mixer_cost"])?;
    let figure = |line: &str| {
        let (what, unit) = line.split_once(" ns per ")?;
        let (name, nanoseconds) = what.trim_end().rsplit_once(' ')?;
        let name = name.trim().replace([',', '.'], "").replace(' ', "_");
        let nanoseconds: f64 = nanoseconds.parse().ok()?;
        Some((format!("{name}_ns_per_{unit}"), json!(nanoseconds)))
    };
    let row: Row = text.lines().filter_map(figure).collect();
    Ok(Report {
        run: "mixer",
        parameters: json!({}),
        rows: vec![("ringmaster", row)],
    })
}
