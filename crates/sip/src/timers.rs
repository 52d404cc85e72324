//! One heap for all timers. A timer that is stopped or moved stays in it until its time or until it comes to the top:
//! whoever set it knows whether it still counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::endpoint::LegId;
use crate::transaction::{ClientKey, ServerKey};

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A server transaction.
    Server(ServerKey),
    /// A client transaction.
    Client(ClientKey),
    /// A leg: the 2xx that waits for its ACK, a re-INVITE after 491, ...
    Leg(LegId),
}

/// The heap. Of timers with the same time the one set first comes first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Target)>>,
    set: u64,
}

impl Timers {
    /// Wakes `target` at `at`.
    pub(crate) fn set(&mut self, at: Instant, target: Target) {
        self.set += 1;
        self.heap.push(Reverse((at, self.set, target)));
    }

    /// The earliest timer.
    pub(crate) fn first(&self) -> Option<(Instant, Target)> {
        self.heap
            .peek()
            .map(|Reverse((at, _, target))| (*at, *target))
    }

    /// Takes the earliest timer away.
    pub(crate) fn remove_first(&mut self) {
        self.heap.pop();
    }
}
