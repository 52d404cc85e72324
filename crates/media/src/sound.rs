//! A sound in memory: mono, decoded once, encoded once in both forms of G.711, shared by all listeners.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::Rate;
use crate::g711::Law;
use crate::packet::{SAMPLE_RATE, time_of};
use crate::resample;

/// Seconds of the longest recording: an hour, 115 MB in memory with both encodings, and twice that if it is there at 16 kHz, too. The
/// rest of a longer one is cut off.
pub const MAX_SOUND_SECONDS: usize = 3600;

/// One recording, or several, one after the other. What is played at 8 kHz is there in all forms, so that playing it costs a listener no
/// more than a copy.
#[derive(Debug)]
pub struct Sound {
    recordings: Box<[Arc<Recording>]>,
    /// Samples at 8 kHz.
    length: usize,
}

#[derive(Debug)]
pub(crate) struct Recording {
    narrow: Box<[i16]>,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
    /// At 16 kHz, if it was given so: two for each sample of `narrow`.
    wide: Option<Box<[i16]>>,
}

impl Sound {
    /// A sound of 16-bit samples at 8 kHz, mono, at most [`MAX_SOUND_SECONDS`].
    #[must_use]
    pub fn new(mut samples: Vec<i16>) -> Self {
        samples.truncate(MAX_SOUND_SECONDS * SAMPLE_RATE as usize);
        Self::of(vec![Arc::new(Recording::new(samples, None))])
    }

    /// The same at 16 kHz, for the codecs that carry it; the others get it at 8 kHz.
    #[must_use]
    pub fn wide(mut samples: Vec<i16>) -> Self {
        samples.truncate(MAX_SOUND_SECONDS * Rate::Wide.hz() as usize);
        if samples.len() % 2 == 1 {
            samples.push(0);
        }
        let whole: Vec<f32> = samples.iter().map(|&sample| sample.into()).collect();
        let narrow = resample::whole(&whole, Rate::Wide.hz(), SAMPLE_RATE);
        let narrow = narrow.iter().map(|sample| sample.round() as i16).collect();
        Self::of(vec![Arc::new(Recording::new(narrow, Some(samples)))])
    }

    /// One after the other, without a copy.
    #[must_use]
    pub fn joined<'a>(sounds: impl IntoIterator<Item = &'a Self>) -> Self {
        let recordings = sounds.into_iter().flat_map(|sound| sound.recordings.iter());
        Self::of(recordings.cloned().collect())
    }

    fn of(recordings: Vec<Arc<Recording>>) -> Self {
        let length = recordings.iter().map(|it| it.len()).sum();
        Self {
            recordings: recordings.into(),
            length,
        }
    }

    /// The samples, 16 bit, 8 kHz, mono.
    #[must_use]
    pub fn samples(&self) -> Vec<i16> {
        let recordings = self.recordings.iter();
        recordings
            .flat_map(|it| it.narrow.iter().copied())
            .collect()
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        time_of(self.length as u64)
    }

    /// Whether both are the same recordings in memory.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.recordings.len() == other.recordings.len()
            && self
                .recordings
                .iter()
                .zip(&other.recordings)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// Samples at 8 kHz.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether all of it is there at 16 kHz, too.
    pub(crate) fn is_wide(&self) -> bool {
        self.recordings.iter().all(|it| it.wide.is_some())
    }

    pub(crate) fn recording(&self, number: usize) -> Option<&Recording> {
        self.recordings.get(number).map(|it| &**it)
    }
}

impl Recording {
    fn new(narrow: Vec<i16>, wide: Option<Vec<i16>>) -> Self {
        let encode = |law: Law| narrow.iter().map(|&sample| law.encode(sample)).collect();
        Self {
            pcmu: encode(Law::Mu),
            pcma: encode(Law::A),
            narrow: narrow.into_boxed_slice(),
            wide: wide.map(Vec::into_boxed_slice),
        }
    }

    /// Samples at 8 kHz.
    pub(crate) fn len(&self) -> usize {
        self.narrow.len()
    }

    /// In a form of G.711, an octet per sample.
    pub(crate) fn encoded(&self, law: Law) -> &[u8] {
        match law {
            Law::Mu => &self.pcmu,
            Law::A => &self.pcma,
        }
    }

    /// As samples; none of 16 kHz where the sound is not wide.
    pub(crate) fn samples(&self, rate: Rate) -> &[i16] {
        match rate {
            Rate::Narrow => &self.narrow,
            Rate::Wide => self.wide.as_deref().unwrap_or_default(),
        }
    }
}
