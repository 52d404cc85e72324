//! How the sound of phones and trunks is treated: the same keys in [rtp], for a phone and for a trunk.

use call::settings::Audio;
use media::loudness::{Gain, Loudness, Volume};

use super::section::Section;

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawAudio {
    comfort_noise: Option<bool>,
    dtx: Option<bool>,
    gain_in: Option<Gain>,
    gain_out: Option<Gain>,
    automatic_level: Option<bool>,
}

impl RawAudio {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            comfort_noise: section.flag("comfort_noise"),
            dtx: section.flag("dtx"),
            gain_in: section.gain("gain_in"),
            gain_out: section.gain("gain_out"),
            automatic_level: section.flag("automatic_level"),
        }
    }

    /// What holds where this is written above what holds for everybody.
    pub(super) fn above(self, everybody: Audio) -> Audio {
        let Loudness { says, hears } = everybody.loudness;
        Audio {
            comfort_noise: self.comfort_noise.unwrap_or(everybody.comfort_noise),
            dtx: self.dtx.unwrap_or(everybody.dtx),
            loudness: Loudness {
                says: Volume {
                    gain: self.gain_in.unwrap_or(says.gain),
                    automatic: self.automatic_level.unwrap_or(says.automatic),
                },
                hears: self.gain_out.unwrap_or(hears),
            },
        }
    }
}
