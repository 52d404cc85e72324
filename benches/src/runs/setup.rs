//! `setup`: CPU time of a call from INVITE to the answered BYE, phone to phone, without media.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Row, rounds_of_switches, stage::Stage};
use crate::figures::{Report, round, spread};
use crate::load::Happening;
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout};

/// Pairs of phones that take turns; at 50 calls a second each pair rests for 4 s.
const PAIRS: usize = 200;
/// From the answer to the hang-up.
const HOLD: Duration = Duration::from_millis(200);
/// All calls are over by then, or lost.
const PATIENCE: Duration = Duration::from_secs(40);

/// INVITE, 180, 200, ACK on both legs, 200 ms, BYE on both legs, call record.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let (samples, rate) = (options.samples.unwrap_or(1_000), options.rate.unwrap_or(50));
    let parameters = json!({ "calls": samples, "per_second": rate, "hold_ms": HOLD.as_millis() as u64, "rounds": options.rounds });
    rounds_of_switches("setup", options, parameters, |kind| {
        measure(kind, options, samples, rate)
    })
}

#[derive(Debug, Default)]
struct Outcome {
    /// From the caller's INVITE to its 200.
    times: Vec<Duration>,
    ended: usize,
    failed: usize,
}

fn measure(kind: Kind, options: &Options, samples: usize, rate: u32) -> Result<Row, String> {
    let mut stage = Stage::set_up(
        kind,
        &Layout {
            phones: PAIRS * 2,
            agents: 0,
            recorded: false,
        },
        options,
    )?;
    let cpu = stage.cpu()?;
    let start = Instant::now();
    let mut dialled = vec![start; PAIRS];
    let mut hang_ups = std::collections::VecDeque::new();
    let (mut begun, mut outcome) = (0, Outcome::default());
    let mut until = start + PATIENCE;
    while outcome.ended + outcome.failed < samples {
        let now = Instant::now();
        if now > until {
            outcome.failed = samples - outcome.ended;
            break;
        }
        let next_dial = start + Duration::from_secs(1) * begun as u32 / rate;
        if begun < samples && now >= next_dial {
            let caller = begun % PAIRS;
            begun += 1;
            until = now + PATIENCE;
            if stage.load.is_busy(caller) {
                outcome.failed += 1;
                continue;
            }
            dialled[caller] = now;
            stage.dial(caller, &Layout::number(PAIRS + caller));
            continue;
        }
        if let Some(&(due, caller)) = hang_ups.front()
            && due <= now
        {
            hang_ups.pop_front();
            stage.load.command(caller, Phone::hang_up);
            continue;
        }
        let mut wake = hang_ups
            .front()
            .map_or(until, |(due, _): &(Instant, usize)| *due);
        if begun < samples {
            wake = wake.min(next_dial);
        }
        if let Some(happening) = stage.load.next(wake)? {
            handle(&mut stage, happening, &dialled, &mut hang_ups, &mut outcome);
        }
    }
    let cpu = stage.cpu()? - cpu;
    let mut row = Row::new();
    row.insert(
        "cpu_ms_per_call".to_owned(),
        round(cpu.as_secs_f64() * 1e3 / samples as f64, 3),
    );
    row.insert(
        "core_percent".to_owned(),
        round(cpu.as_secs_f64() * 100.0 / start.elapsed().as_secs_f64(), 1),
    );
    row.insert("failed".to_owned(), json!(outcome.failed));
    row.extend(spread("answer", &outcome.times));
    stage.add_counters(&mut row);
    Ok(row)
}

fn handle(
    stage: &mut Stage,
    happening: Happening,
    dialled: &[Instant],
    hang_ups: &mut std::collections::VecDeque<(Instant, usize)>,
    outcome: &mut Outcome,
) {
    let Happening { phone, event, at } = happening;
    match event {
        Event::Incoming => {
            stage.answer(phone);
        }
        Event::Answered(_) => {
            outcome.times.push(at - dialled[phone]);
            hang_ups.push_back((at + HOLD, phone));
        }
        Event::Released => outcome.ended += 1,
        Event::Refused(_) => outcome.failed += 1,
        // The switch hung up before the caller did: a fault, when it is the caller's leg.
        Event::Ended if phone < PAIRS => outcome.failed += 1,
        Event::Ended
        | Event::Registered
        | Event::Ringing
        | Event::Connected(_)
        | Event::Cancelled => {}
    }
}
