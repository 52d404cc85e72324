//! A phone, a ring group or a number outside is called: the first to answer gets the call.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Account, LegId, Status};
use tracing::debug;

use super::{Releasing, State, Talking};
use crate::body::Body;
use crate::cause::answered_elsewhere;
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::Role;
use crate::settings::{GroupId, GroupMember, GroupOrder};
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
    /// Of a group that rings in turn: who has not rung yet, and how long each may.
    next: VecDeque<GroupMember>,
    ring_time: Duration,
}

impl Calling {
    /// A phone rings on every binding.
    pub(crate) fn enter(account: &Account, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let member = GroupMember::Phone(account.clone());
        let time = fx.ring_timeout();
        Self::ring_in_turn(VecDeque::from([member]), time, None, body, fx)
    }

    /// A number outside is called over a trunk.
    pub(crate) fn enter_outside(number: &str, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let member = GroupMember::Outside(number.to_owned());
        let time = fx.ring_timeout();
        Self::ring_in_turn(VecDeque::from([member]), time, None, body, fx)
    }

    /// A group rings.
    pub(crate) fn enter_group(group: &GroupId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let Some(group) = fx.group(group).cloned() else {
            return Releasing::enter(Cause::UnknownNumber, Party::Switch, body, fx);
        };
        let members = group.members.into_iter();
        // Nobody's own phone rings for the call that it makes.
        let caller = body.caller_account.clone();
        let others = members.filter(|member| *member != GroupMember::Phone(caller.clone()));
        let members: VecDeque<GroupMember> = others.collect();
        match group.order {
            GroupOrder::InTurn => Self::ring_in_turn(members, group.ring_time, None, body, fx),
            GroupOrder::All => Self::ring_all(&members, group.ring_time, body, fx),
        }
    }

    fn ring_all(
        members: &VecDeque<GroupMember>,
        ring_time: Duration,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        // RFC 5393 section 5.3.3: who may not branch so often is told so.
        if members.len() > body.max_breadth {
            return Releasing::refuse(Cause::Loop, Status(440), Party::Switch, body, fx);
        }
        let mut ringing = BTreeSet::new();
        let mut cause = Cause::Unregistered;
        for member in members {
            match ring(member, body, fx) {
                Ok(legs) => ringing.extend(legs),
                Err(why) => cause = why,
            }
        }
        if ringing.is_empty() {
            return Releasing::enter(cause, Party::Switch, body, fx);
        }
        Self::wait(ringing, None, VecDeque::new(), ring_time, body, fx)
    }

    /// The first of the members rings that can.
    fn ring_in_turn(
        mut members: VecDeque<GroupMember>,
        ring_time: Duration,
        best: Option<Status>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let mut cause = Cause::Unregistered;
        while let Some(member) = members.pop_front() {
            match ring(&member, body, fx) {
                Ok(legs) => {
                    let ringing = legs.into_iter().collect();
                    return Self::wait(ringing, best, members, ring_time, body, fx);
                }
                Err(why) => cause = why,
            }
        }
        match best {
            None => Releasing::enter(cause, Party::Switch, body, fx),
            Some(best) => {
                let cause = Cause::of_refusal(best);
                Releasing::refuse(cause, passed_on(best), Party::Callee, body, fx)
            }
        }
    }

    fn wait(
        ringing: BTreeSet<LegId>,
        best: Option<Status>,
        next: VecDeque<GroupMember>,
        ring_time: Duration,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        debug!(legs = ringing.len(), "rings");
        if body.caller_is_answered() {
            let sound = fx.sounds().ringing.clone();
            body.background(body.caller, Some(sound), fx);
        }
        State::Calling(Self {
            ringing,
            heard: None,
            best,
            until: fx.now + ring_time,
            next,
            ring_time,
        })
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
            Event::Deadline if self.next.is_empty() => {
                return Releasing::enter(Cause::NoAnswer, Party::Switch, body, fx);
            }
            Event::Deadline => return self.ring_next(body, fx),
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

    /// Who rings gives way to the next of the group.
    fn ring_next(self, body: &mut Body, fx: &mut Effects<'_>) -> State {
        for leg in &self.ringing {
            body.release(*leg, Status(487), None, fx);
        }
        let best = self.best.or(Some(Cause::NoAnswer.status()));
        Self::ring_in_turn(self.next, self.ring_time, best, body, fx)
    }

    /// A call over a trunk goes on over another one.
    pub(super) fn replace(&mut self, old: LegId, new: LegId) -> bool {
        self.ringing.remove(&old) && self.ringing.insert(new)
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
        if self.ringing.is_empty() && !self.next.is_empty() {
            return self.ring_next(body, fx);
        }
        // A 6xx ends the search: the callee is known not to want the call anywhere (RFC 3261 section 21.6).
        let everywhere = best.0 >= 600 && self.next.is_empty();
        if self.ringing.is_empty() || everywhere {
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

fn ring(member: &GroupMember, body: &mut Body, fx: &mut Effects<'_>) -> Result<Vec<LegId>, Cause> {
    match member {
        GroupMember::Phone(account) => body.dial(account, &Role::Callee, fx),
        GroupMember::Outside(number) => {
            let leg = body.dial_outside(number, &Role::Callee, fx)?;
            Ok(vec![leg])
        }
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
