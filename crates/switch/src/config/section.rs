//! Reading of TOML tables that goes on after a mistake and remembers where everything stands.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use media::loudness::Gain;
use sip::sdp::{AudioCodec, Codecs, Encryption};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Located, Mistakes, Place, shortened};
use super::source::{File, Sources};

/// What `srtp` may say.
const ENCRYPTIONS: [(&str, Encryption); 4] = [
    ("accepted", Encryption::Accepted),
    ("required", Encryption::Required),
    ("dtls", Encryption::Dtls),
    ("refused", Encryption::Refused),
];

/// What `codecs` may hold.
const CODECS: [(&str, &[AudioCodec]); 7] = [
    ("pcmu", &[AudioCodec::Pcmu]),
    ("pcma", &[AudioCodec::Pcma]),
    ("g722", &[AudioCodec::G722]),
    ("opus", &[AudioCodec::Opus]),
    ("l16", &[AudioCodec::L16Wide, AudioCodec::L16Narrow]),
    ("g729", &[AudioCodec::G729]),
    ("gsm", &[AudioCodec::Gsm]),
];

/// Most entries of a list inside a table (agents of a queue, listeners): what one process can serve is less.
const MAX_LIST: usize = 10_000;

type Value<'d> = Spanned<DeValue<'d>>;

/// Parses a file; every fault of its syntax is a mistake, what could be read is returned.
pub(super) fn parse<'d>(
    file: File,
    sources: &'d Sources,
    mistakes: &mut Mistakes,
) -> Option<DeTable<'d>> {
    let text = sources.text(file)?;
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    let list_fault = list_never_closed(&errors);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let place = Place::at(file, span.start);
        if error.message() == "duplicate key" {
            let written = text.get(span.clone()).unwrap_or_default();
            let first = if mistakes.is_full() {
                None
            } else {
                first(file, sources, &table, span.start, written)
            };
            let text = format!("`{}` stands here again", shortened(unquoted(written)));
            mistakes.add_also(place, text, "first", first);
        } else if list_fault.is_none_or(|fault| span.start < fault) {
            mistakes.add_syntax(place, error.message().replace('\n', " "));
        }
    }
    if let Some(fault) = list_fault {
        let text = "a list that began above is not closed: expected `,` or `]`";
        mistakes.add_syntax(Place::at(file, fault), text.to_owned());
    }
    Some(table)
}

/// Where the parser began to take the rest of the file for items of a list: what it says from there on would mislead.
fn list_never_closed(errors: &[toml::de::Error]) -> Option<usize> {
    let starts = |text: &'static str| {
        errors
            .iter()
            .filter(move |error| error.message().starts_with(text))
            .filter_map(|error| Some(error.span()?.start))
    };
    let end = starts("unclosed array").min()?;
    starts("missing comma").min().filter(|fault| *fault < end)
}

/// Where a key that stands twice stood first: the parser drops that place from its error.
fn first(
    file: File,
    sources: &Sources,
    table: &DeTable<'_>,
    again: usize,
    written: &str,
) -> Option<Place> {
    let text = sources.text(file)?;
    let line_start = text[..again].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next()?.trim();
    if line.starts_with('[') {
        // A table's header: the same line, written before.
        let mut offset = 0;
        for earlier in text[..line_start].split_inclusive('\n') {
            if earlier.trim() == line {
                return Some(Place::at(file, offset));
            }
            offset += earlier.len();
        }
        return None;
    }
    let mut places = Vec::new();
    places_of(table, unquoted(written), &mut places);
    // Both stand in one table, so no key of that name in another table can stand between them.
    places
        .into_iter()
        .filter(|place| *place < again)
        .max()
        .map(|place| Place::at(file, place))
}

/// Where keys of this name stand, in all tables.
fn places_of(table: &DeTable<'_>, name: &str, places: &mut Vec<usize>) {
    for (key, value) in table {
        if key.get_ref() == name {
            places.push(key.span().start);
        }
        match value.get_ref() {
            DeValue::Table(inner) => places_of(inner, name, places),
            DeValue::Array(list) => {
                for inner in list.iter().filter_map(|item| item.get_ref().as_table()) {
                    places_of(inner, name, places);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
}

fn unquoted(key: &str) -> &str {
    key.trim_matches(|letter| letter == '"' || letter == '\'')
}

/// One table on its way to a checked type. Every key that is asked for is known; `finish` tells the others.
pub(super) struct Section<'d, 'm> {
    file: File,
    /// `queues.support`; empty for the file as a whole.
    path: String,
    place: Place,
    /// None: the table was not written, all its keys have their defaults.
    table: Option<&'d DeTable<'d>>,
    asked: Vec<&'static str>,
    /// Where mistakes go.
    pub(super) mistakes: &'m mut Mistakes,
}

/// Something with a name of the administrator's choice, or one item of a list.
#[derive(Clone)]
pub(super) struct Entry<'d> {
    /// The key; `agents[2]` for the second item of a list.
    pub(super) name: Located<String>,
    value: &'d Value<'d>,
}

impl Entry<'_> {
    /// Where the value stands.
    pub(super) fn place(&self, file: File) -> Place {
        Place::at(file, self.value.span().start)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        self.value.get_ref().as_str()
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        kind(self.value.get_ref())
    }
}

impl<'d, 'm> Section<'d, 'm> {
    /// A whole file.
    pub(super) fn file(
        file: File,
        table: Option<&'d DeTable<'d>>,
        mistakes: &'m mut Mistakes,
    ) -> Self {
        let place = Place::File(file);
        Self {
            file,
            path: String::new(),
            place,
            table,
            asked: Vec::new(),
            mistakes,
        }
    }

    /// Where the table's name stands.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// A table with fixed keys; an empty one if it is not there.
    pub(super) fn table(&mut self, key: &'static str) -> Section<'d, '_> {
        match self.value(key) {
            Some((place, value)) => {
                let name = Located {
                    value: key.to_owned(),
                    place,
                };
                self.enter(&Entry { name, value })
            }
            None => Section {
                file: self.file,
                path: self.path_of(key),
                place: self.place,
                table: None,
                asked: Vec::new(),
                mistakes: self.mistakes,
            },
        }
    }

    /// Goes into an entry, which must be a table; what else it is, is a mistake and read as an empty table.
    pub(super) fn enter(&mut self, entry: &Entry<'d>) -> Section<'d, '_> {
        let table = entry.value.get_ref().as_table();
        if table.is_none() {
            let text = format!(
                "`{}` must be a table: {{ .. }}, not {}",
                shortened(&entry.name.value),
                entry.kind()
            );
            self.mistakes.add(entry.place(self.file), text);
        }
        Section {
            file: self.file,
            path: self.path_of(&entry.name.value),
            place: entry.name.place,
            table,
            asked: Vec::new(),
            mistakes: self.mistakes,
        }
    }

    /// All entries, in the order of their names; the names are the administrator's, so none is unknown.
    pub(super) fn entries(&self) -> Vec<Entry<'d>> {
        let entry = |(key, value): (&'d Spanned<Cow<'d, str>>, &'d Value<'d>)| {
            let place = Place::at(self.file, key.span().start);
            let name = Located {
                value: key.get_ref().clone().into_owned(),
                place,
            };
            Entry { name, value }
        };
        self.table
            .iter()
            .flat_map(|table| table.iter())
            .map(entry)
            .collect()
    }

    /// The items of a list; none if it is not there.
    pub(super) fn list(&mut self, key: &'static str) -> Option<Vec<Entry<'d>>> {
        let (place, value) = self.value(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_kind(key, value, "a list: [..]");
            return None;
        };
        if items.len() > MAX_LIST {
            self.mistakes
                .add(place, format!("`{key}` has more than {MAX_LIST} items"));
        }
        let entry = |(index, value): (usize, &'d Value<'d>)| {
            let place = Place::at(self.file, value.span().start);
            Entry {
                name: Located {
                    value: format!("{key}[{}]", index + 1),
                    place,
                },
                value,
            }
        };
        Some(items.iter().take(MAX_LIST).enumerate().map(entry).collect())
    }

    /// The texts of a list.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Located<String>>> {
        let mut texts = Vec::new();
        for item in self.list(key)? {
            let place = item.place(self.file);
            match item.text() {
                Some(text) => texts.push(Located {
                    value: text.to_owned(),
                    place,
                }),
                None => {
                    let text = format!("`{key}` must hold texts in quotes, not {}", item.kind());
                    self.mistakes.add(place, text);
                }
            }
        }
        Some(texts)
    }

    /// A text, or the texts of a list.
    pub(super) fn text_or_texts(&mut self, key: &'static str) -> Vec<Located<String>> {
        let is_list = self
            .table
            .and_then(|table| table.get(key))
            .is_some_and(|value| value.get_ref().is_array());
        if is_list {
            self.texts(key).unwrap_or_default()
        } else {
            self.text(key).into_iter().collect()
        }
    }

    /// An item of a list as a text with its place, if it is one.
    pub(super) fn item_text(&self, entry: &Entry<'d>) -> Option<Located<String>> {
        Some(Located {
            value: entry.text()?.to_owned(),
            place: entry.place(self.file),
        })
    }

    /// Whether the key is there and has a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        let value = self.table.and_then(|table| table.get(key));
        value.is_some_and(|value| value.get_ref().is_table())
    }

    /// Whether the key is there, with whatever value.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let (_, value) = self.value(key)?;
        let place = Place::at(self.file, value.span().start);
        match value.get_ref() {
            DeValue::String(text) => Some(Located {
                value: text.clone().into_owned(),
                place,
            }),
            DeValue::Integer(_) => {
                // The number itself may be a password.
                self.mistakes
                    .add(place, format!("`{key}` must be a text: put it in quotes"));
                None
            }
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_kind(key, value, "a text in quotes");
                None
            }
        }
    }

    /// A text that must be there; its absence is told at the table's name.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<Located<String>> {
        let is_there = self.table.is_none_or(|table| table.contains_key(key));
        if !is_there && !self.mistakes.is_broken(self.file) {
            let text = format!("`{}` has no `{key}`", shortened(&self.path));
            self.mistakes.add(self.place, text);
        }
        self.text(key)
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let (_, value) = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_kind(key, value, "true or false");
        }
        flag
    }

    /// A whole number within a range, in `unit` (for messages; may be empty).
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<Located<u64>> {
        let (_, value) = self.value(key)?;
        self.number_in(key, value, range, unit)
    }

    /// The same of an entry.
    pub(super) fn entry_number(
        &mut self,
        entry: &Entry<'d>,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<Located<u64>> {
        self.number_in(&entry.name.value, entry.value, range, unit)
    }

    fn number_in(
        &mut self,
        key: &str,
        value: &Value<'_>,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<Located<u64>> {
        let key = shortened(key);
        let place = Place::at(self.file, value.span().start);
        let (least, most) = (range.start(), range.end());
        let blank = if unit.is_empty() { "" } else { " " };
        let wanted = format!("{least} to {most}{blank}{unit}");
        let Some(number) = value.get_ref().as_integer() else {
            let unquoted = value
                .get_ref()
                .as_str()
                .and_then(|text| text.trim().parse::<u64>().ok());
            match unquoted {
                Some(number) => {
                    let text = format!("`{key}` must be a number without quotes: {number}");
                    self.mistakes.add(place, text);
                }
                None => self.wrong_kind(&key, value, &format!("a whole number, {wanted}")),
            }
            return None;
        };
        // Too many digits for 64 bits are out of every range.
        let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let fitting = read
            .and_then(|read| u64::try_from(read).ok())
            .filter(|n| range.contains(n));
        if fitting.is_none() {
            let written = shortened(&number.to_string());
            self.mistakes.add(
                place,
                format!("`{key}` = {written} is out of range: {wanted}"),
            );
        }
        fitting.map(|value| Located { value, place })
    }

    /// A whole number that has a default, which stands where the table stands. None: what was written is wrong.
    pub(super) fn number_or(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
        default: u64,
    ) -> Option<Located<u64>> {
        let is_written = self.is_written(key);
        let number = self.number(key, range, unit);
        let place = self.place;
        number.or((!is_written).then_some(Located {
            value: default,
            place,
        }))
    }

    /// A time in whole seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Located<Duration>> {
        let number = self.number(key, range, "seconds")?;
        Some(Located {
            value: Duration::from_secs(number.value),
            place: number.place,
        })
    }

    /// One of several words.
    pub(super) fn choice<T: Clone>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let written = self.text(key)?;
        self.word(&written, key, words)
    }

    /// What a word means, `what` in messages.
    fn word<T: Clone>(
        &mut self,
        written: &Located<String>,
        what: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == written.value);
        if found.is_none() {
            let known = words.iter().map(|(word, _)| *word);
            let all = format!(": must be {}", quoted_list(known.clone(), "or"));
            let unknown = format!("unknown {what}");
            self.mistakes
                .add_unknown(written.place, &unknown, &written.value, known, &all);
        }
        found.map(|(_, value)| value.clone())
    }

    /// `srtp`: whether sound is encrypted.
    pub(super) fn encryption(&mut self) -> Option<Encryption> {
        self.choice("srtp", &ENCRYPTIONS)
    }

    /// `codecs`: the codecs that are spoken, the best first.
    pub(super) fn codecs(&mut self) -> Option<Codecs> {
        let written = self.texts("codecs")?;
        let mut codecs: Vec<AudioCodec> = Vec::new();
        for name in &written {
            let Some(meant) = self.word(name, "codec", &CODECS) else {
                continue;
            };
            if meant.iter().any(|codec| codecs.contains(codec)) {
                let text = format!("the codec `{}` stands here twice", name.value);
                self.mistakes.add(name.place, text);
            }
            codecs.extend_from_slice(meant);
        }
        if !codecs.is_empty() && !codecs.iter().any(|codec| codec.is_spoken()) {
            let text = "`codecs` must hold one that is spoken: g729 and gsm are only passed on";
            self.mistakes.add(self.place(), text.to_owned());
        }
        if written.is_empty() {
            let text = "`codecs` must hold at least one codec: leave the line out for all";
            self.mistakes.add(self.place(), text.to_owned());
        }
        (!codecs.is_empty()).then(|| Codecs::of(codecs))
    }

    /// A gain in dB, with at most one digit after the point that counts.
    pub(super) fn gain(&mut self, key: &'static str) -> Option<Gain> {
        let (_, value) = self.value(key)?;
        let place = Place::at(self.file, value.span().start);
        let written = value.get_ref();
        let whole = written.as_integer().map(|number| number.as_str());
        let number = whole.or_else(|| written.as_float().map(|number| number.as_str()));
        let Some(number) = number.and_then(|number| number.parse::<f64>().ok()) else {
            self.wrong_kind(key, value, "a number of dB, -20 to 20");
            return None;
        };
        let most = f64::from(Gain::MOST);
        let gain = (-most..=most)
            .contains(&number)
            .then(|| Gain::of_tenths((number * 10.0).round() as i16));
        if gain.is_none() {
            let text = format!("`{key}` must be -20 to 20 dB, not {number}");
            self.mistakes.add(place, text);
        }
        gain.flatten()
    }

    /// An IP address.
    pub(super) fn address(&mut self, written: &Located<String>) -> Option<IpAddr> {
        let address = written.value.parse().ok();
        if address.is_none() {
            let text = format!("`{}` is not an IP address", shortened(&written.value));
            self.mistakes.add(written.place, text);
        }
        address
    }

    /// Tells every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let (name, place) = (key.get_ref(), Place::at(self.file, key.span().start));
            if self.asked.contains(&name.as_ref()) {
                continue;
            }
            let elsewhere = File::ALL
                .into_iter()
                .find(|file| self.path.is_empty() && file.tables().contains(&name.as_ref()));
            if let Some(file) = elsewhere {
                self.mistakes
                    .add(place, format!("`{name}` belongs in {}", file.name()));
                continue;
            }
            let asked = self.asked.iter().copied();
            let all = format!(": known here: {}", quoted_list(asked.clone(), "and"));
            self.mistakes
                .add_unknown(place, "unknown key", name, asked, &all);
        }
    }

    /// The value of a key and the place of the key.
    fn value(&mut self, key: &'static str) -> Option<(Place, &'d Value<'d>)> {
        self.asked.push(key);
        let (key, value) = self.table?.get_key_value(key)?;
        Some((Place::at(self.file, key.span().start), value))
    }

    fn wrong_kind(&mut self, key: &str, value: &Value<'_>, wanted: &str) {
        let text = format!("`{key}` must be {wanted}, not {}", kind(value.get_ref()));
        self.mistakes
            .add(Place::at(self.file, value.span().start), text);
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// `a`, `b` or `c`.
pub(super) fn quoted_list<'c>(words: impl Iterator<Item = &'c str>, last: &str) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., end] => format!("{} {last} {end}", init.join(", ")),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
