//! One of two who talk has the other connected with somebody else (RFC 3515): that phone rings, the one who is transferred
//! hears the ringing tone, and the one who transfers hears by SIP how it goes on.

use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{LegId, Refer, Status};

use super::search::{Failed, Outlook, Search};
use super::talking::Dues;
use super::{Releasing, State, Talking, lead_to};
use crate::Cause;
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::log::milestone;
use crate::record::TransferKind;
use crate::settings::Destination;

/// See the module.
#[derive(Debug)]
pub(crate) struct Transferring {
    home: Home,
    /// Who sent REFER and hears the reports.
    transferor: LegId,
    /// The transferor's own call to the phone that rings, if it made one before (an early attended transfer).
    consult: Option<LegId>,
    search: Search,
    /// The transferor was told that it rings.
    rang: bool,
}

/// What was before the transfer.
#[derive(Debug)]
enum Home {
    /// The conversation goes on if the transfer fails.
    Waits(Talking),
    /// The transferor hung up: there is nobody to come back to.
    Gone(Dues),
}

impl Transferring {
    /// One of the two sent REFER with a number.
    pub(crate) fn refer(
        talk: Talking,
        transferor: LegId,
        refer: Refer,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let stays = talk.other(transferor, body);
        // What is bridged must be open: an ACK is still on its way.
        if !talk.has(transferor, body) || !body.is_open(stays) {
            fx.refuse_refer(transferor, Status(491));
            return State::Talking(talk);
        }
        // A peer of a trunk has calls made at nobody's cost.
        if body.account(transferor).is_some_and(|by| fx.is_trunk(by)) {
            fx.refuse_refer(transferor, Status(403));
            return State::Talking(talk);
        }
        fx.accept_refer(transferor);
        milestone!(body, "transfer asked for");
        body.refer_by(transferor, refer.referred_by, fx);
        body.transfer_began(TransferKind::Blind, transferor, &refer.target, fx.now);
        let talk = talk.turn_to(stays, body);
        match Self::seek(&talk, &refer.target, body, fx) {
            Ok(Some(search)) => Self::ring(talk, transferor, None, search, body, fx),
            Ok(None) => {
                let dues = talk.part(transferor, body, fx);
                Self::hand_over(dues, transferor, None, &refer.target, body, fx)
            }
            Err(status) => Self::failed(talk, transferor, status, body, fx),
        }
    }

    /// Who rings for the number; none if it answers by itself.
    fn seek(
        talk: &Talking,
        number: &str,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Result<Option<Search>, Status> {
        if !body.redirected() {
            return Err(Cause::Loop.status());
        }
        let search = match fx.answering(number) {
            Some(Destination::Phone(account)) => Search::phone(&account, body, fx),
            Some(Destination::Group(group)) => Search::group(&group, body, fx),
            None => Search::outside(number, body, fx),
            // An agent is no customer: nobody sends it to wait in a queue.
            Some(_) if talk.serves(body.caller) => return Err(Status(403)),
            Some(Destination::Queue(entrance)) if !fx.has_room(&entrance.queue) => {
                return Err(Cause::QueueFull.status());
            }
            Some(_) => return Ok(None),
        };
        search.map(Some).map_err(|failed| failed.status)
    }

    /// The phones of the search ring for `Body::caller`.
    pub(crate) fn ring(
        talk: Talking,
        transferor: LegId,
        consult: Option<LegId>,
        search: Search,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        body.unbridge(fx);
        for leg in [body.caller, transferor] {
            let ringing = fx.sounds().ringing.clone();
            body.background(leg, Some(ringing), fx);
        }
        State::Transferring(Self {
            home: Home::Waits(talk),
            transferor,
            consult,
            search,
            rang: false,
        })
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.search.until
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Ringing(leg, early) => {
                self.search.rings(leg, early.as_ref(), body, fx);
                if !self.rang {
                    self.rang = true;
                    fx.report(self.transferor, Status(180));
                }
            }
            Event::Answered(leg, answer) => return self.answered(leg, answer, body, fx),
            Event::Ended(leg, cause) if leg == self.transferor => {
                body.mark_over(leg, Some(cause.status()), fx);
                self.home = self.home.without(leg, body, fx);
            }
            Event::Silent(leg, _) if leg == self.transferor => {
                body.release(leg, Status(408), Cause::MediaLost.reason(), fx);
                self.home = self.home.without(leg, body, fx);
            }
            event @ (Event::Refused(..) | Event::Ended(..) | Event::Deadline) => {
                let outlook = self.search.set_back(event, body, fx);
                return self.go_on(outlook, body, fx);
            }
            Event::Reoffered(leg, offer) => body.renegotiate(leg, offer.as_ref(), fx),
            Event::Acknowledged(..)
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
            | Event::Stop(..) => {}
        }
        State::Transferring(self)
    }

    /// A call over a trunk goes on over another one.
    pub(super) fn replace(&mut self, old: LegId, new: LegId) -> bool {
        self.search.replace(old, new)
    }

    /// Another phone answers in the place of one that rings; false if it cannot: nothing has changed then.
    pub(super) fn is_picked_up(
        &self,
        old: LegId,
        new: LegId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> bool {
        self.search.has(old) && body.accept(new, None, fx).is_ok()
    }

    /// The call ends while it rings.
    pub(crate) fn leave(self, body: &mut Body, fx: &mut Effects<'_>) {
        report_end(self.transferor, Status(487), body, fx);
        self.home
            .into_dues(self.transferor, body, fx)
            .settle(body, fx);
    }

    fn answered(
        mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        match self.search.answered(leg, answer, body, fx) {
            Ok(_) => self.connect(leg, body, fx),
            Err(outlook) => self.go_on(outlook, body, fx),
        }
    }

    /// Somebody answered: the transfer is done.
    pub(super) fn connect(self, leg: LegId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        report_end(self.transferor, Status(200), body, fx);
        let dues = self.home.into_dues(self.transferor, body, fx);
        for leaver in [Some(self.transferor), self.consult].into_iter().flatten() {
            body.release(leaver, Status(487), None, fx);
        }
        self.search.end(body, fx);
        milestone!(body, "transferred");
        Talking::resume(leg, dues, body, fx)
    }

    fn go_on(self, outlook: Outlook, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match outlook {
            Outlook::Rings => State::Transferring(self),
            Outlook::Leads(number) => {
                let dues = self.home.into_dues(self.transferor, body, fx);
                Self::hand_over(dues, self.transferor, self.consult, &number, body, fx)
            }
            Outlook::Nobody(failed) => self.fall_back(&failed, body, fx),
        }
    }

    /// A queue or a service takes who is transferred: the transfer is done.
    fn hand_over(
        dues: Dues,
        transferor: LegId,
        consult: Option<LegId>,
        number: &str,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        report_end(transferor, Status(200), body, fx);
        dues.settle(body, fx);
        body.unbridge(fx);
        for leaver in [Some(transferor), consult].into_iter().flatten() {
            body.release(leaver, Status(487), None, fx);
        }
        milestone!(body, "transferred");
        lead_to(number, body, fx)
    }

    /// Nobody answered: the conversation goes on as it was, if its other half is still there.
    fn fall_back(self, failed: &Failed, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let &Failed { cause, status, by } = failed;
        if let Some(consult) = self.consult {
            body.release(consult, status, cause.reason(), fx);
        }
        match self.home {
            Home::Waits(talk) => {
                let talk = talk.again(body, fx);
                Self::failed(talk, self.transferor, status, body, fx)
            }
            Home::Gone(dues) => {
                report_end(self.transferor, status, body, fx);
                dues.settle(body, fx);
                Releasing::enter(cause, by, body, fx)
            }
        }
    }

    fn failed(
        talk: Talking,
        transferor: LegId,
        status: Status,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        milestone!(body, status = status.0, "transfer failed");
        report_end(transferor, status, body, fx);
        State::Talking(talk)
    }
}

impl Home {
    /// The transferor is gone.
    fn without(self, transferor: LegId, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        Self::Gone(self.into_dues(transferor, body, fx))
    }

    /// What goes on without the transferor.
    fn into_dues(self, transferor: LegId, body: &mut Body, fx: &mut Effects<'_>) -> Dues {
        match self {
            Self::Waits(talk) => talk.part(transferor, body, fx),
            Self::Gone(dues) => dues,
        }
    }
}

/// The last report of a transfer, for the transferor and for the record.
pub(super) fn report_end(transferor: LegId, status: Status, body: &mut Body, fx: &mut Effects<'_>) {
    fx.report(transferor, status);
    body.end_transfer(status);
}
