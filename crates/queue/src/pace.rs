//! How fast a queue serves, and what a caller may expect from that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many answers back a queue looks: some hours of a small queue, minutes of a large one.
const MOST: usize = 128;

/// The times between answers, of which each moved every caller who waited on by one; the empty hours are left out.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    gaps: VecDeque<Duration>,
    /// Since the last answer, or since somebody waits again.
    since: Option<Instant>,
}

impl Pace {
    /// A caller waits.
    pub(crate) fn waits(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// A caller was answered.
    pub(crate) fn answered(&mut self, now: Instant) {
        if let Some(since) = self.since.replace(now) {
            self.gaps.push_back(now.saturating_duration_since(since));
            if self.gaps.len() > MOST {
                self.gaps.pop_front();
            }
        }
    }

    /// Nobody waits any more.
    pub(crate) fn rests(&mut self) {
        self.since = None;
    }

    /// How long `percent` of all rows of as many answers as the position have lasted at most. Rows longer than the memory are made
    /// of it by multiplication. None: nobody was answered yet.
    pub(crate) fn expected(&self, position: usize, percent: u8) -> Option<Duration> {
        let row = position.min(self.gaps.len());
        if row == 0 {
            return None;
        }
        let gaps: Vec<Duration> = self.gaps.iter().copied().collect();
        let rows = gaps.windows(row).map(|gaps| gaps.iter().sum::<Duration>());
        let mut rows: Vec<Duration> = rows.collect();
        rows.sort_unstable();
        let nth = (rows.len() * usize::from(percent.min(100))).div_ceil(100);
        let waited = *rows.get(nth.saturating_sub(1))?;
        let times = u32::try_from(position).ok()?;
        let rows = u32::try_from(row).ok()?;
        Some(waited.saturating_mul(times) / rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made from nothing"
    )]
    fn base() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_expected_wait_is_a_quantile_of_what_rows_of_answers_took() {
        let base = base();
        let mut pace = Pace::default();
        assert_eq!(pace.expected(1, 50), None);
        pace.waits(base);
        for moment in [10, 20, 50, 60] {
            pace.answered(base + seconds(moment));
        }
        // Gaps 10, 10, 30, 10; rows of two: 20, 40, 40.
        assert_eq!(pace.expected(1, 50), Some(seconds(10)));
        assert_eq!(pace.expected(1, 100), Some(seconds(30)));
        assert_eq!(pace.expected(2, 30), Some(seconds(20)));
        assert_eq!(pace.expected(2, 90), Some(seconds(40)));
        assert_eq!(pace.expected(8, 90), Some(seconds(120)));
    }

    #[test]
    fn hours_without_callers_do_not_count() {
        let base = base();
        let mut pace = Pace::default();
        pace.waits(base);
        pace.answered(base + seconds(5));
        pace.rests();
        pace.waits(base + seconds(9_000));
        pace.answered(base + seconds(9_005));
        assert_eq!(pace.expected(1, 100), Some(seconds(5)));
    }
}
