//! ringmaster.toml: the switch itself.

use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use call::settings::Audio;
use media::tone::{COUNTRIES, Tones};
use sip::digest::Algorithm;
use sip::guard::Defence;
use sip::sdp::{Codecs, Encryption};
use toml::de::DeTable;
use tracing::Level;

use super::audio::RawAudio;
use super::mistake::{Located, Mistakes, shortened};
use super::nat::RawNat;
use super::section::{Section, quoted_list};
use super::sounds::RawSwitchSounds;
use super::source::File;
use super::tls::{self, Tls};
use super::trace::Trace;
use super::{Calls, Listener, Rtp, Sip, defaults, defence, listen, loopback};
use crate::recorder::Format;

/// Most RTP worker threads; one fills a processor core.
pub(super) const MAX_WORKERS: u64 = 64;

/// Most calls at once: what all ports above 1023 can hold, at two legs of two ports.
const MAX_CALLS: u64 = 16_128;

/// The customer's and the agent's, or the two phones'.
const LEGS_PER_CALL: u64 = 2;

/// A day: the longest time of any setting (s).
pub(super) const DAY: u64 = 86_400;

/// What may stand in braces in the name of a recording.
const PLACEHOLDERS: [&str; 6] = ["date", "time", "queue", "caller", "agent", "call"];

const FORMATS: [(&str, Format); 4] = [
    ("wav", Format::Wav),
    ("mp3", Format::Mp3),
    ("flac", Format::Flac),
    ("opus", Format::Opus),
];

const DIGESTS: [(&str, Algorithm); 2] = [("sha-256", Algorithm::Sha256), ("md5", Algorithm::Md5)];

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// The file.
pub(super) struct Switch {
    pub(super) sip: RawSip,
    pub(super) rtp: RawRtp,
    pub(super) calls: Calls,
    pub(super) defence: Defence,
    pub(super) nat: RawNat,
    pub(super) recordings: PathBuf,
    pub(super) recording_name: String,
    pub(super) recording_format: Format,
    pub(super) call_records: PathBuf,
    pub(super) queue_log: PathBuf,
    pub(super) sound_folder: Located<PathBuf>,
    pub(super) sound_folder_written: bool,
    pub(super) tones: Tones,
    pub(super) even_loudness: bool,
    pub(super) sounds: RawSwitchSounds,
    pub(super) trace: Trace,
    pub(super) log_level: Level,
}

/// The signalling, with the place of each listener.
pub(super) struct RawSip {
    pub(super) listeners: Vec<Located<Listener>>,
    tls: Option<Tls>,
    origins: Vec<String>,
    realm: String,
    digests: Vec<Algorithm>,
    min_expires: Duration,
    max_expires: Duration,
    session_expires: Duration,
}

/// The media, with the place of each address.
pub(super) struct RawRtp {
    pub(super) addresses: Vec<Located<IpAddr>>,
    /// Each of what was written is an address.
    pub(super) addresses_read: bool,
    /// The first and the last port; none if one of them could not be read.
    pub(super) ports: Option<Located<(u16, u16)>>,
    workers: usize,
    rtp_timeout: Duration,
    hold_timeout: Duration,
    srtp: Encryption,
    codecs: Codecs,
    audio: Audio,
}

impl RawSip {
    pub(super) fn into_sip(self) -> Sip {
        Sip {
            listeners: self
                .listeners
                .into_iter()
                .map(|listener| listener.value)
                .collect(),
            tls: self.tls,
            origins: self.origins,
            realm: self.realm,
            digests: self.digests,
            min_expires: self.min_expires,
            max_expires: self.max_expires,
            session_expires: self.session_expires,
        }
    }
}

impl RawRtp {
    /// Whether sound is encrypted, where a phone or a trunk does not say otherwise.
    pub(super) fn codecs(&self) -> Codecs {
        self.codecs.clone()
    }

    pub(super) fn audio(&self) -> Audio {
        self.audio
    }

    pub(super) fn srtp(&self) -> Encryption {
        self.srtp
    }

    pub(super) fn into_rtp(self) -> Rtp {
        let (first_port, last_port) = self
            .ports
            .map_or((defaults::FIRST_PORT, defaults::LAST_PORT), |ports| {
                ports.value
            });
        Rtp {
            addresses: self
                .addresses
                .into_iter()
                .map(|address| address.value)
                .collect(),
            first_port,
            last_port,
            workers: self.workers,
            rtp_timeout: self.rtp_timeout,
            hold_timeout: self.hold_timeout,
        }
    }
}

/// Reads the file; `base` is where relative paths start.
pub(super) fn read(table: Option<&DeTable<'_>>, base: &Path, mistakes: &mut Mistakes) -> Switch {
    let mut file = Section::file(File::Ringmaster, table, mistakes);
    let sip = sip(file.table("sip"), base);
    let rtp = rtp(file.table("rtp"));
    let (calls, max_calls) = calls(file.table("calls"));
    let defence = defence::read(file.table("defence"));
    let nat = RawNat::read(file.table("nat"));

    let mut section = file.table("recordings");
    let recordings = folder(&mut section, base, defaults::RECORDINGS);
    let recording_name = recording_name(&mut section);
    let recording_format = recording_format(&mut section);
    section.finish();

    let mut section = file.table("call_records");
    let call_records = folder(&mut section, base, defaults::CALL_RECORDS);
    section.finish();

    let mut section = file.table("queue_log");
    let queue_log = folder(&mut section, base, defaults::QUEUE_LOG);
    section.finish();

    let mut section = file.table("sounds");
    let written = section.text("folder");
    let sound_folder_written = written.is_some();
    let default = Located {
        value: defaults::SOUNDS.to_owned(),
        place: section.place(),
    };
    let sound_folder = written.unwrap_or(default);
    let sound_folder = Located {
        value: absolute(base, &sound_folder.value),
        place: sound_folder.place,
    };
    let tones = section
        .choice("country", &COUNTRIES)
        .unwrap_or(defaults::TONES);
    let even_loudness = section
        .flag("even_loudness")
        .unwrap_or(defaults::EVEN_LOUDNESS);
    let sounds = RawSwitchSounds::read(&mut section);
    section.finish();

    let trace = Trace::read(file.table("trace"), base);

    let mut section = file.table("log");
    let log_level = section
        .choice("level", &LEVELS)
        .unwrap_or(defaults::LOG_LEVEL);
    section.finish();
    file.finish();

    // In a file that was read in part, what is missing may stand in the other part.
    if !mistakes.is_broken(File::Ringmaster) {
        listen::check_rtp(&sip.listeners, &rtp, mistakes);
        nat.check(&sip.listeners, mistakes);
        if let (Some(ports), Some(max_calls)) = (rtp.ports, max_calls) {
            ports_and_calls(ports, max_calls, mistakes);
        }
    }
    Switch {
        sip,
        rtp,
        calls,
        defence,
        nat,
        recordings,
        recording_name,
        recording_format,
        call_records,
        queue_log,
        sound_folder,
        sound_folder_written,
        tones,
        even_loudness,
        sounds,
        trace,
        log_level,
    }
}

fn sip(mut section: Section<'_, '_>, base: &Path) -> RawSip {
    let here = section.place();
    let listeners = listen::read(&mut section);
    let tls = tls::read(&mut section, base, &listeners);
    let origins = listen::origins(&mut section);
    let realm = section.text("realm").map_or_else(
        || defaults::REALM.to_owned(),
        |realm| {
            // It is quoted in every challenge (RFC 3261 section 25.1, quoted-string).
            let fits = |letter: char| letter.is_ascii_graphic() && letter != '"' && letter != '\\';
            if realm.value.is_empty() || realm.value.len() > 64 || !realm.value.chars().all(fits) {
                let text =
                    "`realm` must be 1 to 64 letters, digits or signs without blanks and quotes";
                section.mistakes.add(realm.place, text.to_owned());
            }
            realm.value
        },
    );
    let digests = digests(&mut section);
    let shortest = section.number_or(
        "min_expires",
        1..=DAY,
        "seconds",
        defaults::MIN_EXPIRES.as_secs(),
    );
    let longest = section.number_or(
        "max_expires",
        1..=DAY,
        "seconds",
        defaults::MAX_EXPIRES.as_secs(),
    );
    if let (Some(shortest), Some(longest)) = (shortest, longest)
        && shortest.value > longest.value
    {
        let place = if longest.place == here {
            shortest.place
        } else {
            longest.place
        };
        let (shortest, longest) = (shortest.value, longest.value);
        let text = format!("`max_expires` ({longest} s) is below `min_expires` ({shortest} s)");
        section.mistakes.add(place, text);
    }
    let session = section.number_or(
        "session_expires",
        sip::endpoint::MIN_SESSION_EXPIRES.as_secs()..=DAY,
        "seconds",
        defaults::SESSION_EXPIRES.as_secs(),
    );
    let time = |number: Option<Located<u64>>, default| {
        number.map_or(default, |number| Duration::from_secs(number.value))
    };
    let min_expires = time(shortest, defaults::MIN_EXPIRES);
    let max_expires = time(longest, defaults::MAX_EXPIRES);
    let session_expires = time(session, defaults::SESSION_EXPIRES);
    section.finish();
    RawSip {
        listeners,
        tls,
        origins,
        realm,
        digests,
        min_expires,
        max_expires,
        session_expires,
    }
}

fn digests(section: &mut Section<'_, '_>) -> Vec<Algorithm> {
    let Some(texts) = section.texts("digests") else {
        return defaults::DIGESTS.to_vec();
    };
    let mut digests = Vec::new();
    if texts.is_empty() {
        let text = "`digests` is empty: no phone could register";
        section.mistakes.add(section.place(), text.to_owned());
    }
    for text in texts {
        match DIGESTS.iter().find(|(word, _)| *word == text.value) {
            Some((_, digest)) if !digests.contains(digest) => digests.push(*digest),
            Some((word, _)) => {
                let again = format!("`{word}` stands here again");
                section.mistakes.add(text.place, again);
            }
            None => {
                let words = DIGESTS.map(|(word, _)| word);
                let all = format!(": must be {}", quoted_list(words.into_iter(), "or"));
                let (place, written) = (text.place, &text.value);
                let what = "unknown digest algorithm";
                section
                    .mistakes
                    .add_unknown(place, what, written, words, &all);
            }
        }
    }
    digests
}

fn rtp(mut section: Section<'_, '_>) -> RawRtp {
    let here = section.place();
    let (addresses, addresses_read) = rtp_addresses(&mut section);
    // Below 1024 a program needs privileges that the switch neither has nor wants.
    let first = port(&mut section, "first_port", defaults::FIRST_PORT);
    let last = port(&mut section, "last_port", defaults::LAST_PORT);
    let workers = section.number("workers", 1..=MAX_WORKERS, "");
    let rtp_timeout = section.seconds("rtp_timeout", 5..=DAY);
    let hold_timeout = section.seconds("hold_timeout", 5..=DAY);
    let srtp = section.encryption();
    let codecs = section.codecs();
    let audio = RawAudio::read(&mut section);
    section.finish();
    RawRtp {
        addresses,
        addresses_read,
        ports: first.zip(last).map(|(first, last)| Located {
            value: (first.value, last.value),
            place: if last.place == here {
                first.place
            } else {
                last.place
            },
        }),
        workers: count(workers, defaults::workers()),
        rtp_timeout: rtp_timeout.map_or(defaults::RTP_TIMEOUT, |time| time.value),
        hold_timeout: hold_timeout.map_or(defaults::HOLD_TIMEOUT, |time| time.value),
        srtp: srtp.unwrap_or_default(),
        codecs: codecs.unwrap_or_else(defaults::codecs),
        audio: audio.above(Audio::default()),
    }
}

/// The addresses, and whether each could be read.
fn rtp_addresses(section: &mut Section<'_, '_>) -> (Vec<Located<IpAddr>>, bool) {
    let Some(texts) = section.texts("addresses") else {
        return (
            vec![Located {
                value: loopback(),
                place: section.place(),
            }],
            true,
        );
    };
    if texts.is_empty() {
        let text = "`addresses` is empty: nobody could be heard".to_owned();
        section.mistakes.add(section.place(), text);
    }
    let mut addresses: Vec<Located<IpAddr>> = Vec::new();
    for text in &texts {
        let Some(value) = section.address(text) else {
            continue;
        };
        if let Err(why) = listen::specific(value) {
            section
                .mistakes
                .add(text.place, format!("`{value}`: {why}"));
        }
        let same_family = |earlier: &&Located<IpAddr>| earlier.value.is_ipv4() == value.is_ipv4();
        if let Some(earlier) = addresses.iter().find(same_family) {
            let again = format!("`{value}` is a second address of its family: one is used");
            section
                .mistakes
                .add_also(text.place, again, "first", Some(earlier.place));
        }
        addresses.push(Located {
            value,
            place: text.place,
        });
    }
    let all_read = addresses.len() == texts.len();
    (addresses, all_read && !texts.is_empty())
}

fn port(section: &mut Section<'_, '_>, key: &'static str, default: u16) -> Option<Located<u16>> {
    let number = section.number_or(key, 1024..=65_535, "", u64::from(default))?;
    let value = u16::try_from(number.value).ok()?;
    Some(Located {
        value,
        place: number.place,
    })
}

/// A number whose range fits the machine's own.
pub(super) fn count(number: Option<Located<u64>>, default: usize) -> usize {
    number
        .and_then(|number| usize::try_from(number.value).ok())
        .unwrap_or(default)
}

/// The limits, and `max_calls` if it could be read.
fn calls(mut section: Section<'_, '_>) -> (Calls, Option<Located<u64>>) {
    let default = defaults::MAX_CALLS as u64;
    let max_calls = section.number_or("max_calls", 1..=MAX_CALLS, "", default);
    let ring_timeout = section.seconds("ring_timeout", 1..=600);
    let drain_timeout = section.seconds("drain_timeout", 0..=DAY);
    section.finish();
    let calls = Calls {
        max_calls: count(max_calls, defaults::MAX_CALLS),
        ring_timeout: ring_timeout.map_or(defaults::RING_TIMEOUT, |time| time.value),
        drain_timeout: drain_timeout.map_or(defaults::DRAIN_TIMEOUT, |time| time.value),
    };
    (calls, max_calls)
}

/// The ports must hold the calls.
fn ports_and_calls(ports: Located<(u16, u16)>, max_calls: Located<u64>, mistakes: &mut Mistakes) {
    let (first, last) = ports.value;
    // RTP takes the even ports, RTCP the odd ones after them (RFC 3550 section 11).
    let legs = u64::from(last / 2 + 1).saturating_sub(u64::from(first.div_ceil(2)));
    let needed = max_calls.value * LEGS_PER_CALL;
    if first > last {
        let text = format!("`last_port` ({last}) is below `first_port` ({first})");
        mistakes.add(ports.place, text);
    } else if legs < needed {
        let text = format!(
            "ports {first} to {last} hold {legs} legs; {} calls (`max_calls`) need {needed}, two ports each",
            max_calls.value
        );
        mistakes.add(ports.place, text);
    }
}

fn folder(section: &mut Section<'_, '_>, base: &Path, default: &str) -> PathBuf {
    let Some(text) = section.text("folder") else {
        return absolute(base, default);
    };
    if text.value.is_empty() {
        section
            .mistakes
            .add(text.place, "`folder` is empty".to_owned());
    }
    let folder = absolute(base, &text.value);
    // It is made at start if it is missing.
    if folder.exists() && !folder.is_dir() {
        section.mistakes.add(
            text.place,
            format!("`{}` is not a folder", shortened(&text.value)),
        );
    }
    folder
}

/// `path`, or below `base` if it is relative, without `.` and `..`.
pub(super) fn absolute(base: &Path, path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

/// What recordings become; for all but WAV a program must be there.
fn recording_format(section: &mut Section<'_, '_>) -> Format {
    let format = section
        .choice("format", &FORMATS)
        .unwrap_or(defaults::RECORDING_FORMAT);
    if let Some(program) = format.program()
        && program.find().is_none()
    {
        let text = format!(
            "`format` needs the program {}, which is not there: apt install {}",
            program.name, program.package
        );
        section.mistakes.add(section.place(), text);
    }
    format
}

fn recording_name(section: &mut Section<'_, '_>) -> String {
    let Some(name) = section.text("name") else {
        return defaults::RECORDING_NAME.to_owned();
    };
    for word in name.value.split('{').skip(1) {
        let placeholder = word.split_once('}').map(|(word, _)| word);
        if !placeholder.is_some_and(|word| PLACEHOLDERS.contains(&word)) {
            let word = placeholder.unwrap_or(word);
            let all = format!(
                ": known are {}",
                quoted_list(PLACEHOLDERS.into_iter(), "and")
            );
            section.mistakes.add_unknown(
                name.place,
                "unknown placeholder",
                word,
                PLACEHOLDERS,
                &all,
            );
        }
    }
    if !name.value.contains("{call}") {
        let text = "`name` must hold `{call}`: without it two recordings could have one name";
        section.mistakes.add(name.place, text.to_owned());
    }
    let outside = Path::new(&name.value)
        .components()
        .any(|part| !matches!(part, Component::Normal(_)));
    if outside || name.value.len() > 200 || name.value.chars().any(char::is_control) {
        let text = "`name` must be a path below the recordings folder, at most 200 letters";
        section.mistakes.add(name.place, text.to_owned());
    }
    name.value
}
