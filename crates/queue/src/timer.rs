//! When the engine wants to be woken, and why.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::agent::AgentKey;
use crate::{OfferId, Ticket};

/// The longest time that any setting can ask for: a year. It keeps sums of times in range; a longer setting acts as a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// An offer has rung for `call_timeout`.
    OfferTimeout,
    /// A caller has waited for `max_wait_time`, or `max_wait_time_with_no_agent`.
    WaitLimit,
    /// An agent's wrap-up or delay is over.
    AgentFree,
    /// An agent who failed a caller may be offered this caller again.
    Retry,
    /// A caller has waited long enough for the next level of its queue, or to ask less of its agent.
    LevelOpens,
    /// One more phone may ring for a caller.
    Widen,
}

/// One thing to do at a moment. Of several at the same moment a lost ring comes first, and a caller whose time is over leaves before an agent is free for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    OfferTimeout(OfferId),
    WaitLimit(Ticket),
    AgentFree(AgentKey),
    Retry(Ticket, AgentKey),
    LevelOpens(Ticket),
    Widen(Ticket),
}

/// All timers in order. Who sets one keeps its moment, to take it out again: a timer never outlives its reason.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn clear(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<(Instant, Wake)> {
        self.0.first().map(|&(at, timer)| {
            let wake = match timer {
                Timer::OfferTimeout(_) => Wake::OfferTimeout,
                Timer::WaitLimit(_) => Wake::WaitLimit,
                Timer::AgentFree(_) => Wake::AgentFree,
                Timer::Retry(..) => Wake::Retry,
                Timer::LevelOpens(_) => Wake::LevelOpens,
                Timer::Widen(_) => Wake::Widen,
            };
            (at, wake)
        })
    }

    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, _) = self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}

/// `delay` after `start`.
pub(crate) fn after(start: Instant, delay: Duration) -> Instant {
    start + delay.min(LONGEST)
}

/// So long before `end`; a clock that cannot count back so far gives no head start.
pub(crate) fn before(end: Instant, head_start: Duration) -> Instant {
    end.checked_sub(head_start.min(LONGEST)).unwrap_or(end)
}
