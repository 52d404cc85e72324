//! What an administrator decided: queues, agents, and who serves where.

use std::sync::Arc;
use std::time::Duration;

/// A queue's name: `support`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub Arc<str>);

/// An agent's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub Arc<str>);

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
    /// Order inside the level; agents with one position follow each other by name.
    pub position: u32,
}

/// One queue's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The name.
    pub id: QueueId,
    /// The order of agents.
    pub strategy: Strategy,
    /// Longest wait, `None` or zero for no limit. The limit is soft while an agent's phone rings for the caller: the ring ends first.
    pub max_wait_time: Option<Duration>,
    /// Most callers that may wait; a further one is refused.
    pub capacity: usize,
    /// Who serves.
    pub members: Vec<Membership>,
}

/// All queues and agents, already checked: the first of two entries with one name counts, a member that is no agent of the plan is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The queues.
    pub queues: Vec<QueueSettings>,
    /// The agents.
    pub agents: Vec<AgentSettings>,
}
