//! An agent: what people set, whether its phone can ring, and what it does.

use std::time::{Duration, Instant};

use crate::order::Seat;
use crate::queue::QueueKey;
use crate::timer::after;
use crate::{AgentSettings, Failure, OfferId, Status, Ticket};

/// How long an agent without a binding rests, unless its phone comes back before: as mod_callcenter does.
const UNREACHABLE_REST: Duration = Duration::from_secs(5);

/// Whether an agent's phone can ring now: derived by call control from bindings and live calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Registered and idle.
    Reachable,
    /// Not registered.
    Unregistered,
    /// In a call that no queue gave it.
    Busy,
}

/// What an agent does, derived from live offers and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Idle,
    /// Its phone rings.
    Offered(OfferId),
    /// Speaks with a customer of the queue.
    Talking(Ticket),
    /// Works on after the call.
    WrapUp {
        /// The end.
        until: Instant,
    },
}

/// An agent's number inside the engine; never used twice, so that nothing old can name a new agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AgentKey(pub(crate) u64);

/// What an agent does, with all that belongs to it: there is no second place that says so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Nothing,
    Ringing(Ring),
    Talking(Talk),
    Resting(Rest),
}

/// A conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) ticket: Ticket,
    pub(crate) since: Instant,
}

/// A live offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) offer: OfferId,
    pub(crate) ticket: Ticket,
    /// The agent's seat in the caller's queue.
    pub(crate) seat: Seat,
    pub(crate) until: Instant,
}

/// No offers for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) until: Instant,
    pub(crate) cause: RestCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestCause {
    /// The work after a conversation.
    WrapUp,
    /// An offer came to nothing.
    Failure(Failure),
}

/// What an agent has done so far in all its queues: what strategies measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// The end of the last conversation; before the first, the log-in.
    pub(crate) idle_since: Instant,
    pub(crate) talk_time: Duration,
    /// Conversations that have ended.
    pub(crate) calls: u64,
}

/// What an agent is to each of its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// It can be offered a call now.
    pub(crate) free: Option<Past>,
    /// It is logged in: its level is not passed over.
    pub(crate) is_present: bool,
    /// It takes calls, now or when it is free, and its phone is there: callers need not give up.
    pub(crate) is_staff: bool,
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) settings: AgentSettings,
    pub(crate) status: Status,
    pub(crate) reach: Reach,
    pub(crate) doing: Doing,
    /// Log-in, or the start of an agent that is available from the start.
    pub(crate) logged_in: Instant,
    /// End of the last conversation.
    last_talk: Option<Instant>,
    talk_time: Duration,
    calls: u64,
    /// Where it serves.
    pub(crate) seats: Vec<(QueueKey, Seat)>,
    /// False for one that a reload removed while it talked: it goes when the conversation ends.
    pub(crate) planned: bool,
}

impl Agent {
    pub(crate) fn new(settings: AgentSettings, now: Instant) -> Self {
        Self {
            status: settings.status.clone(),
            settings,
            reach: Reach::Unregistered,
            doing: Doing::Nothing,
            logged_in: now,
            last_talk: None,
            talk_time: Duration::ZERO,
            calls: 0,
            seats: Vec::new(),
            planned: true,
        }
    }

    /// What it is to each of its queues now.
    pub(crate) fn part(&self) -> Part {
        let is_available = self.planned && self.status == Status::Available;
        let is_free =
            is_available && self.reach == Reach::Reachable && matches!(self.doing, Doing::Nothing);
        Part {
            free: is_free.then(|| self.past()),
            is_present: self.planned && self.status != Status::LoggedOut,
            is_staff: is_available && self.reach != Reach::Unregistered,
        }
    }

    fn past(&self) -> Past {
        Past {
            idle_since: self.last_talk.unwrap_or(self.logged_in),
            talk_time: self.talk_time,
            calls: self.calls,
        }
    }

    /// Its conversation has ended.
    pub(crate) fn talked(&mut self, now: Instant) {
        if let Doing::Talking(talk) = self.doing {
            self.last_talk = Some(now);
            self.talk_time += now.saturating_duration_since(talk.since);
            self.calls += 1;
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.doing {
            Doing::Nothing => State::Idle,
            Doing::Ringing(ring) => State::Offered(ring.offer),
            Doing::Talking(talk) => State::Talking(talk.ticket),
            Doing::Resting(rest) => match rest.cause {
                RestCause::WrapUp => State::WrapUp { until: rest.until },
                RestCause::Failure(_) => State::Idle,
            },
        }
    }

    /// What it does after a conversation or a failed offer.
    pub(crate) fn pause(&self, cause: RestCause, now: Instant) -> Doing {
        let delay = match cause {
            RestCause::WrapUp => self.settings.wrap_up_time,
            RestCause::Failure(Failure::NoAnswer) => self.settings.no_answer_delay_time,
            RestCause::Failure(Failure::Rejected) => self.settings.reject_delay_time,
            RestCause::Failure(Failure::Busy) => self.settings.busy_delay_time,
            RestCause::Failure(Failure::Unreachable) => UNREACHABLE_REST,
        };
        if delay.is_zero() {
            return Doing::Nothing;
        }
        let until = after(now, delay);
        Doing::Resting(Rest { until, cause })
    }
}
