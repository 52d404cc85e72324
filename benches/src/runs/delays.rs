//! `delays`: how fast the queue is. Caller's INVITE to agent's INVITE, and an agent's hang-up to its next caller.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Row, rounds_of_switches, stage::Stage};
use crate::figures::{Report, spread};
use crate::load::Happening;
use crate::options::Options;
use crate::sip::{Event, Phone};
use crate::target::{Kind, Layout, Ports, QUEUE};

/// Callers and agents of the first figure, and agents of the second.
const SIDE: usize = 10;
/// Callers of the second figure: half of them wait while the others talk.
const CROWD: usize = SIDE * 2;
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
            &departures(kind, options, samples)?,
        ));
        Ok(row)
    })
}

/// From a caller's INVITE to the INVITE that its agent gets, all agents free.
fn arrivals(kind: Kind, options: &Options, samples: usize) -> Result<Vec<Duration>, String> {
    let mut stage = Stage::set_up(
        kind,
        &Layout {
            phones: SIDE * 2,
            agents: SIDE,
            recorded: false,
            ports: Ports::Usual,
            encrypted: false,
        },
        options,
    )?;
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
fn departures(kind: Kind, options: &Options, samples: usize) -> Result<Vec<Duration>, String> {
    let layout = Layout {
        phones: CROWD + SIDE,
        agents: SIDE,
        recorded: false,
        ports: Ports::Usual,
        encrypted: false,
    };
    let mut stage = Stage::set_up(kind, &layout, options)?;
    let mut times = Vec::with_capacity(samples);
    let mut hung_up: Vec<Option<Instant>> = vec![None; layout.phones];
    let (mut hang_ups, mut conversations) = (BTreeSet::new(), 0u32);
    for caller in 0..CROWD {
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
