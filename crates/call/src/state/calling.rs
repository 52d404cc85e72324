//! A phone calls a phone: every binding rings, the first to answer gets the call.

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use sip::endpoint::{Account, LegId, Status};
use tracing::debug;

use super::{Releasing, State, Talking};
use crate::body::Body;
use crate::cause::answered_elsewhere;
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::Role;
use crate::{Cause, Party};

/// See the module.
#[derive(Debug)]
pub(crate) struct Calling {
    ringing: BTreeSet<LegId>,
    /// The phone that the caller hears already.
    heard: Option<LegId>,
    /// The best refusal so far (RFC 3261 section 16.7 step 6).
    best: Option<Status>,
    /// Who has not answered by then does not.
    pub(crate) until: Instant,
}

impl Calling {
    pub(crate) fn enter(account: &Account, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match body.dial(account, &Role::Callee, fx) {
            Ok(legs) => {
                debug!(account = &*account.0, legs = legs.len(), "rings");
                if body.caller_is_answered() {
                    let ringing = fx.sounds().ringing.clone();
                    body.background(body.caller, Some(ringing), fx);
                }
                let until = fx.now + fx.ring_timeout();
                State::Calling(Self {
                    ringing: legs.into_iter().collect(),
                    heard: None,
                    best: None,
                    until,
                })
            }
            Err(cause) => Releasing::enter(cause, Party::Switch, body, fx),
        }
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Ringing(leg, early) => {
                body.mark_ringing(leg, early.as_ref(), fx);
                // The first phone that has something to say is heard; a description without sound is rare.
                let speaks = early.is_some() && self.heard.is_none_or(|heard| heard == leg);
                if speaks && body.hear_early(leg, fx) {
                    self.heard = Some(leg);
                } else {
                    body.ring_caller(fx);
                }
            }
            Event::Answered(leg, answer) => return self.answered(leg, answer, body, fx),
            Event::Refused(leg, status) => return self.refused(leg, status, body, fx),
            Event::Ended(leg, cause) => return self.refused(leg, cause.status(), body, fx),
            Event::Deadline => return Releasing::enter(Cause::NoAnswer, Party::Switch, body, fx),
            Event::Reoffered(leg, offer) => body.renegotiate(leg, offer.as_ref(), fx),
            Event::Acknowledged(..)
            | Event::Reanswered(..)
            | Event::RefreshDue(_)
            | Event::Digit(..)
            | Event::Played(..)
            | Event::Silent(..)
            | Event::Closed(..)
            | Event::Recorded(..)
            | Event::Offered(..)
            | Event::Withdrawn(..)
            | Event::WaitedTooLong
            | Event::QueueGone
            | Event::Stop(..) => {}
        }
        State::Calling(self)
    }

    fn answered(
        mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        if !self.ringing.remove(&leg) {
            body.release(leg, Status(487), Some(answered_elsewhere()), fx);
            return State::Calling(self);
        }
        let agreed = body
            .take_answer(leg, answer, fx)
            .and_then(|codec| body.pick_up(codec, fx));
        if let Err(cause) = agreed {
            return Releasing::enter(cause, Party::Callee, body, fx);
        }
        for other in &self.ringing {
            body.release(*other, Status(487), Some(answered_elsewhere()), fx);
        }
        Talking::connect(leg, body, fx)
    }

    fn refused(
        mut self,
        leg: LegId,
        status: Status,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        body.mark_over(leg, Some(status), fx);
        self.ringing.remove(&leg);
        if self.heard.take_if(|heard| *heard == leg).is_some() {
            let ringing = fx.sounds().ringing.clone();
            body.background(body.caller, Some(ringing), fx);
        }
        let best = self.best.map_or(status, |best| better(best, status));
        self.best = Some(best);
        // A 6xx ends the search: the callee is known not to want the call anywhere (RFC 3261 section 21.6).
        if self.ringing.is_empty() || best.0 >= 600 {
            return Releasing::refuse(
                Cause::of_refusal(best),
                passed_on(best),
                Party::Callee,
                body,
                fx,
            );
        }
        State::Calling(self)
    }
}

/// 6xx before all; else what says most to the caller: busy, then the lowest class (RFC 3261 section 16.7 step 6).
fn better(a: Status, b: Status) -> Status {
    let rank = |status: Status| match status.0 {
        600.. => (0, status.0),
        486 => (1, 0),
        other => (2, other),
    };
    if rank(b) < rank(a) { b } else { a }
}

/// What the caller is told of the callee's refusal: never a challenge or a redirection that is not meant for it,
/// nor that a server is overloaded, which would make it give this one up (RFC 3261 section 16.7).
fn passed_on(status: Status) -> Status {
    match status.0 {
        400 | 402..=406 | 408..=499 | 600.. => status,
        _ => Status(480),
    }
}
