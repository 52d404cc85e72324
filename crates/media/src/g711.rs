//! G.711: 8 kHz speech in one octet per sample, mu-law and A-law, by tables.

/// The two forms of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// Mu-law: PCMU.
    Mu,
    /// A-law: PCMA.
    A,
}

impl Law {
    /// The linear sample that an octet stands for.
    #[must_use]
    pub fn decode(self, octet: u8) -> i16 {
        self.decoded()[usize::from(octet)]
    }

    /// The octet nearest to a linear sample.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => mu_law(sample),
            Self::A => a_law(sample),
        }
    }

    /// The octet that means silence.
    #[must_use]
    pub fn silence(self) -> u8 {
        match self {
            Self::Mu => SILENCE_MU,
            Self::A => SILENCE_A,
        }
    }

    /// The linear samples of all octets.
    pub(crate) fn decoded(self) -> &'static [i16; 256] {
        match self {
            Self::Mu => &MU_TO_LINEAR,
            Self::A => &A_TO_LINEAR,
        }
    }

    /// The table that turns this form's octets into another's; None if they are the same.
    pub(crate) fn transcoder(self, to: Self) -> Option<&'static [u8; 256]> {
        match (self, to) {
            (Self::Mu, Self::Mu) | (Self::A, Self::A) => None,
            (Self::Mu, Self::A) => Some(&MU_TO_A),
            (Self::A, Self::Mu) => Some(&A_TO_MU),
        }
    }
}

const SILENCE_MU: u8 = mu_law(0);
const SILENCE_A: u8 = a_law(0);

static MU_TO_LINEAR: [i16; 256] = linear_table(Law::Mu);
static A_TO_LINEAR: [i16; 256] = linear_table(Law::A);
static MU_TO_A: [u8; 256] = transcoding_table(Law::Mu);
static A_TO_MU: [u8; 256] = transcoding_table(Law::A);

const fn linear_table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match law {
            Law::Mu => from_mu_law(octet as u8),
            Law::A => from_a_law(octet as u8),
        };
        octet += 1;
    }
    table
}

/// From `law` to the other one.
const fn transcoding_table(law: Law) -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match law {
            Law::Mu => a_law(from_mu_law(octet as u8)),
            Law::A => mu_law(from_a_law(octet as u8)),
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

    const LAWS: [Law; 2] = [Law::Mu, Law::A];

    #[test]
    fn octets_survive_decoding_and_encoding() {
        for law in LAWS {
            for octet in 0..=255 {
                let again = law.encode(law.decode(octet));
                // Mu-law has two zeros; the negative one comes back as the positive.
                let zero = law == Law::Mu && octet == 0x7f;
                assert!(
                    again == octet || zero,
                    "{law:?} {octet:#x} became {again:#x}"
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
            assert_eq!(Law::Mu.decode(octet), sample, "{octet:#x}");
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
            assert_eq!(Law::A.decode(octet), sample, "{octet:#x}");
        }
        assert_eq!(Law::Mu.silence(), 0xff);
        assert_eq!(Law::A.silence(), 0xd5);
    }

    #[test]
    fn louder_is_never_quieter_and_the_error_is_half_a_step_of_its_segment() {
        for law in LAWS {
            let mut before = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let got = law.decode(law.encode(sample));
                assert!(got >= before, "{law:?} {sample}");
                let error = (i32::from(got) - i32::from(sample)).abs();
                // A segment of 16 steps begins at about the length of its 16 steps.
                assert!(
                    error <= 8 + i32::from(sample).abs() / 32,
                    "{law:?} {sample}: off by {error}"
                );
                before = got;
            }
        }
    }

    #[test]
    fn transcoding_there_and_back_changes_a_sample_by_one_step_at_most() {
        for from in LAWS {
            for to in LAWS {
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
