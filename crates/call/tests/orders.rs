//! Commands for calls that stand: what each does, and what is said where it cannot be done.

use call::Cause;
use call::order::{Order, RecordingOrder, Target, Unheeded};
use call::record::Outcome;
use queue::AgentId;
use testkit::{Site, World};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, call_centre, comes_to_rest, conversation, dial, hang_up,
    idle, served, talks, waiting, without_start_sound,
};

pub(crate) fn order(world: &mut World, name: &str, order: Order) -> Result<(), String> {
    let mut done = None;
    world.control(|exchange, now| {
        let result = exchange.order(name, &order, now);
        done = Some(result.map(drop).map_err(|unheeded| unheeded.to_string()));
    });
    world.run(SECOND);
    done.expect("it was asked")
}

fn recording(world: &mut World, name: &str, what: RecordingOrder) -> Result<(), String> {
    order(world, name, Order::Recording(what))
}

#[test]
fn a_call_is_hung_up_and_its_record_says_so() {
    let (mut world, alice, bob) = conversation();
    assert_eq!(order(&mut world, "205", Order::HangUp), Ok(()));
    assert!(idle(&world, alice) && idle(&world, bob));
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].cause, Cause::Ordered);
    let unknown = order(&mut world, "205", Order::HangUp);
    assert_eq!(unknown, Err(Unheeded::Unknown.to_string()));
}

#[test]
fn of_several_calls_of_a_number_none_is_meant_until_it_is_named() {
    let mut world = World::new(Site::sample());
    for name in ["205", "206"] {
        let phone = world.registered(name);
        dial(&mut world, phone, "600");
    }
    world.run(SECOND);
    let told = order(&mut world, "600", Order::HangUp).expect_err("two were dialled so");
    assert!(
        told.starts_with("several standing calls are named so; name one of them: "),
        "{told}"
    );
    let name = told.rsplit(' ').next().expect("a name").to_owned();
    assert_eq!(order(&mut world, &name, Order::HangUp), Ok(()));
}

#[test]
fn a_conversation_is_recorded_paused_and_no_longer_recorded() {
    let (mut world, alice, _) = conversation();
    let not_yet = recording(&mut world, "205", RecordingOrder::Pause);
    assert_eq!(
        not_yet,
        Err("the call talks: there is no recording that runs".to_owned())
    );
    for (what, again) in [
        (
            RecordingOrder::Start,
            "only a conversation that is not recorded can begin to be",
        ),
        (RecordingOrder::Pause, "there is no recording that runs"),
        (RecordingOrder::Resume, "there is no recording that pauses"),
        (RecordingOrder::Stop, "there is no recording to end"),
        (
            RecordingOrder::Start,
            "only a conversation that is not recorded can begin to be",
        ),
    ] {
        assert_eq!(recording(&mut world, "205", what), Ok(()), "{what:?}");
        let told = recording(&mut world, "205", what);
        assert_eq!(told, Err(format!("the call talks: {again}")));
    }
    hang_up(&mut world, alice);
    world.run(SECOND);
    comes_to_rest(&mut world);
    let recordings = &world.records[0].recordings;
    assert_eq!(recordings.len(), 2);
    assert!(
        recordings[0].path.contains("-direct-205-206"),
        "{}",
        recordings[0].path
    );
    assert!(
        recordings[1].path.ends_with("-2.wav"),
        "{}",
        recordings[1].path
    );
    assert_eq!(recordings[0].pauses.len(), 1);
    assert!(recordings.iter().all(|it| it.error.is_none()));
}

#[test]
fn a_customer_is_led_away_from_its_agent_who_wraps_up() {
    let (mut world, customer, agent) = served();
    let other = world.registered("206");
    world[other].speaks = Some(1_200.0);
    assert_eq!(
        order(
            &mut world,
            "700",
            Order::Transfer(Target::Number("999".into()))
        ),
        Err("the number 999 leads nowhere".to_owned())
    );
    assert_eq!(
        order(
            &mut world,
            "700",
            Order::Transfer(Target::Number("206".into()))
        ),
        Ok(())
    );
    assert!(idle(&world, agent));
    answer(&mut world, other);
    world.run(2 * SECOND);
    assert!(talks(&world, customer));
    assert!(world.heard(customer, 1_200.0, SECOND) > AUDIBLE);
    assert!(world.heard(customer, 880.0, SECOND) < INAUDIBLE);
    hang_up(&mut world, customer);
    world.run(SECOND);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].queues[0].outcome, Outcome::Answered);
}

#[test]
fn a_waiting_caller_is_led_elsewhere_and_its_wait_says_so() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 1);
    let other = world.registered("206");
    assert_eq!(
        order(
            &mut world,
            "209",
            Order::Transfer(Target::Number("206".into()))
        ),
        Ok(())
    );
    assert!(idle(&world, agents[0]), "its phone rings on");
    answer(&mut world, other);
    world.run(SECOND);
    assert!(talks(&world, customer) && talks(&world, other));
    hang_up(&mut world, customer);
    world.run(SECOND);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].queues[0].outcome, Outcome::Moved);
}

/// Whoever leads a caller on: a transfer here, an exit key or the longest wait elsewhere.
#[test]
fn a_caller_who_was_answered_hears_the_busy_tone_where_nobody_is_found() {
    let (mut world, customer, _) = waiting(without_start_sound(), 1);
    assert_eq!(
        order(
            &mut world,
            "209",
            Order::Transfer(Target::Number("206".into()))
        ),
        Ok(())
    );
    world.run(SECOND);
    assert!(world.heard(customer, testkit::tones::BUSY, SECOND) > AUDIBLE);
    assert!(talks(&world, customer));
    world.run(4 * SECOND);
    assert!(idle(&world, customer));
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].cause, Cause::Unregistered);
}

#[test]
fn who_is_given_a_priority_is_served_next() {
    let (mut world, first, agents) = call_centre(without_start_sound(), 1);
    let others = ["207", "208"].map(|name| world.registered(name));
    world[agents[0]].speaks = Some(880.0);
    for customer in [first, others[0], others[1]] {
        dial(&mut world, customer, "700");
        world.run(SECOND);
    }
    assert_eq!(order(&mut world, "208", Order::Priority(5)), Ok(()));
    // Who rings already rings on.
    answer(&mut world, agents[0]);
    world.run(2 * SECOND);
    assert!(world.heard(first, 880.0, SECOND) > AUDIBLE);
    let told = order(&mut world, "209", Order::Priority(5));
    let expected = "the call talks: only who waits in a queue has a priority";
    assert_eq!(told, Err(expected.to_owned()));
    hang_up(&mut world, first);
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(2 * SECOND);
    assert!(world.heard(others[1], 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(others[0], 880.0, SECOND) < INAUDIBLE);
}

#[test]
fn a_waiting_caller_is_given_to_an_agent_who_can_be_rung() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 3);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    let to = |name: &str| Order::Agent(AgentId(name.into()));
    assert_eq!(order(&mut world, "700", to("203")), Ok(()));
    assert_eq!(
        order(&mut world, "700", to("203")),
        Err("agent 203 cannot have the caller: its phone rings for this call".to_owned())
    );
    assert_eq!(
        order(&mut world, "700", to("nobody")),
        Err("agent nobody does not serve the caller's queue".to_owned())
    );
    answer(&mut world, agents[2]);
    world.run(SECOND);
    assert!(talks(&world, agents[2]) && talks(&world, customer));
    assert!(
        idle(&world, agents[0]),
        "the one whose turn it was rings on"
    );
    hang_up(&mut world, customer);
    world.run(SECOND);
    comes_to_rest(&mut world);
}

#[test]
fn a_conversation_of_a_plain_site_is_not_recorded_by_itself() {
    let mut world = World::new(Site::sample());
    let [a, b] = ["205", "206"].map(|name| world.registered(name));
    dial(&mut world, a, "206");
    world.run(SECOND);
    answer(&mut world, b);
    world.run(SECOND);
    hang_up(&mut world, a);
    world.run(SECOND);
    comes_to_rest(&mut world);
    assert!(world.records[0].recordings.is_empty());
}
