//! What the queue log says of why a call went as it went, or an agent was offered a caller or passed over: after the call is over, too,
//! and after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use call::queue_log::{AgentStatus, Choice, Entry, Event, PassedOver};
use call::record::Outcome;

use crate::journal::days;
use crate::queue_log;

/// Calls that are told, at most: the last of a number that has many.
const MAX_CALLS: usize = 20;
/// Lines that are told of an agent, at most: the last of a long day.
const MAX_LINES: usize = 200;
/// Days that are looked through unless one is named: a call may go on over midnight.
const DAYS: usize = 2;

/// What the log says of this call, of calls of this number, and of this agent, on a day (`2026-11-20`, UTC) or lately. None: nothing.
///
/// # Errors
/// A file cannot be read.
pub(super) fn told(folder: &Path, name: &str, day: Option<&str>) -> io::Result<Option<String>> {
    let mut files = days(folder)?;
    match day {
        Some(day) => files.retain(|(of, _)| of == day),
        None => {
            files.drain(..files.len().saturating_sub(DAYS));
        }
    }
    let mut story = Story::new(name);
    for (_, path) in files {
        queue_log::read(&path, |entry| story.take(&entry))?;
    }
    Ok(story.text())
}

/// What is told, entry by entry.
struct Story<'a> {
    name: &'a str,
    /// Calls in the order in which they came, and their lines.
    calls: Vec<(String, Vec<String>)>,
    /// Where in `calls` one stands.
    places: BTreeMap<String, usize>,
    /// Those that wait or talk.
    standing: BTreeSet<String>,
    agent: Vec<String>,
}

impl<'a> Story<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            calls: Vec::new(),
            places: BTreeMap::new(),
            standing: BTreeSet::new(),
            agent: Vec::new(),
        }
    }

    fn take(&mut self, Entry { at, event }: &Entry) {
        self.follow(at, event);
        if let Some((call, words)) = of_call(event)
            && let Some(place) = self.places.get(call)
        {
            let lines = &mut self.calls[*place].1;
            lines.push(format!("  {}  {words}", time(at)));
            lines.extend(below(event).iter().map(|it| format!("              {it}")));
        }
        if let Some(words) = of_agent(event, self.name) {
            let day = at.get(..10).unwrap_or_default();
            self.agent.push(format!("  {day} {}  {words}", time(at)));
        }
    }

    /// Calls come, end, or are cut off.
    fn follow(&mut self, at: &str, event: &Event) {
        match event {
            Event::Joined { call, caller, .. } if call == self.name || caller == self.name => {
                self.standing.insert(call.clone());
                // One that was transferred to a queue is there already.
                if !self.places.contains_key(call) {
                    self.places.insert(call.clone(), self.calls.len());
                    let heading = format!("call {call} of {caller}, by the queue log (UTC):");
                    self.calls.push((heading, Vec::new()));
                }
            }
            Event::Talked { call, .. } | Event::Left { call, .. } => {
                self.standing.remove(call);
            }
            Event::Started => {
                for call in std::mem::take(&mut self.standing) {
                    let line = format!("  {}  cut off: the switch began anew", time(at));
                    self.calls[self.places[&call]].1.push(line);
                }
            }
            Event::Joined { .. }
            | Event::Agent { .. }
            | Event::Status { .. }
            | Event::Full { .. }
            | Event::Offered { .. }
            | Event::Missed { .. }
            | Event::Answered { .. }
            | Event::Vanished { .. }
            | Event::Held { .. }
            | Event::WrappedUp { .. } => {}
        }
    }

    fn text(self) -> Option<String> {
        let skipped = self.calls.len().saturating_sub(MAX_CALLS);
        let mut lines: Vec<String> = Vec::new();
        for (heading, told) in self.calls.into_iter().skip(skipped) {
            lines.push(heading);
            lines.extend(told);
        }
        if !self.agent.is_empty() {
            lines.push(format!("agent {}, by the queue log (UTC):", self.name));
            let skipped = self.agent.len().saturating_sub(MAX_LINES);
            if skipped > 0 {
                lines.push(format!("  {skipped} lines before"));
            }
            lines.extend(self.agent.into_iter().skip(skipped));
        }
        (!lines.is_empty()).then(|| lines.join("\n") + "\n")
    }
}

/// The time of day of a moment of the log.
fn time(at: &str) -> &str {
    at.get(11..19).unwrap_or(at)
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1_000.0)
}

/// The call that the event is of, and what it says; none: it is of no call.
fn of_call(event: &Event) -> Option<(&String, String)> {
    match event {
        Event::Joined { call, queue, .. } => Some((call, format!("waits in {queue}"))),
        Event::Offered {
            call,
            agent,
            choice,
            ..
        } => {
            let why = choice.words();
            Some((call, format!("the phone of {agent} rings: {why}")))
        }
        Event::Missed {
            call,
            agent,
            failure,
            ..
        } => Some((call, format!("{agent} {}", failure.words()))),
        Event::Answered {
            call,
            agent,
            wait_ms,
            ..
        } => {
            let wait = seconds(*wait_ms);
            Some((call, format!("{agent} answers, after {wait}")))
        }
        Event::Vanished { call, agent, .. } => {
            Some((call, format!("{agent} was gone at once: waits on")))
        }
        Event::Held {
            call,
            agent,
            hold_ms,
            ..
        } => {
            let hold = seconds(*hold_ms);
            Some((call, format!("was on hold with {agent} for {hold}")))
        }
        Event::Talked {
            call,
            agent,
            talk_ms,
            ..
        } => {
            let talk = seconds(*talk_ms);
            Some((call, format!("has talked with {agent} for {talk}")))
        }
        Event::Left {
            call,
            queue,
            outcome,
            wait_ms,
        } => Some((call, left(queue, *outcome, &seconds(*wait_ms)))),
        Event::Started
        | Event::Agent { .. }
        | Event::Status { .. }
        | Event::Full { .. }
        | Event::WrappedUp { .. } => None,
    }
}

/// How a caller left a queue.
fn left(queue: &str, outcome: Outcome, wait: &str) -> String {
    let how = match outcome {
        Outcome::Answered => "answered",
        Outcome::Abandoned => "hung up",
        Outcome::ExitKey => "pressed the exit key",
        Outcome::Moved => "was led elsewhere by a command",
        Outcome::MaxWaitTime => "had waited for max_wait_time",
        Outcome::NoAgent => "nobody was there for max_wait_time_with_no_agent",
        Outcome::Closed => "the queue or the switch ended",
    };
    format!("leaves {queue} unserved after {wait}: {how}")
}

/// Who was passed over when the phone rang.
fn below(event: &Event) -> Vec<String> {
    let Event::Offered { choice, .. } = event else {
        return Vec::new();
    };
    let named = choice.passed_over.iter().map(passed_over);
    named.chain(rest(choice)).collect()
}

fn passed_over(it: &PassedOver) -> String {
    format!("not {}: {}", it.agent, held(it))
}

fn held(it: &PassedOver) -> String {
    let until = it.until.as_ref();
    let until = until.map(|until| format!(" until {}", time(until)));
    it.rule.told(&until.unwrap_or_default())
}

/// Those who are not named.
fn rest(choice: &Choice) -> Option<String> {
    let counted = choice.others.iter();
    let mut words: Vec<String> = counted
        .map(|(rule, count)| format!("{count} {rule}"))
        .collect();
    if choice.unseen > 0 {
        words.push(format!("{} not looked at for the log", choice.unseen));
    }
    (!words.is_empty()).then(|| format!("nor others: {}", words.join(", ")))
}

/// What the event says of the agent; none: nothing.
fn of_agent(event: &Event, name: &str) -> Option<String> {
    match event {
        Event::Status { agent, status } if agent == name => Some(match status {
            AgentStatus::Available => "is available from now".to_owned(),
            AgentStatus::OnDemand => "is available, one call at a time, from now".to_owned(),
            AgentStatus::OnBreak { reason } => format!("begins a break ({reason})"),
            AgentStatus::LoggedOut => "logs out".to_owned(),
        }),
        Event::Offered {
            call,
            queue,
            agent,
            choice,
        } => {
            if agent == name {
                let why = choice.words();
                return Some(format!("call {call} in {queue}: its phone rings: {why}"));
            }
            let mut named = choice.passed_over.iter();
            let it = named.find(|it| it.agent == name)?;
            let why = held(it);
            Some(format!(
                "call {call} in {queue}: passed over for {agent}: {why}"
            ))
        }
        Event::Missed {
            call,
            agent,
            failure,
            ..
        } if agent == name => Some(format!("call {call}: it {}", failure.words())),
        Event::Answered { call, agent, .. } if agent == name => {
            Some(format!("call {call}: it answers"))
        }
        Event::Vanished { call, agent, .. } if agent == name => {
            Some(format!("call {call}: it was gone at once"))
        }
        Event::Talked {
            call,
            agent,
            talk_ms,
            ..
        } if agent == name => {
            let talk = seconds(*talk_ms);
            Some(format!("call {call}: it has talked for {talk}"))
        }
        Event::WrappedUp { agent, .. } if agent == name => Some("its wrap-up is over".to_owned()),
        Event::Started
        | Event::Agent { .. }
        | Event::Status { .. }
        | Event::Joined { .. }
        | Event::Full { .. }
        | Event::Missed { .. }
        | Event::Answered { .. }
        | Event::Vanished { .. }
        | Event::Held { .. }
        | Event::Talked { .. }
        | Event::Left { .. }
        | Event::WrappedUp { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::journal::{Line, day_file};

    const LOG: &str = r#"
        12:00:00 {"event":"started"}
        12:00:01 {"event":"joined","call":"a-1","queue":"support","caller":"300"}
        12:00:01 {"event":"offered","call":"a-1","queue":"support","agent":"203","level":1,"by":"idle","idle_ms":61000,"passed_over":[{"agent":"201","rule":"wrap-up","until":"2026-11-20T12:00:30.000Z"},{"agent":"202","rule":"unregistered"}],"others":{"talking":3},"unseen":7}
        12:00:16 {"event":"missed","call":"a-1","queue":"support","agent":"203","failure":"no-answer"}
        12:00:30 {"event":"offered","call":"a-1","queue":"support","agent":"201","level":1,"by":"idle","idle_ms":30000,"passed_over":[{"agent":"203","rule":"rests","after":"no-answer","until":"2026-11-20T12:00:46.000Z"}]}
        12:00:32 {"event":"answered","call":"a-1","queue":"support","agent":"201","wait_ms":31000}
        12:00:50 {"event":"held","call":"a-1","queue":"support","agent":"201","hold_ms":5000}
        12:01:02 {"event":"talked","call":"a-1","queue":"support","agent":"201","talk_ms":30000}
        12:02:00 {"event":"joined","call":"a-2","queue":"support","caller":"300"}
        12:03:00 {"event":"started"}
    "#;

    /// A folder with the log, whose last line a kill left unfinished.
    fn folder() -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("ringmaster-decided-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut octets = Vec::new();
        for line in LOG.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (time, event) = line.split_once(' ').unwrap();
            let entry = Entry {
                at: format!("2026-11-20T{time}.000Z"),
                event: serde_json::from_str(event).unwrap(),
            };
            entry.write(&mut octets);
            octets.push(b'\n');
        }
        octets.extend_from_slice(b"{\"at\":\"2026-11-20T12:03");
        fs::write(day_file(&folder, "2026-11-20"), octets).unwrap();
        folder
    }

    #[test]
    fn a_call_that_is_over_and_an_agent_are_told_by_the_log() {
        let folder = folder();
        let call = told(&folder, "a-1", None).unwrap().unwrap();
        let number = told(&folder, "300", Some("2026-11-20")).unwrap().unwrap();
        let agent = told(&folder, "203", None).unwrap().unwrap();
        let nobody = told(&folder, "999", None).unwrap();
        let other_day = told(&folder, "300", Some("2026-11-21")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            call,
            "\
call a-1 of 300, by the queue log (UTC):
  12:00:01  waits in support
  12:00:01  the phone of 203 rings: level 1, idle longest, for 61 s
              not 201: wraps up until 12:00:30
              not 202: its phone is not registered
              nor others: 3 talking, 7 not looked at for the log
  12:00:16  203 did not answer
  12:00:30  the phone of 201 rings: level 1, idle longest, for 30 s
              not 203: rests until 12:00:46: it did not answer
  12:00:32  201 answers, after 31.0 s
  12:00:50  was on hold with 201 for 5.0 s
  12:01:02  has talked with 201 for 30.0 s
"
        );
        assert!(number.starts_with(&call), "{number}");
        assert!(
            number.ends_with("  12:03:00  cut off: the switch began anew\n"),
            "{number}"
        );
        assert_eq!(
            agent,
            "\
agent 203, by the queue log (UTC):
  2026-11-20 12:00:01  call a-1 in support: its phone rings: level 1, idle longest, for 61 s
  2026-11-20 12:00:16  call a-1: it did not answer
  2026-11-20 12:00:30  call a-1 in support: passed over for 201: rests until 12:00:46: it did not answer
"
        );
        assert_eq!((nobody, other_day), (None, None));
    }
}
