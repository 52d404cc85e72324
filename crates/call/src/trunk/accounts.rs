//! What accounts have used up of what they may do outside.

use std::collections::BTreeMap;

use sip::endpoint::Account;

use super::settings::Allowance;
use crate::Cause;

/// The outside calls of each account that has some.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    live: BTreeMap<Account, usize>,
    /// Calls begun on `day`.
    today: BTreeMap<Account, u32>,
    day: String,
}

impl Accounts {
    /// An outside call of the account begins, if it may. `day` is today's date.
    pub(crate) fn begin(
        &mut self,
        account: &Account,
        allowance: Allowance,
        day: String,
    ) -> Result<(), Cause> {
        if day != self.day {
            self.today.clear();
            self.day = day;
        }
        let live = self.live.get(account).copied().unwrap_or_default();
        let today = self.today.get(account).copied().unwrap_or_default();
        if live >= allowance.calls || today >= allowance.calls_per_day {
            return Err(Cause::AccountLimit);
        }
        self.live.insert(account.clone(), live + 1);
        self.today.insert(account.clone(), today + 1);
        Ok(())
    }

    /// One of its outside calls is over.
    pub(crate) fn end(&mut self, account: &Account) {
        if let Some(live) = self.live.get_mut(account) {
            *live = live.saturating_sub(1);
            if *live == 0 {
                self.live.remove(account);
            }
        }
    }

    /// Accounts with outside calls.
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_calls_at_once_and_a_day() {
        let mut accounts = Accounts::default();
        let account = Account("205".into());
        let allowance = Allowance {
            calls: 2,
            calls_per_day: 3,
            international: false,
        };
        let begin = |accounts: &mut Accounts, day: &str| {
            accounts.begin(&account, allowance, day.to_owned())
        };
        assert_eq!(begin(&mut accounts, "1"), Ok(()));
        assert_eq!(begin(&mut accounts, "1"), Ok(()));
        assert_eq!(begin(&mut accounts, "1"), Err(Cause::AccountLimit));
        accounts.end(&account);
        assert_eq!(begin(&mut accounts, "1"), Ok(()));
        accounts.end(&account);
        assert_eq!(begin(&mut accounts, "1"), Err(Cause::AccountLimit));
        assert_eq!(begin(&mut accounts, "2"), Ok(()));
        accounts.end(&account);
        accounts.end(&account);
        assert_eq!(accounts.len(), 0);
    }
}
