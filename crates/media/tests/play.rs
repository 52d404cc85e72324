//! Sounds that are played to legs.

use std::sync::Arc;
use std::time::Duration;

use media::mixer::{Codec, PlayId};
use media::{Command, Event, Sound};

use crate::phone::{World, assert_continuous, samples};

/// A sound that is nowhere like itself elsewhere, all positive, and the same after A-law.
fn noise(count: usize) -> Arc<Sound> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Codec::Pcma.decode(0x80 | (state >> 24) as u8)
    };
    Arc::new(Sound::new((0..count).map(|_| next()).collect()))
}

#[test]
fn music_goes_on_in_the_very_sample_after_an_announcement() {
    let mut world = World::new();
    let phone = world.phone(1, Codec::Pcma);
    let (music, announcement) = (noise(12_345), Arc::new(Sound::new(vec![-8000; 1000])));
    world.command(Command::Background {
        leg: phone.leg,
        sound: Some(music.clone()),
    });
    world.run(Duration::from_millis(1010));
    world.command(Command::Play {
        leg: phone.leg,
        sound: announcement,
        play: PlayId(5),
    });
    world.run(Duration::from_secs(3));
    let heard = world.heard(&phone);
    assert_continuous(&heard);
    let heard = samples(&heard);
    let begin = heard
        .iter()
        .position(|&sample| sample == Codec::Pcma.decode(Codec::Pcma.encode(-8000)))
        .unwrap();
    let music: Vec<i16> = music
        .samples()
        .iter()
        .copied()
        .cycle()
        .take(heard.len() - 1000)
        .collect();
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
