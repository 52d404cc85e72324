//! `overload`: calls offered at twice and ten times what the switch can do, beside calls that stand.

use std::time::Duration;

use serde_json::json;

use super::busy::CALLS;
use super::calls::{Calls, Outcome};
use super::{Row, rounds_of_switches, stage::Stage};
use crate::figures::{Report, percentile, round};
use crate::options::Options;
use crate::target::{Kind, Layout};

/// Pairs of phones that call; a caller that is refused calls again at once.
const PAIRS: usize = 2_000;
/// Calls that stand and talk all the time.
const STANDING: usize = 20;
/// What is offered, in peaks.
const FACTORS: [u32; 2] = [2, 10];
/// Silence between two measurements, so that one is not charged for the last calls of the other.
const PAUSE: Duration = Duration::from_secs(3);

/// The peak in a closed loop, then more than that. `--seconds` is the time of each, `--rate` another peak.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let parameters =
        json!({ "standing_calls": STANDING, "seconds": options.seconds, "rounds": options.rounds });
    rounds_of_switches("overload", options, parameters, |kind| {
        measure(kind, options)
    })
}

fn measure(kind: Kind, options: &Options) -> Result<Row, String> {
    let layout = Layout {
        phones: (PAIRS + STANDING) * 2,
        agents: 0,
        recorded: false,
    };
    let mut stage = Stage::set_up(kind, &layout, options)?;
    let mut row = Row::new();
    let cpu = stage.cpu()?;
    let time = Duration::from_secs(options.seconds);
    let peak = Calls::new(&mut stage, PAIRS).in_a_closed_loop(usize::MAX, time, CALLS)?;
    let cpu_per_call = (stage.cpu()? - cpu).as_secs_f64() / peak.completed.max(1) as f64;
    let measured = peak.completed as f64 / peak.elapsed.as_secs_f64();
    let peak = options.rate.map_or(measured, f64::from);
    row.insert("peak_per_second".to_owned(), round(peak, 0));
    row.insert("cpu_ms_per_call".to_owned(), round(cpu_per_call * 1e3, 3));

    // What the last calls still have to say is nobody's standing call.
    stage.load.run_for(PAUSE)?;
    let mut pairs = Vec::new();
    for index in 0..STANDING {
        let (caller, callee) = (PAIRS * 2 + index, PAIRS * 2 + STANDING + index);
        pairs.push(stage.connect(caller, &Layout::number(callee))?);
    }
    stage.load.run_for(PAUSE)?;
    stage.load.take_tally();
    stage.load.mark(true);
    let mut standing_lost = 0;
    for factor in FACTORS {
        let cpu = stage.cpu()?;
        let outcome = Calls::new(&mut stage, PAIRS).at_a_rate(peak * f64::from(factor), time)?;
        let cpu = (stage.cpu()? - cpu).as_secs_f64();
        standing_lost += outcome.standing_lost;
        add_outcome(&mut row, factor, &outcome, measured);
        let of_refusals = cpu - cpu_per_call * outcome.completed as f64;
        row.insert(
            format!("{factor}x_cpu_us_per_reject"),
            round(of_refusals * 1e6 / outcome.refused.max(1) as f64, 1),
        );
        stage.load.run_for(PAUSE)?;
    }
    stage.load.mark(false);
    stage.load.run_for(Duration::from_millis(500))?;
    let (tally, late) = stage.load.take_tally();
    row.insert("standing_calls_lost".to_owned(), json!(standing_lost));
    row.insert(
        "packets_lost".to_owned(),
        json!(tally.sent - tally.received),
    );
    row.insert("load_sent_late".to_owned(), json!(late));
    stage.load.silence();
    stage.hang_up_all(&pairs)?;
    stage.add_counters(&mut row);
    Ok(row)
}

fn add_outcome(row: &mut Row, factor: u32, outcome: &Outcome, peak: f64) {
    let seconds = outcome.elapsed.as_secs_f64();
    let mut answers: Vec<f64> = outcome
        .answers
        .iter()
        .map(|time| time.as_secs_f64() * 1e3)
        .collect();
    answers.sort_by(f64::total_cmp);
    let completed = outcome.completed as f64 / seconds;
    let figures = [
        ("offered_per_second", outcome.offered as f64 / seconds),
        ("not_offered", outcome.not_offered as f64),
        ("completed_per_second", completed),
        ("goodput_percent", completed * 100.0 / peak),
        ("answer_p50_ms", percentile(&answers, 0.5)),
        ("answer_p99_ms", percentile(&answers, 0.99)),
        ("refused", outcome.refused as f64),
        ("failed", outcome.failed as f64),
    ];
    for (name, figure) in figures {
        row.insert(format!("{factor}x_{name}"), round(figure, 1));
    }
}
