//! A sound in memory: mono, 8 kHz, decoded once, encoded once in both forms of G.711, shared by all listeners.

use std::time::Duration;

use crate::g711::Law;
use crate::packet::{SAMPLE_RATE, time_of};

/// Samples of the longest sound: an hour, 115 MB in memory with both encodings. The rest of a longer one is cut off.
pub const MAX_SOUND_SAMPLES: usize = 3600 * SAMPLE_RATE as usize;

/// A decoded sound.
#[derive(Debug)]
pub struct Sound {
    samples: Box<[i16]>,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
}

impl Sound {
    /// A sound of 16-bit samples at 8 kHz, mono, at most [`MAX_SOUND_SAMPLES`]. Both encodings are made here, so that
    /// playing it costs a listener no more than a copy.
    #[must_use]
    pub fn new(mut samples: Vec<i16>) -> Self {
        samples.truncate(MAX_SOUND_SAMPLES);
        let encode = |law: Law| samples.iter().map(|&sample| law.encode(sample)).collect();
        Self {
            pcmu: encode(Law::Mu),
            pcma: encode(Law::A),
            samples: samples.into_boxed_slice(),
        }
    }

    /// The samples, 16 bit, 8 kHz, mono.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        time_of(self.samples.len() as u64)
    }

    /// The sound in a form of G.711, an octet per sample.
    pub(crate) fn encoded(&self, law: Law) -> &[u8] {
        match law {
            Law::Mu => &self.pcmu,
            Law::A => &self.pcma,
        }
    }
}
