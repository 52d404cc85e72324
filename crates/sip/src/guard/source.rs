//! What is remembered about one source address.

use std::time::{Duration, Instant};

use super::{Defence, fair, interval};

/// Octets of answers that an address may save up with requests whose answers were short or missing, or gets with a password:
/// a phone that is known is never kept waiting for its next challenges.
const CREDIT: usize = 4_096;

/// How long what an address saved up is remembered at least: as long as a phone waits before it repeats a request whose answer
/// was too long (T2, RFC 3261 section 17.1.2.2).
const REPEATED_WITHIN: Duration = Duration::from_secs(4);

/// The same address, seen again.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// When the allowance of requests is whole again; none: it is.
    whole: Option<Instant>,
    /// Octets that answers may have.
    credit: usize,
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
        let remembered = self.whole.filter(|_| self.credit > 0);
        self.residents == 0
            && over(self.whole)
            && over(remembered.map(|at| at + REPEATED_WITHIN))
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
        self.credit = CREDIT;
    }

    /// An unproven request of so many octets came that is to be answered.
    pub(super) fn earn(&mut self, request: usize) {
        let fair = fair(request);
        self.credit = (self.credit + fair).min(fair.max(CREDIT));
    }

    /// Takes the octets of an answer, if there are so many left.
    pub(super) fn spend(&mut self, answer: usize) -> bool {
        let left = self.credit.checked_sub(answer);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
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
