//! A day of the call centre: 8 hours, 200 agents, 5,000 calls, in seconds; the invariants hold after every step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use call::record::Outcome;
use queue::{AgentId, State, Strategy};
use testkit::{Behaviour, PhoneId, PhoneState, Site, World};

const AGENTS: u32 = 200;
const CUSTOMERS: u32 = 150;
const CALLS: usize = 5_000;
const DAY: Duration = Duration::from_secs(8 * 3_600);
const SECOND: Duration = Duration::from_secs(1);

/// A seeded stream of numbers (splitmix64): the same day at each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// `queue-cases.md` section E, as far as it can be seen from outside: an agent talks with one customer at the most,
/// nobody is offered a call who may not be, each talking agent's phone is in a call.
fn invariants(agents: &[AgentId], world: &World) {
    let queues = world.exchange.queues();
    let mut talking = 0;
    for agent in agents {
        match queues.state(agent) {
            Some(State::Talking(_)) => talking += 1,
            Some(State::Offered(_)) => {
                assert_eq!(
                    queues.status(agent),
                    Some(queue::Status::Available),
                    "{agent:?}"
                );
            }
            Some(State::Idle | State::WrapUp { .. }) | None => {}
        }
    }
    assert!(
        talking <= world.exchange.calls(),
        "{talking} agents talk in {} calls",
        world.exchange.calls()
    );
}

#[test]
fn a_day_of_5_000_calls_leaves_nothing_behind() {
    let mut site = Site::with_agents(AGENTS + CUSTOMERS, AGENTS);
    site.queue().strategy = Strategy::LongestIdleAgent;
    site.each_agent(|agent| agent.wrap_up_time = 15 * SECOND);
    let mut world = World::silent(site);
    let mut chance = Chance(20_261_120);
    let agents: Vec<PhoneId> = (0..AGENTS)
        .map(|n| world.registered(&(201 + n).to_string()))
        .collect();
    let customers: Vec<PhoneId> = (0..CUSTOMERS)
        .map(|n| world.registered(&(201 + AGENTS + n).to_string()))
        .collect();
    for agent in &agents {
        world[*agent].behaviour = match chance.below(10) {
            0 => Behaviour::Refuse(486),
            1 => Behaviour::RefuseAfter(chance.millis(500, 5_000), 603),
            2 => Behaviour::Ring,
            _ => Behaviour::AnswerAfter(chance.millis(500, 8_000)),
        };
    }
    let ids: Vec<AgentId> = (0..AGENTS)
        .map(|n| AgentId((201 + n).to_string().into()))
        .collect();
    world.watch(move |world| invariants(&ids, world));
    let mut hang_ups: BTreeMap<Instant, PhoneId> = BTreeMap::new();
    let mut dialled = 0;
    let end = world.elapsed() + DAY;
    let mut re_register = world.now() + 1_800 * SECOND;
    while world.elapsed() < end {
        world.run(chance.millis(1_000, 2 * DAY.as_millis() as u64 / CALLS as u64 - 1_000));
        let now = world.now();
        if now >= re_register {
            for phone in agents.iter().chain(&customers) {
                world.act(*phone, |phone, now| phone.register(3_600, now));
            }
            re_register = now + 1_800 * SECOND;
        }
        let over: Vec<PhoneId> = hang_ups.range(..now).map(|(_, phone)| *phone).collect();
        hang_ups.retain(|at, _| *at >= now);
        for phone in over {
            world.act(phone, |phone, now| phone.hang_up(now));
        }
        let free = customers.iter().find(|phone| {
            world[**phone].state() == PhoneState::Idle && !hang_ups.values().any(|p| p == *phone)
        });
        if let Some(customer) = free.copied() {
            world.act(customer, |phone, now| phone.dial("700", now));
            hang_ups.insert(
                now + chance.millis(5_000, 400_000) + Duration::from_nanos(dialled as u64),
                customer,
            );
            dialled += 1;
        }
    }
    for phone in customers {
        world.act(phone, |phone, now| phone.hang_up(now));
    }
    world.run(120 * SECOND);
    world.assert_at_rest();
    assert_eq!(world.records.len(), dialled, "one record per call");
    assert!(dialled > CALLS * 9 / 10, "{dialled} calls");
    let outcome = |wanted: Outcome| {
        world
            .records
            .iter()
            .filter(|r| r.queues.last().is_some_and(|v| v.outcome == wanted))
            .count()
    };
    let (answered, abandoned) = (outcome(Outcome::Answered), outcome(Outcome::Abandoned));
    let greeted = world
        .records
        .iter()
        .filter(|record| record.queues.is_empty())
        .count();
    assert_eq!(
        answered + abandoned + greeted,
        dialled,
        "every call ended in one of three ways"
    );
    assert!(answered > dialled / 2, "{answered} of {dialled} answered");
}
