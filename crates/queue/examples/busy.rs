//! What an event costs in a large call centre: `cargo run --release -p queue --example busy`.
//!
//! 200 queues, 1,000 agents, 10,000 callers waiting. A round is: a conversation ends, the wrap-up ends, the freed agent's phone rings,
//! it answers, and a new caller joins. Columns: strategy, queues per agent, mean and 99th percentile of an event.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, Engine, Membership, Output, Plan, QueueId, QueueSettings,
    Reach, Status, Strategy, Ticket,
};

const QUEUES: usize = 200;
const AGENTS: usize = 1_000;
const CALLERS: usize = 10_000;
const ROUNDS: usize = 20_000;

fn queue_id(number: usize) -> QueueId {
    QueueId(format!("queue-{number}").into())
}

fn agent_id(number: usize) -> AgentId {
    AgentId(format!("agent-{number}").into())
}

fn plan(strategy: Strategy, queues_per_agent: usize) -> Plan {
    let serves =
        |agent: usize, queue: usize| (queue + QUEUES - agent % QUEUES) % QUEUES < queues_per_agent;
    let queue = |number| QueueSettings {
        id: queue_id(number),
        strategy,
        ring_progressively_delay: Duration::from_secs(10),
        tier_rules: None,
        max_wait_time: Some(Duration::from_secs(100_000)),
        max_wait_time_with_no_agent: None,
        abandoned_resume: None,
        capacity: CALLERS,
        members: (0..AGENTS)
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
        call_timeout: Duration::from_secs(20),
        wrap_up_time: Duration::from_secs(1),
        no_answer_delay_time: Duration::from_secs(10),
        reject_delay_time: Duration::from_secs(10),
        busy_delay_time: Duration::from_secs(10),
    };
    Plan {
        queues: (0..QUEUES).map(queue).collect(),
        agents: (0..AGENTS).map(agent).collect(),
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures real time")]
fn clock() -> Instant {
    Instant::now()
}

/// Every phone that rings answers.
fn answer_all(engine: &mut Engine, now: Instant, talking: &mut VecDeque<Ticket>) {
    while let Some(output) = engine.poll_output() {
        if let Output::Offer { offer, .. } = output {
            talking.extend(engine.handle_answer(offer, now));
        }
    }
}

fn measure(strategy: Strategy, queues_per_agent: usize) {
    let mut engine = Engine::new(1);
    let mut now = clock();
    engine.configure(plan(strategy, queues_per_agent), now);
    for number in 0..AGENTS {
        engine.handle_reach(&agent_id(number), Reach::Reachable, now);
    }
    let mut talking = VecDeque::new();
    for number in 0..AGENTS + CALLERS {
        engine
            .join(&queue_id(number % QUEUES), &Arrival::default(), now)
            .expect("there is room");
        answer_all(&mut engine, now, &mut talking);
    }
    let mut costs = Vec::with_capacity(ROUNDS * 4);
    for number in 0..ROUNDS {
        let ticket = talking.pop_front().expect("somebody talks");
        let mut timed = |event: &mut dyn FnMut()| {
            let start = clock();
            event();
            costs.push(start.elapsed());
        };
        timed(&mut || engine.handle_release(ticket, now));
        now += Duration::from_secs(1);
        timed(&mut || engine.handle_timeout(now));
        timed(&mut || answer_all(&mut engine, now, &mut talking));
        timed(&mut || {
            let _full = engine.join(&queue_id(number % QUEUES), &Arrival::default(), now);
        });
    }
    costs.sort_unstable();
    let mean = costs.iter().sum::<Duration>() / u32::try_from(costs.len()).expect("few");
    let p99 = costs[costs.len() * 99 / 100];
    println!("{strategy:<24?} {queues_per_agent:>4} {mean:>10.2?} {p99:>10.2?}");
}

fn main() {
    for strategy in [
        Strategy::RingAll,
        Strategy::LongestIdleAgent,
        Strategy::RoundRobin,
        Strategy::TopDown,
        Strategy::AgentWithLeastTalkTime,
        Strategy::AgentWithFewestCalls,
        Strategy::SequentiallyByAgentOrder,
        Strategy::Random,
        Strategy::RingProgressively,
    ] {
        for queues_per_agent in [1, 5, 20] {
            measure(strategy, queues_per_agent);
        }
    }
}
