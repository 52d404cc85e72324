//! The octets of RFC 3261 section 25.1 by class, and text cut where one of them stands: one table, one look at each octet.
//!
//! All octets that text is cut at are ASCII, so that no character is cut.

use wide::u8x16;

/// Octets that are looked for together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class(u8);

impl Class {
    /// SP and HTAB: all the white space that a line can have.
    pub(crate) const SPACE: Self = Self(1);
    /// What a token is made of.
    pub(crate) const TOKEN: Self = Self(1 << 1);
    /// What a host name or an IPv4 address is made of; many write an underscore in names.
    pub(crate) const HOST: Self = Self(1 << 2);
    /// What a URI's scheme is made of.
    pub(crate) const SCHEME: Self = Self(1 << 3);
    /// Digits.
    pub(crate) const DIGIT: Self = Self(1 << 4);
    /// What no URI holds: controls, white space, quotes and angle brackets.
    pub(crate) const NO_URI: Self = Self(1 << 5);

    /// Whether the octet is one of them.
    pub(crate) const fn has(self, octet: u8) -> bool {
        CLASSES[octet as usize] & self.0 != 0
    }
}

/// What ends the value of a parameter that is not quoted.
const ENDS_VALUE: [u8; 7] = *b"; \t\",<>";

/// The classes of each octet.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet: u8 = 0;
    loop {
        classes[octet as usize] = classes_of(octet);
        if octet == u8::MAX {
            return classes;
        }
        octet += 1;
    }
}

const fn classes_of(octet: u8) -> u8 {
    let alphanumeric = octet.is_ascii_alphanumeric();
    let members = [
        (Class::SPACE, matches!(octet, b' ' | b'\t')),
        (
            Class::TOKEN,
            alphanumeric
                || matches!(octet, b'-' | b'.' | b'!' | b'%' | b'*')
                || matches!(octet, b'_' | b'+' | b'`' | b'\'' | b'~'),
        ),
        (
            Class::HOST,
            alphanumeric || matches!(octet, b'-' | b'.' | b'_'),
        ),
        (
            Class::SCHEME,
            alphanumeric || matches!(octet, b'+' | b'-' | b'.'),
        ),
        (Class::DIGIT, octet.is_ascii_digit()),
        (
            Class::NO_URI,
            matches!(octet, 0..=b' ' | b'"' | b'<' | b'>' | 0x7f),
        ),
    ];
    let (mut classes, mut at) = (0, 0);
    while at < members.len() {
        if members[at].1 {
            classes |= members[at].0.0;
        }
        at += 1;
    }
    classes
}

/// Whether there are octets, all of the class.
#[inline]
pub(crate) fn all(octets: &[u8], class: Class) -> bool {
    let shared = |classes: u8, octet: &u8| classes & CLASSES[usize::from(*octet)];
    // To the end in any case, which is faster than to look whether to go on.
    !octets.is_empty() && octets.iter().fold(class.0, shared) != 0
}

/// Where an octet stands first.
#[inline]
pub(crate) fn find(octets: &[u8], wanted: u8) -> Option<usize> {
    find_any(octets, [wanted])
}

/// Where the first of some octets stands.
#[inline]
pub(crate) fn find_any<const N: usize>(octets: &[u8], wanted: [u8; N]) -> Option<usize> {
    let at = first(octets, 0, |block| any(block, wanted));
    (at < octets.len()).then_some(at)
}

/// The octets of the URI at the front of a text: those before the first one that no URI holds.
pub(crate) fn uri_len(text: &str) -> usize {
    first(text.as_bytes(), 0, no_uri)
}

/// Octets that are looked at together.
const BLOCK: usize = 16;

/// Where the first octet from `at` on stands that is wanted, or the end: `hits` sets all bits of those that are.
#[inline]
fn first(octets: &[u8], mut at: usize, hits: impl Fn(u8x16) -> u8x16) -> usize {
    let hit = |block: [u8; BLOCK]| hits(u8x16::new(block)).to_bitmask();
    let (blocks, _) = octets.get(at..).unwrap_or_default().as_chunks();
    for block in blocks {
        let hit = hit(*block);
        if hit != 0 {
            return at + hit.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    let hit = if let Some(block) = octets.last_chunk() {
        // With some that stand before.
        hit(*block) >> (at + BLOCK - octets.len())
    } else {
        let mut block = [0; BLOCK];
        block[..octets.len()].copy_from_slice(octets);
        hit(block) >> at
    };
    if hit == 0 {
        return octets.len();
    }
    octets.len().min(at + hit.trailing_zeros() as usize)
}

/// Which octets are one of these.
#[inline]
fn any<const N: usize>(block: u8x16, wanted: [u8; N]) -> u8x16 {
    let hits = wanted.map(|octet| block.simd_eq(u8x16::splat(octet)));
    hits.into_iter().fold(u8x16::ZERO, |all, hits| all | hits)
}

/// Which octets are of `Class::NO_URI`.
#[inline]
fn no_uri(block: u8x16) -> u8x16 {
    let blank = block.min(u8x16::splat(b' ')).simd_eq(block);
    blank | any(block, [b'"', b'<', b'>', 0x7f])
}

/// What stands before and after the first one of an ASCII octet.
#[inline]
pub(crate) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let end = find(text.as_bytes(), at)?;
    Some((&text[..end], &text[end + 1..]))
}

/// The text without white space at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let octets = text.as_bytes();
    let (mut start, mut end) = (0, octets.len());
    while start < end && Class::SPACE.has(octets[start]) {
        start += 1;
    }
    while start < end && Class::SPACE.has(octets[end - 1]) {
        end -= 1;
    }
    &text[start..end]
}

/// A text and how far it is read. It stops at ASCII octets, so that no character is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How far it is read.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The octet that is read next.
    #[inline]
    pub(crate) fn octet(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    /// What is not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What was read since it stood there.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// What was read since it stood there, without white space at its end.
    #[inline]
    pub(crate) fn trimmed_since(&self, start: usize) -> &'a str {
        let mut end = self.at;
        while end > start && Class::SPACE.has(self.text.as_bytes()[end - 1]) {
            end -= 1;
        }
        &self.text[start..end]
    }

    /// The same text as if it ended there.
    #[inline]
    pub(crate) fn up_to(&self, end: usize) -> Self {
        Self {
            text: &self.text[..end],
            at: self.at,
        }
    }

    /// Goes to a place that one of the `position` functions gave.
    #[inline]
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Reads this octet, if it is the next.
    #[inline]
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        // Told apart by a branch, which the processor foresees; a sum would have to wait for the octet.
        if self.octet() != Some(octet) {
            return false;
        }
        self.at += 1;
        true
    }

    /// Reads the octets of the class.
    #[inline]
    pub(crate) fn skip(&mut self, class: Class) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|octet| !class.has(*octet));
        self.at += end.unwrap_or(rest.len());
    }

    /// Reads white space.
    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t') = self.octet() {
            self.at += 1;
        }
    }

    /// Reads and gives the octets of the class.
    #[inline]
    pub(crate) fn take(&mut self, class: Class) -> &'a str {
        let start = self.at;
        self.skip(class);
        self.since(start)
    }

    /// Reads one digit.
    #[inline]
    pub(crate) fn take_digit(&mut self) -> Option<u8> {
        let digit = self.octet()?.wrapping_sub(b'0');
        if digit >= 10 {
            return None;
        }
        self.at += 1;
        Some(digit)
    }

    /// Reads digits: a number up to 2^32-1; none if there are none or it is larger.
    #[inline]
    pub(crate) fn take_number(&mut self) -> Option<u32> {
        let too_large = u64::from(u32::MAX) + 1;
        let mut number = u64::from(self.take_digit()?);
        while let Some(digit) = self.take_digit() {
            number = too_large.min(number * 10 + u64::from(digit));
        }
        number.try_into().ok()
    }

    /// Where the first of some octets stands that is not read yet, or the end.
    #[inline]
    pub(crate) fn position<const N: usize>(&self, wanted: [u8; N]) -> usize {
        first(self.text.as_bytes(), self.at, |block| any(block, wanted))
    }

    /// Where the URI ends that is read next: at the first octet that no URI holds.
    #[inline]
    pub(crate) fn uri_end(&self) -> usize {
        first(self.text.as_bytes(), self.at, no_uri)
    }

    /// Reads the name of a parameter.
    #[inline]
    pub(crate) fn skip_name(&mut self) {
        let ends = |block| any(block, [b'=']) | any(block, ENDS_VALUE);
        self.at = first(self.text.as_bytes(), self.at, ends);
    }

    /// Reads the value of a parameter, with the quotes around it; none if they are not closed.
    #[inline]
    pub(crate) fn skip_value(&mut self) -> Option<()> {
        if self.octet() == Some(b'"') {
            return self.skip_quoted();
        }
        self.at = self.position(ENDS_VALUE);
        Some(())
    }

    /// Reads the quoted string that begins here, both quotes included; none if it is not closed.
    #[inline]
    pub(crate) fn skip_quoted(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.at = self.position([b'"', b'\\']);
            if self.octet()? == b'"' {
                self.at += 1;
                return Some(());
            }
            // The backslash and whatever it escapes.
            self.at += 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, start: usize, is_wanted: impl Fn(u8) -> bool) -> usize {
        let mut octets = text.bytes().skip(start);
        let at = octets.position(is_wanted);
        at.map_or(text.len(), |at| start + at)
    }

    #[test]
    fn text_is_cut_at_octets_and_never_inside_a_character() {
        let mut scanner = Scanner::new("Zoë;2.0é");
        scanner.skip_name();
        assert_eq!(scanner.since(0), "Zoë");
        assert!(scanner.eat(b';') && !scanner.eat(b';'));
        assert_eq!(scanner.take(Class::TOKEN), "2.0");
        assert_eq!(scanner.rest(), "é");
        assert_eq!(cut("ä=ö=ü", b'='), Some(("ä", "ö=ü")));
        assert_eq!(trim(" \t a b\t "), "a b");
        assert_eq!(trim(" \t"), "");
        assert!(all(b"192.0.2.1", Class::HOST));
        assert!(!all(b"", Class::HOST) && !all(b"a b", Class::HOST));
    }

    #[test]
    fn many_octets_at_once_find_what_one_after_the_other_find() {
        let chance = |at: usize| ((at * 2_654_435_761) >> 7) as u8;
        for from in 0..2_000 {
            let octets: Vec<u8> = (from..from + from % 41).map(chance).collect();
            let text = String::from_utf8_lossy(&octets);
            for start in 0..=text.len() {
                let mut scanner = Scanner::new(&text);
                scanner.go_to(start);
                for wanted in [0, b' ', b';', b'a', 0x7f] {
                    assert_eq!(
                        scanner.position([wanted, b'Z']),
                        position(&text, start, |it| it == wanted || it == b'Z')
                    );
                }
                let no_uri = |octet| Class::NO_URI.has(octet);
                assert_eq!(scanner.uri_end(), position(&text, start, no_uri));
                scanner.skip_name();
                let ends = |octet| octet == b'=' || ENDS_VALUE.contains(&octet);
                assert_eq!(scanner.at(), position(&text, start, ends));
            }
        }
    }

    #[test]
    fn a_quoted_string_ends_at_the_quote_that_is_not_escaped() {
        let mut scanner = Scanner::new(r#""a\"b\\"c"#);
        assert!(scanner.skip_quoted().is_some());
        assert_eq!(scanner.rest(), "c");
        for open in [r#"""#, r#""a\"#, r#""a\""#, r#""é\"#, r#""é\é"#] {
            assert_eq!(Scanner::new(open).skip_quoted(), None, "{open}");
        }
    }
}
