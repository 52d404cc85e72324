//! Authorization, WWW-Authenticate and their Proxy- twins.

use std::borrow::Cow;
use std::ops::Range;

use super::list::skip_item;
use super::params::unquote;
use super::{Malformed, unescape_quoted};
use crate::grammar::{Class, Scanner, trim};

/// Credentials or a challenge: a scheme and its parameters with commas (RFC 3261 section 25.1: credentials, challenge).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// `Digest`, or a scheme that nobody knows.
    pub scheme: &'a str,
    /// Checked: items of `name=value`.
    params: &'a str,
}

impl<'a> Credentials<'a> {
    /// Reads a whole header field value: these fields are never joined with commas (RFC 3261 section 7.3.1).
    ///
    /// # Errors
    /// `Malformed` if the scheme is no token, or a Digest parameter has no value or an open quote.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        let scheme = scanner.take(Class::TOKEN);
        let ends = scanner.octet().is_none_or(|octet| Class::SPACE.has(octet));
        if scheme.is_empty() || !ends {
            return Err(Malformed);
        }
        let credentials = Self {
            scheme,
            params: trim(scanner.rest()),
        };
        // What follows a scheme that we do not know has a grammar that we do not know.
        let mut items = Items(Scanner::new(credentials.params));
        if credentials.is_digest() && items.any(|item| item.is_none()) {
            return Err(Malformed);
        }
        Ok(credentials)
    }

    /// Whether the scheme is Digest (RFC 3261 section 22.4).
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The value of a parameter, its name in any case, without quotes, quoted-pairs resolved.
    /// The first one counts if a peer sends two.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).map(|value| unescape_quoted(unquote(value)))
    }

    /// The value of a parameter as it came, quotes included.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.raw_params()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every parameter in order: its name as it came, its value without quotes and with its backslashes,
    /// as it is hashed (RFC 7616 section 3.4.1).
    pub(crate) fn params(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.raw_params()
            .map(|(name, value)| (name, unquote(value)))
    }

    /// Each item of the form `name=value`, its value as it came.
    fn raw_params(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.params;
        Items(Scanner::new(text))
            .flatten()
            .map(move |item| (&text[item.name], &text[item.value]))
    }
}

/// Where the parts of `name=value` stand.
struct Item {
    name: Range<usize>,
    value: Range<usize>,
}

impl Item {
    /// Reads one, and the white space after it; none if it is not of this form.
    #[inline]
    fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let start = scanner.at();
        scanner.skip(Class::TOKEN);
        let name = start..scanner.at();
        scanner.skip_space();
        if name.is_empty() || !scanner.eat(b'=') {
            return None;
        }
        scanner.skip_space();
        let start = scanner.at();
        if scanner.octet() == Some(b'"') {
            scanner.skip_quoted()?;
        } else {
            skip_item(scanner);
        }
        let value = start..start + scanner.trimmed_since(start).len();
        scanner.skip_space();
        // Behind a quoted string nothing but a comma stands.
        let ends = matches!(scanner.octet(), None | Some(b','));
        ends.then_some(Self { name, value })
    }
}

/// The items of a list; none for one that is not of the form `name=value`.
struct Items<'a>(Scanner<'a>);

impl Iterator for Items<'_> {
    type Item = Option<Item>;

    #[inline]
    fn next(&mut self) -> Option<Option<Item>> {
        let Self(scanner) = self;
        // Empty items are no items.
        while scanner.eat(b',') || scanner.octet().is_some_and(|octet| Class::SPACE.has(octet)) {
            scanner.skip_space();
        }
        if scanner.is_done() {
            return None;
        }
        let mut ahead = *scanner;
        let item = Item::scan(&mut ahead);
        if item.is_some() {
            *scanner = ahead;
        } else {
            skip_item(scanner);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_parameters_are_read_in_any_order_and_case() {
        let text = r#"Digest username="b\"ob", realm="a, b", nc=00000001,URI="sip:x;y=z" , qop=auth, algorithm=SHA-256,"#;
        let credentials = Credentials::parse(text).unwrap();
        assert!(credentials.is_digest());
        assert_eq!(credentials.get("username").unwrap(), "b\"ob");
        assert_eq!(credentials.get("Realm").unwrap(), "a, b");
        assert_eq!(credentials.get("uri").unwrap(), "sip:x;y=z");
        assert_eq!(credentials.raw("realm"), Some("\"a, b\""));
        assert_eq!(credentials.get("nc").unwrap(), "00000001");
        assert_eq!(credentials.get("cnonce"), None);
    }

    #[test]
    fn an_unknown_scheme_is_kept_unread() {
        let credentials = Credentials::parse("NoOneKnowsThisScheme opaque-data=here").unwrap();
        assert!(!credentials.is_digest());
        assert!(Credentials::parse("Basic QWxhZGRpbg==").is_ok());
    }

    #[test]
    fn broken_digests_are_malformed() {
        for text in [
            "Digest username",
            "Digest username=\"bob",
            "Digest \"x\"=y",
            "",
            "Dig\"est a=b",
        ] {
            assert_eq!(Credentials::parse(text), Err(Malformed), "{text}");
        }
    }
}
