//! What is remembered about one source address.

use std::time::{Duration, Instant};

use super::{Defence, interval};

/// Octets that answers may be longer than 1.2 times their unproven requests, all together: some twenty challenges for
/// phones whose requests are short. Beyond it nothing is answered until time or a password makes up for it.
const OCTETS: u32 = 4_096;

/// Octets of that allowance that come back in a second: an OPTIONS ping each few seconds is answered for ever.
const OCTETS_PER_SECOND: u32 = 64;

/// The same address, seen again.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// When the allowance of requests is whole again; none: it is.
    whole: Option<Instant>,
    /// Octets taken from their allowance, and when that was so.
    octets: u32,
    counted: Option<Instant>,
    /// When wrong passwords came, the oldest first; at most `Defence::ban_after`.
    failures: Vec<Instant>,
    /// The last ban.
    ban: Option<Ban>,
    /// Accounts that have registered from here.
    pub(super) residents: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ban {
    until: Instant,
    time: Duration,
    /// When it is forgotten: until then the next one lasts twice as long.
    remembered: Instant,
}

impl Record {
    pub(super) fn is_banned(&self, now: Instant) -> bool {
        self.ban.is_some_and(|ban| now < ban.until)
    }

    /// The end of the ban, but not later than `longest` from now. Who only asks too much is shut out for as long.
    pub(super) fn shut_until(&self, longest: Duration, now: Instant) -> Instant {
        let latest = now + longest;
        let ban = self.ban.filter(|ban| now < ban.until);
        ban.map_or(latest, |ban| ban.until.min(latest))
    }

    /// Whether nothing is lost with it.
    pub(super) fn is_worthless(&self, now: Instant) -> bool {
        let over = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        let octets_back = self.counted.map(|counted| {
            counted + Duration::from_secs(u64::from(self.octets / OCTETS_PER_SECOND + 1))
        });
        self.residents == 0
            && over(self.whole)
            && over(octets_back)
            && over(self.ban.map(|ban| ban.remembered))
            && self.failures.last().is_none_or(|at| *at + FORGIVEN <= now)
    }

    /// Takes one request from the allowance, if it is there.
    pub(super) fn take(&mut self, rate: u32, burst: u32, now: Instant) -> bool {
        let interval = interval(rate);
        let whole = self.whole.unwrap_or(now).max(now) + interval;
        let within = whole <= now + interval * burst.max(1);
        if within {
            self.whole = Some(whole);
        }
        within
    }

    /// Gives one request back.
    pub(super) fn give_back(&mut self, interval: Duration) {
        self.whole = self.whole.and_then(|whole| whole.checked_sub(interval));
    }

    /// Gives both allowances back.
    pub(super) fn make_whole(&mut self) {
        self.whole = None;
        self.octets = 0;
        self.counted = None;
    }

    /// Takes what the answer is longer than it may be, if that much is left.
    pub(super) fn may_answer(&mut self, request: usize, answer: usize, now: Instant) -> bool {
        let fair = request + request / 5;
        let fair_for = |octets: usize| u32::try_from(octets).unwrap_or(u32::MAX);
        let back = self.counted.map_or(0, |counted| {
            let seconds = now.saturating_duration_since(counted).as_secs();
            u32::try_from(seconds)
                .unwrap_or(u32::MAX)
                .saturating_mul(OCTETS_PER_SECOND)
        });
        if back > 0 {
            self.octets = self.octets.saturating_sub(back);
            self.counted = Some(now);
        }
        // A short answer makes up for a long one.
        let owed = self
            .octets
            .saturating_add(fair_for(answer.saturating_sub(fair)))
            .saturating_sub(fair_for(fair.saturating_sub(answer)));
        let may = owed <= OCTETS;
        if may {
            self.octets = owed;
            self.counted.get_or_insert(now);
        }
        may
    }

    /// A wrong password. Gives the length of the ban that begins now.
    pub(super) fn failed(&mut self, defence: &Defence, now: Instant) -> Option<Duration> {
        self.failures.retain(|at| *at + defence.ban_window > now);
        self.failures.push(now);
        if self.failures.len() < defence.ban_after.max(1) as usize || self.is_banned(now) {
            self.failures.truncate(defence.ban_after.max(1) as usize);
            return None;
        }
        self.failures.clear();
        let before = self.ban.filter(|ban| now < ban.remembered);
        let time = before
            .map_or(defence.ban_time, |ban| ban.time * 2)
            .min(defence.longest_ban);
        let until = now + time;
        self.ban = Some(Ban {
            until,
            time,
            remembered: until + defence.longest_ban,
        });
        Some(time)
    }
}

/// A wrong password counts no longer than this, whatever the setting: the longest `ban_window` that may be set.
const FORGIVEN: Duration = Duration::from_secs(3_600);
