//! Callers meet agents: after each event, only those whom it touched.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Instant;

use super::Engine;
use crate::agent::Ring;
use crate::caller::{Phase, Place};
use crate::held::Picked;
use crate::lots::lot;
use crate::order::{Seat, Seeker};
use crate::queue::QueueKey;
use crate::timer::{Timer, after};
use crate::{OfferId, Output, Strategy, Ticket};

impl Engine {
    /// Rings phones until no caller and free agent are left who may meet. Callers come in one order over all queues. Before the event
    /// no such pair was left, so only stirred callers are looked at, and in opened queues those who reach as high as somebody is free.
    pub(super) fn settle(&mut self, now: Instant) {
        let stirred = std::mem::take(&mut self.stirred).into_iter();
        let stirred = stirred.filter_map(|ticket| Some(self.callers.get(&ticket)?.place));
        let mut next: BinaryHeap<_> = stirred.map(|place| Reverse((place, None))).collect();
        for at in std::mem::take(&mut self.opened) {
            let queue = &self.queues[at.0];
            for (&scope, seekers) in &queue.seekers {
                if let Some(&head) = seekers.first().filter(|_| queue.reaches_somebody(scope)) {
                    next.push(Reverse((head, Some((at, scope)))));
                }
            }
        }
        while let Some(Reverse((place, opened))) = next.pop() {
            self.seek(place, now);
            let Some((at, scope)) = opened else {
                continue;
            };
            let queue = &self.queues[at.0];
            let Some(seekers) = queue.seekers.get(&scope) else {
                continue;
            };
            let behind = seekers.range((Excluded(place), Unbounded)).next();
            if let Some(&behind) = behind.filter(|_| queue.reaches_somebody(scope)) {
                next.push(Reverse((behind, opened)));
            }
        }
    }

    /// Rings who is next for this caller, if it seeks and somebody can be rung.
    fn seek(&mut self, place: Place, now: Instant) {
        let Some(caller) = self.callers.get(&place.ticket) else {
            return;
        };
        let Phase::Waiting(waiting) = &caller.phase else {
            return;
        };
        let at = waiting.at;
        let queue = &self.queues[at.0];
        let Some(scope) = waiting.seeks else {
            return;
        };
        let (Some(pool), Some(highest)) = (queue.pool(scope.ask), queue.highest(scope)) else {
            return;
        };
        if waiting.overdue(now).is_some() {
            return;
        }
        let customer = caller.customer.as_ref();
        let favourite = customer.and_then(|customer| self.regulars.agent_of(customer));
        let seeker = Seeker {
            pool,
            tries: &caller.tries,
            highest,
            favourite: favourite
                .and_then(|agent| self.agent_keys.get(agent))
                .map(|&key| (key, self.agents[&key].talks())),
            lot: lot(self.seed, self.next_offer),
            now,
        };
        let picked = match queue.strategy {
            Strategy::RingAll => queue.pick_all(seeker),
            Strategy::LongestIdleAgent
            | Strategy::RoundRobin
            | Strategy::TopDown
            | Strategy::AgentWithLeastTalkTime
            | Strategy::AgentWithFewestCalls
            | Strategy::SequentiallyByAgentOrder
            | Strategy::Random
            | Strategy::RingProgressively => queue.pick_one(seeker).into_iter().collect(),
        };
        for (seat, why) in picked {
            self.ring(place.ticket, at, seat, why, now);
        }
    }

    pub(super) fn ring(
        &mut self,
        ticket: Ticket,
        at: QueueKey,
        seat: Seat,
        why: Picked,
        now: Instant,
    ) {
        let offer = OfferId(self.next_offer);
        self.next_offer += 1;
        let queue = &mut self.queues[at.0];
        queue.advance(seat);
        let key = queue.members[seat.index].agent;
        self.outputs.push_back(Output::Offer {
            offer,
            ticket,
            queue: queue.id.clone(),
            agent: queue.members[seat.index].name.clone(),
            why,
        });
        let widens = (queue.strategy == Strategy::RingProgressively)
            .then(|| after(now, queue.ring_progressively_delay));
        let until = after(now, self.agents[&key].settings.call_timeout);
        self.timers.set(until, Timer::OfferTimeout(offer));
        self.offers.insert(offer, key);
        let ring = Ring {
            offer,
            ticket,
            seat,
            until,
        };
        self.change_agent(key, now, |agent| agent.ring = Some(ring));
        self.change_waiting(ticket, now, |waiting| {
            waiting.ringing.insert(seat, offer);
            waiting.widens = widens;
        });
    }
}
