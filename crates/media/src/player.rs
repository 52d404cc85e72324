//! What a leg hears while nobody is bridged to it.

use std::sync::Arc;

use crate::Sound;
use crate::codec::Rate;
use crate::command::{Over, PlayId};
use crate::g711::Law;
use crate::sound::Recording;

/// Samples, and octets of G.711, in a frame of 20 ms.
pub(crate) const FRAME_SAMPLES: usize = Rate::Narrow.frame();

/// What a background is divided by beside a sound: 12 dB.
const SOFTER: i16 = 4;

/// A sound played once, over a loop that waits meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Player {
    background: Option<Track>,
    play: Option<Play>,
}

#[derive(Debug)]
struct Play {
    id: PlayId,
    track: Track,
    over: Over,
}

/// A sound and how far it is played, in samples of 8 kHz.
#[derive(Debug)]
struct Track {
    sound: Arc<Sound>,
    /// In all.
    position: usize,
    /// The recording that is played, and how much of it was.
    recording: usize,
    within: usize,
}

impl Track {
    fn new(sound: Arc<Sound>) -> Self {
        Self {
            sound,
            position: 0,
            recording: 0,
            within: 0,
        }
    }

    /// Fills as much of `frame` as is left of the sound in this form, which has `scale` for each sample of 8 kHz; gives how much that is.
    fn fill<T: Copy>(
        &mut self,
        scale: usize,
        form: impl Fn(&Recording) -> &[T],
        frame: &mut [T],
    ) -> usize {
        let mut filled = 0;
        while let Some(recording) = self.sound.recording(self.recording)
            && filled < frame.len()
        {
            let rest = form(recording)
                .get(self.within * scale..)
                .unwrap_or_default();
            let count = rest.len().min(frame.len() - filled);
            frame[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
            let left = recording.len() - self.within;
            self.pass((count / scale).min(left), left);
        }
        filled
    }

    /// Fills all of `frame`, and begins anew at the end of the sound, which has samples.
    fn fill_looped<T: Copy>(
        &mut self,
        scale: usize,
        form: impl Fn(&Recording) -> &[T],
        frame: &mut [T],
    ) {
        let mut filled = 0;
        while filled < frame.len() {
            filled += self.fill(scale, &form, &mut frame[filled..]);
            self.begin_anew_at_end();
        }
    }

    /// As `fill`, as samples of a rate that the sound has.
    fn fill_samples(&mut self, rate: Rate, frame: &mut [i16]) -> usize {
        self.fill(scale(rate), |recording| recording.samples(rate), frame)
    }

    /// This rate, if the sound has it.
    fn rate(&self, rate: Rate) -> Rate {
        if self.sound.is_wide() {
            rate
        } else {
            Rate::Narrow
        }
    }

    /// Passes over so much of the recording at hand, of which so much is left.
    fn pass(&mut self, count: usize, left: usize) {
        self.position += count;
        self.within += count;
        if count == left {
            self.recording += 1;
            self.within = 0;
        }
    }

    /// Passes over so much, or over what is left; gives how much that is.
    fn skip(&mut self, samples: usize) -> usize {
        let mut passed = 0;
        while let Some(recording) = self.sound.recording(self.recording)
            && passed < samples
        {
            let left = recording.len() - self.within;
            let count = left.min(samples - passed);
            passed += count;
            self.pass(count, left);
        }
        passed
    }

    fn left(&self) -> usize {
        self.sound.len() - self.position
    }

    /// A loop that has come to its end.
    fn begin_anew_at_end(&mut self) {
        if self.left() == 0 {
            (self.position, self.recording, self.within) = (0, 0, 0);
        }
    }
}

impl Player {
    /// Another loop from its beginning. The loop that is already set goes on where it was.
    pub(crate) fn set_background(&mut self, sound: Option<Arc<Sound>>) {
        if let (Some(track), Some(sound)) = (&self.background, &sound)
            && track.sound.is(sound)
        {
            return;
        }
        // A sound without samples cannot be looped; it is silence.
        let sound = sound.filter(|sound| sound.len() > 0);
        self.background = sound.map(Track::new);
    }

    pub(crate) fn play(&mut self, sound: Arc<Sound>, over: Over, id: PlayId) {
        let track = Track::new(sound);
        self.play = Some(Play { id, track, over });
    }

    pub(crate) fn stop_play(&mut self) {
        self.play = None;
    }

    pub(crate) fn is_playing(&self) -> bool {
        self.play.is_some()
    }

    /// Whether nothing else is to be heard.
    pub(crate) fn plays_over_all(&self) -> bool {
        self.play
            .as_ref()
            .is_some_and(|play| play.over == Over::All)
    }

    /// Whether something else is to be heard beside.
    pub(crate) fn plays_beside(&self) -> bool {
        self.play
            .as_ref()
            .is_some_and(|play| play.over == Over::Beside)
    }

    /// The sound of `Play` if all of it has been heard by now: told once.
    pub(crate) fn take_played(&mut self) -> Option<PlayId> {
        let play = self.play.take_if(|play| play.track.left() == 0)?;
        Some(play.id)
    }

    /// The next 20 ms as G.711.
    pub(crate) fn fill_encoded(&mut self, law: Law, frame: &mut [u8]) {
        self.fill(1, |recording| recording.encoded(law), law.silence(), frame);
    }

    /// The next 20 ms as samples at the front of `frame`: of this rate where all of them are there at it, else of 8 kHz.
    pub(crate) fn fill_samples(
        &mut self,
        rate: Rate,
        frame: &mut [i16; Rate::Wide.frame()],
    ) -> Rate {
        let rate = if self.is_wide() { rate } else { Rate::Narrow };
        let frame = &mut frame[..rate.frame()];
        self.fill(scale(rate), |recording| recording.samples(rate), 0, frame);
        rate
    }

    /// The next 20 ms of what is played beside all else, at this rate if it is there at it.
    pub(crate) fn fill_beside(
        &mut self,
        rate: Rate,
        frame: &mut [i16; Rate::Wide.frame()],
    ) -> Option<Rate> {
        let play = self
            .play
            .as_mut()
            .filter(|play| play.over == Over::Beside)?;
        let rate = play.track.rate(rate);
        let frame = &mut frame[..rate.frame()];
        let filled = play.track.fill_samples(rate, frame);
        frame[filled..].fill(0);
        Some(rate)
    }

    /// The same of the background, softer than alone.
    pub(crate) fn fill_soft_background(
        &mut self,
        rate: Rate,
        frame: &mut [i16; Rate::Wide.frame()],
    ) -> Option<Rate> {
        let track = self.background.as_mut()?;
        let rate = track.rate(rate);
        let frame = &mut frame[..rate.frame()];
        track.fill_looped(scale(rate), |recording| recording.samples(rate), frame);
        frame.iter_mut().for_each(|sample| *sample /= SOFTER);
        Some(rate)
    }

    /// Whether the next 20 ms are there at 16 kHz.
    fn is_wide(&self) -> bool {
        let play = self.play.as_ref().map(|play| &play.track);
        let background = match play {
            Some(track) if track.left() >= FRAME_SAMPLES => None,
            Some(_) | None => self.background.as_ref(),
        };
        let mut tracks = play.into_iter().chain(background);
        tracks.all(|track| track.sound.is_wide())
    }

    /// The background goes on in the very sample after the end of a played sound.
    fn fill<T: Copy>(
        &mut self,
        scale: usize,
        form: impl Fn(&Recording) -> &[T],
        silence: T,
        frame: &mut [T],
    ) {
        let filled = match &mut self.play {
            Some(play) => play.track.fill(scale, &form, frame),
            None => 0,
        };
        let rest = &mut frame[filled..];
        match &mut self.background {
            Some(track) => track.fill_looped(scale, form, rest),
            None => rest.fill(silence),
        }
    }

    /// Passes over `samples` that should have been heard but were not, because the driver came too late.
    pub(crate) fn skip(&mut self, samples: usize) {
        let passed = match &mut self.play {
            Some(play) => play.track.skip(samples),
            None => 0,
        };
        let passed = if self.plays_beside() { 0 } else { passed };
        if let Some(track) = &mut self.background {
            let mut left = (samples - passed) % track.sound.len();
            while left > 0 {
                left -= track.skip(left);
                track.begin_anew_at_end();
            }
        }
    }
}

/// Samples of this rate for each of 8 kHz.
fn scale(rate: Rate) -> usize {
    rate.frame() / FRAME_SAMPLES
}
