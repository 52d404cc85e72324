//! Logs: lines on the error output, in UTC, down to a level that a reload can change; and lines for people on the
//! standard output.
//!
//! A thread writes the log, so that whoever reads it (a terminal, journald) can never hold up a call.

use std::fmt::Display;
use std::io::{self, Write};
use std::iter;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::{Level, error, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Lines that may wait for their reader: some seconds of the busiest switch. Further ones are dropped and counted.
const QUEUE: usize = 8_192;
/// How long the first line waits for others, so that a call's lines cost one wake-up of the thread and one write.
const GATHER: Duration = Duration::from_millis(50);
/// How long the end of the switch waits for the last lines.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The running log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    lines: Lines,
}

/// The way to the writing thread.
#[derive(Clone, Debug)]
struct Lines {
    queue: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    /// The sender is dropped when everything before is written.
    Flush(SyncSender<()>),
}

/// Starts logging; call it once. From now a panic of any thread is logged as an error, with its place.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(level: Level) -> io::Result<Log> {
    let (queue, lines) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let lost = Arc::clone(&dropped);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&lines, &lost, io::stderr()))?;
    let lines = Lines { queue, dropped };
    let (filter, level) = reload::Layer::new(LevelFilter::from(level));
    let writer = lines.clone();
    let layer = fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(false);
    // Fails only where somebody logs already: in a test that starts a second switch.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        error!(place = place.as_deref().unwrap_or("unknown"), "{message}");
    }));
    Ok(Log { level, lines })
}

impl Log {
    /// Logs down to this level from now.
    pub(crate) fn set_level(&self, level: Level) {
        if let Err(error) = self.level.reload(LevelFilter::from(level)) {
            warn!(%error, "the log level stays as it was");
        }
    }

    /// Waits until what was logged is written; call it before the process ends.
    pub(crate) fn flush(&self) {
        let (done, written) = sync_channel(0);
        // A full queue means that nobody reads.
        if self.lines.queue.try_send(Line::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_LIMIT);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Line::Text(text.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writing thread. An output that fails has no reader any more: the switch goes on without.
fn write(lines: &Receiver<Line>, dropped: &AtomicU64, mut output: impl Write) {
    let mut gathered = Vec::new();
    while let Ok(first) = lines.recv() {
        if let Line::Text(_) = first {
            std::thread::sleep(GATHER);
        }
        for line in iter::once(first).chain(lines.try_iter().take(QUEUE)) {
            match line {
                Line::Text(text) => gathered.extend(text),
                Line::Flush(done) => {
                    let _ = output.write_all(&gathered);
                    gathered.clear();
                    drop(done);
                }
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                gathered,
                "{lost} lines of the log were dropped here: its reader is too slow"
            );
        }
        let _ = output.write_all(&gathered);
        gathered.clear();
    }
}

/// Prints a text for people, at once. That nobody reads it (`ringmaster demo | head`) is no reason to end.
pub(crate) fn say(text: impl Display) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_stops_reading_holds_up_nobody_and_is_told_what_it_missed() {
        let (queue, receiver) = sync_channel(4);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut lines = Lines {
            queue,
            dropped: Arc::clone(&dropped),
        };
        for n in 0..10 {
            lines.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
        // Only now somebody reads.
        drop(lines);
        let mut text = Vec::new();
        write(&receiver, &dropped, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "0\n1\n2\n3\n6 lines of the log were dropped here: its reader is too slow\n"
        );
    }
}
