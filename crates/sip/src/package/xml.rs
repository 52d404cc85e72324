//! Text inside XML (XML 1.0 section 2.4).

use std::fmt::{self, Display, Write as _};

/// Text as it may stand in content and between double quotes; characters that XML 1.0 does not have become `?` (section 2.2).
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\t' => f.write_char(' ')?,
                '\0'..'\x20' | '\u{fffe}' | '\u{ffff}' => f.write_char('?')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_place() {
        let text = "\"<a>&amp;\u{1}\n]]>\u{e9}";
        assert_eq!(
            Escaped(text).to_string(),
            "&quot;&lt;a&gt;&amp;amp;??]]&gt;\u{e9}"
        );
    }
}
