//! Who waits, who is free, who is picked and why. Knows neither SIP nor RTP.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A queue's name: `support`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub Arc<str>);

/// An agent's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub Arc<str>);

/// A call's place in a queue; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One agent's phone rings for one ticket; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(pub u64);

/// In which order free agents are offered a call; the lowest level always comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strategy {
    /// All available agents of the level at once.
    RingAll,
    /// Longest since the last conversation.
    LongestIdleAgent,
    /// By position, in turn.
    RoundRobin,
}

/// What people set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Takes calls.
    Available,
    /// Takes none.
    LoggedOut,
}

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

/// One agent's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSettings {
    /// The name.
    pub id: AgentId,
    /// Status at start; a reload leaves the live status alone.
    pub status: Status,
    /// How long the phone rings for one offer.
    pub call_timeout: Duration,
    /// After each conversation.
    pub wrap_up_time: Duration,
    /// No offer for so long after a no answer.
    pub no_answer_delay_time: Duration,
    /// ... after a rejection.
    pub reject_delay_time: Duration,
    /// ... after a busy signal.
    pub busy_delay_time: Duration,
}

/// An agent's place in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub agent: AgentId,
    /// Tier: the lowest is called first.
    pub level: u32,
    /// Order inside the level.
    pub position: u32,
}

/// One queue's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The name.
    pub id: QueueId,
    /// The order of agents.
    pub strategy: Strategy,
    /// Longest wait; the limit is soft while an agent's phone rings for the caller.
    pub max_wait_time: Option<Duration>,
    /// Most callers that may wait; a further one is refused.
    pub capacity: usize,
    /// Who serves.
    pub members: Vec<Membership>,
}

/// All queues and agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The queues.
    pub queues: Vec<QueueSettings>,
    /// The agents.
    pub agents: Vec<AgentSettings>,
}

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
    /// The caller left.
    CallerGone,
    /// It rang for `call_timeout`.
    NoAnswer,
    /// The agent logged out or left the queue.
    AgentGone,
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

/// What the engine wants done.
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
    },
    /// Stop ringing; nothing is expected back.
    Withdraw {
        /// The offer.
        offer: OfferId,
        /// Why.
        cause: Withdrawal,
    },
    /// `max_wait_time` is over; the ticket is gone.
    TimedOut {
        /// The caller.
        ticket: Ticket,
    },
    /// The queue is gone from the plan; the ticket with it.
    QueueGone {
        /// The caller.
        ticket: Ticket,
    },
}

/// Why the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// An offer has rung for `call_timeout`.
    OfferTimeout,
    /// A caller has waited for `max_wait_time`.
    MaxWait,
    /// An agent's wrap-up or delay is over.
    AgentFree,
}

/// All queues and agents. After every `handle_*` or command, drain `poll_output`.
#[derive(Debug)]
pub struct Engine {}

#[expect(unused_variables, clippy::needless_pass_by_ref_mut, reason = "skeleton")]
impl Engine {
    /// An engine without queues.
    #[must_use]
    pub fn new() -> Self {
        unimplemented!()
    }
    /// Takes a plan. Callers, offers, conversations and live statuses of what stays are kept.
    pub fn configure(&mut self, plan: Plan, now: Instant) {
        unimplemented!()
    }
    /// A caller joins at the end of the queue.
    pub fn join(&mut self, queue: &QueueId, now: Instant) -> Result<Ticket, Refused> {
        unimplemented!()
    }
    /// A caller leaves before an agent answered (hang-up, exit key).
    pub fn leave(&mut self, ticket: Ticket, now: Instant) {
        unimplemented!()
    }
    /// Someone set the agent's status. True if it changed; false if it had it already or there is no such agent.
    pub fn set_status(&mut self, agent: &AgentId, status: Status, now: Instant) -> bool {
        unimplemented!()
    }
    /// The agent's phone came, went, or is in a call outside the queues.
    pub fn handle_reach(&mut self, agent: &AgentId, reach: Reach, now: Instant) {
        unimplemented!()
    }
    /// The agent's phone answered. The first of a ticket wins: its agent talks from now, the other offers are withdrawn.
    /// None: the offer was withdrawn before; end that leg.
    pub fn handle_answer(&mut self, offer: OfferId, now: Instant) -> Option<Ticket> {
        unimplemented!()
    }
    /// The agent's phone refused, failed or is not there. Unknown (withdrawn) offers are ignored.
    pub fn handle_failure(&mut self, offer: OfferId, failure: Failure, now: Instant) {
        unimplemented!()
    }
    /// The conversation of this ticket ended: the agent wraps up.
    pub fn handle_release(&mut self, ticket: Ticket, now: Instant) {
        unimplemented!()
    }
    /// The agent answered but vanished before the bridge: the caller is back at its old place, the agent rests as after no answer.
    pub fn handle_vanish(&mut self, ticket: Ticket, now: Instant) {
        unimplemented!()
    }
    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }
    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }
    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        unimplemented!()
    }
    /// 1 for the head of its queue.
    #[must_use]
    pub fn position(&self, ticket: Ticket) -> Option<usize> {
        unimplemented!()
    }
    /// What the agent does.
    #[must_use]
    pub fn state(&self, agent: &AgentId) -> Option<State> {
        unimplemented!()
    }
    /// What people set.
    #[must_use]
    pub fn status(&self, agent: &AgentId) -> Option<Status> {
        unimplemented!()
    }
}
