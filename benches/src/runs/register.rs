//! `register`: CPU time of a registration with digest, challenge and answer, each time with a fresh nonce.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Row, add_ratios, rounds, stage::Stage};
use crate::figures::{Report, round, spread};
use crate::options::Options;
use crate::sip::Event;
use crate::target::{Kind, Layout, Ports, Target};

/// Phones that take turns.
const PHONES: usize = 200;

/// REGISTER, 401, REGISTER with credentials, 200.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let (samples, rate) = (
        options.samples.unwrap_or(20_000),
        options.rate.unwrap_or(2_000),
    );
    let parameters = json!({ "registrations": samples, "per_second": rate, "phones": PHONES, "rounds": options.rounds });
    let mut report = rounds("register", options, parameters, |target| {
        let kind = match target {
            Target::Switch(kind) => kind,
            Target::Limit => Kind::Answerer,
        };
        measure(kind, options, samples, rate)
    })?;
    add_ratios(&mut report, options.targets.len(), "cpu_ms_per_register");
    Ok(report)
}

fn measure(kind: Kind, options: &Options, samples: usize, rate: u32) -> Result<Row, String> {
    let mut stage = Stage::set_up(
        kind,
        &Layout {
            phones: PHONES,
            agents: 0,
            recorded: false,
            ports: Ports::Usual,
            encrypted: false,
        },
        options,
    )?;
    let cpu = stage.cpu()?;
    let start = Instant::now();
    let mut asked = vec![start; PHONES];
    let mut times = Vec::with_capacity(samples);
    let (mut begun, mut refused) = (0, 0);
    while times.len() + refused < samples {
        let next = start + Duration::from_secs(1) * begun as u32 / rate;
        if begun < samples && Instant::now() >= next {
            let phone = begun % PHONES;
            asked[phone] = Instant::now();
            stage.load.command(phone, |phone, now| {
                phone.forget_challenge();
                phone.register(now);
            });
            begun += 1;
            continue;
        }
        let until = if begun < samples {
            next
        } else {
            Instant::now() + Duration::from_secs(40)
        };
        match stage.load.next(until)? {
            Some(happening) if happening.event == Event::Registered => {
                times.push(happening.at - asked[happening.phone])
            }
            Some(_) => refused += 1,
            None if begun < samples => {}
            None => return Err(stage.complain("registrations stay without an answer")),
        }
    }
    let elapsed = start.elapsed();
    let cpu = stage.cpu()? - cpu;
    let mut row = Row::new();
    row.insert(
        "cpu_ms_per_register".to_owned(),
        round(cpu.as_secs_f64() * 1e3 / samples as f64, 4),
    );
    row.insert(
        "core_percent".to_owned(),
        round(cpu.as_secs_f64() * 100.0 / elapsed.as_secs_f64(), 1),
    );
    row.insert("refused".to_owned(), json!(refused));
    row.extend(spread("register", &times));
    stage.add_counters(&mut row);
    Ok(row)
}
