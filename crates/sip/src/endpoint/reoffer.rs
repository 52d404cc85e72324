//! Offers after the first, in both directions: re-INVITE (RFC 3261 section 14), UPDATE (RFC 3311), and PRACK of the peer
//! (RFC 3262 section 5).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::incoming::{description, unfit};
use super::leg::{Leg, State, Unacknowledged};
use super::session_timer::{SessionTimer, too_small};
use super::wire::{Pending, SDP};
use super::{Endpoint, Event, InDialog, LegId, Status};
use crate::token::Token;
use crate::transaction::{ClientKey, Purpose};
use crate::{Header, Message, Method};

/// How often an offer is tried again after 491. Two sides that follow RFC 3261 section 14.1 collide once;
/// who answers 491 five times never takes it.
const MAX_COLLISIONS: u8 = 5;

/// A peer that must wait for another answer first waits 0 to 10 s (RFC 3261 section 14.2).
const RETRY_SPREAD: u32 = 11;

/// The offers of a dialog after the first.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// The peer's re-INVITE, UPDATE or PRACK that the owner is to answer.
    pub(super) theirs: Option<Box<Pending>>,
    /// Ours.
    pub(super) ours: Reoffer,
    /// What the owner wants to offer as soon as nothing is under way (RFC 3261 section 14.1).
    held: Option<Bytes>,
    /// The branch of our last re-INVITE.
    pub(super) reinvite: Option<Token>,
}

/// An offer of ours.
#[derive(Debug, Default)]
pub(super) enum Reoffer {
    /// None.
    #[default]
    Idle,
    /// Sent.
    Sent {
        /// For the retry.
        offer: Bytes,
        /// How many 491 it got.
        collisions: u8,
    },
    /// Got 491: again at that time (RFC 3261 section 14.1).
    Backoff {
        /// For the retry.
        offer: Bytes,
        /// How many 491 it got.
        collisions: u8,
        /// When.
        until: Instant,
    },
}

/// How far the first offer and answer of a dialog got before the final answer to its INVITE (RFC 3262 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Described {
    /// No answer that arrived for sure.
    Not,
    /// We offered; the peer has not answered.
    OfferedByUs,
    /// Both sides know of each other that they agreed.
    Agreed,
}

/// What stands in the way of a new offer of the peer.
enum Obstacle {
    /// The last one has no answer yet: 500 with Retry-After (RFC 3261 section 14.2, RFC 3311 section 5.2).
    Theirs,
    /// Ours has none: 491 (the same sections).
    Ours,
    /// The dialog is being ended.
    Over,
}

impl Leg {
    /// Whether the peer may offer now, by this method.
    fn obstacle(&self, method: Option<Method<'_>>) -> Option<Obstacle> {
        let first = match &self.state {
            // Section 14.2: a second INVITE waits for the final answer to the first, whatever was agreed on meanwhile.
            State::Incoming(_) if method == Some(Method::Invite) => Some(Obstacle::Theirs),
            State::Outgoing(_) if method == Some(Method::Invite) => Some(Obstacle::Ours),
            State::Incoming(incoming) => match incoming.described() {
                Described::Not => Some(Obstacle::Theirs),
                Described::OfferedByUs => Some(Obstacle::Ours),
                Described::Agreed => None,
            },
            State::Outgoing(outgoing) => outgoing.agreed().is_none().then_some(Obstacle::Ours),
            State::Standing(standing) => {
                let sent = standing.unacknowledged.as_ref();
                sent.is_some_and(|sent| sent.offers)
                    .then_some(Obstacle::Ours)
            }
            State::Leaving { .. } | State::Left => Some(Obstacle::Over),
        };
        first.or(match (&self.offers.ours, &self.offers.theirs) {
            (Reoffer::Sent { .. }, _) => Some(Obstacle::Ours),
            (Reoffer::Idle | Reoffer::Backoff { .. }, Some(_)) => Some(Obstacle::Theirs),
            (Reoffer::Idle | Reoffer::Backoff { .. }, None) => None,
        })
    }

    /// How we may offer now, if we may: by re-INVITE, or by UPDATE before the INVITE has its final answer
    /// (RFC 3311 section 5.1).
    fn way_to_offer(&self) -> Option<Method<'static>> {
        if self.offers.theirs.is_some() {
            return None;
        }
        let early = match &self.state {
            State::Standing(standing) => {
                return standing.unacknowledged.is_none().then_some(Method::Invite);
            }
            State::Incoming(incoming) => incoming.described() == Described::Agreed,
            State::Outgoing(outgoing) => outgoing.agreed().is_some(),
            State::Leaving { .. } | State::Left => false,
        };
        (early && self.peer_updates).then_some(Method::Update)
    }
}

// --- the peer offers ---------------------------------------------------------------------------------------------

impl Endpoint {
    /// re-INVITE, or UPDATE or PRACK with an offer. The owner answers at once, so no 100 is needed (RFC 3261 section 17.2.1).
    pub(super) fn peer_offers(&mut self, id: LegId, pending: &Pending, now: Instant) {
        let request = &pending.request;
        let leg = self.legs.get(&id);
        match leg.and_then(|leg| leg.obstacle(request.method())) {
            None => {}
            Some(Obstacle::Theirs) => {
                let seconds = self.wire.tokens.below(RETRY_SPREAD);
                let later = (Header::RetryAfter, &seconds as _);
                return self.respond_in_dialog(id, pending, 500, &[later], now);
            }
            Some(Obstacle::Ours) => return self.respond_in_dialog(id, pending, 491, &[], now),
            Some(Obstacle::Over) => return self.respond_in_dialog(id, pending, 481, &[], now),
        }
        if let Some((status, (header, value))) = unfit(request) {
            return self.respond_in_dialog(id, pending, status, &[(header, value)], now);
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.learn(request);
        leg.dialog_of(request).refresh(request);
        leg.offers.theirs = Some(Box::new(pending.clone()));
        // Who goes on has our 2xx, even if the ACK for it was lost.
        if let State::Standing(standing) = &mut leg.state
            && standing.unacknowledged.take().is_some()
        {
            self.wire.tell(Event::Acknowledged {
                leg: id,
                answer: None,
            });
        }
        self.wire.tell(Event::Reoffered {
            leg: id,
            offer: description(request),
        });
    }

    /// UPDATE (RFC 3311 section 5.2): without an offer it refreshes the target and the session's timer.
    pub(super) fn peer_updates(&mut self, id: LegId, pending: &Pending, now: Instant) {
        if !pending.request.body().is_empty() {
            return self.peer_offers(id, pending, now);
        }
        if let Some((status, (header, value))) = too_small(&pending.request) {
            return self.respond_in_dialog(id, pending, status, &[(header, value)], now);
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.learn(&pending.request);
        leg.dialog_of(&pending.request).refresh(&pending.request);
        self.accept_later(id, pending, None, now);
    }

    /// Sends 200 to the re-INVITE, UPDATE or PRACK that the owner was told of.
    pub(super) fn answer_reoffer(&mut self, id: LegId, description: &[u8], now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Some(theirs) = leg.offers.theirs.take() else {
            return;
        };
        let response = self.accept_later(id, &theirs, Some(description), now);
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if let State::Standing(standing) = &mut leg.state
            && theirs.request.method() == Some(Method::Invite)
        {
            let cseq = theirs.request.cseq().map_or(0, |cseq| cseq.number);
            let offers = theirs.request.body().is_empty();
            let wire = &mut self.wire;
            let sent = Unacknowledged::new(theirs.key, cseq, response, offers, id, wire, now);
            standing.unacknowledged = Some(sent);
        }
        self.reoffer_held(id, now);
        self.provisional_next(id, now);
    }

    /// 200 to a request after the first INVITE. In a session that stands a 2xx to INVITE or UPDATE starts its timer anew
    /// (RFC 4028 section 9); before, there is none.
    fn accept_later(
        &mut self,
        id: LegId,
        pending: &Pending,
        description: Option<&[u8]>,
        now: Instant,
    ) -> Bytes {
        let Some(leg) = self.legs.get_mut(&id) else {
            return Bytes::new();
        };
        let timer = match &mut leg.state {
            State::Standing(standing) if pending.request.method() != Some(Method::Prack) => {
                let (ours, current) = (self.session_expires, standing.timer.as_ref());
                standing.timer = SessionTimer::granted(&pending.request, ours, current, now);
                standing.timer
            }
            State::Incoming(_)
            | State::Outgoing(_)
            | State::Standing(_)
            | State::Leaving { .. }
            | State::Left => None,
        };
        self.wire.watch(id, timer.as_ref());
        self.wire
            .accept(pending, &leg.dialog, description, timer.as_ref(), now)
    }

    /// Refuses the re-INVITE, UPDATE or PRACK that the owner was told of.
    pub(super) fn refuse_reoffer(&mut self, id: LegId, status: u16, now: Instant) {
        if let Some(leg) = self.legs.get_mut(&id)
            && let Some(theirs) = leg.offers.theirs.take()
        {
            let tag = leg.dialog.local_tag;
            self.wire.respond(&theirs, status, tag.as_str(), &[], now);
            self.reoffer_held(id, now);
            self.provisional_next(id, now);
        }
    }
}

// --- we offer ----------------------------------------------------------------------------------------------------

impl Endpoint {
    /// Offers a new session to the peer: by re-INVITE, or by UPDATE as long as its INVITE or ours is not answered (which the
    /// peer must allow, and offer and answer must have been exchanged reliably: RFC 3311 section 5.1).
    /// 491 is retried as RFC 3261 section 14.1 says.
    ///
    /// It waits while another offer is under way in either direction; an offer that waits is replaced by the next,
    /// and one `Reanswered` tells about both.
    pub fn reoffer(&mut self, leg: LegId, offer: Bytes, now: Instant) {
        let Some(found) = self.legs.get_mut(&leg) else {
            return;
        };
        match &mut found.offers.ours {
            Reoffer::Backoff { offer: waits, .. } => *waits = offer,
            Reoffer::Idle | Reoffer::Sent { .. } => {
                found.offers.held = Some(offer);
                self.reoffer_held(leg, now);
            }
        }
    }

    /// Offers what the owner asked for as soon as no other offer is under way (RFC 3261 section 14.1).
    pub(super) fn reoffer_held(&mut self, id: LegId, now: Instant) {
        if let Some(leg) = self.legs.get_mut(&id)
            && matches!(leg.offers.ours, Reoffer::Idle)
            && leg.way_to_offer().is_some()
            && let Some(offer) = leg.offers.held.take()
        {
            self.send_offer(id, offer, 0, now);
        }
    }

    fn send_offer(&mut self, id: LegId, offer: Bytes, collisions: u8, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let method = leg.way_to_offer();
        let wish = leg.timer().map(|timer| timer.wish());
        let Some((cseq, dialog)) = leg.next_request() else {
            return;
        };
        if method == Some(Method::Update) {
            let update = InDialog {
                method: Method::Update,
                headers: Vec::new(),
                body: Some((SDP.to_owned(), offer.clone())),
            };
            self.wire
                .ask(dialog, cseq, &update, Purpose::Update(id), now);
        } else {
            let purpose = Purpose::Reoffer(id);
            let branch = self.wire.invite(dialog, cseq, &offer, wish, purpose, now);
            leg.offers.reinvite = Some(branch);
        }
        leg.offers.ours = Reoffer::Sent { offer, collisions };
    }

    /// Our re-INVITE got 422: the same, later. `false` if that is of no use.
    pub(super) fn reoffer_again(&mut self, id: LegId, refusal: &Message, now: Instant) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else {
            return false;
        };
        if !leg.timer().is_some_and(|timer| timer.raise(refusal)) {
            return false;
        }
        if let Reoffer::Sent { offer, collisions } = std::mem::take(&mut leg.offers.ours) {
            self.send_offer(id, offer, collisions, now);
        }
        true
    }

    /// A 2xx to our re-INVITE or UPDATE.
    pub(super) fn reoffer_accepted(
        &mut self,
        id: LegId,
        key: ClientKey,
        response: &Message,
        now: Instant,
    ) {
        let by_invite = response.cseq_method() == Some(Method::Invite);
        if by_invite && self.acknowledged_before(key, response) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            if by_invite {
                // The dialog has ended: there is nothing for a BYE to end.
                self.acknowledge_alone(key, response);
            }
            return;
        };
        // A second device may answer with a 2xx of its own, and later than the first (section 13.2.2.4): what was offered since is not
        // what it takes.
        let is_current = matches!(leg.offers.ours, Reoffer::Sent { .. })
            && (!by_invite || leg.offers.reinvite == Some(key.branch));
        let dialog = leg.dialog_of(response);
        if is_current {
            dialog.refresh(response);
        }
        if by_invite {
            // The ACK carries the number of its INVITE (section 13.2.2.4); requests may have left since.
            let cseq = response.cseq().map_or(0, |cseq| cseq.number);
            let tag = response.to().and_then(|to| to.tag()).unwrap_or_default();
            self.wire.acknowledge(key, dialog, cseq, tag);
        }
        if !is_current {
            return;
        }
        leg.learn(response);
        if let State::Standing(standing) = &mut leg.state
            && by_invite
        {
            let timer = standing.timer.map(|timer| timer.wish());
            standing.timer = timer.and_then(|wish| SessionTimer::agreed(response, &wish, now));
            self.wire.watch(id, standing.timer.as_ref());
        }
        match leg.state {
            State::Incoming(_) | State::Outgoing(_) | State::Standing(_) => {
                leg.offers.ours = Reoffer::Idle;
                self.wire.tell(Event::Reanswered {
                    leg: id,
                    result: Ok(description(response)),
                });
                self.reoffer_held(id, now);
            }
            State::Leaving { .. } | State::Left => {}
        }
    }

    /// Our re-INVITE or UPDATE was refused, or nobody answered (408, or 503 if the flow failed).
    pub(super) fn reoffer_refused(&mut self, id: LegId, status: Status, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let stands = match leg.state {
            State::Standing(_) => true,
            State::Incoming(_) | State::Outgoing(_) => false,
            State::Leaving { .. } | State::Left => return,
        };
        let Reoffer::Sent { offer, collisions } = std::mem::take(&mut leg.offers.ours) else {
            return;
        };
        if status == Status(491) && collisions < MAX_COLLISIONS {
            // Section 14.1: who made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms.
            let (first, steps) = if leg.dialog.ours {
                (2100, 191)
            } else {
                (0, 201)
            };
            let steps = self.wire.tokens.below(steps);
            let until = now + Duration::from_millis(first) + Duration::from_millis(10) * steps;
            leg.offers.ours = Reoffer::Backoff {
                // A newer offer takes the place of the one that collided.
                offer: leg.offers.held.take().unwrap_or(offer),
                collisions: collisions + 1,
                until,
            };
            return self.wire.wake(id, until);
        }
        // Section 12.2.1.2: 408 and 481 end the dialog; no answer counts as 408. An INVITE that rings on decides for itself.
        if stands && (status == Status(408) || status == Status(481)) {
            return self.peer_is_gone(id, now);
        }
        self.wire.tell(Event::Reanswered {
            leg: id,
            result: Err(status),
        });
        self.reoffer_held(id, now);
    }

    /// Sends an offer again after 491 when its time has come, once nothing of the peer's is under way.
    pub(super) fn reoffer_time(&mut self, id: LegId, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if !matches!(leg.offers.ours, Reoffer::Backoff { until, .. } if until <= now) {
            return;
        }
        if let Reoffer::Backoff {
            offer, collisions, ..
        } = std::mem::take(&mut leg.offers.ours)
        {
            if leg.way_to_offer().is_some() {
                self.send_offer(id, offer, collisions, now);
            } else {
                leg.offers.held.get_or_insert(offer);
            }
        }
    }
}
