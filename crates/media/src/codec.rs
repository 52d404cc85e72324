//! The codecs that the mixer speaks, and what their packets say of time.

use crate::g711::Law;
use crate::packet::PayloadType;

/// A codec with all that tells its packets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: 16 kHz speech whose RTP clock counts 8,000 in a second (RFC 3551 section 4.5.2).
    G722,
    /// Opus (RFC 7587), one channel.
    Opus,
    /// 16 bit samples at 8 kHz (RFC 3551 section 4.5.11).
    L16Narrow,
    /// 16 bit samples at 16 kHz.
    L16Wide,
    /// G.729: passed on, never decoded; where it would have to be, there is silence.
    G729,
    /// GSM full rate: the same.
    Gsm,
}

/// Samples in a second, as the mixer adds and records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rate {
    /// 8 kHz.
    Narrow,
    /// 16 kHz.
    Wide,
}

impl Rate {
    /// In Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
        }
    }

    /// Samples of 20 ms.
    pub(crate) const fn frame(self) -> usize {
        self.hz() as usize / 50
    }
}

impl Codec {
    /// All that are spoken.
    pub const ALL: [Self; 6] = [
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Opus,
        Self::L16Narrow,
        Self::L16Wide,
    ];

    /// The codec of a static payload type (RFC 3551 table 4).
    pub(crate) fn of_static(payload_type: PayloadType) -> Option<Self> {
        match payload_type.0 {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// Which of the two forms of G.711 it is, if any: they become each other octet by octet.
    #[must_use]
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Mu),
            Self::Pcma => Some(Law::A),
            Self::G722 | Self::Opus | Self::L16Narrow | Self::L16Wide | Self::G729 | Self::Gsm => {
                None
            }
        }
    }

    /// What its RTP timestamps count in a second.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16Narrow | Self::G729 | Self::Gsm => {
                8_000
            }
            Self::L16Wide => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// What it is decoded to, and encoded from.
    #[must_use]
    pub const fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma | Self::L16Narrow | Self::G729 | Self::Gsm => Rate::Narrow,
            Self::G722 | Self::Opus | Self::L16Wide => Rate::Wide,
        }
    }

    /// How long a payload sounds, in ticks of its clock; 0 if it is none of this codec.
    pub(crate) fn ticks(self, payload: &[u8]) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u32,
            Self::L16Narrow | Self::L16Wide => payload.len() as u32 / 2,
            Self::Opus => opus_ticks(payload).unwrap_or(0),
            // Frames of 10 ms; what is shorter at the end tells of noise (RFC 3551 section 4.5.6).
            Self::G729 => payload.len().div_ceil(10) as u32 * 80,
            Self::Gsm => payload.len() as u32 / 33 * 160,
        }
    }

    /// Whether a payload says that nothing is said from here on, and that nothing may come until something is: of Opus what is but a
    /// header (RFC 6716 section 3.1, discontinuous transmission), of G.729 what is shorter than a frame (annex B).
    pub(crate) fn falls_silent(self, payload: &[u8]) -> bool {
        match self {
            Self::Opus => payload.len() <= 2,
            Self::G729 => !payload.len().is_multiple_of(10),
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16Narrow | Self::L16Wide | Self::Gsm => {
                false
            }
        }
    }

    /// Whether packets of this codec may go on to who speaks the other, at most rewritten octet by octet.
    pub(crate) fn becomes(self, other: Self) -> bool {
        self == other || (self.law().is_some() && other.law().is_some())
    }
}

/// RFC 6716 section 3.1: the duration of each frame by the configuration, and how many there are. Not more than 120 ms (section 3.4).
fn opus_ticks(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*payload.get(1)? & 0x3f),
    };
    Some(frame * count).filter(|&ticks| ticks <= 5_760)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_opus_packet_is_read_from_its_first_octets() {
        let ticks = |payload: &[u8]| Codec::Opus.ticks(payload);
        // SILK wideband 20 ms; hybrid 10 ms; CELT 2.5 ms; 60 ms; two of 20 ms; three of 20 ms.
        assert_eq!(ticks(&[9 << 3]), 960);
        assert_eq!(ticks(&[12 << 3]), 480);
        assert_eq!(ticks(&[28 << 3]), 120);
        assert_eq!(ticks(&[11 << 3]), 2_880);
        assert_eq!(ticks(&[9 << 3 | 1]), 1_920);
        assert_eq!(ticks(&[9 << 3 | 3, 3]), 2_880);
        // More than 120 ms, and nothing at all.
        assert_eq!(ticks(&[11 << 3 | 3, 3]), 0);
        assert_eq!(ticks(&[]), 0);
        assert_eq!(ticks(&[9 << 3 | 3]), 0);
    }

    #[test]
    fn the_clock_of_g722_counts_half_of_its_samples() {
        assert_eq!(Codec::G722.ticks(&[0; 160]), 160);
        assert_eq!(Codec::G722.clock_rate() * 2, Codec::G722.rate().hz());
    }
}
