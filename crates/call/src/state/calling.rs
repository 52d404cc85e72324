//! A phone, a ring group or a number outside is called: the first to answer gets the call.

use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{Account, LegId};

use super::search::{Failed, Outlook, Search};
use super::{Releasing, Service, State, Talking, lead_to};
use crate::Party;
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::Leg;
use crate::settings::GroupId;

/// See the module.
#[derive(Debug)]
pub(crate) struct Calling {
    search: Search,
}

impl Calling {
    /// A phone rings on every binding.
    pub(crate) fn enter(account: &Account, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let search = Search::phone(account, body, fx);
        Self::wait(search, body, fx)
    }

    /// A number outside is called over a trunk.
    pub(crate) fn enter_outside(number: &str, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let search = Search::outside(number, body, fx);
        Self::wait(search, body, fx)
    }

    /// A group rings.
    pub(crate) fn enter_group(group: &GroupId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let search = Search::group(group, body, fx);
        Self::wait(search, body, fx)
    }

    fn wait(search: Result<Search, Failed>, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match search {
            Ok(search) => {
                if body.caller_is_answered() {
                    let ringing = fx.sounds().ringing.clone();
                    body.background(body.caller, Some(ringing), fx);
                }
                State::Calling(Self { search })
            }
            Err(failed) => Self::fail(failed, body, fx),
        }
    }

    /// Who rings, for a call that goes on in another way.
    pub(super) fn into_search(self) -> Search {
        self.search
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.search.until
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Ringing(leg, early) => {
                if !self.search.rings(leg, early.as_ref(), body, fx) {
                    body.ring_caller(fx);
                }
            }
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
        State::Calling(self)
    }

    /// A call over a trunk goes on over another one.
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
        let codec = match self.search.answered(leg, answer, body, fx) {
            Ok(codec) => codec,
            Err(outlook) => return self.go_on(outlook, body, fx),
        };
        if let Err(cause) = body.pick_up(codec, fx) {
            return Releasing::enter(cause, Party::Callee, body, fx);
        }
        self.search.end(body, fx);
        Talking::connect(leg, body, fx)
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

    /// The other phone has answered.
    pub(super) fn pick_up(self, new: LegId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let codec = body.leg(new).and_then(Leg::codec);
        if let Err(cause) = body.pick_up(codec, fx) {
            return Releasing::enter(cause, Party::Callee, body, fx);
        }
        self.search.end(body, fx);
        Talking::connect(new, body, fx)
    }

    fn go_on(self, outlook: Outlook, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match outlook {
            Outlook::Rings => State::Calling(self),
            Outlook::Leads(number) => lead_to(&number, body, fx),
            Outlook::Nobody(failed) => Self::fail(failed, body, fx),
        }
    }

    /// Who was answered hears the busy tone before the call ends; nobody else has to pay for it.
    fn fail(failed: Failed, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let Failed { cause, status, by } = failed;
        if body.caller_is_answered() {
            Service::fail(cause, by, body, fx)
        } else {
            Releasing::refuse(cause, status, by, body, fx)
        }
    }
}
