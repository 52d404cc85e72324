//! A supervisor's phone rings because somebody at a shell wants it to be with a phone that talks.

use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{Account, LegId};

use super::search::{Outlook, Search};
use super::{Releasing, State, Supervising};
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::settings::Supervision;
use crate::{Cause, Party};

/// See the module. Nobody is `Body::caller` until the phone has answered.
#[derive(Debug)]
pub(crate) struct Summoning {
    /// Whom it is to be with.
    account: Account,
    supervision: Supervision,
    search: Search,
}

impl Summoning {
    /// The phone of the call's account rings.
    pub(crate) fn enter(
        account: Account,
        supervision: Supervision,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let supervisor = body.caller_account.clone();
        match Search::phone(&supervisor, body, fx) {
            Ok(search) => State::Summoning(Self {
                account,
                supervision,
                search,
            }),
            Err(failed) => Releasing::enter(failed.cause, failed.by, body, fx),
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.search.until
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Ringing(leg, early) => body.mark_ringing(leg, early.as_ref(), fx),
            Event::Answered(leg, answer) => return self.answered(leg, answer, body, fx),
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
        State::Summoning(self)
    }

    /// The phone may be called over a trunk, where it forwards its calls.
    pub(super) fn replace(&mut self, old: LegId, new: LegId) -> bool {
        self.search.replace(old, new)
    }

    fn answered(
        mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        if let Err(outlook) = self.search.answered(leg, answer, body, fx) {
            return self.go_on(outlook, body, fx);
        }
        self.search.end(body, fx);
        body.begin_with(leg);
        Supervising::enter(self.account, self.supervision, body, fx)
    }

    fn go_on(self, outlook: Outlook, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match outlook {
            Outlook::Rings => State::Summoning(self),
            Outlook::Leads(_) => Releasing::enter(Cause::RedirectedAway, Party::Callee, body, fx),
            Outlook::Nobody(failed) => Releasing::enter(failed.cause, failed.by, body, fx),
        }
    }
}
