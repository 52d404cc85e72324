//! An agent's phone rings for a caller: what leaves the engine, and how it ends.

use crate::{AgentId, Limit, Picked, QueueId, Status, Ticket};

/// One agent's phone rings for one ticket; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(pub u64);

/// Why an offer came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// 408, 480, 404, 5xx, network: counts as no answer.
    NoAnswer,
    /// 603, 403 and such.
    Rejected,
    /// 486, 600.
    Busy,
    /// No binding.
    Unreachable,
}

/// Why a ringing phone must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withdrawal {
    /// Another agent answered.
    AnsweredElsewhere,
    /// The caller left, or its queue is gone.
    CallerGone,
    /// It rang for `call_timeout`.
    NoAnswer,
    /// The agent logged out, began a break or left the queue.
    AgentGone,
}

/// What the engine wants done. Of one event, every withdrawal comes before the first offer: a phone that must stop may ring again at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ring this agent's phone for this caller.
    Offer {
        /// The offer.
        offer: OfferId,
        /// The caller.
        ticket: Ticket,
        /// The queue.
        queue: QueueId,
        /// The agent.
        agent: AgentId,
        /// Why this one.
        why: Picked,
    },
    /// Stop ringing; nothing is expected back.
    Withdraw {
        /// The offer.
        offer: OfferId,
        /// Why.
        cause: Withdrawal,
    },
    /// The caller has waited as long as it may; the ticket is gone.
    TimedOut {
        /// The caller.
        ticket: Ticket,
        /// Which time is over.
        limit: Limit,
    },
    /// The agent did not answer as often as it may: it has this status from now.
    StatusChanged {
        /// The agent.
        agent: AgentId,
        /// Its new status.
        status: Status,
    },
    /// The queue is gone from the plan; the ticket with it.
    QueueGone {
        /// The caller.
        ticket: Ticket,
    },
}
