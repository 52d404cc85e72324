//! `opus`, `conference` and `music`: what the switch decodes, mixes or makes. Such packets carry no mark; what is lost of them shows in the
//! sequence numbers that come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::Stage;
use super::talk::WARM_UP;
use super::{Row, rounds};
use crate::figures::{Report, round};
use crate::machine;
use crate::options::Options;
use crate::sip::message::Codec;
use crate::speech::{Speech, cost_of_opus};
use crate::target::{CONFERENCE, Kind, Layout, MUSIC, Measured as _, Ports, Target};

/// Calls between Opus and G.711: with 100 a slow core would be full.
const OPUS_CALLS: usize = 40;
/// People in the conference.
const PEOPLE: usize = 30;
/// How many hear music, and whether they send as phones do that are not muted.
pub(super) const LISTENERS: [(usize, bool, &str); 3] = [
    (100, true, "100_listeners"),
    (500, true, "500_listeners"),
    (500, false, "500_mute_listeners"),
];

/// Callers speak Opus, who they call G.711.
pub(crate) fn opus(options: &Options) -> Result<Report, String> {
    ours("opus", OPUS_CALLS, options, |options| {
        let mut stage = set_up(OPUS_CALLS * 2, options)?;
        let (opus, pcmu) = (Arc::new(Speech::opus()?), Arc::new(Speech::pcmu()));
        for index in 0..OPUS_CALLS * 2 {
            let speaks_opus = index < OPUS_CALLS;
            stage
                .load
                .say(index, if speaks_opus { &opus } else { &pcmu });
            if speaks_opus {
                stage
                    .load
                    .command(index, |phone, _| phone.speak(Codec::Opus));
            }
        }
        stage.connect_all(OPUS_CALLS, false)?;
        let (mut row, share) = listen(&mut stage, options)?;
        drop(stage);
        let codec = cost_of_opus(OPUS_CALLS, options.seconds)?;
        let codec = codec.as_secs_f64() / options.seconds as f64;
        let per_100 = |share: f64| round(share * 100.0 * 100.0 / OPUS_CALLS as f64, 2);
        row.insert("core_percent_per_100_calls".to_owned(), per_100(share));
        row.insert("codec_percent_per_100_calls".to_owned(), per_100(codec));
        row.insert("times_the_codec".to_owned(), round(share / codec, 2));
        Ok(row)
    })
}

/// Everybody sends, everybody hears the others.
pub(crate) fn conference(options: &Options) -> Result<Report, String> {
    ours("conference", PEOPLE, options, |options| {
        let mut stage = set_up(PEOPLE, options)?;
        gather(&mut stage, PEOPLE, CONFERENCE, true)?;
        let (mut row, share) = listen(&mut stage, options)?;
        row.insert("core_percent".to_owned(), round(share * 100.0, 2));
        Ok(row)
    })
}

/// Listeners of music.
pub(crate) fn music(options: &Options) -> Result<Report, String> {
    ours("music", 500, options, |options| {
        let mut all = Row::new();
        for (listeners, sends, name) in LISTENERS {
            let mut stage = set_up(listeners, options)?;
            gather(&mut stage, listeners, MUSIC, sends)?;
            let (mut row, share) = listen(&mut stage, options)?;
            let per_100 = share * 100.0 * 100.0 / listeners as f64;
            row.insert("core_percent_per_100".to_owned(), round(per_100, 2));
            let named = |(key, figure)| (format!("{name}_{key}"), figure);
            all.extend(row.into_iter().map(named));
        }
        Ok(all)
    })
}

/// Our switch alone, round by round.
fn ours(
    run: &'static str,
    calls: usize,
    options: &Options,
    measure: impl Fn(&Options) -> Result<Row, String>,
) -> Result<Report, String> {
    let mut options = options.clone();
    options.targets = vec![Target::Switch(Kind::Ringmaster)];
    let parameters =
        json!({ "calls": calls, "seconds": options.seconds, "rounds": options.rounds });
    rounds(run, &options, parameters, |_| measure(&options))
}

fn set_up(phones: usize, options: &Options) -> Result<Stage, String> {
    let layout = Layout {
        phones,
        agents: 0,
        recorded: false,
        ports: Ports::Usual,
        encrypted: false,
    };
    Stage::set_up(Kind::Ringmaster, &layout, options)
}

/// So many phones call a number of the switch.
fn gather(stage: &mut Stage, phones: usize, number: &str, sends: bool) -> Result<(), String> {
    let speech = Arc::new(Speech::pcmu());
    for phone in 0..phones {
        let audio = stage.call_switch(phone, number)?;
        stage.load.say(phone, &speech);
        if sends {
            stage.load.talk_to(phone, audio, phone);
        }
    }
    Ok(())
}

/// Counts for the measured time; gives the share of the core as well.
fn listen(stage: &mut Stage, options: &Options) -> Result<(Row, f64), String> {
    stage.load.run_for(WARM_UP)?;
    stage.load.take_tally();
    stage.load.mark(true);
    let (started, cpu) = (Instant::now(), stage.cpu()?);
    stage.load.run_for(Duration::from_secs(options.seconds))?;
    let (elapsed, cpu) = (started.elapsed(), stage.cpu()? - cpu);
    let fewest = stage.load.fewest_heard() as f64 / elapsed.as_secs_f64();
    let (tally, late) = stage.load.take_tally();
    let resident = machine::resident_kib(stage.switch.pid())?;
    let mut row = Row::new();
    for (name, count) in [
        ("packets_sent", tally.sent),
        ("packets_heard", tally.heard),
        ("packets_lost", tally.gaps),
        ("packets_doubled", tally.duplicates),
        ("packets_silent", tally.silent),
        ("load_sent_late", late),
        ("resident_kib", resident),
    ] {
        row.insert(name.to_owned(), json!(count));
    }
    row.insert("fewest_heard_per_second".to_owned(), round(fewest, 1));
    stage.add_counters(&mut row);
    Ok((row, cpu.as_secs_f64() / elapsed.as_secs_f64()))
}
