//! Which codecs both legs of a call agree on, and whether sound is passed on as it came.

use sip::sdp::{AudioCodec, Codecs};
use testkit::{Behaviour, PhoneId, Site, World};

use crate::scene::{
    SECOND, answer, comes_to_rest, dial, hang_up, idle, talks, without_start_sound,
};

const OPUS: u8 = 111;
const NOISE: u8 = 13;

/// A site where all codecs may be spoken, or passed on.
fn site() -> Site {
    let mut site = without_start_sound();
    site.settings.codecs.everybody = Codecs::of(AudioCodec::ALL);
    site
}

/// What the description that a phone got last says of sound: without keys.
fn told(world: &World, phone: PhoneId) -> Vec<u8> {
    let mut formats = world[phone].told_formats();
    formats.retain(|it| ![101, 110].contains(it));
    formats
}

/// 205 with these formats calls 206 with those, which answers.
fn call(caller: &'static [u8], callee: &'static [u8]) -> (World, PhoneId, PhoneId) {
    let mut world = World::new(site());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[alice].formats = caller;
    world[bob].formats = callee;
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(4 * SECOND);
    (world, alice, bob)
}

/// The payload type of what one hears of the other, and whether it is octet by octet what was said.
fn hears(world: &World, phone: PhoneId, other: PhoneId) -> (u8, bool) {
    let (payload_type, payload) = world[phone].got.clone().expect("it hears something");
    let said = world[other].says().expect("it says something");
    (payload_type, (payload_type, payload) == said)
}

#[test]
fn both_speak_what_both_have_and_are_relayed() {
    for (caller, callee, offered, agreed) in [
        (&[8, OPUS][..], &[8][..], &[8, OPUS, 0][..], 8),
        (&[OPUS, 8], &[8], &[OPUS, 8, 0], 8),
        (&[9, 0], &[0], &[9, 0, 8], 0),
        (&[9, 0], &[9, 0], &[9, 0, 8], 9),
        (&[OPUS, 9, 8], &[OPUS, 9, 8], &[OPUS, 9, 8, 0], OPUS),
        (&[OPUS, 9, 8], &[9, 8], &[OPUS, 9, 8, 0], 9),
    ] {
        let (mut world, alice, bob) = call(caller, callee);
        assert!(
            talks(&world, alice) && talks(&world, bob),
            "{caller:?} {callee:?}"
        );
        assert_eq!(told(&world, bob), offered, "{caller:?} {callee:?}");
        assert_eq!(told(&world, alice), [agreed], "{caller:?} {callee:?}");
        assert_eq!(hears(&world, alice, bob), (agreed, true), "{caller:?}");
        assert_eq!(hears(&world, bob, alice), (agreed, true), "{caller:?}");
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
    }
}

#[test]
fn where_nothing_is_common_each_has_its_own_and_the_mixer_converts() {
    let (mut world, alice, bob) = call(&[9], &[8]);
    assert_eq!(
        (told(&world, alice), told(&world, bob)),
        (vec![9], vec![9, 0, 8])
    );
    assert_eq!(hears(&world, alice, bob), (9, false));
    assert_eq!(hears(&world, bob, alice), (8, false));
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn both_forms_of_g711_become_each_other_without_decoding() {
    let (mut world, alice, bob) = call(&[0], &[8]);
    assert_eq!(
        (told(&world, alice), told(&world, bob)),
        (vec![0], vec![0, 8])
    );
    let law = |law: media::g711::Law, octet| law.decode(octet);
    let heard = world[bob].got.clone().expect("it hears something");
    assert_eq!((heard.0, heard.1.len()), (8, 160));
    let (one, two) = (
        law(media::g711::Law::Mu, 0x5A),
        law(media::g711::Law::A, heard.1[0]),
    );
    assert!((one - two).abs() < 64, "{one} {two}");
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}

#[test]
fn what_is_only_passed_on_goes_between_two_who_have_it_and_is_refused_to_all_others() {
    for codec in [&[3u8][..], &[18]] {
        let (mut world, alice, bob) = call(codec, codec);
        assert!(talks(&world, alice), "{codec:?}");
        assert_eq!(hears(&world, alice, bob), (codec[0], true));
        assert_eq!(hears(&world, bob, alice), (codec[0], true));
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);

        let (mut world, alice, _) = call(codec, &[8]);
        assert!(idle(&world, alice));
        assert_eq!(world[alice].last_status, Some(488), "{codec:?}");
        comes_to_rest(&mut world);

        // A queue has to say something.
        let mut world = World::new(site());
        let alice = world.registered("205");
        world[alice].formats = codec;
        dial(&mut world, alice, "700");
        world.run(SECOND);
        assert_eq!(world[alice].last_status, Some(488), "{codec:?}");
        comes_to_rest(&mut world);
    }
}

#[test]
fn an_agent_is_offered_what_the_waiting_customer_has_got() {
    for (customer_has, agent_has, offered, agreed, relayed) in [
        (&[8, OPUS][..], &[8][..], &[8, 0][..], (8, 8), true),
        (&[9, 8], &[OPUS, 9, 8], &[9, 0, 8], (9, 9), true),
        (&[9, 0], &[0], &[9, 0, 8], (9, 0), false),
    ] {
        let mut world = World::new(site());
        let (agent, customer) = (world.registered("201"), world.registered("209"));
        world[customer].formats = customer_has;
        world[agent].formats = agent_has;
        dial(&mut world, customer, "700");
        world.run(SECOND);
        answer(&mut world, agent);
        world.run(2 * SECOND);
        assert!(talks(&world, agent), "{customer_has:?} {agent_has:?}");
        assert_eq!(told(&world, agent), offered, "{customer_has:?}");
        assert_eq!(told(&world, customer), [agreed.0], "{customer_has:?}");
        assert_eq!(hears(&world, customer, agent), (agreed.0, relayed));
        assert_eq!(hears(&world, agent, customer), (agreed.1, relayed));
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
    }
}

#[test]
fn comfort_noise_is_offered_to_who_is_called_by_one_who_has_it() {
    for (caller, callee, offered, answered) in [
        (
            &[8, NOISE][..],
            &[8, NOISE][..],
            &[8, 0, NOISE][..],
            &[8, NOISE][..],
        ),
        (&[8, NOISE], &[8], &[8, 0, NOISE], &[8, NOISE]),
        (&[8], &[8, NOISE], &[8, 0], &[8]),
    ] {
        let (mut world, alice, bob) = call(caller, callee);
        assert_eq!(told(&world, bob), offered, "{caller:?} {callee:?}");
        assert_eq!(told(&world, alice), answered, "{caller:?} {callee:?}");
        assert_eq!(hears(&world, alice, bob), (8, true));
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
    }
    let mut site = site();
    site.settings.audio.everybody.comfort_noise = false;
    let mut world = World::new(site);
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[alice].formats = &[8, NOISE];
    world[bob].formats = &[8, NOISE];
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(3 * SECOND);
    assert_eq!(
        (told(&world, alice), told(&world, bob)),
        (vec![8], vec![8, 0])
    );
}
