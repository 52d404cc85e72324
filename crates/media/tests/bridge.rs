//! Legs that hear each other.

use std::time::Duration;

use media::mixer::Codec;
use media::{Command, tone};

use crate::phone::{Phone, Sent, World, assert_continuous, samples};

const SECOND: Duration = Duration::from_secs(1);

fn bridged(codecs: [Codec; 2]) -> (World, Phone, Phone) {
    let mut world = World::new();
    let [a, b] = codecs;
    let (a, b) = (world.phone(1, a), world.phone(2, b));
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    (world, a, b)
}

fn assert_tone(packets: &[Sent], hz: f64, not_hz: f64) {
    let samples = samples(packets);
    assert!(
        (tone::level(&samples, hz) + 6.0).abs() < 0.5,
        "{hz} Hz at {}",
        tone::level(&samples, hz)
    );
    assert!(
        tone::level(&samples, not_hz) < -40.0,
        "{not_hz} Hz at {}",
        tone::level(&samples, not_hz)
    );
}

#[test]
fn two_phones_hear_each_other() {
    for codecs in [
        [Codec::Pcmu, Codec::Pcmu],
        [Codec::Pcma, Codec::Pcma],
        [Codec::Pcmu, Codec::Pcma],
        [Codec::Pcma, Codec::Pcmu],
    ] {
        let (mut world, mut a, mut b) = bridged(codecs);
        world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
        let (to_a, to_b) = (world.heard(&a), world.heard(&b));
        assert_eq!((to_a.len(), to_b.len()), (50, 50));
        assert_tone(&to_a, 880.0, 440.0);
        assert_tone(&to_b, 440.0, 880.0);
        for (phone, heard) in [(&a, &to_a), (&b, &to_b)] {
            assert!(heard.iter().all(|sent| sent.packet.header.payload_type
                == phone.settings.payload_type
                && sent.to == phone.address));
            assert_continuous(heard);
        }
    }
}
