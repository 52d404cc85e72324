//! Why a call, or an agent, is where it is: in words, for whoever asks at a shell.

use std::fmt::Write as _;
use std::time::Instant;

use media::quality;
use queue::{AgentId, Candidate, Held, Status, Why};

use super::{Call, Exchange};
use crate::leg::Leg;
use crate::queue_log::Rule;
use crate::state::State;
use crate::trouble;

/// Calls that are told at most: one number may have many.
const MAX_CALLS: usize = 20;
/// Waiting callers that are told for an agent, at most: those who came first.
const MAX_CALLERS: usize = 20;

impl Exchange {
    /// Why what bears this name is where it is: a call by its name, its caller's number or what was dialled, or an agent. Each
    /// reason says how long it holds, if that is known. None: nothing bears the name.
    #[must_use]
    pub fn why(&self, name: &str, now: Instant) -> Option<String> {
        let mut text = String::new();
        let agent = AgentId(name.into());
        if let Some(state) = self.board.queue.state(&agent) {
            self.tell_agent(&agent, state, now, &mut text);
        }
        let named = self
            .calls
            .values()
            .filter(|call| call.body.draft.is_named(name));
        for call in named.take(MAX_CALLS) {
            self.tell_call(call, now, &mut text);
        }
        (!text.is_empty()).then_some(text)
    }

    fn tell_call(&self, call: &Call, now: Instant, text: &mut String) {
        let (draft, state) = (&call.body.draft, &call.state);
        line(text, format_args!("{}: {}", draft.told(now), state.words()));
        for leg in call.body.legs.values() {
            tell_sound(leg, text);
        }
        let State::Queued(queued) = state else {
            return;
        };
        let Some(why) = self.board.queue.why(queued.ticket(), now) else {
            return;
        };
        let Why {
            queue,
            position,
            score,
            candidates,
        } = why;
        line(
            text,
            format_args!(
                "  waits in {} at place {position}, with a score of {:.0} s",
                queue.0,
                score.as_secs_f64()
            ),
        );
        if let Some(expected) = self.board.queue.expected_wait(queued.ticket(), 50) {
            let seconds = expected.as_secs();
            line(
                text,
                format_args!("  half of those at this place wait less than {seconds} s more"),
            );
        }
        if candidates.is_empty() {
            line(
                text,
                format_args!("  nobody serves {}: give it agents in queues.toml", queue.0),
            );
        }
        for Candidate {
            agent,
            level,
            position,
            held,
        } in candidates
        {
            let reason = match &held {
                Some(held) => self.reason(held, queued.ticket(), now),
                None => "free, and its turn".to_owned(),
            };
            line(
                text,
                format_args!(
                    "  agent {} (level {level}, position {position}): {reason}",
                    agent.0
                ),
            );
        }
    }

    fn tell_agent(&self, agent: &AgentId, state: queue::State, now: Instant, text: &mut String) {
        let queue = &self.board.queue;
        let status = match queue.status(agent) {
            Some(Status::Available) => "available".to_owned(),
            Some(Status::OnDemand) => "available, one call at a time (on demand)".to_owned(),
            Some(Status::OnBreak(reason)) => format!("on break ({})", reason.0),
            Some(Status::LoggedOut) => "logged out".to_owned(),
            None => "removed from the configuration, until its conversation ends".to_owned(),
        };
        let does = match state {
            queue::State::Idle => "does nothing",
            queue::State::Offered(_) => "its phone rings",
            queue::State::Talking(_) => "talks",
            queue::State::WrapUp { .. } => "wraps up",
            queue::State::Parked => "has had its call",
        };
        line(text, format_args!("agent {}: {status}; {does}", agent.0));
        match queue.held(agent) {
            Some(held) => {
                let reason = self.reason(&held, queue::Ticket(0), now);
                line(text, format_args!("  is offered nobody: {reason}"));
            }
            None => line(text, format_args!("  is free for whoever may have it")),
        }
        let of_it = self.calls.values().filter_map(|call| {
            let State::Queued(queued) = &call.state else {
                return None;
            };
            let ticket = queued.ticket();
            let candidate = queue.why_not(ticket, agent, now)?;
            Some((call, ticket, candidate.held))
        });
        for (call, ticket, held) in of_it.take(MAX_CALLERS) {
            let reason = match &held {
                Some(held) => self.reason(held, ticket, now),
                None => "may have this one".to_owned(),
            };
            let place = queue.position(ticket).unwrap_or_default();
            line(
                text,
                format_args!(
                    "  {}, at place {place}: {reason}",
                    call.body.draft.told(now)
                ),
            );
        }
    }

    /// What holds an agent back, towards the caller of this ticket.
    pub(super) fn reason(&self, held: &Held, ticket: queue::Ticket, now: Instant) -> String {
        let (rule, until) = Rule::of(held, ticket);
        let time = until.map(|until| {
            let left = until.saturating_duration_since(now);
            format!(" for {:.1} s more", left.as_secs_f64())
        });
        rule.told(&time.unwrap_or_default())
    }
}

/// How a leg is heard, and hears, at the moment.
fn tell_sound(leg: &Leg, text: &mut String) {
    let (Some(stats), Some(agreed)) = (&leg.figures, &leg.agreed) else {
        return;
    };
    let mut words = format!(
        "  sound of {} ({}): {:.1} % lost, jitter {} ms",
        leg.account.0,
        agreed.codec.name(),
        stats.loss() * 100.0,
        stats.jitter.as_millis(),
    );
    if let Some(trip) = stats.round_trip {
        words += &format!(", round trip {} ms", trip.as_millis());
    }
    if let Some(mos) = quality::mos(stats) {
        words += &format!(", MOS {mos:.1}");
    }
    if let Some(mos) = quality::reported_mos(stats) {
        words += &format!("; it hears MOS {mos:.1}");
    }
    if let Some(trouble) = trouble::of(stats, agreed) {
        words += &format!("; {trouble}");
    }
    line(text, format_args!("{words}"));
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("invariant: writing to a String cannot fail");
}
