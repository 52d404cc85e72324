//! The call record says what happened: golden records are its documentation.

use std::time::Duration;

use call::record::{MAX_LEGS, Outcome};
use call::{CallRecord, Cause, Party};
use testkit::golden::assert_golden;
use testkit::{Behaviour, Site, World};

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, conversation, dial, hang_up, idle, waiting,
    without_start_sound,
};

fn assert_record(name: &str, record: &CallRecord) {
    let mut record = record.clone();
    for leg in &mut record.legs {
        // Drawn by chance; a test of its own compares them.
        leg.call_id = leg.call_id.take().map(|_| "...".to_owned());
    }
    let mut text = serde_json::to_string_pretty(&record).expect("a record is JSON");
    text.push('\n');
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records");
    assert_golden(folder.join(name), &text);
}

/// What must hold of every record, whatever happened.
pub(crate) fn assert_plausible(record: &CallRecord) {
    let in_order = |moments: &[&Option<String>]| {
        let known: Vec<&String> = moments.iter().filter_map(|m| m.as_ref()).collect();
        assert!(known.is_sorted(), "{record:#?}");
    };
    let (start, end) = (Some(record.start.clone()), Some(record.end.clone()));
    in_order(&[&start, &record.answer, &end]);
    for leg in &record.legs {
        let [began, ended] = [&leg.start, &leg.end].map(|moment| Some(moment.clone()));
        in_order(&[&start, &began, &leg.ring, &leg.answer, &ended, &end]);
        assert_eq!(leg.answer.is_some(), leg.status == Some(200), "{leg:?}");
        assert!(leg.status.is_some() && leg.call_id.is_some(), "{leg:?}");
        assert_eq!(leg.agent.is_some(), leg.role == "agent", "{leg:?}");
    }
    assert_eq!(record.legs[0].role, "caller");
    assert_eq!(record.legs[0].answer, record.answer);
    for visit in &record.queues {
        let answered = visit.outcome == Outcome::Answered;
        assert_eq!(visit.agent.is_some(), answered, "{visit:?}");
        assert!(answered || visit.talk_ms == 0, "{visit:?}");
        assert!(visit.wait_ms + visit.talk_ms <= record.duration_ms);
    }
    for recording in &record.recordings {
        assert!(recording.start <= recording.end && recording.end <= record.end);
    }
}

#[test]
fn the_record_of_a_phone_call() {
    let (mut world, alice, _) = conversation();
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_record("phone-call.json", &world.records[0]);
}

/// 201 does not answer, 202 vanishes, 203 serves and holds the customer for a while, the customer hangs up.
#[test]
fn the_record_of_a_queue_call_with_all_that_can_happen() {
    let mut site = Site::sample();
    site.each_agent(|agent| agent.call_timeout = 5 * SECOND);
    let (mut world, customer, agents) = call_centre(site, 3);
    dial(&mut world, customer, "700");
    world.run(8 * SECOND);
    answer(&mut world, agents[1]);
    world.run(Duration::from_millis(200));
    hang_up(&mut world, agents[1]);
    world.run(SECOND);
    answer(&mut world, agents[2]);
    world.run(10 * SECOND);
    for on in [true, false] {
        world.act(agents[2], |phone, now| phone.hold(on, now));
        world.run(5 * SECOND);
    }
    hang_up(&mut world, customer);
    world.run(SECOND);
    let record = &world.records[0];
    assert_record("queue-call.json", record);
    assert_eq!(record.queues[0].talk_ms, 20_000, "with the hold");
    comes_to_rest(&mut world);
}

#[test]
fn the_record_of_a_customer_who_goes_from_the_queue_to_a_phone() {
    let mut site = without_start_sound();
    site.queue().max_wait_time = Some(10 * SECOND);
    site.service().timeout_transfer_dst = Some("205".to_owned());
    let (mut world, customer, _) = call_centre(site, 0);
    let desk = world.registered("205");
    world[desk].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, customer, "700");
    world.run(60 * SECOND);
    hang_up(&mut world, desk);
    world.run(SECOND);
    let record = &world.records[0];
    assert_record("queue-then-phone.json", record);
    assert_eq!(record.queues[0].talk_ms, 0, "no agent talked");
}

#[test]
fn every_leg_carries_the_call_id_of_its_dialog() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 1);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    let of = |world: &World, phone| world[phone].call_id().map(str::to_owned);
    let expected = [of(&world, customer), of(&world, agents[0])];
    hang_up(&mut world, customer);
    world.run(SECOND);
    let legs = &world.records[0].legs;
    let written: Vec<_> = legs.iter().map(|leg| leg.call_id.clone()).collect();
    assert_eq!(written, expected);
}

#[test]
fn who_ended_the_call_and_why() {
    type End = fn(&mut World, [testkit::PhoneId; 2]);
    let ends: [(End, Cause, Party); 5] = [
        (|w, [a, _]| hang_up(w, a), Cause::HangUp, Party::Caller),
        (|w, [_, b]| hang_up(w, b), Cause::HangUp, Party::Callee),
        (
            |w, [a, _]| w[a].mute = true,
            Cause::MediaLost,
            Party::Caller,
        ),
        (
            |w, [_, b]| w[b].mute = true,
            Cause::MediaLost,
            Party::Callee,
        ),
        (
            |w, _| w.control(|exchange, now| exchange.hang_up_all(now)),
            Cause::Stopped,
            Party::Switch,
        ),
    ];
    for (end, cause, by) in ends {
        let (mut world, alice, bob) = conversation();
        end(&mut world, [alice, bob]);
        world.run(35 * SECOND);
        assert!(idle(&world, alice) && idle(&world, bob));
        let record = &world.records[0];
        assert_eq!((record.cause, record.ended_by), (cause, by));
        comes_to_rest(&mut world);
    }
}

#[test]
fn a_record_with_too_many_legs_keeps_those_that_were_answered() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.reject_delay_time = Duration::ZERO);
    site.queue().max_wait_time = None;
    let mut world = World::silent(site);
    let agent = world.registered("201");
    let customer = world.registered("209");
    world[agent].behaviour = Behaviour::Refuse(603);
    dial(&mut world, customer, "700");
    world.run(2_100 * SECOND);
    world[agent].behaviour = Behaviour::AnswerAfter(SECOND);
    world.run(60 * SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    let record = &world.records[0];
    assert_eq!(record.queues[0].outcome, Outcome::Answered);
    assert_eq!(record.legs.len(), MAX_LEGS);
    assert!(record.legs_omitted > 5, "{}", record.legs_omitted);
    assert_eq!(record.legs[0].role, "caller");
    let answered = record.legs.iter().filter(|leg| leg.answer.is_some());
    assert_eq!(answered.count(), 2);
    world.run(60 * SECOND);
    world.assert_at_rest();
}
