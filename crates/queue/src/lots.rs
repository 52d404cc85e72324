//! Drawing by lot among the free agents of a queue, in as many steps as their number has binary digits.

use std::ops::Range;

/// Which of a row of seats take part: a Fenwick tree of how many.
#[derive(Debug)]
pub(crate) struct Lots(Vec<usize>);

impl Lots {
    /// Nobody takes part.
    pub(crate) fn new(seats: usize) -> Self {
        Self(vec![0; seats + 1])
    }

    /// The seat takes part from now. It must not before.
    pub(crate) fn add(&mut self, seat: usize) {
        self.change(seat, |count| count + 1);
    }

    /// The seat takes part no more. It must before.
    pub(crate) fn remove(&mut self, seat: usize) {
        self.change(seat, |count| count - 1);
    }

    fn change(&mut self, seat: usize, change: impl Fn(usize) -> usize) {
        let mut node = seat + 1;
        while let Some(count) = self.0.get_mut(node) {
            *count = change(*count);
            node += lowest_bit(node);
        }
    }

    /// How many before this seat take part.
    fn before(&self, seat: usize) -> usize {
        let mut node = seat;
        let mut sum = 0;
        while node > 0 {
            sum += self.0[node];
            node -= lowest_bit(node);
        }
        sum
    }

    /// One of those who take part among these seats, all with the same chance if `lot` is any number with the same chance.
    pub(crate) fn draw(&self, seats: Range<usize>, lot: u64) -> Option<usize> {
        let skipped = self.before(seats.start);
        let taking_part = u64::try_from(self.before(seats.end) - skipped).ok()?;
        let nth = usize::try_from(lot.checked_rem(taking_part)?).ok()?;
        let mut left = skipped + nth;
        let mut node = 0;
        let mut step = self.0.len().next_power_of_two();
        while step > 0 {
            if let Some(&count) = self.0.get(node + step)
                && count <= left
            {
                node += step;
                left -= count;
            }
            step /= 2;
        }
        Some(node)
    }
}

fn lowest_bit(node: usize) -> usize {
    node & node.wrapping_neg()
}

/// The lot of the nth draw of a row that the seed determines (splitmix64).
pub(crate) fn lot(seed: u64, nth: u64) -> u64 {
    let step = nth.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut lot = seed.wrapping_add(step);
    lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    lot ^ (lot >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lot_draws_the_seat_that_counting_finds() {
        let mut lots = Lots::new(13);
        let mut taking_part = Vec::new();
        for seat in [3, 12, 0, 7, 5, 6] {
            lots.add(seat);
            taking_part.push(seat);
        }
        lots.remove(7);
        taking_part.retain(|seat| *seat != 7);
        taking_part.sort_unstable();
        for seats in [0..13, 0..1, 1..3, 3..8, 12..13] {
            let counted: Vec<usize> = taking_part
                .iter()
                .copied()
                .filter(|seat| seats.contains(seat))
                .collect();
            for lot in 0..20 {
                let nth = (!counted.is_empty()).then(|| counted[lot % counted.len()]);
                let lot = u64::try_from(lot).unwrap();
                assert_eq!(lots.draw(seats.clone(), lot), nth, "{seats:?} {lot}");
            }
        }
    }

    #[test]
    fn everybody_has_the_same_chance() {
        let mut lots = Lots::new(5);
        (0..5).for_each(|seat| lots.add(seat));
        let mut drawn = [0; 5];
        for nth in 0..50_000 {
            drawn[lots.draw(0..5, lot(1, nth)).unwrap()] += 1;
        }
        assert!(
            drawn.iter().all(|times| (9_700..10_300).contains(times)),
            "{drawn:?}"
        );
    }
}
