//! Peers that say nothing while they have nothing to say: comfort noise (RFC 3389) and discontinuous transmission of Opus.

use std::time::Duration;

use media::mixer::{Codec, ComfortNoise, StreamStats};
use media::{Command, Event, quality, tone};
use ropus::{Application, Channels};

use crate::phone::{FRAME, Phone, World, assert_continuous, samples};
use crate::tap::{record, sides};

const SECOND: Duration = Duration::from_secs(1);
const NOISE: ComfortNoise = ComfortNoise {
    payload_type: 13,
    receive_payload_type: 13,
};

/// A phone that has comfort noise, or does not.
fn phone(world: &mut World, number: u16, codec: Codec, noise: Option<ComfortNoise>) -> Phone {
    let mut phone = Phone::new(number, codec);
    phone.settings.comfort_noise = noise;
    world.open(&phone);
    phone
}

/// The phone falls silent: noise of this level below overload, then nothing, while its clock runs on. It describes the noise again each second.
fn fall_silent(world: &mut World, phone: &mut Phone, level: u8, time: Duration) {
    for n in 0..time.as_millis() / FRAME.as_millis() {
        if n % 50 == 0 {
            let packet = phone.packet(13, vec![level, 60, 140]);
            world.send(phone, &packet);
        }
        phone.timestamp = phone.timestamp.wrapping_add(160);
        world.run(FRAME);
    }
}

/// Below overload, in dB.
fn level(samples: &[i16]) -> f64 {
    let power: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
    10.0 * (power / samples.len() as f64 / 32_768f64.powi(2)).log10()
}

fn bridge(world: &mut World, a: &Phone, b: &Phone) {
    world.command(Command::Bridge { a: a.leg, b: b.leg });
}

fn stats(world: &World, phone: &Phone) -> StreamStats {
    world.mixer.stats(phone.leg).expect("an open leg")
}

/// What the switch heard of it was without fault.
fn assert_fine(stats: &StreamStats) {
    assert_eq!((stats.lost, stats.gaps), (0, 0));
    assert!(
        stats.longest_pause < Duration::from_millis(500),
        "{stats:?}"
    );
    assert!(stats.guessed < Duration::from_millis(60), "{stats:?}");
    assert!(quality::mos(stats) > Some(4.3));
}

#[test]
fn comfort_noise_goes_through_between_two_who_have_it() {
    let mut world = World::new();
    let mut a = phone(&mut world, 1, Codec::Pcmu, Some(NOISE));
    let theirs = ComfortNoise {
        payload_type: 97,
        receive_payload_type: 97,
    };
    let mut b = phone(&mut world, 2, Codec::Pcma, Some(theirs));
    bridge(&mut world, &a, &b);
    world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
    world.heard(&b);
    fall_silent(&mut world, &mut a, 50, 3 * SECOND);
    let heard = world.heard(&b);
    assert_eq!(heard.len(), 3, "nothing but what it said");
    for sent in &heard {
        assert_eq!(sent.packet.header.payload_type, 97);
        assert_eq!(sent.packet.payload[..], [50, 60, 140]);
    }
    let before = &heard[2].packet.header;
    world.talk(&mut [(&mut a, 440.0)], FRAME);
    let after = &world.heard(&b)[0].packet.header;
    assert_eq!(
        after.sequence_number,
        before.sequence_number.wrapping_add(1)
    );
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 8_000);
    assert_eq!(after.payload_type, 8);
    assert_fine(&stats(&world, &a));
}

#[test]
fn who_does_not_have_comfort_noise_hears_it_until_sound_comes_again() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::L16Narrow] {
        let mut world = World::new();
        let mut a = phone(&mut world, 1, Codec::Pcmu, Some(NOISE));
        let b = phone(&mut world, 2, codec, None);
        bridge(&mut world, &a, &b);
        world.talk(&mut [(&mut a, 440.0)], SECOND);
        world.heard(&b);
        fall_silent(&mut world, &mut a, 45, 3 * SECOND);
        let heard = world.heard(&b);
        assert!((148..=151).contains(&heard.len()), "{}", heard.len());
        assert_continuous(&heard[1..]);
        if codec != Codec::L16Narrow {
            // The first frames may still hold the end of what was said.
            let noise = level(&samples(&heard[3..]));
            assert!((noise + 45.0).abs() < 1.5, "{codec:?}: {noise:.1} dB");
            world.talk(&mut [(&mut a, 440.0)], SECOND);
            let heard = world.heard(&b);
            assert_eq!(heard.len(), 50, "relayed again");
            assert!(tone::level(&samples(&heard), 440.0) > -7.0);
        }
        assert_fine(&stats(&world, &a));
    }
}

#[test]
fn a_talker_who_falls_silent_stands_right_in_the_recording() {
    let mut world = World::new();
    let mut a = phone(&mut world, 1, Codec::Pcmu, Some(NOISE));
    let mut b = phone(&mut world, 2, Codec::Pcmu, Some(NOISE));
    bridge(&mut world, &a, &b);
    world.command(record(&a, &b));
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    fall_silent(&mut world, &mut a, 40, 7 * SECOND);
    world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
    let [left, _] = sides(&mut world);
    assert_eq!(left.len(), 9 * 8_000);
    let tone_at = |from: usize| tone::level(&left[from..from + 400], 440.0);
    assert!(tone_at(7_600) > -7.0 && tone_at(64_000) > -7.0);
    let noise = level(&left[8_000..64_000]);
    assert!((noise + 40.0).abs() < 1.0, "{noise:.1} dB");
    assert!(tone_at(63_600) < -30.0);
}

#[test]
fn a_phone_that_said_it_falls_silent_is_there_as_long_as_it_says_so() {
    let mut world = World::new();
    let mut a = phone(&mut world, 1, Codec::Pcmu, Some(NOISE));
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    fall_silent(&mut world, &mut a, 50, 60 * SECOND);
    assert!(world.take_events().is_empty());
    world.run(31 * SECOND);
    let silent = world.take_events();
    assert!(matches!(silent[..], [Event::Silent { .. }]), "{silent:?}");
}

#[test]
fn comfort_noise_that_nobody_agreed_on_is_no_pause_and_is_not_heard() {
    let mut world = World::new();
    let mut a = phone(&mut world, 1, Codec::Pcmu, None);
    let b = phone(&mut world, 2, Codec::Pcmu, None);
    bridge(&mut world, &a, &b);
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    world.heard(&b);
    let packet = a.packet(13, vec![50]);
    world.send(&a, &packet);
    world.run(5 * SECOND);
    a.timestamp = a.timestamp.wrapping_add(40_000);
    assert!(world.heard(&b).is_empty());
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    assert_continuous(&world.heard(&b));
    assert_fine(&stats(&world, &a));
}

#[test]
fn opus_that_sends_nothing_in_silence_loses_nothing() {
    let mut world = World::new();
    let mut a = phone(&mut world, 1, Codec::Opus, None);
    let b = phone(&mut world, 2, Codec::Pcmu, None);
    bridge(&mut world, &a, &b);
    let builder = ropus::Encoder::builder(16_000, Channels::Mono, Application::Voip);
    let mut encoder = builder.dtx(true).build().expect("an encoder");
    // 20 ms of 880 Hz at 16 kHz.
    let speech: Vec<i16> = tone::sine(440.0, 16_000, 2 * FRAME);
    let mut left_out = 0;
    for turn in 0..300 {
        let quiet = vec![(turn % 3) as i16; 320];
        let talks = !(100..250).contains(&turn);
        let mut payload = vec![0; 1_000];
        let length = encoder.encode(if talks { &speech } else { &quiet }, &mut payload);
        payload.truncate(length.expect("Opus"));
        if payload.len() <= 2 && left_out > 0 {
            // As browsers do: the first tells that the others are missing.
            left_out += 1;
        } else {
            left_out = usize::from(payload.len() <= 2);
            let packet = a.packet(111, payload);
            world.send(&a, &packet);
        }
        a.timestamp = a.timestamp.wrapping_add(960);
        world.run(FRAME);
    }
    let (heard, stats) = (world.heard(&b), stats(&world, &a));
    assert_continuous(&heard);
    assert!(stats.received < 280, "it left nothing out: {stats:?}");
    assert_fine(&stats);
    let sound = samples(&heard);
    let silence = level(&sound[26_000..38_000]);
    assert!(silence < -50.0, "{silence:.1} dB");
    assert!(level(&sound[42_000..]) > -20.0);
}

#[test]
fn a_peer_that_asks_for_it_gets_no_opus_while_nothing_is_to_be_heard() {
    for (dtx, least, most) in [(false, 250, 251), (true, 5, 100)] {
        let mut world = World::new();
        let mut a = Phone::new(1, Codec::Opus);
        a.settings.dtx = dtx;
        world.open(&a);
        // It tells where it is.
        let packet = a.packet(111, vec![9 << 3, 0, 0]);
        world.send(&a, &packet);
        world.run(5 * SECOND);
        let heard = world.heard(&a);
        let count = heard.len();
        assert!((least..=most).contains(&count), "{dtx}: {count} packets");
        for pair in heard.windows(2) {
            let (one, two) = (&pair[0].packet.header, &pair[1].packet.header);
            assert_eq!(one.sequence_number.wrapping_add(1), two.sequence_number);
            let ticks = two.timestamp.wrapping_sub(one.timestamp);
            let elapsed = (pair[1].at - pair[0].at).as_millis() as u32;
            assert_eq!(ticks, elapsed * 48, "time goes on");
            assert_eq!(two.marker, elapsed > 20, "what follows a silence is marked");
        }
    }
}
