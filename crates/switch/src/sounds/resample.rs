//! From any sample rate to a phone line's 8 kHz, by a windowed sinc in as many phases as the ratio of the two rates asks for.
//!
//! It runs once per sound, at the start. Measured by the tests below: what would fold back is 80 dB down, 3.4 kHz passes whole.

use std::f64::consts::PI;

use super::RATE;

/// Where the passband ends, as a share of the band of the slower rate: 3.4 kHz of 4 kHz.
const PASSBAND: f64 = 0.85;
/// Kaiser's beta for a stopband 90 dB down.
const BETA: f64 = 8.96;
/// Kaiser's formula for the length of such a filter: (90 - 7.95) / (2.285 * 2 pi), over the transition in cycles per sample.
const LENGTH: f64 = 5.715;

/// Resamples the whole signal; the result begins and ends with it.
pub(super) fn to_line_rate(input: &[f32], rate: u32) -> Vec<f32> {
    let divisor = gcd(rate, RATE);
    let (up, down) = ((RATE / divisor) as usize, (rate / divisor) as usize);
    let phases = phases(rate, up);
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

/// The filter, once for each place that an output sample can have between two input samples.
fn phases(rate: u32, up: usize) -> Vec<Vec<f32>> {
    let rate = f64::from(rate);
    let band = rate.min(f64::from(RATE)) / 2.0;
    let transition = band * (1.0 - PASSBAND) / rate;
    let cutoff = band * (1.0 + PASSBAND) / 2.0 / rate;
    let half = (LENGTH / transition / 2.0).ceil();
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

    const RATES: [u32; 8] = [
        6_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000,
    ];

    #[test]
    fn what_would_fold_back_is_80_db_down() {
        for rate in RATES {
            let mut frequency = 4_000.0;
            while frequency < f64::from(rate) / 2.0 {
                let left = decibels(&to_line_rate(&sine(rate, frequency), rate));
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
                let level = decibels(&to_line_rate(&sine(rate, frequency), rate));
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
            let result = to_line_rate(&click, rate);
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
        assert_eq!(to_line_rate(&[], 44_100).len(), 0);
        assert_eq!(to_line_rate(&[1.0; 3], 44_100).len(), 1);
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
