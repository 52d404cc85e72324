//! What concerns two calls at once: attended transfers, and calls that another phone takes over.

use std::time::Instant;

use sip::endpoint::{Invite, LegId, Refer, Status};

use super::{Call, CallId, Exchange};
use crate::effects::Effects;
use crate::event::Event;
use crate::state::{Joint, State, Talking};

/// One of the two calls of who asks for an attended transfer.
struct Side {
    id: CallId,
    /// The leg of who asks.
    leg: LegId,
    call: Call,
}

impl Exchange {
    /// A phone asks us to connect the party that it talks with.
    pub(super) fn referred(&mut self, leg: LegId, refer: Refer, now: Instant) {
        let Some(call) = self.board.routes.legs.get(&leg).copied() else {
            return self.board.sip.refuse_refer(leg, Status(481), now);
        };
        let Some(replaces) = &refer.replaces else {
            return self.step(call, Event::Referred(leg, Box::new(refer)), now);
        };
        let consult = self.board.sip.leg_of_dialog(replaces);
        let other = consult.and_then(|consult| self.board.routes.legs.get(&consult).copied());
        match consult.zip(other).filter(|(_, other)| *other != call) {
            Some((consult, other)) => self.join((call, leg), (other, consult), now),
            None => {
                // What an INVITE with this Replaces would get (RFC 3891 section 3).
                self.board.sip.accept_refer(leg, now);
                self.board.sip.report(leg, Status(481), now);
            }
        }
    }

    /// A phone takes the place of another in a call (RFC 3891).
    pub(super) fn take_over(&mut self, old: LegId, leg: LegId, invite: Invite, now: Instant) {
        let found = self.board.routes.legs.get(&old).copied();
        let Some((id, call)) = found.and_then(|id| Some((id, self.calls.remove(&id)?))) else {
            return self.board.sip.reject(leg, Status(481), now);
        };
        let Call {
            mut body,
            state,
            deadline,
        } = call;
        let span = body.span.clone();
        let _entered = span.enter();
        let mut fx = Effects {
            now,
            call: id,
            board: &mut self.board,
        };
        let admitted = body.admit(old, leg, invite, &mut fx);
        let state = match admitted {
            Ok(()) => {
                self.board.route_leg(leg, id);
                self.guard(id, &mut body, now, |body, fx| {
                    state.take_over(old, leg, body, fx)
                })
            }
            Err(refusal) => {
                self.board.sip.reject(leg, refusal, now);
                state
            }
        };
        self.keep(id, body, state, deadline, now);
    }

    /// Who talks with the phone in one call gets its place in the other.
    fn join(&mut self, told: (CallId, LegId), consult: (CallId, LegId), now: Instant) {
        let mut side = |(id, leg)| {
            let call = self.calls.remove(&id)?;
            Some(Side { id, leg, call })
        };
        // Either dialog may be the one that REFER comes on (RFC 5589 section 7.1): the conversation is looked for.
        let sides = match (side(told), side(consult)) {
            (Some(a), Some(b)) if a.talks() || !b.talks() => [a, b],
            (Some(a), Some(b)) => [b, a],
            (a, b) => {
                for side in a.into_iter().chain(b) {
                    self.calls.insert(side.id, side.call);
                }
                return self.board.sip.refuse_refer(told.1, Status(481), now);
            }
        };
        if let Some(refusal) = refusal(&sides, told.1) {
            for side in sides {
                self.calls.insert(side.id, side.call);
            }
            return self.board.sip.refuse_refer(told.1, refusal, now);
        }
        self.join_sides(sides, told.1, now);
    }

    /// The elder of both calls goes on with the legs of both: a story begins with its first INVITE.
    fn join_sides(&mut self, [talk, goal]: [Side; 2], told: LegId, now: Instant) {
        for side in [&talk, &goal] {
            if let Some(at) = side.call.deadline {
                self.deadlines.remove(&(at, side.id));
            }
        }
        let (elder, younger) = (talk.id.min(goal.id), talk.id.max(goal.id));
        self.board.routes.rename(younger, elder);
        let (leaves, visits) = ([talk.leg, goal.leg], talk.call.body.draft.visits());
        let (mut body, mut far_body) = (talk.call.body, goal.call.body);
        // What is recorded of the conversation goes on where it is.
        let mut fx = Effects {
            now,
            call: elder,
            board: &mut self.board,
        };
        far_body.move_to(body.worker(), &mut fx);
        let (Some(conversation), Some(goal)) = (
            talk.call.state.into_talking(),
            goal.call
                .state
                .into_goal(leaves[1], &far_body, goal.id == elder),
        ) else {
            return;
        };
        let stays = conversation.other(leaves[0], &body);
        let joint = Joint {
            told,
            leaves,
            stays,
            visits,
            talk: conversation.turn_to(stays, &mut body),
            goal,
        };
        if talk.id == elder {
            body.join(far_body, true);
        } else {
            far_body.join(body, false);
            body = far_body;
        }
        let span = body.span.clone();
        let _entered = span.enter();
        let state = self.guard(elder, &mut body, now, |body, fx| joint.act(body, fx));
        self.keep(elder, body, state, None, now);
    }
}

impl Side {
    fn conversation(&self) -> Option<&Talking> {
        match &self.call.state {
            State::Talking(talk) if talk.has(self.leg, &self.call.body) => Some(talk),
            State::Talking(_)
            | State::Calling(_)
            | State::Greeting(_)
            | State::Queued(_)
            | State::Transferring(_)
            | State::Intercepting(_)
            | State::Service(_)
            | State::Summoning(_)
            | State::Supervising(_)
            | State::Conferring(_)
            | State::Releasing(_) => None,
        }
    }

    fn talks(&self) -> bool {
        self.conversation().is_some()
    }
}

/// Why a conversation and another call of the same phone cannot be joined.
fn refusal([talk, goal]: &[Side; 2], told: LegId) -> Option<Status> {
    let (near, far) = (&talk.call.body, &goal.call.body);
    let Some(conversation) = talk.conversation() else {
        return Some(Status(603));
    };
    let stays = conversation.other(talk.leg, near);
    // Nobody gives away a place that is not its own.
    if near.account(talk.leg) != far.account(goal.leg) {
        return Some(Status(403));
    }
    if !near.may_join(far) {
        return Some(Status(488));
    }
    if !near.is_open(stays) {
        return Some(Status(491));
    }
    let is_caller = goal.leg == far.caller;
    let fits = match &goal.call.state {
        State::Talking(talk) => talk.has(goal.leg, far) && far.is_open(talk.other(goal.leg, far)),
        // The reports go to the conversation, which may be given back.
        State::Calling(_) => is_caller && told == talk.leg,
        // An agent is no customer: nobody sends it to wait in a queue.
        State::Greeting(_) | State::Queued(_) => is_caller && !conversation.serves(stays),
        State::Transferring(_) | State::Intercepting(_) => return Some(Status(491)),
        State::Summoning(_) => false,
        State::Service(_) | State::Supervising(_) | State::Conferring(_) | State::Releasing(_) => {
            false
        }
    };
    (!fits).then_some(Status(603))
}
