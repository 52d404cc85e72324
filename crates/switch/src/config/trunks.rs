//! trunks.toml: trunks to the world outside, the ways over them, and what everybody may do there.

mod allowance;
mod hosts;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use call::settings::{Audio, Destination};
use call::trunk::{
    Allowance, Caller, Host, HostName, MAX_NUMBER, Outside, Pattern, Rewrite, Route, Shown, Trunk,
    Way,
};
use sip::digest::Credentials;
use sip::endpoint::{Account, Source};
use sip::flow::Transport;
use sip::sdp::{Codecs, Encryption};
use toml::de::DeTable;

use self::hosts::{domain_of, ranks, read_hosts, read_tls_name, read_transport};
use super::audio::RawAudio;
use super::mistake::{Located, Mistakes, shortened};
use super::names::{Names, is_name};
use super::numbers::{LeadsTo, follow, leads_to};
use super::ringmaster::{DAY, absolute, count};
use super::section::{Entry, Section};
use super::source::File;
use super::tls::read_shown;
use super::{Listener, defaults};
pub(super) use allowance::allowance;
use allowance::read_allowance;

/// Most trunks, and most routes: a carrier's own switch has more, a call centre's has not.
const MAX_ENTRIES: usize = 1_000;

/// Most calls of a trunk at once: as many as the switch can have.
const MAX_CALLS: u64 = 16_128;

/// Most calls a second: more than the switch sets up.
const MAX_RATE: u64 = 1_000;

const IDENTITIES: [(&str, Shown); 3] = [
    ("from", Shown::From),
    ("asserted", Shown::Asserted),
    ("preferred", Shown::Preferred),
];

/// The file as it was written.
pub(super) struct Raw {
    pub(super) trunks: Vec<RawTrunk>,
    pub(super) routes: Vec<RawRoute>,
    international: Vec<Pattern>,
    national: Vec<Pattern>,
    everybody: Allowance,
}

/// One trunk; what its numbers lead to may not exist.
pub(super) struct RawTrunk {
    pub(super) name: Located<String>,
    trunk: Trunk,
    /// Whether its sound is encrypted, if that is not as with everybody.
    srtp: Option<Encryption>,
    codecs: Option<Codecs>,
    audio: RawAudio,
    hosts: Vec<Located<Host>>,
    numbers: Vec<(Located<String>, Option<Pattern>, Option<LeadsTo>)>,
}

/// One route; its trunks may not exist.
pub(super) struct RawRoute {
    name: String,
    pub(super) pattern: Option<Pattern>,
    strip: usize,
    trunks: Vec<(Located<String>, u16, u16)>,
}

/// Reads the file; `base` is where relative paths start.
pub(super) fn read(table: Option<&DeTable<'_>>, base: &Path, mistakes: &mut Mistakes) -> Raw {
    let mut file = Section::file(File::Trunks, table, mistakes);
    let mut section = file.table("trunks");
    let mut trunks = Vec::new();
    for entry in entries(&mut section, "trunks") {
        if !is_name(&entry.name.value) {
            let text = format!(
                "`{}` cannot name a trunk: use up to 64 letters, digits and `-_.`, a letter or digit first",
                shortened(&entry.name.value)
            );
            section.mistakes.add(entry.name.place, text);
        }
        trunks.push(read_trunk(entry.name.clone(), section.enter(&entry), base));
    }
    let mut section = file.table("routes");
    let mut routes = Vec::new();
    for entry in entries(&mut section, "routes") {
        routes.push(read_route(entry.name.value.clone(), section.enter(&entry)));
    }
    let mut section = file.table("outside");
    let international = patterns(&mut section, "international").unwrap_or_else(|| {
        let readable = defaults::INTERNATIONAL.iter().flat_map(|text| text.parse());
        readable.collect()
    });
    let national = patterns(&mut section, "national").unwrap_or_default();
    let everybody = read_allowance(&mut section, Allowance::default());
    section.finish();
    file.finish();
    Raw {
        trunks,
        routes,
        international,
        national,
        everybody,
    }
}

fn entries<'d>(section: &mut Section<'d, '_>, what: &str) -> Vec<Entry<'d>> {
    let mut entries = section.entries();
    if entries.len() > MAX_ENTRIES {
        let text = format!("more than {MAX_ENTRIES} {what}");
        section.mistakes.add(section.place(), text);
        entries.truncate(MAX_ENTRIES);
    }
    entries
}

// --- trunks ----------------------------------------------------------------------------------------------------------

fn read_trunk(name: Located<String>, mut section: Section<'_, '_>, base: &Path) -> RawTrunk {
    let (transport, sips) = read_transport(&mut section);
    let tls_name = read_tls_name(&mut section);
    let tls_authorities = section.text("tls_authorities");
    let tls_authorities = tls_authorities.map(|text| absolute(base, &text.value));
    let tls_certificate = read_shown(&mut section, base);
    let tls_verify = section.flag("tls_verify").unwrap_or(false);
    let hosts = read_hosts(&mut section, transport);
    let domain = section.text("domain").map(|text| text.value);
    let domain = domain.or_else(|| hosts.first().map(|host| domain_of(&host.value)));
    let domain = domain.unwrap_or_default();
    let credentials = read_credentials(&mut section, &domain);
    let register = section.flag("register").unwrap_or(false);
    if register && credentials.is_none() {
        let text = "`register = true` needs `user` and `password`".to_owned();
        section.mistakes.add(section.place(), text);
    }
    let expires = section.seconds("expires", 60..=DAY);
    let expires = expires.map_or(defaults::TRUNK_EXPIRES, |time| time.value);
    let options = section.seconds("options", 0..=DAY);
    let options = options.map_or(defaults::TRUNK_OPTIONS, |time| time.value);
    let max_calls = section.number("max_calls", 1..=MAX_CALLS, "");
    let rate = section.number("calls_per_second", 1..=MAX_RATE, "");
    let trunk = Trunk {
        hosts: Vec::new(),
        domain,
        tls_name,
        tls_authorities,
        tls_certificate,
        tls_verify,
        sips,
        credentials,
        register: register.then_some(expires),
        options: (options > Duration::ZERO).then_some(options),
        sources: read_sources(&mut section),
        max_calls: count(max_calls, defaults::TRUNK_CALLS),
        calls_per_second: rate
            .and_then(|rate| u32::try_from(rate.value).ok())
            .unwrap_or(defaults::TRUNK_RATE),
        number_out: rewrites(&mut section, "number_out"),
        number_in: rewrites(&mut section, "number_in"),
        caller: read_caller(&mut section),
        identity: section
            .choice("identity", &IDENTITIES)
            .unwrap_or(Shown::From),
        trusted: section.flag("trusted").unwrap_or(false),
        numbers: Vec::new(),
    };
    let numbers = read_numbers(section.table("numbers"));
    let srtp = section.encryption();
    let codecs = section.codecs();
    let audio = RawAudio::read(&mut section);
    section.finish();
    RawTrunk {
        name,
        trunk,
        srtp,
        codecs,
        audio,
        hosts,
        numbers,
    }
}

fn read_credentials(section: &mut Section<'_, '_>, domain: &str) -> Option<Credentials> {
    let (user, password) = (section.text("user"), section.text("password"));
    let realm = section.text("realm").map(|text| text.value);
    match (user, password) {
        (Some(user), Some(password)) => Some(Credentials {
            user: user.value,
            password: password.value,
            // Most providers ask in the name of their domain.
            realm: realm.unwrap_or_else(|| {
                domain
                    .rsplit_once(':')
                    .map_or(domain, |(host, _)| host)
                    .to_owned()
            }),
        }),
        (Some(alone), None) | (None, Some(alone)) => {
            let text = "`user` and `password` belong together".to_owned();
            section.mistakes.add(alone.place, text);
            None
        }
        (None, None) => None,
    }
}

fn read_sources(section: &mut Section<'_, '_>) -> Vec<Source> {
    let mut sources = Vec::new();
    for text in section.texts("sources").unwrap_or_default() {
        match source(&text.value) {
            Some(source) => sources.push(source),
            None => {
                let written = shortened(&text.value);
                let fault = format!(
                    "`{written}` is no address, address with port, or network such as 192.0.2.0/24"
                );
                section.mistakes.add(text.place, fault);
            }
        }
    }
    sources
}

fn source(text: &str) -> Option<Source> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(Source {
            network: address.ip(),
            prefix: if address.is_ipv4() { 32 } else { 128 },
            port: Some(address.port()),
        });
    }
    let (network, prefix) = match text.split_once('/') {
        Some((network, prefix)) => (network, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let network: IpAddr = network.parse().ok()?;
    let longest = if network.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(longest);
    // Half of the Internet is nobody's trunk.
    ((8..=longest).contains(&prefix)).then_some(Source {
        network,
        prefix,
        port: None,
    })
}

fn read_caller(section: &mut Section<'_, '_>) -> Caller {
    if !section.is_table("caller") {
        return match section.required_text("caller") {
            Some(text) if text.value == "anonymous" => Caller::Anonymous,
            Some(text) => Caller::Fixed(number(section, text)),
            None => Caller::Anonymous,
        };
    }
    let mut table = section.table("caller");
    let rewrite = rewrites(&mut table, "rewrite");
    let allowed = patterns(&mut table, "allowed").unwrap_or_default();
    let otherwise = table.required_text("otherwise");
    let otherwise = otherwise.map(|text| number(&mut table, text));
    if allowed.is_empty() {
        let text = "`caller` has no `allowed` numbers: write the one number as a text".to_owned();
        table.mistakes.add(table.place(), text);
    }
    table.finish();
    Caller::Own {
        rewrite,
        allowed,
        otherwise: otherwise.unwrap_or_default(),
    }
}

/// A number as it stands in a SIP URI.
fn number(section: &mut Section<'_, '_>, text: Located<String>) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._+*#".contains(letter);
    let length = text.value.chars().count();
    if length == 0 || length > MAX_NUMBER || !text.value.chars().all(fits) {
        let fault = format!("`{}` is no number", shortened(&text.value));
        section.mistakes.add(text.place, fault);
    }
    text.value
}

fn rewrites(section: &mut Section<'_, '_>, key: &'static str) -> Vec<Rewrite> {
    let mut rules = Vec::new();
    for entry in section.list(key).unwrap_or_default() {
        let mut item = section.enter(&entry);
        let text = item.required_text("pattern");
        let strip = count(item.number("strip", 0..=MAX_NUMBER as u64, ""), 0);
        let prepend = item.text("prepend");
        let prepend = prepend
            .map(|text| number(&mut item, text))
            .unwrap_or_default();
        if let Some(text) = text
            && let Some(pattern) = pattern(&mut item, &text)
        {
            // What is left must be a number still.
            if strip >= pattern.shortest() && prepend.is_empty() {
                let fault = format!("`strip` = {strip} would leave nothing of `{pattern}`");
                item.mistakes.add(text.place, fault);
            }
            rules.push(Rewrite {
                pattern,
                strip,
                prepend,
            });
        }
        item.finish();
    }
    rules
}

fn patterns(section: &mut Section<'_, '_>, key: &'static str) -> Option<Vec<Pattern>> {
    let texts = section.texts(key)?;
    let read = texts.iter().filter_map(|text| pattern(section, text));
    Some(read.collect())
}

fn pattern(section: &mut Section<'_, '_>, text: &Located<String>) -> Option<Pattern> {
    match text.value.parse() {
        Ok(pattern) => Some(pattern),
        Err(fault) => {
            let text_ = format!("pattern `{}`: {fault}", shortened(&text.value));
            section.mistakes.add(text.place, text_);
            None
        }
    }
}

fn read_numbers(
    mut section: Section<'_, '_>,
) -> Vec<(Located<String>, Option<Pattern>, Option<LeadsTo>)> {
    let mut numbers = Vec::new();
    for entry in section.entries() {
        let pattern = pattern(&mut section, &entry.name);
        let place = entry.place(File::Trunks);
        let leads_to = leads_to(&mut section, &entry, File::Trunks);
        let refusal = match &leads_to {
            Some(LeadsTo::Service(Destination::SetStatus(_) | Destination::Ready)) => {
                Some("callers from outside have no agents: they cannot log in or out")
            }
            Some(LeadsTo::Service(Destination::Supervise(_))) => {
                Some("callers from outside supervise nobody")
            }
            Some(_) | None => None,
        };
        if let Some(refusal) = refusal {
            section.mistakes.add(place, refusal.to_owned());
        }
        numbers.push((entry.name, pattern, leads_to));
    }
    numbers
}

// --- routes ----------------------------------------------------------------------------------------------------------

fn read_route(name: String, mut section: Section<'_, '_>) -> RawRoute {
    let text = section.required_text("pattern");
    let pattern = text.as_ref().and_then(|text| pattern(&mut section, text));
    let strip = count(section.number("strip", 0..=MAX_NUMBER as u64, ""), 0);
    if let (Some(pattern), Some(text)) = (&pattern, &text)
        && strip >= pattern.shortest()
    {
        let fault = format!("`strip` = {strip} would leave nothing of `{pattern}`");
        section.mistakes.add(text.place, fault);
    }
    let mut trunks = Vec::new();
    for entry in section.list("trunks").unwrap_or_default() {
        if let Some(text) = section.item_text(&entry) {
            trunks.push((text, 1, 1));
            continue;
        }
        let mut item = section.enter(&entry);
        let trunk = item.required_text("trunk");
        let (priority, weight) = ranks(&mut item);
        trunks.extend(trunk.map(|trunk| (trunk, priority, weight)));
        item.finish();
    }
    if trunks.is_empty() {
        let text = format!("route `{}` has no `trunks`", shortened(&name));
        section.mistakes.add(section.place(), text);
    }
    section.finish();
    RawRoute {
        name,
        pattern,
        strip,
        trunks,
    }
}

// --- all together ----------------------------------------------------------------------------------------------------

impl Raw {
    /// Follows every name to what it stands for.
    pub(super) fn check(
        &self,
        listeners: &[Located<Listener>],
        accounts: BTreeMap<Account, Allowance>,
        names: &Names<'_>,
        mistakes: &mut Mistakes,
    ) -> Outside {
        let trunks = self.trunks.iter().map(|raw| {
            let account = Account(raw.name.value.as_str().into());
            (account, raw.check(listeners, names, mistakes))
        });
        let trunks = trunks.collect();
        let mut routes: Vec<Route> = self
            .routes
            .iter()
            .filter_map(|raw| raw.check(names, mistakes))
            .collect();
        // The most precise pattern decides, whatever the order of the file.
        routes.sort_by_key(|route| std::cmp::Reverse(route.pattern.precision()));
        Outside {
            listeners: Vec::new(),
            trunks,
            routes,
            international: self.international.clone(),
            national: self.national.clone(),
            accounts,
            everybody: self.everybody,
            agents: BTreeMap::new(),
        }
    }

    /// What accounts may do that say nothing about it.
    pub(super) fn everybody(&self) -> Allowance {
        self.everybody
    }

    /// The trunks whose sound is encrypted in a way of its own.
    pub(super) fn srtp(&self) -> impl Iterator<Item = (Account, Encryption)> {
        self.own(|trunk| trunk.srtp)
    }

    /// The trunks that speak codecs of their own.
    pub(super) fn codecs(&self) -> impl Iterator<Item = (Account, Codecs)> {
        self.own(|trunk| trunk.codecs.clone())
    }

    /// How the sound of each trunk is treated, above what holds for everybody.
    pub(super) fn audio(&self, everybody: Audio) -> impl Iterator<Item = (Account, Audio)> {
        self.own(move |trunk| Some(trunk.audio.above(everybody)))
    }

    fn own<T>(&self, of: impl Fn(&RawTrunk) -> Option<T>) -> impl Iterator<Item = (Account, T)> {
        let account = |trunk: &RawTrunk| Account(Arc::from(trunk.name.value.as_str()));
        self.trunks
            .iter()
            .filter_map(move |trunk| Some((account(trunk), of(trunk)?)))
    }
}

impl RawTrunk {
    fn check(
        &self,
        listeners: &[Located<Listener>],
        names: &Names<'_>,
        mistakes: &mut Mistakes,
    ) -> Trunk {
        for host in &self.hosts {
            reachable(host, listeners, mistakes);
        }
        let mut numbers: Vec<(Pattern, Destination)> = Vec::new();
        for (_, pattern, leads_to) in &self.numbers {
            let destination = leads_to.as_ref().and_then(|it| follow(it, names, mistakes));
            numbers.extend(pattern.clone().zip(destination));
        }
        numbers.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.precision()));
        Trunk {
            hosts: self.hosts.iter().map(|host| host.value.clone()).collect(),
            numbers,
            ..self.trunk.clone()
        }
    }
}

/// An address needs a listener of its family and transport: from there we call it.
fn reachable(host: &Located<Host>, listeners: &[Located<Listener>], mistakes: &mut Mistakes) {
    let transport = host.value.transport.unwrap_or(Transport::Udp);
    let HostName::Address(address) = &host.value.name else {
        return;
    };
    let fits = |listener: &Located<Listener>| {
        let Listener {
            transport: of,
            address: local,
        } = listener.value;
        of == transport && local.is_ipv4() == address.is_ipv4()
    };
    if !listeners.iter().any(fits) && !mistakes.is_broken(File::Ringmaster) {
        let text = format!(
            "`{address}` cannot be reached: `listen` in ringmaster.toml has nothing of its kind"
        );
        mistakes.add(host.place, text);
    }
}

impl RawRoute {
    fn check(&self, names: &Names<'_>, mistakes: &mut Mistakes) -> Option<Route> {
        let mut trunks = Vec::new();
        for (trunk, priority, weight) in &self.trunks {
            trunks.extend(names.trunk(trunk, mistakes).map(|trunk| Way {
                trunk,
                priority: *priority,
                weight: *weight,
            }));
        }
        Some(Route {
            name: self.name.clone(),
            pattern: self.pattern.clone()?,
            strip: self.strip,
            trunks,
        })
    }
}

#[cfg(test)]
mod tests;
