//! A day of the queues: who came and how patient it was, who worked and how soon phones were answered.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{AgentId, Arrival, Departure, QueueId};

/// A day to be played.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// In any order.
    pub(super) calls: Vec<Call>,
    /// When each agent worked; who is not here did not.
    pub(super) shifts: BTreeMap<AgentId, Shift>,
    /// How long agents' phones rang until they were answered.
    pub(super) pickups: Vec<Duration>,
}

/// A caller of one queue.
#[derive(Debug)]
pub(super) struct Call {
    /// When it joined, since midnight.
    pub(super) at: Duration,
    pub(super) queue: QueueId,
    pub(super) arrival: Arrival,
    /// When it gives up, and how; none: never.
    pub(super) patience: Option<(Duration, Departure)>,
    /// How long it talks with an agent.
    pub(super) talk: Duration,
}

/// When an agent works, since midnight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Shift {
    /// Both and what is between them.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

/// Numbers drawn by lot (splitmix64), the same for the same seed.
#[derive(Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut lot = self.0;
        lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        lot ^ (lot >> 31)
    }

    /// From 0 to 1, without 0.
    pub(super) fn share(&mut self) -> f64 {
        // 53 bits are what an f64 holds.
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// One of a list.
    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let nth = usize::try_from(self.next()).unwrap_or(usize::MAX);
        of.get(nth.checked_rem(of.len())?).copied()
    }

    /// Times that are as often long and short as those of telephone calls are (exponential), a thousand times the mean at most.
    pub(super) fn around(&mut self, mean: Duration) -> Duration {
        mean.mul_f64((-self.share().ln()).min(1_000.0))
    }
}
