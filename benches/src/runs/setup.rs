//! `setup`: CPU time of a call from INVITE to the answered BYE, phone to phone, without media.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Row, rounds_of_switches, stage::Stage};
use crate::figures::{Report, round, spread};
use crate::load::Happening;
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout, Ports};

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

/// Calls that begin and end all the time.
struct Traffic {
    stage: Stage,
    /// When each caller dialled.
    dialled: Vec<Instant>,
    /// When who hangs up, in this order.
    hang_ups: VecDeque<(Instant, usize)>,
    /// From each INVITE to its 200.
    times: Vec<Duration>,
    ended: usize,
    failed: usize,
}

fn measure(kind: Kind, options: &Options, samples: usize, rate: u32) -> Result<Row, String> {
    let layout = Layout {
        phones: PAIRS * 2,
        agents: 0,
        recorded: false,
        ports: Ports::Usual,
        encrypted: false,
    };
    let stage = Stage::set_up(kind, &layout, options)?;
    let (cpu, start) = (stage.cpu()?, Instant::now());
    let (dialled, times) = (vec![start; PAIRS], Vec::with_capacity(samples));
    let mut traffic = Traffic {
        stage,
        dialled,
        hang_ups: VecDeque::new(),
        times,
        ended: 0,
        failed: 0,
    };
    traffic.run(samples, rate)?;
    let cpu = traffic.stage.cpu()? - cpu;
    let mut row = Row::new();
    row.insert(
        "cpu_ms_per_call".to_owned(),
        round(cpu.as_secs_f64() * 1e3 / samples as f64, 3),
    );
    row.insert(
        "core_percent".to_owned(),
        round(cpu.as_secs_f64() * 100.0 / start.elapsed().as_secs_f64(), 1),
    );
    row.insert("failed".to_owned(), json!(traffic.failed));
    row.extend(spread("answer", &traffic.times));
    traffic.stage.add_counters(&mut row);
    Ok(row)
}

impl Traffic {
    fn run(&mut self, samples: usize, rate: u32) -> Result<(), String> {
        let start = Instant::now();
        let mut begun = 0;
        let mut until = start + PATIENCE;
        while self.ended + self.failed < samples {
            let now = Instant::now();
            let next_dial = start + Duration::from_secs(1) * begun as u32 / rate;
            let next_hang_up = self.hang_ups.front().map_or(until, |(due, _)| *due);
            if begun < samples && now >= next_dial {
                self.dial(begun % PAIRS, now);
                begun += 1;
                until = now + PATIENCE;
            } else if next_hang_up <= now {
                let Some((_, caller)) = self.hang_ups.pop_front() else {
                    // Nobody is left to hang up, and nothing happened for so long.
                    self.failed = samples - self.ended;
                    break;
                };
                self.stage.load.command(caller, Phone::hang_up);
            } else {
                let wake = if begun < samples {
                    next_hang_up.min(next_dial)
                } else {
                    next_hang_up
                };
                if let Some(happening) = self.stage.load.next(wake)? {
                    self.handle(happening);
                }
            }
        }
        Ok(())
    }

    fn dial(&mut self, caller: usize, now: Instant) {
        if self.stage.load.is_busy(caller) {
            // Its last call, 4 s ago, has not ended.
            self.failed += 1;
            return;
        }
        self.dialled[caller] = now;
        self.stage.dial(caller, &Layout::number(PAIRS + caller));
    }

    fn handle(&mut self, happening: Happening) {
        let Happening { phone, event, at } = happening;
        match event {
            Event::Incoming => self.stage.answer(phone),
            Event::Answered(_) => {
                self.times.push(at - self.dialled[phone]);
                self.hang_ups.push_back((at + HOLD, phone));
            }
            Event::Released => self.ended += 1,
            Event::Refused(_) => self.failed += 1,
            // The switch hung up before the caller did: a fault, when it is the caller's leg.
            Event::Ended if phone < PAIRS => self.failed += 1,
            Event::Ended
            | Event::Registered
            | Event::Ringing
            | Event::Connected(_)
            | Event::Cancelled => {}
        }
    }
}
