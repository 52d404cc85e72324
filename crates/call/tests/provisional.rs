//! What happens before the answer: reliable provisional answers (RFC 3262), early media, UPDATE (RFC 3311).

use std::time::Duration;

use testkit::golden::assert_golden;
use testkit::{Behaviour, Offer, PhoneId, World, tones};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, call_centre, comes_to_rest, conversation, dial, golden,
    hang_up, idle, talks, two_phones, without_start_sound,
};

fn assert_both_hear(world: &World, a: PhoneId, b: PhoneId) {
    for (hears, tone) in [(a, 880.0), (b, 440.0)] {
        assert!(world.heard(hears, tone, SECOND) > AUDIBLE);
    }
}

#[test]
fn both_phones_ring_reliably() {
    let (mut world, alice, bob) = two_phones();
    for phone in [alice, bob] {
        world[phone].reliable = true;
    }
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(2 * SECOND);
    assert_both_hear(&world, alice, bob);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_golden(golden("rfc3262-reliable-ringing.txt"), &world.ladder());
    comes_to_rest(&mut world);
}

#[test]
fn the_caller_hears_what_the_called_phone_says_before_it_answers() {
    for reliable in [false, true] {
        let (mut world, alice, bob) = two_phones();
        for phone in [alice, bob] {
            world[phone].reliable = reliable;
        }
        world[bob].early_media = true;
        dial(&mut world, alice, "206");
        world.run(2 * SECOND);
        assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
        answer(&mut world, bob);
        world.run(2 * SECOND);
        assert_both_hear(&world, alice, bob);
        hang_up(&mut world, bob);
        world.run(SECOND);
        assert!(idle(&world, alice));
        let name = if reliable {
            "rfc3262-early-media.txt"
        } else {
            "early-media.txt"
        };
        assert_golden(golden(name), &world.ladder());
        comes_to_rest(&mut world);
    }
}

#[test]
fn a_caller_may_listen_for_longer_than_the_rtp_limit_and_give_up() {
    let (mut world, alice, bob) = two_phones();
    world[bob].early_media = true;
    dial(&mut world, alice, "206");
    world.run(45 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
    assert!(idle(&world, bob));
}

#[test]
fn when_the_phone_that_was_heard_refuses_another_may_answer() {
    let (mut world, alice, bob) = two_phones();
    let second = world.registered("206");
    world[second].speaks = Some(1_200.0);
    world[bob].early_media = true;
    world[bob].behaviour = Behaviour::RefuseAfter(3 * SECOND, 486);
    dial(&mut world, alice, "206");
    world.run(2 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    world.run(3 * SECOND);
    assert!(world.heard(alice, tones::RINGING, SECOND) > AUDIBLE);
    answer(&mut world, second);
    world.run(2 * SECOND);
    assert!(world.heard(alice, 1_200.0, SECOND) > AUDIBLE);
    assert!(world.heard(alice, tones::RINGING, SECOND) < INAUDIBLE);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn another_phone_may_answer_while_one_is_heard() {
    let (mut world, alice, bob) = two_phones();
    let second = world.registered("206");
    world[second].speaks = Some(1_200.0);
    world[bob].early_media = true;
    dial(&mut world, alice, "206");
    world.run(2 * SECOND);
    answer(&mut world, second);
    world.run(2 * SECOND);
    assert!(idle(&world, bob) && talks(&world, second));
    assert!(world.heard(alice, 1_200.0, SECOND) > AUDIBLE);
    assert!(world.heard(alice, 880.0, SECOND) < INAUDIBLE);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn a_late_offer_is_made_in_the_180_and_answered_in_the_prack() {
    let (mut world, alice, bob) = two_phones();
    world[alice].reliable = true;
    world[alice].late_offer = true;
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(2 * SECOND);
    assert_both_hear(&world, alice, bob);
    hang_up(&mut world, bob);
    world.run(SECOND);
    assert_golden(golden("rfc3262-offer-in-180.txt"), &world.ladder());
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_describes_itself_while_ringing_is_talked_to() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let agent = agents[0];
    world[customer].speaks = Some(440.0);
    world[agent].speaks = Some(880.0);
    world[agent].early_media = true;
    world[agent].reliable = true;
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    assert!(
        world.heard(customer, tones::MUSIC, SECOND) > AUDIBLE,
        "music until the agent answers"
    );
    answer(&mut world, agent);
    world.run(2 * SECOND);
    assert_both_hear(&world, customer, agent);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_call_is_held_and_resumed_by_update() {
    let (mut world, alice, bob) = conversation();
    for direction in ["sendonly", "inactive"] {
        for (holds, held) in [(alice, bob), (bob, alice)] {
            world.act(holds, |phone, now| {
                phone.update(Offer::Direction(direction), now);
            });
            world.run(2 * SECOND);
            assert!(world.heard(held, tones::MUSIC, SECOND) > AUDIBLE);
            world.act(holds, |phone, now| {
                phone.update(Offer::Direction("sendrecv"), now);
            });
            world.run(2 * SECOND);
            assert_both_hear(&world, alice, bob);
        }
    }
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_golden(golden("rfc3311-hold-by-update.txt"), &world.ladder());
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_never_acknowledges_its_ringing_is_refused_in_the_end() {
    let (mut world, alice, bob) = two_phones();
    world[alice].reliable = true;
    dial(&mut world, alice, "206");
    world.run(Duration::from_millis(2));
    world[alice].alive = false;
    world.run(33 * SECOND);
    assert!(idle(&world, bob));
    assert_eq!(world.records.len(), 1);
}
