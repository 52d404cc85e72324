//! What an administrator decided: queues, agents, and who serves where.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

/// A queue's name: `support`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub Arc<str>);

/// An agent's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub Arc<str>);

/// What an agent can do: `english`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Skill(pub Arc<str>);

/// The name of what callers need: `english`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NeedsId(pub Arc<str>);

/// In which order free agents are offered a call; the lowest level always comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strategy {
    /// All available agents of the level at once.
    RingAll,
    /// Longest since the last conversation.
    LongestIdleAgent,
    /// By position, in turn.
    RoundRobin,
    /// By position; each agent once for this caller, then all of them again.
    TopDown,
    /// Who has talked least.
    AgentWithLeastTalkTime,
    /// Who has had the fewest conversations.
    AgentWithFewestCalls,
    /// By position, always from the first.
    SequentiallyByAgentOrder,
    /// By lot.
    Random,
    /// One more agent at a time, by position; who served the customer last goes first.
    RingProgressively,
}

/// Why somebody has a break: `lunch`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BreakReason(pub Arc<str>);

/// What people set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Takes calls.
    Available,
    /// Takes one call, and the next when it asks for it.
    OnDemand,
    /// Takes none for a while; its level is not passed over.
    OnBreak(BreakReason),
    /// Takes none.
    LoggedOut,
}

impl Status {
    /// Whether its phone may ring.
    #[must_use]
    pub fn takes_calls(&self) -> bool {
        match self {
            Self::Available | Self::OnDemand => true,
            Self::OnBreak(_) | Self::LoggedOut => false,
        }
    }
}

/// One agent's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSettings {
    /// The name.
    pub id: AgentId,
    /// Status at start; a reload leaves the live status alone.
    pub status: Status,
    /// How well it can do what, from 1.
    pub skills: BTreeMap<Skill, u8>,
    /// How long the phone rings for one offer.
    pub call_timeout: Duration,
    /// After each conversation; `None`: as long as the queue of the conversation says.
    pub wrap_up_time: Option<Duration>,
    /// After so many no answers, one after the other, the agent has the status that the queue of the last one says; 0: never.
    pub max_no_answer: u32,
    /// No offer for so long after a no answer.
    pub no_answer_delay_time: Duration,
    /// ... after a rejection.
    pub reject_delay_time: Duration,
    /// ... after a busy signal.
    pub busy_delay_time: Duration,
    /// How many customers it may talk with at once; on demand always one. Who talks comes after all of the level who do not.
    pub max_calls: NonZeroU8,
    /// Its phone rings although it is in a call that no queue gave it.
    pub call_waiting: bool,
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

/// When the higher levels of a queue open to a caller; without rules all are open, and the next is called when the lower is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierRules {
    /// How long a caller waits for a level.
    pub wait: Duration,
    /// So long times the level, and not for all levels alike. Level 0 never waits.
    pub multiply_level: bool,
    /// The lowest level on which somebody is logged in is open at once, whatever its number.
    pub no_agent_no_wait: bool,
}

/// How long a caller waits while nobody serves the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAgentLimit {
    /// Counted from when the last agent went.
    pub max_wait_time: Duration,
    /// What a caller has at least, who comes when that time is over or nearly so.
    pub grace: Duration,
}

/// One queue's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// The name.
    pub id: QueueId,
    /// The order of agents.
    pub strategy: Strategy,
    /// Ring-progressively: when the next phone rings, too.
    pub ring_progressively_delay: Duration,
    /// When higher levels open.
    pub tier_rules: Option<TierRules>,
    /// Longest wait, `None` or zero for no limit. The limit is soft while an agent's phone rings for the caller: the ring ends first.
    pub max_wait_time: Option<Duration>,
    /// The same while nobody serves the queue.
    pub max_wait_time_with_no_agent: Option<NoAgentLimit>,
    /// How long the place of a caller who hung up is kept, should it call again; `None` or zero: not at all.
    pub abandoned_resume: Option<Duration>,
    /// After each conversation of an agent that has no time of its own.
    pub wrap_up_time: Duration,
    /// The status of an agent who did not answer `max_no_answer` times.
    pub agent_no_answer_status: Status,
    /// Most callers that may wait; a further one is refused.
    pub capacity: usize,
    /// Who serves.
    pub members: Vec<Membership>,
}

/// What callers need of an agent, and how that changes while they wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The name.
    pub id: NeedsId,
    /// Of those whose time has come the last counts; before the first nothing is needed.
    pub steps: Vec<NeedsStep>,
}

/// What callers need from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsStep {
    /// Since the caller joined.
    pub after: Duration,
    /// At least this level of each; none: everybody will do.
    pub skills: BTreeMap<Skill, u8>,
}

/// All queues and agents, already checked: the first of two entries with one name counts, a member that is no agent of the plan is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The queues.
    pub queues: Vec<QueueSettings>,
    /// The agents.
    pub agents: Vec<AgentSettings>,
    /// What callers may need.
    pub needs: Vec<Needs>,
}
