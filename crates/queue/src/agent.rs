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
    Talking(Ticket),
    Resting(Rest),
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

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) settings: AgentSettings,
    pub(crate) status: Status,
    pub(crate) reach: Reach,
    pub(crate) doing: Doing,
    /// Log-in, or the start of an agent that is available from the start.
    pub(crate) logged_in: Instant,
    /// End of the last conversation.
    pub(crate) last_talk: Option<Instant>,
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
            seats: Vec::new(),
            planned: true,
        }
    }

    /// Since when it is idle, if it can be offered a call.
    pub(crate) fn free_since(&self) -> Option<Instant> {
        let free = self.planned
            && self.status == Status::Available
            && self.reach == Reach::Reachable
            && matches!(self.doing, Doing::Nothing);
        free.then(|| self.last_talk.unwrap_or(self.logged_in))
    }

    pub(crate) fn state(&self) -> State {
        match self.doing {
            Doing::Nothing => State::Idle,
            Doing::Ringing(ring) => State::Offered(ring.offer),
            Doing::Talking(ticket) => State::Talking(ticket),
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
