//! Transfers by number (RFC 3515, RFC 5359 section 2.4): who hears whom, what the transferor is told, what is written down.

use call::record::{Outcome, TransferKind};
use call::{Cause, Party};
use queue::{AgentId, State};
use testkit::golden::assert_golden;
use testkit::tones;
use testkit::{Behaviour, PhoneId, Site, World};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, call_centre, comes_to_rest, conversation, dial, golden,
    hang_up, idle, rings, served, talks, without_start_sound,
};

/// The phone has the other party connected with a number.
pub(crate) fn refer(world: &mut World, phone: PhoneId, number: &str) {
    world.act(phone, |phone, now| phone.refer(number, None, &[], now));
}

pub(crate) fn hold(world: &mut World, phone: PhoneId, on: bool) {
    world.act(phone, |phone, now| phone.hold(on, now));
}

/// Asserts who hears whom: each by its tone.
pub(crate) fn hear_each_other(world: &mut World, a: (PhoneId, f64), b: (PhoneId, f64)) {
    world.run(2 * SECOND);
    assert!(world.heard(a.0, b.1, SECOND) > AUDIBLE);
    assert!(world.heard(b.0, a.1, SECOND) > AUDIBLE);
}

/// 205 talks with 206; 207 rings until the test acts.
pub(crate) fn with_a_third() -> (World, [PhoneId; 3]) {
    let (mut world, alice, bob) = conversation();
    let carol = world.registered("207");
    world[carol].speaks = Some(1_200.0);
    (world, [alice, bob, carol])
}

#[test]
fn a_called_phone_transfers_the_caller() {
    let (mut world, [alice, bob, carol]) = with_a_third();
    world.clear_ladder();
    hold(&mut world, bob, true);
    world.run(2 * SECOND);
    assert!(world.heard(alice, tones::MUSIC, SECOND) > AUDIBLE);
    refer(&mut world, bob, "207");
    world.run(3 * SECOND);
    assert!(rings(&world, carol) && talks(&world, bob));
    assert!(world.heard(alice, tones::RINGING, SECOND) > AUDIBLE);
    assert!(world.heard(alice, tones::MUSIC, SECOND) < INAUDIBLE);
    answer(&mut world, carol);
    hear_each_other(&mut world, (alice, 440.0), (carol, 1_200.0));
    assert!(idle(&world, bob));
    assert_eq!(world[bob].refer_status, Some(202));
    let reports = [
        "SIP/2.0 100 Trying (active)",
        "SIP/2.0 180 Ringing (active)",
        "SIP/2.0 200 OK (terminated)",
    ];
    assert_eq!(world[bob].reports, reports);
    assert_eq!(
        world[carol].referred_by.as_deref(),
        Some("<sip:206@192.0.2.1:5060>")
    );
    hang_up(&mut world, carol);
    world.run(SECOND);
    assert_golden(golden("blind-transfer-by-callee.txt"), &world.ladder());
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_eq!(
        (record.cause, record.ended_by),
        (Cause::HangUp, Party::Callee)
    );
    let transfer = &record.transfers[0];
    assert_eq!(transfer.kind, TransferKind::Blind);
    assert_eq!(
        (&*transfer.by, &*transfer.to, transfer.status),
        ("206", "207", 200)
    );
    assert_eq!(record.legs.len(), 3);
}

#[test]
fn a_caller_transfers_the_called_phone() {
    let (mut world, [alice, bob, carol]) = with_a_third();
    world.clear_ladder();
    refer(&mut world, alice, "207");
    world.run(SECOND);
    assert!(world.heard(bob, tones::RINGING, SECOND / 2) > AUDIBLE);
    answer(&mut world, carol);
    hear_each_other(&mut world, (bob, 880.0), (carol, 1_200.0));
    assert!(idle(&world, alice));
    hang_up(&mut world, bob);
    world.run(SECOND);
    assert!(idle(&world, carol));
    assert_golden(golden("blind-transfer-by-caller.txt"), &world.ladder());
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_eq!((&*record.caller, record.ended_by), ("205", Party::Callee));
}

#[test]
fn a_transfer_that_fails_gives_the_conversation_back() {
    let refusals = [
        (
            "207",
            Some(Behaviour::Refuse(486)),
            "SIP/2.0 486 Busy Here (terminated)",
        ),
        (
            "207",
            Some(Behaviour::RefuseAfter(SECOND, 603)),
            "SIP/2.0 603 Decline (terminated)",
        ),
        (
            "207",
            Some(Behaviour::Ring),
            "SIP/2.0 480 Temporarily Unavailable (terminated)",
        ),
        (
            "207",
            None,
            "SIP/2.0 480 Temporarily Unavailable (terminated)",
        ),
        ("999", None, "SIP/2.0 404 Not Found (terminated)"),
        ("*45", None, "SIP/2.0 404 Not Found (terminated)"),
    ];
    for by_caller in [true, false] {
        for (number, behaviour, report) in refusals {
            let (mut world, alice, bob) = conversation();
            if let Some(behaviour) = behaviour {
                let carol = world.registered("207");
                world[carol].behaviour = behaviour;
            }
            let transferor = if by_caller { alice } else { bob };
            hold(&mut world, transferor, true);
            world.run(SECOND);
            refer(&mut world, transferor, number);
            world.run(70 * SECOND);
            assert_eq!(world[transferor].refer_status, Some(202));
            assert_eq!(world[transferor].reports.last().unwrap(), report);
            hold(&mut world, transferor, false);
            hear_each_other(&mut world, (alice, 440.0), (bob, 880.0));
            hang_up(&mut world, bob);
            comes_to_rest(&mut world);
            let record = &world.records[0];
            assert_eq!(record.ended_by, Party::Callee, "{number}");
            assert_ne!(record.transfers[0].status, 200);
        }
    }
}

#[test]
fn an_agent_transfers_its_customer_and_is_free() {
    let (mut world, customer, agent) = served();
    let desk = world.registered("206");
    world[desk].speaks = Some(1_200.0);
    world[desk].behaviour = Behaviour::AnswerAfter(SECOND);
    world.run(3 * SECOND);
    refer(&mut world, agent, "206");
    let state = |world: &World| world.exchange.queues().state(&AgentId("201".into()));
    world.run(SECOND / 2);
    assert!(matches!(state(&world), Some(State::Talking(_))));
    hear_each_other(&mut world, (customer, 440.0), (desk, 1_200.0));
    assert_eq!(state(&world), Some(State::Idle));
    assert!(idle(&world, agent));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_eq!(record.queues.len(), 1);
    assert_eq!(record.queues[0].outcome, Outcome::Answered);
    assert_eq!(record.queues[0].agent.as_deref(), Some("201"));
    assert!(
        (6_000..6_100).contains(&record.queues[0].talk_ms),
        "{record:#?}"
    );
    let files: Vec<_> = record.recordings.iter().map(|r| &*r.path).collect();
    let names = [
        "2026-11-20/212001-support-209-201.wav",
        "2026-11-20/212007-support-209-206-2.wav",
    ];
    assert_eq!(files, names, "the customer's story is recorded to its end");
    let second = &world.recordings[std::path::Path::new(files[1])];
    let right: Vec<i16> = second.iter().map(|pair| pair[1]).collect();
    assert!(media::tone::level(&right, 1_200.0) > AUDIBLE);
}

#[test]
fn a_transfer_to_a_queue_lets_the_customer_wait_again_and_both_waits_are_written_down() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
    world[customer].speaks = Some(440.0);
    world[agents[1]].speaks = Some(1_200.0);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(2 * SECOND);
    refer(&mut world, agents[0], "700");
    world.run(2 * SECOND);
    assert!(idle(&world, agents[0]) && rings(&world, agents[1]));
    assert!(world.heard(customer, tones::MUSIC, SECOND) > AUDIBLE);
    answer(&mut world, agents[1]);
    hear_each_other(&mut world, (customer, 440.0), (agents[1], 1_200.0));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    let record = &world.records[0];
    let served: Vec<_> = record.queues.iter().map(|q| q.agent.as_deref()).collect();
    assert_eq!(served, [Some("201"), Some("202")]);
    assert!(record.queues.iter().all(|q| q.talk_ms >= 2_000));
    assert_eq!(record.transfers[0].status, 200);
    assert_eq!(record.recordings.len(), 2);
}

#[test]
fn a_full_queue_takes_no_transfer() {
    let mut site = without_start_sound();
    site.queue().capacity = 0;
    let mut world = World::new(site);
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(3 * SECOND);
    refer(&mut world, bob, "700");
    world.run(SECOND);
    assert_eq!(
        world[bob].reports.last().unwrap(),
        "SIP/2.0 486 Busy Here (terminated)"
    );
    assert!(talks(&world, alice) && talks(&world, bob));
    hang_up(&mut world, bob);
    comes_to_rest(&mut world);
}

#[test]
fn who_wants_no_reports_gets_none() {
    let (mut world, [alice, bob, carol]) = with_a_third();
    world[carol].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(bob, |phone, now| {
        phone.refer(
            "207",
            None,
            &[("Refer-Sub", "false"), ("Supported", "norefersub")],
            now,
        );
    });
    world.run(3 * SECOND);
    assert!(talks(&world, alice) && talks(&world, carol) && idle(&world, bob));
    assert!(world[bob].reports.is_empty());
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn a_transferor_who_hangs_up_at_once_is_not_missed() {
    for (behaviour, cause) in [
        (Behaviour::AnswerAfter(2 * SECOND), Cause::HangUp),
        (Behaviour::RefuseAfter(2 * SECOND, 486), Cause::Busy),
    ] {
        let (mut world, [alice, bob, carol]) = with_a_third();
        world[carol].behaviour = behaviour;
        refer(&mut world, bob, "207");
        world.run(SECOND);
        hang_up(&mut world, bob);
        world.run(3 * SECOND);
        assert_eq!(talks(&world, carol), cause == Cause::HangUp);
        assert_eq!(talks(&world, alice), cause == Cause::HangUp);
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
        assert_eq!(world.records[0].cause, cause);
    }
}

#[test]
fn who_is_transferred_may_hang_up_meanwhile() {
    let (mut world, [alice, bob, carol]) = with_a_third();
    refer(&mut world, bob, "207");
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert!(idle(&world, bob) && idle(&world, carol));
    assert_eq!(
        world[bob].reports.last().unwrap(),
        "SIP/2.0 487 Request Terminated (terminated)"
    );
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].transfers[0].status, 487);
}

#[test]
fn phones_that_transfer_in_circles_come_to_an_end() {
    let mut world = World::new(Site::sample());
    let phones: Vec<PhoneId> = ["205", "206", "207"].map(|n| world.registered(n)).to_vec();
    for phone in &phones {
        world[*phone].behaviour = Behaviour::AnswerAfter(SECOND / 10);
    }
    dial(&mut world, phones[0], "206");
    world.run(SECOND);
    let mut transfers = 0;
    for round in 0..60 {
        let (from, to) = if round % 2 == 0 {
            (1, "207")
        } else {
            (2, "206")
        };
        if idle(&world, phones[from]) {
            break;
        }
        refer(&mut world, phones[from], to);
        world.run(SECOND);
        transfers += 1;
    }
    assert_eq!(transfers, 21, "the last two stay where they are");
    let last = phones.iter().find_map(|p| world[*p].reports.last());
    assert!(last.is_some());
    hang_up(&mut world, phones[0]);
    comes_to_rest(&mut world);
}
