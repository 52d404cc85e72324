//! The media of one leg: both directions of its stream.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use webrtc_util::marshal::Marshal;

use crate::command::{LegId, Port, PortIndex, RecordingId, StreamSettings};
use crate::dtmf::Keypad;
use crate::event::{Event, Output, StreamStats, Transmit};
use crate::g711::Codec;
use crate::latch::Latch;
use crate::mixer::Limits;
use crate::packet::{self, Datagram, HEADER_OCTETS, Header, PayloadType, samples_in};
use crate::player::{FRAME_SAMPLES, Player};
use crate::receiver::{Arrival, Receiver};
use crate::recording::{MAX_PAYLOAD_OCTETS, Payload, Side, Tap};
use crate::sender::{FRAME, Sender, Talker};
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
    pub(crate) player: Player,
    /// The recording that taps what this leg says.
    pub(crate) tap: Option<(RecordingId, Side)>,
    /// When the next frame is due, while the leg has a place on the wheel.
    pub(crate) frame_due: Option<Instant>,
    pub(crate) silence: Silence,
    settings: StreamSettings,
    protection: Option<Protection>,
    latch: Latch,
    receiver: Receiver,
    sender: Sender,
    keypad: Keypad,
    rejected: u64,
}

/// How long nothing came from the peer.
#[derive(Debug)]
pub(crate) struct Silence {
    since: Instant,
    told: bool,
    /// When to look next.
    pub(crate) check: Instant,
}

/// A packet that was taken from the peer and may go on.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) talker: Talker,
    kind: Kind,
    header: Header,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Audio(Codec),
    TelephoneEvent,
    /// Comfort noise, keep-alives, codecs nobody agreed on.
    Other,
}

impl Leg {
    pub(crate) fn new(
        id: LegId,
        port: Port,
        settings: StreamSettings,
        sender: Sender,
        now: Instant,
    ) -> Self {
        Self {
            id,
            port,
            hears: Hears::Background,
            player: Player::default(),
            tap: None,
            frame_due: None,
            silence: Silence {
                since: now,
                told: false,
                check: now,
            },
            latch: Latch::new(&settings, now),
            receiver: Receiver::new(now),
            sender,
            keypad: Keypad::default(),
            rejected: 0,
            protection: settings.srtp.map(Protection::new),
            settings,
        }
    }

    pub(crate) fn update(&mut self, settings: StreamSettings, now: Instant) {
        self.settings = settings;
        self.protection = Protection::renewed(self.protection.take(), settings.srtp);
        self.latch.update(&settings, now);
        self.silence.since = now;
        self.silence.told = false;
    }

    /// It is in no mixer for now. Talkers of another one may have the numbers of those that it heard here.
    pub(crate) fn leave(&mut self) {
        self.tap = None;
        self.frame_due = None;
        self.hears = Hears::Background;
        self.sender.pause();
    }

    /// True while the mixer itself makes what the leg hears.
    pub(crate) fn wants_frames(&self) -> bool {
        self.hears == Hears::Background || self.player.is_playing()
    }

    pub(crate) fn stats(&self) -> StreamStats {
        StreamStats {
            received: self.receiver.received(),
            duplicates: self.receiver.duplicates(),
            sent: self.sender.sent(),
            lost: self.receiver.lost(),
            rejected: self.rejected,
            jitter: self.receiver.jitter(),
            max_jitter: self.receiver.max_jitter(),
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
        // What is not proved to be the peer's is not looked at: it moves neither the latch nor a count but this one.
        let Some(packet) = self.unprotect(packet) else {
            self.rejected += 1;
            return None;
        };
        let header = match Datagram::read(packet) {
            Datagram::Rtp(header) => header,
            Datagram::Rtcp => return None,
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
        self.silence.since = now;
        self.silence.told = false;
        match self.receiver.take(header.ssrc, header.sequence) {
            Arrival::Taken => {}
            Arrival::Duplicate => return None,
            Arrival::Stray => {
                self.rejected += 1;
                return None;
            }
        }
        if let Kind::Audio(codec) = kind {
            self.receiver.time(header.timestamp, now);
            self.tap(codec, &header, packet, now, outputs);
        }
        let talker = Talker {
            port: self.port.index,
            stream: self.receiver.number(),
        };
        if let Kind::TelephoneEvent = kind {
            let leg = self.id;
            let payload = &packet[header.payload.clone()];
            self.keypad
                .take(talker.stream, header.timestamp, payload, |digit| {
                    outputs.push_back(Output::Event(Event::Digit { leg, digit }))
                });
        }
        Some(Incoming {
            talker,
            kind,
            header,
        })
    }

    /// The packet as it was before it was protected; RTCP as it came.
    fn unprotect<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        match &mut self.protection {
            Some(protection) if !packet::is_rtcp(packet) => {
                let length = protection.unprotect(packet)?;
                packet.get(..length)
            }
            Some(_) | None => Some(packet),
        }
    }

    /// The packet at the front of `buffer`, for the peer.
    fn transmit(&mut self, to: SocketAddr, buffer: &mut [u8], length: usize) -> Option<Transmit> {
        let len = match &mut self.protection {
            Some(protection) => protection.protect(buffer, length)?,
            None => length,
        };
        Some(Transmit {
            port: self.port.index,
            to,
            len,
        })
    }

    fn kind(&self, payload_type: PayloadType) -> Kind {
        if payload_type.0 == self.settings.payload_type {
            return Kind::Audio(self.settings.codec);
        }
        if Some(payload_type.0) == self.settings.telephone_event {
            return Kind::TelephoneEvent;
        }
        // RFC 3264 section 7: a peer may send any format of the answer, and both forms of G.711 are often in it.
        Codec::of_static(payload_type).map_or(Kind::Other, Kind::Audio)
    }

    fn admits(&mut self, source: SocketAddr, header: &Header, kind: Kind, now: Instant) -> bool {
        match kind {
            Kind::Audio(_) | Kind::TelephoneEvent => self.latch.admits(
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
        codec: Codec,
        header: &Header,
        packet: &[u8],
        at: Instant,
        outputs: &mut VecDeque<Output>,
    ) {
        let Some((recording, side)) = self.tap else {
            return;
        };
        let mut timestamp = header.timestamp;
        for octets in packet[header.payload.clone()].chunks(MAX_PAYLOAD_OCTETS) {
            if outputs.len() >= MAX_WAITING_OUTPUTS {
                return;
            }
            let (sequence, ssrc, payload) = (header.sequence, header.ssrc, Payload::new(octets));
            outputs.push_back(Output::Tap(Tap::Packet {
                recording,
                side,
                codec,
                sequence,
                timestamp,
                ssrc,
                at,
                payload,
            }));
            timestamp = timestamp.advanced(octets.len() as u32);
        }
    }

    /// Rewrites a packet for this leg's peer to hear.
    pub(crate) fn forward(
        &mut self,
        incoming: &Incoming,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Transmit> {
        if self.player.is_playing() {
            return None;
        }
        let Some(to) = self.next_destination() else {
            self.sender.pause();
            return None;
        };
        let header = &incoming.header;
        let (payload_type, samples) = match incoming.kind {
            Kind::Audio(_) => (
                Some(self.settings.payload_type),
                header.payload.len() as u32,
            ),
            // RFC 4733 section 2.5.1.2: the timestamp stays that of the beginning of the event, on the time line of the audio.
            Kind::TelephoneEvent => (self.settings.telephone_event, 0),
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
            samples,
            now,
        )?;
        if let Kind::Audio(codec) = incoming.kind
            && let Some(table) = codec.transcoder(self.settings.codec)
        {
            for octet in &mut packet[header.payload.clone()] {
                *octet = table[usize::from(*octet)];
            }
        }
        let length = packet::rewrite(packet, &outgoing);
        self.transmit(to, packet, length)
    }

    /// Writes the frame that is due at `tick` into `buffer`.
    pub(crate) fn frame(
        &mut self,
        tick: Instant,
        buffer: &mut [u8],
        outputs: &mut VecDeque<Output>,
    ) -> Option<Transmit> {
        let due = self.frame_due.filter(|&due| due <= tick)?;
        self.player.skip(samples_in(tick - due) as usize);
        self.frame_due = Some(tick + FRAME);
        if let Some(play) = self.player.take_played() {
            outputs.push_back(Output::Event(Event::Played { leg: self.id, play }));
            if !self.wants_frames() {
                return None;
            }
        }
        let Some(to) = self.next_destination() else {
            self.player.skip(FRAME_SAMPLES);
            self.sender.pause();
            return None;
        };
        let length = HEADER_OCTETS + FRAME_SAMPLES;
        let (header, payload) = buffer[..length].split_at_mut(HEADER_OCTETS);
        self.sender
            .frame(PayloadType(self.settings.payload_type), tick)
            .marshal_to(header)
            .expect("a header without extras fits in twelve octets");
        self.player.fill(self.settings.codec, payload);
        self.transmit(to, buffer, length)
    }

    fn next_destination(&mut self) -> Option<SocketAddr> {
        if self.settings.send {
            self.latch.next_destination()
        } else {
            None
        }
    }

    /// How long this peer may be silent.
    fn silence_limit(&self, limits: &Limits) -> Duration {
        // Either side of a hold is enough: a phone that put us on hold often stops sending, though it may.
        if self.settings.receive && self.settings.send {
            limits.rtp_timeout
        } else {
            limits.hold_timeout
        }
    }

    /// Tells if the peer has been silent for its limit by now; sets when to look next.
    pub(crate) fn check_silence(&mut self, limits: &Limits, now: Instant) -> Option<Event> {
        let after = self.silence_limit(limits);
        let due = self.silence.since + after;
        if due > now {
            self.silence.check = due;
            return None;
        }
        self.silence.check = now + after;
        let news = !self.silence.told;
        self.silence.told = true;
        news.then_some(Event::Silent {
            leg: self.id,
            after,
        })
    }
}
