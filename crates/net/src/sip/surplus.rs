//! What STUN beside SIP on UDP may be answered in all: the binding request that a phone sends to keep its way through a NAT open and
//! to see whether it moved (RFC 5626 section 4.4.2).

use std::time::{Duration, Instant};

/// Octets a second that answers may be longer than their requests, all together: the keep-alives of 50,000 phones. Beyond it
/// longer answers are not given, so that nobody can use the switch to flood a third (RFC 5389 section 16.2.1).
const MAX_SURPLUS: usize = 24_000;

/// What answers may be longer than their requests, in the second that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surplus {
    since: Instant,
    spent: usize,
}

impl Surplus {
    /// Nothing is spent.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            spent: 0,
        }
    }

    /// Whether an answer may be given, which is taken as given then.
    pub(super) fn allows(&mut self, request: usize, answer: usize, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.spent += answer.saturating_sub(request);
        self.spent <= MAX_SURPLUS || answer <= request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_longer_than_their_requests_have_a_limit_and_others_have_none() {
        let now = Instant::now();
        let mut surplus = Surplus::new(now);
        let given = (0..10_000).filter(|_| surplus.allows(20, 32, now)).count();
        assert_eq!(given, 2_000);
        assert!(surplus.allows(32, 32, now));
        assert!(surplus.allows(20, 32, now + Duration::from_secs(1)));
    }
}
