//! Parameters: `;name` and `;name=value`, of header fields and of URIs.

use std::borrow::Cow;
use std::ops::Range;

use super::Malformed;
use crate::grammar::Scanner;

/// A parameter list, checked as a whole, read again at each look-up (lists are short).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Params<'a> {
    /// Empty, or beginning with a semicolon.
    text: &'a str,
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as it came.
    pub name: &'a str,
    /// The value as it came: a quoted one with its quotes; none if there was no `=`.
    pub raw: Option<&'a str>,
}

impl<'a> Param<'a> {
    /// The value without the quotes around it; what was escaped inside stays escaped (see `unescape_quoted`).
    #[must_use]
    pub fn value(&self) -> Option<&'a str> {
        self.raw.map(unquote)
    }
}

impl<'a> Params<'a> {
    /// Checks a parameter list: empty, or `;name[=value]` once or more, with white space around `;` and `=`
    /// (RFC 3261 section 25.1: generic-param, SEMI, EQUAL).
    ///
    /// # Errors
    /// `Malformed` for an empty name, an unterminated quote or characters that end a list.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        Self::scan(Scanner::new(text))
    }

    /// Checks the parameters that the scanner comes to, up to the end of its text.
    #[inline]
    pub(crate) fn scan(mut scanner: Scanner<'a>) -> Result<Self, Malformed> {
        scanner.skip_space();
        let start = scanner.at();
        while !scanner.is_done() {
            Segment::scan(&mut scanner).ok_or(Malformed)?;
        }
        Ok(Self {
            text: scanner.trimmed_since(start),
        })
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.segments().map(|(param, _)| param)
    }

    /// The parameters in order, each with its text as it came: the semicolon and all up to the next one.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (Param<'a>, &'a str)> + use<'a> {
        let (text, mut scanner) = (self.text, Scanner::new(self.text));
        std::iter::from_fn(move || {
            let start = scanner.at();
            let segment = Segment::scan(&mut scanner)?;
            let param = Param {
                name: &text[segment.name],
                raw: segment.value.map(|value| &text[value]),
            };
            Some((param, scanner.since(start)))
        })
    }

    /// The first parameter of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter()
            .find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter of this name, without quotes.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.value()
    }

    /// The list as it came.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }
}

/// Where the parts of `;name=value` stand.
struct Segment {
    name: Range<usize>,
    value: Option<Range<usize>>,
}

impl Segment {
    /// Reads one, and the white space after it.
    #[inline]
    fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        if !scanner.eat(b';') {
            return None;
        }
        scanner.skip_space();
        let start = scanner.at();
        scanner.skip_name();
        let name = start..scanner.at();
        scanner.skip_space();
        let mut value = None;
        if scanner.eat(b'=') {
            scanner.skip_space();
            let start = scanner.at();
            scanner.skip_value()?;
            value = Some(start..scanner.at());
            scanner.skip_space();
        }
        let ends = matches!(scanner.octet(), None | Some(b';'));
        (!name.is_empty() && ends).then_some(Self { name, value })
    }
}

/// The text without the quotes around it.
pub(crate) fn unquote(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(text)
}

/// Resolves the quoted-pairs inside a quoted string (RFC 3261 section 25.1); copies only when there are any.
#[must_use]
pub fn unescape_quoted(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_may_hold_separators() {
        let params =
            Params::parse(r#";+sip.instance="<urn:uuid:1;2>" ; q = 0.33;reg-id=1;ob"#).unwrap();
        assert_eq!(params.value("+SIP.instance"), Some("<urn:uuid:1;2>"));
        assert_eq!(params.value("q"), Some("0.33"));
        assert_eq!(params.get("ob").unwrap().raw, None);
        assert_eq!(params.iter().count(), 4);
    }

    #[test]
    fn empty_names_and_open_quotes_are_malformed() {
        for text in [
            ";",
            ";;",
            ";,;",
            ";a=\"b",
            ";a b",
            "a=b",
            ";a=b c",
            ";a=\"b\"c",
            ";=b",
        ] {
            assert_eq!(Params::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn quoted_pairs_are_resolved_once() {
        assert_eq!(unescape_quoted(r#"a\\\"b\"#), "a\\\"b");
        assert!(matches!(unescape_quoted("plain"), Cow::Borrowed("plain")));
    }
}
