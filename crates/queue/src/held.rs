//! What holds an agent back from a caller: one list for the decision and for its explanation, so that they cannot differ.

use std::time::{Duration, Instant};

use crate::order::Merit;
use crate::{AgentId, BreakReason, Failure, OfferId, QueueId, Skill, Ticket};

/// What holds an agent back, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    // From every caller.
    /// A reload removed it; its conversation goes on.
    Removed,
    /// It is logged out.
    LoggedOut,
    /// It has a break.
    OnBreak(BreakReason),
    /// Its phone is not registered.
    Unregistered,
    /// Its phone is in a call that no queue gave it.
    BusyElsewhere,
    /// Its phone rings.
    Offered(OfferId, Ticket),
    /// It talks.
    Talking(Ticket),
    /// It works on after a conversation.
    WrapUp {
        /// The end.
        until: Instant,
    },
    /// On demand: it has had its call and has not asked for the next.
    Parked,
    /// The delay after an offer that came to nothing.
    Delay {
        /// What became of the offer.
        after: Failure,
        /// The end.
        until: Instant,
    },
    // From this caller.
    /// It cannot do what the caller asks.
    Unskilled {
        /// The first skill that it lacks.
        skill: Skill,
        /// The level that is asked.
        least: u8,
        /// When the caller asks something else.
        until: Option<Instant>,
    },
    /// The floor: it failed this caller.
    Failed {
        /// So often.
        times: u32,
        /// The end.
        until: Instant,
    },
    /// Its level is not open to the caller yet.
    LevelClosed {
        /// When waiting opens it.
        opens: Instant,
    },
    /// Somebody on a lower level is rung, and levels are rung one after the other.
    LowerLevelRings,
    /// Another agent is rung for the caller, and they are rung one after the other.
    OtherRings {
        /// When one more may be rung beside it; none: not before it stops.
        until: Option<Instant>,
    },
    /// The caller has waited as long as it may, and only what rings already may end.
    Overdue,
}

/// Why an agent was picked for a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// The agent's level in the queue.
    pub level: u32,
    /// What the strategy measured: the least of the level.
    pub merit: Merit,
    /// How often the agent had failed this caller: the fewest of the level, where the strategy looks at that.
    pub failures: u32,
    /// It goes first because it served the customer last.
    pub is_favourite: bool,
    /// Somebody gave the caller to it.
    pub is_by_hand: bool,
    /// Who was free and would have gone before.
    pub passed_over: Vec<(AgentId, Held)>,
}

impl Picked {
    /// No strategy was asked.
    pub(crate) fn by_hand(level: u32) -> Self {
        Self {
            level,
            is_by_hand: true,
            ..Self::default()
        }
    }
}

/// Why a caller waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Where.
    pub queue: QueueId,
    /// 1 for the head of the queue.
    pub position: usize,
    /// The time waited and the head start.
    pub score: Duration,
    /// Everybody who serves the queue, by level, position and name. What rings for this caller is held by an offer for its ticket.
    pub candidates: Vec<Candidate>,
}

/// What an agent is to a waiting caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub agent: AgentId,
    /// Its level in the queue.
    pub level: u32,
    /// Its position on the level.
    pub position: u32,
    /// The first reason that holds it back.
    pub held: Option<Held>,
}
