//! From, To, Contact, Route, Record-Route: an optional display name, a URI and parameters.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::params::unquote;
use super::{Malformed, Params, delta_seconds, items, unescape_quoted};
use crate::grammar::{Scanner, cut};
use crate::uri::Uri;

/// One name-addr or addr-spec with its header parameters (RFC 3261 section 20.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// As it came, with quotes; empty if there was none.
    display: &'a str,
    /// The URI.
    pub uri: Uri<'a>,
    /// The parameters of the header field, not those of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address; a list is split by `items` before.
    ///
    /// # Errors
    /// `Malformed` for an unterminated quote, a display name with separators outside quotes, a URI with white space,
    /// or a URI with `?` or `,` without brackets around it (RFC 3261 section 20.10).
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let start = scanner.at();
        if scanner.octet() == Some(b'"') {
            scanner.skip_quoted().ok_or(Malformed)?;
        } else {
            // A display name is tokens; the first ':' belongs to a scheme.
            scanner.go_to(scanner.position(*b"<:\",;"));
            if scanner.octet() == Some(b':') {
                scanner.go_to(start);
                return Self::without_brackets(scanner);
            }
        }
        let display = scanner.trimmed_since(start);
        scanner.skip_space();
        if !scanner.eat(b'<') {
            return Err(Malformed);
        }
        let uri = Uri::scan(&mut scanner)?;
        if !scanner.eat(b'>') {
            return Err(Malformed);
        }
        Ok(Self {
            display,
            uri,
            params: Params::scan(scanner)?,
        })
    }

    /// Without brackets every parameter belongs to the header field (RFC 3261 section 20.10).
    fn without_brackets(mut scanner: Scanner<'a>) -> Result<Self, Malformed> {
        let start = scanner.at();
        scanner.go_to(scanner.position(*b"; \t?,"));
        Ok(Self {
            display: "",
            uri: Uri::parse(scanner.since(start))?,
            params: Params::scan(scanner)?,
        })
    }

    /// The display name without quotes, quoted-pairs resolved; none if empty.
    #[must_use]
    pub fn display(&self) -> Option<Cow<'a, str>> {
        let name = if self.display.starts_with('"') {
            unescape_quoted(unquote(self.display))
        } else {
            Cow::Borrowed(self.display)
        };
        (!name.is_empty()).then_some(name)
    }

    /// The tag of From or To (RFC 3261 section 19.3): the first that is not empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        // An answer to who sends an empty one has two: that one, and ours.
        let mut tags = self
            .params
            .iter()
            .filter(|it| it.name.eq_ignore_ascii_case("tag"));
        tags.find_map(|tag| tag.value().filter(|tag| !tag.is_empty()))
    }

    /// The `expires` parameter of a Contact in seconds; what is no number up to 2^32-1 counts as 3600
    /// (RFC 3261 section 20.10).
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.params.value("expires").map(delta_seconds)
    }

    /// The `q` parameter of a Contact in thousandths, 0 to 1000; none if absent or no qvalue (RFC 3261 section 25.1).
    #[must_use]
    pub fn q(&self) -> Option<u16> {
        let (whole, fraction) = {
            let value = self.params.value("q")?;
            cut(value, b'.').unwrap_or((value, ""))
        };
        if fraction.len() > 3 || !fraction.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        let thousandths = fraction
            .bytes()
            .chain(*b"000")
            .take(3)
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        match (whole, thousandths) {
            ("0" | "", part) => Some(part),
            ("1", 0) => Some(1000),
            _ => None,
        }
    }
}

/// The addresses of a message's Contacts: mostly one, which takes no allocation.
pub type Addresses<'a> = SmallVec<[NameAddr<'a>; 1]>;

/// The Contacts of a message (RFC 3261 section 20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// `Contact: *`, alone: a REGISTER that removes all bindings (RFC 3261 section 10.2.2).
    Star,
    /// Addresses, in order; empty if there was no Contact.
    List(Addresses<'a>),
}

impl<'a> Contacts<'a> {
    /// Reads all Contact values of a message.
    ///
    /// # Errors
    /// `Malformed` if one is, or if `*` stands beside others.
    pub(crate) fn parse(values: impl Iterator<Item = &'a str>) -> Result<Self, Malformed> {
        let mut list = Addresses::new();
        let star = read_contacts(values, |contact| list.push(contact))?;
        Ok(if star { Self::Star } else { Self::List(list) })
    }

    /// Checks all Contact values of a message without keeping them.
    pub(crate) fn check(values: impl Iterator<Item = &'a str>) -> Result<(), Malformed> {
        read_contacts(values, drop).map(drop)
    }
}

/// Hands out each address; whether there was a star instead (RFC 3261 section 10.2.2: alone).
fn read_contacts<'a>(
    values: impl Iterator<Item = &'a str>,
    mut each: impl FnMut(NameAddr<'a>),
) -> Result<bool, Malformed> {
    let (mut star, mut addresses) = (false, false);
    for item in values.flat_map(items) {
        if item == "*" {
            star = true;
        } else {
            each(NameAddr::parse(item)?);
            addresses = true;
        }
    }
    if star && addresses {
        Err(Malformed)
    } else {
        Ok(star)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text).unwrap()
    }

    #[test]
    fn display_names_come_without_quotes() {
        assert_eq!(
            parse(r#""J Rosenberg \\\"" <sip:j@example.com> ; tag = 98asjd8"#)
                .display()
                .unwrap(),
            r#"J Rosenberg \""#
        );
        assert_eq!(
            parse("caller<sip:caller@example.com>;tag=323")
                .display()
                .unwrap(),
            "caller"
        );
        assert_eq!(
            parse("A. Bell <sip:a@example.com>").display().unwrap(),
            "A. Bell"
        );
        assert_eq!(parse("\"\" <sip:a@example.com>").display(), None);
        assert_eq!(parse("sip:a@example.com").display(), None);
    }

    #[test]
    fn parameters_outside_brackets_belong_to_the_header() {
        let outside = parse("sip:+19725552222@gw1.example.net;unknownparam");
        assert_eq!(outside.uri.text(), "sip:+19725552222@gw1.example.net");
        assert!(outside.params.get("unknownparam").is_some());
        let inside = parse("<sip:+19725552222@gw1.example.net;unknownparam>");
        assert_eq!(
            inside.uri.text(),
            "sip:+19725552222@gw1.example.net;unknownparam"
        );
        assert!(inside.params.get("unknownparam").is_none());
    }

    #[test]
    fn broken_addresses_are_malformed() {
        for text in [
            r#""Mr. J. User <sip:j.user@example.com>"#,
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "\"Watson, Thomas\" < sip:t.watson@example.org >",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "<sip:joe@example.org",
            "\"Joe\" sip:joe@example.org",
            "<sip:a@b>, <sip:c@d>",
            "",
            "*",
        ] {
            assert_eq!(NameAddr::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_star_stands_alone() {
        assert_eq!(Contacts::parse(["*"].into_iter()), Ok(Contacts::Star));
        assert_eq!(
            Contacts::parse(["*, <sip:a@b>"].into_iter()),
            Err(Malformed)
        );
        assert_eq!(
            Contacts::parse([].into_iter()),
            Ok(Contacts::List(Addresses::new()))
        );
    }

    #[test]
    fn expires_that_is_no_number_counts_as_an_hour() {
        assert_eq!(parse("<sip:a@b>;expires=60").expires(), Some(60));
        assert_eq!(
            parse("<sip:a@b>;expires=280297596632815").expires(),
            Some(3600)
        );
        assert_eq!(parse("<sip:a@b>;expires=soon").expires(), Some(3600));
        assert_eq!(parse("<sip:a@b>").expires(), None);
    }

    #[test]
    fn q_is_in_thousandths() {
        for (text, q) in [
            ("0.33", Some(330)),
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("1.5", None),
            ("0.1234", None),
            ("x", None),
        ] {
            assert_eq!(parse(&format!("<sip:a@b>;q={text}")).q(), q, "{text}");
        }
    }
}
