//! The basic call flows of RFC 3665 that the switch offers, as ladders. A B2BUA stands where the RFC draws its proxies, so each
//! of its dialogs has the switch at one end.

use testkit::golden::assert_golden;
use testkit::{Behaviour, Offer, PhoneId, Site, World};

use crate::scene::{SECOND, answer, comes_to_rest, dial, golden, hang_up, idle};

fn two_phones() -> (World, PhoneId, PhoneId) {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    (world, alice, bob)
}

fn assert_flow(name: &str, mut world: World) {
    assert_golden(golden(&format!("rfc3665-{name}.txt")), &world.ladder());
    comes_to_rest(&mut world);
}

#[test]
fn registrations() {
    let mut world = World::new(Site::sample());
    let bob = world.phone("206");
    // 2.1, 2.2: new and refreshed; 2.4: cancelled.
    for expires in [3_600, 3_600, 0] {
        world.act(bob, |phone, now| phone.register(expires, now));
        world.run(SECOND);
        assert_eq!(world[bob].last_status, Some(200));
    }
    assert_flow("2-registrations", world);
}

#[test]
fn a_session_through_the_switch() {
    let (mut world, alice, bob) = two_phones();
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(SECOND);
    hang_up(&mut world, bob);
    world.run(SECOND);
    assert_flow("3.2-session", world);
}

#[test]
fn a_session_whose_offer_comes_in_the_200() {
    let (mut world, alice, bob) = two_phones();
    world[alice].late_offer = true;
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_flow("3.1-late-offer", world);
}

#[test]
fn a_re_invite_in_a_session() {
    let (mut world, alice, bob) = two_phones();
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    world.run(SECOND);
    world.act(bob, |phone, now| {
        phone.reinvite(Offer::Direction("sendrecv"), now);
    });
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_flow("3.7-re-invite", world);
}

#[test]
fn a_caller_that_gives_up() {
    let (mut world, alice, bob) = two_phones();
    dial(&mut world, alice, "206");
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert!(idle(&world, bob));
    assert_flow("3.8-no-answer", world);
}

#[test]
fn a_busy_phone() {
    let (mut world, alice, bob) = two_phones();
    world[bob].behaviour = Behaviour::Refuse(486);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(486));
    assert_flow("3.9-busy", world);
}

#[test]
fn a_phone_that_says_nothing() {
    let (mut world, alice, bob) = two_phones();
    world[bob].alive = false;
    dial(&mut world, alice, "206");
    world.run(40 * SECOND);
    assert_eq!(world[alice].last_status, Some(408));
    assert_flow("3.10-no-response", world);
}

#[test]
fn a_phone_that_is_temporarily_unavailable() {
    let (mut world, alice, bob) = two_phones();
    world[bob].behaviour = Behaviour::RefuseAfter(SECOND, 480);
    dial(&mut world, alice, "206");
    world.run(2 * SECOND);
    assert_eq!(world[alice].last_status, Some(480));
    assert_flow("3.11-unavailable", world);
}
