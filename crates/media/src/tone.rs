//! Tones: made for callers, measured in tests and in what callers send.

use std::time::Duration;

use crate::Sound;
use crate::packet::{SAMPLE_RATE, samples_in};

/// The loudest sample: a sine with this peak has the level 0 dB.
const FULL_SCALE: f64 = i16::MAX as f64;

/// The frequency of ringing and busy tone in most of Europe, in Hz (ITU-T E.180 supplement 2).
const CALL_PROGRESS_HZ: f64 = 425.0;

/// The level of the tones made here, in dB below a full-scale sine: loud enough beside speech, never startling.
const TONE_LEVEL: f64 = -18.0;

/// How long a tone swells and fades at its ends, so that it does not click.
const FADE: Duration = Duration::from_millis(4);

/// Samples of a sine of `hz` (below 4000) with the peak `amplitude` (0 to 32767), 8 kHz.
#[must_use]
pub fn sine(hz: f64, amplitude: i16, duration: Duration) -> Vec<i16> {
    let step = std::f64::consts::TAU * hz / f64::from(SAMPLE_RATE);
    (0..samples_in(duration))
        .map(|n| ((n as f64 * step).sin() * f64::from(amplitude)).round() as i16)
        .collect()
}

/// The level of `hz` in `samples` (8 kHz), in dB against a full-scale sine (0 dB).
/// Minus infinity if there is nothing of it. Selectivity grows with the stretch measured: 8000 Hz divided by its samples.
#[must_use]
pub fn level(samples: &[i16], hz: f64) -> f64 {
    if samples.is_empty() {
        return f64::NEG_INFINITY;
    }
    20.0 * (2.0 * power(samples, hz).sqrt() / samples.len() as f64 / FULL_SCALE).log10()
}

/// The power of `hz` in `samples` (8 kHz) by the Goertzel algorithm: of a sine with the peak a in n samples, the square of n * a / 2.
pub(crate) fn power(samples: &[i16], hz: f64) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * hz / f64::from(SAMPLE_RATE)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in samples {
        (last, before) = (f64::from(sample) + coefficient * last - before, last);
    }
    (last * last + before * before - coefficient * last * before).max(0.0)
}

/// Ringing tone: 1 s on, 4 s off (ITU-T E.180, as in most of Europe). Loop it.
#[must_use]
pub fn ringing() -> Sound {
    Sound::new([beep(CALL_PROGRESS_HZ, 1000), pause(4000)].concat())
}

/// Busy tone: half a second on, half a second off (ITU-T E.180). Loop it.
#[must_use]
pub fn busy() -> Sound {
    Sound::new([beep(CALL_PROGRESS_HZ, 500), pause(500)].concat())
}

/// Something was done as asked (an agent is logged in): two rising beeps. Play it once.
#[must_use]
pub fn confirmation() -> Sound {
    Sound::new([beep(660.0, 120), pause(60), beep(880.0, 180), pause(100)].concat())
}

/// Something was undone as asked (an agent is logged out): two falling beeps. Play it once.
#[must_use]
pub fn farewell() -> Sound {
    Sound::new([beep(880.0, 120), pause(60), beep(660.0, 180), pause(100)].concat())
}

/// Something was refused: three low beeps. Play it once.
#[must_use]
pub fn refusal() -> Sound {
    let once = [beep(330.0, 150), pause(100)].concat();
    Sound::new(once.repeat(3))
}

fn beep(hz: f64, milliseconds: u64) -> Vec<i16> {
    let amplitude = (FULL_SCALE * 10f64.powf(TONE_LEVEL / 20.0)).round() as i16;
    let mut samples = sine(hz, amplitude, Duration::from_millis(milliseconds));
    let fade = samples_in(FADE) as usize;
    let last = samples.len() - 1;
    for n in 0..fade {
        let part = n as f64 / fade as f64;
        for at in [n, last - n] {
            samples[at] = (f64::from(samples[at]) * part).round() as i16;
        }
    }
    samples
}

fn pause(milliseconds: u64) -> Vec<i16> {
    vec![0; samples_in(Duration::from_millis(milliseconds)) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_is_measured_at_its_own_level_and_hardly_anywhere_else() {
        let samples = sine(440.0, i16::MAX, Duration::from_secs(1));
        assert!(level(&samples, 440.0).abs() < 0.01);
        assert!(level(&samples, 880.0) < -60.0);
        let quiet = sine(880.0, i16::MAX / 10, Duration::from_millis(500));
        assert!((level(&quiet, 880.0) + 20.0).abs() < 0.1);
    }

    #[test]
    fn silence_has_no_level() {
        assert_eq!(level(&[], 440.0), f64::NEG_INFINITY);
        assert_eq!(level(&[0; 800], 440.0), f64::NEG_INFINITY);
    }

    #[test]
    fn ringing_tone_sounds_one_second_in_five() {
        let ringing = ringing();
        assert_eq!(ringing.duration(), Duration::from_secs(5));
        let samples = ringing.samples();
        let (on, off) = samples.split_at(8000);
        assert!((level(on, 425.0) - TONE_LEVEL).abs() < 0.5);
        assert!(off.iter().all(|&sample| sample == 0));
    }

    #[test]
    fn busy_tone_sounds_half_of_each_second() {
        let busy = busy();
        assert_eq!(busy.duration(), Duration::from_secs(1));
        assert!((level(&busy.samples()[..4000], 425.0) - TONE_LEVEL).abs() < 0.5);
        assert_eq!(level(&busy.samples()[4000..], 425.0), f64::NEG_INFINITY);
    }
}
