//! Call records: one JSON line for each call, one file for each day, safe on disk before the call is forgotten.
//!
//! One thread writes. Records that come within a moment of each other share one fsync (group commit). A disk that fails
//! is tried again until it works; its records wait, and with them their calls, so that at `max_calls` new calls are refused.

mod spent;

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

use call::CallRecord;
use call::exchange::CallId;
use tracing::{error, info, warn};

use crate::folder;
pub(crate) use spent::{since_midnight, spent_on};

/// Records that the thread has not taken yet; more wait in the handle, one at most for each call that the exchange holds.
const QUEUE: usize = 4_096;
/// How long the first record of a group waits for others: most of what a record costs is its share of an fsync.
const GROUP_DELAY: Duration = Duration::from_millis(100);
/// Most records of a group: some megabyte in one write.
const MAX_GROUP: usize = 1_024;
/// How soon a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a failing disk is tried when the switch ends; then the records are lost, and the log says how many.
const LAST_TRIES: usize = 5;
/// The longest line that is looked at when the end of a file is repaired, in octets; a record of 200 legs has a tenth of it.
const MAX_LINE: u64 = 1 << 20;
/// The end of a file's name; the day stands before it.
const SUFFIX: &str = ".jsonl";

/// The control loop's side of the writer.
#[derive(Debug)]
pub(crate) struct CallRecords {
    queue: SyncSender<Entry>,
    /// Records that found the queue full, in order.
    backlog: VecDeque<Entry>,
    /// The switch ends: a disk that fails is not tried for ever any more.
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// A record on its way to the disk.
#[derive(Debug)]
struct Entry {
    call: CallId,
    record: Box<CallRecord>,
}

impl CallRecords {
    /// Starts the writer over `folder`, which is made when it is missing; a line that a killed switch left unfinished is
    /// cut. `report` gets the calls whose records are on disk, on the writer's thread.
    ///
    /// # Errors
    /// The folder cannot be made, read or written to, or another switch writes there.
    pub(crate) fn start(
        folder: &Path,
        report: impl Fn(Vec<CallId>) + Send + 'static,
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
            .name("call-records".to_owned())
            .spawn(move || days.run(&entries, report))?;
        Ok(Self {
            queue,
            backlog: VecDeque::new(),
            ending,
            thread,
        })
    }

    /// Takes a record; never blocks.
    pub(crate) fn write(&mut self, call: CallId, record: Box<CallRecord>) {
        self.backlog.push_back(Entry { call, record });
        self.flush();
    }

    /// Hands over records that found the queue full. Call it after each report: there is room then.
    pub(crate) fn flush(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            match self.queue.try_send(entry) {
                Ok(()) => {}
                Err(TrySendError::Full(entry) | TrySendError::Disconnected(entry)) => {
                    return self.backlog.push_front(entry);
                }
            }
        }
    }

    /// Waits until every record is on disk.
    pub(crate) fn join(self) {
        self.ending.store(true, Ordering::Relaxed);
        for entry in self.backlog {
            // Waits for room. Without the thread there is nobody to write, which it has logged.
            let _ = self.queue.send(entry);
        }
        drop(self.queue);
        if self.thread.join().is_err() {
            error!("the writer of call records ended by a fault of its own");
        }
    }
}

/// The writer thread: the file of the day that the newest record belongs to.
#[derive(Debug)]
struct Days {
    folder: PathBuf,
    ending: Arc<AtomicBool>,
    today: Option<(PathBuf, File)>,
}

impl Days {
    fn run(&mut self, entries: &Receiver<Entry>, report: impl Fn(Vec<CallId>)) {
        while let Ok(first) = entries.recv() {
            // A group at midnight belongs to two files.
            let mut days: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
            for entry in collect(first, entries, &self.ending) {
                // The end is RFC 3339: the day is its first ten characters.
                let day = entry
                    .record
                    .end
                    .get(..10)
                    .unwrap_or("unknown-day")
                    .to_owned();
                days.entry(day).or_default().push(entry);
            }
            for (day, group) in days {
                if self.write_until_safe(&day, &lines(&group)) {
                    report(group.iter().map(|entry| entry.call).collect());
                } else {
                    error!(
                        lost = group.len(),
                        "call records are lost: the switch ends and the disk fails"
                    );
                }
            }
        }
    }

    /// Whether the lines are on disk; they are not only when the switch ends and the disk goes on failing.
    fn write_until_safe(&mut self, day: &str, lines: &[u8]) -> bool {
        let path = day_file(&self.folder, day);
        let mut failures = 0;
        while let Err(error) = self.append(&path, lines) {
            if failures == 0 {
                warn!(path = %path.display(), %error, "call records wait for the disk");
            }
            failures += 1;
            if failures >= LAST_TRIES && self.ending.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(RETRY);
        }
        if failures > 0 {
            info!(failures, "call records are written again");
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

/// The first record and those that come soon after it; when the switch ends, nobody waits.
fn collect(first: Entry, entries: &Receiver<Entry>, ending: &AtomicBool) -> Vec<Entry> {
    if !ending.load(Ordering::Relaxed) {
        std::thread::sleep(GROUP_DELAY);
    }
    let others = entries.try_iter().take(MAX_GROUP - 1);
    iter::once(first).chain(others).collect()
}

fn lines(group: &[Entry]) -> Vec<u8> {
    let mut lines = Vec::new();
    for Entry { record, .. } in group {
        serde_json::to_writer(&mut lines, record)
            .expect("a call record is made of texts and numbers");
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
fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == &SUFFIX[1..]);
        if is_ours && newest.as_ref().is_none_or(|newest| *newest < path) {
            newest = Some(path);
        }
    }
    Ok(newest)
}

/// Makes a file end with a whole line: a line that a killed process left unfinished is cut, for nobody was told that it is
/// safe; a whole record without its newline gets it.
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
    warn!(path = %path.display(), octets = last.len(), "cut a call record that a killed switch left unfinished");
    file.set_len(start + whole as u64)?;
    file.sync_data()
}

#[cfg(test)]
mod tests;
