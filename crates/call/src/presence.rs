//! Which phones are in calls: derived from live legs.

use std::collections::BTreeMap;

use queue::AgentId;
use sip::endpoint::Account;

use crate::leg::Role;

/// The live legs of each account: those of agents with their agent, all others without.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    legs: BTreeMap<Account, Vec<Option<AgentId>>>,
}

impl Presence {
    pub(crate) fn enter(&mut self, account: &Account, role: &Role) {
        let legs = self.legs.entry(account.clone()).or_default();
        legs.push(role.agent().cloned());
    }

    pub(crate) fn leave(&mut self, account: &Account, role: &Role) {
        let Some(legs) = self.legs.get_mut(account) else {
            return;
        };
        if let Some(place) = legs.iter().position(|leg| leg.as_ref() == role.agent()) {
            legs.swap_remove(place);
        }
        if legs.is_empty() {
            self.legs.remove(account);
        }
    }

    /// Phones in calls.
    pub(crate) fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether the phone is in a call that no queue gave this agent. Its own ringing and talking the queue engine knows;
    /// that of another agent on the same phone it does not.
    pub(crate) fn is_busy_for(&self, account: &Account, agent: &AgentId) -> bool {
        self.legs
            .get(account)
            .is_some_and(|legs| legs.iter().any(|leg| leg.as_ref() != Some(agent)))
    }
}
