//! The world of a test: one switch, its phones, the network between them, and the only clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Index, IndexMut};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use call::{CallRecord, Exchange, Output};
use media::mixer::{FRAME_PACKET_OCTETS, Limits, Mixer, Port, PortIndex, RecordingId, Tap};
use media::recording::Aligner;
use rsip::SipMessage;
use sip::{Flow, Message, Transport};

use crate::ladder::Ladder;
use crate::phone::{Phone, PhoneState};
use crate::site::Site;
use crate::stopwatch::Stopwatch;
use crate::wire;

/// One way through the network.
const LATENCY: Duration = Duration::from_millis(1);
const FRAME: Duration = Duration::from_millis(20);
/// RTP ports of the switch.
const PORTS: u16 = 2_000;
/// 2026-11-20 21:20:00 UTC, the wall time at which every world begins.
const BEGINNING: u64 = 1_795_209_600;

/// A phone of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhoneId(usize);

/// Octets on their way.
#[derive(Debug)]
enum Delivery {
    ToSwitch(PhoneId, Bytes),
    ToPhone(PhoneId, Bytes),
}

/// Who does the switch's media.
#[derive(Debug)]
enum Media {
    Mixer(Box<Mixer>),
    Stopwatch(Stopwatch),
}

/// See the module.
pub struct World {
    now: Instant,
    start: Instant,
    /// The switch.
    pub exchange: Exchange,
    media: Media,
    phones: Vec<Phone>,
    by_address: BTreeMap<SocketAddr, PhoneId>,
    by_rtp: BTreeMap<SocketAddr, PhoneId>,
    rtp_ports: BTreeMap<SocketAddr, PortIndex>,
    network: BTreeMap<(Instant, u64), Delivery>,
    sequence: u64,
    next_frame: Instant,
    ladder: Ladder,
    /// The call records, in the order in which they were written.
    pub records: Vec<CallRecord>,
    aligners: BTreeMap<RecordingId, (PathBuf, Aligner)>,
    /// The finished recordings: left and right samples by path.
    pub recordings: BTreeMap<PathBuf, Vec<[i16; 2]>>,
    /// Called after every step of the world, for invariants.
    watch: Option<Box<dyn Fn(&World)>>,
}

impl World {
    /// A switch with this site's settings, and audio.
    #[must_use]
    pub fn new(site: Site) -> Self {
        let limits = Limits {
            rtp_timeout: Duration::from_secs(30),
            hold_timeout: Duration::from_secs(1_800),
        };
        Self::build(site, Media::Mixer(Box::new(Mixer::new(limits, 7))))
    }

    /// The same without sound: hours pass in seconds.
    #[must_use]
    pub fn silent(site: Site) -> Self {
        Self::build(site, Media::Stopwatch(Stopwatch::default()))
    }

    fn build(site: Site, media: Media) -> Self {
        let start = Instant::now();
        let wall = UNIX_EPOCH + Duration::from_secs(BEGINNING);
        let mut exchange = Exchange::new(site.settings, [42; 32], start, wall);
        let ports: Vec<Port> = (0..PORTS)
            .map(|n| Port {
                worker: 0,
                index: PortIndex(n),
                local: SocketAddr::new(switch().ip(), 10_000 + 2 * n),
            })
            .collect();
        exchange.handle_ports(&ports);
        Self {
            now: start,
            start,
            exchange,
            media,
            phones: Vec::new(),
            by_address: BTreeMap::new(),
            by_rtp: BTreeMap::new(),
            rtp_ports: ports.iter().map(|port| (port.local, port.index)).collect(),
            network: BTreeMap::new(),
            sequence: 0,
            next_frame: start,
            ladder: Ladder::default(),
            records: Vec::new(),
            aligners: BTreeMap::new(),
            recordings: BTreeMap::new(),
            watch: None,
        }
    }

    /// Calls `watch` after every step.
    pub fn watch(&mut self, watch: impl Fn(&World) + 'static) {
        self.watch = Some(Box::new(watch));
    }

    /// A phone for the account `name`, not registered yet.
    pub fn phone(&mut self, name: &str) -> PhoneId {
        let id = PhoneId(self.phones.len());
        let [high, low] = u16::try_from(id.0 + 1)
            .expect("at most 65,535 phones")
            .to_be_bytes();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 5060);
        let phone = Phone::new(name, address, switch());
        self.by_address.insert(address, id);
        self.by_rtp.insert(phone.rtp(), id);
        self.phones.push(phone);
        id
    }

    /// A phone that is registered.
    ///
    /// # Panics
    /// If the switch refuses it.
    pub fn registered(&mut self, name: &str) -> PhoneId {
        let phone = self.phone(name);
        self.act(phone, |phone, now| phone.register(3_600, now));
        self.until("the phone is registered", Duration::from_secs(1), |world| {
            world[phone].last_status == Some(200)
        });
        self.ladder.clear();
        phone
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
        self.pump();
    }

    /// The administrator, or a signal, does something to the switch.
    pub fn control(&mut self, action: impl FnOnce(&mut Exchange, Instant)) {
        action(&mut self.exchange, self.now);
        self.pump();
    }

    /// A phone's user presses a key.
    pub fn press(&mut self, phone: PhoneId, digit: char) {
        let now = self.now;
        for (to, packet) in self.phones[phone.0].key_packets(digit) {
            let from = self.phones[phone.0].rtp();
            self.rtp_to_switch(from, to, packet, now);
        }
        self.pump();
    }

    fn next_event(&self) -> Option<Instant> {
        let network = self.network.keys().next().map(|(at, _)| *at);
        let exchange = self.exchange.poll_timeout().map(|(at, _)| at);
        let (media, frame) = match &self.media {
            Media::Mixer(mixer) => (
                mixer.poll_timeout().map(|(at, _)| at),
                self.anyone_talks().then_some(self.next_frame),
            ),
            Media::Stopwatch(stopwatch) => (stopwatch.poll_timeout(), None),
        };
        let phones = self.phones.iter().filter_map(Phone::poll_timeout).min();
        [network, exchange, media, frame, phones]
            .into_iter()
            .flatten()
            .min()
    }

    fn anyone_talks(&self) -> bool {
        self.phones
            .iter()
            .any(|phone| phone.state() == PhoneState::Talking && !phone.mute)
    }

    fn step(&mut self) {
        while let Some(entry) = self
            .network
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            match entry.remove() {
                Delivery::ToSwitch(phone, octets) => self.deliver_to_switch(phone, octets),
                Delivery::ToPhone(phone, octets) => self.phones[phone.0].handle(&octets, self.now),
            }
        }
        for phone in &mut self.phones {
            if phone.poll_timeout().is_some_and(|at| at <= self.now) {
                phone.handle_timeout(self.now);
            }
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
        if let Some(watch) = &self.watch {
            watch(self);
        }
    }

    // --- signalling ----------------------------------------------------------------------------------------------

    fn deliver_to_switch(&mut self, phone: PhoneId, octets: Bytes) {
        let flow = Flow {
            transport: Transport::Udp,
            local: switch(),
            remote: self.phones[phone.0].address,
        };
        let message = Message::parse(octets).expect("phones write messages that can be read");
        self.exchange.handle_message(message, flow, self.now);
    }

    /// Carries everything that the switch and the phones have to say.
    fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.exchange.poll_output() {
                quiet = false;
                self.carry(output);
            }
            for n in 0..self.phones.len() {
                while let Some(octets) = self.phones[n].poll_transmit() {
                    quiet = false;
                    self.note(PhoneId(n), true, &octets);
                    self.send(Delivery::ToSwitch(PhoneId(n), octets));
                }
            }
            quiet &= !self.media_events();
            if quiet {
                return;
            }
        }
    }

    fn carry(&mut self, output: Output) {
        match output {
            Output::Transmit { flow, octets } => {
                if let Some(phone) = self.by_address.get(&flow.remote).copied() {
                    self.note(phone, false, &octets);
                    self.send(Delivery::ToPhone(phone, octets));
                }
            }
            Output::Media { worker: _, command } => match &mut self.media {
                Media::Mixer(mixer) => mixer.handle_command(command, self.now),
                Media::Stopwatch(stopwatch) => stopwatch.handle_command(command, self.now),
            },
            Output::CallRecord { call, record } => {
                self.records.push(*record);
                self.exchange.handle_record_written(call);
            }
        }
    }

    fn send(&mut self, delivery: Delivery) {
        self.sequence += 1;
        self.network
            .insert((self.now + LATENCY, self.sequence), delivery);
    }

    fn note(&mut self, phone: PhoneId, to_switch: bool, octets: &[u8]) {
        match self.media {
            Media::Mixer(_) => {}
            // The ladder of hours would be as long as the hours.
            Media::Stopwatch(_) => return,
        }
        let message = wire::read(octets);
        let (_, method) = wire::cseq(&message);
        let label = match &message {
            SipMessage::Request(request) if method == "INVITE" => {
                format!(
                    "INVITE {}",
                    request
                        .uri
                        .auth
                        .as_ref()
                        .map_or("", |auth| auth.user.as_str())
                )
            }
            SipMessage::Request(_) => method,
            SipMessage::Response(response) => {
                format!("{} ({method})", wire::status(&response.status_code))
            }
        };
        let name = self.phones[phone.0].name.clone();
        self.ladder
            .add(self.now - self.start, &name, to_switch, label);
    }

    // --- media ---------------------------------------------------------------------------------------------------

    fn media_time(&mut self) {
        match &mut self.media {
            Media::Mixer(mixer) => {
                if mixer.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                    mixer.handle_timeout(self.now);
                }
            }
            Media::Stopwatch(stopwatch) => return stopwatch.handle_timeout(self.now),
        }
        if self.next_frame <= self.now {
            for n in 0..self.phones.len() {
                let from = self.phones[n].rtp();
                if let Some((to, packet)) = self.phones[n].next_packet() {
                    self.rtp_to_switch(from, to, packet, self.now);
                }
            }
            self.next_frame = self.now + FRAME;
        }
    }

    fn rtp_to_switch(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        mut packet: Vec<u8>,
        now: Instant,
    ) {
        let Some(port) = self.rtp_ports.get(&to).copied() else {
            return;
        };
        let Media::Mixer(mixer) = &mut self.media else {
            return;
        };
        if let Some(transmit) = mixer.handle_packet(port, from, &mut packet, now)
            && let Some(phone) = self.by_rtp.get(&transmit.to)
        {
            self.phones[phone.0].hear(&packet[..transmit.len]);
        }
    }

    /// Takes what the media has to say; true if there was something.
    fn media_events(&mut self) -> bool {
        let mut said = false;
        match &mut self.media {
            Media::Mixer(_) => {
                let mut buffer = [0; FRAME_PACKET_OCTETS];
                while let Some(output) = self.poll_mixer(&mut buffer) {
                    said = true;
                    match output {
                        media::Output::Send(transmit) => {
                            if let Some(phone) = self.by_rtp.get(&transmit.to) {
                                self.phones[phone.0].hear(&buffer[..transmit.len]);
                            }
                        }
                        media::Output::Event(event) => self.media_event(event),
                        media::Output::Tap(tap) => self.tap(tap),
                    }
                }
            }
            Media::Stopwatch(_) => {
                while let Media::Stopwatch(stopwatch) = &mut self.media
                    && let Some(event) = stopwatch.poll_event()
                {
                    said = true;
                    self.media_event(event);
                }
            }
        }
        said
    }

    fn poll_mixer(&mut self, buffer: &mut [u8]) -> Option<media::Output> {
        match &mut self.media {
            Media::Mixer(mixer) => mixer.poll_output(buffer),
            Media::Stopwatch(_) => None,
        }
    }

    fn media_event(&mut self, event: media::Event) {
        let free = if let media::Event::Closed { port, .. } = &event {
            Some(*port)
        } else {
            None
        };
        self.exchange.handle_media(event, self.now);
        self.exchange.handle_ports(free.as_slice());
    }

    fn tap(&mut self, tap: Tap) {
        match tap {
            Tap::Start {
                recording,
                path,
                at,
            } => {
                self.aligners.insert(recording, (path, Aligner::new(at)));
            }
            Tap::Packet { recording, .. } => {
                if let Some((_, aligner)) = self.aligners.get_mut(&recording) {
                    aligner.handle_tap(&tap);
                }
            }
            Tap::End { recording, at } => {
                let Some((path, aligner)) = self.aligners.remove(&recording) else {
                    return;
                };
                let mut samples = Vec::new();
                aligner.finish(at, &mut samples);
                let duration = Duration::from_secs_f64(samples.len() as f64 / 2.0 / 8_000.0);
                self.recordings.insert(
                    path,
                    samples
                        .chunks_exact(2)
                        .map(|pair| [pair[0], pair[1]])
                        .collect(),
                );
                self.exchange.handle_media(
                    media::Event::Recorded {
                        recording,
                        result: Ok(duration),
                    },
                    self.now,
                );
            }
        }
    }

    // --- what a test looks at ------------------------------------------------------------------------------------

    /// The ladder since the last phone was registered.
    #[must_use]
    pub fn ladder(&self) -> String {
        self.ladder.draw()
    }

    /// Forgets the ladder so far.
    pub fn clear_ladder(&mut self) {
        self.ladder.clear();
    }

    /// What a phone sent (`> INVITE 700`) and got (`< 200 (INVITE)`), in order.
    #[must_use]
    pub fn messages(&self, phone: &str) -> Vec<String> {
        self.ladder.labels(phone)
    }

    /// The level of a tone in the last `stretch` that the phone heard, in dB against full scale.
    #[must_use]
    pub fn heard(&self, phone: PhoneId, hz: f64, stretch: Duration) -> f64 {
        let heard = &self[phone].heard;
        let samples = (stretch.as_secs_f64() * 8_000.0) as usize;
        media::tone::level(&heard[heard.len().saturating_sub(samples)..], hz)
    }

    /// All phones.
    pub fn phones(&self) -> impl Iterator<Item = &Phone> {
        self.phones.iter()
    }

    /// Everything is over: no call, no leg, every RTP port free.
    ///
    /// # Panics
    /// If something is left.
    pub fn assert_at_rest(&self) {
        assert_eq!(
            self.exchange.calls(),
            0,
            "a call is left\n{}",
            self.ladder.draw()
        );
        assert_eq!(
            self.exchange.free_ports(),
            usize::from(PORTS),
            "an RTP port leaked\n{}",
            self.ladder.draw()
        );
        assert_eq!(self.exchange.panics(), 0, "call control panicked");
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

fn switch() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060)
}
