//! `[sip] listen` and who may connect: the transports and addresses of the signalling.

use std::net::{IpAddr, SocketAddr};

use sip::flow::Transport;

use super::mistake::{Located, Mistakes, shortened};
use super::ringmaster::RawRtp;
use super::section::Section;
use super::{Listener, defaults};

/// Most listening sockets; a machine has fewer addresses worth one.
const MAX_LISTENERS: usize = 16;

/// Most web pages that are named; a site has one or two.
const MAX_ORIGINS: usize = 64;

impl Listener {
    /// Whether both cannot be listened on at once: all but UDP share the ports of TCP.
    fn meets(self, other: Self) -> bool {
        let is_same = self.transport.is_reliable() == other.transport.is_reliable();
        is_same && self.address == other.address
    }
}

/// Where phones reach the switch.
pub(super) fn read(section: &mut Section<'_, '_>) -> Vec<Located<Listener>> {
    let here = section.place();
    let Some(texts) = section.texts("listen") else {
        return defaults::listen()
            .into_iter()
            .map(|value| Located { value, place: here })
            .collect();
    };
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
            Ok(value) => match listeners.iter().find(|earlier| earlier.value.meets(value)) {
                Some(earlier) => {
                    let again = if earlier.value == value {
                        format!("`{value}` stands here again")
                    } else {
                        format!("`{value}` and `{}` cannot share a port", earlier.value)
                    };
                    section
                        .mistakes
                        .add_also(place, again, "first", Some(earlier.place));
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
    let form = "write `udp:ADDRESS:PORT` or the same with tcp, tls, ws or wss, such as `udp:192.0.2.1:5060` or `tls:[2001:db8::1]:5061`";
    let (transport, address) = text.split_once(':').ok_or_else(|| form.to_owned())?;
    let transport = Transport::ALL
        .into_iter()
        .find(|known| known.name() == transport)
        .ok_or_else(|| form.to_owned())?;
    let address: SocketAddr = address.parse().map_err(|_| form.to_owned())?;
    if address.port() == 0 {
        return Err("port 0 is no port that a phone could be told".to_owned());
    }
    specific(address.ip())?;
    Ok(Listener { transport, address })
}

/// `0.0.0.0` cannot be written into SIP messages and session descriptions: phones would have nowhere to answer to.
pub(super) fn specific(address: IpAddr) -> Result<(), String> {
    if address.is_unspecified() || address.is_multicast() {
        return Err("phones are told this address: name one address of this machine".to_owned());
    }
    Ok(())
}

/// The web pages whose scripts may connect over WebSockets; none: all.
pub(super) fn origins(section: &mut Section<'_, '_>) -> Vec<String> {
    let origins = section.texts("web_origins").unwrap_or_default();
    if origins.len() > MAX_ORIGINS {
        let text = format!("`web_origins` has more than {MAX_ORIGINS} pages");
        section.mistakes.add(section.place(), text);
    }
    for origin in &origins {
        // RFC 6454 section 7: a scheme, a host and perhaps a port, as browsers send it.
        let host = origin
            .value
            .strip_prefix("https://")
            .or_else(|| origin.value.strip_prefix("http://"));
        let fits = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
        if !host.is_some_and(|host| !host.is_empty() && host.chars().all(fits)) {
            let text = format!(
                "`{}` is no origin of a web page: write `https://HOST` or `https://HOST:PORT`",
                shortened(&origin.value)
            );
            section.mistakes.add(origin.place, text);
        }
    }
    origins.into_iter().map(|origin| origin.value).collect()
}

/// Each listener needs RTP of its family, on other ports than its own.
pub(super) fn check_rtp(listeners: &[Located<Listener>], rtp: &RawRtp, mistakes: &mut Mistakes) {
    let is_v4 = |address: IpAddr| address.is_ipv4();
    for listener in listeners {
        let (text, address) = (listener.value.to_string(), listener.value.address);
        let heard = rtp
            .addresses
            .iter()
            .any(|rtp| is_v4(rtp.value) == is_v4(address.ip()));
        if !heard && rtp.addresses_read {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let text =
                format!("phones of `{text}` could not be heard: RTP has no {family} address");
            mistakes.add(listener.place, text);
        }
        let Some(ports) = rtp.ports else { continue };
        let (first, last) = ports.value;
        let is_same = rtp.addresses.iter().any(|rtp| rtp.value == address.ip());
        let is_udp = listener.value.transport == Transport::Udp;
        if is_udp && is_same && (first..=last).contains(&address.port()) {
            let text = format!("`{text}` lies among the ports of RTP");
            mistakes.add_also(listener.place, text, "RTP", Some(ports.place));
        }
    }
}
