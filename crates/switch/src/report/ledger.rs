//! What the entries of the queue log amount to: callers and what became of them, and spans of the time of agents.

use std::collections::BTreeMap;
use std::ops::Range;

use call::queue_log::{AgentStatus, Entry, Event};

use super::period::Moment;
use crate::service::Fate;

/// One thing to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A caller's wait is over.
    Caller {
        queue: String,
        fate: Fate,
        joined: Moment,
        /// In milliseconds.
        wait: i64,
        /// Who answered.
        agent: Option<String>,
    },
    /// An agent's phone rang, and nobody took the call.
    Missed { agent: String, at: Moment },
    /// An agent did this for so long.
    Spent {
        agent: String,
        on: On,
        time: Range<Moment>,
    },
}

impl Fact {
    /// From when to when it may count.
    pub(super) fn extent(&self) -> (Moment, Moment) {
        match self {
            Self::Caller { joined, .. } => (*joined, *joined),
            Self::Missed { at, .. } => (*at, *at),
            Self::Spent { time, .. } => (time.start, time.end),
        }
    }
}

/// What an agent's time is spent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// A conversation of this queue; it counts where it ends.
    Talk(String),
    /// Part of a conversation of this queue, while one held the other.
    Hold(String),
    /// Work after a conversation of this queue; none: the log does not say of which.
    WrapUp(Option<String>),
    /// Logged in, and no break.
    Available,
    /// A break for this reason.
    Break(String),
}

/// A caller who waits or talks.
#[derive(Clone, Debug)]
struct Caller {
    queue: String,
    joined: Moment,
    /// How long it waited, and who answered.
    answered: Option<(i64, String)>,
}

/// Entry by entry.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    facts: Vec<Fact>,
    callers: BTreeMap<String, Caller>,
    statuses: BTreeMap<String, (AgentStatus, Moment)>,
    /// The queue of each agent's last conversation: it wraps up for that one.
    served: BTreeMap<String, String>,
    /// The last entry.
    until: Moment,
}

impl Ledger {
    /// The next entry. One without a moment is none.
    pub(super) fn take(&mut self, entry: Entry) {
        let Ok(at) = entry.at.parse::<jiff::Timestamp>() else {
            return;
        };
        let at = at.as_millisecond();
        match entry.event {
            Event::Started => self.begin_anew(),
            Event::Agent { agent, status, .. } | Event::Status { agent, status } => {
                self.turn_to(agent, Some(status), at);
            }
            Event::Joined { call, queue, .. } => {
                let caller = Caller {
                    queue,
                    joined: at,
                    answered: None,
                };
                self.callers.insert(call, caller);
            }
            Event::Full { queue, led_on } => {
                let fate = if led_on { Fate::Overflow } else { Fate::Full };
                self.caller(queue, fate, at, 0, None);
            }
            Event::Missed { agent, .. } => self.facts.push(Fact::Missed { agent, at }),
            Event::Answered {
                call,
                queue,
                agent,
                wait_ms,
            } => {
                let wait = millis(wait_ms);
                let caller = Caller {
                    queue,
                    joined: at - wait,
                    answered: Some((wait, agent)),
                };
                self.callers.insert(call, caller);
            }
            Event::Vanished { call, .. } => {
                if let Some(caller) = self.callers.get_mut(&call) {
                    caller.answered = None;
                }
            }
            Event::Held {
                queue,
                agent,
                hold_ms,
                ..
            } => self.spent(agent, On::Hold(queue), at - millis(hold_ms)..at),
            Event::Talked {
                call,
                queue,
                agent,
                talk_ms,
            } => self.talked(&call, queue, agent, at - millis(talk_ms)..at),
            Event::Left {
                call,
                queue,
                outcome,
                wait_ms,
            } => {
                self.callers.remove(&call);
                let wait = millis(wait_ms);
                self.caller(queue, outcome.into(), at - wait, wait, None);
            }
            Event::WrappedUp { agent, wrap_up_ms } => {
                let queue = self.served.get(&agent).cloned();
                self.spent(agent, On::WrapUp(queue), at - millis(wrap_up_ms)..at);
            }
            Event::Offered { .. } => {}
        }
        self.until = self.until.max(at);
    }

    /// What there is to count, since when callers wait who still do, and the moment of the last entry.
    pub(super) fn close(mut self) -> (Vec<Fact>, Vec<Moment>, Moment) {
        let waiting = self.callers.values().filter(|it| it.answered.is_none());
        let waiting = waiting.map(|it| it.joined).collect();
        self.settle();
        (self.facts, waiting, self.until)
    }

    fn talked(&mut self, call: &str, queue: String, agent: String, time: Range<Moment>) {
        if let Some(caller) = self.callers.remove(call)
            && let Some((wait, by)) = caller.answered
        {
            self.caller(caller.queue, Fate::Answered, caller.joined, wait, Some(by));
        }
        self.served.insert(agent.clone(), queue.clone());
        self.spent(agent, On::Talk(queue), time);
    }

    fn caller(
        &mut self,
        queue: String,
        fate: Fate,
        joined: Moment,
        wait: i64,
        agent: Option<String>,
    ) {
        self.facts.push(Fact::Caller {
            queue,
            fate,
            joined,
            wait,
            agent,
        });
    }

    fn spent(&mut self, agent: String, on: On, time: Range<Moment>) {
        self.facts.push(Fact::Spent { agent, on, time });
    }

    /// An agent's status until now counts, and this one begins.
    fn turn_to(&mut self, agent: String, status: Option<AgentStatus>, at: Moment) {
        let before = match status {
            Some(status) => self.statuses.insert(agent.clone(), (status, at)),
            None => self.statuses.remove(&agent),
        };
        let Some((before, since)) = before else {
            return;
        };
        let on = match before {
            AgentStatus::Available | AgentStatus::OnDemand => On::Available,
            AgentStatus::OnBreak { reason } => On::Break(reason),
            AgentStatus::LoggedOut => return,
        };
        self.spent(agent, on, since..at);
    }

    /// The switch began: whoever waited then is gone, and nobody knows what agents did since the last entry.
    fn begin_anew(&mut self) {
        let waiting = self.callers.extract_if(.., |_, it| it.answered.is_none());
        for (_, caller) in waiting.collect::<Vec<_>>() {
            let wait = self.until.saturating_sub(caller.joined).max(0);
            self.caller(caller.queue, Fate::Closed, caller.joined, wait, None);
        }
        self.settle();
    }

    /// Who talks was answered, for how long nobody knows; agents were until then what they are.
    fn settle(&mut self) {
        let until = self.until;
        for caller in std::mem::take(&mut self.callers).into_values() {
            if let Some((wait, by)) = caller.answered {
                self.caller(caller.queue, Fate::Answered, caller.joined, wait, Some(by));
            }
        }
        let agents: Vec<String> = self.statuses.keys().cloned().collect();
        for agent in agents {
            self.turn_to(agent, None, until);
        }
    }
}

fn millis(time: u64) -> i64 {
    i64::try_from(time).unwrap_or_default()
}
