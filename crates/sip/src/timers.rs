//! One heap for all timers. A timer that is stopped or moved stays in it until its time or until it comes to the top:
//! whoever set it knows whether it still counts.
//!
//! Most of all are those of requests that are over and only wait for retransmissions. All of these wait for the same time, so
//! that a queue keeps them in order, and tells which one is the oldest when there is no room for more.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
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

/// The heap and the queue. Of timers with the same time the one set first comes first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Target)>>,
    resting: VecDeque<(Instant, u64, ServerKey)>,
    set: u64,
}

impl Timers {
    /// Wakes `target` at `at`.
    pub(crate) fn set(&mut self, at: Instant, target: Target) {
        self.set += 1;
        self.heap.push(Reverse((at, self.set, target)));
    }

    /// Wakes a server transaction that is over, at `at`: not before any that rests already.
    pub(crate) fn rest(&mut self, at: Instant, key: ServerKey) {
        self.set += 1;
        self.resting.push_back((at, self.set, key));
    }

    /// The earliest timer.
    pub(crate) fn first(&self) -> Option<(Instant, Target)> {
        self.first_of_both().map(|(at, _, target)| (at, target))
    }

    /// Takes the earliest timer away.
    pub(crate) fn remove_first(&mut self) {
        let first = self.first_of_both();
        if first.is_some() && first == self.first_resting() {
            self.resting.pop_front();
        } else {
            self.heap.pop();
        }
    }

    /// Whether any transaction rests.
    pub(crate) fn is_any_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// Takes away the timer of the transaction that rests longest.
    pub(crate) fn remove_resting(&mut self) -> Option<ServerKey> {
        self.resting.pop_front().map(|(_, _, key)| key)
    }

    fn first_of_both(&self) -> Option<(Instant, u64, Target)> {
        let running = self.heap.peek().map(|Reverse(first)| *first);
        let both = [running, self.first_resting()];
        both.into_iter().flatten().min()
    }

    fn first_resting(&self) -> Option<(Instant, u64, Target)> {
        let first = self.resting.front();
        first.map(|(at, set, key)| (*at, *set, Target::Server(*key)))
    }
}
