//! Whether one target of a trunk answers: a circuit breaker that calls and OPTIONS open, and that closes at the first answer.

use std::time::{Duration, Instant};

/// Calls in a row that a target may fail before it gets no more: one may be the callee's network, three are the target's.
const MAX_FAILURES: u8 = 3;
/// How long a target that failed is left alone first; the pause doubles each time ...
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// ... up to this: a carrier that comes back shall not wait for an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest Retry-After that is obeyed: no peer can shut itself out for days.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// Calls in a row that it failed.
    failures: u8,
    /// Since it failed: until when it is left alone, and how long that was.
    down: Option<Down>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Down {
    until: Instant,
    pause: Duration,
    /// It asked for this pause (Retry-After): no answer ends it before.
    asked: bool,
}

impl Health {
    /// A target is taken to work until it shows otherwise.
    pub(crate) const fn new() -> Self {
        Self {
            failures: 0,
            down: None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// Until when it is left alone, if it is down.
    pub(crate) fn down_until(&self) -> Option<Instant> {
        self.down.map(|down| down.until)
    }

    /// It answered, whatever it said. True if it was down.
    pub(crate) fn answered(&mut self, now: Instant) -> bool {
        let before = self.down;
        let rests = before.filter(|down| down.asked && now < down.until);
        *self = Self::new();
        self.down = rests;
        before.is_some() && rests.is_none()
    }

    /// It did not answer a call, or answered that it cannot (5xx): a few of them in a row take it down, and at once a 503 that
    /// says for how long (RFC 3261 section 21.5.4). True if that took it down.
    pub(crate) fn failed_call(&mut self, retry_after: Option<Duration>, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if retry_after.is_none() && self.failures < MAX_FAILURES && self.is_up() {
            return false;
        }
        self.take_down(retry_after, now)
    }

    /// It did not answer OPTIONS or REGISTER. True if that took it down.
    pub(crate) fn take_down(&mut self, retry_after: Option<Duration>, now: Instant) -> bool {
        let was_up = self.is_up();
        let pause = match self.down {
            None => FIRST_PAUSE,
            // Calls that were under way may fail after it was found out.
            Some(down) if now < down.until => down.pause,
            Some(down) => (down.pause * 2).min(LONGEST_PAUSE),
        };
        let asked = retry_after.map(|asked| now + asked.min(LONGEST_RETRY_AFTER));
        let rests = self.down.filter(|down| down.asked).map(|down| down.until);
        let asked = asked.max(rests).filter(|asked| *asked > now);
        self.down = Some(Down {
            until: (now + pause).max(asked.unwrap_or(now)),
            pause,
            asked: asked.is_some(),
        });
        was_up
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
    fn three_failed_calls_in_a_row_open_the_breaker_and_one_answer_closes_it() {
        let (mut health, now) = (Health::new(), Instant::now());
        assert!(!health.failed_call(None, now) && !health.failed_call(None, now));
        assert!(!health.answered(now));
        assert!(!health.failed_call(None, now) && !health.failed_call(None, now));
        assert!(health.failed_call(None, now));
        assert!(!health.is_up());
        assert!(health.answered(now));
        assert!(health.is_up());
    }

    #[test]
    fn the_pause_grows_to_its_limit() {
        let (mut health, mut now) = (Health::new(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            health.take_down(None, now);
            let until = health.down_until().unwrap();
            pauses.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn retry_after_is_obeyed_within_limits() {
        let (mut health, now) = (Health::new(), Instant::now());
        assert!(health.take_down(Some(Duration::from_secs(60)), now));
        assert_eq!(health.down_until(), Some(now + Duration::from_secs(60)));
        let mut health = Health::new();
        health.take_down(Some(Duration::from_secs(1_000_000)), now);
        assert_eq!(health.down_until(), Some(now + LONGEST_RETRY_AFTER));
    }

    #[test]
    fn a_pause_that_a_target_asked_for_ends_by_time_alone() {
        let (mut health, now) = (Health::new(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(health.failed_call(Some(Duration::from_secs(60)), now));
        assert!(!health.answered(after(1)));
        assert!(!health.failed_call(None, after(2)));
        assert_eq!(health.down_until(), Some(after(60)));
        assert!(health.answered(after(60)));
        assert!(health.is_up());
    }
}
