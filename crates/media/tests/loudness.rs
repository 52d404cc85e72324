//! Gain and automatic level of a leg.

use std::sync::Arc;
use std::time::Duration;

use media::loudness::{Gain, Loudness, Volume};
use media::mixer::Codec;
use media::{Command, Sound, tone};

use crate::phone::{FRAME, Phone, World, assert_continuous, samples};
use crate::tap::{record, sides};

const SECOND: Duration = Duration::from_secs(1);

fn gain(decibels: i16) -> Gain {
    Gain::of_tenths(10 * decibels).expect("a gain")
}

fn says(decibels: i16, automatic: bool) -> Loudness {
    Loudness {
        says: Volume {
            gain: gain(decibels),
            automatic,
        },
        hears: Gain::default(),
    }
}

fn phone(world: &mut World, number: u16, codec: Codec, loudness: Loudness) -> Phone {
    let mut phone = Phone::new(number, codec);
    phone.settings.loudness = loudness;
    world.open(&phone);
    phone
}

/// The phone says a tone of 440 Hz of this level (of its peaks, in dB of the loudest), in syllables if `speaks`.
fn say(world: &mut World, phone: &mut Phone, decibels: f64, speaks: bool, time: Duration) {
    let amplitude = (32_767.0 * 10f64.powf(decibels / 20.0)) as i16;
    let tone = tone::sine(440.0, amplitude, time);
    for (n, frame) in tone.chunks(160).enumerate() {
        let silence = [0; 160];
        let is_pause = speaks && n % 12 >= 8;
        let packet = phone.say(if is_pause { &silence } else { frame });
        world.send(phone, &packet);
        world.run(FRAME);
    }
}

/// The level of the loudest 20 ms, as a root mean square, in dB of overload.
fn loudest(samples: &[i16]) -> f64 {
    let level = |frame: &[i16]| {
        let power: f64 = frame.iter().map(|it| f64::from(*it).powi(2)).sum();
        10.0 * (power / frame.len() as f64 / 32_768f64.powi(2)).log10()
    };
    samples.chunks(160).map(level).fold(-200.0, f64::max)
}

#[test]
fn six_decibels_more_are_heard_and_recorded_as_such() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = World::new();
        let mut a = phone(&mut world, 1, Codec::Pcmu, says(6, false));
        let b = phone(&mut world, 2, codec, Loudness::default());
        world.command(Command::Bridge { a: a.leg, b: b.leg });
        world.command(record(&a, &b));
        say(&mut world, &mut a, -20.0, false, SECOND);
        let heard = world.heard(&b);
        assert_continuous(&heard[1..]);
        let level = tone::level(&samples(&heard)[1_600..7_600], 440.0);
        assert!((level + 14.0).abs() < 0.5, "{codec:?}: {level:.2} dB");
        let [left, _] = sides(&mut world);
        let level = tone::level(&left[800..7_200], 440.0);
        assert!((level + 14.0).abs() < 0.5, "recorded: {level:.2} dB");
    }
}

#[test]
fn what_one_hears_is_softer_for_it_alone_music_included() {
    let mut world = World::new();
    let softer = Loudness {
        hears: gain(-6),
        ..Loudness::default()
    };
    let mut a = phone(&mut world, 1, Codec::Pcmu, softer);
    let mut b = phone(&mut world, 2, Codec::Pcmu, Loudness::default());
    let music = Sound::new(tone::sine(800.0, 8_000, SECOND));
    let before = 20.0 * (8_000f64 / 32_768.0).log10();
    world.command(Command::Background {
        leg: a.leg,
        sound: Some(Arc::new(music)),
    });
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    let level = tone::level(&samples(&world.heard(&a))[800..7_200], 800.0);
    assert!((level - before + 6.0).abs() < 0.5, "{level:.2} dB");
    world.heard(&b);
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
    let level = tone::level(&samples(&world.heard(&a))[1_600..7_200], 880.0);
    assert!((level + 12.0).abs() < 0.5, "{level:.2} dB");
    // The other is relayed, octet by octet.
    let level = tone::level(&samples(&world.heard(&b))[1_600..7_200], 440.0);
    assert!((level + 6.0).abs() < 0.1, "{level:.2} dB");
}

#[test]
fn an_automatic_level_brings_all_who_speak_to_one_and_leaves_silence_alone() {
    // The levels that are told are of the root mean square.
    for (decibels, target) in [(-35.0, -21.0), (-10.0, -21.0), (-60.0, -60.0)] {
        let mut world = World::new();
        let mut a = phone(&mut world, 1, Codec::Pcma, says(0, true));
        let b = phone(&mut world, 2, Codec::Pcma, Loudness::default());
        world.command(Command::Bridge { a: a.leg, b: b.leg });
        say(&mut world, &mut a, decibels + 3.0, true, 2 * SECOND);
        world.heard(&b);
        say(&mut world, &mut a, decibels + 3.0, true, SECOND);
        let level = loudest(&samples(&world.heard(&b)));
        assert!((level - target).abs() < 1.5, "{decibels}: {level:.1} dB");
    }
}

#[test]
fn a_gain_that_begins_and_ends_in_the_middle_of_a_call_leaves_no_gap() {
    let mut world = World::new();
    let mut a = phone(&mut world, 1, Codec::Pcmu, Loudness::default());
    let b = phone(&mut world, 2, Codec::Pcmu, Loudness::default());
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    for (loudness, expected) in [
        (Loudness::default(), -20.0),
        (says(6, false), -14.0),
        (says(-6, false), -26.0),
        (Loudness::default(), -20.0),
    ] {
        let (leg, settings) = (
            a.leg,
            media::mixer::StreamSettings {
                loudness,
                ..a.settings
            },
        );
        world.command(Command::Update { leg, settings });
        say(&mut world, &mut a, -20.0, false, SECOND);
        let heard = samples(&world.heard(&b));
        let level = tone::level(&heard[2_400..7_200], 440.0);
        assert!(
            (level - expected).abs() < 0.5,
            "{loudness:?}: {level:.2} dB"
        );
    }
}
