//! `overload`: calls offered at twice and ten times what the switch can do, beside calls that stand.

use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::{Pair, Stage};
use super::{Row, rounds_of_switches};
use crate::crowd::{Crowd, Outcome};
use crate::figures::{Report, percentile, round};
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout, Ports};

/// Callers of the crowd; as many are called.
const PAIRS: usize = 32;
/// Calls under way at once while the peak is looked for.
const AT_ONCE: usize = 64;
/// Calls that stand and talk all the time.
const STANDING: usize = 20;
/// What is offered, in peaks.
const FACTORS: [u32; 2] = [2, 10];
/// Silence between two measurements, so that one is not charged for the last calls of the other.
const PAUSE: Duration = Duration::from_secs(3);
/// Long enough to look whether anything came.
const MOMENT: Duration = Duration::from_micros(5);
/// Calls that are due are begun at least so often.
const STEP: Duration = Duration::from_micros(200);

/// The peak in a closed loop, then more than that. `--seconds` is the time of each, `--rate` another peak.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let parameters =
        json!({ "standing_calls": STANDING, "seconds": options.seconds, "rounds": options.rounds });
    rounds_of_switches("overload", options, parameters, |kind| {
        measure(kind, options)
    })
}

/// The switch, who calls, and what became of the calls that stand beside.
struct Scene {
    stage: Stage,
    crowd: Crowd,
    ended: usize,
    released: usize,
}

fn measure(kind: Kind, options: &Options) -> Result<Row, String> {
    let layout = Layout {
        phones: (PAIRS + STANDING) * 2,
        agents: 0,
        recorded: false,
        ports: Ports::All,
        encrypted: false,
    };
    let mut stage = Stage::set_up(kind, &layout, options)?;
    let server = stage.switch.server;
    let crowd = Crowd::new(stage.load.give_away(STANDING * 2)?, server)?;
    let mut scene = Scene {
        stage,
        crowd,
        ended: 0,
        released: 0,
    };
    let mut row = Row::new();
    let time = Duration::from_secs(options.seconds);
    let cpu = scene.stage.cpu()?;
    let peak = scene.closed_loop(time)?;
    let cpu_per_call = (scene.stage.cpu()? - cpu).as_secs_f64() / peak.completed.max(1) as f64;
    let measured = peak.completed as f64 / time.as_secs_f64();
    let rate = options.rate.map_or(measured, f64::from);
    row.insert("peak_per_second".to_owned(), round(rate, 0));
    row.insert("peak_refused".to_owned(), json!(peak.refused));
    row.insert("peak_failed".to_owned(), json!(peak.failed));
    row.insert("cpu_ms_per_call".to_owned(), round(cpu_per_call * 1e3, 3));
    scene.rest(PAUSE)?;

    let pairs = scene.stage.connect_all(STANDING, false)?;
    scene.stage.load.run_for(PAUSE)?;
    scene.stage.load.take_tally();
    scene.stage.load.mark(true);
    for factor in FACTORS {
        let cpu = scene.stage.cpu()?;
        let hang_up: &[Pair] = if FACTORS.last() == Some(&factor) {
            &pairs
        } else {
            &[]
        };
        let offered = rate * f64::from(factor);
        let (outcome, not_offered) = scene.at_a_rate(offered, time, hang_up)?;
        let cpu = (scene.stage.cpu()? - cpu).as_secs_f64();
        add_outcome(&mut row, factor, &outcome, time, measured);
        let of_calls = cpu_per_call * outcome.completed as f64;
        let of_refusals = cpu - of_calls;
        let per_refusal = of_refusals * 1e6 / outcome.refused.max(1) as f64;
        row.insert(
            format!("{factor}x_cpu_us_per_reject"),
            round(per_refusal, 1),
        );
        row.insert(
            format!("{factor}x_cpu_percent_of_calls"),
            round(of_calls * 100.0 / cpu, 1),
        );
        row.insert(format!("{factor}x_not_offered"), json!(not_offered));
        scene.rest(PAUSE)?;
        row.insert(
            format!("{factor}x_never_answered"),
            json!(scene.crowd.forget()),
        );
    }
    scene.add_standing(&mut row);
    Ok(row)
}

impl Scene {
    /// As many calls as can be, always so many at once.
    fn closed_loop(&mut self, time: Duration) -> Result<Outcome, String> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let free = AT_ONCE.saturating_sub(self.crowd.open());
            self.crowd.dial(free as u64);
            self.crowd.turn(STEP)?;
        }
        Ok(self.crowd.take_outcome())
    }

    /// A rate for a while, and how many calls could not be offered. Half-way those who talk hang up, if any shall.
    fn at_a_rate(
        &mut self,
        rate: f64,
        time: Duration,
        hang_up: &[Pair],
    ) -> Result<(Outcome, u64), String> {
        let start = Instant::now();
        let (mut begun, mut talking) = (0, true);
        loop {
            let elapsed = start.elapsed();
            if elapsed >= time {
                break;
            }
            let due = (elapsed.as_secs_f64() * rate) as u64;
            begun += self.crowd.dial(due - begun);
            self.crowd
                .turn(if begun < due { Duration::ZERO } else { STEP })?;
            self.beside()?;
            if talking && elapsed > time / 2 {
                talking = false;
                self.hang_up(hang_up)?;
            }
        }
        let not_offered = (time.as_secs_f64() * rate) as u64 - begun;
        Ok((self.crowd.take_outcome(), not_offered))
    }

    /// Those who talk hang up, in the middle of it all; the last of their packets are waited for first.
    fn hang_up(&mut self, pairs: &[Pair]) -> Result<(), String> {
        if pairs.is_empty() {
            return Ok(());
        }
        self.stage.load.silence();
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            self.crowd.turn(STEP)?;
            self.beside()?;
        }
        for pair in pairs {
            self.stage.load.command(pair.caller, Phone::hang_up);
        }
        Ok(())
    }

    /// What is still under way goes on for a while.
    fn rest(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.crowd.turn(STEP)?;
            self.beside()?;
        }
        self.crowd.take_outcome();
        Ok(())
    }

    /// What the calls that stood beside have to say in the end.
    fn add_standing(&mut self, row: &mut Row) {
        let (tally, late) = self.stage.load.take_tally();
        for (name, figure) in [
            ("standing_calls_lost", self.ended as u64),
            ("standing_byes", self.released as u64),
            ("packets_sent", tally.sent),
            ("packets_lost", tally.sent - tally.received),
            ("load_sent_late", late),
        ] {
            row.insert(name.to_owned(), json!(figure));
        }
        self.stage.add_counters(row);
    }

    /// The calls that stand: RTP flows, and none of them ends by itself.
    fn beside(&mut self) -> Result<(), String> {
        // A moment, as nothing is read at a time that is over.
        while let Some(happening) = self.stage.load.next(Instant::now() + MOMENT)? {
            match happening.event {
                Event::Released => self.released += 1,
                Event::Ended if happening.phone < STANDING => self.ended += 1,
                // A callee whose caller hung up.
                Event::Ended
                | Event::Registered
                | Event::Refused(_)
                | Event::Ringing
                | Event::Answered(_)
                | Event::Incoming
                | Event::Connected(_)
                | Event::Cancelled => {}
            }
        }
        Ok(())
    }
}

fn add_outcome(row: &mut Row, factor: u32, outcome: &Outcome, time: Duration, peak: f64) {
    let seconds = time.as_secs_f64();
    let mut answers: Vec<f64> = outcome
        .answers
        .iter()
        .map(|time| time.as_secs_f64() * 1e3)
        .collect();
    answers.sort_by(f64::total_cmp);
    let completed = outcome.completed as f64 / seconds;
    let figures = [
        ("offered_per_second", outcome.offered as f64 / seconds),
        ("sent_again", outcome.repeated as f64),
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
