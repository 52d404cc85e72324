//! Our own credentials: for whom they are, and when a challenge gets an answer (RFC 3261 section 22, RFC 7616, RFC 8760).

use std::collections::VecDeque;
use std::fmt;

use super::{Algorithm, answer};
use crate::header::Credentials as Challenge;
use crate::token::{Key, Token};

/// Nonces of one peer whose use is counted; a peer gives one for each request or for some minutes. An older one that comes
/// back is counted from 1 again, and the peer says `stale` if it minds.
const MAX_NONCES: usize = 16;

/// What we show at a peer that asks who we are; for no other realm than this.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password; it never leaves in clear and is never shown.
    pub password: String,
    /// The realm that may ask.
    pub realm: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} at {})", self.user, self.realm)
    }
}

impl Credentials {
    /// The user part of the Contact that we register with them: nobody can guess it, and it is the same after a restart, so
    /// that a registrar never holds two Contacts of ours (RFC 3261 section 10.3, step 7).
    #[must_use]
    pub fn line(&self) -> String {
        let secret = Algorithm::Sha256.credentials(&self.user, &self.realm, &self.password);
        let token: Token = Key::new(&[0; 32], "line").token(&[secret.as_bytes()]);
        token.as_str().to_owned()
    }
}

/// Credentials in use: how often each nonce was answered.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    credentials: Credentials,
    nonces: VecDeque<(String, u32)>,
}

impl Ring {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            nonces: VecDeque::new(),
        }
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The credentials for the first of some challenges that is ours to answer (RFC 8760 section 2.4).
    ///
    /// None for the challenge of a stranger's realm, and for one that comes although credentials were sent (`again`), unless
    /// it says that only their nonce was old (RFC 7616 section 3.3): they are wrong then, and sending them once more helps nobody.
    pub(crate) fn answer<'a>(
        &mut self,
        challenges: impl Iterator<Item = &'a str>,
        again: bool,
        method: &str,
        uri: &str,
        cnonce: Token,
    ) -> Option<String> {
        for text in challenges {
            let Ok(challenge) = Challenge::parse(text) else {
                continue;
            };
            let ours = challenge.is_digest()
                && challenge.get("realm").as_deref() == Some(self.credentials.realm.as_str());
            let stale = challenge
                .get("stale")
                .is_some_and(|value| value.eq_ignore_ascii_case("true"));
            let Some(nonce) = challenge.get("nonce").filter(|_| ours && (stale || !again)) else {
                continue;
            };
            let count = self.count(&nonce);
            let Credentials { user, password, .. } = &self.credentials;
            let value = answer(text, method, uri, user, password, count, cnonce.as_str());
            if value.is_some() {
                return value;
            }
        }
        None
    }

    /// How often the nonce is used now, this time included (RFC 7616 section 3.4: nc).
    fn count(&mut self, nonce: &str) -> u32 {
        if let Some((_, count)) = self.nonces.iter_mut().find(|(known, _)| known == nonce) {
            *count = count.wrapping_add(1);
            return *count;
        }
        self.nonces.truncate(MAX_NONCES - 1);
        self.nonces.push_front((nonce.to_owned(), 1));
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Tokens;

    fn ring() -> Ring {
        Ring::new(Credentials {
            user: "alice".into(),
            password: "secret".into(),
            realm: "provider".into(),
        })
    }

    fn answered(ring: &mut Ring, challenges: &[&str], again: bool) -> Option<String> {
        let cnonce = Tokens::new(&[1; 32]).draw();
        ring.answer(
            challenges.iter().copied(),
            again,
            "REGISTER",
            "sip:provider",
            cnonce,
        )
    }

    #[test]
    fn a_stranger_s_realm_gets_nothing() {
        for realm in ["elsewhere", "Provider", ""] {
            let challenge = format!("Digest realm=\"{realm}\", nonce=\"n\"");
            assert_eq!(answered(&mut ring(), &[&challenge], false), None, "{realm}");
        }
        assert_eq!(
            answered(&mut ring(), &["Digest nonce=\"n\"", "Basic"], false),
            None
        );
    }

    #[test]
    fn the_first_challenge_that_we_know_is_answered() {
        let challenges = [
            "Digest realm=\"provider\", nonce=\"a\", algorithm=SHA-512-256, qop=\"auth\"",
            "Digest realm=\"provider\", nonce=\"b\", algorithm=SHA-256, qop=\"auth-int,auth\"",
            "Digest realm=\"provider\", nonce=\"c\", algorithm=MD5",
        ];
        let value = answered(&mut ring(), &challenges, false).unwrap();
        assert!(value.contains("nonce=\"b\"") && value.contains("nc=00000001"));
    }

    #[test]
    fn the_use_of_a_nonce_is_counted() {
        let mut ring = ring();
        let challenge = ["Digest realm=\"provider\", nonce=\"a\", qop=\"auth\""];
        answered(&mut ring, &challenge, false);
        let value = answered(&mut ring, &challenge, false).unwrap();
        assert!(value.contains("nc=00000002"), "{value}");
    }

    #[test]
    fn credentials_that_were_refused_are_sent_again_for_a_stale_nonce_only() {
        let fresh = ["Digest realm=\"provider\", nonce=\"b\", qop=\"auth\""];
        let stale = ["Digest realm=\"provider\", nonce=\"b\", qop=\"auth\", stale=TRUE"];
        assert_eq!(answered(&mut ring(), &fresh, true), None);
        assert!(answered(&mut ring(), &stale, true).is_some());
    }

    #[test]
    fn the_line_stays_and_tells_nothing_of_the_password() {
        let credentials = ring().credentials.clone();
        let other = Credentials {
            password: "secret2".into(),
            ..credentials.clone()
        };
        assert_eq!(credentials.line(), credentials.line());
        assert_ne!(credentials.line(), other.line());
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
