//! REFER: a phone asks us to connect the other party with somebody else (RFC 3515, RFC 3892, RFC 4488), and hears how
//! that goes on by NOTIFY.

use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::time::{Duration, Instant};

use super::ask::InDialog;
use super::leg::{Leg, Standing, State};
use super::wire::Pending;
use super::{Endpoint, Event, LegId, RequestId, Status};
use crate::dialog::Dialog;
use crate::header::{ReferTo, Replaces, wants_reports};
use crate::message::reason_phrase;
use crate::package::{ALLOW_EVENTS, EventValue};
use crate::transaction::Purpose;
use crate::uri::Uri;
use crate::{Header, Message, Method};

/// How long a phone may expect reports (RFC 3515 section 2.4.4): a target rings for minutes at most, also when it is
/// forwarded. The last report ends it before.
const REPORTS_LAST: Duration = Duration::from_secs(600);

/// What a phone asks for by REFER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refer {
    /// What is to be dialled: the unescaped user part of Refer-To; empty if it has none.
    pub target: String,
    /// The dialog that the new call is to take the place of: an attended transfer.
    pub replaces: Option<Replaces>,
    /// Referred-By as it came (RFC 3892).
    pub referred_by: Option<String>,
}

/// The REFERs of one dialog.
#[derive(Debug, Default)]
pub(super) struct Referrals {
    /// Those that were accepted so far.
    accepted: u32,
    current: Option<Referral>,
}

/// Who hung up while its REFER was not done: the reports go on in what is left of the dialog (RFC 5057 section 3.1). As many as calls
/// that ring for a transfer, each for `REPORTS_LAST` at most.
#[derive(Debug)]
pub(super) struct Departed {
    dialog: Dialog,
    referrals: Referrals,
    until: Instant,
}

impl Referrals {
    /// Takes the REFER that the owner has not answered.
    pub(super) fn unanswered(&mut self) -> Option<Box<Pending>> {
        match self.current.take() {
            Some(Referral::Asked(pending)) => Some(pending),
            accepted => {
                self.current = accepted;
                None
            }
        }
    }
}

impl Departed {
    /// Whether it waits for exactly this moment.
    pub(super) fn waits_for(&self, at: Instant) -> bool {
        self.until == at
    }
}

/// A REFER that is not done.
#[derive(Debug)]
enum Referral {
    /// It waits for the owner's word.
    Asked(Box<Pending>),
    /// It was accepted, and its sender wants to hear more.
    Reported {
        /// The value of Event in its reports.
        event: String,
        /// The end of the subscription.
        until: Instant,
        /// What was reported last.
        last: Status,
    },
    /// It was accepted, and its sender wants to hear nothing (RFC 4488).
    Unreported,
}

impl Endpoint {
    /// REFER inside a dialog.
    pub(super) fn peer_refers(&mut self, id: LegId, pending: &Pending, now: Instant) {
        let leg = self.legs.get(&id);
        let is_here = |uri: &Uri<'_>| leg.is_some_and(|leg| self.is_here(leg, uri));
        let refer = match read(&pending.request, is_here) {
            Ok(refer) => refer,
            Err(status) => return self.respond_in_dialog(id, pending, status, &[], now),
        };
        let standing = match self.legs.get_mut(&id).map(|leg| &mut leg.state) {
            Some(State::Standing(standing)) => standing,
            // Nobody talks yet.
            Some(State::Incoming(_) | State::Outgoing(_)) => {
                return self.respond_in_dialog(id, pending, 491, &[], now);
            }
            Some(State::Leaving { .. } | State::Left) | None => {
                return self.respond_in_dialog(id, pending, 481, &[], now);
            }
        };
        let unacknowledged = standing.unacknowledged.as_ref();
        if standing.referrals.current.is_some() || unacknowledged.is_some_and(|sent| sent.offers) {
            return self.respond_in_dialog(id, pending, 491, &[], now);
        }
        standing.referrals.current = Some(Referral::Asked(Box::new(pending.clone())));
        // Who goes on has our 2xx, even if the ACK for it was lost.
        if standing.unacknowledged.take().is_some() {
            self.wire.tell(Event::Acknowledged {
                leg: id,
                answer: None,
            });
        }
        self.wire.tell(Event::Referred {
            leg: id,
            refer: Box::new(refer),
        });
    }

    /// Takes the REFER that `Referred` told: 202, and 100 as the first report (RFC 3515 sections 2.4.2 and 2.4.4).
    /// Tell what comes of it by `report`, the end of it always.
    pub fn accept_refer(&mut self, leg: LegId, now: Instant) {
        let Some((dialog, referrals)) = self.referrals(leg) else {
            return;
        };
        let Some(pending) = referrals.unanswered() else {
            return;
        };
        let wants_reports = wants_reports(pending.request.header(Header::ReferSub));
        let number = pending.request.cseq().map_or(0, |cseq| cseq.number);
        referrals.accepted += 1;
        referrals.current = Some(if wants_reports {
            // RFC 3515 section 2.4.6: the first needs no id, and some phones want none.
            let event = match referrals.accepted {
                1 => "refer".to_owned(),
                _ => format!("refer;id={number}"),
            };
            let until = now + REPORTS_LAST;
            Referral::Reported {
                event,
                until,
                last: Status(100),
            }
        } else {
            Referral::Unreported
        });
        let tag = dialog.local_tag;
        let contact = dialog.contact().to_string();
        let mut headers: Vec<(Header, &dyn Display)> = vec![(Header::Contact, &contact)];
        if !wants_reports {
            // RFC 4488 section 4: so its sender knows that nothing follows.
            headers.push((Header::ReferSub, &"false"));
        }
        self.wire
            .respond(&pending, 202, tag.as_str(), &headers, now);
        self.report(leg, Status(100), now);
    }

    /// Refuses the REFER that `Referred` told; the dialog stays as it is.
    pub fn refuse_refer(&mut self, leg: LegId, status: Status, now: Instant) {
        if let Some((dialog, referrals)) = self.referrals(leg)
            && let Some(pending) = referrals.unanswered()
        {
            let tag = dialog.local_tag;
            self.wire
                .respond(&pending, status.0, tag.as_str(), &[], now);
        }
    }

    /// Reports on the REFER that was accepted: the status of the new call as message/sipfrag (RFC 3515 section 2.4.5).
    /// 200 and above is the last report.
    pub fn report(&mut self, leg: LegId, status: Status, now: Instant) {
        let referrals = match self.departed.get_mut(&leg) {
            Some(departed) => &mut departed.referrals,
            None => match self.referrals(leg) {
                Some((_, referrals)) => referrals,
                None => return,
            },
        };
        let is_last = status.0 >= 200;
        let (event, until) = match &mut referrals.current {
            Some(Referral::Reported { event, until, last }) => {
                *last = status;
                (event.clone(), *until)
            }
            Some(Referral::Unreported) => {
                referrals.current.take_if(|_| is_last);
                return;
            }
            Some(Referral::Asked(_)) | None => return,
        };
        let state = if is_last {
            referrals.current = None;
            "terminated;reason=noresource".to_owned()
        } else {
            let left = until.saturating_duration_since(now).as_secs();
            format!("active;expires={left}")
        };
        self.send_report(leg, event, state, status, now);
        if is_last {
            self.departed.remove(&leg);
        }
    }

    /// The peer has hung up: reports that it waits for go on.
    pub(super) fn depart(&mut self, id: LegId, leg: Leg, now: Instant) {
        if let State::Standing(Standing { referrals, .. }) = leg.state
            && let Some(Referral::Reported { until, .. }) = referrals.current
            && until > now
        {
            self.wire.wake(id, until);
            let departed = Departed {
                dialog: leg.dialog,
                referrals,
                until,
            };
            self.departed.insert(id, departed);
        }
    }

    /// A leg that is gone had this time: nobody reported to the end.
    pub(super) fn departed_timeout(&mut self, id: LegId, now: Instant) {
        if let Entry::Occupied(departed) = self.departed.entry(id)
            && departed.get().until <= now
        {
            departed.remove();
        }
    }

    fn send_report(
        &mut self,
        leg: LegId,
        event: String,
        state: String,
        status: Status,
        now: Instant,
    ) {
        let fragment = format!("SIP/2.0 {} {}\r\n", status.0, reason_phrase(status));
        let request = InDialog {
            method: Method::Notify,
            headers: vec![(Header::Event, event), (Header::SubscriptionState, state)],
            body: Some((
                "message/sipfrag;version=2.0".to_owned(),
                fragment.into_bytes().into(),
            )),
        };
        let Some(Departed { dialog, .. }) = self.departed.get_mut(&leg) else {
            self.ask(leg, &request, now);
            return;
        };
        self.last_request += 1;
        let purpose = Purpose::Ask(leg, RequestId(self.last_request), Method::Notify);
        let cseq = dialog.next_cseq();
        self.wire.ask(dialog, cseq, &request, purpose, now);
    }

    /// SUBSCRIBE inside a call: it prolongs or ends the reports of a REFER (RFC 3515 section 2.4.4). A new subscription has a dialog
    /// of its own (RFC 6665 section 4.5.2); these refusals end nothing but themselves (RFC 5057 sections 5.1 and 5.6).
    pub(super) fn peer_subscribes(&mut self, id: LegId, pending: &Pending, now: Instant) {
        let request = &pending.request;
        let (package, number) = event_of(request.header(Header::Event).unwrap_or_default());
        if !package.eq_ignore_ascii_case("refer") {
            return if EventValue::of(request).is_some() {
                self.respond_in_dialog(id, pending, 603, &[], now)
            } else {
                let allowed = [(Header::AllowEvents, &ALLOW_EVENTS as &dyn Display)];
                self.respond_in_dialog(id, pending, 489, &allowed, now)
            };
        }
        let asked = request
            .expires()
            .map(|seconds| Duration::from_secs(seconds.into()));
        let granted = asked.unwrap_or(REPORTS_LAST).min(REPORTS_LAST);
        let found = self.referrals(id).and_then(|(dialog, referrals)| {
            let Some(Referral::Reported { event, until, last }) = &mut referrals.current else {
                return None;
            };
            let (_, reported) = event_of(event);
            if number.is_some() && reported.is_some() && number != reported {
                return None;
            }
            *until = now + granted;
            let (event, last) = (event.clone(), *last);
            if granted.is_zero() {
                referrals.current = Some(Referral::Unreported);
            }
            Some((dialog.contact().to_string(), event, last))
        });
        let Some((contact, event, last)) = found else {
            return self.respond_in_dialog(id, pending, 481, &[], now);
        };
        let seconds = granted.as_secs();
        let headers: [(Header, &dyn Display); 2] =
            [(Header::Expires, &seconds), (Header::Contact, &contact)];
        self.respond_in_dialog(id, pending, 200, &headers, now);
        let state = if granted.is_zero() {
            "terminated;reason=timeout".to_owned()
        } else {
            format!("active;expires={seconds}")
        };
        self.send_report(id, event, state, last, now);
    }

    /// The leg of ours that is this dialog (RFC 3891 section 3). The tag of a peer that has not answered may still change:
    /// ours alone tells an early dialog.
    #[must_use]
    pub fn leg_of_dialog(&self, replaces: &Replaces) -> Option<LegId> {
        let tag = crate::token::Token::parse(replaces.to_tag.as_bytes())?;
        let id = self.by_tag.get(&tag)?;
        let dialog = &self.legs.get(id)?.dialog;
        dialog
            .is(&replaces.call_id, &replaces.from_tag)
            .then_some(*id)
    }

    /// The leg that an INVITE is to take the place of, or why it cannot (RFC 3891 section 3).
    pub(super) fn replaced(&self, invite: &Message) -> Result<Option<LegId>, u16> {
        let mut values = invite.values(Header::Replaces);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        // Several, or one with `Join`, which says the contrary.
        if values.next().is_some() || invite.other("Join").next().is_some() {
            return Err(400);
        }
        let replaces = Replaces::parse(value).map_err(|_| 400_u16)?;
        let leg = self.leg_of_dialog(&replaces).ok_or(481_u16)?;
        match self.legs.get(&leg).map(|leg| &leg.state) {
            // An early dialog that we did not begin, or none.
            Some(State::Incoming(_)) | None => Err(481),
            Some(State::Outgoing(_)) => Ok(Some(leg)),
            Some(State::Standing(_)) if replaces.early_only => Err(486),
            Some(State::Standing(_)) => Ok(Some(leg)),
            Some(State::Leaving { .. } | State::Left) => Err(603),
        }
    }

    fn referrals(&mut self, leg: LegId) -> Option<(&Dialog, &mut Referrals)> {
        match self.legs.get_mut(&leg)? {
            Leg {
                dialog,
                state: State::Standing(Standing { referrals, .. }),
                ..
            } => Some((dialog, referrals)),
            Leg {
                state: State::Incoming(_) | State::Outgoing(_) | State::Leaving { .. } | State::Left,
                ..
            } => None,
        }
    }
}

/// The package and the id of an Event value.
fn event_of(value: &str) -> (&str, Option<&str>) {
    let (package, params) = value.split_once(';').unwrap_or((value, ""));
    let id = params
        .split(';')
        .find_map(|param| param.trim().strip_prefix("id="));
    (package.trim(), id)
}

/// What a REFER asks for, or the status that refuses it. `is_here` tells what means a number of ours.
fn read(request: &Message, is_here: impl Fn(&Uri<'_>) -> bool) -> Result<Refer, u16> {
    let mut values = request.values(Header::ReferTo);
    // RFC 3515 section 2.4.2: exactly one.
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(400);
    };
    let refer_to = ReferTo::parse(value).map_err(|_| 400_u16)?;
    if let Uri::Other(_) = refer_to.uri {
        return Err(416);
    }
    // We connect calls and send nothing else for others.
    if refer_to.method().is_some_and(|method| method != "INVITE") {
        return Err(603);
    }
    // A dialog of ours is found by its name; anything else must be a number of ours.
    if refer_to.replaces.is_none() && !is_here(&refer_to.uri) {
        return Err(603);
    }
    Ok(Refer {
        target: refer_to.uri.user().map(Into::into).unwrap_or_default(),
        replaces: refer_to.replaces,
        referred_by: request.header(Header::ReferredBy).map(str::to_owned),
    })
}
