//! A message ladder: who sent what to whom, and when. As text it is a test's expectation and a reader's documentation.

use std::fmt::Write as _;
use std::time::Duration;

const COLUMN: usize = 26;

/// One arrow between a phone and the switch.
#[derive(Debug)]
struct Arrow {
    at: Duration,
    phone: String,
    to_switch: bool,
    label: String,
}

/// All arrows so far.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    arrows: Vec<Arrow>,
}

impl Ladder {
    pub(crate) fn add(&mut self, at: Duration, phone: &str, to_switch: bool, label: String) {
        self.arrows.push(Arrow {
            at,
            phone: phone.to_owned(),
            to_switch,
            label,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.arrows.clear();
    }

    pub(crate) fn labels(&self, phone: &str) -> Vec<String> {
        let arrow = |arrow: &Arrow| {
            format!(
                "{} {}",
                if arrow.to_switch { ">" } else { "<" },
                arrow.label
            )
        };
        self.arrows
            .iter()
            .filter(|a| a.phone == phone)
            .map(arrow)
            .collect()
    }

    /// The first phone of the ladder stands left of the switch, all others right of it; time counts from the first arrow.
    pub(crate) fn draw(&self) -> String {
        let mut phones: Vec<&str> = Vec::new();
        for arrow in &self.arrows {
            if !phones.contains(&arrow.phone.as_str()) {
                phones.push(&arrow.phone);
            }
        }
        let mut columns: Vec<&str> = phones.clone();
        columns.insert(columns.len().min(1), "switch");
        let mut text = format!("{:>9}  ", "seconds");
        for column in &columns {
            let _ = write!(text, "{column:<COLUMN$}");
        }
        let mut text = text.trim_end().to_owned() + "\n";
        let zero = self.arrows.first().map_or(Duration::ZERO, |arrow| arrow.at);
        for arrow in &self.arrows {
            let switch = 1;
            let phone = columns
                .iter()
                .position(|column| *column == arrow.phone)
                .unwrap_or(0);
            let (left, right) = (switch.min(phone), switch.max(phone));
            let points_right = arrow.to_switch == (phone < switch);
            let _ = writeln!(
                text,
                "{:>9.3}  {}",
                (arrow.at - zero).as_secs_f64(),
                rungs(&columns, left, right, points_right, &arrow.label).trim_end()
            );
        }
        text
    }
}

fn rungs(columns: &[&str], left: usize, right: usize, points_right: bool, label: &str) -> String {
    let mut line = String::new();
    for column in 0..columns.len() {
        line.push('|');
        if column < left || column >= right {
            line.push_str(&" ".repeat(COLUMN - 1));
        } else if column > left {
            line.pop();
            line.push_str(&"-".repeat(COLUMN));
        } else {
            let room = COLUMN - 5;
            let label: String = label.chars().take(room).collect();
            let start = if points_right { "-" } else { "<" };
            let last = column + 1 == right;
            let end = if points_right && last { ">" } else { "-" };
            line.push_str(&format!(
                "{start} {label} {}{end}",
                "-".repeat(room - label.chars().count())
            ));
        }
    }
    if points_right && right > left + 1 {
        let tip = right * COLUMN - 1;
        line.replace_range(tip..=tip, ">");
    }
    line
}
