//! Who hears several at once: conferences, and supervisors who listen, whisper and barge in.

use std::sync::Arc;
use std::time::Duration;

use media::mixer::{Codec, Over, PlayId};
use media::{Command, Event, Sound, tone};

use crate::codecs::Wide;
use crate::phone::{FRAME, Phone, World, assert_continuous, samples};

const SECOND: Duration = Duration::from_secs(1);
/// At the least this far apart stand who is heard and who is not.
const APART: f64 = 30.0;

fn hear(world: &mut World, who: &Phone, whom: &[&Phone]) {
    for phone in whom {
        let (listener, talker) = (who.leg, phone.leg);
        world.command(Command::Mix { listener, talker });
    }
}

fn unhear(world: &mut World, who: &Phone, whom: &Phone) {
    let (listener, talker) = (who.leg, whom.leg);
    world.command(Command::Unmix { listener, talker });
}

fn bridge(world: &mut World, one: &Phone, other: &Phone) {
    let (a, b) = (one.leg, other.leg);
    world.command(Command::Bridge { a, b });
}

/// Customer, agent and supervisor talk for a second, at 440, 880 and 1,320 Hz; whom each heard at the end of it.
fn heard(world: &mut World, phones: &mut [Phone; 3]) -> [String; 3] {
    let tones = [440.0, 880.0, 1_320.0];
    let mut talking: Vec<(&mut Phone, f64)> = phones.iter_mut().zip(tones).collect();
    world.talk(&mut talking, SECOND);
    phones.each_ref().map(|phone| {
        let packets = world.heard(phone);
        let packets = &packets[packets.len() - 25..];
        assert_continuous(packets);
        let decoded = samples(packets);
        let levels = tones.map(|hz| tone::level(&decoded, hz));
        let loudest = levels.into_iter().fold(f64::MIN, f64::max);
        let names = ["customer", "agent", "supervisor"];
        let heard = names
            .iter()
            .zip(levels)
            .filter(|(_, level)| *level > loudest - APART);
        heard
            .filter(|(_, level)| *level > -50.0)
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(" ")
    })
}

#[test]
fn a_supervisor_listens_whispers_and_barges_in_and_what_was_relayed_stays_so() {
    let mut world = World::new();
    let mut phones = [1, 2, 3].map(|number| world.phone(number, Codec::Pcmu));
    let [customer, agent, supervisor] = phones.clone();
    bridge(&mut world, &customer, &agent);
    assert_eq!(heard(&mut world, &mut phones), ["agent", "customer", ""]);
    // Listens.
    hear(&mut world, &supervisor, &[&customer, &agent]);
    let listens = ["agent", "customer", "customer agent"];
    assert_eq!(heard(&mut world, &mut phones), listens);
    // Whispers to the agent: the customer hears nothing of it.
    hear(&mut world, &agent, &[&supervisor]);
    let whispers = ["agent", "customer supervisor", "customer agent"];
    assert_eq!(heard(&mut world, &mut phones), whispers);
    // Barges in.
    hear(&mut world, &customer, &[&supervisor]);
    let barges = ["agent supervisor", "customer supervisor", "customer agent"];
    assert_eq!(heard(&mut world, &mut phones), barges);
    // And back.
    unhear(&mut world, &customer, &supervisor);
    unhear(&mut world, &agent, &supervisor);
    assert_eq!(heard(&mut world, &mut phones), listens);
    world.command(Command::Close {
        leg: supervisor.leg,
    });
    let [customer, agent, _] = &mut phones;
    world.talk(&mut [(customer, 440.0), (agent, 880.0)], SECOND);
    let packets = world.heard(customer);
    let level = tone::level(&samples(&packets[packets.len() - 25..]), 880.0);
    assert!((level + 6.0).abs() < 0.1, "as it came: {level} dB");
}

/// Their levels are as they would be alone, whatever they speak.
#[test]
fn codecs_and_rates_meet_in_the_mix() {
    for codecs in [
        [Codec::Pcmu, Codec::Pcma, Codec::G722],
        [Codec::Opus, Codec::Pcmu, Codec::L16Wide],
        [Codec::G722, Codec::G722, Codec::Pcma],
    ] {
        let mut world = World::new();
        let mut phones = [1, 2, 3].map(|n| Wide::new(&mut world, n, codecs[usize::from(n) - 1]));
        let [customer, agent, supervisor] = phones.each_ref().map(|wide| wide.phone.clone());
        bridge(&mut world, &customer, &agent);
        hear(&mut world, &supervisor, &[&customer, &agent]);
        hear(&mut world, &agent, &[&supervisor]);
        for _ in 0..50 {
            for (wide, hz) in phones.iter_mut().zip([440.0, 880.0, 1_320.0]) {
                let packet = wide.tone(hz, FRAME);
                world.send(&wide.phone, &packet);
            }
            world.run(FRAME);
        }
        let expected = [vec![880.0], vec![440.0, 1_320.0], vec![440.0, 880.0]];
        for (wide, expected) in phones.iter_mut().zip(expected) {
            let heard = world.heard(&wide.phone);
            let heard = wide.decode(&heard);
            let heard = &heard[heard.len() / 2..];
            for hz in expected {
                let (level, who) = (wide.level(heard, hz), wide.phone.leg);
                assert!(
                    (level + 6.0).abs() < 1.0,
                    "{codecs:?}, {who:?}: {hz} Hz at {level} dB"
                );
            }
        }
    }
}

#[test]
fn in_a_conference_of_thirty_each_hears_all_but_itself() {
    let mut world = World::new();
    let mut phones: Vec<Phone> = (1..=30)
        .map(|number| world.phone(number, Codec::Pcmu))
        .collect();
    let all = phones.clone();
    for phone in &all {
        let others: Vec<&Phone> = all.iter().filter(|other| other.leg != phone.leg).collect();
        hear(&mut world, phone, &others);
    }
    // One each: together they would be louder than loud.
    for talker in 0..phones.len() {
        for _ in 0..15 {
            for (place, phone) in phones.iter_mut().enumerate() {
                let packet = if place == talker {
                    phone.tone(700.0)
                } else {
                    phone.say(&[0; 160])
                };
                world.send(phone, &packet);
            }
            world.run(FRAME);
        }
        for (place, phone) in phones.iter().enumerate() {
            let packets = world.heard(phone);
            let level = tone::level(&samples(&packets[packets.len() - 8..]), 700.0);
            if place == talker {
                assert!(level < -50.0, "{place} hears itself at {level} dB");
            } else {
                assert!(
                    (level + 6.0).abs() < 0.5,
                    "{place} hears {talker} at {level} dB"
                );
            }
        }
    }
}

/// The steps between neighbouring samples of a tone are small; a tone that is cut off in the middle of a wave has a large one.
fn largest_step(samples: &[i16]) -> i32 {
    let steps = samples
        .windows(2)
        .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
    steps.max().unwrap_or(0)
}

#[test]
fn nothing_clicks_when_parties_come_and_go() {
    for wait in 0..7 {
        let mut world = World::new();
        let mut phones = [1, 2, 3].map(|number| world.phone(number, Codec::Pcmu));
        let [customer, agent, supervisor] = phones.clone();
        let mut talk = |world: &mut World, time| {
            let [customer, agent, _] = &mut phones;
            world.talk(&mut [(customer, 200.0), (agent, 300.0)], time);
        };
        hear(&mut world, &supervisor, &[&customer]);
        talk(&mut world, SECOND);
        world.heard(&supervisor);
        world.run(Duration::from_millis(wait));
        hear(&mut world, &supervisor, &[&agent]);
        talk(&mut world, SECOND);
        unhear(&mut world, &supervisor, &customer);
        talk(&mut world, SECOND);
        world.command(Command::Close { leg: agent.leg });
        world.run(SECOND);
        let heard = world.heard(&supervisor);
        assert_continuous(&heard);
        // Both together, at -6 dB each: 16,384 * 2 pi * (200 + 300) / 8,000.
        let step = largest_step(&samples(&heard));
        assert!(step < 8_000, "{step} after {wait} ms");
    }
}

/// The talker is a ramp that only rises: nothing is heard twice, and what is missing shows.
#[test]
fn from_relay_to_mix_and_back_little_is_missing_and_nothing_is_heard_twice() {
    let mut world = World::new();
    let codec = Codec::L16Narrow;
    let [mut agent, mut ear, other] = [1, 2, 3].map(|n| Wide::new(&mut world, n, codec));
    let (customer, supervisor) = (ear.phone.clone(), other.phone);
    bridge(&mut world, &customer, &agent.phone);
    let mut said = 0_i16;
    let mut ramp = |world: &mut World, frames| {
        for _ in 0..frames {
            let samples: Vec<i16> = (0..160).map(|n| said + n + 1).collect();
            said += 160;
            let packet = agent.say(&samples);
            world.send(&agent.phone, &packet);
            world.run(FRAME);
        }
    };
    ramp(&mut world, 50);
    hear(&mut world, &customer, &[&supervisor]);
    ramp(&mut world, 50);
    unhear(&mut world, &customer, &supervisor);
    ramp(&mut world, 50);
    let heard = ear.decode(&world.heard(&customer));
    let real: Vec<i16> = heard.iter().copied().filter(|sample| *sample > 0).collect();
    let backwards = real.windows(2).filter(|pair| pair[1] <= pair[0]).count();
    // What is mixed begins by fading in.
    assert!(backwards <= 1, "something was heard twice");
    let missing = usize::try_from(said).expect("positive") - real.len();
    assert!(missing <= 320, "{missing} samples never came");
}

/// A sound of a second at 1,320 Hz for this phone.
fn play(world: &mut World, phone: &Phone, over: Over, number: u64) {
    world.command(Command::Play {
        leg: phone.leg,
        sound: Arc::new(Sound::new(tone::sine(1_320.0, 8_000, SECOND))),
        over,
        play: PlayId(number),
    });
}

#[test]
fn a_sound_is_heard_beside_who_talks_and_what_was_relayed_is_so_again_afterwards() {
    let mut world = World::new();
    let mut phones = [1, 2].map(|number| world.phone(number, Codec::Pcmu));
    let [customer, agent] = phones.clone();
    bridge(&mut world, &customer, &agent);
    play(&mut world, &agent, Over::Beside, 1);
    let mut levels = Vec::new();
    for _ in 0..6 {
        let [one, other] = &mut phones;
        world.talk(&mut [(one, 440.0), (other, 880.0)], SECOND / 2);
        let packets = world.heard(&agent);
        assert_continuous(&packets);
        let decoded = samples(&packets[packets.len() - 15..]);
        levels.push([440.0, 1_320.0].map(|hz| tone::level(&decoded, hz)));
    }
    assert!(levels.iter().all(|[voice, _]| *voice > -20.0), "{levels:?}");
    assert!(
        levels[..2].iter().all(|[_, sound]| *sound > -20.0),
        "{levels:?}"
    );
    assert!(
        levels[3..].iter().all(|[_, sound]| *sound < -50.0),
        "{levels:?}"
    );
    let events = world.take_events();
    let played = |event: &&Event| {
        matches!(
            event,
            Event::Played {
                play: PlayId(1),
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(played).count(), 1);
    // As it came, octet for octet.
    let packet = phones[0].tone(440.0);
    world.send(&customer, &packet);
    let heard = world.heard(&agent);
    assert_eq!(heard[heard.len() - 1].packet.payload, packet.payload);
}

#[test]
fn a_background_is_softer_beside_a_sound_and_goes_on_where_it_would_be() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    let music = Sound::new(tone::sine(440.0, 8_000, 5 * SECOND));
    world.command(Command::Background {
        leg: phone.leg,
        sound: Some(Arc::new(music)),
    });
    let mut levels = Vec::new();
    for second in 0..4 {
        if second == 1 {
            play(&mut world, &phone, Over::Beside, 1);
        }
        world.run(SECOND);
        let packets = world.heard(&phone);
        let decoded = samples(&packets[packets.len() - 40..]);
        levels.push([440.0, 1_320.0].map(|hz| tone::level(&decoded, hz)));
    }
    let softer = levels[0][0] - levels[1][0];
    assert!((softer - 12.0).abs() < 0.5, "{levels:?}");
    assert!(levels[1][1] > -15.0 && levels[2][1] < -50.0, "{levels:?}");
    assert!((levels[3][0] - levels[0][0]).abs() < 0.1, "{levels:?}");
}
