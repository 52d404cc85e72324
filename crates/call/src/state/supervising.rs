//! A supervisor is with a phone: it hears both sides of whatever conversation the phone is in, and is heard by whom it chooses.

use sip::endpoint::{Account, LegId, Status};

use super::{Releasing, State};
use crate::body::{Body, Heard};
use crate::effects::Effects;
use crate::event::Event;
use crate::exchange::CallId;
use crate::log::{milestone, shown};
use crate::settings::Supervision;
use crate::{Cause, Party};

/// See the module.
#[derive(Debug)]
pub(crate) struct Supervising {
    /// Whom it is with.
    pub(crate) account: Account,
    supervision: Supervision,
    /// The conversation that the phone is in, as it was told.
    pub(crate) conversation: Option<Conversation>,
}

/// Two legs that talk, on one RTP worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) call: CallId,
    /// The leg of the phone that is supervised.
    pub(crate) near: LegId,
    pub(crate) far: LegId,
    pub(crate) worker: u16,
}

impl Supervising {
    pub(crate) fn enter(
        account: Account,
        supervision: Supervision,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        if !fx.is_supervisor(&body.caller_account) || account == body.caller_account {
            return Releasing::refuse(Cause::NotAllowed, Status(403), Party::Switch, body, fx);
        }
        if let Err(cause) = body.pick_up(None, fx) {
            return Releasing::enter(cause, Party::Switch, body, fx);
        }
        milestone!(body, phone = shown(&account.0), ?supervision, "supervises");
        fx.supervise();
        State::Supervising(Self {
            account,
            supervision,
            conversation: None,
        })
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Conversation(conversation) => {
                self.turn_to(conversation, self.supervision, body, fx);
            }
            Event::Digit(leg, digit, _) if leg == body.caller => {
                if let Some(supervision) = Supervision::of_key(digit) {
                    milestone!(body, ?supervision, "supervises otherwise");
                    self.turn_to(self.conversation, supervision, body, fx);
                }
            }
            Event::Reoffered(leg, offer) => body.renegotiate(leg, offer.as_ref(), fx),
            Event::Ringing(..)
            | Event::Answered(..)
            | Event::Refused(..)
            | Event::Acknowledged(..)
            | Event::Reanswered(..)
            | Event::RefreshDue(_)
            | Event::Ended(..)
            | Event::Referred(..)
            | Event::Digit(..)
            | Event::Played(_)
            | Event::Silent(..)
            | Event::Closed(..)
            | Event::Recorded(..)
            | Event::Offered(..)
            | Event::Withdrawn(..)
            | Event::WaitedTooLong(_)
            | Event::QueueGone
            | Event::Conferees(_)
            | Event::Deadline
            | Event::Stop(..) => {}
        }
        State::Supervising(self)
    }

    fn turn_to(
        &mut self,
        conversation: Option<Conversation>,
        supervision: Supervision,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) {
        let before = self.heard(body.caller);
        (self.conversation, self.supervision) = (conversation, supervision);
        let after = self.heard(body.caller);
        body.meet(before, &after, conversation.map(|with| with.worker), fx);
    }

    /// Who hears whom besides.
    fn heard(&self, supervisor: LegId) -> Heard {
        let Some(Conversation { near, far, .. }) = self.conversation else {
            return Heard::new();
        };
        let [supervisor, near, far] = [supervisor, near, far].map(|leg| media::LegId(leg.0));
        let mut heard = Heard::from([(supervisor, near), (supervisor, far)]);
        let (to_near, to_far) = match self.supervision {
            Supervision::Listen => (false, false),
            Supervision::Whisper => (true, false),
            Supervision::Aside => (false, true),
            Supervision::Barge => (true, true),
        };
        heard.extend(to_near.then_some((near, supervisor)));
        heard.extend(to_far.then_some((far, supervisor)));
        heard
    }
}
