//! The limits of SIP transports and what they counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ::sip::overload::Class;
use ::sip::{Message, Method};

/// Messages that the control loop has not taken yet, some 100 ms of its work. When it is full, UDP datagrams are
/// dropped and counted, and connections are read no further, so that their peers wait.
pub const INBOX: usize = 1024;

/// A message that took longer was held up by something else.
const LONGEST_SERVICE: Duration = Duration::from_millis(10);

/// Messages that may wait for the control loop without anybody asking how long: a few milliseconds of its work.
pub(super) const CALM: usize = 32;

/// Messages that the control loop takes before the socket tasks have their turn: some 2 ms of its work, in which a socket's buffer
/// does not fill up whatever comes, and in which whoever is refused hears it, long before they would ask again.
pub(super) const TURN: usize = 32;

/// Datagrams read from one socket before other tasks get their turn: more than come while the control loop takes `TURN` messages,
/// even at ten times the rate that it can serve, so that what must go first never waits unread behind the rest.
pub(super) const DATAGRAM_BATCH: usize = 512;

/// Refusals that a socket may send for each of its turns: three for each message that the control loop takes meanwhile, as at ten
/// times the rate that it can serve, and at most a quarter of all time. The requests beyond are dropped, and come again (RFC 3261
/// section 21.5.4 allows it).
pub(super) const REFUSALS: usize = 3 * TURN;

/// Refusals that a socket may send at once, if it had turns before in which it sent fewer: what comes while the control loop is held up.
pub(super) const REFUSALS_AT_ONCE: usize = DATAGRAM_BATCH;

/// The receive buffer asked for a UDP socket, in octets: a burst of 2,000 INVITEs. The kernel may grant less.
pub(super) const UDP_RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Datagrams that wait for room in a UDP socket's send buffer. When it is full, further ones are dropped and counted:
/// SIP repeats what matters (RFC 3261 section 17).
pub(super) const UDP_SEND_QUEUE: usize = 1024;

/// Connections that the kernel completes before they are accepted.
pub(super) const ACCEPT_BACKLOG: i32 = 1024;

/// Messages that wait to be written to one connection, also while it is being opened: with `READ_AHEAD`, more than two for each
/// message of a full inbox. One more closes the connection: its peer has not read for long.
pub(super) const WRITE_QUEUE: usize = 4096;

/// Messages that wait to be written to one connection while it is still read. Beyond it the peer must take its answers
/// before it may ask for more.
pub(super) const READ_AHEAD: usize = 64;

/// The pause after the system refused a connection, mostly for want of file descriptors.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The kernel asks a peer for a sign of life when a connection was quiet for so long.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(60);

/// A connection is broken when the peer's kernel acknowledges nothing for so long: less than the 32 s after
/// which a request would time out, more than a phone takes to change its radio cell.
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// The limits of connections: TCP, TLS and WebSockets together. `default` gives those of the switch; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open connections. At the limit the oldest that never sent a message makes room; if there is none, the new one
    /// is refused. 16,384: a phone each for more agents than one machine serves.
    pub connections: usize,
    /// Open connections with one address. The same at the limit. 4,096: a whole office behind one NAT.
    pub connections_per_address: usize,
    /// Time for a connection to open. 4 s: a SYN and two repetitions; longer than any route takes.
    pub connect: Duration,
    /// Time for a message to come whole, and for a new connection's handshakes together with its first message.
    /// 10 s: 64 KiB over a modem.
    pub message: Duration,
    /// Time for the peer to take what is written. 10 s, as for `message`.
    pub write: Duration,
    /// Time without anything from the peer. 3,900 s: a phone that only renews its registration each hour
    /// keeps its connection.
    pub idle: Duration,
    /// Time without anything from the peer of a WebSocket until it gets a ping, and again until it is closed. 50 s: most
    /// HTTP proxies cut a quiet one after 60 s, and browsers' pages cannot send pings.
    pub ping: Duration,
    /// Time to go on after the last octet that can be read, so that no answer is lost with the connection: to write when the peer
    /// has closed its sending half or sent garbage, and then to read on after our last word. 1 s.
    pub linger: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            connections_per_address: 4_096,
            connect: Duration::from_secs(4),
            message: Duration::from_secs(10),
            write: Duration::from_secs(10),
            idle: Duration::from_secs(3_900),
            ping: Duration::from_secs(50),
            linger: Duration::from_secs(1),
        }
    }
}

/// The numbers behind `Counters`, shared with the socket tasks.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: Count,
    pub(super) keep_alives: Count,
    pub(super) faults_answered: Count,
    pub(super) faults_dropped: Count,
    pub(super) inbox_full: Count,
    pub(super) unsent: Count,
    pub(super) connections_refused: Count,
    pub(super) connections_evicted: Count,
    pub(super) refused: Count,
    pub(super) shut_out: Count,
    pub(super) pace: Pace,
    vacancies: AtomicUsize,
    calls: Waiting,
    invites: Waiting,
    registrations: Waiting,
    standing: Waiting,
}

/// Messages of a class that wait for the control loop. What entered while it was calm counts as standing, whatever it is: a few.
#[derive(Debug, Default)]
pub(super) struct Waiting(AtomicUsize);

impl Waiting {
    /// How many.
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One was taken by the control loop.
    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long the control loop takes for a message, while it is busy: a moving average over some 16 messages.
#[derive(Debug, Default)]
pub(super) struct Pace {
    nanoseconds: AtomicU64,
}

impl Pace {
    /// The average.
    pub(super) fn service(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// One more took so long, from when it was taken to when the next one was.
    pub(super) fn served(&self, time: Duration) {
        let before = self.nanoseconds.load(Ordering::Relaxed);
        let time = u64::try_from(time.min(LONGEST_SERVICE).as_nanos()).unwrap_or(u64::MAX);
        let after = before - before / 16 + time / 16;
        self.nanoseconds.store(after, Ordering::Relaxed);
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Counts one.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the SIP transports have done since their start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages handed to the control loop.
    pub messages: u64,
    /// Keep-alives (RFC 5626 section 3.5, STUN too, and what phones send in its place).
    pub keep_alives: u64,
    /// Faulty requests answered with 400, 414, 505 or 513.
    pub faults_answered: u64,
    /// Octets that were no message, or a faulty one that gets no answer.
    pub faults_dropped: u64,
    /// Datagrams dropped because the control loop was behind.
    pub inbox_full: u64,
    /// Messages that could not be sent.
    pub unsent: u64,
    /// Connections refused at a limit.
    pub connections_refused: u64,
    /// Connections closed at a limit to make room.
    pub connections_evicted: u64,
    /// Requests refused with 503, or dropped so that they come again, as the control loop was behind.
    pub refused: u64,
    /// Datagrams of strangers who are banned or ask too much, dropped unread.
    pub shut_out: u64,
}

fn begins_call(class: Class, message: &Message) -> bool {
    class == Class::Calls && message.method() == Some(Method::Invite)
}

impl Tally {
    /// What waits of a class.
    pub(super) fn waiting(&self, class: Class) -> &Waiting {
        match class {
            Class::Calls => &self.calls,
            Class::Registrations => &self.registrations,
            Class::Standing => &self.standing,
        }
    }

    /// A message of a class begins to wait.
    pub(super) fn enters(&self, class: Class, message: &Message) {
        self.waiting(class).enter();
        if begins_call(class, message) {
            self.invites.enter();
        }
    }

    /// The control loop has taken it.
    pub(super) fn leaves(&self, class: Class, message: &Message) {
        self.waiting(class).leave();
        if begins_call(class, message) {
            self.invites.leave();
        }
    }

    /// Whether what waits already takes all places for calls: whatever else is asked meanwhile takes none.
    pub(super) fn is_full(&self) -> bool {
        self.invites.get() >= self.vacancies()
    }

    /// Calls for which there is a place, as the owner has said last.
    pub(super) fn vacancies(&self) -> usize {
        self.vacancies.load(Ordering::Relaxed)
    }

    /// The owner's word for it.
    pub(super) fn set_vacancies(&self, calls: usize) {
        self.vacancies.store(calls, Ordering::Relaxed);
    }

    /// The numbers now.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            messages: self.messages.get(),
            keep_alives: self.keep_alives.get(),
            faults_answered: self.faults_answered.get(),
            faults_dropped: self.faults_dropped.get(),
            inbox_full: self.inbox_full.get(),
            unsent: self.unsent.get(),
            connections_refused: self.connections_refused.get(),
            connections_evicted: self.connections_evicted.get(),
            refused: self.refused.get(),
            shut_out: self.shut_out.get(),
        }
    }
}
