//! The parameters of a challenge or of credentials: `Digest name=value, name="value"`.

/// Most parameters that are read: twice what RFC 7616 defines; the rest is left unread.
const MAX_PARAMETERS: usize = 24;

/// The parameters after the scheme `Digest`; `None` for another scheme.
///
/// A quoted value comes without its quotes and with its backslashes: that is what is hashed (RFC 7616 section 3.4.1).
/// What does not follow the grammar ends the row.
pub(crate) fn parameters(value: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let (scheme, rest) = value.trim_start().split_once([' ', '\t', '\r', '\n'])?;
    scheme
        .eq_ignore_ascii_case("Digest")
        .then(|| Parameters { rest }.take(MAX_PARAMETERS))
}

struct Parameters<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start_matches([',', ' ', '\t', '\r', '\n']);
        let (name, rest) = rest.split_once('=')?;
        let rest = rest.trim_start();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end(), &rest[end..])
            }
        };
        self.rest = rest;
        Some((name.trim_end(), value))
    }
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|octet| {
        let closes = octet == b'"' && !escaped;
        escaped = octet == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<(&str, &str)> {
        parameters(value).map(Iterator::collect).unwrap_or_default()
    }

    #[test]
    fn tokens_quotes_escapes_and_folds_are_read() {
        assert_eq!(
            read("DIGEST  username = \"a\\\"b,c\" ,\r\n realm=\"\",nc=00000001 , qop=auth"),
            [
                ("username", "a\\\"b,c"),
                ("realm", ""),
                ("nc", "00000001"),
                ("qop", "auth")
            ]
        );
    }

    #[test]
    fn nonsense_ends_the_row_and_another_scheme_has_none() {
        assert_eq!(read("Digest a=\"unterminated"), []);
        assert_eq!(read("Digest a=1, nonsense"), [("a", "1")]);
        assert_eq!(read("NoOneKnowsThisScheme opaque-data=here"), []);
        assert_eq!(read("Digest"), []);
    }
}
