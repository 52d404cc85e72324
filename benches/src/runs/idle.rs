//! `idle`: how soon it is ready, and what it needs when nothing happens.

use std::time::Duration;

use serde_json::json;

use super::{Row, rounds_of_switches};
use crate::figures::{Report, spread};
use crate::machine;
use crate::options::Options;
use crate::target::{Kind, Layout, Measured as _, Ports, Running};

/// Starts that are timed in each round.
const STARTS: usize = 10;
/// The last start is left alone for so long before its CPU time is read.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the CPU time of doing nothing is read.
const NOTHING: Duration = Duration::from_secs(10);

/// Ten phones and a queue with four agents, as in the sample configuration; nobody registered.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let parameters = json!({ "starts": STARTS, "rounds": options.rounds });
    rounds_of_switches("idle", options, parameters, |kind| measure(kind, options))
}

fn measure(kind: Kind, options: &Options) -> Result<Row, String> {
    let layout = Layout {
        phones: 10,
        agents: 4,
        recorded: true,
        ports: Ports::Usual,
        encrypted: false,
    };
    let mut times = Vec::with_capacity(STARTS);
    for _ in 1..STARTS {
        times.push(Running::start(kind, &layout, options)?.ready_after);
    }
    let switch = Running::start(kind, &layout, options)?;
    times.push(switch.ready_after);
    std::thread::sleep(SETTLE);
    let pid = switch.pid();
    let cpu = machine::cpu_time(pid)?;
    std::thread::sleep(NOTHING);
    let cpu = machine::cpu_time(pid)? - cpu;
    let mut row = Row::new();
    row.extend(spread("ready_after", &times));
    row.insert(
        "resident_kib".to_owned(),
        json!(machine::resident_kib(pid)?),
    );
    row.insert("open_files".to_owned(), json!(machine::open_files(pid)?));
    row.insert(
        "idle_cpu_ms_per_second".to_owned(),
        json!(cpu.as_secs_f64() * 1e3 / NOTHING.as_secs_f64()),
    );
    Ok(row)
}
