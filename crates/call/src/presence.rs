//! Which phones are in a call that no queue gave them: derived from live legs.

use std::collections::BTreeMap;

use sip::endpoint::Account;

/// Live legs per account, without those that ring or talk for a queue.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    legs: BTreeMap<Account, usize>,
}

impl Presence {
    /// A leg of the account began. True if the account is busy from now.
    pub(crate) fn enter(&mut self, account: &Account) -> bool {
        let legs = self.legs.entry(account.clone()).or_insert(0);
        *legs += 1;
        *legs == 1
    }

    /// A leg of the account ended. True if the account is idle from now.
    pub(crate) fn leave(&mut self, account: &Account) -> bool {
        let Some(legs) = self.legs.get_mut(account) else {
            return false;
        };
        *legs -= 1;
        if *legs > 0 {
            return false;
        }
        self.legs.remove(account);
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.legs.len()
    }

    pub(crate) fn is_busy(&self, account: &Account) -> bool {
        self.legs.contains_key(account)
    }
}
