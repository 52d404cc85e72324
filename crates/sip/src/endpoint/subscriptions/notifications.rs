//! NOTIFY: when it leaves, and what becomes of it (RFC 6665 section 4.2.2).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::SubscriptionId;
use super::table::{End, Phase, Subscription};
use crate::dialog::HostOf;
use crate::endpoint::requests::from_same_host;
use crate::endpoint::{Account, Endpoint, Event};
use crate::package::{Package, WatchedDialog, dialog_info, empty_summary, reginfo};
use crate::registrar::Record;
use crate::transaction::{ClientKey, Purpose};
use crate::{Header, Message, Method};

/// Most dialogs that a document tells: a phone has one to four, and a lamp does not count them. The oldest are told.
const MAX_DIALOGS: usize = 8;

/// The longest that a phone may put a notification off by Retry-After.
const LONGEST_REST: Duration = Duration::from_secs(60);

impl Endpoint {
    /// Something has changed in the dialogs of a phone, or may have: who watches it is to be told.
    pub fn dialogs_changed(&mut self, account: &Account, now: Instant) {
        for id in self.subscriptions.of_resource(account, Package::Dialog) {
            self.touch(id, now);
        }
    }

    /// Tells what `Event::NotificationDue` asked for: all dialogs of the watched phone, the oldest first.
    pub fn notify(&mut self, id: SubscriptionId, dialogs: &[WatchedDialog], now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        if subscription.phase != Phase::Asked {
            return;
        }
        let dialogs = &dialogs[..dialogs.len().min(MAX_DIALOGS)];
        let hash = hash_of(dialogs);
        let standing = dialogs.iter().map(|dialog| dialog.leg).collect();
        let mut gone = std::mem::replace(&mut subscription.dialogs, standing);
        gone.retain(|leg| !subscription.dialogs.contains(leg));
        let host = HostOf(subscription.dialog.ours().ip());
        let document = dialog_info(
            &subscription.resource.0,
            host,
            subscription.version,
            dialogs,
            |leg| Some(&self.legs.get(&leg)?.dialog),
            &gone,
        );
        self.tell(id, hash, &document, now);
    }

    /// The bindings of an account have changed, or may have.
    pub(in crate::endpoint) fn bindings_changed(&mut self, account: &Account, now: Instant) {
        for id in self
            .subscriptions
            .of_resource(account, Package::Registration)
        {
            self.touch(id, now);
        }
    }

    /// The next notification leaves at once, whether or not there is news.
    pub(super) fn owe_notification(&mut self, id: SubscriptionId, now: Instant) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.owed = true;
            if let Phase::Resting(_) = subscription.phase {
                subscription.phase = Phase::Idle;
            }
            self.touch(id, now);
        }
    }

    /// The next notification is the last.
    pub(super) fn end_subscription(&mut self, id: SubscriptionId, end: End, now: Instant) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.end.get_or_insert(end);
            self.owe_notification(id, now);
        }
    }

    /// Expiries and rests that are over.
    pub(in crate::endpoint) fn subscriptions_timeout(&mut self, now: Instant) {
        while let Some(id) = self.subscriptions.due(now) {
            let Some(subscription) = self.subscriptions.get_mut(id) else {
                return;
            };
            if subscription.expires <= now {
                // Section 4.2.2: the last notification says why.
                self.end_subscription(id, End::TimedOut, now);
            } else {
                subscription.phase = Phase::Idle;
                self.touch(id, now);
            }
        }
    }

    /// NOTIFY was answered.
    pub(in crate::endpoint) fn notify_answered(
        &mut self,
        id: SubscriptionId,
        status: u16,
        response: &Message,
        now: Instant,
    ) {
        match (status, response.retry_after()) {
            (..=199, _) => {}
            (200..=299, _) => self.notified(id, now),
            // Not now: the state of that time is told.
            (300.., Some(seconds)) if status != 481 => {
                let rest = Duration::from_secs(seconds.into()).min(LONGEST_REST);
                self.notified_later(id, now + rest);
            }
            // Section 4.2.2: with 481 it must be given up, with other refusals that tell of no other way it should be.
            (300.., _) => self.subscriptions.remove(id),
        }
    }

    /// NOTIFY got no answer: nobody is there (section 4.2.2).
    pub(in crate::endpoint) fn notify_failed(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(id);
    }

    fn notified(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        match subscription.phase {
            Phase::Closing => self.subscriptions.remove(id),
            Phase::Sent { stale } => {
                subscription.phase = Phase::Idle;
                if stale {
                    self.touch(id, now);
                }
            }
            Phase::Idle | Phase::Asked | Phase::Resting(_) => {}
        }
    }

    fn notified_later(&mut self, id: SubscriptionId, at: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        match subscription.phase {
            Phase::Sent { .. } => {
                subscription.phase = Phase::Resting(at);
                subscription.owed = true;
                self.subscriptions.schedule(id);
            }
            Phase::Closing => self.subscriptions.remove(id),
            Phase::Idle | Phase::Asked | Phase::Resting(_) => {}
        }
    }

    /// There may be something to tell.
    fn touch(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        match &mut subscription.phase {
            Phase::Asked | Phase::Resting(_) | Phase::Closing => {}
            // At most one at a time: the answer makes room for the state of then.
            Phase::Sent { stale } => *stale = true,
            Phase::Idle => match subscription.pace.wait(now) {
                Some(until) if !subscription.owed => subscription.phase = Phase::Resting(until),
                Some(_) | None => self.compose(id, now),
            },
        }
        self.subscriptions.schedule(id);
    }

    /// Finds out what there is to tell.
    fn compose(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        match subscription.end {
            // Who is no longer known here learns nothing more.
            Some(End::Rejected | End::NoResource) => return self.send(id, None, now),
            Some(End::TimedOut) | None => {}
        }
        subscription.phase = Phase::Asked;
        let host = HostOf(subscription.dialog.ours().ip());
        match subscription.event.package {
            Package::Dialog => {
                let account = subscription.resource.clone();
                self.wire.tell(Event::NotificationDue {
                    subscription: id,
                    account,
                });
            }
            Package::MessageSummary => {
                let document = empty_summary(&subscription.resource.0, host);
                self.tell(id, 0, &document, now);
            }
            Package::Registration => {
                let records = self.registrar.records(&subscription.resource);
                let contacts: Vec<&str> = records.iter().map(|record| record.contact()).collect();
                // Refreshes change the order, which is no news.
                let mut sorted = contacts.clone();
                sorted.sort_unstable();
                let (account, version) = (&subscription.resource.0, subscription.version);
                let document = reginfo(account, host, version, &contacts);
                self.tell(id, hash_of(&sorted), &document, now);
            }
        }
    }

    /// Sends what was composed, unless the phone knows it.
    fn tell(&mut self, id: SubscriptionId, hash: u64, document: &str, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        if !subscription.owed && subscription.told == Some(hash) {
            subscription.phase = Phase::Idle;
            return;
        }
        subscription.told = Some(hash);
        subscription.version += 1;
        self.send(id, Some(document), now);
    }

    fn send(&mut self, id: SubscriptionId, document: Option<&str>, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        subscription.owed = false;
        subscription.pace.spend(now);
        subscription.phase = match subscription.end {
            Some(_) => Phase::Closing,
            None => Phase::Sent { stale: false },
        };
        // As in calls: a connection broke, or a NAT gave the phone another port (RFC 5626 section 4.2.1).
        let records = self.registrar.records(&subscription.watcher);
        let mut flows = records.iter().map(Record::flow);
        let old = subscription.dialog.flow;
        if subscription.follows
            && flows.clone().all(|flow| flow != old)
            && let Some(flow) = flows.find(|flow| from_same_host(old, *flow))
        {
            subscription.dialog.flow = flow;
        }
        let branch = self.wire.draw();
        let cseq = subscription.dialog.next_cseq();
        let mut writer = subscription.dialog.request(Method::Notify, cseq, branch);
        writer.header(Header::Contact, subscription.dialog.contact());
        let event = &subscription.event;
        match &event.id {
            // Section 8.2.1: as the subscriber gave it.
            Some(id) => writer.header(
                Header::Event,
                format_args!("{};id={id}", event.package.name()),
            ),
            None => writer.header(Header::Event, event.package.name()),
        }
        writer.header(Header::SubscriptionState, state(subscription, now));
        writer.header(Header::UserAgent, &self.wire.product);
        let kind = format!("application/{}", event.package.subtype());
        let body = document.map(|document| (kind.as_str(), document.as_bytes()));
        let flow = subscription.dialog.flow;
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.wire
            .layer
            .request(key, writer.finish(body), flow, Purpose::Notify(id), now);
        self.subscriptions.schedule(id);
    }
}

/// The value of Subscription-State (section 8.2.3).
fn state(subscription: &Subscription, now: Instant) -> String {
    let reason = match subscription.end {
        None => {
            let left = subscription.expires.saturating_duration_since(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            return format!("active;expires={seconds}");
        }
        Some(End::TimedOut) => "timeout",
        Some(End::Rejected) => "rejected",
        Some(End::NoResource) => "noresource",
    };
    format!("terminated;reason={reason}")
}

fn hash_of(told: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    told.hash(&mut hasher);
    hasher.finish()
}
