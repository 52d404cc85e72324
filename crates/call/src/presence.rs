//! Which phones are in calls: derived from live legs.

use std::collections::BTreeMap;

use queue::AgentId;
use sip::endpoint::{Account, LegId};

use crate::leg::Role;

/// The live legs of each account, in the order in which they began: those of agents with their agent, all others without.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    legs: BTreeMap<Account, Vec<(LegId, Option<AgentId>)>>,
}

impl Presence {
    pub(crate) fn enter(&mut self, account: &Account, leg: LegId, role: &Role) {
        let legs = self.legs.entry(account.clone()).or_default();
        legs.push((leg, role.agent().cloned()));
    }

    /// The phone's leg that began last.
    pub(crate) fn latest(&self, account: &Account) -> Option<LegId> {
        self.legs.get(account)?.last().map(|(leg, _)| *leg)
    }

    pub(crate) fn leave(&mut self, account: &Account, leg: LegId) {
        let Some(legs) = self.legs.get_mut(account) else {
            return;
        };
        legs.retain(|(other, _)| *other != leg);
        if legs.is_empty() {
            self.legs.remove(account);
        }
    }

    /// The legs of a phone, the oldest first.
    pub(crate) fn legs(&self, account: &Account) -> impl Iterator<Item = LegId> {
        self.legs
            .get(account)
            .into_iter()
            .flatten()
            .map(|(leg, _)| *leg)
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
            .is_some_and(|legs| legs.iter().any(|(_, of)| of.as_ref() != Some(agent)))
    }
}
