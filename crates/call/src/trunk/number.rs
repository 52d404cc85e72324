//! Telephone numbers: patterns, and what is made of a number on its way in or out.

use std::fmt;

/// Longest pattern and longest number (characters); longer than any telephone number with prefixes.
pub const MAX_NUMBER: usize = 64;

/// Which numbers: as written, with `X` for 0 to 9, `Z` for 1 to 9, `N` for 2 to 9, and at the end `.` for one or more
/// characters of any kind.
///
/// ```
/// use call::trunk::Pattern;
/// let pattern: Pattern = "0Z.".parse().unwrap();
/// assert!(pattern.matches("0301234") && !pattern.matches("00441234") && !pattern.matches("03"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    symbols: Vec<Symbol>,
    /// Ends with a dot.
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Symbol {
    Exactly(char),
    /// A digit from this one to 9.
    From(char),
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// It is empty or longer than [`MAX_NUMBER`].
    #[error("must have 1 to 64 characters")]
    Length,
    /// A dot anywhere but at the end.
    #[error("`.` (one or more characters) stands at the end only")]
    Dot,
    /// A character that nobody dials.
    #[error(
        "`{0}` cannot be dialled: use digits, small letters, `+*#-_`, and X, Z, N or a `.` at the end"
    )]
    Character(char),
}

impl std::str::FromStr for Pattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let (head, open) = match text.strip_suffix('.') {
            Some(head) => (head, true),
            None => (text, false),
        };
        let length = text.chars().count();
        if length == 0 || length > MAX_NUMBER {
            return Err(PatternFault::Length);
        }
        let symbols = head.chars().map(|letter| match letter {
            'X' => Ok(Symbol::From('0')),
            'Z' => Ok(Symbol::From('1')),
            'N' => Ok(Symbol::From('2')),
            '.' => Err(PatternFault::Dot),
            '0'..='9' | 'a'..='z' | '+' | '*' | '#' | '-' | '_' => Ok(Symbol::Exactly(letter)),
            other => Err(PatternFault::Character(other)),
        });
        Ok(Self {
            symbols: symbols.collect::<Result<_, _>>()?,
            open,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for symbol in &self.symbols {
            let letter = match symbol {
                Symbol::Exactly(letter) => *letter,
                Symbol::From('0') => 'X',
                Symbol::From('1') => 'Z',
                Symbol::From(_) => 'N',
            };
            write!(f, "{letter}")?;
        }
        f.write_str(if self.open { "." } else { "" })
    }
}

impl Pattern {
    /// Whether a number is meant.
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        let mut letters = number.chars();
        let begins = self.symbols.iter().all(|symbol| {
            letters.next().is_some_and(|letter| match symbol {
                Symbol::Exactly(exactly) => letter == *exactly,
                Symbol::From(least) => (*least..='9').contains(&letter),
            })
        });
        begins && letters.next().is_some() == self.open
    }

    /// Of two patterns that match, the higher one says more about the number: more characters as written, then more digits
    /// of a kind, then a known length.
    #[must_use]
    pub fn precision(&self) -> (usize, usize, bool) {
        let exact = |symbol: &&Symbol| matches!(symbol, Symbol::Exactly(_));
        let exact = self.symbols.iter().filter(exact).count();
        (exact, self.symbols.len() - exact, !self.open)
    }

    /// Fewest characters of a number that matches.
    #[must_use]
    pub fn shortest(&self) -> usize {
        self.symbols.len() + usize::from(self.open)
    }
}

/// One rule of rewriting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Which numbers.
    pub pattern: Pattern,
    /// Characters taken away at the front; fewer than the shortest number has.
    pub strip: usize,
    /// What stands there then.
    pub prepend: String,
}

/// What the first rule that matches makes of a number; without one it stays.
#[must_use]
pub fn rewritten(rules: &[Rewrite], number: &str) -> String {
    let rule = rules.iter().find(|rule| rule.pattern.matches(number));
    match rule {
        Some(rule) => {
            let kept = number.chars().skip(rule.strip);
            rule.prepend.chars().chain(kept).take(MAX_NUMBER).collect()
        }
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_the_whole_number() {
        for (text, number, matches) in [
            ("112", "112", true),
            ("112", "1123", false),
            ("112", "11", false),
            ("8XXX", "8495", true),
            ("8XXX", "849a", false),
            ("8Z0", "800", false),
            ("8N0", "820", true),
            ("8N0", "810", false),
            ("+7.", "+74951234567", true),
            ("+7.", "+7", false),
            (".", "0", true),
            (".", "", false),
            ("*45", "*45", true),
        ] {
            assert_eq!(pattern(text).matches(number), matches, "{text} {number}");
        }
    }

    #[test]
    fn a_faulty_pattern_is_told() {
        for (text, fault) in [
            ("", PatternFault::Length),
            (&"1".repeat(65), PatternFault::Length),
            ("0.1", PatternFault::Dot),
            ("..", PatternFault::Dot),
            ("0 1", PatternFault::Character(' ')),
            ("0Y", PatternFault::Character('Y')),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        for text in ["112", "0XZN.", ".", "*#+-_a"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }

    #[test]
    fn the_pattern_that_says_more_comes_first() {
        let mut patterns = [".", "0.", "0X.", "00.", "112", "0X"].map(pattern);
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.precision()));
        let order: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        assert_eq!(order, ["112", "00.", "0X", "0X.", "0.", "."]);
    }

    #[test]
    fn the_first_rule_that_matches_rewrites() {
        let rule = |text, strip, prepend: &str| Rewrite {
            pattern: pattern(text),
            strip,
            prepend: prepend.into(),
        };
        let rules = [
            rule("8XXXXXXXXXX", 1, "+7"),
            rule("00.", 2, "+"),
            rule("112", 0, ""),
        ];
        assert_eq!(rewritten(&rules, "84951234567"), "+74951234567");
        assert_eq!(rewritten(&rules, "0049301234"), "+49301234");
        assert_eq!(rewritten(&rules, "112"), "112");
        assert_eq!(rewritten(&rules, "2051"), "2051");
    }
}
