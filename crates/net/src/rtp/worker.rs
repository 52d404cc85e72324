//! The loop of one RTP worker thread: wait, receive, mix, send.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use media::mixer::{Command, Component, Limits, PortIndex, StreamStats};
use media::{Identity, LegId, Mixer, Output, Transmit};
use tracing::{error, trace, warn};

use super::Event;
use super::outbox::{Events, Taps};
use super::passage::{Order, Parcel};
use super::socket::{MAX_DATAGRAM, Poller, Readiness, Ready};
use super::stock::Stock;

/// With many legs the worker looks at its sockets once in this time and takes all that came: measured with
/// 200 legs, a forwarded packet costs 5.6 us of CPU against 10.7 us when each packet wakes the thread.
/// The price is a delay of 1 ms on average, 2 ms at most.
const WINDOW: Duration = Duration::from_millis(2);

/// Legs from which on a window pays: each brings 50 packets a second, so that four wait in a window.
/// With fewer the thread would wake for nothing more often than packets come.
const MIN_LEGS_FOR_WINDOW: usize = 40;

/// With very many legs this is long enough for many packets to come, and shortens the delay: with 750 calls on a busy machine the
/// median fell from some 2.0 to 1.4 ms, for some 5 % more CPU.
const SHORT_WINDOW: Duration = Duration::from_millis(1);

/// Legs from which on the window is short: 50 packets wait in it.
const MIN_LEGS_FOR_SHORT_WINDOW: usize = 1_000;

/// How soon events that found the channel full are tried again.
const EVENT_RETRY: Duration = Duration::from_millis(5);

/// How soon a worker looks again for a leg that another one is to give it.
const PASSAGE_RETRY: Duration = Duration::from_millis(1);

/// Orders taken between two looks at the sockets: at some 5 us each, 1 ms.
const MAX_ORDERS: usize = 200;

/// Pause after a panic, so that one that repeats does not eat the processor.
const PANIC_PAUSE: Duration = Duration::from_millis(100);

/// What a worker counts, for all to read.
#[derive(Debug, Default)]
pub(super) struct Published {
    received: AtomicU64,
    sent: AtomicU64,
    send_failures: AtomicU64,
    taps_dropped: AtomicU64,
    ports_bound: AtomicU64,
    legs_open: AtomicU64,
}

/// What a worker has done and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received on ports of open legs.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the kernel did not take.
    pub send_failures: u64,
    /// Packets that a recording misses because the recorder was behind.
    pub taps_dropped: u64,
    /// RTP ports bound.
    pub ports_bound: u64,
    /// Legs open.
    pub legs_open: u64,
}

impl Published {
    fn store(&self, counters: Counters) {
        self.received.store(counters.received, Ordering::Relaxed);
        self.sent.store(counters.sent, Ordering::Relaxed);
        self.send_failures
            .store(counters.send_failures, Ordering::Relaxed);
        self.taps_dropped
            .store(counters.taps_dropped, Ordering::Relaxed);
        self.ports_bound
            .store(counters.ports_bound, Ordering::Relaxed);
        self.legs_open.store(counters.legs_open, Ordering::Relaxed);
    }

    /// What the worker counted at the end of its last turn.
    pub(super) fn load(&self) -> Counters {
        Counters {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            send_failures: self.send_failures.load(Ordering::Relaxed),
            taps_dropped: self.taps_dropped.load(Ordering::Relaxed),
            ports_bound: self.ports_bound.load(Ordering::Relaxed),
            legs_open: self.legs_open.load(Ordering::Relaxed),
        }
    }
}

/// What a worker shares with the rest of the switch.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The worker shall end.
    pub(super) stop: AtomicBool,
    /// What it counts.
    pub(super) counters: Published,
}

/// One worker's everything.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) index: u16,
    pub(super) limits: Limits,
    /// For DTLS.
    pub(super) identity: Arc<Identity>,
    pub(super) seed: u64,
    pub(super) orders: Receiver<Order>,
    /// The leg that all further orders wait for.
    pub(super) awaited: Option<Receiver<Parcel>>,
    pub(super) shared: Arc<Shared>,
    pub(super) poller: Poller,
    pub(super) stock: Stock,
    pub(super) events: Events,
    pub(super) taps: Taps,
}

impl Worker {
    /// Works until told to stop. A panic ends the legs of this worker, not the worker: its sockets are whole,
    /// only the mixer is replaced.
    pub(super) fn run(mut self) {
        let mut counters = Counters::default();
        let mut life = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let mixer = Mixer::new(self.limits, self.seed.wrapping_add(life))
                .with_identity(Arc::clone(&self.identity));
            let turns = AssertUnwindSafe(|| {
                Turns {
                    worker: &mut self,
                    mixer,
                    counters: &mut counters,
                    ready: Ready::new(),
                    buffer: [0; MAX_DATAGRAM],
                }
                .run();
            });
            if let Err(panic) = catch_unwind(turns) {
                self.bury(crate::panic_message(&*panic));
                std::thread::sleep(PANIC_PAUSE);
            }
            life += 1;
        }
        self.taps.finish(Instant::now());
    }

    /// Tells call control that all legs are gone: each fell silent and is closed.
    fn bury(&mut self, message: &str) {
        let now = Instant::now();
        let legs = self.stock.legs();
        error!(
            worker = self.index,
            legs = legs.len(),
            message,
            "RTP worker panicked"
        );
        self.events.push(Event::Panicked {
            worker: self.index,
            legs: legs.len(),
            message: message.to_owned(),
        });
        for (leg, port) in legs {
            self.stock.close(port, now, &self.poller);
            let after = Duration::ZERO;
            let stats = StreamStats::default();
            self.events
                .push(Event::Media(media::Event::Silent { leg, after }));
            self.events
                .push(Event::Media(media::Event::Closed { leg, port, stats }));
        }
        self.taps.end_all(now);
    }
}

/// The turns of a worker with one mixer.
struct Turns<'a> {
    worker: &'a mut Worker,
    mixer: Mixer,
    counters: &'a mut Counters,
    ready: Ready,
    /// The datagram in hand: received, changed by the mixer, sent.
    buffer: [u8; MAX_DATAGRAM],
}

impl Turns<'_> {
    fn run(&mut self) {
        let mut now = Instant::now();
        while !self.worker.shared.stop.load(Ordering::Relaxed) {
            self.restock(now);
            let deadline = self.deadline(now);
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            self.worker.poller.wait(&mut self.ready, timeout);
            now = Instant::now();
            self.take_ready(now);
            if self.worker.awaited.is_some() {
                self.take_orders(now);
            }
            if self.mixer.poll_timeout().is_some_and(|(at, _)| at <= now) {
                self.mixer.handle_timeout(now);
                self.drain(now);
            }
            self.worker.taps.flush(now);
            self.worker.events.flush();
            self.publish();
            self.collect(now);
        }
    }

    /// When the worker has something to do though nothing comes.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let Worker {
            stock,
            events,
            taps,
            awaited,
            ..
        } = &*self.worker;
        let mixer = self.mixer.poll_timeout().map(|(at, _)| at);
        let retry = events.is_waiting().then(|| now + EVENT_RETRY);
        let passage = awaited.is_some().then(|| now + PASSAGE_RETRY);
        let others = [stock.next_replenish(), taps.next_flush(), retry, passage];
        mixer.into_iter().chain(others.into_iter().flatten()).min()
    }

    fn take_ready(&mut self, now: Instant) {
        for position in 0..self.ready.len() {
            match self.ready.get(position, &self.worker.poller) {
                Readiness::Rtp(index) => self.receive(index, now),
                Readiness::Rtcp(index) => self.receive_rtcp(index, now),
                Readiness::Woken => self.take_orders(now),
            }
        }
        self.drain(now);
    }

    fn receive(&mut self, index: PortIndex, now: Instant) {
        // The leg may have been closed since the wait.
        let Some(sockets) = self.worker.stock.open_sockets(index) else {
            return;
        };
        if let Some((length, source)) = sockets.rtp.receive(&mut self.buffer) {
            self.counters.received += 1;
            let mixer = &mut self.mixer;
            let transmit = mixer.handle_packet(index, source, &mut self.buffer, length, now);
            if let Some(transmit) = transmit {
                self.send(transmit);
            }
        }
    }

    fn receive_rtcp(&mut self, index: PortIndex, now: Instant) {
        let sockets = self.worker.stock.open_sockets(index);
        let received = sockets.and_then(|sockets| sockets.rtcp.receive(&mut self.buffer));
        if let Some((length, source)) = received {
            let packet = &mut self.buffer[..length];
            self.mixer.handle_rtcp(index, source, packet, now);
        }
    }

    /// Sends the packet that lies at the start of the buffer.
    fn send(&mut self, transmit: Transmit) {
        let packet = &self.buffer[..transmit.len];
        let sockets = self.worker.stock.open_sockets(transmit.port);
        let socket = sockets.map(|sockets| match transmit.component {
            Component::Rtp => &sockets.rtp,
            Component::Rtcp => &sockets.rtcp,
        });
        let sent = socket.is_some_and(|socket| socket.send(transmit.to, packet).is_ok());
        self.counters.sent += u64::from(sent);
        self.counters.send_failures += u64::from(!sent);
    }

    fn take_orders(&mut self, now: Instant) {
        for _ in 0..MAX_ORDERS {
            if !self.has_arrived(now) {
                return;
            }
            let Ok(order) = self.worker.orders.try_recv() else {
                return;
            };
            trace!(worker = self.worker.index, ?order, "order");
            match order {
                Order::Media(command) => {
                    if self.open_port(&command) {
                        self.mixer.handle_command(*command, now);
                    }
                }
                Order::Give(leg, to) => self.give(leg, &to, now),
                Order::Take(from) => self.worker.awaited = Some(from),
            }
            self.drain(now);
        }
        // More may wait, and their signal is used up.
        self.worker.poller.waker().wake();
    }

    /// A leg leaves for another worker.
    fn give(&mut self, leg: LegId, to: &SyncSender<Parcel>, now: Instant) {
        let Worker { stock, poller, .. } = &mut *self.worker;
        if let Some(passenger) = self.mixer.take_out(leg, now)
            && let Some(sockets) = stock.lend(passenger.port(), now, poller)
        {
            // There is room for the one parcel. Nobody takes it only when the switch ends.
            let _ = to.try_send(Parcel { passenger, sockets });
        }
    }

    /// Whether no leg is awaited any more: it is there, or there will be none.
    fn has_arrived(&mut self, now: Instant) -> bool {
        let Worker {
            stock,
            poller,
            events,
            awaited,
            ..
        } = &mut *self.worker;
        let Some(from) = awaited else {
            return true;
        };
        let Parcel { passenger, sockets } = match from.try_recv() {
            Ok(parcel) => parcel,
            Err(TryRecvError::Empty) => return false,
            // It was closed before it could leave.
            Err(TryRecvError::Disconnected) => {
                *awaited = None;
                return true;
            }
        };
        *awaited = None;
        let (leg, port) = (passenger.leg(), passenger.port());
        match stock.host(leg, port.local, sockets, poller) {
            Ok(port) => self.mixer.take_in(passenger, port, now),
            Err(error) => {
                warn!(leg = leg.0, %error, "leg without a port");
                let stats = passenger.stats();
                let closed = media::Event::Closed { leg, port, stats };
                events.push(Event::Media(closed));
            }
        }
        true
    }

    /// Gives the leg of an `Open` its sockets; a leg that gets none is closed at once. Other commands need none.
    fn open_port(&mut self, command: &Command) -> bool {
        let Command::Open { leg, port, .. } = *command else {
            return true;
        };
        let Worker {
            stock,
            poller,
            events,
            ..
        } = &mut *self.worker;
        let Err(error) = stock.open(leg, port, poller) else {
            return true;
        };
        warn!(leg = leg.0, %error, "leg without a port");
        let stats = StreamStats::default();
        let closed = media::Event::Closed { leg, port, stats };
        events.push(Event::Media(closed));
        false
    }

    /// Lets out what the mixer has to say.
    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.mixer.poll_output(&mut self.buffer) {
            match output {
                Output::Send(transmit) => self.send(transmit),
                Output::Event(event) => {
                    let worker = &mut *self.worker;
                    if let media::Event::Closed { port, .. } = event {
                        worker.stock.close(port, now, &worker.poller);
                    }
                    worker.events.push(Event::Media(event));
                }
                Output::Tap(tap) => self.worker.taps.push(tap, now),
            }
        }
    }

    fn restock(&mut self, now: Instant) {
        let fresh = self.worker.stock.replenish(now);
        if !fresh.is_empty() {
            self.worker.events.push(Event::Ports(fresh));
        }
    }

    fn publish(&mut self) {
        let Worker {
            stock,
            taps,
            shared,
            ..
        } = &*self.worker;
        self.counters.taps_dropped = taps.dropped();
        self.counters.ports_bound = stock.bound_count() as u64;
        self.counters.legs_open = stock.open_count() as u64;
        shared.counters.store(*self.counters);
    }

    /// Lets packets collect until the window that began at `now` is over, if there are enough legs.
    /// Frames that fall due meanwhile leave at its end.
    fn collect(&self, now: Instant) {
        let window = match self.worker.stock.open_count() {
            ..MIN_LEGS_FOR_WINDOW => return,
            MIN_LEGS_FOR_WINDOW..MIN_LEGS_FOR_SHORT_WINDOW => WINDOW,
            MIN_LEGS_FOR_SHORT_WINDOW.. => SHORT_WINDOW,
        };
        if !self.ready.is_full() {
            std::thread::sleep(window.saturating_sub(now.elapsed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::share::Share;
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn a_panic_ends_the_legs_of_a_worker_and_tells_each() {
        let (_commands, receiver) = std::sync::mpsc::sync_channel(1);
        let (sender, mut events) = tokio::sync::mpsc::channel(10);
        let (tap_sender, _taps) = std::sync::mpsc::sync_channel(1);
        let address = IpAddr::from([127, 77, 0, 20]);
        let share = Share::new(&(20_000..=20_003), 0, 1);
        let mut worker = Worker {
            index: 3,
            limits: Limits {
                rtp_timeout: Duration::ZERO,
                hold_timeout: Duration::ZERO,
            },
            identity: Arc::new(super::super::identity::make().unwrap()),
            seed: 0,
            orders: receiver,
            awaited: None,
            shared: Arc::default(),
            poller: Poller::new().unwrap(),
            stock: Stock::new(3, &[address], share, usize::MAX, 0),
            events: Events::new(sender),
            taps: Taps::new(tap_sender),
        };
        let port = worker.stock.replenish(Instant::now())[0];
        let leg = LegId(9);
        worker.stock.open(leg, port, &worker.poller).unwrap();
        let panic = catch_unwind(|| panic!("at {}", 7)).unwrap_err();

        worker.bury(crate::panic_message(&*panic));

        let told = events.try_recv().unwrap();
        assert!(
            matches!(&told, Event::Panicked { worker: 3, legs: 1, message } if message == "at 7"),
            "{told:?}"
        );
        let told = events.try_recv().unwrap();
        assert!(matches!(
            told,
            Event::Media(media::Event::Silent { leg: LegId(9), .. })
        ));
        let told = events.try_recv().unwrap();
        assert!(matches!(
            told,
            Event::Media(media::Event::Closed { leg: LegId(9), .. })
        ));
        assert_eq!(worker.stock.open_count(), 0);
    }
}
