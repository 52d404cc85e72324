//! Faults: of peers, of the media, of the recorder, and of Ringmaster itself.

use std::time::Duration;

use call::record::Outcome;
use call::{Cause, Party};
use media::mixer::{LegId, PlayId, Port, PortIndex, RecordingId, StreamStats};
use testkit::{Behaviour, Recorder, Site};

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, conversation, dial, hang_up, idle, rings, served,
    talks, waiting, without_start_sound,
};

// --- faults of ours ------------------------------------------------------------------------------------------------
// A time beyond all clocks, which the configuration never lets through, makes the state that adds it to now panic:
// `ring_timeout` does so when the called phone rings already, the interval of announcements when the caller has its ticket.

#[test]
fn a_panic_ends_its_own_call_and_no_other() {
    let mut site = without_start_sound();
    site.settings.ring_timeout = Duration::MAX;
    let (mut world, customer, agents) = call_centre(site, 1);
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(500));
    assert!(idle(&world, bob), "what rang for the call has stopped");
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::InternalError, Party::Switch)
    );
    assert!(talks(&world, customer) && talks(&world, agents[0]));
    hang_up(&mut world, customer);
    world.run(70 * SECOND);
    assert_eq!(world.exchange.panics(), 1);
    assert_eq!(world.exchange.load(), Default::default());
}

#[test]
fn a_panic_of_a_call_with_a_ticket_frees_its_place_in_the_queue() {
    let mut site = without_start_sound();
    let good = site.settings.clone();
    let announcement = site.service().announce.as_mut();
    announcement.expect("the site has one").every = Duration::MAX;
    let (mut world, customer, agents) = call_centre(site, 1);
    let second = world.registered("210");
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(idle(&world, customer) && idle(&world, agents[0]));
    assert_eq!(world.exchange.load().callers, 0);
    world.control(|exchange, now| exchange.configure(good, now));
    dial(&mut world, second, "700");
    world.run(SECOND);
    assert!(rings(&world, agents[0]), "the next customer is served");
    hang_up(&mut world, second);
    world.run(70 * SECOND);
    assert_eq!(world.exchange.load(), Default::default());
    assert_eq!(world.exchange.panics(), 1);
}

#[test]
fn a_panic_in_a_conversation_frees_the_agent_and_keeps_the_recording() {
    let site = without_start_sound();
    let mut bad = site.clone();
    let announcement = bad.service().announce.as_mut();
    announcement.expect("the site has one").every = Duration::MAX;
    let (mut world, customer, agents) = waiting(site, 2);
    answer(&mut world, agents[0]);
    world.run(Duration::from_millis(100));
    world.control(|exchange, now| exchange.configure(bad.settings, now));
    // The agent vanishes, the customer would wait on.
    hang_up(&mut world, agents[0]);
    world.run(SECOND);
    assert!(idle(&world, customer));
    assert_eq!(world.exchange.panics(), 1);
    let record = &world.records[0];
    assert_eq!(record.cause, Cause::InternalError);
    assert_eq!(record.queues[0].outcome, Outcome::Closed);
    assert_eq!(record.recordings[0].error, None);
    world.run(70 * SECOND);
    assert_eq!(world.exchange.load(), Default::default());
}

// --- the media -----------------------------------------------------------------------------------------------------

#[test]
fn what_the_media_tell_of_unknown_legs_is_ignored() {
    let (mut world, customer, agent) = served();
    let unknown = LegId(4_711);
    let port = Port {
        worker: 0,
        index: PortIndex(0),
        local: "192.0.2.1:10000".parse().expect("an address"),
    };
    let events = [
        media::Event::Played {
            leg: unknown,
            play: PlayId(1),
        },
        media::Event::Digit {
            leg: unknown,
            digit: '0',
        },
        media::Event::Silent {
            leg: unknown,
            after: SECOND,
        },
        media::Event::Closed {
            leg: unknown,
            port,
            stats: StreamStats::default(),
        },
        media::Event::Recorded {
            recording: RecordingId(4_711),
            result: Ok(SECOND),
        },
    ];
    for event in events {
        world.control(|exchange, now| exchange.handle_media(event, now));
    }
    assert!(talks(&world, customer) && talks(&world, agent));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_leg_whose_port_cannot_be_opened_ends_its_call_at_once() {
    for number in ["700", "600", "206"] {
        let (mut world, customer, _) = call_centre(Site::sample(), 0);
        let bob = world.registered("206");
        world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
        world.ports_are_broken = true;
        dial(&mut world, customer, number);
        world.run(2 * SECOND);
        assert!(idle(&world, customer) && idle(&world, bob), "{number}");
        assert_eq!(world.records[0].cause, Cause::MediaLost);
        comes_to_rest(&mut world);
    }
}

#[test]
fn a_stuck_rtp_worker_delays_the_record_by_five_seconds_and_no_more() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    world.worker_is_stuck = true;
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(6 * SECOND);
    let record = &world.records[0];
    assert_eq!(record.cause, Cause::HangUp);
    assert_eq!(record.legs.len(), 2);
    assert!(record.legs.iter().all(|leg| leg.media.is_none()));
    world.run(70 * SECOND);
    assert_eq!(world.exchange.load(), Default::default());
}

#[test]
fn a_recorder_that_fails_ends_no_call_and_the_record_says_what_is_missing() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    world.recorder = Recorder::Fails;
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(5 * SECOND);
    assert!(talks(&world, customer) && talks(&world, agents[0]));
    hang_up(&mut world, customer);
    world.run(SECOND);
    let recording = &world.records[0].recordings[0];
    assert_eq!(recording.error.as_deref(), Some("the disk is full"));
    comes_to_rest(&mut world);
}

#[test]
fn a_recorder_that_is_stuck_delays_the_record_by_five_seconds_and_no_more() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    world.recorder = Recorder::Stuck;
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(Duration::from_millis(4_900));
    assert!(world.records.is_empty());
    world.run(SECOND);
    assert!(world.records[0].recordings[0].error.is_some());
    comes_to_rest(&mut world);
}

// --- peers ---------------------------------------------------------------------------------------------------------

#[test]
fn an_agent_whose_phone_dies_while_it_rings_costs_the_customer_one_ring() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 2);
    world[agents[0]].alive = false;
    world.run(20 * SECOND);
    assert!(rings(&world, agents[1]));
    answer(&mut world, agents[1]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(60 * SECOND);
    comes_to_rest(&mut world);
}

#[test]
fn both_phones_dying_ends_the_call_and_frees_the_agent() {
    let (mut world, customer, agent) = served();
    world[customer].alive = false;
    world[agent].alive = false;
    world.run(31 * SECOND);
    assert_eq!(world.records[0].cause, Cause::MediaLost);
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_in_a_queue_that_dies_frees_its_place() {
    let (mut world, customer, _) = waiting(without_start_sound(), 0);
    world[customer].alive = false;
    world.run(31 * SECOND);
    assert_eq!(world.exchange.load().callers, 0);
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::MediaLost, Party::Caller)
    );
    assert_eq!(world.records[0].queues[0].outcome, Outcome::Abandoned);
    comes_to_rest(&mut world);
}

#[test]
fn a_held_call_may_be_silent_for_half_an_hour() {
    let (mut world, alice, bob) = conversation();
    world.act(alice, |phone, now| phone.hold(true, now));
    world[alice].mute = true;
    world.run(1_700 * SECOND);
    assert!(talks(&world, alice) && talks(&world, bob));
    world.run(200 * SECOND);
    assert!(idle(&world, alice) && idle(&world, bob));
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::MediaLost, Party::Caller)
    );
    comes_to_rest(&mut world);
}
