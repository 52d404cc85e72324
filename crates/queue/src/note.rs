//! What happened, for who keeps a log of it. Nothing is decided by it.

use std::time::{Duration, Instant};

use crate::{AgentId, Departure, Failure, Limit, QueueId, Status, Ticket};

/// One thing that happened. Of each ticket: `Joined` first, then rings that were `Missed`, then one of `Left` and `Answered`; after
/// that `Talked`, or `Vanished` and on as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A caller waits.
    Joined {
        /// The caller.
        ticket: Ticket,
        /// Where.
        queue: QueueId,
    },
    /// No place was left for a caller.
    Full {
        /// Where.
        queue: QueueId,
    },
    /// An agent's phone rang, or should have, and nobody took the caller.
    Missed {
        /// The caller.
        ticket: Ticket,
        /// Who did not.
        agent: AgentId,
        /// Why.
        failure: Failure,
    },
    /// A caller talks.
    Answered {
        /// The caller.
        ticket: Ticket,
        /// With whom.
        agent: AgentId,
        /// Since it joined this queue.
        waited: Duration,
    },
    /// The agent was gone at once: the caller waits on.
    Vanished {
        /// The caller.
        ticket: Ticket,
        /// Who.
        agent: AgentId,
    },
    /// A conversation is over.
    Talked {
        /// The caller.
        ticket: Ticket,
        /// With whom.
        agent: AgentId,
        /// How long.
        time: Duration,
    },
    /// A caller leaves unserved.
    Left {
        /// The caller.
        ticket: Ticket,
        /// How.
        how: Leaving,
        /// Since it joined this queue.
        waited: Duration,
    },
    /// The work after a conversation is over.
    WrappedUp {
        /// Whose.
        agent: AgentId,
        /// How long it lasted.
        time: Duration,
    },
    /// An agent has another status.
    Status {
        /// Who.
        agent: AgentId,
        /// Which.
        status: Status,
    },
}

/// How a caller leaves unserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// By itself, or with its call.
    Departed(Departure),
    /// It has waited as long as it may.
    TimedOut(Limit),
    /// Its queue is gone from the plan.
    QueueGone,
}

/// What an agent brings with it from before the engine began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its status.
    pub status: Status,
    /// Conversations so far, and the time of all of them.
    pub calls: u64,
    /// See there.
    pub talk_time: Duration,
    /// The end of the last conversation; before the first, the log-in.
    pub idle_since: Instant,
}
