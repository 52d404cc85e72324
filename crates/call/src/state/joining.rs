//! Two calls of one phone become one: who talks in the first gets the phone's place in the second (RFC 5589 section 7).

use sip::endpoint::{LegId, Status};

use super::transferring::report_end;
use super::{Calling, Greeting, Queued, State, Talking, Transferring};
use crate::body::Body;
use crate::effects::Effects;
use crate::log::milestone;
use crate::record::TransferKind;

/// What joins two calls whose legs are in one body already.
#[derive(Debug)]
pub(crate) struct Joint {
    /// The leg that REFER came on: it gets the reports.
    pub(crate) told: LegId,
    /// The legs of the phone that gives its places away: in the conversation, and in the goal.
    pub(crate) leaves: [LegId; 2],
    /// Who stays of the conversation.
    pub(crate) stays: LegId,
    /// Visits to queues in the record that are older than those of the goal.
    pub(crate) visits: usize,
    pub(crate) talk: Talking,
    pub(crate) goal: Goal,
}

/// The call that somebody gets a place in.
#[derive(Debug)]
pub(crate) enum Goal {
    /// Somebody talks there; whether that call is the elder, and so the joined call is for that one.
    Talking(Talking, LegId, bool),
    /// Somebody is called there.
    Calling(Calling),
    /// The start sound of a queue.
    Greeting(Greeting),
    /// A place in a queue.
    Queued(Queued),
}

impl Joint {
    pub(crate) fn act(self, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let [leaver, consult] = self.leaves;
        fx.accept_refer(self.told);
        milestone!(body, "joined with another call of the phone");
        let whom = match &self.goal {
            Goal::Talking(_, far, _) => body.account(*far).map(|account| account.0.to_string()),
            Goal::Calling(_) | Goal::Greeting(_) | Goal::Queued(_) => None,
        };
        body.transfer_began(
            TransferKind::Attended,
            self.told,
            &whom.unwrap_or_default(),
            fx.now,
        );
        body.go_on_for(self.stays);
        match self.goal {
            Goal::Calling(goal) => {
                body.refer_by(self.told, None, fx);
                let search = goal.into_search();
                Transferring::ring(self.talk, leaver, Some(consult), search, body, fx)
            }
            Goal::Talking(goal, far, for_far) => {
                let dues = self.talk.part(leaver, body, fx);
                let dues = dues.join(goal.part(consult, body, fx), self.visits);
                leave(self.told, self.leaves, body, fx);
                if for_far {
                    body.go_on_for(far);
                }
                let callee = if for_far { self.stays } else { far };
                Talking::resume(callee, dues, body, fx)
            }
            Goal::Greeting(goal) => {
                self.talk.part(leaver, body, fx).settle(body, fx);
                leave(self.told, self.leaves, body, fx);
                goal.again(body, fx)
            }
            Goal::Queued(goal) => {
                self.talk.part(leaver, body, fx).settle(body, fx);
                leave(self.told, self.leaves, body, fx);
                goal.go_on(body, fx)
            }
        }
    }
}

/// The transfer is done: the phone that wanted it is out of both calls.
fn leave(told: LegId, leaves: [LegId; 2], body: &mut Body, fx: &mut Effects<'_>) {
    report_end(told, Status(200), body, fx);
    body.unbridge(fx);
    for leg in leaves {
        body.release(leg, Status(487), None, fx);
    }
}
