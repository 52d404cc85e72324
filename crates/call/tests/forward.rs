//! Phones that send their callers elsewhere (RFC 3261 section 8.1.3.4, RFC 5359 section 2.7).

use call::Cause;
use queue::{AgentId, State};
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, Site, World};

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, dial, golden, hang_up, idle, rings, talks,
    without_start_sound,
};

/// 205 calls 206, which answers 302 with this Contact.
fn forwarded(site: Site, contact: &str) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(site);
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::Refuse(302);
    world[bob].forwards = contact.to_owned();
    (world, alice, bob)
}

#[test]
fn a_forwarded_phone_sends_its_callers_to_another() {
    let (mut world, alice, _) = forwarded(Site::sample(), "<sip:207@192.0.2.1>");
    let carol = world.registered("207");
    world[carol].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(3 * SECOND);
    assert!(talks(&world, alice) && talks(&world, carol));
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_golden(
        golden("rfc5359-2.7-call-forwarding-unconditional.txt"),
        &world.ladder(),
    );
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].legs.len(), 3);
}

#[test]
fn a_phone_that_is_not_answered_may_forward_its_caller() {
    let (mut world, alice, bob) = forwarded(Site::sample(), "<sip:207@192.0.2.1>");
    let carol = world.registered("207");
    world[bob].behaviour = Behaviour::RefuseAfter(10 * SECOND, 302);
    dial(&mut world, alice, "206");
    world.run(9 * SECOND);
    assert!(rings(&world, bob));
    world.run(2 * SECOND);
    assert!(rings(&world, carol) && idle(&world, bob));
    answer(&mut world, carol);
    world.run(SECOND);
    assert!(talks(&world, alice));
    hang_up(&mut world, carol);
    comes_to_rest(&mut world);
}

#[test]
fn contacts_are_tried_by_q_one_after_the_other() {
    let contacts = "<sip:208@192.0.2.1>;q=0.2, <sip:207@192.0.2.1>;q=0.9, tel:209;q=0.1";
    let (mut world, alice, _) = forwarded(Site::sample(), contacts);
    let phones = ["207", "208", "209"].map(|name| world.registered(name));
    for phone in phones {
        world[phone].behaviour = Behaviour::RefuseAfter(SECOND, 486);
    }
    dial(&mut world, alice, "206");
    for ringing in 0..3 {
        world.run(SECOND / 2);
        let states = phones.map(|phone| rings(&world, phone));
        assert_eq!(states.iter().position(|rings| *rings), Some(ringing));
        world.run(SECOND / 2 + SECOND / 50);
    }
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(486));
    comes_to_rest(&mut world);
}

#[test]
fn a_forward_to_another_place_is_no_number_of_ours() {
    for elsewhere in [
        "<sip:207@elsewhere.example>",
        "<mailto:207@192.0.2.1>",
        "<sip:192.0.2.1>",
    ] {
        let (mut world, alice, _) = forwarded(Site::sample(), elsewhere);
        let carol = world.registered("207");
        dial(&mut world, alice, "206");
        world.run(SECOND);
        assert!(idle(&world, carol), "{elsewhere}");
        assert_eq!(world[alice].last_status, Some(480), "{elsewhere}");
        comes_to_rest(&mut world);
        assert_eq!(world.records[0].cause, Cause::RedirectedAway);
    }
    // The next one that it names may be.
    let both = "<sip:208@elsewhere.example>;q=0.9, <sip:207@192.0.2.1>;q=0.1";
    let (mut world, alice, _) = forwarded(Site::sample(), both);
    let carol = world.registered("207");
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert!(rings(&world, carol));
}

#[test]
fn phones_that_forward_to_each_other_come_to_an_end() {
    let (mut world, alice, _) = forwarded(Site::sample(), "<sip:207@192.0.2.1>");
    let carol = world.registered("207");
    world[carol].behaviour = Behaviour::Refuse(302);
    world[carol].forwards = "<sip:206@192.0.2.1>".to_owned();
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(482));
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].cause, Cause::Loop);
    assert_eq!(world.records[0].legs.len(), 3, "each is called once");
}

#[test]
fn a_phone_may_be_forwarded_to_a_queue_and_not_to_a_feature_code() {
    for (contact, answered) in [
        ("<sip:700@192.0.2.1>", true),
        ("<sip:*46@192.0.2.1>", false),
    ] {
        let (mut world, alice, _) = forwarded(without_start_sound(), contact);
        let agent = world.registered("201");
        dial(&mut world, alice, "206");
        world.run(2 * SECOND);
        assert_eq!(rings(&world, agent), answered);
        assert_eq!(idle(&world, alice), !answered);
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
    }
}

/// asterisk#313 and `ast_q12_queue_member_forward`: whoever the phone names is no agent, and nobody is connected twice.
#[test]
fn an_agents_phone_that_is_forwarded_takes_no_call_of_a_queue_and_the_next_agent_rings() {
    for contact in ["<sip:207@192.0.2.1>", "<sip:somebody@192.0.2.99>"] {
        let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
        let named = world.registered("207");
        world[agents[0]].behaviour = Behaviour::Refuse(302);
        world[agents[0]].forwards = contact.to_owned();
        dial(&mut world, customer, "700");
        world.run(SECOND);
        assert!(rings(&world, agents[1]) && idle(&world, named), "{contact}");
        answer(&mut world, agents[1]);
        world.run(SECOND);
        assert!(talks(&world, customer) && talks(&world, agents[1]));
        assert!(idle(&world, agents[0]) && idle(&world, named));
        let state = world.exchange.queues().state(&AgentId("201".into()));
        assert_eq!(state, Some(State::Idle));
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
        assert_eq!(world.records.len(), 1);
        assert_eq!(
            world.records[0].legs.len(),
            3,
            "the agents and the customer"
        );
    }
}
