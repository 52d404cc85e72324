//! The load generator: phones and streams in one loop on one core, with the time of every event.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::rtp::{PACKET_TIME, Stream, Tally};
use crate::sip::phone::Counters;
use crate::sip::{Event, Phone};
use crate::speech::Speech;

/// Most readiness reports taken at once; more wait for the next turn.
const REPORTS: usize = 256;
/// A SIP message or RTP packet on loopback is smaller.
const DATAGRAM_OCTETS: usize = 8192;
/// A packet that leaves later than this after its time shows a generator (or machine) that does not keep up.
pub(crate) const LATE: Duration = Duration::from_millis(10);

/// Something happened to a phone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening {
    /// The index of the phone.
    pub(crate) phone: usize,
    /// What.
    pub(crate) event: Event,
    /// When it was read from the socket.
    pub(crate) at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Phone(usize),
    Stream(usize),
}

impl Source {
    fn token(self) -> u64 {
        match self {
            Self::Phone(index) => index as u64 * 2,
            Self::Stream(index) => index as u64 * 2 + 1,
        }
    }

    fn from_token(token: u64) -> Self {
        let index = (token / 2) as usize;
        if token.is_multiple_of(2) {
            Self::Phone(index)
        } else {
            Self::Stream(index)
        }
    }
}

/// Phones, streams and their clock.
pub(crate) struct Load {
    epoll: OwnedFd,
    phones: Vec<Phone>,
    streams: Vec<Stream>,
    start: Instant,
    timers: BinaryHeap<Reverse<(Instant, Source)>>,
    /// The earliest timer that waits for each phone, so that a phone is not entered twice for the same deadline.
    armed: Vec<Option<Instant>>,
    happenings: VecDeque<Happening>,
    marking: bool,
    late: u64,
    buffer: Vec<u8>,
    reports: Vec<epoll::Event>,
    events: Vec<Event>,
}

impl Load {
    /// An idle generator.
    pub(crate) fn new() -> Result<Self, String> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| format!("no epoll: {error}"))?;
        Ok(Self {
            epoll,
            phones: Vec::new(),
            streams: Vec::new(),
            start: Instant::now(),
            timers: BinaryHeap::new(),
            armed: Vec::new(),
            happenings: VecDeque::new(),
            marking: false,
            late: 0,
            buffer: vec![0; DATAGRAM_OCTETS],
            reports: Vec::with_capacity(REPORTS),
            events: Vec::new(),
        })
    }

    /// Adds a phone and returns its index.
    pub(crate) fn add_phone(&mut self, phone: Phone) -> Result<usize, String> {
        let index = self.phones.len();
        self.watch(&phone, Source::Phone(index))?;
        self.phones.push(phone);
        self.armed.push(None);
        Ok(index)
    }

    /// Gives away the phones from this index on.
    pub(crate) fn give_away(&mut self, from: usize) -> Result<Vec<Phone>, String> {
        let phones = self.phones.split_off(from);
        self.armed.truncate(from);
        self.timers.retain(
            |Reverse((_, source))| !matches!(source, Source::Phone(index) if *index >= from),
        );
        for phone in &phones {
            epoll::delete(&self.epoll, phone).map_err(|error| format!("epoll: {error}"))?;
        }
        Ok(phones)
    }

    /// Adds a stream and returns its index, which is also its mark.
    pub(crate) fn add_stream(&mut self) -> Result<usize, String> {
        let index = self.streams.len();
        let stream = Stream::new(index as u32)?;
        self.watch(&stream, Source::Stream(index))?;
        self.streams.push(stream);
        Ok(index)
    }

    fn watch(&self, source: &impl std::os::fd::AsFd, name: Source) -> Result<(), String> {
        epoll::add(
            &self.epoll,
            source,
            epoll::EventData::new_u64(name.token()),
            epoll::EventFlags::IN,
        )
        .map_err(|error| format!("epoll refuses a socket: {error}"))
    }

    /// Where a stream listens.
    pub(crate) fn stream_address(&self, stream: usize) -> SocketAddr {
        self.streams[stream].local()
    }

    /// Two streams talk from now, each sending to its own address; their packets are spread over the 20 ms.
    pub(crate) fn talk(&mut self, a: (usize, SocketAddr), b: (usize, SocketAddr)) {
        self.talk_to(a.0, a.1, b.0);
        self.talk_to(b.0, b.1, a.0);
    }

    /// A stream talks to that address from now, and hears the stream `partner`.
    pub(crate) fn talk_to(&mut self, stream: usize, to: SocketAddr, partner: usize) {
        self.streams[stream].connect(to, partner as u32);
        // The golden ratio spreads any number of streams evenly.
        let phase = PACKET_TIME.mul_f64((stream as f64 * 0.618_034).fract());
        let start = Instant::now() + phase;
        self.timers.push(Reverse((start, Source::Stream(stream))));
    }

    /// A stream says that, once it talks, and hears what cannot be marked.
    pub(crate) fn say(&mut self, stream: usize, speech: &Arc<Speech>) {
        self.streams[stream].say(Arc::clone(speech));
    }

    /// The stream of a phone is encrypted if the phone's call is; both have the same index.
    pub(crate) fn encrypt(&mut self, index: usize) -> Result<(), String> {
        match self.phones[index].keys() {
            Some((ours, theirs)) => self.streams[index].encrypt(ours, theirs),
            None => Ok(()),
        }
    }

    /// How many packets that stream heard which heard the fewest, of those that hear what cannot be marked.
    pub(crate) fn fewest_heard(&self) -> u64 {
        let heard = self.streams.iter().filter_map(Stream::heard);
        heard.min().unwrap_or_default()
    }

    /// All streams are silent from now.
    pub(crate) fn silence(&mut self) {
        for stream in &mut self.streams {
            stream.disconnect();
        }
    }

    /// Whether packets carry their mark from now.
    pub(crate) fn mark(&mut self, marking: bool) {
        self.marking = marking;
    }

    /// What all streams counted, together, and how many packets left late.
    pub(crate) fn take_tally(&mut self) -> (Tally, u64) {
        let mut sum = Tally::default();
        for one in self.streams.iter_mut().map(Stream::take_tally) {
            sum.sent += one.sent;
            sum.received += one.received;
            sum.duplicates += one.duplicates;
            sum.foreign += one.foreign;
            sum.delays.extend(one.delays);
            sum.heard += one.heard;
            sum.gaps += one.gaps;
            sum.silent += one.silent;
        }
        (sum, std::mem::take(&mut self.late))
    }

    /// What all phones had to do beside the straight way.
    pub(crate) fn counters(&self) -> Counters {
        self.phones
            .iter()
            .map(Phone::counters)
            .fold(Counters::default(), |sum, one| Counters {
                retransmissions: sum.retransmissions + one.retransmissions,
                challenges: sum.challenges + one.challenges,
                timeouts: sum.timeouts + one.timeouts,
            })
    }

    /// Lets the load run for a while; what happens to phones is dropped.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        while self.next(until)?.is_some() {}
        Ok(())
    }

    /// The next thing that happens to a phone; None when `until` has come. RTP flows meanwhile.
    pub(crate) fn next(&mut self, until: Instant) -> Result<Option<Happening>, String> {
        loop {
            if let Some(happening) = self.happenings.pop_front() {
                return Ok(Some(happening));
            }
            let now = Instant::now();
            self.fire(now);
            if now >= until {
                return Ok(None);
            }
            if self.happenings.is_empty() {
                self.wait(until)?;
            }
        }
    }

    /// Tells a phone to do something.
    pub(crate) fn command(&mut self, phone: usize, command: impl FnOnce(&mut Phone, Instant)) {
        command(&mut self.phones[phone], Instant::now());
        self.arm(phone);
    }

    /// Whether a phone has a call.
    pub(crate) fn is_busy(&self, phone: usize) -> bool {
        self.phones[phone].is_busy()
    }

    fn arm(&mut self, index: usize) {
        if let Some(deadline) = self.phones[index].deadline()
            && self.armed[index].is_none_or(|armed| deadline < armed)
        {
            self.armed[index] = Some(deadline);
            self.timers.push(Reverse((deadline, Source::Phone(index))));
        }
    }

    fn fire(&mut self, now: Instant) {
        while let Some(&Reverse((due, source))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            match source {
                Source::Stream(index) => {
                    if self.streams[index].send(self.marking, now - self.start) {
                        self.late += u64::from(now - due > LATE);
                        self.timers.push(Reverse((due + PACKET_TIME, source)));
                    }
                }
                Source::Phone(index) => {
                    self.armed[index] = None;
                    self.phones[index].expire(now, &mut self.events);
                    self.collect(index, now);
                }
            }
        }
    }

    fn wait(&mut self, until: Instant) -> Result<(), String> {
        let next = self
            .timers
            .peek()
            .map_or(until, |Reverse((due, _))| (*due).min(until));
        let wait = next.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        self.reports.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.reports),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("epoll: {error}")),
        }
        let reports = std::mem::take(&mut self.reports);
        for report in &reports {
            match Source::from_token(report.data.u64()) {
                // One packet a report: a stream has one every 20 ms, and a second read would find nothing.
                Source::Stream(index) => {
                    self.streams[index].receive(&mut self.buffer, self.start);
                }
                Source::Phone(index) => {
                    let now = Instant::now();
                    self.phones[index].receive(&mut self.buffer, now, &mut self.events);
                    self.collect(index, now);
                }
            }
        }
        self.reports = reports;
        Ok(())
    }

    fn collect(&mut self, phone: usize, at: Instant) {
        self.arm(phone);
        self.happenings.extend(
            self.events
                .drain(..)
                .map(|event| Happening { phone, event, at }),
        );
    }
}
