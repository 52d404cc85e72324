//! No allocation per packet and per frame.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use media::mixer::{Codec, OUTPUT_OCTETS, RecordingId};
use media::{Command, tone};
use webrtc_util::marshal::Marshal;

use crate::phone::{FRAME, Phone, World};

/// Allocations of the mixer while the phones talk for a second, after a second to warm up.
fn allocations(world: &mut World, phones: &mut [Phone]) -> u64 {
    let mut count = 0;
    for second in 0..2 {
        for _ in 0..50 {
            let mut datagrams: Vec<_> = phones
                .iter_mut()
                .map(|phone| phone.tone(440.0).marshal().expect("a packet").to_vec())
                .collect();
            let (mixer, now) = (&mut world.mixer, world.now);
            let mut buffer = [0; OUTPUT_OCTETS];
            let mut reports = false;
            let info = allocation_counter::measure(|| {
                mixer.handle_timeout(now);
                for (phone, datagram) in phones.iter().zip(&mut datagrams) {
                    let (port, length) = (phone.port().index, datagram.len());
                    mixer.handle_packet(port, phone.address, datagram, length, now);
                }
                while mixer.poll_output(&mut buffer).is_some() {
                    reports |= buffer[1] == 200;
                }
            });
            // A report, each 5 s, may allocate.
            count += info.count_total * second * u64::from(!reports);
            world.now += FRAME;
        }
    }
    count
}

#[test]
fn talk_is_relayed_transcoded_and_recorded_without_allocation() {
    let mut world = World::new();
    let mut phones = [
        Codec::Pcmu,
        Codec::Pcmu,
        Codec::Pcmu,
        Codec::Pcma,
        Codec::Pcmu,
        Codec::Pcma,
    ]
    .into_iter()
    .zip(1..)
    .map(|(codec, number)| world.phone(number, codec))
    .collect::<Vec<_>>();
    for pair in phones.chunks(2) {
        world.command(Command::Bridge {
            a: pair[0].leg,
            b: pair[1].leg,
        });
    }
    let (recording, path) = (RecordingId(1), PathBuf::new());
    let [left, right] = [phones[4].leg, phones[5].leg];
    world.command(Command::Record {
        recording,
        path,
        left,
        right,
    });
    assert_eq!(allocations(&mut world, &mut phones), 0);
}

#[test]
fn music_is_played_and_echo_given_without_allocation() {
    let mut world = World::new();
    let mut phones = [1, 2].map(|number| world.phone(number, Codec::Pcma));
    let sound = Some(Arc::new(tone::ringing()));
    world.command(Command::Background {
        leg: phones[0].leg,
        sound,
    });
    world.command(Command::Echo { leg: phones[1].leg });
    world.run(Duration::from_secs(1));
    assert_eq!(allocations(&mut world, &mut phones), 0);
}
