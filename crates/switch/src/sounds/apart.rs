//! Decoding in a process of its own, with little memory, little time and no files: whatever a decoder does with a hostile file, the
//! switch gets samples or a reason.
//!
//! The process is this program again. It gets the file on its standard input, gives the rate and the samples on its standard output, or a
//! reason on its standard error.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit};

use super::{Decoded, MAX_FILE, SoundError};

/// The command that decodes; for this program alone, so that no help lists it.
const COMMAND: &str = "decode-sound";
/// That the sound shall be as loud as all others.
const EVEN: &str = "even";
/// Longest time for one file, by the clock and of a processor. Decoders have been known to loop for ever on broken files; an hour of MP3
/// takes 5 s.
const MAX_TIME: Duration = Duration::from_secs(30);
/// Most memory for one file, in octets: an hour of 48 kHz and what becomes of it.
const MAX_MEMORY: u64 = 1_600 << 20;
/// Octets of the longest answer: an hour of 16 kHz.
const MAX_ANSWER: u64 = 3_600 * 16_000 * 2 + 4;
/// Octets of a reason that are read.
const MAX_REASON: u64 = 500;
/// How far decoding stands back behind calls.
const NICENESS: i32 = 10;

/// Decodes a file. `even`: as loud as all others that are.
pub(crate) fn decode(octets: &[u8], path: &Path, even: bool) -> Result<Decoded, SoundError> {
    // The program of the tests is another one; `tests/sounds.rs` decodes by the real one.
    if cfg!(test) {
        return super::decode(octets.to_vec(), path, even);
    }
    let undecodable = |reason: String| SoundError::Undecodable {
        file: path.to_owned(),
        reason,
    };
    let begun = begin(path, even).map_err(|error| undecodable(error.to_string()))?;
    let answer = talk(begun, octets).map_err(undecodable)?;
    read_answer(&answer).ok_or_else(|| undecodable("the decoder gave up".to_owned()))
}

fn begin(path: &Path, even: bool) -> io::Result<Child> {
    // Not by its name: the file of a program that runs may have been replaced.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(COMMAND)
        .arg(path.file_name().unwrap_or_default());
    command.arg(if even { EVEN } else { "as-it-is" });
    command.env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn()
}

/// Gives the process the file and takes its answer, or why there is none.
fn talk(mut child: Child, octets: &[u8]) -> Result<Vec<u8>, String> {
    let (Some(mut input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("no pipes".to_owned());
    };
    let (done, result) = mpsc::sync_channel(1);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A decoder that has seen enough reads no further.
            let _ = input.write_all(octets);
        });
        scope.spawn(move || {
            let mut answer = Vec::new();
            let read = output.take(MAX_ANSWER + 1).read_to_end(&mut answer);
            // The receiver waits for as long as the scope does.
            let _ = done.send(read.map(|_| answer));
        });
        let outcome = result.recv_timeout(MAX_TIME);
        if outcome.is_err() {
            // It may have ended meanwhile.
            let _ = child.kill();
        }
        outcome
    });
    let mut reason = String::new();
    let told = errors.take(MAX_REASON).read_to_string(&mut reason);
    let status = child.wait().map_err(|error| error.to_string())?;
    match outcome {
        Ok(Ok(answer)) if status.success() => Ok(answer),
        Ok(Ok(_)) if status.code().is_some() && told.is_ok() && !reason.is_empty() => {
            Err(reason.trim_end().to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(RecvTimeoutError::Timeout) => Err(format!("took longer than {MAX_TIME:?}")),
        Ok(Ok(_)) | Err(RecvTimeoutError::Disconnected) => Err(format!(
            "the decoder ended with {status}: a broken file, or one that needs more than {} MiB of memory or {MAX_TIME:?}",
            MAX_MEMORY >> 20
        )),
    }
}

fn read_answer(answer: &[u8]) -> Option<Decoded> {
    let (rate, samples) = answer.split_first_chunk::<4>()?;
    let (samples, rest) = samples.as_chunks::<2>();
    let samples = samples.iter().map(|it| i16::from_le_bytes(*it)).collect();
    match (u32::from_le_bytes(*rate), rest) {
        (8_000, []) => Some(Decoded::Narrow(samples)),
        (16_000, []) => Some(Decoded::Wide(samples)),
        (_, _) => None,
    }
}

/// Decodes the standard input within the limits, if that is what the command line wants.
pub(crate) fn serve(arguments: &[OsString]) -> Option<ExitCode> {
    let [command, name, how] = arguments else {
        return None;
    };
    if command != COMMAND {
        return None;
    }
    // What a panic says is in the reason already, or is nobody's to read.
    std::panic::set_hook(Box::new(|_| ()));
    match decode_input(Path::new(name), how == EVEN) {
        Ok(answer) => io::stdout().lock().write_all(&answer).ok(),
        Err(reason) => {
            eprintln!("{reason}");
            None
        }
    }
    .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    .into()
}

fn decode_input(name: &Path, even: bool) -> Result<Vec<u8>, String> {
    limit().map_err(|error| format!("no limits for the decoder: {error}"))?;
    let mut octets = Vec::new();
    let input = io::stdin().lock();
    let read = input.take(MAX_FILE).read_to_end(&mut octets);
    read.map_err(|error| error.to_string())?;
    let (rate, samples) = match super::decode(octets, name, even) {
        Ok(Decoded::Narrow(samples)) => (8_000u32, samples),
        Ok(Decoded::Wide(samples)) => (16_000, samples),
        Err(SoundError::Undecodable { reason, .. } | SoundError::TooBig { excess: reason, .. }) => {
            return Err(reason);
        }
        Err(error @ (SoundError::Missing { .. } | SoundError::Unreadable { .. })) => {
            return Err(error.to_string());
        }
    };
    let samples = samples.iter().flat_map(|sample| sample.to_le_bytes());
    Ok(rate.to_le_bytes().into_iter().chain(samples).collect())
}

fn limit() -> io::Result<()> {
    let seconds = MAX_TIME.as_secs();
    for (resource, most) in [
        (Resource::As, MAX_MEMORY),
        (Resource::Cpu, seconds),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        // Those of the pipes, which are open already.
        (Resource::Nofile, 3),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, limit)?;
    }
    rustix::process::nice(NICENESS)?;
    Ok(())
}
