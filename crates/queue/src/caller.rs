//! A caller: its place, what rings for it, and whom it was offered to before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::agent::AgentKey;
use crate::order::Seat;
use crate::queue::QueueKey;
use crate::timer::after;
use crate::{OfferId, QueueId};

/// How long a caller is not offered again to an agent who failed it once, whatever the delays: a phone that refuses at once rings
/// once a second at most. Doubles with each further failure of the pair.
const FIRST_FLOOR: Duration = Duration::from_secs(1);

/// Where the doubling ends: the delays that a new installation has, so that the floor shows only where an administrator chose less.
const LONGEST_FLOOR: Duration = Duration::from_secs(10);

/// A call's place in a queue; never used twice. Tickets are given in order of joining: the lower has waited longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

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

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) queue: QueueId,
    pub(crate) joined: Instant,
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
    /// `max_wait_time` after joining.
    pub(crate) deadline: Option<Instant>,
    /// Lowest level first, as seats are ordered.
    pub(crate) ringing: BTreeMap<Seat, OfferId>,
}

impl Waiting {
    /// Such a caller is offered to nobody more, and leaves when nothing rings for it.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// The agents who failed a caller: at most the agents that ever served its queue while it waited.
#[derive(Debug, Default)]
pub(crate) struct Tries(BTreeMap<AgentKey, Try>);

#[derive(Clone, Copy, Debug)]
struct Try {
    failures: u32,
    /// Not before.
    again: Instant,
}

impl Tries {
    /// How often the agent failed this caller; `None` while the floor holds.
    pub(crate) fn failures(&self, agent: AgentKey, now: Instant) -> Option<u32> {
        match self.0.get(&agent) {
            None => Some(0),
            Some(past) if past.again <= now => Some(past.failures),
            Some(_) => None,
        }
    }

    /// The agent failed this caller. Returns when it may be tried again, and the moment that held until now.
    pub(crate) fn fail(&mut self, agent: AgentKey, now: Instant) -> (Instant, Option<Instant>) {
        let past = self.0.get(&agent).copied();
        let failures = past.map_or(1, |past| past.failures.saturating_add(1));
        let doubled = 2_u32.saturating_pow(failures - 1);
        let again = after(now, FIRST_FLOOR.saturating_mul(doubled).min(LONGEST_FLOOR));
        self.0.insert(agent, Try { failures, again });
        (again, past.map(|past| past.again))
    }

    /// The agent is gone for good. Returns the moment that held.
    pub(crate) fn forget(&mut self, agent: AgentKey) -> Option<Instant> {
        self.0.remove(&agent).map(|past| past.again)
    }

    /// Each agent with the moment from when it may be tried again.
    pub(crate) fn floors(&self) -> impl Iterator<Item = (AgentKey, Instant)> {
        self.0.iter().map(|(&agent, past)| (agent, past.again))
    }
}
