//! The caller is alone with the switch.

use media::mixer::PlayId;
use queue::{AgentId, Status};

use super::{Releasing, State};
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::log::{milestone, shown};
use crate::{Cause, Party};

/// What the caller gets.
#[derive(Debug)]
pub(crate) enum Service {
    /// It hears itself, or music, until it hangs up.
    Endless,
    /// It hears that something is done; the switch hangs up at the end of the sound.
    Confirming(PlayId),
    /// It hears that nobody is found; then the call ends for that cause.
    Failing(PlayId, Cause, Party),
}

impl Service {
    pub(crate) fn echo(body: &mut Body, fx: &mut Effects<'_>) -> State {
        Self::begin(body, fx, |body, fx| {
            body.echo(body.caller, fx);
            Self::Endless
        })
    }

    /// A caller who was answered is not hung up on at once.
    pub(crate) fn fail(cause: Cause, by: Party, body: &mut Body, fx: &mut Effects<'_>) -> State {
        milestone!(body, ?cause, "finds nobody");
        let busy = fx.sounds().busy.clone();
        State::Service(Self::Failing(body.play(body.caller, busy, fx), cause, by))
    }

    pub(crate) fn music(body: &mut Body, fx: &mut Effects<'_>) -> State {
        Self::begin(body, fx, |body, fx| {
            let music = fx.sounds().music.clone();
            body.background(body.caller, Some(music), fx);
            Self::Endless
        })
    }

    /// A feature code: the agents of the calling phone have another status, and the caller hears whether they take calls.
    pub(crate) fn set_status(status: &Status, body: &mut Body, fx: &mut Effects<'_>) -> State {
        Self::serve_agents(status.takes_calls(), body, fx, |agent, body, fx| {
            fx.set_status(agent, status.clone());
            milestone!(
                body,
                agent = shown(&agent.0),
                ?status,
                "sets an agent's status"
            );
        })
    }

    /// A feature code: the agents of the calling phone wait for the next call and no longer for the end of their wrap-up.
    pub(crate) fn ready(body: &mut Body, fx: &mut Effects<'_>) -> State {
        Self::serve_agents(true, body, fx, |agent, body, fx| {
            fx.ready(agent);
            milestone!(body, agent = shown(&agent.0), "is ready");
        })
    }

    fn serve_agents(
        takes_calls: bool,
        body: &mut Body,
        fx: &mut Effects<'_>,
        serve: impl Fn(&AgentId, &mut Body, &mut Effects<'_>),
    ) -> State {
        Self::begin(body, fx, |body, fx| {
            let agents = fx.agents_of(&body.caller_account);
            let sounds = fx.sounds();
            let sound = match takes_calls {
                _ if agents.is_empty() => sounds.not_an_agent.clone(),
                true => sounds.logged_in.clone(),
                false => sounds.logged_out.clone(),
            };
            for agent in &agents {
                serve(agent, body, fx);
            }
            Self::Confirming(body.play(body.caller, sound, fx))
        })
    }

    fn begin(
        body: &mut Body,
        fx: &mut Effects<'_>,
        serve: impl FnOnce(&mut Body, &mut Effects<'_>) -> Self,
    ) -> State {
        if let Err(cause) = body.pick_up(None, fx) {
            return Releasing::enter(cause, Party::Switch, body, fx);
        }
        State::Service(serve(body, fx))
    }

    pub(crate) fn handle(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Played(played) => match self {
                Self::Confirming(play) if play == played => {
                    return Releasing::enter(Cause::Completed, Party::Switch, body, fx);
                }
                Self::Failing(play, cause, by) if play == played => {
                    return Releasing::enter(cause, by, body, fx);
                }
                Self::Endless | Self::Confirming(_) | Self::Failing(..) => {}
            },
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
        State::Service(self)
    }
}
