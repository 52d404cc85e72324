//! From tapped packets to stereo samples.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::codec::{Codec, Rate};
use crate::command::RecordingId;
use crate::decoder::Decoder;
use crate::loudness::{Leveller, Volume};
use crate::noise::Noise;
use crate::packet::{RtpTimestamp, SAMPLE_RATE, Ssrc, samples_in};
use crate::resample::Resampler;

/// Octets that a tap carries without allocation: 30 ms of G.711 or G.722.
const SHORT_OCTETS: usize = 240;

/// What the recorder gets from the mixer, in order.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation per tapped packet"
)]
pub enum Tap {
    /// A recording begins now.
    Start {
        /// Its number.
        recording: RecordingId,
        /// Where it shall lie.
        path: PathBuf,
        /// Now.
        at: Instant,
    },
    /// What one side said.
    Packet {
        /// The recording it belongs to.
        recording: RecordingId,
        /// Who said it.
        side: Side,
        /// What is in it.
        content: Content,
        /// How loud it is made.
        volume: Volume,
        /// How it is encoded, or what it stands beside.
        codec: Codec,
        /// Of the first sample of `payload`.
        timestamp: RtpTimestamp,
        /// The peer's stream.
        ssrc: Ssrc,
        /// When it came.
        at: Instant,
        /// As it came.
        payload: Payload,
    },
    /// The recording ends now.
    End {
        /// Its number.
        recording: RecordingId,
        /// Now.
        at: Instant,
    },
}

/// What a side's packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What was said.
    Sound,
    /// Comfort noise (RFC 3389), which goes on until something is said.
    Noise,
}

/// A copied payload.
#[derive(Clone, Debug)]
pub struct Payload(Octets);

#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation per tapped packet"
)]
enum Octets {
    Short { len: u8, octets: [u8; SHORT_OCTETS] },
    Long(Box<[u8]>),
}

impl Payload {
    /// Copies `octets`; more than 240 into memory of their own.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        if octets.len() > SHORT_OCTETS {
            return Self(Octets::Long(octets.into()));
        }
        let mut copy = [0; SHORT_OCTETS];
        copy[..octets.len()].copy_from_slice(octets);
        Self(Octets::Short {
            len: octets.len() as u8,
            octets: copy,
        })
    }

    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Octets::Short { len, octets } => &octets[..usize::from(*len)],
            Octets::Long(octets) => octets,
        }
    }
}

/// The channel of a stereo recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The customer.
    Left,
    /// The agent.
    Right,
}

/// How far the output stays behind the newest packet: later packets than that are lost to the recording.
const SETTLE: u64 = SAMPLE_RATE as u64 * 2 / 5;

/// Samples that a side holds, from the oldest that is not settled: 1 s.
const RING_SAMPLES: usize = 8192;

/// The longest packet that is recorded whole, 120 ms: the longest of Opus.
const MAX_SAMPLES: u64 = 960;

/// How far settling may fall behind the newest packet, so that the packet and what comes ahead of it find room.
const MAX_WAIT: u64 = RING_SAMPLES as u64 - MAX_AHEAD as u64 - MAX_SAMPLES;

/// A packet whose timestamp lies further than this ahead of its arrival (0.2 s) does not go on with the stream before it.
const MAX_AHEAD: i64 = SAMPLE_RATE as i64 / 5;

/// A packet whose timestamp lies further than this behind its arrival (5 s) does not go on with the stream before it either.
const MAX_BEHIND: i64 = 5 * SAMPLE_RATE as i64;

/// So many packets in a row that come too late to be recorded (200 ms) are no longer jitter: the path has become slower.
const MAX_LATE_PACKETS: u32 = 10;

/// Puts the two sides of one recording on one time line: interleaved stereo (left, right), 16 bit, 8 kHz.
///
/// A side's first packet stands where it arrived, all after it where their RTP timestamps say; a new SSRC or a jump of the
/// timestamp begins again at its arrival. What never came is silence.
///
/// The driver hands over the recording's [`Tap`]s in order and may write what `advance` gives at once.
#[derive(Debug)]
pub struct Aligner {
    start: Instant,
    left: Track,
    right: Track,
    /// Stereo samples that are settled: nothing can change them.
    settled: u64,
    /// Settled samples that `advance` has not given out yet.
    ready: Vec<i16>,
}

#[derive(Debug)]
struct Track {
    /// The sample at position p is at p modulo the length.
    ring: Box<[i16; RING_SAMPLES]>,
    anchor: Option<Anchor>,
    /// Packets in a row that came too late.
    late: u32,
    /// What is heard from here on until something is said.
    noise: Option<Box<(i64, Noise)>>,
    /// How loud what comes is made.
    volume: Volume,
    /// What is not G.711 as it came.
    sequel: Option<Box<Sequel>>,
}

/// Packets of a codec that remembers: decoded in their order, once nothing can come between them any more.
#[derive(Debug)]
struct Sequel {
    decoder: Decoder,
    halver: Option<Resampler>,
    volume: Volume,
    leveller: Option<Leveller>,
    /// By the position of the first sample.
    waiting: BTreeMap<i64, Payload>,
    samples: Vec<i16>,
}

/// Where a timestamp of a stream stands in the recording.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: Ssrc,
    codec: Codec,
    timestamp: RtpTimestamp,
    position: i64,
}

impl Aligner {
    /// A recording that begins at `start`, the time of its [`Tap::Start`].
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            left: Track::new(),
            right: Track::new(),
            settled: 0,
            ready: Vec::new(),
        }
    }

    /// Takes a [`Tap::Packet`] of this recording; other taps are ignored.
    pub fn handle_tap(&mut self, tap: &Tap) {
        match tap {
            Tap::Packet {
                side,
                content,
                volume,
                codec,
                timestamp,
                ssrc,
                at,
                payload,
                ..
            } => {
                let arrival = samples_in(at.saturating_duration_since(self.start));
                // Makes room, should `advance` not have been called for long.
                self.settle(arrival.saturating_sub(MAX_WAIT));
                let track = match side {
                    Side::Left => &mut self.left,
                    Side::Right => &mut self.right,
                };
                let (arrival, settled) = (arrival as i64, self.settled as i64);
                match content {
                    Content::Sound => {
                        track.volume = *volume;
                        track.place(*ssrc, *timestamp, arrival, settled, *codec, payload);
                    }
                    Content::Noise => {
                        let position =
                            track.position(*ssrc, *codec, *timestamp, arrival, settled, 1);
                        track.fall_silent(position, settled, payload);
                    }
                }
            }
            Tap::Start { .. } | Tap::End { .. } => {}
        }
    }

    /// Appends to `samples` what is settled at `now`: all that is older than 0.4 s. Taps that come later than that find their place
    /// taken, so give the clock only when no tap waits, else the `at` of the newest one.
    pub fn advance(&mut self, now: Instant, samples: &mut Vec<i16>) {
        let position = samples_in(now.saturating_duration_since(self.start));
        self.settle(position.saturating_sub(SETTLE));
        samples.append(&mut self.ready);
    }

    /// Appends the rest up to `end`, the time of [`Tap::End`]; the whole is then exactly as long as the recording was.
    pub fn finish(mut self, end: Instant, samples: &mut Vec<i16>) {
        self.settle(samples_in(end.saturating_duration_since(self.start)));
        samples.append(&mut self.ready);
    }

    fn settle(&mut self, position: u64) {
        self.ready
            .reserve(2 * position.saturating_sub(self.settled) as usize);
        for track in [&mut self.left, &mut self.right] {
            track.make_noise(self.settled as i64, position as i64);
            track.decode(self.settled as i64, position as i64);
        }
        while self.settled < position {
            let at = (self.settled % RING_SAMPLES as u64) as usize;
            self.ready.push(std::mem::take(&mut self.left.ring[at]));
            self.ready.push(std::mem::take(&mut self.right.ring[at]));
            self.settled += 1;
        }
    }
}

impl Track {
    fn new() -> Self {
        Self {
            ring: Box::new([0; RING_SAMPLES]),
            anchor: None,
            late: 0,
            noise: None,
            volume: Volume::default(),
            sequel: None,
        }
    }

    fn place(
        &mut self,
        ssrc: Ssrc,
        timestamp: RtpTimestamp,
        arrival: i64,
        settled: i64,
        codec: Codec,
        payload: &Payload,
    ) {
        let octets = payload.as_slice();
        let samples = samples_of(codec, i64::from(codec.ticks(octets)));
        let position = self.position(ssrc, codec, timestamp, arrival, settled, samples);
        // What comes late was said before.
        if self.noise.as_ref().is_some_and(|noise| position >= noise.0) {
            self.make_noise(settled, position);
            self.noise = None;
        }
        let Some(law) = codec.law().filter(|_| self.volume.is_none()) else {
            return self.wait(codec, position, settled, payload);
        };
        let table = law.decoded();
        // What is settled is given out; there is room for the length of the ring from there.
        let first = position.max(settled);
        let room = (settled + RING_SAMPLES as i64 - first).max(0) as usize;
        let octets = octets.iter().skip((first - position) as usize).take(room);
        for (place, &octet) in (first as usize..).zip(octets) {
            self.ring[place % RING_SAMPLES] = table[usize::from(octet)];
        }
    }

    /// From a position on there is comfort noise.
    fn fall_silent(&mut self, position: i64, settled: i64, payload: &Payload) {
        self.make_noise(settled, position);
        self.noise = Noise::new(payload.as_slice()).map(|noise| Box::new((position, noise)));
    }

    /// Makes the comfort noise before `until`.
    fn make_noise(&mut self, settled: i64, until: i64) {
        let Some((from, noise)) = self.noise.as_deref_mut() else {
            return;
        };
        let until = until.min(settled + RING_SAMPLES as i64);
        for position in (*from).max(settled)..until {
            let place = position as usize % RING_SAMPLES;
            noise.fill(&mut self.ring[place..=place]);
        }
        *from = until.max(*from);
    }

    fn wait(&mut self, codec: Codec, position: i64, settled: i64, payload: &Payload) {
        if position >= settled + RING_SAMPLES as i64 {
            return;
        }
        // A side that changes its codec: what waits is said before.
        let volume = self.volume;
        let goes_on = |it: &Sequel| (it.decoder.codec(), it.volume) == (codec, volume);
        if self.sequel.as_ref().is_some_and(|it| !goes_on(it)) {
            self.decode(settled, i64::MAX);
            self.sequel = None;
        }
        let sequel = self
            .sequel
            .get_or_insert_with(|| Box::new(Sequel::new(codec, volume)));
        sequel.waiting.insert(position, payload.clone());
    }

    /// Decodes all packets that are heard before `until`.
    fn decode(&mut self, settled: i64, until: i64) {
        let Some(sequel) = &mut self.sequel else {
            return;
        };
        // What comes out late stands where it was said.
        let delay = sequel.halver.as_ref().map_or(0, |it| it.delay() as i64 / 2);
        let until = until.saturating_add(delay);
        while let Some(next) = sequel.waiting.first_entry().filter(|it| *it.key() < until) {
            let (position, payload) = next.remove_entry();
            let decoded = sequel.decoder.decode(payload.as_slice());
            sequel.samples.clear();
            match &mut sequel.halver {
                Some(halver) => halver.resample(decoded, &mut sequel.samples),
                None => sequel.samples.extend_from_slice(decoded),
            }
            if let Some(leveller) = &mut sequel.leveller {
                leveller.apply(&mut sequel.samples);
            }
            for (place, sample) in (position - delay..).zip(&sequel.samples) {
                if (settled..settled + RING_SAMPLES as i64).contains(&place) {
                    self.ring[place as usize % RING_SAMPLES] = *sample;
                }
            }
        }
    }

    /// Where the packet's first sample belongs.
    fn position(
        &mut self,
        ssrc: Ssrc,
        codec: Codec,
        timestamp: RtpTimestamp,
        arrival: i64,
        settled: i64,
        samples: i64,
    ) -> i64 {
        let by_time = self
            .anchor
            .filter(|anchor| anchor.ssrc == ssrc && anchor.codec.clock_rate() == codec.clock_rate())
            .map(|anchor| {
                let ticks = i64::from(timestamp.since(anchor.timestamp));
                anchor.position + samples_of(codec, ticks)
            });
        let fitting = by_time
            .filter(|&position| (arrival - MAX_BEHIND..=arrival + MAX_AHEAD).contains(&position));
        let in_time = fitting.is_some_and(|position| position + samples > settled);
        self.late = if in_time { 0 } else { self.late + 1 };
        let position = match fitting {
            Some(position) if in_time || self.late < MAX_LATE_PACKETS => position,
            Some(_) | None => {
                self.late = 0;
                arrival
            }
        };
        // The newest packet is the anchor of the next, so that timestamps may wrap in a long call.
        if self.anchor.is_none_or(|anchor| {
            anchor.ssrc != ssrc || fitting != Some(position) || position > anchor.position
        }) {
            self.anchor = Some(Anchor {
                ssrc,
                codec,
                timestamp,
                position,
            });
        }
        position
    }
}

impl Sequel {
    fn new(codec: Codec, volume: Volume) -> Self {
        let decoder = Decoder::at(codec, Rate::Narrow);
        Self {
            halver: Resampler::new(decoder.rate(), Rate::Narrow),
            decoder,
            volume,
            leveller: Leveller::new(volume, Rate::Narrow),
            waiting: BTreeMap::new(),
            samples: Vec::new(),
        }
    }
}

/// Samples of a recording in the ticks of a codec's clock.
fn samples_of(codec: Codec, ticks: i64) -> i64 {
    ticks * i64::from(SAMPLE_RATE) / i64::from(codec.clock_rate())
}
