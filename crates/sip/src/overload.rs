//! What goes first when more comes than can be done: calls that stand before new ones, phones that show who they are before
//! those that only ask.
//!
//! Whoever reads the sockets asks here for each message, with how many wait for the control loop and how long that takes for
//! one. What may not wait gets 503 with Retry-After at once, without state (RFC 3261 sections 8.2.7 and 21.5.4): a refusal
//! costs a small part of a call, so that an overloaded switch still does what it can do. A registration is dropped instead: its
//! phone repeats it within half a second (section 17.1.2.2), which is sooner than it would come back after a refusal.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::endpoint::Status;
use crate::header::Header;
use crate::message::Writer;
use crate::token::Token;
use crate::{Message, Method};

/// Shortest time after which a refused sender tries again; a hash of its request adds up to `RETRY_SPREAD`,
/// so that those who were refused together do not come back together.
const RETRY_AFTER: u64 = 5;
/// Seconds.
const RETRY_SPREAD: u64 = 10;

/// How much of a message's work is lost if it is refused; later ones go first.
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
    /// The rank of a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let Some(method) = message.method() else {
            return Self::Standing;
        };
        if method == Method::Ack || method == Method::Cancel {
            return Self::Standing;
        }
        if message
            .header(Header::To)
            .is_some_and(|to| to.contains(";tag="))
        {
            return Self::Standing;
        }
        let has_password = message.header(Header::Authorization).is_some();
        match (method == Method::Register, has_password) {
            (true, true) => Self::Registration,
            (true, false) => Self::FirstRegistration,
            (false, true) => Self::NewCall,
            (false, false) => Self::Asking,
        }
    }

    /// The part of the queue that it may find full, in eighths, and how long it may have to wait. A call takes some five
    /// messages one after the other before it is answered: it stays below half a second.
    fn limits(self) -> (usize, Duration) {
        match self {
            Self::Asking => (2, Duration::from_millis(25)),
            Self::NewCall => (3, Duration::from_millis(50)),
            Self::FirstRegistration => (6, Duration::from_millis(200)),
            Self::Registration => (7, Duration::from_millis(300)),
            Self::Standing => (8, Duration::MAX),
        }
    }

    /// Whether it may join `waiting` messages in a queue for `room`, each of which takes `service`.
    #[must_use]
    pub fn may_wait(self, waiting: usize, room: usize, service: Duration) -> bool {
        let (eighths, longest) = self.limits();
        let wait = service.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX));
        waiting < room * eighths / 8 && wait <= longest
    }
}

/// The 503 for a request from `source` that may not wait; none for a registration, which comes again by itself.
#[must_use]
pub fn refusal(request: &Message, source: SocketAddr) -> Option<Bytes> {
    if request.method() == Some(Method::Register) {
        return None;
    }
    let tag = request.stateless_tag();
    let spread = tag.bytes().last().map_or(0, u64::from) % RETRY_SPREAD;
    let mut writer = Writer::answer(request, Status(503), Some(&tag), source);
    writer.header(Header::RetryAfter, RETRY_AFTER + spread);
    Some(writer.finish(None))
}

/// Whether this is the ACK of an answer that was given without state: nobody waits for it (RFC 3261 section 8.2.7).
#[must_use]
pub fn is_ack_of_nothing(message: &Message) -> bool {
    let is_stateless = |tag: &str| tag.len() == STATELESS_TAG && tag.len() != Token::LENGTH;
    message.method() == Some(Method::Ack)
        && message
            .to()
            .and_then(|to| to.tag())
            .is_some_and(|tag| is_stateless(tag) && tag.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// Characters of the tags of `Message::stateless_tag`; those of dialogs are longer.
const STATELESS_TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(first: &str, to: &str, more: &str) -> Message {
        let method = first.split(' ').next().unwrap();
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;rport\r\nFrom: <sip:201@x>;tag=1\r\nTo: <sip:700@x>{to}\r\n\
             Call-ID: 1\r\nCSeq: 1 {method}\r\n{more}\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn request(method: &str, to: &str, more: &str) -> Message {
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
            assert_eq!(Rank::of(&message), rank, "{message:?}");
        }
        let response = message("SIP/2.0 200 OK", ";tag=a", "");
        assert_eq!(Rank::of(&response), Rank::Standing);
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
        assert_eq!(may(256, 10), [false, true, true, true, true]);
        assert_eq!(may(384, 10), [false, false, true, true, true]);
        assert_eq!(may(768, 10), [false, false, false, true, true]);
        assert_eq!(may(896, 10), [false, false, false, false, true]);
        assert_eq!(may(1_024, 10), [false; 5]);
        assert_eq!(may(100, 300), [false, true, true, true, true]);
        assert_eq!(may(100, 1_000), [false, false, true, true, true]);
        assert_eq!(may(100, 2_500), [false, false, false, true, true]);
        assert_eq!(may(100, 10_000), [false, false, false, false, true]);
    }

    #[test]
    fn a_refusal_says_when_to_come_back_and_its_ack_is_known() {
        let invite = request("INVITE", "", "");
        let source = "192.0.2.9:5060".parse().unwrap();
        let octets = refusal(&invite, source).unwrap();
        let answer = Message::parse(octets.clone()).unwrap();
        assert_eq!(answer.status(), Some(Status(503)));
        assert!((5..15).contains(&answer.retry_after().unwrap()));
        assert_eq!(refusal(&invite, source), Some(octets), "the same again");
        assert_eq!(refusal(&request("REGISTER", "", ""), source), None);
        let tag = format!(";tag={}", answer.to().unwrap().tag().unwrap());
        assert!(is_ack_of_nothing(&request("ACK", &tag, "")));
        assert!(!is_ack_of_nothing(&request("BYE", &tag, "")));
        let dialog = ";tag=0123456789abcdef01234567";
        assert!(!is_ack_of_nothing(&request("ACK", dialog, "")));
        assert!(!is_ack_of_nothing(&request("ACK", "", "")));
    }
}
