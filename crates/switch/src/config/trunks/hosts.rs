//! Where a trunk is, and by which transport.

use std::net::{IpAddr, SocketAddr};

use call::trunk::{Host, HostName};
use sip::flow::Transport;

use super::super::mistake::{Located, shortened};
use super::super::section::Section;

/// Highest priority and weight (RFC 2782).
const MAX_RANK: u64 = 65_535;

/// Longest host name (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 253;

/// The port of a host without one (RFC 3261 section 19.1.2) ...
const SIP_PORT: u16 = 5060;

/// ... and over TLS.
const SIPS_PORT: u16 = 5061;

const TRANSPORTS: [(&str, Transport); 3] = [
    ("udp", Transport::Udp),
    ("tcp", Transport::Tcp),
    ("tls", Transport::Tls),
];

/// The transport, and whether URIs are `sips:`.
pub(super) fn read_transport(section: &mut Section<'_, '_>) -> (Option<Transport>, bool) {
    let transport = section.choice("transport", &TRANSPORTS);
    let sips = section.flag("sips").unwrap_or(false);
    if sips && transport.is_some_and(|it| it != Transport::Tls) {
        let text = "`sips = true` is over TLS: leave `transport` out, or write \"tls\"".to_owned();
        section.mistakes.add(section.place(), text);
    }
    (transport.or(sips.then_some(Transport::Tls)), sips)
}

/// What the certificate must show in the place of the host.
pub(super) fn read_tls_name(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("tls_name")?;
    let is_name = matches!(host_name(&text.value), Some(HostName::Name(_, None)));
    if !is_name && text.value.parse::<IpAddr>().is_err() {
        let written = shortened(&text.value);
        let fault = format!("`{written}` is no name and no address that a certificate could show");
        section.mistakes.add(text.place, fault);
    }
    Some(text.value)
}

/// `host` or `hosts`.
pub(super) fn read_hosts(
    section: &mut Section<'_, '_>,
    transport: Option<Transport>,
) -> Vec<Located<Host>> {
    let one = section.text("host");
    let several = section.list("hosts");
    if one.is_some() == several.is_some() {
        let text = "a trunk has one `host` or several `hosts`".to_owned();
        section.mistakes.add(section.place(), text);
    }
    let mut hosts = Vec::new();
    if let Some(text) = one {
        hosts.extend(host(section, &text, (1, 1), transport));
    }
    for entry in several.unwrap_or_default() {
        if let Some(text) = section.item_text(&entry) {
            hosts.extend(host(section, &text, (1, 1), transport));
            continue;
        }
        let mut item = section.enter(&entry);
        let text = item.required_text("host");
        let ranks = ranks(&mut item);
        if let Some(text) = text {
            hosts.extend(host(&mut item, &text, ranks, transport));
        }
        item.finish();
    }
    hosts
}

/// Priority and weight.
pub(super) fn ranks(section: &mut Section<'_, '_>) -> (u16, u16) {
    let mut rank = |key| {
        let number = section.number(key, 0..=MAX_RANK, "");
        number
            .and_then(|number| u16::try_from(number.value).ok())
            .unwrap_or(1)
    };
    (rank("priority"), rank("weight"))
}

fn host(
    section: &mut Section<'_, '_>,
    text: &Located<String>,
    (priority, weight): (u16, u16),
    transport: Option<Transport>,
) -> Option<Located<Host>> {
    let Some(mut name) = host_name(&text.value) else {
        let written = shortened(&text.value);
        let text_ =
            format!("`{written}` is no host: use a name or an address, with a port or without");
        section.mistakes.add(text.place, text_);
        return None;
    };
    // What has no port is at that of its transport.
    if let HostName::Address(address) = &mut name
        && transport == Some(Transport::Tls)
        && text.value.parse::<SocketAddr>().is_err()
    {
        address.set_port(SIPS_PORT);
    }
    let value = Host {
        name,
        transport,
        priority,
        weight,
    };
    let place = text.place;
    Some(Located { value, place })
}

fn host_name(text: &str) -> Option<HostName> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(HostName::Address(SocketAddr::new(ip, SIP_PORT)));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0).then_some(HostName::Address(address));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port != 0)?)),
        None => (text, None),
    };
    // RFC 1123 section 2.1; a label of digits alone at the end would be a broken address.
    let label = |label: &str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        !label.is_empty() && label.len() <= 63 && label.chars().all(fits)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let fits = name.len() <= MAX_HOST
        && name.split('.').all(label)
        && !last.chars().all(|letter| letter.is_ascii_digit());
    fits.then(|| HostName::Name(name.to_owned(), port))
}

/// The host as a SIP URI has it.
pub(super) fn domain_of(host: &Host) -> String {
    let usual = match host.transport {
        Some(Transport::Tls) => SIPS_PORT,
        Some(Transport::Udp | Transport::Tcp | Transport::Ws | Transport::Wss) | None => SIP_PORT,
    };
    match &host.name {
        HostName::Address(address) if address.port() == usual => match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        },
        HostName::Address(address) => address.to_string(),
        HostName::Name(name, None) => name.clone(),
        HostName::Name(name, Some(port)) => format!("{name}:{port}"),
    }
}
