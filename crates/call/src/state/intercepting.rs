//! Two talk, and a third phone rings that takes the place of one of them when it answers; until then nothing changes for the two.

use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{Account, LegId, Status};

use super::search::{Outlook, Search};
use super::{State, Talking};
use crate::Cause;
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::log::{milestone, shown};
use crate::order::RecordingOrder;
use crate::record::TransferKind;

/// See the module.
#[derive(Debug)]
pub(crate) struct Intercepting {
    pub(crate) talk: Talking,
    search: Search,
}

impl Intercepting {
    /// The phone rings.
    ///
    /// # Errors
    /// It does not: the conversation as it was.
    pub(crate) fn begin(
        talk: Talking,
        phone: &Account,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Result<Self, Talking> {
        let leaver = talk.server(body);
        let stays = talk.other(leaver, body);
        // What is bridged must be open: an ACK is still on its way. And nobody is taken over by itself.
        let is_own = body.legs.values().any(|leg| leg.account == *phone);
        if !body.is_open(stays) || is_own || !body.redirected() {
            return Err(talk);
        }
        let Ok(search) = Search::phone(phone, body, fx) else {
            return Err(talk);
        };
        milestone!(
            body,
            phone = shown(&phone.0),
            "is to be taken over by a command"
        );
        let whom = body.account(leaver).map(|account| account.0.to_string());
        let (by, whom) = (phone.0.to_string(), whom.unwrap_or_default());
        body.draft
            .transfer_began(TransferKind::Intercept, by, &whom, fx.now);
        Ok(Self { talk, search })
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.search.until
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            // What it lets be heard meanwhile is nobody's to hear: the two talk.
            Event::Ringing(leg, early) => {
                body.mark_ringing(leg, early.as_ref(), fx);
                State::Intercepting(self)
            }
            Event::Answered(leg, answer) => self.answered(leg, answer, body, fx),
            event @ Event::Deadline => {
                let outlook = self.search.set_back(event, body, fx);
                self.go_on(outlook, body)
            }
            event @ (Event::Refused(leg, _) | Event::Ended(leg, _)) if self.search.has(leg) => {
                let outlook = self.search.set_back(event, body, fx);
                self.go_on(outlook, body)
            }
            event @ (Event::Refused(..)
            | Event::Ended(..)
            | Event::Reoffered(..)
            | Event::Acknowledged(..)
            | Event::Reanswered(..)
            | Event::RefreshDue(_)
            | Event::Referred(..)
            | Event::Digit(..)
            | Event::Played(..)
            | Event::Silent(..)
            | Event::Closed(..)
            | Event::Recorded(..)
            | Event::Offered(..)
            | Event::Withdrawn(..)
            | Event::WaitedTooLong(_)
            | Event::QueueGone
            | Event::Conversation(_)
            | Event::Conferees(_)
            | Event::Stop(..)) => self.talk_on(event, body, fx),
        }
    }

    /// The phone may be called over a trunk, where it forwards its calls.
    pub(super) fn replace(&mut self, old: LegId, new: LegId) -> bool {
        self.search.replace(old, new)
    }

    pub(super) fn follow_hold(self, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        Self {
            talk: self.talk.follow_hold(body, fx),
            ..self
        }
    }

    pub(super) fn record(
        self,
        order: RecordingOrder,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> (Self, bool) {
        let (talk, is_news) = self.talk.record(order, body, fx);
        (Self { talk, ..self }, is_news)
    }

    /// The phone rings no more: the conversation as it is.
    pub(super) fn withdraw(self, body: &mut Body, fx: &mut Effects<'_>) -> Talking {
        self.search.end(body, fx);
        body.end_transfer(Status(487));
        self.talk
    }

    fn talk_on(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let Self { talk, search } = self;
        match talk.handle(event, body, fx) {
            State::Talking(talk) => State::Intercepting(Self { talk, search }),
            // There is no conversation any more that could be taken over.
            state @ (State::Calling(_)
            | State::Greeting(_)
            | State::Queued(_)
            | State::Transferring(_)
            | State::Intercepting(_)
            | State::Service(_)
            | State::Summoning(_)
            | State::Supervising(_)
            | State::Conferring(_)
            | State::Releasing(_)) => {
                search.end(body, fx);
                body.end_transfer(Status(487));
                state
            }
        }
    }

    fn answered(
        mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        if let Err(outlook) = self.search.answered(leg, answer, body, fx) {
            return self.go_on(outlook, body);
        }
        let leaver = self.talk.server(body);
        let stays = self.talk.other(leaver, body);
        let dues = self.talk.turn_to(stays, body).part(leaver, body, fx);
        body.unbridge(fx);
        body.release(leaver, Status(487), Cause::Ordered.reason(), fx);
        self.search.end(body, fx);
        milestone!(body, "is taken over");
        body.end_transfer(Status(200));
        Talking::resume(leg, dues, body, fx)
    }

    fn go_on(self, outlook: Outlook, body: &mut Body) -> State {
        let status = match outlook {
            Outlook::Rings => return State::Intercepting(self),
            // Only who can be talked with at once takes a conversation over.
            Outlook::Leads(_) => Cause::RedirectedAway.status(),
            Outlook::Nobody(failed) => failed.status,
        };
        milestone!(body, status = status.0, "is not taken over");
        body.end_transfer(status);
        State::Talking(self.talk)
    }
}
