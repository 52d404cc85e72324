//! `relay`, `record`, `secure`, `full` and `half-full`: what standing calls cost, and whether any packet is lost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Row, add_ratios, rounds, stage::Stage};
use crate::figures::{Report, percentile, round};
use crate::limit::{Forwarder, SocketLayout};
use crate::load::Load;
use crate::machine;
use crate::options::Options;
use crate::target::{Kind, Layout, Measured, Ports, Target};

/// Calls talk for so long before anything is counted: symmetric RTP has learned, buffers are warm.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
/// Calls that one core is to relay.
const FULL: usize = 1_500;

/// What kind of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    /// Phone to phone.
    Relayed,
    /// Through a queue, recorded.
    Recorded,
    /// Phone to phone, by SDES.
    Encrypted,
}

/// The last packets are given so long to arrive.
const DRAIN: Duration = Duration::from_millis(500);

/// Phone to phone, PCMU 20 ms both ways.
pub(crate) fn relay(options: &Options) -> Result<Report, String> {
    talk("relay", options, Calls::Relayed)
}

/// Queue calls, recorded.
pub(crate) fn record(options: &Options) -> Result<Report, String> {
    talk("record", options, Calls::Recorded)
}

/// Phone to phone, encrypted on both legs; the limit forwards the packets as they are.
pub(crate) fn secure(options: &Options) -> Result<Report, String> {
    let mut options = options.clone();
    // The peer would have to be told of keys: it is no goal to be better than it there.
    options
        .targets
        .retain(|target| *target != Target::Switch(Kind::Asterisk));
    talk("secure", &options, Calls::Encrypted)
}

/// As many calls as one core is to relay, whatever `--calls` says.
pub(crate) fn full(options: &Options) -> Result<Report, String> {
    many("full", FULL, options)
}

/// Half of them.
pub(crate) fn half(options: &Options) -> Result<Report, String> {
    many("half-full", FULL / 2, options)
}

fn many(run: &'static str, calls: usize, options: &Options) -> Result<Report, String> {
    let mut options = options.clone();
    options.calls = calls;
    options
        .targets
        .retain(|target| *target != Target::Switch(Kind::Asterisk));
    talk(run, &options, Calls::Relayed)
}

/// Bare forwarders, one for each layout of sockets: what the switch's layout was chosen by.
pub(crate) fn layouts(options: &Options) -> Result<Report, String> {
    let mut rows = Vec::new();
    for round in 1..=options.rounds {
        for layout in SocketLayout::ALL {
            eprintln!(
                "layouts: {} round {round} of {}",
                layout.name(),
                options.rounds
            );
            rows.push((layout.name(), forward(layout, options)?));
        }
    }
    Ok(Report {
        run: "layouts",
        parameters: parameters(options),
        rows,
    })
}

fn parameters(options: &Options) -> Value {
    json!({ "calls": options.calls, "seconds": options.seconds, "rounds": options.rounds })
}

fn talk(run: &'static str, options: &Options, calls: Calls) -> Result<Report, String> {
    let mut report = rounds(run, options, parameters(options), |target| match target {
        Target::Switch(kind) => measure(kind, options, calls),
        Target::Limit => forward(SocketLayout::Window, options),
    })?;
    add_ratios(&mut report, options.targets.len(), "us_per_packet");
    Ok(report)
}

fn measure(kind: Kind, options: &Options, calls: Calls) -> Result<Row, String> {
    let queue = calls == Calls::Recorded;
    let layout = Layout {
        phones: options.calls * 2,
        agents: if queue { options.calls } else { 0 },
        recorded: queue,
        ports: Ports::Usual,
        encrypted: calls == Calls::Encrypted,
    };
    let mut stage = Stage::set_up(kind, &layout, options)?;
    let idle = stage.memory()?;
    let pairs = stage.connect_all(options.calls, queue)?;
    let mut row = window(&mut stage.load, &stage.switch, options)?;
    let busy = stage.memory()?;
    stage.load.silence();
    stage.hang_up_all(&pairs)?;
    row.insert(
        "kib_per_call".to_owned(),
        round(busy.saturating_sub(idle) as f64 / options.calls as f64, 1),
    );
    row.insert("resident_kib".to_owned(), json!(busy));
    stage.add_counters(&mut row);
    Ok(row)
}

fn forward(layout: SocketLayout, options: &Options) -> Result<Row, String> {
    let forwarder = Forwarder::start(options.calls * 2, layout)?;
    let mut load = Load::new()?;
    for call in 0..options.calls {
        let (a, b) = (load.add_stream()?, load.add_stream()?);
        load.talk(
            (a, forwarder.legs[call * 2]),
            (b, forwarder.legs[call * 2 + 1]),
        );
    }
    window(&mut load, &forwarder, options)
}

/// Streams talk already; counts for the measured time.
fn window(load: &mut Load, measured: &impl Measured, options: &Options) -> Result<Row, String> {
    load.run_for(WARM_UP)?;
    load.take_tally();
    load.mark(true);
    let (started, cpu) = (Instant::now(), machine::cpu_time(measured.pid())?);
    load.run_for(Duration::from_secs(options.seconds))?;
    let (elapsed, cpu) = (started.elapsed(), machine::cpu_time(measured.pid())? - cpu);
    load.mark(false);
    load.run_for(DRAIN)?;
    let (tally, late) = load.take_tally();
    let mut delays: Vec<f64> = tally
        .delays
        .iter()
        .map(|delay| f64::from(*delay) / 1e3)
        .collect();
    delays.sort_by(f64::total_cmp);
    let share = cpu.as_secs_f64() / elapsed.as_secs_f64();
    let mut row = Row::new();
    row.insert(
        "core_percent_per_100_calls".to_owned(),
        round(share * 100.0 * 100.0 / options.calls as f64, 2),
    );
    row.insert(
        "us_per_packet".to_owned(),
        round(cpu.as_secs_f64() * 1e6 / tally.sent.max(1) as f64, 2),
    );
    row.insert("packets_sent".to_owned(), json!(tally.sent));
    row.insert(
        "packets_lost".to_owned(),
        json!(tally.sent - tally.received),
    );
    let lost = (tally.sent - tally.received) as f64 / tally.sent.max(1) as f64;
    row.insert("loss_percent".to_owned(), round(lost * 100.0, 4));
    row.insert("packets_doubled".to_owned(), json!(tally.duplicates));
    row.insert("packets_misled".to_owned(), json!(tally.foreign));
    row.insert(
        "packet_delay_p50_ms".to_owned(),
        round(percentile(&delays, 0.5), 3),
    );
    row.insert(
        "packet_delay_p99_ms".to_owned(),
        round(percentile(&delays, 0.99), 3),
    );
    row.insert("load_sent_late".to_owned(), json!(late));
    Ok(row)
}
