//! What is recorded, and who stands on which side.

use media::tone::level;
use testkit::{Behaviour, Site, World};

use crate::scene::SECOND;

#[test]
fn a_conversation_is_recorded_with_the_customer_left_and_the_agent_right() {
    let mut site = Site::sample();
    site.service().start_sound = None;
    let mut world = World::new(site);
    let (agent, customer) = (world.registered("201"), world.registered("209"));
    world[customer].speaks = Some(440.0);
    world[agent].speaks = Some(880.0);
    world[agent].behaviour = Behaviour::AnswerAfter(2 * SECOND);
    world.act(customer, |phone, now| phone.dial("700", now));
    world.run(12 * SECOND);
    world.act(agent, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let record = &world.records[0].recordings[0];
    assert_eq!(record.path, "2026-11-20/212002-support-209-201.wav");
    assert_eq!(record.error, None);
    let samples = &world.recordings[std::path::Path::new(&record.path)];
    let talk_ms = world.records[0].queues[0].talk_ms;
    assert!(
        (samples.len() as u64 / 8).abs_diff(talk_ms) <= 20,
        "{} ms against {talk_ms}",
        samples.len() / 8
    );
    let (left, right): (Vec<i16>, Vec<i16>) =
        samples.iter().map(|[left, right]| (*left, *right)).unzip();
    let middle = left.len() / 2..left.len() / 2 + 16_000;
    assert!(level(&left[middle.clone()], 440.0) - level(&left[middle.clone()], 880.0) > 20.0);
    assert!(level(&right[middle.clone()], 880.0) - level(&right[middle], 440.0) > 20.0);
}

#[test]
fn a_queue_without_recording_leaves_none() {
    let mut site = Site::sample();
    site.service().record_enabled = false;
    let mut world = World::new(site);
    let (agent, customer) = (world.registered("201"), world.registered("209"));
    world[agent].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(customer, |phone, now| phone.dial("700", now));
    world.run(10 * SECOND);
    world.act(agent, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    assert!(world.records[0].recordings.is_empty() && world.recordings.is_empty());
}

/// As for the digits of a card: what is said meanwhile is not kept, and what is said after it is in its place.
#[test]
fn an_agent_pauses_the_recording_and_silence_stands_in_its_place() {
    let mut site = Site::sample();
    site.service().start_sound = None;
    site.service().record_pause_key = Some('9');
    let (mut world, customer, agent) = crate::scene::served_in(World::new(site));
    // 2 s have been recorded. Keys of the customer pause nothing, nor do others of the agent.
    world.press(customer, '9');
    world.press(agent, '8');
    world.run(2 * SECOND);
    world.press(agent, '9');
    world.run(3 * SECOND);
    world.press(agent, '9');
    world.run(2 * SECOND);
    world.press(agent, '9');
    world.run(2 * SECOND);
    world.act(customer, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let record = &world.records[0].recordings[0];
    assert_eq!(record.pauses.len(), 2);
    assert!(record.pauses[0].start > record.start && record.pauses[0].end < record.pauses[1].start);
    assert_eq!(record.pauses[1].end, record.end);
    let samples = &world.recordings[std::path::Path::new(&record.path)];
    assert!((samples.len() as u64 / 8).abs_diff(record.duration_ms) <= 20);
    assert!(samples.len() > 10 * 8_000, "the pauses are in it");
    for (from, to, heard) in [
        (2.5, 3.5, true),
        (4.5, 6.5, false),
        (7.5, 8.5, true),
        (9.5, 10.5, false),
    ] {
        let part = (from * 8_000.0) as usize..(to * 8_000.0) as usize;
        for (side, hz) in [(0, 440.0), (1, 880.0)] {
            let part: Vec<i16> = samples[part.clone()]
                .iter()
                .map(|both| both[side])
                .collect();
            let is_heard = level(&part, hz) > -30.0;
            assert_eq!(is_heard, heard, "{from} to {to} s, side {side}");
        }
    }
}
