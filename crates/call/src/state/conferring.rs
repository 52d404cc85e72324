//! A caller is in a conference: it hears all others of it, and they hear it.

use std::collections::BTreeSet;

use media::mixer::Over;
use sip::endpoint::LegId;

use super::{Releasing, State};
use crate::body::{Body, Heard};
use crate::effects::Effects;
use crate::event::Event;
use crate::log::{milestone, shown};
use crate::settings::ConferenceId;
use crate::{Cause, Party};

/// See the module.
#[derive(Debug)]
pub(crate) struct Conferring {
    pub(crate) conference: ConferenceId,
    /// Who else is there, as it was told.
    pub(crate) others: Others,
}

/// Who else is in somebody's conference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub(crate) legs: BTreeSet<LegId>,
    /// Where all meet; none while it is alone.
    pub(crate) worker: Option<u16>,
}

impl Others {
    fn heard_by(&self, listener: LegId) -> Heard {
        let heard = |talker: &LegId| (media::LegId(listener.0), media::LegId(talker.0));
        self.legs.iter().map(heard).collect()
    }
}

impl Conferring {
    pub(crate) fn enter(conference: ConferenceId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        if !fx.has_seat(&conference) {
            let cause = Cause::ConferenceFull;
            return Releasing::refuse(cause, cause.status(), Party::Switch, body, fx);
        }
        if let Err(cause) = body.pick_up(None, fx) {
            return Releasing::enter(cause, Party::Switch, body, fx);
        }
        milestone!(body, conference = shown(&conference.0), "confers");
        // As long as it is alone.
        let music = fx.sounds().music.clone();
        body.background(body.caller, Some(music), fx);
        fx.confer(&conference);
        State::Conferring(Self {
            conference,
            others: Others::default(),
        })
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Conferees(others) => self.meet(others, body, fx),
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
            | Event::Conversation(_)
            | Event::Deadline
            | Event::Stop(..) => {}
        }
        State::Conferring(self)
    }

    fn meet(&mut self, others: Others, body: &mut Body, fx: &mut Effects<'_>) {
        let before = std::mem::replace(&mut self.others, others);
        let sound = if self.others.legs.len() > before.legs.len() {
            fx.sounds().joined.clone()
        } else {
            fx.sounds().left.clone()
        };
        let after = self.others.heard_by(body.caller);
        body.meet(before.heard_by(body.caller), &after, self.others.worker, fx);
        body.play_over(Over::Beside, body.caller, sound, fx);
    }
}
