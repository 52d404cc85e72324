//! Keys of the peer (RFC 4733), told to call control.

use std::sync::Arc;
use std::time::Duration;

use media::mixer::Codec;
use media::{Command, Event, LegId, Sound, tone};

use crate::codecs::Wide;
use crate::phone::{FRAME, Phone, Sent, World, samples};

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
        | Event::Figures { .. }
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

/// The frames of the key that each packet reports: the key, whether it ends, its duration.
fn reports(sent: &[Sent]) -> Vec<(u8, bool, u16)> {
    let events = sent
        .iter()
        .filter(|sent| sent.packet.header.payload_type == 101);
    let read = |sent: &Sent| {
        let payload = &sent.packet.payload;
        let duration = u16::from_be_bytes([payload[2], payload[3]]);
        (payload[0], payload[1] & 0x80 != 0, duration)
    };
    events.map(read).collect()
}

#[test]
fn a_key_that_is_pressed_for_a_leg_is_reported_to_its_peer_and_the_talk_goes_on() {
    let mut world = World::new();
    let (mut phone, mut other) = (world.phone(1, Codec::Pcmu), world.phone(2, Codec::Pcma));
    let (a, b) = (phone.leg, other.leg);
    world.command(Command::Bridge { a, b });
    world.talk(&mut [(&mut phone, 440.0), (&mut other, 880.0)], FRAME * 25);
    world.heard(&other);
    for key in ['5', '#', 'x'] {
        world.command(Command::Press {
            leg: other.leg,
            key,
        });
    }
    world.talk(&mut [(&mut phone, 440.0), (&mut other, 880.0)], FRAME * 40);
    let heard = world.heard(&other);
    let told = reports(&heard);
    let durations = [160, 320, 480, 640, 800, 800, 800, 800];
    let ends = [false, false, false, false, false, true, true, true];
    for (press, key) in told.chunks(8).zip([5, 11]) {
        let expected: Vec<_> = ends
            .iter()
            .zip(durations)
            .map(|(end, it)| (key, *end, it))
            .collect();
        assert_eq!(press, expected);
    }
    assert_eq!(told.len(), 16);
    let events: Vec<&Sent> = heard
        .iter()
        .filter(|sent| sent.packet.header.payload_type == 101)
        .collect();
    for press in events.chunks(8) {
        let first = press[0].packet.header.timestamp;
        assert!(press[0].packet.header.marker);
        assert!(
            press
                .iter()
                .all(|sent| sent.packet.header.timestamp == first)
        );
    }
    // Numbers without a gap, and the talk as before.
    for pair in heard.windows(2) {
        let [before, after] = [&pair[0].packet.header, &pair[1].packet.header];
        assert_eq!(
            after.sequence_number,
            before.sequence_number.wrapping_add(1)
        );
    }
    let level = tone::level(&samples(&heard[heard.len() - 15..]), 440.0);
    assert!((level + 6.0).abs() < 0.5, "{level}");
    assert!(reports(&world.heard(&phone)).is_empty());
}

#[test]
fn a_peer_that_knows_no_reports_hears_keys_as_tones_whoever_presses_them() {
    for codec in [Codec::Pcmu, Codec::G722] {
        let mut world = World::new();
        let mut phone = world.phone(1, codec);
        let mut deaf = Wide::new(&mut world, 2, codec);
        deaf.phone.settings.telephone_event = None;
        let (leg, settings) = (deaf.phone.leg, deaf.phone.settings);
        world.command(Command::Update { leg, settings });
        let (a, b) = (phone.leg, deaf.phone.leg);
        world.command(Command::Bridge { a, b });
        world.run(FRAME * 5);
        let mut hears_five = |world: &mut World, what: &str| {
            let heard = world.heard(&deaf.phone);
            let heard = deaf.decode(&heard);
            let loudest = |hz| {
                let stretch = heard.len().min(1_600);
                heard
                    .windows(stretch.min(320))
                    .step_by(80)
                    .map(|part| deaf.level(part, hz))
                    .fold(f64::MIN, f64::max)
            };
            assert!(
                loudest(770.0) > -16.0 && loudest(1_336.0) > -16.0,
                "{codec:?}, {what}"
            );
            assert!(loudest(941.0) < -25.0, "{codec:?}, {what}");
        };
        world.command(Command::Press { leg: b, key: '5' });
        world.run(FRAME * 20);
        hears_five(&mut world, "pressed by command");
        for packet in press(&mut phone, 5) {
            world.send(&phone, &packet);
            world.run(FRAME);
        }
        world.run(FRAME * 20);
        hears_five(&mut world, "pressed by the other's phone");
    }
}

#[test]
fn a_phone_without_reports_is_understood_by_its_tones() {
    let mut world = World::new();
    let mut phone = Phone::new(1, Codec::Pcma);
    phone.settings.telephone_event = None;
    world.open(&phone);
    let (row, column) = (
        tone::sine(770.0, 8_000, FRAME * 4),
        tone::sine(1_336.0, 8_000, FRAME * 4),
    );
    let five: Vec<i16> = std::iter::zip(row, column).map(|(a, b)| a + b).collect();
    for _ in 0..2 {
        for part in five.chunks(160) {
            let packet = phone.say(part);
            world.send(&phone, &packet);
            world.run(FRAME);
        }
        world.talk(&mut [(&mut phone, 440.0)], FRAME * 10);
    }
    assert_eq!(digits(&mut world), "55");
}
