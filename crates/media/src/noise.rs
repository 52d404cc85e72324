//! Comfort noise (RFC 3389): what is to be heard while a peer that suppresses its silence sends nothing.

use crate::draws::Draws;

/// Reflection coefficients that are heeded; the rest tells nothing that an ear would miss.
const MAX_ORDER: usize = 12;
/// A coefficient beyond this would let the filter ring.
const MAX_COEFFICIENT: f32 = 0.98;
/// The root mean square of 0 dBov, a square wave as loud as it gets (RFC 3389 section 3.1).
const OVERLOAD: f32 = 32_768.0;
/// That of numbers drawn evenly from -1 to 1.
const EVEN: f32 = 0.577_350_3;

/// Noise of a level and a spectrum.
#[derive(Debug)]
pub(crate) struct Noise {
    /// The loudest sample of what excites the filter.
    amplitude: f32,
    coefficients: [f32; MAX_ORDER],
    /// What the stages of the lattice remember.
    stages: [f32; MAX_ORDER],
    draws: Draws,
}

impl Noise {
    /// The noise that a payload describes; without an octet there is none.
    pub(crate) fn new(payload: &[u8]) -> Option<Self> {
        let (level, spectrum) = payload.split_first()?;
        let mut coefficients = [0.0; MAX_ORDER];
        for (coefficient, octet) in coefficients.iter_mut().zip(spectrum) {
            // RFC 3389 section 3.2: 255 is reserved.
            if *octet < 255 {
                let quantized = 258.0 * (f32::from(*octet) - 127.0) / 32_768.0;
                *coefficient = quantized.clamp(-MAX_COEFFICIENT, MAX_COEFFICIENT);
            }
        }
        // RFC 3389 section 3.1: dB below overload, 0 to 127. The filter makes it louder by what it has been made quieter here.
        let loudness = OVERLOAD * 10f32.powf(-f32::from(level & 0x7f) / 20.0);
        let gain: f32 = coefficients.iter().map(|k| 1.0 - k * k).product();
        Some(Self {
            amplitude: loudness * gain.sqrt() / EVEN,
            coefficients,
            stages: [0.0; MAX_ORDER],
            draws: Draws::new(0),
        })
    }

    /// The next samples.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.next() as i16;
        }
    }

    /// One sample: an all-pole lattice, excited by white noise.
    fn next(&mut self) -> f32 {
        let drawn = (self.draws.next() >> 40) as f32 / 8_388_608.0 - 1.0;
        let mut forward = drawn * self.amplitude;
        for stage in (0..MAX_ORDER).rev() {
            let coefficient = self.coefficients[stage];
            forward -= coefficient * self.stages[stage];
            let backward = self.stages[stage] + coefficient * forward;
            if let Some(next) = self.stages.get_mut(stage + 1) {
                *next = backward;
            }
        }
        self.stages[0] = forward;
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    /// A second of it.
    fn noise(payload: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; 8_000];
        let mut noise = Noise::new(payload).expect("a level");
        noise.fill(&mut samples);
        samples
    }

    /// Below overload, in dB.
    fn level(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
        10.0 * (power / samples.len() as f64 / 32_768f64.powi(2)).log10()
    }

    #[test]
    fn noise_has_the_level_that_is_told_whatever_its_spectrum() {
        for told in [30u8, 45, 60] {
            for spectrum in [&[][..], &[90], &[30, 150, 120], &[200; 20]] {
                let payload = [&[told][..], spectrum].concat();
                let heard = level(&noise(&payload));
                assert!(
                    (heard + f64::from(told)).abs() < 1.5,
                    "{payload:?}: {heard:.1} dB"
                );
            }
        }
    }

    #[test]
    fn the_first_coefficient_tells_dark_from_bright() {
        let bands = |payload: &[u8]| {
            let samples = noise(payload);
            let low: f64 = (200..600)
                .step_by(20)
                .map(|hz| tone::level(&samples, f64::from(hz)))
                .sum();
            let high: f64 = (3_200..3_600)
                .step_by(20)
                .map(|hz| tone::level(&samples, f64::from(hz)))
                .sum();
            (low - high) / 20.0
        };
        assert!(bands(&[40, 20]) > 10.0);
        assert!(bands(&[40, 234]) < -10.0);
    }

    #[test]
    fn any_payload_is_noise_of_some_kind() {
        assert!(Noise::new(&[]).is_none());
        for octet in 0..=255u8 {
            for length in 1..30 {
                let mut samples = [0; 400];
                let mut noise = Noise::new(&vec![octet; length]).expect("a level");
                noise.fill(&mut samples);
            }
        }
    }
}
