//! One leg: a dialog and what is under way in it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::prack::{Early, Rack, Reliable};
use super::refer::Referrals;
use super::reoffer::{Offers, Reoffer};
use super::session_timer::{SessionTimer, Wish};
use super::wire::{Pending, Wire};
use super::{Account, Endpoint, LegId, Reason, Status};
use crate::dialog::Dialog;
use crate::token::Token;
use crate::transaction::{ClientKey, SIXTY_FOUR_T1, ServerKey, T1, T2};
use crate::{Header, Message, Method};

/// How often an unanswered caller is told 180 again, so that no proxy gives up (RFC 3261 section 13.3.1.1).
pub(super) const RING_AGAIN: Duration = Duration::from_secs(60);

/// One party's dialog.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    /// Who is at the other end, for requests from another address.
    pub(super) account: Account,
    /// What the peer's INVITE shares with copies of it that come by another way (RFC 3261 section 8.2.2.2).
    pub(super) merge: Option<ServerKey>,
    /// The peer takes UPDATE (its Allow says so).
    pub(super) peer_updates: bool,
    /// Requests of the owner that wait for their answers.
    pub(super) asked: u8,
    /// Offers after the first.
    pub(super) offers: Offers,
    pub(super) state: State,
}

/// How far a leg is.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most legs stand: a box for each would save nothing"
)]
pub(super) enum State {
    /// The peer's INVITE has no final answer.
    Incoming(Incoming),
    /// Our INVITE has no final answer.
    Outgoing(Outgoing),
    /// There is a session.
    Standing(Standing),
    /// The owner is done, but our 2xx waits for its ACK before BYE may leave (RFC 3261 section 15).
    Leaving {
        /// The 2xx.
        unacknowledged: Unacknowledged,
        /// For the BYE.
        reason: Option<Reason>,
    },
    /// BYE has been sent and is not answered yet.
    Left,
}

/// An INVITE of the peer.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) invite: Pending,
    /// The last provisional response and its description, and when it is due again.
    pub(super) progress: Option<(Status, Option<Bytes>)>,
    pub(super) ring_again: Option<Instant>,
    /// The caller takes provisional responses reliably.
    pub(super) reliable: Option<Reliable>,
}

/// An INVITE of ours.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) branch: Token,
    pub(super) progress: Progress,
    /// The session description in it and what it asks of the session's timer, in case it must be sent again.
    pub(super) offer: Bytes,
    pub(super) wish: Wish,
    /// Its early dialogs that a reliable provisional response made.
    pub(super) early: Vec<Early>,
    /// Whether the owner is to hear how it ends.
    pub(super) tells: bool,
}

/// What came back on an INVITE of ours, and whether it is still wanted.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing.
    Calling,
    /// Nothing, and it is not wanted any more: CANCEL waits for a provisional response (RFC 3261 section 9.1).
    CancelHeld(Option<Reason>),
    /// A provisional response.
    Proceeding,
    /// CANCEL was sent; without a final response until then the leg ends (RFC 3261 section 9.1).
    Cancelled {
        /// 64*T1 after the CANCEL.
        until: Instant,
    },
}

/// A session.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Our 2xx that waits for its ACK.
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// The reliable provisional response that our 2xx overtook: its PRACK may still come (RFC 3262 section 3).
    pub(super) unpracked: Option<Rack>,
    /// When the session must be refreshed and by whom, if it has a timer.
    pub(super) timer: Option<SessionTimer>,
    /// What the peer asks for by REFER.
    pub(super) referrals: Referrals,
}

/// A 2xx of ours that is repeated until its ACK comes (RFC 3261 section 13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacknowledged {
    pub(super) key: ServerKey,
    /// The CSeq number that the ACK will have.
    pub(super) cseq: u32,
    pub(super) response: Bytes,
    /// Whether the 2xx offers and the ACK is to answer.
    pub(super) offers: bool,
    interval: Duration,
    again: Instant,
    give_up: Instant,
}

impl Unacknowledged {
    /// The 2xx has just been sent.
    pub(super) fn new(
        key: ServerKey,
        cseq: u32,
        response: Bytes,
        offers: bool,
        leg: LegId,
        wire: &mut Wire,
        now: Instant,
    ) -> Self {
        wire.wake(leg, now + T1);
        wire.wake(leg, now + SIXTY_FOUR_T1);
        let (again, give_up) = (now + T1, now + SIXTY_FOUR_T1);
        Self {
            key,
            cseq,
            response,
            offers,
            interval: T1,
            again,
            give_up,
        }
    }

    /// Whether the peer had all the time to acknowledge.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        now >= self.give_up
    }

    /// Repeats the 2xx if it is time: also over TCP, as a proxy may have gone on over UDP (RFC 3261 section 13.3.1.4).
    pub(super) fn repeat(&mut self, leg: LegId, wire: &mut Wire, now: Instant) {
        if now >= self.again {
            self.interval = (self.interval * 2).min(T2);
            self.again = now + self.interval;
            wire.wake(leg, self.again);
            wire.layer
                .respond(self.key, Status(200), self.response.clone(), now);
        }
    }

    fn waits_for(&self, at: Instant) -> bool {
        at == self.again || at == self.give_up
    }
}

impl Leg {
    /// What the peer asked and the owner has not answered gets 487 when the session ends (RFC 3261 section 15.1.2).
    pub(super) fn settle(&mut self, wire: &mut Wire, now: Instant) {
        let tag = self.dialog.local_tag;
        let refer = match &mut self.state {
            State::Standing(standing) => standing.referrals.unanswered(),
            State::Incoming(_) | State::Outgoing(_) | State::Leaving { .. } | State::Left => None,
        };
        for pending in self.offers.theirs.take().into_iter().chain(refer) {
            wire.respond(&pending, 487, tag.as_str(), &[], now);
        }
    }

    /// What a message of the peer says of what it can do; one without Allow says nothing (RFC 3261 section 20.5).
    pub(super) fn learn(&mut self, message: &Message) {
        if message.header(Header::Allow).is_some() {
            self.peer_updates = message
                .tokens(Header::Allow)
                .any(|method| method == Method::Update.as_str());
        }
    }

    /// The dialog that a message of the peer belongs to: of an INVITE without an answer the early one of the peer's tag.
    pub(super) fn dialog_of(&mut self, message: &Message) -> &mut Dialog {
        let peer = if message.is_request() {
            message.from()
        } else {
            message.to()
        };
        let tag = peer.as_ref().and_then(|peer| peer.tag());
        if let State::Outgoing(outgoing) = &mut self.state
            && let Some(early) = outgoing.early(tag)
        {
            return &mut early.dialog;
        }
        &mut self.dialog
    }

    /// The CSeq number of our next request and the dialog to send it in, if there is one. Early dialogs of one INVITE share
    /// their numbers, so that they rise in each of them, whichever is confirmed.
    pub(super) fn next_request(&mut self) -> Option<(u32, &Dialog)> {
        match &self.state {
            State::Incoming(_) | State::Standing(_) => {
                Some((self.dialog.next_cseq(), &self.dialog))
            }
            State::Outgoing(outgoing) => {
                let early = outgoing.agreed()?;
                Some((self.dialog.next_cseq(), &early.dialog))
            }
            State::Leaving { .. } | State::Left => None,
        }
    }

    /// The session's timer.
    pub(super) fn timer(&mut self) -> Option<&mut SessionTimer> {
        match &mut self.state {
            State::Standing(standing) => standing.timer.as_mut(),
            State::Incoming(_) | State::Outgoing(_) | State::Leaving { .. } | State::Left => None,
        }
    }

    /// Whether the leg waits for exactly this moment.
    pub(super) fn waits_for(&self, at: Instant) -> bool {
        if matches!(self.offers.ours, Reoffer::Backoff { until, .. } if until == at) {
            return true;
        }
        match &self.state {
            State::Incoming(incoming) => {
                let reliable = incoming.reliable.as_ref();
                incoming.ring_again == Some(at)
                    || reliable.is_some_and(|reliable| reliable.waits_for(at))
            }
            State::Outgoing(outgoing) => match outgoing.progress {
                Progress::Cancelled { until } => until == at,
                Progress::Calling | Progress::CancelHeld(_) | Progress::Proceeding => false,
            },
            State::Standing(standing) => {
                let sent = standing.unacknowledged.as_ref();
                standing.timer.is_some_and(|timer| timer.waits_for(at))
                    || sent.is_some_and(|sent| sent.waits_for(at))
            }
            State::Leaving { unacknowledged, .. } => unacknowledged.waits_for(at),
            State::Left => false,
        }
    }
}

impl Endpoint {
    /// A leg is gone, and with it all that leads to it.
    pub(super) fn remove(&mut self, id: LegId, now: Instant) -> Option<Leg> {
        let mut leg = self.legs.remove(&id)?;
        leg.settle(&mut self.wire, now);
        self.by_tag.remove(&leg.dialog.local_tag);
        if let Some(merge) = &leg.merge {
            self.merges.remove(merge);
        }
        if let Some(branch) = leg.offers.reinvite {
            let cancel = false;
            self.wire.layer.abandon(ClientKey { branch, cancel });
        }
        Some(leg)
    }
}
