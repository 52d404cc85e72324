//! A message in words, safe to print: what strangers write may hold what terminals take for commands.

use std::fmt::Write as _;
use std::time::Duration;

use sip::{Message, Method};

use super::Passed;

/// What the trace must know of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Empty for what is no message.
    pub(super) call_id: String,
    /// The user parts of From, To and the Request-URI.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) dialled: String,
    pub(super) is_request: bool,
    /// The message in a few words: `INVITE 700 SDP`, `180 Ringing`.
    pub(super) label: String,
}

impl Facts {
    pub(super) fn of(passed: &Passed) -> Self {
        let Ok(message) = Message::parse(passed.octets.clone()) else {
            return Self {
                label: first_line(&passed.octets),
                ..Self::default()
            };
        };
        let user = |uri: Option<sip::uri::Uri<'_>>| {
            uri.and_then(|uri| Some(uri.user()?.into_owned()))
                .unwrap_or_default()
        };
        let mut facts = Self {
            call_id: message.call_id().unwrap_or_default().to_owned(),
            from: user(message.from().map(|from| from.uri)),
            to: user(message.to().map(|to| to.uri)),
            dialled: user(message.uri()),
            is_request: message.is_request(),
            label: String::new(),
        };
        let label = match (message.method(), message.status()) {
            (Some(Method::Register), _) => format!("REGISTER {}", facts.to),
            (Some(method), _) => format!("{} {}", method.as_str(), facts.dialled),
            (None, Some(status)) => {
                format!(
                    "{} {}",
                    status.0,
                    message.reason_phrase().unwrap_or_default()
                )
            }
            (None, None) => String::new(),
        };
        let describes = message.body().starts_with(b"v=0");
        facts.label = printable(label.trim_end().as_bytes());
        facts.label.push_str(if describes { " SDP" } else { "" });
        facts
    }
}

/// The first line, printable.
pub(super) fn first_line(octets: &[u8]) -> String {
    let end = octets.iter().position(|octet| b"\r\n".contains(octet));
    printable(&octets[..end.unwrap_or(octets.len())])
}

/// A whole message, each line behind an indent.
pub(super) fn indented(octets: &[u8], text: &mut String) {
    for line in octets.split(|octet| *octet == b'\n') {
        let line = printable(line.strip_suffix(b"\r").unwrap_or(line));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", format!("    {line}").trim_end());
    }
}

/// Text without anything that a terminal would obey.
pub(super) fn printable(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for letter in String::from_utf8_lossy(octets).chars() {
        if letter.is_control() {
            text.extend(letter.escape_default());
        } else {
            text.push(letter);
        }
    }
    text
}

/// The time of day in UTC, as in the log: `21:20:00.123`.
pub(super) fn time(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since_1970.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_writes_gives_the_terminal_no_commands() {
        assert_eq!(
            printable(b"a\x1b[2Jb\xff\r\x9b"),
            "a\\u{1b}[2Jb\u{fffd}\\r\u{fffd}"
        );
        assert_eq!(printable("Zoë\u{9b}".as_bytes()), "Zoë\\u{9b}");
        assert_eq!(
            first_line(b"OPTIONS sip:a SIP/2.0\r\nVia: x"),
            "OPTIONS sip:a SIP/2.0"
        );
        let mut text = String::new();
        indented(b"a\r\n\r\nb\x07", &mut text);
        assert_eq!(text, "    a\n\n    b\\u{7}\n");
    }

    #[test]
    fn times_are_those_of_the_day_in_utc() {
        assert_eq!(
            time(Duration::from_millis(1_795_209_600_123)),
            "21:20:00.123"
        );
    }
}
