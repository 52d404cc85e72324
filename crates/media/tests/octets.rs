//! Any octets may come to an RTP port.

use std::time::Duration;

use media::Command;
use media::mixer::{Codec, RecordingId};
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

proptest! {
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
