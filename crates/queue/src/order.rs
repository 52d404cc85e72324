//! The order in which a queue's free agents are offered a call: the one home of what the strategies mean.

use std::time::{Duration, Instant};

use crate::agent::{AgentKey, Measures};
use crate::held::{Held, Picked};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::tries::Tries;
use crate::{AgentId, Strategy};

/// An agent's place in one queue, until the next `configure`. Seats count by level, then position, then the agent's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seat {
    pub(crate) level: u32,
    pub(crate) index: usize,
}

/// What a strategy measures of a free agent, the smallest first; in one queue all have the same kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Merit {
    /// Nothing: the place in the queue counts.
    #[default]
    Seat,
    /// The end of the last conversation; before the first, the log-in.
    IdleSince(Instant),
    /// All conversations together.
    TalkTime(Duration),
    /// How many conversations.
    Calls(u64),
}

/// The agents among whom a strategy chooses: of one level, with as many conversations now as each other. Who talks less comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) level: u32,
    pub(crate) talks: usize,
}

/// A free agent, in the order in which the strategy offers: level first, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Free {
    pub(crate) rank: Rank,
    /// None sorts first: where a rank begins.
    merit: Option<Merit>,
    index: usize,
}

impl Free {
    /// The free agent of this seat.
    pub(crate) fn new(strategy: Strategy, seat: Seat, past: Measures) -> Self {
        let merit = match strategy {
            Strategy::LongestIdleAgent => Merit::IdleSince(past.idle_since),
            Strategy::AgentWithLeastTalkTime => Merit::TalkTime(past.talk_time),
            Strategy::AgentWithFewestCalls => Merit::Calls(past.calls),
            Strategy::RingAll
            | Strategy::RoundRobin
            | Strategy::TopDown
            | Strategy::SequentiallyByAgentOrder
            | Strategy::Random
            | Strategy::RingProgressively => Merit::Seat,
        };
        Self {
            rank: Rank {
                level: seat.level,
                talks: past.talks,
            },
            merit: Some(merit),
            index: seat.index,
        }
    }

    fn picked(
        self,
        failures: u32,
        is_favourite: bool,
        passed_over: Vec<(AgentId, Held)>,
    ) -> (Seat, Picked) {
        let Self { rank, merit, index } = self;
        let level = rank.level;
        let picked = Picked {
            level,
            merit: merit.unwrap_or_default(),
            failures,
            is_favourite,
            is_by_hand: false,
            passed_over,
        };
        (Seat { level, index }, picked)
    }
}

/// For whom agents are picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeker<'a> {
    /// Who can do what it asks.
    pub(crate) pool: &'a Pool,
    pub(crate) tries: &'a Tries,
    /// The highest level that it may reach.
    pub(crate) highest: u32,
    /// Who served it last, and how many that talks with now.
    pub(crate) favourite: Option<(AgentKey, usize)>,
    /// For strategies that draw.
    pub(crate) lot: u64,
    pub(crate) now: Instant,
}

impl Queue {
    /// Remembers whom the strategy offered a call.
    pub(crate) fn advance(&mut self, seat: Seat) {
        if self.strategy == Strategy::RoundRobin {
            let member = &self.members[seat.index];
            let turn = (member.position, member.name.clone());
            self.memory.turns.insert(seat.level, turn);
        }
    }

    /// Everybody on the lowest level where somebody can be rung; with tier rules, on all levels that are open.
    pub(crate) fn pick_all(&self, seeker: Seeker<'_>) -> Vec<(Seat, Picked)> {
        let mut highest = seeker.highest;
        let mut picks: Vec<(Seat, Picked)> = Vec::new();
        let mut passed_over = Vec::new();
        for free in &seeker.pool.free {
            if free.rank.level > highest {
                break;
            }
            match self.failures(*free, seeker) {
                Ok(failures) => {
                    if self.tier_rules.is_none() {
                        highest = free.rank.level;
                    }
                    let passed_over = std::mem::take(&mut passed_over);
                    picks.push(free.picked(failures, false, passed_over));
                }
                Err(held) => passed_over.push(held),
            }
        }
        picks
    }

    /// The first in the strategy's order on the lowest level where somebody can be rung. Passes over agents who failed this caller, and
    /// no others.
    pub(crate) fn pick_one(&self, seeker: Seeker<'_>) -> Option<(Seat, Picked)> {
        let mut rank = seeker.pool.free.first()?.rank;
        let mut passed_over = Vec::new();
        while rank.level <= seeker.highest {
            if let Some((free, failures)) = self.pick_on(rank, seeker, &mut passed_over) {
                let is_favourite = self.favourite_on(rank, seeker) == Some(free);
                return Some(free.picked(failures, is_favourite, passed_over));
            }
            let talks = rank.talks.checked_add(1)?;
            let above = start_of(Rank { talks, ..rank });
            rank = seeker.pool.free.range(above..).next()?.rank;
        }
        None
    }

    /// Who failed this caller less often goes first, except where the strategy always begins with the first.
    fn pick_on(
        &self,
        rank: Rank,
        seeker: Seeker<'_>,
        passed_over: &mut Vec<(AgentId, Held)>,
    ) -> Option<(Free, u32)> {
        let favourite = self.favourite_on(rank, seeker);
        let is_favourite = |free: &&Free| Some(**free) == favourite;
        let others = self.in_turn(rank, seeker);
        let others = others.filter(|free| !is_favourite(free));
        let mut best: Option<(Free, u32)> = None;
        for free in favourite.iter().chain(others) {
            match self.failures(*free, seeker) {
                Ok(failures) if best.is_none_or(|(_, least)| failures < least) => {
                    best = Some((*free, failures));
                }
                Ok(_) => {}
                Err(held) => passed_over.push(held),
            }
            let is_first = self.strategy == Strategy::SequentiallyByAgentOrder;
            if best.is_some_and(|(_, least)| least == 0 || is_first) {
                break;
            }
        }
        best
    }

    /// Who served the customer last, if it is free on this rank and the strategy asks for it.
    fn favourite_on(&self, rank: Rank, seeker: Seeker<'_>) -> Option<Free> {
        let (favourite, _) = seeker.favourite.filter(|(_, talks)| *talks == rank.talks)?;
        let free = Free {
            rank,
            merit: Some(Merit::Seat),
            index: self.seat_of(favourite)?,
        };
        let is_asked = self.strategy == Strategy::RingProgressively;
        (is_asked && seeker.pool.free.contains(&free)).then_some(free)
    }

    /// The free agents of a rank in the strategy's order.
    fn in_turn<'a>(
        &self,
        rank: Rank,
        seeker: Seeker<'a>,
    ) -> impl Iterator<Item = &'a Free> + use<'a> {
        let free = &seeker.pool.free;
        let first = match self.strategy {
            Strategy::RoundRobin => self.next_in_turn(rank.level),
            Strategy::Random => self.drawn(rank, seeker),
            Strategy::RingAll
            | Strategy::LongestIdleAgent
            | Strategy::TopDown
            | Strategy::AgentWithLeastTalkTime
            | Strategy::AgentWithFewestCalls
            | Strategy::SequentiallyByAgentOrder
            | Strategy::RingProgressively => None,
        };
        let start = first.map_or(start_of(rank), |index| Free {
            rank,
            merit: Some(Merit::Seat),
            index,
        });
        let of_rank = move |free: &&Free| free.rank == rank;
        let behind = free.range(start..).take_while(of_rank);
        behind.chain(free.range(start_of(rank)..start))
    }

    /// The seat behind the one whom this queue offered a call last on the level.
    fn next_in_turn(&self, level: u32) -> Option<usize> {
        let (position, name) = self.memory.turns.get(&level)?;
        let last = (level, *position, name);
        let index = self
            .members
            .partition_point(|member| (member.level, member.position, &member.name) <= last);
        Some(index)
    }

    /// The seat that the lot falls on.
    fn drawn(&self, rank: Rank, seeker: Seeker<'_>) -> Option<usize> {
        let seats = self.levels.get(&rank.level)?.clone();
        seeker.pool.lots_of(rank)?.draw(seats, seeker.lot)
    }

    /// How often the agent failed this caller; or who is held back, and why.
    fn failures(&self, free: Free, seeker: Seeker<'_>) -> Result<u32, (AgentId, Held)> {
        let member = &self.members[free.index];
        let failures = seeker.tries.failures(member.agent, seeker.now);
        failures.map_err(|held| (member.name.clone(), held))
    }
}

/// Sorts before every free agent of the rank.
fn start_of(rank: Rank) -> Free {
    Free {
        rank,
        merit: None,
        index: 0,
    }
}
