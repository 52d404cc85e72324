//! Sounds that are played to legs.

use std::sync::Arc;
use std::time::Duration;

use media::g711::Law;
use media::mixer::{Codec, Over, PlayId};
use media::{Command, Event, Sound, tone};

use crate::phone::{FRAME, Phone, Sent, World, assert_continuous, samples};

const SECOND: Duration = Duration::from_secs(1);

/// A sound that is nowhere like itself elsewhere, all positive, and the same after A-law.
fn noise(count: usize) -> Arc<Sound> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Law::A.decode(0x80 | (state >> 24) as u8)
    };
    Arc::new(Sound::new((0..count).map(|_| next()).collect()))
}

/// A sound of one negative sample value.
fn block(count: usize) -> Arc<Sound> {
    Arc::new(Sound::new(vec![Law::A.decode(Law::A.encode(-8000)); count]))
}

fn play(phone: &Phone, sound: &Arc<Sound>, number: u64) -> Command {
    Command::Play {
        leg: phone.leg,
        sound: sound.clone(),
        over: Over::All,
        play: PlayId(number),
    }
}

fn background(phone: &Phone, sound: &Arc<Sound>) -> Command {
    Command::Background {
        leg: phone.leg,
        sound: Some(sound.clone()),
    }
}

/// When the frames of a leg left, in whole milliseconds from the first.
fn times(heard: &[Sent]) -> Vec<u128> {
    heard
        .iter()
        .map(|sent| (sent.at - heard[0].at).as_millis())
        .collect()
}

#[test]
fn music_goes_on_in_the_very_sample_after_an_announcement() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcma);
    let (music, announcement) = (noise(12_345), block(1000));
    world.command(background(&phone, &music));
    world.run(Duration::from_millis(1010));
    world.command(play(&phone, &announcement, 5));
    world.run(SECOND * 3);
    let heard = world.heard(&phone);
    assert_continuous(&heard);
    let heard = samples(&heard);
    let begin = heard
        .iter()
        .position(|&sample| sample == announcement.samples()[0])
        .unwrap();
    let music = music.samples();
    let looped = music.iter().copied().cycle();
    let music: Vec<i16> = looped.take(heard.len() - 1000).collect();
    assert_eq!(begin % 160, 0);
    assert_eq!(heard[..begin], music[..begin]);
    assert_eq!(heard[begin + 1000..], music[begin..]);
    assert_eq!(
        world.take_events(),
        [Event::Played {
            leg: phone.leg,
            play: PlayId(5)
        }]
    );
}

#[test]
fn music_goes_on_after_a_bridge_where_it_was() {
    let mut world = World::new();
    let (customer, mut agent) = (world.phone(1, Codec::Pcma), world.phone(2, Codec::Pcma));
    let music = noise(80_000);
    world.command(background(&customer, &music));
    world.run(SECOND);
    let before = samples(&world.heard(&customer));
    world.command(Command::Bridge {
        a: customer.leg,
        b: agent.leg,
    });
    world.talk(&mut [(&mut agent, 880.0)], SECOND);
    assert!(tone::level(&samples(&world.heard(&customer)), 880.0) > -7.0);
    world.command(Command::Unbridge { leg: customer.leg });
    world.run(SECOND);
    let after = samples(&world.heard(&customer));
    assert_eq!(
        [before.clone(), after.clone()].concat(),
        music.samples()[..before.len() + after.len()]
    );
}

#[test]
fn the_end_of_a_sound_is_told_when_it_is_there() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    world.run(Duration::from_millis(137));
    world.command(play(&phone, &block(12_000), 1));
    world.run(SECOND * 3);
    let heard = world.heard(&phone);
    let sound = heard
        .iter()
        .find(|sent| Law::Mu.decode(sent.packet.payload[0]) < -7000);
    let (told, _) = world.events[0];
    assert_eq!(told - sound.unwrap().at, Duration::from_millis(1500));
}

#[test]
fn a_sound_that_is_replaced_or_stopped_is_not_told_as_played() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    world.command(play(&phone, &block(80_000), 1));
    world.run(SECOND);
    world.command(play(&phone, &block(800), 2));
    world.run(SECOND);
    assert_eq!(
        world.take_events(),
        [Event::Played {
            leg: phone.leg,
            play: PlayId(2)
        }]
    );
    world.command(play(&phone, &block(80_000), 3));
    world.run(SECOND);
    world.heard(&phone);
    world.command(Command::StopPlay { leg: phone.leg });
    world.run(SECOND);
    let heard = world.heard(&phone);
    assert!(
        heard
            .iter()
            .all(|sent| sent.packet.payload.iter().all(|&octet| octet == 0xff))
    );
    // A bridge ends what is played as well.
    let other = world.phone(2, Codec::Pcmu);
    world.command(play(&phone, &block(8000), 4));
    world.command(Command::Bridge {
        a: phone.leg,
        b: other.leg,
    });
    world.command(Command::Unbridge { leg: phone.leg });
    world.run(SECOND * 2);
    assert_eq!(world.take_events(), []);
}

#[test]
fn a_sound_without_samples_is_played_at_once_and_looped_as_silence() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    world.command(background(&phone, &block(0)));
    world.command(play(&phone, &block(0), 1));
    world.run(FRAME * 2);
    assert_eq!(
        world.take_events(),
        [Event::Played {
            leg: phone.leg,
            play: PlayId(1)
        }]
    );
    let heard = samples(&world.heard(&phone));
    assert!(!heard.is_empty() && heard.iter().all(|&sample| sample == 0));
}

#[test]
fn the_same_music_again_goes_on_and_other_music_begins() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcma);
    let (one, two) = (noise(40_000), block(16_000));
    world.command(background(&phone, &one));
    world.run(SECOND);
    world.command(background(&phone, &one));
    world.run(SECOND);
    let heard = samples(&world.heard(&phone));
    assert_eq!(heard, one.samples()[..heard.len()]);
    world.command(background(&phone, &two));
    world.run(SECOND);
    world.command(background(&phone, &one));
    world.run(SECOND);
    let heard = samples(&world.heard(&phone));
    assert_eq!(heard[..8000], two.samples()[..8000]);
    assert_eq!(heard[8000..16_000], one.samples()[..8000]);
}

#[test]
fn a_leg_without_music_hears_silence_in_packets() {
    for (codec, silence) in [(Codec::Pcmu, 0xff), (Codec::Pcma, 0xd5)] {
        let mut world = World::new();
        let phone = world.phone(1, codec);
        world.run(SECOND - Duration::from_millis(1));
        let heard = world.heard(&phone);
        assert_eq!(heard.len(), 50);
        assert!(
            heard
                .iter()
                .all(|sent| sent.packet.payload == vec![silence; 160])
        );
        assert!(heard[0].packet.header.marker);
        assert_continuous(&heard);
    }
}

#[test]
fn another_codec_takes_the_sound_where_it_is() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    let music = noise(40_000);
    world.command(background(&phone, &music));
    world.run(SECOND);
    let before = world.heard(&phone);
    (phone.settings.codec, phone.settings.payload_type) = (Codec::Pcma, 8);
    world.command(Command::Update {
        leg: phone.leg,
        settings: phone.settings,
    });
    world.run(SECOND);
    let after = world.heard(&phone);
    assert!(
        after
            .iter()
            .all(|sent| sent.packet.header.payload_type == 8)
    );
    assert_continuous(&[before.clone(), after.clone()].concat());
    let at = before.len() * 160;
    assert_eq!(samples(&after)[..8000], music.samples()[at..at + 8000]);
}

#[test]
fn a_sound_ends_for_a_phone_that_refuses_to_hear_it() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcma);
    phone.settings.send = false;
    world.command(Command::Update {
        leg: phone.leg,
        settings: phone.settings,
    });
    world.heard(&phone);
    world.command(play(&phone, &block(8000), 1));
    world.run(SECOND + FRAME);
    assert_eq!(world.heard(&phone).len(), 0);
    assert_eq!(
        world.take_events(),
        [Event::Played {
            leg: phone.leg,
            play: PlayId(1)
        }]
    );
}

#[test]
fn an_announcement_over_a_bridge_ends_in_the_bridge() {
    let mut world = World::new();
    let (mut a, mut b) = (world.phone(1, Codec::Pcma), world.phone(2, Codec::Pcma));
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    world.command(play(&a, &block(8000), 1));
    world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
    let (first, second) = (world.heard(&a), samples(&world.heard(&b)));
    assert!(
        tone::level(&second, 440.0) > -7.0,
        "the other side hears on"
    );
    assert!(tone::level(&samples(&first[..50]), 880.0) < -40.0);
    assert_eq!(
        world.take_events(),
        [Event::Played {
            leg: a.leg,
            play: PlayId(1)
        }]
    );
    world.talk(&mut [(&mut b, 880.0)], SECOND);
    let heard = samples(&world.heard(&a));
    assert!(tone::level(&heard, 880.0) > -7.0);
}

#[test]
fn frames_stay_on_their_raster_for_an_hour() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    world.command(background(&phone, &noise(7777)));
    // The driver is always a little late, never the same.
    let mut late = 0;
    while world.sent.len() < 180_000 {
        late = (late * 5 + 3) % 17;
        let (due, _) = world.mixer.poll_timeout().unwrap();
        world.wake_at(due + Duration::from_millis(late));
    }
    let heard = world.heard(&phone);
    let first = heard[0].packet.header.timestamp;
    let last = heard.last().unwrap();
    assert_eq!(heard.len(), 180_000);
    assert_eq!(
        last.packet.header.timestamp.wrapping_sub(first),
        179_999 * 160
    );
    assert!((last.at - heard[0].at).abs_diff(FRAME * 179_999) <= Duration::from_millis(17));
}

#[test]
fn a_driver_that_is_a_little_late_catches_up() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcmu);
    world.run(SECOND);
    world.wake_at(world.now + Duration::from_millis(70));
    world.run(SECOND);
    let heard = world.heard(&phone);
    let n = heard.iter().position(|sent| sent.at > SECOND).unwrap();
    assert_eq!(times(&heard[n..n + 5]), [0, 0, 0, 10, 30]);
    let first = heard[0].packet.header.timestamp;
    for (n, sent) in heard.iter().enumerate() {
        assert_eq!(
            sent.packet.header.timestamp.wrapping_sub(first),
            n as u32 * 160
        );
    }
}

#[test]
fn a_driver_that_is_very_late_skips_and_never_bursts() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcma);
    let music = noise(40_000);
    world.command(background(&phone, &music));
    world.command(play(&phone, &block(9600), 1));
    world.run(SECOND);
    world.wake_at(world.now + Duration::from_millis(990));
    world.run(SECOND);
    assert_eq!(
        world.events,
        [(
            Duration::from_millis(1990),
            Event::Played {
                leg: phone.leg,
                play: PlayId(1)
            }
        )]
    );
    let heard = world.heard(&phone);
    let n = heard.iter().position(|sent| sent.at > SECOND).unwrap();
    assert_eq!(
        times(&heard[n..n + 3]),
        [0, 10, 30],
        "one frame, then the raster"
    );
    // Number goes on, time jumps, and the music is where it would have been.
    let [before, after] = [n - 1, n].map(|n| &heard[n].packet.header);
    assert_eq!(
        after.sequence_number.wrapping_sub(before.sequence_number),
        1
    );
    let skipped = after
        .timestamp
        .wrapping_sub(heard[0].packet.header.timestamp) as usize;
    assert_eq!(skipped % 160, 0);
    let heard = samples(&heard[n..n + 20]);
    assert_eq!(
        heard,
        music.samples()[skipped - 9600..skipped - 9600 + heard.len()]
    );
}

#[test]
fn a_thousand_listeners_that_come_at_once_are_spread_over_the_frame() {
    let mut world = World::new();
    let music = noise(8000);
    for n in 0..1000 {
        let phone = world.phone(n, Codec::Pcmu);
        world.command(background(&phone, &music));
    }
    world.run(FRAME);
    world.sent.clear();
    world.run(FRAME);
    assert_eq!(world.sent.len(), 1000);
    let at: Vec<Duration> = world.sent.iter().map(|sent| sent.at).collect();
    let fullest = at.chunk_by(|a, b| a == b).map(<[Duration]>::len).max();
    assert!(fullest <= Some(56), "{fullest:?} at once");
    // Half of them leave; the others lose no frame.
    for n in (0..1000).step_by(2) {
        world.command(Command::Close {
            leg: media::LegId(n),
        });
    }
    world.sent.clear();
    world.run(FRAME);
    assert_eq!(world.sent.len(), 500);
}
