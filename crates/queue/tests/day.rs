//! Eight hours of a call centre: 200 agents, 5,000 callers, a queue for each strategy with rules of its own, a reload each hour; the
//! invariants after every step.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use queue::{
    AgentId, AgentSettings, Arrival, Departure, Engine, Failure, Limit, Membership, NeedsId,
    NoAgentLimit, OfferId, Output, Plan, QueueId, QueueSettings, Reach, Status, Strategy, Ticket,
    TierRules,
};

use crate::desk::{agent_id, base, customer_id, needs, on_break, queue_id, skills};
use crate::event::Event;
use crate::watch::Watch;

const AGENTS: u64 = 200;
const CALLERS: u64 = 5_000;
const DAY: u64 = 8 * 60 * 60;
/// Where every agent is compared with the engine; those that an event touches are compared each time.
const STEPS_BETWEEN_FULL_CHECKS: usize = 100;

/// One queue of the day.
struct Share {
    queue: &'static str,
    strategy: Strategy,
    /// How many of 100 callers come for it.
    callers: u64,
    /// Who serves it.
    agents: std::ops::Range<u64>,
    max_wait_seconds: Option<u64>,
    /// Seconds to wait for a level, whether times its number, and whether the lowest with agents is open at once.
    tier_rules: Option<(u64, bool, bool)>,
    /// Callers leave after so many seconds without agents.
    no_agent_seconds: Option<u64>,
    /// The place of who hangs up is kept so long.
    resume_seconds: Option<u64>,
}

/// A queue without rules.
const PLAIN: Share = Share {
    queue: "",
    strategy: Strategy::RoundRobin,
    callers: 0,
    agents: 0..0,
    max_wait_seconds: None,
    tier_rules: None,
    no_agent_seconds: None,
    resume_seconds: None,
};

const SHARES: [Share; 9] = [
    Share {
        queue: "billing",
        strategy: Strategy::RoundRobin,
        callers: 20,
        agents: 0..60,
        max_wait_seconds: Some(600),
        ..PLAIN
    },
    Share {
        queue: "complaints",
        strategy: Strategy::LongestIdleAgent,
        callers: 8,
        agents: 50..90,
        resume_seconds: Some(300),
        ..PLAIN
    },
    Share {
        queue: "emergency",
        strategy: Strategy::RingAll,
        callers: 5,
        agents: 180..200,
        max_wait_seconds: Some(120),
        tier_rules: Some((5, true, true)),
        ..PLAIN
    },
    Share {
        queue: "loyal",
        strategy: Strategy::RingProgressively,
        callers: 8,
        agents: 100..140,
        max_wait_seconds: Some(600),
        resume_seconds: Some(60),
        ..PLAIN
    },
    Share {
        queue: "night",
        strategy: Strategy::Random,
        callers: 1,
        agents: 199..200,
        no_agent_seconds: Some(40),
        ..PLAIN
    },
    Share {
        queue: "sales",
        strategy: Strategy::AgentWithLeastTalkTime,
        callers: 25,
        agents: 60..140,
        max_wait_seconds: Some(300),
        tier_rules: Some((20, false, true)),
        ..PLAIN
    },
    Share {
        queue: "spare-parts",
        strategy: Strategy::SequentiallyByAgentOrder,
        callers: 8,
        agents: 120..160,
        max_wait_seconds: Some(900),
        tier_rules: Some((10, true, false)),
        ..PLAIN
    },
    Share {
        queue: "support",
        strategy: Strategy::TopDown,
        callers: 15,
        agents: 140..190,
        max_wait_seconds: Some(900),
        ..PLAIN
    },
    Share {
        queue: "taxes",
        strategy: Strategy::AgentWithFewestCalls,
        callers: 10,
        agents: 20..60,
        tier_rules: Some((15, false, false)),
        ..PLAIN
    },
];

/// xorshift64*: the same day each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// So many times of a hundred.
    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn name(agent: u64) -> AgentId {
    agent_id(&format!("agent-{agent:03}"))
}

/// Levels and positions shift from hour to hour, and a few agents have no queue for an hour.
fn plan(hour: u64) -> Plan {
    let agents = (0..AGENTS).map(|agent| AgentSettings {
        id: name(agent),
        status: Status::Available,
        skills: skills(&format!("english {}", 50 + agent % 50)),
        call_timeout: Duration::from_secs(15 + agent % 6),
        wrap_up_time: (agent % 4 > 0).then(|| Duration::from_secs(agent % 30)),
        max_no_answer: u32::from(agent % 3 == 0) * 3,
        no_answer_delay_time: Duration::from_secs(10),
        reject_delay_time: Duration::from_secs(agent % 20),
        busy_delay_time: Duration::from_secs(agent % 10),
        max_calls: NonZeroU8::MIN,
        call_waiting: false,
    });
    let queue = |share: Share| {
        let members = share.agents.filter(|agent| agent % 50 != hour);
        QueueSettings {
            id: queue_id(share.queue),
            strategy: share.strategy,
            ring_progressively_delay: Duration::from_secs(5),
            tier_rules: share.tier_rules.map(|rules| TierRules {
                wait: Duration::from_secs(rules.0),
                multiply_level: rules.1,
                no_agent_no_wait: rules.2,
            }),
            max_wait_time: share.max_wait_seconds.map(Duration::from_secs),
            max_wait_time_with_no_agent: share.no_agent_seconds.map(|limit| NoAgentLimit {
                max_wait_time: Duration::from_secs(limit),
                grace: Duration::from_secs(5),
            }),
            abandoned_resume: share.resume_seconds.map(Duration::from_secs),
            wrap_up_time: Duration::from_secs(8),
            agent_no_answer_status: on_break("no answer"),
            capacity: 25,
            members: members
                .map(|agent| Membership {
                    agent: name(agent),
                    level: 1 + u32::try_from((agent + hour) % 3).expect("small"),
                    position: u32::try_from((agent * 7) % 20).expect("small"),
                })
                .collect(),
        }
    };
    Plan {
        queues: SHARES.map(queue).to_vec(),
        agents: agents.collect(),
        needs: vec![needs(
            "english",
            &[(0.0, "english 90"), (10.0, "english 70"), (30.0, "")],
        )],
    }
}

/// One line of the table.
#[derive(Default)]
struct Service {
    calls: usize,
    refused: usize,
    answered: usize,
    within_20_s: usize,
    abandoned: usize,
    timed_out: usize,
    no_agent: usize,
    waits: Vec<Duration>,
}

struct Day {
    engine: Engine,
    watch: Watch,
    chance: Chance,
    now: Instant,
    /// What people and phones will do, in order of time, then of planning.
    agenda: BTreeMap<(Instant, u64), Event>,
    planned: u64,
    steps: usize,
    waiting: BTreeMap<Ticket, (QueueId, Instant, Arrival)>,
    table: BTreeMap<QueueId, Service>,
}

impl Day {
    fn new() -> Self {
        let now = base();
        let mut day = Self {
            engine: Engine::new(2_026),
            watch: Watch::default(),
            chance: Chance(2_026),
            now,
            agenda: BTreeMap::new(),
            planned: 0,
            steps: 0,
            waiting: BTreeMap::new(),
            table: BTreeMap::new(),
        };
        for hour in 0..8 {
            day.later(
                Duration::from_secs(hour * 3_600),
                Event::Configure(plan(hour)),
            );
        }
        for agent in 0..AGENTS {
            day.later(Duration::ZERO, Event::Reach(name(agent), Reach::Reachable));
            day.shift(agent);
        }
        for _ in 0..CALLERS {
            // The sum of two dice: most callers come around noon.
            let moment = day.chance.millis(0, DAY * 500) + day.chance.millis(0, DAY * 500);
            let mut dice = day.chance.below(100);
            let share = SHARES.iter().find(|share| {
                let hit = dice < share.callers;
                dice = dice.saturating_sub(share.callers);
                hit
            });
            let share = share.expect("the shares add up to 100");
            let arrival = day.arrival();
            day.later(moment, Event::Join(queue_id(share.queue), arrival));
        }
        day
    }

    /// One of 2,000 customers, or nobody knows who; a few are more important, have waited elsewhere, or need English.
    fn arrival(&mut self) -> Arrival {
        let number = self.chance.below(2_000);
        let known = self.chance.percent(90);
        Arrival {
            customer: known.then(|| customer_id(&number.to_string())),
            priority: u32::from(self.chance.percent(5)),
            head_start: Duration::from_secs(60 * u64::from(self.chance.percent(5))),
            needs: self.chance.percent(10).then(|| NeedsId("english".into())),
        }
    }

    /// Two breaks, two calls outside the queues, and at times a phone that loses its registration.
    fn shift(&mut self, agent: u64) {
        let spell = |day: &mut Self, minutes: u64, from: Event, to: Event| {
            let start = day.chance.millis(60_000, DAY * 1_000);
            let length = day.chance.millis(5_000, minutes * 60_000);
            day.later(start, from);
            day.later(start + length, to);
        };
        let status = |status| Event::Status(name(agent), status);
        let reach = |reach| Event::Reach(name(agent), reach);
        for _ in 0..2 {
            let away = match self.chance.below(3) {
                0 => Status::LoggedOut,
                1 => on_break("lunch"),
                _ => Status::OnDemand,
            };
            spell(self, 30, status(away), status(Status::Available));
            spell(self, 8, reach(Reach::Busy), reach(Reach::Reachable));
        }
        if self.chance.percent(20) {
            spell(
                self,
                60,
                reach(Reach::Unregistered),
                reach(Reach::Reachable),
            );
        }
    }

    fn later(&mut self, delay: Duration, event: Event) {
        self.planned += 1;
        self.agenda.insert((self.now + delay, self.planned), event);
    }

    fn run(mut self) -> Self {
        loop {
            let due = self.engine.poll_timeout().map(|(due, _)| due);
            let planned = self
                .agenda
                .first_key_value()
                .map(|((moment, _), _)| *moment);
            match (due, planned) {
                (Some(due), planned) if planned.is_none_or(|planned| due <= planned) => {
                    self.now = due;
                    self.apply(Event::Timeout);
                }
                (_, Some(planned)) => {
                    self.now = planned;
                    let (_, event) = self.agenda.pop_first().expect("something is planned");
                    // The patience of who is served no longer counts.
                    let served = |ticket| !self.waiting.contains_key(ticket);
                    if !matches!(&event, Event::Leave(ticket, _) if served(ticket)) {
                        self.apply(event);
                    }
                }
                (_, None) => return self,
            }
        }
    }

    fn apply(&mut self, event: Event) {
        let (reply, outputs) = event.clone().apply(&mut self.engine, self.now);
        self.watch
            .saw(&event, reply, &outputs, self.now, &self.engine);
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_BETWEEN_FULL_CHECKS) {
            self.watch.check_all(self.now, &self.engine);
        }
        match (event, reply) {
            (Event::Join(queue, arrival), reply) => self.joined(queue, arrival, reply),
            (Event::Answer(_), Some(ticket)) => self.answered(ticket),
            (Event::Leave(ticket, _), _) => {
                if let Some((queue, _, arrival)) = self.waiting.remove(&ticket) {
                    self.table.entry(queue.clone()).or_default().abandoned += 1;
                    // Some were cut off, and call again.
                    if self.chance.percent(40) {
                        let pause = self.chance.millis(5_000, 90_000);
                        self.later(pause, Event::Join(queue, arrival));
                    }
                }
            }
            _ => {}
        }
        for output in outputs {
            match output {
                Output::Offer { offer, .. } => self.offered(offer),
                Output::TimedOut { ticket, limit } => {
                    let (queue, ..) = self.waiting.remove(&ticket).expect("it waited");
                    let service = self.table.entry(queue).or_default();
                    match limit {
                        Limit::MaxWait => service.timed_out += 1,
                        Limit::NoAgent => service.no_agent += 1,
                    }
                }
                Output::Withdraw { .. } | Output::StatusChanged { .. } => {}
                Output::QueueGone { .. } => panic!("all queues stay"),
            }
        }
    }

    fn joined(&mut self, queue: QueueId, arrival: Arrival, reply: Option<Ticket>) {
        let service = self.table.entry(queue.clone()).or_default();
        service.calls += 1;
        if let Some(ticket) = reply {
            self.waiting.insert(ticket, (queue, self.now, arrival));
            let patience = self.chance.millis(10_000, 800_000);
            self.later(patience, Event::Leave(ticket, Departure::HungUp));
        } else {
            service.refused += 1;
        }
    }

    fn offered(&mut self, offer: OfferId) {
        let at_once = self.chance.millis(1, 50);
        let ring = self.chance.millis(1_500, 12_000);
        match self.chance.below(100) {
            0..82 => self.later(ring, Event::Answer(offer)),
            82..87 => self.later(ring, Event::Fail(offer, Failure::Rejected)),
            87..91 => self.later(at_once, Event::Fail(offer, Failure::Busy)),
            91..93 => self.later(at_once, Event::Fail(offer, Failure::Unreachable)),
            // The phone rings until the engine stops it.
            _ => {}
        }
    }

    fn answered(&mut self, ticket: Ticket) {
        if self.chance.percent(1) {
            let at_once = self.chance.millis(1, 500);
            return self.later(at_once, Event::Vanish(ticket));
        }
        let talk = self.chance.millis(60_000, 1_100_000);
        self.later(talk, Event::Release(ticket));
        let (queue, joined, _) = self.waiting.remove(&ticket).expect("it waited");
        let wait = self.now - joined;
        let service = self.table.entry(queue).or_default();
        service.answered += 1;
        service.within_20_s += usize::from(wait <= Duration::from_secs(20));
        service.waits.push(wait);
    }

    fn table(&self) -> String {
        let mut table = String::from(
            "queue       calls refused answered <=20s abandoned timed-out no-agent  mean wait  longest\n",
        );
        for (queue, service) in &self.table {
            let waits = &service.waits;
            let total: Duration = waits.iter().sum();
            let mean = total.as_secs_f64() / f64::from(u32::try_from(waits.len()).expect("few"));
            let longest = waits.iter().max().expect("somebody was answered");
            writeln!(
                table,
                "{:<11} {:>5} {:>7} {:>8} {:>5} {:>9} {:>9} {:>8} {:>8.1} s {:>6.1} s",
                queue.0,
                service.calls,
                service.refused,
                service.answered,
                service.within_20_s,
                service.abandoned,
                service.timed_out,
                service.no_agent,
                mean,
                longest.as_secs_f64(),
            )
            .expect("a string takes everything");
        }
        writeln!(table, "{:?}", self.watch.sums).expect("a string takes everything");
        table
    }
}

#[test]
fn a_day_with_200_agents_and_5_000_callers_keeps_every_invariant() {
    let day = Day::new().run();
    day.watch.check_over(&day.engine);
    let table = day.table();
    assert_eq!(table, include_str!("golden/day.txt"), "\n{table}");
}
