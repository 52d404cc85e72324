//! Who sent this request? Keeps no state before a password was right: the nonce itself carries its time and a proof that it is ours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::hash::{Algorithm, Hash};
use crate::endpoint::{Account, Settings};
use crate::header::Credentials;
use crate::token::{Key, hexadecimal};

/// How long a nonce serves. Phones register every few minutes, so most requests cost one round trip;
/// a stolen answer is worth nothing after that.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Most nonces whose count is remembered. Full, the oldest one is forgotten and it and all older ones become stale,
/// which costs their phones one more round trip.
const MAX_NONCES: usize = 65_536;

/// Octets of a nonce before hexadecimal: 6 of time, 4 of serial number, 12 of proof.
const NONCE_OCTETS: usize = 22;
const PROOF_START: usize = 10;

/// Milliseconds since the endpoint's start, and a number that no other nonce of that millisecond has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NonceId {
    time: u64,
    serial: u32,
}

/// What became of the credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are this account's.
    Authentic(Account),
    /// There are none, or wrong ones: 401.
    Challenge {
        /// The password was right, only the nonce was not (RFC 7616 section 3.3).
        stale: bool,
    },
    /// They were made for another Request-URI: 400 (RFC 7616 section 3.4.6).
    OtherUri,
}

/// H(A1) under both algorithms.
#[derive(Clone, Debug)]
struct Password {
    sha256: Hash,
    md5: Hash,
}

impl Password {
    fn new(user: &str, realm: &str, password: &str) -> Self {
        Self {
            sha256: Algorithm::Sha256.credentials(user, realm, password),
            md5: Algorithm::Md5.credentials(user, realm, password),
        }
    }
}

/// What the credentials of a request say.
struct Claim<'a> {
    user: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: Algorithm,
    nc: &'a str,
    cnonce: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads one Authorization. `None` if it is not for us or not an answer to what we asked:
    /// another scheme, realm or algorithm, or without qop=auth.
    fn read(credentials: &Credentials<'a>, our_realm: &str) -> Option<Self> {
        if !credentials.is_digest() {
            return None;
        }
        let (mut user, mut realm, mut nonce, mut uri, mut response) =
            (None, None, None, None, None);
        let (mut algorithm, mut qop, mut nc, mut cnonce) = (Algorithm::Md5, None, None, None);
        for (name, value) in credentials.params() {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("username") {
                user = Some(value);
            } else if is("realm") {
                realm = Some(value);
            } else if is("nonce") {
                nonce = Some(value);
            } else if is("uri") {
                uri = Some(value);
            } else if is("response") {
                response = Some(value);
            } else if is("algorithm") {
                algorithm = Algorithm::parse(value)?;
            } else if is("qop") {
                qop = Some(value);
            } else if is("nc") {
                nc = Some(value);
            } else if is("cnonce") {
                cnonce = Some(value);
            }
        }
        if realm? != our_realm || !qop?.eq_ignore_ascii_case("auth") {
            return None;
        }
        Some(Self {
            user: user?,
            nonce: nonce?,
            uri: uri?,
            response: response?,
            algorithm,
            nc: nc?,
            cnonce: cnonce?,
        })
    }
}

/// The server side of digest authentication.
#[derive(Debug)]
pub(crate) struct Authenticator {
    realm: String,
    digests: Vec<Algorithm>,
    passwords: BTreeMap<Account, Password>,
    /// Checked in place of an unknown account's, so that the answer takes the same time.
    nobody: Password,
    key: Key,
    start: Instant,
    serial: u32,
    /// The highest nonce count seen with each nonce that was used rightly.
    counts: BTreeMap<NonceId, u32>,
    /// All nonces up to this one are stale, as their counts are forgotten.
    forgotten: Option<NonceId>,
}

impl Authenticator {
    pub(crate) fn new(settings: &Settings, seed: &[u8; 32], now: Instant) -> Self {
        let key = Key::new(seed, "nonces");
        let mut authenticator = Self {
            realm: String::new(),
            digests: Vec::new(),
            passwords: BTreeMap::new(),
            nobody: Password::new("", "", key.token(&[b"nobody"]).as_str()),
            key,
            start: now,
            serial: 0,
            counts: BTreeMap::new(),
            forgotten: None,
        };
        authenticator.configure(settings);
        authenticator
    }

    /// Takes new accounts and passwords.
    pub(crate) fn configure(&mut self, settings: &Settings) {
        self.realm.clone_from(&settings.realm);
        self.digests.clone_from(&settings.digests);
        self.passwords = settings
            .accounts
            .iter()
            .map(|(account, password)| {
                (
                    account.clone(),
                    Password::new(&account.0, &settings.realm, password),
                )
            })
            .collect();
    }

    /// The values of the WWW-Authenticate fields, one for each algorithm with one nonce, the preferred first (RFC 8760 section 2.4).
    /// `md5_only` leaves the others out, where MD5 is offered at all.
    pub(crate) fn challenge(&mut self, stale: bool, md5_only: bool, now: Instant) -> Vec<String> {
        let nonce = self.nonce(now);
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm| {
            format!(
                "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}",
                self.realm
            )
        };
        let md5_only = md5_only && self.digests.contains(&Algorithm::Md5);
        let offered = |algorithm: &Algorithm| !md5_only || *algorithm == Algorithm::Md5;
        self.digests
            .iter()
            .copied()
            .filter(offered)
            .map(challenge)
            .collect()
    }

    /// Checks the Authorization fields of a request. `is_request_uri` tells whether a digest-uri names what the
    /// Request-URI names (RFC 3261 section 22.4).
    pub(crate) fn check<'a>(
        &mut self,
        mut authorizations: impl Iterator<Item = Credentials<'a>>,
        method: &str,
        is_request_uri: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Verdict {
        let Some(claim) = authorizations.find_map(|credentials| {
            Claim::read(&credentials, &self.realm)
                // An algorithm that was not offered is no answer to what we asked.
                .filter(|claim| self.digests.contains(&claim.algorithm))
        }) else {
            return Verdict::Challenge { stale: false };
        };
        if !is_request_uri(claim.uri) {
            return Verdict::OtherUri;
        }
        let known = self.passwords.get_key_value(claim.user);
        let password = known.map_or(&self.nobody, |(_, password)| password);
        let ha1 = match claim.algorithm {
            Algorithm::Sha256 => &password.sha256,
            Algorithm::Md5 => &password.md5,
        };
        let response = claim.algorithm.response(
            ha1,
            claim.nonce,
            Some((claim.nc, claim.cnonce)),
            method,
            claim.uri,
        );
        let right = response.matches(claim.response.as_bytes());
        let Some((account, _)) = known.filter(|_| right) else {
            return Verdict::Challenge { stale: false };
        };
        let account = account.clone();
        if self.count(&claim, now) {
            Verdict::Authentic(account)
        } else {
            Verdict::Challenge { stale: true }
        }
    }

    /// Whether the nonce is ours, young, and used with a count that it was not used with before (RFC 7616 section 3.4.5).
    fn count(&mut self, claim: &Claim<'_>, now: Instant) -> bool {
        let Ok(nc) = u32::from_str_radix(claim.nc, 16) else {
            return false;
        };
        let Some(id) = self.fresh(claim.nonce, now) else {
            return false;
        };
        self.forget_old(now);
        if self.forgotten.is_some_and(|forgotten| id <= forgotten) {
            return false;
        }
        let highest = self.counts.entry(id).or_insert(0);
        // Rising is enough: a phone sends its requests in order, and one overtaken on the way only asks again.
        let rising = nc > *highest;
        *highest = nc.max(*highest);
        if self.counts.len() > MAX_NONCES {
            self.forgotten = self.counts.pop_first().map(|(id, _)| id);
        }
        rising
    }

    /// Drops the counts of nonces that are too old to be taken anyway.
    fn forget_old(&mut self, now: Instant) {
        let oldest = self
            .milliseconds(now)
            .saturating_sub(milliseconds(NONCE_LIFE));
        while let Some(entry) = self.counts.first_entry()
            && entry.key().time < oldest
        {
            entry.remove();
        }
    }

    fn nonce(&mut self, now: Instant) -> String {
        self.serial = self.serial.wrapping_add(1);
        let id = NonceId {
            time: self.milliseconds(now),
            serial: self.serial,
        };
        let octets = self.sealed(id);
        let mut nonce = String::with_capacity(NONCE_OCTETS * 2);
        for octet in octets {
            let [high, low] = hexadecimal(octet);
            nonce.push(char::from(high));
            nonce.push(char::from(low));
        }
        nonce
    }

    fn sealed(&self, id: NonceId) -> [u8; NONCE_OCTETS] {
        let mut octets = [0; NONCE_OCTETS];
        octets[..6].copy_from_slice(&id.time.to_be_bytes()[2..]);
        octets[6..PROOF_START].copy_from_slice(&id.serial.to_be_bytes());
        let proof = self.key.hash(&[&octets[..PROOF_START]]);
        octets[PROOF_START..].copy_from_slice(&proof[..NONCE_OCTETS - PROOF_START]);
        octets
    }

    fn fresh(&self, nonce: &str, now: Instant) -> Option<NonceId> {
        let octets = from_hexadecimal(nonce)?;
        let mut time = [0; 8];
        time[2..].copy_from_slice(&octets[..6]);
        let id = NonceId {
            time: u64::from_be_bytes(time),
            serial: u32::from_be_bytes(octets[6..PROOF_START].try_into().ok()?),
        };
        let differences = self
            .sealed(id)
            .iter()
            .zip(octets)
            .fold(0, |seen, (a, b)| seen | (a ^ b));
        if std::hint::black_box(differences) != 0 {
            return None;
        }
        let age = self.milliseconds(now).checked_sub(id.time)?;
        (age <= milliseconds(NONCE_LIFE)).then_some(id)
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        milliseconds(now.saturating_duration_since(self.start))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn from_hexadecimal(text: &str) -> Option<[u8; NONCE_OCTETS]> {
    let text = text.as_bytes();
    if text.len() != NONCE_OCTETS * 2 {
        return None;
    }
    let mut octets = [0; NONCE_OCTETS];
    for (octet, pair) in octets.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *octet = u8::try_from(high * 16 + low).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests need some moment to start from"
)]
mod tests {
    use super::*;
    use crate::digest::answer;

    const URI: &str = "sip:127.0.0.1";

    struct Bench {
        authenticator: Authenticator,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self::offering(&[Algorithm::Sha256, Algorithm::Md5])
        }

        fn offering(digests: &[Algorithm]) -> Self {
            let settings = Settings {
                realm: "ringmaster".into(),
                digests: digests.to_vec(),
                accounts: BTreeMap::from([(Account("201".into()), "secret".into())]),
                min_expires: Duration::from_secs(60),
                max_expires: Duration::from_secs(3600),
                session_expires: Duration::from_secs(1800),
                product: "Ringmaster".into(),
            };
            let now = Instant::now();
            Self {
                authenticator: Authenticator::new(&settings, &[3; 32], now),
                now,
            }
        }

        fn challenges(&mut self) -> [String; 2] {
            let challenges = self.authenticator.challenge(false, false, self.now);
            challenges.try_into().unwrap()
        }

        fn check(&mut self, authorization: &str) -> Verdict {
            self.authenticator.check(
                Credentials::parse(authorization).into_iter(),
                "REGISTER",
                |uri| uri == URI,
                self.now,
            )
        }
    }

    fn respond(challenge: &str, user: &str, password: &str, nc: u32) -> String {
        answer(challenge, "REGISTER", URI, user, password, nc, "0a4f113b").unwrap()
    }

    fn authentic() -> Verdict {
        Verdict::Authentic(Account("201".into()))
    }

    #[test]
    fn both_algorithms_are_offered_the_better_first_and_both_are_taken() {
        let mut bench = Bench::new();
        let [first, second] = bench.challenges();
        assert!(first.contains("algorithm=SHA-256") && second.contains("algorithm=MD5"));
        assert_eq!(
            bench.check(&respond(&first, "201", "secret", 1)),
            authentic()
        );
        assert_eq!(
            bench.check(&respond(&second, "201", "secret", 2)),
            authentic()
        );
    }

    #[test]
    fn an_algorithm_that_is_not_offered_is_not_taken() {
        let [_, md5] = Bench::new().challenges();
        let mut strict = Bench::offering(&[Algorithm::Sha256]);
        let again = Verdict::Challenge { stale: false };
        assert_eq!(strict.check(&respond(&md5, "201", "secret", 1)), again);
        let mut old = Bench::offering(&[Algorithm::Md5]);
        let challenges = old.authenticator.challenge(false, false, old.now);
        assert_eq!(challenges.len(), 1, "{challenges:?}");
        assert_eq!(
            old.check(&respond(&challenges[0], "201", "secret", 1)),
            authentic()
        );
    }

    #[test]
    fn an_unknown_account_gets_the_answer_of_a_wrong_password() {
        let mut bench = Bench::new();
        let [challenge, _] = bench.challenges();
        let again = Verdict::Challenge { stale: false };
        assert_eq!(bench.check(&respond(&challenge, "201", "wrong", 1)), again);
        assert_eq!(bench.check(&respond(&challenge, "999", "secret", 1)), again);
    }

    #[test]
    fn an_answer_serves_once() {
        let mut bench = Bench::new();
        let [challenge, _] = bench.challenges();
        let answer = respond(&challenge, "201", "secret", 1);
        assert_eq!(bench.check(&answer), authentic());
        assert_eq!(bench.check(&answer), Verdict::Challenge { stale: true });
        assert_eq!(
            bench.check(&respond(&challenge, "201", "secret", 2)),
            authentic()
        );
    }

    #[test]
    fn a_nonce_is_stale_after_its_life_and_before_its_birth() {
        let mut bench = Bench::new();
        bench.now += Duration::from_secs(1);
        let [challenge, _] = bench.challenges();
        let born = bench.now;
        bench.now = born + NONCE_LIFE;
        assert_eq!(
            bench.check(&respond(&challenge, "201", "secret", 1)),
            authentic()
        );
        bench.now += Duration::from_millis(1);
        let stale = Verdict::Challenge { stale: true };
        assert_eq!(bench.check(&respond(&challenge, "201", "secret", 2)), stale);
        bench.now = born - Duration::from_millis(1);
        assert_eq!(bench.check(&respond(&challenge, "201", "secret", 2)), stale);
    }

    #[test]
    fn a_nonce_of_another_start_is_stale_only_for_who_knows_the_password() {
        let mut bench = Bench::new();
        let foreign = r#"Digest realm="ringmaster", nonce="00000000000000000000000000000000000000000000", qop="auth""#;
        let stale = Verdict::Challenge { stale: true };
        assert_eq!(bench.check(&respond(foreign, "201", "secret", 1)), stale);
        let again = Verdict::Challenge { stale: false };
        assert_eq!(bench.check(&respond(foreign, "201", "wrong", 1)), again);
    }

    #[test]
    fn credentials_without_qop_or_for_another_uri_or_realm_are_refused() {
        let mut bench = Bench::new();
        let [challenge, _] = bench.challenges();
        let again = Verdict::Challenge { stale: false };
        let plain = challenge.replace(", qop=\"auth\"", "");
        assert_eq!(bench.check(&respond(&plain, "201", "secret", 1)), again);
        let elsewhere = challenge.replace("ringmaster", "elsewhere");
        assert_eq!(bench.check(&respond(&elsewhere, "201", "secret", 1)), again);
        let other = answer(&challenge, "REGISTER", "sip:other", "201", "secret", 1, "c").unwrap();
        assert_eq!(bench.check(&other), Verdict::OtherUri);
        assert_eq!(bench.check("NoOneKnowsThisScheme opaque-data=here"), again);
    }

    #[test]
    fn a_full_table_of_counts_makes_the_oldest_nonces_stale_not_replayable() {
        let mut bench = Bench::new();
        let [first, _] = bench.challenges();
        let replayed = respond(&first, "201", "secret", 1);
        assert_eq!(bench.check(&replayed), authentic());
        for serial in 0..u32::try_from(MAX_NONCES).unwrap() {
            bench.authenticator.counts.insert(
                NonceId {
                    time: 0,
                    serial: 10 + serial,
                },
                1,
            );
        }
        bench.now += Duration::from_millis(1);
        let [next, _] = bench.challenges();
        assert_eq!(
            bench.check(&respond(&next, "201", "secret", 1)),
            authentic()
        );
        assert_eq!(bench.check(&replayed), Verdict::Challenge { stale: true });
    }
}
