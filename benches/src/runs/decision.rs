//! What a decision of the queue engine costs, alone in this process: every strategy, and three sizes of call centre.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, BreakReason, Departure, Engine, Membership, Output, Plan,
    QueueId, QueueSettings, Reach, Status, Strategy, Ticket,
};
use serde_json::{Map, json};

use super::Row;
use crate::figures::{Report, percentile, round};
use crate::options::Options;

/// Decisions that are measured for a figure, if the command line does not say.
const SAMPLES: usize = 20_000;

/// The queues of the issue, whatever the size: then every queue grows with it.
const QUEUES: usize = 100;

/// How many queues an agent serves.
const QUEUES_PER_AGENT: usize = 3;

/// Agents, and as many callers.
const SIZES: [(usize, &str); 3] = [(1_000, "_at_1000"), (10_000, ""), (40_000, "_at_40000")];

pub(super) const STRATEGIES: [(&str, Strategy); 9] = [
    ("ring-all", Strategy::RingAll),
    ("longest-idle", Strategy::LongestIdleAgent),
    ("round-robin", Strategy::RoundRobin),
    ("top-down", Strategy::TopDown),
    ("least-talk", Strategy::AgentWithLeastTalkTime),
    ("fewest-calls", Strategy::AgentWithFewestCalls),
    ("sequentially", Strategy::SequentiallyByAgentOrder),
    ("random", Strategy::Random),
    ("progressively", Strategy::RingProgressively),
];

/// Measures all strategies, round by round.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let samples = options.samples.unwrap_or(SAMPLES);
    let mut rows = Vec::new();
    for nth in 1..=options.rounds {
        eprintln!("decisions: round {nth} of {}", options.rounds);
        for (name, strategy) in STRATEGIES {
            let mut row = Map::new();
            for (size, label) in SIZES {
                row.extend(measure(strategy, size, label, samples)?);
            }
            rows.push((name, row));
        }
    }
    Ok(Report {
        run: "decisions",
        parameters: json!({
            "samples": samples,
            "queues": QUEUES,
            "queues_per_agent": QUEUES_PER_AGENT,
            "sizes": SIZES.map(|(size, _)| size),
        }),
        rows,
    })
}

fn measure(strategy: Strategy, size: usize, label: &str, samples: usize) -> Result<Row, String> {
    let mut row = Map::new();
    let mut centre = Centre::open(strategy, size);
    let picks = centre.free_agents(samples)?;
    insert(&mut row, "pick", label, &picks);
    centre.fill()?;
    let start = Instant::now();
    let (decisions, events) = centre.waiting_callers(samples)?;
    let per_second = events as f64 / start.elapsed().as_secs_f64();
    insert(&mut row, "decision", label, &decisions);
    row.insert(format!("events_per_second{label}"), round(per_second, 0));
    Ok(row)
}

fn insert(row: &mut Row, name: &str, label: &str, costs: &[f64]) {
    let mut sorted = costs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mean = sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
    row.insert(format!("{name}_mean_us{label}"), round(mean, 3));
    let p99 = percentile(&sorted, 0.99);
    row.insert(format!("{name}_p99_us{label}"), round(p99, 3));
}

/// A call centre in which all agents are logged in.
struct Centre {
    engine: Engine,
    size: usize,
    now: Instant,
    talking: VecDeque<Ticket>,
    joined: usize,
}

impl Centre {
    fn open(strategy: Strategy, size: usize) -> Self {
        let now = Instant::now();
        let mut engine = Engine::new(1);
        engine.configure(plan(strategy, size), now);
        for agent in 0..size {
            engine.handle_reach(&agent_id(agent), Reach::Reachable, now);
        }
        Self {
            engine,
            size,
            now,
            talking: VecDeque::new(),
            joined: 0,
        }
    }

    /// Callers come while everybody is free: microseconds for each agent that rings.
    fn free_agents(&mut self, samples: usize) -> Result<Vec<f64>, String> {
        let mut costs = Vec::with_capacity(samples);
        while costs.len() < samples {
            let queue = queue_id(self.joined);
            let start = Instant::now();
            let ticket = self.join(&queue)?;
            let cost = start.elapsed();
            let rings = std::iter::from_fn(|| self.engine.poll_output()).count();
            costs.push(micros(cost) / rings.max(1) as f64);
            self.engine.leave(ticket, Departure::Exit, self.now);
            while self.engine.poll_output().is_some() {}
            self.now += Duration::from_millis(1);
        }
        Ok(costs)
    }

    /// All agents talk, and as many callers wait.
    fn fill(&mut self) -> Result<(), String> {
        for _ in 0..2 * self.size {
            let queue = queue_id(self.joined);
            self.join(&queue)?;
            self.answer_all();
        }
        Ok(())
    }

    /// An agent is free again, and a caller is picked for it: microseconds for each, and how many events that took.
    fn waiting_callers(&mut self, samples: usize) -> Result<(Vec<f64>, usize), String> {
        let mut costs = Vec::with_capacity(samples);
        for _ in 0..samples {
            let ticket = self.talking.pop_front().ok_or("nobody talks")?;
            self.engine.handle_release(ticket, self.now);
            self.now += Duration::from_secs(1);
            let start = Instant::now();
            self.engine.handle_timeout(self.now);
            costs.push(micros(start.elapsed()));
            self.answer_all();
            let queue = queue_id(self.joined);
            self.join(&queue)?;
        }
        Ok((costs, 4 * samples))
    }

    fn join(&mut self, queue: &QueueId) -> Result<Ticket, String> {
        self.joined += 1;
        let arrival = Arrival::default();
        let ticket = self.engine.join(queue, &arrival, self.now);
        ticket.map_err(|refused| refused.to_string())
    }

    /// The first phone of each caller answers.
    fn answer_all(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Offer { offer, .. } = output {
                self.talking
                    .extend(self.engine.handle_answer(offer, self.now));
            }
        }
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn queue_id(number: usize) -> QueueId {
    QueueId(format!("queue-{}", number % QUEUES).into())
}

fn agent_id(number: usize) -> AgentId {
    AgentId(format!("agent-{number}").into())
}

fn plan(strategy: Strategy, size: usize) -> Plan {
    let serves =
        |agent: usize, queue: usize| (queue + QUEUES - agent % QUEUES) % QUEUES < QUEUES_PER_AGENT;
    let queue = |number| QueueSettings {
        id: queue_id(number),
        strategy,
        ring_progressively_delay: Duration::from_secs(10),
        tier_rules: None,
        max_wait_time: Some(Duration::from_secs(1_000_000)),
        max_wait_time_with_no_agent: None,
        abandoned_resume: None,
        wrap_up_time: Duration::from_secs(1),
        agent_no_answer_status: Status::OnBreak(BreakReason("no answer".into())),
        capacity: 2 * size,
        members: (0..size)
            .filter(|agent| serves(*agent, number))
            .map(|agent| Membership {
                agent: agent_id(agent),
                level: u32::from(agent % 3 == 0),
                position: u32::from(agent % 7 == 0),
            })
            .collect(),
    };
    let agent = |number| AgentSettings {
        id: agent_id(number),
        status: Status::Available,
        skills: BTreeMap::new(),
        call_timeout: Duration::from_secs(20),
        wrap_up_time: None,
        max_no_answer: 0,
        no_answer_delay_time: Duration::from_secs(10),
        reject_delay_time: Duration::from_secs(10),
        busy_delay_time: Duration::from_secs(10),
        max_calls: NonZeroU8::MIN,
        call_waiting: false,
    };
    Plan {
        queues: (0..QUEUES).map(queue).collect(),
        agents: (0..size).map(agent).collect(),
        needs: Vec::new(),
    }
}
