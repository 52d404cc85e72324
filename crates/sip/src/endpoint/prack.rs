//! Reliable provisional responses (RFC 3262), on both sides.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::incoming::description;
use super::leg::{Incoming, Leg, Outgoing, RING_AGAIN, State};
use super::reoffer::Described;
use super::wire::{Pending, SDP, Wire};
use super::{Ending, Endpoint, Event, InDialog, LegId, Status};
use crate::dialog::Dialog;
use crate::transaction::{Purpose, SIXTY_FOUR_T1, ServerKey, T1};
use crate::{Header, Message, Method};

/// The option tag.
const OPTION: &str = "100rel";

/// The first RSeq is drawn below this (RFC 3262 section 3: 1 to 2^31 - 1), so that no INVITE runs out of numbers.
const FIRST_RSEQ_BELOW: u32 = 1 << 30;

/// Most forks of an INVITE whose early dialogs are told apart; reliable responses of others are dropped. A proxy rings the
/// phones of one person: rarely three.
const MAX_EARLY: usize = 8;

/// The provisional responses to an INVITE of a peer that takes them reliably.
#[derive(Debug)]
pub(super) struct Reliable {
    /// RSeq of the next one.
    next: u32,
    /// The one that waits for its PRACK.
    sent: Option<Unpracked>,
    /// What is to follow it: one at a time (section 3).
    waiting: Option<(Status, Option<Bytes>)>,
    /// The description of the 2xx that waits for it, as the 2xx may not overtake a description (section 5).
    pub(super) answer: Option<Bytes>,
    /// How far the session is described.
    session: Described,
}

/// What a PRACK names (RFC 3262 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rack {
    rseq: u32,
    cseq: u32,
}

/// A reliable provisional response that waits for its PRACK.
#[derive(Debug)]
struct Unpracked {
    rack: Rack,
    status: Status,
    response: Bytes,
    /// It has a session description: an offer if the INVITE had none, else the answer.
    described: bool,
    interval: Duration,
    again: Instant,
    give_up: Instant,
}

/// An early dialog of an INVITE of ours (RFC 3261 section 12.1.2).
#[derive(Debug)]
pub(super) struct Early {
    /// The peer's tag.
    pub(super) tag: Box<str>,
    pub(super) dialog: Dialog,
    /// The last RSeq.
    rseq: u32,
    /// A reliable response answered our offer.
    pub(super) agreed: bool,
}

/// Whether a message lists 100rel here.
fn lists(message: &Message, header: Header) -> bool {
    message
        .tokens(header)
        .any(|option| option.eq_ignore_ascii_case(OPTION))
}

/// `776656 1 INVITE` (section 7.2).
fn rack(request: &Message) -> Option<Rack> {
    let mut words = request.header(Header::RAck)?.split_ascii_whitespace();
    let rack = Rack {
        rseq: words.next()?.parse().ok()?,
        cseq: words.next()?.parse().ok()?,
    };
    (words.next() == Some(Method::Invite.as_str()) && words.next().is_none()).then_some(rack)
}

/// RSeq of a provisional response that wants a PRACK (section 4).
fn rseq(response: &Message) -> Option<u32> {
    lists(response, Header::Require)
        .then(|| response.header(Header::RSeq)?.trim_ascii().parse().ok())?
}

impl Reliable {
    /// For an INVITE whose sender takes (or insists on) reliable provisional responses; all of them are sent so then.
    pub(super) fn of(invite: &Message, wire: &mut Wire) -> Option<Self> {
        let takes = lists(invite, Header::Supported) || lists(invite, Header::Require);
        takes.then(|| Self {
            next: 1 + wire.tokens.below(FIRST_RSEQ_BELOW),
            sent: None,
            waiting: None,
            answer: None,
            session: Described::Not,
        })
    }

    /// What a PRACK may still come for after the final response.
    pub(super) fn unpracked(&self) -> Option<Rack> {
        self.sent.as_ref().map(|sent| sent.rack)
    }

    /// Whether a description waits for its PRACK, so that no 2xx may be sent (section 5).
    pub(super) fn holds_2xx(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.described)
    }

    pub(super) fn waits_for(&self, at: Instant) -> bool {
        let sent = self.sent.as_ref();
        sent.is_some_and(|sent| sent.again == at || sent.give_up == at)
    }
}

impl Incoming {
    /// How far offer and answer got.
    pub(super) fn described(&self) -> Described {
        self.reliable
            .as_ref()
            .map_or(Described::Not, |reliable| reliable.session)
    }
}

impl Outgoing {
    /// The early dialog of a peer's tag.
    pub(super) fn early(&mut self, tag: Option<&str>) -> Option<&mut Early> {
        self.early.iter_mut().find(|early| Some(&*early.tag) == tag)
    }

    /// The newest early dialog whose offer has an answer.
    pub(super) fn agreed(&self) -> Option<&Early> {
        self.early.iter().rfind(|early| early.agreed)
    }
}

// --- we are called -----------------------------------------------------------------------------------------------

impl Endpoint {
    /// Sends a provisional response.
    pub(super) fn progress_incoming(
        &mut self,
        id: LegId,
        status: Status,
        description: Option<Bytes>,
        now: Instant,
    ) {
        let Some(Leg {
            dialog,
            state: State::Incoming(incoming),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        incoming.ring_again = Some(now + RING_AGAIN);
        self.wire.wake(id, now + RING_AGAIN);
        let Pending { key, request, flow } = &incoming.invite;
        let Some(reliable) = &mut incoming.reliable else {
            incoming.progress = Some((status, description.clone()));
            let octets = self
                .wire
                .progress(request, *flow, dialog, status, None, description);
            return self.wire.layer.respond(*key, status, octets, now);
        };
        if reliable.sent.is_some() {
            // Section 3: not before the last one is acknowledged. What is overtaken while it waits is not missed.
            let old = reliable.waiting.take().and_then(|(_, old)| old);
            reliable.waiting = Some((status, description.or(old)));
            return;
        }
        incoming.progress = Some((status, None));
        // Section 5: what was described once is not described again.
        let description = description.filter(|_| reliable.session == Described::Not);
        let rack = Rack {
            rseq: reliable.next,
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
        };
        reliable.next += 1;
        let described = description.is_some();
        if described && request.body().is_empty() {
            reliable.session = Described::OfferedByUs;
        }
        let rseq = Some(rack.rseq);
        let octets = self
            .wire
            .progress(request, *flow, dialog, status, rseq, description);
        reliable.sent = Some(Unpracked {
            rack,
            status,
            response: octets.clone(),
            described,
            interval: T1,
            again: now + T1,
            give_up: now + SIXTY_FOUR_T1,
        });
        self.wire.wake(id, now + T1);
        self.wire.wake(id, now + SIXTY_FOUR_T1);
        self.wire.layer.respond(*key, status, octets, now);
    }

    /// A reliable provisional response is to be repeated, or was never acknowledged (section 3).
    pub(super) fn repeat_provisional(&mut self, id: LegId, now: Instant) {
        let Some(Leg {
            state: State::Incoming(incoming),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        let key: ServerKey = incoming.invite.key;
        let Some(sent) = incoming
            .reliable
            .as_mut()
            .and_then(|reliable| reliable.sent.as_mut())
        else {
            return;
        };
        if now >= sent.give_up {
            self.refuse_incoming(id, 504, now);
            let ending = Ending::NoAck;
            self.wire.tell(Event::Ended { leg: id, ending });
        } else if now >= sent.again {
            sent.interval *= 2;
            sent.again = now + sent.interval;
            let (status, response) = (sent.status, sent.response.clone());
            self.wire.wake(id, sent.again);
            self.wire.layer.respond(key, status, response, now);
        }
    }

    /// PRACK (section 3). It may answer our offer, or offer anew once we have answered (section 5).
    pub(super) fn peer_pracks(&mut self, id: LegId, pending: &Pending, now: Instant) {
        let Some(named) = rack(&pending.request) else {
            return self.respond_in_dialog(id, pending, 400, &[], now);
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let answered = match &mut leg.state {
            State::Incoming(incoming) => {
                let acknowledged = |sent: &mut Unpracked| sent.rack == named;
                let reliable = incoming.reliable.as_mut();
                reliable.and_then(|reliable| {
                    let sent = reliable.sent.take_if(acknowledged)?;
                    let offered = reliable.session == Described::OfferedByUs;
                    if sent.described {
                        reliable.session = Described::Agreed;
                    }
                    Some((sent.described, offered))
                })
            }
            // The 2xx overtook it.
            State::Standing(standing) => standing
                .unpracked
                .take_if(|rack| *rack == named)
                .map(|_| (false, false)),
            State::Outgoing(_) | State::Leaving { .. } | State::Left => None,
        };
        let answer = description(&pending.request);
        match answered {
            None => return self.respond_in_dialog(id, pending, 481, &[], now),
            Some((true, true)) => {
                self.respond_in_dialog(id, pending, 200, &[], now);
                self.wire.tell(Event::Acknowledged { leg: id, answer });
            }
            Some((true, false)) if answer.is_some() => self.peer_offers(id, pending, now),
            // Nothing was offered that it could answer, and nothing answered after which it could offer.
            Some((false, _)) if answer.is_some() => {
                self.respond_in_dialog(id, pending, 488, &[], now);
            }
            Some(_) => self.respond_in_dialog(id, pending, 200, &[], now),
        }
        self.provisional_next(id, now);
    }

    /// What waited for a PRACK may leave: the 2xx, or the next provisional response.
    pub(super) fn provisional_next(&mut self, id: LegId, now: Instant) {
        let Some(Leg {
            offers,
            state:
                State::Incoming(Incoming {
                    reliable: Some(reliable),
                    ..
                }),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        if offers.theirs.is_some() || reliable.sent.is_some() {
            return;
        }
        if let Some(answer) = reliable.answer.take() {
            self.answer_incoming(id, &answer, now);
        } else if let Some((status, description)) = reliable.waiting.take() {
            self.progress_incoming(id, status, description, now);
        } else {
            self.reoffer_held(id, now);
        }
    }
}

impl Wire {
    /// A provisional response, reliable if it has an RSeq.
    fn progress(
        &self,
        request: &Message,
        flow: crate::Flow,
        dialog: &Dialog,
        status: Status,
        rseq: Option<u32>,
        description: Option<Bytes>,
    ) -> Bytes {
        let mut writer = self.answer(request, status, Some(dialog.local_tag.as_str()), flow);
        writer.header(Header::Contact, dialog.contact());
        if let Some(rseq) = rseq {
            writer.header(Header::Require, OPTION);
            writer.header(Header::RSeq, rseq);
            // RFC 3311 section 5.1: by this the caller knows that it may send UPDATE.
            writer.header(Header::Allow, super::wire::ALLOW);
        }
        writer.finish(description.as_deref().map(|octets| (SDP, octets)))
    }
}

// --- we call -----------------------------------------------------------------------------------------------------

impl Endpoint {
    /// A provisional response to our INVITE that wants a PRACK gets it (section 4). `None` if it is to be passed over: it came
    /// before, or out of order. Else whether its description is the answer to our offer.
    pub(super) fn acknowledge_provisional(
        &mut self,
        id: LegId,
        response: &Message,
        now: Instant,
    ) -> Option<bool> {
        let leg = self.legs.get_mut(&id)?;
        let Some(rseq) = rseq(response) else {
            return Some(true);
        };
        leg.learn(response);
        let State::Outgoing(outgoing) = &mut leg.state else {
            return None;
        };
        let tag = response.to().and_then(|to| to.tag());
        if outgoing.early(tag).is_none() && outgoing.early.len() < MAX_EARLY {
            let mut dialog = leg.dialog.clone();
            dialog.confirm(response);
            outgoing.early.push(Early {
                tag: tag?.into(),
                dialog,
                rseq: rseq.wrapping_sub(1),
                agreed: false,
            });
        }
        let early = outgoing.early(tag)?;
        if rseq != early.rseq.wrapping_add(1) {
            return None;
        }
        early.rseq = rseq;
        let answers = !early.agreed;
        early.agreed |= description(response).is_some();
        let invite = response.cseq()?.number;
        let prack = InDialog {
            method: Method::Prack,
            headers: vec![(Header::RAck, format!("{rseq} {invite} INVITE"))],
            body: None,
        };
        let cseq = leg.dialog.next_cseq();
        self.wire
            .ask(&early.dialog, cseq, &prack, Purpose::Prack(id), now);
        Some(answers)
    }
}
