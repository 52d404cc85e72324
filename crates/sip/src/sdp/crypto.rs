//! Keys for SRTP in session descriptions: `a=crypto` (RFC 4568; suites of its section 6.2 and of RFC 7714 section 14.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64_UNPADDED;

use crate::token::Key;

/// Octets of the longest key with its salt.
const MAX_KEYING: usize = 30;

/// How the packets of a stream are protected, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// `AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`, which every phone with SRTP has.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    AesCm128HmacSha1_32,
}

impl Suite {
    /// All of them, as we offer them: what nearly every phone takes comes first, for some look at the first line alone.
    pub(super) const ALL: [Self; 3] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AeadAes128Gcm,
    ];

    /// As `a=crypto` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Octets of the master key (16) and the salt after it.
    const fn keying_octets(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 28,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 30,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))
    }
}

/// A master key and the salt after it; what is beyond the suite's length is zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keying(pub [u8; MAX_KEYING]);

impl fmt::Debug for Keying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keying")
    }
}

/// What an offer and its answer say of SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// How packets are protected.
    pub suite: Suite,
    /// The key of what we send.
    pub ours: Keying,
    /// The key of what the peer sends.
    pub theirs: Keying,
}

/// Whether a stream is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encryption {
    /// As the peer offers it; our own offers are plain.
    #[default]
    Accepted,
    /// Always: an offer without it is refused; ours tells keys.
    Required,
    /// Always; ours asks for DTLS.
    Dtls,
    /// Never: an offer with nothing else is refused.
    Refused,
}

/// What the keys of one session are made from: nobody else knows it, and no two sessions share one.
#[derive(Clone, Copy)]
pub struct Secret {
    pub(super) seed: [u8; 32],
    pub(super) session: u64,
}

impl Secret {
    /// The secret of a session, by a seed that nobody knows and the session's number.
    #[must_use]
    pub const fn new(seed: [u8; 32], session: u64) -> Self {
        Self { seed, session }
    }

    /// Our key for a suite: each has one of its own (RFC 4568 section 6.1).
    pub(super) fn keying(&self, suite: Suite) -> Keying {
        let key = Key::new(&self.seed, "SRTP");
        let hash = key.hash(&[&self.session.to_be_bytes(), suite.name().as_bytes()]);
        let mut keying = [0; MAX_KEYING];
        let length = suite.keying_octets();
        keying[..length].copy_from_slice(&hash[..length]);
        Keying(keying)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// One line of the peer that we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Ties the answer to the line of the offer.
    pub(super) tag: u32,
    pub(super) suite: Suite,
    pub(super) keying: Keying,
}

impl Line {
    /// Reads `1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20`. None for what we do not speak: other
    /// suites, several keys, master key identifiers, and parameters that change how packets look (RFC 4568 section 6.3).
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?;
        let is_number = tag.len() <= 9 && tag.bytes().all(|octet| octet.is_ascii_digit());
        let tag = tag.parse().ok().filter(|_| is_number)?;
        let suite = Suite::named(words.next()?)?;
        let keys = words.next()?;
        if !words.all(is_harmless) {
            return None;
        }
        let mut parts = keys.strip_prefix("inline:")?.split('|');
        let keying = parts.next()?;
        // RFC 4568 section 6.1: a lifetime holds no colon; an identifier, which every packet would carry, does.
        if !parts.all(|part| !part.contains([':', ';'])) {
            return None;
        }
        let decode =
            |engine: &dyn Fn(&str) -> Result<Vec<u8>, base64::DecodeError>| engine(keying).ok();
        let octets = decode(&|text| BASE64.decode(text))
            .or_else(|| decode(&|text| BASE64_UNPADDED.decode(text)))
            .filter(|octets| octets.len() == suite.keying_octets())?;
        let mut keying = [0; MAX_KEYING];
        keying[..octets.len()].copy_from_slice(&octets);
        Some(Self {
            tag,
            suite,
            keying: Keying(keying),
        })
    }
}

/// A parameter that may be passed over: a hint, or one that says so (RFC 4568 sections 6.3.5 and 6.3.7).
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with("WSH=") || parameter.starts_with('-')
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, suite, keying } = self;
        let keying = BASE64.encode(&keying.0[..suite.keying_octets()]);
        write!(f, "a=crypto:{tag} {} inline:{keying}\r\n", suite.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn a_line_is_read_and_written() {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
        let line = Line::parse(&text).unwrap();
        assert_eq!((line.tag, line.suite), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!(line.keying.0, *b"YS___semctl () {\t220;}\n}\nunles");
        assert_eq!(line.to_string(), format!("a=crypto:{text}\r\n"));
        for more in ["|2^20", "|1048576", " WSH=64", " -KDR=1"] {
            assert_eq!(Line::parse(&format!("{text}{more}")), Some(line), "{more}");
        }
    }

    #[test]
    fn lines_that_we_cannot_use_are_passed_over() {
        let long = format!("{KEY}AAAA");
        for text in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{long}"),
            format!("1 AEAD_AES_128_GCM inline:{KEY}"),
            format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:!".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(Line::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn each_session_and_suite_has_a_key_of_its_own() {
        let keying = |session, suite| Secret::new([7; 32], session).keying(suite).0;
        let (a, b) = (Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32);
        assert_eq!(keying(1, a), keying(1, a));
        assert_ne!(keying(1, a), keying(1, b));
        assert_ne!(keying(1, a), keying(2, a));
    }
}
