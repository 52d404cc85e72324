//! Parameters: `;name` and `;name=value`, of header fields and of URIs.

use std::borrow::Cow;

use super::Malformed;
use crate::grammar::{name_len, quoted_len, trim, trim_start, value_len};

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
        let text = trim(text);
        let mut rest = text;
        while !rest.is_empty() {
            rest = segment(rest).ok_or(Malformed)?.1;
        }
        Ok(Self { text })
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.segments().map(|(param, _)| param)
    }

    /// The parameters in order, each with its text as it came: the semicolon and all up to the next one.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (Param<'a>, &'a str)> + use<'a> {
        let mut left = self.text;
        std::iter::from_fn(move || {
            let (param, rest) = segment(left)?;
            let (text, _) = left.split_at(left.len() - rest.len());
            left = rest;
            Some((param, text))
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

/// Splits `;name=value` off the front.
#[inline]
fn segment(text: &str) -> Option<(Param<'_>, &str)> {
    let text = trim_start(text.strip_prefix(';')?);
    let (name, rest) = text.split_at(name_len(text));
    if name.is_empty() {
        return None;
    }
    let rest = trim_start(rest);
    let Some(rest) = rest.strip_prefix('=') else {
        return (rest.is_empty() || rest.starts_with(';'))
            .then_some((Param { name, raw: None }, rest));
    };
    let rest = trim_start(rest);
    let value_end = if rest.starts_with('"') {
        quoted_len(rest)?
    } else {
        value_len(rest)
    };
    let (raw, rest) = rest.split_at(value_end);
    let rest = trim_start(rest);
    (rest.is_empty() || rest.starts_with(';')).then_some((
        Param {
            name,
            raw: Some(raw),
        },
        rest,
    ))
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
