//! All subscriptions, and where each is found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::{Refusal, granted};
use crate::dialog::Dialog;
use crate::endpoint::{Account, LegId, Settings};
use crate::package::{EventValue, Package};
use crate::token::Token;
use crate::{Flow, Message};

/// A subscription of a phone; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionId(pub u64);

/// Why a subscription ends: the `reason` of its last notification (RFC 6665 section 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoint) enum End {
    /// It expired, was given up by the phone, or was for one notification only.
    TimedOut,
    /// The watching account is no more.
    Rejected,
    /// The watched account is no more.
    NoResource,
}

/// What goes on between a subscription and its phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The phone knows everything.
    Idle,
    /// The owner is asked what there is to tell.
    Asked,
    /// NOTIFY waits for its answer; `stale` if there is more to tell since.
    Sent { stale: bool },
    /// There is something to tell, but not before this.
    Resting(Instant),
    /// The last NOTIFY waits for its answer.
    Closing,
}

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) dialog: Dialog,
    pub(super) watcher: Account,
    /// Whom it watches.
    pub(super) resource: Account,
    pub(super) event: EventValue,
    pub(super) expires: Instant,
    /// The phone had registered over the flow of its last SUBSCRIBE: where it goes, notifications go.
    pub(super) follows: bool,
    pub(super) phase: Phase,
    pub(super) pace: Pace,
    /// The next notification leaves even if nothing has changed, and does not wait.
    pub(super) owed: bool,
    /// The next notification is the last.
    pub(super) end: Option<End>,
    /// Of the next document.
    pub(super) version: u32,
    /// A hash of what was told last.
    pub(super) told: Option<u64>,
    /// The dialogs that were told last.
    pub(super) dialogs: Vec<LegId>,
    /// What stands in `Subscriptions::deadlines`.
    deadline: Option<Instant>,
}

impl Subscription {
    pub(super) fn new(
        dialog: Dialog,
        watcher: Account,
        resource: Account,
        event: EventValue,
        expires: Instant,
        now: Instant,
    ) -> Self {
        Self {
            dialog,
            watcher,
            resource,
            event,
            expires,
            follows: false,
            phase: Phase::Idle,
            pace: Pace::new(now),
            owed: false,
            end: None,
            version: 0,
            told: None,
            dialogs: Vec::new(),
            deadline: None,
        }
    }

    /// When something is to be done without being asked.
    fn due(&self) -> Option<Instant> {
        let expires = self.end.is_none().then_some(self.expires);
        let rests = match self.phase {
            Phase::Resting(until) => Some(until),
            Phase::Idle | Phase::Asked | Phase::Sent { .. } | Phase::Closing => None,
        };
        [expires, rests].into_iter().flatten().min()
    }
}

/// The table.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Subscriptions {
    by_id: BTreeMap<SubscriptionId, Subscription>,
    /// By our tag.
    by_tag: BTreeMap<Token, SubscriptionId>,
    by_watcher: BTreeSet<(Account, SubscriptionId)>,
    by_resource: BTreeSet<(Account, Package, SubscriptionId)>,
    deadlines: BTreeSet<(Instant, SubscriptionId)>,
    last: u64,
}

impl Subscriptions {
    pub(in crate::endpoint) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn add(&mut self, subscription: Subscription) -> SubscriptionId {
        self.last += 1;
        let id = SubscriptionId(self.last);
        self.by_tag.insert(subscription.dialog.local_tag, id);
        self.by_watcher.insert((subscription.watcher.clone(), id));
        self.by_resource.insert((
            subscription.resource.clone(),
            subscription.event.package,
            id,
        ));
        self.by_id.insert(id, subscription);
        self.schedule(id);
        id
    }

    pub(super) fn remove(&mut self, id: SubscriptionId) {
        if let Some(gone) = self.by_id.remove(&id) {
            self.by_tag.remove(&gone.dialog.local_tag);
            self.by_watcher.remove(&(gone.watcher, id));
            self.by_resource
                .remove(&(gone.resource, gone.event.package, id));
            if let Some(deadline) = gone.deadline {
                self.deadlines.remove(&(deadline, id));
            }
        }
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.by_id.get_mut(&id)
    }

    /// Whose subscription it is, and the address that its phone speaks from.
    pub(super) fn watcher(&self, id: SubscriptionId) -> Option<(Account, IpAddr)> {
        let subscription = self.get(id)?;
        let address = subscription.dialog.flow.remote.ip();
        Some((subscription.watcher.clone(), address))
    }

    /// The subscription that a request with our tag in To belongs to, unless it is over.
    pub(super) fn of_request(&self, request: &Message) -> Option<SubscriptionId> {
        let tag = Token::parse(request.to()?.tag()?.as_bytes())?;
        let id = *self.by_tag.get(&tag)?;
        let subscription = self.get(id)?;
        (subscription.end.is_none() && subscription.dialog.has(request)).then_some(id)
    }

    pub(super) fn of_watcher(
        &self,
        account: &Account,
    ) -> impl Iterator<Item = SubscriptionId> + use<'_> {
        let of = account.clone();
        self.by_watcher
            .range((account.clone(), SubscriptionId(0))..)
            .take_while(move |(watcher, _)| *watcher == of)
            .map(|(_, id)| *id)
    }

    /// Who is to be notified of something new about an account.
    pub(super) fn of_resource(&self, account: &Account, package: Package) -> Vec<SubscriptionId> {
        if self.by_resource.is_empty() {
            return Vec::new();
        }
        self.by_resource
            .range((account.clone(), package, SubscriptionId(0))..)
            .take_while(|(resource, of, _)| resource == account && *of == package)
            .map(|(_, _, id)| *id)
            .collect()
    }

    /// A refresh: how long it is granted for.
    pub(super) fn refresh(
        &mut self,
        id: SubscriptionId,
        request: &Message,
        flow: Flow,
        now: Instant,
    ) -> Result<Duration, Refusal> {
        let subscription = self.by_id.get_mut(&id).ok_or(Refusal::Unknown)?;
        let cseq = request.cseq().ok_or(Refusal::Malformed)?;
        // RFC 3261 section 12.2.2.
        if !subscription.dialog.advance(cseq.number) {
            return Err(Refusal::OutOfOrder);
        }
        // RFC 6665 section 4.5.2: one dialog, one subscription.
        if EventValue::of(request).as_ref() != Some(&subscription.event) {
            return Err(Refusal::BadEvent);
        }
        let expires = granted(request)?;
        subscription.dialog.flow = flow;
        subscription.dialog.refresh(request);
        subscription.expires = now + expires;
        self.schedule(id);
        Ok(expires)
    }

    /// Subscriptions of and to accounts that the settings do not have.
    pub(super) fn orphans(&self, settings: &Settings) -> Vec<(SubscriptionId, End)> {
        let gone = |account| !settings.accounts.contains_key(account);
        self.by_id
            .iter()
            .filter_map(|(id, subscription)| {
                if gone(&subscription.watcher) {
                    Some((*id, End::Rejected))
                } else {
                    gone(&subscription.resource).then_some((*id, End::NoResource))
                }
            })
            .collect()
    }

    /// When the next subscription has something to do.
    pub(in crate::endpoint) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The next subscription that has something to do by now.
    pub(super) fn due(&self, now: Instant) -> Option<SubscriptionId> {
        self.deadlines
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, id)| *id)
    }

    /// Notes when the subscription is to be woken; to be called when its phase, expiry or end has changed.
    pub(super) fn schedule(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.by_id.get_mut(&id) else {
            return;
        };
        let due = subscription.due();
        let old = std::mem::replace(&mut subscription.deadline, due);
        if old != due {
            if let Some(old) = old {
                self.deadlines.remove(&(old, id));
            }
            if let Some(due) = due {
                self.deadlines.insert((due, id));
            }
        }
    }
}
