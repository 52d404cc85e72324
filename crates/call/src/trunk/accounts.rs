//! What accounts have used up of what they may do outside: calls at once, calls and talk of a day.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sip::endpoint::{Account, LegId};

use super::settings::{Allowance, Outside};
use crate::Cause;

/// What an account has used up of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The account.
    pub account: Account,
    /// Outside calls that it paid for.
    pub calls: u32,
    /// How long their outside legs were talked in, all together.
    pub talk: Duration,
}

/// The outside calls of each account that has or had some today.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    used: BTreeMap<Account, Used>,
    /// When accounts will have talked for as long as they may.
    deadlines: BTreeSet<(Instant, Account)>,
    day: String,
}

#[derive(Debug, Default)]
struct Used {
    /// Calls that stand.
    live: usize,
    /// Calls begun today.
    calls: u32,
    /// Talk of today that is over.
    talk: Duration,
    /// Since when each outside leg is talked in, today.
    talks: BTreeMap<LegId, Instant>,
    /// What stands in `Accounts::deadlines`.
    deadline: Option<Instant>,
    /// A limit of today has been reached, and that was told.
    told: bool,
}

impl Accounts {
    /// An outside call of the account begins, if it may.
    pub(crate) fn begin(&mut self, account: &Account, allowance: Allowance) -> Result<(), Cause> {
        let used = self.used.entry(account.clone()).or_default();
        if used.live >= allowance.calls || used.calls >= allowance.calls_per_day {
            return Err(Cause::AccountLimit);
        }
        used.live += 1;
        used.calls += 1;
        Ok(())
    }

    /// One of its outside calls is over.
    pub(crate) fn end(&mut self, account: &Account) {
        if let Some(used) = self.used.get_mut(account) {
            used.live = used.live.saturating_sub(1);
        }
    }

    /// Whether the account may talk outside any longer today.
    pub(crate) fn has_time(&self, account: &Account, allowance: Allowance, now: Instant) -> bool {
        let used = self.used.get(account);
        used.is_none_or(|used| used.talk_until(now) < allowance.talk_per_day)
    }

    /// Whether the account has used up a limit of the day, and nobody was told yet.
    pub(crate) fn is_news(
        &mut self,
        account: &Account,
        allowance: Allowance,
        now: Instant,
    ) -> bool {
        let used = self.used.entry(account.clone()).or_default();
        let is_spent =
            used.calls >= allowance.calls_per_day || used.talk_until(now) >= allowance.talk_per_day;
        is_spent && !std::mem::replace(&mut used.told, true)
    }

    /// An outside leg that the account pays for was answered.
    pub(crate) fn talks(&mut self, account: &Account, leg: LegId, outside: &Outside, now: Instant) {
        let used = self.used.entry(account.clone()).or_default();
        used.talks.insert(leg, now);
        self.schedule(account, outside);
    }

    /// It is over.
    pub(crate) fn talked(
        &mut self,
        account: &Account,
        leg: LegId,
        outside: &Outside,
        now: Instant,
    ) {
        if let Some(used) = self.used.get_mut(account)
            && let Some(since) = used.talks.remove(&leg)
        {
            used.talk += now.saturating_duration_since(since);
            self.schedule(account, outside);
        }
    }

    /// When the next account has talked for as long as it may.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// An account that has talked for as long as it may, each once, and the legs that it pays for.
    pub(crate) fn take_spent(&mut self, now: Instant) -> Option<(Account, Vec<LegId>)> {
        let (at, account) = self.deadlines.first().cloned()?;
        if at > now {
            return None;
        }
        self.deadlines.pop_first();
        let used = self.used.get_mut(&account)?;
        used.deadline = None;
        let legs = used.talks.keys().copied().collect();
        Some((account, legs))
    }

    /// It is this day now: on another one than before everybody may do everything again.
    pub(crate) fn set_day(&mut self, day: String, outside: &Outside, now: Instant) {
        if day == self.day {
            return;
        }
        self.day = day;
        self.used
            .retain(|_, used| used.live > 0 || !used.talks.is_empty());
        for used in self.used.values_mut() {
            (used.calls, used.talk, used.told) = (0, Duration::ZERO, false);
            for since in used.talks.values_mut() {
                *since = now;
            }
        }
        self.configure(outside);
    }

    /// Takes what accounts may do now.
    pub(crate) fn configure(&mut self, outside: &Outside) {
        for account in self.used.keys().cloned().collect::<Vec<_>>() {
            self.schedule(&account, outside);
        }
    }

    /// What was used up today before a restart.
    pub(crate) fn remember(&mut self, spent: Vec<Spent>) {
        for Spent {
            account,
            calls,
            talk,
        } in spent
        {
            let used = self.used.entry(account).or_default();
            used.calls = used.calls.saturating_add(calls);
            used.talk += talk;
        }
    }

    fn schedule(&mut self, account: &Account, outside: &Outside) {
        let Some(used) = self.used.get_mut(account) else {
            return;
        };
        if let Some(old) = used.deadline.take() {
            self.deadlines.remove(&(old, account.clone()));
        }
        used.deadline = used.spent_at(outside.allowance(account).talk_per_day);
        if let Some(at) = used.deadline {
            self.deadlines.insert((at, account.clone()));
        }
    }

    /// Accounts with outside calls.
    pub(crate) fn len(&self) -> usize {
        self.used.values().filter(|used| used.live > 0).count()
    }
}

impl Used {
    fn talk_until(&self, now: Instant) -> Duration {
        let running = self.talks.values();
        let running = running.map(|since| now.saturating_duration_since(*since));
        self.talk + running.sum::<Duration>()
    }

    /// When `limit` is used up if nothing changes: so many legs use it up so many times as fast.
    fn spent_at(&self, limit: Duration) -> Option<Instant> {
        let latest = *self.talks.values().max()?;
        let legs = u32::try_from(self.talks.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(self.talk_until(latest));
        // Not a nanosecond before it.
        let rounded = Duration::from_nanos((left / legs * legs < left).into());
        Some(latest + left / legs + rounded)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn outside() -> Outside {
        Outside {
            everybody: Allowance {
                calls: 2,
                calls_per_day: 3,
                talk_per_day: 30 * MINUTE,
                international: false,
            },
            ..Outside::default()
        }
    }

    fn account() -> Account {
        Account("205".into())
    }

    #[test]
    fn an_account_has_its_calls_at_once_and_a_day() {
        let (mut accounts, outside, now) = (Accounts::default(), outside(), Instant::now());
        let begin = |accounts: &mut Accounts| accounts.begin(&account(), outside.everybody);
        assert_eq!(begin(&mut accounts), Ok(()));
        assert_eq!(begin(&mut accounts), Ok(()));
        assert_eq!(begin(&mut accounts), Err(Cause::AccountLimit));
        accounts.end(&account());
        assert_eq!(begin(&mut accounts), Ok(()));
        accounts.end(&account());
        assert_eq!(begin(&mut accounts), Err(Cause::AccountLimit));
        accounts.set_day("2".into(), &outside, now);
        assert_eq!(begin(&mut accounts), Ok(()));
        accounts.end(&account());
        accounts.end(&account());
        assert_eq!(accounts.len(), 0);
    }

    #[test]
    fn legs_use_up_the_talk_of_a_day_together() {
        let (mut accounts, outside, now) = (Accounts::default(), outside(), Instant::now());
        let minute = |n: u32| now + n * MINUTE;
        accounts.talks(&account(), LegId(1), &outside, minute(0));
        assert_eq!(accounts.poll_timeout(), Some(minute(30)));
        accounts.talks(&account(), LegId(2), &outside, minute(10));
        assert_eq!(accounts.poll_timeout(), Some(minute(20)));
        accounts.talked(&account(), LegId(1), &outside, minute(15));
        assert_eq!(accounts.poll_timeout(), Some(minute(25)));
        assert!(accounts.has_time(&account(), outside.everybody, minute(24)));
        assert_eq!(accounts.take_spent(minute(24)), None);
        let spent = accounts.take_spent(minute(25));
        assert_eq!(spent, Some((account(), vec![LegId(2)])));
        assert_eq!(accounts.take_spent(minute(25)), None, "each once");
        assert!(!accounts.has_time(&account(), outside.everybody, minute(25)));
    }

    #[test]
    fn a_new_day_and_a_larger_allowance_put_the_end_off() {
        let (mut accounts, mut outside, now) = (Accounts::default(), outside(), Instant::now());
        accounts.begin(&account(), outside.everybody).unwrap();
        accounts.talks(&account(), LegId(1), &outside, now);
        outside.everybody.talk_per_day = 40 * MINUTE;
        accounts.configure(&outside);
        assert_eq!(accounts.poll_timeout(), Some(now + 40 * MINUTE));
        accounts.set_day("2".into(), &outside, now + 20 * MINUTE);
        assert_eq!(accounts.poll_timeout(), Some(now + 60 * MINUTE));
    }
}
