//! `busy-register` and `busy-calls`: what both cost when no core sleeps, because whoever is done begins again at once.

use std::time::{Duration, Instant};

use serde_json::json;

use super::calls::Calls;
use super::{Row, add_ratios, rounds, rounds_of_switches, stage::Stage};
use crate::figures::{Report, round, spread};
use crate::options::Options;
use crate::sip::Event;
use crate::target::{Kind, Layout, Ports, Target};

/// Phones that register in turn.
const PHONES: usize = 200;
/// Registrations under way at once: enough that always some wait, and fewer than a socket buffer holds.
const REGISTRATIONS: usize = 32;
/// Pairs of phones that call in turn: as many that each port of a call has rested when it is needed again.
const PAIRS: usize = 2_000;
/// Calls under way at once.
const CALLS: usize = 64;
/// All calls have begun by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// REGISTER, 401, REGISTER with credentials, 200; the next one as soon as one is done.
pub(crate) fn register(options: &Options) -> Result<Report, String> {
    // Each stays in the switch for 32 s (RFC 3261 section 17.2.2, timer J), and its table of transactions ends at 65,536.
    let samples = options.samples.unwrap_or(50_000);
    let parameters = json!({ "registrations": samples, "at_once": REGISTRATIONS, "phones": PHONES, "rounds": options.rounds });
    let mut report = rounds("busy-register", options, parameters, |target| {
        let kind = match target {
            Target::Switch(kind) => kind,
            Target::Limit => Kind::Answerer,
        };
        measure_registrations(kind, options, samples)
    })?;
    add_ratios(&mut report, options.targets.len(), "cpu_ms_per_register");
    Ok(report)
}

fn measure_registrations(kind: Kind, options: &Options, samples: usize) -> Result<Row, String> {
    let layout = Layout {
        phones: PHONES,
        agents: 0,
        recorded: false,
        ports: Ports::Usual,
        encrypted: false,
    };
    let mut stage = Stage::set_up(kind, &layout, options)?;
    let cpu = stage.cpu()?;
    let start = Instant::now();
    let mut asked = vec![start; PHONES];
    let mut times = Vec::with_capacity(samples);
    let (mut begun, mut refused) = (0, 0);
    let mut begin = |stage: &mut Stage, asked: &mut [Instant], phone: usize| {
        if begun < samples {
            begun += 1;
            asked[phone] = Instant::now();
            stage.load.command(phone, |phone, now| {
                phone.forget_challenge();
                phone.register(now);
            });
        }
    };
    for phone in 0..REGISTRATIONS {
        begin(&mut stage, &mut asked, phone);
    }
    while times.len() + refused < samples {
        let happening = stage.expect("a registration")?;
        if happening.event == Event::Registered {
            times.push(happening.at - asked[happening.phone]);
        } else {
            refused += 1;
        }
        let next = (happening.phone + REGISTRATIONS) % PHONES;
        begin(&mut stage, &mut asked, next);
    }
    let elapsed = start.elapsed();
    let cpu = stage.cpu()? - cpu;
    let mut row = Row::new();
    let mut add = |name: &str, figure, decimals| {
        row.insert(name.to_owned(), round(figure, decimals));
    };
    add(
        "cpu_ms_per_register",
        cpu.as_secs_f64() * 1e3 / samples as f64,
        4,
    );
    add("per_second", samples as f64 / elapsed.as_secs_f64(), 0);
    add(
        "core_percent",
        cpu.as_secs_f64() * 100.0 / elapsed.as_secs_f64(),
        1,
    );
    row.insert("refused".to_owned(), json!(refused));
    row.extend(spread("register", &times));
    stage.add_counters(&mut row);
    Ok(row)
}

/// INVITE, 180, 200, ACK on both legs, BYE on both legs, call record; the next one as soon as one is done.
pub(crate) fn calls(options: &Options) -> Result<Report, String> {
    let samples = options.samples.unwrap_or(4_000);
    let parameters = json!({ "calls": samples, "at_once": CALLS, "rounds": options.rounds });
    rounds_of_switches("busy-calls", options, parameters, |kind| {
        let layout = Layout {
            phones: PAIRS * 2,
            agents: 0,
            recorded: false,
            ports: Ports::Usual,
            encrypted: false,
        };
        let mut stage = Stage::set_up(kind, &layout, options)?;
        let cpu = stage.cpu()?;
        let outcome = Calls::new(&mut stage, PAIRS).in_a_closed_loop(samples, PATIENCE, CALLS)?;
        let (cpu, elapsed) = (
            (stage.cpu()? - cpu).as_secs_f64(),
            outcome.elapsed.as_secs_f64(),
        );
        let mut row = Row::new();
        let mut add = |name: &str, figure, decimals| {
            row.insert(name.to_owned(), round(figure, decimals));
        };
        add("cpu_ms_per_call", cpu * 1e3 / samples as f64, 3);
        add("per_second", samples as f64 / elapsed, 0);
        add("core_percent", cpu * 100.0 / elapsed, 1);
        row.insert("refused".to_owned(), json!(outcome.refused));
        row.insert("failed".to_owned(), json!(outcome.failed));
        row.extend(spread("answer", &outcome.answers));
        stage.add_counters(&mut row);
        Ok(row)
    })
}
