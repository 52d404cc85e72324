//! `media`: every figure of the mixer in one go, ours beside the peer's and the machine's limit.

use serde_json::{Map, json};

use super::sip::printed;
use super::{Row, talk};
use crate::figures::{self, Report, round};
use crate::options::Options;

/// As many rounds as a median of noisy figures needs, and so long each.
const ROUNDS: usize = 5;
const SECONDS: u64 = 12;

/// What `talk` calls the CPU time of a run.
const CPU: &str = "core_percent_per_100_calls";

/// Each figure by its name, the run and the target that it comes from.
const FIGURES: [(&str, &str, &str); 6] = [
    ("relay_cpu_pct_per_100", "relay", "ringmaster"),
    ("record_cpu_pct_per_100", "record", "ringmaster"),
    ("limit_cpu_pct_per_100", "relay", "limit"),
    ("limit_of_record_cpu_pct_per_100", "record", "limit"),
    ("asterisk_relay_cpu_pct_per_100", "relay", "asterisk"),
    ("asterisk_record_cpu_pct_per_100", "record", "asterisk"),
];

/// All of it, in some twelve minutes. Writes `results/<date>-media.json` if asked to.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut options = options.clone();
    (options.rounds, options.seconds) = (ROUNDS, SECONDS);
    let mut reports = Vec::new();
    for run in [talk::relay, talk::record, mixer] {
        let report = run(&options)?;
        report.print();
        reports.push(report);
    }
    println!();
    let mut figures = Map::new();
    for (name, run, target) in FIGURES {
        let report = reports.iter().find(|report| report.run == run);
        if let Some(figure) = report.and_then(|report| report.median(target, CPU)) {
            println!("{name}: {figure}");
            figures.insert(name.to_owned(), round(figure, 2));
        }
    }
    if options.json {
        let runs = figures::by_run(&reports);
        let path = figures::write("media", json!({ "figures": figures, "runs": runs }))?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// What a packet costs in the mixer alone, without sockets: the example `mixer_cost` of the crate `media`.
fn mixer(_options: &Options) -> Result<Report, String> {
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
