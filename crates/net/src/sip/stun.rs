//! STUN beside SIP on UDP: the binding request that a phone sends to keep its way through a NAT open and to see whether it
//! moved (RFC 5626 section 4.4.2). Nothing else of STUN is answered.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Octets of the header (RFC 5389 section 6).
const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
/// Attributes from here on may be passed over (RFC 5389 section 15).
const FIRST_OPTIONAL: u16 = 0x8000;

/// Octets a second that answers may be longer than their requests, all together: the keep-alives of 50,000 phones. Beyond it
/// longer answers are not given, so that nobody can use the switch to flood a third (RFC 5389 section 16.2.1).
const MAX_SURPLUS: usize = 24_000;

/// Whether a datagram is STUN: no SIP message begins with an octet below 64 (RFC 5626 section 8).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 0x40 && datagram[4..8] == COOKIE
}

/// The answer to a binding request: the address that it came from. None for anything else, and for what we may not pass over.
pub(super) fn answer(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let (header, attributes) = request.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE || length != attributes.len() {
        return None;
    }
    only_optional(attributes)?;
    let mask = &header[4..HEADER];
    // RFC 5389 section 15.2: hidden from NATs that rewrite addresses wherever they see them.
    let [high, low] = from.port().to_be_bytes();
    let (family, address) = match from.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let value = 4 + address.len() as u8;
    let mut answer = Vec::with_capacity(HEADER + 4 + usize::from(value));
    answer.extend(BINDING_SUCCESS);
    answer.extend([0, value + 4]);
    answer.extend(mask);
    answer.extend(XOR_MAPPED_ADDRESS);
    answer.extend([0, value, 0, family, high ^ mask[0], low ^ mask[1]]);
    answer.extend(address.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
    Some(answer)
}

/// None if an attribute is one that must be understood, or is cut off.
fn only_optional(mut attributes: &[u8]) -> Option<()> {
    while !attributes.is_empty() {
        let (head, rest) = attributes.split_at_checked(4)?;
        if u16::from_be_bytes([head[0], head[1]]) < FIRST_OPTIONAL {
            return None;
        }
        let padded = usize::from(u16::from_be_bytes([head[2], head[3]])).next_multiple_of(4);
        attributes = rest.get(padded..)?;
    }
    Some(())
}

/// What answers may be longer than their requests, in the second that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surplus {
    since: Instant,
    spent: usize,
}

impl Surplus {
    /// Nothing is spent.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            spent: 0,
        }
    }

    /// Whether an answer may be given, which is taken as given then.
    pub(super) fn allows(&mut self, request: usize, answer: usize, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.spent += answer.saturating_sub(request);
        self.spent <= MAX_SURPLUS || answer <= request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.2 has this transaction and this answer for IPv4, section 2.3 the one for IPv6.
    const TRANSACTION: [u8; 12] = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut request = vec![0, 1, 0, attributes.len() as u8];
        request.extend(COOKIE);
        request.extend(TRANSACTION);
        request.extend(attributes);
        request
    }

    #[test]
    fn the_answer_tells_the_address_that_the_request_came_from() {
        let answered = answer(&request(&[]), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answered[..4], [1, 1, 0, 12]);
        assert_eq!(answered[8..20], TRANSACTION);
        let value = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(answered[20..], value);
        let from = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        let answered = answer(&request(&[]), from.parse().unwrap()).unwrap();
        let value = [
            0, 0x20, 0, 20, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc,
            0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(answered[20..], value);
    }

    #[test]
    fn what_must_be_understood_is_not_answered_and_what_may_be_passed_over_is() {
        let from = "192.0.2.1:1".parse().unwrap();
        // SOFTWARE, three octets and one of padding.
        assert!(answer(&request(&[0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]), from).is_some());
        // CHANGE-REQUEST, an attribute that is cut off, and a length that is not that of the datagram.
        assert!(answer(&request(&[0, 3, 0, 4, 0, 0, 0, 6]), from).is_none());
        assert!(answer(&request(&[0x80, 0x22, 0, 9, 0, 0, 0, 0]), from).is_none());
        assert!(answer(&[request(&[]), vec![0; 4]].concat(), from).is_none());
        // A success response, an indication.
        for kind in [[1, 1], [0, 0x11]] {
            let mut other = request(&[]);
            other[..2].copy_from_slice(&kind);
            assert!(is_stun(&other) && answer(&other, from).is_none());
        }
        assert!(!is_stun(b"OPTIONS sip:a@b SIP/2.0\r\n"));
    }

    #[test]
    fn answers_longer_than_their_requests_have_a_limit_and_others_have_none() {
        let now = Instant::now();
        let mut surplus = Surplus::new(now);
        let given = (0..10_000).filter(|_| surplus.allows(20, 32, now)).count();
        assert_eq!(given, 2_000);
        assert!(surplus.allows(32, 32, now));
        assert!(surplus.allows(20, 32, now + Duration::from_secs(1)));
    }
}
