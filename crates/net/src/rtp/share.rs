//! Which ports are whose.

use std::ops::RangeInclusive;

/// The even ports of a range that belong to one worker (RFC 3550 section 11: RTP uses an even port, RTCP the next).
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    first: u16,
    step: u16,
    count: u16,
}

impl Share {
    /// The share of worker `worker` of `workers`: each `workers`-th even port of the range.
    pub(super) fn new(range: &RangeInclusive<u16>, worker: u16, workers: u16) -> Self {
        let first_even = u32::from(*range.start()).next_multiple_of(2);
        let first = first_even + 2 * u32::from(worker);
        let step = 2 * u32::from(workers);
        // The port after the last is in the range, too.
        let end = u32::from(*range.end()).saturating_sub(1);
        let count = if first > end {
            0
        } else {
            (end - first) / step + 1
        };
        let narrow = |number: u32| u16::try_from(number).unwrap_or(0);
        Self {
            first: narrow(first),
            step: narrow(step),
            count: narrow(count),
        }
    }

    /// How many ports there are.
    pub(super) fn count(self) -> u16 {
        self.count
    }

    /// The port of that number.
    pub(super) fn nth(self, index: u16) -> u16 {
        self.first + self.step * index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_even_ports_of_a_range() {
        let range = 10_001..=10_013;
        let ports = |worker| {
            let share = Share::new(&range, worker, 2);
            (0..share.count()).map(|n| share.nth(n)).collect::<Vec<_>>()
        };
        assert_eq!(ports(0), [10_002, 10_006, 10_010]);
        assert_eq!(ports(1), [10_004, 10_008, 10_012]);
        let top = Share::new(&(65_533..=65_535), 0, 1);
        assert_eq!((top.count(), top.nth(0)), (1, 65_534));
        assert_eq!(Share::new(&(65_535..=65_535), 0, 1).count(), 0);
        assert_eq!(Share::new(&(10_000..=10_002), 0, 1).count(), 1);
        assert_eq!(Share::new(&range, 6, 7).count(), 0);
    }
}
