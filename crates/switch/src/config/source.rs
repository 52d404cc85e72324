//! The configuration's files, read whole, and the way from an offset to a line and a column.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::mistake::{Mistakes, Place};

/// Largest file that is read (octets): ten thousand phones or queues with comments need less than half of it, and a
/// wrong path (a recording, a disk image) must not fill the memory. A larger one is a mistake.
const MAX_FILE: u64 = 4 << 20;

/// The files of a configuration, in the order in which their mistakes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum File {
    /// The switch itself: what it listens on, limits, folders.
    Ringmaster,
    /// Who may register.
    Phones,
    /// Queues and agents.
    Queues,
    /// The dial plan.
    Numbers,
    /// The world outside; a site without trunks has no such file.
    Trunks,
}

impl File {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Ringmaster,
        Self::Phones,
        Self::Queues,
        Self::Numbers,
        Self::Trunks,
    ];

    /// The name inside the configuration's folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ringmaster => "ringmaster.toml",
            Self::Phones => "phones.toml",
            Self::Queues => "queues.toml",
            Self::Numbers => "numbers.toml",
            Self::Trunks => "trunks.toml",
        }
    }

    /// The tables that stand in it.
    pub(super) fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Ringmaster => &[
                "sip",
                "rtp",
                "calls",
                "defence",
                "recordings",
                "call_records",
                "queue_log",
                "sounds",
                "log",
            ],
            Self::Phones => &["phones"],
            Self::Queues => &["queues", "agents", "needs"],
            Self::Numbers => &["numbers", "groups"],
            Self::Trunks => &["trunks", "routes", "outside"],
        }
    }
}

/// The texts of one configuration.
#[derive(Debug)]
pub(super) struct Sources {
    /// The folder as the user named it: mistakes show it.
    dir: PathBuf,
    texts: BTreeMap<File, Text>,
}

/// A file's text with the offsets at which its lines start.
#[derive(Debug)]
struct Text {
    text: String,
    line_starts: Vec<usize>,
}

impl Text {
    fn new(text: String) -> Self {
        let ends = text
            .bytes()
            .enumerate()
            .filter(|(_, octet)| *octet == b'\n');
        let line_starts = std::iter::once(0)
            .chain(ends.map(|(end, _)| end + 1))
            .collect();
        Self { text, line_starts }
    }
}

impl Sources {
    /// Reads the files; one that cannot be read is a mistake.
    pub(super) fn read(dir: &Path, mistakes: &mut Mistakes) -> Self {
        let mut sources = Self {
            dir: dir.to_owned(),
            texts: BTreeMap::new(),
        };
        if !File::ALL.iter().any(|file| dir.join(file.name()).exists()) {
            let why = if dir.is_dir() {
                "no configuration in this folder"
            } else if dir.exists() {
                let text = "not a folder: name the one that holds ringmaster.toml and the others";
                mistakes.add(Place::Folder, text.to_owned());
                return sources;
            } else {
                "no such folder"
            };
            let text = format!("{why}: `ringmaster init {}` writes one", dir.display());
            mistakes.add(Place::Folder, text);
            return sources;
        }
        for file in File::ALL {
            if file == File::Trunks && !dir.join(file.name()).exists() {
                continue;
            }
            match read(&dir.join(file.name())) {
                Ok(octets) => match String::from_utf8(octets) {
                    Ok(text) => {
                        sources.texts.insert(file, Text::new(text));
                    }
                    Err(error) => {
                        let at = error.utf8_error().valid_up_to();
                        // The part before the fault gives the fault's line and column.
                        let text = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
                        sources.texts.insert(file, Text::new(text));
                        mistakes.add_syntax(Place::at(file, at), "not UTF-8".to_owned());
                    }
                },
                Err(why) => mistakes.add_unreadable(file, why),
            }
        }
        sources
    }

    /// Texts that are in memory already: the sample inside the binary.
    pub(super) fn of(dir: &Path, texts: impl IntoIterator<Item = (File, String)>) -> Self {
        Self {
            dir: dir.to_owned(),
            texts: texts
                .into_iter()
                .map(|(file, text)| (file, Text::new(text)))
                .collect(),
        }
    }

    /// The folder as the user named it.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a file is.
    pub(super) fn path(&self, file: File) -> PathBuf {
        self.dir.join(file.name())
    }

    /// Where relative paths start: the folder itself, absolute and with links resolved, so that `..` means what it does to
    /// the system and a later change of the working directory changes nothing.
    pub(super) fn base(&self) -> PathBuf {
        std::fs::canonicalize(&self.dir)
            .or_else(|_| std::path::absolute(&self.dir))
            .unwrap_or_else(|_| self.dir.clone())
    }

    /// No file could be read at all.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The text of a file, if it could be read.
    pub(super) fn text(&self, file: File) -> Option<&str> {
        self.texts.get(&file).map(|it| it.text.as_str())
    }

    /// Line and column of an offset, both counted from 1; the column in characters.
    pub(super) fn line_column(&self, file: File, offset: usize) -> (usize, usize) {
        let Some(Text { text, line_starts }) = self.texts.get(&file) else {
            return (1, 1);
        };
        let offset = offset.min(text.len());
        let line = line_starts.partition_point(|start| *start <= offset);
        // Line 1 starts at 0, so one start at least is not beyond the offset.
        let in_line = &text.as_bytes()[line_starts[line - 1]..offset];
        let is_start_of_character = |octet: &&u8| (**octet & 0xc0) != 0x80;
        (
            line,
            in_line.iter().filter(is_start_of_character).count() + 1,
        )
    }

    /// `config/queues.toml:12:9`, or less where less is known.
    pub(super) fn locate(&self, place: Place) -> String {
        match place {
            Place::Folder => self.dir.display().to_string(),
            Place::File(file) => self.path(file).display().to_string(),
            Place::At(file, offset) => {
                let (line, column) = self.line_column(file, offset);
                format!("{}:{line}:{column}", self.path(file).display())
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // A pipe or a device would block or never end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("not a file".to_owned());
    }
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut octets)
        .map_err(unreadable)?;
    if octets.len() as u64 > MAX_FILE {
        return Err(format!("larger than {} MiB", MAX_FILE >> 20));
    }
    Ok(octets)
}
