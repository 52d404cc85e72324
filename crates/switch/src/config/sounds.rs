//! Sounds by name: a file of the sounds folder, or one that is built into the binary.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::mistake::{Located, Mistakes, Place, shortened};
use super::section::{Section, quoted_list};
use super::source::Sources;
use super::{SwitchSounds, defaults};
use crate::sounds::{ENDINGS, built_in_names};

/// Most files of the sounds folder that are looked at.
const MAX_FILES: usize = 10_000;

/// A sound's name: the name of its file without the ending.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SoundName(pub(crate) String);

impl fmt::Display for SoundName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A sound that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedSound {
    /// Its file in the sounds folder, or built in.
    pub(crate) file: String,
    /// Where it is named first, for messages: `config/queues.toml:12:9`.
    pub(crate) named_at: String,
}

/// The sounds folder and what was used of it.
pub(super) struct SoundFolder {
    files: BTreeMap<String, Vec<String>>,
    used: BTreeMap<SoundName, (String, Place)>,
    unreadable: bool,
}

impl SoundFolder {
    /// Looks into the folder. Without one only the built-in sounds exist; that is a mistake only if somebody wrote its name.
    pub(super) fn open(folder: &Located<PathBuf>, written: bool, mistakes: &mut Mistakes) -> Self {
        let mut sounds = Self {
            files: BTreeMap::new(),
            used: BTreeMap::new(),
            unreadable: false,
        };
        for name in built_in_names() {
            sounds.add(name);
        }
        let entries = match std::fs::read_dir(&folder.value) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound && !written => return sounds,
            Err(error) => {
                let text = format!("sounds folder `{}`: {error}", folder.value.display());
                mistakes.add(folder.place, text);
                sounds.unreadable = true;
                return sounds;
            }
        };
        let mut own = Self {
            files: BTreeMap::new(),
            used: BTreeMap::new(),
            unreadable: false,
        };
        for entry in entries.flatten().take(MAX_FILES) {
            own.add(&entry.file_name().to_string_lossy());
        }
        // A file of the folder takes the place of the built-in sound of its name.
        sounds.files.extend(own.files);
        sounds
    }

    fn add(&mut self, file: &str) {
        let is_sound = |ending: &str| ENDINGS.iter().any(|it| it.eq_ignore_ascii_case(ending));
        if let Some((name, ending)) = file.rsplit_once('.')
            && is_sound(ending)
        {
            self.files
                .entry(name.to_owned())
                .or_default()
                .push(file.to_owned());
        }
    }

    /// The sound of that name; an unknown one is a mistake.
    pub(super) fn find(
        &mut self,
        name: &Located<String>,
        mistakes: &mut Mistakes,
    ) -> Option<SoundName> {
        match self
            .files
            .get_mut(&name.value)
            .map(|files| (files.len(), files))
        {
            Some((1, files)) => {
                let found = SoundName(name.value.clone());
                self.used
                    .entry(found.clone())
                    .or_insert((files[0].clone(), name.place));
                Some(found)
            }
            Some((_, files)) => {
                files.sort();
                let shown = shortened(&name.value);
                let files = quoted_list(files.iter().map(String::as_str), "or");
                let text = format!("sound `{shown}` could be {files}");
                mistakes.add(name.place, text);
                None
            }
            None => {
                self.tell_unknown(name, mistakes);
                None
            }
        }
    }

    fn tell_unknown(&self, name: &Located<String>, mistakes: &mut Mistakes) {
        if self.unreadable {
            return;
        }
        let known = self.files.keys().map(String::as_str);
        if let Some((stem, ending)) = name.value.rsplit_once('.')
            && ENDINGS.contains(&ending)
            && self.files.contains_key(stem)
        {
            let text = format!("a sound is named without its ending: `{}`", shortened(stem));
            mistakes.add(name.place, text);
            return;
        }
        let otherwise = ": neither in the sounds folder (.wav, .mp3, .flac, .ogg) nor built in";
        mistakes.add_unknown(name.place, "unknown sound", &name.value, known, otherwise);
    }

    /// Every sound that was found, once.
    pub(super) fn into_used(self, sources: &Sources) -> BTreeMap<SoundName, UsedSound> {
        let used = |(name, (file, place))| {
            (
                name,
                UsedSound {
                    file,
                    named_at: sources.locate(place),
                },
            )
        };
        self.used.into_iter().map(used).collect()
    }
}

/// The sounds of the switch as they were written.
pub(super) struct RawSwitchSounds {
    music: Located<String>,
    logged_in: Located<String>,
    logged_out: Located<String>,
    not_an_agent: Located<String>,
}

impl RawSwitchSounds {
    /// Reads the four keys.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let here = section.place();
        let mut sound = |key, default: &str| {
            section.text(key).unwrap_or_else(|| Located {
                value: default.to_owned(),
                place: here,
            })
        };
        Self {
            music: sound("music", defaults::MUSIC),
            logged_in: sound("logged_in", defaults::LOGGED_IN),
            logged_out: sound("logged_out", defaults::LOGGED_OUT),
            not_an_agent: sound("not_an_agent", defaults::NOT_AN_AGENT),
        }
    }

    /// Looks for them.
    pub(super) fn check(self, sounds: &mut SoundFolder, mistakes: &mut Mistakes) -> SwitchSounds {
        let mut find = |sound: Located<String>| {
            sounds
                .find(&sound, mistakes)
                .unwrap_or(SoundName(sound.value))
        };
        SwitchSounds {
            music: find(self.music),
            logged_in: find(self.logged_in),
            logged_out: find(self.logged_out),
            not_an_agent: find(self.not_an_agent),
        }
    }
}
