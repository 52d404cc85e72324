//! Sounds: each file is decoded once, in a process of its own, to one channel in memory; one that has not changed since stays.
//!
//! WAV, MP3, FLAC and Ogg Vorbis are read. The sounds of the folder `sounds/` are also inside the binary,
//! so that it works without any file beside it.

pub(crate) mod apart;
mod decode;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use call::spoken::{Language, Voice};
use media::Sound;

pub(crate) use self::decode::{Decoded, decode};

/// What a phone line carries, in Hz.
pub(crate) const RATE: u32 = 8_000;
/// Largest file, in octets: an hour of MP3 fits, and a wrong path to something huge is told instead of filling the memory.
const MAX_FILE: u64 = 64 << 20;

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

/// The voices inside the binary: a language, its parts one after the other, and where each of them stands (`sounds/voices.py`).
const VOICES: [(Language, &[u8], &str); 2] = [
    (
        Language::English,
        include_bytes!("../../../sounds/en.ogg"),
        include_str!("../../../sounds/en.parts"),
    ),
    (
        Language::Russian,
        include_bytes!("../../../sounds/ru.ogg"),
        include_str!("../../../sounds/ru.parts"),
    ),
];
/// The endings of files that are sounds.
pub(crate) const ENDINGS: [&str; 4] = ["wav", "mp3", "flac", "ogg"];

/// The sounds that are in use: each is decoded once, however many queues play it, and again when its file has changed.
#[derive(Debug, Default)]
pub(crate) struct Library {
    sounds: BTreeMap<Shelf, (Stamp, Arc<Sound>)>,
    /// The files that take the place of parts of a voice.
    parts: BTreeMap<Language, BTreeMap<Shelf, (Stamp, Arc<Sound>)>>,
}

/// What is kept for one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shelf {
    path: PathBuf,
    even: bool,
}

/// What of a file changes with what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    BuiltIn,
    File {
        inode: u64,
        octets: u64,
        /// Seconds and nanoseconds.
        modified: (i64, i64),
    },
}

impl Library {
    /// The sounds of these file names, relative to `folder`, which need not exist while only built-in ones are asked for; a file of the
    /// folder comes before a built-in sound of the same name. `even`: all equally loud. What else was in the library is forgotten.
    pub(crate) fn load<'a>(
        &mut self,
        folder: &Path,
        names: impl IntoIterator<Item = &'a str>,
        even: bool,
    ) -> BTreeMap<&'a str, Result<Arc<Sound>, SoundError>> {
        let before = std::mem::take(&mut self.sounds);
        let mut loaded = BTreeMap::new();
        for name in names {
            let path = folder.join(name);
            let sound = take(
                &before,
                Shelf { path, even },
                built_in(name),
                &mut self.sounds,
            );
            loaded.insert(name, sound);
        }
        loaded
    }

    /// The voice of a language: the built-in parts, or files of the folder's folder of its name (`en/7.wav`).
    ///
    /// # Errors
    /// The first file that is no sound.
    pub(crate) fn voice(
        &mut self,
        folder: &Path,
        language: Language,
        even: bool,
    ) -> Result<Arc<Voice>, SoundError> {
        let mut parts = built_in_parts(language, even)?;
        let before = self.parts.remove(&language).unwrap_or_default();
        let kept = self.parts.entry(language).or_default();
        for part in language.parts() {
            let files = ENDINGS.map(|ending| {
                folder
                    .join(language.name())
                    .join(format!("{part}.{ending}"))
            });
            let Some(path) = files.into_iter().find(|path| path.is_file()) else {
                continue;
            };
            let sound = take(&before, Shelf { path, even }, None, kept)?;
            parts.insert(part, sound);
        }
        Ok(Arc::new(Voice::new(language, parts)))
    }
}

/// A sound that is there already and has not changed, or decoded anew.
fn take(
    before: &BTreeMap<Shelf, (Stamp, Arc<Sound>)>,
    shelf: Shelf,
    built_in: Option<&'static [u8]>,
    sounds: &mut BTreeMap<Shelf, (Stamp, Arc<Sound>)>,
) -> Result<Arc<Sound>, SoundError> {
    let stamp = stamp(&shelf.path, built_in)?;
    let kept = before.get(&shelf).filter(|(of, _)| *of == stamp);
    let sound = match kept {
        Some((_, sound)) => Arc::clone(sound),
        None => read_and_decode(&shelf, built_in)?,
    };
    sounds.insert(shelf, (stamp, Arc::clone(&sound)));
    Ok(sound)
}

/// The parts of a voice inside the binary.
fn built_in_parts(
    language: Language,
    even: bool,
) -> Result<BTreeMap<&'static str, Arc<Sound>>, SoundError> {
    let mut parts = BTreeMap::new();
    for (_, octets, list) in VOICES.iter().filter(|(spoken, ..)| *spoken == language) {
        let name = format!("{}.ogg", language.name());
        let whole: Sound = decode(octets.to_vec(), Path::new(&name), even)?.into();
        let samples = whole.samples();
        for line in list.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            let mut place = || words.next()?.parse().ok();
            let part = place()
                .zip(place())
                .and_then(|(start, end)| samples.get(start..end));
            if let Some(part) = part {
                parts.insert(name, Arc::new(Sound::new(part.to_vec())));
            }
        }
    }
    Ok(parts)
}

fn read_and_decode(
    shelf: &Shelf,
    built_in: Option<&'static [u8]>,
) -> Result<Arc<Sound>, SoundError> {
    let octets = read(&shelf.path, built_in)?;
    let decoded = apart::decode(&octets, &shelf.path, shelf.even)?;
    Ok(Arc::new(decoded.into()))
}

impl From<Decoded> for Sound {
    fn from(decoded: Decoded) -> Self {
        match decoded {
            Decoded::Narrow(samples) => Self::new(samples),
            Decoded::Wide(samples) => Self::wide(samples),
        }
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

/// The samples of a sound inside the binary, at 8 kHz, as its listeners get them.
pub(crate) fn samples_of(name: &str) -> Result<Vec<i16>, SoundError> {
    let path = Path::new(name);
    let octets = built_in(name).ok_or_else(|| missing(path))?;
    let sound: Sound = decode(octets.to_vec(), path, true)?.into();
    Ok(sound.samples())
}

fn stamp(path: &Path, built_in: Option<&'static [u8]>) -> Result<Stamp, SoundError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let found = built_in.map(|_| Stamp::BuiltIn);
            return found.ok_or_else(|| missing(path));
        }
        Err(reason) => return Err(unreadable(path, reason)),
    };
    let octets = metadata.len();
    if octets > MAX_FILE {
        return Err(SoundError::TooBig {
            file: path.to_owned(),
            excess: format!("has {octets} octets; the limit is {MAX_FILE}: shorten or compress it"),
        });
    }
    Ok(Stamp::File {
        inode: metadata.ino(),
        octets,
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

fn read(path: &Path, built_in: Option<&'static [u8]>) -> Result<Vec<u8>, SoundError> {
    match (fs::read(path), built_in) {
        (Ok(octets), _) => Ok(octets),
        (Err(error), Some(octets)) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(octets.to_vec())
        }
        (Err(reason), _) => Err(unreadable(path, reason)),
    }
}

fn unreadable(path: &Path, reason: std::io::Error) -> SoundError {
    SoundError::Unreadable {
        file: path.to_owned(),
        reason,
    }
}

fn missing(path: &Path) -> SoundError {
    SoundError::Missing {
        file: path.to_owned(),
        built_in: BUILT_IN.map(|(file, _)| file).join(", "),
    }
}

#[cfg(test)]
mod tests;
