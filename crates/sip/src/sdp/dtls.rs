//! DTLS-SRTP in session descriptions (RFC 5763, RFC 8842), with ICE (RFC 8839) as browsers write it, or without as desk phones do. Our side of
//! ICE is lite: one address, which the peer checks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use super::crypto::Secret;
use crate::token::Key;

/// Octets of the longest fragment of a user name or tag of a stream that is looked at (RFC 8839 section 5.4 allows 256).
const MAX_WORD: usize = 256;

/// Our side of ICE.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ice {
    /// The fragment of the user name.
    pub fragment: [u8; 8],
    /// The password.
    pub password: [u8; 24],
}

impl fmt::Debug for Ice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ice")
    }
}

/// What an offer and its answer say of DTLS and ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtls {
    /// The SHA-256 of the peer's certificate.
    pub fingerprint: [u8; 32],
    /// We begin the handshake.
    pub active: bool,
    /// What the peer's checks must know; none: it has no ICE.
    pub ice: Option<Ice>,
}

/// Who begins the handshake (RFC 4145 section 4), as the peer says it of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    Passive,
    /// The answer chooses.
    ActPass,
}

/// What a description says of DTLS and ICE, for all its streams or for one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted<'a> {
    fingerprint: Option<[u8; 32]>,
    setup: Option<Setup>,
    fragment: Option<&'a str>,
    has_password: bool,
}

impl<'a> Wanted<'a> {
    /// Takes an attribute, if it is one of these.
    pub(super) fn attribute(&mut self, value: &'a str) {
        let Some((name, value)) = value.split_once(':') else {
            return;
        };
        let value = value.trim_ascii();
        match name {
            // Several hashes of one certificate may be told (RFC 8122 section 5): ours is the one that everybody has.
            "fingerprint" => self.fingerprint = fingerprint(value).or(self.fingerprint),
            "setup" => {
                self.setup = match value {
                    "active" => Some(Setup::Active),
                    "passive" => Some(Setup::Passive),
                    "actpass" => Some(Setup::ActPass),
                    _ => None,
                }
            }
            "ice-ufrag" => self.fragment = Some(value).filter(|value| value.len() <= MAX_WORD),
            "ice-pwd" => self.has_password = !value.is_empty(),
            _ => {}
        }
    }

    /// All that we need is there.
    pub(super) fn is_complete(&self) -> bool {
        self.fingerprint.is_some()
    }

    fn has_ice(&self) -> bool {
        self.fragment.is_some() && self.has_password
    }
}

/// `sha-256 12:AB:...`.
fn fingerprint(value: &str) -> Option<[u8; 32]> {
    let (hash, digits) = value.split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut fingerprint = [0; 32];
    let mut pairs = digits.trim_ascii().split(':');
    for octet in &mut fingerprint {
        let pair = pairs.next().filter(|pair| pair.len() == 2)?;
        *octet = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(fingerprint)
}

/// DTLS and ICE of a session.
#[derive(Clone, Debug)]
pub(super) struct Web {
    /// The SHA-256 of our certificate.
    fingerprint: [u8; 32],
    /// Our offers ask for it.
    pub(super) offers: bool,
    /// The peer has ICE, or may have it.
    ice: bool,
    /// The stream's tag.
    mid: String,
    /// The peer has streams over one port (RFC 9143), and ours is one of them.
    bundled: bool,
    /// The peer's fragment: another one is a restart, which gives us another one, too (RFC 8445 section 9).
    peer: Option<String>,
    restarts: u64,
    /// Who begins the handshake, once it is agreed on: for the whole of an association (RFC 8842 section 5.1).
    active: Option<bool>,
}

impl Web {
    pub(super) fn new(fingerprint: [u8; 32], offers: bool) -> Self {
        Self {
            fingerprint,
            offers,
            ice: true,
            // Who is no browser needs no name for its only stream.
            mid: if offers { "0" } else { "" }.to_owned(),
            bundled: offers,
            peer: None,
            restarts: 0,
            active: None,
        }
    }

    /// What an offer comes to.
    pub(super) fn of_offer(&self, wanted: &Wanted<'_>, secret: &Secret) -> Option<Dtls> {
        let active = match (wanted.setup.unwrap_or(Setup::ActPass), self.active) {
            (Setup::ActPass, Some(active)) => active,
            // Who is asked may wait: the checks of the peer come first.
            (Setup::ActPass, None) | (Setup::Active, _) => false,
            (Setup::Passive, _) => true,
        };
        self.agree(wanted, active, secret)
    }

    /// What an answer comes to.
    pub(super) fn of_answer(&self, wanted: &Wanted<'_>, secret: &Secret) -> Option<Dtls> {
        let active = match wanted.setup? {
            Setup::Active => false,
            Setup::Passive => true,
            // No answer (RFC 8842 section 5.3).
            Setup::ActPass => return None,
        };
        self.agree(wanted, active, secret)
    }

    fn agree(&self, wanted: &Wanted<'_>, active: bool, secret: &Secret) -> Option<Dtls> {
        if !wanted.is_complete() {
            return None;
        }
        let restarts = self.restarts_with(wanted);
        Some(Dtls {
            fingerprint: wanted.fingerprint?,
            active,
            ice: wanted.has_ice().then(|| secret.ice(restarts)),
        })
    }

    fn restarts_with(&self, wanted: &Wanted<'_>) -> u64 {
        let is_restart = self
            .peer
            .as_deref()
            .is_some_and(|peer| Some(peer) != wanted.fragment);
        self.restarts + u64::from(is_restart)
    }

    /// The agreement stands. `mid`: the stream's tag in an offer of the peer, and whether it is bundled.
    pub(super) fn take(&mut self, wanted: &Wanted<'_>, dtls: &Dtls, mid: Option<(&str, bool)>) {
        self.restarts = self.restarts_with(wanted);
        self.peer = wanted.fragment.map(str::to_owned);
        self.active = Some(dtls.active);
        self.ice = dtls.ice.is_some();
        if let Some((mid, bundled)) = mid {
            (self.mid, self.bundled) = (mid.to_owned(), bundled);
        }
    }

    /// The lines of the session.
    pub(super) fn session_lines(&self) -> String {
        let ice = if self.ice { "a=ice-lite\r\n" } else { "" };
        let mut lines = ice.to_owned();
        if self.bundled && !self.mid.is_empty() {
            lines.push_str(&format!("a=group:BUNDLE {}\r\n", self.mid));
        }
        lines
    }

    /// The lines of the stream, in an offer or an answer.
    pub(super) fn stream_lines(
        &self,
        secret: &Secret,
        candidate: &str,
        mux: bool,
        answers: bool,
    ) -> String {
        let pairs: Vec<String> = self
            .fingerprint
            .iter()
            .map(|octet| format!("{octet:02X}"))
            .collect();
        let setup = match (answers, self.active) {
            (true, Some(true)) => "active",
            (true, _) => "passive",
            (false, _) => "actpass",
        };
        let mid = if self.mid.is_empty() {
            String::new()
        } else {
            format!("a=mid:{}\r\n", self.mid)
        };
        let mux = if mux || self.ice {
            "a=rtcp-mux\r\n"
        } else {
            ""
        };
        let proof = format!(
            "a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\n",
            pairs.join(":")
        );
        if !self.ice {
            return format!("{mid}{mux}{proof}");
        }
        let Ice { fragment, password } = secret.ice(self.restarts);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        format!(
            "{mid}{mux}a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n{proof}\
             a=candidate:1 1 udp 2130706431 {candidate} typ host\r\na=end-of-candidates\r\n",
            text(&fragment),
            text(&password),
        )
    }
}

impl Secret {
    /// Our side of ICE after so many restarts.
    fn ice(&self, restarts: u64) -> Ice {
        let key = Key::new(&self.seed, "ICE");
        let hash = key.hash(&[&self.session.to_be_bytes(), &restarts.to_be_bytes()]);
        // RFC 8839 section 5.4: letters, digits, plus and slash, as in base64.
        let text = BASE64.encode(&hash[..24]);
        let (mut fragment, mut password) = ([0; 8], [0; 24]);
        fragment.copy_from_slice(&text.as_bytes()[..8]);
        password.copy_from_slice(&text.as_bytes()[8..]);
        Ice { fragment, password }
    }
}
