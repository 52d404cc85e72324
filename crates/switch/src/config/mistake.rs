//! What is wrong with a configuration: collected, never thrown, told all at once.

use std::collections::BTreeSet;
use std::fmt;

use super::nearest::nearest;
use super::source::{File, Sources};

/// Most mistakes that are kept; the rest is counted. Nobody reads more before running `check` again.
const MAX_KEPT: usize = 1000;

/// Most names that are compared for "did you mean" (a second's work); mistakes after that go without. Each of a hundred
/// wrong names can still be compared with two thousand phones.
const MAX_COMPARED: usize = 200_000;

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The configuration's folder as a whole.
    Folder,
    /// A file as a whole.
    File(File),
    /// An offset in a file, in octets.
    At(File, usize),
}

impl Place {
    pub(super) fn at(file: File, offset: usize) -> Self {
        Self::At(file, offset)
    }

    fn file(self) -> Option<File> {
        match self {
            Self::Folder => None,
            Self::File(file) | Self::At(file, _) => Some(file),
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

#[derive(Debug)]
struct Mistake {
    place: Place,
    text: String,
    /// Another place that belongs to it, and what is there.
    also: Option<(&'static str, Place)>,
    /// The file is not TOML here: what else is found on this line is only a consequence.
    syntax: bool,
}

/// All mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<Mistake>,
    dropped: usize,
    compared: usize,
    broken: BTreeSet<File>,
    hint: Option<&'static str>,
}

impl Mistakes {
    /// Something is wrong at a place.
    pub(super) fn add(&mut self, place: Place, text: String) {
        self.push(Mistake {
            place,
            text,
            also: None,
            syntax: false,
        });
    }

    /// Something is wrong because of what stands at another place.
    pub(super) fn add_also(
        &mut self,
        place: Place,
        text: String,
        what: &'static str,
        also: Option<Place>,
    ) {
        let also = also.map(|also| (what, also));
        self.push(Mistake {
            place,
            text,
            also,
            syntax: false,
        });
    }

    /// Said once, after all mistakes.
    pub(super) fn hint(&mut self, hint: &'static str) {
        self.hint = Some(hint);
    }

    /// The file is not TOML at a place; the rest of the file was still read, but something may be missing.
    pub(super) fn add_syntax(&mut self, place: Place, text: String) {
        self.broken.extend(place.file());
        self.push(Mistake {
            place,
            text,
            also: None,
            syntax: true,
        });
    }

    /// A file could not be read.
    pub(super) fn add_unreadable(&mut self, file: File, why: String) {
        self.broken.insert(file);
        self.add(Place::File(file), why);
    }

    /// A name is not among the ones that exist: says so with the nearest one, or with `otherwise`.
    pub(super) fn add_unknown<'c>(
        &mut self,
        place: Place,
        what: &str,
        written: &str,
        known: impl IntoIterator<Item = &'c str>,
        otherwise: &str,
    ) {
        let mut compared = 0;
        let near = if self.is_full() {
            None
        } else {
            let known = known.into_iter().take(MAX_COMPARED - self.compared);
            nearest(written, known.inspect(|_| compared += 1))
        };
        self.compared += compared;
        let hint = match near {
            Some(near) => format!(": did you mean `{near}`?"),
            None => otherwise.to_owned(),
        };
        self.add(place, format!("{what} `{}`{hint}", shortened(written)));
    }

    /// Something of this file may not have been read: what seems to be missing may be there.
    pub(super) fn is_broken(&self, file: File) -> bool {
        self.broken.contains(&file)
    }

    /// Further mistakes are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_KEPT
    }

    /// Nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The mistakes in the order of the files, ready to print.
    pub(super) fn report(mut self, sources: &Sources) -> Report {
        let line = |place: Place| match place {
            Place::Folder | Place::File(_) => None,
            Place::At(file, offset) => Some((file, sources.line_column(file, offset).0)),
        };
        let mut spoilt = BTreeSet::new();
        // The first fault of a line is the cause, all others on it are consequences.
        self.found
            .retain(|it| !it.syntax || line(it.place).is_none_or(|line| spoilt.insert(line)));
        self.found
            .retain(|it| it.syntax || !line(it.place).is_some_and(|line| spoilt.contains(&line)));
        self.found
            .sort_by_key(|mistake| (mistake.place.file(), mistake.place));
        let lines = self
            .found
            .iter()
            .map(|mistake| {
                let also = mistake.also.map_or_else(String::new, |(what, place)| {
                    format!(" ({what}: {})", sources.locate(place))
                });
                format!("{}: {}{also}", sources.locate(mistake.place), mistake.text)
            })
            .collect();
        Report {
            dir: sources.dir().display().to_string(),
            lines,
            dropped: self.dropped,
            hint: self.hint,
        }
    }

    fn push(&mut self, mistake: Mistake) {
        if self.is_full() {
            self.dropped += 1;
        } else {
            self.found.push(mistake);
        }
    }
}

/// A name as messages quote it: on one line, and not a whole file.
pub(super) fn shortened(name: &str) -> String {
    const LONGEST: usize = 60;
    let clean = name
        .chars()
        .map(|letter| if letter.is_control() { '?' } else { letter });
    let mut short: String = clean.take(LONGEST + 1).collect();
    if short.chars().count() > LONGEST {
        short.pop();
        short.push_str("...");
    }
    short
}

/// Every mistake of a configuration, one line each, in the manner of a compiler: `file:line:column: what is wrong`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Report {
    dir: String,
    lines: Vec<String>,
    dropped: usize,
    hint: Option<&'static str>,
}

impl Report {
    /// Mistakes that were found after all files were read; each line begins with its place.
    pub(super) fn of(dir: String, lines: Vec<String>) -> Self {
        Self {
            dir,
            lines,
            dropped: 0,
            hint: None,
        }
    }

    /// How many mistakes there are.
    pub(crate) fn count(&self) -> usize {
        self.lines.len() + self.dropped
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        if self.dropped > 0 {
            writeln!(out, "... and {} more", self.dropped)?;
        }
        if let Some(hint) = self.hint {
            writeln!(out, "{hint}")?;
        }
        let plural = if self.count() == 1 { "" } else { "s" };
        write!(out, "{}: {} mistake{plural}", self.dir, self.count())
    }
}
