//! RTP packets on the wire (RFC 3550 section 5.1), read and rewritten in place.

use std::ops::Range;
use std::time::Duration;

/// Octets of a header without contributing sources or extension.
pub const HEADER_OCTETS: usize = 12;

/// Octets of the longest packet that is taken. An Ethernet frame holds no more, and a phone sends 172 to 492;
/// a longer datagram counts as malformed.
pub const MAX_PACKET_OCTETS: usize = 1500;

/// Samples in a second of sounds, tones and recordings, as of G.711 (RFC 3551 section 4.5.14).
pub const SAMPLE_RATE: u32 = 8000;

/// A synchronization source: one sender's stream (RFC 3550 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);

/// A packet's number within its stream, modulo 2^16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// The number `count` packets later (earlier, if it is the wrapped negative).
    #[must_use]
    pub fn advanced(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// Packets from `earlier` to this one: negative if this one is older, right within half the number space.
    #[must_use]
    pub fn since(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// The sampling instant of a packet's first sample, in ticks of its codec's clock, modulo 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// The instant `ticks` later (earlier, if it is the wrapped negative).
    #[must_use]
    pub fn advanced(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// Ticks from `earlier` to this instant: negative if this one is older, right within half the number space (12 h of Opus).
    #[must_use]
    pub fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// An RTP payload type, 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadType(pub u8);

/// Whole samples in a stretch of time.
pub(crate) fn samples_in(time: Duration) -> u64 {
    ticks_in(time, SAMPLE_RATE)
}

/// Whole ticks of a clock, which counts `rate` in a second, in a stretch of time.
pub(crate) fn ticks_in(time: Duration, rate: u32) -> u64 {
    time.as_secs() * u64::from(rate)
        + u64::from(time.subsec_nanos()) * u64::from(rate) / 1_000_000_000
}

/// The time that samples take.
pub(crate) fn time_of(samples: u64) -> Duration {
    time_of_ticks(samples, SAMPLE_RATE)
}

/// The time that ticks of a clock take, which counts `rate` in a second.
pub(crate) fn time_of_ticks(ticks: u64, rate: u32) -> Duration {
    Duration::from_nanos(ticks * 1_000_000_000 / u64::from(rate))
}

/// What the mixer needs to know of a packet's header, and where its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: PayloadType,
    pub(crate) sequence: SequenceNumber,
    pub(crate) timestamp: RtpTimestamp,
    pub(crate) ssrc: Ssrc,
    pub(crate) payload: Range<usize>,
}

/// What a datagram on an RTP port turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Datagram {
    Rtp(Header),
    Rtcp,
    Malformed,
}

impl Datagram {
    /// Checks the header as RFC 3550 appendix A.1 says: version, room for contributing sources, extension and padding.
    pub(crate) fn read(packet: &[u8]) -> Self {
        if packet.len() > MAX_PACKET_OCTETS || packet.len() < 2 || packet[0] >> 6 != 2 {
            return Self::Malformed;
        }
        if is_rtcp(packet) {
            return Self::Rtcp;
        }
        match read_header(packet) {
            Some(header) => Self::Rtp(header),
            None => Self::Malformed,
        }
    }
}

/// RFC 5761 section 4: the second octet of RTCP is 192 to 223, which no RTP payload type may look like.
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet
        .get(1)
        .is_some_and(|octet| (192..=223).contains(octet))
}

fn read_header(packet: &[u8]) -> Option<Header> {
    let fixed: &[u8; HEADER_OCTETS] = packet.first_chunk()?;
    // RFC 3550 section 5.1: CC, the number of contributing sources of 4 octets each.
    let mut start = HEADER_OCTETS + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        // RFC 3550 section 5.3.1: two octets by profile, then the extension's length in 32-bit words.
        let length = packet.get(start + 2..start + 4)?;
        start += 4 + usize::from(u16::from_be_bytes([length[0], length[1]])) * 4;
    }
    let mut end = packet.len();
    if fixed[0] & 0x20 != 0 {
        // RFC 3550 section 5.1: the last octet counts the padding, itself included.
        let padding = usize::from(packet[end - 1]);
        if padding == 0 {
            return None;
        }
        end = end.checked_sub(padding)?;
    }
    if start > end {
        return None;
    }
    Some(Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: PayloadType(fixed[1] & 0x7f),
        sequence: SequenceNumber(u16::from_be_bytes([fixed[2], fixed[3]])),
        timestamp: RtpTimestamp(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
        ssrc: Ssrc(u32::from_be_bytes([
            fixed[8], fixed[9], fixed[10], fixed[11],
        ])),
        payload: start..end,
    })
}

/// Writes `header` over the packet's first twelve octets, moves the payload up to it and gives the packet's new length.
/// Contributing sources, extension and padding fall away: they belong to the session of the leg that sent them.
pub(crate) fn rewrite(packet: &mut [u8], header: &Header) -> usize {
    if header.payload.start != HEADER_OCTETS {
        packet.copy_within(header.payload.clone(), HEADER_OCTETS);
    }
    packet[0] = 2 << 6;
    packet[1] = u8::from(header.marker) << 7 | header.payload_type.0;
    packet[2..4].copy_from_slice(&header.sequence.0.to_be_bytes());
    packet[4..8].copy_from_slice(&header.timestamp.0.to_be_bytes());
    packet[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
    HEADER_OCTETS + header.payload.len()
}
