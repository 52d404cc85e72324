//! Parameters: `;name` and `;name=value`, of header fields and of URIs.

use std::borrow::Cow;

use super::Malformed;

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
        let text = text.trim_matches([' ', '\t']);
        let mut rest = text;
        while !rest.is_empty() {
            rest = segment(rest).ok_or(Malformed)?.1;
        }
        Ok(Self { text })
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            let (param, next) = segment(rest)?;
            rest = next;
            Some(param)
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
fn segment(text: &str) -> Option<(Param<'_>, &str)> {
    let text = text.strip_prefix(';')?.trim_start_matches([' ', '\t']);
    let name_end = until(text, |octet| octet == b'=' || ends_word(octet));
    let (name, rest) = text.split_at(name_end);
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let Some(rest) = rest.strip_prefix('=') else {
        return (rest.is_empty() || rest.starts_with(';'))
            .then_some((Param { name, raw: None }, rest));
    };
    let rest = rest.trim_start_matches([' ', '\t']);
    let value_end = if rest.starts_with('"') {
        quoted_len(rest)?
    } else {
        until(rest, ends_word)
    };
    let (raw, rest) = rest.split_at(value_end);
    let rest = rest.trim_start_matches([' ', '\t']);
    (rest.is_empty() || rest.starts_with(';')).then_some((
        Param {
            name,
            raw: Some(raw),
        },
        rest,
    ))
}

/// Whether the octet ends a name or an unquoted value.
const fn ends_word(octet: u8) -> bool {
    matches!(octet, b';' | b' ' | b'\t' | b'"' | b',' | b'<' | b'>')
}

/// The octets before the first one that ends; all of these are ASCII, so no character is cut.
fn until(text: &str, ends: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(ends).unwrap_or(text.len())
}

/// The octets of the quoted string at the front of `text`, both quotes included; none if it is not closed.
pub(crate) fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
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
