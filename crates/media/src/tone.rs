//! Tones: made for callers, measured in tests and in what callers send.

use std::time::Duration;

use crate::Sound;
use crate::packet::{SAMPLE_RATE, samples_in};

/// The loudest sample: a sine with this peak has the level 0 dB.
const FULL_SCALE: f64 = i16::MAX as f64;

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

/// The tones of a country, as its networks have them (ITU-T E.180 supplement 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tones {
    ringing: Cadence,
    busy: Cadence,
}

/// A tone of one frequency or two, and how long it sounds and is silent, in milliseconds, in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cadence {
    hz: &'static [f64],
    beats: &'static [(u64, u64)],
}

/// The tones by country (ISO 3166); `eu` are those of most of Europe.
pub const COUNTRIES: [(&str, Tones); 16] = [
    (
        "eu",
        tones(&[425.0], &[(1000, 4000)], &[425.0], &[(500, 500)]),
    ),
    (
        "at",
        tones(&[420.0], &[(1000, 5000)], &[420.0], &[(400, 400)]),
    ),
    (
        "au",
        tones(&[413.0, 438.0], DOUBLE, &[425.0], &[(375, 375)]),
    ),
    (
        "br",
        tones(&[425.0], &[(1000, 4000)], &[425.0], &[(250, 250)]),
    ),
    (
        "ch",
        tones(&[425.0], &[(1000, 4000)], &[425.0], &[(500, 500)]),
    ),
    (
        "cn",
        tones(&[450.0], &[(1000, 4000)], &[450.0], &[(350, 350)]),
    ),
    (
        "de",
        tones(&[425.0], &[(1000, 4000)], &[425.0], &[(480, 480)]),
    ),
    (
        "es",
        tones(&[425.0], &[(1500, 3000)], &[425.0], &[(200, 200)]),
    ),
    (
        "fr",
        tones(&[440.0], &[(1500, 3500)], &[440.0], &[(500, 500)]),
    ),
    (
        "gb",
        tones(&[400.0, 450.0], DOUBLE, &[400.0], &[(375, 375)]),
    ),
    (
        "in",
        tones(&[375.0, 425.0], DOUBLE, &[400.0], &[(750, 750)]),
    ),
    (
        "it",
        tones(&[425.0], &[(1000, 4000)], &[425.0], &[(500, 500)]),
    ),
    (
        "jp",
        tones(&[384.0, 416.0], &[(1000, 2000)], &[400.0], &[(500, 500)]),
    ),
    (
        "nl",
        tones(&[425.0], &[(1000, 4000)], &[425.0], &[(500, 500)]),
    ),
    (
        "ru",
        tones(&[425.0], &[(800, 3200)], &[425.0], &[(400, 400)]),
    ),
    (
        "us",
        tones(
            &[440.0, 480.0],
            &[(2000, 4000)],
            &[480.0, 620.0],
            &[(500, 500)],
        ),
    ),
];

/// Two short rings, as in Britain and where its networks were copied.
const DOUBLE: &[(u64, u64)] = &[(400, 200), (400, 2000)];

const fn tones(
    ringing: &'static [f64],
    rings: &'static [(u64, u64)],
    busy: &'static [f64],
    beats: &'static [(u64, u64)],
) -> Tones {
    Tones {
        ringing: Cadence {
            hz: ringing,
            beats: rings,
        },
        busy: Cadence { hz: busy, beats },
    }
}

impl Tones {
    /// Ringing tone. Loop it.
    #[must_use]
    pub fn ringing(&self) -> Sound {
        self.ringing.sound()
    }

    /// Busy tone. Loop it.
    #[must_use]
    pub fn busy(&self) -> Sound {
        self.busy.sound()
    }
}

impl Cadence {
    fn sound(&self) -> Sound {
        let beat = |(on, off): &(u64, u64)| [beeps(self.hz, *on), pause(*off)].concat();
        Sound::new(self.beats.iter().flat_map(beat).collect())
    }
}

/// Ringing tone of most of Europe. Loop it.
#[must_use]
pub fn ringing() -> Sound {
    COUNTRIES[0].1.ringing()
}

/// Busy tone of most of Europe. Loop it.
#[must_use]
pub fn busy() -> Sound {
    COUNTRIES[0].1.busy()
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
    beeps(&[hz], milliseconds)
}

/// Several frequencies at once, together as loud as one.
fn beeps(hz: &[f64], milliseconds: u64) -> Vec<i16> {
    let peak = FULL_SCALE * 10f64.powf(TONE_LEVEL / 20.0);
    let amplitude = (peak / (hz.len() as f64).sqrt()).round() as i16;
    let duration = Duration::from_millis(milliseconds);
    let mut samples = vec![0; samples_in(duration) as usize];
    for hz in hz {
        for (sum, sample) in samples.iter_mut().zip(sine(*hz, amplitude, duration)) {
            *sum += sample;
        }
    }
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
    fn each_country_has_its_frequencies_and_all_are_equally_loud() {
        for (country, tones) in COUNTRIES {
            for cadence in [tones.ringing, tones.busy] {
                let samples = cadence.sound().samples();
                let (on, off) = cadence.beats[0];
                let beat = &samples[..on as usize * 8];
                let power: f64 = cadence
                    .hz
                    .iter()
                    .map(|hz| 10f64.powf(level(beat, *hz) / 10.0))
                    .sum();
                assert!((10.0 * power.log10() - TONE_LEVEL).abs() < 0.7, "{country}");
                let silence = &samples[beat.len()..][..off as usize * 8];
                assert!(silence.iter().all(|sample| *sample == 0), "{country}");
                let whole: u64 = cadence.beats.iter().map(|(on, off)| on + off).sum();
                assert_eq!(samples.len() as u64, whole * 8, "{country}");
            }
        }
    }

    #[test]
    fn busy_tone_sounds_half_of_each_second() {
        let busy = busy();
        assert_eq!(busy.duration(), Duration::from_secs(1));
        assert!((level(&busy.samples()[..4000], 425.0) - TONE_LEVEL).abs() < 0.5);
        assert_eq!(level(&busy.samples()[4000..], 425.0), f64::NEG_INFINITY);
    }
}
