//! The story as people read it: a message ladder with times, and a record with indents.

use std::time::Instant;

use crate::log::say;

/// Between the customer's column and the switch's, and between the switch's and the agent's.
const WIDTH: usize = 22;

/// Who speaks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrow {
    /// Customer to switch.
    FromCustomer,
    /// Switch to customer.
    ToCustomer,
    /// Switch to agent.
    ToAgent,
    /// Agent to switch.
    FromAgent,
    /// Customer and agent, through the switch.
    Both,
}

/// Prints line after line.
#[derive(Debug)]
pub(super) struct Ladder {
    began: Instant,
}

impl Ladder {
    pub(super) fn new(customer: &str, agent: &str) -> Self {
        let began = Instant::now();
        let column = WIDTH + 1;
        say(format_args!(
            "\n{:12}{:<column$}{:<column$}agent {agent}",
            "",
            format!("customer {customer}"),
            "switch"
        ));
        Self { began }
    }

    /// One line: when, who to whom, what, and a remark.
    pub(super) fn line(&self, at: Instant, arrow: Arrow, what: &str, remark: &str) {
        let seconds = at.saturating_duration_since(self.began).as_secs_f64();
        let line = format!("{seconds:7.3} s   {}   {remark}", columns(arrow, what));
        say(line.trim_end());
    }
}

fn columns(arrow: Arrow, what: &str) -> String {
    let nothing = " ".repeat(WIDTH);
    let right = |what| format!("{}>", dashes(what, WIDTH - 1));
    let left = |what| format!("<{}", dashes(what, WIDTH - 1));
    match arrow {
        Arrow::FromCustomer => format!("|{}|{nothing}|", right(what)),
        Arrow::ToCustomer => format!("|{}|{nothing}|", left(what)),
        Arrow::ToAgent => format!("|{nothing}|{}|", right(what)),
        Arrow::FromAgent => format!("|{nothing}|{}|", left(what)),
        Arrow::Both => format!("|<{}>|", dashes(what, 2 * WIDTH - 1)),
    }
}

/// `--- what ------`
fn dashes(what: &str, width: usize) -> String {
    format!("{:-<width$}", format!("--- {what} "))
}

/// JSON of one line with an indent for each level; names and values stay in their order.
pub(super) fn indented(json: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let mut quoted = false;
    let mut escaped = false;
    let mut characters = json.trim().chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    while let Some(character) = characters.next() {
        match character {
            '"' if !escaped => quoted = !quoted,
            '{' | '[' if !quoted => {
                text.push(character);
                // Nothing inside stays on its line.
                if let Some(close @ ('}' | ']')) = characters.peek().copied() {
                    text.push(close);
                    characters.next();
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
                continue;
            }
            '}' | ']' if !quoted => {
                depth -= 1;
                line(&mut text, depth);
            }
            _ => {}
        }
        escaped = quoted && character == '\\' && !escaped;
        text.push(character);
        match character {
            ',' if !quoted => line(&mut text, depth),
            ':' if !quoted => text.push(' '),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_of_the_ladder_are_equally_wide() {
        for arrow in [
            Arrow::FromCustomer,
            Arrow::ToCustomer,
            Arrow::ToAgent,
            Arrow::FromAgent,
            Arrow::Both,
        ] {
            assert_eq!(
                columns(arrow, "INVITE 700").len(),
                2 * WIDTH + 3,
                "{arrow:?}"
            );
        }
        assert_eq!(
            columns(Arrow::ToAgent, "BYE"),
            "|                      |--- BYE ------------->|"
        );
        assert_eq!(
            columns(Arrow::ToCustomer, "200 OK"),
            "|<--- 200 OK ----------|                      |"
        );
    }

    #[test]
    fn a_record_keeps_its_order_and_its_texts() {
        let json = r#"{"call":"a, \"b\": {1}","legs":[{"n":1},{"n":2}],"none":[],"map":{}}"#;
        let expected = "{
  \"call\": \"a, \\\"b\\\": {1}\",
  \"legs\": [
    {
      \"n\": 1
    },
    {
      \"n\": 2
    }
  ],
  \"none\": [],
  \"map\": {}
}";
        assert_eq!(indented(json), expected);
        let value: serde_json::Value = serde_json::from_str(&indented(json)).unwrap();
        assert_eq!(
            value,
            serde_json::from_str::<serde_json::Value>(json).unwrap()
        );
    }
}
