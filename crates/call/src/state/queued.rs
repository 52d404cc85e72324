//! The customer waits; the queue engine offers the call to agents, whose phones ring meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use queue::{AgentId, Failure, OfferId, QueueId, Refused, Ticket};
use sip::endpoint::{LegId, Status};
use tracing::{debug, info};

use super::{Releasing, State, Talking, route_onward};
use crate::body::Body;
use crate::cause::{answered_elsewhere, failure_of_refusal};
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::Role;
use crate::record::Outcome;
use crate::{Cause, Party};

/// See the module.
#[derive(Debug)]
pub(crate) struct Queued {
    queue: QueueId,
    ticket: Ticket,
    /// The legs that ring, and the offer each is for: a phone with several bindings rings on all of them.
    ringing: BTreeMap<LegId, OfferId>,
    /// When the next announcement begins.
    pub(crate) announce_at: Option<Instant>,
}

impl Queued {
    pub(crate) fn enter(queue: QueueId, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match fx.join(&queue) {
            Ok(ticket) => {
                info!(queue = &*queue.0, "waits");
                body.draft.joined(&queue, fx.now);
                Self::wait(queue, ticket, body, fx)
            }
            Err(Refused::Full) => Releasing::enter(Cause::QueueFull, Party::Switch, body, fx),
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
        let every = service
            .and_then(|service| service.announce.as_ref())
            .map(|(_, every)| *every);
        body.background(body.caller, waiting, fx);
        State::Queued(Self {
            queue,
            ticket,
            ringing: BTreeMap::new(),
            announce_at: every.map(|every| fx.now + every),
        })
    }

    pub(crate) fn handle(mut self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        match event {
            Event::Offered(offer, agent) => self.ring(offer, &agent, body, fx),
            Event::Ringing(leg) => body.mark_ringing(leg, fx),
            Event::Answered(leg, answer) => return self.answered(leg, answer, body, fx),
            Event::Refused(leg, status) => {
                body.mark_over(leg, Some(status), fx);
                self.failed(leg, failure_of_refusal(status), fx);
            }
            Event::Ended(leg, cause) => {
                body.mark_over(leg, Some(cause.status()), fx);
                self.failed(leg, Failure::NoAnswer, fx);
            }
            Event::Withdrawn(offer, cause) => {
                debug!(?cause, "offer withdrawn");
                self.withdraw(offer, body, fx);
            }
            Event::Digit(leg, digit) if leg == body.caller => {
                if let Some((key, number)) = fx
                    .service(&self.queue)
                    .and_then(|service| service.exit_key.clone())
                    && key == digit
                {
                    self.leave(Outcome::ExitKey, body, fx);
                    return route_onward(number.as_deref(), Cause::ExitKey, body, fx);
                }
            }
            Event::WaitedTooLong => {
                let number = fx
                    .service(&self.queue)
                    .and_then(|service| service.timeout_transfer_dst.clone());
                self.leave(Outcome::MaxWaitTime, body, fx);
                return route_onward(number.as_deref(), Cause::MaxWaitTime, body, fx);
            }
            Event::QueueGone => {
                self.leave(Outcome::Closed, body, fx);
                return Releasing::enter(Cause::QueueGone, Party::Switch, body, fx);
            }
            Event::Deadline => self.announce(body, fx),
            Event::Reoffered(leg, offer) => body.renegotiate(leg, offer.as_ref(), fx),
            Event::Digit(..)
            | Event::Played(..)
            | Event::Silent(..)
            | Event::Acknowledged(..)
            | Event::Stop(..) => {}
        }
        State::Queued(self)
    }

    /// The customer leaves the queue unserved: its ticket ends, no phone rings on, no announcement outlives the wait.
    pub(crate) fn leave(&self, outcome: Outcome, body: &mut Body, fx: &mut Effects<'_>) {
        fx.leave_queue(self.ticket);
        body.draft.left(outcome, fx.now);
        body.stop_play(body.caller, fx);
        for leg in self.ringing.keys() {
            body.release(*leg, Status(487), None, fx);
        }
    }

    fn announce(&mut self, body: &mut Body, fx: &mut Effects<'_>) {
        let announce = fx
            .service(&self.queue)
            .and_then(|service| service.announce.clone());
        // From start to start; the music waits and goes on where it was.
        self.announce_at = announce.as_ref().map(|(_, every)| fx.now + *every);
        if let Some((sound, _)) = announce {
            body.play(body.caller, sound, fx);
        }
    }

    fn ring(&mut self, offer: OfferId, agent: &AgentId, body: &mut Body, fx: &mut Effects<'_>) {
        let role = Role::Agent(agent.clone());
        let dialled = match fx.phone_of(agent) {
            Some(account) => body.dial(&account, &role, fx),
            None => Err(Cause::Unregistered),
        };
        match dialled {
            Ok(legs) => {
                debug!(agent = &*agent.0, "rings");
                self.ringing
                    .extend(legs.into_iter().map(|leg| (leg, offer)));
            }
            Err(Cause::Unregistered) => fx.offer_failed(offer, Failure::Unreachable),
            Err(_) => fx.offer_failed(offer, Failure::NoAnswer),
        }
    }

    fn answered(
        mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        let Some(offer) = self.ringing.remove(&leg) else {
            body.release(leg, Status(487), Some(answered_elsewhere()), fx);
            return State::Queued(self);
        };
        if let Err(cause) = body.take_answer(leg, answer, fx) {
            body.release(leg, cause.status(), cause.reason(), fx);
            self.failed_offer(offer, Failure::NoAnswer, fx);
            return State::Queued(self);
        }
        if !fx.offer_answered(offer) {
            body.release(leg, Status(487), Some(answered_elsewhere()), fx);
            return State::Queued(self);
        }
        for other in self.ringing.keys() {
            body.release(*other, Status(487), Some(answered_elsewhere()), fx);
        }
        Talking::serve(self.queue, self.ticket, leg, body, fx)
    }

    /// One of the offer's phones is out; the offer fails with its last phone.
    fn failed(&mut self, leg: LegId, failure: Failure, fx: &mut Effects<'_>) {
        if let Some(offer) = self.ringing.remove(&leg) {
            self.failed_offer(offer, failure, fx);
        }
    }

    fn failed_offer(&self, offer: OfferId, failure: Failure, fx: &mut Effects<'_>) {
        if !self.ringing.values().any(|other| *other == offer) {
            debug!(?failure, "offer failed");
            fx.offer_failed(offer, failure);
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
    }
}
