//! Lamps of desk phones: who watches a phone sees its calls come and go (RFC 4235, RFC 6665).

use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, PhoneState, Site, World};

use crate::scene::{SECOND, answer, dial, golden, hang_up, without_start_sound};

/// 210 watches this phone.
pub(crate) fn watched(world: &mut World, whom: &str) -> PhoneId {
    let desk = world.registered("210");
    world.act(desk, |phone, now| phone.watch("dialog", whom, now));
    world.run(SECOND);
    world.clear_ladder();
    desk
}

/// The states of the dialogs in each document that a phone got.
pub(crate) fn told(world: &World, desk: PhoneId) -> Vec<String> {
    let document = |(_, body): &(String, String)| {
        let states = body.split("<state>").skip(1);
        let states = states.filter_map(|rest| rest.split("</state>").next());
        states.collect::<Vec<_>>().join(" ")
    };
    world[desk].notified.iter().map(document).collect()
}

#[test]
fn a_lamp_follows_a_call_between_phones() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    let desk = watched(&mut world, "206");
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(3 * SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_eq!(
        told(&world, desk),
        ["", "trying", "early", "confirmed", "terminated"]
    );
    assert_golden(golden("lamp-of-a-phone.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.act(desk, |phone, now| phone.unwatch(now));
    world.run(40 * SECOND);
    assert_eq!(
        world[desk].notified.last().unwrap().0,
        "terminated;reason=timeout"
    );
    world.assert_at_rest();
}

#[test]
fn a_lamp_follows_the_calls_of_a_queue() {
    let mut world = World::new(without_start_sound());
    let (agent, customer) = (world.registered("201"), world.registered("209"));
    let desk = watched(&mut world, "201");
    dial(&mut world, customer, "700");
    world.run(2 * SECOND);
    answer(&mut world, agent);
    world.run(3 * SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_eq!(
        told(&world, desk),
        ["", "trying", "early", "confirmed", "terminated"]
    );
    let early = &world[desk].notified[2].1;
    assert!(early.contains("direction=\"recipient\""), "{early}");
    assert!(early.contains(">sip:209@192.0.2.1</identity>"), "{early}");
    assert_golden(golden("lamp-of-an-agent.txt"), &world.ladder());
}

#[test]
fn a_lamp_of_the_caller_tells_whom_it_called_and_that_it_holds() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    let desk = watched(&mut world, "205");
    world[bob].behaviour = Behaviour::AnswerAfter(2 * SECOND);
    dial(&mut world, alice, "206");
    world.run(5 * SECOND);
    world.act(alice, |phone, now| phone.hold(true, now));
    world.run(2 * SECOND);
    let last = &world[desk].notified.last().unwrap().1;
    assert!(last.contains("direction=\"initiator\""), "{last}");
    assert!(last.contains(">sip:206@192.0.2.1</identity>"), "{last}");
    assert!(last.contains("+sip.rendering"), "{last}");
    hang_up(&mut world, bob);
    world.run(SECOND);
    assert_eq!(
        told(&world, desk).last().map(String::as_str),
        Some("terminated")
    );
}

#[test]
fn a_lost_notification_is_sent_again_and_a_watcher_that_is_gone_is_forgotten() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    let desk = watched(&mut world, "206");
    world[desk].alive = false;
    dial(&mut world, alice, "206");
    world.run(2 * SECOND);
    answer(&mut world, bob);
    world.run(2 * SECOND);
    // The trying was lost some times; what comes now is what is true now.
    world[desk].alive = true;
    world.run(5 * SECOND);
    let told_late = told(&world, desk);
    assert_eq!(told_late.last().map(String::as_str), Some("confirmed"));
    assert!(!told_late.contains(&"early".to_owned()), "{told_late:?}");
    world[desk].alive = false;
    hang_up(&mut world, alice);
    world.run(60 * SECOND);
    world[desk].alive = true;
    let before = world[desk].notified.len();
    dial(&mut world, alice, "206");
    world.run(2 * SECOND);
    hang_up(&mut world, alice);
    world.run(60 * SECOND);
    assert_eq!(
        world[desk].notified.len(),
        before,
        "nobody is told any more"
    );
}

#[test]
fn a_subscription_that_is_not_refreshed_ends_and_says_so() {
    let mut world = World::new(Site::sample());
    let desk = watched(&mut world, "206");
    world.run(3_700 * SECOND);
    let (state, _) = world[desk].notified.last().unwrap();
    assert_eq!(state, "terminated;reason=timeout");
}

#[test]
fn a_caller_who_asks_for_privacy_is_shown_to_nobody_and_stands_in_the_record() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    let desk = watched(&mut world, "206");
    world[alice].private = true;
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(3 * SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    for (_, document) in &world[desk].notified {
        assert!(!document.contains("205"), "{document}");
    }
    assert!(world[desk].notified[2].1.contains("display=\"Anonymous\""));
    assert_eq!(world.records[0].caller, "205");
}

#[test]
fn a_thousand_lamps_are_told_of_one_call() {
    let mut world = World::silent(Site::with_agents(210, 0));
    let (alice, bob) = (world.registered("201"), world.registered("202"));
    let desks: Vec<PhoneId> = (203..203 + 200)
        .map(|n| world.registered(&n.to_string()))
        .collect();
    for desk in &desks {
        for whom in ["201", "202", "203", "204", "205"] {
            world.act(*desk, |phone, now| phone.watch("dialog", whom, now));
            world.until("it is watched", SECOND, |w| {
                w[*desk].last_status == Some(200)
            });
        }
    }
    world.run(SECOND);
    dial(&mut world, alice, "202");
    world.run(SECOND);
    answer(&mut world, bob);
    world.until("both talk", SECOND, |w| {
        w[alice].state() == PhoneState::Talking
    });
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(2 * SECOND);
    for desk in desks {
        let told = told(&world, desk);
        assert_eq!(told.iter().filter(|states| states.is_empty()).count(), 5);
        assert_eq!(
            told.iter().filter(|states| *states == "terminated").count(),
            2
        );
        assert_eq!(
            told.iter().filter(|states| *states == "confirmed").count(),
            2
        );
    }
}
