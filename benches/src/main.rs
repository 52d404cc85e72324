//! Measures the switch, a peer and the machine's limit, side by side, with a load generator of its own. See README.md.

mod crowd;
mod figures;
mod limit;
mod load;
mod machine;
mod options;
mod rtp;
mod runs;
mod sip;
mod speech;
mod srtp;
mod target;

use std::fs::File;
use std::process::ExitCode;

use options::Options;

/// The run that holds those of signalling, and tells which goal is met.
const SIP: &str = "sip";
/// The run that holds those of media ...
const MEDIA: &str = "media";
/// ... and that of queues.
const QUEUE: &str = "queue";

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == limit::FORWARD).is_some() {
        return limit::forward(arguments);
    }
    if arguments.next_if(|first| first == limit::ANSWER).is_some() {
        return limit::answer(&arguments.next().ok_or("answer at which address?")?);
    }
    if arguments
        .next_if(|first| first == machine::MEASURE)
        .is_some()
    {
        return Err(machine::become_measured(arguments));
    }
    let options =
        Options::read(arguments).map_err(|error| format!("{error}\n{}", options::USAGE))?;
    let chosen: Vec<_> = runs::RUNS
        .iter()
        .filter(|(name, _)| options.run == "all" || options.run == *name)
        .collect();
    if chosen.is_empty() && ![SIP, MEDIA, QUEUE].contains(&&*options.run) {
        return Err(format!(
            "there is no run {}\n{}",
            options.run,
            options::USAGE
        ));
    }
    let _lock = only_one()?;
    machine::pin(machine::LOAD_CORE)?;
    if options.run == SIP {
        return runs::sip::run(&options);
    }
    if options.run == MEDIA {
        return runs::media::run(&options);
    }
    if options.run == QUEUE {
        return runs::queue::run(&options);
    }
    for (_, run) in chosen {
        let report = run(&options)?;
        report.print();
        if options.json {
            println!("written to {}", report.write()?.display());
        }
    }
    Ok(())
}

/// Two runs at once would measure each other, and meet on their ports: the second waits. The lock goes with the process.
fn only_one() -> Result<File, String> {
    let path = std::env::temp_dir().join("ringmaster-bench.lock");
    let text = |error: std::io::Error| format!("{}: {error}", path.display());
    let lock = File::create(&path).map_err(text)?;
    if lock.try_lock().is_err() {
        eprintln!("waiting for another run on this machine");
        lock.lock().map_err(text)?;
    }
    Ok(lock)
}
