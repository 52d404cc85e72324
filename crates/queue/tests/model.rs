//! A naive reference of the engine: maps and scans, nothing kept that can be worked out. Under 300 lines of code.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, CustomerId, Departure, Failure, Limit, Membership, OfferId,
    Output, Picked, Plan, QueueId, QueueSettings, Reach, State, Status, Strategy, Ticket,
    Withdrawal,
};

use crate::event::Event;

/// `None`: the agent did nothing wrong.
type Why = Option<Failure>;
/// In the order in which callers are served.
pub(crate) type Place = (Reverse<u32>, Instant, Ticket, Ticket);

struct Agent {
    status: Status,
    reach: Reach,
    logged_in: Instant,
    last_talk: Option<Instant>,
    talked: Duration,
    calls: u64,
    missed: u32,
    parked: bool,
    /// Until when; without a failure it is wrap-up.
    rest: (Instant, Why),
    /// How often it failed a caller, and from when it may ring for it again.
    failed: BTreeMap<Ticket, (usize, Instant)>,
}

#[derive(Clone)]
struct Caller {
    queue: QueueId,
    customer: Option<CustomerId>,
    place: Place,
    joined: Instant,
    entered: Instant,
    /// Ring-progressively: when the next phone may ring.
    widens: Instant,
    talks_to: Option<(AgentId, Instant)>,
}

/// Until when it rings.
#[derive(Clone)]
struct Offer(Ticket, AgentId, Instant);

#[derive(Default)]
pub(crate) struct Model {
    seed: u64,
    queues: BTreeMap<QueueId, QueueSettings>,
    settings: BTreeMap<AgentId, AgentSettings>,
    agents: BTreeMap<AgentId, Agent>,
    callers: BTreeMap<Ticket, Caller>,
    offers: BTreeMap<OfferId, Offer>,
    turns: BTreeMap<(QueueId, u32), (u32, AgentId)>,
    unstaffed: BTreeMap<QueueId, Instant>,
    kept: BTreeMap<(QueueId, CustomerId), (Caller, Instant)>,
    regulars: BTreeMap<CustomerId, AgentId>,
    joined: u64,
    offered: u64,
    pub(crate) outputs: Vec<Output>,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Returns the ticket of who joined or was answered.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) -> Option<Ticket> {
        let mut reply = None;
        match event {
            Event::Configure(plan) => self.configure(plan, now),
            Event::Join(queue, arrival) => reply = self.join(queue, arrival, now),
            Event::Answer(offer) => reply = self.answer(offer, now),
            Event::Fail(offer, failure) => self.lose(offer, Some(failure), None, now),
            Event::Release(ticket) => self.end_talk(ticket, None, now),
            Event::Vanish(ticket) => self.end_talk(ticket, Some(Failure::NoAnswer), now),
            Event::Status(agent, status) => self.set_status(&agent, status, now),
            Event::Ready(agent) => {
                if let Some(live) = self.agents.get_mut(&agent) {
                    (live.rest.0, live.parked) = (now, false);
                }
            }
            Event::Prolong(agent, by) => {
                if let Some(live) = self.agents.get_mut(&agent)
                    && live.rest.0 > now
                    && live.rest.1.is_none()
                {
                    live.rest.0 += by;
                }
            }
            Event::Reach(agent, reach) => {
                if let Some(live) = self.agents.get_mut(&agent) {
                    live.reach = reach;
                    if reach == Reach::Reachable && live.rest.1 == Some(Failure::Unreachable) {
                        live.rest.0 = now;
                    }
                }
            }
            Event::Leave(ticket, how) => self.leave(ticket, how, now),
            Event::Timeout => {
                for (id, Offer(.., until)) in self.offers.clone() {
                    if until <= now {
                        self.lose(id, Some(Failure::NoAnswer), Some(Withdrawal::NoAnswer), now);
                    }
                }
            }
        }
        self.count_staff(now);
        self.see_off(now);
        self.settle(now);
        reply
    }

    pub(crate) fn position(&self, ticket: Ticket) -> Option<usize> {
        let caller = self.callers.get(&ticket)?;
        let ahead = self.waiting(&caller.queue);
        let ahead = ahead.filter(|other| other.place < caller.place);
        caller.talks_to.is_none().then(|| ahead.count() + 1)
    }

    pub(crate) fn state(&self, agent: &AgentId, now: Instant) -> Option<State> {
        let (until, failure) = self.agents.get(agent)?.rest;
        let talks = |caller: &Caller| caller.talks_to.as_ref().is_some_and(|(to, _)| to == agent);
        let rings = self.offers.iter().find(|(_, offer)| offer.1 == *agent);
        let talking = self.callers.iter().find(|(_, caller)| talks(caller));
        Some(match (rings, talking) {
            (Some((offer, _)), _) => State::Offered(*offer),
            (None, Some((ticket, _))) => State::Talking(*ticket),
            _ if self.agents[agent].parked => State::Parked,
            _ if until > now && failure.is_none() => State::WrapUp { until },
            _ => State::Idle,
        })
    }

    fn waiting(&self, queue: &QueueId) -> impl Iterator<Item = &Caller> {
        let waits = move |caller: &&Caller| caller.talks_to.is_none() && caller.queue == *queue;
        self.callers.values().filter(waits)
    }

    fn count_staff(&mut self, now: Instant) {
        let mut unstaffed = BTreeMap::new();
        for (id, queue) in &self.queues {
            let mut members = queue.members.iter().map(|at| &self.agents[&at.agent]);
            if !members
                .any(|agent| agent.status.takes_calls() && agent.reach != Reach::Unregistered)
            {
                let since = self.unstaffed.get(id).copied().unwrap_or(now);
                unstaffed.insert(id.clone(), since);
            }
        }
        self.unstaffed = unstaffed;
    }

    /// Callers without a queue leave, and those whose time is over unless something rings for them.
    fn see_off(&mut self, now: Instant) {
        for (ticket, caller) in std::mem::take(&mut self.callers) {
            let limit = self.overdue(&caller, now);
            if caller.talks_to.is_none() && !self.queues.contains_key(&caller.queue) {
                self.withdraw_all(ticket, Withdrawal::CallerGone);
                self.outputs.push(Output::QueueGone { ticket });
            } else if let Some(limit) = limit.filter(|_| self.rung(ticket).is_empty()) {
                self.outputs.push(Output::TimedOut { ticket, limit });
            } else {
                self.callers.insert(ticket, caller);
            }
        }
    }

    /// The caller with the highest score chooses first, and so on, over all queues.
    fn settle(&mut self, now: Instant) {
        let mut places: Vec<_> = self.callers.values().map(|caller| caller.place).collect();
        places.sort();
        for (.., ticket) in places {
            let caller = &self.callers[&ticket];
            if caller.talks_to.is_some() || self.overdue(caller, now).is_some() {
                continue;
            }
            let queue = self.queues[&caller.queue].clone();
            let (rung, all) = (self.rung(ticket), queue.strategy == Strategy::RingAll);
            let mut picks = queue.members.clone();
            picks.retain(|at| all && rung.contains(&at.agent) || self.may_ring(at, ticket, now));
            if !all || queue.tier_rules.is_none() {
                let level = picks.iter().map(|at| at.level).min();
                picks.retain(|at| Some(at.level) == level);
            }
            picks.retain(|at| !rung.contains(&at.agent));
            picks.sort_by_cached_key(|at| (at.level, self.rank(&queue, ticket, at, now)));
            let more = queue.strategy == Strategy::RingProgressively && caller.widens <= now;
            if !all {
                picks.truncate(usize::from(rung.is_empty() || more));
            }
            for member in picks {
                self.ring(ticket, &queue, member, now);
            }
        }
    }

    fn overdue(&self, caller: &Caller, now: Instant) -> Option<Limit> {
        let queue = self.queues.get(&caller.queue)?;
        let longest = queue.max_wait_time.filter(|limit| !limit.is_zero());
        let longest = longest.map(|limit| (caller.entered + limit, Limit::MaxWait));
        let unstaffed = self.unstaffed.get(&caller.queue);
        let no_agent = queue.max_wait_time_with_no_agent.zip(unstaffed);
        let no_agent = no_agent.map(|(limit, since)| {
            let least = caller.entered + limit.grace;
            (least.max(*since + limit.max_wait_time), Limit::NoAgent)
        });
        let (end, limit) = longest.into_iter().chain(no_agent).min()?;
        (end <= now && caller.talks_to.is_none()).then_some(limit)
    }

    fn rank(
        &self,
        queue: &QueueSettings,
        ticket: Ticket,
        at: &Membership,
        now: Instant,
    ) -> impl Ord + use<> {
        let live = &self.agents[&at.agent];
        let failed = live.failed.get(&ticket).map_or(0, |past| past.0);
        let seat = |at: &Membership| (at.position, at.agent.clone());
        let turn = self.turns.get(&(queue.id.clone(), at.level));
        let mut rank = (failed, false, None, Duration::ZERO, 0, false, seat(at));
        match queue.strategy {
            Strategy::RingAll | Strategy::SequentiallyByAgentOrder => rank.0 = 0,
            Strategy::TopDown => {}
            Strategy::LongestIdleAgent => rank.2 = Some(live.last_talk.unwrap_or(live.logged_in)),
            Strategy::AgentWithLeastTalkTime => rank.3 = live.talked,
            Strategy::AgentWithFewestCalls => rank.4 = live.calls,
            Strategy::RoundRobin => rank.5 = turn.is_some_and(|last| seat(at) <= *last),
            Strategy::Random => {
                let free =
                    |other: &&Membership| other.level == at.level && self.is_free(other, now);
                let mut free: Vec<_> = queue.members.iter().filter(free).map(seat).collect();
                free.sort();
                let nth = usize::try_from(self.lot() % free.len() as u64).unwrap();
                rank.5 = seat(at) < free[nth];
            }
            Strategy::RingProgressively => {
                let customer = self.callers[&ticket].customer.as_ref();
                let served = customer.and_then(|customer| self.regulars.get(customer));
                rank.1 = served != Some(&at.agent);
            }
        }
        rank
    }

    fn is_free(&self, at: &Membership, now: Instant) -> bool {
        let live = &self.agents[&at.agent];
        live.status.takes_calls()
            && live.reach == Reach::Reachable
            && live.rest.0 <= now
            && self.state(&at.agent, now) == Some(State::Idle)
    }

    fn may_ring(&self, at: &Membership, ticket: Ticket, now: Instant) -> bool {
        let caller = &self.callers[&ticket];
        let queue = &self.queues[&caller.queue];
        let there = |at: &&Membership| self.agents[&at.agent].status != Status::LoggedOut;
        let lowest = queue.members.iter().filter(there).map(|at| at.level).min();
        let is_open = queue.tier_rules.is_none_or(|rules| {
            let times = if rules.multiply_level { at.level } else { 1 };
            at.level == 0
                || rules.no_agent_no_wait && Some(at.level) <= lowest
                || caller.joined + rules.wait * times <= now
        });
        let past = self.agents[&at.agent].failed.get(&ticket);
        is_open && self.is_free(at, now) && past.is_none_or(|past| past.1 <= now)
    }

    fn lot(&self) -> u64 {
        let step = (self.offered + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut lot = self.seed.wrapping_add(step);
        lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        lot ^ (lot >> 31)
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
            why: Picked::default(),
        });
        let until = now + self.settings[&agent].call_timeout;
        let live = Offer(ticket, agent, until);
        self.offers.insert(offer, live);
        let more = queue.strategy == Strategy::RingProgressively;
        let delay = queue.ring_progressively_delay * u32::from(more);
        let caller = self.callers.entry(ticket);
        caller.and_modify(|caller| caller.widens = now + delay);
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
        let talks = |agent: &AgentId| talking.iter().any(|(to, _)| to == agent);
        self.agents.retain(|agent, _| known(agent) || talks(agent));
        let stands = |queue: &QueueId| self.queues.contains_key(queue);
        self.turns.retain(|(queue, _), _| stands(queue));
        self.kept.retain(|(queue, _), _| stands(queue));
        for (id, settings) in &self.settings {
            self.agents.entry(id.clone()).or_insert(Agent {
                status: settings.status.clone(),
                reach: Reach::Unregistered,
                logged_in: now,
                last_talk: None,
                talked: Duration::ZERO,
                calls: 0,
                missed: 0,
                parked: false,
                rest: (now, None),
                failed: BTreeMap::new(),
            });
        }
    }

    fn join(&mut self, queue: QueueId, arrival: Arrival, now: Instant) -> Option<Ticket> {
        if self.waiting(&queue).count() >= self.queues.get(&queue)?.capacity {
            return None;
        }
        let ticket = Ticket(self.joined);
        self.joined += 1;
        let since = now - arrival.head_start;
        let mut caller = Caller {
            queue: queue.clone(),
            customer: arrival.customer.clone(),
            place: (Reverse(arrival.priority), since, ticket, ticket),
            joined: now,
            entered: now,
            widens: now,
            talks_to: None,
        };
        let kept = arrival
            .customer
            .and_then(|id| self.kept.remove(&(queue, id)));
        if let Some((kept, _)) = kept.filter(|(_, until)| now < *until) {
            caller.place = kept.place;
            caller.place.3 = ticket;
            caller.joined = kept.joined;
        }
        self.callers.insert(ticket, caller);
        Some(ticket)
    }

    fn leave(&mut self, ticket: Ticket, how: Departure, now: Instant) {
        self.end_talk(ticket, None, now);
        self.withdraw_all(ticket, Withdrawal::CallerGone);
        if let Some(caller) = self.callers.remove(&ticket)
            && how == Departure::HungUp
            && let Some(customer) = caller.customer.clone()
        {
            let time = self.queues[&caller.queue].abandoned_resume;
            let key = (caller.queue.clone(), customer);
            let until = now + time.unwrap_or_default();
            self.kept.insert(key, (caller, until));
        }
    }

    fn set_status(&mut self, agent: &AgentId, status: Status, now: Instant) {
        let known = self.settings.contains_key(agent);
        let live = self.agents.get_mut(agent).filter(|_| known);
        if let Some(live) = live.filter(|live| live.status != status) {
            if live.status == Status::LoggedOut {
                live.logged_in = now;
            }
            let takes_calls = status.takes_calls();
            live.status = status;
            if takes_calls {
                (live.missed, live.parked) = (0, false);
            } else if let Some(State::Offered(offer)) = self.state(agent, now) {
                self.lose(offer, None, Some(Withdrawal::AgentGone), now);
            }
        }
    }

    fn answer(&mut self, id: OfferId, now: Instant) -> Option<Ticket> {
        let Offer(ticket, agent, _) = self.offers.remove(&id)?;
        self.withdraw_all(ticket, Withdrawal::AnsweredElsewhere);
        self.agents.get_mut(&agent)?.missed = 0;
        self.callers.get_mut(&ticket)?.talks_to = Some((agent, now));
        Some(ticket)
    }

    fn end_talk(&mut self, ticket: Ticket, failure: Why, now: Instant) {
        let talks_to = |caller: &mut Caller| caller.talks_to.take();
        if let Some((agent, since)) = self.callers.get_mut(&ticket).and_then(talks_to) {
            let queue = self.queues.get(&self.callers[&ticket].queue);
            let of_queue = queue.map_or(Duration::ZERO, |queue| queue.wrap_up_time);
            self.rest(&agent, failure, of_queue, now);
            if failure.is_some() {
                return self.blame(ticket, &agent, now);
            }
            let customer = self.callers.remove(&ticket).unwrap().customer;
            self.regulars.extend(customer.zip(Some(agent.clone())));
            self.agents.entry(agent).and_modify(|agent| {
                agent.last_talk = Some(now);
                agent.talked += now - since;
                agent.calls += 1;
            });
        }
    }

    /// A live offer comes to nothing, and is blamed on the agent.
    fn lose(&mut self, offer: OfferId, why: Why, stop: Option<Withdrawal>, now: Instant) {
        if let Some(Offer(ticket, agent, _)) = self.offers.remove(&offer) {
            let withdraw = |cause| Output::Withdraw { offer, cause };
            self.outputs.extend(stop.map(withdraw));
            if why.is_some() {
                self.rest(&agent, why, Duration::ZERO, now);
            }
            self.blame(ticket, &agent, now);
            if why == Some(Failure::NoAnswer) {
                self.miss(ticket, agent, now);
            }
        }
    }

    fn miss(&mut self, ticket: Ticket, agent: AgentId, now: Instant) {
        let queue = &self.queues[&self.callers[&ticket].queue];
        let status = queue.agent_no_answer_status.clone();
        let max = self.settings[&agent].max_no_answer;
        let live = self.agents.get_mut(&agent).unwrap();
        live.missed += 1;
        if max > 0 && live.missed >= max && live.status != status {
            self.set_status(&agent, status.clone(), now);
            self.outputs.push(Output::StatusChanged { agent, status });
        }
    }

    fn withdraw_all(&mut self, ticket: Ticket, cause: Withdrawal) {
        let lost = self.offers.extract_if(.., |_, offer| offer.0 == ticket);
        let lost = lost.map(|(offer, _)| Output::Withdraw { offer, cause });
        self.outputs.extend(lost);
    }

    /// An agent that is gone from the plan goes when it has nothing more to do.
    fn rest(&mut self, agent: &AgentId, failure: Why, of_queue: Duration, now: Instant) {
        let Some(settings) = self.settings.get(agent) else {
            self.agents.remove(agent);
            return;
        };
        let delay = match failure {
            None => settings.wrap_up_time.unwrap_or(of_queue),
            Some(Failure::NoAnswer) => settings.no_answer_delay_time,
            Some(Failure::Rejected) => settings.reject_delay_time,
            Some(Failure::Busy) => settings.busy_delay_time,
            Some(Failure::Unreachable) => Duration::from_secs(5),
        };
        let live = self.agents.entry(agent.clone());
        live.and_modify(|agent| {
            agent.parked = failure.is_none() && agent.status == Status::OnDemand;
            agent.rest = if agent.parked {
                (now, None)
            } else {
                (now + delay, failure)
            };
        });
    }

    fn blame(&mut self, ticket: Ticket, agent: &AgentId, now: Instant) {
        if let Some(live) = self.agents.get_mut(agent) {
            let past = live.failed.entry(ticket).or_insert((0, now));
            let floor = [1, 2, 4, 8].get(past.0).copied().unwrap_or(10);
            *past = (past.0 + 1, now + Duration::from_secs(floor));
        }
    }

    fn rung(&self, ticket: Ticket) -> Vec<AgentId> {
        let offers = self.offers.values().filter(|offer| offer.0 == ticket);
        offers.map(|offer| offer.1.clone()).collect()
    }
}
