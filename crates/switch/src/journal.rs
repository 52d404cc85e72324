//! Journals: lines of JSON, one file for each day, of which nothing is lost that was told to be safe.
//!
//! One thread writes. Lines that come within a moment of each other share one fsync (group commit). A disk that fails is tried
//! again until it works; its lines wait.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::iter;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::folder;

/// Lines that the thread has not taken yet; more wait in the handle.
const QUEUE: usize = 4_096;
/// Most lines of a group: some megabyte in one write.
pub(crate) const MAX_GROUP: usize = 1_024;
/// How soon a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a failing disk is tried when the switch ends; then the lines are lost, and the log says how many.
const LAST_TRIES: usize = 5;
/// The longest line that is looked at when the end of a file is repaired, in octets; a record of 200 legs has a tenth of it.
const MAX_LINE: u64 = 1 << 20;
/// The end of a file's name; the day stands before it.
const SUFFIX: &str = ".jsonl";

/// What is written.
pub(crate) trait Line: Send + 'static {
    /// What such lines are, for people.
    const WHAT: &str;
    /// Lines that wait for a disk at the most; more are lost, and the log says so.
    const MAX_WAITING: usize;
    /// How long the first line of a group waits for others: most of what a line costs is its share of an fsync.
    const GROUP_DELAY: Duration;

    /// The day that it belongs to (`2026-11-20`).
    fn day(&self) -> &str;

    /// Appends itself, without the newline.
    fn write(&self, octets: &mut Vec<u8>);
}

/// The control loop's side of the writer.
#[derive(Debug)]
pub(crate) struct Journal<L> {
    queue: SyncSender<L>,
    /// Lines that found the queue full, in order.
    backlog: VecDeque<L>,
    /// The last line was lost.
    overflows: bool,
    /// The switch ends: a disk that fails is not tried for ever any more.
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl<L: Line> Journal<L> {
    /// Starts the writer over `folder`, which is made when it is missing; a line that a killed switch left unfinished is
    /// cut. `report` gets the lines that are on disk, on the writer's thread.
    ///
    /// # Errors
    /// The folder cannot be made, read or written to, or another switch writes there.
    pub(crate) fn start(
        folder: &Path,
        report: impl Fn(Vec<L>) + Send + 'static,
    ) -> io::Result<Self> {
        folder::ready(folder)?;
        let today = match newest(folder)? {
            Some(newest) => Some((newest.clone(), open(&newest)?)),
            None => None,
        };
        let (queue, entries) = mpsc::sync_channel(QUEUE);
        let ending = Arc::new(AtomicBool::new(false));
        let mut days = Days {
            folder: folder.to_owned(),
            ending: Arc::clone(&ending),
            today,
        };
        let thread = std::thread::Builder::new()
            .name(L::WHAT.replace(' ', "-"))
            .spawn(move || days.run(&entries, report))?;
        Ok(Self {
            queue,
            backlog: VecDeque::new(),
            overflows: false,
            ending,
            thread,
        })
    }

    /// Takes a line; never blocks.
    pub(crate) fn write(&mut self, line: L) {
        self.flush();
        if self.backlog.len() >= L::MAX_WAITING {
            if !self.overflows {
                error!("{} are lost: too many wait for the disk", L::WHAT);
            }
            self.overflows = true;
            return;
        }
        self.overflows = false;
        self.backlog.push_back(line);
        self.flush();
    }

    /// Hands over lines that found the queue full. Call it after each report: there is room then.
    pub(crate) fn flush(&mut self) {
        while let Some(line) = self.backlog.pop_front() {
            match self.queue.try_send(line) {
                Ok(()) => {}
                Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) => {
                    return self.backlog.push_front(line);
                }
            }
        }
    }

    /// Waits until every line is on disk.
    pub(crate) fn join(self) {
        self.ending.store(true, Ordering::Relaxed);
        for line in self.backlog {
            // Waits for room. Without the thread there is nobody to write, which it has logged.
            let _ = self.queue.send(line);
        }
        drop(self.queue);
        if self.thread.join().is_err() {
            error!("the writer of {} ended by a fault of its own", L::WHAT);
        }
    }
}

/// The writer thread: the file of the day that the newest line belongs to.
#[derive(Debug)]
struct Days {
    folder: PathBuf,
    ending: Arc<AtomicBool>,
    today: Option<(PathBuf, File)>,
}

impl Days {
    fn run<L: Line>(&mut self, entries: &Receiver<L>, report: impl Fn(Vec<L>)) {
        while let Ok(first) = entries.recv() {
            // A group at midnight belongs to two files.
            let mut days: BTreeMap<String, Vec<L>> = BTreeMap::new();
            for line in collect(first, entries, &self.ending) {
                days.entry(line.day().to_owned()).or_default().push(line);
            }
            for (day, group) in days {
                if self.write_until_safe(L::WHAT, &day, &lines(&group)) {
                    report(group);
                } else {
                    let (what, lost) = (L::WHAT, group.len());
                    error!(lost, "{what} are lost: the switch ends and the disk fails");
                }
            }
        }
    }

    /// Whether the lines are on disk; they are not only when the switch ends and the disk goes on failing.
    fn write_until_safe(&mut self, what: &str, day: &str, lines: &[u8]) -> bool {
        let path = day_file(&self.folder, day);
        let mut failures = 0;
        while let Err(error) = self.append(&path, lines) {
            if failures == 0 {
                warn!(path = %path.display(), %error, "{what} wait for the disk");
            }
            failures += 1;
            if failures >= LAST_TRIES && self.ending.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(RETRY);
        }
        if failures > 0 {
            info!(failures, "{what} are written again");
        }
        true
    }

    /// Writes the lines and waits until the disk has them.
    fn append(&mut self, path: &Path, lines: &[u8]) -> io::Result<()> {
        let mut file = match self.today.take() {
            Some((today, file)) if today == path && is_still(path, &file) => file,
            Some(_) | None => open(path)?,
        };
        let length = file.metadata()?.len();
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // What was written is written once more by the next try. If even this fails, opening the file repairs its end.
            file.set_len(length)?;
        }
        self.today = Some((path.to_owned(), file));
        written
    }
}

/// The first line and those that come soon after it; when the switch ends, nobody waits.
fn collect<L: Line>(first: L, entries: &Receiver<L>, ending: &AtomicBool) -> Vec<L> {
    if !ending.load(Ordering::Relaxed) && !L::GROUP_DELAY.is_zero() {
        std::thread::sleep(L::GROUP_DELAY);
    }
    let others = entries.try_iter().take(MAX_GROUP - 1);
    iter::once(first).chain(others).collect()
}

fn lines<L: Line>(group: &[L]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in group {
        line.write(&mut lines);
        lines.push(b'\n');
    }
    lines
}

/// Whether the path leads to this file; an administrator may have moved it away.
fn is_still(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// The file of a day.
pub(crate) fn day_file(folder: &Path, day: &str) -> PathBuf {
    folder.join(format!("{day}{SUFFIX}"))
}

/// Opens a day's file to append; whole lines stand before. The lock keeps a second switch from writing between our lines.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let reason = format!("another switch writes to {}", path.display());
            return Err(io::Error::new(io::ErrorKind::WouldBlock, reason));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    repair(&file, path)?;
    if let Some(folder) = path.parent() {
        // So that the new file's name survives a power cut.
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// The file that was written last: its name tells the day.
pub(crate) fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    Ok(days(folder)?.pop().map(|(_, path)| path))
}

/// Each file and its day, in order.
pub(crate) fn days(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut days = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(day) = name.and_then(|name| name.strip_suffix(SUFFIX)) {
            days.push((day.to_owned(), path));
        }
    }
    days.sort();
    Ok(days)
}

/// Makes a file end with a whole line: a line that a killed process left unfinished is cut, for nobody was told that it is
/// safe; a whole one without its newline gets it.
fn repair(mut file: &File, path: &Path) -> io::Result<()> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_LINE);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(MAX_LINE).read_to_end(&mut end)?;
    if end.is_empty() || end.ends_with(b"\n") {
        return Ok(());
    }
    let whole = end
        .iter()
        .rposition(|octet| *octet == b'\n')
        .map_or(0, |newline| newline + 1);
    let last = &end[whole..];
    if serde_json::from_slice::<serde::de::IgnoredAny>(last).is_ok() {
        file.write_all(b"\n")?;
        return file.sync_data();
    }
    warn!(path = %path.display(), octets = last.len(), "cut a line that a killed switch left unfinished");
    file.set_len(start + whole as u64)?;
    file.sync_data()
}
