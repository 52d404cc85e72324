//! A caller: its place among all callers, and what rings for it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::AgentKey;
use crate::order::Seat;
use crate::queue::QueueKey;
use crate::skills::{ANYBODY, AskKey};
use crate::timer::{Timer, before};
use crate::tries::Tries;
use crate::{NeedsId, OfferId, QueueId};

/// A call's place in a queue; never used twice. Tickets are given in order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Who calls: the number, or what else makes a customer known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CustomerId(pub Arc<str>);

/// Who joins a queue, and what speaks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// None for one who hides its number: it is nobody's customer, and its place is not kept.
    pub customer: Option<CustomerId>,
    /// Callers of a higher priority always come first.
    pub priority: u32,
    /// As if it had waited so much longer: a bonus, or the wait in another queue before.
    pub head_start: Duration,
    /// What its agent must be able to do; none, or a name that the plan does not know: nothing.
    pub needs: Option<NeedsId>,
}

/// How a waiting caller leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It hung up: the queue may keep its place for a while.
    HungUp,
    /// It wanted to go elsewhere.
    Exit,
    /// Somebody led it elsewhere.
    Moved,
    /// Its call was ended by us.
    Closed,
}

/// The time that was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// `max_wait_time`.
    MaxWait,
    /// `max_wait_time_with_no_agent`.
    NoAgent,
}

/// Why a caller cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such queue.
    #[error("no such queue")]
    UnknownQueue,
    /// `capacity` callers wait already.
    #[error("the queue is full")]
    Full,
}

/// A caller's place among all callers of all queues; the lowest is served first. A score is the time waited and the head start, so all
/// scores grow alike and the order of two callers never changes: it is the order of the moments from which their waits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    priority: Reverse<u32>,
    since: Instant,
    /// The ticket of the first call, where the customer hung up and called again.
    first: Ticket,
    pub(crate) ticket: Ticket,
}

impl Place {
    pub(crate) fn new(arrival: &Arrival, ticket: Ticket, now: Instant) -> Self {
        Self {
            priority: Reverse(arrival.priority),
            since: before(now, arrival.head_start),
            first: ticket,
            ticket,
        }
    }

    /// The time waited and the head start.
    pub(crate) fn score(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub(crate) fn priority(self) -> u32 {
        self.priority.0
    }

    /// The same with another priority.
    pub(crate) fn preferred(self, priority: u32) -> Self {
        Self {
            priority: Reverse(priority),
            ..self
        }
    }

    /// The same with this priority, if it has a lower one.
    pub(crate) fn at_least(self, priority: u32) -> Self {
        Self {
            priority: self.priority.min(Reverse(priority)),
            ..self
        }
    }

    /// The same place for another call.
    pub(crate) fn kept_for(self, ticket: Ticket) -> Self {
        Self { ticket, ..self }
    }
}

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) queue: QueueId,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) needs: Option<NeedsId>,
    pub(crate) place: Place,
    /// Tier rules and needs count from here; kept by who comes back.
    pub(crate) joined: Instant,
    /// The limits count from here.
    pub(crate) entered: Instant,
    pub(crate) tries: Tries,
    pub(crate) phase: Phase,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Waiting(Waiting),
    Talking(AgentKey),
}

/// In the queue; phones may ring for it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) at: QueueKey,
    /// The first of its limits.
    pub(crate) deadline: Option<(Instant, Limit)>,
    /// The highest level that its waiting has opened.
    pub(crate) level: Option<u32>,
    /// What it asks of agents.
    pub(crate) ask: AskKey,
    /// When the next level opens, or it asks less.
    pub(crate) opens: Option<Instant>,
    /// Ring-progressively: not before may one more phone ring.
    pub(crate) widens: Option<Instant>,
    /// Lowest level first, as seats are ordered.
    pub(crate) ringing: BTreeMap<Seat, OfferId>,
    /// Among which seekers of its queue it is; none: nobody (more) may ring for it now.
    pub(crate) seeks: Option<Scope>,
}

/// Whom a caller may reach: what it asks of them, how high its waiting has opened, and for ring-all the lowest level that rings already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) ask: AskKey,
    pub(crate) level: Option<u32>,
    pub(crate) rings: Option<u32>,
}

impl Waiting {
    pub(crate) fn new(at: QueueKey) -> Self {
        Self {
            at,
            deadline: None,
            level: None,
            ask: ANYBODY,
            opens: None,
            widens: None,
            ringing: BTreeMap::new(),
            seeks: None,
        }
    }

    /// What this caller waits for, by the clock.
    pub(crate) fn timers(&self, ticket: Ticket) -> [Option<(Instant, Timer)>; 3] {
        let (opens, widens) = (self.opens, self.widens);
        [
            self.deadline.map(|(at, _)| (at, Timer::WaitLimit(ticket))),
            opens.map(|at| (at, Timer::LevelOpens(ticket))),
            widens.map(|at| (at, Timer::Widen(ticket))),
        ]
    }

    /// The limit that is over, if one is: such a caller is offered to nobody more, and leaves when nothing rings for it.
    pub(crate) fn overdue(&self, now: Instant) -> Option<Limit> {
        let (deadline, limit) = self.deadline?;
        (deadline <= now).then_some(limit)
    }
}
