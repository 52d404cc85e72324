//! Messages as `rsip` reads and writes them.

use bytes::Bytes;
use rsip::common::uri::{Domain, Host};
use rsip::headers::UntypedHeader as _;
use rsip::services::DigestGenerator;
use rsip::{Header, SipMessage, StatusCode};

/// `rsip` reads no IPv6 reference in a URI (RFC 3261 section 25.1): it gets this name in its place,
/// then the reference is put back, which it writes as it is.
const STAND_IN: &str = "ipv6.invalid";

/// What finds a transaction of a phone: Call-ID, CSeq number, and the method of the request (`ACK`: the final answer to an
/// INVITE, which waits for it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) method: String,
}

impl Key {
    pub(crate) fn new(call_id: &str, cseq: u32, method: &str) -> Self {
        Self {
            call_id: call_id.to_owned(),
            cseq,
            method: method.to_owned(),
        }
    }

    /// The key of a message's own transaction.
    pub(crate) fn of(message: &SipMessage) -> Self {
        let cseq = value(message, "CSeq").expect("every message has it");
        let (number, method) = cseq.split_once(' ').expect("a number and a method");
        Self::new(
            value(message, "Call-ID").expect("every message has it"),
            number.trim().parse().expect("a CSeq number"),
            method.trim(),
        )
    }
}

/// A message that a phone got.
pub(crate) fn read(octets: &[u8]) -> SipMessage {
    let end = octets.windows(2).position(|pair| pair == b"\r\n");
    let first = &octets[..end.unwrap_or(octets.len())];
    let message = match reference(&String::from_utf8_lossy(first)) {
        None => SipMessage::try_from(octets),
        Some(reference) => {
            let text = String::from_utf8_lossy(octets).replacen(&reference, STAND_IN, 1);
            SipMessage::try_from(text.as_bytes()).map(|message| match message {
                SipMessage::Request(mut request) => {
                    put_back(&mut request.uri, &reference);
                    SipMessage::Request(request)
                }
                SipMessage::Response(response) => SipMessage::Response(response),
            })
        }
    };
    message.unwrap_or_else(|fault| {
        panic!(
            "rsip cannot read what the switch sent: {fault}\n{}",
            String::from_utf8_lossy(octets)
        )
    })
}

/// The first value of a header.
pub(crate) fn value<'a>(message: &'a SipMessage, name: &str) -> Option<&'a str> {
    values(message, name).next()
}

/// All values of a header, a line each.
pub(crate) fn values<'a>(
    message: &'a SipMessage,
    name: &str,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let headers = match message {
        SipMessage::Request(request) => &request.headers,
        SipMessage::Response(response) => &response.headers,
    };
    let name = name.to_owned();
    headers.iter().filter_map(move |header| {
        let (found, value) = line(header)?;
        found.eq_ignore_ascii_case(&name).then_some(value.trim())
    })
}

/// The headers that phones look at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of rsip with a variant for each header there is"
)]
fn line(header: &Header) -> Option<(&str, &str)> {
    match header {
        Header::Via(via) => Some(("Via", via.value())),
        Header::From(from) => Some(("From", from.value())),
        Header::To(to) => Some(("To", to.value())),
        Header::CallId(call_id) => Some(("Call-ID", call_id.value())),
        Header::CSeq(cseq) => Some(("CSeq", cseq.value())),
        Header::Contact(contact) => Some(("Contact", contact.value())),
        Header::Require(required) => Some(("Require", required.value())),
        Header::Supported(supported) => Some(("Supported", supported.value())),
        Header::MaxForwards(hops) => Some(("Max-Forwards", hops.value())),
        Header::RetryAfter(after) => Some(("Retry-After", after.value())),
        Header::WwwAuthenticate(challenge) => Some(("WWW-Authenticate", challenge.value())),
        Header::ProxyAuthorization(credentials) => {
            Some(("Proxy-Authorization", credentials.value()))
        }
        Header::SubscriptionState(state) => Some(("Subscription-State", state.value())),
        Header::Other(name, value) => Some((name, value)),
        _ => None,
    }
}

pub(crate) fn tag(value: &str) -> Option<&str> {
    parameter(value, "tag")
}

/// The branch of the topmost Via.
pub(crate) fn branch(message: &SipMessage) -> &str {
    value(message, "Via")
        .and_then(|via| parameter(via, "branch"))
        .expect("every message has a branch")
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value
        .split(';')
        .skip(1)
        .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

pub(crate) fn status(code: &StatusCode) -> u16 {
    u16::from(code.clone())
}

/// A request from its parts.
pub(crate) fn request(method: &str, to: &str, headers: &[(&str, String)], body: &str) -> Bytes {
    let request = rsip::Request {
        method: method.parse().expect("a method that rsip knows"),
        uri: uri(to),
        version: rsip::Version::V2,
        headers: build(headers, body).into(),
        body: body.as_bytes().to_vec(),
    };
    Bytes::from(SipMessage::from(request).to_string())
}

/// A response to a request: Via, From, To, Call-ID and CSeq copied, a tag added to To.
pub(crate) fn response(
    to: &SipMessage,
    code: u16,
    tag: &str,
    extra: &[(&str, String)],
    body: &str,
) -> Bytes {
    let mut headers: Vec<(&str, String)> = Vec::new();
    headers.extend(values(to, "Via").map(|via| ("Via", via.to_owned())));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let mut copied = value(to, name).expect("every request has it").to_owned();
        if name == "To" && code > 100 && self::tag(&copied).is_none() {
            copied.push_str(&format!(";tag={tag}"));
        }
        headers.push((name, copied));
    }
    headers.extend(extra.iter().map(|(name, value)| (*name, value.clone())));
    let response = rsip::Response {
        status_code: StatusCode::from(code),
        version: rsip::Version::V2,
        headers: build(&headers, body).into(),
        body: body.as_bytes().to_vec(),
    };
    Bytes::from(SipMessage::from(response).to_string())
}

fn build(headers: &[(&str, String)], body: &str) -> Vec<Header> {
    let mut built: Vec<Header> = headers
        .iter()
        .map(|(name, value)| Header::Other((*name).to_owned(), value.clone()))
        .collect();
    let has_kind = headers.iter().any(|(name, _)| *name == "Content-Type");
    if !body.is_empty() && !has_kind {
        built.push(Header::Other(
            "Content-Type".to_owned(),
            "application/sdp".to_owned(),
        ));
    }
    built.push(Header::Other(
        "Content-Length".to_owned(),
        body.len().to_string(),
    ));
    built
}

/// A challenge that a phone may answer again and again (RFC 8760, RFC 7616).
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    /// How often it was answered.
    count: u8,
}

impl Challenge {
    /// The first challenge of a 401, which must be the SHA-256 one (RFC 8760).
    pub(crate) fn of(refusal: &SipMessage) -> Self {
        let challenge = value(refusal, "WWW-Authenticate").expect("a 401 has a challenge");
        let parameter = |name: &str| {
            challenge
                .trim_start_matches("Digest")
                .split(',')
                .find_map(|part| {
                    let (key, value) = part.split_once('=')?;
                    (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
                })
        };
        assert_eq!(
            parameter("algorithm").as_deref(),
            Some("SHA-256"),
            "SHA-256 comes first (RFC 8760)"
        );
        Self {
            realm: parameter("realm").expect("realm"),
            nonce: parameter("nonce").expect("nonce"),
            count: 0,
        }
    }

    /// The value of Authorization.
    pub(crate) fn answer(&mut self, user: &str, password: &str, method: &str, to: &str) -> String {
        self.count += 1;
        let (realm, nonce, count) = (&self.realm, &self.nonce, self.count);
        let cnonce = "0a4f113b";
        let response = DigestGenerator {
            username: user,
            password,
            nonce,
            uri: &uri(to),
            realm,
            method: &method.parse().expect("a method that rsip knows"),
            qop: Some(&rsip::headers::auth::AuthQop::Auth {
                cnonce: cnonce.to_owned(),
                nc: count,
            }),
            algorithm: rsip::headers::auth::Algorithm::Sha256,
        }
        .compute();
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{to}\", response=\"{response}\", \
             algorithm=SHA-256, qop=auth, nc={count:08x}, cnonce=\"{cnonce}\""
        )
    }
}

fn uri(text: &str) -> rsip::Uri {
    let reference = reference(text);
    let readable = match &reference {
        None => text.to_owned(),
        Some(reference) => text.replacen(reference, STAND_IN, 1),
    };
    let mut uri = rsip::Uri::try_from(readable).expect("a URI that rsip can read");
    if let Some(reference) = reference {
        put_back(&mut uri, &reference);
    }
    uri
}

/// `[2001:db8::1]` of a text.
fn reference(text: &str) -> Option<String> {
    let start = text.find('[')?;
    let length = text[start..].find(']')?;
    Some(text[start..=start + length].to_owned())
}

fn put_back(uri: &mut rsip::Uri, reference: &str) {
    uri.host_with_port.host = Host::Domain(Domain::from(reference));
}
