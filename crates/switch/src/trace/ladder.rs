//! A call as a ladder: the switch between its parties, a column each.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Direction;
use super::book::Entry;
use super::text::{printable, time};

/// From one column to the next, in letters.
const WIDTH: usize = 27;
/// Before the first column: the time and two blanks.
const MARGIN: usize = 14;
/// Ladders whose columns are remembered; then all are begun anew.
const MAX_LADDERS: usize = 1_024;

/// One leg.
#[derive(Debug)]
struct Party {
    call_id: String,
    name: String,
    address: SocketAddr,
    transport: &'static str,
}

/// Draws message after message. What a ladder is of, and its columns, are told where they change.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    /// What the last line was of.
    group: Option<String>,
    parties: HashMap<String, Vec<Party>>,
}

impl Ladder {
    /// A dialog turned out to belong to a call: the ladder begun with it goes on as the call's.
    pub(super) fn rename(&mut self, call_id: &str, call: &str) {
        if let Some(mut begun) = self.parties.remove(call_id) {
            let ladder = self.parties.entry(call.to_owned()).or_default();
            begun.extend(std::mem::take(ladder));
            *ladder = begun;
        }
        if self.group.as_deref() == Some(call_id) {
            // The next line tells the call's name.
            self.group = None;
        }
    }

    /// The lines for a message.
    pub(super) fn draw(&mut self, entry: &Entry) -> String {
        if self.parties.len() >= MAX_LADDERS && !self.parties.contains_key(&entry.group) {
            self.parties.clear();
            self.group = None;
        }
        let parties = self.parties.entry(entry.group.clone()).or_default();
        let known = parties
            .iter()
            .position(|party| party.call_id == entry.facts.call_id);
        let mut text = String::new();
        if known.is_none() {
            parties.push(Party::of(entry));
        }
        let index = known.unwrap_or(parties.len() - 1);
        if known.is_none() || self.group.as_ref() != Some(&entry.group) {
            head(&entry.group, parties, &mut text);
            self.group = Some(entry.group.clone());
        }
        let arrow = arrow(index, parties.len(), entry);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {arrow}", time(entry.passed.at));
        text
    }
}

impl Party {
    fn of(entry: &Entry) -> Self {
        let facts = &entry.facts;
        // Who sent the request stands in From; its answers repeat that (RFC 3261 section 8.2.6.2).
        let peer_asks = (entry.passed.direction == Direction::Received) == facts.is_request;
        Self {
            call_id: facts.call_id.clone(),
            name: printable(if peer_asks { &facts.from } else { &facts.to }.as_bytes()),
            address: entry.passed.flow.remote,
            transport: entry.passed.flow.transport.name(),
        }
    }
}

/// The place of a party: the first stands left of the switch, the others right of it.
fn column(index: usize) -> usize {
    if index == 0 { 0 } else { (index + 1) * WIDTH }
}

fn head(group: &str, parties: &[Party], text: &mut String) {
    let mut names = " ".repeat(MARGIN);
    let mut addresses = names.clone();
    for (index, party) in parties.iter().enumerate() {
        let _ = write!(names, "{:<WIDTH$}", cut(&party.name));
        let _ = write!(
            addresses,
            "{:<WIDTH$}",
            cut(&format!("{} {}", party.transport, party.address))
        );
        if index == 0 {
            let _ = write!(names, "{:<WIDTH$}", "switch");
            let _ = write!(addresses, "{:WIDTH$}", "");
        }
    }
    let group = printable(group.as_bytes());
    let _ = writeln!(
        text,
        "\n{group}\n{}\n{}",
        names.trim_end(),
        addresses.trim_end()
    );
}

/// Two columns must stay apart.
fn cut(name: &str) -> String {
    name.chars().take(WIDTH - 1).collect()
}

/// `|--- INVITE 700 SDP ----->|                          |`
fn arrow(index: usize, parties: usize, entry: &Entry) -> String {
    let columns = parties.max(1) + 1;
    let mut line: Vec<char> = vec![' '; (columns - 1) * WIDTH + 1];
    for column in 0..columns {
        line[column * WIDTH] = '|';
    }
    let (low, high) = if index == 0 {
        (0, WIDTH)
    } else {
        (WIDTH, column(index))
    };
    // Past the columns of others the line is only a line.
    for place in &mut line[low + 1..high] {
        *place = '-';
    }
    let to_right = (entry.passed.direction == Direction::Received) == (index == 0);
    if to_right {
        line[high - 1] = '>';
    } else {
        line[low + 1] = '<';
    }
    let label = format!(" {} ", entry.facts.label);
    let near = high - WIDTH + 4;
    for (place, letter) in line[near..high - 2].iter_mut().zip(label.chars()) {
        *place = letter;
    }
    line.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use sip::{Flow, Transport};

    use super::*;
    use crate::trace::Passed;
    use crate::trace::text::Facts;

    fn entry(direction: Direction, call_id: &str, remote: &str, label: &str) -> Entry {
        Entry {
            passed: Passed {
                at: Duration::from_millis(1_795_209_600_123),
                direction,
                flow: Flow {
                    transport: Transport::Udp,
                    local: "192.0.2.1:5060".parse().unwrap(),
                    remote: remote.parse().unwrap(),
                },
                octets: Bytes::new(),
            },
            facts: Facts {
                call_id: call_id.into(),
                from: "205".into(),
                to: "201".into(),
                is_request: !label.starts_with(|first: char| first.is_ascii_digit()),
                label: label.into(),
                ..Facts::default()
            },
            group: "call-5".into(),
        }
    }

    #[test]
    fn a_call_is_a_ladder_with_the_switch_between_its_parties() {
        let mut ladder = Ladder::default();
        let customer = |direction, label| entry(direction, "a", "192.0.2.7:5062", label);
        let agent = |direction, label| entry(direction, "b", "192.0.2.8:5064", label);
        let third = |direction, label| entry(direction, "c", "[2001:db8::9]:5066", label);
        let drawn: String = [
            customer(Direction::Received, "INVITE 700 SDP"),
            agent(Direction::Sent, "INVITE 201 SDP"),
            agent(Direction::Received, "180 Ringing"),
            third(Direction::Sent, "INVITE 202 of a name that is far too long"),
            third(Direction::Received, "486 Busy Here"),
            customer(Direction::Sent, "200 OK SDP"),
        ]
        .iter()
        .map(|entry| ladder.draw(entry))
        .collect();
        let expected = "
call-5
              205                        switch
              udp 192.0.2.7:5062
21:20:00.123  |--- INVITE 700 SDP ------>|

call-5
              205                        switch                     201
              udp 192.0.2.7:5062                                    udp 192.0.2.8:5064
21:20:00.123  |                          |--- INVITE 201 SDP ------>|
21:20:00.123  |                          |<-- 180 Ringing ----------|

call-5
              205                        switch                     201                        201
              udp 192.0.2.7:5062                                    udp 192.0.2.8:5064         udp [2001:db8::9]:5066
21:20:00.123  |                          |------------------------------ INVITE 202 of a name->|
21:20:00.123  |                          |<----------------------------- 486 Busy Here --------|
21:20:00.123  |<-- 200 OK SDP -----------|                          |                          |
";
        assert_eq!(drawn, expected, "{drawn}");
    }

    #[test]
    fn a_ladder_that_was_begun_before_its_call_was_known_goes_on() {
        let mut ladder = Ladder::default();
        let mut invite = entry(Direction::Received, "a", "192.0.2.7:5062", "INVITE 700");
        invite.group = "a".into();
        assert!(ladder.draw(&invite).starts_with("\na\n"));
        ladder.rename("a", "call-5");
        invite.group = "call-5".into();
        assert!(ladder.draw(&invite).starts_with("\ncall-5\n"));
        assert_eq!(ladder.draw(&invite).lines().count(), 1);
    }
}
