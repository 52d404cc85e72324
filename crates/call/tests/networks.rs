//! Phones of other networks than the switch's: beyond a router, and of the other family of addresses.

use std::time::Duration;

use call::Cause;
use sip::nat::{Nat, View};
use testkit::golden::assert_golden;
use testkit::{Access, Behaviour, Offer, PhoneId, PhoneState, Site, World};

use crate::scene::{AUDIBLE, SECOND, answer, comes_to_rest, dial, golden, hang_up, idle};

const ACCESSES: [Access; 4] = [
    Access::UDP,
    Access::UDP6,
    Access::UDP_SOUND6,
    Access::UDP6_SOUND4,
];

/// Who talks in which access, and whether each hears the other.
fn hear_each_other(caller: Access, called: Access) -> bool {
    let mut world = World::new(Site::sample());
    let alice = world.registered_with("205", caller);
    let bob = world.registered_with("206", called);
    world[alice].speaks = Some(440.0);
    world[bob].speaks = Some(880.0);
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(5 * SECOND);
    let hear =
        world.heard(alice, 880.0, SECOND) > AUDIBLE && world.heard(bob, 440.0, SECOND) > AUDIBLE;
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(40 * SECOND);
    world.assert_at_rest();
    hear
}

#[test]
fn a_phone_that_wants_its_sound_in_the_other_family_than_its_signalling_is_heard_there() {
    for caller in ACCESSES {
        for called in ACCESSES {
            assert!(hear_each_other(caller, called), "{caller:?} {called:?}");
        }
    }
}

/// 205 has called 206, who is offered sound over IPv4, answers that it wants it over IPv6, and has not heard of the move yet.
fn moving(mut world: World) -> (World, PhoneId, PhoneId) {
    let alice = world.registered("205");
    let bob = world.registered_with("206", Access::UDP_SOUND6);
    world[alice].speaks = Some(440.0);
    world[bob].speaks = Some(880.0);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    (world, alice, bob)
}

#[test]
fn who_answers_in_the_other_family_is_offered_a_port_there() {
    let (mut world, alice, bob) = moving(World::new(Site::sample()));
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert!(world[bob].told.contains("c=IN IP6 2001:db8::1"));
    assert_golden(golden("answer-in-the-other-family.txt"), &world.ladder());
    comes_to_rest(&mut world);
}

#[test]
fn what_is_said_in_the_other_family_before_the_answer_is_ringing_to_the_caller() {
    for reliable in [false, true] {
        let mut world = World::new(Site::sample());
        let alice = world.registered("205");
        let bob = world.registered_with("206", Access::UDP_SOUND6);
        for phone in [alice, bob] {
            world[phone].reliable = reliable;
            world[phone].speaks = Some(880.0);
        }
        world[bob].early_media = true;
        dial(&mut world, alice, "206");
        world.run(SECOND);
        assert_eq!(world[alice].state(), PhoneState::RingingBack);
        assert!(world[alice].told.is_empty(), "the phone plays its own tone");
        answer(&mut world, bob);
        world.run(2 * SECOND);
        assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
        assert!(world.heard(bob, 880.0, SECOND) > AUDIBLE);
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
    }
}

#[test]
fn a_caller_that_answers_our_offer_in_the_other_family_is_heard_there() {
    let mut world = World::new(Site::sample());
    let alice = world.registered_with("205", Access::UDP_SOUND6);
    world[alice].speaks = Some(440.0);
    world[alice].late_offer = true;
    dial(&mut world, alice, "600");
    world.run(3 * SECOND);
    assert!(world.heard(alice, 440.0, SECOND) > AUDIBLE);
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn who_does_not_let_its_call_move_to_its_own_family_ends_it_and_the_record_says_why() {
    let (mut world, alice, bob) = moving(World::new(Site::sample()));
    world[bob].speaks_unknown_codecs = true;
    world.run(SECOND);
    assert!(idle(&world, alice) && idle(&world, bob));
    assert_eq!(world.records[0].cause, Cause::AddressFamily);
    comes_to_rest(&mut world);
}

#[test]
fn where_the_switch_has_no_port_of_the_family_the_call_ends_and_the_record_says_why() {
    let mut world = World::with_ports(Site::sample(), 2);
    for account in ["207", "208"] {
        let phone = world.registered_with(account, Access::UDP_SOUND6);
        dial(&mut world, phone, "600");
    }
    let (mut world, alice, bob) = moving(world);
    world.run(SECOND);
    assert!(idle(&world, alice) && idle(&world, bob));
    assert_eq!(world[alice].last_status, Some(488));
    let reason = world[bob].got_reason.as_deref();
    assert!(reason.is_some_and(|it| it.contains("No address of this family")));
    assert_eq!(world.records[0].cause, Cause::AddressFamily);
}

#[test]
fn a_queue_hears_a_customer_of_the_other_family_and_its_agent() {
    let mut world = World::new(Site::sample());
    let customer = world.registered_with("205", Access::UDP_SOUND6);
    let agent = world.registered_with("201", Access::UDP_SOUND6);
    world[customer].speaks = Some(440.0);
    world[agent].behaviour = Behaviour::AnswerAfter(SECOND);
    world.act(customer, |phone, now| phone.dial("700", now));
    world.until("the agent talks", 10 * SECOND, |world| {
        world[agent].state() == PhoneState::Talking
    });
    world.run(2 * SECOND);
    assert!(world.heard(agent, 440.0, SECOND) > AUDIBLE);
}

#[test]
fn a_phone_that_moves_its_sound_to_the_other_family_is_refused_and_talks_on_as_before() {
    let mut world = World::new(Site::sample());
    let alice = world.registered("205");
    let bob = world.registered("206");
    world[bob].speaks = Some(880.0);
    world[bob].behaviour = Behaviour::AnswerAfter(Duration::ZERO);
    world.act(alice, |phone, now| phone.dial("206", now));
    world.run(2 * SECOND);
    // RFC 3264 section 8: what is refused leaves the session as it was.
    world[alice].access.sound_ipv6 = true;
    world.act(alice, |phone, now| {
        phone.reinvite(Offer::Direction("sendrecv"), now)
    });
    world[alice].access.sound_ipv6 = false;
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(488));
    world[alice].heard.clear();
    world.run(2 * SECOND);
    assert_eq!(world[alice].state(), PhoneState::Talking);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
}

/// The router of the switch leads 203.0.113.7 here; 10.0.0.1 to 10.0.0.3 are at home.
fn behind_a_router() -> World {
    let view = |network: &str, addresses: &[&str]| View {
        network: network.parse().expect("a network"),
        addresses: addresses.iter().flat_map(|it| it.parse()).collect(),
    };
    let views = vec![
        view("0.0.0.0/0", &["203.0.113.7"]),
        view("10.0.0.0/30", &[]),
    ];
    let mut site = Site::sample();
    site.settings.sip.nat = Nat::new(views, [(5060, 6050)].into());
    World::new(site)
}

#[test]
fn who_is_beyond_the_router_is_told_its_address_for_signalling_and_sound_and_who_is_at_home_ours() {
    let mut world = behind_a_router();
    let home = world.registered("205");
    for _ in 0..3 {
        world.phone("nobody");
    }
    let outside = world.registered("206");
    world[outside].behaviour = Behaviour::AnswerAfter(Duration::ZERO);
    world.act(home, |phone, now| phone.dial("206", now));
    world.run(2 * SECOND);
    for (phone, address) in [(home, "192.0.2.1"), (outside, "203.0.113.7")] {
        let told = &world[phone].told;
        assert!(told.contains(&format!("c=IN IP4 {address}")), "{told}");
        let origin = format!("IN IP4 {address}\r\ns=");
        assert!(told.contains(&origin), "{told}");
    }
}
