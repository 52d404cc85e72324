//! Steps that events share: every change of a caller or an agent goes through one place, where timers and queues follow.

use std::time::{Duration, Instant};

use super::Engine;
use crate::agent::{Agent, AgentKey, Rest, Ring};
use crate::caller::{Caller, Phase, Waiting};
use crate::queue::QueueKey;
use crate::timer::{Timer, after};
use crate::{Departure, Failure, Leaving, Note, OfferId, Output, Status, Ticket, Withdrawal};

impl Engine {
    /// The caller waits (again), and a pick is due.
    pub(super) fn enqueue(&mut self, ticket: Ticket, at: QueueKey, now: Instant) {
        self.queues[at.0].memory.pace.waits(now);
        self.caller_mut(ticket).phase = Phase::Waiting(Waiting::new(at));
        self.open_levels(ticket, now);
        self.stirred.insert(ticket);
    }

    /// What the caller's waiting has opened and what it asks, and when that changes.
    pub(super) fn open_levels(&mut self, ticket: Ticket, now: Instant) {
        let caller = &self.callers[&ticket];
        let Phase::Waiting(waiting) = &caller.phase else {
            return;
        };
        let (ask, relaxes) = self.asks.of(caller.needs.as_ref(), caller.joined, now);
        let queue = &mut self.queues[waiting.at.0];
        queue.muster(ask, &self.asks, &self.agents);
        let deadline = queue.deadline(caller.entered);
        let (level, opens) = queue.opened(caller.joined, now);
        self.change_waiting(ticket, now, |waiting| {
            waiting.deadline = deadline;
            waiting.level = level;
            waiting.ask = ask;
            waiting.opens = opens.into_iter().chain(relaxes).min();
        });
    }

    /// Every change of a waiting caller goes through here: its timers and its queue follow.
    pub(super) fn change_waiting(
        &mut self,
        ticket: Ticket,
        now: Instant,
        change: impl FnOnce(&mut Waiting),
    ) {
        let Some(caller) = self.callers.get_mut(&ticket) else {
            return;
        };
        let Phase::Waiting(waiting) = &mut caller.phase else {
            return;
        };
        let before = waiting.timers(ticket);
        change(waiting);
        for (old, new) in std::iter::zip(before, waiting.timers(ticket)) {
            if old != new {
                old.into_iter()
                    .for_each(|(at, timer)| self.timers.clear(at, timer));
                new.into_iter()
                    .for_each(|(at, timer)| self.timers.set(at, timer));
            }
        }
        self.queues[waiting.at.0].place(caller.place, waiting, now);
    }

    pub(super) fn note(&mut self, note: Note) {
        if let Some(notes) = &mut self.notes {
            notes.push_back(note);
        }
    }

    pub(super) fn note_leaving(&mut self, ticket: Ticket, how: Leaving, now: Instant) {
        let waited = now.saturating_duration_since(self.callers[&ticket].entered);
        let left = Note::Left {
            ticket,
            how,
            waited,
        };
        self.note(left);
    }

    /// The caller no longer waits.
    pub(super) fn dequeue(&mut self, ticket: Ticket) {
        let Some(caller) = self.callers.get_mut(&ticket) else {
            return;
        };
        let Phase::Waiting(waiting) = &mut caller.phase else {
            return;
        };
        for (at, timer) in waiting.timers(ticket).into_iter().flatten() {
            self.timers.clear(at, timer);
        }
        let queue = &mut self.queues[waiting.at.0];
        queue.remove(caller.place, waiting);
        if queue.callers.is_empty() {
            queue.memory.pace.rests();
        }
    }

    /// The caller is gone, and all that was kept for it. Nothing may ring for it.
    pub(super) fn forget_caller(&mut self, ticket: Ticket) {
        self.dequeue(ticket);
        let Some(caller) = self.callers.remove(&ticket) else {
            return;
        };
        for (agent, again) in caller.tries.floors() {
            self.timers.clear(again, Timer::Retry(ticket, agent));
        }
    }

    /// A waiting caller goes; one who hung up may come back for its place.
    pub(super) fn depart(&mut self, ticket: Ticket, how: Departure, now: Instant) {
        self.withdraw_all(ticket, Withdrawal::CallerGone, now);
        self.note_leaving(ticket, Leaving::Departed(how), now);
        let caller = &self.callers[&ticket];
        if let (Phase::Waiting(waiting), Departure::HungUp, Some(customer)) =
            (&caller.phase, how, &caller.customer)
        {
            let queue = &mut self.queues[waiting.at.0];
            if let Some(time) = queue.abandoned_resume {
                let customer = customer.clone();
                let kept = &mut queue.memory.kept;
                kept.keep(customer, caller.place, caller.joined, after(now, time), now);
            }
        }
        self.forget_caller(ticket);
    }

    pub(super) fn caller_mut(&mut self, ticket: Ticket) -> &mut Caller {
        self.callers
            .get_mut(&ticket)
            .expect("a ticket in hand has its caller")
    }

    pub(super) fn talking_to(&self, ticket: Ticket) -> Option<AgentKey> {
        match self.callers.get(&ticket)?.phase {
            Phase::Waiting(_) => None,
            Phase::Talking(agent) => Some(agent),
        }
    }

    /// Every change of an agent goes through here: its queues learn what it is to them.
    pub(super) fn change_agent(
        &mut self,
        key: AgentKey,
        now: Instant,
        change: impl FnOnce(&mut Agent),
    ) {
        let agent = self
            .agents
            .get_mut(&key)
            .expect("an agent in hand is known");
        let before = agent.part();
        change(agent);
        let part = agent.part();
        if before == part {
            return;
        }
        let mut restaffed = Vec::new();
        for &(at, seat) in &agent.seats {
            let queue = &mut self.queues[at.0];
            let was_staffed = queue.staff > 0;
            queue.exit(seat, before, now);
            queue.enter(seat, part);
            if part.free.is_some() || before.is_present != part.is_present {
                self.opened.insert(at);
            }
            if was_staffed != (queue.staff > 0) && queue.no_agent_limit.is_some() {
                restaffed.extend(queue.callers.iter().map(|place| place.ticket));
            }
        }
        for ticket in restaffed {
            self.open_levels(ticket, now);
        }
    }

    /// Changes the agent, which from then on rests once more, if that is due.
    pub(super) fn change_and_rest(
        &mut self,
        key: AgentKey,
        next: Option<Rest>,
        now: Instant,
        change: impl FnOnce(&mut Agent),
    ) {
        let before = self.agents[&key].rest;
        let rest = match (before, next) {
            (Some(before), Some(next)) => Some(before.and(next)),
            (before, next) => before.or(next),
        };
        self.stop_pause(key);
        if let Some(pause) = rest.and_then(Rest::pause) {
            self.timers.set(pause.until, Timer::AgentFree(key));
        }
        if rest.and_then(Rest::wrap_up).is_none() {
            self.note_wrap_up(key, now);
        }
        self.change_agent(key, now, |agent| {
            change(agent);
            agent.rest = rest;
        });
    }

    /// The agent's pause is not waited for any more.
    pub(super) fn stop_pause(&mut self, key: AgentKey) {
        if let Some(pause) = self.agents[&key].rest.and_then(Rest::pause) {
            self.timers.clear(pause.until, Timer::AgentFree(key));
        }
    }

    /// If the agent wraps up, that is over.
    fn note_wrap_up(&mut self, key: AgentKey, now: Instant) {
        if let Some(pause) = self.agents[&key].rest.and_then(Rest::wrap_up) {
            let agent = self.agents[&key].settings.id.clone();
            let time = now.saturating_duration_since(pause.since);
            self.note(Note::WrappedUp { agent, time });
        }
    }

    /// A conversation of the agent is none any more, and it rests, if that is due; how long it lasted. One that a reload removed goes
    /// with its last.
    pub(super) fn hang_up(
        &mut self,
        key: AgentKey,
        ticket: Ticket,
        next: Option<Rest>,
        now: Instant,
    ) -> Option<Duration> {
        let next = next.filter(|_| self.agents[&key].planned);
        let mut time = None;
        self.change_and_rest(key, next, now, |agent| time = agent.hung_up(ticket, now));
        time
    }

    /// The agent's rest is over, in time or before.
    pub(super) fn be_free(&mut self, key: AgentKey, now: Instant) {
        self.stop_pause(key);
        self.note_wrap_up(key, now);
        self.change_agent(key, now, |agent| agent.rest = None);
    }

    /// The agent has another status. One that takes no calls withdraws what rings.
    pub(super) fn change_status(&mut self, key: AgentKey, status: Status, now: Instant) {
        let takes_calls = status.takes_calls();
        self.note(Note::Status {
            agent: self.agents[&key].settings.id.clone(),
            status: status.clone(),
        });
        self.change_agent(key, now, |agent| agent.set_status(status, now));
        if let Some(ring) = self.agents[&key].ring
            && !takes_calls
        {
            self.withdraw_from_agent(ring, key, now);
            self.after_ring(ring.ticket, now);
        }
    }

    /// The agent did not answer; it may be once too often for its status.
    fn miss(&mut self, key: AgentKey, ring: Ring, now: Instant) {
        let mut too_often = false;
        self.change_agent(key, now, |agent| too_often = agent.missed_one());
        let Phase::Waiting(waiting) = &self.callers[&ring.ticket].phase else {
            return;
        };
        let status = self.queues[waiting.at.0].agent_no_answer_status.clone();
        if too_often && self.agents[&key].status != status {
            let agent = self.agents[&key].settings.id.clone();
            self.change_status(key, status.clone(), now);
            self.outputs
                .push_back(Output::StatusChanged { agent, status });
        }
    }

    /// Takes a live offer off the books of its caller. The agent's part is the next step of who calls this.
    pub(super) fn take_offer(&mut self, offer: OfferId, now: Instant) -> Option<(AgentKey, Ring)> {
        let key = self.offers.remove(&offer)?;
        let ring = self.agents[&key].ring?;
        self.timers.clear(ring.until, Timer::OfferTimeout(offer));
        self.change_waiting(ring.ticket, now, |waiting| {
            waiting.ringing.remove(&ring.seat);
            if waiting.ringing.is_empty() {
                waiting.widens = None;
            }
        });
        Some((key, ring))
    }

    /// Everything that rings for this caller stops, at no cost for the agents.
    pub(super) fn withdraw_all(&mut self, ticket: Ticket, cause: Withdrawal, now: Instant) {
        let Phase::Waiting(waiting) = &self.callers[&ticket].phase else {
            return;
        };
        for offer in waiting.ringing.values().copied().collect::<Vec<_>>() {
            if let Some((key, _)) = self.take_offer(offer, now) {
                self.change_agent(key, now, |agent| agent.ring = None);
                self.outputs.push_back(Output::Withdraw { offer, cause });
            }
        }
    }

    pub(super) fn fail_offer(&mut self, offer: OfferId, failure: Failure, now: Instant) {
        if let Some((key, ring)) = self.take_offer(offer, now) {
            let next = self.agents[&key].delay(failure, now);
            self.note(Note::Missed {
                ticket: ring.ticket,
                agent: self.agents[&key].settings.id.clone(),
                failure,
            });
            self.change_and_rest(key, next, now, |agent| agent.ring = None);
            if failure == Failure::NoAnswer {
                self.miss(key, ring, now);
            }
            self.blame(ring.ticket, key, now);
            self.after_ring(ring.ticket, now);
        }
    }

    /// The agent may no longer ring. It comes back at no other cost than the floor, lest someone who logs out and in rings without end.
    pub(super) fn withdraw_from_agent(&mut self, ring: Ring, key: AgentKey, now: Instant) {
        let offer = ring.offer;
        self.take_offer(offer, now);
        let cause = Withdrawal::AgentGone;
        self.outputs.push_back(Output::Withdraw { offer, cause });
        self.blame(ring.ticket, key, now);
        self.change_agent(key, now, |agent| agent.ring = None);
    }

    /// The agent failed the caller: the floor of the pair.
    pub(super) fn blame(&mut self, ticket: Ticket, key: AgentKey, now: Instant) {
        let (again, held) = self.caller_mut(ticket).tries.fail(key, now);
        if let Some(held) = held {
            self.timers.clear(held, Timer::Retry(ticket, key));
        }
        self.timers.set(again, Timer::Retry(ticket, key));
    }

    /// A ring or the waiting time of the caller ended: it leaves if its time is over and nothing rings, else it seeks on.
    pub(super) fn after_ring(&mut self, ticket: Ticket, now: Instant) {
        let Phase::Waiting(waiting) = &self.callers[&ticket].phase else {
            return;
        };
        if let Some(limit) = waiting.overdue(now)
            && waiting.ringing.is_empty()
        {
            self.note_leaving(ticket, Leaving::TimedOut(limit), now);
            self.forget_caller(ticket);
            self.outputs.push_back(Output::TimedOut { ticket, limit });
        } else {
            self.stirred.insert(ticket);
        }
    }
}
