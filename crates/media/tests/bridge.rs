//! Legs that hear each other.

use std::sync::Arc;
use std::time::Duration;

use media::g711::Law;
use media::mixer::{Codec, Over, PlayId, PortIndex, TelephoneEvent};
use media::{Command, Event, Mixer, Sound, tone};

use crate::phone::{FRAME, LIMITS, Phone, Sent, World, assert_continuous, samples};

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
    let (wanted, unwanted) = (tone::level(&samples, hz), tone::level(&samples, not_hz));
    assert!((wanted + 6.0).abs() < 0.5, "{hz} Hz at {wanted} dB");
    assert!(unwanted < -40.0, "{not_hz} Hz at {unwanted} dB");
}

/// Sequence numbers, counted from the first.
fn numbers(packets: &[Sent]) -> Vec<u16> {
    let first = packets[0].packet.header.sequence_number;
    packets
        .iter()
        .map(|sent| sent.packet.header.sequence_number.wrapping_sub(first))
        .collect()
}

#[test]
fn two_phones_hear_each_other() {
    use Codec::{Pcma, Pcmu};
    for codecs in [[Pcmu, Pcmu], [Pcma, Pcma], [Pcmu, Pcma], [Pcma, Pcmu]] {
        let (mut world, mut a, mut b) = bridged(codecs);
        world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
        let (to_a, to_b) = (world.heard(&a), world.heard(&b));
        assert_eq!((to_a.len(), to_b.len()), (50, 50));
        assert_tone(&to_a, 880.0, 440.0);
        assert_tone(&to_b, 440.0, 880.0);
        for (phone, heard) in [(&a, &to_a), (&b, &to_b)] {
            let own = |sent: &Sent| {
                sent.packet.header.payload_type == phone.settings.payload_type
                    && sent.to == phone.address
            };
            assert!(heard.iter().all(own));
            assert_continuous(heard);
        }
    }
}

#[test]
fn between_phones_of_one_codec_every_octet_stays_as_it_is() {
    let (mut world, mut a, b) = bridged([Codec::Pcmu; 2]);
    let octets: Vec<u8> = (0..=255).collect();
    let packet = a.packet(0, octets.clone());
    world.send(&a, &packet);
    assert_eq!(world.heard(&b)[0].packet.payload, octets);
}

#[test]
fn each_side_gets_its_own_payload_types() {
    let mut world = World::new();
    let mut a = Phone::new(1, Codec::Pcmu);
    let mut b = Phone::new(2, Codec::Pcmu);
    (b.settings.payload_type, b.settings.telephone_event) = (
        112,
        Some(TelephoneEvent {
            payload_type: 96,
            clock_rate: 8_000,
        }),
    );
    for phone in [&a, &b] {
        world.open(phone);
    }
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    let types = |heard: Vec<Sent>| -> Vec<u8> {
        heard
            .iter()
            .map(|sent| sent.packet.header.payload_type)
            .collect()
    };
    for (payload_type, payload) in [(0, vec![0; 160]), (101, vec![1, 10, 0, 160])] {
        let packet = a.packet(payload_type, payload);
        world.send(&a, &packet);
    }
    assert_eq!(types(world.heard(&b)), [112, 96]);
    for (payload_type, payload) in [(112, vec![0; 160]), (96, vec![1, 10, 0, 160])] {
        let packet = b.packet(payload_type, payload);
        world.send(&b, &packet);
    }
    assert_eq!(types(world.heard(&a)), [0, 101]);
}

#[test]
fn a_phone_may_send_either_form_of_g711() {
    let (mut world, mut a, b) = bridged([Codec::Pcmu; 2]);
    let octet = Law::A.encode(1000);
    let packet = a.packet(8, vec![octet; 160]);
    world.send(&a, &packet);
    let heard = world.heard(&b);
    assert_eq!(heard[0].packet.header.payload_type, 0);
    assert_eq!(
        heard[0].packet.payload[0],
        Law::Mu.encode(Law::A.decode(octet))
    );
}

#[test]
fn a_key_keeps_the_time_of_its_beginning_on_the_time_line_of_the_speech() {
    let (mut world, mut a, b) = bridged([Codec::Pcma, Codec::Pcmu]);
    world.talk(&mut [(&mut a, 440.0)], FRAME * 3);
    let begun = a.timestamp;
    for duration in [160u16, 320, 480] {
        let [high, low] = duration.to_be_bytes();
        let packet = a.packet(101, vec![5, 10, high, low]);
        world.send(&a, &packet);
        world.run(FRAME);
    }
    a.timestamp = begun.wrapping_add(480);
    world.talk(&mut [(&mut a, 440.0)], FRAME);
    let heard = world.heard(&b);
    let first = heard[0].packet.header.timestamp;
    let times = heard
        .iter()
        .map(|sent| sent.packet.header.timestamp.wrapping_sub(first));
    assert_eq!(times.collect::<Vec<_>>(), [0, 160, 320, 480, 480, 480, 960]);
    assert_eq!(numbers(&heard), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(heard[4].packet.payload, [5, 10, 1, 64][..]);
}

#[test]
fn what_a_phone_cannot_understand_is_left_out_and_looks_like_no_loss() {
    let mut world = World::new();
    let mut a = world.phone(1, Codec::Pcmu);
    let mut b = Phone::new(2, Codec::Pcmu);
    b.settings.telephone_event = None;
    world.open(&b);
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    for payload_type in [0, 102, 0, 13, 102, 0, 77] {
        let packet = a.packet(payload_type, vec![1, 10, 0, 160]);
        world.send(&a, &packet);
        world.run(FRAME);
    }
    let empty = a.packet(0, Vec::new());
    world.send(&a, &empty);
    world.talk(&mut [(&mut a, 440.0)], FRAME);
    let heard = world.heard(&b);
    assert_eq!(numbers(&heard), [0, 1, 2, 3]);
}

#[test]
fn loss_and_disorder_of_the_talker_stay_as_they_are() {
    let (mut world, mut a, b) = bridged([Codec::Pcmu; 2]);
    let packets: Vec<_> = (0..8).map(|_| a.tone(440.0)).collect();
    for n in [0, 1, 3, 5, 4, 4, 7] {
        world.send(&a, &packets[n]);
        world.run(FRAME);
    }
    let heard = world.heard(&b);
    assert_eq!(
        numbers(&heard),
        [0, 1, 3, 5, 4, 7],
        "the second 4 is a duplicate"
    );
    for sent in &heard {
        let n = numbers(&[heard[0].clone(), sent.clone()])[1];
        let time = sent
            .packet
            .header
            .timestamp
            .wrapping_sub(heard[0].packet.header.timestamp);
        assert_eq!(time, u32::from(n) * 160);
    }
}

#[test]
fn contributing_sources_extension_and_padding_fall_away() {
    let (mut world, mut a, b) = bridged([Codec::Pcmu; 2]);
    let plain = a.packet(0, (0..160).collect());
    let mut datagram = vec![0x80 | 0x20 | 0x10 | 2, 0];
    datagram.extend_from_slice(&plain.header.sequence_number.to_be_bytes());
    datagram.extend_from_slice(&plain.header.timestamp.to_be_bytes());
    datagram.extend_from_slice(&plain.header.ssrc.to_be_bytes());
    datagram.extend_from_slice(&[9; 8]);
    datagram.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
    datagram.extend(0..160);
    datagram.extend_from_slice(&[0, 0, 0, 4]);
    world.receive(a.port().index, a.address, datagram);
    let heard = world.heard(&b);
    let header = &heard[0].packet.header;
    assert!(header.csrc.is_empty() && !header.extension && !header.padding);
    assert_eq!(heard[0].packet.payload, plain.payload);
}

#[test]
fn a_listener_hears_one_stream_whoever_feeds_it() {
    let mut world = World::new();
    let mut customer = world.phone(1, Codec::Pcma);
    let mut agents = [world.phone(2, Codec::Pcmu), world.phone(3, Codec::Pcma)];
    let mut leg = customer.leg;
    let music = Some(Arc::new(Sound::new(tone::sine(300.0, 8000, SECOND))));
    let announcement = Arc::new(Sound::new(tone::sine(600.0, 8000, SECOND / 4)));
    // Music, announcement, music.
    world.command(Command::Background { leg, sound: music });
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.command(Command::Play {
        leg,
        sound: announcement.clone(),
        over: Over::All,
        play: PlayId(1),
    });
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    // An agent, and an announcement over what the agent says.
    world.command(Command::Bridge {
        a: leg,
        b: agents[0].leg,
    });
    world.talk(
        &mut [(&mut customer, 440.0), (&mut agents[0], 880.0)],
        SECOND,
    );
    world.command(Command::Play {
        leg,
        sound: announcement,
        over: Over::All,
        play: PlayId(2),
    });
    world.talk(&mut [(&mut agents[0], 880.0)], SECOND);
    // On hold: music again. Then another agent, whose phone restarts its stream.
    world.command(Command::Unbridge { leg: agents[0].leg });
    world.run(SECOND);
    world.command(Command::Bridge {
        a: agents[1].leg,
        b: leg,
    });
    world.talk(&mut [(&mut agents[1], 880.0)], SECOND);
    (agents[1].ssrc, agents[1].sequence, agents[1].timestamp) = (1, 2, 3);
    world.talk(&mut [(&mut agents[1], 880.0)], SECOND);
    leg = agents[1].leg;
    world.command(Command::Close { leg });
    world.run(SECOND);

    let heard = world.heard(&customer);
    assert_continuous(&heard);
    let marks: Vec<_> = (0..heard.len())
        .filter(|&n| heard[n].packet.header.marker)
        .collect();
    // A talk-spurt begins with: the music, the agent, the announcement, the agent, music, the other agent, its new stream, music.
    assert_eq!(marks.len(), 8, "{marks:?}");
    assert_eq!(
        heard
            .iter()
            .filter(|sent| sent.to != customer.address)
            .count(),
        0
    );
}

#[test]
fn a_late_packet_from_before_the_bridge_is_not_heard() {
    let mut world = World::new();
    let (mut a, b) = (world.phone(1, Codec::Pcmu), world.phone(2, Codec::Pcmu));
    world.talk(&mut [(&mut a, 440.0)], FRAME * 5);
    let late = a.tone(440.0);
    let next = a.tone(440.0);
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    world.heard(&b);
    world.send(&a, &next);
    world.send(&a, &late);
    assert_eq!(world.heard(&b).len(), 1);
}

#[test]
fn an_echo_gives_back_what_was_said() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcma);
    world.command(Command::Echo { leg: phone.leg });
    world.talk(&mut [(&mut phone, 440.0)], SECOND);
    let heard = world.heard(&phone);
    assert_eq!(heard.len(), 50);
    assert_tone(&heard, 440.0, 880.0);
    assert_continuous(&heard);
    assert_ne!(
        heard[0].packet.header.ssrc, phone.ssrc,
        "the stream is ours"
    );
    world.command(Command::Unbridge { leg: phone.leg });
    world.talk(&mut [(&mut phone, 440.0)], SECOND);
    assert!(tone::level(&samples(&world.heard(&phone)), 440.0) < -60.0);
}

#[test]
fn a_leg_hears_one_other_at_a_time_and_its_background_when_left() {
    let mut world = World::new();
    let [mut a, mut b, mut c] = [1, 2, 3].map(|n| world.phone(n, Codec::Pcmu));
    let music = Some(Arc::new(Sound::new(tone::sine(300.0, 16_384, SECOND))));
    world.command(Command::Background {
        leg: b.leg,
        sound: music,
    });
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    world.command(Command::Bridge { a: a.leg, b: c.leg });
    world.talk(
        &mut [(&mut a, 440.0), (&mut b, 880.0), (&mut c, 1320.0)],
        SECOND,
    );
    assert_tone(&world.heard(&a), 1320.0, 880.0);
    assert_tone(&world.heard(&b), 300.0, 440.0);
    assert_tone(&world.heard(&c), 440.0, 880.0);
    // The same bridge again changes nothing, and nobody is bridged to itself.
    world.command(Command::Bridge { a: c.leg, b: a.leg });
    world.command(Command::Bridge { a: a.leg, b: a.leg });
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    let heard = world.heard(&c);
    assert!(heard.iter().all(|sent| !sent.packet.header.marker));
    assert_tone(&heard, 440.0, 880.0);
}

#[test]
fn a_phone_that_refuses_to_hear_is_sent_nothing_and_goes_on_afterwards() {
    let (mut world, mut a, mut b) = bridged([Codec::Pcmu, Codec::Pcma]);
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    b.settings.send = false;
    world.command(Command::Update {
        leg: b.leg,
        settings: b.settings,
    });
    let before = world.heard(&b);
    world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
    assert_eq!(world.heard(&b).len(), 0);
    assert_eq!(world.heard(&a).len(), 50, "it is still heard");
    b.settings.send = true;
    world.command(Command::Update {
        leg: b.leg,
        settings: b.settings,
    });
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    let after = world.heard(&b);
    assert!(after[0].packet.header.marker);
    assert_continuous(&[before, after].concat());
}

#[test]
fn a_call_ends_with_the_figures_of_its_stream() {
    let (mut world, mut a, b) = bridged([Codec::Pcmu; 2]);
    for n in 0..50 {
        let packet = a.tone(440.0);
        if n != 10 && n != 20 {
            world.send(&a, &packet);
        }
        if n == 30 {
            world.send(&a, &packet);
        }
        world.run(FRAME);
    }
    world.receive(a.port().index, a.address, vec![0x80; 11]);
    world.command(Command::Close { leg: a.leg });
    world.command(Command::Close { leg: b.leg });
    let events = world.take_events();
    let [
        Event::Closed { leg, port, stats },
        Event::Closed { stats: of_b, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*leg, *port), (a.leg, a.port()));
    assert_eq!(
        (
            stats.received,
            stats.lost,
            stats.duplicates,
            stats.rejected,
            stats.sent
        ),
        (48, 2, 1, 1, 0)
    );
    assert_eq!(
        (stats.jitter, of_b.sent, of_b.received),
        (Duration::ZERO, 48, 0)
    );
    assert_eq!(world.mixer.legs(), 0);
    assert_eq!(world.mixer.poll_timeout(), None);
}

#[test]
fn each_leg_tells_how_it_goes_once_a_second_and_none_when_all_are_gone() {
    let mut world = World::new();
    let mut phones = [1, 2, 12].map(|number| world.phone(number, Codec::Pcma));
    let [a, b, _] = phones.clone();
    world.command(Command::Bridge { a: a.leg, b: b.leg });
    world.talk(&mut [(&mut phones[0], 440.0)], SECOND * 10);
    for phone in &phones {
        let told = world.figures.iter().filter(|(_, leg, _)| *leg == phone.leg);
        let times: Vec<Duration> = told.map(|(at, ..)| *at).collect();
        assert!((9..=10).contains(&times.len()), "{times:?}");
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] == SECOND),
            "{times:?}"
        );
    }
    let (at, _, last) = world
        .figures
        .iter()
        .rfind(|(_, leg, _)| *leg == a.leg)
        .expect("figures");
    let expected = at.as_millis() as u64 / 20;
    assert!(last.received.abs_diff(expected) <= 1, "{last:?} at {at:?}");
    for phone in phones {
        world.command(Command::Close { leg: phone.leg });
    }
    world.run(SECOND);
    assert_eq!(world.mixer.poll_timeout(), None);
}

#[test]
fn packets_to_ports_without_a_leg_and_commands_for_legs_that_are_gone_do_nothing() {
    let (mut world, mut a, b) = bridged([Codec::Pcmu; 2]);
    world.command(Command::Close { leg: b.leg });
    world.take_events();
    let packet = b.clone().tone(440.0);
    world.send(&b, &packet);
    world.receive(PortIndex(u16::MAX), b.address, vec![0x80; 172]);
    for command in [
        Command::Close { leg: b.leg },
        Command::Bridge { a: a.leg, b: b.leg },
        Command::Echo { leg: b.leg },
        Command::Unbridge { leg: b.leg },
        Command::StopPlay { leg: b.leg },
        Command::Update {
            leg: b.leg,
            settings: b.settings,
        },
        Command::Background {
            leg: b.leg,
            sound: None,
        },
        Command::Play {
            leg: b.leg,
            sound: Arc::new(tone::busy()),
            over: Over::All,
            play: PlayId(1),
        },
    ] {
        world.command(command);
    }
    world.talk(&mut [(&mut a, 440.0)], SECOND);
    assert_eq!(world.take_events(), []);
    assert_eq!(world.heard(&b).len(), 0);
}

#[test]
fn a_leg_that_passes_to_another_mixer_goes_on_without_a_break() {
    let (mut world, mut a, mut b) = bridged([Codec::Pcmu, Codec::Pcma]);
    world.talk(&mut [(&mut a, 440.0), (&mut b, 880.0)], SECOND);
    let passenger = world.mixer.take_out(a.leg, world.now).unwrap();
    assert_eq!((passenger.leg(), passenger.port()), (a.leg, a.port()));
    assert!(world.mixer.take_out(a.leg, world.now).is_none());
    // The other mixer has the same port for somebody else, whose numbers are no sequel of b's.
    world.mixer = Mixer::new(LIMITS, 8);
    let mut c = world.phone(2, Codec::Pcmu);
    c.sequence = 20_000;
    world.mixer.take_in(passenger, a.port(), world.now);
    world.command(Command::Bridge { a: a.leg, b: c.leg });
    world.talk(&mut [(&mut a, 440.0), (&mut c, 1_200.0)], SECOND);
    let heard = world.heard(&a);
    assert_continuous(&heard);
    assert_tone(&heard[50..], 1_200.0, 880.0);
    assert_tone(&world.heard(&c), 440.0, 1_200.0);
    assert_eq!(world.mixer.stats(a.leg).unwrap().received, 100);
}
