//! The members of a queue who can do what a caller asks: who of them is free, and who is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::Strategy;
use crate::agent::Part;
use crate::lots::Lots;
use crate::order::{Free, Rank, Seat};

#[derive(Debug)]
pub(crate) struct Pool {
    strategy: Strategy,
    /// By `Seat::index`: who belongs to it.
    admits: Vec<bool>,
    /// In the order in which they are offered a call.
    pub(crate) free: BTreeSet<Free>,
    /// The free seats again, by how many talk there, for the strategy that draws.
    lots: BTreeMap<usize, Lots>,
    /// How many agents of each level are logged in.
    present: BTreeMap<u32, usize>,
}

impl Pool {
    /// What the agents do is told afterwards.
    pub(crate) fn new(strategy: Strategy, admits: Vec<bool>) -> Self {
        Self {
            strategy,
            free: BTreeSet::new(),
            lots: BTreeMap::new(),
            admits,
            present: BTreeMap::new(),
        }
    }

    /// The agent of a seat takes a part from now.
    pub(crate) fn enter(&mut self, seat: Seat, part: Part) {
        if !self.admits[seat.index] {
            return;
        }
        if let Some(past) = part.free {
            self.free.insert(Free::new(self.strategy, seat, past));
            if self.strategy == Strategy::Random {
                let lots = self.lots.entry(past.talks);
                lots.or_insert_with(|| Lots::new(self.admits.len()))
                    .add(seat.index);
            }
        }
        if part.is_present {
            *self.present.entry(seat.level).or_default() += 1;
        }
    }

    /// It takes this part no more.
    pub(crate) fn exit(&mut self, seat: Seat, part: Part) {
        if !self.admits[seat.index] {
            return;
        }
        if let Some(past) = part.free {
            self.free.remove(&Free::new(self.strategy, seat, past));
            if let Some(lots) = self.lots.get_mut(&past.talks) {
                lots.remove(seat.index);
            }
        }
        if part.is_present
            && let Some(count) = self.present.get_mut(&seat.level)
        {
            *count -= 1;
            if *count == 0 {
                self.present.remove(&seat.level);
            }
        }
    }

    /// The lowest level on which somebody is free.
    pub(crate) fn lowest_free(&self) -> Option<u32> {
        self.free.first().map(|free| free.rank.level)
    }

    /// The free seats of those who talk with as many, where the strategy draws.
    pub(crate) fn lots_of(&self, rank: Rank) -> Option<&Lots> {
        self.lots.get(&rank.talks)
    }

    /// The lowest level on which somebody is logged in.
    pub(crate) fn lowest_present(&self) -> Option<u32> {
        self.present.first_key_value().map(|(&level, _)| level)
    }
}
