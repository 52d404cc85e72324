//! The world of a test: one switch, its phones, the network between them, and the only clock.

mod media;
mod rest;
mod signalling;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::{Index, IndexMut};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use ::media::mixer::{Limits, Mixer, Port, PortIndex, RecordingId};
use ::media::recording::Aligner;
use call::exchange::CallId;
use call::trunk::{LookUp, LookUpId, Proofs};
use call::{CallRecord, Exchange};

use crate::ladder::Ladder;
use crate::network::{Delivery, Fate, Network};
use crate::phone::{Access, Phone};
use crate::site::Site;
use crate::stopwatch::Stopwatch;

const FRAME: Duration = Duration::from_millis(20);
/// RTP ports of the switch for each family, unless a test says otherwise.
const PORTS: u16 = 1_000;
/// 2026-11-20 21:20:00 UTC, the wall time at which every world begins.
const BEGINNING: u64 = 1_795_209_600;
/// Where the first connection of a phone comes from.
const FIRST_CONNECTION: u16 = 49_152;

/// A phone of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhoneId(usize);

/// How the recorder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorder {
    /// Well.
    Works,
    /// Every recording ends at once: the disk is full.
    Fails,
    /// It says nothing at all.
    Stuck,
}

/// Who does the switch's media.
#[derive(Debug)]
enum Media {
    /// One for each RTP worker.
    Mixers(Vec<Mixer>),
    Stopwatch(Stopwatch),
}

type Watch = Box<dyn FnMut(&World)>;

/// See the module.
pub struct World {
    now: Instant,
    start: Instant,
    /// The switch.
    pub exchange: Exchange,
    media: Media,
    phones: Vec<Phone>,
    /// When each phone wants to be woken, and the same in order.
    alarms: Vec<Option<Instant>>,
    wakes: BTreeSet<(Instant, PhoneId)>,
    by_source: BTreeMap<SocketAddr, PhoneId>,
    by_rtp: BTreeMap<SocketAddr, PhoneId>,
    /// All RTP ports, and where those are now whose legs were passed on.
    rtp_ports: BTreeMap<SocketAddr, Port>,
    passed: BTreeMap<SocketAddr, Port>,
    /// How many legs were passed on.
    pub passes: usize,
    network: Network,
    /// What becomes of the next message of each kind (`> ACK`) between a phone and the switch.
    fates: Vec<(PhoneId, String, Fate)>,
    next_frame: Instant,
    ladder: Ladder,
    /// The call records, in the order in which they were written.
    pub records: Vec<CallRecord>,
    /// The queue log, since `Exchange::open_queue_log`.
    pub queue_log: Vec<call::queue_log::Entry>,
    /// Which dialog belongs to which call (the call's name, the Call-ID), since `Exchange::watch`.
    pub dialogs: Vec<(String, String)>,
    aligners: BTreeMap<RecordingId, (PathBuf, Aligner)>,
    /// The finished recordings: left and right samples by path.
    pub recordings: BTreeMap<PathBuf, Vec<[i16; 2]>>,
    /// How the recorder does.
    pub recorder: Recorder,
    /// The RTP worker does nothing that it is asked for.
    pub worker_is_stuck: bool,
    /// No RTP port can be opened: each new stream is closed at once.
    pub ports_are_broken: bool,
    /// Call records wait for `write_records`.
    pub disk_is_full: bool,
    unwritten: Vec<CallId>,
    /// What the switch wants to have looked up, and was not told.
    pub look_ups: Vec<(LookUpId, LookUp)>,
    /// What the switch wants proved over TLS, and where.
    pub proofs: Proofs,
    /// Called after every step of the world, for invariants.
    watch: Option<Watch>,
}

impl World {
    /// A switch with this site's settings, and audio.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self::with_ports(site, PORTS)
    }

    /// The same with so many RTP ports for each family.
    #[must_use]
    pub fn with_ports(site: Site, ports: u16) -> Self {
        Self::with_workers(site, ports, 1)
    }

    /// The same with so many RTP workers, which have the ports in turn.
    #[must_use]
    pub fn with_workers(site: Site, ports: u16, workers: u16) -> Self {
        let limits = Limits {
            rtp_timeout: Duration::from_secs(30),
            hold_timeout: Duration::from_secs(1_800),
        };
        let mixers = (0..workers).map(|worker| Mixer::new(limits, 7 + u64::from(worker)));
        Self::build(site, ports, Media::Mixers(mixers.collect()))
    }

    /// The same without sound and ladder: hours pass in seconds.
    #[must_use]
    pub fn silent(site: Site) -> Self {
        Self::build(site, PORTS, Media::Stopwatch(Stopwatch::default()))
    }

    fn build(site: Site, ports: u16, media: Media) -> Self {
        let start = Instant::now();
        let wall = UNIX_EPOCH + Duration::from_secs(BEGINNING);
        let mut exchange = Exchange::new(site.settings, [42; 32], start, wall);
        let address = |n: u16| SocketAddr::new(switch(n >= ports).ip(), 10_000 + 2 * n);
        let workers = match &media {
            Media::Mixers(mixers) => mixers.len() as u16,
            Media::Stopwatch(_) => 1,
        };
        let ports: Vec<Port> = (0..2 * ports)
            .map(|n| Port {
                worker: n % workers,
                index: PortIndex(n),
                local: address(n),
            })
            .collect();
        exchange.handle_ports(&ports);
        Self {
            now: start,
            start,
            exchange,
            media,
            phones: Vec::new(),
            alarms: Vec::new(),
            wakes: BTreeSet::new(),
            by_source: BTreeMap::new(),
            by_rtp: BTreeMap::new(),
            rtp_ports: ports.iter().map(|port| (port.local, *port)).collect(),
            passed: BTreeMap::new(),
            passes: 0,
            network: Network::default(),
            fates: Vec::new(),
            next_frame: start,
            ladder: Ladder::default(),
            records: Vec::new(),
            queue_log: Vec::new(),
            dialogs: Vec::new(),
            aligners: BTreeMap::new(),
            recordings: BTreeMap::new(),
            recorder: Recorder::Works,
            worker_is_stuck: false,
            ports_are_broken: false,
            disk_is_full: false,
            unwritten: Vec::new(),
            look_ups: Vec::new(),
            proofs: Proofs::default(),
            watch: None,
        }
    }

    /// Calls `watch` after every step.
    pub fn watch(&mut self, watch: impl FnMut(&World) + 'static) {
        self.watch = Some(Box::new(watch));
    }

    /// From now the network loses `loss` of 100 datagrams each way and delays each by up to `jitter` milliseconds.
    pub fn worsen_network(&mut self, loss: u64, jitter: u64, seed: u64) {
        self.network.worsen(loss, jitter, seed);
    }

    /// The `n`-th datagram from now, counted from 0 in both directions, is lost.
    pub fn lose(&mut self, n: u64) {
        self.network.lose(n);
    }

    /// Whether the datagram of `lose` has been lost.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.network.has_lost()
    }

    /// The next message between this phone and the switch that ladders call so (`> ACK`, `< 200 (INVITE)`) has this fate.
    pub fn meddle(&mut self, phone: PhoneId, message: &str, fate: Fate) {
        self.fates.push((phone, message.to_owned(), fate));
    }

    // --- phones --------------------------------------------------------------------------------------------------

    /// A phone for `account` over UDP, not registered yet.
    pub fn phone(&mut self, account: &str) -> PhoneId {
        self.phone_with(account, Access::UDP)
    }

    /// A phone for `account`; the second of an account is called `201b`, the third `201c`.
    pub fn phone_with(&mut self, account: &str, access: Access) -> PhoneId {
        let id = PhoneId(self.phones.len());
        let place = u16::try_from(id.0 + 1).expect("at most 65,535 phones");
        let [high, low] = place.to_be_bytes();
        let ip = if access.ipv6 {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, place))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
        };
        let twins = self.phones.iter().filter(|phone| phone.account == account);
        let name = match twins.count() {
            0 => account.to_owned(),
            twins => format!("{account}{}", char::from(b'a' + twins as u8)),
        };
        let contact = SocketAddr::new(ip, 5060);
        let mut phone = Phone::new(&name, account, access, contact, switch(access.ipv6));
        if access.transport.is_reliable() {
            phone.source.set_port(FIRST_CONNECTION);
        }
        self.by_source.insert(phone.source, id);
        self.by_rtp.insert(phone.rtp(), id);
        self.phones.push(phone);
        self.alarms.push(None);
        id
    }

    /// A phone over UDP that is registered.
    ///
    /// # Panics
    /// If the switch refuses it.
    pub fn registered(&mut self, account: &str) -> PhoneId {
        self.registered_with(account, Access::UDP)
    }

    /// A phone that is registered.
    ///
    /// # Panics
    /// If the switch refuses it.
    pub fn registered_with(&mut self, account: &str, access: Access) -> PhoneId {
        let phone = self.phone_with(account, access);
        self.act(phone, |phone, now| phone.register(3_600, now));
        self.until("the phone is registered", Duration::from_secs(1), |world| {
            world[phone].last_status == Some(200)
        });
        self.ladder.clear();
        phone
    }

    /// The connection of a phone breaks; it makes a new one when it has something to say.
    pub fn disconnect(&mut self, phone: PhoneId) {
        let broken = &mut self.phones[phone.0];
        let flow = broken.flow();
        self.by_source.remove(&broken.source);
        broken.source.set_port(broken.source.port() + 1);
        self.by_source.insert(broken.source, phone);
        self.network.send(Delivery::Closed(flow), None, self.now);
    }

    /// A phone gets another address, as if it were plugged in elsewhere; nobody is told.
    pub fn relocate(&mut self, phone: PhoneId, ip: IpAddr) {
        let moved = &mut self.phones[phone.0];
        self.by_source.remove(&moved.source);
        self.by_rtp.remove(&moved.rtp());
        moved.contact.set_ip(ip);
        moved.source.set_ip(ip);
        self.by_source.insert(moved.source, phone);
        self.by_rtp.insert(moved.rtp(), phone);
    }

    // --- time ----------------------------------------------------------------------------------------------------

    /// Virtual time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The virtual now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until something holds; how long it took.
    ///
    /// # Panics
    /// If it does not hold within `limit`: with the ladder so far.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Duration {
        let begin = self.now;
        let end = begin + limit;
        while !holds(self) {
            match self.next_event().filter(|at| *at <= end) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.step();
                }
                None => panic!("not within {limit:?}: {what}\n{}", self.ladder.draw()),
            }
        }
        self.now - begin
    }

    /// The user of a phone does something.
    pub fn act(&mut self, phone: PhoneId, action: impl FnOnce(&mut Phone, Instant)) {
        action(&mut self.phones[phone.0], self.now);
        self.collect(phone);
        self.pump();
    }

    /// The administrator, or a signal, does something to the switch.
    pub fn control(&mut self, action: impl FnOnce(&mut Exchange, Instant)) {
        action(&mut self.exchange, self.now);
        self.pump();
    }

    fn next_event(&self) -> Option<Instant> {
        let exchange = self.exchange.poll_timeout().map(|(at, _)| at);
        let (media, frame) = match &self.media {
            Media::Mixers(mixers) => (
                mixers
                    .iter()
                    .filter_map(Mixer::poll_timeout)
                    .map(|(at, _)| at)
                    .min(),
                self.anyone_talks().then_some(self.next_frame),
            ),
            Media::Stopwatch(stopwatch) => (stopwatch.poll_timeout(), None),
        };
        let phones = self.wakes.first().map(|(at, _)| *at);
        [self.network.next(), exchange, media, frame, phones]
            .into_iter()
            .flatten()
            .min()
    }

    fn anyone_talks(&self) -> bool {
        self.phones.iter().any(Phone::speaks_now)
    }

    fn step(&mut self) {
        while let Some(delivery) = self.network.arrive(self.now) {
            self.deliver(delivery);
        }
        while let Some((at, phone)) = self.wakes.first().copied()
            && at <= self.now
        {
            self.phones[phone.0].handle_timeout(self.now);
            self.collect(phone);
        }
        if self
            .exchange
            .poll_timeout()
            .is_some_and(|(at, _)| at <= self.now)
        {
            self.exchange.handle_timeout(self.now);
        }
        self.media_time();
        self.pump();
        if let Some(mut watch) = self.watch.take() {
            watch(self);
            self.watch = Some(watch);
        }
    }

    /// Carries everything that the switch has to say.
    fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.exchange.poll_output() {
                quiet = false;
                self.carry(output);
            }
            quiet &= !self.media_events();
            if quiet {
                return;
            }
        }
    }
}

impl Index<PhoneId> for World {
    type Output = Phone;

    fn index(&self, phone: PhoneId) -> &Phone {
        &self.phones[phone.0]
    }
}

impl IndexMut<PhoneId> for World {
    fn index_mut(&mut self, phone: PhoneId) -> &mut Phone {
        &mut self.phones[phone.0]
    }
}

fn switch(ipv6: bool) -> SocketAddr {
    let ip = if ipv6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))
    };
    SocketAddr::new(ip, 5060)
}
