//! ringmaster.toml: the switch itself.

use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use sip::flow::Transport;
use toml::de::DeTable;
use tracing::Level;

use super::mistake::{Located, Mistakes, Place, shortened};
use super::section::{Section, quoted_list};
use super::sounds::RawSwitchSounds;
use super::source::File;
use super::{Calls, Listener, Rtp, Sip, defaults, loopback};

/// Most listening sockets; a machine has fewer addresses worth one.
const MAX_LISTENERS: usize = 16;

/// Most RTP worker threads; one fills a processor core.
const MAX_WORKERS: u64 = 64;

/// Most calls at once: what the RTP ports of one address can hold at two legs of two ports.
const MAX_CALLS: u64 = 16_000;

/// Two legs, each with a port for RTP and the next one for RTCP (RFC 3550 section 11).
const PORTS_PER_CALL: usize = 4;

/// A day: the longest time of any setting (s).
pub(super) const DAY: u64 = 86_400;

/// What may stand in braces in the name of a recording.
const PLACEHOLDERS: [&str; 6] = ["date", "time", "queue", "caller", "agent", "call"];

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
    pub(super) recordings: PathBuf,
    pub(super) recording_name: String,
    pub(super) call_records: PathBuf,
    pub(super) sound_folder: Located<PathBuf>,
    pub(super) sound_folder_written: bool,
    pub(super) sounds: RawSwitchSounds,
    pub(super) log_level: Level,
}

/// The signalling, with the place of each listener.
pub(super) struct RawSip {
    pub(super) listeners: Vec<Located<Listener>>,
    realm: String,
    min_expires: Duration,
    max_expires: Duration,
}

/// The media, with the place of each address.
pub(super) struct RawRtp {
    pub(super) addresses: Vec<Located<IpAddr>>,
    first_port: u16,
    last_port: u16,
    ports_place: Place,
    workers: usize,
    rtp_timeout: Duration,
    hold_timeout: Duration,
}

impl RawSip {
    pub(super) fn into_sip(self) -> Sip {
        Sip {
            listeners: self
                .listeners
                .into_iter()
                .map(|listener| listener.value)
                .collect(),
            realm: self.realm,
            min_expires: self.min_expires,
            max_expires: self.max_expires,
        }
    }
}

impl RawRtp {
    pub(super) fn into_rtp(self) -> Rtp {
        Rtp {
            addresses: self
                .addresses
                .into_iter()
                .map(|address| address.value)
                .collect(),
            first_port: self.first_port,
            last_port: self.last_port,
            workers: self.workers,
            rtp_timeout: self.rtp_timeout,
            hold_timeout: self.hold_timeout,
        }
    }
}

/// Reads the file; `base` is where relative paths start.
pub(super) fn read(table: Option<&DeTable<'_>>, base: &Path, mistakes: &mut Mistakes) -> Switch {
    let mut file = Section::file(File::Ringmaster, table, mistakes);
    let sip = sip(file.table("sip"));
    let rtp = rtp(file.table("rtp"));
    let calls = calls(file.table("calls"));

    let mut section = file.table("recordings");
    let recordings = folder(&mut section, base, defaults::RECORDINGS);
    let recording_name = recording_name(&mut section);
    section.finish();

    let mut section = file.table("call_records");
    let call_records = folder(&mut section, base, defaults::CALL_RECORDS);
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
    let sounds = RawSwitchSounds::read(&mut section);
    section.finish();

    let mut section = file.table("log");
    let log_level = section
        .choice("level", &LEVELS)
        .unwrap_or(defaults::LOG_LEVEL);
    section.finish();
    file.finish();

    together(&sip, &rtp, &calls, mistakes);
    Switch {
        sip,
        rtp,
        calls,
        recordings,
        recording_name,
        call_records,
        sound_folder,
        sound_folder_written,
        sounds,
        log_level,
    }
}

fn sip(mut section: Section<'_, '_>) -> RawSip {
    let here = section.place();
    let listeners = match section.texts("listen") {
        Some(texts) => listeners(texts, &mut section),
        None => defaults::listen()
            .into_iter()
            .map(|value| Located { value, place: here })
            .collect(),
    };
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
    let shortest = section.seconds("min_expires", 1..=DAY);
    let longest = section.seconds("max_expires", 1..=DAY);
    let min_expires = shortest.map_or(defaults::MIN_EXPIRES, |time| time.value);
    let max_expires = longest.map_or(defaults::MAX_EXPIRES, |time| time.value);
    if min_expires > max_expires {
        let place = longest.or(shortest).map_or(here, |time| time.place);
        let text = format!(
            "`max_expires` ({} s) is shorter than `min_expires` ({} s)",
            max_expires.as_secs(),
            min_expires.as_secs()
        );
        section.mistakes.add(place, text);
    }
    section.finish();
    RawSip {
        listeners,
        realm,
        min_expires,
        max_expires,
    }
}

fn listeners(texts: Vec<Located<String>>, section: &mut Section<'_, '_>) -> Vec<Located<Listener>> {
    let mut listeners: Vec<Located<Listener>> = Vec::new();
    if texts.is_empty() {
        section.mistakes.add(
            section.place(),
            "`listen` is empty: no phone could register".into(),
        );
    }
    if texts.len() > MAX_LISTENERS {
        let text = format!("`listen` has more than {MAX_LISTENERS} addresses");
        section.mistakes.add(section.place(), text);
    }
    for text in texts.into_iter().take(MAX_LISTENERS) {
        let place = text.place;
        match listener(&text.value) {
            Ok(value) => match listeners.iter().find(|earlier| earlier.value == value) {
                Some(earlier) => {
                    let again = format!("`{value}` stands here again");
                    section
                        .mistakes
                        .add_also(place, again, "first", earlier.place);
                }
                None => listeners.push(Located { value, place }),
            },
            Err(why) => {
                section
                    .mistakes
                    .add(place, format!("`{}`: {why}", shortened(&text.value)));
            }
        }
    }
    listeners
}

fn listener(text: &str) -> Result<Listener, String> {
    let form = "write `udp:ADDRESS:PORT` or `tcp:ADDRESS:PORT`, such as `udp:192.0.2.1:5060` or `tcp:[2001:db8::1]:5060`";
    let (transport, address) = text.split_once(':').ok_or_else(|| form.to_owned())?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" | "ws" | "wss" => return Err(format!("this version does not do {transport} yet")),
        _ => return Err(form.to_owned()),
    };
    let address: SocketAddr = address.parse().map_err(|_| form.to_owned())?;
    if address.port() == 0 {
        return Err("port 0 is no port that a phone could be told".to_owned());
    }
    specific(address.ip())?;
    Ok(Listener { transport, address })
}

/// `0.0.0.0` cannot be written into SIP messages and session descriptions: phones would have nowhere to answer to.
fn specific(address: IpAddr) -> Result<(), String> {
    if address.is_unspecified() || address.is_multicast() {
        return Err("phones are told this address: name one address of this machine".to_owned());
    }
    Ok(())
}

fn rtp(mut section: Section<'_, '_>) -> RawRtp {
    let here = section.place();
    let mut addresses: Vec<Located<IpAddr>> = Vec::new();
    let texts = section.texts("addresses");
    if texts.as_ref().is_some_and(Vec::is_empty) {
        section.mistakes.add(
            here,
            "`addresses` is empty: nobody could be heard".to_owned(),
        );
    }
    for text in texts.iter().flatten() {
        let Some(value) = section.address(text) else {
            continue;
        };
        if let Err(why) = specific(value) {
            section
                .mistakes
                .add(text.place, format!("`{value}`: {why}"));
        }
        let family = |earlier: &&Located<IpAddr>| earlier.value.is_ipv4() == value.is_ipv4();
        if let Some(earlier) = addresses.iter().find(family) {
            let again = format!("`{value}` is a second address of its family: one is used");
            section
                .mistakes
                .add_also(text.place, again, "first", earlier.place);
        }
        addresses.push(Located {
            value,
            place: text.place,
        });
    }
    if texts.is_none() {
        addresses.push(Located {
            value: loopback(),
            place: here,
        });
    }
    // Below 1024 a program needs privileges that the switch neither has nor wants.
    let first = section.number("first_port", 1024..=65_535, "");
    let last = section.number("last_port", 1024..=65_535, "");
    let port = |number: Option<Located<u64>>, default| {
        number
            .and_then(|number| u16::try_from(number.value).ok())
            .unwrap_or(default)
    };
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = section.number("workers", 1..=MAX_WORKERS, "");
    let rtp_timeout = section.seconds("rtp_timeout", 5..=DAY);
    let hold_timeout = section.seconds("hold_timeout", 5..=DAY);
    section.finish();
    RawRtp {
        addresses,
        first_port: port(first, defaults::FIRST_PORT),
        last_port: port(last, defaults::LAST_PORT),
        ports_place: last.or(first).map_or(here, |number| number.place),
        workers: count(workers, cores.min(64)),
        rtp_timeout: rtp_timeout.map_or(defaults::RTP_TIMEOUT, |time| time.value),
        hold_timeout: hold_timeout.map_or(defaults::HOLD_TIMEOUT, |time| time.value),
    }
}

/// A number whose range fits the machine's own.
pub(super) fn count(number: Option<Located<u64>>, default: usize) -> usize {
    number
        .and_then(|number| usize::try_from(number.value).ok())
        .unwrap_or(default)
}

fn calls(mut section: Section<'_, '_>) -> Calls {
    let max_calls = section.number("max_calls", 1..=MAX_CALLS, "");
    let ring_timeout = section.seconds("ring_timeout", 1..=600);
    let drain_timeout = section.seconds("drain_timeout", 0..=DAY);
    section.finish();
    Calls {
        max_calls: count(max_calls, defaults::MAX_CALLS),
        ring_timeout: ring_timeout.map_or(defaults::RING_TIMEOUT, |time| time.value),
        drain_timeout: drain_timeout.map_or(defaults::DRAIN_TIMEOUT, |time| time.value),
    }
}

/// What the tables of this file must say together.
fn together(sip: &RawSip, rtp: &RawRtp, calls: &Calls, mistakes: &mut Mistakes) {
    if mistakes.is_broken(File::Ringmaster) {
        return;
    }
    for listener in &sip.listeners {
        let address = listener.value.address;
        if !rtp
            .addresses
            .iter()
            .any(|rtp| rtp.value.is_ipv4() == address.is_ipv4())
        {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let text = format!(
                "phones of `{}` could not be heard: RTP has no {family} address",
                listener.value
            );
            mistakes.add_also(listener.place, text, "RTP", rtp.ports_place);
        }
        let same = rtp.addresses.iter().any(|rtp| rtp.value == address.ip());
        let within = (rtp.first_port..=rtp.last_port).contains(&address.port());
        if same && within && listener.value.transport == Transport::Udp {
            let text = format!("`{}` lies among the ports of RTP", listener.value);
            mistakes.add_also(listener.place, text, "RTP", rtp.ports_place);
        }
    }
    let (first, last) = (rtp.first_port, rtp.last_port);
    // RTP takes even ports, RTCP the odd one after (RFC 3550 section 11).
    let pairs =
        usize::from(last.saturating_add(1) / 2).saturating_sub(usize::from(first.div_ceil(2)));
    let needed = calls.max_calls * PORTS_PER_CALL;
    if first > last {
        let text = format!("`last_port` ({last}) is below `first_port` ({first})");
        mistakes.add(rtp.ports_place, text);
    } else if pairs * 2 < needed {
        let text = format!(
            "RTP ports {first} to {last} are too few: {} calls (`max_calls`) of two legs need {needed}",
            calls.max_calls
        );
        mistakes.add(rtp.ports_place, text);
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
            format!("`{}` is not a folder", folder.display()),
        );
    }
    folder
}

/// `path`, or below `base` if it is relative, without `.` and `..`.
fn absolute(base: &Path, path: &str) -> PathBuf {
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
