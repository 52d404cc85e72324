//! The customer hears the queue's start sound to its end; no agent is rung before.

use media::mixer::PlayId;

use super::{Queued, Releasing, State, route_onward};
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::settings::Entrance;
use crate::{Cause, Party};

/// See the module.
#[derive(Debug)]
pub(crate) struct Greeting {
    entrance: Entrance,
    play: PlayId,
}

impl Greeting {
    pub(crate) fn enter(entrance: Entrance, body: &mut Body, fx: &mut Effects<'_>) -> State {
        if let Err(cause) = body.pick_up(None, fx) {
            return Releasing::enter(cause, Party::Switch, body, fx);
        }
        let Some(service) = fx.service(&entrance.queue) else {
            return Releasing::enter(Cause::QueueGone, Party::Switch, body, fx);
        };
        let (start, waiting) = (service.start_sound.clone(), service.waiting.clone());
        body.background(body.caller, Some(waiting), fx);
        match start {
            Some(sound) => {
                let play = body.play(body.caller, sound, fx);
                State::Greeting(Self { entrance, play })
            }
            None => Queued::enter(entrance, body, fx),
        }
    }

    /// Somebody else has the caller's place, and hears the start sound from its beginning.
    pub(super) fn again(self, body: &mut Body, fx: &mut Effects<'_>) -> State {
        Self::enter(self.entrance, body, fx)
    }

    pub(crate) fn handle(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Played(play) if play == self.play => {
                return Queued::enter(self.entrance, body, fx);
            }
            Event::Digit(leg, digit, _) if leg == body.caller => {
                if let Some((key, number)) = fx
                    .service(&self.entrance.queue)
                    .and_then(|service| service.exit_key.clone())
                    && key == digit
                {
                    body.stop_play(body.caller, fx);
                    return route_onward(number.as_deref(), Cause::ExitKey, body, fx);
                }
            }
            Event::Reoffered(leg, offer) => body.renegotiate(leg, offer.as_ref(), fx),
            Event::Played(..)
            | Event::Referred(..)
            | Event::Digit(..)
            | Event::Ringing(..)
            | Event::Answered(..)
            | Event::Refused(..)
            | Event::Acknowledged(..)
            | Event::Reanswered(..)
            | Event::RefreshDue(_)
            | Event::Ended(..)
            | Event::Silent(..)
            | Event::Closed(..)
            | Event::Recorded(..)
            | Event::Offered(..)
            | Event::Withdrawn(..)
            | Event::WaitedTooLong(_)
            | Event::QueueGone
            | Event::Conversation(_)
            | Event::Conferees(_)
            | Event::Deadline
            | Event::Stop(..) => {}
        }
        State::Greeting(self)
    }
}
