//! `delays`: how fast the queue is. Caller's INVITE to agent's INVITE, and an agent's hang-up to its next caller. `busy-delays`: the same of
//! 50 calls a second. `rush`: as many callers at once as there are free agents.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Row, rounds_of_switches, stage::Stage};
use crate::figures::{Report, round, spread};
use crate::load::Happening;
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout, Ports, QUEUE};

/// Callers and agents of the first figure, and agents of the second.
const SIDE: usize = 10;
/// Callers of the second figure: half of them wait while the others talk.
const CALLERS_OF_AN_AGENT: usize = 2;
/// Calls a second of a busy call centre ...
const RATE: u32 = 50;
/// ... which keep so many agents busy, at 900 ms each.
const BUSY_AGENTS: usize = 45;
/// Callers at once, and agents.
const RUSH: usize = 100;
/// How long the parties of the first figure talk.
const CHAT: Duration = Duration::from_millis(20);
/// How long an agent of the second figure talks at least before it hangs up, at most twice as long: who leaves a call within
/// half a second counts as never there, and the caller waits on.
const CONVERSATION: Duration = Duration::from_millis(600);

/// No start sound, wrap-up 0, nothing else going on.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let samples = options.samples.unwrap_or(500);
    let parameters = json!({ "samples": samples, "rounds": options.rounds });
    rounds_of_switches("delays", options, parameters, |kind| {
        let mut row = Row::new();
        row.extend(spread(
            "caller_to_agent",
            &arrivals(kind, options, samples)?,
        ));
        row.extend(spread(
            "freed_agent_to_next",
            &departures(kind, options, samples, SIDE)?,
        ));
        Ok(row)
    })
}

/// The same while callers come, and agents are freed, `RATE` times a second.
pub(crate) fn busy(options: &Options) -> Result<Report, String> {
    let samples = options.samples.unwrap_or(1_000);
    let parameters = json!({ "samples": samples, "rounds": options.rounds, "rate": RATE });
    rounds_of_switches("busy-delays", options, parameters, |kind| {
        let mut row = stream_of_arrivals(kind, options, samples)?;
        row.extend(spread(
            "freed_agent_to_next",
            &departures(kind, options, samples, BUSY_AGENTS)?,
        ));
        Ok(row)
    })
}

/// All callers at once: from the first INVITE to the last that an agent gets.
pub(crate) fn rush(options: &Options) -> Result<Report, String> {
    let parameters = json!({ "callers": RUSH, "agents": RUSH, "rounds": options.rounds });
    rounds_of_switches("rush", options, parameters, |kind| {
        let mut stage = Stage::set_up(kind, &layout(RUSH * 2, RUSH), options)?;
        let start = Instant::now();
        for caller in 0..RUSH {
            stage.dial(caller, QUEUE);
        }
        let sent = start.elapsed();
        let mut offers = Vec::with_capacity(RUSH);
        while offers.len() < RUSH {
            let Happening { phone, event, at } = stage.expect("an offer")?;
            match event {
                Event::Incoming => {
                    offers.push(at - start);
                }
                Event::Ringing | Event::Answered(_) => {}
                Event::Registered
                | Event::Refused(_)
                | Event::Connected(_)
                | Event::Cancelled
                | Event::Ended
                | Event::Released => {
                    return Err(stage.complain(&format!("phone {phone} got {event:?} in a rush")));
                }
            }
        }
        let mut row = spread("offer", &offers);
        row.insert("load_sent_within_ms".to_owned(), millis(sent));
        stage.add_counters(&mut row);
        Ok(row)
    })
}

fn millis(time: Duration) -> Value {
    round(time.as_secs_f64() * 1e3, 3)
}

fn layout(phones: usize, agents: usize) -> Layout {
    Layout {
        phones,
        agents,
        recorded: false,
        ports: Ports::Usual,
        encrypted: false,
    }
}

/// Callers come at the rate, whether or not those before have been answered; there are agents enough for all.
fn stream_of_arrivals(kind: Kind, options: &Options, samples: usize) -> Result<Row, String> {
    let agents = BUSY_AGENTS * 2;
    let mut stage = Stage::set_up(kind, &layout(agents * 2, agents), options)?;
    let mut idle: VecDeque<usize> = (0..agents).collect();
    let mut dialled: VecDeque<Instant> = VecDeque::new();
    let (mut times, mut hang_ups, mut calls) = (Vec::new(), BTreeSet::new(), 0u32);
    let (mut due, start) = (Instant::now(), Instant::now());
    while times.len() < samples {
        let now = Instant::now();
        if due <= now && (calls as usize) < samples {
            due += Duration::from_secs(1) / RATE;
            let caller = idle.pop_front().ok_or("more calls than callers")?;
            calls += 1;
            dialled.push_back(Instant::now());
            stage.dial(caller, QUEUE);
            let more = CONVERSATION.mul_f64((f64::from(calls) * 0.618_034).fract());
            hang_ups.insert((now + CONVERSATION + more, caller));
        }
        if let Some(&(at, caller)) = hang_ups.first()
            && at <= now
        {
            hang_ups.pop_first();
            stage.load.command(caller, Phone::hang_up);
        }
        let next = hang_ups.first().map_or(due, |(at, _)| due.min(*at));
        let next = if calls as usize == samples {
            now + CHAT
        } else {
            next
        };
        let Some(Happening { phone, event, at }) = stage.load.next(next)? else {
            if now - start > Duration::from_secs(samples as u64) {
                return Err(stage.complain("callers wait though agents are free"));
            }
            continue;
        };
        match event {
            Event::Incoming => {
                // In the order in which they came.
                times.extend(dialled.pop_front().map(|since| at - since));
                stage.answer(phone);
            }
            Event::Released => idle.push_back(phone),
            Event::Answered(_) | Event::Connected(_) | Event::Ringing | Event::Ended => {}
            Event::Registered | Event::Refused(_) | Event::Cancelled => {
                return Err(stage.complain(&format!("phone {phone} got {event:?} in a queue call")));
            }
        }
    }
    let mut row = spread("caller_to_agent", &times);
    let per_second = samples as f64 / start.elapsed().as_secs_f64();
    row.insert("calls_per_second".to_owned(), round(per_second, 1));
    stage.add_counters(&mut row);
    Ok(row)
}

/// From a caller's INVITE to the INVITE that its agent gets, all agents free.
fn arrivals(kind: Kind, options: &Options, samples: usize) -> Result<Vec<Duration>, String> {
    let mut stage = Stage::set_up(kind, &layout(SIDE * 2, SIDE), options)?;
    let mut times = Vec::with_capacity(samples);
    for sample in 0..samples {
        let caller = sample % SIDE;
        let media = stage.load.stream_address(caller);
        let dialled = Instant::now();
        stage
            .load
            .command(caller, |phone, now| phone.dial(QUEUE, media, now));
        let (mut answered, mut connected) = (false, false);
        while !(answered && connected) {
            let Happening { phone, event, at } = stage.expect("an agent's call")?;
            match event {
                Event::Incoming => {
                    times.push(at - dialled);
                    stage.answer(phone);
                }
                Event::Answered(_) => answered = true,
                Event::Connected(_) => connected = true,
                // The end of the call before may be read after its phones were found free.
                Event::Ringing | Event::Ended | Event::Released => {}
                other @ (Event::Registered | Event::Refused(_) | Event::Cancelled) => {
                    return Err(
                        stage.complain(&format!("phone {phone} got {other:?} in a queue call"))
                    );
                }
            }
        }
        stage.load.run_for(CHAT)?;
        stage.load.command(caller, Phone::hang_up);
        while (0..SIDE * 2).any(|phone| stage.load.is_busy(phone)) {
            stage.expect("the end of a call")?;
        }
    }
    Ok(times)
}

/// From an agent's BYE to the INVITE that brings it the next of the waiting callers. The others talk meanwhile.
fn departures(
    kind: Kind,
    options: &Options,
    samples: usize,
    agents: usize,
) -> Result<Vec<Duration>, String> {
    let crowd = agents * CALLERS_OF_AN_AGENT;
    let layout = layout(crowd + agents, agents);
    let mut stage = Stage::set_up(kind, &layout, options)?;
    let mut times = Vec::with_capacity(samples);
    let mut hung_up: Vec<Option<Instant>> = vec![None; layout.phones];
    let (mut hang_ups, mut conversations) = (BTreeSet::new(), 0u32);
    for caller in 0..crowd {
        stage.dial(caller, QUEUE);
    }
    while times.len() < samples {
        if let Some(&(due, agent)) = hang_ups.first()
            && due <= Instant::now()
        {
            hang_ups.pop_first();
            hung_up[agent] = Some(Instant::now());
            stage.load.command(agent, Phone::hang_up);
        }
        let happening = match hang_ups.first() {
            Some((due, _)) => stage.load.next(*due)?,
            None => Some(stage.expect("an agent's next call")?),
        };
        let Some(Happening { phone, event, at }) = happening else {
            continue;
        };
        match event {
            Event::Incoming => {
                times.extend(hung_up[phone].take().map(|since| at - since));
                stage.answer(phone);
            }
            Event::Connected(_) => {
                // The golden ratio spreads the ends, so that one agent is freed at a time.
                conversations += 1;
                let more = CONVERSATION.mul_f64((f64::from(conversations) * 0.618_034).fract());
                hang_ups.insert((at + CONVERSATION + more, phone));
            }
            Event::Ended => stage.dial(phone, QUEUE),
            Event::Answered(_) | Event::Ringing | Event::Released => {}
            Event::Registered | Event::Refused(_) | Event::Cancelled => {
                return Err(stage.complain(&format!("phone {phone} got {event:?} in a queue call")));
            }
        }
    }
    Ok(times)
}
