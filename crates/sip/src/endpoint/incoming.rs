//! Calls that peers make: the server side of INVITE (RFC 3261 sections 9.2 and 13.3).

use std::fmt::Display;
use std::time::Instant;

use bytes::Bytes;

use super::leg::{Incoming, Leg, Standing, State, Unacknowledged};
use super::peers::KnownBy;
use super::prack::Reliable;
use super::refer::Referrals;
use super::reoffer::{Described, Offers};
use super::session_timer::{SessionTimer, too_small};
use super::wire::{Pending, RETRY_WHEN_FULL, SDP, response_flow};
use super::{Account, Endpoint, Event, Invite, LegId, MAX_BREADTH, Reason, Status};
use crate::dialog::{Dialog, MAX_FORWARDS};
use crate::transaction::ServerKey;
use crate::uri::Uri;
use crate::{Flow, Header, Message, Method, identity};

/// Most legs at once. A leg takes about 2 kB here, its media far more; RTP ports end before.
const MAX_LEGS: usize = 32_768;

impl Endpoint {
    /// An INVITE outside a dialog.
    pub(super) fn invitation(&mut self, pending: &Pending, now: Instant) {
        let Pending { key, request, flow } = pending;
        if let Some(retry_after) = self.draining {
            let seconds = retry_after.as_secs();
            return self.refuse(request, *flow, 503, &[(Header::RetryAfter, &seconds)]);
        }
        if !self.wire.layer.has_room(false) || self.legs.len() >= MAX_LEGS {
            return self.refuse_full(request, *flow);
        }
        let Some((account, known_by)) = self.caller(request, *flow, now) else {
            return;
        };
        let leg = self.next_leg();
        self.wire.layer.open(
            *key,
            Method::Invite,
            response_flow(request, *flow),
            Some(leg),
        );
        match self.check_invitation(&account, known_by, request) {
            Ok(fit) => self.take_invitation(leg, fit, (account, known_by), pending, now),
            Err((status, header)) => {
                let tag = self.wire.draw();
                let header = header.map(|(header, value)| (header, value as &dyn Display));
                self.wire
                    .respond(pending, status, tag.as_str(), header.as_slice(), now);
            }
        }
    }

    /// What speaks against an INVITE of this account: a status and a header field that says more.
    #[expect(
        clippy::type_complexity,
        reason = "one caller; a name would say no more"
    )]
    fn check_invitation(
        &self,
        account: &Account,
        known_by: KnownBy,
        request: &Message,
    ) -> Result<(ServerKey, Option<LegId>), (u16, Option<(Header, &'static &'static str)>)> {
        // Section 22.1: who authenticates as one account does not speak for another.
        if known_by == KnownBy::Password && !identity::speaks_for(request, account) {
            return Err((403, None));
        }
        // Section 8.2.2.2: the same request by another way.
        let merge = self.wire.layer.merge_key(request).ok_or((400, None))?;
        if self.merges.contains_key(&merge) {
            return Err((482, None));
        }
        // Section 16.3, item 4, as far as a B2BUA can see it: our own INVITE came back unchanged.
        if self.came_back(request) {
            return Err((482, None));
        }
        // We send the call on as a B2BUA: what may go no further ends here (section 16.3, item 3).
        if request.max_forwards() == Some(0) {
            return Err((483, None));
        }
        // Section 8.1.1.8: without a Contact there is nobody to send BYE to.
        if request.contact().is_none() {
            return Err((400, None));
        }
        let replaced = self.replaced(request).map_err(|status| (status, None))?;
        match unfit(request) {
            Some((status, header)) => Err((status, Some(header))),
            None => Ok((merge, replaced)),
        }
    }

    fn take_invitation(
        &mut self,
        leg: LegId,
        (merge, replaces): (ServerKey, Option<LegId>),
        (account, known_by): (Account, KnownBy),
        pending: &Pending,
        now: Instant,
    ) {
        let Pending { request, flow, .. } = pending;
        let tag = self.wire.draw();
        let Some(dialog) = Dialog::incoming(request, tag, *flow, &self.wire.nat) else {
            return self.wire.respond(pending, 400, tag.as_str(), &[], now);
        };
        let trying = crate::message::Writer::answer(request, Status(100), None, flow.remote);
        self.wire
            .layer
            .respond(pending.key, Status(100), trying.finish(None), now);
        let reliable = Reliable::of(request, &mut self.wire);
        let dialled = match known_by {
            KnownBy::Password | KnownBy::Address => request.uri(),
            // The Request-URI is our own Contact there; whom the call is for stands in To.
            KnownBy::Line => request.to().map(|to| to.uri),
        };
        let (caller, display) = self.names(&account, known_by, request);
        let invite = Invite {
            account: account.clone(),
            caller,
            display,
            private: identity::wants_privacy(request),
            dialled: user(dialled),
            max_forwards: request.max_forwards().unwrap_or(MAX_FORWARDS),
            max_breadth: request
                .header(Header::MaxBreadth)
                .and_then(|text| text.parse().ok())
                .map_or(MAX_BREADTH, |asked: usize| asked.min(MAX_BREADTH)),
            offer: description(request),
            call_id: dialog.call_id.to_string(),
            flow: *flow,
            secure: request
                .uri()
                .and_then(|uri| uri.sip().map(|uri| uri.secure))
                .unwrap_or_default(),
            reliable: reliable.is_some(),
            replaces,
        };
        self.by_tag.insert(tag, leg);
        self.merges.insert(merge, leg);
        let state = State::Incoming(Incoming {
            invite: pending.clone(),
            progress: None,
            ring_again: None,
            reliable,
        });
        let merge = Some(merge);
        let mut taken = Leg {
            dialog,
            account,
            merge,
            peer_updates: false,
            asked: 0,
            offers: Offers::default(),
            state,
        };
        taken.learn(request);
        self.legs.insert(leg, taken);
        self.wire.tell(Event::Incoming {
            leg,
            invite: Box::new(invite),
        });
    }

    /// The number and the name of who calls, as far as they are believed.
    fn names(
        &self,
        account: &Account,
        known_by: KnownBy,
        request: &Message,
    ) -> (String, Option<String>) {
        let number = match known_by {
            // Its From may name nobody.
            KnownBy::Password => account.0.to_string(),
            KnownBy::Address | KnownBy::Line => {
                let is_trusted = self.peers.get(account).is_some_and(|known| known.trusted);
                let asserted = identity::asserted(request).filter(|_| is_trusted);
                if let Some(asserted) = asserted {
                    let name = asserted.display().map(Into::into);
                    return (user(Some(asserted.uri)), name);
                }
                user(request.from().map(|from| from.uri))
            }
        };
        (number, identity::display(request, account))
    }

    /// CANCEL (RFC 3261 section 9.2). Answered without state: its retransmission finds the same.
    pub(super) fn cancellation(
        &mut self,
        key: ServerKey,
        request: &Message,
        flow: Flow,
        now: Instant,
    ) {
        let Some((leg, answered)) = self.wire.layer.invite(key) else {
            return self.refuse(request, flow, 481, &[]);
        };
        let found = leg.and_then(|id| self.legs.get(&id).map(|leg| (id, leg.dialog.local_tag)));
        let Some((leg, tag)) = found else {
            return self.refuse(request, flow, 200, &[]);
        };
        let writer = self
            .wire
            .answer(request, Status(200), Some(tag.as_str()), flow);
        self.wire
            .layer
            .transmit(response_flow(request, flow), writer.finish(None));
        if answered {
            return;
        }
        let Some(Leg { offers, state, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        match state {
            State::Incoming(_) => self.caller_gave_up(leg, reason(request), now),
            // A re-INVITE that the owner has not answered yet; the session stays as it was.
            State::Standing(_) => {
                if let Some(theirs) = offers.theirs.take_if(|theirs| theirs.key == key) {
                    self.wire.respond(&theirs, 487, tag.as_str(), &[], now);
                }
            }
            State::Outgoing(_) | State::Leaving { .. } | State::Left => {}
        }
    }

    /// The INVITE gets 487 and its leg ends.
    pub(super) fn caller_gave_up(&mut self, leg: LegId, reason: Option<Reason>, now: Instant) {
        self.refuse_incoming(leg, 487, now);
        self.wire.tell(Event::Cancelled { leg, reason });
    }

    /// Ends an unanswered INVITE with a final response.
    pub(super) fn refuse_incoming(&mut self, leg: LegId, status: u16, now: Instant) {
        let waits = |leg: &Leg| matches!(leg.state, State::Incoming(_));
        if self.legs.get(&leg).is_some_and(waits)
            && let Some(Leg {
                dialog,
                state: State::Incoming(incoming),
                ..
            }) = self.remove(leg, now)
        {
            let tag = dialog.local_tag;
            // Without it the phone takes a 503 for a 500 (section 21.5.4).
            let later: (Header, &dyn Display) = (Header::RetryAfter, &RETRY_WHEN_FULL.as_secs());
            let headers = if status == 503 { &[later][..] } else { &[] };
            self.wire
                .respond(&incoming.invite, status, tag.as_str(), headers, now);
        }
    }

    /// ACK: of a refusal it ends the transaction, of a 2xx it ends the repetition (RFC 3261 section 13.3.1.4).
    pub(super) fn acknowledgement(&mut self, key: ServerKey, ack: &Message, now: Instant) {
        if self.wire.layer.acknowledged(key, now) {
            return;
        }
        let Some((id, cseq)) = self.leg_of(ack).zip(ack.cseq()) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match &mut leg.state {
            State::Standing(standing) => {
                let sent = &mut standing.unacknowledged;
                if let Some(sent) = sent.take_if(|sent| sent.cseq == cseq.number) {
                    self.wire.layer.rest(sent.key, now);
                    self.wire.tell(Event::Acknowledged {
                        leg: id,
                        answer: description(ack),
                    });
                    self.reoffer_held(id, now);
                }
            }
            State::Leaving {
                unacknowledged,
                reason,
            } => {
                if unacknowledged.cseq == cseq.number {
                    self.wire.layer.rest(unacknowledged.key, now);
                    let reason = reason.take();
                    self.say_bye(id, reason.as_ref(), now);
                }
            }
            State::Incoming(_) | State::Outgoing(_) | State::Left => {}
        }
    }

    /// Sends 200 to the first INVITE.
    pub(super) fn answer_incoming(&mut self, id: LegId, description: &Bytes, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Incoming(incoming) = &mut leg.state else {
            return;
        };
        let described = incoming.described() != Described::Not;
        let mut unpracked = None;
        if let Some(reliable) = &mut incoming.reliable {
            if reliable.holds_2xx() {
                reliable.answer = Some(description.clone());
                return;
            }
            unpracked = reliable.unpracked();
        }
        let invite = &incoming.invite;
        let cseq = invite.request.cseq().map_or(0, |cseq| cseq.number);
        // RFC 3262 section 5: what a reliable response described is not described again.
        let description = (!described).then_some(&description[..]);
        let offers = description.is_some() && invite.request.body().is_empty();
        let timer = SessionTimer::granted(&invite.request, self.session_expires, None, now);
        let response = self
            .wire
            .accept(invite, &leg.dialog, description, timer.as_ref(), now);
        let unacknowledged =
            Unacknowledged::new(invite.key, cseq, response, offers, id, &mut self.wire, now);
        leg.state = State::Standing(Standing {
            unacknowledged: Some(unacknowledged),
            unpracked,
            timer,
            referrals: Referrals::default(),
        });
        self.wire.watch(id, timer.as_ref());
    }

    /// A 2xx of ours is to be repeated, or was never acknowledged.
    pub(super) fn repeat_2xx(&mut self, id: LegId, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let (sent, leaving) = match &mut leg.state {
            State::Standing(Standing {
                unacknowledged: Some(sent),
                ..
            }) => (sent, None),
            State::Leaving {
                unacknowledged,
                reason,
            } => (unacknowledged, Some(reason)),
            State::Standing(_) | State::Incoming(_) | State::Outgoing(_) | State::Left => return,
        };
        if !sent.is_given_up(now) {
            sent.repeat(id, &mut self.wire, now);
            return;
        }
        match leaving {
            Some(reason) => {
                let reason = reason.take();
                self.say_bye(id, reason.as_ref(), now);
            }
            None => {
                // Section 13.3.1.4: the dialog is confirmed, but the session should be ended with BYE.
                self.say_bye(id, None, now);
                self.wire.tell(Event::Ended {
                    leg: id,
                    ending: super::Ending::NoAck,
                });
            }
        }
    }
}

/// The unescaped user part, if there is one.
fn user(uri: Option<Uri<'_>>) -> String {
    uri.and_then(|uri| uri.user().map(Into::into))
        .unwrap_or_default()
}

/// What makes the body, the Accept or the session interval of an INVITE or UPDATE unfit (RFC 3261 sections 8.2.3 and 20.1).
pub(super) fn unfit(request: &Message) -> Option<(u16, (Header, &'static &'static str))> {
    let encoded = request
        .tokens(Header::ContentEncoding)
        .any(|coding| !coding.eq_ignore_ascii_case("identity"));
    // RFC 4028 section 9.
    if let Some(refusal) = too_small(request) {
        return Some(refusal);
    }
    if !request.body().is_empty() {
        if encoded {
            return Some((415, (Header::AcceptEncoding, &"identity")));
        }
        if !has_description(request) {
            return Some((415, (Header::Accept, &SDP)));
        }
    }
    (!request.accepts("application", "sdp")).then_some((
        406,
        (
            Header::Warning,
            &"399 ringmaster \"only application/sdp is offered\"",
        ),
    ))
}

fn has_description(message: &Message) -> bool {
    message
        .content_type()
        .is_some_and(|kind| kind.is("application", "sdp"))
}

/// The session description that a message carries.
pub(super) fn description(message: &Message) -> Option<Bytes> {
    let body = message.body();
    (!body.is_empty() && has_description(message)).then_some(body)
}

/// Why a peer sent CANCEL or BYE (RFC 3326).
pub(super) fn reason(request: &Message) -> Option<Reason> {
    let reason = request.reasons().next()?;
    Some(Reason {
        protocol: reason.protocol.to_owned(),
        cause: reason.cause()?,
        text: reason.text().unwrap_or_default().into_owned(),
    })
}
