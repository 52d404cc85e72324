//! Several talkers for one listener.

use crate::codec::Rate;
use crate::command::PortIndex;
use crate::resample::Resampler;

/// Who adds to what a leg hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Leg(PortIndex),
    /// A sound that is played beside all else.
    Play,
    /// The background, beside that sound.
    Background,
}

/// Whom a leg hears besides the one that it is bridged with, and their sum in the making.
#[derive(Debug, Default)]
pub(crate) struct Mix {
    talkers: Vec<PortIndex>,
    /// Of those, and of all others that it hears, who speak at another rate.
    resamplers: Vec<(Voice, Rate, Resampler)>,
    resampled: Vec<i16>,
    sum: Vec<i32>,
    /// The last of somebody who has gone, for the next frame.
    tail: Vec<i16>,
}

impl Mix {
    pub(crate) fn is_empty(&self) -> bool {
        self.talkers.is_empty()
    }

    pub(crate) fn talkers(&self) -> &[PortIndex] {
        &self.talkers
    }

    /// The listener speaks something else from now on.
    pub(crate) fn begin_anew(&mut self) {
        self.resamplers.clear();
        self.tail.clear();
    }

    pub(crate) fn insert(&mut self, talker: PortIndex) {
        self.talkers.push(talker);
    }

    pub(crate) fn remove(&mut self, talker: PortIndex) {
        self.talkers.retain(|other| *other != talker);
        self.forget(Voice::Leg(talker));
    }

    /// It begins anew when it is heard again.
    pub(crate) fn forget(&mut self, voice: Voice) {
        self.resamplers.retain(|(other, ..)| *other != voice);
    }

    /// A frame begins.
    pub(crate) fn begin(&mut self, rate: Rate) {
        self.sum.clear();
        self.sum.resize(rate.frame(), 0);
        for (sum, sample) in self.sum.iter_mut().zip(self.tail.drain(..)) {
            *sum += i32::from(sample);
        }
    }

    /// Somebody's part of it.
    pub(crate) fn add(&mut self, voice: Voice, said: &[i16], from: Rate, to: Rate) {
        let said = match self.resample(voice, said, from, to) {
            true => &self.resampled,
            false => said,
        };
        for (sum, sample) in self.sum.iter_mut().zip(said) {
            *sum += i32::from(*sample);
        }
    }

    /// The frame is complete: where all together would be louder than loud, it stays loud.
    pub(crate) fn end(&self, frame: &mut [i16]) {
        for (sample, sum) in frame.iter_mut().zip(&self.sum) {
            *sample = (*sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }

    /// What a talker who goes would have said next fades away.
    pub(crate) fn fade_out(&mut self, talker: PortIndex, said: &[i16], from: Rate, to: Rate) {
        let mut tail = match self.resample(Voice::Leg(talker), said, from, to) {
            true => self.resampled.clone(),
            false => said.to_vec(),
        };
        let length = tail.len() as i32;
        for (left, sample) in (0..length).rev().zip(&mut tail) {
            *sample = (i32::from(*sample) * left / length) as i16;
        }
        let before = std::mem::replace(&mut self.tail, tail);
        for (sample, before) in self.tail.iter_mut().zip(before) {
            *sample = sample.saturating_add(before);
        }
    }

    /// Makes what was said what it is at another rate; false if it is the same.
    fn resample(&mut self, voice: Voice, said: &[i16], from: Rate, to: Rate) -> bool {
        let mut known = self.resamplers.iter();
        let known = known.position(|(other, rate, _)| (*other, *rate) == (voice, from));
        let place = match known.or_else(|| self.new_resampler(voice, from, to)) {
            Some(place) if from != to => place,
            Some(_) | None => return false,
        };
        self.resampled.clear();
        let (_, _, resampler) = &mut self.resamplers[place];
        resampler.resample(said, &mut self.resampled);
        true
    }

    fn new_resampler(&mut self, voice: Voice, from: Rate, to: Rate) -> Option<usize> {
        let resampler = Resampler::new(from, to)?;
        self.resamplers.retain(|(other, ..)| *other != voice);
        self.resamplers.push((voice, from, resampler));
        Some(self.resamplers.len() - 1)
    }
}
