//! Values that are lists with commas (RFC 3261 section 7.3.1).

use memchr::memchr;

use crate::grammar::{quoted_len, trim};

/// The items between the commas of a value; commas inside quotes or angle brackets separate nothing.
/// An unterminated quote ends in its item, whose own grammar then refuses it.
pub fn items(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = item_len(text);
        rest = text.get(end + 1..);
        Some(trim(&text[..end]))
    })
}

/// The items of a list of tokens (Supported, Require, Allow, ...), empty ones left out.
pub fn tokens(value: &str) -> impl Iterator<Item = &str> {
    items(value).filter(|item| !item.is_empty())
}

/// The octets before the next comma that separates.
pub(super) fn item_len(text: &str) -> usize {
    let octets = text.as_bytes();
    if memchr(b',', octets).is_none() {
        return octets.len();
    }
    let mut in_brackets = false;
    let mut at = 0;
    while at < octets.len() {
        match octets[at] {
            // Inside <> a quote is no delimiter: a URI may not hold one (RFC 3261 section 25.1).
            b'"' if !in_brackets => match quoted_len(&text[at..]) {
                Some(len) => at += len - 1,
                None => return octets.len(),
            },
            b'<' => in_brackets = true,
            b'>' => in_brackets = false,
            b',' if !in_brackets => return at,
            _ => {}
        }
        at += 1;
    }
    octets.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        let value = r#""Bell, \",A" <sip:a,b@example.com>;x="1,2" , <sip:c@d>,sip:e@f"#;
        let found: Vec<_> = items(value).collect();
        assert_eq!(
            found,
            [
                r#""Bell, \",A" <sip:a,b@example.com>;x="1,2""#,
                "<sip:c@d>",
                "sip:e@f"
            ]
        );
    }

    #[test]
    fn empty_items_are_kept_for_grammars_that_refuse_them() {
        assert_eq!(items("a,,b,").collect::<Vec<_>>(), ["a", "", "b", ""]);
        assert_eq!(tokens(" a ,, b ,").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(tokens("").count(), 0);
    }

    #[test]
    fn an_open_quote_swallows_the_rest() {
        assert_eq!(items("a,\"b,c").collect::<Vec<_>>(), ["a", "\"b,c"]);
    }
}
