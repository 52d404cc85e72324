//! The recorder: one thread that turns tapped packets into stereo WAV files, left = customer, right = agent.
//!
//! A recording is `NAME.wav.part` until it is closed. Its header is made valid several times a second, so that a killed
//! process leaves a file that plays. A second thread closes files (fsync takes its time) and, at the start, makes good
//! what a killed process left: such a file becomes `NAME.partial.wav`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hound::{SampleFormat, WavSpec, WavWriter};
use media::Event;
use media::mixer::{RecordingId, Tap};
use media::recording::Aligner;
use tracing::{debug, warn};

use crate::folder;

use self::compress::Compressor;
pub(crate) use self::compress::Format;

mod compress;
mod repair;

/// Both sides at 8 kHz, 16 bits.
const SPEC: WavSpec = WavSpec {
    channels: 2,
    sample_rate: 8_000,
    bits_per_sample: 16,
    sample_format: SampleFormat::Int,
};
/// Samples of both sides in a second.
const SAMPLES_PER_SECOND: u64 = 16_000;
/// Octets of the header that this makes.
const HEADER_OCTETS: usize = repair::HEADER as usize;
/// How often a recording is written and its header made valid. With the half second that the aligner holds back
/// (late packets), less than one second is lost when the process is killed.
const FLUSH_INTERVAL: Duration = Duration::from_millis(300);
/// Files that may wait to be closed. Beyond it the recorder waits for the disk, and the RTP workers' channel of taps fills.
const CLOSING_QUEUE: usize = 1_024;
/// Most recordings at once; more than calls that one process carries. A further one is refused.
const MAX_RECORDINGS: usize = 20_000;
/// Longest recording: a WAV file cannot hold more than 4 GiB, which is 37 h. After it the call goes on unrecorded.
const MAX_LENGTH: Duration = Duration::from_secs(24 * 3_600);

/// Folders below the recordings folder: the template of names has a few; deeper is not ours.
const MAX_DEPTH: usize = 16;

/// The end of an unfinished recording's name.
const PART: &str = ".part";

/// The recorder's threads. They end when the RTP workers have ended.
#[derive(Debug)]
pub(crate) struct Recorder {
    threads: [JoinHandle<()>; 3],
}

impl Recorder {
    /// Starts the recorder of `taps` over `folder`, which is made when it is missing; complete recordings become files of `format`. `report` gets one [`Event::Recorded`] for each
    /// recording, on a thread of the recorder, when the file has its final name (or has none, and why).
    ///
    /// # Errors
    /// The folder cannot be made, or a thread cannot be started.
    pub(crate) fn start(
        folder: &Path,
        format: Format,
        taps: Receiver<Vec<Tap>>,
        report: impl Fn(Event) + Send + 'static,
    ) -> io::Result<Self> {
        folder::ready(folder)?;
        let (closing, closed) = mpsc::sync_channel(CLOSING_QUEUE);
        let root = folder.to_owned();
        let desk = Desk {
            folder: folder.to_owned(),
            open: BTreeMap::new(),
            newest: Instant::now(),
            closing,
        };
        let compressor = Compressor::start(folder, format)?;
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = [
            thread("recorder").spawn(move || desk.run(&taps))?,
            thread("recording-close").spawn(move || {
                for recording in closed {
                    let path = recording.path.clone();
                    let event = recording.close();
                    let is_whole = matches!(event, Event::Recorded { result: Ok(_), .. });
                    report(event);
                    if is_whole {
                        compressor.take(&path);
                    }
                }
            })?,
            thread("recording-repair").spawn(move || repair::all_below(&root))?,
        ];
        Ok(Self { threads })
    }

    /// Waits until all recordings are closed. End the RTP workers before.
    pub(crate) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                warn!("a thread of the recorder ended by a fault of its own");
            }
        }
    }
}

/// The recorder thread: all open recordings.
struct Desk {
    folder: PathBuf,
    open: BTreeMap<RecordingId, Recording>,
    /// The time of the newest tap.
    newest: Instant,
    closing: SyncSender<Closing>,
}

impl Desk {
    fn run(mut self, taps: &Receiver<Vec<Tap>>) {
        let mut next_flush = Instant::now() + FLUSH_INTERVAL;
        loop {
            match taps.recv_timeout(next_flush.saturating_duration_since(Instant::now())) {
                Ok(batch) => self.handle_all(&batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            if now >= next_flush {
                // A recorder that is behind must not take for silence what still waits in the channel.
                let waiting = taps.try_recv().ok();
                let settled = if waiting.is_some() { self.newest } else { now };
                for recording in self.open.values_mut() {
                    recording.flush(settled);
                }
                waiting.iter().for_each(|batch| self.handle_all(batch));
                next_flush = now + FLUSH_INTERVAL;
            }
        }
        let now = Instant::now();
        for (_, recording) in std::mem::take(&mut self.open) {
            self.close(recording, now);
        }
    }

    fn handle_all(&mut self, batch: &[Tap]) {
        for tap in batch {
            let (Tap::Start { at, .. } | Tap::Packet { at, .. } | Tap::End { at, .. }) = tap;
            self.newest = self.newest.max(*at);
            self.handle(tap);
        }
    }

    fn handle(&mut self, tap: &Tap) {
        match tap {
            Tap::Start {
                recording,
                path,
                at,
            } => self.start(*recording, path, *at),
            Tap::Packet { recording, .. } => {
                if let Some(open) = self.open.get_mut(recording) {
                    open.align(|aligner, _| aligner.handle_tap(tap));
                }
            }
            Tap::End { recording, at } => {
                if let Some(open) = self.open.remove(recording) {
                    self.close(open, *at);
                }
            }
        }
    }

    fn start(&mut self, id: RecordingId, name: &Path, at: Instant) {
        let opened = if self.open.len() >= MAX_RECORDINGS {
            Err(format!("{MAX_RECORDINGS} recordings are open already"))
        } else {
            Tape::open(&self.folder, name, at).map_err(|error| error.to_string())
        };
        let mut recording = Recording {
            id,
            path: self.folder.join(name),
            start: at,
            sink: Sink::Refused {
                reason: String::new(),
            },
            samples: Vec::new(),
            written: 0,
        };
        match opened {
            Ok(tape) => recording.sink = Sink::Open(Box::new(tape)),
            Err(reason) => recording.fail(reason),
        }
        self.open.insert(id, recording);
    }

    fn close(&self, recording: Recording, at: Instant) {
        let id = recording.id;
        if self.closing.send(recording.finish(at)).is_err() {
            warn!(
                recording = id.0,
                "stays unfinished until the next start: the closing thread is gone"
            );
        }
    }
}

/// One recording, from its start to its end.
struct Recording {
    id: RecordingId,
    path: PathBuf,
    start: Instant,
    sink: Sink,
    /// Samples of both sides on their way to the file; the memory is used again.
    samples: Vec<i16>,
    /// Samples of both sides in the file.
    written: u64,
}

/// Where samples go.
enum Sink {
    /// Into the file.
    Open(Box<Tape>),
    /// Nowhere any more; what the file holds is kept.
    Failed { file: File, reason: String },
    /// Nowhere: there is no file.
    Refused { reason: String },
}

impl Recording {
    /// Lets the aligner work. A fault of it ends this recording and no other.
    fn align(&mut self, work: impl FnOnce(&mut Aligner, &mut Vec<i16>)) {
        if let Sink::Open(tape) = &mut self.sink {
            let samples = &mut self.samples;
            let aligned = catch_unwind(AssertUnwindSafe(|| work(&mut tape.aligner, samples)));
            if aligned.is_err() {
                self.fail("a fault of Ringmaster, which its log shows".to_owned());
            }
        }
    }

    /// Writes what is settled at `now` and makes the header valid.
    fn flush(&mut self, now: Instant) {
        self.align(|aligner, samples| aligner.advance(now, samples));
        self.write(now);
    }

    fn write(&mut self, now: Instant) {
        let too_long = now.saturating_duration_since(self.start) > MAX_LENGTH;
        let result = match &mut self.sink {
            Sink::Open(_) if too_long => Err(format!("longer than {MAX_LENGTH:?}")),
            Sink::Open(tape) => tape.write(&self.samples).map_err(|error| error.to_string()),
            Sink::Failed { .. } | Sink::Refused { .. } => return self.samples.clear(),
        };
        match result {
            Ok(()) => self.written += self.samples.len() as u64,
            Err(reason) => self.fail(reason),
        }
        self.samples.clear();
    }

    /// The call goes on; what is on disk until now is kept.
    fn fail(&mut self, reason: String) {
        warn!(recording = self.id.0, %reason, "the rest of the conversation is not recorded");
        debug!(recording = self.id.0, path = %self.path.display(), "the file of that recording");
        let sink = std::mem::replace(
            &mut self.sink,
            Sink::Refused {
                reason: reason.clone(),
            },
        );
        let file = match sink {
            Sink::Open(tape) => tape.file,
            Sink::Failed { file, .. } => file,
            Sink::Refused { .. } => return,
        };
        self.sink = Sink::Failed { file, reason };
    }

    fn finish(mut self, at: Instant) -> Closing {
        self.align(|aligner, samples| {
            std::mem::replace(aligner, Aligner::new(at)).finish(at, samples);
        });
        self.write(at);
        Closing {
            recording: self.id,
            length: Duration::from_millis(self.written * 1_000 / SAMPLES_PER_SECOND),
            path: self.path,
            sink: self.sink,
        }
    }
}

/// An unfinished file and what comes before it.
struct Tape {
    aligner: Aligner,
    /// It carries the lock that keeps `repair` away.
    file: File,
    /// The beginning of the file, with the lengths of what is in it now.
    header: [u8; HEADER_OCTETS],
    /// Octets of samples in the file.
    length: u32,
    /// Samples as they are written; the memory is used again.
    octets: Vec<u8>,
}

impl Tape {
    fn open(folder: &Path, name: &Path, at: Instant) -> Result<Self, hound::Error> {
        // Call control makes names safe; a template of an administrator can still be wrong.
        if !name
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            let reason = "the name of a recording must lead to a place below the recordings folder";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason).into());
        }
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if path.try_exists()? {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a recording of this name",
            )
            .into());
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(part(&path))?;
        file.lock()?;
        WavWriter::new(file.try_clone()?, SPEC)?.finalize()?;
        let mut header = [0; HEADER_OCTETS];
        file.read_exact_at(&mut header, 0)?;
        Ok(Self {
            aligner: Aligner::new(at),
            file,
            header,
            length: 0,
            octets: Vec::new(),
        })
    }

    /// Two system calls: the samples, and then the header that is valid for what is there now.
    fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        self.octets.clear();
        self.octets
            .extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let end = HEADER_OCTETS as u64 + u64::from(self.length);
        let octets = u32::try_from(self.octets.len()).ok();
        let length = octets.and_then(|octets| self.length.checked_add(octets));
        // What follows the first eight octets counts for the outer length.
        let outer = length.and_then(|length| length.checked_add(HEADER_OCTETS as u32 - 8));
        let (Some(length), Some(outer)) = (length, outer) else {
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.file.write_all_at(&self.octets, end)?;
        self.length = length;
        self.header[4..8].copy_from_slice(&outer.to_le_bytes());
        self.header[HEADER_OCTETS - 4..].copy_from_slice(&length.to_le_bytes());
        self.file.write_all_at(&self.header, 0)
    }
}

/// A recording that has ended, on its way to its final name.
struct Closing {
    recording: RecordingId,
    path: PathBuf,
    /// What the file holds.
    length: Duration,
    sink: Sink,
}

impl Closing {
    /// Brings the file to the disk and gives it its final name.
    fn close(self) -> Event {
        let seconds = self.length.as_secs_f64();
        let result = match &self.sink {
            Sink::Open(tape) => tape
                .file
                .sync_all()
                .and_then(|()| rename(&part(&self.path), &self.path))
                .map(|()| self.length)
                .map_err(|error| format!("{error}; the file kept its .part name")),
            Sink::Failed { file, reason } => Err(match repair::finish(file, &part(&self.path)) {
                Ok(()) => format!(
                    "{reason}; the first {seconds:.1} s are in the file that ends in .partial.wav"
                ),
                Err(error) => format!("{reason}; and then {error}"),
            }),
            Sink::Refused { reason } => Err(reason.clone()),
        };
        Event::Recorded {
            recording: self.recording,
            result,
        }
    }
}

/// Calls `found` for each file below a folder.
fn files_below(folder: &Path, found: &mut impl FnMut(&Path)) {
    visit(folder, MAX_DEPTH, found);
}

fn visit(folder: &Path, depth: usize, found: &mut impl FnMut(&Path)) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            warn!(folder = %folder.display(), %error, "cannot look through recordings");
            return;
        }
    };
    for entry in entries.flatten() {
        // A link is never followed: it may lead anywhere, also in a circle.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => visit(&entry.path(), depth - 1, found),
            Ok(kind) if kind.is_file() => found(&entry.path()),
            Ok(_) | Err(_) => {}
        }
    }
}

/// The name of a recording that is not finished.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    PathBuf::from(name)
}

/// Renames a file so that the new name survives a power cut.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
