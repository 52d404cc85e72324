//! Calls over a network that loses, delays and reorders: all must come to their end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testkit::{Access, Behaviour, Chance, PhoneId, Site, World};

use crate::records::assert_plausible;
use crate::scene::{SECOND, dial, hang_up, idle};

const AGENTS: u32 = 20;
const CUSTOMERS: u32 = 30;
const CALLS: usize = 200;

/// 200 queue calls, each given up by the customer after a while, whatever has become of it.
fn calls_in_bad_weather(loss: u64, jitter: u64, seed: u64) -> World {
    let mut world = World::silent(Site::with_agents(AGENTS + CUSTOMERS, AGENTS));
    let mut chance = Chance::new(seed);
    let mut phones = (201..201 + AGENTS + CUSTOMERS).map(|n| {
        // A few over TCP, which loses nothing.
        let access = if n % 5 == 0 { Access::TCP } else { Access::UDP };
        world.registered_with(&n.to_string(), access)
    });
    let agents: Vec<PhoneId> = phones.by_ref().take(AGENTS as usize).collect();
    let customers: Vec<PhoneId> = phones.collect();
    for agent in &agents {
        world[*agent].behaviour = match chance.below(5) {
            0 => Behaviour::RefuseAfter(chance.millis(500, 3_000), 486),
            1 => Behaviour::Ring,
            _ => Behaviour::AnswerAfter(chance.millis(500, 5_000)),
        };
    }
    world.worsen_network(loss, jitter, seed);
    let mut hang_ups: BTreeMap<PhoneId, Instant> = BTreeMap::new();
    let mut dialled = 0;
    while dialled < CALLS {
        world.run(chance.millis(500, 3_000));
        let now = world.now();
        for (phone, _) in hang_ups.extract_if(.., |_, at| *at <= now) {
            hang_up(&mut world, phone);
        }
        let free = customers
            .iter()
            .find(|phone| idle(&world, **phone) && !hang_ups.contains_key(*phone));
        if let Some(customer) = free.copied() {
            dial(&mut world, customer, "700");
            hang_ups.insert(customer, now + chance.millis(3_000, 60_000));
            dialled += 1;
        }
    }
    world.run(60 * SECOND);
    for phone in &customers {
        hang_up(&mut world, *phone);
    }
    // The longest wait of all: a phone whose every answer to the INVITE was lost was never cancelled, and rings for 120 s.
    world.run(200 * SECOND);
    for phone in agents.iter().chain(&customers) {
        assert!(idle(&world, *phone), "{} hangs", world[*phone].name);
    }
    world.assert_at_rest();
    world.records.iter().for_each(assert_plausible);
    world
}

#[test]
fn two_hundred_queue_calls_come_to_their_end_though_one_message_in_ten_is_lost() {
    let world = calls_in_bad_weather(10, 30, 7);
    assert_eq!(world.records.len(), CALLS);
    let answered = |record: &&call::CallRecord| record.queues.iter().any(|v| v.agent.is_some());
    let answered = world.records.iter().filter(answered).count();
    assert!(answered > CALLS / 3, "{answered}");
}

#[test]
fn they_come_to_their_end_though_one_message_in_three_is_lost_and_all_are_out_of_order() {
    for seed in 0..3 {
        let world = calls_in_bad_weather(33, 300, seed);
        assert!(world.records.len() > CALLS * 9 / 10);
    }
}

#[test]
fn a_delay_of_a_second_makes_no_call_fail() {
    let mut world = World::silent(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.worsen_network(0, 1_000, 1);
    for _ in 0..20 {
        dial(&mut world, alice, "206");
        world.run(20 * SECOND);
        assert_eq!(world[alice].last_status, Some(200));
        hang_up(&mut world, alice);
        world.run(Duration::from_secs(70));
    }
    world.assert_at_rest();
}
