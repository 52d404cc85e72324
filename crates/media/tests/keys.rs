//! Keys of the peer (RFC 4733), told to call control.

use std::sync::Arc;
use std::time::Duration;

use media::mixer::Codec;
use media::{Command, Event, LegId, Sound, tone};

use crate::phone::{FRAME, Phone, World};

/// The phone's packets for one press, with three final ones as RFC 4733 section 2.5.1.4 asks.
fn press(phone: &mut Phone, event: u8) -> Vec<rtp::packet::Packet> {
    let mut packets = Vec::new();
    for (flags, duration) in [
        (10, 160u16),
        (10, 320),
        (10, 480),
        (0x8a, 640),
        (0x8a, 640),
        (0x8a, 640),
    ] {
        let [high, low] = duration.to_be_bytes();
        let mut packet = phone.packet(101, vec![event, flags, high, low]);
        packet.header.marker = duration == 160;
        packets.push(packet);
    }
    phone.timestamp = phone.timestamp.wrapping_add(1600);
    packets
}

fn digits(world: &mut World) -> String {
    let digit = |event| match event {
        Event::Digit {
            leg: LegId(1),
            digit,
        } => Some(digit),
        Event::Digit { .. }
        | Event::Played { .. }
        | Event::Silent { .. }
        | Event::Closed { .. }
        | Event::Recorded { .. } => None,
    };
    world.take_events().into_iter().filter_map(digit).collect()
}

fn music() -> Command {
    let sound = Some(Arc::new(Sound::new(tone::sine(
        300.0,
        8000,
        Duration::from_secs(1),
    ))));
    Command::Background {
        leg: LegId(1),
        sound,
    }
}

#[test]
fn keys_are_told_once_each_while_music_plays() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    world.command(music());
    for event in [1, 1, 11] {
        world.talk(&mut [(&mut phone, 440.0)], FRAME * 5);
        for packet in press(&mut phone, event) {
            world.send(&phone, &packet);
            world.send(&phone, &packet);
            world.run(FRAME);
        }
    }
    assert_eq!(digits(&mut world), "11#");
    let stats = world.mixer.stats(phone.leg).unwrap();
    assert_eq!((stats.received, stats.duplicates, stats.lost), (33, 18, 0));
    assert!(
        stats.max_jitter < Duration::from_millis(10),
        "events are not audio: {:?}",
        stats.max_jitter
    );
}

#[test]
fn a_key_is_told_whichever_of_its_packets_are_lost() {
    for lost in 0u32..63 {
        let mut world = World::new();
        let mut phone = world.phone(1, Codec::Pcmu);
        for event in [7, 7] {
            for (n, packet) in press(&mut phone, event).iter().enumerate() {
                if lost & 1 << n == 0 {
                    world.send(&phone, packet);
                }
                world.run(FRAME);
            }
        }
        assert_eq!(digits(&mut world), "77", "lost: {lost:06b}");
    }
}

#[test]
fn a_key_is_told_to_call_control_and_to_the_other_side_of_a_bridge() {
    let mut world = World::new();
    let (mut phone, other) = (world.phone(1, Codec::Pcmu), world.phone(2, Codec::Pcma));
    world.command(Command::Bridge {
        a: phone.leg,
        b: other.leg,
    });
    for packet in press(&mut phone, 10) {
        world.send(&phone, &packet);
    }
    assert_eq!(digits(&mut world), "*");
    assert_eq!(world.heard(&other).len(), 6);
}

#[test]
fn the_keys_of_a_stranger_are_not_told() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    world.talk(&mut [(&mut phone, 440.0)], FRAME * 5);
    let mut stranger = phone.clone();
    stranger.address.set_port(9);
    stranger.ssrc += 1;
    for packet in press(&mut stranger, 5) {
        world.send(&stranger, &packet);
    }
    assert_eq!(digits(&mut world), "");
}
