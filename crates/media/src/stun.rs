//! STUN binding requests (RFC 8489): of a phone that keeps its way through a NAT open (RFC 5626 section 4.4.2), and of ICE
//! (RFC 8445), which proves itself by a password. Nothing else of STUN is answered.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Octets of the header (RFC 8489 section 5).
const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
/// Attributes from here on may be passed over (RFC 8489 section 14).
const FIRST_OPTIONAL: u16 = 0x8000;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// RFC 8445 section 16.1.
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
/// Octets of an HMAC-SHA1.
const INTEGRITY: usize = 20;

/// Whether a datagram is STUN: no SIP message, no RTP and nothing of DTLS begins so (RFC 5626 section 8, RFC 7983).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 0x40 && datagram[4..8] == COOKIE
}

/// The answer to a binding request without a password: the address that it came from. None for anything else, and for what we may not
/// pass over.
#[must_use]
pub fn answer(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let attributes = attributes_of(request)?;
    for attribute in attributes {
        if attribute?.kind < FIRST_OPTIONAL {
            return None;
        }
    }
    Some(success(request, from))
}

/// A check of ICE that knew our password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// The peer wants its packets to go where this came from.
    pub(crate) nominates: bool,
    /// What it is to be answered.
    pub(crate) answer: Vec<u8>,
}

/// Reads a check for us: for this fragment of a user name, proved by this password. None: it is something else, or forged.
pub(crate) fn check(
    request: &[u8],
    from: SocketAddr,
    fragment: &[u8],
    password: &[u8],
) -> Option<Check> {
    let (mut is_ours, mut proved, mut nominates) = (false, false, false);
    for attribute in attributes_of(request)? {
        let Attribute { kind, value, at } = attribute?;
        match kind {
            // RFC 8445 section 7.3: ours, a colon, the peer's.
            USERNAME => {
                is_ours = value.split(|octet| *octet == b':').next() == Some(fragment);
            }
            USE_CANDIDATE => nominates = true,
            MESSAGE_INTEGRITY => {
                let mac = integrity(request.get(..at)?, password);
                proved = mac.verify_slice(value).is_ok();
                // RFC 8489 section 14.5: what comes after it, except FINGERPRINT, counts for nothing.
                break;
            }
            PRIORITY | FIRST_OPTIONAL.. => {}
            _ => return None,
        }
    }
    if !is_ours || !proved {
        return None;
    }
    let mut answer = success(request, from);
    let mac = integrity(&answer, password).finalize().into_bytes();
    append(&mut answer, MESSAGE_INTEGRITY, &mac);
    let length = (answer.len() - HEADER + 8) as u16;
    answer[2..4].copy_from_slice(&length.to_be_bytes());
    // RFC 8489 section 14.7.
    let sum = crc32fast::hash(&answer) ^ 0x5354_554e;
    append(&mut answer, FINGERPRINT, &sum.to_be_bytes());
    Some(Check { nominates, answer })
}

struct Attribute<'a> {
    kind: u16,
    value: &'a [u8],
    /// Where it begins in the message.
    at: usize,
}

/// The attributes of a binding request, up to one that is cut off.
fn attributes_of(request: &[u8]) -> Option<impl Iterator<Item = Option<Attribute<'_>>>> {
    let (header, attributes) = request.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE || length != attributes.len() {
        return None;
    }
    let mut at = HEADER;
    Some(std::iter::from_fn(move || {
        let rest = request.get(at..).filter(|rest| !rest.is_empty())?;
        let read = || {
            let (head, rest) = rest.split_at_checked(4)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            rest.get(..length.next_multiple_of(4))?;
            Some(Attribute {
                kind: u16::from_be_bytes([head[0], head[1]]),
                value: &rest[..length],
                at,
            })
        };
        let attribute = read();
        at = attribute.as_ref().map_or(request.len(), |it| {
            it.at + 4 + it.value.len().next_multiple_of(4)
        });
        Some(attribute)
    }))
}

/// The success of a request, with the address that it came from.
fn success(request: &[u8], from: SocketAddr) -> Vec<u8> {
    let mask = &request[4..HEADER];
    // RFC 8489 section 14.2: hidden from NATs that rewrite addresses wherever they see them.
    let [high, low] = from.port().to_be_bytes();
    let (family, address) = match from.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family, high ^ mask[0], low ^ mask[1]];
    value.extend(address.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
    let mut answer = Vec::with_capacity(HEADER + 4 + value.len() + 4 + INTEGRITY + 8);
    answer.extend(BINDING_SUCCESS);
    answer.extend([0, 0]);
    answer.extend(mask);
    append(&mut answer, XOR_MAPPED_ADDRESS, &value);
    answer
}

/// Adds an attribute, whose length is a multiple of four, and counts it in.
fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    let length = (message.len() - HEADER) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// The HMAC of what stands before MESSAGE-INTEGRITY, counted as if it stood there already (RFC 8489 section 14.5).
fn integrity(before: &[u8], password: &[u8]) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(password).expect("an HMAC takes any key");
    let length = (before.len() - HEADER + 4 + INTEGRITY) as u16;
    mac.update(&before[..2]);
    mac.update(&length.to_be_bytes());
    mac.update(&before[4..]);
    mac
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

    /// RFC 5769 section 2.1, with the attributes as they stand there: the password and the user name are those of its text.
    const SAMPLE: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
        802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36\
        000600096576746a3a6836765920202000080014\
        9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";

    fn sample() -> Vec<u8> {
        let digits: Vec<u8> = SAMPLE.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_sample_request_of_rfc_5769_is_proved_and_answered_with_proof() {
        let (from, password) = (
            "192.0.2.1:32853".parse().unwrap(),
            b"VOkJxbRl1RmTxUk/WvJxBt",
        );
        let found = check(&sample(), from, b"evtj", password).unwrap();
        assert!(!found.nominates);
        let answer = found.answer;
        assert_eq!(answer[..2], BINDING_SUCCESS);
        let mac = integrity(&answer[..32], password);
        assert!(mac.verify_slice(&answer[36..56]).is_ok());
        assert_eq!(answer[56..60], [0x80, 0x28, 0, 4]);
        assert_eq!(
            usize::from(u16::from_be_bytes([answer[2], answer[3]])),
            answer.len() - HEADER
        );
    }

    #[test]
    fn a_check_with_another_password_another_name_or_one_changed_octet_is_none() {
        let from = "192.0.2.1:32853".parse().unwrap();
        let password = b"VOkJxbRl1RmTxUk/WvJxBt";
        assert_eq!(
            check(&sample(), from, b"evtj", b"VOkJxbRl1RmTxUk/WvJxBu"),
            None
        );
        assert_eq!(check(&sample(), from, b"h6vY", password), None);
        for at in 8..sample().len() - 8 {
            let mut changed = sample();
            changed[at] ^= 1;
            assert_eq!(check(&changed, from, b"evtj", password), None, "octet {at}");
        }
        assert_eq!(check(&request(&[]), from, b"evtj", password), None);
    }
}
