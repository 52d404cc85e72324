//! Messages as `rsip` reads and writes them.

use bytes::Bytes;
use rsip::headers::untyped::ToTypedHeader as _;
use rsip::prelude::HeadersExt as _;
use rsip::services::DigestGenerator;
use rsip::{Header, SipMessage, StatusCode};

/// A message that a phone got.
pub(crate) fn read(octets: &[u8]) -> SipMessage {
    SipMessage::try_from(octets).unwrap_or_else(|fault| {
        panic!(
            "rsip cannot read what the switch sent: {fault}\n{}",
            String::from_utf8_lossy(octets)
        )
    })
}

/// The first value of a header.
pub(crate) fn value(message: &SipMessage, name: &str) -> Option<String> {
    values(message, name).into_iter().next()
}

/// All values of a header, a line each.
pub(crate) fn values(message: &SipMessage, name: &str) -> Vec<String> {
    let headers = match message {
        SipMessage::Request(request) => &request.headers,
        SipMessage::Response(response) => &response.headers,
    };
    headers
        .iter()
        .filter_map(|header| {
            let line = header.to_string();
            let (found, value) = line.split_once(':')?;
            found
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
        .collect()
}

pub(crate) fn tag(value: &str) -> Option<String> {
    value
        .split(';')
        .find_map(|part| part.trim().strip_prefix("tag="))
        .map(str::to_owned)
}

/// CSeq number and method.
pub(crate) fn cseq(message: &SipMessage) -> (u32, String) {
    let cseq = message
        .cseq_header()
        .and_then(|header| header.typed())
        .expect("every message has a CSeq");
    (cseq.seq, cseq.method.to_string())
}

pub(crate) fn status(code: &StatusCode) -> u16 {
    u16::from(code.clone())
}

/// A request from its parts.
pub(crate) fn request(method: &str, uri: &str, headers: &[(&str, String)], body: &str) -> Bytes {
    let request = rsip::Request {
        method: method.parse().expect("a method that rsip knows"),
        uri: rsip::Uri::try_from(uri).expect("a URI that rsip can read"),
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
    for via in values(to, "Via") {
        headers.push(("Via", via));
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let mut copied = value(to, name).expect("every request has it");
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
    if !body.is_empty() {
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

/// The answer to the first challenge of a 401, which must be the SHA-256 one (RFC 8760).
pub(crate) fn authorization(
    challenge: &SipMessage,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
) -> String {
    let challenge = value(challenge, "WWW-Authenticate").expect("a 401 has a challenge");
    let parameter = |name: &str| {
        challenge
            .trim_start_matches("Digest")
            .split(',')
            .find_map(|part| {
                let (key, value) = part.split_once('=')?;
                (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
            })
    };
    let (realm, nonce) = (
        parameter("realm").expect("realm"),
        parameter("nonce").expect("nonce"),
    );
    assert_eq!(
        parameter("algorithm").as_deref(),
        Some("SHA-256"),
        "SHA-256 comes first (RFC 8760)"
    );
    let (cnonce, nc) = ("0a4f113b".to_owned(), 1);
    let response = DigestGenerator {
        username: user,
        password,
        nonce: &nonce,
        uri: &rsip::Uri::try_from(uri).expect("a URI that rsip can read"),
        realm: &realm,
        method: &method.parse().expect("a method that rsip knows"),
        qop: Some(&rsip::headers::auth::AuthQop::Auth {
            cnonce: cnonce.clone(),
            nc,
        }),
        algorithm: rsip::headers::auth::Algorithm::Sha256,
    }
    .compute();
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
         algorithm=SHA-256, qop=auth, nc={nc:08x}, cnonce=\"{cnonce}\""
    )
}
