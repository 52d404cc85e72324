//! Recordings in fewer octets: when a file is complete, a program of the system makes MP3, FLAC or Opus of it, one file after the other
//! and behind all else that the machine does. Then the WAV file goes. Whatever fails leaves it where it is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant, SystemTime};

use tracing::{debug, info, warn};

use super::{files_below, rename};

/// Complete recordings that wait; more stay WAV until the next start, and the log says so.
const QUEUE: usize = 10_000;
/// Longest time for one recording; a day of sound takes the slowest of the programs some minutes.
const MAX_TIME: Duration = Duration::from_secs(1_800);
/// How often a program is looked at.
const STEP: Duration = Duration::from_millis(50);
/// How old a recording may be that the last run of the switch left as it was: an archive from before is not touched.
const LEFT_OVER: Duration = Duration::from_secs(2 * 24 * 3_600);
/// Octets of what a program says that are told on.
const MAX_WORDS: u64 = 300;
/// How far a program stands back behind calls: as far as one can.
const NICENESS: i32 = 19;
/// The end of the name of a file in the making.
const UNFINISHED: &str = "new";
/// The end of the name of a recording as it is made.
const WAV: &str = "wav";

/// What recordings become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Wav,
    Mp3,
    Flac,
    Opus,
}

/// What makes such files of WAV files.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Debian's package with it.
    pub(crate) package: &'static str,
    /// Before the names of the two files.
    options: &'static [&'static str],
    /// Between them.
    to: &'static [&'static str],
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Wav => WAV,
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Opus => "opus",
        }
    }

    /// The name of a recording when all is done, by that of its WAV file.
    pub(crate) fn final_name(self, path: &str) -> String {
        let stem = path.strip_suffix(".wav").unwrap_or(path);
        format!("{stem}.{}", self.ending())
    }

    /// Both sides stay apart: left is the customer, right the agent.
    pub(crate) fn program(self) -> Option<Program> {
        match self {
            Self::Wav => None,
            Self::Mp3 => Some(Program {
                name: "lame",
                package: "lame",
                options: &["--silent", "-m", "s", "-V", "4", "--noreplaygain"],
                to: &[],
            }),
            Self::Flac => Some(Program {
                name: "flac",
                package: "flac",
                options: &["--silent", "--force", "--verify", "--best"],
                to: &["-o"],
            }),
            // With less than 40 kbit/s one side is heard on the other.
            Self::Opus => Some(Program {
                name: "opusenc",
                package: "opus-tools",
                options: &["--quiet", "--bitrate", "40", "--speech"],
                to: &[],
            }),
        }
    }
}

impl Program {
    /// Where it is.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        let mut files = std::env::split_paths(&path).map(|folder| folder.join(self.name));
        files.find(|file| file.is_file())
    }
}

/// Where complete recordings are handed in.
#[derive(Clone, Debug)]
pub(super) struct Compressor {
    queue: Option<SyncSender<PathBuf>>,
}

impl Compressor {
    /// Starts the thread, if there is anything to do: first with what the last run left.
    pub(super) fn start(folder: &Path, format: Format) -> io::Result<Self> {
        let Some(program) = format.program() else {
            return Ok(Self { queue: None });
        };
        let (queue, waiting) = mpsc::sync_channel(QUEUE);
        let folder = folder.to_owned();
        // It ends with the process, not before: what it has not done is left over, and costs nobody a second of the stop.
        std::thread::Builder::new()
            .name("compress".to_owned())
            .spawn(move || run(&folder, format, &program, &waiting))?;
        Ok(Self { queue: Some(queue) })
    }

    /// This recording is complete.
    pub(super) fn take(&self, recording: &Path) {
        let Some(queue) = &self.queue else {
            return;
        };
        match queue.try_send(recording.to_owned()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                warn!("a recording stays WAV: {QUEUE} others wait to be made smaller");
            }
        }
    }
}

fn run(folder: &Path, format: Format, program: &Program, waiting: &Receiver<PathBuf>) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        debug!(%error, "recordings are made smaller without standing back");
    }
    let mut left = left_over(folder);
    if !left.is_empty() {
        info!(
            recordings = left.len(),
            "recordings of the last run are made smaller"
        );
    }
    // What has just ended before what is old.
    left.reverse();
    loop {
        let next = match left.pop() {
            Some(path) => waiting.try_recv().map_or(Ok(path.clone()), |new| {
                left.push(path);
                Ok(new)
            }),
            None => waiting.recv(),
        };
        let Ok(path) = next else {
            return;
        };
        if let Err(error) = compress(&path, format, program) {
            warn!(%error, "a recording stays WAV");
            debug!(path = %path.display(), "that recording");
        }
    }
}

/// The WAV files that are young enough. What was in the making goes.
fn left_over(folder: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    files_below(folder, &mut |path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending == Some(UNFINISHED) {
            if let Err(error) = fs::remove_file(path) {
                warn!(%error, "half of a recording cannot be removed");
            }
        } else if ending == Some(WAV) && is_young(path) {
            left.push(path.to_owned());
        }
    });
    left
}

fn is_young(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|it| it.modified());
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age < LEFT_OVER)
}

fn compress(wav: &Path, format: Format, program: &Program) -> io::Result<()> {
    let made = wav.with_extension(format.ending());
    let unfinished = made.with_added_extension(UNFINISHED);
    let result = convert(wav, &unfinished, program).and_then(|()| {
        let file = File::open(&unfinished)?;
        if file.metadata()?.len() == 0 {
            return Err(io::Error::other("nothing came of it"));
        }
        file.sync_all()?;
        rename(&unfinished, &made)?;
        fs::remove_file(wav)
    });
    if result.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&unfinished);
    }
    result
}

fn convert(from: &Path, to: &Path, program: &Program) -> io::Result<()> {
    let file = program.find().ok_or_else(|| {
        io::Error::other(format!(
            "there is no program {} any more: apt install {}",
            program.name, program.package
        ))
    })?;
    let mut command = Command::new(file);
    command.args(program.options).arg(from).args(program.to);
    command.arg(to).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let late = Instant::now() + MAX_TIME;
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            let mut words = String::new();
            if let Some(errors) = child.stderr.take() {
                // What cannot be read is not needed.
                let _ = errors.take(MAX_WORDS).read_to_string(&mut words);
            }
            let text = format!("{} ended with {status} {words}", program.name);
            return Err(io::Error::other(text.trim_end().to_owned()));
        }
        if Instant::now() > late {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("took longer than {MAX_TIME:?}")));
        }
        std::thread::sleep(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &'static str, options: &'static [&'static str]) -> Program {
        Program {
            name,
            package: "coreutils",
            options,
            to: &[],
        }
    }

    fn recording(name: &str) -> PathBuf {
        let folder = format!("ringmaster-compress-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let wav = folder.join("2026.11.call.wav");
        fs::write(&wav, "sound").unwrap();
        wav
    }

    fn files(wav: &Path) -> Vec<String> {
        let entries = fs::read_dir(wav.parent().unwrap()).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_program_made_takes_the_place_of_the_wav_file() {
        let wav = recording("made");
        compress(&wav, Format::Mp3, &program("cp", &[])).unwrap();
        assert_eq!(files(&wav), ["2026.11.call.mp3"]);
        assert_eq!(
            Format::Mp3.final_name("2026.11.call.wav"),
            "2026.11.call.mp3"
        );
        fs::remove_dir_all(wav.parent().unwrap()).unwrap();
    }

    #[test]
    fn where_nothing_was_made_the_wav_file_stays_alone() {
        let wav = recording("failed");
        for (program, told) in [
            (program("false", &[]), "false ended with exit status: 1"),
            // It says that all is well, and makes nothing.
            (program("true", &[]), "No such file"),
            (program("no-such-program", &[]), "apt install coreutils"),
        ] {
            let error = compress(&wav, Format::Flac, &program)
                .unwrap_err()
                .to_string();
            assert!(error.contains(told), "{error}");
            assert_eq!(fs::read(&wav).unwrap(), b"sound");
            assert_eq!(files(&wav), ["2026.11.call.wav"]);
        }
        fs::remove_dir_all(wav.parent().unwrap()).unwrap();
    }

    #[test]
    fn the_last_runs_recordings_are_found_and_older_ones_left_alone() {
        let wav = recording("left");
        let folder = wav.parent().unwrap();
        let old = folder.join("old.wav");
        fs::write(&old, "sound").unwrap();
        let file = File::options().write(true).open(&old).unwrap();
        file.set_modified(SystemTime::now() - 2 * LEFT_OVER)
            .unwrap();
        for other in ["half.mp3.new", "running.wav.part", "made.mp3"] {
            fs::write(folder.join(other), "sound").unwrap();
        }
        assert_eq!(left_over(folder), std::slice::from_ref(&wav));
        let kept = [
            "2026.11.call.wav",
            "made.mp3",
            "old.wav",
            "running.wav.part",
        ];
        assert_eq!(files(&wav), kept);
        fs::remove_dir_all(folder).unwrap();
    }
}
