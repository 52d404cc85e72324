//! The queue log: what happened in the queues, one entry for each event, from which reports are made and agents get back after a
//! restart what they were before it.

mod reasons;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use queue::{
    AgentId, BreakReason, Candidate, CustomerId, Departure, Failure, Leaving, Limit, Note, Past,
    QueueId, Status, Ticket,
};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::record::Outcome;
pub(crate) use reasons::Offered;
pub use reasons::{By, Choice, PassedOver, Rule};

/// An event and its moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// RFC 3339, in UTC.
    pub at: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// The day that it belongs to (`2026-11-20`, UTC).
    #[must_use]
    pub fn day(&self) -> &str {
        self.at.get(..10).unwrap_or_default()
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The switch began: whoever waited or talked before is gone.
    Started,
    /// What an agent is near the beginning of the log of a day, or of a run of the switch; all before it is in it.
    Agent {
        /// The agent.
        agent: String,
        /// Its status.
        #[serde(flatten)]
        status: AgentStatus,
        /// Its conversations so far ...
        calls: u64,
        /// ... and their time, in milliseconds.
        talk_ms: u64,
        /// The end of the last conversation; before the first, the log-in.
        idle_since: String,
    },
    /// An agent has another status.
    Status {
        /// The agent.
        agent: String,
        /// The status.
        #[serde(flatten)]
        status: AgentStatus,
    },
    /// A caller waits.
    Joined {
        /// The call, as in its record.
        call: String,
        /// Where.
        queue: String,
        /// The caller's number.
        caller: String,
    },
    /// No place was left for a caller.
    Full {
        /// Where.
        queue: String,
        /// `overflow_transfer_dst` led it on.
        #[serde(default)]
        led_on: bool,
    },
    /// An agent's phone begins to ring. Of several that ring at once only the first says who was passed over.
    Offered {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// Whose.
        agent: String,
        /// Why this one's.
        #[serde(flatten)]
        choice: Choice,
    },
    /// An agent's phone rang, or should have, and nobody took the call.
    Missed {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// Who did not.
        agent: String,
        /// Why.
        failure: MissedBy,
    },
    /// A caller talks with an agent.
    Answered {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// Who.
        agent: String,
        /// Since it joined, in milliseconds.
        wait_ms: u64,
    },
    /// The agent was gone at once: the caller waits on.
    Vanished {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// Who.
        agent: String,
    },
    /// In a conversation one held the other, and does no more.
    Held {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// With whom.
        agent: String,
        /// How long, in milliseconds.
        hold_ms: u64,
    },
    /// A conversation is over.
    Talked {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// With whom.
        agent: String,
        /// How long, in milliseconds.
        talk_ms: u64,
    },
    /// A caller left unserved.
    Left {
        /// The call.
        call: String,
        /// The queue.
        queue: String,
        /// How.
        outcome: Outcome,
        /// Since it joined, in milliseconds.
        wait_ms: u64,
    },
    /// The work after a conversation is over.
    WrappedUp {
        /// Whose.
        agent: String,
        /// How long it lasted, in milliseconds.
        wrap_up_ms: u64,
    },
}

/// An agent's status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum AgentStatus {
    /// Takes calls.
    Available,
    /// Takes one call, and the next when it asks for it.
    OnDemand,
    /// Has a break.
    OnBreak {
        /// Which.
        reason: String,
    },
    /// Is not there.
    LoggedOut,
}

/// Why an agent's phone did not take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissedBy {
    /// Nobody answered, or the phone failed.
    NoAnswer,
    /// Somebody refused.
    Rejected,
    /// It was busy.
    Busy,
    /// It was not registered.
    Unreachable,
}

/// What a log says of agents, and of callers who may come back for their places, entry by entry.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    agents: BTreeMap<String, Kept>,
    /// Who waits or talks, by the call.
    callers: BTreeMap<String, Waited>,
    /// Who hung up unserved, or was cut off by the end of the switch.
    gone: VecDeque<Gone>,
    /// The moment of the last entry.
    last: String,
}

/// A caller and where it waits.
#[derive(Clone, Debug)]
struct Waited {
    queue: String,
    caller: String,
    joined: String,
    answered: bool,
}

/// A caller who is gone.
#[derive(Clone, Debug)]
struct Gone {
    waited: Waited,
    at: String,
}

/// Callers who are gone that are remembered: as many as may come back to one queue.
const MOST_GONE: usize = 10_000;

#[derive(Clone, Debug)]
struct Kept {
    status: AgentStatus,
    calls: u64,
    talk_ms: u64,
    idle_since: String,
}

impl Memory {
    /// The next entry.
    pub fn take(&mut self, entry: Entry) {
        let Entry { at, event } = entry;
        self.take_caller(&at, &event);
        self.last.clone_from(&at);
        match event {
            Event::Agent {
                agent,
                status,
                calls,
                talk_ms,
                idle_since,
            } => {
                let kept = Kept {
                    status,
                    calls,
                    talk_ms,
                    idle_since,
                };
                self.agents.insert(agent, kept);
            }
            Event::Status { agent, status } => {
                if let Some(kept) = self.agents.get_mut(&agent) {
                    if kept.calls == 0 && kept.status == AgentStatus::LoggedOut {
                        kept.idle_since = at;
                    }
                    kept.status = status;
                }
            }
            Event::Talked { agent, talk_ms, .. } => {
                if let Some(kept) = self.agents.get_mut(&agent) {
                    kept.calls += 1;
                    kept.talk_ms += talk_ms;
                    kept.idle_since = at;
                }
            }
            Event::Started
            | Event::Joined { .. }
            | Event::Full { .. }
            | Event::Offered { .. }
            | Event::Held { .. }
            | Event::Missed { .. }
            | Event::Answered { .. }
            | Event::Vanished { .. }
            | Event::Left { .. }
            | Event::WrappedUp { .. } => {}
        }
    }

    fn take_caller(&mut self, at: &str, event: &Event) {
        match event {
            // Who waited before was cut off when the last entry was written, or soon after.
            Event::Started => self.cut_off(),
            Event::Joined {
                call,
                queue,
                caller,
            } => {
                let waited = Waited {
                    queue: queue.clone(),
                    caller: caller.clone(),
                    joined: at.to_owned(),
                    answered: false,
                };
                // It has had its place.
                self.gone.retain(|gone| !gone.waited.is_of(&waited));
                self.callers.insert(call.clone(), waited);
            }
            Event::Answered { call, .. } | Event::Vanished { call, .. } => {
                if let Some(waited) = self.callers.get_mut(call) {
                    waited.answered = matches!(event, Event::Answered { .. });
                }
            }
            Event::Left { call, outcome, .. } => {
                let waited = self.callers.remove(call);
                if let Some(waited) = waited.filter(|_| *outcome == Outcome::Abandoned) {
                    self.go(waited, at.to_owned());
                }
            }
            Event::Talked { call, .. } => {
                self.callers.remove(call);
            }
            Event::Agent { .. }
            | Event::Status { .. }
            | Event::Full { .. }
            | Event::Offered { .. }
            | Event::Held { .. }
            | Event::Missed { .. }
            | Event::WrappedUp { .. } => {}
        }
    }

    fn go(&mut self, waited: Waited, at: String) {
        self.gone.push_back(Gone { waited, at });
        if self.gone.len() > MOST_GONE {
            self.gone.pop_front();
        }
    }

    fn cut_off(&mut self) {
        for (_, waited) in std::mem::take(&mut self.callers) {
            if !waited.answered {
                self.go(waited, self.last.clone());
            }
        }
    }

    /// Who may come back for its place: the queue, the customer, when it joined and when it was gone.
    pub(crate) fn take_gone(
        &mut self,
        clock: &Clock,
    ) -> Vec<(QueueId, CustomerId, Instant, Instant)> {
        self.cut_off();
        let gone = std::mem::take(&mut self.gone).into_iter();
        gone.map(|Gone { waited, at }| {
            let queue = QueueId(waited.queue.into());
            let customer = CustomerId(waited.caller.into());
            let [joined, at] = [waited.joined, at].map(|text| clock.instant(&text));
            (queue, customer, joined, at)
        })
        .collect()
    }

    pub(crate) fn pasts(self, clock: &Clock) -> impl Iterator<Item = (AgentId, Past)> {
        self.agents.into_iter().map(|(agent, kept)| {
            let past = Past {
                status: kept.status.into(),
                calls: kept.calls,
                talk_time: Duration::from_millis(kept.talk_ms),
                idle_since: clock.instant(&kept.idle_since),
            };
            (AgentId(agent.into()), past)
        })
    }
}

impl Waited {
    fn is_of(&self, other: &Self) -> bool {
        (&self.queue, &self.caller) == (&other.queue, &other.caller)
    }
}

/// The log as it is written.
#[derive(Debug, Default)]
pub(crate) struct QueueLog {
    /// The day that was begun last.
    day: String,
    /// The call, the queue and the agent (once there is one) of each ticket that is not over.
    tickets: BTreeMap<Ticket, (String, String, String)>,
    /// For whom a phone was told last to ring, and when.
    last_offered: Option<(Ticket, Instant)>,
    pub(crate) entries: VecDeque<Entry>,
}

impl QueueLog {
    /// Whether what is to be written begins a day, whose log says soon what all agents are.
    pub(crate) fn begins_a_day(&mut self) -> bool {
        let day = self.entries.back().map_or(&*self.day, Entry::day);
        let begins = day != self.day;
        if begins {
            self.day = day.to_owned();
        }
        begins
    }

    pub(crate) fn begin(
        &mut self,
        agents: impl Iterator<Item = (AgentId, Past)>,
        clock: &Clock,
        now: Instant,
    ) {
        for (agent, past) in agents {
            let event = Event::Agent {
                agent: agent.0.to_string(),
                status: (&past.status).into(),
                calls: past.calls,
                talk_ms: millis(past.talk_time),
                idle_since: clock.moment(past.idle_since).rfc3339(),
            };
            self.write(event, clock, now);
        }
    }

    pub(crate) fn write(&mut self, event: Event, clock: &Clock, now: Instant) {
        let at = clock.moment(now).rfc3339();
        self.entries.push_back(Entry { at, event });
    }

    /// An agent's phone is told to ring. `candidates`: those of the caller's queue; nobody is looked at if the log says so already.
    pub(crate) fn offered<I>(
        &mut self,
        offered: &Offered<'_>,
        candidates: impl FnOnce() -> Option<I>,
        clock: &Clock,
        now: Instant,
    ) where
        I: ExactSizeIterator<Item = Candidate>,
    {
        let Offered {
            ticket,
            agent,
            picked,
        } = *offered;
        // Without a log, no ticket was noted.
        let Some((call, queue, _)) = self.tickets.get(&ticket).cloned() else {
            return;
        };
        let is_first = self.last_offered.replace((ticket, now)) != Some((ticket, now));
        let choice = match is_first.then(candidates).flatten() {
            Some(candidates) => Choice::new(picked, ticket, candidates, clock, now),
            None => Choice::new(picked, ticket, std::iter::empty(), clock, now),
        };
        let event = Event::Offered {
            call,
            queue,
            agent: agent.0.to_string(),
            choice,
        };
        self.write(event, clock, now);
    }

    /// One held the other for so long in the conversation of this ticket.
    pub(crate) fn held(&mut self, ticket: Ticket, time: Duration, clock: &Clock, now: Instant) {
        if let Some((call, queue, agent)) = self.tickets.get(&ticket).cloned()
            && !time.is_zero()
        {
            let hold_ms = millis(time);
            let event = Event::Held {
                call,
                queue,
                agent,
                hold_ms,
            };
            self.write(event, clock, now);
        }
    }

    /// Writes what the queue engine noted. `who`: the name of the call of a ticket, and its caller's number. `leads_on`: whether a
    /// queue that is full leads callers on.
    pub(crate) fn note(
        &mut self,
        note: Note,
        who: impl FnOnce(Ticket) -> (String, String),
        leads_on: impl FnOnce(&QueueId) -> bool,
        clock: &Clock,
        now: Instant,
    ) {
        let mut caller = String::new();
        let mut led_on = false;
        let (call, queue, _) = match &note {
            Note::Joined { ticket, queue } => {
                let call;
                (call, caller) = who(*ticket);
                let of = (call, queue.0.to_string(), String::new());
                self.tickets.insert(*ticket, of.clone());
                of
            }
            Note::Answered { ticket, agent, .. } => {
                let of = self.tickets.entry(*ticket).or_default();
                of.2 = agent.0.to_string();
                of.clone()
            }
            Note::Missed { ticket, .. } | Note::Vanished { ticket, .. } => {
                self.tickets.get(ticket).cloned().unwrap_or_default()
            }
            Note::Talked { ticket, .. } | Note::Left { ticket, .. } => {
                self.tickets.remove(ticket).unwrap_or_default()
            }
            Note::Full { queue } => {
                led_on = leads_on(queue);
                (String::new(), queue.0.to_string(), String::new())
            }
            Note::WrappedUp { .. } | Note::Status { .. } => Default::default(),
        };
        self.write(event(note, call, queue, caller, led_on), clock, now);
    }
}

fn event(note: Note, call: String, queue: String, caller: String, led_on: bool) -> Event {
    let name = |agent: AgentId| agent.0.to_string();
    match note {
        Note::Joined { .. } => Event::Joined {
            call,
            queue,
            caller,
        },
        Note::Full { .. } => Event::Full { queue, led_on },
        Note::Missed { agent, failure, .. } => Event::Missed {
            call,
            queue,
            agent: name(agent),
            failure: failure.into(),
        },
        Note::Answered { agent, waited, .. } => Event::Answered {
            call,
            queue,
            agent: name(agent),
            wait_ms: millis(waited),
        },
        Note::Vanished { agent, .. } => {
            let agent = name(agent);
            Event::Vanished { call, queue, agent }
        }
        Note::Talked { agent, time, .. } => Event::Talked {
            call,
            queue,
            agent: name(agent),
            talk_ms: millis(time),
        },
        Note::Left { how, waited, .. } => Event::Left {
            call,
            queue,
            outcome: how.into(),
            wait_ms: millis(waited),
        },
        Note::WrappedUp { agent, time } => Event::WrappedUp {
            agent: name(agent),
            wrap_up_ms: millis(time),
        },
        Note::Status { agent, status } => Event::Status {
            agent: name(agent),
            status: (&status).into(),
        },
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Status> for AgentStatus {
    fn from(status: &Status) -> Self {
        match status {
            Status::Available => Self::Available,
            Status::OnDemand => Self::OnDemand,
            Status::OnBreak(reason) => Self::OnBreak {
                reason: reason.0.to_string(),
            },
            Status::LoggedOut => Self::LoggedOut,
        }
    }
}

impl From<AgentStatus> for Status {
    fn from(status: AgentStatus) -> Self {
        match status {
            AgentStatus::Available => Self::Available,
            AgentStatus::OnDemand => Self::OnDemand,
            AgentStatus::OnBreak { reason } => Self::OnBreak(BreakReason(reason.into())),
            AgentStatus::LoggedOut => Self::LoggedOut,
        }
    }
}

impl From<Failure> for MissedBy {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoAnswer => Self::NoAnswer,
            Failure::Rejected => Self::Rejected,
            Failure::Busy => Self::Busy,
            Failure::Unreachable => Self::Unreachable,
        }
    }
}

impl From<Leaving> for Outcome {
    fn from(how: Leaving) -> Self {
        match how {
            Leaving::Departed(Departure::HungUp) => Self::Abandoned,
            Leaving::Departed(Departure::Exit) => Self::ExitKey,
            Leaving::Departed(Departure::Moved) => Self::Moved,
            Leaving::TimedOut(Limit::MaxWait) => Self::MaxWaitTime,
            Leaving::TimedOut(Limit::NoAgent) => Self::NoAgent,
            Leaving::Departed(Departure::Closed) | Leaving::QueueGone => Self::Closed,
        }
    }
}
