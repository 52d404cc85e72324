//! Peers that are no longer heard.

use std::time::Duration;

use media::mixer::Codec;
use media::{Command, Event};

use crate::phone::{FRAME, LIMITS, World};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_peer_that_never_sends_is_told_once_after_the_limit() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    world.run(LIMITS.rtp_timeout - FRAME);
    assert_eq!(world.take_events(), []);
    world.run(SECOND * 300);
    let silent = Event::Silent {
        leg: phone.leg,
        after: LIMITS.rtp_timeout,
    };
    assert_eq!(world.events, [(LIMITS.rtp_timeout, silent)]);
}

#[test]
fn a_peer_that_stops_is_told_from_its_last_packet_and_again_if_it_came_back() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    for _ in 0..2 {
        world.talk(&mut [(&mut phone, 440.0)], SECOND * 100);
        assert_eq!(world.take_events(), []);
        world.run(LIMITS.rtp_timeout - FRAME * 2);
        assert_eq!(world.take_events(), []);
        world.run(FRAME);
        assert_eq!(
            world.take_events(),
            [Event::Silent {
                leg: phone.leg,
                after: LIMITS.rtp_timeout
            }]
        );
    }
}

#[test]
fn a_peer_on_hold_may_be_silent_for_long() {
    for (send, receive) in [(true, false), (false, true), (false, false)] {
        let mut world = World::new();
        let mut phone = world.phone(1, Codec::Pcmu);
        world.run(SECOND * 20);
        (phone.settings.send, phone.settings.receive) = (send, receive);
        world.command(Command::Update {
            leg: phone.leg,
            settings: phone.settings,
        });
        world.run(LIMITS.hold_timeout - FRAME);
        assert_eq!(world.take_events(), []);
        world.run(FRAME);
        assert_eq!(
            world.take_events(),
            [Event::Silent {
                leg: phone.leg,
                after: LIMITS.hold_timeout
            }]
        );
    }
}

#[test]
fn counting_begins_anew_when_the_sdp_changes() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    phone.settings.receive = false;
    world.command(Command::Update {
        leg: phone.leg,
        settings: phone.settings,
    });
    world.run(SECOND * 600);
    phone.settings.receive = true;
    world.command(Command::Update {
        leg: phone.leg,
        settings: phone.settings,
    });
    world.run(LIMITS.rtp_timeout - FRAME);
    assert_eq!(world.take_events(), []);
    world.run(FRAME);
    assert_eq!(
        world.take_events(),
        [Event::Silent {
            leg: phone.leg,
            after: LIMITS.rtp_timeout
        }]
    );
}

#[test]
fn what_strangers_send_does_not_keep_a_leg_alive() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    world.talk(&mut [(&mut phone, 440.0)], SECOND);
    let mut stranger = phone.clone();
    stranger.address.set_port(9);
    stranger.ssrc += 1;
    for _ in 0..9 {
        world.talk(&mut [(&mut stranger, 440.0)], FRAME);
        world.receive(phone.port().index, phone.address, vec![0x80, 0]);
        world.run(SECOND);
    }
    world.run(SECOND * 25);
    assert_eq!(world.take_events().len(), 1);
}
