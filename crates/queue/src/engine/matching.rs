//! Callers meet agents: after each event, only those whom it touched.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Instant;

use super::Engine;
use crate::agent::{Doing, Ring};
use crate::caller::Phase;
use crate::order::Seat;
use crate::queue::QueueKey;
use crate::timer::{Timer, after};
use crate::{OfferId, Output, Ticket};

impl Engine {
    /// Rings phones until no caller and free agent are left who may meet. Callers come in one order over all queues, the longest
    /// waiting first. Before the event no such pair was left, so only stirred callers and those of opened queues are looked at.
    pub(super) fn settle(&mut self, now: Instant) {
        let opened = std::mem::take(&mut self.opened).into_iter();
        let heads = opened.filter_map(|at| {
            let head = self.queues[at.0].seekers.first()?;
            Some(Reverse((*head, Some(at))))
        });
        let stirred = std::mem::take(&mut self.stirred).into_iter();
        let mut next: BinaryHeap<_> = heads
            .chain(stirred.map(|ticket| Reverse((ticket, None))))
            .collect();
        while let Some(Reverse((ticket, opened))) = next.pop() {
            self.seek(ticket, now);
            let Some(at) = opened else {
                continue;
            };
            let queue = &self.queues[at.0];
            if queue.free.is_empty() {
                continue;
            }
            let rest = (Excluded(ticket), Unbounded);
            if let Some(&behind) = queue.seekers.range(rest).next() {
                next.push(Reverse((behind, opened)));
            }
        }
    }

    /// Rings who is next for this caller, if it seeks and somebody can be rung.
    fn seek(&mut self, ticket: Ticket, now: Instant) {
        let Some(caller) = self.callers.get(&ticket) else {
            return;
        };
        let Phase::Waiting(waiting) = &caller.phase else {
            return;
        };
        if waiting.is_overdue(now) {
            return;
        }
        let at = waiting.at;
        let lowest = waiting.ringing.first_key_value().map(|(&seat, _)| seat);
        for seat in self.queues[at.0].pick(&caller.tries, lowest, now) {
            self.ring(ticket, at, seat, now);
        }
    }

    fn ring(&mut self, ticket: Ticket, at: QueueKey, seat: Seat, now: Instant) {
        let offer = OfferId(self.next_offer);
        self.next_offer += 1;
        let queue = &mut self.queues[at.0];
        queue.advance(seat);
        queue.place(ticket, true);
        let key = queue.members[seat.index].agent;
        self.outputs.push_back(Output::Offer {
            offer,
            ticket,
            queue: queue.id.clone(),
            agent: queue.members[seat.index].name.clone(),
        });
        let until = after(now, self.agents[&key].settings.call_timeout);
        self.timers.set(until, Timer::OfferTimeout(offer));
        self.offers.insert(offer, key);
        if let Phase::Waiting(waiting) = &mut self.caller_mut(ticket).phase {
            waiting.ringing.insert(seat, offer);
        }
        let ring = Ring {
            offer,
            ticket,
            seat,
            until,
        };
        self.change_agent(key, |agent| agent.doing = Doing::Ringing(ring));
    }
}
