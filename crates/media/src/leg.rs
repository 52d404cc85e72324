//! The media of one leg: both directions of its stream.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use webrtc_util::marshal::Marshal;

use crate::codec::{Codec, Rate};
use crate::command::{
    ComfortNoise, Dtls, LegId, Port, PortIndex, RecordingId, Rtcp, Security, StreamSettings,
    TelephoneEvent,
};
use crate::dtmf::{self, Keypad};
use crate::ear::Ear;
use crate::encoder::{Encoder, MAX_ENCODED_OCTETS};
use crate::event::{Component, Event, Output, StreamStats, Transmit};
use crate::inband::Detector;
use crate::latch::Latch;
use crate::loudness::amplify;
use crate::mix::{Mix, Voice};
use crate::mixer::Limits;
use crate::packet::{self, Datagram, HEADER_OCTETS, Header, PayloadType, RtpTimestamp, samples_in};
use crate::player::{FRAME_SAMPLES, Player};
use crate::presses::{Presses, Step};
use crate::receiver::{Arrival, Receiver};
use crate::recording::{Content, Payload, Side, Tap};
use crate::rtcp::Reports;
use crate::secure::{Identity, Peer, Secure};
use crate::sender::{FRAME, FRAMES_PER_SECOND, Sender, Talker};
use crate::srtp::Protection;

/// Outputs that may wait for the driver (2 MB). Beyond that taps are dropped, which the recording shows as silence;
/// events are not, for call control lives on them and there are few.
const MAX_WAITING_OUTPUTS: usize = 4096;

/// Whom the leg hears while nothing is played to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    /// Its background.
    Background,
    Itself,
    Leg(PortIndex),
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) port: Port,
    pub(crate) hears: Hears,
    /// What the leg that it hears says is decoded and encoded again: it does not speak our codec.
    pub(crate) decodes: bool,
    /// Whom it hears besides.
    pub(crate) mix: Mix,
    /// Who hears it so.
    pub(crate) listeners: Vec<PortIndex>,
    /// The leg that it is bridged with hears it decoded.
    decoded: bool,
    pub(crate) player: Player,
    /// The recording that taps what this leg says.
    pub(crate) tap: Option<(RecordingId, Side)>,
    /// It does not, for the moment.
    pub(crate) tap_pauses: bool,
    /// When the next frame is due, while the leg has a place on the wheel.
    pub(crate) frame_due: Option<Instant>,
    silence: Silence,
    pub(crate) settings: StreamSettings,
    /// DTLS, and ICE, where they were agreed on.
    pub(crate) secure: Option<Box<Secure>>,
    /// The DTLS of a peer whose reports have a port of their own.
    pub(crate) secure_reports: Option<Box<Secure>>,
    /// For what may be agreed on later.
    identity: Option<Arc<Identity>>,
    /// While somebody hears it decoded.
    ear: Option<Box<Ear>>,
    /// For all that is not G.711 and not passed on as it came.
    encoder: Option<Box<Encoder>>,
    /// The key that the leg's peer is being told, whose talker's audio is decoded.
    told: Option<Told>,
    /// How much was guessed by ears that are gone.
    guessed: Duration,
    protection: Option<Protection>,
    /// That of the reports, where they have other keys.
    protection_of_reports: Option<Protection>,
    latch: Latch,
    receiver: Receiver,
    sender: Sender,
    keypad: Keypad,
    inband: Detector,
    presses: Presses,
    reports: Reports,
    /// Where the peer's reports come from, where they have a port of their own.
    reporter: Option<SocketAddr>,
    rejected: u64,
}

/// A press of a key on its way to the peer of a leg.
#[derive(Clone, Copy, Debug)]
struct Told {
    talker: Talker,
    /// When it began, on the talker's time line and on ours.
    theirs: RtpTimestamp,
    ours: RtpTimestamp,
    /// No audio beside it until then.
    until: Instant,
}

/// A key whose reports stay out for so long is up: they come each 20 to 50 ms.
const KEY_UP: Duration = Duration::from_millis(60);

/// How long nothing came from the peer.
#[derive(Debug)]
struct Silence {
    since: Instant,
    told: bool,
    /// It was to be expected: the peer said that it would send nothing while it has nothing to say.
    announced: bool,
    /// The longest time of it while the peer might have sent.
    longest: Duration,
}

/// What shares a port (RFC 7983 section 7).
enum Datagrams {
    Stun,
    Dtls,
    Rtp,
}

/// Of another handshake there are no keys yet.
fn kept(secure: Option<&Secure>, protection: Option<Protection>) -> Option<Protection> {
    protection.filter(|_| secure.is_some_and(|secure| secure.keys().is_some()))
}

fn kind_of(datagram: &[u8]) -> Datagrams {
    match datagram.first() {
        Some(0..=3) => Datagrams::Stun,
        Some(20..=63) => Datagrams::Dtls,
        Some(_) | None => Datagrams::Rtp,
    }
}

/// A packet that was taken from the peer and may go on.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) talker: Talker,
    kind: Kind,
    header: Header,
    /// Its loudness is not changed.
    is_as_loud: bool,
    /// A key that it is the first to tell.
    pub(crate) key: Option<char>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Audio(Codec),
    TelephoneEvent {
        clock_rate: u32,
    },
    /// Comfort noise, beside this codec.
    Noise(Codec),
    /// Keep-alives, what nobody agreed on.
    Other,
}

impl Kind {
    /// Whether a packet says that nothing may come after it until something is said.
    fn falls_silent(self, header: &Header, packet: &[u8]) -> bool {
        match self {
            Self::Noise(_) => true,
            Self::Audio(codec) => codec.falls_silent(&packet[header.payload.clone()]),
            Self::TelephoneEvent { .. } => false,
            // Comfort noise of those who send it though nobody agreed on it.
            Self::Other => header.payload_type == STATIC_COMFORT_NOISE,
        }
    }
}

/// RFC 3551 section 6.
const STATIC_COMFORT_NOISE: PayloadType = PayloadType(13);

pub(crate) fn leg_at(legs: &mut [Option<Box<Leg>>], port: PortIndex) -> Option<&mut Leg> {
    legs.get_mut(usize::from(port.0))?.as_deref_mut()
}

impl Leg {
    pub(crate) fn new(
        id: LegId,
        port: Port,
        settings: StreamSettings,
        identity: Option<Arc<Identity>>,
        sender: Sender,
        reports: Reports,
        now: Instant,
    ) -> Self {
        let mut leg = Self {
            id,
            port,
            hears: Hears::Background,
            decodes: false,
            mix: Mix::default(),
            listeners: Vec::new(),
            decoded: false,
            player: Player::default(),
            tap: None,
            tap_pauses: false,
            frame_due: None,
            silence: Silence {
                since: now,
                told: false,
                announced: false,
                longest: Duration::ZERO,
            },
            latch: Latch::new(&settings, now),
            receiver: Receiver::new(now),
            sender,
            keypad: Keypad::default(),
            inband: Detector::default(),
            presses: Presses::default(),
            reports,
            reporter: None,
            rejected: 0,
            protection: None,
            protection_of_reports: None,
            secure: None,
            secure_reports: None,
            identity,
            ear: None,
            encoder: None,
            told: None,
            guessed: Duration::ZERO,
            settings,
        };
        leg.protect(now);
        leg
    }

    /// Begins, or goes on with, the protection that was agreed on.
    fn protect(&mut self, now: Instant) {
        let (secure, protection) = (self.secure.take(), self.protection.take());
        let reports = (
            self.secure_reports.take(),
            self.protection_of_reports.take(),
        );
        match self.settings.security {
            Security::Plain => {}
            Security::Keys(keys) => {
                self.protection = Some(Protection::renewed(protection, keys));
            }
            Security::Dtls(settings) => {
                let told = self.settings.remote;
                self.secure = self.shaking_hands(secure, settings, told, now);
                self.protection = kept(self.secure.as_deref(), protection);
                if let Rtcp::Port(told) = self.settings.rtcp {
                    self.secure_reports = self.shaking_hands(reports.0, settings, told, now);
                    self.protection_of_reports = kept(self.secure_reports.as_deref(), reports.1);
                }
            }
        }
    }

    fn shaking_hands(
        &self,
        before: Option<Box<Secure>>,
        settings: Dtls,
        told: SocketAddr,
        now: Instant,
    ) -> Option<Box<Secure>> {
        let signals = self.settings.signalling_host;
        let peer = Peer { told, signals };
        let secure = match before {
            Some(before) => Secure::renewed(*before, settings, peer, now),
            None => Secure::new(settings, self.identity.clone()?, peer, now),
        };
        Some(Box::new(secure))
    }

    /// A handshake goes on.
    pub(crate) fn shake_hands(&mut self, now: Instant) {
        let both = [&mut self.secure, &mut self.secure_reports];
        for secure in both.into_iter().flatten() {
            secure.handle_timeout(now);
        }
        self.take_keys();
    }

    fn take_keys(&mut self) {
        let of = |secure: &Option<Box<Secure>>| secure.as_ref().and_then(|secure| secure.keys());
        if let Some(keys) = of(&self.secure) {
            self.protection = Some(Protection::renewed(self.protection.take(), keys));
        }
        if let Some(keys) = of(&self.secure_reports) {
            let before = self.protection_of_reports.take();
            self.protection_of_reports = Some(Protection::renewed(before, keys));
        }
    }

    pub(crate) fn update(&mut self, settings: StreamSettings, now: Instant) {
        self.note_pause(now);
        self.settings = settings;
        self.mix.begin_anew();
        self.sender.set_clock_rate(settings.codec.clock_rate(), now);
        self.protect(now);
        self.latch.update(&settings, now);
        self.silence.since = now;
        self.silence.told = false;
    }

    /// It is in no mixer for now. Talkers of another one may have the numbers of those that it heard here.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.tap = None;
        self.frame_due = None;
        self.hears = Hears::Background;
        self.decodes = false;
        self.mix = Mix::default();
        self.listeners = Vec::new();
        self.set_decoded(false, now);
        self.sender.pause();
    }

    /// Neither side holds the other.
    fn talks(&self) -> bool {
        self.settings.receive && self.settings.send
    }

    /// A time in which nothing came from the peer ends, by a packet, a new agreement or the end of the leg.
    pub(crate) fn note_pause(&mut self, now: Instant) {
        // Who holds often sends nothing, though it might.
        if self.talks() && !self.silence.announced {
            let pause = now.saturating_duration_since(self.silence.since);
            self.silence.longest = self.silence.longest.max(pause);
        }
    }

    /// True while the mixer itself makes what the leg hears.
    pub(crate) fn wants_frames(&self) -> bool {
        self.hears == Hears::Background
            || self.decodes
            || self.mixes()
            || self.player.is_playing()
            || self.presses.is_active()
    }

    /// Whether it hears more than one at a time.
    pub(crate) fn mixes(&self) -> bool {
        !self.mix.is_empty() || self.player.plays_beside()
    }

    /// From now on the leg that it is bridged with hears it decoded, or no longer.
    pub(crate) fn set_decoded(&mut self, decoded: bool, now: Instant) {
        self.decoded = decoded;
        self.settle_ear(now);
    }

    /// There is an ear as long as somebody hears the leg decoded.
    pub(crate) fn settle_ear(&mut self, now: Instant) {
        if !self.decoded && self.listeners.is_empty() {
            self.guessed += self.ear.take().map_or(Duration::ZERO, |ear| ear.guessed());
        } else if self.ear.is_none() {
            let volume = self.settings.loudness.says;
            self.ear = Some(Box::new(Ear::new(self.settings.codec, volume, now)));
        }
    }

    /// Lets who hears the leg decoded have this packet.
    pub(crate) fn listen(&mut self, incoming: &Incoming, packet: &[u8], now: Instant) {
        let (Kind::Audio(codec) | Kind::Noise(codec), Some(ear)) = (incoming.kind, &mut self.ear)
        else {
            return;
        };
        let volume = self.settings.loudness.says;
        if (ear.codec(), ear.volume()) != (codec, volume) {
            self.guessed += ear.guessed();
            **ear = Ear::new(codec, volume, now);
        }
        let header = &incoming.header;
        let payload = &packet[header.payload.clone()];
        let stream = incoming.talker.stream;
        match incoming.kind {
            Kind::Noise(_) => ear.take_noise(stream, header.timestamp, payload, now),
            Kind::Audio(_) | Kind::TelephoneEvent { .. } | Kind::Other => {
                ear.take(stream, header.sequence, header.timestamp, payload, now);
            }
        }
    }

    pub(crate) fn stats(&self) -> StreamStats {
        StreamStats {
            received: self.receiver.received(),
            duplicates: self.receiver.duplicates(),
            sent: self.sender.sent(),
            lost: self.receiver.lost(),
            gaps: self.receiver.gaps(),
            longest_pause: self.silence.longest,
            rejected: self.rejected,
            jitter: self.receiver.jitter(),
            max_jitter: self.receiver.max_jitter(),
            guessed: self.guessed
                + self
                    .ear
                    .as_ref()
                    .map_or(Duration::ZERO, |ear| ear.guessed()),
            round_trip: self.reports.round_trip(),
            peer: self.reports.peer(),
        }
    }

    /// Takes a datagram that came to the leg's port; gives it back if it is something for others to hear.
    pub(crate) fn receive(
        &mut self,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
        outputs: &mut VecDeque<Output>,
    ) -> Option<Incoming> {
        if let Some(secure) = &mut self.secure {
            let taken = match kind_of(packet) {
                Datagrams::Stun => secure.check(packet, source, now),
                Datagrams::Dtls => secure.handshake(packet, source, now),
                Datagrams::Rtp => {
                    let is_there = !secure.has_ice() || secure.selected() == Some(source);
                    if is_there && self.protection.is_some() {
                        return self.receive_rtp(source, packet, now, outputs);
                    }
                    false
                }
            };
            self.rejected += u64::from(!taken);
            if taken && self.protection.is_none() {
                self.take_keys();
            }
            return None;
        }
        self.receive_rtp(source, packet, now, outputs)
    }

    fn receive_rtp(
        &mut self,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
        outputs: &mut VecDeque<Output>,
    ) -> Option<Incoming> {
        // What is not proved to be the peer's is not looked at: it moves neither the latch nor a count but this one.
        let Some(length) = self.unprotect(packet) else {
            self.rejected += 1;
            return None;
        };
        let packet = &packet[..length];
        let header = match Datagram::read(packet) {
            Datagram::Rtp(header) => header,
            Datagram::Rtcp => {
                self.read_reports(source, packet, now);
                return None;
            }
            Datagram::Malformed => {
                self.rejected += 1;
                return None;
            }
        };
        let kind = self.kind(header.payload_type);
        if !self.admits(source, &header, kind, now) {
            self.rejected += 1;
            return None;
        }
        self.note_pause(now);
        self.silence.since = now;
        self.silence.told = false;
        self.silence.announced = kind.falls_silent(&header, packet);
        match self.receiver.take(header.ssrc, header.sequence) {
            Arrival::Taken => {}
            Arrival::Duplicate => return None,
            Arrival::Stray => {
                self.rejected += 1;
                return None;
            }
        }
        if let Kind::Audio(codec) = kind {
            self.receiver
                .time(header.timestamp, codec.clock_rate(), now);
            self.tap(Content::Sound, codec, &header, packet, now, outputs);
            self.listen_for_keys(codec, &packet[header.payload.clone()], outputs);
        }
        if let Kind::Noise(codec) = kind {
            self.tap(Content::Noise, codec, &header, packet, now, outputs);
        }
        let talker = Talker {
            port: self.port.index,
            stream: self.receiver.number(),
        };
        let mut key = None;
        if let Kind::TelephoneEvent { .. } = kind {
            let leg = self.id;
            let payload = &packet[header.payload.clone()];
            self.keypad
                .take(talker.stream, header.timestamp, payload, |digit| {
                    key = Some(digit);
                    outputs.push_back(Output::Event(Event::Digit { leg, digit }))
                });
        }
        let incoming = Incoming {
            talker,
            kind,
            header,
            is_as_loud: self.settings.loudness.says.is_none(),
            key,
        };
        self.listen(&incoming, packet, now);
        Some(incoming)
    }

    /// A phone that does not tell its keys lets them be heard.
    fn listen_for_keys(&mut self, codec: Codec, payload: &[u8], outputs: &mut VecDeque<Output>) {
        if let (Some(law), None) = (codec.law(), self.settings.telephone_event) {
            let leg = self.id;
            self.inband.take(law, payload, |digit| {
                outputs.push_back(Output::Event(Event::Digit { leg, digit }));
            });
        }
    }

    /// The peer is to hear a key.
    pub(crate) fn press(&mut self, key: char) {
        self.presses.push(key);
    }

    /// Whether keys that another leg's peer presses cannot be told to this one's but as tones.
    pub(crate) fn hears_keys_as_tones(&self) -> bool {
        self.settings.telephone_event.is_none()
    }

    /// Makes the packet what it was before it was protected; gives its length.
    fn unprotect(&mut self, packet: &mut [u8]) -> Option<usize> {
        match &mut self.protection {
            Some(protection) if packet::is_rtcp(packet) => protection.unprotect_rtcp(packet),
            Some(protection) => protection.unprotect(packet),
            None => Some(packet.len()),
        }
    }

    /// A datagram came to the port beside that of RTP.
    pub(crate) fn receive_rtcp(&mut self, source: SocketAddr, packet: &mut [u8], now: Instant) {
        if let (Some(secure), Datagrams::Dtls) = (&mut self.secure_reports, kind_of(packet)) {
            self.rejected += u64::from(!secure.handshake(packet, source, now));
            if self.protection_of_reports.is_none() {
                self.take_keys();
            }
            return;
        }
        // Where both come one way, this is none.
        let is_expected = self.secure.is_none() || self.secure_reports.is_some();
        let length = match &mut self.protection_of_reports {
            _ if !is_expected || !packet::is_rtcp(packet) => None,
            Some(protection) => protection.unprotect_rtcp(packet),
            None if self.secure.is_some() => None,
            None => self.unprotect(packet),
        };
        if let Some(length) = length
            && self.read_reports(source, &packet[..length], now)
        {
            self.reporter = Some(source);
        } else {
            self.rejected += 1;
        }
    }

    /// Takes reports that come from the peer's host. They are proved if anything is; else whoever writes its address can
    /// falsify a figure of the call's record, and send our reports, 5 s apart, to another port of that host.
    fn read_reports(&mut self, source: SocketAddr, packet: &[u8], now: Instant) -> bool {
        let hosts = [self.latch.source(), Some(self.settings.remote)];
        let is_peer = hosts.iter().flatten().any(|host| host.ip() == source.ip());
        if !is_peer && self.protection.is_none() {
            return false;
        }
        let sending = self.sender.sending(now);
        let taken = self.reports.read(packet, &sending, now);
        if taken && (!self.talks() || self.silence.announced) {
            // A phone that holds, or has nothing to say, is there as long as it reports.
            self.silence.since = now;
        }
        taken
    }

    /// When the next report leaves.
    pub(crate) fn report_due(&self) -> Instant {
        self.reports.due()
    }

    /// A report for the peer, the last of all if the leg ends.
    pub(crate) fn report(
        &mut self,
        ends: bool,
        now: Instant,
    ) -> Option<(Component, SocketAddr, Vec<u8>)> {
        let (sending, reception) = (self.sender.sending(now), self.receiver.reception());
        let stats = self.stats();
        let packet = if ends {
            self.reports.bye(&sending, reception, &stats, now)
        } else {
            self.reports.write(&sending, reception, &stats, now)
        };
        let (component, to) = self.reports_go_to()?;
        let protection = match component {
            Component::Rtcp if self.secure.is_some() => &mut self.protection_of_reports,
            Component::Rtcp | Component::Rtp => &mut self.protection,
        };
        let packet = match (protection, self.settings.security) {
            (Some(protection), _) => protection.protect_rtcp(&packet)?,
            (None, Security::Plain) => packet,
            (None, Security::Keys(_) | Security::Dtls(_)) => return None,
        };
        Some((component, to, packet))
    }

    /// Nobody is told anything before something passed between us: an INVITE must not aim even reports at a third party.
    fn reports_go_to(&self) -> Option<(Component, SocketAddr)> {
        if let Some(secure) = self.secure.as_ref().filter(|secure| secure.has_ice()) {
            return Some((Component::Rtp, secure.selected()?));
        }
        let source = self.latch.source()?;
        match self.settings.rtcp {
            Rtcp::Mux => Some((Component::Rtp, source)),
            Rtcp::Port(told) => {
                // Behind a NAT what was told is wrong, and the next port is the best guess until its reports come.
                let next = SocketAddr::new(source.ip(), source.port().checked_add(1)?);
                let told = Some(told).filter(|told| told.ip() == source.ip() && told.port() != 0);
                let learned = self.reporter.filter(|from| from.ip() == source.ip());
                Some((Component::Rtcp, learned.or(told).unwrap_or(next)))
            }
        }
    }

    /// The packet at the front of `buffer`, for the peer.
    fn transmit(&mut self, to: SocketAddr, buffer: &mut [u8], length: usize) -> Option<Transmit> {
        let len = match &mut self.protection {
            Some(protection) => protection.protect(buffer, length)?,
            None => length,
        };
        self.sender.count(length - HEADER_OCTETS);
        Some(Transmit {
            port: self.port.index,
            component: Component::Rtp,
            to,
            len,
        })
    }

    fn kind(&self, payload_type: PayloadType) -> Kind {
        let settings = &self.settings;
        if [settings.payload_type, settings.receive_payload_type].contains(&payload_type.0) {
            return Kind::Audio(settings.codec);
        }
        let event = settings.telephone_event;
        if let Some(event) = event.filter(|event| event.payload_type == payload_type.0) {
            let clock_rate = event.clock_rate;
            return Kind::TelephoneEvent { clock_rate };
        }
        let noise = settings.comfort_noise;
        let is_noise = |noise: ComfortNoise| {
            [noise.payload_type, noise.receive_payload_type].contains(&payload_type.0)
        };
        if noise.is_some_and(is_noise) {
            return Kind::Noise(settings.codec);
        }
        // RFC 3264 section 7: a peer may send any format of the answer, and both forms of G.711 are often in it.
        Codec::of_static(payload_type).map_or(Kind::Other, Kind::Audio)
    }

    fn admits(&mut self, source: SocketAddr, header: &Header, kind: Kind, now: Instant) -> bool {
        // ICE has found its address, and SRTP proves it.
        if self.secure.as_ref().is_some_and(|secure| secure.has_ice()) {
            return true;
        }
        match kind {
            Kind::Audio(_) | Kind::Noise(_) | Kind::TelephoneEvent { .. } => self.latch.admits(
                source,
                header.ssrc,
                header.sequence,
                self.receiver.newest(),
                now,
            ),
            // A payload that nobody agreed on does not make its sender the peer.
            Kind::Other => self.latch.is_locked_to(source),
        }
    }

    /// Copies what the peer said for the recorder.
    fn tap(
        &self,
        content: Content,
        codec: Codec,
        header: &Header,
        packet: &[u8],
        at: Instant,
        outputs: &mut VecDeque<Output>,
    ) {
        let Some((recording, side)) = self.tap.filter(|_| !self.tap_pauses) else {
            return;
        };
        if outputs.len() >= MAX_WAITING_OUTPUTS {
            return;
        }
        outputs.push_back(Output::Tap(Tap::Packet {
            recording,
            side,
            content,
            volume: self.settings.loudness.says,
            codec,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            at,
            payload: Payload::new(&packet[header.payload.clone()]),
        }));
    }

    /// Whether what is in the packet can go on to this leg's peer as it is: the others then do not have to wait for it.
    pub(crate) fn can_relay(&self, incoming: &Incoming) -> bool {
        match incoming.kind {
            Kind::Audio(codec) => self.takes_as_it_is(codec, incoming),
            // To who does not have it, it is made into sound until sound comes again.
            Kind::Noise(codec) => {
                let has_noise = self.settings.comfort_noise.is_some();
                has_noise && self.takes_as_it_is(codec, incoming)
            }
            Kind::TelephoneEvent { .. } | Kind::Other => !self.decodes,
        }
    }

    fn takes_as_it_is(&self, codec: Codec, incoming: &Incoming) -> bool {
        let is_as_loud = incoming.is_as_loud && self.settings.loudness.hears_as_it_is();
        is_as_loud && !self.mixes() && codec.becomes(self.settings.codec)
    }

    /// Rewrites a packet for this leg's peer to hear.
    pub(crate) fn forward(
        &mut self,
        incoming: &Incoming,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Transmit> {
        // Beside a sound only keys of whom it is bridged with go on.
        let waits = self.player.plays_over_all() || (self.player.is_playing() && !self.decodes);
        if waits || self.presses.is_active() {
            return None;
        }
        let Some(to) = self.next_destination() else {
            self.sender.pause();
            return None;
        };
        let header = &incoming.header;
        if self.decodes {
            return self.tell(incoming, to, packet, now);
        }
        let (payload_type, ticks) = match incoming.kind {
            Kind::Audio(codec) => (
                Some(self.settings.payload_type),
                codec.ticks(&packet[header.payload.clone()]),
            ),
            Kind::Noise(codec) => {
                let noise = self.settings.comfort_noise;
                let frame = codec.clock_rate() / FRAMES_PER_SECOND;
                (noise.map(|noise| noise.payload_type), frame)
            }
            // RFC 4733 section 2.5.1.2: the timestamp stays that of the beginning of the event, on the time line of the audio.
            Kind::TelephoneEvent { .. } => {
                let event = self.settings.telephone_event;
                (event.map(|event| event.payload_type), 0)
            }
            Kind::Other => (None, 0),
        };
        let Some(payload_type) = payload_type.filter(|_| !header.payload.is_empty()) else {
            self.sender.leave_out(incoming.talker, header.sequence);
            return None;
        };
        let outgoing = self.sender.relay(
            incoming.talker,
            header,
            PayloadType(payload_type),
            ticks,
            now,
        )?;
        if let Kind::Audio(codec) = incoming.kind
            && let Some(table) = codec
                .law()
                .zip(self.settings.codec.law())
                .and_then(|(from, to)| from.transcoder(to))
        {
            for octet in &mut packet[header.payload.clone()] {
                *octet = table[usize::from(*octet)];
            }
        }
        let length = packet::rewrite(packet, &outgoing);
        self.transmit(to, packet, length)
    }

    /// A report of a key, from a talker whose audio is decoded, on the time line of this leg.
    fn tell(
        &mut self,
        incoming: &Incoming,
        to: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Transmit> {
        let Kind::TelephoneEvent { clock_rate } = incoming.kind else {
            return None;
        };
        let event = self.settings.telephone_event?;
        let header = &incoming.header;
        let told = self
            .told
            .filter(|told| (told.talker, told.theirs) == (incoming.talker, header.timestamp));
        let since = told.map(|told| told.ours);
        let outgoing = self.sender.event(
            header.payload.clone(),
            PayloadType(event.payload_type),
            since,
            now,
        );
        self.told = Some(Told {
            talker: incoming.talker,
            theirs: header.timestamp,
            ours: outgoing.timestamp,
            until: now + KEY_UP,
        });
        dtmf::rescale(
            &mut packet[header.payload.clone()],
            clock_rate,
            event.clock_rate,
        );
        let length = packet::rewrite(packet, &outgoing);
        self.transmit(to, packet, length)
    }

    /// Somebody whom it heard besides is about to fall silent: fades away instead of ending in the middle of a wave.
    pub(crate) fn fade_out(&mut self, talker: &mut Self) {
        let rate = self.settings.codec.rate();
        let mut frame = [0; Rate::Wide.frame()];
        let heard = self.frame_due.and_then(|at| talker.said(at, &mut frame));
        if let Some(heard) = heard {
            self.mix
                .fade_out(talker.port.index, &frame[..heard.frame()], heard, rate);
        }
    }

    /// What the leg hears from `at` on of those that are decoded for it; none: it hears nobody so.
    fn hear(
        &mut self,
        at: Instant,
        legs: &mut [Option<Box<Self>>],
        frame: &mut [i16; Rate::Wide.frame()],
    ) -> Option<Rate> {
        let partner = match self.hears {
            Hears::Leg(other) if self.decodes => Some(other),
            Hears::Background | Hears::Itself | Hears::Leg(_) => None,
        };
        if !self.mixes() {
            return leg_at(legs, partner?)?.said(at, frame);
        }
        let rate = self.settings.codec.rate();
        self.mix.begin(rate);
        let mut said = [0; Rate::Wide.frame()];
        let count = self.mix.talkers().len();
        for place in 0..=count {
            let Some(port) = self.mix.talkers().get(place).copied().or(partner) else {
                continue;
            };
            let heard = leg_at(legs, port).and_then(|talker| talker.said(at, &mut said));
            if let Some(heard) = heard {
                self.mix
                    .add(Voice::Leg(port), &said[..heard.frame()], heard, rate);
            }
        }
        if count == 0
            && self.hears == Hears::Background
            && let Some(heard) = self.player.fill_soft_background(rate, &mut said)
        {
            self.mix
                .add(Voice::Background, &said[..heard.frame()], heard, rate);
        }
        if let Some(heard) = self.player.fill_beside(rate, &mut said) {
            self.mix
                .add(Voice::Play, &said[..heard.frame()], heard, rate);
        }
        self.mix.end(&mut frame[..rate.frame()]);
        Some(rate)
    }

    /// What this leg's peer says from `at` on, decoded, at the rate of its codec.
    fn said(&mut self, at: Instant, frame: &mut [i16; Rate::Wide.frame()]) -> Option<Rate> {
        let ear = self.ear.as_mut()?;
        let rate = ear.rate();
        ear.read(at, &mut frame[..rate.frame()]);
        Some(rate)
    }

    /// Writes the frame that is due at `tick` into `buffer`; `legs` are the others.
    pub(crate) fn frame(
        &mut self,
        tick: Instant,
        legs: &mut [Option<Box<Self>>],
        buffer: &mut [u8],
        outputs: &mut VecDeque<Output>,
    ) -> Option<Transmit> {
        let due = self.frame_due.filter(|&due| due <= tick)?;
        self.player.skip(samples_in(tick - due) as usize);
        self.frame_due = Some(tick + FRAME);
        if let Some(play) = self.player.take_played() {
            outputs.push_back(Output::Event(Event::Played { leg: self.id, play }));
            self.mix.forget(Voice::Play);
            self.mix.forget(Voice::Background);
            if !self.wants_frames() {
                return None;
            }
        }
        let tells = self.told.is_some_and(|told| told.until > tick);
        let Some(to) = self.next_destination().filter(|_| !tells) else {
            self.player.skip(FRAME_SAMPLES);
            self.sender.pause();
            return None;
        };
        let press = self.presses.next();
        if let (Some(step), Some(event)) = (press, self.settings.telephone_event) {
            return self.report_key(&step, event, to, buffer, tick);
        }
        let payload = &mut buffer[HEADER_OCTETS..HEADER_OCTETS + MAX_ENCODED_OCTETS];
        let mut frame = [0; Rate::Wide.frame()];
        let heard = if let Some(step) = press {
            self.player.skip(FRAME_SAMPLES);
            step.sound(&mut frame[..FRAME_SAMPLES]);
            Some(Rate::Narrow)
        } else if self.player.plays_over_all() {
            None
        } else {
            self.hear(tick, legs, &mut frame)
        };
        let hears = self.settings.loudness.hears;
        let is_as_loud = self.settings.loudness.hears_as_it_is();
        let length = match (heard, self.settings.codec.law()) {
            (None, Some(law)) if is_as_loud => {
                self.player.fill_encoded(law, &mut payload[..FRAME_SAMPLES]);
                FRAME_SAMPLES
            }
            (heard, _) => {
                let best = self.settings.codec.rate();
                let rate = heard.unwrap_or_else(|| self.player.fill_samples(best, &mut frame));
                if !is_as_loud {
                    amplify(&mut frame[..rate.frame()], hears);
                }
                self.encoder().encode(&frame[..rate.frame()], rate, payload)
            }
        };
        if length == 0 {
            self.sender.pause();
            return None;
        }
        self.sender
            .frame(PayloadType(self.settings.payload_type), tick)
            .marshal_to(&mut buffer[..HEADER_OCTETS])
            .expect("a header without extras fits in twelve octets");
        self.transmit(to, buffer, HEADER_OCTETS + length)
    }

    /// A frame of a key, as a report.
    fn report_key(
        &mut self,
        step: &Step,
        event: TelephoneEvent,
        to: SocketAddr,
        buffer: &mut [u8],
        tick: Instant,
    ) -> Option<Transmit> {
        self.player.skip(FRAME_SAMPLES);
        let report = step.report(event.clock_rate / 50);
        let payload = HEADER_OCTETS..HEADER_OCTETS + report.len();
        buffer[payload.clone()].copy_from_slice(&report);
        let header =
            self.sender
                .event(payload, PayloadType(event.payload_type), step.since(), tick);
        self.presses.begin(header.timestamp);
        let length = packet::rewrite(buffer, &header);
        self.transmit(to, buffer, length)
    }

    fn encoder(&mut self) -> &mut Encoder {
        let StreamSettings { codec, dtx, .. } = self.settings;
        let kept = self
            .encoder
            .take()
            .filter(|encoder| encoder.is_for(codec, dtx));
        self.encoder
            .insert(kept.unwrap_or_else(|| Box::new(Encoder::new(codec, dtx))))
    }

    fn next_destination(&mut self) -> Option<SocketAddr> {
        if !self.settings.send {
            return None;
        }
        match (&self.secure, self.settings.security) {
            (Some(_), _) if self.protection.is_none() => None,
            (Some(secure), _) if secure.has_ice() => secure.selected(),
            (Some(_), _) => self.latch.next_destination(),
            // Nothing leaves in the clear that was to be encrypted.
            (None, Security::Dtls(_)) => None,
            (None, Security::Plain | Security::Keys(_)) => self.latch.next_destination(),
        }
    }

    /// How long this peer may be silent.
    fn silence_limit(&self, limits: &Limits) -> Duration {
        // Either side of a hold is enough: a phone that put us on hold often stops sending, though it may.
        if self.talks() {
            limits.rtp_timeout
        } else {
            limits.hold_timeout
        }
    }

    /// Tells if the peer has been silent for its limit by now, and when to look next.
    pub(crate) fn check_silence(
        &mut self,
        limits: &Limits,
        now: Instant,
    ) -> (Option<Event>, Instant) {
        let after = self.silence_limit(limits);
        let due = self.silence.since + after;
        if due > now {
            return (None, due);
        }
        let news = !self.silence.told;
        self.silence.told = true;
        let event = Event::Silent {
            leg: self.id,
            after,
        };
        (news.then_some(event), now + after)
    }
}
