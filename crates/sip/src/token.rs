//! Words that nobody can guess, made from the seed alone: tags, branches and Call-IDs.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// 96 bit as 24 hexadecimal characters: more than the 32 bit that RFC 3261 section 19.3 asks of a tag,
/// so that nobody hits a dialog by trying.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token([u8; Token::LENGTH]);

impl Token {
    /// Characters of a token.
    pub(crate) const LENGTH: usize = 24;

    fn from_mac(mac: &[u8]) -> Self {
        let mut text = [0; Self::LENGTH];
        for (pair, octet) in text.chunks_exact_mut(2).zip(mac) {
            pair.copy_from_slice(&hexadecimal(*octet));
        }
        Self(text)
    }

    /// Reads a token of ours back; anything else is `None`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text: [u8; Self::LENGTH] = text.try_into().ok()?;
        text.iter()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c))
            .then_some(Self(text))
    }

    /// The characters.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a token is hexadecimal")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Two lower-case hexadecimal characters.
pub(crate) fn hexadecimal(octet: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [
        DIGITS[usize::from(octet >> 4)],
        DIGITS[usize::from(octet & 15)],
    ]
}

/// A keyed hash: HMAC-SHA-256 with the key already absorbed.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// The key of one purpose; keys of different purposes tell nothing about each other.
    pub(crate) fn new(seed: &[u8; 32], purpose: &str) -> Self {
        let seed = Hmac::<Sha256>::new_from_slice(seed).expect("HMAC takes a key of any length");
        let key = seed.chain_update(purpose).finalize().into_bytes();
        Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
    }

    /// The hash of some octet strings; their borders count.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// A token that depends on these octet strings alone.
    pub(crate) fn token(&self, parts: &[&[u8]]) -> Token {
        Token::from_mac(&self.hash(parts))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// An endless row of tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    key: Key,
    drawn: u64,
}

impl Tokens {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self {
            key: Key::new(seed, "tokens"),
            drawn: 0,
        }
    }

    /// The next token.
    pub(crate) fn draw(&mut self) -> Token {
        Token::from_mac(&self.next())
    }

    /// A number from 0 to `limit` - 1.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let [a, b, c, d, ..] = self.next();
        u32::from_be_bytes([a, b, c, d]) % limit
    }

    fn next(&mut self) -> [u8; 32] {
        self.drawn += 1;
        self.key.hash(&[&self.drawn.to_be_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_tokens_and_another_seed_others() {
        let draw = |seed| {
            let mut tokens = Tokens::new(&[seed; 32]);
            [tokens.draw(), tokens.draw()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }

    #[test]
    fn only_a_token_of_ours_reads_back() {
        let token = Tokens::new(&[0; 32]).draw();
        assert_eq!(Token::parse(token.as_str().as_bytes()), Some(token));
        assert_eq!(Token::parse(token.as_str().to_uppercase().as_bytes()), None);
        assert_eq!(Token::parse(b"1928301774"), None);
    }

    #[test]
    fn the_borders_of_hashed_parts_count() {
        let key = Key::new(&[7; 32], "test");
        assert_ne!(key.token(&[b"ab", b"c"]), key.token(&[b"a", b"bc"]));
        assert_ne!(
            key.token(&[b"ab"]),
            Key::new(&[7; 32], "other").token(&[b"ab"])
        );
    }
}
