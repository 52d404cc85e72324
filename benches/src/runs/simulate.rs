//! `simulate`: how long a made day of a million calls takes, `ringmaster simulate` on the measured core.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::json;

use super::Row;
use crate::figures::{Report, round};
use crate::machine;
use crate::options::Options;
use crate::target::Layout;

const CALLS: usize = 1_000_000;
const QUEUES: usize = 100;
/// In the middle of the day some 12,000 would be needed: callers wait, and some give up.
const AGENTS_OF_A_QUEUE: usize = 100;

/// CPU time and time of the clock.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let folder =
        std::env::temp_dir().join(format!("ringmaster-bench-simulate-{}", std::process::id()));
    let rows = fs::create_dir_all(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))
        .and_then(|()| measure_all(&folder, options));
    let _ = fs::remove_dir_all(&folder);
    Ok(Report {
        run: "simulate",
        parameters: json!({ "calls": CALLS, "queues": QUEUES, "agents": QUEUES * AGENTS_OF_A_QUEUE }),
        rows: rows?,
    })
}

fn measure_all(folder: &Path, options: &Options) -> Result<Vec<(&'static str, Row)>, String> {
    configure(folder)?;
    let mut rows = Vec::new();
    for nth in 1..=options.rounds {
        eprintln!("simulate: round {nth} of {}", options.rounds);
        rows.push(("ringmaster", measure(folder, options)?));
    }
    Ok(rows)
}

fn configure(folder: &Path) -> Result<(), String> {
    let (mut phones, mut queues) = ("[phones]\n".to_owned(), String::new());
    let mut numbers = "[numbers]\n".to_owned();
    for queue in 0..QUEUES {
        let _ = writeln!(numbers, "{} = {{ queue = \"queue-{queue}\" }}", 700 + queue);
        let _ = writeln!(
            queues,
            "[queues.queue-{queue}]\nstrategy = \"round-robin\"\nagents = ["
        );
        for agent in 0..AGENTS_OF_A_QUEUE {
            let number = Layout::number(queue * AGENTS_OF_A_QUEUE + agent);
            let password = Layout::password(&number);
            let _ = writeln!(phones, "{number} = {{ password = \"{password}\" }}");
            let _ = writeln!(queues, "  {{ agent = \"{number}\" }},");
        }
        queues.push_str("]\n");
    }
    for agent in 0..QUEUES * AGENTS_OF_A_QUEUE {
        let number = Layout::number(agent);
        let _ = writeln!(queues, "[agents.{number}]\nwrap_up_time = 0");
    }
    let files = [
        (
            "ringmaster.toml",
            "[sip]\nlisten = [\"udp:127.0.0.1:5060\"]\n",
        ),
        ("phones.toml", &phones),
        ("queues.toml", &queues),
        ("numbers.toml", &numbers),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn measure(folder: &Path, options: &Options) -> Result<Row, String> {
    let mut command = machine::measured(options.binary.as_os_str())?;
    command
        .args(["simulate", "--calls", &CALLS.to_string(), "--config"])
        .arg(folder)
        .stdin(Stdio::null());
    let (start, before) = (Instant::now(), machine::cpu_time_of_children()?);
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let (elapsed, cpu) = (start.elapsed(), machine::cpu_time_of_children()? - before);
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !said.contains(&format!("{CALLS} calls")) {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} fails:\n{said}{error}"));
    }
    let mut row = Row::new();
    row.insert("cpu_seconds".to_owned(), round(cpu.as_secs_f64(), 2));
    row.insert("seconds".to_owned(), round(elapsed.as_secs_f64(), 2));
    let per_call = cpu.as_secs_f64() * 1e6 / CALLS as f64;
    row.insert("us_per_call".to_owned(), round(per_call, 2));
    Ok(row)
}
