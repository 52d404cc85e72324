//! Random days of a small call centre: the engine does what the naive reference does, and keeps the invariants.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use queue::{
    AgentSettings, Arrival, Departure, Engine, Failure, Membership, Needs, NeedsId, NeedsStep,
    NoAgentLimit, OfferId, Output, Plan, QueueSettings, Reach, Skill, Status, Ticket, TierRules,
};

use crate::desk::{STRATEGIES, agent_id, base, customer_id, on_break, queue_id};
use crate::event::{Event, told};
use crate::model::Model;
use crate::watch::Watch;

const AGENTS: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const QUEUES: [&str; 3] = ["sales", "support", "taxes"];
const SKILLS: [&str; 2] = ["english", "french"];
const NEEDS: [&str; 2] = ["hotline", "office"];
const CUSTOMERS: [&str; 3] = ["+1", "+2", "+3"];
/// What happens next; numbers choose among the live and the recently dead.
#[derive(Clone, Debug)]
enum Step {
    Pass(Duration),
    Reload(Plan),
    Join(usize, Arrival),
    Leave(usize, Departure),
    Status(usize, Status),
    Ready(usize),
    Prolong(usize, Duration),
    Reach(usize, Reach),
    Answer(usize),
    Fail(usize, Failure),
    Release(usize),
    Vanish(usize),
    Prefer(usize, u32),
    Hand(usize, usize),
}

fn seconds(choice: &'static [u64]) -> impl Strategy<Value = Duration> {
    select(choice).prop_map(Duration::from_secs)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        4 => Just(Status::Available),
        1 => Just(Status::OnDemand),
        1 => Just(on_break("lunch")),
        1 => Just(Status::LoggedOut),
    ]
}

fn agent(name: &'static str) -> impl Strategy<Value = AgentSettings> {
    let delays = || seconds(&[0, 0, 1, 3, 10]);
    let wrap_up = proptest::option::of(delays());
    let times = (seconds(&[2, 5, 20]), wrap_up, delays(), delays(), delays());
    let calls = (select(&[1, 1, 2, 3][..]), any::<bool>());
    let who = (status(), skills(), 0..3_u32, calls);
    (who, times).prop_map(
        move |((status, skills, max_no_answer, calls), times)| AgentSettings {
            id: agent_id(name),
            status,
            skills,
            call_timeout: times.0,
            wrap_up_time: times.1,
            max_no_answer,
            no_answer_delay_time: times.2,
            reject_delay_time: times.3,
            busy_delay_time: times.4,
            max_calls: NonZeroU8::new(calls.0).expect("some calls"),
            call_waiting: calls.1,
        },
    )
}

fn skills() -> impl Strategy<Value = BTreeMap<Skill, u8>> {
    let skill = (select(&SKILLS[..]), 1..4_u8);
    let skill = skill.prop_map(|(skill, level)| (Skill(skill.into()), level));
    vec(skill, 0..3).prop_map(|skills| skills.into_iter().collect())
}

/// From any moment on, in any order.
fn needs(name: &'static str) -> impl Strategy<Value = Needs> {
    let step = (select(&[0, 0, 1, 3, 8][..]), skills());
    vec(step, 0..4).prop_map(move |steps| {
        let steps: BTreeMap<u64, BTreeMap<Skill, u8>> = steps.into_iter().collect();
        let steps = steps.into_iter().rev().map(|(after, skills)| NeedsStep {
            after: Duration::from_secs(after),
            skills,
        });
        Needs {
            id: NeedsId(name.into()),
            steps: steps.collect(),
        }
    })
}

fn queue(name: &'static str) -> impl Strategy<Value = QueueSettings> {
    let member = proptest::option::weighted(0.7, (0..3_u32, 1..3_u32));
    let members = vec(member, AGENTS.len()).prop_map(|members| {
        let members = std::iter::zip(AGENTS, members);
        let members = members.filter_map(|(name, place)| {
            let (level, position) = place?;
            let agent = agent_id(name);
            Some(Membership {
                agent,
                level,
                position,
            })
        });
        members.collect::<Vec<Membership>>()
    });
    let limit = select(&[None, None, Some(0), Some(7), Some(15)][..]);
    let resume = select(&[None, Some(0), Some(10)][..]);
    let order = (select(&STRATEGIES[..]), seconds(&[1, 2, 5]), tier_rules());
    let limits = (limit, no_agent_limit(), resume, 1..8_usize);
    let agents = (seconds(&[0, 1, 4]), status(), members);
    (order, limits, agents).prop_map(move |(order, limits, agents)| QueueSettings {
        id: queue_id(name),
        strategy: order.0,
        ring_progressively_delay: order.1,
        tier_rules: order.2,
        max_wait_time: limits.0.map(Duration::from_secs),
        max_wait_time_with_no_agent: limits.1,
        abandoned_resume: limits.2.map(Duration::from_secs),
        capacity: limits.3,
        wrap_up_time: agents.0,
        agent_no_answer_status: agents.1,
        members: agents.2,
    })
}

fn tier_rules() -> impl Strategy<Value = Option<TierRules>> {
    let rules = (seconds(&[0, 1, 3, 7]), any::<bool>(), any::<bool>());
    let rules = rules.prop_map(|(wait, multiply_level, no_agent_no_wait)| TierRules {
        wait,
        multiply_level,
        no_agent_no_wait,
    });
    proptest::option::of(rules)
}

fn no_agent_limit() -> impl Strategy<Value = Option<NoAgentLimit>> {
    let limit = (seconds(&[0, 2, 8]), seconds(&[0, 1, 5]));
    let limit = limit.prop_map(|(max_wait_time, grace)| NoAgentLimit {
        max_wait_time,
        grace,
    });
    proptest::option::of(limit)
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let customer = proptest::option::of(select(&CUSTOMERS[..]));
    let priority = select(&[0, 0, 0, 1, 2][..]);
    let head_start = seconds(&[0, 0, 0, 1, 4, 60]);
    let needs = proptest::option::of(select(&NEEDS[..]));
    (customer, priority, head_start, needs).prop_map(|(customer, priority, head_start, needs)| {
        Arrival {
            customer: customer.map(customer_id),
            priority,
            head_start,
            needs: needs.map(|needs| NeedsId(needs.into())),
        }
    })
}

/// Most queues and agents stay from plan to plan.
fn plan() -> impl Strategy<Value = Plan> {
    let stays = |of: usize| vec(proptest::bool::weighted(0.85), of);
    let queues = QUEUES.map(queue);
    let agents = AGENTS.map(agent);
    let needs = vec(select(&NEEDS[..]).prop_flat_map(needs), 0..3);
    let stays = (stays(QUEUES.len()), stays(AGENTS.len()));
    (queues, agents, stays, needs).prop_map(
        |(queues, agents, (queues_stay, agents_stay), needs)| {
            let needs: BTreeMap<_, _> = needs.into_iter().map(|it| (it.id.clone(), it)).collect();
            let mut plan = Plan {
                needs: needs.into_values().collect(),
                ..Plan::default()
            };
            for (agent, stays) in std::iter::zip(agents, agents_stay) {
                plan.agents.extend(stays.then_some(agent));
            }
            for (mut queue, stays) in std::iter::zip(queues, queues_stay) {
                let agents = &plan.agents;
                let known = |member: &Membership| {
                    let mut agents = agents.iter();
                    agents.any(|agent| agent.id == member.agent)
                };
                queue.members.retain(known);
                plan.queues.extend(stays.then_some(queue));
            }
            plan
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let millis = select(&[0, 1, 500, 1_000, 2_000, 3_000, 9_999, 20_000][..]);
    let failures = select(
        &[
            Failure::NoAnswer,
            Failure::Rejected,
            Failure::Busy,
            Failure::Unreachable,
        ][..],
    );
    let reach = prop_oneof![
        3 => Just(Reach::Reachable),
        1 => Just(Reach::Busy),
        1 => Just(Reach::Unregistered),
    ];
    let departure = select(&[Departure::HungUp, Departure::HungUp, Departure::Exit][..]);
    prop_oneof![
        8 => millis.prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => plan().prop_map(Step::Reload),
        8 => (0..QUEUES.len(), arrival()).prop_map(|(queue, who)| Step::Join(queue, who)),
        2 => (0..16_usize, departure).prop_map(|(ticket, how)| Step::Leave(ticket, how)),
        2 => (0..AGENTS.len(), status()).prop_map(|(agent, status)| Step::Status(agent, status)),
        1 => (0..AGENTS.len()).prop_map(Step::Ready),
        1 => (0..AGENTS.len(), seconds(&[1, 4])).prop_map(|(agent, by)| Step::Prolong(agent, by)),
        2 => (0..AGENTS.len(), reach).prop_map(|(agent, reach)| Step::Reach(agent, reach)),
        5 => (0..6_usize).prop_map(Step::Answer),
        5 => (0..6_usize, failures).prop_map(|(offer, failure)| Step::Fail(offer, failure)),
        4 => (0..16_usize).prop_map(Step::Release),
        1 => (0..16_usize).prop_map(Step::Vanish),
        1 => (0..16_usize, 0..3_u32).prop_map(|(ticket, priority)| Step::Prefer(ticket, priority)),
        1 => (0..16_usize, 0..AGENTS.len()).prop_map(|(ticket, agent)| Step::Hand(ticket, agent)),
    ]
}

/// The engine, the reference and the watch, side by side.
struct Bench {
    engine: Engine,
    model: Model,
    watch: Watch,
    now: Instant,
    tickets: Vec<Ticket>,
    offers: Vec<OfferId>,
    /// Since the last comparison.
    outputs: Vec<String>,
}

impl Bench {
    fn new(seed: u64, plan: Plan) -> Self {
        let mut bench = Self {
            engine: Engine::new(seed),
            model: Model::new(seed),
            watch: Watch::default(),
            now: base(),
            tickets: Vec::new(),
            offers: Vec::new(),
            outputs: Vec::new(),
        };
        bench.apply(Event::Configure(plan));
        for agent in AGENTS {
            bench.apply(Event::Reach(agent_id(agent), Reach::Reachable));
        }
        bench
    }

    fn step(&mut self, step: Step) {
        let event = match step {
            Step::Pass(time) => {
                self.pass(time);
                return self.compare();
            }
            Step::Reload(plan) => Event::Configure(plan),
            Step::Join(queue, who) => Event::Join(queue_id(QUEUES[queue]), who),
            Step::Leave(number, how) => Event::Leave(nth_last(&self.tickets, number, Ticket), how),
            Step::Status(agent, status) => Event::Status(agent_id(AGENTS[agent]), status),
            Step::Ready(agent) => Event::Ready(agent_id(AGENTS[agent])),
            Step::Prolong(agent, by) => Event::Prolong(agent_id(AGENTS[agent]), by),
            Step::Reach(agent, reach) => Event::Reach(agent_id(AGENTS[agent]), reach),
            Step::Answer(number) => Event::Answer(nth_last(&self.offers, number, OfferId)),
            Step::Fail(number, failure) => {
                Event::Fail(nth_last(&self.offers, number, OfferId), failure)
            }
            Step::Release(number) => Event::Release(nth_last(&self.tickets, number, Ticket)),
            Step::Vanish(number) => Event::Vanish(nth_last(&self.tickets, number, Ticket)),
            Step::Prefer(number, priority) => {
                Event::Prefer(nth_last(&self.tickets, number, Ticket), priority)
            }
            Step::Hand(number, agent) => {
                let ticket = nth_last(&self.tickets, number, Ticket);
                Event::Hand(ticket, agent_id(AGENTS[agent]))
            }
        };
        self.apply(event);
    }

    fn pass(&mut self, time: Duration) {
        let goal = self.now + time;
        while let Some((due, _)) = self.engine.poll_timeout()
            && due <= goal
        {
            self.now = self.now.max(due);
            self.apply_one(Event::Timeout);
        }
        self.now = goal;
    }

    /// With what is due at the same moment.
    fn apply(&mut self, event: Event) {
        self.apply_one(event);
        self.pass(Duration::ZERO);
        self.compare();
    }

    fn apply_one(&mut self, event: Event) {
        let (reply, outputs) = event.clone().apply(&mut self.engine, self.now);
        self.watch
            .saw(&event, reply, &outputs, self.now, &self.engine);
        let expected = self.model.handle(event, self.now);
        assert_eq!(reply, expected);
        self.tickets.extend(reply);
        for output in &outputs {
            if let Output::Offer { offer, .. } = output {
                self.offers.push(*offer);
            }
        }
        self.outputs.extend(outputs.iter().map(told));
    }

    fn compare(&mut self) {
        let outputs = split(std::mem::take(&mut self.outputs));
        assert_eq!(outputs, split(std::mem::take(&mut self.model.outputs)));
        for agent in AGENTS.map(agent_id) {
            let state = self.model.state(&agent, self.now);
            assert_eq!(self.engine.state(&agent), state, "{agent:?}");
        }
        for &ticket in &self.tickets {
            let position = self.model.position(ticket);
            assert_eq!(self.engine.position(ticket), position, "{ticket:?}");
        }
        self.watch.check_all(self.now, &self.engine);
    }

    fn finish(mut self) {
        for ticket in self.watch.callers().collect::<Vec<_>>() {
            self.apply(Event::Leave(ticket, Departure::Exit));
        }
        self.pass(Duration::from_secs(100));
        self.watch.check_over(&self.engine);
    }
}

/// What stops, in no order, and the offers in theirs.
fn split(outputs: Vec<String>) -> (Vec<String>, Vec<String>) {
    let is_offer = |output: &String| output.starts_with("OfferId");
    let (offers, mut stops): (Vec<_>, Vec<_>) = outputs.into_iter().partition(is_offer);
    stops.sort();
    (stops, offers)
}

/// Mostly live ones, at times one that never was.
fn nth_last<T: Copy>(known: &[T], number: usize, unknown: impl Fn(u64) -> T) -> T {
    let nth = known.iter().rev().nth(number);
    nth.copied().unwrap_or_else(|| unknown(1_000_000))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_engine_does_what_the_reference_does(seed: u64, plan in plan(), steps in vec(step(), 1..120)) {
        let mut bench = Bench::new(seed, plan);
        for step in steps {
            bench.step(step);
        }
        bench.finish();
    }
}
