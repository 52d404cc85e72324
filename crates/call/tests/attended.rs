//! Attended transfers (RFC 5359 section 2.5, RFC 5589 section 7): two calls of one phone become one.
//!
//! A scripted phone has one line: the phone's second line is a second one of the same account, which is not registered.

use call::record::{Outcome, TransferKind};
use queue::{AgentId, State};
use testkit::golden::assert_golden;
use testkit::{Behaviour, Chance, PhoneId, PhoneState, Site, World, tones};

use crate::records::assert_plausible;
use crate::scene::{
    AUDIBLE, SECOND, answer, comes_to_rest, conversation, conversation_in, dial, golden, hang_up,
    idle, rings, served_in, talks, without_start_sound,
};
use crate::transfer::{hear_each_other, hold};

/// The second line of a phone.
pub(crate) fn second_line(world: &mut World, account: &str) -> PhoneId {
    world.phone(account)
}

/// `told` asks that its party gets the place that `line` has.
pub(crate) fn join(world: &mut World, told: PhoneId, line: PhoneId) {
    let dialog = world[line].dialog().expect("the line is in a call");
    world.act(told, |phone, now| {
        phone.refer("207", Some(&dialog), &[], now)
    });
}

/// 205 talks with 206 and is held, while the second line of 206 calls 207.
pub(crate) fn consulting(behaviour: Behaviour) -> (World, [PhoneId; 4]) {
    consulting_in(World::new(Site::sample()), behaviour)
}

fn consulting_in(world: World, behaviour: Behaviour) -> (World, [PhoneId; 4]) {
    let (mut world, alice, bob) = conversation_in(world);
    let carol = world.registered("207");
    world[carol].speaks = Some(1_200.0);
    world[carol].behaviour = behaviour;
    let line = second_line(&mut world, "206");
    world.clear_ladder();
    hold(&mut world, bob, true);
    world.run(SECOND);
    dial(&mut world, line, "207");
    world.run(2 * SECOND);
    (world, [alice, bob, line, carol])
}

#[test]
fn the_party_on_hold_and_the_one_that_was_asked_hear_each_other() {
    for on_consult in [false, true] {
        let (mut world, [alice, bob, line, carol]) = consulting(Behaviour::AnswerAfter(SECOND));
        assert!(world.heard(alice, tones::MUSIC, SECOND) > AUDIBLE);
        assert!(talks(&world, line) && talks(&world, carol));
        hold(&mut world, line, true);
        world.run(SECOND);
        let (told, other) = if on_consult { (line, bob) } else { (bob, line) };
        join(&mut world, told, other);
        hear_each_other(&mut world, (alice, 440.0), (carol, 1_200.0));
        assert!(idle(&world, bob) && idle(&world, line));
        assert_eq!(world[told].refer_status, Some(202));
        assert_eq!(
            world[told].reports,
            ["SIP/2.0 100 Trying (active)", "SIP/2.0 200 OK (terminated)"]
        );
        hang_up(&mut world, alice);
        world.run(SECOND);
        assert!(idle(&world, carol));
        if !on_consult {
            assert_golden(golden("rfc5359-2.5-transfer-attended.txt"), &world.ladder());
        }
        comes_to_rest(&mut world);
        assert_eq!(world.records.len(), 1, "one story");
        let record = &world.records[0];
        assert_plausible(record);
        assert_eq!(record.legs.len(), 4);
        assert_eq!(record.joined_calls.len(), 1);
        let transfer = &record.transfers[0];
        assert_eq!(transfer.kind, TransferKind::Attended);
        assert_eq!((&*transfer.by, transfer.status), ("206", 200));
    }
}

#[test]
fn a_phone_that_still_rings_is_given_to_the_party_on_hold() {
    for cancels in [false, true] {
        let (mut world, [alice, bob, line, carol]) = consulting(Behaviour::Ring);
        assert_eq!(world[line].state(), PhoneState::RingingBack);
        join(&mut world, bob, line);
        world.run(SECOND);
        if cancels {
            hang_up(&mut world, line);
        }
        world.run(SECOND);
        assert!(rings(&world, carol), "{cancels}");
        assert!(world.heard(alice, tones::RINGING, SECOND) > AUDIBLE);
        answer(&mut world, carol);
        hear_each_other(&mut world, (alice, 440.0), (carol, 1_200.0));
        assert!(idle(&world, bob) && idle(&world, line));
        hang_up(&mut world, carol);
        comes_to_rest(&mut world);
        assert_plausible(&world.records[0]);
        assert_eq!(world.records.len(), 1);
    }
}

#[test]
fn calls_on_different_rtp_workers_are_joined_on_one_of_them() {
    // With two ports for each worker, the second call finds no room beside the first.
    for (behaviour, passes) in [(Behaviour::AnswerAfter(SECOND), 2), (Behaviour::Ring, 1)] {
        let world = World::with_workers(Site::sample(), 4, 2);
        let (mut world, [alice, bob, line, carol]) = consulting_in(world, behaviour);
        join(&mut world, bob, line);
        world.run(SECOND);
        if behaviour == Behaviour::Ring {
            assert!(world.heard(alice, tones::RINGING, SECOND / 2) > AUDIBLE);
            answer(&mut world, carol);
        }
        hear_each_other(&mut world, (alice, 440.0), (carol, 1_200.0));
        assert_eq!(world.passes, passes, "{behaviour:?}");
        // They hear music as before, and each other again.
        hold(&mut world, carol, true);
        world.run(2 * SECOND);
        assert!(world.heard(alice, tones::MUSIC, SECOND) > AUDIBLE);
        hold(&mut world, carol, false);
        hear_each_other(&mut world, (alice, 440.0), (carol, 1_200.0));
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
        assert_plausible(&world.records[0]);
    }
}

#[test]
fn a_phone_that_rings_and_refuses_gives_the_conversation_back() {
    let (mut world, [alice, bob, line, carol]) =
        consulting(Behaviour::RefuseAfter(4 * SECOND, 486));
    join(&mut world, bob, line);
    world.run(4 * SECOND);
    assert!(idle(&world, carol) && idle(&world, line));
    assert_eq!(
        world[bob].reports.last().unwrap(),
        "SIP/2.0 486 Busy Here (terminated)"
    );
    hold(&mut world, bob, false);
    hear_each_other(&mut world, (alice, 440.0), (bob, 880.0));
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].transfers[0].status, 486);
}

/// An agent hands its customer over, by REFER in one or the other of its calls.
fn hand_over(workers: u16, on_consult: bool) {
    let world = World::with_workers(without_start_sound(), 4, workers);
    let (mut world, customer, agent) = served_in(world);
    let desk = world.registered("206");
    world[desk].speaks = Some(1_200.0);
    world[desk].behaviour = Behaviour::AnswerAfter(SECOND);
    let line = second_line(&mut world, "201");
    hold(&mut world, agent, true);
    dial(&mut world, line, "206");
    world.run(3 * SECOND);
    let (told, other) = if on_consult {
        (line, agent)
    } else {
        (agent, line)
    };
    join(&mut world, told, other);
    hear_each_other(&mut world, (customer, 440.0), (desk, 1_200.0));
    assert_eq!(world.passes > 0, workers > 1);
    let state = world.exchange.queues().state(&AgentId("201".into()));
    assert_eq!(state, Some(State::Idle));
    hang_up(&mut world, desk);
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_plausible(record);
    assert_eq!(record.queues[0].outcome, Outcome::Answered);
    assert!((5_000..5_100).contains(&record.queues[0].talk_ms));
    assert_eq!(record.recordings.len(), 2);
    let second = &world.recordings[std::path::Path::new(&*record.recordings[1].path)];
    let left: Vec<i16> = second.iter().map(|pair| pair[0]).collect();
    assert!(
        media::tone::level(&left, 440.0) > AUDIBLE,
        "the customer is left"
    );
}

#[test]
fn an_agent_hands_its_customer_over_and_is_free() {
    for workers in [1, 2] {
        for on_consult in [false, true] {
            hand_over(workers, on_consult);
        }
    }
}

#[test]
fn a_place_in_a_queue_is_given_to_the_party_on_hold() {
    let (mut world, alice, bob) = conversation();
    let agent = world.registered("201");
    world[agent].speaks = Some(1_200.0);
    let line = second_line(&mut world, "206");
    hold(&mut world, bob, true);
    dial(&mut world, line, "700");
    world.run(4 * SECOND);
    assert!(rings(&world, agent));
    join(&mut world, bob, line);
    world.run(2 * SECOND);
    assert!(idle(&world, bob) && idle(&world, line) && rings(&world, agent));
    assert!(world.heard(alice, tones::MUSIC, SECOND) > AUDIBLE);
    answer(&mut world, agent);
    hear_each_other(&mut world, (alice, 440.0), (agent, 1_200.0));
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_plausible(record);
    assert_eq!(record.queues[0].agent.as_deref(), Some("201"));
    assert_eq!(world.records.len(), 1);
}

#[test]
fn nobody_gives_away_a_dialog_that_is_not_its_own() {
    let (mut world, [alice, bob, line, carol]) = consulting(Behaviour::AnswerAfter(SECOND));
    join(&mut world, alice, line);
    world.run(SECOND);
    assert_eq!(world[alice].refer_status, Some(403));
    world.act(bob, |phone, now| {
        phone.refer("207", Some("nobody;to-tag=1;from-tag=2"), &[], now);
    });
    world.run(SECOND);
    assert_eq!(
        world[bob].reports.last().unwrap(),
        "SIP/2.0 481 Call/Transaction Does Not Exist (terminated)"
    );
    assert!(talks(&world, alice) && talks(&world, line) && talks(&world, carol));
    for phone in [alice, line] {
        hang_up(&mut world, phone);
    }
    comes_to_rest(&mut world);
    assert_eq!(world.records.len(), 2);
}

/// Transfers against hang-ups: whatever comes first, everything ends and nothing is left.
#[test]
fn everybody_may_hang_up_at_any_moment_of_a_transfer() {
    for seed in 0..120 {
        let mut chance = Chance::new(seed);
        let behaviours = [
            Behaviour::AnswerAfter(SECOND / 100),
            Behaviour::AnswerAfter(SECOND * 3 / 2),
            Behaviour::Ring,
            Behaviour::RefuseAfter(SECOND * 2, 486),
        ];
        let behaviour = behaviours[chance.below(4) as usize];
        let (mut world, phones) = consulting(behaviour);
        let [_, bob, line, _] = phones;
        for _ in 0..6 {
            let phone = phones[chance.below(4) as usize];
            match chance.below(4) {
                0 if world[line].dialog().is_some() && talks(&world, bob) => {
                    join(&mut world, bob, line);
                }
                1 if talks(&world, bob) => {
                    world.act(bob, |phone, now| phone.refer("207", None, &[], now));
                }
                2 if rings(&world, phone) => answer(&mut world, phone),
                _ => hang_up(&mut world, phone),
            }
            world.run(SECOND * u32::try_from(chance.below(40)).expect("below 40") / 10_000);
        }
        for phone in phones {
            hang_up(&mut world, phone);
        }
        comes_to_rest(&mut world);
        assert!(phones.iter().all(|phone| idle(&world, *phone)), "{seed}");
        for record in &world.records {
            assert_plausible(record);
        }
    }
}
