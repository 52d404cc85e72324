//! A call centre of words: agents by name, callers as `#0`, `#1` in order of joining, what happens as short sentences.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, BreakReason, CustomerId, Departure, Engine, Failure, Held,
    Membership, Needs, NeedsId, NeedsStep, OfferId, Output, Plan, QueueId, QueueSettings, Reach,
    Refused, Skill, State, Status, Strategy, Ticket,
};

pub(crate) const STRATEGIES: [Strategy; 9] = [
    Strategy::RingAll,
    Strategy::LongestIdleAgent,
    Strategy::RoundRobin,
    Strategy::TopDown,
    Strategy::AgentWithLeastTalkTime,
    Strategy::AgentWithFewestCalls,
    Strategy::SequentiallyByAgentOrder,
    Strategy::Random,
    Strategy::RingProgressively,
];

/// All instants of all tests count from here.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made from nothing"
)]
pub(crate) fn base() -> Instant {
    Instant::now()
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(crate) fn agent_id(name: &str) -> AgentId {
    AgentId(name.into())
}

pub(crate) fn queue_id(name: &str) -> QueueId {
    QueueId(name.into())
}

pub(crate) fn on_break(reason: &str) -> Status {
    Status::OnBreak(BreakReason(reason.into()))
}

pub(crate) fn customer_id(number: &str) -> CustomerId {
    CustomerId(number.into())
}

/// An agent as in 000: available, 10 s after each failure; rings for 20 s, no wrap-up.
pub(crate) fn agent(name: &str) -> AgentSettings {
    AgentSettings {
        id: agent_id(name),
        status: Status::Available,
        skills: BTreeMap::new(),
        call_timeout: seconds(20.0),
        wrap_up_time: None,
        max_no_answer: 0,
        no_answer_delay_time: seconds(10.0),
        reject_delay_time: seconds(10.0),
        busy_delay_time: seconds(10.0),
        max_calls: NonZeroU8::MIN,
        call_waiting: false,
    }
}

/// `english 90, french 1`.
pub(crate) fn skills(words: &str) -> BTreeMap<Skill, u8> {
    let words = words.split(", ").filter(|word| !word.is_empty());
    let skill = |word: &str| {
        let (skill, level) = word.split_once(' ').expect("a skill and its level");
        (Skill(skill.into()), level.parse().expect("a level"))
    };
    words.map(skill).collect()
}

/// Steps: from how many seconds on, and what is needed then.
pub(crate) fn needs(name: &str, steps: &[(f64, &str)]) -> Needs {
    let steps = steps.iter().map(|(after, words)| NeedsStep {
        after: seconds(*after),
        skills: skills(words),
    });
    Needs {
        id: NeedsId(name.into()),
        steps: steps.collect(),
    }
}

/// `members`: `name` or `name@level` or `name@level.position`, otherwise positions count from 1.
pub(crate) fn queue(name: &str, strategy: Strategy, members: &str) -> QueueSettings {
    let member = |(index, word): (usize, &str)| {
        let (agent, place) = word.split_once('@').unwrap_or((word, "1"));
        let (level, position) = match place.split_once('.') {
            Some((level, position)) => (level, position.parse().expect("a position")),
            None => (place, u32::try_from(index).expect("few members") + 1),
        };
        Membership {
            agent: agent_id(agent),
            level: level.parse().expect("a level"),
            position,
        }
    };
    QueueSettings {
        id: queue_id(name),
        strategy,
        ring_progressively_delay: seconds(10.0),
        tier_rules: None,
        max_wait_time: None,
        max_wait_time_with_no_agent: None,
        abandoned_resume: None,
        wrap_up_time: Duration::ZERO,
        agent_no_answer_status: on_break("no answer"),
        capacity: 100,
        members: members.split_whitespace().enumerate().map(member).collect(),
    }
}

/// These queues, and an `agent` of each name in them.
pub(crate) fn plan(queues: &[QueueSettings]) -> Plan {
    let members = queues.iter().flat_map(|queue| &queue.members);
    let agents: BTreeMap<&AgentId, AgentSettings> = members
        .map(|member| (&member.agent, agent(&member.agent.0)))
        .collect();
    Plan {
        queues: queues.to_vec(),
        agents: agents.into_values().collect(),
        needs: Vec::new(),
    }
}

/// The plan, with every agent changed.
pub(crate) fn with_agents(mut plan: Plan, change: impl Fn(&mut AgentSettings)) -> Plan {
    plan.agents.iter_mut().for_each(change);
    plan
}

pub(crate) struct Desk {
    pub(crate) engine: Engine,
    start: Instant,
    now: Instant,
    heard: Vec<String>,
    /// Every offer, as it came.
    pub(crate) offered: Vec<Output>,
    rings: BTreeMap<OfferId, (Ticket, String)>,
}

impl Desk {
    /// Every phone is registered.
    pub(crate) fn new(plan: Plan) -> Self {
        let start = base();
        let mut desk = Self {
            engine: Engine::new(1),
            start,
            now: start,
            heard: Vec::new(),
            offered: Vec::new(),
            rings: BTreeMap::new(),
        };
        let agents: Vec<AgentId> = plan.agents.iter().map(|agent| agent.id.clone()).collect();
        desk.configure(plan);
        for agent in agents {
            desk.reach(&agent.0, Reach::Reachable);
        }
        desk
    }

    pub(crate) fn configure(&mut self, plan: Plan) {
        self.engine.configure(plan, self.now);
        self.listen();
    }

    /// Until so many seconds after the start.
    pub(crate) fn at(&mut self, after_start: f64) -> &mut Self {
        let goal = self.start + seconds(after_start);
        assert!(goal >= self.now, "time goes forward");
        while let Some((due, _)) = self.engine.poll_timeout() {
            if due > goal {
                break;
            }
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.listen();
        }
        self.now = goal;
        self
    }

    /// What the engine wanted since the last time it was asked.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    pub(crate) fn join(&mut self, queue: &str) -> Ticket {
        self.try_join(queue).expect("the queue has room")
    }

    pub(crate) fn try_join(&mut self, queue: &str) -> Result<Ticket, Refused> {
        self.arrive(queue, &Arrival::default())
    }

    /// A customer who is known.
    pub(crate) fn join_as(&mut self, queue: &str, customer: &str) -> Ticket {
        let arrival = Arrival {
            customer: Some(customer_id(customer)),
            ..Arrival::default()
        };
        self.arrive(queue, &arrival).expect("the queue has room")
    }

    pub(crate) fn arrive(&mut self, queue: &str, arrival: &Arrival) -> Result<Ticket, Refused> {
        let ticket = self.engine.join(&queue_id(queue), arrival, self.now);
        self.listen();
        ticket
    }

    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.depart(ticket, Departure::HungUp);
    }

    pub(crate) fn depart(&mut self, ticket: Ticket, how: Departure) {
        self.engine.leave(ticket, how, self.now);
        self.listen();
    }

    pub(crate) fn offer(&self, agent: &str) -> OfferId {
        let mut rings = self.rings.iter();
        let ring = rings.find(|(_, (_, name))| name == agent);
        *ring.unwrap_or_else(|| panic!("{agent} does not ring")).0
    }

    /// The phone of this agent answers what rings at it now.
    pub(crate) fn answer(&mut self, agent: &str) -> Ticket {
        let offer = self.offer(agent);
        self.answer_offer(offer).expect("a live offer")
    }

    pub(crate) fn answer_offer(&mut self, offer: OfferId) -> Option<Ticket> {
        self.rings.remove(&offer);
        let ticket = self.engine.handle_answer(offer, self.now);
        self.listen();
        ticket
    }

    pub(crate) fn fail(&mut self, agent: &str, failure: Failure) {
        let offer = self.offer(agent);
        self.rings.remove(&offer);
        self.engine.handle_failure(offer, failure, self.now);
        self.listen();
    }

    pub(crate) fn release(&mut self, ticket: Ticket) {
        self.engine.handle_release(ticket, self.now);
        self.listen();
    }

    pub(crate) fn vanish(&mut self, ticket: Ticket) {
        self.engine.handle_vanish(ticket, self.now);
        self.listen();
    }

    pub(crate) fn reach(&mut self, agent: &str, reach: Reach) {
        self.engine.handle_reach(&agent_id(agent), reach, self.now);
        self.listen();
    }

    pub(crate) fn log_in(&mut self, agent: &str) -> bool {
        self.set(agent, Status::Available)
    }

    pub(crate) fn log_out(&mut self, agent: &str) -> bool {
        self.set(agent, Status::LoggedOut)
    }

    pub(crate) fn log_all_in(&mut self, agents: &[&str]) {
        for agent in agents {
            self.log_in(agent);
        }
    }

    pub(crate) fn log_all_out(&mut self, agents: &[&str]) {
        for agent in agents {
            self.log_out(agent);
        }
    }

    pub(crate) fn ready(&mut self, agent: &str) -> bool {
        let changed = self.engine.ready(&agent_id(agent), self.now);
        self.listen();
        changed
    }

    pub(crate) fn prolong(&mut self, agent: &str, by: f64) -> bool {
        let id = agent_id(agent);
        self.engine.prolong_wrap_up(&id, seconds(by), self.now)
    }

    /// What holds each agent back from a caller, in the order of seats, as `201: Failed { .. }` with seconds from the start.
    pub(crate) fn why(&self, ticket: Ticket) -> Vec<String> {
        let why = self.engine.why(ticket, self.now).expect("it waits");
        let candidates = why.candidates.into_iter();
        candidates
            .map(|it| format!("{}: {}", it.agent.0, self.told(&it.held)))
            .collect()
    }

    fn told(&self, held: &Option<Held>) -> String {
        let after = |moment: Instant| (moment - self.start).as_secs_f64();
        match held {
            None => "may ring".into(),
            Some(Held::WrapUp { until }) => format!("wrap-up until {}", after(*until)),
            Some(Held::Delay { after: what, until }) => {
                format!("{what:?}, so rests until {}", after(*until))
            }
            Some(Held::Failed { times, until }) => {
                format!("failed it {times} times, so not until {}", after(*until))
            }
            Some(Held::Unskilled {
                skill,
                least,
                until,
            }) => {
                let until = until.map(|until| format!(" until {}", after(until)));
                format!("lacks {} {least}{}", skill.0, until.unwrap_or_default())
            }
            Some(Held::LevelClosed { opens }) => format!("level opens at {}", after(*opens)),
            Some(Held::OtherRings { until }) => {
                let until = until.map(|until| format!(" until {}", after(until)));
                format!("another rings{}", until.unwrap_or_default())
            }
            Some(Held::Offered(_, ticket)) => format!("rings for #{}", ticket.0),
            Some(Held::Talking(ticket)) => format!("talks with #{}", ticket.0),
            Some(Held::OnBreak(reason)) => format!("on break: {}", reason.0),
            Some(held) => format!("{held:?}"),
        }
    }

    pub(crate) fn set(&mut self, agent: &str, status: Status) -> bool {
        let changed = self.engine.set_status(&agent_id(agent), status, self.now);
        self.listen();
        changed
    }

    pub(crate) fn state(&self, agent: &str) -> Option<State> {
        self.engine.state(&agent_id(agent))
    }

    pub(crate) fn is_idle(&self, agent: &str) -> bool {
        self.state(agent) == Some(State::Idle)
    }

    fn listen(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if matches!(output, Output::Offer { .. }) {
                self.offered.push(output.clone());
            }
            let sentence = match output {
                Output::Offer {
                    offer,
                    ticket,
                    agent,
                    ..
                } => {
                    let name = agent.0.to_string();
                    let sentence = format!("#{} rings {name}", ticket.0);
                    self.rings.insert(offer, (ticket, name));
                    sentence
                }
                Output::Withdraw { offer, cause } => {
                    let (_, name) = self.rings.remove(&offer).expect("a live offer");
                    format!("{name} stops: {cause:?}")
                }
                Output::TimedOut { ticket, limit } => {
                    format!("#{} timed out: {limit:?}", ticket.0)
                }
                Output::StatusChanged { agent, status } => {
                    format!("{} is now {status:?}", agent.0)
                }
                Output::QueueGone { ticket } => format!("#{} lost its queue", ticket.0),
            };
            self.heard.push(sentence);
        }
    }
}
