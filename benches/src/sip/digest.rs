//! Digest credentials (RFC 3261 section 22, RFC 7616, RFC 8760), with MD5 and SHA-256.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hex(self, text: &str) -> String {
        match self {
            Self::Md5 => hex::<Md5>(text),
            Self::Sha256 => hex::<Sha256>(text),
        }
    }
}

/// A challenge that the server gave, and how often it has been answered.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// `Authorization` or `Proxy-Authorization`: the header field of the answer.
    header: &'static str,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    qop: bool,
    count: u32,
}

impl Challenge {
    /// Takes the value of a WWW-Authenticate (401) or Proxy-Authenticate (407). None: an algorithm or scheme that we do not speak.
    pub(crate) fn take(status: u16, value: &str) -> Option<Self> {
        let rest = value.strip_prefix("Digest ")?;
        let algorithm = match field(rest, "algorithm").as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        Some(Self {
            header: if status == 401 {
                "Authorization"
            } else {
                "Proxy-Authorization"
            },
            realm: field(rest, "realm")?,
            nonce: field(rest, "nonce")?,
            opaque: field(rest, "opaque"),
            algorithm,
            qop: field(rest, "qop")
                .is_some_and(|list| list.split(',').any(|one| one.trim() == "auth")),
            count: 0,
        })
    }

    /// The nonce that was given.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The whole header line that answers the challenge for one request.
    pub(crate) fn answer(&mut self, user: &str, password: &str, method: &str, uri: &str) -> String {
        self.count += 1;
        let Self {
            header,
            realm,
            nonce,
            count,
            ..
        } = self;
        let secret = self.algorithm.hex(&format!("{user}:{realm}:{password}"));
        let request = self.algorithm.hex(&format!("{method}:{uri}"));
        let name = self.algorithm.name();
        let mut line = format!(
            "{header}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={name}"
        );
        let response = if self.qop {
            let (count, cnonce) = (format!("{count:08x}"), format!("rm{count:x}"));
            let _ = write!(line, ", qop=auth, nc={count}, cnonce=\"{cnonce}\"");
            self.algorithm
                .hex(&format!("{secret}:{nonce}:{count}:{cnonce}:auth:{request}"))
        } else {
            self.algorithm.hex(&format!("{secret}:{nonce}:{request}"))
        };
        let _ = write!(line, ", response=\"{response}\"");
        if let Some(opaque) = &self.opaque {
            let _ = write!(line, ", opaque=\"{opaque}\"");
        }
        line.push_str("\r\n");
        line
    }
}

/// Stands in a prepared answer where the count goes.
const COUNT: &str = "nnnnnnnn";
/// The same for the response, as long as one of SHA-256.
const RESPONSE: &str = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr";

/// An answer of which only the count, and with it the response, changes: for one request sent many times.
#[derive(Debug)]
pub(crate) struct Prepared {
    algorithm: Algorithm,
    nonce: String,
    secret: String,
    request: String,
    line: String,
}

impl Challenge {
    /// Prepares the answers for one method and URI; the challenge must have asked for `qop`.
    pub(crate) fn prepare(self, user: &str, password: &str, method: &str, uri: &str) -> Prepared {
        let Self {
            header,
            realm,
            nonce,
            algorithm,
            opaque,
            ..
        } = self;
        let name = algorithm.name();
        let opaque = opaque.map_or(String::new(), |it| format!(", opaque=\"{it}\""));
        let line = format!(
            "{header}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={name}, \
             qop=auth, nc={COUNT}, cnonce=\"rm\", response=\"{RESPONSE}\"{opaque}\r\n"
        );
        Prepared {
            algorithm,
            secret: algorithm.hex(&format!("{user}:{realm}:{password}")),
            request: algorithm.hex(&format!("{method}:{uri}")),
            nonce,
            line,
        }
    }
}

impl Prepared {
    /// The whole header line, with placeholders.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// The nonce that is answered.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Puts the count and the response into a text that holds the line.
    pub(crate) fn fill(&self, text: &mut String, count: u32) {
        let Self {
            secret,
            nonce,
            request,
            ..
        } = self;
        let count = format!("{count:08x}");
        let response = self
            .algorithm
            .hex(&format!("{secret}:{nonce}:{count}:rm:auth:{request}"));
        for (placeholder, value) in [(COUNT, count), (RESPONSE, response)] {
            if let Some(at) = text.find(placeholder) {
                text.replace_range(at..at + placeholder.len(), &value);
            }
        }
    }
}

/// A field of a challenge, without its quotes.
fn field(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while !rest.is_empty() {
        let (found, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next.trim_start_matches([',', ' ']);
    }
    None
}

fn hex<D: Digest>(text: &str) -> String {
    D::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut hex, octet| {
            let _ = write!(hex, "{octet:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_that_of_rfc_2069() {
        // The example of RFC 2069 section 2.4, with the answer of its erratum 749.
        let value = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let line = Challenge::take(401, value).unwrap().answer(
            "Mufasa",
            "CircleOfLife",
            "GET",
            "/dir/index.html",
        );
        assert!(
            line.contains("response=\"1949323746fe6a43ef61f9606e7febea\""),
            "{line}"
        );
    }

    #[test]
    fn a_prepared_answer_is_the_one_that_is_written_at_once() {
        let value = "Digest realm=\"r\", qop=\"auth\", nonce=\"n\"";
        let challenge = Challenge::take(401, value).unwrap();
        let prepared = challenge.prepare("201", "secret", "INVITE", "sip:700@x");
        let mut line = prepared.line().to_owned();
        prepared.fill(&mut line, 1);
        let hash = hex::<Md5>;
        let (secret, request) = (hash("201:r:secret"), hash("INVITE:sip:700@x"));
        let response = hash(&format!("{secret}:n:00000001:rm:auth:{request}"));
        assert!(line.contains("nc=00000001, cnonce=\"rm\""), "{line}");
        assert!(line.contains(&format!("response=\"{response}\"")), "{line}");
    }

    #[test]
    fn the_count_rises_with_each_answer() {
        let value = "Digest realm=\"r, s\", qop=\"auth,auth-int\", algorithm=SHA-256, nonce=\"n\", opaque=\"o\"";
        let mut challenge = Challenge::take(407, value).unwrap();
        let first = challenge.answer("201", "secret", "INVITE", "sip:700@127.0.0.1");
        let second = challenge.answer("201", "secret", "INVITE", "sip:700@127.0.0.1");
        assert!(
            first.starts_with("Proxy-Authorization: Digest ")
                && first.contains("realm=\"r, s\"")
                && first.contains("opaque=\"o\"")
        );
        assert!(first.contains("nc=00000001") && second.contains("nc=00000002"));
        assert!(
            Challenge::take(
                401,
                "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256"
            )
            .is_none()
        );
    }
}
