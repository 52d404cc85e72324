//! An agent: what people set, whether its phone can ring, and what it does.

use std::time::{Duration, Instant};

use crate::held::Held;
use crate::order::Seat;
use crate::queue::QueueKey;
use crate::timer::after;
use crate::{AgentSettings, Failure, OfferId, Past, Status, Ticket};

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
    /// On demand: it has had its call, and has not asked for the next.
    Parked,
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
    /// On demand: it has had its call, and has not asked for the next.
    Parked,
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
    pub(crate) since: Instant,
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
pub(crate) struct Measures {
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
    pub(crate) free: Option<Measures>,
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
    /// No answers since the last answer, or since it takes calls.
    missed: u32,
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
            missed: 0,
            seats: Vec::new(),
            planned: true,
        }
    }

    /// What holds it back from every caller; none: it is free.
    pub(crate) fn held(&self) -> Option<Held> {
        if !self.planned {
            return Some(Held::Removed);
        }
        match &self.status {
            Status::LoggedOut => return Some(Held::LoggedOut),
            Status::OnBreak(reason) => return Some(Held::OnBreak(reason.clone())),
            Status::Available | Status::OnDemand => {}
        }
        match self.doing {
            Doing::Ringing(ring) => return Some(Held::Offered(ring.offer, ring.ticket)),
            Doing::Talking(talk) => return Some(Held::Talking(talk.ticket)),
            Doing::Resting(Rest { until, cause, .. }) => {
                return Some(match cause {
                    RestCause::WrapUp => Held::WrapUp { until },
                    RestCause::Failure(after) => Held::Delay { after, until },
                });
            }
            Doing::Parked => return Some(Held::Parked),
            Doing::Nothing => {}
        }
        match self.reach {
            Reach::Reachable => None,
            Reach::Unregistered => Some(Held::Unregistered),
            Reach::Busy => Some(Held::BusyElsewhere),
        }
    }

    /// What it is to each of its queues now.
    pub(crate) fn part(&self) -> Part {
        let takes_calls = self.planned && self.status.takes_calls();
        Part {
            free: self.held().is_none().then(|| self.measures()),
            is_present: self.planned && self.status != Status::LoggedOut,
            is_staff: takes_calls && self.reach != Reach::Unregistered,
        }
    }

    /// What there is to keep of it.
    pub(crate) fn past(&self) -> Past {
        let Measures {
            idle_since,
            talk_time,
            calls,
        } = self.measures();
        Past {
            status: self.status.clone(),
            calls,
            talk_time,
            idle_since,
        }
    }

    /// It goes on where it was before the engine began.
    pub(crate) fn restore(&mut self, past: Past) {
        self.status = past.status;
        self.logged_in = past.idle_since;
        self.last_talk = (past.calls > 0).then_some(past.idle_since);
        (self.calls, self.talk_time) = (past.calls, past.talk_time);
    }

    fn measures(&self) -> Measures {
        Measures {
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

    /// It answered.
    pub(crate) fn answered(&mut self, talk: Talk) {
        self.doing = Doing::Talking(talk);
        self.missed = 0;
    }

    /// It did not answer. True if it has missed as many as it may.
    pub(crate) fn missed_one(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        self.settings.max_no_answer > 0 && self.missed >= self.settings.max_no_answer
    }

    /// Somebody set its status.
    pub(crate) fn set_status(&mut self, status: Status, now: Instant) {
        if self.status == Status::LoggedOut {
            self.logged_in = now;
        }
        self.status = status;
        if self.status.takes_calls() {
            self.missed = 0;
            if matches!(self.doing, Doing::Parked) {
                self.doing = Doing::Nothing;
            }
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
            Doing::Parked => State::Parked,
        }
    }

    /// What it does after a conversation of a queue with this wrap-up time.
    pub(crate) fn wrap_up(&self, queue: Duration, now: Instant) -> Doing {
        match self.status {
            Status::OnDemand => Doing::Parked,
            Status::Available | Status::OnBreak(_) | Status::LoggedOut => {
                let delay = self.settings.wrap_up_time.unwrap_or(queue);
                rest(delay, RestCause::WrapUp, now)
            }
        }
    }

    /// What it does after a failed offer.
    pub(crate) fn delay(&self, failure: Failure, now: Instant) -> Doing {
        let delay = match failure {
            Failure::NoAnswer => self.settings.no_answer_delay_time,
            Failure::Rejected => self.settings.reject_delay_time,
            Failure::Busy => self.settings.busy_delay_time,
            Failure::Unreachable => UNREACHABLE_REST,
        };
        rest(delay, RestCause::Failure(failure), now)
    }
}

fn rest(delay: Duration, cause: RestCause, now: Instant) -> Doing {
    if delay.is_zero() {
        return Doing::Nothing;
    }
    let until = after(now, delay);
    Doing::Resting(Rest {
        since: now,
        until,
        cause,
    })
}
