//! The order in which a queue's free agents are offered a call: the one home of what the strategies mean.

use std::time::Instant;

use crate::Strategy;
use crate::caller::Tries;
use crate::queue::Queue;

/// An agent's place in one queue, until the next `configure`. Seats count by level, then position, then the agent's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seat {
    pub(crate) level: u32,
    pub(crate) index: usize,
}

/// A free agent, in the order in which the strategy offers: level first, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Free {
    level: u32,
    /// What the strategy measures, the smallest first: none where only the seat counts.
    since: Option<Instant>,
    index: usize,
}

impl Free {
    fn seat(self) -> Seat {
        let Self { level, index, .. } = self;
        Seat { level, index }
    }
}

impl Queue {
    /// The agent of this seat is free, idle since `since`.
    pub(crate) fn add_free(&mut self, seat: Seat, since: Instant) {
        let free = self.free_entry(seat, since);
        self.free.insert(free);
    }

    /// It is no more.
    pub(crate) fn remove_free(&mut self, seat: Seat, since: Instant) {
        let free = self.free_entry(seat, since);
        self.free.remove(&free);
    }

    /// Remembers whom the strategy offered a call.
    pub(crate) fn advance(&mut self, seat: Seat) {
        match self.strategy {
            Strategy::RoundRobin => {
                let member = &self.members[seat.index];
                self.turns
                    .insert(seat.level, (member.position, member.name.clone()));
            }
            Strategy::RingAll | Strategy::LongestIdleAgent => {}
        }
    }

    fn free_entry(&self, seat: Seat, since: Instant) -> Free {
        let since = match self.strategy {
            Strategy::LongestIdleAgent => Some(since),
            Strategy::RingAll | Strategy::RoundRobin => None,
        };
        Free {
            level: seat.level,
            since,
            index: seat.index,
        }
    }

    /// The seats to ring for a caller with these `tries`, for whom `ringing` is the lowest seat that rings.
    pub(crate) fn pick(&self, tries: &Tries, ringing: Option<Seat>, now: Instant) -> Vec<Seat> {
        match self.strategy {
            Strategy::RingAll => self.pick_all(tries, ringing, now),
            Strategy::LongestIdleAgent | Strategy::RoundRobin if ringing.is_some() => Vec::new(),
            Strategy::LongestIdleAgent | Strategy::RoundRobin => {
                self.pick_one(tries, now).into_iter().collect()
            }
        }
    }

    /// Everybody on the lowest level where somebody can be rung, but nobody above a level that rings already.
    fn pick_all(&self, tries: &Tries, ringing: Option<Seat>, now: Instant) -> Vec<Seat> {
        let mut highest = ringing.map(|seat| seat.level);
        let mut seats = Vec::new();
        for free in &self.free {
            if highest.is_some_and(|highest| free.level > highest) {
                break;
            }
            if self.failures(free, tries, now).is_some() {
                highest = Some(free.level);
                seats.push(free.seat());
            }
        }
        seats
    }

    /// The first in the strategy's order on the lowest level where somebody can be rung; who failed this caller less often goes first.
    /// Passes over agents who failed this caller, and no others.
    fn pick_one(&self, tries: &Tries, now: Instant) -> Option<Seat> {
        let mut level = self.free.first()?.level;
        loop {
            let mut best: Option<(u32, Seat)> = None;
            for free in self.in_turn(level) {
                let Some(failures) = self.failures(free, tries, now) else {
                    continue;
                };
                if best.is_none_or(|(least, _)| failures < least) {
                    best = Some((failures, free.seat()));
                }
                if failures == 0 {
                    break;
                }
            }
            if let Some((_, seat)) = best {
                return Some(seat);
            }
            let above = lowest_of(level.checked_add(1)?);
            level = self.free.range(above..).next()?.level;
        }
    }

    /// The free agents of a level in the strategy's order.
    fn in_turn(&self, level: u32) -> impl Iterator<Item = &Free> {
        let start = match (self.strategy, self.turns.get(&level)) {
            (Strategy::RoundRobin, Some((position, name))) => {
                let last = (level, *position, name);
                let index = self.members.partition_point(|member| {
                    (member.level, member.position, &member.name) <= last
                });
                Free {
                    index,
                    ..lowest_of(level)
                }
            }
            (Strategy::RoundRobin, None) | (Strategy::RingAll | Strategy::LongestIdleAgent, _) => {
                lowest_of(level)
            }
        };
        let of_level = move |free: &&Free| free.level == level;
        self.free
            .range(start..)
            .take_while(of_level)
            .chain(self.free.range(lowest_of(level)..start))
    }

    fn failures(&self, free: &Free, tries: &Tries, now: Instant) -> Option<u32> {
        tries.failures(self.members[free.index].agent, now)
    }
}

/// Sorts before every free agent of the level.
fn lowest_of(level: u32) -> Free {
    Free {
        level,
        since: None,
        index: 0,
    }
}
