//! Any octets may come to an RTP port.

use std::time::Duration;

use media::Command;
use media::mixer::{Codec, RecordingId, Tap};
use media::recording::Aligner;
use proptest::prelude::*;
use webrtc_util::marshal::Unmarshal;

use crate::phone::{Phone, World};

fn bridged() -> (World, Phone, Phone) {
    let mut world = World::new();
    let (a, b) = (world.phone(1, Codec::Pcmu), world.phone(2, Codec::Pcma));
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    let path = "any.wav".into();
    let recording = RecordingId(1);
    world.command(Command::Record {
        recording,
        path,
        left: a.leg,
        right: b.leg,
    });
    (world, a, b)
}

/// Datagrams that look more or less like RTP.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let header = (
        0x80u8..=0xbf,
        prop::sample::select(vec![0u8, 8, 101, 0x80, 0xe5, 200, 13]),
        any::<u16>(),
        any::<u32>(),
    );
    let near_rtp = (header, 0u32..3, prop::collection::vec(any::<u8>(), 0..200)).prop_map(
        |((first, second, sequence, timestamp), ssrc, rest)| {
            let mut octets = vec![first, second];
            octets.extend_from_slice(&sequence.to_be_bytes());
            octets.extend_from_slice(&timestamp.to_be_bytes());
            octets.extend_from_slice(&ssrc.to_be_bytes());
            octets.extend_from_slice(&rest);
            octets
        },
    );
    prop_oneof![
        4 => near_rtp,
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => prop::collection::vec(any::<u8>(), 1400..1600),
    ]
}

/// A packet that nearly goes on with those before it: payload type, how far number and timestamp are off, octets.
fn step() -> impl Strategy<Value = (u8, i8, i16, Vec<u8>)> {
    let payload_type = prop::sample::select(vec![0u8, 8, 9, 101, 111, 112, 113]);
    let number = prop_oneof![6 => Just(0i8), 1 => any::<i8>()];
    let timestamp = prop_oneof![6 => Just(0i16), 1 => any::<i16>()];
    let octets = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 400..1_460),
    ];
    (payload_type, number, timestamp, octets)
}

proptest! {
    /// Any octets in any codec, decoded for the other side and for a recording.
    #[test]
    fn no_octets_harm_a_decoder(
        codecs in (prop::sample::select(&Codec::ALL[..]), prop::sample::select(&Codec::ALL[..])),
        steps in prop::collection::vec((step(), any::<bool>(), 0u64..60), 1..80),
    ) {
        let mut world = World::new();
        let phones = [world.phone(1, codecs.0), world.phone(2, codecs.1)];
        world.command(Command::Bridge { a: phones[0].leg, b: phones[1].leg });
        world.command(Command::Record {
            recording: RecordingId(1),
            path: "any.wav".into(),
            left: phones[0].leg,
            right: phones[1].leg,
        });
        let mut count = [0u16; 2];
        for ((payload_type, number, timestamp, octets), first, milliseconds) in steps {
            let side = usize::from(!first);
            count[side] = count[side].wrapping_add(1);
            let phone = &phones[side];
            let clock_rate = phone.settings.codec.clock_rate();
            let time = (u32::from(count[side]) * clock_rate / 50).wrapping_add_signed(timestamp.into());
            let mut packet = vec![0x80, payload_type];
            packet.extend(count[side].wrapping_add_signed(number.into()).to_be_bytes());
            packet.extend(time.to_be_bytes());
            packet.extend([0, 0, 0, 1]);
            packet.extend(octets);
            world.receive(phone.port().index, phone.address, packet);
            world.run(Duration::from_millis(milliseconds));
        }
        world.command(Command::StopRecording { recording: RecordingId(1) });
        let (mut aligner, mut samples) = (None, Vec::new());
        for tap in std::mem::take(&mut world.taps) {
            match tap {
                Tap::Start { at, .. } => aligner = Some(Aligner::new(at)),
                Tap::Packet { at, .. } => {
                    let aligner = aligner.as_mut().expect("a recording");
                    aligner.handle_tap(&tap);
                    aligner.advance(at, &mut samples);
                }
                Tap::End { at, .. } => aligner.take().expect("a recording").finish(at, &mut samples),
            }
        }
        prop_assert!(samples.len().is_multiple_of(2));
    }

    #[test]
    fn no_octets_panic_and_all_that_leaves_is_rtp(datagrams in prop::collection::vec((datagram(), any::<bool>(), 0u64..100), 1..60)) {
        let (mut world, a, b) = bridged();
        for (octets, from_a, milliseconds) in datagrams {
            let phone = if from_a { &a } else { &b };
            // `World` reads with webrtc-rs what the mixer sends.
            world.receive(phone.port().index, phone.address, octets);
            world.run(Duration::from_millis(milliseconds));
        }
        for sent in &world.sent {
            prop_assert!(sent.packet.header.csrc.is_empty() && !sent.packet.header.extension && !sent.packet.header.padding);
        }
    }

    #[test]
    fn what_we_take_webrtc_takes_too_and_reads_alike(octets in datagram()) {
        let (mut world, a, b) = bridged();
        world.receive(a.port().index, a.address, octets.clone());
        if let Some(heard) = world.heard(&b).first() {
            let theirs = rtp::packet::Packet::unmarshal(&mut &octets[..]).expect("RTP for webrtc as well");
            prop_assert_eq!(heard.packet.payload.len(), theirs.payload.len());
            if theirs.header.payload_type == 101 {
                prop_assert_eq!(&heard.packet.payload, &theirs.payload);
            }
        }
    }
}
