//! What goes first when more comes than can be done: calls that stand before new ones, phones that show who they are before
//! those that only ask.
//!
//! Whoever reads the sockets asks here for each message, with how many wait for the control loop and how long that takes for
//! one. What may not wait gets 503 with Retry-After at once, without state (RFC 3261 sections 8.2.7 and 21.5.4): a refusal
//! costs a small part of a call, so that an overloaded switch still does what it can do. A registration over UDP is dropped
//! instead: its phone repeats it within half a second (section 17.1.2.2), which is sooner than it would come back after a refusal.
//!
//! All but the refusal itself looks at the octets as they came: what is turned away costs no more than it must.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use memchr::{memchr, memmem};

use crate::endpoint::Status;
use crate::header::Header;
use crate::message::{StatelessTag, Writer};
use crate::token::Token;
use crate::{Message, Method};

/// Shortest time after which a refused sender tries again; a hash of its request adds up to `RETRY_SPREAD`,
/// so that those who were refused together do not come back together.
const RETRY_AFTER: u64 = 5;
/// Seconds.
const RETRY_SPREAD: u64 = 10;

/// How much of a message's work is lost if it is turned away, within its class: later ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It begins something, and nobody knows whether its sender may.
    Asking,
    /// A new call of somebody who was asked for a password before, and shows it.
    NewCall,
    /// A registration without a password: cheap to challenge, and a town whose power comes back sends nothing else.
    FirstRegistration,
    /// A registration that shows a password: a phone that goes on being reached.
    Registration,
    /// It belongs to what stands: a response, or a request with a tag of ours, CANCEL and ACK.
    Standing,
}

impl Rank {
    /// The rank of what came in a datagram or as a message of a stream. What cannot be read begins something, if anything.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let glance = Glance::at(octets);
        if matches!(glance.method, b"ACK" | b"CANCEL" | RESPONSE) || glance.tag().is_some() {
            return Self::Standing;
        }
        match (glance.method == b"REGISTER", glance.has_password) {
            (true, true) => Self::Registration,
            (true, false) => Self::FirstRegistration,
            (false, true) => Self::NewCall,
            (false, false) => Self::Asking,
        }
    }

    /// Whether its sender repeats it soon by itself, where the transport may lose it.
    #[must_use]
    pub fn is_repeated_soon(self) -> bool {
        match self {
            Self::FirstRegistration | Self::Registration => true,
            Self::Asking | Self::NewCall | Self::Standing => false,
        }
    }

    /// What it waits behind: a town that registers at once must not keep calls out, nor calls the phones that go on being reached.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Asking | Self::NewCall => Class::Calls,
            Self::FirstRegistration | Self::Registration => Class::Registrations,
            Self::Standing => Class::Standing,
        }
    }

    /// The part of the queue that its class may fill, in eighths, and how long all of them may take. A call takes some five
    /// messages one after the other before it is answered: it stays below half a second beside a storm of registrations.
    fn limits(self) -> (usize, Duration) {
        match self {
            Self::Asking => (2, Duration::from_millis(25)),
            Self::NewCall => (3, Duration::from_millis(50)),
            Self::FirstRegistration => (2, Duration::from_millis(25)),
            Self::Registration => (3, Duration::from_millis(50)),
            Self::Standing => (8, Duration::MAX),
        }
    }

    /// Whether it may join `ahead` messages, of its class and of what stands, in a queue for `room`, each of which takes `service`.
    /// What stands counts too: each call that begins brings more of it than of anything else, so that a queue full of it says
    /// that too many calls were let in.
    #[must_use]
    pub fn may_wait(self, ahead: usize, room: usize, service: Duration) -> bool {
        let (eighths, longest) = self.limits();
        let wait = service.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX));
        ahead < room * eighths / 8 && wait <= longest
    }
}

/// Whether this begins a call, as far as the rank does not say that it stands.
#[must_use]
pub fn is_invite(octets: &[u8]) -> bool {
    octets.starts_with(b"INVITE ")
}

/// Messages whose number in the queue is bounded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What begins a call, or asks for anything else.
    Calls,
    /// REGISTER.
    Registrations,
    /// What belongs to what stands.
    Standing,
}

/// The 503 for a request from `source` that may not wait; none for what is never answered.
#[must_use]
pub fn refusal(request: &Message, source: SocketAddr) -> Option<Bytes> {
    if request.method().is_none_or(|method| method == Method::Ack) {
        return None;
    }
    let tag = request.stateless_tag();
    let tag = tag.as_str();
    let spread = tag.bytes().last().map_or(0, u64::from) % RETRY_SPREAD;
    let mut writer = Writer::answer(request, Status(503), Some(tag), source);
    writer.header(Header::RetryAfter, RETRY_AFTER + spread);
    Some(writer.finish(None))
}

/// Whether this is the ACK of an answer that was given without state: nobody waits for it (RFC 3261 section 8.2.7).
#[must_use]
pub fn is_ack_of_nothing(octets: &[u8]) -> bool {
    octets.starts_with(b"ACK ")
        && Glance::at(octets).tag().is_some_and(|tag| {
            tag.len() == StatelessTag::LENGTH && tag.iter().all(u8::is_ascii_hexdigit)
        })
}

const _: () = assert!(
    StatelessTag::LENGTH != Token::LENGTH,
    "those of dialogs are longer"
);

/// What stands in place of a method at the start of a response.
const RESPONSE: &[u8] = b"SIP/2.0";

/// What tells the rank, found without reading the rest.
struct Glance<'a> {
    method: &'a [u8],
    to: &'a [u8],
    has_password: bool,
}

impl<'a> Glance<'a> {
    fn at(octets: &'a [u8]) -> Self {
        let first = octets.iter().position(|octet| !b"\r\n".contains(octet));
        let octets = &octets[first.unwrap_or_default()..];
        let mut glance = Self {
            method: &octets[..memchr(b' ', octets).unwrap_or_default()],
            to: &[],
            has_password: false,
        };
        let mut rest = octets;
        while let Some(end) = memchr(b'\n', rest) {
            rest = &rest[end + 1..];
            match rest.first() {
                None | Some(b'\r' | b'\n') => break,
                Some(b'T' | b't') if glance.to.is_empty() => {
                    glance.to = field(rest, b"To")
                        .or_else(|| field(rest, b"t"))
                        .unwrap_or_default();
                }
                Some(b'A' | b'a') => glance.has_password |= field(rest, b"Authorization").is_some(),
                Some(_) => {}
            }
        }
        glance
    }

    /// The tag of To.
    fn tag(&self) -> Option<&'a [u8]> {
        let at = memmem::find(self.to, b";tag=")? + b";tag=".len();
        let tag = &self.to[at..];
        let end = tag.iter().position(|octet| b";, \t\r\n".contains(octet));
        Some(&tag[..end.unwrap_or(tag.len())])
    }
}

/// The value of a header field that stands at the start, if it has this name: with all its lines (RFC 3261 section 7.3.1).
fn field<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    let mut end = 0;
    loop {
        end += memchr(b'\n', &value[end..]).map_or(value.len() - end, |line| line + 1);
        if !matches!(value.get(end), Some(b' ' | b'\t')) {
            return Some(&value[..end]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(first: &str, to: &str, more: &str) -> String {
        let method = first.split(' ').next().unwrap();
        format!(
            "{first}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;rport\r\nFrom: <sip:201@x>;tag=1\r\nTo: <sip:700@x>{to}\r\n\
             Call-ID: 1\r\nCSeq: 1 {method}\r\n{more}\r\n"
        )
    }

    fn request(method: &str, to: &str, more: &str) -> String {
        message(&format!("{method} sip:700@x SIP/2.0"), to, more)
    }

    #[test]
    fn what_stands_goes_before_what_begins() {
        let password = "Authorization: Digest username=\"201\"\r\n";
        for (message, rank) in [
            (request("BYE", ";tag=a", ""), Rank::Standing),
            (request("INVITE", ";tag=a", ""), Rank::Standing),
            (request("CANCEL", "", ""), Rank::Standing),
            (request("ACK", ";tag=a", ""), Rank::Standing),
            (request("REGISTER", "", password), Rank::Registration),
            (request("REGISTER", "", ""), Rank::FirstRegistration),
            (request("INVITE", "", password), Rank::NewCall),
            (request("INVITE", "", ""), Rank::Asking),
            (request("OPTIONS", "", ""), Rank::Asking),
        ] {
            assert_eq!(Rank::of(message.as_bytes()), rank, "{message:?}");
        }
        let response = message("SIP/2.0 200 OK", "", "");
        assert_eq!(Rank::of(response.as_bytes()), Rank::Standing);
    }

    #[test]
    fn the_rank_is_seen_in_every_spelling_and_in_no_body() {
        for (text, rank) in [
            (
                "\r\nBYE sip:a@b SIP/2.0\r\nt:<sip:a@b>;tag=7\r\n\r\n",
                Rank::Standing,
            ),
            (
                "BYE sip:a@b SIP/2.0\nTO \t: <sip:a@b>\n ;tag=7\n\n",
                Rank::Standing,
            ),
            (
                "INVITE sip:a@b SIP/2.0\r\nAUTHORIZATION: Digest x\r\nTo: <sip:a@b>\r\n\r\n",
                Rank::NewCall,
            ),
            (
                "INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\nAuthorization: x\r\nTo: a;tag=7\r\n",
                Rank::Asking,
            ),
            (
                "INVITE sip:a@b SIP/2.0\r\nTimestamp: 1;tag=7\r\nAuthorizations: x\r\n\r\n",
                Rank::Asking,
            ),
            ("", Rank::Asking),
            ("junk", Rank::Asking),
        ] {
            assert_eq!(Rank::of(text.as_bytes()), rank, "{text}");
        }
    }

    #[test]
    fn a_full_or_slow_queue_is_closed_to_the_lower_ranks_first() {
        let ranks = [
            Rank::Asking,
            Rank::NewCall,
            Rank::FirstRegistration,
            Rank::Registration,
            Rank::Standing,
        ];
        let may = |waiting, micros| {
            ranks.map(|rank| rank.may_wait(waiting, 1_024, Duration::from_micros(micros)))
        };
        assert_eq!(may(0, 100_000), [true; 5]);
        assert_eq!(may(255, 10), [true; 5]);
        assert_eq!(may(256, 10), [false, true, false, true, true]);
        assert_eq!(may(384, 10), [false, false, false, false, true]);
        assert_eq!(may(1_024, 10), [false; 5]);
        assert_eq!(may(100, 300), [false, true, false, true, true]);
        assert_eq!(may(100, 1_000), [false, false, false, false, true]);
    }

    #[test]
    fn a_refusal_says_when_to_come_back_and_its_ack_is_known() {
        let invite = Message::parse(request("INVITE", "", "").into()).unwrap();
        let source = "192.0.2.9:5060".parse().unwrap();
        let octets = refusal(&invite, source).unwrap();
        let answer = Message::parse(octets.clone()).unwrap();
        assert_eq!(answer.status(), Some(Status(503)));
        assert!((5..15).contains(&answer.retry_after().unwrap()));
        assert_eq!(refusal(&invite, source), Some(octets), "the same again");
        let ack = Message::parse(request("ACK", "", "").into()).unwrap();
        assert_eq!(refusal(&ack, source), None);
        let tag = format!(";tag={}", answer.to().unwrap().tag().unwrap());
        let is_of_nothing = |text: String| is_ack_of_nothing(text.as_bytes());
        assert!(is_of_nothing(request("ACK", &tag, "")));
        assert!(!is_of_nothing(request("BYE", &tag, "")));
        let dialog = ";tag=0123456789abcdef01234567";
        assert!(!is_of_nothing(request("ACK", dialog, "")));
        assert!(!is_of_nothing(request("ACK", "", "")));
    }
}
