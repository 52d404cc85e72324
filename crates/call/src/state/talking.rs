//! Two legs hear each other; while one holds, the other hears music.

use std::time::{Duration, Instant};

use media::mixer::RecordingId;
use queue::{AgentId, QueueId, Ticket};
use sip::endpoint::{LegId, Status};

use super::{Queued, State, Transferring};
use crate::Cause;
use crate::body::Body;
use crate::effects::Effects;
use crate::event::{Event, KeyBy};
use crate::leg::{Leg, Role};
use crate::log::{milestone, shown};
use crate::name::{self, Fields};
use crate::order::RecordingOrder;

/// An agent who is gone sooner than this never spoke: the customer keeps its place and the next agent rings.
const VANISHED: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(crate) struct Talking {
    /// Who talks with `Body::caller`.
    callee: LegId,
    dues: Dues,
    /// One of the two holds the call, or both do: nobody hears the other.
    held: bool,
}

/// What a conversation owes besides the two hearing each other.
#[derive(Debug, Default)]
pub(crate) struct Dues {
    /// The agents that talk in it: none, or one. Two after a transfer of an agent to an agent by their common customer.
    served: Vec<Served>,
    recording: Option<Recording>,
}

/// An agent's part in a conversation.
#[derive(Debug)]
struct Served {
    queue: QueueId,
    ticket: Ticket,
    agent: LegId,
    /// Which of the call's visits to queues it is.
    visit: usize,
    since: Instant,
    /// Since when one of the two has held.
    held_since: Option<Instant>,
}

/// What stands for the queue in the name of a recording of two phones.
const WITHOUT_QUEUE: &str = "direct";

/// The recording of a conversation, as the queue or somebody wants it.
#[derive(Debug)]
struct Recording {
    /// None: it was wanted of two phones.
    queue: Option<QueueId>,
    /// None between two conversations of one story: the next is recorded, too.
    id: Option<RecordingId>,
}

impl Talking {
    /// A phone talks with a phone.
    pub(crate) fn connect(callee: LegId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        milestone!(body, "talks");
        Self::resume(callee, Dues::default(), body, fx)
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
        let recorded = fx
            .service(&queue)
            .is_some_and(|service| service.record_enabled);
        let visit = body.draft.served_by(&agent, fx.now);
        let dues = Dues {
            recording: recorded.then(|| Recording {
                queue: Some(queue.clone()),
                id: None,
            }),
            served: vec![Served {
                visit,
                queue: queue.clone(),
                ticket,
                agent: agent_leg,
                since: fx.now,
                held_since: None,
            }],
        };
        let waited = body.draft.waited(visit);
        let service = fx.service(&queue);
        let to_agent = service.and_then(|it| it.told_to_agent(waited));
        let to_caller = service.and_then(|it| it.told_to_caller(&agent));
        let state = Self::resume(agent_leg, dues, body, fx);
        if let Some(sound) = to_agent {
            body.play(agent_leg, sound, fx);
        }
        if let Some(sound) = to_caller {
            body.play(body.caller, sound, fx);
        }
        state
    }

    /// `Body::caller` and another leg hear each other, with all that is owed to queues and recordings.
    pub(crate) fn resume(
        callee: LegId,
        mut dues: Dues,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        dues.record(callee, body, fx);
        body.bridge(callee, fx);
        let talking = Self {
            callee,
            dues,
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
                let by = body.party(leg);
                return State::Talking(self).release(Cause::MediaLost, by, body, fx);
            }
            Event::Reoffered(leg, offer) => {
                body.renegotiate(leg, offer.as_ref(), fx);
                return State::Talking(self.follow_hold(body, fx));
            }
            Event::Referred(leg, refer) => {
                return Transferring::refer(self, leg, *refer, body, fx);
            }
            Event::Digit(leg, key, by) if self.has(leg, body) => {
                self.dues.take_key(leg, key, body, fx);
                if by == KeyBy::Info {
                    body.press(self.other(leg, body), key, fx);
                }
            }
            Event::Ended(leg, cause) => body.mark_over(leg, Some(cause.status()), fx),
            Event::Refused(leg, refusal) => body.mark_over(leg, Some(refusal.status), fx),
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
            | Event::WaitedTooLong(_)
            | Event::QueueGone
            | Event::Conversation(_)
            | Event::Conferees(_)
            | Event::Deadline
            | Event::Stop(..) => {}
        }
        State::Talking(self)
    }

    /// Somebody wants another recording, or none; false: it is so already.
    pub(crate) fn record(
        mut self,
        order: RecordingOrder,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> (Self, bool) {
        let is_news = self.dues.obey(order, self.callee, body, fx);
        if is_news {
            milestone!(body, ?order, "is recorded otherwise by a command");
        }
        (self, is_news)
    }

    /// The conversation ends: the recording closes, the agent wraps up.
    pub(crate) fn leave(self, body: &mut Body, fx: &mut Effects<'_>) {
        self.dues.settle(body, fx);
    }

    /// Whether the leg is one of the two.
    pub(crate) fn has(&self, leg: LegId, body: &Body) -> bool {
        leg == self.callee || leg == body.caller
    }

    /// Who of the two does the work: an agent, else who was called.
    pub(crate) fn server(&self, body: &Body) -> LegId {
        if self.serves(body.caller) {
            body.caller
        } else {
            self.callee
        }
    }

    /// Who talks with this one of the two.
    pub(crate) fn other(&self, leg: LegId, body: &Body) -> LegId {
        if leg == self.callee {
            body.caller
        } else {
            self.callee
        }
    }

    /// The one of the two who stays becomes the party that the call goes on for.
    pub(crate) fn turn_to(mut self, stays: LegId, body: &mut Body) -> Self {
        if stays == self.callee {
            self.callee = body.caller;
            body.go_on_for(stays);
        }
        self
    }

    /// Another phone answers in the place of one of the two; false if it cannot: nothing has changed then.
    pub(crate) fn is_taken_over(
        &self,
        old: LegId,
        new: LegId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> bool {
        let other = self.other(old, body);
        let codec = body.leg(other).and_then(Leg::codec);
        self.has(old, body) && body.is_open(other) && body.accept(new, codec, fx).is_ok()
    }

    /// The other phone has answered.
    pub(crate) fn take_over(
        mut self,
        old: LegId,
        new: LegId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        self.dues.pause_recording(body, fx);
        for served in self.dues.served.iter_mut().filter(|s| s.agent == old) {
            served.agent = new;
        }
        body.unbridge(fx);
        let callee = if old == self.callee {
            new
        } else {
            body.go_on_for(new);
            self.callee
        };
        body.release(old, Status(487), None, fx);
        Self::resume(callee, self.dues, body, fx)
    }

    /// One of the two leaves a conversation that goes on without it: an agent's part ends with the agent's leg.
    pub(crate) fn part(mut self, leaver: LegId, body: &mut Body, fx: &mut Effects<'_>) -> Dues {
        self.dues.pause_recording(body, fx);
        for served in self.dues.served.extract_if(.., |s| s.agent == leaver) {
            served.release(body, fx);
        }
        self.dues
    }

    /// The two who were apart hear each other again.
    pub(crate) fn again(mut self, body: &mut Body, fx: &mut Effects<'_>) -> Self {
        self.held = false;
        body.bridge(self.callee, fx);
        self.follow_hold(body, fx)
    }

    /// Whether this one of the two is an agent at work.
    pub(crate) fn serves(&self, leg: LegId) -> bool {
        self.dues.served.iter().any(|served| served.agent == leg)
    }

    fn callee_ended(mut self, cause: Cause, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let callee = self.callee;
        let vanished =
            |served: &mut Served| served.agent == callee && fx.now < served.since + VANISHED;
        let Some(served) = self.dues.served.pop_if(vanished) else {
            let by = body.party(callee);
            return State::Talking(self).release(cause, by, body, fx);
        };
        milestone!(body, "agent vanished, waits on");
        self.dues.pause_recording(body, fx);
        body.draft.waits_on(served.visit);
        body.unbridge(fx);
        fx.agent_vanished(served.ticket);
        Queued::wait(served.queue, served.ticket, body, fx)
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
        for served in &mut self.dues.served {
            if self.held {
                served.held_since.get_or_insert(fx.now);
            } else {
                served.heard_again(body, fx);
            }
        }
        self
    }
}

impl Dues {
    /// Nothing goes on: recordings close, agents wrap up.
    pub(crate) fn settle(mut self, body: &mut Body, fx: &mut Effects<'_>) {
        self.pause_recording(body, fx);
        for served in self.served {
            served.release(body, fx);
        }
    }

    /// What two conversations owe of which one goes on; in the record the visits of the other's call come after so many.
    pub(crate) fn join(mut self, other: Self, visits: usize) -> Self {
        let served = other.served.into_iter().map(|served| Served {
            visit: served.visit + visits,
            ..served
        });
        self.served.extend(served);
        self.recording = other.recording.or(self.recording);
        self
    }

    fn record(&mut self, callee: LegId, body: &mut Body, fx: &mut Effects<'_>) {
        if let Some(recording) = &mut self.recording
            && recording.id.is_none()
        {
            recording.id = Some(record(recording.queue.as_ref(), callee, body, fx));
        }
    }

    fn obey(
        &mut self,
        order: RecordingOrder,
        callee: LegId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> bool {
        let running = self.recording.as_ref().and_then(|recording| recording.id);
        match (order, running) {
            (RecordingOrder::Start, None) => {
                let queue = self.served.last().map(|served| served.queue.clone());
                self.recording = Some(Recording { queue, id: None });
                self.record(callee, body, fx);
                true
            }
            (RecordingOrder::Stop, Some(_)) => {
                self.pause_recording(body, fx);
                self.recording = None;
                true
            }
            (RecordingOrder::Pause | RecordingOrder::Resume, Some(id)) => {
                let pauses = order == RecordingOrder::Pause;
                let is_news = body.draft.pauses(id) != pauses;
                if is_news {
                    let paused = body.draft.toggle_pause(id, fx.now);
                    body.pause_recording(id, paused, fx);
                }
                is_news
            }
            (RecordingOrder::Start, Some(_))
            | (RecordingOrder::Stop | RecordingOrder::Pause | RecordingOrder::Resume, None) => {
                false
            }
        }
    }

    /// A key of one of the two: the agent's may pause the recording, or let it go on.
    fn take_key(&self, leg: LegId, key: char, body: &mut Body, fx: &mut Effects<'_>) {
        let Some(Recording {
            queue: Some(queue),
            id: Some(id),
        }) = &self.recording
        else {
            return;
        };
        let pause_key = fx.service(queue).and_then(|it| it.record_pause_key);
        if pause_key == Some(key) && self.served.iter().any(|served| served.agent == leg) {
            let paused = body.draft.toggle_pause(*id, fx.now);
            milestone!(
                body,
                paused,
                "the agent pauses the recording, or lets it go on"
            );
            body.pause_recording(*id, paused, fx);
        }
    }

    /// The recording closes; a conversation that takes this one's place is recorded anew.
    fn pause_recording(&mut self, body: &mut Body, fx: &mut Effects<'_>) {
        if let Some(id) = self.recording.as_mut().and_then(|r| r.id.take()) {
            body.draft.recording_ended(id, fx.now);
            body.stop_recording(id, fx);
        }
    }
}

impl Served {
    /// The two hear each other: the time in which they did not is told.
    fn heard_again(&mut self, body: &mut Body, fx: &mut Effects<'_>) {
        if let Some(since) = self.held_since.take() {
            let time = fx.now.saturating_duration_since(since);
            body.draft.held(self.visit, time);
            fx.held(self.ticket, time);
        }
    }

    /// The agent's part is over: it wraps up.
    fn release(mut self, body: &mut Body, fx: &mut Effects<'_>) {
        self.heard_again(body, fx);
        body.draft.talked(self.visit, fx.now - self.since);
        fx.release_agent(self.ticket);
    }
}

fn record(
    queue: Option<&QueueId>,
    callee: LegId,
    body: &mut Body,
    fx: &mut Effects<'_>,
) -> RecordingId {
    let moment = fx.board.clock.moment(fx.now);
    let served_by = body.leg(callee).map(|leg| match &leg.role {
        Role::Agent(agent) => agent.0.to_string(),
        Role::Caller | Role::Callee => leg.account.0.to_string(),
    });
    let path = name::recording(
        &fx.board.settings.recording_name,
        &Fields {
            date: &moment.date(),
            time: &moment.time(),
            queue: queue.map_or(WITHOUT_QUEUE, |queue| &queue.0),
            caller: body.draft.caller(),
            agent: &served_by.unwrap_or_default(),
            call: body.draft.name(),
        },
        body.draft.next_recording(),
    );
    let written = path.display().to_string();
    let recording = body.record(callee, path, fx);
    body.draft.recording_began(recording, written, fx.now);
    recording
}
