//! RTP: worker threads that own the sockets and the mixers, and the control loop's handle to them.
//!
//! ```text
//! control loop --Command, bounded channel and eventfd--> worker thread: epoll, Mixer, sockets
//! control loop <--Event, bounded channel---------------- worker thread --batches of Tap--> recorder thread
//! ```
//! A worker shares nothing on the packet path: no lock, no allocation, no await. What a full channel means:
//! commands wait in the handle, events wait in the worker, taps are dropped and counted.

mod identity;
mod outbox;
mod passage;
mod share;
mod socket;
mod stock;
mod worker;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use media::mixer::{Command, Limits, Port, Tap};
use media::{Identity, LegId};
use tokio::sync::mpsc;
use tracing::error;

pub use stock::{LOW_WATER, QUARANTINE};
pub use worker::Counters;

use outbox::{Events, Taps};
use passage::{Order, passage};
use share::Share;
use socket::{Poller, RtpSocket, Waker};
use stock::Stock;
use worker::{Shared, Worker};

/// Commands that one worker has not taken yet: as many as 400 calls that end at the same moment cause.
/// When it is full, commands wait in the handle (`BACKLOG`).
const COMMAND_CHANNEL: usize = 4096;

/// Commands that wait in the handle for one worker. A worker so far behind has been stuck for seconds;
/// further commands are dropped and logged.
const BACKLOG: usize = 65_536;

/// How soon commands that found the channel full are tried again.
const COMMAND_RETRY: Duration = Duration::from_millis(5);

/// Events that the control loop has not taken yet. When it is full, events wait in their worker.
const EVENT_CHANNEL: usize = 4096;

/// Batches that the recorder has not taken yet: 5 s of one worker. When it is full, packets are dropped and
/// counted, and the calls go on.
const TAP_CHANNEL: usize = 256;

/// What the workers are told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Local addresses of RTP, none of them unspecified: they stand in the session descriptions.
    pub addresses: Vec<IpAddr>,
    /// The range of RTP ports; even ones are used.
    pub ports: RangeInclusive<u16>,
    /// Worker threads, at least 1; more than there are processors gain nothing.
    pub workers: u16,
    /// Most sockets that all workers together bind, two for each port: the rest of the open files that the system allows is
    /// for others.
    pub sockets: usize,
    /// The limits of each mixer.
    pub limits: Limits,
    /// Feeds SSRCs, sequence numbers and the first ports.
    pub seed: u64,
}

/// Why RTP did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address is configured.
    #[error("no RTP address")]
    NoAddress,
    /// A session description cannot name this address.
    #[error("RTP address {0} is a wildcard: name the address that phones can reach")]
    Unspecified(IpAddr),
    /// This machine has no such address.
    #[error("RTP address {address}: {source}")]
    Address {
        /// The address.
        address: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The range has fewer even ports than there are workers.
    #[error("RTP ports {first}-{last}: not one even port for each of {workers} workers")]
    Ports {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
        /// The workers.
        workers: u16,
    },
    /// A worker thread could not be made.
    #[error("RTP worker: {0}")]
    Thread(io::Error),
    /// A certificate for DTLS could not be made.
    #[error("certificate for DTLS: {0}")]
    Identity(String),
}

/// What the workers tell the control loop.
#[derive(Debug)]
pub enum Event {
    /// These ports are bound and may be opened, each once. After `media::Event::Closed` a port
    /// comes here again when its quarantine is over.
    Ports(Vec<Port>),
    /// What a mixer tells. Never lost.
    Media(media::Event),
    /// A worker's mixer panicked. `Silent` (after zero) and `Closed` follow for each of its legs; the worker goes on.
    Panicked {
        /// The index of the worker.
        worker: u16,
        /// How many legs it had.
        legs: usize,
        /// The panic's message.
        message: String,
    },
}

/// The control loop's side of one worker.
#[derive(Debug)]
struct Handle {
    orders: SyncSender<Order>,
    /// Orders that found the channel full, in order.
    backlog: VecDeque<Order>,
    waker: Waker,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The RTP workers. Dropping it ends them.
#[derive(Debug)]
pub struct Rtp {
    workers: Vec<Handle>,
    events: mpsc::Receiver<Event>,
    fingerprint: [u8; 32],
}

impl Rtp {
    /// Starts the workers. The receiver is for the recorder thread: batches in order for each recording.
    ///
    /// # Errors
    /// An address is missing, is a wildcard or is not of this machine; too few ports; no threads.
    pub fn start(settings: &Settings) -> Result<(Self, Receiver<Vec<Tap>>), StartError> {
        check(settings)?;
        let identity = Arc::new(identity::make().map_err(StartError::Identity)?);
        let (event_sender, events) = mpsc::channel(EVENT_CHANNEL);
        let (tap_sender, taps) = sync_channel(TAP_CHANNEL);
        let mut workers = Vec::new();
        for index in 0..settings.workers {
            let sender = event_sender.clone();
            let identity = Arc::clone(&identity);
            let worker = start_worker(index, settings, identity, sender, tap_sender.clone());
            workers.push(worker.map_err(StartError::Thread)?);
        }
        let fingerprint = identity.fingerprint();
        Ok((
            Self {
                workers,
                events,
                fingerprint,
            },
            taps,
        ))
    }

    /// The SHA-256 of the certificate that the workers show in DTLS.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// A command for the worker that its leg lives on; never blocks. It leaves with the next `flush`.
    pub fn send(&mut self, worker: u16, command: Command) {
        self.order(worker, Order::Media(Box::new(command)));
    }

    /// A leg lives on another worker from now on; never blocks. It leaves with the next `flush`, in order with commands. Its port
    /// comes back to its own worker when the leg is closed.
    pub fn pass(&mut self, leg: LegId, from: u16, to: u16) {
        let (give, take) = passage(leg);
        self.order(from, give);
        self.order(to, take);
    }

    fn order(&mut self, worker: u16, order: Order) {
        let Some(handle) = self.workers.get_mut(usize::from(worker)) else {
            error!(worker, ?order, "order for a worker that does not exist");
            return;
        };
        if handle.backlog.len() >= BACKLOG {
            error!(worker, ?order, "order dropped: the RTP worker is stuck");
            return;
        }
        handle.backlog.push_back(order);
    }

    /// Hands all that was sent to the workers, and wakes each at most once. A worker that is behind gets it later.
    pub fn flush(&mut self) {
        for handle in &mut self.workers {
            handle.flush();
        }
    }

    /// What the workers tell next. May be dropped at any await and called again.
    pub async fn recv(&mut self) -> Event {
        self.flush();
        loop {
            let behind = self.workers.iter().any(|handle| !handle.backlog.is_empty());
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => return event,
                    // All workers have ended, which they do only when this is dropped.
                    None => std::future::pending().await,
                },
                () = tokio::time::sleep(COMMAND_RETRY), if behind => self.flush(),
            }
        }
    }

    /// What each worker has done and holds.
    #[must_use]
    pub fn counters(&self) -> Vec<Counters> {
        let counters = self
            .workers
            .iter()
            .map(|handle| handle.shared.counters.load());
        counters.collect()
    }
}

impl Drop for Rtp {
    fn drop(&mut self) {
        for handle in &self.workers {
            handle.shared.stop.store(true, Ordering::Relaxed);
            handle.waker.wake();
        }
        for handle in &mut self.workers {
            if let Some(thread) = handle.thread.take() {
                // A worker catches its panics; there is nobody left to tell of another.
                let _ = thread.join();
            }
        }
    }
}

impl Handle {
    /// Moves orders from the backlog to the channel while there is room.
    fn flush(&mut self) {
        let mut moved = false;
        while let Some(order) = self.backlog.pop_front() {
            match self.orders.try_send(order) {
                Ok(()) => moved = true,
                Err(TrySendError::Full(order)) => {
                    self.backlog.push_front(order);
                    break;
                }
                // The thread is gone, and its legs with it.
                Err(TrySendError::Disconnected(_)) => self.backlog.clear(),
            }
        }
        if moved {
            self.waker.wake();
        }
    }
}

fn check(settings: &Settings) -> Result<(), StartError> {
    if settings.addresses.is_empty() {
        return Err(StartError::NoAddress);
    }
    for &address in &settings.addresses {
        if address.is_unspecified() {
            return Err(StartError::Unspecified(address));
        }
        RtpSocket::bind(SocketAddr::new(address, 0))
            .map_err(|source| StartError::Address { address, source })?;
    }
    let last_worker = settings.workers.saturating_sub(1);
    let share = Share::new(&settings.ports, last_worker, settings.workers.max(1));
    if settings.workers == 0 || share.count() == 0 {
        return Err(StartError::Ports {
            first: *settings.ports.start(),
            last: *settings.ports.end(),
            workers: settings.workers,
        });
    }
    Ok(())
}

fn start_worker(
    index: u16,
    settings: &Settings,
    identity: Arc<Identity>,
    events: mpsc::Sender<Event>,
    taps: SyncSender<Vec<Tap>>,
) -> io::Result<Handle> {
    let (orders, receiver) = sync_channel(COMMAND_CHANNEL);
    let shared = Arc::new(Shared::default());
    let poller = Poller::new()?;
    let waker = poller.waker();
    // Far apart, so that the workers' mixers never walk through the same seeds.
    let seed = settings.seed.wrapping_add(u64::from(index) << 48);
    let share = Share::new(&settings.ports, index, settings.workers);
    let most = settings.sockets / 2 / usize::from(settings.workers);
    let worker = Worker {
        index,
        limits: settings.limits,
        identity,
        seed,
        orders: receiver,
        awaited: None,
        shared: Arc::clone(&shared),
        poller,
        stock: Stock::new(index, &settings.addresses, share, most, seed),
        events: Events::new(events),
        taps: Taps::new(taps),
    };
    let thread = std::thread::Builder::new()
        .name(format!("rtp-{index}"))
        .spawn(move || worker.run())?;
    Ok(Handle {
        orders,
        backlog: VecDeque::new(),
        waker,
        shared,
        thread: Some(thread),
    })
}
