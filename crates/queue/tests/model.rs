//! A naive reference of the engine: maps and scans, nothing kept that can be worked out. Some 600 lines of code.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, CustomerId, Departure, Failure, Limit, Membership, Needs,
    NeedsId, OfferId, Output, Plan, QueueId, QueueSettings, Reach, Skill, State, Status, Strategy,
    Ticket, Withdrawal,
};

use crate::event::{Event, told};

/// `None`: the agent did nothing wrong.
type Why = Option<Failure>;
/// In the order in which callers are served.
pub(crate) type Place = (Reverse<u32>, Instant, Ticket, Ticket);

struct Agent {
    status: Status,
    reach: Reach,
    logged_in: Instant,
    /// Until when; without a failure it is wrap-up.
    rest: (Instant, Why),
    did: Did,
}

#[derive(Default)]
struct Did {
    /// Beginning and end of each conversation.
    talks: Vec<(Instant, Instant)>,
    missed: u32,
    parked: bool,
    /// How often it failed a caller, and from when it may ring for it again.
    failed: BTreeMap<Ticket, (usize, Instant)>,
}

#[derive(Clone)]
struct Caller {
    queue: QueueId,
    customer: Option<CustomerId>,
    needs: Option<NeedsId>,
    place: Place,
    joined: Instant,
    entered: Instant,
    /// Ring-progressively: when the next phone may ring.
    widens: Instant,
    /// With whom, since when; of several of an agent the last is the latest.
    talks_to: Option<(AgentId, Instant, u64)>,
}

#[derive(Default)]
pub(crate) struct Model {
    seed: u64,
    time: Option<Instant>,
    queues: BTreeMap<QueueId, QueueSettings>,
    settings: BTreeMap<AgentId, AgentSettings>,
    needs: BTreeMap<NeedsId, Needs>,
    agents: BTreeMap<AgentId, Agent>,
    callers: BTreeMap<Ticket, Caller>,
    /// For whom, at whose phone, until when.
    offers: BTreeMap<OfferId, (Ticket, AgentId, Instant)>,
    turns: BTreeMap<(QueueId, u32), (u32, AgentId)>,
    unstaffed: BTreeMap<QueueId, Instant>,
    kept: BTreeMap<(QueueId, CustomerId), (Caller, Instant)>,
    regulars: BTreeMap<CustomerId, AgentId>,
    joined: u64,
    offered: u64,
    answered: u64,
    pub(crate) outputs: Vec<String>,
}

/// Whether an agent with these skills can serve who has waited so long.
pub(crate) fn can(skills: &BTreeMap<Skill, u8>, needs: Option<&Needs>, waited: Duration) -> bool {
    let steps = needs.into_iter().flat_map(|needs| &needs.steps);
    let steps = steps.filter(|step| step.after <= waited);
    let step = steps.max_by_key(|step| step.after);
    let mut least = step.into_iter().flat_map(|step| &step.skills);
    least.all(|(skill, least)| skills.get(skill).is_some_and(|level| level >= least))
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let model = Self::default();
        Self { seed, ..model }
    }

    /// Returns the ticket of who joined or was answered.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) -> Option<Ticket> {
        self.time = Some(now);
        let mut reply = None;
        match event {
            Event::Configure(plan) => self.configure(plan),
            Event::Join(queue, arrival) => reply = self.join(queue, arrival),
            Event::Answer(offer) => reply = self.answer(offer),
            Event::Fail(offer, failure) => self.lose(offer, Some(failure), None),
            Event::Release(ticket) => self.end_talk(ticket, None),
            Event::Vanish(ticket) => self.end_talk(ticket, Some(Failure::NoAnswer)),
            Event::Leave(ticket, how) => self.leave(ticket, how),
            Event::Status(agent, status) => self.set_status(&agent, status),
            Event::Ready(agent) => self.change(&agent, |live| {
                (live.rest.0, live.did.parked) = (now, false);
            }),
            Event::Prolong(agent, by) => self.change(&agent, |live| {
                let wraps_up = live.rest.0 > now && live.rest.1.is_none();
                live.rest.0 += by * u32::from(wraps_up);
            }),
            Event::Reach(agent, reach) => self.change(&agent, |live| {
                live.reach = reach;
                if reach == Reach::Reachable && live.rest.1 == Some(Failure::Unreachable) {
                    live.rest.0 = now;
                }
            }),
            Event::Prefer(ticket, priority) => {
                let caller = self.callers.get_mut(&ticket);
                if let Some(caller) = caller.filter(|caller| caller.talks_to.is_none()) {
                    caller.place.0 = Reverse(priority);
                }
            }
            Event::Hand(ticket, agent) => self.hand(ticket, &agent),
            Event::Timeout => {
                let late = self.offers.clone().into_iter();
                for (id, _) in late.filter(|(_, (.., until))| *until <= now) {
                    self.lose(id, Some(Failure::NoAnswer), Some(Withdrawal::NoAnswer));
                }
            }
        }
        self.count_staff();
        self.see_off();
        self.settle();
        reply
    }

    pub(crate) fn position(&self, ticket: Ticket) -> Option<usize> {
        let caller = self.callers.get(&ticket)?;
        let ahead = self.waiting(&caller.queue);
        let ahead = ahead.filter(|other| other.place < caller.place);
        caller.talks_to.is_none().then(|| ahead.count() + 1)
    }

    pub(crate) fn state(&self, agent: &AgentId, now: Instant) -> Option<State> {
        let live = self.agents.get(agent)?;
        let (until, failure) = live.rest;
        let rings = self.offers.iter().find(|(_, offer)| offer.1 == *agent);
        let talking = self.talks(agent).max();
        Some(match (rings, talking) {
            (Some((offer, _)), _) => State::Offered(*offer),
            (None, Some((_, ticket))) => State::Talking(ticket),
            _ if live.did.parked => State::Parked,
            _ if until > now && failure.is_none() => State::WrapUp { until },
            _ => State::Idle,
        })
    }

    /// With whom the agent talks, and the how many-eth answer each was.
    fn talks(&self, agent: &AgentId) -> impl Iterator<Item = (u64, Ticket)> {
        self.callers.iter().filter_map(move |(ticket, caller)| {
            let (to, _, answer) = caller.talks_to.as_ref()?;
            (to == agent).then_some((*answer, *ticket))
        })
    }

    fn now(&self) -> Instant {
        self.time.expect("an event has a time")
    }

    fn tell(&mut self, output: &Output) {
        self.outputs.push(told(output));
    }

    fn change(&mut self, agent: &AgentId, change: impl FnOnce(&mut Agent)) {
        if let Some(live) = self.agents.get_mut(agent) {
            change(live);
        }
    }

    fn waiting(&self, queue: &QueueId) -> impl Iterator<Item = &Caller> {
        let waits = move |caller: &&Caller| caller.talks_to.is_none() && caller.queue == *queue;
        self.callers.values().filter(waits)
    }

    fn count_staff(&mut self) {
        let is_there = |at: &Membership| {
            let live = &self.agents[&at.agent];
            live.status.takes_calls() && live.reach != Reach::Unregistered
        };
        let empty = |queue: &&QueueSettings| !queue.members.iter().any(is_there);
        let since = |id| self.unstaffed.get(id).copied().unwrap_or(self.now());
        let empty = self.queues.values().filter(empty);
        self.unstaffed = empty.map(|it| (it.id.clone(), since(&it.id))).collect();
    }

    /// Callers without a queue leave, and those whose time is over unless something rings for them.
    fn see_off(&mut self) {
        for (ticket, caller) in std::mem::take(&mut self.callers) {
            let limit = self.overdue(&caller);
            if caller.talks_to.is_none() && !self.queues.contains_key(&caller.queue) {
                self.withdraw_all(ticket, Withdrawal::CallerGone);
                self.tell(&Output::QueueGone { ticket });
            } else if let Some(limit) = limit.filter(|_| self.rung(ticket).is_empty()) {
                self.tell(&Output::TimedOut { ticket, limit });
            } else {
                self.callers.insert(ticket, caller);
            }
        }
    }

    fn overdue(&self, caller: &Caller) -> Option<Limit> {
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
        (end <= self.now() && caller.talks_to.is_none()).then_some(limit)
    }

    /// The caller with the highest score chooses first, and so on, over all queues.
    fn settle(&mut self) {
        let mut places: Vec<_> = self.callers.values().map(|caller| caller.place).collect();
        places.sort();
        for (.., ticket) in places {
            let caller = &self.callers[&ticket];
            if caller.talks_to.is_some() || self.overdue(caller).is_some() {
                continue;
            }
            let queue = self.queues[&caller.queue].clone();
            let (rung, all) = (self.rung(ticket), queue.strategy == Strategy::RingAll);
            let mut picks = queue.members.clone();
            picks.retain(|at| all && rung.contains(&at.agent) || self.may_ring(at, ticket));
            let level = picks.iter().map(|at| at.level).min();
            let all_levels = all && queue.tier_rules.is_some();
            picks.retain(|at| all_levels || Some(at.level) == level);
            picks.retain(|at| !rung.contains(&at.agent));
            picks.sort_by_cached_key(|at| {
                let talks = self.talks(&at.agent).count();
                (at.level, talks, self.rank(&queue, ticket, at))
            });
            let widens = caller.widens <= self.now();
            let more = queue.strategy == Strategy::RingProgressively && widens;
            let most = if all {
                picks.len()
            } else {
                usize::from(rung.is_empty() || more)
            };
            for member in picks.into_iter().take(most) {
                self.ring(ticket, &queue, member);
            }
        }
    }

    fn rank(&self, queue: &QueueSettings, ticket: Ticket, at: &Membership) -> impl Ord + use<> {
        let Agent { did, logged_in, .. } = &self.agents[&at.agent];
        let failed = did.failed.get(&ticket).map_or(0, |past| past.0);
        let seat = |at: &Membership| (at.position, at.agent.clone());
        let turn = self.turns.get(&(queue.id.clone(), at.level));
        let talked = did.talks.iter().map(|(start, end)| *end - *start);
        let mut rank = (failed, false, None, Duration::ZERO, 0, false, seat(at));
        match queue.strategy {
            Strategy::RingAll | Strategy::SequentiallyByAgentOrder => rank.0 = 0,
            Strategy::TopDown => {}
            Strategy::LongestIdleAgent => {
                rank.2 = Some(did.talks.last().map_or(*logged_in, |talk| talk.1));
            }
            Strategy::AgentWithLeastTalkTime => rank.3 = talked.sum(),
            Strategy::AgentWithFewestCalls => rank.4 = did.talks.len(),
            Strategy::RoundRobin => rank.5 = turn.is_some_and(|last| seat(at) <= *last),
            Strategy::Random => {
                let talks = |at: &Membership| (at.level, self.talks(&at.agent).count());
                let free = |other: &&Membership| {
                    talks(other) == talks(at) && self.is_free(other) && self.is_able(other, ticket)
                };
                let mut free: Vec<_> = queue.members.iter().filter(free).map(seat).collect();
                free.sort();
                let nth = usize::try_from(self.lot() % free.len() as u64).expect("few agents");
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

    fn lot(&self) -> u64 {
        let step = (self.offered + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut lot = self.seed.wrapping_add(step);
        lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        lot ^ (lot >> 31)
    }

    fn is_free(&self, at: &Membership) -> bool {
        let live = &self.agents[&at.agent];
        let settings = &self.settings[&at.agent];
        let reachable = match live.reach {
            Reach::Reachable => true,
            Reach::Busy => settings.call_waiting,
            Reach::Unregistered => false,
        };
        let rested = live.rest.0 <= self.now() && !live.did.parked;
        let rings = self.offers.values().any(|offer| offer.1 == at.agent);
        let on_demand = live.status == Status::OnDemand;
        let most = if on_demand {
            1
        } else {
            settings.max_calls.get().into()
        };
        let has_line = self.talks(&at.agent).count() < most;
        live.status.takes_calls() && reachable && rested && !rings && has_line
    }

    fn is_able(&self, at: &Membership, ticket: Ticket) -> bool {
        let caller = &self.callers[&ticket];
        let needs = caller.needs.as_ref().and_then(|id| self.needs.get(id));
        let skills = &self.settings[&at.agent].skills;
        can(skills, needs, self.now() - caller.joined)
    }

    fn may_ring(&self, at: &Membership, ticket: Ticket) -> bool {
        let caller = &self.callers[&ticket];
        let queue = &self.queues[&caller.queue];
        let there = |at: &&Membership| self.agents[&at.agent].status != Status::LoggedOut;
        let able = |at: &&Membership| self.is_able(at, ticket);
        let there = queue.members.iter().filter(able).filter(there);
        let lowest = there.map(|at| at.level).min();
        let is_open = queue.tier_rules.is_none_or(|rules| {
            let times = if rules.multiply_level { at.level } else { 1 };
            let has_waited = caller.joined + rules.wait * times <= self.now();
            let is_lowest = rules.no_agent_no_wait && Some(at.level) <= lowest;
            at.level == 0 || is_lowest || has_waited
        });
        let past = self.agents[&at.agent].did.failed.get(&ticket);
        is_open && able(&at) && self.is_free(at) && past.is_none_or(|past| past.1 <= self.now())
    }

    fn ring(&mut self, ticket: Ticket, queue: &QueueSettings, member: Membership) {
        let Membership { agent, level, .. } = member;
        if queue.strategy == Strategy::RoundRobin {
            let turn = (member.position, agent.clone());
            self.turns.insert((queue.id.clone(), level), turn);
        }
        let offer = OfferId(self.offered);
        self.offered += 1;
        let (queue_id, why) = (queue.id.clone(), queue::Picked::default());
        self.tell(&Output::Offer {
            offer,
            ticket,
            queue: queue_id,
            agent: agent.clone(),
            why,
        });
        let more = u32::from(queue.strategy == Strategy::RingProgressively);
        let widens = self.now() + queue.ring_progressively_delay * more;
        self.callers
            .entry(ticket)
            .and_modify(|caller| caller.widens = widens);
        let until = self.now() + self.settings[&agent].call_timeout;
        self.offers.insert(offer, (ticket, agent, until));
    }

    fn hand(&mut self, ticket: Ticket, agent: &AgentId) {
        let caller = self.callers.get(&ticket);
        let Some(caller) = caller.filter(|caller| caller.talks_to.is_none()) else {
            return;
        };
        let queue = self.queues[&caller.queue].clone();
        let mut members = queue.members.iter().filter(|at| at.agent == *agent);
        if let Some(member) = members.next().filter(|at| self.is_free(at)) {
            self.ring(ticket, &queue, member.clone());
        }
    }

    fn configure(&mut self, plan: Plan) {
        let now = self.now();
        self.queues = plan
            .queues
            .into_iter()
            .map(|it| (it.id.clone(), it))
            .collect();
        self.settings = plan
            .agents
            .into_iter()
            .map(|it| (it.id.clone(), it))
            .collect();
        let needs = plan.needs.into_iter();
        self.needs = needs.map(|it| (it.id.clone(), it)).collect();
        for (id, (ticket, agent, _)) in self.offers.clone() {
            let queue = self.queues.get(&self.callers[&ticket].queue);
            let strange = |at: &Membership| at.agent != agent;
            if queue.is_some_and(|queue| queue.members.iter().all(strange)) {
                self.lose(id, None, Some(Withdrawal::AgentGone));
            }
        }
        let callers = self.callers.values();
        let talking: Vec<_> = callers.flat_map(|caller| &caller.talks_to).collect();
        let talks = |agent: &AgentId| talking.iter().any(|(to, ..)| to == agent);
        let known = &self.settings;
        self.agents
            .retain(|agent, _| known.contains_key(agent) || talks(agent));
        self.turns
            .retain(|(queue, _), _| self.queues.contains_key(queue));
        self.kept
            .retain(|(queue, _), _| self.queues.contains_key(queue));
        for (id, settings) in &self.settings {
            self.agents.entry(id.clone()).or_insert_with(|| Agent {
                status: settings.status.clone(),
                reach: Reach::Unregistered,
                logged_in: now,
                rest: (now, None),
                did: Did::default(),
            });
        }
    }

    fn join(&mut self, queue: QueueId, arrival: Arrival) -> Option<Ticket> {
        if self.waiting(&queue).count() >= self.queues.get(&queue)?.capacity {
            return None;
        }
        let (ticket, now) = (Ticket(self.joined), self.now());
        self.joined += 1;
        let key = arrival
            .customer
            .clone()
            .map(|customer| (queue.clone(), customer));
        let kept = key.and_then(|key| self.kept.remove(&key));
        let kept = kept.filter(|(_, until)| now < *until).map(|(kept, _)| kept);
        let since = now - arrival.head_start;
        let place = (Reverse(arrival.priority), since, ticket, ticket);
        let caller = Caller {
            queue,
            customer: arrival.customer,
            needs: arrival.needs,
            place: kept.as_ref().map_or(place, |kept| {
                let better = kept.place.0.min(place.0);
                (better, kept.place.1, kept.place.2, ticket)
            }),
            joined: kept.map_or(now, |kept| kept.joined),
            entered: now,
            widens: now,
            talks_to: None,
        };
        self.callers.insert(ticket, caller);
        Some(ticket)
    }

    fn leave(&mut self, ticket: Ticket, how: Departure) {
        self.end_talk(ticket, None);
        self.withdraw_all(ticket, Withdrawal::CallerGone);
        if let Some(caller) = self.callers.remove(&ticket)
            && let (Departure::HungUp, Some(customer)) = (how, caller.customer.clone())
        {
            let time = self.queues[&caller.queue].abandoned_resume;
            let until = self.now() + time.unwrap_or_default();
            self.kept
                .insert((caller.queue.clone(), customer), (caller, until));
        }
    }

    fn set_status(&mut self, agent: &AgentId, status: Status) {
        let (now, known) = (self.now(), self.settings.contains_key(agent));
        let live = self.agents.get_mut(agent).filter(|_| known);
        let Some(live) = live.filter(|live| live.status != status) else {
            return;
        };
        if live.status == Status::LoggedOut {
            live.logged_in = now;
        }
        let takes_calls = status.takes_calls();
        live.status = status;
        if takes_calls {
            (live.did.missed, live.did.parked) = (0, false);
        } else if let Some(State::Offered(offer)) = self.state(agent, now) {
            self.lose(offer, None, Some(Withdrawal::AgentGone));
        }
    }

    fn answer(&mut self, id: OfferId) -> Option<Ticket> {
        let (ticket, agent, _) = self.offers.remove(&id)?;
        self.withdraw_all(ticket, Withdrawal::AnsweredElsewhere);
        self.change(&agent, |live| live.did.missed = 0);
        let now = self.now();
        self.answered += 1;
        self.callers.get_mut(&ticket)?.talks_to = Some((agent, now, self.answered));
        Some(ticket)
    }

    fn end_talk(&mut self, ticket: Ticket, failure: Why) {
        let now = self.now();
        let talks_to = |caller: &mut Caller| caller.talks_to.take();
        let Some((agent, since, _)) = self.callers.get_mut(&ticket).and_then(talks_to) else {
            return;
        };
        let queue = self.queues.get(&self.callers[&ticket].queue);
        self.rest(
            &agent,
            failure,
            queue.map_or(Duration::ZERO, |queue| queue.wrap_up_time),
        );
        if failure.is_some() {
            return self.blame(ticket, &agent);
        }
        let customer = self
            .callers
            .remove(&ticket)
            .and_then(|caller| caller.customer);
        self.regulars.extend(customer.zip(Some(agent.clone())));
        self.change(&agent, |live| live.did.talks.push((since, now)));
    }

    /// A live offer comes to nothing, and is blamed on the agent.
    fn lose(&mut self, offer: OfferId, why: Why, stop: Option<Withdrawal>) {
        let Some((ticket, agent, _)) = self.offers.remove(&offer) else {
            return;
        };
        if let Some(cause) = stop {
            self.tell(&Output::Withdraw { offer, cause });
        }
        if why.is_some() {
            self.rest(&agent, why, Duration::ZERO);
        }
        self.blame(ticket, &agent);
        if why == Some(Failure::NoAnswer) {
            self.change(&agent, |live| live.did.missed += 1);
            let status = self.queues[&self.callers[&ticket].queue]
                .agent_no_answer_status
                .clone();
            let (live, max) = (&self.agents[&agent], self.settings[&agent].max_no_answer);
            if max > 0 && live.did.missed >= max && live.status != status {
                self.set_status(&agent, status.clone());
                self.tell(&Output::StatusChanged { agent, status });
            }
        }
    }

    fn withdraw_all(&mut self, ticket: Ticket, cause: Withdrawal) {
        let lost = self.offers.extract_if(.., |_, offer| offer.0 == ticket);
        for (offer, _) in lost.collect::<Vec<_>>() {
            self.tell(&Output::Withdraw { offer, cause });
        }
    }

    /// An agent that is gone from the plan goes when it has nothing more to do.
    fn rest(&mut self, agent: &AgentId, failure: Why, of_queue: Duration) {
        let Some(settings) = self.settings.get(agent) else {
            if self.talks(agent).count() == 0 {
                self.agents.remove(agent);
            }
            return;
        };
        let delay = match failure {
            None => settings.wrap_up_time.unwrap_or(of_queue),
            Some(Failure::NoAnswer) => settings.no_answer_delay_time,
            Some(Failure::Rejected) => settings.reject_delay_time,
            Some(Failure::Busy) => settings.busy_delay_time,
            Some(Failure::Unreachable) => Duration::from_secs(5),
        };
        let now = self.now();
        self.change(agent, |live| {
            live.did.parked |= failure.is_none() && live.status == Status::OnDemand;
            if live.did.parked {
                live.rest = (now, None);
            } else if live.rest.0 <= now + delay {
                live.rest = (now + delay, failure);
            }
        });
    }

    fn blame(&mut self, ticket: Ticket, agent: &AgentId) {
        let now = self.now();
        self.change(agent, |live| {
            let past = live.did.failed.entry(ticket).or_insert((0, now));
            let floor = [1, 2, 4, 8].get(past.0).copied().unwrap_or(10);
            *past = (past.0 + 1, now + Duration::from_secs(floor));
        });
    }

    fn rung(&self, ticket: Ticket) -> Vec<AgentId> {
        let offers = self.offers.values().filter(|offer| offer.0 == ticket);
        offers.map(|offer| offer.1.clone()).collect()
    }
}
