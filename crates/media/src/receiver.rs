//! What came from a leg's peer, counted as RFC 3550 appendix A says.

use std::time::{Duration, Instant};

use crate::packet::{RtpTimestamp, SAMPLE_RATE, SequenceNumber, Ssrc, samples_in, time_of};

/// A gap of so many packets (a minute) is still a gap; a longer jump is a new beginning (RFC 3550 appendix A.1).
const MAX_DROPOUT: u16 = 3000;

/// A packet so many numbers old is still taken as late (RFC 3550 appendix A.1).
const MAX_MISORDER: u16 = 100;

/// A timestamp that differs from the time of arrival by more samples than this, against the packet before it, is a new beginning:
/// no network holds a packet back for so long, but phones do restart their clock after hold.
const MAX_TIMESTAMP_JUMP: u32 = 5 * SAMPLE_RATE;

/// Counts the streams that came from one peer: it changes when sequence or time begin anew, with or without a new SSRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamNumber(pub(crate) u32);

/// What a packet's number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Take it, in order or late.
    Taken,
    /// It came before.
    Duplicate,
    /// Its number fits nothing; if the next one follows it, the peer began anew.
    Stray,
}

/// The receiving side of a leg.
#[derive(Debug)]
pub(crate) struct Receiver {
    stream: Option<Stream>,
    number: StreamNumber,
    /// Packets taken, of all streams.
    received: u64,
    duplicates: u64,
    /// Packets lost of streams that are over.
    lost_before: u64,
    jitter: Jitter,
    epoch: Instant,
}

#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    /// The lowest and the highest number seen, extended by the count of cycles (RFC 3550 appendix A.1).
    base: i64,
    highest: i64,
    received: u64,
    /// Bit n: the number `highest - n` has come.
    seen: u128,
    /// The number that would follow a stray packet.
    after_stray: Option<SequenceNumber>,
}

/// Interarrival jitter (RFC 3550 section 6.4.1 and appendix A.8), in sixteenths of a sample.
#[derive(Debug, Default)]
struct Jitter {
    transit: Option<u32>,
    scaled: u32,
    max_scaled: u32,
}

impl Stream {
    fn new(ssrc: Ssrc, sequence: SequenceNumber) -> Self {
        let first = i64::from(sequence.0);
        Self {
            ssrc,
            base: first,
            highest: first,
            received: 1,
            seen: 1,
            after_stray: None,
        }
    }

    /// RFC 3550 appendix A.3: expected less received.
    fn lost(&self) -> u64 {
        let expected = self.highest.abs_diff(self.base) + 1;
        expected.saturating_sub(self.received)
    }

    /// RFC 3550 appendix A.1, `update_seq`; None: the stream begins anew with this packet.
    fn take(&mut self, sequence: SequenceNumber) -> Option<Arrival> {
        let newest = SequenceNumber((self.highest & 0xffff) as u16);
        let ahead = sequence.0.wrapping_sub(newest.0);
        if ahead != 0 && ahead < MAX_DROPOUT {
            self.highest += i64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        } else {
            let behind = newest.0.wrapping_sub(sequence.0);
            if behind >= MAX_MISORDER {
                if self.after_stray == Some(sequence) {
                    return None;
                }
                self.after_stray = Some(sequence.advanced(1));
                return Some(Arrival::Stray);
            }
            let bit = 1 << behind;
            if self.seen & bit != 0 {
                return Some(Arrival::Duplicate);
            }
            self.seen |= bit;
            self.base = self.base.min(self.highest - i64::from(behind));
        }
        self.after_stray = None;
        self.received += 1;
        Some(Arrival::Taken)
    }
}

impl Jitter {
    /// The difference of this packet's transit time from the one before, in samples.
    fn difference(&mut self, timestamp: RtpTimestamp, arrival: u32) -> u32 {
        let transit = arrival.wrapping_sub(timestamp.0);
        let before = self.transit.replace(transit).unwrap_or(transit);
        transit.wrapping_sub(before).cast_signed().unsigned_abs()
    }

    fn update(&mut self, difference: u32) {
        // J += |D| - (J + 8) / 16, all in sixteenths.
        self.scaled = (self.scaled + difference).saturating_sub((self.scaled + 8) >> 4);
        self.max_scaled = self.max_scaled.max(self.scaled);
    }
}

impl Receiver {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            stream: None,
            number: StreamNumber::default(),
            received: 0,
            duplicates: 0,
            lost_before: 0,
            jitter: Jitter::default(),
            epoch: now,
        }
    }

    /// Counts a packet by its number.
    pub(crate) fn take(&mut self, ssrc: Ssrc, sequence: SequenceNumber) -> Arrival {
        let known = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc);
        let arrival = match known.map(|stream| stream.take(sequence)) {
            Some(Some(arrival)) => arrival,
            Some(None) | None => {
                self.lost_before += self.stream.as_ref().map_or(0, Stream::lost);
                self.stream = Some(Stream::new(ssrc, sequence));
                self.begin_anew();
                Arrival::Taken
            }
        };
        match arrival {
            Arrival::Taken => self.received += 1,
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::Stray => {}
        }
        arrival
    }

    /// Times an audio packet that was taken. (The packets of a telephone-event all carry the time of its beginning.)
    pub(crate) fn time(&mut self, timestamp: RtpTimestamp, now: Instant) {
        // Modulo 2^32 as every RTP timestamp.
        let arrival = samples_in(now.saturating_duration_since(self.epoch)) as u32;
        let difference = self.jitter.difference(timestamp, arrival);
        if difference > MAX_TIMESTAMP_JUMP {
            self.begin_anew();
            self.jitter.transit = Some(arrival.wrapping_sub(timestamp.0));
        } else {
            self.jitter.update(difference);
        }
    }

    fn begin_anew(&mut self) {
        self.number.0 += 1;
        self.jitter.transit = None;
    }

    /// The stream that the last packet taken belongs to.
    pub(crate) fn number(&self) -> StreamNumber {
        self.number
    }

    /// The source and the highest number of the current stream.
    pub(crate) fn newest(&self) -> Option<(Ssrc, SequenceNumber)> {
        let stream = self.stream.as_ref()?;
        Some((
            stream.ssrc,
            SequenceNumber((stream.highest & 0xffff) as u16),
        ))
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost_before + self.stream.as_ref().map_or(0, Stream::lost)
    }

    pub(crate) fn jitter(&self) -> Duration {
        time_of(u64::from(self.jitter.scaled)) / 16
    }

    pub(crate) fn max_jitter(&self) -> Duration {
        time_of(u64::from(self.jitter.max_scaled)) / 16
    }
}
