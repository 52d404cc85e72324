//! How loud a leg's peer is heard, and how loud it hears: a fixed gain, and an automatic level for what it says.

use crate::codec::Rate;

/// A gain in dB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gain {
    tenths: i16,
}

impl Gain {
    /// The most in either direction, in dB: more than any line needs, and less than makes noise out of silence.
    pub const MOST: i16 = 20;

    /// So many tenths of a dB; None beyond 20 dB up or down.
    #[must_use]
    pub const fn of_tenths(tenths: i16) -> Option<Self> {
        if tenths.unsigned_abs() > 10 * Self::MOST.unsigned_abs() {
            return None;
        }
        Some(Self { tenths })
    }

    const fn is_none(self) -> bool {
        self.tenths == 0
    }

    fn decibels(self) -> f32 {
        f32::from(self.tenths) / 10.0
    }
}

/// What is done to the loudness of what a peer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// A fixed gain.
    pub gain: Gain,
    /// Then speech is slowly brought to [`TARGET`], by 20 dB at most.
    pub automatic: bool,
}

impl Volume {
    /// Nothing is done.
    pub(crate) const fn is_none(self) -> bool {
        self.gain.is_none() && !self.automatic
    }
}

/// What is done to the loudness of both directions of a leg. A leg to which anything is done is decoded and encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loudness {
    /// To what its peer says, for all who hear it, and for recordings; not for its own echo.
    pub says: Volume,
    /// To all that its peer hears, sounds included.
    pub hears: Gain,
}

impl Loudness {
    /// What the peer hears need not be changed.
    pub(crate) const fn hears_as_it_is(self) -> bool {
        self.hears.is_none()
    }
}

/// The level of speech that an automatic level aims at, in dB of overload (root mean square): where most networks have it.
pub const TARGET: f32 = -21.0;

/// What is softer than this is silence, in dB of overload: the level that is reached stays.
const SILENCE: f32 = -48.0;
/// So is what is so much softer than the speech around it, in dB (a pause between words, ITU-T P.56 has 15.9).
const PAUSE: f32 = 16.0;
/// The most that an automatic level adds or takes, in dB.
const MOST: f32 = 20.0;
/// How fast it becomes louder and softer, in dB for each block: 20 and 30 dB in a second of speech.
const RISE: f32 = 0.2;
const FALL: f32 = 0.3;
/// Blocks of 10 ms over which the level of speech is measured, once there have been so many: 1 s.
const MEMORY: u16 = 100;
/// Somebody who is suddenly so much louder, in dB, is measured anew.
const LEAP: f32 = 10.0;
/// From this on the limiter bends, as a part of the loudest sample.
const KNEE: f32 = 0.7;

/// Changes the loudness of what a peer says, sample after sample.
#[derive(Debug)]
pub(crate) struct Leveller {
    volume: Volume,
    /// Samples of a block of 10 ms.
    block: usize,
    /// Samples of the block so far, and the sum of their squares.
    count: usize,
    power: f32,
    /// The mean square of speech, and the blocks that it was measured over.
    speech: f32,
    measured: u16,
    /// What the automatic level adds, in dB.
    added: f32,
    /// The gain as a factor, and its step for each sample of this block.
    factor: f32,
    step: f32,
}

impl Leveller {
    /// None where nothing is to be done.
    pub(crate) fn new(volume: Volume, rate: Rate) -> Option<Self> {
        if volume.is_none() {
            return None;
        }
        Some(Self {
            volume,
            block: rate.frame() / 2,
            count: 0,
            power: 0.0,
            speech: 0.0,
            measured: 0,
            added: 0.0,
            factor: factor_of(volume.gain.decibels()),
            step: 0.0,
        })
    }

    /// The next samples.
    pub(crate) fn apply(&mut self, samples: &mut [i16]) {
        for sample in samples {
            if self.volume.automatic {
                self.power += f32::from(*sample) * f32::from(*sample);
                self.count += 1;
                if self.count == self.block {
                    self.end_block();
                }
                self.factor += self.step;
            }
            *sample = limited(f32::from(*sample) * self.factor);
        }
    }

    /// The gain goes on from here to what the block asks for, in the course of the next one.
    fn end_block(&mut self) {
        let fixed = self.volume.gain.decibels();
        let power = self.power / self.count as f32;
        (self.count, self.power) = (0, 0.0);
        let level = level_of(power);
        let pause = self.measured > 0 && level < level_of(self.speech) - PAUSE;
        if level + fixed > SILENCE && !pause {
            if self.measured > 0 && level > level_of(self.speech) + LEAP {
                self.measured = 0;
            }
            self.measured = (self.measured + 1).min(MEMORY);
            self.speech += (power - self.speech) / f32::from(self.measured);
            let wanted = TARGET - fixed - level_of(self.speech);
            let change = (wanted - self.added).clamp(-FALL, RISE);
            self.added = (self.added + change).clamp(-MOST, MOST);
        }
        let goal = factor_of(fixed + self.added);
        self.step = (goal - self.factor) / self.block as f32;
    }
}

/// Makes all samples louder or softer.
pub(crate) fn amplify(samples: &mut [i16], gain: Gain) {
    let factor = factor_of(gain.decibels());
    for sample in samples {
        *sample = limited(f32::from(*sample) * factor);
    }
}

fn factor_of(decibels: f32) -> f32 {
    10f32.powf(decibels / 20.0)
}

/// Of a mean square, in dB of overload.
fn level_of(power: f32) -> f32 {
    10.0 * (power / (32_768.0 * 32_768.0)).max(1e-12).log10()
}

/// What would be too loud bends instead of being cut off.
fn limited(sample: f32) -> i16 {
    let part = sample.abs() / 32_767.0;
    if part <= KNEE {
        return sample.round() as i16;
    }
    let beyond = (part - KNEE) / (1.0 - KNEE);
    let bent = KNEE + (1.0 - KNEE) * beyond / (1.0 + beyond);
    (bent * 32_767.0).copysign(sample) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Like speech: syllables of 160 ms with 90 ms between them, at this level while it sounds.
    fn speech(decibels: f32, seconds: usize) -> Vec<i16> {
        let peak = 32_768.0 * factor_of(decibels) * std::f32::consts::SQRT_2;
        let sample = |n: usize| {
            let sounds = n % 2_000 < 1_280;
            let wave = (n as f32 * 0.7).sin() * peak;
            if sounds { wave as i16 } else { 0 }
        };
        (0..seconds * 8_000).map(sample).collect()
    }

    /// The level of what sounds in the last half second.
    fn level_at_the_end(samples: &[i16]) -> f32 {
        let sounds = samples[samples.len() - 4_000..].chunks(2_000);
        let sounds = sounds.flat_map(|syllable| &syllable[80..1_200]);
        let squares: Vec<f32> = sounds.map(|it| f32::from(*it).powi(2)).collect();
        level_of(squares.iter().sum::<f32>() / squares.len() as f32)
    }

    fn automatic() -> Leveller {
        let volume = Volume {
            gain: Gain::default(),
            automatic: true,
        };
        Leveller::new(volume, Rate::Narrow).expect("something to do")
    }

    #[test]
    fn soft_and_loud_speech_is_at_its_target_after_two_seconds() {
        for decibels in [-38.0, -35.0, -28.0, -21.0, -15.0, -10.0] {
            let mut samples = speech(decibels, 2);
            automatic().apply(&mut samples);
            let level = level_at_the_end(&samples);
            assert!((level - TARGET).abs() < 1.5, "{decibels}: {level}");
        }
    }

    #[test]
    fn somebody_louder_takes_over_and_nothing_is_cut_off() {
        let mut leveller = automatic();
        let mut soft = speech(-38.0, 3);
        leveller.apply(&mut soft);
        let mut loud = speech(-8.0, 3);
        leveller.apply(&mut loud);
        assert!(loud.iter().all(|it| it.unsigned_abs() < 32_767));
        assert!((level_at_the_end(&loud) - TARGET).abs() < 1.5);
    }

    #[test]
    fn silence_is_not_raised_and_pauses_change_nothing() {
        let mut noise = speech(-60.0, 5);
        let before = noise.clone();
        automatic().apply(&mut noise);
        assert_eq!(noise, before);

        let mut leveller = automatic();
        leveller.apply(&mut speech(-30.0, 3));
        let added = leveller.added;
        leveller.apply(&mut vec![20; 80_000]);
        assert_eq!(leveller.added.to_bits(), added.to_bits());
    }

    #[test]
    fn speech_that_goes_on_does_not_pump() {
        let mut leveller = automatic();
        leveller.apply(&mut speech(-30.0, 5));
        let before = leveller.added;
        for syllable in speech(-30.0, 5).chunks_mut(400) {
            leveller.apply(syllable);
            assert!((leveller.added - before).abs() < 0.5);
        }
    }

    #[test]
    fn a_fixed_gain_is_what_it_says_and_loud_sound_bends() {
        let six = Gain::of_tenths(60).expect("6 dB");
        let mut samples = [1_000, -1_000, 30_000, -30_000, i16::MAX, i16::MIN];
        amplify(&mut samples, six);
        assert_eq!(samples[..2], [1_995, -1_995]);
        assert!(samples[2] > 30_000 && samples[3] < -30_000);
        assert!(Gain::of_tenths(201).is_none() && Gain::of_tenths(-200).is_some());
    }
}
