//! A new plan: everything that stays keeps its callers, offers, conversations, statuses and clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Engine;
use crate::agent::{Agent, AgentKey};
use crate::caller::Phase;
use crate::order::Seat;
use crate::queue::{Member, Memory, Queue, QueueKey};
use crate::skills::Asks;
use crate::timer::Timer;
use crate::{
    AgentId, AgentSettings, Leaving, Membership, Output, Plan, QueueId, QueueSettings, Ticket,
    Withdrawal,
};

impl Engine {
    /// Takes a plan, all at once. Callers, offers, conversations, live statuses and clocks of what stays are kept.
    ///
    /// * A new agent is unregistered until `handle_reach` says otherwise.
    /// * A removed agent's ringing offer is withdrawn, its conversation goes on; an offer for a queue that the agent left is withdrawn too.
    /// * Callers of a removed queue leave with `QueueGone`, their conversations go on.
    /// * A new `max_wait_time` counts from the moment when each caller joined, and so do needs that changed; what rings goes on.
    pub fn configure(&mut self, plan: Plan, now: Instant) {
        let mut queues = BTreeMap::new();
        for settings in plan.queues {
            queues.entry(settings.id.clone()).or_insert(settings);
        }
        let mut agents = BTreeMap::new();
        for settings in plan.agents {
            agents.entry(settings.id.clone()).or_insert(settings);
        }
        // First everything that goes, while the old queues still stand.
        self.withdraw_strangers(&queues, &agents, now);
        self.drop_callers(&queues, now);
        self.drop_agents(&agents, now);
        self.take_agents(agents, now);
        self.asks = Asks::new(plan.needs);
        self.take_queues(queues, now);
        self.seat_callers(now);
        self.settle(now);
    }

    /// Stops the rings of agents who are gone or no longer serve the caller's queue.
    fn withdraw_strangers(
        &mut self,
        queues: &BTreeMap<QueueId, QueueSettings>,
        agents: &BTreeMap<AgentId, AgentSettings>,
        now: Instant,
    ) {
        let serves = |settings: &QueueSettings, agent: &AgentId| {
            let mut members = settings.members.iter();
            agents.contains_key(agent) && members.any(|member| member.agent == *agent)
        };
        let ringing: Vec<AgentKey> = self.offers.values().copied().collect();
        for key in ringing {
            let agent = &self.agents[&key];
            let Some(ring) = agent.ring else {
                continue;
            };
            // Rings for a queue that is gone stop with their callers.
            let queue = queues.get(&self.callers[&ring.ticket].queue);
            if queue.is_some_and(|settings| !serves(settings, &agent.settings.id)) {
                self.withdraw_from_agent(ring, key, now);
            }
        }
    }

    fn drop_callers(&mut self, queues: &BTreeMap<QueueId, QueueSettings>, now: Instant) {
        let gone = self
            .queues
            .iter()
            .filter(|queue| !queues.contains_key(&queue.id));
        let gone: Vec<Ticket> = gone
            .flat_map(|queue| queue.callers.iter().map(|place| place.ticket))
            .collect();
        for ticket in gone {
            self.withdraw_all(ticket, Withdrawal::CallerGone, now);
            self.note_leaving(ticket, Leaving::QueueGone, now);
            self.forget_caller(ticket);
            self.outputs.push_back(Output::QueueGone { ticket });
        }
    }

    /// Nobody rings at these agents any more; those who talk stay until the end.
    fn drop_agents(&mut self, planned: &BTreeMap<AgentId, AgentSettings>, now: Instant) {
        let agents = self.agent_keys.iter();
        let gone = agents.filter(|(id, _)| !planned.contains_key(*id));
        for key in gone.map(|(_, &key)| key).collect::<Vec<_>>() {
            self.change_agent(key, now, |agent| agent.planned = false);
            self.remove_if_done(key);
        }
    }

    /// An agent that is not in the plan goes when it talks to nobody more. Looks at every caller: an agent goes seldom.
    pub(super) fn remove_if_done(&mut self, key: AgentKey) {
        let agent = &self.agents[&key];
        if agent.planned || agent.talks() > 0 {
            return;
        }
        self.stop_pause(key);
        for (&ticket, caller) in &mut self.callers {
            if let Some(again) = caller.tries.forget(key) {
                self.timers.clear(again, Timer::Retry(ticket, key));
            }
        }
        let Some(agent) = self.agents.remove(&key) else {
            return;
        };
        self.agent_keys.remove(&agent.settings.id);
    }

    fn take_agents(&mut self, planned: BTreeMap<AgentId, AgentSettings>, now: Instant) {
        for (id, settings) in planned {
            if let Some(key) = self.agent_keys.get(&id) {
                let agent = self.agents.get_mut(key).expect("a named agent is known");
                agent.settings = settings;
                agent.planned = true;
            } else {
                let key = AgentKey(self.next_agent);
                self.next_agent += 1;
                self.agents.insert(key, Agent::new(settings, now));
                self.agent_keys.insert(id, key);
            }
        }
    }

    /// Builds the queues and tells them what their agents do.
    fn take_queues(&mut self, planned: BTreeMap<QueueId, QueueSettings>, now: Instant) {
        let old = std::mem::take(&mut self.queues).into_iter();
        let mut memories: BTreeMap<_, _> = old
            .map(|mut queue| {
                if queue.staff > 0 {
                    queue.memory.unstaffed_since = now;
                }
                (queue.id, queue.memory)
            })
            .collect();
        self.queue_keys.clear();
        for agent in self.agents.values_mut() {
            agent.seats.clear();
        }
        for (id, mut settings) in planned {
            let at = QueueKey(self.queues.len());
            let members = self.members(std::mem::take(&mut settings.members));
            let memory = memories.remove(&id).unwrap_or_else(|| Memory::new(now));
            let mut queue = Queue::new(settings, members, memory);
            for index in 0..queue.members.len() {
                let member = &queue.members[index];
                let level = member.level;
                let seat = Seat { level, index };
                let agent = self
                    .agents
                    .get_mut(&member.agent)
                    .expect("members are known agents");
                agent.seats.push((at, seat));
                queue.enter(seat, agent.part());
            }
            self.queues.push(queue);
            self.queue_keys.insert(id, at);
        }
        self.opened = self.queue_keys.values().copied().collect();
    }

    /// In the order of their seats.
    fn members(&self, memberships: Vec<Membership>) -> Vec<Member> {
        let mut seen = BTreeSet::new();
        let known = memberships.into_iter().filter_map(|membership| {
            let &agent = self.agent_keys.get(&membership.agent)?;
            (self.agents[&agent].planned && seen.insert(agent)).then_some(Member {
                agent,
                level: membership.level,
                position: membership.position,
                name: membership.agent,
            })
        });
        let mut members: Vec<Member> = known.collect();
        members.sort_by(|a, b| {
            let key = |member: &Member| (member.level, member.position);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        members
    }

    /// Waiting callers and what rings for them find their queue, seats and limits again.
    fn seat_callers(&mut self, now: Instant) {
        for ticket in self.callers.keys().copied().collect::<Vec<_>>() {
            let at = self.queue_keys.get(&self.callers[&ticket].queue).copied();
            let (Some(at), Phase::Waiting(waiting)) = (at, &mut self.caller_mut(ticket).phase)
            else {
                continue;
            };
            // Its queue is a new one, which does not know it yet.
            waiting.seeks = None;
            let offers = std::mem::take(&mut waiting.ringing);
            let mut ringing = BTreeMap::new();
            for offer in offers.into_values() {
                let key = &self.offers[&offer];
                let agent = self.agents.get_mut(key).expect("an offer has its agent");
                let mut seats = agent.seats.iter();
                let seat = seats.find(|(serves, _)| *serves == at);
                if let (Some(&(_, seat)), Some(ring)) = (seat, &mut agent.ring) {
                    ring.seat = seat;
                    ringing.insert(seat, offer);
                }
            }
            self.change_waiting(ticket, now, |waiting| {
                waiting.at = at;
                waiting.ringing = ringing;
            });
            self.open_levels(ticket, now);
            self.after_ring(ticket, now);
        }
    }
}
