//! Offers and answers of a call's legs.

use bytes::Bytes;
use sip::endpoint::{Account, Invite, LegId, Outgoing, Status};
use sip::sdp::{Agreed, AudioCodec, Codecs, Direction, Disagreement};
use tracing::info_span;

use super::Body;
use super::media::{open, update};
use crate::Cause;
use crate::effects::Effects;
use crate::leg::{Invited, Leg, Media, Role, Signalling, Times};

/// Most bindings of one account that ring at once.
const MAX_FORKS: usize = 10;

impl Body {
    /// The codecs that the caller speaks, the one that it has or would get first, so that the called phone is offered the same.
    /// None if the caller has said nothing yet.
    pub(super) fn caller_codecs(&self) -> Result<Option<Codecs>, Cause> {
        let Some(leg) = self.leg(self.caller) else {
            return Ok(None);
        };
        match &leg.signalling {
            Signalling::Incoming(Invited::Offers(offer)) => {
                let common = leg.session.common(offer);
                match leg.session.clone().answer(offer, Direction::SendRecv, None) {
                    Ok((_, agreed)) => Ok(Some(common.led_by(agreed.codec))),
                    // What we can only pass on may be answered when the called phone has answered with it.
                    Err(Disagreement::NothingInCommon) if common.iter().next().is_some() => {
                        Ok(Some(common))
                    }
                    Err(_) => Err(Cause::NotAcceptable),
                }
            }
            Signalling::Incoming(Invited::Asks { .. } | Invited::Described(_))
            | Signalling::Calling
            | Signalling::Up
            | Signalling::Down => Ok(leg.codec().map(|codec| Codecs::of([codec]))),
        }
    }

    /// Whether the caller has comfort noise, or would get it.
    fn caller_has_comfort_noise(&self) -> bool {
        let Some(leg) = self.leg(self.caller) else {
            return false;
        };
        match &leg.signalling {
            Signalling::Incoming(Invited::Offers(offer)) => leg.session.takes_comfort_noise(offer),
            Signalling::Incoming(Invited::Asks { .. } | Invited::Described(_))
            | Signalling::Calling
            | Signalling::Up
            | Signalling::Down => leg.agreed.is_some_and(|it| it.comfort_noise.is_some()),
        }
    }

    /// Answers the caller's INVITE, if that has not been done.
    pub(crate) fn pick_up(
        &mut self,
        prefer: Option<AudioCodec>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Cause> {
        self.accept(self.caller, prefer, fx)?;
        self.draft.answer.get_or_insert(fx.now);
        Ok(())
    }

    /// Answers the INVITE of a leg, if that has not been done.
    pub(crate) fn accept(
        &mut self,
        leg: LegId,
        prefer: Option<AudioCodec>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Cause> {
        let worker = self.worker;
        let Some(leg) = self.legs.get_mut(&leg) else {
            return Err(Cause::InternalError);
        };
        let Signalling::Incoming(invited) = &leg.signalling else {
            return Ok(());
        };
        match invited.clone() {
            Invited::Offers(offer) => {
                let (answer, agreed) = leg
                    .session
                    .answer(&offer, Direction::SendRecv, prefer)
                    .map_err(|_| Cause::NotAcceptable)?;
                leg.agreed = Some(agreed);
                leg.signalling = Signalling::Up;
                fx.answer(leg.id, answer);
                open(leg, worker, Vec::new(), fx);
            }
            Invited::Asks { .. } => {
                // An INVITE without an offer: ours goes in the 200, the answer comes in the ACK (RFC 3261 section 13.2.1).
                let offer = leg.session.offer(Direction::SendRecv, prefer);
                leg.signalling = Signalling::Up;
                fx.answer(leg.id, offer);
                leg.media = Media::AwaitsAck(Vec::new());
            }
            Invited::Described(description) => {
                leg.signalling = Signalling::Up;
                fx.answer(leg.id, description);
                update(leg, worker, fx);
            }
        }
        leg.times.answer = Some(fx.now);
        leg.status = Some(Status(200));
        Ok(())
    }

    /// A phone that called us comes into the call in the place of one of its legs (RFC 3891), unanswered as yet.
    ///
    /// # Errors
    /// The status that refuses it.
    pub(crate) fn admit(
        &mut self,
        old: LegId,
        new: LegId,
        invite: Invite,
        fx: &mut Effects<'_>,
    ) -> Result<(), Status> {
        let replaced = self.leg(old).ok_or(Status(481))?;
        let role = replaced.role.clone();
        // A call of a queue is its agent's: no other phone takes it, and no trunk anything.
        let is_other = replaced.account != invite.account;
        if (role.agent().is_some() && is_other) || fx.is_trunk(&invite.account) {
            return Err(Status(603));
        }
        // What is bridged at once must be open: an answer in the ACK would come too late.
        let offer = invite.offer.ok_or(Status(488))?;
        let port = fx.take_port(
            &invite.account,
            invite.flow,
            Some(&offer),
            Some(self.worker),
        );
        let (port, session) = port.ok_or(Status(503))?;
        fx.enter_call(&invite.account, new, &role);
        self.legs.insert(
            new,
            Box::new(Leg {
                id: new,
                span: info_span!(parent: &self.span, "leg", n = new.0, role = role.name()),
                role,
                account: invite.account,
                number: None,
                payer: None,
                breadth: 0,
                flow: invite.flow,
                call_id: Some(invite.call_id),
                port,
                session,
                agreed: None,
                early: None,
                moving: false,
                offered: false,
                signalling: Signalling::Incoming(Invited::Offers(offer)),
                media: Media::Reserved,
                figures: None,
                times: Times::start(fx.now),
                status: None,
            }),
        );
        Ok(())
    }

    /// Rings every binding of an account, with so many branches for all. The legs that ring, or why none does.
    pub(crate) fn dial(
        &mut self,
        account: &Account,
        role: &Role,
        breadth: usize,
        fx: &mut Effects<'_>,
    ) -> Result<Vec<LegId>, Cause> {
        let codecs = self.caller_codecs()?;
        let mut bindings = fx.bindings(account);
        bindings.retain(|binding| !self.secure || binding.flow.transport.is_secure());
        bindings.truncate(MAX_FORKS);
        if bindings.is_empty() {
            return Err(Cause::Unregistered);
        }
        // An agent's phones are called by us, not forked to for the caller.
        if bindings.len() > breadth && role.agent().is_none() {
            return Err(Cause::TooManyBranches);
        }
        let max_breadth = (breadth / bindings.len()).max(1);
        let mut ringing = Vec::new();
        for binding in bindings {
            let outgoing = Outgoing {
                binding,
                caller: self.caller_number.clone(),
                display: self.caller_name.clone(),
                private: self.caller_is_private,
                offer: Bytes::new(),
                max_forwards: self.max_forwards.saturating_sub(1),
                upstream: None,
                max_breadth,
                referred_by: self.referred_by.clone(),
            };
            let Some(leg) = self.call_out(outgoing, role, codecs.as_ref(), fx) else {
                break;
            };
            ringing.push(leg);
        }
        if ringing.is_empty() {
            Err(Cause::SwitchFull)
        } else {
            Ok(ringing)
        }
    }

    /// Sends an INVITE with an offer of ours and makes its leg; none if no RTP port is free.
    pub(super) fn call_out(
        &mut self,
        outgoing: Outgoing,
        role: &Role,
        codecs: Option<&Codecs>,
        fx: &mut Effects<'_>,
    ) -> Option<LegId> {
        let (account, flow) = (outgoing.binding.account.clone(), outgoing.binding.flow);
        let breadth = outgoing.max_breadth;
        let number = outgoing.upstream.as_ref().map(|it| it.number.clone());
        let (port, mut session) = fx.take_port(&account, flow, None, Some(self.worker))?;
        if let Some(codecs) = codecs {
            session.meet(codecs);
        }
        if self.caller_has_comfort_noise() {
            session.meet_comfort_noise();
        }
        let offer = session.offer(Direction::SendRecv, None);
        let leg = fx.invite(Outgoing { offer, ..outgoing });
        fx.enter_call(&account, leg, role);
        self.legs.insert(
            leg,
            Box::new(Leg {
                id: leg,
                span: info_span!(parent: &self.span, "leg", n = leg.0, role = role.name()),
                role: role.clone(),
                account,
                number,
                payer: None,
                breadth,
                flow,
                call_id: fx.call_id(leg),
                port,
                session,
                agreed: None,
                early: None,
                moving: false,
                offered: false,
                signalling: Signalling::Calling,
                media: Media::Reserved,
                figures: None,
                times: Times::start(fx.now),
                status: None,
            }),
        );
        Some(leg)
    }

    /// The answer of a called phone, which stands by now: its stream opens.
    pub(crate) fn take_answer(
        &mut self,
        leg: LegId,
        answer: Option<Bytes>,
        fx: &mut Effects<'_>,
    ) -> Result<Option<AudioCodec>, Cause> {
        let worker = self.worker;
        let Some(leg) = self.legs.get_mut(&leg) else {
            return Err(Cause::InternalError);
        };
        // It may have been in a provisional answer.
        let agreed = match (answer.or(leg.early.take()), leg.agreed) {
            (Some(answer), _) => agree(leg, &answer, worker, fx)?,
            (None, agreed) => agreed.ok_or(Cause::NotAcceptable)?,
        };
        leg.agreed = Some(agreed);
        match leg.media {
            Media::Open => update(leg, worker, fx),
            Media::Reserved | Media::AwaitsAck(_) | Media::Closing | Media::Closed(_) => {
                open(leg, worker, Vec::new(), fx);
            }
        }
        Ok(leg.codec())
    }

    /// What a called phone lets the caller hear while it rings: the phone's stream opens and the caller's too, by a 183 that
    /// answers its offer. `false` if the caller's session is not known yet or cannot be agreed on.
    pub(crate) fn hear_early(&mut self, callee: LegId, fx: &mut Effects<'_>) -> bool {
        let worker = self.worker;
        let Some(codec) = self.leg(callee).and_then(Leg::codec) else {
            return false;
        };
        let Some(caller) = self.legs.get_mut(&self.caller) else {
            return false;
        };
        if let Signalling::Incoming(Invited::Offers(offer)) = &caller.signalling {
            let offered = offer.clone();
            let answered = caller
                .session
                .answer(&offered, Direction::SendRecv, Some(codec));
            let Ok((answer, agreed)) = answered else {
                return false;
            };
            caller.agreed = Some(agreed);
            caller.times.ring.get_or_insert(fx.now);
            caller.signalling = Signalling::Incoming(Invited::Described(answer.clone()));
            fx.ring(caller.id, Status(183), Some(answer));
            open(caller, worker, Vec::new(), fx);
        }
        if !matches!(caller.media, Media::Open) {
            return false;
        }
        if let Some(callee) = self.legs.get_mut(&callee)
            && matches!(callee.media, Media::Reserved)
        {
            open(callee, worker, Vec::new(), fx);
        }
        self.bridge(callee, fx);
        true
    }

    /// The ACK of our 200 came. If our 200 had the offer, the ACK must have the answer.
    pub(crate) fn acknowledged(
        &mut self,
        leg: LegId,
        answer: Option<Bytes>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Cause> {
        let worker = self.worker;
        let Some(leg) = self.legs.get_mut(&leg) else {
            return Ok(());
        };
        let awaits = matches!(leg.media, Media::AwaitsAck(_));
        let offered = std::mem::take(&mut leg.offered);
        if !awaits && !offered {
            // An ACK with a description that nobody asked for: it is no answer (RFC 3264 section 4).
            return Ok(());
        }
        let agreed = match answer {
            Some(answer) => agree(leg, &answer, worker, fx)?,
            // A re-INVITE changes nothing then; a call without any session is none.
            None if !awaits => return Ok(()),
            None => return Err(Cause::NotAcceptable),
        };
        leg.agreed = Some(agreed);
        match &mut leg.media {
            Media::AwaitsAck(commands) => {
                let commands = std::mem::take(commands);
                open(leg, worker, commands, fx);
            }
            Media::Open => update(leg, worker, fx),
            Media::Reserved | Media::Closing | Media::Closed(_) => {}
        }
        Ok(())
    }

    /// Offers the leg its session again: all that we can do, in the codec that it has (RFC 6337 section 5.3).
    pub(crate) fn reoffer(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            let codec = leg.codec();
            let offer = leg.session.offer(Direction::SendRecv, codec);
            fx.reoffer(leg.id, offer);
        }
    }

    /// The answer to `reoffer`. A refusal, or an answer that cannot be read, leaves the session as it was (RFC 3261 section 14.1).
    ///
    /// # Errors
    /// The leg had to move, and does not.
    pub(crate) fn reanswered(
        &mut self,
        leg: LegId,
        answer: Option<&Bytes>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Cause> {
        let worker = self.worker;
        let Some(leg) = self.legs.get_mut(&leg) else {
            return Ok(());
        };
        let moving = std::mem::take(&mut leg.moving);
        match answer.map(|answer| leg.session.accept(answer)) {
            Some(Ok(agreed)) => {
                leg.agreed = Some(agreed);
                update(leg, worker, fx);
            }
            Some(Err(_)) | None if moving => return Err(Cause::AddressFamily),
            Some(Err(_)) | None => {}
        }
        Ok(())
    }

    /// re-INVITE or UPDATE: agrees on the new session or refuses it, in which case the old one stays (RFC 3261 section 14.2).
    pub(crate) fn renegotiate(&mut self, leg: LegId, offer: Option<&Bytes>, fx: &mut Effects<'_>) {
        let worker = self.worker;
        let Some(leg) = self.legs.get_mut(&leg) else {
            return;
        };
        let codec = leg.codec();
        leg.offered = offer.is_none();
        let Some(offer) = offer else {
            // All that we can do, not what a hold has left of it (RFC 3264 section 8, RFC 6337 section 5.3).
            let offer = leg.session.offer(Direction::SendRecv, codec);
            fx.answer(leg.id, offer);
            return;
        };
        match leg.session.answer(offer, Direction::SendRecv, codec) {
            Ok((answer, agreed)) => {
                leg.agreed = Some(agreed);
                fx.answer(leg.id, answer);
                update(leg, worker, fx);
            }
            Err(_) => fx.reject(leg.id, Status(488)),
        }
    }
}

/// What an answer comes to. One that wants its sound in the other family of addresses moves the leg to a port of that family, of
/// which the peer is told by an offer (RFC 3264 section 8.3.1).
fn agree(leg: &mut Leg, answer: &[u8], worker: u16, fx: &mut Effects<'_>) -> Result<Agreed, Cause> {
    let wanted = match leg.session.accept(answer) {
        Ok(agreed) => return Ok(agreed),
        Err(Disagreement::OtherFamily(wanted)) => wanted,
        Err(Disagreement::Malformed | Disagreement::NothingInCommon) => {
            return Err(Cause::NotAcceptable);
        }
    };
    match leg.media {
        Media::Reserved | Media::AwaitsAck(_) => {}
        // A stream keeps the family in which it began.
        Media::Open | Media::Closing | Media::Closed(_) => return Err(Cause::AddressFamily),
    }
    let (port, local) = fx
        .take_port_near(leg.flow, wanted, Some(worker))
        .ok_or(Cause::AddressFamily)?;
    fx.return_port(std::mem::replace(&mut leg.port, port));
    leg.session.move_to(local);
    let agreed = leg.session.accept(answer);
    let agreed = agreed.map_err(|_| Cause::NotAcceptable)?;
    leg.moving = true;
    let offer = leg.session.offer(Direction::SendRecv, Some(agreed.codec));
    fx.reoffer(leg.id, offer);
    Ok(agreed)
}
