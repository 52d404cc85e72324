//! Authorization, WWW-Authenticate and their Proxy- twins.

use std::borrow::Cow;

use super::list::item_len;
use super::params::unquote;
use super::scalar::is_token;
use super::{Malformed, unescape_quoted};
use crate::grammar::{Class, cut, find_any, quoted_len, trim, trim_end, trim_start, until};

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
        let (scheme, params) = text.split_at(until(text, Class::SPACE));
        if !is_token(scheme) {
            return Err(Malformed);
        }
        let credentials = Self {
            scheme,
            params: trim(params),
        };
        // What follows a scheme that we do not know has a grammar that we do not know.
        if credentials.is_digest() && credentials.raw_params().any(|param| param.is_none()) {
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
            .flatten()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every parameter in order: its name as it came, its value without quotes and with its backslashes,
    /// as it is hashed (RFC 7616 section 3.4.1).
    pub(crate) fn params(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.raw_params()
            .flatten()
            .map(|(name, value)| (name, unquote(value)))
    }

    /// Each item as name and raw value; none for an item that is not of this form.
    fn raw_params(&self) -> impl Iterator<Item = Option<(&'a str, &'a str)>> + use<'a> {
        let mut rest = self.params;
        std::iter::from_fn(move || {
            // Empty items are no items.
            let is_text = |octet: u8| octet != b',' && !Class::SPACE.has(octet);
            rest = &rest[rest.bytes().position(is_text)?..];
            let (param, length) = match first_param(rest) {
                Some((name, value, length)) => (Some((name, value)), length),
                None => (None, item_len(rest)),
            };
            rest = &rest[length..];
            Some(param)
        })
    }
}

/// The name and the raw value of the item at the front of a list, and its octets; none if it is not of this form.
fn first_param(text: &str) -> Option<(&str, &str, usize)> {
    let (name, value) = cut(text, b'=')?;
    let (name, value) = (trim_end(name), trim_start(value));
    if !is_token(name) {
        return None;
    }
    let end = match value.as_bytes() {
        [b'"', ..] => quoted_len(value)?,
        octets => match find_any(octets, [b',', b'"', b'<']) {
            Some(end) if octets[end] == b',' => end,
            Some(_) | None => item_len(value),
        },
    };
    let (value, rest) = value.split_at(end);
    let rest = trim_start(rest);
    // Behind a quoted string nothing but a comma stands.
    let ends = rest.is_empty() || rest.starts_with(',');
    ends.then_some((name, trim_end(value), text.len() - rest.len()))
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
