//! Subscriptions of phones: the notifier of RFC 6665 section 4.2.
//!
//! A subscription keeps no state of what it tells: at each notification the state is asked for anew, so that what was lost,
//! late or too much is made up for by the next one.

mod notifications;
mod pace;
mod table;

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::wire::{Pending, RETRY_WHEN_FULL, response_flow};
use super::{Account, Endpoint, Settings};
use crate::dialog::Dialog;
use crate::package::{ALLOW_EVENTS, EventValue, Package};
use crate::{Header, Message, Method};
pub use table::SubscriptionId;
pub(super) use table::Subscriptions;
use table::{End, Subscription};

/// A shorter subscription is refused with 423: one refresh a minute for each lamp is enough.
const SHORTEST: Duration = Duration::from_secs(60);

/// A longer wish is cut down to this (RFC 6665 section 4.2.1.1): a phone that vanished is forgotten within the hour.
/// What a SUBSCRIBE without Expires gets, too (RFC 4235 section 3.4, RFC 3680 section 4.4).
const LONGEST: Duration = Duration::from_secs(3600);

/// Most subscriptions of one account: a desk phone with three side cars has some 120 lamps, and it may have restarted meanwhile.
/// Beyond, a phone that asks for the same again from the same Contact takes its old place; others get 403 with a Warning.
const MAX_OF_ACCOUNT: usize = 256;

/// Most subscriptions in all, some 1 KiB each; a further one gets 503 with Retry-After.
const MAX_SUBSCRIPTIONS: usize = 32_768;

/// What a SUBSCRIBE that can be granted asks for.
struct Wish {
    event: EventValue,
    resource: Account,
    expires: Duration,
}

/// Why a SUBSCRIBE is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Nobody to notify, or a Request-URI that names nobody: 400.
    Malformed,
    /// In the name of another account, or of what only its own account may watch: 403.
    Forbidden,
    /// There is no such phone: 404.
    Unknown,
    /// None of the accepted media types is the package's: 406.
    NotAcceptable,
    /// Shorter than `SHORTEST`: 423 (RFC 6665 section 4.2.1.1).
    TooBrief,
    /// A package that we know nothing of: 489 (RFC 6665 section 8.3.2).
    BadEvent,
    /// `MAX_OF_ACCOUNT`: 403.
    TooMany,
    /// `MAX_SUBSCRIPTIONS`: 503.
    Full,
    /// An older request than the last: 500 (RFC 3261 section 12.2.2).
    OutOfOrder,
}

impl Endpoint {
    /// SUBSCRIBE outside a dialog.
    pub(super) fn subscription(&mut self, pending: &Pending, now: Instant) {
        let Pending { key, request, flow } = pending;
        if !self.wire.layer.has_room(false) {
            return self.refuse_full(request, *flow);
        }
        let Some(account) = self.authenticate(request, *flow, now) else {
            return;
        };
        self.wire
            .layer
            .open(*key, Method::Subscribe, response_flow(request, *flow), None);
        let tag = self.wire.draw();
        let dialog = Dialog::incoming(request, tag, *flow, &self.wire.nat);
        let wish = self.wish(&account, request);
        let granted = wish.and_then(|wish| Ok((wish, dialog.ok_or(Refusal::Malformed)?)));
        let granted = granted.and_then(|(wish, dialog)| {
            self.make_room(&account, &wish, &dialog)?;
            Ok((wish, dialog))
        });
        match granted {
            Ok((wish, dialog)) => {
                let expires = wish.expires;
                let id = self.subscriptions.add(Subscription::new(
                    dialog,
                    account,
                    wish.resource,
                    wish.event,
                    now + expires,
                    now,
                ));
                self.grant(id, pending, expires, now);
            }
            Err(refusal) => self.refuse_subscription(pending, tag.as_str(), refusal, now),
        }
    }

    /// SUBSCRIBE with our tag in To: a refresh, or Expires 0. False if it is of no subscription.
    pub(super) fn resubscription(&mut self, pending: &Pending, now: Instant) -> bool {
        let Pending { key, request, flow } = pending;
        let Some(id) = self.subscriptions.of_request(request) else {
            return false;
        };
        // As in calls: who speaks from another address must show who they are.
        let Some((watcher, address)) = self.subscriptions.watcher(id) else {
            return false;
        };
        if address != flow.remote.ip() {
            match self.authenticate(request, *flow, now) {
                None => return true,
                Some(speaker) if speaker == watcher => {}
                Some(_) => {
                    self.refuse(request, *flow, 403, &[]);
                    return true;
                }
            }
        }
        if !self.wire.layer.has_room(true) {
            self.refuse_full(request, *flow);
            return true;
        }
        self.wire
            .layer
            .open(*key, Method::Subscribe, response_flow(request, *flow), None);
        match self.subscriptions.refresh(id, request, *flow, now) {
            Ok(expires) => self.grant(id, pending, expires, now),
            // The To of the request has our tag already.
            Err(refusal) => self.refuse_subscription(pending, "", refusal, now),
        }
        true
    }

    /// 200, and at once a NOTIFY with the whole state (RFC 6665 sections 4.2.1.1 and 4.2.1.2).
    fn grant(&mut self, id: SubscriptionId, pending: &Pending, expires: Duration, now: Instant) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        let flow = subscription.dialog.flow;
        let mut records = self.registrar.records(&subscription.watcher).iter();
        subscription.follows = records.any(|record| record.flow() == flow);
        let tag = subscription.dialog.local_tag;
        let contact = subscription.dialog.contact().to_string();
        let seconds = expires.as_secs();
        let headers: [(Header, &dyn Display); 3] = [
            (Header::Expires, &seconds),
            (Header::Contact, &contact),
            (Header::AllowEvents, &ALLOW_EVENTS),
        ];
        self.wire.respond(pending, 200, tag.as_str(), &headers, now);
        if expires.is_zero() {
            self.end_subscription(id, End::TimedOut, now);
        } else {
            self.owe_notification(id, now);
        }
    }

    /// What a SUBSCRIBE of this account asks for.
    fn wish(&self, account: &Account, request: &Message) -> Result<Wish, Refusal> {
        // RFC 3261 section 22.1: who authenticates as one account does not speak for another.
        let from = request.from().and_then(|from| from.uri.user());
        if from.as_deref() != Some(&*account.0) {
            return Err(Refusal::Forbidden);
        }
        let event = EventValue::of(request).ok_or(Refusal::BadEvent)?;
        if !event.package.is_accepted(request) {
            return Err(Refusal::NotAcceptable);
        }
        let named = request
            .uri()
            .and_then(|uri| uri.user().map(|user| Account(user.into())));
        let resource = match event.package {
            // Everybody may see who is on the phone: that is what lamps are for.
            Package::Dialog => {
                let named = named.ok_or(Refusal::Malformed)?;
                if !self.authenticator.knows(&named) {
                    return Err(Refusal::Unknown);
                }
                named
            }
            // Messages and bindings are for their own account alone; a URI of ours without a user means it, too.
            Package::MessageSummary | Package::Registration => {
                if named.is_some_and(|named| named != *account) {
                    return Err(Refusal::Forbidden);
                }
                account.clone()
            }
        };
        let expires = granted(request)?;
        Ok(Wish {
            event,
            resource,
            expires,
        })
    }

    /// Whether one more subscription has room, which that of the same Contact to the same may have to make.
    fn make_room(
        &mut self,
        account: &Account,
        wish: &Wish,
        dialog: &Dialog,
    ) -> Result<(), Refusal> {
        if self.subscriptions.of_watcher(account).count() >= MAX_OF_ACCOUNT {
            let twin = self.subscriptions.of_watcher(account).find(|id| {
                self.subscriptions.get(*id).is_some_and(|old| {
                    old.event == wish.event
                        && old.resource == wish.resource
                        && old.dialog.target() == dialog.target()
                })
            });
            self.subscriptions.remove(twin.ok_or(Refusal::TooMany)?);
        }
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    fn refuse_subscription(
        &mut self,
        pending: &Pending,
        tag: &str,
        refusal: Refusal,
        now: Instant,
    ) {
        let (shortest, later) = (SHORTEST.as_secs(), RETRY_WHEN_FULL.as_secs());
        let warning = "399 ringmaster \"this account has too many subscriptions\"";
        let (status, header): (u16, Option<(Header, &dyn Display)>) = match refusal {
            Refusal::Malformed => (400, None),
            Refusal::Forbidden => (403, None),
            Refusal::Unknown => (404, None),
            Refusal::NotAcceptable => (406, None),
            Refusal::TooBrief => (423, Some((Header::MinExpires, &shortest))),
            Refusal::BadEvent => (489, Some((Header::AllowEvents, &ALLOW_EVENTS))),
            Refusal::TooMany => (403, Some((Header::Warning, &warning))),
            Refusal::Full => (503, Some((Header::RetryAfter, &later))),
            Refusal::OutOfOrder => (500, None),
        };
        self.wire
            .respond(pending, status, tag, header.as_slice(), now);
    }

    /// Ends the subscriptions of and to accounts that are no more.
    pub(super) fn end_subscriptions_of_the_gone(&mut self, settings: &Settings, now: Instant) {
        for (id, end) in self.subscriptions.orphans(settings) {
            self.end_subscription(id, end, now);
        }
    }
}

/// How long a subscription is granted for; zero: it is fetched or ended (RFC 6665 section 4.2.1.1).
fn granted(request: &Message) -> Result<Duration, Refusal> {
    let asked = request
        .expires()
        .map(|seconds| Duration::from_secs(seconds.into()));
    let asked = asked.unwrap_or(LONGEST);
    if !asked.is_zero() && asked < SHORTEST {
        return Err(Refusal::TooBrief);
    }
    Ok(asked.min(LONGEST))
}
