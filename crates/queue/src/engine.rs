//! The engine: what happens to callers and agents, event by event.

mod matching;
mod reload;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::agent::{Agent, AgentKey, Doing, RestCause, Ring};
use crate::caller::{Caller, Phase, Tries, Waiting};
use crate::queue::{Queue, QueueKey};
use crate::timer::{Timer, Timers, after};
use crate::{
    AgentId, Failure, OfferId, Output, QueueId, Reach, Refused, State, Status, Ticket, Wake,
    Withdrawal,
};

/// All queues and agents. After every `handle_*` or command, drain `poll_output`.
#[derive(Debug, Default)]
pub struct Engine {
    agents: BTreeMap<AgentKey, Agent>,
    agent_keys: BTreeMap<AgentId, AgentKey>,
    queues: Vec<Queue>,
    queue_keys: BTreeMap<QueueId, QueueKey>,
    callers: BTreeMap<Ticket, Caller>,
    /// Whose phone rings: the offer itself is the agent's.
    offers: BTreeMap<OfferId, AgentKey>,
    timers: Timers,
    outputs: VecDeque<Output>,
    /// Callers for whom a new pick may succeed: settled before the event ends.
    stirred: BTreeSet<Ticket>,
    /// Queues in which an agent became free: settled before the event ends.
    opened: BTreeSet<QueueKey>,
    next_ticket: u64,
    next_offer: u64,
    next_agent: u64,
}

impl Engine {
    /// An engine without queues.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A caller joins at the end of the queue.
    ///
    /// # Errors
    /// There is no such queue, or `capacity` callers wait already.
    pub fn join(&mut self, queue: &QueueId, now: Instant) -> Result<Ticket, Refused> {
        let &at = self.queue_keys.get(queue).ok_or(Refused::UnknownQueue)?;
        if self.queues[at.0].callers.len() >= self.queues[at.0].capacity {
            return Err(Refused::Full);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let caller = Caller {
            queue: queue.clone(),
            joined: now,
            tries: Tries::default(),
            phase: Phase::Waiting(Waiting {
                at,
                deadline: None,
                ringing: BTreeMap::new(),
            }),
        };
        self.callers.insert(ticket, caller);
        self.enqueue(ticket, at);
        self.settle(now);
        Ok(ticket)
    }

    /// The caller hung up or pressed the exit key. One that talks already ends its conversation, as `handle_release`.
    pub fn leave(&mut self, ticket: Ticket, now: Instant) {
        let Some(caller) = self.callers.get(&ticket) else {
            return;
        };
        match caller.phase {
            Phase::Talking(_) => self.handle_release(ticket, now),
            Phase::Waiting(_) => {
                self.withdraw_all(ticket, Withdrawal::CallerGone);
                self.forget_caller(ticket);
                self.settle(now);
            }
        }
    }

    /// Someone set the agent's status. True if it changed; false if it had it already or there is no such agent.
    /// Logging out withdraws what rings at the agent; a conversation goes on.
    pub fn set_status(&mut self, agent: &AgentId, status: Status, now: Instant) -> bool {
        let Some(&key) = self.agent_keys.get(agent) else {
            return false;
        };
        let live = &self.agents[&key];
        if !live.planned || live.status == status {
            return false;
        }
        let doing = live.doing;
        self.change_agent(key, |agent| {
            match status {
                Status::Available => agent.logged_in = now,
                Status::LoggedOut => {}
            }
            agent.status = status;
        });
        // Only an available agent's phone rings, so this one has just logged out.
        if let Doing::Ringing(ring) = doing {
            self.withdraw_from_agent(ring, key, now);
            self.after_ring(ring.ticket, now);
        }
        self.settle(now);
        true
    }

    /// The agent's phone came, went, or is in a call outside the queues. What rings already goes on: call control tells how it ends.
    pub fn handle_reach(&mut self, agent: &AgentId, reach: Reach, now: Instant) {
        let Some(&key) = self.agent_keys.get(agent) else {
            return;
        };
        let back = match self.agents[&key].doing {
            Doing::Resting(rest)
                if reach == Reach::Reachable
                    && rest.cause == RestCause::Failure(Failure::Unreachable) =>
            {
                self.timers.clear(rest.until, Timer::AgentFree(key));
                true
            }
            Doing::Nothing | Doing::Ringing(_) | Doing::Talking(_) | Doing::Resting(_) => false,
        };
        self.change_agent(key, |agent| {
            agent.reach = reach;
            if back {
                agent.doing = Doing::Nothing;
            }
        });
        self.settle(now);
    }

    /// The agent's phone answered. The first of a ticket wins: its agent talks from now, the other offers are withdrawn.
    /// None: the offer was withdrawn before; end that leg.
    pub fn handle_answer(&mut self, offer: OfferId, now: Instant) -> Option<Ticket> {
        let (key, ring) = self.take_offer(offer)?;
        let ticket = ring.ticket;
        self.change_agent(key, |agent| agent.doing = Doing::Talking(ticket));
        self.withdraw_all(ticket, Withdrawal::AnsweredElsewhere);
        self.dequeue(ticket);
        self.caller_mut(ticket).phase = Phase::Talking(key);
        self.settle(now);
        Some(ticket)
    }

    /// The agent's phone refused, failed or is not there. Unknown (withdrawn) offers are ignored.
    pub fn handle_failure(&mut self, offer: OfferId, failure: Failure, now: Instant) {
        self.fail_offer(offer, failure, now);
        self.settle(now);
    }

    /// The conversation of this ticket ended: the agent wraps up. A ticket that does not talk is ignored.
    pub fn handle_release(&mut self, ticket: Ticket, now: Instant) {
        let Some(key) = self.talking_to(ticket) else {
            return;
        };
        self.forget_caller(ticket);
        self.end_talk(key, RestCause::WrapUp, now);
        self.settle(now);
    }

    /// The agent answered but vanished before the bridge: the caller is back at its old place, the agent rests as after no answer.
    /// A ticket that does not talk is ignored.
    pub fn handle_vanish(&mut self, ticket: Ticket, now: Instant) {
        let Some(key) = self.talking_to(ticket) else {
            return;
        };
        self.end_talk(key, RestCause::Failure(Failure::NoAnswer), now);
        let caller = &self.callers[&ticket];
        if let Some(&at) = self.queue_keys.get(&caller.queue) {
            self.caller_mut(ticket).phase = Phase::Waiting(Waiting {
                at,
                deadline: None,
                ringing: BTreeMap::new(),
            });
            if self.agents.contains_key(&key) {
                self.blame(ticket, key, now);
            }
            self.enqueue(ticket, at);
            self.after_ring(ticket, now);
        } else {
            self.forget_caller(ticket);
            self.outputs.push_back(Output::QueueGone { ticket });
        }
        self.settle(now);
    }

    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::OfferTimeout(offer) => {
                    let cause = Withdrawal::NoAnswer;
                    self.outputs.push_back(Output::Withdraw { offer, cause });
                    self.fail_offer(offer, Failure::NoAnswer, now);
                }
                Timer::MaxWait(ticket) => self.after_ring(ticket, now),
                Timer::AgentFree(key) => {
                    self.change_agent(key, |agent| agent.doing = Doing::Nothing);
                }
                Timer::Retry(ticket, _) => {
                    self.stirred.insert(ticket);
                }
            }
        }
        self.settle(now);
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        self.timers.next()
    }

    /// 1 for the head of its queue; none for a caller who does not wait.
    #[must_use]
    pub fn position(&self, ticket: Ticket) -> Option<usize> {
        match &self.callers.get(&ticket)?.phase {
            Phase::Waiting(waiting) => {
                let ahead = self.queues[waiting.at.0].callers.range(..ticket);
                Some(ahead.count() + 1)
            }
            Phase::Talking(_) => None,
        }
    }

    /// Whether the queue exists and has a place for one more caller.
    #[must_use]
    pub fn has_room(&self, queue: &QueueId) -> bool {
        let queue = self.queue_keys.get(queue).map(|at| &self.queues[at.0]);
        queue.is_some_and(|queue| queue.callers.len() < queue.capacity)
    }

    /// Callers who wait or talk.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// Each agent with its status and what it does; `None` for the status of one that a reload removed while it talked.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentId, Option<&Status>, State)> {
        self.agents.values().map(|agent| {
            let status = agent.planned.then_some(&agent.status);
            (&agent.settings.id, status, agent.state())
        })
    }

    /// What the agent does. One that a reload removed while it talked is known until the conversation ends.
    #[must_use]
    pub fn state(&self, agent: &AgentId) -> Option<State> {
        let key = self.agent_keys.get(agent)?;
        Some(self.agents[key].state())
    }

    /// What people set.
    #[must_use]
    pub fn status(&self, agent: &AgentId) -> Option<Status> {
        let agent = &self.agents[self.agent_keys.get(agent)?];
        agent.planned.then(|| agent.status.clone())
    }
}

/// Steps that events share.
impl Engine {
    /// The caller waits (again): clock, place, and a pick is due.
    fn enqueue(&mut self, ticket: Ticket, at: QueueKey) {
        let queue = &mut self.queues[at.0];
        queue.place(ticket, false);
        self.stirred.insert(ticket);
        let limit = queue.max_wait_time;
        let caller = self.caller_mut(ticket);
        let deadline = limit.map(|limit| after(caller.joined, limit));
        if let Phase::Waiting(waiting) = &mut caller.phase {
            waiting.deadline = deadline;
        }
        if let Some(deadline) = deadline {
            self.timers.set(deadline, Timer::MaxWait(ticket));
        }
    }

    /// The caller no longer waits.
    fn dequeue(&mut self, ticket: Ticket) {
        let Phase::Waiting(waiting) = &self.callers[&ticket].phase else {
            return;
        };
        self.queues[waiting.at.0].remove(ticket);
        if let Some(deadline) = waiting.deadline {
            self.timers.clear(deadline, Timer::MaxWait(ticket));
        }
    }

    /// The caller is gone, and all that was kept for it. Nothing may ring for it.
    fn forget_caller(&mut self, ticket: Ticket) {
        self.dequeue(ticket);
        let Some(caller) = self.callers.remove(&ticket) else {
            return;
        };
        for (agent, again) in caller.tries.floors() {
            self.timers.clear(again, Timer::Retry(ticket, agent));
        }
    }

    fn caller_mut(&mut self, ticket: Ticket) -> &mut Caller {
        self.callers
            .get_mut(&ticket)
            .expect("a ticket in hand has its caller")
    }

    fn talking_to(&self, ticket: Ticket) -> Option<AgentKey> {
        match self.callers.get(&ticket)?.phase {
            Phase::Waiting(_) => None,
            Phase::Talking(agent) => Some(agent),
        }
    }

    /// Every change of an agent goes through here: its queues learn whether it is free.
    fn change_agent(&mut self, key: AgentKey, change: impl FnOnce(&mut Agent)) {
        let agent = self
            .agents
            .get_mut(&key)
            .expect("an agent in hand is known");
        let before = agent.free_since();
        change(agent);
        let now_free = agent.free_since();
        if before == now_free {
            return;
        }
        for &(at, seat) in &agent.seats {
            let queue = &mut self.queues[at.0];
            if let Some(since) = before {
                queue.remove_free(seat, since);
            }
            if let Some(since) = now_free {
                queue.add_free(seat, since);
                self.opened.insert(at);
            }
        }
    }

    /// The agent wraps up or rests, or is free at once where there is no delay.
    fn rest(&mut self, key: AgentKey, cause: RestCause, now: Instant) {
        let next = self.agents[&key].pause(cause, now);
        if let Doing::Resting(rest) = next {
            self.timers.set(rest.until, Timer::AgentFree(key));
        }
        self.change_agent(key, |agent| agent.doing = next);
    }

    /// The agent's conversation is over. One that a reload removed goes now.
    fn end_talk(&mut self, key: AgentKey, cause: RestCause, now: Instant) {
        if !self.agents[&key].planned {
            self.remove_agent(key);
            return;
        }
        match cause {
            // Before it is free again: longest-idle-agent sorts by it.
            RestCause::WrapUp => self.change_agent(key, |agent| agent.last_talk = Some(now)),
            RestCause::Failure(_) => {}
        }
        self.rest(key, cause, now);
    }

    /// Takes a live offer off the books of its caller. The agent's part is the next step of who calls this.
    fn take_offer(&mut self, offer: OfferId) -> Option<(AgentKey, Ring)> {
        let key = self.offers.remove(&offer)?;
        let Doing::Ringing(ring) = self.agents[&key].doing else {
            return None;
        };
        self.timers.clear(ring.until, Timer::OfferTimeout(offer));
        if let Phase::Waiting(waiting) = &mut self.caller_mut(ring.ticket).phase {
            waiting.ringing.remove(&ring.seat);
        }
        Some((key, ring))
    }

    /// Everything that rings for this caller stops, at no cost for the agents.
    fn withdraw_all(&mut self, ticket: Ticket, cause: Withdrawal) {
        let Phase::Waiting(waiting) = &mut self.caller_mut(ticket).phase else {
            return;
        };
        for offer in std::mem::take(&mut waiting.ringing).into_values() {
            if let Some((key, _)) = self.take_offer(offer) {
                self.change_agent(key, |agent| agent.doing = Doing::Nothing);
                self.outputs.push_back(Output::Withdraw { offer, cause });
            }
        }
    }

    fn fail_offer(&mut self, offer: OfferId, failure: Failure, now: Instant) {
        if let Some((key, ring)) = self.take_offer(offer) {
            self.rest(key, RestCause::Failure(failure), now);
            self.blame(ring.ticket, key, now);
            self.after_ring(ring.ticket, now);
        }
    }

    /// The agent may no longer ring. It comes back at no other cost than the floor, lest someone who logs out and in rings without end.
    fn withdraw_from_agent(&mut self, ring: Ring, key: AgentKey, now: Instant) {
        let offer = ring.offer;
        self.take_offer(offer);
        let cause = Withdrawal::AgentGone;
        self.outputs.push_back(Output::Withdraw { offer, cause });
        self.blame(ring.ticket, key, now);
        self.change_agent(key, |agent| agent.doing = Doing::Nothing);
    }

    /// The agent failed the caller: the floor of the pair.
    fn blame(&mut self, ticket: Ticket, key: AgentKey, now: Instant) {
        let (again, held) = self.caller_mut(ticket).tries.fail(key, now);
        if let Some(held) = held {
            self.timers.clear(held, Timer::Retry(ticket, key));
        }
        self.timers.set(again, Timer::Retry(ticket, key));
    }

    /// A ring or the waiting time of the caller ended: it leaves if its time is over and nothing rings, else it seeks on.
    fn after_ring(&mut self, ticket: Ticket, now: Instant) {
        let Phase::Waiting(waiting) = &self.callers[&ticket].phase else {
            return;
        };
        let rings = !waiting.ringing.is_empty();
        if waiting.is_overdue(now) && !rings {
            self.forget_caller(ticket);
            self.outputs.push_back(Output::TimedOut { ticket });
        } else {
            self.queues[waiting.at.0].place(ticket, rings);
            self.stirred.insert(ticket);
        }
    }
}
