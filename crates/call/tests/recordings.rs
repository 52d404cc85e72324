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
