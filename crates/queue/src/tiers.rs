//! The levels of a queue that are open to a caller: tier rules.

use std::time::{Duration, Instant};

use crate::caller::{Scope, Waiting};
use crate::held::Held;
use crate::pool::Pool;
use crate::queue::Queue;
use crate::skills::AskKey;
use crate::timer::after;

impl Queue {
    /// How long a caller waits for a level.
    fn opens_after(&self, level: u32) -> Duration {
        match self.tier_rules {
            Some(rules) if level > 0 && rules.multiply_level => rules.wait.saturating_mul(level),
            Some(rules) if level > 0 => rules.wait,
            Some(_) | None => Duration::ZERO,
        }
    }

    /// The highest level that waiting since `joined` has opened, and when the next one opens.
    pub(crate) fn opened(&self, joined: Instant, now: Instant) -> (Option<u32>, Option<Instant>) {
        let mut highest = None;
        for &level in self.levels.keys() {
            let opens = after(joined, self.opens_after(level));
            if opens > now {
                return (highest, Some(opens));
            }
            highest = Some(level);
        }
        (highest, None)
    }

    /// The highest level that a caller may reach now.
    pub(crate) fn highest(&self, scope: Scope) -> Option<u32> {
        let open = scope.level.max(self.open_to_all(scope.ask));
        match scope.rings {
            Some(rings) => open.min(Some(rings)),
            None => open,
        }
    }

    /// What holds back every agent of a level from a caller who waits since `joined`.
    pub(crate) fn held_level(
        &self,
        level: u32,
        joined: Instant,
        waiting: &Waiting,
        now: Instant,
    ) -> Option<Held> {
        if waiting.overdue(now).is_some() {
            return Some(Held::Overdue);
        }
        let open = self.highest(Scope {
            ask: waiting.ask,
            level: waiting.level,
            rings: None,
        });
        if Some(level) > open {
            let opens = after(joined, self.opens_after(level));
            return Some(Held::LevelClosed { opens });
        }
        match waiting.seeks {
            None => Some(Held::OtherRings {
                until: waiting.widens,
            }),
            Some(scope) => (Some(level) > self.highest(scope)).then_some(Held::LowerLevelRings),
        }
    }

    /// Whether anybody is free as high as a caller may reach.
    pub(crate) fn reaches_somebody(&self, scope: Scope) -> bool {
        let lowest = self.pool(scope.ask).and_then(Pool::lowest_free);
        lowest.is_some_and(|lowest| Some(lowest) <= self.highest(scope))
    }

    /// The level that opens without waiting because nobody who would do is there below it.
    fn open_to_all(&self, ask: AskKey) -> Option<u32> {
        let rules = self.tier_rules?;
        let lowest = self.pool(ask).and_then(Pool::lowest_present);
        lowest.filter(|_| rules.no_agent_no_wait)
    }
}
