//! The switch's side: from the control loop to all who watch.

use std::io::{self, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use net::local_socket::LocalListener;
use sip::Flow;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::warn;

use super::door;
use super::frame::{Frame, GREETING};
use super::hep::Exporter;
use super::{Dialog, Direction, Export, Passed};
use crate::config;
use crate::control::Notice;

/// Messages on their way from the control loop to the hub: some 100 ms of a busy switch. Further ones are counted as lost.
const QUEUE: usize = 4_096;
/// Messages that wait for one reader. Further ones are counted as lost, and the reader is told.
const READER_QUEUE: usize = 4_096;
/// Readers at once: people at shells. A further one finds the door closed.
const MAX_READERS: usize = 8;
/// A reader that is gone is noticed after so long, even if no message passes.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// What is gathered before it is written to a reader, in octets.
const BUFFER: usize = 64 * 1024;

/// What the hub's queue carries.
pub(super) enum Item {
    Frame(Frame),
    Reader(UnixStream),
}

/// The control loop's side. Costs a branch while nobody watches, and never waits.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    is_open: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    queue: SyncSender<Item>,
    /// A monotonic moment, and how long after 1970 it was.
    anchor: (Instant, Duration),
}

/// The running trace; dropping it closes its socket.
#[derive(Debug)]
pub(crate) struct Trace {
    door: Option<AbortHandle>,
}

impl Trace {
    /// Starts the trace. A door that cannot be opened, or a collector without a way to it, is logged: telephony goes on
    /// without. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        settings: &config::Trace,
        notices: mpsc::Sender<Notice>,
    ) -> io::Result<(Tap, Self)> {
        let socket = &settings.socket;
        let (queue, items) = sync_channel(QUEUE);
        let tap = Tap {
            is_open: Arc::default(),
            lost: Arc::default(),
            queue,
            anchor: (
                Instant::now(),
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
        };
        let mut hub = Hub {
            is_open: Arc::clone(&tap.is_open),
            lost: Arc::clone(&tap.lost),
            readers: Vec::new(),
            exports: 0,
            notices: notices.clone(),
        };
        if let Some(export) = &settings.export {
            hub.export(export)?;
        }
        std::thread::Builder::new()
            .name("trace".to_owned())
            .spawn(move || hub.run(&items))?;
        let door = match open(socket) {
            Ok(listener) => {
                let admit = door::admit(listener, tap.queue.clone(), notices);
                Some(tokio::spawn(admit).abort_handle())
            }
            Err(error) => {
                warn!(socket = %socket.display(), %error, "`ringmaster trace` and `why` cannot reach this switch; set socket of [trace]");
                None
            }
        };
        Ok((tap, Self { door }))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Some(door) = &self.door {
            door.abort();
        }
    }
}

fn open(socket: &Path) -> io::Result<LocalListener> {
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder)?;
    }
    LocalListener::bind(socket)
}

impl Tap {
    /// Whether somebody watches.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// A message came from a peer.
    pub(crate) fn received(&self, flow: Flow, octets: &Bytes, now: Instant) {
        if self.is_open() {
            self.pass(Direction::Received, flow, octets.clone(), now);
        }
    }

    /// A message leaves to a peer.
    pub(crate) fn sent(&self, flow: Flow, octets: &Bytes) {
        if self.is_open() {
            self.pass(Direction::Sent, flow, octets.clone(), Instant::now());
        }
    }

    /// A dialog belongs to a call.
    pub(crate) fn dialog(&self, call: String, call_id: String) {
        self.push(Frame::Dialog(Dialog { call, call_id }));
    }

    fn pass(&self, direction: Direction, flow: Flow, octets: Bytes, now: Instant) {
        let (instant, since_1970) = self.anchor;
        self.push(Frame::Message(Passed {
            at: since_1970 + now.saturating_duration_since(instant),
            direction,
            flow,
            octets,
        }));
    }

    fn push(&self, frame: Frame) {
        if self.queue.try_send(Item::Frame(frame)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The hub's thread: gives each frame to each reader.
struct Hub {
    is_open: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    readers: Vec<Reader>,
    /// How many of the readers are collectors.
    exports: usize,
    notices: mpsc::Sender<Notice>,
}

/// Somebody who watches, or the collector.
struct Reader {
    queue: SyncSender<Arc<Frame>>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Hub {
    fn run(mut self, items: &Receiver<Item>) {
        if self.exports > 0 {
            // A control loop that is gone has nothing to tell.
            let _ = self.notices.blocking_send(Notice::Watched);
        }
        while let Ok(item) = items.recv() {
            match item {
                Item::Frame(frame) => self.give(frame),
                Item::Reader(stream) => self.admit(stream),
            }
        }
    }

    fn give(&mut self, frame: Frame) {
        let frame = Arc::new(frame);
        let lost = self.lost.swap(0, Ordering::Relaxed);
        self.readers.retain(|reader| {
            let full = match reader.queue.try_send(Arc::clone(&frame)) {
                Ok(()) => 0,
                Err(TrySendError::Full(_)) => 1,
                Err(TrySendError::Disconnected(_)) => return false,
            };
            reader.lost.fetch_add(lost + full, Ordering::Relaxed);
            true
        });
        if self.readers.is_empty() {
            self.is_open.store(false, Ordering::Relaxed);
        }
    }

    /// From now everything goes to a collector.
    fn export(&mut self, export: &Export) -> io::Result<()> {
        match Exporter::new(export) {
            Ok(exporter) => {
                self.add("hep", move |frames, lost| exporter.run(frames, lost))?;
                self.exports = 1;
                self.is_open.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                warn!(collector = %export.collector, %error, "no HEP export; set hep of [trace]");
            }
        }
        Ok(())
    }

    /// A thread with a queue of its own, to the end of either.
    fn add(
        &mut self,
        name: &str,
        read: impl FnOnce(&Receiver<Arc<Frame>>, &AtomicU64) + Send + 'static,
    ) -> io::Result<()> {
        let (queue, frames) = sync_channel(READER_QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&lost);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || read(&frames, &told))?;
        self.readers.push(Reader {
            queue,
            lost,
            thread,
        });
        Ok(())
    }

    fn admit(&mut self, stream: UnixStream) {
        self.readers.retain(|reader| !reader.thread.is_finished());
        if self.readers.len() - self.exports >= MAX_READERS {
            return warn!(
                readers = MAX_READERS,
                "no further reader of the trace admitted"
            );
        }
        // Before the greeting: who has read it misses nothing.
        self.is_open.store(true, Ordering::Relaxed);
        let write = |frames: &_, lost: &_| drop(write(stream, frames, lost));
        if let Err(error) = self.add("trace-reader", write) {
            return warn!(%error, "no reader of the trace admitted");
        }
        // The standing dialogs are told for the new reader. A control loop that is gone has none.
        let _ = self.notices.blocking_send(Notice::Watched);
    }
}

/// Writes frames until the reader is gone.
fn write(stream: UnixStream, frames: &Receiver<Arc<Frame>>, lost: &AtomicU64) -> io::Result<()> {
    let mut stream = BufWriter::with_capacity(BUFFER, stream);
    stream.write_all(GREETING)?;
    loop {
        stream.flush()?;
        match frames.recv_timeout(HEARTBEAT) {
            Ok(frame) => frame.write(&mut stream)?,
            Err(RecvTimeoutError::Timeout) => Frame::Lost(0).write(&mut stream)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        for frame in frames.try_iter().take(READER_QUEUE) {
            frame.write(&mut stream)?;
        }
        let missed = lost.swap(0, Ordering::Relaxed);
        if missed > 0 {
            Frame::Lost(missed).write(&mut stream)?;
        }
    }
}

#[cfg(test)]
mod tests;
