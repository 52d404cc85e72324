//! Values that are lists with commas (RFC 3261 section 7.3.1).

use crate::grammar::{Scanner, trim};

/// The items between the commas of a value; commas inside quotes or angle brackets separate nothing.
/// An unterminated quote ends in its item, whose own grammar then refuses it.
pub fn items(value: &str) -> impl Iterator<Item = &str> {
    let mut scanner = Some(Scanner::new(value));
    std::iter::from_fn(move || {
        let mut rest = scanner?;
        let start = rest.at();
        skip_item(&mut rest);
        let item = trim(rest.since(start));
        scanner = rest.eat(b',').then_some(rest);
        Some(item)
    })
}

/// The items of a list of tokens (Supported, Require, Allow, ...), empty ones left out.
pub fn tokens(value: &str) -> impl Iterator<Item = &str> {
    items(value).filter(|item| !item.is_empty())
}

/// Reads up to the next comma that separates.
#[inline]
pub(super) fn skip_item(scanner: &mut Scanner<'_>) {
    let start = scanner.at();
    scanner.go_to(scanner.position([b',']));
    // Mostly there is none.
    if scanner.is_done() {
        return;
    }
    scanner.go_to(start);
    loop {
        scanner.go_to(scanner.position([b',', b'"', b'<']));
        match scanner.octet() {
            None | Some(b',') => return,
            Some(b'"') => {
                if scanner.skip_quoted().is_none() {
                    return;
                }
            }
            // Inside <> a quote is no delimiter: a URI may not hold one (RFC 3261 section 25.1).
            Some(_) => scanner.go_to(scanner.position([b'>'])),
        }
    }
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
