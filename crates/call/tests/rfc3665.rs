//! The basic call flows of RFC 3665 as ladders, a file for each section. A B2BUA stands where the RFC draws its proxies, so each of
//! its dialogs has the switch at one end. Who calls is asked for a password (401) in every flow, as the RFC draws it in some
//! (407, which is a proxy's).
//!
//! | section | flow | ladder |
//! | --- | --- | --- |
//! | 2.1 | new registration | `rfc3665-2.1-new-registration.txt` |
//! | 2.2 | update of the contact list | `rfc3665-2.2-update-of-contact-list.txt` |
//! | 2.3 | request for the contact list | `rfc3665-2.3-current-contact-list.txt` |
//! | 2.4 | cancellation | `rfc3665-2.4-cancellation-of-registration.txt` |
//! | 2.5 | wrong password | `rfc3665-2.5-unsuccessful-registration.txt` |
//! | 3.1 | session with nobody between: the switch itself is the other end, and hangs up; it answers without ringing | `rfc3665-3.1-session.txt` |
//! | 3.2 | session through two proxies: through the switch | `rfc3665-3.2-session.txt`, with the offer in the 200 `rfc3665-3.2-late-offer.txt` |
//! | 3.3 | several proxies ask for a password: the switch, and the trunk behind it | `rfc3665-3.3-multiple-authentication.txt` |
//! | 3.4 | a proxy says nothing, and the second asks for a password: two trunks, of which the first has 4 s instead of seven INVITEs | `rfc3665-3.4-proxy-failure.txt` |
//! | 3.5 | through a SIP ALG, which the caller names in Route and which carries the media: the switch | `rfc3665-3.5-alg.txt` |
//! | 3.6 | redirected, SDP in the ACK | `rfc3665-3.6-redirect-and-sdp-in-ack.txt` |
//! | 3.7 | re-INVITE of a phone whose address changed: from the new one it is asked for its password | `rfc3665-3.7-re-invite.txt` |
//! | 3.8 | no answer | `rfc3665-3.8-no-answer.txt` |
//! | 3.9 | busy | `rfc3665-3.9-busy.txt` |
//! | 3.10 | no response: 408, as RFC 3261 section 16.8 has it, where the figure has 480 | `rfc3665-3.10-no-response.txt` |
//! | 3.11 | temporarily unavailable | `rfc3665-3.11-unavailable.txt` |

use call::trunk::Trunk;
use sip::digest::Credentials;
use testkit::golden::assert_golden;
use testkit::{Behaviour, Offer, PhoneId, Site, World};

use crate::scene::{
    SECOND, answer, comes_to_rest, conversation, dial, golden, hang_up, idle, talks, two_phones,
};
use crate::transfer::hear_each_other;
use crate::trunks::{site, trunk};

fn assert_flow(name: &str, mut world: World) {
    assert_golden(golden(&format!("rfc3665-{name}.txt")), &world.ladder());
    comes_to_rest(&mut world);
}

/// A world with a phone that is registered, and knows the switch's nonce.
fn known() -> (World, PhoneId) {
    let mut world = World::new(Site::sample());
    let bob = world.phone("206");
    world[bob].remembers_nonce = true;
    register(&mut world, bob, 3_600);
    world.clear_ladder();
    (world, bob)
}

/// The trunk at this place, where we have a password.
fn asking(place: u8) -> Trunk {
    let credentials = Credentials {
        user: "ringmaster".into(),
        password: "secret".into(),
        realm: "provider.example".into(),
    };
    Trunk {
        credentials: Some(credentials),
        ..trunk(&[place])
    }
}

/// Registers, refreshes with 3,600 or cancels with 0; how many bindings the switch then tells of.
fn register(world: &mut World, phone: PhoneId, expires: u32) -> usize {
    world.act(phone, |phone, now| phone.register(expires, now));
    world.run(SECOND);
    assert_eq!(world[phone].last_status, Some(200));
    world[phone].bindings.len()
}

#[test]
fn a_new_registration() {
    let mut world = World::new(Site::sample());
    let bob = world.phone("206");
    assert_eq!(register(&mut world, bob, 3_600), 1);
    assert_flow("2.1-new-registration", world);
}

#[test]
fn a_second_phone_in_the_list_of_contacts() {
    let (mut world, desk) = known();
    world.registered("206");
    assert_eq!(register(&mut world, desk, 3_600), 2);
    assert_flow("2.2-update-of-contact-list", world);
}

#[test]
fn a_question_for_the_contacts() {
    let (mut world, bob) = known();
    world.act(bob, |phone, now| phone.ask_for_bindings(now));
    world.run(SECOND);
    assert_eq!(world[bob].last_status, Some(200));
    assert_eq!(world[bob].bindings.len(), 1);
    assert_flow("2.3-current-contact-list", world);
}

#[test]
fn a_registration_that_is_cancelled() {
    let (mut world, bob) = known();
    world.registered("206");
    world.act(bob, |phone, now| phone.unregister_all(now));
    world.run(SECOND);
    assert_eq!(world[bob].last_status, Some(200));
    assert!(world[bob].bindings.is_empty(), "of no phone of the account");
    assert_flow("2.4-cancellation-of-registration", world);
}

#[test]
fn a_registration_with_the_wrong_password() {
    let mut world = World::new(Site::sample());
    let bob = world.phone("206");
    world[bob].mistypes_password = true;
    world.act(bob, |phone, now| phone.register(3_600, now));
    world.run(SECOND);
    assert_eq!(world[bob].last_status, Some(401));
    assert_flow("2.5-unsuccessful-registration", world);
}

#[test]
fn a_session_with_the_switch_itself() {
    let mut world = World::new(Site::sample());
    let agent = world.registered("201");
    dial(&mut world, agent, "*46");
    world.run(SECOND / 2);
    assert!(talks(&world, agent));
    world.run(10 * SECOND);
    assert!(idle(&world, agent));
    assert_flow("3.1-session", world);
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
    assert_flow("3.2-late-offer", world);
}

#[test]
fn a_session_for_which_the_switch_and_the_trunk_ask_for_passwords() {
    let mut world = World::new(site(&[("provider", asking(0))]));
    let provider = world.phone("provider");
    let alice = world.registered("205");
    world[provider].challenges = Some("provider.example");
    world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "0301234");
    world.run(2 * SECOND);
    assert!(talks(&world, alice) && talks(&world, provider));
    hang_up(&mut world, provider);
    world.run(SECOND);
    assert_flow("3.3-multiple-authentication", world);
}

#[test]
fn a_session_over_the_second_trunk_as_the_first_says_nothing() {
    let mut world = World::new(site(&[("silent", trunk(&[0])), ("provider", asking(1))]));
    let silent = world.phone("silent");
    let provider = world.phone("provider");
    let alice = world.registered("205");
    world[silent].alive = false;
    world[provider].challenges = Some("provider.example");
    world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "0301234");
    world.run(6 * SECOND);
    assert!(talks(&world, alice) && talks(&world, provider));
    hang_up(&mut world, provider);
    world.run(SECOND);
    assert_flow("3.4-proxy-failure", world);
}

#[test]
fn a_session_by_way_of_the_switch_that_carries_its_media() {
    let (mut world, alice, bob) = two_phones();
    world[alice].route = Some("<sip:192.0.2.1;lr>".to_owned());
    dial(&mut world, alice, "206");
    world.run(SECOND);
    answer(&mut world, bob);
    hear_each_other(&mut world, (alice, 440.0), (bob, 880.0));
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_flow("3.5-alg", world);
}

#[test]
fn a_session_that_is_redirected_and_described_in_the_ack() {
    let (mut world, alice, bob) = two_phones();
    let carol = world.registered("207");
    world[alice].late_offer = true;
    world[bob].behaviour = Behaviour::Refuse(302);
    world[bob].forwards = "<sip:207@192.0.2.1>".to_owned();
    world[carol].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(2 * SECOND);
    assert!(talks(&world, alice) && talks(&world, carol));
    hang_up(&mut world, carol);
    world.run(SECOND);
    assert_flow("3.6-redirect-and-sdp-in-ack", world);
}

#[test]
fn a_re_invite_of_a_phone_whose_address_changed() {
    let (mut world, alice, bob) = conversation();
    let elsewhere = "10.0.9.9".parse().expect("an address");
    world.relocate(bob, elsewhere);
    world.act(bob, |phone, now| {
        phone.reinvite(Offer::Direction("sendrecv"), now);
    });
    hear_each_other(&mut world, (alice, 440.0), (bob, 880.0));
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
