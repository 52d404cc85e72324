//! Sounds: each file is decoded once, when the switch starts, to one channel at 8 kHz in memory.
//!
//! WAV, MP3, FLAC and Ogg Vorbis are read. The sounds of the folder `sounds/` are also inside the binary,
//! so that it works without any file beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use media::Sound;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

/// What a phone line carries, in Hz.
pub(crate) const RATE: u32 = 8_000;
/// Largest file, in octets: an hour of MP3 fits, and a wrong path to something huge is told instead of filling the memory.
const MAX_FILE: u64 = 64 << 20;
/// Longest sound. In memory each second takes 16 kB, and as much again once it was heard in both codecs.
const MAX_LENGTH: Duration = Duration::from_secs(3_600);
/// Sample rates that are read, in Hz: telephone to studio.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// Most channels of a file: 7.1.
const MAX_CHANNELS: usize = 8;
/// Longest time for one file. Decoders have been known to loop for ever on broken files; an hour of MP3 takes 3 s.
const MAX_DECODING: Duration = Duration::from_secs(20);

/// The sounds inside the binary, by file name.
const BUILT_IN: [(&str, &[u8]); 6] = [
    ("start.wav", include_bytes!("../../../sounds/start.wav")),
    ("music.flac", include_bytes!("../../../sounds/music.flac")),
    (
        "announcement.ogg",
        include_bytes!("../../../sounds/announcement.ogg"),
    ),
    (
        "logged-in.mp3",
        include_bytes!("../../../sounds/logged-in.mp3"),
    ),
    (
        "logged-out.mp3",
        include_bytes!("../../../sounds/logged-out.mp3"),
    ),
    (
        "not-an-agent.wav",
        include_bytes!("../../../sounds/not-an-agent.wav"),
    ),
];

/// Why a sound cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SoundError {
    /// Neither a file nor built in.
    #[error(
        "there is no sound {file:?}: put a WAV, MP3, FLAC or Ogg file there, or name one of the built-in {built_in}"
    )]
    Missing {
        /// Where it was looked for.
        file: PathBuf,
        /// The names that always work.
        built_in: String,
    },
    /// The file is there but cannot be read.
    #[error("cannot read the sound {file:?}: {reason}")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// Beyond a limit of this program.
    #[error("the sound {file:?} {excess}")]
    TooBig {
        /// Which.
        file: PathBuf,
        /// What is too big, and the limit.
        excess: String,
    },
    /// Not audio, or audio of another kind.
    #[error(
        "cannot decode the sound {file:?} ({reason}): convert it, for example: sox INPUT -r 8000 -c 1 OUTPUT.wav"
    )]
    Undecodable {
        /// Which.
        file: PathBuf,
        /// The decoder's words.
        reason: String,
    },
}

/// The sounds of one configuration: each name is decoded once, however many queues play it.
#[derive(Debug)]
pub(crate) struct Library {
    folder: PathBuf,
    sounds: BTreeMap<String, Arc<Sound>>,
}

impl Library {
    /// A library over a folder, which need not exist while only built-in sounds are asked for.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            sounds: BTreeMap::new(),
        }
    }

    /// The sound of this file name, relative to the folder. A file of the folder comes before a built-in sound of the same name.
    pub(crate) fn load(&mut self, name: &str) -> Result<Arc<Sound>, SoundError> {
        if let Some(sound) = self.sounds.get(name) {
            return Ok(Arc::clone(sound));
        }
        let path = self.folder.join(name);
        let octets = read(&path, name)?;
        let sound = Arc::new(Sound::new(decode_within_limits(octets, &path)?));
        self.sounds.insert(name.to_owned(), Arc::clone(&sound));
        Ok(sound)
    }
}

/// The octets of a sound inside the binary.
pub(crate) fn built_in(name: &str) -> Option<&'static [u8]> {
    BUILT_IN
        .iter()
        .find_map(|(file, octets)| (*file == name).then_some(*octets))
}

/// The file names of the sounds inside the binary.
pub(crate) fn built_in_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(file, _)| *file)
}

/// The samples of a sound inside the binary, at [`RATE`].
pub(crate) fn samples_of(name: &str) -> Result<Vec<i16>, SoundError> {
    let path = Path::new(name);
    let octets = built_in(name).ok_or_else(|| missing(path))?;
    decode(octets.to_vec(), path)
}

fn read(path: &Path, name: &str) -> Result<Vec<u8>, SoundError> {
    let unreadable = |reason| SoundError::Unreadable {
        file: path.to_owned(),
        reason,
    };
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match built_in(name) {
                Some(octets) => Ok(octets.to_vec()),
                None => Err(missing(path)),
            };
        }
        Err(reason) => return Err(unreadable(reason)),
    };
    if size > MAX_FILE {
        return Err(SoundError::TooBig {
            file: path.to_owned(),
            excess: format!("has {size} octets; the limit is {MAX_FILE}: shorten or compress it"),
        });
    }
    fs::read(path).map_err(unreadable)
}

fn missing(path: &Path) -> SoundError {
    SoundError::Missing {
        file: path.to_owned(),
        built_in: BUILT_IN.map(|(file, _)| file).join(", "),
    }
}

/// Decodes on a thread of its own, so that a decoder's panic or endless loop on a broken file costs a message and not the switch.
fn decode_within_limits(octets: Vec<u8>, path: &Path) -> Result<Vec<i16>, SoundError> {
    let (done, result) = mpsc::sync_channel(1);
    let file = path.to_owned();
    std::thread::Builder::new()
        .name("sound".to_owned())
        .spawn(move || {
            // The receiver is gone when the time limit is over: nobody wants the sound any more.
            let _ = done.send(decode(octets, &file));
        })
        .map_err(|reason| SoundError::Unreadable {
            file: path.to_owned(),
            reason,
        })?;
    let undecodable = |reason: String| SoundError::Undecodable {
        file: path.to_owned(),
        reason,
    };
    match result.recv_timeout(MAX_DECODING) {
        Ok(samples) => samples,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(undecodable(format!("took longer than {MAX_DECODING:?}")))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(undecodable("the decoder gave up".to_owned()))
        }
    }
}

/// Decodes a whole file to mono samples at 8 kHz.
pub(crate) fn decode(octets: Vec<u8>, path: &Path) -> Result<Vec<i16>, SoundError> {
    let undecodable = |reason: String| SoundError::Undecodable {
        file: path.to_owned(),
        reason,
    };
    let too_big = |excess: String| SoundError::TooBig {
        file: path.to_owned(),
        excess,
    };
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let stream = MediaSourceStream::new(Box::new(Cursor::new(octets)), Default::default());
    let fault = |fault: Fault| undecodable(fault.to_string());
    let mut reader = symphonia::default::get_probe()
        .probe(
            &hint,
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(fault)?;
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| undecodable("no audio in it".to_owned()))?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| undecodable("unknown codec".to_owned()))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(fault)?;

    let mut mono: Vec<f32> = Vec::new();
    let mut rate = None;
    let mut frames: Vec<f32> = Vec::new();
    while let Some(packet) = reader.next_packet().map_err(fault)? {
        if packet.track_id != track_id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(fault)?;
        let (found, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        if !RATES.contains(&found) || rate.is_some_and(|rate| rate != found) {
            return Err(undecodable(format!("sample rate {found} Hz")));
        }
        if channels == 0 || channels > MAX_CHANNELS {
            return Err(undecodable(format!("{channels} channels")));
        }
        rate = Some(found);
        decoded.copy_to_vec_interleaved(&mut frames);
        mono.extend(
            frames
                .chunks_exact(channels)
                .map(|frame| frame.iter().sum::<f32>() / channels as f32),
        );
        if mono.len() as u64 > MAX_LENGTH.as_secs() * u64::from(found) {
            return Err(too_big(format!(
                "is longer than {MAX_LENGTH:?}: shorten it"
            )));
        }
    }
    let rate = rate.ok_or_else(|| undecodable("no audio in it".to_owned()))?;
    if rate != RATE {
        mono = media::resample::whole(&mono, rate, RATE);
    }
    Ok(mono
        .iter()
        .map(|sample| (sample * 32_768.0).round() as i16)
        .collect())
}

#[cfg(test)]
mod tests;
