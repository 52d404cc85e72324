//! The customer waits; the queue engine offers the call to agents, whose phones ring meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::Sound;
use media::mixer::Over;
use queue::{AgentId, Departure, Failure, Limit, OfferId, QueueId, Refused, Ticket};
use sip::endpoint::{LegId, Status};
use tracing::debug;

use super::{Releasing, State, Talking, route_onward};
use crate::body::Body;
use crate::cause::{answered_elsewhere, failure_of_refusal};
use crate::effects::Effects;
use crate::event::{Event, Refusal};
use crate::leg::Role;
use crate::log::{milestone, shown};
use crate::record::Outcome;
use crate::settings::{Announcement, Entrance};
use crate::{Cause, Party};

/// Who is to be told its place hears it so soon; whom an agent answers at once hears nothing.
const FIRST_PLACE: Duration = Duration::from_secs(2);

/// When the first announcement begins, after the beginning of the wait.
fn first_after(announcement: &Announcement) -> Duration {
    if announcement.position.is_some() || announcement.wait.is_some() {
        FIRST_PLACE.min(announcement.every)
    } else {
        announcement.every
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queued {
    queue: QueueId,
    ticket: Ticket,
    /// The legs that ring, and the offer each is for: a phone with several bindings rings on all of them.
    ringing: BTreeMap<LegId, OfferId>,
    /// The gravest refusal of each offer whose other legs ring on.
    refusals: BTreeMap<OfferId, Failure>,
    /// When the next announcement begins.
    pub(crate) announce_at: Option<Instant>,
}

impl Queued {
    /// The caller's ticket in the queue engine.
    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(crate) fn enter(entrance: Entrance, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let arrival = entrance.arrival(body.customer(), body.draft.waited_unserved());
        let queue = entrance.queue;
        match fx.join(&queue, &arrival) {
            Ok(ticket) => {
                milestone!(body, queue = shown(&queue.0), "waits");
                body.draft.joined(&queue, fx.now);
                Self::wait(queue, ticket, body, fx)
            }
            Err(Refused::Full) => {
                let number = fx
                    .service(&queue)
                    .and_then(|service| service.overflow_transfer_dst.clone());
                route_onward(number.as_deref(), Cause::QueueFull, body, fx)
            }
            Err(Refused::UnknownQueue) => {
                Releasing::enter(Cause::QueueGone, Party::Switch, body, fx)
            }
        }
    }

    /// The customer hears the music (again), and waits at the place of its ticket.
    pub(crate) fn wait(
        queue: QueueId,
        ticket: Ticket,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let service = fx.service(&queue);
        let waiting = service.map(|service| service.waiting.clone());
        let first = service.and_then(|service| Some(first_after(service.announce.as_ref()?)));
        body.background(body.caller, waiting, fx);
        State::Queued(Self {
            queue,
            ticket,
            ringing: BTreeMap::new(),
            refusals: BTreeMap::new(),
            announce_at: first.map(|first| fx.now + first),
        })
    }

    /// Somebody else has the caller's place in the queue.
    pub(super) fn go_on(self, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let waiting = fx
            .service(&self.queue)
            .map(|service| service.waiting.clone());
        body.background(body.caller, waiting, fx);
        State::Queued(self)
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Offered(offer, agent) => self.ring(offer, &agent, body, fx),
            Event::Ringing(leg, early) => body.mark_ringing(leg, early.as_ref(), fx),
            Event::Answered(leg, answer) => return self.answered(leg, answer, body, fx),
            Event::Refused(leg, Refusal { status, .. }) => {
                body.mark_over(leg, Some(status), fx);
                // A 6xx is the agent's word for all its phones (RFC 3261 section 21.6).
                let everywhere = status.0 >= 600;
                self.failed(leg, failure_of_refusal(status), everywhere, body, fx);
            }
            Event::Ended(leg, cause) => {
                body.mark_over(leg, Some(cause.status()), fx);
                self.failed(leg, Failure::NoAnswer, false, body, fx);
            }
            Event::Withdrawn(offer, cause) => {
                debug!(?cause, "offer withdrawn");
                self.withdraw(offer, body, fx);
            }
            Event::Digit(leg, digit, _) if leg == body.caller => {
                if let Some((key, number)) = fx
                    .service(&self.queue)
                    .and_then(|service| service.exit_key.clone())
                    && key == digit
                {
                    self.leave(Outcome::ExitKey, body, fx);
                    return route_onward(number.as_deref(), Cause::ExitKey, body, fx);
                }
            }
            Event::WaitedTooLong(limit) => {
                let service = fx.service(&self.queue);
                let (number, outcome, cause) = match limit {
                    Limit::MaxWait => (
                        service.and_then(|service| service.timeout_transfer_dst.clone()),
                        Outcome::MaxWaitTime,
                        Cause::MaxWaitTime,
                    ),
                    Limit::NoAgent => (
                        service.and_then(|service| service.no_agent_timeout_transfer_dst.clone()),
                        Outcome::NoAgent,
                        Cause::NoAgent,
                    ),
                };
                self.leave(outcome, body, fx);
                return route_onward(number.as_deref(), cause, body, fx);
            }
            Event::QueueGone => {
                self.leave(Outcome::Closed, body, fx);
                return Releasing::enter(Cause::QueueGone, Party::Switch, body, fx);
            }
            Event::Deadline => self.announce(body, fx),
            Event::Reoffered(leg, offer) => body.renegotiate(leg, offer.as_ref(), fx),
            Event::Digit(..)
            | Event::Conversation(_)
            | Event::Conferees(_)
            | Event::Referred(..)
            | Event::Played(..)
            | Event::Silent(..)
            | Event::Closed(..)
            | Event::Recorded(..)
            | Event::Acknowledged(..)
            | Event::Reanswered(..)
            | Event::RefreshDue(_)
            | Event::Stop(..) => {}
        }
        State::Queued(self)
    }

    /// Somebody has the customer wait in another queue, or anew in its own.
    pub(crate) fn move_to(self, queue: &QueueId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        let wish = fx.wish(self.ticket);
        self.leave(Outcome::Moved, body, fx);
        milestone!(body, "is moved by a command");
        let (priority, needs) = wish.unwrap_or_default();
        let entrance = Entrance {
            priority,
            needs,
            ..queue.clone().into()
        };
        Self::enter(entrance, body, fx)
    }

    /// The customer leaves the queue unserved: its ticket ends, no phone rings on, no announcement outlives the wait.
    pub(crate) fn leave(&self, outcome: Outcome, body: &mut Body, fx: &mut Effects<'_>) {
        let how = match outcome {
            Outcome::Abandoned => Departure::HungUp,
            Outcome::Answered | Outcome::ExitKey | Outcome::MaxWaitTime | Outcome::NoAgent => {
                Departure::Exit
            }
            Outcome::Moved => Departure::Moved,
            Outcome::Closed => Departure::Closed,
        };
        fx.leave_queue(self.ticket, how);
        body.draft.left(outcome, fx.now);
        body.stop_play(body.caller, fx);
        for leg in self.ringing.keys() {
            body.release(*leg, Status(487), body.reason.clone(), fx);
        }
    }

    fn announce(&mut self, body: &mut Body, fx: &mut Effects<'_>) {
        let announcement = fx
            .service(&self.queue)
            .and_then(|service| service.announce.clone());
        // From start to start; the music waits and goes on where it was, or is heard beside it.
        self.announce_at = announcement.as_ref().map(|it| fx.now + it.every);
        let Some(announcement) = announcement else {
            return;
        };
        let sound = self.told(&announcement, fx);
        if sound.duration() > Duration::ZERO {
            let over = if announcement.beside {
                Over::Beside
            } else {
                Over::All
            };
            body.play_over(over, body.caller, Arc::new(sound), fx);
        }
    }

    /// All that there is to tell at the moment.
    fn told(&self, announcement: &Announcement, fx: &Effects<'_>) -> Sound {
        let Announcement {
            sound,
            position,
            wait,
            ..
        } = announcement;
        let place = position.as_ref().zip(fx.position(self.ticket));
        let place = place.and_then(|(voice, place)| voice.position(place));
        let expected = wait.as_ref().zip(fx.expected_wait(self.ticket));
        let expected = expected.map(|(voice, time)| voice.wait(time));
        let spoken = place.iter().chain(&expected);
        Sound::joined(sound.iter().map(|sound| &**sound).chain(spoken))
    }

    fn ring(&mut self, offer: OfferId, agent: &AgentId, body: &mut Body, fx: &mut Effects<'_>) {
        let role = Role::Agent(agent.clone());
        let breadth = body.breadth_of_agent();
        let dialled = match (fx.number_of(agent), fx.phone_of(agent)) {
            (Some(number), _) => {
                let leg = body.dial_outside(&number, &role, breadth, fx);
                leg.map(|leg| vec![leg])
            }
            (None, Some(account)) if fx.is_busy(&account, agent) => Err(Cause::Busy),
            (None, Some(account)) => body.dial(&account, &role, breadth, fx),
            (None, None) => Err(Cause::Unregistered),
        };
        match dialled {
            Ok(legs) => {
                debug!(agent = &*agent.0, legs = legs.len(), "rings");
                self.ringing
                    .extend(legs.into_iter().map(|leg| (leg, offer)));
            }
            // No binding, no RTP port left, or another agent's call on the same phone: none of it is this agent's doing,
            // so it rests shortly, and no longer than until its phone can be reached.
            Err(cause) => {
                debug!(agent = &*agent.0, ?cause, "cannot be rung");
                fx.offer_failed(offer, Failure::Unreachable);
            }
        }
    }

    fn answered(
        mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let Some(offer) = self.ringing.get(&leg).copied() else {
            body.release(leg, Status(487), Some(answered_elsewhere()), fx);
            return State::Queued(self);
        };
        if let Err(cause) = body.take_answer(leg, answer, fx) {
            body.release(leg, cause.status(), cause.reason(), fx);
            self.failed(leg, Failure::NoAnswer, false, body, fx);
            return State::Queued(self);
        }
        self.ringing.remove(&leg);
        if !fx.offer_answered(offer) {
            body.release(leg, Status(487), Some(answered_elsewhere()), fx);
            return State::Queued(self);
        }
        for other in self.ringing.keys() {
            body.release(*other, Status(487), Some(answered_elsewhere()), fx);
        }
        Talking::serve(self.queue, self.ticket, leg, body, fx)
    }

    /// The call to an agent's outside number goes on over another trunk.
    pub(super) fn replace(&mut self, old: LegId, new: LegId) -> bool {
        let offer = self.ringing.remove(&old);
        offer.is_some_and(|offer| self.ringing.insert(new, offer).is_none())
    }

    /// One of the offer's legs is out, or with it all of them. The offer fails with its last leg, for the gravest cause.
    fn failed(
        &mut self,
        leg: LegId,
        failure: Failure,
        everywhere: bool,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) {
        let Some(offer) = self.ringing.remove(&leg) else {
            return;
        };
        let before = self.refusals.remove(&offer);
        let gravest = before.map_or(failure, |before| graver(before, failure));
        if everywhere {
            self.withdraw(offer, body, fx);
        }
        if self.ringing.values().any(|other| *other == offer) {
            self.refusals.insert(offer, gravest);
        } else {
            debug!(failure = ?gravest, "offer failed");
            fx.offer_failed(offer, gravest);
        }
    }

    fn withdraw(&mut self, offer: OfferId, body: &mut Body, fx: &mut Effects<'_>) {
        let legs: Vec<LegId> = self
            .ringing
            .iter()
            .filter(|(_, other)| **other == offer)
            .map(|(leg, _)| *leg)
            .collect();
        for leg in legs {
            self.ringing.remove(&leg);
            body.release(leg, Status(487), None, fx);
        }
        self.refusals.remove(&offer);
    }
}

/// What an agent with several phones meant: who refuses at one has seen the call, a phone that is silent may lie in a drawer.
fn graver(a: Failure, b: Failure) -> Failure {
    let rank = |failure| match failure {
        Failure::Rejected => 0,
        Failure::Busy => 1,
        Failure::NoAnswer => 2,
        Failure::Unreachable => 3,
    };
    if rank(b) < rank(a) { b } else { a }
}
