//! The states of a call: one struct and one file each.

mod calling;
mod conferring;
mod greeting;
mod intercepting;
mod joining;
mod queued;
mod releasing;
mod routing;
mod search;
mod service;
mod summoning;
mod supervising;
mod talking;
mod transferring;

use std::time::{Duration, Instant};

pub(crate) use calling::Calling;
pub(crate) use conferring::{Conferring, Others};
pub(crate) use greeting::Greeting;
pub(crate) use intercepting::Intercepting;
pub(crate) use joining::{Goal, Joint};
pub(crate) use queued::Queued;
pub(crate) use releasing::Releasing;
pub(crate) use routing::{lead_onward, lead_to, route, route_onward};
pub(crate) use service::Service;
pub(crate) use summoning::Summoning;
pub(crate) use supervising::{Conversation, Supervising};
pub(crate) use talking::Talking;
pub(crate) use transferring::Transferring;

use sip::endpoint::{LegId, Refer, Status};

use crate::body::{Body, Remaining};
use crate::effects::Effects;
use crate::event::{Event, Refusal};
use crate::log::milestone;
use crate::order::{Order, Target};
use crate::record::{Outcome, TransferKind};
use crate::{Cause, Party};

/// Where a call stands.
#[derive(Debug)]
pub(crate) enum State {
    /// A phone calls a phone, which rings.
    Calling(Calling),
    /// The customer hears the start sound.
    Greeting(Greeting),
    /// The customer waits; agents' phones may ring.
    Queued(Queued),
    /// Two legs hear each other, or one of them holds the other.
    Talking(Talking),
    /// A phone rings for one of two who talked; the other one wanted that.
    Transferring(Transferring),
    /// Two talk, and a phone rings that takes the place of one of them.
    Intercepting(Intercepting),
    /// The caller is alone with the switch: echo, music, a confirmation.
    Service(Service),
    /// A supervisor's phone rings.
    Summoning(Summoning),
    /// A supervisor is with a phone and hears what that one talks.
    Supervising(Supervising),
    /// The caller is in a conference.
    Conferring(Conferring),
    /// The call is over; its legs close.
    Releasing(Releasing),
}

impl State {
    /// What the caller meets, for people.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Calling(_) => "rings",
            Self::Greeting(_) => "hears the start sound",
            Self::Queued(_) => "waits",
            Self::Talking(_) => "talks",
            Self::Transferring(_) => "is being transferred",
            Self::Intercepting(_) => "talks, and another phone rings for it",
            Self::Summoning(_) => "rings a supervisor",
            Self::Service(_) => "is alone with the switch",
            Self::Supervising(_) => "supervises",
            Self::Conferring(_) => "confers",
            Self::Releasing(_) => "ends",
        }
    }

    /// The one transition function: what concerns every state alike first, the rest in the state's own file.
    pub(crate) fn handle(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        body.note_trunk(&event, fx);
        match event {
            Event::Refused(leg, Refusal { status, .. }) if body.has_another_way(leg, status) => {
                let remaining = body.take_attempt(leg);
                body.mark_over(leg, Some(status), fx);
                self.go_another_way(leg, status, remaining, body, fx)
            }
            Event::Deadline => self.deadline_has_come(body, fx),
            Event::Stop(cause, by) => self.release(cause, by, body, fx),
            Event::Closed(leg, stats) => {
                // A stream that ends unasked (its port could not be used) is as good as one that fell silent.
                if body.stream_closed(leg, stats, fx) {
                    return self.handle(Event::Silent(leg, Duration::ZERO), body, fx);
                }
                self
            }
            Event::Recorded(recording, result) => {
                body.draft.recorded(recording, result);
                self
            }
            Event::Acknowledged(leg, answer) => match (body.acknowledged(leg, answer, fx), self) {
                (Ok(()), Self::Talking(state)) => Self::Talking(state.follow_hold(body, fx)),
                (Ok(()), Self::Intercepting(state)) => {
                    Self::Intercepting(state.follow_hold(body, fx))
                }
                (Ok(()), state) => state,
                (Err(cause), state) => state.release(cause, Party::Switch, body, fx),
            },
            Event::Reanswered(leg, answer) => {
                match (body.reanswered(leg, answer.as_ref(), fx), self) {
                    (Ok(()), Self::Talking(state)) => Self::Talking(state.follow_hold(body, fx)),
                    (Ok(()), Self::Intercepting(state)) => {
                        Self::Intercepting(state.follow_hold(body, fx))
                    }
                    (Ok(()), state) => state,
                    (Err(cause), state) => state.release(cause, Party::Switch, body, fx),
                }
            }
            Event::RefreshDue(leg) => {
                body.reoffer(leg, fx);
                self
            }
            Event::Ended(leg, cause) if leg == body.caller => {
                body.mark_over(leg, Some(cause.status()), fx);
                let by = body.party(leg);
                self.release(cause, by, body, fx)
            }
            Event::Silent(leg, after) if leg == body.caller => {
                milestone!(body, seconds = after.as_secs(), "no RTP from the caller");
                let by = body.party(leg);
                self.release(Cause::MediaLost, by, body, fx)
            }
            Event::Answered(leg, answer) => {
                body.mark_answered(leg, fx);
                self.dispatch(Event::Answered(leg, answer), body, fx)
            }
            Event::Referred(leg, refer) => self.refer(leg, refer, body, fx),
            event @ (Event::Ringing(..)
            | Event::Refused(..)
            | Event::Reoffered(..)
            | Event::Ended(..)
            | Event::Digit(..)
            | Event::Played(_)
            | Event::Silent(..)
            | Event::Offered(..)
            | Event::Withdrawn(..)
            | Event::WaitedTooLong(_)
            | Event::QueueGone
            | Event::Conversation(_)
            | Event::Conferees(_)) => self.dispatch(event, body, fx),
        }
    }

    /// A trunk said nothing, or it is the state's own time.
    fn deadline_has_come(mut self, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        while let Some(leg) = body.silent_leg(fx) {
            let status = Status(408);
            self = if body.has_another_way(leg, status) {
                let remaining = body.take_attempt(leg);
                body.release(leg, Status(487), None, fx);
                self.go_another_way(leg, status, remaining, body, fx)
            } else {
                self
            };
        }
        if self.deadline().is_some_and(|at| at <= fx.now) {
            return self.dispatch(Event::Deadline, body, fx);
        }
        self
    }

    /// The leg's call goes on over the next trunk; a state that waits for the old leg waits for the new one.
    fn go_another_way(
        mut self,
        leg: LegId,
        status: Status,
        remaining: Option<Remaining>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Self {
        let new = remaining.and_then(|remaining| body.try_another_way(remaining, fx));
        let Some(new) = new else {
            return self.dispatch(Event::Refused(leg, Refusal::of(status)), body, fx);
        };
        let taken = match &mut self {
            Self::Calling(state) => state.replace(leg, new),
            Self::Queued(state) => state.replace(leg, new),
            Self::Transferring(state) => state.replace(leg, new),
            Self::Intercepting(state) => state.replace(leg, new),
            Self::Summoning(state) => state.replace(leg, new),
            Self::Greeting(_)
            | Self::Talking(_)
            | Self::Service(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_) => false,
        };
        if !taken {
            body.release(new, Status(487), None, fx);
        }
        self
    }

    /// A phone asks for a transfer: only who talks has somebody to be transferred, and one after the other.
    fn refer(self, leg: LegId, refer: Box<Refer>, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        let refusal = match &self {
            Self::Talking(_) => return self.dispatch(Event::Referred(leg, refer), body, fx),
            Self::Transferring(_) | Self::Intercepting(_) => Status(491),
            Self::Calling(_)
            | Self::Greeting(_)
            | Self::Queued(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_) => Status(603),
        };
        fx.refuse_refer(leg, refusal);
        self
    }

    /// A phone takes the place of another, whose leg is `old` (RFC 3891 section 3).
    pub(crate) fn take_over(
        self,
        old: LegId,
        new: LegId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Self {
        let whom = body.account(old).map(|account| account.0.to_string());
        body.transfer_began(TransferKind::Pickup, new, &whom.unwrap_or_default(), fx.now);
        let answers = match &self {
            Self::Talking(state) => state.is_taken_over(old, new, body, fx),
            Self::Calling(state) => state.is_picked_up(old, new, body, fx),
            Self::Transferring(state) => state.is_picked_up(old, new, body, fx),
            Self::Greeting(_)
            | Self::Queued(_)
            | Self::Intercepting(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_) => false,
        };
        if !answers {
            // Section 3: what was is left as it was.
            body.release(new, Status(488), None, fx);
            body.draft.transfer_ended(Status(488));
            return self;
        }
        body.draft.transfer_ended(Status(200));
        match self {
            Self::Talking(state) => state.take_over(old, new, body, fx),
            Self::Calling(state) => state.pick_up(new, body, fx),
            Self::Transferring(state) => state.connect(new, body, fx),
            state @ (Self::Greeting(_)
            | Self::Queued(_)
            | Self::Intercepting(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_)) => state,
        }
    }

    /// The conversation of two, if there is one now.
    pub(crate) fn talk(&self) -> Option<&Talking> {
        match self {
            Self::Talking(talk) => Some(talk),
            Self::Intercepting(state) => Some(&state.talk),
            Self::Calling(_)
            | Self::Greeting(_)
            | Self::Queued(_)
            | Self::Transferring(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_) => None,
        }
    }

    pub(crate) fn into_talking(self) -> Option<Talking> {
        match self {
            Self::Talking(state) => Some(state),
            Self::Calling(_)
            | Self::Greeting(_)
            | Self::Queued(_)
            | Self::Transferring(_)
            | Self::Intercepting(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_) => None,
        }
    }

    /// The call as one that somebody gets `place` in; `is_elder`: it is the elder of two that are joined.
    pub(crate) fn into_goal(self, place: LegId, body: &Body, is_elder: bool) -> Option<Goal> {
        match self {
            Self::Talking(state) => {
                let far = state.other(place, body);
                Some(Goal::Talking(state, far, is_elder))
            }
            Self::Calling(state) => Some(Goal::Calling(state)),
            Self::Greeting(state) => Some(Goal::Greeting(state)),
            Self::Queued(state) => Some(Goal::Queued(state)),
            Self::Transferring(_)
            | Self::Intercepting(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_) => None,
        }
    }

    fn dispatch(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        match self {
            Self::Calling(state) => state.handle(event, body, fx),
            Self::Greeting(state) => state.handle(event, body, fx),
            Self::Queued(state) => state.handle(event, body, fx),
            Self::Talking(state) => state.handle(event, body, fx),
            Self::Transferring(state) => state.handle(event, body, fx),
            Self::Intercepting(state) => state.handle(event, body, fx),
            Self::Summoning(state) => state.handle(event, body, fx),
            Self::Service(state) => state.handle(event, body, fx),
            Self::Supervising(state) => state.handle(event, body, fx),
            Self::Conferring(state) => state.handle(event, body, fx),
            Self::Releasing(state) => state.handle(event, body, fx),
        }
    }

    /// Somebody beside the call wants something of it; false: it is not in the state for that.
    pub(crate) fn obey(self, order: &Order, body: &mut Body, fx: &mut Effects<'_>) -> (Self, bool) {
        match (order, self) {
            (_, Self::Releasing(state)) => (Self::Releasing(state), false),
            (Order::HangUp, state) => {
                (state.release(Cause::Ordered, Party::Switch, body, fx), true)
            }
            (Order::Transfer(target), state) => state.lead(target, body, fx),
            (Order::Move(queue), Self::Queued(state)) => (state.move_to(queue, body, fx), true),
            (Order::Priority(priority), Self::Queued(state)) => {
                let waits = fx.prefer(state.ticket(), *priority);
                (Self::Queued(state), waits)
            }
            (Order::Recording(recording), Self::Talking(state)) => {
                let (state, is_news) = state.record(*recording, body, fx);
                (Self::Talking(state), is_news)
            }
            (Order::Recording(recording), Self::Intercepting(state)) => {
                let (state, is_news) = state.record(*recording, body, fx);
                (Self::Intercepting(state), is_news)
            }
            (Order::Intercept(phone), Self::Talking(talk)) => {
                match Intercepting::begin(talk, phone, body, fx) {
                    Ok(state) => (Self::Intercepting(state), true),
                    Err(talk) => (Self::Talking(talk), false),
                }
            }
            // A supervisor has a call of its own.
            // To an agent the queue engine gives a caller, by an offer.
            (
                Order::Move(_)
                | Order::Priority(_)
                | Order::Recording(_)
                | Order::Intercept(_)
                | Order::Supervise(..)
                | Order::Agent(_),
                state,
            ) => (state, false),
        }
    }

    /// The caller goes there; who talks with it is released.
    fn lead(self, target: &Target, body: &mut Body, fx: &mut Effects<'_>) -> (Self, bool) {
        match self {
            Self::Queued(state) => state.leave(Outcome::Moved, body, fx),
            Self::Talking(state) => {
                let other = state.other(body.caller, body);
                state.leave(body, fx);
                body.unbridge(fx);
                body.release(other, Status(487), Cause::Ordered.reason(), fx);
            }
            Self::Greeting(_) | Self::Service(_) => {
                body.stop_play(body.caller, fx);
            }
            Self::Intercepting(state) => {
                let talk = state.withdraw(body, fx);
                return Self::Talking(talk).lead(target, body, fx);
            }
            state @ (Self::Calling(_)
            | Self::Transferring(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_)
            | Self::Releasing(_)) => return (state, false),
        }
        milestone!(body, "is led elsewhere by a command");
        (lead_onward(target, body, fx), true)
    }

    /// Ends the call from whatever state it is in.
    pub(crate) fn release(
        self,
        cause: Cause,
        by: Party,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Self {
        match self {
            Self::Queued(state) => state.leave(outcome_of(cause), body, fx),
            Self::Talking(state) => state.leave(body, fx),
            Self::Transferring(state) => state.leave(body, fx),
            Self::Intercepting(state) => state.withdraw(body, fx).leave(body, fx),
            Self::Calling(_)
            | Self::Greeting(_)
            | Self::Service(_)
            | Self::Summoning(_)
            | Self::Supervising(_)
            | Self::Conferring(_) => {}
            Self::Releasing(state) => return Self::Releasing(state),
        }
        Releasing::enter(cause, by, body, fx)
    }

    /// When the state wants `Event::Deadline`.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Calling(state) => Some(state.deadline()),
            Self::Transferring(state) => Some(state.deadline()),
            Self::Intercepting(state) => Some(state.deadline()),
            Self::Summoning(state) => Some(state.deadline()),
            Self::Queued(state) => state.announce_at,
            Self::Releasing(state) => state.until,
            Self::Greeting(_)
            | Self::Talking(_)
            | Self::Service(_)
            | Self::Supervising(_)
            | Self::Conferring(_) => None,
        }
    }
}

/// What the end of a call means for the wait that it ends.
fn outcome_of(cause: Cause) -> Outcome {
    match cause {
        Cause::ExitKey => Outcome::ExitKey,
        Cause::MaxWaitTime => Outcome::MaxWaitTime,
        Cause::NoAgent => Outcome::NoAgent,
        Cause::Stopped | Cause::QueueGone | Cause::InternalError | Cause::Ordered => {
            Outcome::Closed
        }
        Cause::HangUp
        | Cause::Cancelled
        | Cause::Busy
        | Cause::NoAnswer
        | Cause::Rejected
        | Cause::Unregistered
        | Cause::Unreachable
        | Cause::UnknownNumber
        | Cause::NotAcceptable
        | Cause::AddressFamily
        | Cause::QueueFull
        | Cause::ConferenceFull
        | Cause::MediaLost
        | Cause::PeerGone
        | Cause::SessionExpired
        | Cause::SwitchFull
        | Cause::TrunkFull
        | Cause::TrunkDown
        | Cause::AccountLimit
        | Cause::NotAllowed
        | Cause::TooManyHops
        | Cause::TooManyBranches
        | Cause::TalkSpent
        | Cause::RedirectedAway
        | Cause::Completed
        | Cause::Loop => Outcome::Abandoned,
    }
}
