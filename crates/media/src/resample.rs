//! From one sample rate to another, by a windowed sinc in as many phases as the ratio of the two rates asks for: of a whole signal, or
//! of one that goes on.
//!
//! Measured by the tests below: what would fold back is 80 dB down, 3.4 kHz of 8 kHz passes whole.

use std::f64::consts::PI;
use std::sync::OnceLock;

use crate::codec::Rate;

/// Where the passband ends, as a share of the band of the slower rate: 3.4 kHz of 4 kHz.
const PASSBAND: f64 = 0.85;
/// Kaiser's beta for a stopband 90 dB down.
const BETA: f64 = 8.96;
/// Kaiser's formula for the length of such a filter: (90 - 7.95) / (2.285 * 2 pi), over the transition in cycles per sample.
const LENGTH: f64 = 5.715;

/// Resamples a whole signal from `rate` Hz to `to` Hz; the result begins and ends with it.
#[must_use]
pub fn whole(input: &[f32], rate: u32, to: u32) -> Vec<f32> {
    let divisor = gcd(rate, to);
    let (up, down) = ((to / divisor) as usize, (rate / divisor) as usize);
    let phases = phases(rate, to, up);
    let half = phases[0].len() / 2;
    let length = (input.len() * up).div_ceil(down);
    (0..length)
        .map(|n| {
            let position = n * down;
            let (centre, phase) = (position / up, &phases[position % up]);
            // The tap at `half` lies on the sample at `centre`; beyond both ends of the signal is silence.
            let skipped = half.saturating_sub(centre);
            let first = (centre + skipped) - half;
            phase[skipped..]
                .iter()
                .zip(input.get(first..).unwrap_or(&[]))
                .map(|(tap, sample)| tap * sample)
                .sum()
        })
        .collect()
}

/// Takes a signal that goes on, frame by frame, between the two rates of the mixer.
#[derive(Debug)]
pub(crate) struct Resampler {
    up: usize,
    down: usize,
    phases: &'static [Vec<f32>],
    /// What the filter still looks at, and the frame that was given last.
    window: Vec<f32>,
}

impl Resampler {
    /// None if the rates are the same: then there is nothing to do.
    pub(crate) fn new(from: Rate, to: Rate) -> Option<Self> {
        static DOUBLE: OnceLock<Vec<Vec<f32>>> = OnceLock::new();
        static HALVE: OnceLock<Vec<Vec<f32>>> = OnceLock::new();
        let (up, down, phases) = match (from, to) {
            (Rate::Narrow, Rate::Narrow) | (Rate::Wide, Rate::Wide) => return None,
            (Rate::Narrow, Rate::Wide) => (2, 1, &DOUBLE),
            (Rate::Wide, Rate::Narrow) => (1, 2, &HALVE),
        };
        let phases = phases.get_or_init(|| self::phases(from.hz(), to.hz(), up));
        Some(Self {
            up,
            down,
            phases,
            window: vec![0.0; phases[0].len() - 1],
        })
    }

    /// How many samples of what goes in the signal comes out late.
    pub(crate) fn delay(&self) -> usize {
        self.phases[0].len() / 2
    }

    /// Appends what this frame comes to. Its length is a multiple of the ratio of the rates.
    pub(crate) fn resample(&mut self, frame: &[i16], output: &mut Vec<i16>) {
        let taps = self.phases[0].len();
        self.window
            .extend(frame.iter().map(|&sample| f32::from(sample)));
        for position in (0..frame.len() * self.up).step_by(self.down) {
            let phase = &self.phases[position % self.up];
            let window = &self.window[position / self.up..][..taps];
            // Eight sums at once: the compiler makes one register of them.
            let mut sums = [0.0; 8];
            for (taps, samples) in phase.chunks_exact(8).zip(window.chunks_exact(8)) {
                for ((sum, tap), sample) in sums.iter_mut().zip(taps).zip(samples) {
                    *sum += tap * sample;
                }
            }
            output.push(sums.iter().sum::<f32>().round() as i16);
        }
        self.window.drain(..frame.len());
    }
}

/// The filter, once for each place that an output sample can have between two input samples; its length is a multiple of eight.
fn phases(rate: u32, to: u32, up: usize) -> Vec<Vec<f32>> {
    let (rate, to) = (f64::from(rate), f64::from(to));
    let band = rate.min(to) / 2.0;
    let transition = band * (1.0 - PASSBAND) / rate;
    let cutoff = band * (1.0 + PASSBAND) / 2.0 / rate;
    let half = ((LENGTH / transition / 2.0 + 1.0) / 4.0).ceil() * 4.0 - 1.0;
    (0..up)
        .map(|phase| {
            let shift = phase as f64 / up as f64;
            let taps: Vec<f64> = (0..=2 * half as usize + 1)
                .map(|tap| {
                    let x = tap as f64 - half - shift;
                    sinc(2.0 * cutoff * x) * kaiser(x / (half + 1.0))
                })
                .collect();
            // Each phase passes a constant unchanged.
            let sum: f64 = taps.iter().sum();
            taps.iter().map(|tap| (tap / sum) as f32).collect()
        })
        .collect()
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// Kaiser's window over -1..=1.
fn kaiser(x: f64) -> f64 {
    bessel(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of the first kind and order zero, by its power series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = 1.0;
    while term > sum * 1e-12 {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A phone line, in Hz.
    const LINE: u32 = 8_000;
    const RATES: [u32; 8] = [
        6_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000,
    ];

    #[test]
    fn what_would_fold_back_is_80_db_down() {
        for rate in RATES {
            let mut frequency = 4_000.0;
            while frequency < f64::from(rate) / 2.0 {
                let left = decibels(&whole(&sine(rate, frequency), rate, LINE));
                assert!(
                    left < -80.0,
                    "{frequency} Hz at {rate} Hz leaves {left:.1} dB"
                );
                frequency *= 1.13;
            }
        }
    }

    #[test]
    fn speech_passes_unchanged() {
        for rate in RATES {
            for frequency in [
                100.0,
                300.0,
                1_000.0,
                3_400.0 * f64::from(rate.min(8_000)) / 8_000.0,
            ] {
                let level = decibels(&whole(&sine(rate, frequency), rate, LINE));
                assert!(
                    level.abs() < 0.1,
                    "{frequency} Hz at {rate} Hz is off by {level:.2} dB"
                );
            }
        }
    }

    #[test]
    fn the_result_is_as_long_as_the_signal_and_in_time_with_it() {
        for rate in RATES {
            let mut click = vec![0.0; rate as usize];
            click[rate as usize / 4] = 1.0;
            let result = whole(&click, rate, LINE);
            assert_eq!(result.len(), 8_000);
            let loudest =
                (0..result.len()).max_by(|a, b| result[*a].abs().total_cmp(&result[*b].abs()));
            assert!(
                loudest.is_some_and(|place| place.abs_diff(2_000) <= 1),
                "{rate} Hz: {loudest:?}"
            );
        }
    }

    #[test]
    fn a_signal_shorter_than_the_filter_is_taken() {
        assert_eq!(whole(&[], 44_100, LINE).len(), 0);
        assert_eq!(whole(&[1.0; 3], 44_100, LINE).len(), 1);
    }

    /// A tone through `Resampler`, in frames of 20 ms: its level at the end, in dB.
    fn through(from: Rate, to: Rate, frequency: f64) -> f64 {
        let mut resampler = Resampler::new(from, to).expect("two rates");
        let step = 2.0 * PI * frequency / f64::from(from.hz());
        let tone: Vec<i16> = (0..from.hz())
            .map(|n| (20_000.0 * (f64::from(n) * step).sin()).round() as i16)
            .collect();
        let mut output = Vec::new();
        for frame in tone.chunks(from.frame()) {
            resampler.resample(frame, &mut output);
        }
        assert_eq!(output.len(), to.hz() as usize);
        let middle = &output[output.len() / 4..][..output.len() / 2];
        let power = middle
            .iter()
            .map(|x| (f64::from(*x) / 20_000.0).powi(2))
            .sum::<f64>()
            / middle.len() as f64;
        10.0 * (2.0 * power).max(1e-20).log10()
    }

    #[test]
    fn frame_by_frame_speech_passes_and_nothing_folds_back() {
        for frequency in [100.0, 300.0, 1_000.0, 3_400.0] {
            for (from, to) in [(Rate::Narrow, Rate::Wide), (Rate::Wide, Rate::Narrow)] {
                let level = through(from, to, frequency);
                assert!(
                    level.abs() < 0.1,
                    "{frequency} Hz from {from:?}: {level:.2} dB"
                );
            }
        }
        for frequency in [4_000.0, 4_600.0, 5_500.0, 7_000.0, 7_900.0] {
            // Rounding to whole samples alone leaves -94 dB.
            let level = through(Rate::Wide, Rate::Narrow, frequency);
            assert!(level < -80.0, "{frequency} Hz leaves {level:.1} dB");
        }
    }

    fn sine(rate: u32, frequency: f64) -> Vec<f32> {
        (0..rate)
            .map(|n| (2.0 * PI * frequency * f64::from(n) / f64::from(rate)).sin() as f32)
            .collect()
    }

    /// The level of the middle of a second, against a full sine.
    fn decibels(samples: &[f32]) -> f64 {
        let middle = &samples[2_000..6_000];
        let power = middle.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / middle.len() as f64;
        10.0 * (2.0 * power).max(1e-20).log10()
    }
}
