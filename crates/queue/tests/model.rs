//! A naive reference of the engine: maps and scans, nothing kept that can be worked out. Under 300 lines of code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Failure, Membership, OfferId, Output, Plan, QueueId, QueueSettings,
    Reach, State, Status, Strategy, Ticket, Withdrawal,
};

use crate::event::Event;

/// `None`: the agent did nothing wrong.
type Why = Option<Failure>;

struct Agent {
    status: Status,
    reach: Reach,
    logged_in: Instant,
    last_talk: Option<Instant>,
    /// Until when; without a failure it is wrap-up.
    rest: (Instant, Why),
    /// How often it failed a caller, and from when it may ring for it again.
    failed: BTreeMap<Ticket, (usize, Instant)>,
}

struct Caller {
    queue: QueueId,
    joined: Instant,
    talks_to: Option<AgentId>,
}

/// Until when it rings.
#[derive(Clone)]
struct Offer(Ticket, AgentId, Instant);

#[derive(Default)]
pub(crate) struct Model {
    queues: BTreeMap<QueueId, QueueSettings>,
    settings: BTreeMap<AgentId, AgentSettings>,
    agents: BTreeMap<AgentId, Agent>,
    callers: BTreeMap<Ticket, Caller>,
    offers: BTreeMap<OfferId, Offer>,
    turns: BTreeMap<(QueueId, u32), (u32, AgentId)>,
    joined: u64,
    offered: u64,
    pub(crate) outputs: Vec<Output>,
}

impl Model {
    /// Returns the ticket of who joined or was answered.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) -> Option<Ticket> {
        let mut reply = None;
        match event {
            Event::Configure(plan) => self.configure(plan, now),
            Event::Join(queue) => reply = self.join(queue, now),
            Event::Answer(offer) => reply = self.answer(offer),
            Event::Fail(offer, failure) => self.lose(offer, Some(failure), None, now),
            Event::Release(ticket) => self.end_talk(ticket, None, now),
            Event::Vanish(ticket) => self.end_talk(ticket, Some(Failure::NoAnswer), now),
            Event::Status(agent, status) => self.set_status(&agent, status, now),
            Event::Reach(agent, reach) => {
                if let Some(live) = self.agents.get_mut(&agent) {
                    live.reach = reach;
                    if reach == Reach::Reachable && live.rest.1 == Some(Failure::Unreachable) {
                        live.rest.0 = now;
                    }
                }
            }
            Event::Leave(ticket) => {
                self.end_talk(ticket, None, now);
                self.withdraw_all(ticket, Withdrawal::CallerGone);
                self.callers.remove(&ticket);
            }
            Event::Timeout => {
                for (id, Offer(.., until)) in self.offers.clone() {
                    if until <= now {
                        self.lose(id, Some(Failure::NoAnswer), Some(Withdrawal::NoAnswer), now);
                    }
                }
            }
        }
        self.see_off(now);
        self.settle(now);
        reply
    }

    pub(crate) fn position(&self, ticket: Ticket) -> Option<usize> {
        let caller = self.callers.get(&ticket)?;
        let waits = caller.talks_to.is_none();
        waits.then(|| self.ahead(&caller.queue, ticket) + 1)
    }

    pub(crate) fn state(&self, agent: &AgentId, now: Instant) -> Option<State> {
        let (until, failure) = self.agents.get(agent)?.rest;
        let talks = |caller: &Caller| caller.talks_to.as_ref() == Some(agent);
        let rings = self.offers.iter().find(|(_, offer)| offer.1 == *agent);
        let talking = self.callers.iter().find(|(_, caller)| talks(caller));
        Some(match (rings, talking) {
            (Some((offer, _)), _) => State::Offered(*offer),
            (None, Some((ticket, _))) => State::Talking(*ticket),
            _ if until > now && failure.is_none() => State::WrapUp { until },
            _ => State::Idle,
        })
    }

    /// Callers without a queue leave, and those whose time is over unless something rings for them.
    fn see_off(&mut self, now: Instant) {
        for (ticket, caller) in std::mem::take(&mut self.callers) {
            if caller.talks_to.is_none() && !self.queues.contains_key(&caller.queue) {
                self.withdraw_all(ticket, Withdrawal::CallerGone);
                self.outputs.push(Output::QueueGone { ticket });
            } else if self.is_overdue(&caller, now) && self.rung(ticket).is_empty() {
                self.outputs.push(Output::TimedOut { ticket });
            } else {
                self.callers.insert(ticket, caller);
            }
        }
    }

    /// The caller who has waited longest chooses first, and so on, over all queues.
    fn settle(&mut self, now: Instant) {
        for ticket in self.callers.keys().copied().collect::<Vec<_>>() {
            let caller = &self.callers[&ticket];
            if caller.talks_to.is_some() || self.is_overdue(caller, now) {
                continue;
            }
            let queue = self.queues[&caller.queue].clone();
            let rung = self.rung(ticket);
            let mut picks = queue.members.clone();
            picks.retain(|at| rung.contains(&at.agent) || self.may_ring(at, ticket, now));
            let level = picks.iter().map(|at| at.level).min();
            picks.retain(|at| Some(at.level) == level && !rung.contains(&at.agent));
            picks.sort_by_cached_key(|at| self.rank(&queue, ticket, at));
            if queue.strategy != Strategy::RingAll {
                picks.truncate(usize::from(rung.is_empty()));
            }
            for member in picks {
                self.ring(ticket, &queue, member, now);
            }
        }
    }

    fn is_overdue(&self, caller: &Caller, now: Instant) -> bool {
        let queue = self.queues.get(&caller.queue);
        let limit = queue.and_then(|queue| queue.max_wait_time);
        let over = limit.is_some_and(|limit| !limit.is_zero() && caller.joined + limit <= now);
        over && caller.talks_to.is_none()
    }

    fn rank(&self, queue: &QueueSettings, ticket: Ticket, at: &Membership) -> impl Ord + use<> {
        let live = &self.agents[&at.agent];
        let failed = live.failed.get(&ticket).map_or(0, |past| past.0);
        let idle = live.last_talk.unwrap_or(live.logged_in);
        let seat = (at.position, at.agent.clone());
        let turn = self.turns.get(&(queue.id.clone(), at.level));
        match queue.strategy {
            Strategy::RingAll => (0, None, false, seat),
            Strategy::LongestIdleAgent => (failed, Some(idle), false, seat),
            Strategy::RoundRobin => (failed, None, turn.is_some_and(|last| seat <= *last), seat),
        }
    }

    fn may_ring(&self, at: &Membership, ticket: Ticket, now: Instant) -> bool {
        let live = &self.agents[&at.agent];
        live.status == Status::Available
            && live.reach == Reach::Reachable
            && live.rest.0 <= now
            && live.failed.get(&ticket).is_none_or(|past| past.1 <= now)
            && self.state(&at.agent, now) == Some(State::Idle)
    }

    fn ring(&mut self, ticket: Ticket, queue: &QueueSettings, member: Membership, now: Instant) {
        let Membership { agent, level, .. } = member;
        if queue.strategy == Strategy::RoundRobin {
            let turn = (member.position, agent.clone());
            self.turns.insert((queue.id.clone(), level), turn);
        }
        let offer = OfferId(self.offered);
        self.offered += 1;
        self.outputs.push(Output::Offer {
            offer,
            ticket,
            queue: queue.id.clone(),
            agent: agent.clone(),
        });
        let until = now + self.settings[&agent].call_timeout;
        let live = Offer(ticket, agent, until);
        self.offers.insert(offer, live);
    }

    fn configure(&mut self, plan: Plan, now: Instant) {
        let queues = plan.queues.into_iter();
        let agents = plan.agents.into_iter();
        self.queues = queues.map(|queue| (queue.id.clone(), queue)).collect();
        self.settings = agents.map(|agent| (agent.id.clone(), agent)).collect();
        for (id, Offer(ticket, agent, _)) in self.offers.clone() {
            let queue = self.queues.get(&self.callers[&ticket].queue);
            let strange = |at: &Membership| at.agent != agent;
            if queue.is_some_and(|queue| queue.members.iter().all(strange)) {
                self.lose(id, None, Some(Withdrawal::AgentGone), now);
            }
        }
        let known = |agent: &AgentId| self.settings.contains_key(agent);
        let callers = self.callers.values();
        let talking: Vec<_> = callers.flat_map(|caller| &caller.talks_to).collect();
        let stays = |agent: &AgentId| known(agent) || talking.contains(&agent);
        self.agents.retain(|agent, _| stays(agent));
        let stands = |queue: &QueueId| self.queues.contains_key(queue);
        self.turns.retain(|(queue, _), _| stands(queue));
        for (id, settings) in &self.settings {
            self.agents.entry(id.clone()).or_insert(Agent {
                status: settings.status.clone(),
                reach: Reach::Unregistered,
                logged_in: now,
                last_talk: None,
                rest: (now, None),
                failed: BTreeMap::new(),
            });
        }
    }

    fn join(&mut self, queue: QueueId, now: Instant) -> Option<Ticket> {
        if self.ahead(&queue, Ticket(self.joined)) >= self.queues.get(&queue)?.capacity {
            return None;
        }
        let ticket = Ticket(self.joined);
        self.joined += 1;
        let caller = Caller {
            queue,
            joined: now,
            talks_to: None,
        };
        self.callers.insert(ticket, caller);
        Some(ticket)
    }

    fn set_status(&mut self, agent: &AgentId, status: Status, now: Instant) {
        let known = self.settings.contains_key(agent);
        let live = self.agents.get_mut(agent).filter(|_| known);
        if let Some(live) = live.filter(|live| live.status != status) {
            (live.status, live.logged_in) = (status, now);
            if let Some(State::Offered(offer)) = self.state(agent, now) {
                self.lose(offer, None, Some(Withdrawal::AgentGone), now);
            }
        }
    }

    fn answer(&mut self, id: OfferId) -> Option<Ticket> {
        let Offer(ticket, agent, _) = self.offers.remove(&id)?;
        self.withdraw_all(ticket, Withdrawal::AnsweredElsewhere);
        self.callers.get_mut(&ticket)?.talks_to = Some(agent);
        Some(ticket)
    }

    fn end_talk(&mut self, ticket: Ticket, failure: Why, now: Instant) {
        let talks_to = |caller: &mut Caller| caller.talks_to.take();
        if let Some(agent) = self.callers.get_mut(&ticket).and_then(talks_to) {
            self.rest(&agent, failure, now);
            if failure.is_some() {
                return self.blame(ticket, &agent, now);
            }
            self.callers.remove(&ticket);
            let live = self.agents.entry(agent);
            live.and_modify(|agent| agent.last_talk = Some(now));
        }
    }

    /// A live offer comes to nothing, and is blamed on the agent.
    fn lose(&mut self, offer: OfferId, why: Why, stop: Option<Withdrawal>, now: Instant) {
        if let Some(Offer(ticket, agent, _)) = self.offers.remove(&offer) {
            let withdraw = |cause| Output::Withdraw { offer, cause };
            self.outputs.extend(stop.map(withdraw));
            if why.is_some() {
                self.rest(&agent, why, now);
            }
            self.blame(ticket, &agent, now);
        }
    }

    fn withdraw_all(&mut self, ticket: Ticket, cause: Withdrawal) {
        let lost = self.offers.extract_if(.., |_, offer| offer.0 == ticket);
        let lost = lost.map(|(offer, _)| Output::Withdraw { offer, cause });
        self.outputs.extend(lost);
    }

    /// An agent that is gone from the plan goes when it has nothing more to do.
    fn rest(&mut self, agent: &AgentId, failure: Why, now: Instant) {
        let Some(settings) = self.settings.get(agent) else {
            self.agents.remove(agent);
            return;
        };
        let delay = match failure {
            None => settings.wrap_up_time,
            Some(Failure::NoAnswer) => settings.no_answer_delay_time,
            Some(Failure::Rejected) => settings.reject_delay_time,
            Some(Failure::Busy) => settings.busy_delay_time,
            Some(Failure::Unreachable) => Duration::from_secs(5),
        };
        let live = self.agents.entry(agent.clone());
        live.and_modify(|agent| agent.rest = (now + delay, failure));
    }

    fn blame(&mut self, ticket: Ticket, agent: &AgentId, now: Instant) {
        if let Some(live) = self.agents.get_mut(agent) {
            let past = live.failed.entry(ticket).or_insert((0, now));
            let floor = [1, 2, 4, 8].get(past.0).copied().unwrap_or(10);
            *past = (past.0 + 1, now + Duration::from_secs(floor));
        }
    }

    fn ahead(&self, queue: &QueueId, ticket: Ticket) -> usize {
        let callers = self.callers.range(..ticket).map(|(_, caller)| caller);
        let waiting = callers.filter(|caller| caller.talks_to.is_none());
        waiting.filter(|caller| caller.queue == *queue).count()
    }

    fn rung(&self, ticket: Ticket) -> Vec<AgentId> {
        let offers = self.offers.values().filter(|offer| offer.0 == ticket);
        offers.map(|offer| offer.1.clone()).collect()
    }
}
