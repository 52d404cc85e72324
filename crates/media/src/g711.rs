//! G.711: 8 kHz speech in one octet per sample, mu-law and A-law, by tables.

use crate::packet::PayloadType;

/// The codecs that the mixer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// The codec of a static payload type (RFC 3551 table 4).
    #[must_use]
    pub fn of_static(payload_type: PayloadType) -> Option<Self> {
        match payload_type.0 {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// The linear sample that an octet stands for.
    #[must_use]
    pub fn decode(self, octet: u8) -> i16 {
        self.decoded()[usize::from(octet)]
    }

    /// The octet nearest to a linear sample.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => mu_law(sample),
            Self::Pcma => a_law(sample),
        }
    }

    /// The octet that means silence.
    #[must_use]
    pub fn silence(self) -> u8 {
        match self {
            Self::Pcmu => SILENCE_MU,
            Self::Pcma => SILENCE_A,
        }
    }

    /// The linear samples of all octets.
    pub(crate) fn decoded(self) -> &'static [i16; 256] {
        match self {
            Self::Pcmu => &MU_TO_LINEAR,
            Self::Pcma => &A_TO_LINEAR,
        }
    }

    /// The table that turns this codec's octets into another's; None if they are the same.
    pub(crate) fn transcoder(self, to: Self) -> Option<&'static [u8; 256]> {
        match (self, to) {
            (Self::Pcmu, Self::Pcmu) | (Self::Pcma, Self::Pcma) => None,
            (Self::Pcmu, Self::Pcma) => Some(&MU_TO_A),
            (Self::Pcma, Self::Pcmu) => Some(&A_TO_MU),
        }
    }
}

const SILENCE_MU: u8 = mu_law(0);
const SILENCE_A: u8 = a_law(0);

static MU_TO_LINEAR: [i16; 256] = linear_table(Codec::Pcmu);
static A_TO_LINEAR: [i16; 256] = linear_table(Codec::Pcma);
static MU_TO_A: [u8; 256] = transcoding_table(Codec::Pcmu);
static A_TO_MU: [u8; 256] = transcoding_table(Codec::Pcma);

const fn linear_table(codec: Codec) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match codec {
            Codec::Pcmu => from_mu_law(octet as u8),
            Codec::Pcma => from_a_law(octet as u8),
        };
        octet += 1;
    }
    table
}

/// From `codec` to the other one.
const fn transcoding_table(codec: Codec) -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match codec {
            Codec::Pcmu => a_law(from_mu_law(octet as u8)),
            Codec::Pcma => mu_law(from_a_law(octet as u8)),
        };
        octet += 1;
    }
    table
}

/// The shift of mu-law's logarithm: 33 in G.711's 14-bit samples, 132 in 16 bits.
const MU_BIAS: i32 = 0x84;
/// The greatest magnitude that mu-law can hold, in 16 bits.
const MU_CLIP: i32 = 32635;

/// ITU-T G.711 table 2a: sign, segment and step, all bits inverted on the line.
const fn mu_law(sample: i16) -> u8 {
    let sample = sample as i32;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.abs();
    let magnitude = (if magnitude > MU_CLIP {
        MU_CLIP
    } else {
        magnitude
    }) + MU_BIAS;
    // The biased magnitude has its highest bit at 7 to 14: segments 0 to 7.
    let segment = 24 - magnitude.leading_zeros();
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

const fn from_mu_law(octet: u8) -> i16 {
    let octet = !octet;
    let segment = (octet >> 4) & 0x07;
    let step = (octet & 0x0f) as i32;
    let magnitude = (((step << 3) + MU_BIAS) << segment) - MU_BIAS;
    (if octet & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}

/// ITU-T G.711 table 1a: sign, segment and step, even bits inverted on the line (0x55).
const fn a_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    // A-law has no zero: -1 to -16 fall into the first negative step, so the negative side is mirrored about -1/2.
    let magnitude = (if sample < 0 { !sample } else { sample }) as u32 >> 4;
    // In finest steps, 0 to 2047; segments 0 and 1 both have the finest step.
    let octet = if magnitude < 32 {
        magnitude
    } else {
        let segment = 28 - magnitude.leading_zeros();
        segment << 4 | (magnitude >> (segment - 1)) & 0x0f
    };
    (octet as u8 | sign) ^ 0x55
}

const fn from_a_law(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let segment = (octet >> 4) & 0x07;
    // The middle of the step.
    let step = ((octet & 0x0f) as i32) << 4 | 0x08;
    let magnitude = if segment == 0 {
        step
    } else {
        (step | 0x100) << (segment - 1)
    };
    (if octet & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    #[test]
    fn octets_survive_decoding_and_encoding() {
        for codec in CODECS {
            for octet in 0..=255 {
                let again = codec.encode(codec.decode(octet));
                // Mu-law has two zeros; the negative one comes back as the positive.
                let zero = codec == Codec::Pcmu && octet == 0x7f;
                assert!(
                    again == octet || zero,
                    "{codec:?} {octet:#x} became {again:#x}"
                );
            }
        }
    }

    #[test]
    fn known_values_are_those_of_the_standard() {
        // ITU-T G.711 tables 1 and 2, decoder output values scaled to 16 bits.
        for (octet, sample) in [
            (0x80, 32124),
            (0x00, -32124),
            (0xff, 0),
            (0xfe, 8),
            (0xf0, 120),
            (0xef, 132),
            (0x8f, 16764),
        ] {
            assert_eq!(Codec::Pcmu.decode(octet), sample, "{octet:#x}");
        }
        for (octet, sample) in [
            (0xd5, 8),
            (0x55, -8),
            (0xaa, 32256),
            (0x2a, -32256),
            (0xd4, 24),
            (0xc5, 264),
            (0xa5, 16896),
        ] {
            assert_eq!(Codec::Pcma.decode(octet), sample, "{octet:#x}");
        }
        assert_eq!(Codec::Pcmu.silence(), 0xff);
        assert_eq!(Codec::Pcma.silence(), 0xd5);
    }

    #[test]
    fn louder_is_never_quieter_and_the_error_is_half_a_step_of_its_segment() {
        for codec in CODECS {
            let mut before = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let got = codec.decode(codec.encode(sample));
                assert!(got >= before, "{codec:?} {sample}");
                let error = (i32::from(got) - i32::from(sample)).abs();
                // A segment of 16 steps begins at about the length of its 16 steps.
                assert!(
                    error <= 8 + i32::from(sample).abs() / 32,
                    "{codec:?} {sample}: off by {error}"
                );
                before = got;
            }
        }
    }

    #[test]
    fn transcoding_there_and_back_changes_a_sample_by_one_step_at_most() {
        for from in CODECS {
            for to in CODECS {
                let (Some(there), Some(back)) = (from.transcoder(to), to.transcoder(from)) else {
                    continue;
                };
                for octet in 0..=255u8 {
                    let again = back[usize::from(there[usize::from(octet)])];
                    let (before, after) =
                        (i32::from(from.decode(octet)), i32::from(from.decode(again)));
                    assert!(
                        (before - after).abs() <= 16 + before.abs() / 16,
                        "{from:?} {octet:#x}: {before} became {after}"
                    );
                }
            }
        }
    }
}
