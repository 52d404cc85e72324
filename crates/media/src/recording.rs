//! From tapped packets to stereo samples.

use std::path::PathBuf;
use std::time::Instant;

use crate::command::RecordingId;
use crate::g711::Codec;
use crate::packet::{RtpTimestamp, SAMPLE_RATE, SequenceNumber, Ssrc, samples_in};

/// Octets that one tap carries: 60 ms of G.711. A longer packet is several taps.
pub(crate) const MAX_PAYLOAD_OCTETS: usize = 480;

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
    /// What one side said. A packet of more than 60 ms comes as several of these with the same number.
    Packet {
        /// The recording it belongs to.
        recording: RecordingId,
        /// Who said it.
        side: Side,
        /// How it is encoded.
        codec: Codec,
        /// The packet's number.
        sequence: SequenceNumber,
        /// Of the first sample of `payload`.
        timestamp: RtpTimestamp,
        /// The peer's stream.
        ssrc: Ssrc,
        /// When it came.
        at: Instant,
        /// A sample per octet.
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

/// A copied payload, without allocation.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// Octets used, at most 480.
    pub len: u16,
    /// The octets; 60 ms of G.711.
    pub octets: [u8; MAX_PAYLOAD_OCTETS],
}

impl Payload {
    /// Copies the first 480 of `octets`.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        let len = octets.len().min(MAX_PAYLOAD_OCTETS);
        let mut copy = [0; MAX_PAYLOAD_OCTETS];
        copy[..len].copy_from_slice(&octets[..len]);
        Self {
            len: len as u16,
            octets: copy,
        }
    }

    /// The octets used.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len).min(MAX_PAYLOAD_OCTETS)]
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

/// How far settling may fall behind the newest packet, so that the packet and what comes ahead of it find room.
const MAX_WAIT: u64 = RING_SAMPLES as u64 - MAX_AHEAD as u64 - MAX_PAYLOAD_OCTETS as u64;

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
}

/// Where a timestamp of a stream stands in the recording.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: Ssrc,
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
                track.place(
                    *ssrc,
                    *timestamp,
                    arrival as i64,
                    self.settled as i64,
                    *codec,
                    payload.as_slice(),
                );
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
        }
    }

    fn place(
        &mut self,
        ssrc: Ssrc,
        timestamp: RtpTimestamp,
        arrival: i64,
        settled: i64,
        codec: Codec,
        octets: &[u8],
    ) {
        let position = self.position(ssrc, timestamp, arrival, settled, octets.len());
        let table = codec.decoded();
        // What is settled is given out; there is room for the length of the ring from there.
        let first = position.max(settled);
        let room = (settled + RING_SAMPLES as i64 - first).max(0) as usize;
        let octets = octets.iter().skip((first - position) as usize).take(room);
        for (place, &octet) in (first as usize..).zip(octets) {
            self.ring[place % RING_SAMPLES] = table[usize::from(octet)];
        }
    }

    /// Where the packet's first sample belongs.
    fn position(
        &mut self,
        ssrc: Ssrc,
        timestamp: RtpTimestamp,
        arrival: i64,
        settled: i64,
        samples: usize,
    ) -> i64 {
        let by_time = self
            .anchor
            .filter(|anchor| anchor.ssrc == ssrc)
            .map(|anchor| anchor.position + i64::from(timestamp.since(anchor.timestamp)));
        let fitting = by_time
            .filter(|&position| (arrival - MAX_BEHIND..=arrival + MAX_AHEAD).contains(&position));
        let in_time = fitting.is_some_and(|position| position + samples as i64 > settled);
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
                timestamp,
                position,
            });
        }
        position
    }
}
