//! What a leg hears, and who hears it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alarms::{Alarm, Alarms};
pub use crate::codec::Codec;
pub use crate::command::{
    ComfortNoise, Command, Dtls, Ice, LegId, Over, PlayId, Port, PortIndex, RecordingId, Rtcp,
    Security, StreamSettings, TelephoneEvent,
};
use crate::draws::Draws;
pub use crate::event::{
    Component, Event, OUTPUT_OCTETS, Output, PeerReport, StreamStats, Transmit,
};
use crate::leg::{Hears, Leg, leg_at};
use crate::packet::{RtpTimestamp, SequenceNumber, Ssrc};
pub use crate::recording::{Content, Payload, Side, Tap};
use crate::rtcp::Reports;
use crate::secure::Identity;
use crate::sender::Sender;
use crate::wheel::Wheel;

/// The limits of a mixer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A leg without RTP from its peer for so long is told as `Silent`.
    pub rtp_timeout: Duration,
    /// The same while either side has the other on hold.
    pub hold_timeout: Duration,
}

/// Why the mixer wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// The next 20 ms frame of something that is played.
    Frame,
    /// A leg may have been silent for its limit.
    Silence,
    /// A DTLS handshake wants to go on.
    Handshake,
    /// The peer of a leg is to get a report (RTCP).
    Report,
    /// The figures of a leg are to be told.
    Figures,
}

/// Of so many legs one has its turn to tell call control how it goes ...
const FIGURES_TURNS: usize = 10;
/// ... so often: each leg once a second, and never all at once.
const FIGURES_STEP: Duration = Duration::from_millis(100);

/// The next turn of that.
#[derive(Debug)]
struct Turn {
    at: Instant,
    number: usize,
}

/// One worker's media. After every `handle_*` (after a batch of `handle_packet` once), drain `poll_output`.
#[derive(Debug)]
pub struct Mixer {
    limits: Limits,
    draws: Draws,
    /// By the index of their port: no search and no hash on the way of a packet.
    legs: Vec<Option<Box<Leg>>>,
    ports: BTreeMap<LegId, PortIndex>,
    /// Left and right.
    recordings: BTreeMap<RecordingId, [LegId; 2]>,
    wheel: Wheel,
    alarms: Alarms,
    /// None while there are no legs.
    next_figures: Option<Turn>,
    /// For the legs that are agreed on DTLS.
    identity: Option<Arc<Identity>>,
    /// What ICE, DTLS and RTCP have to say: from this port to this address.
    datagrams: VecDeque<(PortIndex, Component, SocketAddr, Vec<u8>)>,
    outputs: VecDeque<Output>,
}

/// A leg on its way from one mixer to another.
#[derive(Debug)]
pub struct Passenger(Box<Leg>);

impl Passenger {
    /// Which leg.
    #[must_use]
    pub fn leg(&self) -> LegId {
        self.0.id
    }

    /// What its stream was like so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.0.stats()
    }

    /// The port that it had.
    #[must_use]
    pub fn port(&self) -> Port {
        self.0.port
    }
}

impl Mixer {
    /// A mixer without legs; `seed` feeds SSRCs, first sequence numbers and first timestamps, and must be hard to guess
    /// (RFC 3550 section 5.1).
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            draws: Draws::new(seed),
            legs: Vec::new(),
            ports: BTreeMap::new(),
            recordings: BTreeMap::new(),
            wheel: Wheel::default(),
            alarms: Alarms::default(),
            next_figures: None,
            identity: None,
            datagrams: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The same with a certificate, without which a leg that is agreed on DTLS stays silent.
    #[must_use]
    pub fn with_identity(mut self, identity: Arc<Identity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// A command of call control. A command for a leg that is gone is ignored.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open {
                leg,
                port,
                settings,
            } => self.open(leg, port, settings, now),
            Command::Update { leg, settings } => self.update(leg, settings, now),
            Command::Background { leg, sound } => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.player.set_background(sound);
                }
            }
            Command::Play {
                leg,
                sound,
                over,
                play,
            } => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.player.play(sound, over, play);
                    let port = leg.port.index;
                    self.settle_bridge(port, now);
                }
            }
            Command::StopPlay { leg } => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.player.stop_play();
                    let port = leg.port.index;
                    self.settle_bridge(port, now);
                }
            }
            Command::Echo { leg } => {
                if let Some(&port) = self.ports.get(&leg) {
                    self.unbridge(port, now);
                    self.connect(port, Hears::Itself, now);
                }
            }
            Command::Bridge { a, b } => self.bridge(a, b, now),
            Command::Press { leg, key } => {
                if let Some(&port) = self.ports.get(&leg) {
                    self.press(port, key, now);
                }
            }
            Command::Mix { listener, talker } => self.mix(listener, talker, now),
            Command::Unmix { listener, talker } => self.unmix(listener, talker, now),
            Command::Unbridge { leg } => {
                if let Some(&port) = self.ports.get(&leg) {
                    self.unbridge(port, now);
                }
            }
            Command::Record {
                recording,
                path,
                left,
                right,
            } => self.record(recording, path, [left, right], now),
            Command::PauseRecording { recording, paused } => {
                self.pause_recording(recording, paused);
            }
            Command::StopRecording { recording } => self.stop_recording(recording, now),
            Command::Close { leg } => self.close(leg, now),
        }
    }

    /// Takes a leg out, for another mixer to take it in as it is: where its peer was found, what is played to it, its numbers and
    /// its figures. Its bridge and its part in a recording end. None if it is gone.
    pub fn take_out(&mut self, leg: LegId, now: Instant) -> Option<Passenger> {
        let mut leg = self.end(leg, now)?;
        leg.leave(now);
        Some(Passenger(leg))
    }

    /// Takes a leg in that has this port from now on.
    pub fn take_in(&mut self, passenger: Passenger, port: Port, now: Instant) {
        let Passenger(mut leg) = passenger;
        leg.port = port;
        self.settle(leg, now);
    }

    /// A datagram came to the socket `port`: the first `length` octets of `buffer`, which has room for
    /// [`MAX_TAG_OCTETS`](crate::srtp::MAX_TAG_OCTETS) more. A packet that goes on to another leg (or back, by `Echo`) is rewritten
    /// in place, neither copied nor allocated unless it is encrypted, and must be sent before its buffer is used again.
    pub fn handle_packet(
        &mut self,
        port: PortIndex,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
        now: Instant,
    ) -> Option<Transmit> {
        let talker = leg_at(&mut self.legs, port)?;
        let packet = buffer.get_mut(..length)?;
        let Some(incoming) = talker.receive(source, packet, now, &mut self.outputs) else {
            if talker.secure.is_some() {
                self.secure(port);
            }
            return None;
        };
        let other = match talker.hears {
            Hears::Background => return None,
            Hears::Itself => return talker.forward(&incoming, buffer, now),
            Hears::Leg(other) => other,
        };
        let listener = leg_at(&mut self.legs, other)?;
        if let Some(key) = incoming.key
            && listener.hears_keys_as_tones()
        {
            self.press(other, key, now);
            return None;
        }
        let relays = listener.can_relay(&incoming);
        if listener.decodes != relays {
            return listener.forward(&incoming, buffer, now);
        }
        self.decode(port, other, !relays, now);
        if !relays {
            let talker = leg_at(&mut self.legs, port)?;
            talker.listen(&incoming, buffer.get(..length)?, now);
        }
        leg_at(&mut self.legs, other)?.forward(&incoming, buffer, now)
    }

    /// The peer of a leg is to hear a key.
    fn press(&mut self, port: PortIndex, key: char, now: Instant) {
        if let Some(leg) = leg_at(&mut self.legs, port) {
            leg.press(key);
            self.settle_frames(port, now);
        }
    }

    /// Takes what the handshake of a leg has to say, and when it wants to go on.
    fn secure(&mut self, port: PortIndex) {
        let Some(leg) = leg_at(&mut self.legs, port) else {
            return;
        };
        let mut wakes = None;
        for (component, secure) in [
            (Component::Rtp, &mut leg.secure),
            (Component::Rtcp, &mut leg.secure_reports),
        ] {
            let Some(secure) = secure else {
                continue;
            };
            while let Some((to, datagram)) = secure.next_datagram() {
                self.datagrams.push_back((port, component, to, datagram));
            }
            wakes = wakes.into_iter().chain(secure.wakes()).min();
        }
        self.alarms.set(port, Alarm::Handshake, wakes);
    }

    /// What the leg at `talker` says goes to the other decoded and encoded again, or as it is.
    fn decode(&mut self, talker: PortIndex, listener: PortIndex, decodes: bool, now: Instant) {
        if let Some(talker) = leg_at(&mut self.legs, talker) {
            talker.set_decoded(decodes, now);
        }
        if let Some(listener) = leg_at(&mut self.legs, listener) {
            listener.decodes = decodes;
        }
        self.settle_frames(listener, now);
    }

    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.wheel.advance(now);
        self.tell_figures(now);
        while let Some((port, alarm)) = self.alarms.take_due(now) {
            match alarm {
                Alarm::Silence => self.check_silence(port, now),
                Alarm::Handshake => {
                    if let Some(leg) = leg_at(&mut self.legs, port) {
                        leg.shake_hands(now);
                    }
                    self.secure(port);
                }
                Alarm::Report => self.report(port, now),
            }
        }
    }

    /// A datagram came to the second socket of `port`, which is for RTCP.
    pub fn handle_rtcp(
        &mut self,
        port: PortIndex,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) {
        if let Some(leg) = leg_at(&mut self.legs, port) {
            leg.receive_rtcp(source, packet, now);
            if leg.secure_reports.is_some() {
                self.secure(port);
            }
        }
    }

    /// The peer of a leg gets a report.
    fn report(&mut self, port: PortIndex, now: Instant) {
        if let Some(leg) = leg_at(&mut self.legs, port) {
            let report = leg.report(false, now);
            self.alarms.set(port, Alarm::Report, Some(leg.report_due()));
            self.post(port, report);
        }
    }

    /// Call control hears how the legs go whose turn it is.
    fn tell_figures(&mut self, now: Instant) {
        while let Some(turn) = &mut self.next_figures
            && turn.at <= now
        {
            let first = turn.number % FIGURES_TURNS;
            turn.number += 1;
            // Who comes late has missed some.
            turn.at = now.max(turn.at + FIGURES_STEP);
            for leg in self
                .legs
                .iter()
                .skip(first)
                .step_by(FIGURES_TURNS)
                .flatten()
            {
                let (leg, stats) = (leg.id, leg.stats());
                self.outputs
                    .push_back(Output::Event(Event::Figures { leg, stats }));
            }
        }
    }

    fn post(&mut self, port: PortIndex, report: Option<(Component, SocketAddr, Vec<u8>)>) {
        let report = report.map(|(component, to, packet)| (port, component, to, packet));
        self.datagrams.extend(report);
    }

    /// What must leave next. `buffer` has at least [`OUTPUT_OCTETS`]; an [`Output::Send`] has written its packet there
    /// (give the next free slot of a sending batch, so that nothing is copied twice). Other outputs leave it alone.
    pub fn poll_output(&mut self, buffer: &mut [u8]) -> Option<Output> {
        loop {
            // Before the events: a port whose leg is told to be closed sends nothing any more.
            if let Some((port, component, to, datagram)) = self.datagrams.pop_front() {
                let len = datagram.len();
                buffer.get_mut(..len)?.copy_from_slice(&datagram);
                return Some(Output::Send(Transmit {
                    port,
                    component,
                    to,
                    len,
                }));
            }
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            let (port, tick) = self.wheel.next_due()?;
            let place = usize::from(port.0);
            // Out of its place for a moment, so that it can hear another one.
            let Some(mut leg) = self.legs.get_mut(place).and_then(Option::take) else {
                continue;
            };
            let mixed = leg.mixes();
            let transmit = leg.frame(tick, &mut self.legs, buffer, &mut self.outputs);
            let settles = leg.mixes() != mixed;
            if !leg.wants_frames() {
                leg.frame_due = None;
                self.wheel.remove(port);
            }
            self.legs[place] = Some(leg);
            if settles {
                self.settle_bridge(port, tick);
            }
            if let Some(transmit) = transmit {
                return Some(Output::Send(transmit));
            }
        }
    }

    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        let frame = self.wheel.poll_timeout().map(|at| (at, Wake::Frame));
        let alarm = self.alarms.next().map(|(at, alarm)| match alarm {
            Alarm::Silence => (at, Wake::Silence),
            Alarm::Handshake => (at, Wake::Handshake),
            Alarm::Report => (at, Wake::Report),
        });
        let figures = self.next_figures.as_ref();
        let figures = figures.map(|turn| (turn.at, Wake::Figures));
        frame.into_iter().chain(alarm).chain(figures).min()
    }

    /// Legs that are open.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.ports.len()
    }

    /// What a leg's stream was like so far; None if it is not open.
    #[must_use]
    pub fn stats(&self, leg: LegId) -> Option<StreamStats> {
        let port = self.ports.get(&leg)?;
        self.legs[usize::from(port.0)]
            .as_ref()
            .map(|leg| leg.stats())
    }

    fn open(&mut self, id: LegId, port: Port, settings: StreamSettings, now: Instant) {
        self.close(id, now);
        let (numbers, start) = (self.draws.next(), self.draws.next());
        // RFC 3550 section 5.1: all three begin at random.
        let sender = Sender::new(
            Ssrc(numbers as u32),
            SequenceNumber((numbers >> 32) as u16),
            RtpTimestamp(start as u32),
            settings.codec.clock_rate(),
            now,
        );
        let identity = self.identity.clone();
        let reports = Reports::new(self.draws.next(), now);
        let leg = Leg::new(id, port, settings, identity, sender, reports, now);
        self.settle(Box::new(leg), now);
    }

    fn update(&mut self, leg: LegId, settings: StreamSettings, now: Instant) {
        let Some(leg) = self.leg_mut(leg) else {
            return;
        };
        leg.update(settings, now);
        let (port, hears) = (leg.port.index, leg.hears);
        self.check_silence(port, now);
        self.secure(port);
        // With another codec it may have to be heard in another way, and hear so.
        if let Hears::Leg(other) = hears {
            self.connect(port, hears, now);
            self.connect(other, Hears::Leg(port), now);
        }
    }

    /// Gives a leg its place.
    fn settle(&mut self, leg: Box<Leg>, now: Instant) {
        let (id, port) = (leg.id, leg.port.index);
        let place = usize::from(port.0);
        if self.legs.len() <= place {
            self.legs.resize_with(place + 1, || None);
        }
        // Call control gives a port to one leg at a time. Should it fail to, the newer leg has it, and the older gets no `Closed`,
        // for the port is not free.
        if let Some(old) = self.legs[place].as_ref().map(|old| old.id) {
            self.end(old, now);
        }
        let report_due = leg.report_due();
        self.legs[place] = Some(leg);
        self.ports.insert(id, port);
        self.alarms.set(port, Alarm::Report, Some(report_due));
        self.next_figures.get_or_insert(Turn {
            at: now + FIGURES_STEP,
            number: 0,
        });
        self.check_silence(port, now);
        self.settle_frames(port, now);
        self.secure(port);
    }

    fn close(&mut self, id: LegId, now: Instant) {
        if let Some(mut leg) = self.end(id, now) {
            leg.note_pause(now);
            let report = leg.report(true, now);
            self.post(leg.port.index, report);
            self.outputs.push_back(Output::Event(Event::Closed {
                leg: id,
                port: leg.port,
                stats: leg.stats(),
            }));
        }
    }

    /// Takes a leg out of everything that it is in.
    fn end(&mut self, id: LegId, now: Instant) -> Option<Box<Leg>> {
        let port = *self.ports.get(&id)?;
        self.unbridge(port, now);
        for talker in self.talkers_of(port) {
            self.hear_no_longer(port, talker, now);
        }
        let listeners = leg_at(&mut self.legs, port).map(|leg| leg.listeners.clone());
        for listener in listeners.into_iter().flatten() {
            self.hear_no_longer(listener, port, now);
            self.settle_bridge(listener, now);
        }
        self.ports.remove(&id);
        if self.ports.is_empty() {
            self.next_figures = None;
        }
        let leg = self.legs[usize::from(port.0)].take()?;
        self.alarms.forget(port);
        if leg.frame_due.is_some() {
            self.wheel.remove(port);
        }
        if let Some((recording, _)) = leg.tap
            && self
                .recordings
                .get(&recording)
                .is_some_and(|sides| sides.iter().all(|side| !self.ports.contains_key(side)))
        {
            self.stop_recording(recording, now);
        }
        Some(leg)
    }

    fn bridge(&mut self, a: LegId, b: LegId, now: Instant) {
        let (Some(&a), Some(&b)) = (self.ports.get(&a), self.ports.get(&b)) else {
            return;
        };
        if a == b {
            return;
        }
        for (leg, other) in [(a, b), (b, a)] {
            if leg_at(&mut self.legs, leg).is_some_and(|leg| leg.hears != Hears::Leg(other)) {
                self.unbridge(leg, now);
            }
        }
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(leg) = leg_at(&mut self.legs, leg) {
                leg.player.stop_play();
            }
            self.connect(leg, Hears::Leg(other), now);
        }
    }

    /// One leg hears another besides whom it hears already.
    fn mix(&mut self, listener: LegId, talker: LegId, now: Instant) {
        let ports = (self.ports.get(&listener), self.ports.get(&talker));
        let (Some(&listener), Some(&talker)) = ports else {
            return;
        };
        if listener == talker || self.talkers_of(listener).contains(&talker) {
            return;
        }
        if let Some(talker) = leg_at(&mut self.legs, talker) {
            talker.listeners.push(listener);
            talker.settle_ear(now);
        }
        if let Some(leg) = leg_at(&mut self.legs, listener) {
            leg.mix.insert(talker);
        }
        self.settle_bridge(listener, now);
    }

    fn unmix(&mut self, listener: LegId, talker: LegId, now: Instant) {
        let ports = (self.ports.get(&listener), self.ports.get(&talker));
        if let (Some(&listener), Some(&talker)) = ports {
            self.hear_no_longer(listener, talker, now);
            self.settle_bridge(listener, now);
        }
    }

    fn talkers_of(&mut self, listener: PortIndex) -> Vec<PortIndex> {
        let listener = leg_at(&mut self.legs, listener);
        listener.map_or_else(Vec::new, |leg| leg.mix.talkers().to_vec())
    }

    fn hear_no_longer(&mut self, listener: PortIndex, talker: PortIndex, now: Instant) {
        // Out of its place for a moment, so that it can hear the other one.
        let Some(mut leg) = self.legs[usize::from(talker.0)].take() else {
            return;
        };
        leg.listeners.retain(|other| *other != listener);
        if let Some(listener) = leg_at(&mut self.legs, listener) {
            listener.fade_out(&mut leg);
            listener.mix.remove(talker);
        }
        leg.settle_ear(now);
        self.legs[usize::from(talker.0)] = Some(leg);
    }

    /// Who hears something besides has the one that it is bridged with decoded, too.
    fn settle_bridge(&mut self, port: PortIndex, now: Instant) {
        let hears = leg_at(&mut self.legs, port).map(|leg| leg.hears);
        match hears {
            Some(hears @ Hears::Leg(_)) => self.connect(port, hears, now),
            Some(Hears::Background | Hears::Itself) => self.settle_frames(port, now),
            None => {}
        }
    }

    fn unbridge(&mut self, port: PortIndex, now: Instant) {
        let Some(leg) = leg_at(&mut self.legs, port) else {
            return;
        };
        if let Hears::Leg(other) = leg.hears {
            self.connect(other, Hears::Background, now);
        }
        self.connect(port, Hears::Background, now);
    }

    fn connect(&mut self, port: PortIndex, hears: Hears, now: Instant) {
        let Some(leg) = leg_at(&mut self.legs, port) else {
            return;
        };
        let (codec, mixes) = (leg.settings.codec, leg.mixes());
        let before = std::mem::replace(&mut leg.hears, hears);
        leg.decodes = false;
        if let Hears::Leg(other) = before
            && before != hears
            && let Some(talker) = leg_at(&mut self.legs, other)
        {
            talker.set_decoded(false, now);
        }
        if let Hears::Leg(other) = hears
            && let Some(talker) = leg_at(&mut self.legs, other)
        {
            let decodes = mixes || !talker.settings.codec.becomes(codec);
            self.decode(other, port, decodes, now);
        }
        self.settle_frames(port, now);
    }

    /// Puts the leg on the wheel, or takes it off, as it wants.
    fn settle_frames(&mut self, port: PortIndex, now: Instant) {
        let Some(leg) = leg_at(&mut self.legs, port) else {
            return;
        };
        match (leg.wants_frames(), leg.frame_due) {
            (true, None) => leg.frame_due = Some(self.wheel.insert(port, now)),
            (false, Some(_)) => {
                leg.frame_due = None;
                self.wheel.remove(port);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn check_silence(&mut self, port: PortIndex, now: Instant) {
        let Some(leg) = leg_at(&mut self.legs, port) else {
            return;
        };
        let (event, next) = leg.check_silence(&self.limits, now);
        self.outputs.extend(event.map(Output::Event));
        self.alarms.set(port, Alarm::Silence, Some(next));
    }

    fn record(&mut self, recording: RecordingId, path: PathBuf, sides: [LegId; 2], now: Instant) {
        let taps = sides.map(|side| self.leg_mut(side).and_then(|leg| leg.tap));
        for (older, _) in taps.into_iter().flatten() {
            self.stop_recording(older, now);
        }
        self.stop_recording(recording, now);
        if sides.iter().all(|side| !self.ports.contains_key(side)) {
            let result = Err("both legs had ended before the recording began".to_owned());
            self.outputs
                .push_back(Output::Event(Event::Recorded { recording, result }));
            return;
        }
        self.outputs.push_back(Output::Tap(Tap::Start {
            recording,
            path,
            at: now,
        }));
        for (leg, side) in sides.into_iter().zip([Side::Left, Side::Right]) {
            if let Some(leg) = self.leg_mut(leg) {
                leg.tap = Some((recording, side));
                leg.tap_pauses = false;
            }
        }
        self.recordings.insert(recording, sides);
    }

    fn pause_recording(&mut self, recording: RecordingId, paused: bool) {
        let sides = self.recordings.get(&recording).copied();
        for side in sides.into_iter().flatten() {
            if let Some(leg) = self.leg_mut(side) {
                leg.tap_pauses = paused;
            }
        }
    }

    fn stop_recording(&mut self, recording: RecordingId, now: Instant) {
        let Some(sides) = self.recordings.remove(&recording) else {
            return;
        };
        for side in sides {
            if let Some(leg) = self.leg_mut(side)
                && leg.tap.is_some_and(|(tapped, _)| tapped == recording)
            {
                leg.tap = None;
            }
        }
        self.outputs
            .push_back(Output::Tap(Tap::End { recording, at: now }));
    }

    fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        leg_at(&mut self.legs, *self.ports.get(&id)?)
    }
}
