//! Which transaction a message belongs to (RFC 3261 sections 17.1.3 and 17.2.3).

use std::net::IpAddr;

use crate::header::Header;
use crate::message::{Message, Method};
use crate::token::{Key, Token};
use crate::uri::Host;

/// What every branch of an RFC 3261 element begins with (section 8.1.1.7).
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

/// A server transaction: a keyed hash of what section 17.2.3 compares, so that no peer can make two meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerKey([u8; 16]);

impl ServerKey {
    /// The smallest key, where ranges begin.
    pub(crate) const FIRST: Self = Self([0; 16]);

    /// The key of a request from `source`. ACK and CANCEL find their INVITE with the method INVITE.
    ///
    /// The source address is part of it, as sent-by alone is often a private address that two sites share.
    pub(crate) fn new(
        key: &Key,
        request: &Message,
        method: Method<'_>,
        source: IpAddr,
    ) -> Option<Self> {
        let via = request.via()?;
        let address = match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let branch = via.branch().unwrap_or_default();
        // A branch that is nothing but the cookie names nothing (RFC 4475 section 3.2.1).
        let hash = if branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE) {
            let port = via.port.unwrap_or_default().to_be_bytes();
            let (branch, method) = (branch.as_bytes(), method.as_str().as_bytes());
            match via.host {
                Host::V4(ip) => key.hash(&[branch, &ip.octets(), &port, method, &address]),
                Host::V6(ip) => key.hash(&[branch, &ip.octets(), &port, method, &address]),
                Host::Name(name) => key.hash(&[branch, name.as_bytes(), &port, method, &address]),
            }
        } else {
            Self::of_rfc_2543(key, request, method, &address)?
        };
        hash.first_chunk().copied().map(Self)
    }

    /// What requests share that are one request come by two ways: From tag, Call-ID and CSeq (section 8.2.2.2).
    pub(crate) fn merged(key: &Key, request: &Message) -> Option<Self> {
        let hash = key.hash(&[
            b"merged",
            request.from()?.tag().unwrap_or_default().as_bytes(),
            request.call_id()?.as_bytes(),
            &request.cseq()?.number.to_be_bytes(),
        ]);
        hash.first_chunk().copied().map(Self)
    }

    /// Section 17.2.3, for elements that know no magic cookie. To is left out, as an ACK brings a tag that its INVITE lacks.
    fn of_rfc_2543(
        key: &Key,
        request: &Message,
        method: Method<'_>,
        address: &[u8],
    ) -> Option<[u8; 32]> {
        let cseq = request.cseq()?.number.to_be_bytes();
        let from = request.from()?;
        Some(key.hash(&[
            request.request_uri()?.as_bytes(),
            from.tag().unwrap_or_default().as_bytes(),
            request.call_id()?.as_bytes(),
            &cseq,
            request.list(Header::Via).next()?.as_bytes(),
            method.as_str().as_bytes(),
            address,
        ]))
    }
}

/// A client transaction: our branch, and whether it is the CANCEL, which shares the branch of its INVITE (section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    /// What follows the magic cookie.
    pub(crate) branch: Token,
    /// Whether the request is a CANCEL.
    pub(crate) cancel: bool,
}

impl ClientKey {
    /// The transaction that a response answers, if its branch can be ours (section 17.1.3).
    pub(crate) fn of_response(response: &Message) -> Option<Self> {
        let via = response.via()?;
        let branch = Token::parse(via.branch()?.strip_prefix(MAGIC_COOKIE)?.as_bytes())?;
        Some(Self {
            branch,
            cancel: response.cseq()?.method == Method::Cancel,
        })
    }
}
