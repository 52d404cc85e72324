//! What came from a leg's peer, counted as RFC 3550 appendix A says.

use std::time::{Duration, Instant};

use crate::packet::{RtpTimestamp, SAMPLE_RATE, SequenceNumber, Ssrc, ticks_in, time_of_ticks};
use crate::rtcp::Reception;

/// A gap of so many packets (a minute) is still a gap; a longer jump is a new beginning (RFC 3550 appendix A.1).
const MAX_DROPOUT: u16 = 3000;

/// A packet so many numbers old is still taken as late (RFC 3550 appendix A.1).
const MAX_MISORDER: u16 = 100;

/// A timestamp that differs from the time of arrival by more seconds than this, against the packet before it, is a new beginning:
/// no network holds a packet back for so long, but phones do restart their clock after hold.
const MAX_TIMESTAMP_JUMP: u32 = 5;

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
    /// Packets lost, and gaps, of streams that are over.
    lost_before: u64,
    gaps_before: u64,
    jitter: Jitter,
    /// Ticks of the peer's timestamps in a second.
    clock_rate: u32,
    epoch: Instant,
}

#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    /// The lowest and the highest number seen, extended by the count of cycles (RFC 3550 appendix A.1).
    base: i64,
    highest: i64,
    received: u64,
    /// Times that a number was passed over.
    gaps: u64,
    /// Bit n: the number `highest - n` has come.
    seen: u128,
    /// The number that would follow a stray packet.
    after_stray: Option<SequenceNumber>,
}

/// Interarrival jitter (RFC 3550 section 6.4.1 and appendix A.8), in sixteenths of a tick.
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
            gaps: 0,
            seen: 1,
            after_stray: None,
        }
    }

    /// RFC 3550 appendix A.3.
    fn expected(&self) -> u64 {
        self.highest.abs_diff(self.base) + 1
    }

    /// RFC 3550 appendix A.3: expected less received.
    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// RFC 3550 appendix A.1, `update_seq`; None: the stream begins anew with this packet.
    fn take(&mut self, sequence: SequenceNumber) -> Option<Arrival> {
        let newest = SequenceNumber((self.highest & 0xffff) as u16);
        let ahead = sequence.0.wrapping_sub(newest.0);
        if ahead != 0 && ahead < MAX_DROPOUT {
            self.highest += i64::from(ahead);
            self.gaps += u64::from(ahead > 1);
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
    /// The difference of this packet's transit time from the one before, in ticks.
    fn difference(&mut self, timestamp: RtpTimestamp, arrival: u32) -> u32 {
        let transit = arrival.wrapping_sub(timestamp.0);
        let before = self.transit.replace(transit).unwrap_or(transit);
        transit.wrapping_sub(before).cast_signed().unsigned_abs()
    }

    fn rescale(&mut self, clock_rate: u32, before: u32) {
        for scaled in [&mut self.scaled, &mut self.max_scaled] {
            *scaled = (u64::from(*scaled) * u64::from(clock_rate) / u64::from(before)) as u32;
        }
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
            gaps_before: 0,
            jitter: Jitter::default(),
            clock_rate: SAMPLE_RATE,
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
                self.gaps_before += self.stream.as_ref().map_or(0, |stream| stream.gaps);
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
    pub(crate) fn time(&mut self, timestamp: RtpTimestamp, clock_rate: u32, now: Instant) {
        if clock_rate != self.clock_rate {
            self.jitter.rescale(clock_rate, self.clock_rate);
            self.clock_rate = clock_rate;
            self.begin_anew();
        }
        // Modulo 2^32 as every RTP timestamp.
        let arrival = ticks_in(now.saturating_duration_since(self.epoch), clock_rate) as u32;
        let difference = self.jitter.difference(timestamp, arrival);
        if difference > MAX_TIMESTAMP_JUMP * clock_rate {
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

    /// What there is to report of the current stream.
    pub(crate) fn reception(&self) -> Option<Reception> {
        let stream = self.stream.as_ref()?;
        Some(Reception {
            ssrc: stream.ssrc,
            // Modulo 2^32, as the field is.
            highest: stream.highest as u32,
            expected: stream.expected(),
            received: stream.received,
            jitter: self.jitter.scaled / 16,
        })
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

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps_before + self.stream.as_ref().map_or(0, |stream| stream.gaps)
    }

    pub(crate) fn jitter(&self) -> Duration {
        self.time_of(self.jitter.scaled)
    }

    pub(crate) fn max_jitter(&self) -> Duration {
        self.time_of(self.jitter.max_scaled)
    }

    fn time_of(&self, scaled: u32) -> Duration {
        time_of_ticks(scaled.into(), self.clock_rate) / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSRC: Ssrc = Ssrc(1);

    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    fn receiver() -> (Receiver, Instant) {
        let now = Instant::now();
        (Receiver::new(now), now)
    }

    /// Received, duplicates, lost after these numbers came.
    fn counts(numbers: impl IntoIterator<Item = u16>) -> (u64, u64, u64) {
        let (mut receiver, _) = receiver();
        for number in numbers {
            receiver.take(SSRC, SequenceNumber(number));
        }
        (receiver.received(), receiver.duplicates(), receiver.lost())
    }

    #[test]
    fn numbers_may_wrap() {
        let (mut receiver, _) = receiver();
        for n in 0..200_000u32 {
            let sequence = SequenceNumber((n + 65_000) as u16);
            assert_eq!(receiver.take(SSRC, sequence), Arrival::Taken);
        }
        assert_eq!((receiver.received(), receiver.lost()), (200_000, 0));
    }

    #[test]
    fn a_gap_over_the_wrap_is_a_loss_of_its_length() {
        assert_eq!(counts([65_534, 65_535, 3, 4]), (4, 0, 3));
    }

    #[test]
    fn what_comes_late_is_not_lost() {
        assert_eq!(counts([1, 2, 5, 3, 4, 6]), (6, 0, 0));
        assert_eq!(counts([65_535, 1, 0, 2]), (4, 0, 0));
    }

    #[test]
    fn a_packet_older_than_the_first_counts_from_there() {
        assert_eq!(counts([10, 9, 11]), (3, 0, 0));
        assert_eq!(counts([10, 7, 11]), (3, 0, 2));
    }

    #[test]
    fn a_duplicate_hides_no_loss() {
        assert_eq!(counts([1, 2, 2, 2, 4, 1]), (3, 3, 1));
    }

    #[test]
    fn ninety_nine_numbers_back_is_late_and_a_hundred_is_a_stray() {
        let (mut receiver, _) = receiver();
        receiver.take(SSRC, SequenceNumber(1000));
        receiver.take(SSRC, SequenceNumber(1200));
        assert_eq!(receiver.take(SSRC, SequenceNumber(1101)), Arrival::Taken);
        assert_eq!(receiver.take(SSRC, SequenceNumber(1100)), Arrival::Stray);
    }

    #[test]
    fn a_gap_of_a_minute_is_a_gap_and_a_longer_one_a_new_beginning() {
        assert_eq!(counts([0, 2999, 3000]), (3, 0, 2998));
        // RFC 3550 appendix A.1: the first packet after a jump is not believed, the second that follows it is.
        assert_eq!(counts([0, 3000, 3001, 3002]), (3, 0, 0));
        assert_eq!(counts([0, 3000, 1, 50_000, 2]), (3, 0, 0));
    }

    #[test]
    fn the_losses_of_all_streams_are_counted() {
        let (mut receiver, _) = receiver();
        for (ssrc, sequence) in [(1, 1), (1, 3), (2, 500), (2, 503), (1, 9), (1, 10)] {
            receiver.take(Ssrc(ssrc), SequenceNumber(sequence));
        }
        assert_eq!((receiver.received(), receiver.lost()), (6, 3));
        assert_eq!(receiver.number(), StreamNumber(3));
    }

    /// RFC 3550 section 6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16, in samples.
    fn exact_jitter(packets: &[(u32, f64)]) -> f64 {
        packets.windows(2).fold(0.0, |jitter, pair| {
            let sent = f64::from(pair[1].0.wrapping_sub(pair[0].0).cast_signed());
            jitter + ((pair[1].1 - pair[0].1 - sent).abs() - jitter) / 16.0
        })
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        // Delays of 0 to 24 ms, without a pattern, over a wrap of the timestamp.
        let delay = |n: u32| (n * n * 31 + n * 17) % 200;
        let packets: Vec<(u32, f64)> = (0..500u32)
            .map(|n| {
                let timestamp = (n * 160).wrapping_sub(20_000);
                (timestamp, f64::from(n * 160 + delay(n)))
            })
            .collect();
        let (mut receiver, start) = receiver();
        for &(timestamp, arrival) in &packets {
            let arrival = Duration::from_secs_f64(arrival / 8000.0) + Duration::from_micros(10);
            receiver.time(RtpTimestamp(timestamp), SAMPLE_RATE, start + arrival);
        }
        let exact = Duration::from_secs_f64(exact_jitter(&packets) / 8000.0);
        let got = receiver.jitter();
        assert!(
            got.abs_diff(exact) < Duration::from_micros(125),
            "{got:?}, exactly {exact:?}"
        );
        assert!(receiver.max_jitter() >= got && got > Duration::from_millis(5));
    }

    #[test]
    fn a_pause_with_the_clock_running_on_is_no_jitter() {
        let (mut receiver, start) = receiver();
        for (timestamp, at) in [(0, 0), (160, 20), (80_160, 10_020), (80_320, 10_040)] {
            receiver.time(
                RtpTimestamp(timestamp),
                SAMPLE_RATE,
                start + Duration::from_millis(at),
            );
        }
        assert_eq!(receiver.max_jitter(), Duration::ZERO);
    }

    #[test]
    fn a_jump_of_the_timestamp_is_a_new_stream_and_no_jitter() {
        let (mut receiver, start) = receiver();
        receiver.take(SSRC, SequenceNumber(1));
        for (timestamp, at) in [(0, 0), (160, 20), (4_000_000, 40), (4_000_160, 60)] {
            receiver.time(
                RtpTimestamp(timestamp),
                SAMPLE_RATE,
                start + Duration::from_millis(at),
            );
        }
        assert_eq!(
            (receiver.max_jitter(), receiver.number()),
            (Duration::ZERO, StreamNumber(2))
        );
    }
}
