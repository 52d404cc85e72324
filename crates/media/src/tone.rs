//! Tones: made for callers, measured in tests.

use std::time::Duration;

use crate::Sound;

/// Samples of a sine of `hz` with the peak `amplitude` (0 to 32767), 8 kHz.
#[must_use]
pub fn sine(hz: f64, amplitude: i16, duration: Duration) -> Vec<i16> {
    let count = (duration.as_secs_f64() * 8000.0).round() as usize;
    (0..count)
        .map(|n| {
            ((n as f64 * hz * std::f64::consts::TAU / 8000.0).sin() * f64::from(amplitude)).round()
                as i16
        })
        .collect()
}

/// The level of `hz` in `samples` (8 kHz) by Goertzel, in dB below a full-scale sine (0 dB); silence gives minus infinity.
#[must_use]
pub fn level(samples: &[i16], hz: f64) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * hz / 8000.0).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for &sample in samples {
        let s0 = f64::from(sample) + coefficient * s1 - s2;
        (s2, s1) = (s1, s0);
    }
    let power = (s1 * s1 + s2 * s2 - coefficient * s1 * s2).max(0.0);
    20.0 * (2.0 * power.sqrt() / samples.len() as f64 / 32767.0).log10()
}

/// Ringing tone: 425 Hz, 1 s on, 4 s off (ITU-T E.180, as in most of Europe).
#[must_use]
pub fn ringing() -> Sound {
    let mut samples = sine(425.0, 4000, Duration::from_secs(1));
    samples.resize(5 * 8000, 0);
    Sound::new(samples)
}
