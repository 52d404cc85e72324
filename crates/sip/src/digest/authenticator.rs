//! Who sent this request? Keeps no state before a password was right: the nonce itself carries its time and a proof that it is ours.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

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

/// Octets of a nonce before hexadecimal: 5 of time, 3 of serial number, 8 of proof. A short nonce makes a short challenge
/// for whoever forged the source of a request.
const NONCE_OCTETS: usize = 16;
const PROOF_START: usize = 8;
/// Characters of a nonce.
const NONCE_LENGTH: usize = NONCE_OCTETS * 2;

/// Nonce counts below the highest one that may still come, each once: requests that a phone sends together overtake
/// each other on the way.
const WINDOW: u32 = 32;

/// Milliseconds since the endpoint's start (40 bit), and a number that no other nonce of that millisecond has (24 bit).
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
    /// There are none, or none that answer what we asked: 401.
    Challenge {
        /// The password was right, only the nonce was not (RFC 7616 section 3.3).
        stale: bool,
    },
    /// The password is wrong, or there is no such account, which is none: 401.
    Wrong(Option<Account>),
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

/// A nonce as it is sent.
#[derive(Clone, Copy, Debug)]
struct Nonce([u8; NONCE_LENGTH]);

/// The value of a WWW-Authenticate field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge<'a> {
    realm: &'a str,
    nonce: Nonce,
    algorithm: Algorithm,
    stale: bool,
}

/// The counts that a nonce was used with: the highest one, and which of the `WINDOW` up to it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    highest: u32,
    below: u32,
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
    /// The counts seen with each nonce that was used rightly.
    counts: BTreeMap<NonceId, Seen>,
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

    /// Whether there is such an account.
    pub(crate) fn knows(&self, account: &Account) -> bool {
        self.passwords.contains_key(account)
    }

    /// The WWW-Authenticate fields, one for each algorithm with one nonce, the preferred first (RFC 8760 section 2.4).
    /// `md5_only` leaves the others out, where MD5 is offered at all. The nonce serves requests from `peer` alone.
    pub(crate) fn challenge(
        &mut self,
        stale: bool,
        md5_only: bool,
        peer: IpAddr,
        now: Instant,
    ) -> SmallVec<[Challenge<'_>; 2]> {
        let nonce = self.nonce(peer, now);
        let md5_only = md5_only && self.digests.contains(&Algorithm::Md5);
        let offered = |algorithm: &Algorithm| !md5_only || *algorithm == Algorithm::Md5;
        let algorithms = self.digests.iter().copied().filter(offered);
        let challenge = |algorithm| Challenge {
            realm: &self.realm,
            nonce,
            algorithm,
            stale,
        };
        algorithms.map(challenge).collect()
    }

    /// Checks the Authorization fields of a request from `peer`. `is_request_uri` tells whether a digest-uri names what the
    /// Request-URI names (RFC 3261 section 22.4).
    pub(crate) fn check<'a>(
        &mut self,
        mut authorizations: impl Iterator<Item = Credentials<'a>>,
        method: &str,
        is_request_uri: impl Fn(&str) -> bool,
        peer: IpAddr,
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
        let account = known.map(|(account, _)| account.clone());
        let Some(account) = account.clone().filter(|_| right) else {
            return Verdict::Wrong(account);
        };
        if self.count(&claim, peer, now) {
            Verdict::Authentic(account)
        } else {
            Verdict::Challenge { stale: true }
        }
    }

    /// Whether the nonce is ours for this peer, young, and used with a count that it was not used with before (RFC 7616 section 3.4.5).
    fn count(&mut self, claim: &Claim<'_>, peer: IpAddr, now: Instant) -> bool {
        let Ok(nc) = u32::from_str_radix(claim.nc, 16) else {
            return false;
        };
        let Some(id) = self.fresh(claim.nonce, peer, now) else {
            return false;
        };
        self.forget_old(now);
        if self.forgotten.is_some_and(|forgotten| id <= forgotten) {
            return false;
        }
        let is_new = self.counts.entry(id).or_default().take(nc);
        if self.counts.len() > MAX_NONCES {
            self.forgotten = self.counts.pop_first().map(|(id, _)| id);
        }
        is_new
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

    fn nonce(&mut self, peer: IpAddr, now: Instant) -> Nonce {
        self.serial = self.serial.wrapping_add(1) & 0x00ff_ffff;
        let id = NonceId {
            time: self.milliseconds(now),
            serial: self.serial,
        };
        let mut text = [0; NONCE_LENGTH];
        for (pair, octet) in text.chunks_exact_mut(2).zip(self.sealed(id, peer)) {
            pair.copy_from_slice(&hexadecimal(octet));
        }
        Nonce(text)
    }

    /// Whoever writes another's address as the source of a datagram never sees a nonce for it, so that an account cannot aim calls
    /// and their sound at a third party. A phone whose address has changed asks once more (RFC 7616 section 3.3); only the /64 of an
    /// IPv6 address counts, as phones change the rest of it at will (RFC 8981).
    fn sealed(&self, id: NonceId, peer: IpAddr) -> [u8; NONCE_OCTETS] {
        let mut octets = [0; NONCE_OCTETS];
        octets[..5].copy_from_slice(&id.time.to_be_bytes()[3..]);
        octets[5..PROOF_START].copy_from_slice(&id.serial.to_be_bytes()[1..]);
        let proof = match peer {
            IpAddr::V4(peer) => self.key.hash(&[&octets[..PROOF_START], &peer.octets()]),
            IpAddr::V6(peer) => self
                .key
                .hash(&[&octets[..PROOF_START], &peer.octets()[..8]]),
        };
        octets[PROOF_START..].copy_from_slice(&proof[..NONCE_OCTETS - PROOF_START]);
        octets
    }

    fn fresh(&self, nonce: &str, peer: IpAddr, now: Instant) -> Option<NonceId> {
        let octets = from_hexadecimal(nonce)?;
        let (mut time, mut serial) = ([0; 8], [0; 4]);
        time[3..].copy_from_slice(&octets[..5]);
        serial[1..].copy_from_slice(&octets[5..PROOF_START]);
        let id = NonceId {
            time: u64::from_be_bytes(time),
            serial: u32::from_be_bytes(serial),
        };
        let differences = self
            .sealed(id, peer)
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

impl Seen {
    /// Whether this count is seen for the first time, and not too late.
    fn take(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            let ahead = nc - self.highest;
            // The highest one is bit 0.
            self.below = self.below.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let behind = self.highest - nc;
        // Counts begin at 1 (RFC 7616 section 3.4).
        if nc == 0 || behind >= WINDOW || self.below >> behind & 1 == 1 {
            return false;
        }
        self.below |= 1 << behind;
        true
    }
}

impl Nonce {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("invariant: a nonce is hexadecimal")
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            realm,
            nonce,
            algorithm,
            stale,
        } = self;
        write!(
            f,
            "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{}",
            if *stale { ", stale=true" } else { "" }
        )
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn from_hexadecimal(text: &str) -> Option<[u8; NONCE_OCTETS]> {
    let text = text.as_bytes();
    if text.len() != NONCE_LENGTH {
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
mod tests;
