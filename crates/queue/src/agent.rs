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
    /// In a call that no queue gave it: it rings where the agent has call waiting.
    Busy,
}

/// What an agent does, derived from live offers and calls: of several things the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Idle,
    /// Its phone rings.
    Offered(OfferId),
    /// Speaks with a customer of the queue; of several with the latest.
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

/// No offers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// For a while.
    For(Pause),
    /// On demand: it has had its call, and has not asked for the next.
    Parked,
}

impl Rest {
    /// An agent that rests has to rest once more: the longer counts, and two wrap-ups are one.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Parked, _) | (_, Self::Parked) => Self::Parked,
            (Self::For(first), Self::For(second)) => {
                let longer = if second.until < first.until {
                    first
                } else {
                    second
                };
                let is_one = first.cause == second.cause;
                Self::For(Pause {
                    since: if is_one { first.since } else { longer.since },
                    ..longer
                })
            }
        }
    }

    /// The pause, if it is the work after a conversation.
    pub(crate) fn wrap_up(self) -> Option<Pause> {
        self.pause().filter(|it| it.cause == RestCause::WrapUp)
    }

    /// The pause, if it has an end of its own.
    pub(crate) fn pause(self) -> Option<Pause> {
        match self {
            Self::For(pause) => Some(pause),
            Self::Parked => None,
        }
    }
}

/// No offers for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
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
    /// Conversations now, where it may have several.
    pub(crate) talks: usize,
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
    /// Its phone rings. An agent may do so, talk and owe a rest, all at once, and what it does is nowhere else.
    pub(crate) ring: Option<Ring>,
    /// Its conversations, the latest last.
    talks: Vec<Talk>,
    pub(crate) rest: Option<Rest>,
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
            ring: None,
            talks: Vec::new(),
            rest: None,
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
        if let Some(ring) = self.ring {
            return Some(Held::Offered(ring.offer, ring.ticket));
        }
        if let Some(talk) = self.talks.last()
            && self.talks.len() >= self.most_talks()
        {
            return Some(Held::Talking(talk.ticket));
        }
        match self.rest {
            Some(Rest::For(Pause { until, cause, .. })) => {
                return Some(match cause {
                    RestCause::WrapUp => Held::WrapUp { until },
                    RestCause::Failure(after) => Held::Delay { after, until },
                });
            }
            Some(Rest::Parked) => return Some(Held::Parked),
            None => {}
        }
        match self.reach {
            Reach::Reachable => None,
            Reach::Unregistered => Some(Held::Unregistered),
            Reach::Busy if self.settings.call_waiting => None,
            Reach::Busy => Some(Held::BusyElsewhere),
        }
    }

    /// How many conversations it may have at once. On demand it is one call after the other.
    fn most_talks(&self) -> usize {
        match self.status {
            Status::OnDemand => 1,
            Status::Available | Status::OnBreak(_) | Status::LoggedOut => {
                self.settings.max_calls.get().into()
            }
        }
    }

    /// How many conversations it has.
    pub(crate) fn talks(&self) -> usize {
        self.talks.len()
    }

    /// Nothing rings, nobody talks with it, and it owes no rest.
    pub(crate) fn is_idle(&self) -> bool {
        self.ring.is_none() && self.talks.is_empty() && self.rest.is_none()
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
            talks: _,
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
            talks: self.talks.len(),
            idle_since: self.last_talk.unwrap_or(self.logged_in),
            talk_time: self.talk_time,
            calls: self.calls,
        }
    }

    /// It answered.
    pub(crate) fn answered(&mut self, talk: Talk) {
        self.ring = None;
        self.talks.push(talk);
        self.missed = 0;
    }

    /// A conversation is none any more; how long it lasted.
    pub(crate) fn hung_up(&mut self, ticket: Ticket, now: Instant) -> Option<Duration> {
        let at = self.talks.iter().position(|talk| talk.ticket == ticket)?;
        Some(now.saturating_duration_since(self.talks.remove(at).since))
    }

    /// A conversation was one of so long, and counts.
    pub(crate) fn talked(&mut self, time: Duration, now: Instant) {
        self.last_talk = Some(now);
        self.talk_time += time;
        self.calls += 1;
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
            self.rest = self.rest.filter(|rest| rest.pause().is_some());
        }
    }

    pub(crate) fn state(&self) -> State {
        if let Some(ring) = self.ring {
            return State::Offered(ring.offer);
        }
        if let Some(talk) = self.talks.last() {
            return State::Talking(talk.ticket);
        }
        match self.rest {
            None => State::Idle,
            Some(Rest::For(pause)) => match pause.cause {
                RestCause::WrapUp => State::WrapUp { until: pause.until },
                RestCause::Failure(_) => State::Idle,
            },
            Some(Rest::Parked) => State::Parked,
        }
    }

    /// What it does after a conversation of a queue with this wrap-up time.
    pub(crate) fn wrap_up(&self, queue: Duration, now: Instant) -> Option<Rest> {
        match self.status {
            Status::OnDemand => Some(Rest::Parked),
            Status::Available | Status::OnBreak(_) | Status::LoggedOut => {
                let delay = self.settings.wrap_up_time.unwrap_or(queue);
                rest(delay, RestCause::WrapUp, now)
            }
        }
    }

    /// What it does after a failed offer.
    pub(crate) fn delay(&self, failure: Failure, now: Instant) -> Option<Rest> {
        let delay = match failure {
            Failure::NoAnswer => self.settings.no_answer_delay_time,
            Failure::Rejected => self.settings.reject_delay_time,
            Failure::Busy => self.settings.busy_delay_time,
            Failure::Unreachable => UNREACHABLE_REST,
        };
        rest(delay, RestCause::Failure(failure), now)
    }
}

/// None where there is no delay.
fn rest(delay: Duration, cause: RestCause, now: Instant) -> Option<Rest> {
    let pause = Pause {
        since: now,
        until: after(now, delay),
        cause,
    };
    (!delay.is_zero()).then_some(Rest::For(pause))
}
