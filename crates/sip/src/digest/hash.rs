//! The two hash algorithms of RFC 8760 section 2 that phones speak, and what is hashed.

use std::fmt::{self, Write};

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::token::hexadecimal;

/// A hash algorithm of digest authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Preferred (RFC 8760 section 2.3).
    Sha256,
    /// Most desk phones know nothing else, and some trip over a challenge with another beside it.
    Md5,
}

/// A hash in lower-case hexadecimal, as it is hashed again and sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash {
    text: [u8; 64],
    length: usize,
}

impl Hash {
    fn new(octets: &[u8]) -> Self {
        let mut text = [0; 64];
        for (pair, octet) in text.chunks_exact_mut(2).zip(octets) {
            pair.copy_from_slice(&hexadecimal(*octet));
        }
        Self {
            text,
            length: octets.len() * 2,
        }
    }

    /// The characters.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// Compares with what a peer sent, in a time that tells nothing about where they differ.
    pub(crate) fn matches(&self, other: &[u8]) -> bool {
        let own = self.as_bytes();
        let differences = own
            .iter()
            .zip(other)
            .fold(0, |seen, (a, b)| seen | (a ^ b.to_ascii_lowercase()));
        own.len() == other.len() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|octet| f.write_char(char::from(*octet)))
    }
}

impl fmt::Debug for Hash {
    /// A hash may stand for a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        })
    }
}

impl Algorithm {
    /// Reads the algorithm parameter.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Md5].into_iter().find(|algorithm| {
            name.eq_ignore_ascii_case(match algorithm {
                Self::Sha256 => "SHA-256",
                Self::Md5 => "MD5",
            })
        })
    }

    /// H(A1) of RFC 7616 section 3.4.2: stands for the password.
    pub(crate) fn credentials(self, user: &str, realm: &str, password: &str) -> Hash {
        self.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
    }

    /// The response of RFC 7616 section 3.4.1; `counted` are nc and cnonce when qop is `auth`.
    pub(crate) fn response(
        self,
        ha1: &Hash,
        nonce: &str,
        counted: Option<(&str, &str)>,
        method: &str,
        uri: &str,
    ) -> Hash {
        let ha2 = self.hash(&[method.as_bytes(), uri.as_bytes()]);
        match counted {
            Some((nc, cnonce)) => self.hash(&[
                ha1.as_bytes(),
                nonce.as_bytes(),
                nc.as_bytes(),
                cnonce.as_bytes(),
                b"auth",
                ha2.as_bytes(),
            ]),
            None => self.hash(&[ha1.as_bytes(), nonce.as_bytes(), ha2.as_bytes()]),
        }
    }

    fn hash(self, parts: &[&[u8]]) -> Hash {
        match self {
            Self::Sha256 => Hash::new(&joined::<Sha256>(parts)),
            Self::Md5 => Hash::new(&joined::<Md5>(parts)),
        }
    }
}

/// The hash of the parts with a colon between each two.
fn joined<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut hash = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}
