//! Offers and answers: late ones, holds from every side, other codecs, and phones that do not keep to the rules.

use std::time::Duration;

use call::{Cause, Party};
use media::g711::Law;
use testkit::{Offer, PhoneId, Site, World, tones};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, call_centre, comes_to_rest, conversation, dial, hang_up,
    idle, rings, served, talks, waiting, without_start_sound,
};

fn reinvite(world: &mut World, phone: PhoneId, offer: Offer) {
    world.act(phone, |phone, now| phone.reinvite(offer, now));
    world.run(2 * SECOND);
}

/// Both hear each other now, and no music.
fn assert_both_hear(world: &World, a: PhoneId, b: PhoneId) {
    for (hears, speaks) in [(a, b), (b, a)] {
        let tone = world[speaks].speaks.expect("both speak");
        assert!(world.heard(hears, tone, SECOND) > AUDIBLE);
        assert!(world.heard(hears, tones::MUSIC, SECOND) < INAUDIBLE);
    }
}

/// This one hears music and not the other.
fn assert_hears_music(world: &World, phone: PhoneId) {
    assert!(world.heard(phone, tones::MUSIC, SECOND) > AUDIBLE);
    assert!(world.heard(phone, 440.0, SECOND) < INAUDIBLE);
    assert!(world.heard(phone, 880.0, SECOND) < INAUDIBLE);
}

// --- late offers ---------------------------------------------------------------------------------------------------

#[test]
fn a_late_offer_works_wherever_it_leads() {
    for (number, hears) in [
        ("600", 440.0),
        ("601", tones::MUSIC),
        ("700", tones::START),
        ("*45", tones::NOT_AN_AGENT),
    ] {
        let (mut world, customer, _) = call_centre(Site::sample(), 0);
        world[customer].late_offer = true;
        world[customer].speaks = Some(440.0);
        dial(&mut world, customer, number);
        world.run(Duration::from_millis(900));
        assert!(
            world.heard(customer, hears, SECOND / 2) > AUDIBLE,
            "{number}"
        );
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
    }
}

#[test]
fn a_customer_with_a_late_offer_is_served_and_recorded() {
    let (mut world, customer, agents) = call_centre(Site::sample(), 1);
    world[customer].late_offer = true;
    world[customer].speaks = Some(440.0);
    world[agents[0]].speaks = Some(880.0);
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    answer(&mut world, agents[0]);
    world.run(2 * SECOND);
    assert_both_hear(&world, customer, agents[0]);
    hang_up(&mut world, agents[0]);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].recordings[0].error, None);
    assert!(world.records[0].recordings[0].duration_ms > 1_900);
}

#[test]
fn a_caller_who_never_acknowledges_is_let_go_after_32_seconds() {
    for late_offer in [false, true] {
        let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
        world[customer].late_offer = late_offer;
        world[customer].acknowledges = false;
        dial(&mut world, customer, "700");
        world.run(SECOND);
        answer(&mut world, agents[0]);
        world.run(30 * SECOND);
        assert!(talks(&world, agents[0]));
        world.run(2 * SECOND);
        assert!(idle(&world, agents[0]) && idle(&world, customer));
        comes_to_rest(&mut world);
        let record = &world.records[0];
        assert_eq!(
            (record.cause, record.ended_by),
            (Cause::PeerGone, Party::Caller)
        );
        let error = record.recordings[0].error.is_some();
        assert_eq!(error, late_offer, "without an ACK it never began");
    }
}

#[test]
fn what_was_asked_of_a_stream_before_its_ack_happens_in_order() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
    world[customer].late_offer = true;
    world[customer].acknowledges = false;
    world[customer].speaks = Some(440.0);
    world[agents[1]].speaks = Some(880.0);
    dial(&mut world, customer, "700");
    world.run(Duration::from_millis(100));
    answer(&mut world, agents[0]);
    world.run(Duration::from_millis(100));
    hang_up(&mut world, agents[0]);
    world.run(Duration::from_millis(100));
    world[customer].acknowledges = true;
    world.run(2 * SECOND);
    assert!(rings(&world, agents[1]));
    assert_hears_music(&world, customer);
    answer(&mut world, agents[1]);
    world.run(2 * SECOND);
    assert_both_hear(&world, customer, agents[1]);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    let lengths: Vec<u64> = world.records[0]
        .recordings
        .iter()
        .map(|recording| recording.duration_ms)
        .collect();
    assert!(matches!(lengths[..], [0, 1_950..2_050]), "{lengths:?}");
}

#[test]
fn a_late_offer_whose_ack_has_no_answer_ends_the_call() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    world[customer].late_offer = true;
    world[customer].late_answer = false;
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(idle(&world, customer) && idle(&world, agents[0]));
    assert_eq!(world.records[0].cause, Cause::NotAcceptable);
    comes_to_rest(&mut world);
}

#[test]
fn a_session_description_in_an_ack_that_nobody_asked_for_changes_nothing() {
    let (mut world, alice, bob) = conversation();
    world[alice].ack_describes = Some("inactive");
    reinvite(&mut world, alice, Offer::Direction("sendrecv"));
    assert_both_hear(&world, alice, bob);
}

// --- holds ---------------------------------------------------------------------------------------------------------

#[test]
fn when_both_hold_they_hear_each_other_after_the_second_resume() {
    for first_to_resume in [0, 1] {
        let (mut world, alice, bob) = conversation();
        let both = [alice, bob];
        reinvite(&mut world, alice, Offer::Direction("sendonly"));
        assert_hears_music(&world, bob);
        reinvite(&mut world, bob, Offer::Direction("sendonly"));
        let (first, second) = (both[first_to_resume], both[1 - first_to_resume]);
        reinvite(&mut world, first, Offer::Direction("sendrecv"));
        assert_hears_music(&world, first);
        reinvite(&mut world, second, Offer::Direction("sendrecv"));
        assert_both_hear(&world, alice, bob);
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
    }
}

#[test]
fn a_hold_may_be_inactive_and_may_be_told_in_an_ack() {
    for hold in [Offer::Direction("inactive"), Offer::Late("sendonly")] {
        for resume in [Offer::Direction("sendrecv"), Offer::Late("sendrecv")] {
            let (mut world, alice, bob) = conversation();
            reinvite(&mut world, alice, hold);
            assert_hears_music(&world, bob);
            reinvite(&mut world, alice, resume);
            assert_both_hear(&world, alice, bob);
            hang_up(&mut world, bob);
            comes_to_rest(&mut world);
        }
    }
}

#[test]
fn a_customer_who_holds_while_waiting_is_offered_served_and_hears_the_agent_after_resuming() {
    let (mut world, customer, agents) = call_centre(Site::sample(), 1);
    let agent = agents[0];
    world[customer].speaks = Some(440.0);
    world[agent].speaks = Some(880.0);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    reinvite(&mut world, customer, Offer::Direction("sendonly"));
    assert!(
        rings(&world, agent),
        "the start sound has its end all the same"
    );
    answer(&mut world, agent);
    world.run(2 * SECOND);
    assert_hears_music(&world, agent);
    reinvite(&mut world, customer, Offer::Direction("sendrecv"));
    assert_both_hear(&world, customer, agent);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_customer_who_held_and_resumed_while_waiting_hears_the_music_again() {
    let (mut world, customer, _) = waiting(without_start_sound(), 0);
    reinvite(&mut world, customer, Offer::Direction("sendonly"));
    let heard = world[customer].heard.len();
    world.run(2 * SECOND);
    assert_eq!(world[customer].heard.len(), heard, "nothing is sent");
    reinvite(&mut world, customer, Offer::Direction("sendrecv"));
    assert_hears_music(&world, customer);
}

#[test]
fn a_phone_that_answers_on_hold_lets_the_caller_hear_music() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let agent = agents[0];
    world[customer].speaks = Some(440.0);
    world[agent].speaks = Some(880.0);
    world[agent].answers = "sendonly";
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agent);
    world.run(2 * SECOND);
    assert_hears_music(&world, customer);
    reinvite(&mut world, agent, Offer::Direction("sendrecv"));
    assert_both_hear(&world, customer, agent);
}

#[test]
fn a_hold_before_the_callers_ack_is_kept_when_the_ack_comes() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[alice].late_offer = true;
    world[alice].acknowledges = false;
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(Duration::from_millis(100));
    world.act(bob, |phone, now| phone.hold(true, now));
    world.run(Duration::from_millis(100));
    world[alice].acknowledges = true;
    world.run(3 * SECOND);
    assert_hears_music(&world, alice);
}

#[test]
fn a_recording_goes_on_while_the_call_is_held() {
    let (mut world, customer, agent) = served();
    reinvite(&mut world, agent, Offer::Direction("sendonly"));
    reinvite(&mut world, agent, Offer::Direction("sendrecv"));
    hang_up(&mut world, agent);
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_eq!(record.recordings.len(), 1);
    assert!(
        record.recordings[0]
            .duration_ms
            .abs_diff(record.queues[0].talk_ms)
            <= 20
    );
    assert!(idle(&world, customer));
}

// --- other sessions ------------------------------------------------------------------------------------------------

#[test]
fn a_reinvite_may_change_the_codec() {
    let (mut world, alice, bob) = conversation();
    reinvite(&mut world, alice, Offer::Codec(Law::Mu));
    assert_both_hear(&world, alice, bob);
    reinvite(&mut world, bob, Offer::Codec(Law::Mu));
    assert_both_hear(&world, alice, bob);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
    let codecs: Vec<_> = world.records[0].legs.iter().map(|leg| leg.codec).collect();
    assert_eq!(codecs, [Some("PCMU"), Some("PCMU")]);
}

#[test]
fn a_reinvite_that_nobody_can_agree_on_is_488_and_changes_nothing() {
    let (mut world, alice, bob) = conversation();
    reinvite(&mut world, alice, Offer::Unknown);
    assert_eq!(world[alice].last_status, Some(488));
    assert_both_hear(&world, alice, bob);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_whose_answer_nobody_can_agree_on_is_let_go_and_the_next_one_rings() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
    world[agents[0]].speaks_unknown_codecs = true;
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    assert!(idle(&world, agents[0]), "it got ACK and BYE");
    assert!(rings(&world, agents[1]) && talks(&world, customer));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_caller_without_a_codec_in_common_is_488_at_once() {
    for number in ["700", "206", "600"] {
        let mut world = World::new(Site::sample());
        let (alice, bob) = (world.registered("205"), world.registered("206"));
        world[alice].speaks_unknown_codecs = true;
        dial(&mut world, alice, number);
        world.run(SECOND);
        assert_eq!(world[alice].last_status, Some(488), "{number}");
        assert!(idle(&world, bob), "it never rang");
        assert_eq!(world.records[0].cause, Cause::NotAcceptable);
        comes_to_rest(&mut world);
    }
}
