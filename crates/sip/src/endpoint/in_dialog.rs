//! Requests inside a dialog (RFC 3261 sections 12.2.2 and 15.1.2).

use std::fmt::Display;
use std::time::Instant;

use super::incoming::reason;
use super::leg::State;
use super::wire::{ALLOW, Pending, capabilities, response_flow};
use super::{Ending, Endpoint, Event, LegId};
use crate::token::Token;
use crate::{Header, Message, Method};

impl Endpoint {
    /// The leg that a message with our tag in To belongs to.
    pub(super) fn leg_of(&self, request: &Message) -> Option<LegId> {
        let tag = Token::parse(request.to()?.tag()?.as_bytes())?;
        let id = self.by_tag.get(&tag)?;
        self.legs.get(id)?.dialog.has(request).then_some(*id)
    }

    /// A request with our tag in To.
    pub(super) fn request_in_dialog(
        &mut self,
        pending: &Pending,
        method: Method<'_>,
        now: Instant,
    ) {
        let Pending { key, request, flow } = pending;
        let found = self
            .leg_of(request)
            .and_then(|id| Some((id, self.legs.get(&id)?)));
        let Some((id, leg)) = found else {
            // RFC 5407 section 2: in its mortal state a dialog still takes BYE. Else RFC 3261 section 12.2.2.
            let ends = method == Method::Bye && self.is_mortal(request, now);
            return self.refuse(request, *flow, if ends { 200 } else { 481 }, &[]);
        };
        // Who speaks from another address must show who they are.
        let elsewhere = leg.dialog.flow.remote.ip() != flow.remote.ip();
        if elsewhere && !self.is_source_of(&leg.account, *flow) {
            let account = leg.account.clone();
            match self.authenticate(request, *flow, now) {
                None => return,
                Some(speaker) if speaker == account => {}
                Some(_) => return self.refuse(request, *flow, 403, &[]),
            }
        }
        self.wire.guard.belongs(flow.remote.ip());
        if !self.wire.layer.has_room(true) {
            return self.refuse_full(request, *flow);
        }
        self.wire
            .layer
            .open(*key, method, response_flow(request, *flow), Some(id));
        let Some((leg, cseq)) = self.legs.get_mut(&id).zip(request.cseq()) else {
            return;
        };
        let dialog = leg.dialog_of(request);
        dialog.flow = *flow;
        // Section 12.2.2.
        if !dialog.advance(cseq.number) {
            return self.respond_in_dialog(id, pending, 500, &[], now);
        }
        match method {
            Method::Invite => self.peer_offers(id, pending, now),
            Method::Update => self.peer_updates(id, pending, now),
            Method::Prack => self.peer_pracks(id, pending, now),
            Method::Bye => self.peer_says_bye(id, pending, now),
            Method::Info => self.info(id, pending, now),
            Method::Refer => self.peer_refers(id, pending, now),
            Method::Subscribe => self.peer_subscribes(id, pending, now),
            Method::Options => {
                self.respond_in_dialog(id, pending, 200, &capabilities(), now);
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Message
            | Method::Notify
            | Method::Publish
            | Method::Other(_) => {
                self.respond_in_dialog(id, pending, 405, &[(Header::Allow, &ALLOW)], now);
            }
        }
    }

    pub(super) fn respond_in_dialog(
        &mut self,
        id: LegId,
        pending: &Pending,
        status: u16,
        headers: &[(Header, &dyn Display)],
        now: Instant,
    ) {
        if let Some(leg) = self.legs.get(&id) {
            let tag = leg.dialog.local_tag;
            self.wire
                .respond(pending, status, tag.as_str(), headers, now);
        }
    }

    /// BYE (RFC 3261 section 15.1.2).
    fn peer_says_bye(&mut self, id: LegId, pending: &Pending, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let tag = leg.dialog.local_tag;
        match &mut leg.state {
            State::Incoming(_) => {
                self.wire.respond(pending, 200, tag.as_str(), &[], now);
                self.caller_gave_up(id, reason(&pending.request), now);
            }
            // Section 15: who is called may not end an early dialog with BYE.
            State::Outgoing(_) => self.wire.respond(pending, 481, tag.as_str(), &[], now),
            State::Standing(_) => {
                self.wire.respond(pending, 200, tag.as_str(), &[], now);
                if let Some(leg) = self.remove(id, now) {
                    self.depart(id, leg, now);
                }
                let ending = Ending::Bye(reason(&pending.request));
                self.wire.tell(Event::Ended { leg: id, ending });
            }
            State::Leaving { .. } | State::Left => {
                self.wire.respond(pending, 200, tag.as_str(), &[], now);
                self.remove(id, now);
            }
        }
    }
}
