//! The octets of RFC 3261 section 25.1 by class, and text cut where one of them stands: one table, one look at each octet.
//!
//! All octets that text is cut at are ASCII, so that no character is cut.

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
    /// What ends the name of a parameter.
    pub(crate) const ENDS_NAME: Self = Self(1 << 6);
    /// What ends the value of a parameter that is not quoted.
    pub(crate) const ENDS_VALUE: Self = Self(1 << 7);

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

const fn is_one_of<const N: usize>(octet: u8, set: [u8; N]) -> bool {
    let mut at = 0;
    while at < N {
        if set[at] == octet {
            return true;
        }
        at += 1;
    }
    false
}

const fn classes_of(octet: u8) -> u8 {
    let ends_value = is_one_of(octet, ENDS_VALUE);
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
        (Class::ENDS_NAME, ends_value || octet == b'='),
        (Class::ENDS_VALUE, ends_value),
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

/// The octets before the first one of the class.
#[inline]
pub(crate) fn until(text: &str, class: Class) -> usize {
    let mut octets = text.bytes();
    octets
        .position(|octet| class.has(octet))
        .unwrap_or(text.len())
}

/// The octets before the first one that is not of the class.
#[inline]
pub(crate) fn span(text: &str, class: Class) -> usize {
    let mut octets = text.bytes();
    octets
        .position(|octet| !class.has(octet))
        .unwrap_or(text.len())
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
    first(octets, |word| any(word, [wanted]), |octet| octet == wanted)
}

/// Where the first of some octets stands.
#[inline]
pub(crate) fn find_any<const N: usize>(octets: &[u8], wanted: [u8; N]) -> Option<usize> {
    first(
        octets,
        |word| any(word, wanted),
        |octet| wanted.contains(&octet),
    )
}

/// The octets of the URI at the front of a text: those before the first one that no URI holds.
pub(crate) fn uri_len(text: &str) -> usize {
    let hits = |word| below(word, b' ' + 1) | any(word, [b'"', b'<', b'>', 0x7f]);
    first(text.as_bytes(), hits, |octet| Class::NO_URI.has(octet)).unwrap_or(text.len())
}

/// The octets of a parameter's name at the front of a text: those before the first one that ends it.
#[inline]
pub(crate) fn name_len(text: &str) -> usize {
    let hits = |word| any(word, [b'=']) | any(word, ENDS_VALUE);
    first(text.as_bytes(), hits, |octet| Class::ENDS_NAME.has(octet)).unwrap_or(text.len())
}

/// The octets of a parameter's unquoted value at the front of a text: those before the first one that ends it.
#[inline]
pub(crate) fn value_len(text: &str) -> usize {
    let hits = |word| any(word, ENDS_VALUE);
    first(text.as_bytes(), hits, |octet| Class::ENDS_VALUE.has(octet)).unwrap_or(text.len())
}

/// Where the first octet stands that is wanted; eight are looked at together: `hits` marks those of a word that are wanted
/// by their highest bit (above a mark it may mark others wrongly).
#[inline]
fn first(
    octets: &[u8],
    hits: impl Fn(u64) -> u64,
    is_wanted: impl Fn(u8) -> bool,
) -> Option<usize> {
    let (words, rest) = octets.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let hits = hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|octet| is_wanted(*octet))?;
    Some(words.len() * 8 + at)
}

/// A word of the same octet eight times.
const fn repeated(octet: u8) -> u64 {
    u64::from_ne_bytes([octet; 8])
}

/// Marks the octets that are one of these.
#[inline]
fn any<const N: usize>(word: u64, wanted: [u8; N]) -> u64 {
    let zeros = wanted.map(|octet| below(word ^ repeated(octet), 1));
    zeros.into_iter().fold(0, |all, zeros| all | zeros)
}

/// Marks the octets below a limit that is at most 128.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(repeated(limit)) & !word & repeated(0x80)
}

/// What stands before and after the first one of an ASCII octet.
#[inline]
pub(crate) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let end = find(text.as_bytes(), at)?;
    Some((&text[..end], &text[end + 1..]))
}

/// The text without white space in front.
#[inline]
pub(crate) fn trim_start(mut text: &str) -> &str {
    while let [b' ' | b'\t', ..] = text.as_bytes() {
        text = &text[1..];
    }
    text
}

/// The text without white space at its end.
#[inline]
pub(crate) fn trim_end(mut text: &str) -> &str {
    while let [.., b' ' | b'\t'] = text.as_bytes() {
        text = &text[..text.len() - 1];
    }
    text
}

/// The text without white space at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}

/// The octets of the quoted string at the front of `text`, both quotes included; none if it is not closed.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    let octets = text.as_bytes();
    let mut at = 1;
    loop {
        at += find_any(octets.get(at..)?, [b'"', b'\\'])?;
        if octets[at] == b'"' {
            return Some(at + 1);
        }
        // Whatever it escapes.
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_octets_and_never_inside_a_character() {
        assert_eq!(until("Zoë;x", Class::ENDS_VALUE), "Zoë".len());
        assert_eq!(span("2.0é", Class::TOKEN), 3);
        assert_eq!(cut("ä=ö=ü", b'='), Some(("ä", "ö=ü")));
        assert_eq!(trim(" \t a b\t "), "a b");
        assert_eq!(trim(" \t"), "");
        assert!(all(b"192.0.2.1", Class::HOST));
        assert!(!all(b"", Class::HOST) && !all(b"a b", Class::HOST));
    }

    #[test]
    fn eight_octets_at_once_find_what_one_after_the_other_find() {
        let chance = |at: usize| ((at * 2_654_435_761) >> 7) as u8;
        for start in 0..2_000 {
            let octets: Vec<u8> = (start..start + start % 41).map(chance).collect();
            let text = String::from_utf8_lossy(&octets);
            for wanted in 0..0x80 {
                assert_eq!(
                    find(text.as_bytes(), wanted),
                    text.bytes().position(|it| it == wanted)
                );
            }
            assert_eq!(uri_len(&text), until(&text, Class::NO_URI));
            assert_eq!(name_len(&text), until(&text, Class::ENDS_NAME));
            assert_eq!(value_len(&text), until(&text, Class::ENDS_VALUE));
        }
    }

    #[test]
    fn a_quoted_string_ends_at_the_quote_that_is_not_escaped() {
        assert_eq!(quoted_len(r#""a\"b\\"c"#), Some(8));
        for open in [r#"""#, r#""a\"#, r#""a\""#, r#""é\"#] {
            assert_eq!(quoted_len(open), None, "{open}");
        }
    }
}
