//! A queue while it works: who waits, who is free, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::agent::AgentKey;
use crate::order::Free;
use crate::{AgentId, QueueId, QueueSettings, Strategy, Ticket};

/// A queue's index inside the engine, until the next `configure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueKey(pub(crate) usize);

/// Who sits on a seat.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) agent: AgentKey,
    pub(crate) level: u32,
    pub(crate) position: u32,
    pub(crate) name: AgentId,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) strategy: Strategy,
    pub(crate) max_wait_time: Option<Duration>,
    pub(crate) capacity: usize,
    /// By `Seat::index`.
    pub(crate) members: Vec<Member>,
    /// Everybody who waits, the longest first.
    pub(crate) callers: BTreeSet<Ticket>,
    /// Those of `callers` for whom (more) phones may ring.
    pub(crate) seekers: BTreeSet<Ticket>,
    /// Round-robin: who was offered a call last on each level, by position and name, so that a reload keeps the turn.
    pub(crate) turns: BTreeMap<u32, (u32, AgentId)>,
    /// In the order in which they are offered a call.
    pub(crate) free: BTreeSet<Free>,
}

impl Queue {
    /// Without callers; whoever is free is told afterwards.
    pub(crate) fn new(
        settings: QueueSettings,
        members: Vec<Member>,
        turns: BTreeMap<u32, (u32, AgentId)>,
    ) -> Self {
        Self {
            id: settings.id,
            strategy: settings.strategy,
            max_wait_time: settings.max_wait_time.filter(|limit| !limit.is_zero()),
            capacity: settings.capacity,
            members,
            callers: BTreeSet::new(),
            seekers: BTreeSet::new(),
            turns,
            free: BTreeSet::new(),
        }
    }

    /// Puts a waiting caller where it belongs: for a caller of ring-all more phones may always ring, for others one at a time.
    pub(crate) fn place(&mut self, ticket: Ticket, rings: bool) {
        self.callers.insert(ticket);
        let seeks = match self.strategy {
            Strategy::RingAll => true,
            Strategy::LongestIdleAgent | Strategy::RoundRobin => !rings,
        };
        if seeks {
            self.seekers.insert(ticket);
        } else {
            self.seekers.remove(&ticket);
        }
    }

    /// The caller no longer waits.
    pub(crate) fn remove(&mut self, ticket: Ticket) {
        self.callers.remove(&ticket);
        self.seekers.remove(&ticket);
    }
}
