//! INFO (RFC 6086): keys pressed, in the two old ways of desk phones and gateways, which use no info package.

use std::fmt::Display;
use std::time::Instant;

use super::wire::Pending;
use super::{Endpoint, Event, LegId};
use crate::{Header, Message};

/// What we read.
const KEYS: &str = "application/dtmf-relay, application/dtmf";

/// The keys in the order of their event codes (RFC 4733 section 3.2), by which some gateways name them.
const BY_CODE: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

impl Endpoint {
    /// An INFO of the peer.
    pub(super) fn info(&mut self, id: LegId, pending: &Pending, now: Instant) {
        let request = &pending.request;
        if request.header(Header::InfoPackage).is_some() {
            // RFC 6086 section 4.2.2: we are willing to receive no package.
            let none = (Header::RecvInfo, &"" as &dyn Display);
            return self.respond_in_dialog(id, pending, 469, &[none], now);
        }
        let body = request.body();
        let key = match kind(request) {
            Some(Kind::Relay) => relayed(&body),
            Some(Kind::Bare) => bare(&body),
            None if body.is_empty() => None,
            None => {
                let accept = (Header::Accept, &KEYS as &dyn Display);
                return self.respond_in_dialog(id, pending, 415, &[accept], now);
            }
        };
        self.respond_in_dialog(id, pending, 200, &[], now);
        if let Some(digit) = key {
            self.wire.tell(Event::Digit { leg: id, digit });
        }
    }
}

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `Signal=5`, `Duration=160`.
    Relay,
    /// `5`.
    Bare,
}

fn kind(request: &Message) -> Option<Kind> {
    let kind = request.content_type()?;
    if kind.is("application", "dtmf-relay") {
        Some(Kind::Relay)
    } else if kind.is("application", "dtmf") {
        Some(Kind::Bare)
    } else {
        None
    }
}

/// The key of the line `Signal=5`.
fn relayed(body: &[u8]) -> Option<char> {
    let signal = std::str::from_utf8(body).ok()?.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("Signal").then_some(value)
    })?;
    key(signal)
}

/// The key that is the whole body.
fn bare(body: &[u8]) -> Option<char> {
    key(std::str::from_utf8(body).ok()?)
}

/// A key by its sign or by its event code; 16 and more are no keys.
fn key(text: &str) -> Option<char> {
    let text = text.trim();
    if let Ok(code) = text.parse::<usize>() {
        return BY_CODE.get(code).copied();
    }
    let mut characters = text.chars();
    let key = characters.next()?.to_ascii_uppercase();
    let alone = characters.next().is_none();
    (alone && BY_CODE.contains(&key)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_dtmf_relay_is_read() {
        assert_eq!(relayed(b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(relayed(b"Signal= #\r\n"), Some('#'));
        assert_eq!(relayed(b"signal=a"), Some('A'));
        assert_eq!(relayed(b"Signal=11"), Some('#'));
        assert_eq!(relayed(b"Signal=16\r\n"), None);
        assert_eq!(relayed(b"Signal=\r\n"), None);
        assert_eq!(relayed(b"\xff"), None);
    }

    #[test]
    fn a_key_alone_is_read() {
        assert_eq!(bare(b"*"), Some('*'));
        assert_eq!(bare(b"10\r\n"), Some('*'));
        assert_eq!(bare(b"7"), Some('7'));
        assert_eq!(bare(b"55"), None);
        assert_eq!(bare(b""), None);
    }
}
