//! Each single datagram of a story is lost once: what the story is about happens all the same, and nothing is left.

use sip::digest::Credentials;
use testkit::{Behaviour, Offer, PhoneId, Site, World};

use crate::attended::{join, second_line};
use crate::scene::{SECOND, comes_to_rest, dial, hang_up, idle, talks};
use crate::transfer::{hold, refer};
use crate::trunks::{site, trunk};

/// Plays the story with the first, the second, ... datagram lost from its `world.lose(n)` on, until it has no more of them.
/// `least` is how many it has at least.
fn each_lost(least: u64, story: impl Fn(u64) -> World) {
    let mut messages = 0;
    loop {
        let mut world = story(messages);
        if !world.has_lost() {
            break;
        }
        comes_to_rest(&mut world);
        messages += 1;
    }
    assert!(messages >= least, "{messages} datagrams");
}

/// Nothing takes longer than 64*T1, and most some repetitions.
fn for_a_while(world: &mut World) {
    world.run(33 * SECOND);
}

/// Registered phones, which answer after a second.
fn phones<const N: usize>(names: [&str; N]) -> (World, [PhoneId; N]) {
    let mut world = World::silent(Site::sample());
    let phones = names.map(|name| world.registered(name));
    for phone in phones {
        world[phone].behaviour = Behaviour::AnswerAfter(SECOND);
    }
    (world, phones)
}

/// 205 and 206 talk, and 207 is there.
fn talking() -> (World, [PhoneId; 3]) {
    let (mut world, phones) = phones(["205", "206", "207"]);
    dial(&mut world, phones[0], "206");
    world.run(3 * SECOND);
    assert!(talks(&world, phones[0]));
    (world, phones)
}

/// How a call of two phones that know everything ends.
#[derive(Clone, Copy, Debug)]
enum End {
    CallerHangsUp,
    CalleeHangsUp,
    CallerGivesUp,
    CalleeRefuses,
}

/// One call with 100rel, early media, UPDATE and a session that the switch refreshes.
fn call_with_everything(end: End, lost: u64) -> World {
    let mut world = World::silent(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    for phone in [alice, bob] {
        world[phone].reliable = true;
        world[phone].allows_update = true;
        world[phone].session_expires = Some("90;refresher=uas");
    }
    // In its answers the switch is the client: it refreshes both sessions.
    world[bob].session_expires = Some("90;refresher=uac");
    world[bob].early_media = true;
    world[bob].behaviour = match end {
        End::CallerHangsUp | End::CalleeHangsUp => Behaviour::AnswerAfter(SECOND),
        End::CallerGivesUp => Behaviour::Ring,
        End::CalleeRefuses => Behaviour::RefuseAfter(SECOND, 486),
    };
    world.lose(lost);
    dial(&mut world, alice, "206");
    world.run(40 * SECOND);
    if let End::CallerHangsUp | End::CalleeHangsUp = end {
        assert!(talks(&world, alice) && talks(&world, bob), "{lost}");
        let ender = if let End::CalleeHangsUp = end {
            bob
        } else {
            alice
        };
        for direction in ["sendonly", "sendrecv"] {
            world.act(ender, |phone, now| {
                phone.update(Offer::Direction(direction), now);
            });
            world.run(10 * SECOND);
        }
        hang_up(&mut world, ender);
    } else {
        hang_up(&mut world, alice);
    }
    for_a_while(&mut world);
    assert!(idle(&world, alice) && idle(&world, bob), "{end:?} {lost}");
    assert_eq!(world.records.len(), 1, "{end:?} {lost}");
    world
}

#[test]
fn a_call_with_all_extensions() {
    for end in [
        End::CallerHangsUp,
        End::CalleeHangsUp,
        End::CallerGivesUp,
        End::CalleeRefuses,
    ] {
        each_lost(16, |lost| call_with_everything(end, lost));
    }
}

#[test]
fn a_plain_call_that_is_given_up_refused_or_answered() {
    for behaviour in [
        Behaviour::Ring,
        Behaviour::RefuseAfter(SECOND, 486),
        Behaviour::AnswerAfter(SECOND),
    ] {
        each_lost(10, |lost| {
            let (mut world, [alice, bob]) = phones(["205", "206"]);
            world[bob].behaviour = behaviour;
            world.lose(lost);
            dial(&mut world, alice, "206");
            // Somebody who waits hears the ringing, or has it repeated once.
            world.run(10 * SECOND);
            hang_up(&mut world, alice);
            for_a_while(&mut world);
            assert!(
                idle(&world, alice) && idle(&world, bob),
                "{behaviour:?} {lost}"
            );
            assert_eq!(world.records.len(), 1, "{behaviour:?} {lost}");
            world
        });
    }
}

#[test]
fn a_hold_and_its_end() {
    each_lost(10, |lost| {
        let (mut world, [alice, bob, _]) = talking();
        world.lose(lost);
        for on in [true, false] {
            hold(&mut world, bob, on);
            world.run(10 * SECOND);
            assert_eq!(world[bob].last_status, Some(200), "{lost}");
        }
        hang_up(&mut world, alice);
        for_a_while(&mut world);
        assert!(idle(&world, alice) && idle(&world, bob), "{lost}");
        world
    });
}

#[test]
fn a_transfer_by_number() {
    for by_caller in [true, false] {
        each_lost(18, |lost| {
            let (mut world, [alice, bob, carol]) = talking();
            let (told, other) = if by_caller {
                (alice, bob)
            } else {
                (bob, alice)
            };
            world.lose(lost);
            refer(&mut world, told, "207");
            for_a_while(&mut world);
            assert!(talks(&world, other) && talks(&world, carol), "{lost}");
            assert!(idle(&world, told), "{lost}");
            hang_up(&mut world, other);
            for_a_while(&mut world);
            assert!(idle(&world, other) && idle(&world, carol), "{lost}");
            assert_eq!(world.records[0].transfers[0].status, 200);
            world
        });
    }
}

#[test]
fn an_attended_transfer() {
    each_lost(14, |lost| {
        let (mut world, [alice, bob, carol]) = talking();
        let line = second_line(&mut world, "206");
        hold(&mut world, bob, true);
        dial(&mut world, line, "207");
        world.run(3 * SECOND);
        world.lose(lost);
        join(&mut world, bob, line);
        for_a_while(&mut world);
        assert!(talks(&world, alice) && talks(&world, carol), "{lost}");
        assert!(idle(&world, bob) && idle(&world, line), "{lost}");
        hang_up(&mut world, carol);
        for_a_while(&mut world);
        assert!(idle(&world, alice) && idle(&world, carol), "{lost}");
        assert_eq!(world.records.len(), 1, "{lost}: one story");
        world
    });
}

#[test]
fn a_session_that_is_refreshed_by_re_invite() {
    each_lost(13, |lost| {
        let (mut world, [alice, bob]) = phones(["205", "206"]);
        // In its answers the switch is the client: it refreshes.
        world[bob].session_expires = Some("90;refresher=uac");
        dial(&mut world, alice, "206");
        world.run(3 * SECOND);
        world.lose(lost);
        world.run(150 * SECOND);
        assert!(talks(&world, alice) && talks(&world, bob), "{lost}");
        hang_up(&mut world, bob);
        for_a_while(&mut world);
        assert!(idle(&world, alice) && idle(&world, bob), "{lost}");
        world
    });
}

#[test]
fn a_call_over_a_trunk_that_asks_for_a_password() {
    each_lost(18, |lost| {
        let mut asked = trunk(&[0]);
        asked.credentials = Some(Credentials {
            user: "ringmaster".into(),
            password: "secret".into(),
            realm: "provider.example".into(),
        });
        let mut world = World::silent(site(&[("provider", asked)]));
        let provider = world.phone("provider");
        let alice = world.registered("205");
        world[provider].challenges = Some("provider.example");
        world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
        world.lose(lost);
        dial(&mut world, alice, "0301234");
        world.run(10 * SECOND);
        assert!(talks(&world, alice) && talks(&world, provider), "{lost}");
        hang_up(&mut world, provider);
        for_a_while(&mut world);
        assert!(idle(&world, alice) && idle(&world, provider), "{lost}");
        world
    });
}

#[test]
fn a_subscription_and_what_it_tells() {
    each_lost(18, |lost| {
        let (mut world, [alice, bob, desk]) = phones(["205", "206", "210"]);
        world.lose(lost);
        world.act(desk, |phone, now| phone.watch("dialog", "206", now));
        world.run(10 * SECOND);
        dial(&mut world, alice, "206");
        world.run(10 * SECOND);
        hang_up(&mut world, bob);
        world.run(10 * SECOND);
        let last = world[desk].notified.last().expect("it was told");
        assert!(last.1.contains("<state>terminated</state>"), "{lost}");
        world.act(desk, |phone, now| phone.unwatch(now));
        for_a_while(&mut world);
        let last = world[desk].notified.last().expect("it was told");
        assert_eq!(last.0, "terminated;reason=timeout", "{lost}");
        world
    });
}

#[test]
fn a_registration_and_its_end() {
    each_lost(8, |lost| {
        let mut world = World::silent(Site::sample());
        let alice = world.phone("205");
        world.lose(lost);
        for expires in [3_600, 0] {
            world.act(alice, |phone, now| phone.register(expires, now));
            world.run(10 * SECOND);
            assert_eq!(world[alice].last_status, Some(200), "{lost}");
        }
        world
    });
}
