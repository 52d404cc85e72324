//! What a leg hears while nobody is bridged to it.

use std::sync::Arc;

use crate::Sound;
use crate::command::PlayId;
use crate::g711::Law;

/// Samples, and octets of G.711, in a frame of 20 ms.
pub(crate) const FRAME_SAMPLES: usize = 160;

/// A sound played once, over a loop that waits meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Player {
    background: Option<Track>,
    play: Option<(PlayId, Track)>,
}

#[derive(Debug)]
struct Track {
    sound: Arc<Sound>,
    position: usize,
}

impl Track {
    /// Fills as much of `frame` as is left of the sound in this form, and gives how much that is.
    fn fill<T: Copy>(&mut self, form: impl Fn(&Sound) -> &[T], frame: &mut [T]) -> usize {
        let rest = &form(&self.sound)[self.position..];
        let count = rest.len().min(frame.len());
        frame[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        count
    }

    fn ended(&self) -> bool {
        self.position == self.sound.samples().len()
    }
}

impl Player {
    /// Another loop from its beginning. The loop that is already set goes on where it was.
    pub(crate) fn set_background(&mut self, sound: Option<Arc<Sound>>) {
        if let (Some(track), Some(sound)) = (&self.background, &sound)
            && Arc::ptr_eq(&track.sound, sound)
        {
            return;
        }
        // A sound without samples cannot be looped; it is silence.
        let sound = sound.filter(|sound| !sound.samples().is_empty());
        self.background = sound.map(|sound| Track { sound, position: 0 });
    }

    pub(crate) fn play(&mut self, sound: Arc<Sound>, play: PlayId) {
        self.play = Some((play, Track { sound, position: 0 }));
    }

    pub(crate) fn stop_play(&mut self) {
        self.play = None;
    }

    pub(crate) fn is_playing(&self) -> bool {
        self.play.is_some()
    }

    /// The sound of `Play` if all of it has been heard by now: told once.
    pub(crate) fn take_played(&mut self) -> Option<PlayId> {
        let (play, _) = self.play.take_if(|(_, track)| track.ended())?;
        Some(play)
    }

    /// The next 20 ms as G.711.
    pub(crate) fn fill_encoded(&mut self, law: Law, frame: &mut [u8]) {
        self.fill(|sound| sound.encoded(law), law.silence(), frame);
    }

    /// The next 20 ms as samples of 8 kHz.
    pub(crate) fn fill_samples(&mut self, frame: &mut [i16]) {
        self.fill(Sound::samples, 0, frame);
    }

    /// The background goes on in the very sample after the end of a played sound.
    fn fill<T: Copy>(&mut self, form: impl Fn(&Sound) -> &[T], silence: T, frame: &mut [T]) {
        let mut filled = 0;
        if let Some((_, track)) = &mut self.play {
            filled = track.fill(&form, frame);
        }
        while filled < frame.len() {
            let Some(track) = &mut self.background else {
                frame[filled..].fill(silence);
                return;
            };
            filled += track.fill(&form, &mut frame[filled..]);
            if track.ended() {
                track.position = 0;
            }
        }
    }

    /// Passes over `samples` that should have been heard but were not, because the driver came too late.
    pub(crate) fn skip(&mut self, samples: usize) {
        let mut samples = samples;
        if let Some((_, track)) = &mut self.play {
            let passed = samples.min(track.sound.samples().len() - track.position);
            track.position += passed;
            samples -= passed;
        }
        if let Some(track) = &mut self.background {
            track.position = (track.position + samples) % track.sound.samples().len();
        }
    }
}
