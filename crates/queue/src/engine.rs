//! The engine: what happens to callers and agents, event by event.

mod matching;
mod reload;
mod steps;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::agent::{Agent, AgentKey, Pause, Rest, RestCause, Talk};
use crate::caller::{Caller, Phase, Place, Waiting};
use crate::customers::Regulars;
use crate::held::{Held, Picked};
use crate::order::Seat;
use crate::queue::{Queue, QueueKey};
use crate::skills::Asks;
use crate::timer::{Timer, Timers, after};
use crate::tries::Tries;
use crate::{
    AgentId, Arrival, CustomerId, Departure, Failure, Leaving, Note, OfferId, Output, Past,
    QueueId, Reach, Refused, Status, Ticket, Wake, Withdrawal,
};

/// All queues and agents. After every `handle_*` or command, drain `poll_output`.
#[derive(Debug)]
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
    /// None: nobody keeps them.
    notes: Option<VecDeque<Note>>,
    /// Callers for whom a new pick may succeed: settled before the event ends.
    stirred: BTreeSet<Ticket>,
    /// Queues in which an agent became free: settled before the event ends.
    opened: BTreeSet<QueueKey>,
    regulars: Regulars,
    asks: Asks,
    /// Determines what is drawn by lot.
    seed: u64,
    next_ticket: u64,
    next_offer: u64,
    next_agent: u64,
}

impl Engine {
    /// An engine without queues. Where a strategy draws by lot, the seed determines the lots.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            agents: BTreeMap::new(),
            agent_keys: BTreeMap::new(),
            queues: Vec::new(),
            queue_keys: BTreeMap::new(),
            callers: BTreeMap::new(),
            offers: BTreeMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            notes: None,
            stirred: BTreeSet::new(),
            opened: BTreeSet::new(),
            regulars: Regulars::default(),
            asks: Asks::new(Vec::new()),
            seed,
            next_ticket: 0,
            next_offer: 0,
            next_agent: 0,
        }
    }

    /// A caller joins, behind all who come before it by priority and score. One who hung up in this queue and is back in time has its
    /// old place.
    ///
    /// # Errors
    /// There is no such queue, or `capacity` callers wait already.
    pub fn join(
        &mut self,
        queue: &QueueId,
        arrival: &Arrival,
        now: Instant,
    ) -> Result<Ticket, Refused> {
        let &at = self.queue_keys.get(queue).ok_or(Refused::UnknownQueue)?;
        let live = &mut self.queues[at.0];
        if live.callers.len() >= live.capacity {
            let queue = queue.clone();
            self.note(Note::Full { queue });
            return Err(Refused::Full);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let customer = arrival.customer.as_ref();
        let kept = customer.and_then(|customer| live.memory.kept.take(customer, now));
        let (place, joined) = match kept {
            // Who calls by a better number loses nothing by it.
            Some(kept) => {
                let place = kept.place.kept_for(ticket);
                (place.at_least(arrival.priority), kept.joined)
            }
            None => (Place::new(arrival, ticket, now), now),
        };
        let caller = Caller {
            queue: queue.clone(),
            customer: arrival.customer.clone(),
            needs: arrival.needs.clone(),
            place,
            joined,
            entered: now,
            tries: Tries::default(),
            phase: Phase::Waiting(Waiting::new(at)),
        };
        self.callers.insert(ticket, caller);
        let queue = queue.clone();
        self.note(Note::Joined { ticket, queue });
        self.enqueue(ticket, at, now);
        self.settle(now);
        Ok(ticket)
    }

    /// The caller hung up or goes elsewhere. One that talks already ends its conversation, as `handle_release`.
    pub fn leave(&mut self, ticket: Ticket, how: Departure, now: Instant) {
        let Some(caller) = self.callers.get(&ticket) else {
            return;
        };
        match caller.phase {
            Phase::Talking(_) => self.handle_release(ticket, now),
            Phase::Waiting(_) => {
                self.depart(ticket, how, now);
                self.settle(now);
            }
        }
    }

    /// Someone set the agent's status. True if it changed; false if it had it already or there is no such agent.
    /// A status that takes no calls withdraws what rings at the agent; a conversation goes on.
    pub fn set_status(&mut self, agent: &AgentId, status: Status, now: Instant) -> bool {
        let Some(&key) = self.agent_keys.get(agent) else {
            return false;
        };
        let live = &self.agents[&key];
        if !live.planned || live.status == status {
            return false;
        }
        self.change_status(key, status, now);
        self.settle(now);
        true
    }

    /// The agent wants its next call now: no wrap-up, no delay; one on demand asks for its next. True if it had to wait for that.
    pub fn ready(&mut self, agent: &AgentId, now: Instant) -> bool {
        let Some(&key) = self.agent_keys.get(agent) else {
            return false;
        };
        if self.agents[&key].rest.is_none() {
            return false;
        }
        self.be_free(key, now);
        self.settle(now);
        true
    }

    /// The caller has another priority from now. False if it does not wait.
    pub fn prefer(&mut self, ticket: Ticket, priority: u32, now: Instant) -> bool {
        let Some(caller) = self.callers.get_mut(&ticket) else {
            return false;
        };
        let Phase::Waiting(waiting) = &mut caller.phase else {
            return false;
        };
        let queue = &mut self.queues[waiting.at.0];
        queue.remove(caller.place, waiting);
        caller.place = caller.place.preferred(priority);
        // Whom it may have does not change: nobody rings for it who did not before.
        queue.place(caller.place, waiting, now);
        true
    }

    /// Somebody gives the caller to this agent, whose phone rings now, whoever else's turn it was and whatever the agent's level, skills
    /// and failures; what rings already goes on.
    ///
    /// # Errors
    /// What holds the agent back from every caller; none: the caller does not wait, or the agent does not serve its queue.
    pub fn hand(
        &mut self,
        ticket: Ticket,
        agent: &AgentId,
        now: Instant,
    ) -> Result<(), Option<Held>> {
        let caller = self.callers.get(&ticket).ok_or(None)?;
        let Phase::Waiting(waiting) = &caller.phase else {
            return Err(None);
        };
        let at = waiting.at;
        let queue = &self.queues[at.0];
        let key = *self.agent_keys.get(agent).ok_or(None)?;
        let index = queue.seat_of(key).ok_or(None)?;
        if let Some(held) = self.agents[&key].held() {
            return Err(Some(held));
        }
        let level = queue.members[index].level;
        self.ring(
            ticket,
            at,
            Seat { level, index },
            Picked::by_hand(level),
            now,
        );
        self.settle(now);
        Ok(())
    }

    /// From now on what happens is noted.
    pub fn keep_notes(&mut self) {
        self.notes.get_or_insert_default();
    }

    /// What happened next.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.as_mut()?.pop_front()
    }

    /// The agent goes on where it was before the engine began. False if there is none of this name, or it has begun already.
    pub fn restore(&mut self, agent: &AgentId, past: Past, now: Instant) -> bool {
        let Some(&key) = self.agent_keys.get(agent) else {
            return false;
        };
        if !self.agents[&key].is_idle() {
            return false;
        }
        self.change_agent(key, now, |agent| agent.restore(past));
        self.settle(now);
        true
    }

    /// Before the engine began a customer joined a queue, and left it unserved: it may come back for its place, if the queue keeps
    /// places for so long.
    pub fn keep_place(
        &mut self,
        queue: &QueueId,
        customer: CustomerId,
        joined: Instant,
        left: Instant,
        now: Instant,
    ) {
        let Some(&at) = self.queue_keys.get(queue) else {
            return;
        };
        let live = &mut self.queues[at.0];
        let Some(until) = live.abandoned_resume.map(|time| after(left, time)) else {
            return;
        };
        // So that of two who joined at the same moment one comes first.
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let place = Place::new(&Arrival::default(), ticket, joined);
        live.memory.kept.keep(customer, place, joined, until, now);
    }

    /// What there is to keep of each agent.
    pub fn pasts(&self) -> impl Iterator<Item = (&AgentId, Past)> {
        let agents = self.agents.values().filter(|agent| agent.planned);
        agents.map(|agent| (&agent.settings.id, agent.past()))
    }

    /// The agent's wrap-up lasts so much longer. False if it is in none.
    pub fn prolong_wrap_up(&mut self, agent: &AgentId, by: Duration, now: Instant) -> bool {
        let Some(&key) = self.agent_keys.get(agent) else {
            return false;
        };
        let Some(pause) = self.agents[&key].rest.and_then(Rest::wrap_up) else {
            return false;
        };
        let until = after(pause.until, by);
        let longer = Rest::For(Pause { until, ..pause });
        self.change_and_rest(key, Some(longer), now, |_| {});
        true
    }

    /// The agent's phone came, went, or is in a call outside the queues. What rings already goes on: call control tells how it ends.
    pub fn handle_reach(&mut self, agent: &AgentId, reach: Reach, now: Instant) {
        let Some(&key) = self.agent_keys.get(agent) else {
            return;
        };
        self.change_agent(key, now, |agent| agent.reach = reach);
        let awaited = RestCause::Failure(Failure::Unreachable);
        let pause = self.agents[&key].rest.and_then(Rest::pause);
        if reach == Reach::Reachable && pause.is_some_and(|pause| pause.cause == awaited) {
            self.be_free(key, now);
        }
        self.settle(now);
    }

    /// The agent's phone answered. The first of a ticket wins: its agent talks from now, the other offers are withdrawn.
    /// None: the offer was withdrawn before; end that leg.
    pub fn handle_answer(&mut self, offer: OfferId, now: Instant) -> Option<Ticket> {
        let (key, ring) = self.take_offer(offer, now)?;
        let ticket = ring.ticket;
        let talk = Talk { ticket, since: now };
        self.change_agent(key, now, |agent| agent.answered(talk));
        self.note(Note::Answered {
            ticket,
            agent: self.agents[&key].settings.id.clone(),
            waited: now.saturating_duration_since(self.callers[&ticket].entered),
        });
        self.withdraw_all(ticket, Withdrawal::AnsweredElsewhere, now);
        if let Phase::Waiting(waiting) = &self.callers[&ticket].phase {
            self.queues[waiting.at.0].memory.pace.answered(now);
        }
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
        if let Some(customer) = self.callers[&ticket].customer.clone() {
            let agent = self.agents[&key].settings.id.clone();
            self.regulars.served_by(customer, agent);
        }
        let queue = self.queue_keys.get(&self.callers[&ticket].queue);
        let wrap_up = queue.map(|at| self.queues[at.0].wrap_up_time);
        self.forget_caller(ticket);
        let next = self.agents[&key].wrap_up(wrap_up.unwrap_or_default(), now);
        if let Some(time) = self.hang_up(key, ticket, next, now) {
            let agent = self.agents[&key].settings.id.clone();
            self.note(Note::Talked {
                ticket,
                agent,
                time,
            });
            self.change_agent(key, now, |agent| agent.talked(time, now));
        }
        self.remove_if_done(key);
        self.settle(now);
    }

    /// The agent answered but vanished before the bridge: the caller is back at its old place, the agent rests as after no answer.
    /// A ticket that does not talk is ignored.
    pub fn handle_vanish(&mut self, ticket: Ticket, now: Instant) {
        let Some(key) = self.talking_to(ticket) else {
            return;
        };
        let agent = self.agents[&key].settings.id.clone();
        self.note(Note::Vanished { ticket, agent });
        let next = self.agents[&key].delay(Failure::NoAnswer, now);
        self.hang_up(key, ticket, next, now);
        self.remove_if_done(key);
        let caller = &self.callers[&ticket];
        if let Some(&at) = self.queue_keys.get(&caller.queue) {
            if self.agents.contains_key(&key) {
                self.blame(ticket, key, now);
            }
            self.enqueue(ticket, at, now);
            self.after_ring(ticket, now);
        } else {
            self.note_leaving(ticket, Leaving::QueueGone, now);
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
                Timer::WaitLimit(ticket) => self.after_ring(ticket, now),
                Timer::AgentFree(key) => self.be_free(key, now),
                Timer::Retry(ticket, _) => {
                    self.stirred.insert(ticket);
                }
                Timer::LevelOpens(ticket) => {
                    self.open_levels(ticket, now);
                    self.stirred.insert(ticket);
                }
                Timer::Widen(ticket) => {
                    self.change_waiting(ticket, now, |_| {});
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
}
