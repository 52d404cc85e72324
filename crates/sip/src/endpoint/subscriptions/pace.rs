//! How often one subscription is notified.

use std::time::{Duration, Instant};

/// So many notifications may follow each other at once: a call that is set up has three (trying, early, confirmed).
const AT_ONCE: u32 = 4;

/// After them one in so long: RFC 4235 section 3.10 asks that no subscriber be notified more often than it can take.
const EVERY: Duration = Duration::from_secs(1);

/// A bucket of `AT_ONCE` notifications that fills by one `EVERY` second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When the bucket is full again.
    full: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// When the next notification may leave, if not now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        let until = self.full.checked_sub(EVERY * (AT_ONCE - 1))?;
        (until > now).then_some(until)
    }

    /// A notification leaves.
    pub(super) fn spend(&mut self, now: Instant) {
        // What may not wait leaves even from an empty bucket, but digs no hole.
        self.full = (self.full.max(now) + EVERY).min(now + EVERY * AT_ONCE);
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test needs some moment to start from"
)]
mod tests {
    use super::*;

    #[test]
    fn four_leave_at_once_and_then_one_each_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(start), None);
            pace.spend(start);
        }
        assert_eq!(pace.wait(start), Some(start + EVERY));
        pace.spend(start + EVERY);
        assert_eq!(pace.wait(start + EVERY), Some(start + 2 * EVERY));
        let later = start + Duration::from_secs(60);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(later), None);
            pace.spend(later);
        }
        assert_eq!(pace.wait(later), Some(later + EVERY));
    }
}
