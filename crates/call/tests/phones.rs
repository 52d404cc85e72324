//! Phones call phones.

use call::{Cause, Party};
use testkit::golden::assert_golden;
use testkit::{Access, Behaviour, PhoneState, Site, World, tones};

use crate::scene::{AUDIBLE, INAUDIBLE, SECOND, golden, two_phones};

#[test]
fn a_phone_calls_a_phone_and_each_hears_the_other() {
    let (mut world, alice, bob) = two_phones();
    world.act(alice, |phone, now| phone.dial("206", now));
    world.until("alice hears ringing", SECOND, |w| {
        w[alice].state() == PhoneState::RingingBack
    });
    world.act(bob, |phone, now| phone.answer(now));
    world.until("alice talks", SECOND, |w| {
        w[alice].state() == PhoneState::Talking
    });
    world.run(2 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(bob, 440.0, SECOND) > AUDIBLE);
    assert!(
        world.heard(alice, 440.0, SECOND) < INAUDIBLE,
        "nobody hears itself"
    );
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    assert_eq!(world[bob].state(), PhoneState::Idle);
    let record = &world.records[0];
    assert_eq!(
        (record.cause, record.ended_by),
        (Cause::HangUp, Party::Caller)
    );
    assert_eq!(record.legs.len(), 2);
    assert!(record.legs.iter().all(|leg| {
        leg.media
            .as_ref()
            .is_some_and(|media| media.received > 90 && media.lost == 0)
    }));
    assert_golden(golden("phone-to-phone.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn the_called_phone_hangs_up() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(3 * SECOND);
    world.act(bob, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    assert_eq!(world[alice].state(), PhoneState::Idle);
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::HangUp, Party::Callee)
    );
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn the_held_phone_hears_music_until_the_call_is_resumed() {
    let (mut world, alice, bob) = two_phones();
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(3 * SECOND);
    world.act(bob, |phone, now| phone.hold(true, now));
    world.run(2 * SECOND);
    assert!(world.heard(alice, tones::MUSIC, SECOND) > AUDIBLE);
    assert!(
        world.heard(alice, 880.0, SECOND) < INAUDIBLE,
        "who holds is not heard"
    );
    world.act(bob, |phone, now| phone.hold(false, now));
    world.run(2 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(alice, tones::MUSIC, SECOND) < INAUDIBLE);
    assert!(world.heard(bob, 440.0, SECOND) > AUDIBLE);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(40 * SECOND);
    assert_golden(golden("rfc5359-2.1-call-hold.txt"), &world.ladder());
    world.assert_at_rest();
}

#[test]
fn phones_with_different_codecs_hear_each_other() {
    let (mut world, alice, bob) = two_phones();
    world[alice].codec = media::g711::Law::Mu;
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(3 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(bob, 440.0, SECOND) > AUDIBLE);
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_answers_it_in_the_ack() {
    let (mut world, alice, bob) = two_phones();
    world[alice].late_offer = true;
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(3 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(bob, 440.0, SECOND) > AUDIBLE);
    world.act(bob, |phone, now| phone.hang_up(now));
    world.run(40 * SECOND);
    world.assert_at_rest();
}

/// What a caller gets who dials `number` while 206 behaves so; and why the record says.
fn refusal(number: &str, behaviour: Option<Behaviour>) -> (Option<u16>, Cause, Party) {
    let mut world = World::new(Site::sample());
    let alice = world.registered("205");
    if let Some(behaviour) = behaviour {
        let bob = world.registered("206");
        world[bob].behaviour = behaviour;
    }
    world.act(alice, |phone, now| phone.dial(number, now));
    world.run(150 * SECOND);
    assert_eq!(world[alice].state(), PhoneState::Idle);
    assert_eq!(world.records.len(), 1, "one record per call attempt");
    world.assert_at_rest();
    (
        world[alice].last_status,
        world.records[0].cause,
        world.records[0].ended_by,
    )
}

#[test]
fn a_busy_phone_is_486() {
    assert_eq!(
        refusal("206", Some(Behaviour::Refuse(486))),
        (Some(486), Cause::Busy, Party::Callee)
    );
}

#[test]
fn a_phone_that_refuses_is_603() {
    let refuses = Behaviour::RefuseAfter(3 * SECOND, 603);
    assert_eq!(
        refusal("206", Some(refuses)),
        (Some(603), Cause::Rejected, Party::Callee)
    );
}

#[test]
fn a_phone_that_nobody_answers_is_480_after_the_ring_timeout() {
    assert_eq!(
        refusal("206", Some(Behaviour::Ring)),
        (Some(480), Cause::NoAnswer, Party::Switch)
    );
}

#[test]
fn a_registered_phone_that_is_dead_is_408() {
    assert_eq!(
        refusal("206", Some(Behaviour::Dead)),
        (Some(408), Cause::NoAnswer, Party::Callee)
    );
}

#[test]
fn an_unregistered_phone_is_480() {
    assert_eq!(
        refusal("206", None),
        (Some(480), Cause::Unregistered, Party::Switch)
    );
}

#[test]
fn an_unknown_number_is_404() {
    assert_eq!(
        refusal("999", None),
        (Some(404), Cause::UnknownNumber, Party::Switch)
    );
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world.act(alice, |phone, now| phone.dial("206", now));
    world.until("bob rings", SECOND, |w| {
        w[bob].state() == PhoneState::Ringing
    });
    world.run(SECOND);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    assert_eq!(world[bob].state(), PhoneState::Idle);
    assert_eq!(world[alice].last_status, Some(487));
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::Cancelled, Party::Caller)
    );
    assert_golden(golden("caller-gives-up.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn the_echo_test_returns_what_it_hears() {
    let mut world = World::new(Site::sample());
    let alice = world.registered("205");
    world[alice].speaks = Some(440.0);
    world.act(alice, |phone, now| phone.dial("600", now));
    world.run(3 * SECOND);
    assert!(world.heard(alice, 440.0, SECOND) > AUDIBLE);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    assert_golden(golden("echo-test.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn a_leg_without_rtp_for_30_seconds_is_ended_with_its_reason() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(5 * SECOND);
    world[bob].alive = false;
    world.run(29 * SECOND);
    assert_eq!(world[alice].state(), PhoneState::Talking);
    world.run(3 * SECOND);
    assert_eq!(world[alice].state(), PhoneState::Idle);
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::MediaLost, Party::Callee)
    );
    world.run(70 * SECOND);
    world.assert_at_rest();
}

#[test]
fn who_watches_is_told_to_which_call_each_dialog_belongs() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    let talk = |world: &mut World| {
        world.act(alice, |phone, now| phone.dial("206", now));
        world.run(3 * SECOND);
    };
    talk(&mut world);
    assert!(world.dialogs.is_empty(), "nobody watches");
    world.control(|exchange, _| exchange.watch());
    let standing = std::mem::take(&mut world.dialogs);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    talk(&mut world);
    world.control(|exchange, _| exchange.unwatch());
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let told = [standing, std::mem::take(&mut world.dialogs)];
    for (told, record) in told.iter().zip(&world.records) {
        let legs: Vec<(String, String)> = record
            .legs
            .iter()
            .map(|leg| (record.call.clone(), leg.call_id.clone().unwrap()))
            .collect();
        assert_eq!(*told, legs);
    }
}

#[test]
fn the_reason_of_who_hangs_up_or_gives_up_is_passed_on() {
    for (answers, reason, passed) in [
        (
            true,
            "Q.850;cause=16;text=\"Normal call clearing\"",
            "Q.850;cause=16;text=\"Normal call clearing\"",
        ),
        (
            false,
            "SIP ;cause=200 ;text=\"Call completed elsewhere\"",
            "SIP;cause=200;text=\"Call completed elsewhere\"",
        ),
    ] {
        let mut world = World::new(Site::sample());
        let (alice, bob) = (world.registered("205"), world.registered("206"));
        world[alice].gives_reason = Some(reason);
        world.act(alice, |phone, now| phone.dial("206", now));
        world.run(SECOND);
        if answers {
            world.act(bob, |phone, now| phone.answer(now));
            world.run(SECOND);
        }
        world.act(alice, |phone, now| phone.hang_up(now));
        world.run(SECOND);
        assert_eq!(world[bob].state(), PhoneState::Idle);
        assert_eq!(world[bob].got_reason.as_deref(), Some(passed));
    }
}

#[test]
fn the_phones_that_did_not_answer_are_told_that_another_did() {
    let mut world = World::new(Site::sample());
    let alice = world.registered("205");
    let (bob, second) = (world.registered("206"), world.registered("206"));
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(SECOND);
    world.act(bob, |phone, now| phone.answer(now));
    world.run(SECOND);
    assert_eq!(world[second].state(), PhoneState::Idle);
    assert_eq!(
        world[second].got_reason.as_deref(),
        Some("SIP;cause=200;text=\"Call completed elsewhere\"")
    );
}

#[test]
fn a_sips_call_reaches_only_a_phone_that_is_on_tls() {
    let mut world = World::new(Site::sample());
    let alice = world.phone_with("205", Access::TLS);
    let bob = world.phone_with("206", Access::TLS);
    for phone in [alice, bob] {
        world.act(phone, |phone, now| phone.register(600, now));
    }
    let _carol = world.registered("207");
    world[alice].scheme = "sips";
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("207", now));
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(480));
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(3 * SECOND);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(40 * SECOND);
    let causes: Vec<Cause> = world.records.iter().map(|record| record.cause).collect();
    assert_eq!(causes, [Cause::Unregistered, Cause::HangUp]);
    world.assert_at_rest();
}

/// RFC 6086: a key that a phone tells to the switch alone is told on in the other's way, and on time.
#[test]
fn keys_by_info_reach_the_other_side_of_a_conversation() {
    let (mut world, alice, bob) = crate::scene::conversation();
    for (phone, keys) in [(alice, "17#"), (bob, "D*")] {
        for key in keys.chars() {
            world.act(phone, |phone, now| phone.tell_key(key, now));
        }
        world.run(2 * SECOND);
    }
    assert_eq!((&*world[bob].keys, &*world[alice].keys), ("17#", "D*"));
    world.run(SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(bob, 440.0, SECOND) > AUDIBLE);
}
