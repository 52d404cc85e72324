//! The invariants of every queue, checked after each event against what the engine says, without knowing how it decides:
//!
//! 1. a caller waits, talks or has left, and only one of them;
//! 2. an agent has at most one offer, and talks with at most `max_calls`, on demand with one;
//! 3. a talking caller has exactly one agent;
//! 4. nobody is offered who is logged out, unregistered, busy elsewhere, in wrap-up or in a delay;
//! 5. every offer ends within the agent's `call_timeout`;
//! 6. callers of a queue are offered in order of priority and score, unless the agent has just failed the one who goes first, lacks its
//!    skills, or its level is not yet open to that one, or somebody gave the caller to the agent;
//! 7. the sums are right: who joined waits, talks or has left;
//! 8. when everybody has gone, no offer and no timer is left;
//! 9. a pair is not offered within a second of its last failure, unless somebody gave the caller to the agent, or a reload took the agent away and brought a new one of its name;
//! 10. of one event, what stops comes before what rings;
//! 11. every agent of a waiting caller's queue has a reason why it does not ring for it, or rings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, CustomerId, Departure, Engine, Failure, Limit, Needs, NeedsId,
    OfferId, Output, Plan, QueueId, QueueSettings, Reach, State, Status, Ticket, Withdrawal,
};

use crate::event::Event;
use crate::model::{Place, can};

/// The longest floor of a pair.
const FLOOR: Duration = Duration::from_secs(10);

struct Agent {
    settings: AgentSettings,
    planned: bool,
    status: Status,
    parked: bool,
    missed: u32,
    reach: Reach,
    rests_until: Option<Instant>,
    /// The rest is no wrap-up.
    delayed: bool,
    /// The phone's return ends the rest.
    unreachable: bool,
    ringing: Option<OfferId>,
    /// The latest last.
    talking: Vec<Ticket>,
}

struct Caller {
    queue: QueueId,
    customer: Option<CustomerId>,
    needs: Option<NeedsId>,
    place: Place,
    joined: Instant,
    entered: Instant,
    rings: BTreeSet<OfferId>,
    talks_to: Option<AgentId>,
    failed: BTreeMap<AgentId, Instant>,
}

impl Agent {
    /// Once more, until then; the longer rest counts. One that is gone from the plan has no rest more.
    fn rest(&mut self, until: Instant, failure: Option<Failure>, now: Instant) {
        if !self.planned {
            return;
        }
        self.parked |= failure.is_none() && self.status == Status::OnDemand;
        if self.parked {
            (self.rests_until, self.unreachable) = (None, false);
        } else if self
            .rests_until
            .is_none_or(|before| before <= until || before <= now)
        {
            self.rests_until = Some(until);
            self.delayed = failure.is_some();
            self.unreachable = failure == Some(Failure::Unreachable);
        }
    }

    fn set_status(&mut self, status: Status) {
        if status.takes_calls() {
            self.parked = false;
            self.missed = 0;
        }
        self.status = status;
    }
}

/// What became of those who joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) joined: usize,
    pub(crate) offered: usize,
    pub(crate) answered: usize,
    pub(crate) served: usize,
    pub(crate) abandoned: usize,
    pub(crate) timed_out: usize,
    pub(crate) queue_gone: usize,
}

#[derive(Default)]
pub(crate) struct Watch {
    agents: BTreeMap<AgentId, Agent>,
    queues: BTreeMap<QueueId, QueueSettings>,
    needs: BTreeMap<NeedsId, Needs>,
    callers: BTreeMap<Ticket, Caller>,
    offers: BTreeMap<OfferId, (Ticket, AgentId)>,
    ends: BTreeSet<(Instant, OfferId)>,
    /// Callers of each queue for whom nothing rings.
    silent: BTreeMap<QueueId, BTreeSet<Place>>,
    /// The places of those who hung up, and until when.
    kept: BTreeMap<(QueueId, CustomerId), (Place, Instant, Instant)>,
    touched: BTreeSet<AgentId>,
    pub(crate) sums: Sums,
}

impl Watch {
    /// The event was applied to the engine with this reply and these outputs.
    pub(crate) fn saw(
        &mut self,
        event: &Event,
        reply: Option<Ticket>,
        outputs: &[Output],
        now: Instant,
        engine: &Engine,
    ) {
        self.event(event, reply, now);
        let is_offer = |output: &Output| matches!(output, Output::Offer { .. });
        assert!(outputs.is_sorted_by_key(is_offer), "an offer before a stop");
        for output in outputs {
            self.output(output, now);
        }
        if let (Event::Timeout, Some((end, offer))) = (event, self.ends.first()) {
            assert!(*end > now, "{offer:?} rings too long");
        }
        for agent in std::mem::take(&mut self.touched) {
            self.check_agent(&agent, now, engine);
        }
        let Sums {
            joined,
            served,
            abandoned,
            timed_out,
            queue_gone,
            ..
        } = self.sums;
        let left = served + abandoned + timed_out + queue_gone;
        assert_eq!(joined, left + self.callers.len());
    }

    /// Everything, not only what the last event touched.
    pub(crate) fn check_all(&self, now: Instant, engine: &Engine) {
        for agent in self.agents.keys() {
            self.check_agent(agent, now, engine);
        }
        let mut places: BTreeMap<&QueueId, usize> = BTreeMap::new();
        let mut callers: Vec<&Caller> = self.callers.values().collect();
        callers.sort_by_key(|caller| caller.place);
        for caller in callers {
            let place = caller.talks_to.is_none().then(|| {
                let place = places.entry(&caller.queue).or_default();
                *place += 1;
                *place
            });
            assert_eq!(engine.position(caller.place.3), place);
            let why = engine.why(caller.place.3, now);
            assert_eq!(why.as_ref().map(|why| why.position), place);
            for candidate in why.iter().flat_map(|why| &why.candidates) {
                assert!(candidate.held.is_some(), "{candidate:?} is left out");
            }
        }
    }

    /// Nobody is left.
    pub(crate) fn check_over(&self, engine: &Engine) {
        assert!(self.callers.is_empty() && self.offers.is_empty() && self.ends.is_empty());
        assert_eq!(engine.poll_timeout(), None);
    }

    pub(crate) fn callers(&self) -> impl Iterator<Item = Ticket> {
        self.callers.keys().copied()
    }

    fn event(&mut self, event: &Event, reply: Option<Ticket>, now: Instant) {
        match event {
            Event::Configure(plan) => self.configure(plan),
            Event::Join(queue, arrival) => {
                if let Some(ticket) = reply {
                    self.joined(ticket, queue, arrival, now);
                }
            }
            Event::Leave(ticket, how) => self.leave(*ticket, *how, now),
            Event::Status(agent, status) => {
                let live = self.agents.get_mut(agent).filter(|agent| agent.planned);
                if let Some(live) = live.filter(|live| live.status != *status) {
                    live.set_status(status.clone());
                }
            }
            Event::Ready(agent) => {
                if let Some(live) = self.agents.get_mut(agent) {
                    live.rests_until = None;
                    live.parked = false;
                    self.touched.insert(agent.clone());
                }
            }
            Event::Prolong(agent, by) => {
                if let Some(live) = self.agents.get_mut(agent)
                    && !live.delayed
                    && let Some(until) = &mut live.rests_until
                    && *until > now
                {
                    *until += *by;
                    self.touched.insert(agent.clone());
                }
            }
            Event::Reach(agent, reach) => {
                if let Some(live) = self.agents.get_mut(agent) {
                    live.reach = *reach;
                    if *reach == Reach::Reachable && live.unreachable {
                        live.rests_until = None;
                    }
                }
            }
            Event::Answer(offer) => self.answer(*offer, reply),
            Event::Fail(offer, failure) => {
                if self.offers.contains_key(offer) {
                    let (ticket, agent) = self.end_offer(*offer);
                    self.fail(ticket, &agent, *failure, false, now);
                }
            }
            Event::Release(ticket) => {
                if self.talks(*ticket) {
                    self.leave(*ticket, Departure::Exit, now);
                }
            }
            Event::Vanish(ticket) => {
                if self.talks(*ticket) {
                    self.vanish(*ticket, now);
                }
            }
            Event::Prefer(ticket, priority) => self.prefer(*ticket, *priority),
            Event::Hand(..) | Event::Timeout => {}
        }
    }

    fn joined(&mut self, ticket: Ticket, queue: &QueueId, arrival: &Arrival, now: Instant) {
        self.sums.joined += 1;
        let customer = arrival.customer.clone();
        let since = now - arrival.head_start;
        let mut place = (Reverse(arrival.priority), since, ticket, ticket);
        let mut joined = now;
        let kept = customer.clone().and_then(|customer| {
            let kept = self.kept.remove(&(queue.clone(), customer));
            kept.filter(|(.., until)| now < *until)
        });
        if let Some((old, since, _)) = kept {
            // With the better of the two priorities.
            place = (old.0.min(place.0), old.1, old.2, ticket);
            joined = since;
        }
        let silent = self.silent.entry(queue.clone()).or_default();
        silent.insert(place);
        let caller = Caller {
            queue: queue.clone(),
            customer,
            needs: arrival.needs.clone(),
            place,
            joined,
            entered: now,
            rings: BTreeSet::new(),
            talks_to: None,
            failed: BTreeMap::new(),
        };
        assert!(self.callers.insert(ticket, caller).is_none());
    }

    fn output(&mut self, output: &Output, now: Instant) {
        match output {
            Output::Offer {
                offer,
                ticket,
                queue,
                agent,
                why,
            } => {
                if !why.is_by_hand {
                    self.in_turn(*ticket, queue, agent, now);
                }
                self.offer(*offer, *ticket, queue, agent, now);
            }
            Output::Withdraw { offer, cause } => {
                let (ticket, agent) = self.end_offer(*offer);
                match cause {
                    Withdrawal::AnsweredElsewhere => assert!(self.talks(ticket)),
                    // Who left or lost the queue is not told apart here.
                    Withdrawal::CallerGone => {}
                    Withdrawal::NoAnswer => {
                        self.fail(ticket, &agent, Failure::NoAnswer, false, now)
                    }
                    Withdrawal::AgentGone => self.blame(ticket, &agent, now),
                }
            }
            Output::TimedOut { ticket, limit } => {
                match limit {
                    Limit::MaxWait => assert!(self.is_overdue(*ticket, now)),
                    Limit::NoAgent => assert!(!self.is_staffed(&self.callers[ticket].queue)),
                }
                self.forget(*ticket);
                self.sums.timed_out += 1;
            }
            Output::StatusChanged { agent, status } => {
                let live = self.agents.get_mut(agent).expect("a known agent");
                let max = live.settings.max_no_answer;
                assert!(max > 0 && live.missed >= max && live.status != *status);
                live.set_status(status.clone());
                self.touched.insert(agent.clone());
            }
            Output::QueueGone { ticket } => {
                assert!(!self.queues.contains_key(&self.callers[ticket].queue));
                self.forget(*ticket);
                self.sums.queue_gone += 1;
            }
        }
    }

    fn prefer(&mut self, ticket: Ticket, priority: u32) {
        let caller = self.callers.get_mut(&ticket);
        let Some(caller) = caller.filter(|caller| caller.talks_to.is_none()) else {
            return;
        };
        let silent = self.silent.entry(caller.queue.clone()).or_default();
        let was_silent = silent.remove(&caller.place);
        caller.place.0 = Reverse(priority);
        if was_silent {
            silent.insert(caller.place);
        }
    }

    /// The caller may have this agent before all others.
    fn in_turn(&self, ticket: Ticket, queue: &QueueId, agent: &AgentId, now: Instant) {
        assert!(self.is_able(ticket, agent, now), "{agent:?} lacks a skill");
        let place = self.callers[&ticket].place;
        for &(.., ahead) in self.silent[queue].range(..place) {
            let just_failed = self.callers[&ahead].failed.get(agent);
            let held = just_failed.is_some_and(|failed| now < *failed + FLOOR)
                || !self.is_open(ahead, agent, now)
                || !self.is_able(ahead, agent, now);
            assert!(held || self.is_overdue(ahead, now), "out of order");
        }
        if let Some(failed) = self.callers[&ticket].failed.get(agent) {
            assert!(*failed + Duration::from_secs(1) <= now, "too soon again");
        }
    }

    fn offer(
        &mut self,
        offer: OfferId,
        ticket: Ticket,
        queue: &QueueId,
        agent: &AgentId,
        now: Instant,
    ) {
        let caller = self.callers.get_mut(&ticket).expect("a caller who waits");
        let place = caller.place;
        assert!(caller.talks_to.is_none() && caller.queue == *queue);
        caller.rings.insert(offer);
        self.silent.entry(queue.clone()).or_default().remove(&place);
        let live = self.agents.get_mut(agent).expect("an agent of the plan");
        assert!(
            live.planned
                && live.status.takes_calls()
                && !live.parked
                && match live.reach {
                    Reach::Reachable => true,
                    Reach::Busy => live.settings.call_waiting,
                    Reach::Unregistered => false,
                }
        );
        assert!(live.rests_until.is_none_or(|until| until <= now));
        let most = match live.status {
            Status::OnDemand => 1,
            Status::Available | Status::OnBreak(_) | Status::LoggedOut => {
                live.settings.max_calls.get().into()
            }
        };
        assert!(live.ringing.is_none() && live.talking.len() < most);
        live.ringing = Some(offer);
        self.ends.insert((now + live.settings.call_timeout, offer));
        let fresh = self.offers.insert(offer, (ticket, agent.clone()));
        assert!(fresh.is_none(), "an offer used twice");
        self.touched.insert(agent.clone());
        self.sums.offered += 1;
    }

    fn answer(&mut self, offer: OfferId, reply: Option<Ticket>) {
        let live = self.offers.get(&offer).map(|(ticket, _)| *ticket);
        assert_eq!(reply, live);
        if live.is_none() {
            return;
        }
        let (ticket, agent) = self.end_offer(offer);
        self.sums.answered += 1;
        let caller = self.callers.get_mut(&ticket).expect("a caller who waits");
        assert!(caller.talks_to.is_none());
        self.silent
            .entry(caller.queue.clone())
            .or_default()
            .remove(&caller.place);
        caller.talks_to = Some(agent.clone());
        let live = self.agents.get_mut(&agent).expect("a known agent");
        live.talking.push(ticket);
        live.missed = 0;
    }

    fn end_offer(&mut self, offer: OfferId) -> (Ticket, AgentId) {
        let (ticket, agent) = self.offers.remove(&offer).expect("a live offer");
        self.ends.retain(|(_, other)| *other != offer);
        let live = self.agents.get_mut(&agent).expect("a known agent");
        assert_eq!(live.ringing.take(), Some(offer));
        self.drop_unplanned(&agent);
        if let Some(caller) = self.callers.get_mut(&ticket) {
            caller.rings.remove(&offer);
            if caller.rings.is_empty() && caller.talks_to.is_none() {
                let silent = self.silent.entry(caller.queue.clone()).or_default();
                silent.insert(caller.place);
            }
        }
        self.touched.insert(agent.clone());
        (ticket, agent)
    }

    fn fail(
        &mut self,
        ticket: Ticket,
        agent: &AgentId,
        failure: Failure,
        vanished: bool,
        now: Instant,
    ) {
        self.blame(ticket, agent, now);
        if let Some(live) = self.agents.get_mut(agent) {
            let delay = match failure {
                Failure::NoAnswer => live.settings.no_answer_delay_time,
                Failure::Rejected => live.settings.reject_delay_time,
                Failure::Busy => live.settings.busy_delay_time,
                Failure::Unreachable => Duration::from_secs(5),
            };
            live.rest(now + delay, Some(failure), now);
            if failure == Failure::NoAnswer && !vanished {
                live.missed += 1;
            }
        }
    }

    fn blame(&mut self, ticket: Ticket, agent: &AgentId, now: Instant) {
        if self.agents.contains_key(agent) {
            let caller = self.callers.get_mut(&ticket).expect("an agent failed it");
            caller.failed.insert(agent.clone(), now);
        }
    }

    fn leave(&mut self, ticket: Ticket, how: Departure, now: Instant) {
        let Some(caller) = self.callers.get(&ticket) else {
            return;
        };
        if let Some(agent) = caller.talks_to.clone() {
            let queue = self.queues.get(&caller.queue);
            let of_queue = queue.map_or(Duration::ZERO, |queue| queue.wrap_up_time);
            self.sums.served += 1;
            let live = self.end_talk(ticket, &agent);
            let wrap_up = live.settings.wrap_up_time.unwrap_or(of_queue);
            live.rest(now + wrap_up, None, now);
            self.drop_unplanned(&agent);
        } else {
            self.sums.abandoned += 1;
            if let (Departure::HungUp, Some(customer)) = (how, caller.customer.clone()) {
                let time = self.queues[&caller.queue].abandoned_resume;
                let until = now + time.unwrap_or_default();
                let key = (caller.queue.clone(), customer);
                self.kept.insert(key, (caller.place, caller.joined, until));
            }
        }
        self.forget(ticket);
    }

    fn vanish(&mut self, ticket: Ticket, now: Instant) {
        let caller = self.callers.get_mut(&ticket).expect("it talks");
        let agent = caller.talks_to.take().expect("it talks");
        let silent = self.silent.entry(caller.queue.clone()).or_default();
        silent.insert(caller.place);
        self.end_talk(ticket, &agent);
        self.fail(ticket, &agent, Failure::NoAnswer, true, now);
        self.drop_unplanned(&agent);
    }

    fn end_talk(&mut self, ticket: Ticket, agent: &AgentId) -> &mut Agent {
        self.touched.insert(agent.clone());
        let live = self.agents.get_mut(agent).expect("it talks");
        assert!(live.talking.contains(&ticket));
        live.talking.retain(|other| *other != ticket);
        live
    }

    /// An agent of the same name who comes later is a new one.
    fn drop_unplanned(&mut self, agent: &AgentId) {
        let live = &self.agents[agent];
        if !live.planned && live.talking.is_empty() && live.ringing.is_none() {
            self.agents.remove(agent);
            for caller in self.callers.values_mut() {
                caller.failed.remove(agent);
            }
        }
    }

    fn forget(&mut self, ticket: Ticket) {
        if let Some(caller) = self.callers.remove(&ticket) {
            let silent = self.silent.entry(caller.queue).or_default();
            silent.remove(&caller.place);
        }
    }

    fn configure(&mut self, plan: &Plan) {
        let queues = plan.queues.iter().rev();
        self.queues = queues
            .map(|queue| (queue.id.clone(), queue.clone()))
            .collect();
        let needs = plan.needs.iter();
        self.needs = needs.map(|it| (it.id.clone(), it.clone())).collect();
        let queues = &self.queues;
        self.kept.retain(|(queue, _), _| queues.contains_key(queue));
        for agent in self.agents.values_mut() {
            agent.planned = false;
        }
        for settings in &plan.agents {
            let agent = self.agents.entry(settings.id.clone());
            let agent = agent.or_insert_with(|| Agent {
                settings: settings.clone(),
                planned: true,
                status: settings.status.clone(),
                parked: false,
                missed: 0,
                reach: Reach::Unregistered,
                rests_until: None,
                delayed: false,
                unreachable: false,
                ringing: None,
                talking: Vec::new(),
            });
            agent.planned = true;
            agent.settings = settings.clone();
        }
        for agent in self.agents.keys().cloned().collect::<Vec<_>>() {
            self.drop_unplanned(&agent);
        }
    }

    fn talks(&self, ticket: Ticket) -> bool {
        let caller = self.callers.get(&ticket);
        caller.is_some_and(|caller| caller.talks_to.is_some())
    }

    fn is_overdue(&self, ticket: Ticket, now: Instant) -> bool {
        let caller = &self.callers[&ticket];
        let queue = self.queues.get(&caller.queue);
        let limit = queue.and_then(|queue| queue.max_wait_time);
        limit.is_some_and(|limit| !limit.is_zero() && caller.entered + limit <= now)
    }

    fn is_staffed(&self, queue: &QueueId) -> bool {
        let mut members = self.queues[queue].members.iter();
        members.any(|member| {
            let agent = &self.agents[&member.agent];
            agent.status.takes_calls() && agent.reach != Reach::Unregistered
        })
    }

    /// Whether the caller has waited for the agent's level; a level may be open without.
    fn is_open(&self, ticket: Ticket, agent: &AgentId, now: Instant) -> bool {
        let caller = &self.callers[&ticket];
        let queue = &self.queues[&caller.queue];
        let mut members = queue.members.iter();
        let member = members.find(|member| member.agent == *agent);
        let level = member.expect("it serves").level;
        queue.tier_rules.is_none_or(|rules| {
            let times = if rules.multiply_level { level } else { 1 };
            level == 0 || caller.joined + rules.wait * times <= now
        })
    }

    fn is_able(&self, ticket: Ticket, agent: &AgentId, now: Instant) -> bool {
        let caller = &self.callers[&ticket];
        let needs = caller.needs.as_ref().and_then(|id| self.needs.get(id));
        can(
            &self.agents[agent].settings.skills,
            needs,
            now - caller.joined,
        )
    }

    fn check_agent(&self, id: &AgentId, now: Instant, engine: &Engine) {
        let Some(agent) = self.agents.get(id) else {
            assert_eq!(engine.state(id), None);
            return;
        };
        let state = engine.state(id).expect("a known agent");
        for ticket in &agent.talking {
            assert_eq!(self.callers[ticket].talks_to.as_ref(), Some(id));
        }
        match (agent.ringing, agent.talking.last()) {
            (Some(offer), _) => assert_eq!(state, State::Offered(offer)),
            (None, Some(ticket)) => assert_eq!(state, State::Talking(*ticket)),
            (None, None) => {
                let rests = agent.rests_until.filter(|until| *until > now);
                match state {
                    State::Idle => {}
                    State::WrapUp { until } => assert_eq!(Some(until), rests),
                    State::Parked => assert!(agent.parked),
                    State::Offered(_) | State::Talking(_) => panic!("a ghost: {state:?}"),
                }
            }
        }
    }
}
