//! Two legs hear each other; while one holds, the other hears music.

use std::time::{Duration, Instant};

use media::mixer::RecordingId;
use queue::{AgentId, QueueId, Ticket};
use sip::endpoint::LegId;

use super::{Queued, State};
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::{Leg, Role};
use crate::log::{milestone, shown};
use crate::name::{self, Fields};
use crate::{Cause, Party};

/// An agent who is gone sooner than this never spoke: the customer keeps its place and the next agent rings.
const VANISHED: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Talking {
    /// The called phone's or the agent's leg.
    callee: LegId,
    served: Option<Served>,
    since: Instant,
    /// One of the two holds the call, or both do: nobody hears the other.
    held: bool,
}

/// What a conversation owes to a queue.
#[derive(Debug)]
struct Served {
    queue: QueueId,
    ticket: Ticket,
    recording: Option<RecordingId>,
}

impl Talking {
    /// A phone talks with a phone.
    pub(crate) fn connect(callee: LegId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        milestone!(body, "talks");
        Self::begin(callee, None, body, fx)
    }

    /// A customer talks with the agent who answered first.
    pub(crate) fn serve(
        queue: QueueId,
        ticket: Ticket,
        agent_leg: LegId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let agent = match body.leg(agent_leg).map(|leg| &leg.role) {
            Some(Role::Agent(agent)) => agent.clone(),
            Some(Role::Caller | Role::Callee) | None => AgentId("".into()),
        };
        milestone!(
            body,
            queue = shown(&queue.0),
            agent = shown(&agent.0),
            "talks"
        );
        body.draft.served_by(&agent, fx.now);
        let recorded = fx
            .service(&queue)
            .is_some_and(|service| service.record_enabled);
        let recording = recorded.then(|| record(&queue, &agent, agent_leg, body, fx));
        let served = Served {
            queue,
            ticket,
            recording,
        };
        Self::begin(agent_leg, Some(served), body, fx)
    }

    fn begin(
        callee: LegId,
        served: Option<Served>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        body.bridge(callee, fx);
        let talking = Self {
            callee,
            served,
            since: fx.now,
            held: false,
        };
        // A customer who held while waiting still does; some phones answer on hold.
        State::Talking(talking.follow_hold(body, fx))
    }

    pub(crate) fn handle(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Ended(leg, cause) if leg == self.callee => {
                body.mark_over(leg, Some(cause.status()), fx);
                return self.callee_ended(cause, body, fx);
            }
            Event::Silent(leg, _) if leg == self.callee => {
                return State::Talking(self).release(Cause::MediaLost, Party::Callee, body, fx);
            }
            Event::Reoffered(leg, offer) => {
                body.renegotiate(leg, offer.as_ref(), fx);
                return State::Talking(self.follow_hold(body, fx));
            }
            Event::Ended(leg, cause) => body.mark_over(leg, Some(cause.status()), fx),
            Event::Refused(leg, status) => body.mark_over(leg, Some(status), fx),
            Event::Ringing(..)
            | Event::Answered(..)
            | Event::Acknowledged(..)
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
            | Event::Deadline
            | Event::Stop(..) => {}
        }
        State::Talking(self)
    }

    /// The conversation ends: the recording closes, the agent wraps up.
    pub(crate) fn leave(self, body: &mut Body, fx: &mut Effects<'_>) {
        if let Some(served) = self.served {
            body.draft.talked(fx.now - self.since);
            if let Some(recording) = served.recording {
                body.draft.recording_ended(recording, fx.now);
                body.stop_recording(recording, fx);
            }
            fx.release_agent(served.ticket);
        }
    }

    fn callee_ended(self, cause: Cause, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let vanished = fx.now < self.since + VANISHED;
        match self.served {
            Some(served) if vanished => {
                milestone!(body, "agent vanished, waits on");
                if let Some(recording) = served.recording {
                    body.draft.recording_ended(recording, fx.now);
                    body.stop_recording(recording, fx);
                }
                body.draft.waits_on();
                body.unbridge(fx);
                fx.agent_vanished(served.ticket);
                Queued::wait(served.queue, served.ticket, body, fx)
            }
            Some(_) | None => State::Talking(self).release(cause, Party::Callee, body, fx),
        }
    }

    /// A leg holds when its session forbids us to send; the other one then hears music until both have resumed.
    pub(crate) fn follow_hold(mut self, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        let was_held = self.held;
        let parties = [body.caller, self.callee];
        self.held = parties
            .iter()
            .any(|leg| body.leg(*leg).is_some_and(Leg::holds));
        if self.held && !was_held {
            body.unbridge(fx);
            for leg in parties {
                let music = fx.sounds().music.clone();
                body.background(leg, Some(music), fx);
            }
        }
        if was_held && !self.held {
            body.bridge(self.callee, fx);
        }
        self
    }
}

fn record(
    queue: &QueueId,
    agent: &AgentId,
    agent_leg: LegId,
    body: &mut Body,
    fx: &mut Effects<'_>,
) -> RecordingId {
    let moment = fx.board.clock.moment(fx.now);
    let path = name::recording(
        &fx.board.settings.recording_name,
        &Fields {
            date: &moment.date(),
            time: &moment.time(),
            queue: &queue.0,
            caller: body.draft.caller(),
            agent: &agent.0,
            call: body.draft.name(),
        },
        body.draft.next_recording(),
    );
    let written = path.display().to_string();
    let recording = body.record(agent_leg, path, fx);
    body.draft.recording_began(recording, written, fx.now);
    recording
}
