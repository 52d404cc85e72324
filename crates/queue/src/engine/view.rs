//! What the engine knows, to read.

use std::time::{Duration, Instant};

use super::Engine;
use crate::caller::{Caller, Phase, Waiting};
use crate::queue::Member;
use crate::{AgentId, Candidate, Held, NeedsId, QueueId, State, Status, Ticket, Why};

impl Engine {
    /// 1 for the head of its queue; none for a caller who does not wait.
    #[must_use]
    pub fn position(&self, ticket: Ticket) -> Option<usize> {
        let caller = self.callers.get(&ticket)?;
        match &caller.phase {
            Phase::Waiting(waiting) => {
                let ahead = self.queues[waiting.at.0].callers.range(..caller.place);
                Some(ahead.count() + 1)
            }
            Phase::Talking(_) => None,
        }
    }

    /// The priority of a caller, and what it was said at its arrival that its agent must be able to do.
    #[must_use]
    pub fn wish(&self, ticket: Ticket) -> Option<(u32, Option<NeedsId>)> {
        let caller = self.callers.get(&ticket)?;
        Some((caller.place.priority(), caller.needs.clone()))
    }

    /// How long a waiting caller will wait, going by the last answers of its queue: it is shorter for `percent` of 100 callers.
    /// None: nobody was answered there yet.
    #[must_use]
    pub fn expected_wait(&self, ticket: Ticket, percent: u8) -> Option<Duration> {
        let position = self.position(ticket)?;
        let at = self.queue_keys.get(&self.callers.get(&ticket)?.queue)?;
        let pace = &self.queues[at.0].memory.pace;
        pace.expected(position, percent)
    }

    /// Why a waiting caller waits: its place, and what holds back each agent of its queue.
    #[must_use]
    pub fn why(&self, ticket: Ticket, now: Instant) -> Option<Why> {
        let caller = self.callers.get(&ticket)?;
        let Phase::Waiting(waiting) = &caller.phase else {
            return None;
        };
        Some(Why {
            queue: self.queues[waiting.at.0].id.clone(),
            position: self.position(ticket)?,
            score: caller.place.score(now),
            candidates: self.candidates(ticket, now)?.collect(),
        })
    }

    /// Everybody who serves the queue of a waiting caller, by level, position and name; each is looked at when it is taken.
    #[must_use]
    pub fn candidates(
        &self,
        ticket: Ticket,
        now: Instant,
    ) -> Option<impl ExactSizeIterator<Item = Candidate>> {
        let caller = self.callers.get(&ticket)?;
        let Phase::Waiting(waiting) = &caller.phase else {
            return None;
        };
        let members = self.queues[waiting.at.0].members.iter();
        Some(members.map(move |member| self.judged(member, caller, waiting, now)))
    }

    /// What one agent is to a waiting caller; none if it does not serve the queue.
    #[must_use]
    pub fn why_not(&self, ticket: Ticket, agent: &AgentId, now: Instant) -> Option<Candidate> {
        let caller = self.callers.get(&ticket)?;
        let Phase::Waiting(waiting) = &caller.phase else {
            return None;
        };
        let key = self.agent_keys.get(agent)?;
        let mut members = self.queues[waiting.at.0].members.iter();
        let member = members.find(|member| member.agent == *key)?;
        Some(self.judged(member, caller, waiting, now))
    }

    fn judged(
        &self,
        member: &Member,
        caller: &Caller,
        waiting: &Waiting,
        now: Instant,
    ) -> Candidate {
        let queue = &self.queues[waiting.at.0];
        let agent = &self.agents[&member.agent];
        let ask = || {
            let (_, until) = self.asks.of(caller.needs.as_ref(), caller.joined, now);
            self.asks.held(waiting.ask, until, &agent.settings.skills)
        };
        Candidate {
            agent: member.name.clone(),
            level: member.level,
            position: member.position,
            held: agent
                .held()
                .or_else(ask)
                .or_else(|| caller.tries.failures(member.agent, now).err())
                .or_else(|| queue.held_level(member.level, caller.joined, waiting, now)),
        }
    }

    /// What holds an agent back from every caller; none for one who is free, and for one who does not exist.
    #[must_use]
    pub fn held(&self, agent: &AgentId) -> Option<Held> {
        self.agents[self.agent_keys.get(agent)?].held()
    }

    /// Whether the agent's phone may ring beside a call that no queue gave it.
    #[must_use]
    pub fn has_call_waiting(&self, agent: &AgentId) -> bool {
        let key = self.agent_keys.get(agent);
        key.is_some_and(|key| self.agents[key].settings.call_waiting)
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
