//! `storm` and `memory`: a town of phones registers, all at once while calls go on, or one after the other.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Row, rounds_of_switches, stage::Stage};
use crate::figures::{Report, round, spread};
use crate::load::Happening;
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout, Ports};

/// Phones that register.
const TOWN: usize = 10_000;
/// Pairs of phones that call each other meanwhile.
const PAIRS: usize = 200;
/// Calls a second that begin meanwhile.
const CALLS_PER_SECOND: u32 = 50;
/// Calls at least, so that there are enough to tell a p99.
const CALLS: u32 = CALLS_PER_SECOND * 10;
/// A call lasts so long.
const HOLD: Duration = Duration::from_millis(200);
/// The power comes back to all within this time.
const POWER: Duration = Duration::from_secs(1);
/// Who is not registered by then is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Registrations a second of `memory`: few enough that the transactions of all are not there at once.
const QUIETLY: u32 = 300;
/// Calls of `memory` that stand.
const STANDING: usize = 500;

/// All at once, while calls go on.
pub(crate) fn storm(options: &Options) -> Result<Report, String> {
    let parameters = json!({ "phones": TOWN, "within_ms": POWER.as_millis() as u64, "calls_per_second": CALLS_PER_SECOND, "rounds": options.rounds });
    rounds_of_switches("storm", options, parameters, |kind| {
        let mut stage = town(kind, PAIRS * 2, options)?;
        let cpu = stage.cpu()?;
        let start = Instant::now();
        let storm = Storm::new(start);
        let (storm, elapsed) = storm.run(&mut stage)?;
        let cpu = (stage.cpu()? - cpu).as_secs_f64();
        let mut row = Row::new();
        row.insert("registered".to_owned(), json!(storm.registered));
        row.insert("seconds".to_owned(), round(elapsed.as_secs_f64(), 2));
        row.insert("cpu_seconds".to_owned(), round(cpu, 2));
        row.insert("calls".to_owned(), json!(storm.answers.len()));
        row.insert(
            "failed".to_owned(),
            json!(storm.refused + storm.still_busy + storm.cut),
        );
        row.insert("failed_refused".to_owned(), json!(storm.refused));
        row.insert("failed_still_busy".to_owned(), json!(storm.still_busy));
        row.insert("failed_cut".to_owned(), json!(storm.cut));
        row.extend(spread("answer", &storm.answers));
        row.extend(spread("register", &storm.registrations));
        stage.add_counters(&mut row);
        Ok(row)
    })
}

/// Resident memory of a registered phone and of a standing call.
pub(crate) fn memory(options: &Options) -> Result<Report, String> {
    let parameters = json!({ "phones": TOWN, "calls": STANDING, "rounds": options.rounds });
    rounds_of_switches("memory", options, parameters, |kind| {
        let mut stage = town(kind, STANDING * 2, options)?;
        // The transactions of the first registrations leave room for others.
        stage.load.run_for(Duration::from_secs(35))?;
        let before = stage.memory()?;
        register_quietly(&mut stage)?;
        let registered = stage.memory()?;
        for caller in 0..STANDING {
            stage.connect_silently(caller, &Layout::number(STANDING + caller))?;
        }
        let calling = stage.memory()?;
        let growth = |more: u64, less: u64, by: usize| {
            round(more.saturating_sub(less) as f64 / by as f64, 2)
        };
        let mut row = Row::new();
        row.insert("kib_per_phone".to_owned(), growth(registered, before, TOWN));
        row.insert(
            "kib_per_call".to_owned(),
            growth(calling, registered, STANDING),
        );
        row.insert("resident_kib".to_owned(), json!(calling));
        stage.add_counters(&mut row);
        Ok(row)
    })
}

/// A switch that knows the town, with callers that are registered.
fn town(kind: Kind, callers: usize, options: &Options) -> Result<Stage, String> {
    let layout = Layout {
        phones: callers + TOWN,
        agents: 0,
        recorded: false,
        ports: Ports::Usual,
        encrypted: false,
    };
    Stage::set_up_some(kind, &layout, callers, options)
}

fn register_quietly(stage: &mut Stage) -> Result<(), String> {
    let start = Instant::now();
    let (mut asked, mut registered) = (0, 0);
    while registered < TOWN {
        let next = start + Duration::from_secs(1) * asked as u32 / QUIETLY;
        if asked < TOWN && Instant::now() >= next {
            stage.load.command(STANDING * 2 + asked, Phone::register);
            asked += 1;
            continue;
        }
        let until = if asked < TOWN {
            next
        } else {
            start + PATIENCE + PATIENCE
        };
        match stage.load.next(until)? {
            Some(Happening {
                event: Event::Registered,
                ..
            }) => registered += 1,
            Some(other) => return Err(stage.complain(&format!("a phone got {:?}", other.event))),
            None if asked < TOWN => {}
            None => return Err(stage.complain("phones are not registered")),
        }
    }
    Ok(())
}

/// What happens in the storm.
struct Storm {
    start: Instant,
    asked: usize,
    registered: usize,
    /// Calls that were answered with a refusal.
    refused: usize,
    /// Calls whose caller had not ended the one before, four seconds ago.
    still_busy: usize,
    /// Calls that the switch ended.
    cut: usize,
    dialled: Vec<Instant>,
    begun: u32,
    /// Calls that ended in whatever way.
    over: u32,
    hang_ups: std::collections::VecDeque<(Instant, usize)>,
    answers: Vec<Duration>,
    registrations: Vec<Duration>,
}

impl Storm {
    fn new(start: Instant) -> Self {
        Self {
            start,
            asked: 0,
            registered: 0,
            refused: 0,
            still_busy: 0,
            cut: 0,
            dialled: vec![start; PAIRS],
            begun: 0,
            over: 0,
            hang_ups: std::collections::VecDeque::new(),
            answers: Vec::new(),
            registrations: Vec::with_capacity(TOWN),
        }
    }

    /// When a phone of the town gets its power.
    fn power(&self, index: usize) -> Instant {
        self.start + POWER * index as u32 / TOWN as u32
    }

    fn run(mut self, stage: &mut Stage) -> Result<(Self, Duration), String> {
        let mut done = None;
        while done.is_none() || self.begun < CALLS || self.over < self.begun {
            let now = Instant::now();
            let end = self.start + PATIENCE;
            if now > end {
                break;
            }
            let dial = if done.is_none() || self.begun < CALLS {
                self.start + Duration::from_secs(1) * self.begun / CALLS_PER_SECOND
            } else {
                end
            };
            let power = self.power(self.asked);
            if self.asked < TOWN && now >= power {
                stage.load.command(PAIRS * 2 + self.asked, Phone::register);
                self.asked += 1;
            } else if now >= dial {
                self.dial(stage, now);
            } else if self.hang_ups.front().is_some_and(|(due, _)| *due <= now) {
                if let Some((_, caller)) = self.hang_ups.pop_front() {
                    stage.load.command(caller, Phone::hang_up);
                }
            } else {
                let mut until = self
                    .hang_ups
                    .front()
                    .map_or(dial, |(due, _)| dial.min(*due));
                if self.asked < TOWN {
                    until = until.min(power);
                }
                if let Some(happening) = stage.load.next(until)? {
                    self.handle(stage, happening);
                }
            }
            if done.is_none() && self.registered == TOWN {
                done = Some(self.start.elapsed());
            }
        }
        Ok((self, done.unwrap_or(PATIENCE)))
    }

    fn dial(&mut self, stage: &mut Stage, now: Instant) {
        let caller = self.begun as usize % PAIRS;
        self.begun += 1;
        if stage.load.is_busy(caller) {
            self.still_busy += 1;
            self.over += 1;
            return;
        }
        self.dialled[caller] = now;
        stage.dial(caller, &Layout::number(PAIRS + caller));
    }

    fn handle(&mut self, stage: &mut Stage, happening: Happening) {
        let Happening { phone, event, at } = happening;
        match event {
            Event::Registered => {
                self.registered += 1;
                self.registrations.push(at - self.power(phone - PAIRS * 2));
            }
            Event::Incoming => stage.answer(phone),
            Event::Answered(_) => {
                self.answers.push(at - self.dialled[phone]);
                self.hang_ups.push_back((at + HOLD, phone));
            }
            Event::Refused(_) => {
                self.refused += 1;
                self.over += 1;
            }
            Event::Ended if phone < PAIRS => {
                self.cut += 1;
                self.over += 1;
            }
            Event::Released => self.over += 1,
            Event::Ended | Event::Ringing | Event::Connected(_) | Event::Cancelled => {}
        }
    }
}
