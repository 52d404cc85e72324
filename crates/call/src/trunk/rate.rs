//! How many calls may begin in a second.

use std::time::{Duration, Instant};

/// A bucket that fills by one call each `1/per_second` and holds a second's worth, so that a burst that a second allows passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    per_second: u32,
    /// When the bucket will be full; as far in the future as calls were taken out.
    full_at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            per_second: per_second.max(1),
            full_at: now,
        }
    }

    /// Takes one call out; false if there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let one = Duration::from_secs(1) / self.per_second;
        let full_at = self.full_at.max(now) + one;
        let has_room = full_at <= now + Duration::from_secs(1);
        if has_room {
            self.full_at = full_at;
        }
        has_room
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_what_it_may_and_no_more() {
        let now = Instant::now();
        let mut rate = Rate::new(3, now);
        let taken = (0..10).filter(|_| rate.take(now)).count();
        assert_eq!(taken, 3);
        assert!(!rate.take(now + Duration::from_millis(300)));
        assert!(rate.take(now + Duration::from_millis(400)));
    }
}
