//! What a recording gets: two sides, one time line.

use std::path::PathBuf;
use std::time::Duration;

use media::mixer::{Codec, RecordingId, Tap};
use media::recording::Aligner;
use media::{Command, Event, tone};

use crate::phone::{FRAME, Phone, World};

const SECOND: Duration = Duration::from_secs(1);
const RECORDING: RecordingId = RecordingId(9);

/// A customer on the left and an agent on the right, bridged and recorded from now on.
fn recorded() -> (World, Phone, Phone) {
    let mut world = World::new();
    let (customer, agent) = (world.phone(1, Codec::Pcma), world.phone(2, Codec::Pcmu));
    world.command(Command::Bridge {
        a: customer.leg,
        b: agent.leg,
    });
    world.command(record(&customer, &agent));
    (world, customer, agent)
}

/// Both are recorded from now on.
pub(crate) fn record(left: &Phone, right: &Phone) -> Command {
    let path = PathBuf::from("2024/call.wav");
    Command::Record {
        recording: RECORDING,
        path,
        left: left.leg,
        right: right.leg,
    }
}

/// Left and right of all that was tapped, put together as the recorder does it.
pub(crate) fn sides(world: &mut World) -> [Vec<i16>; 2] {
    world.command(Command::StopRecording {
        recording: RECORDING,
    });
    let mut aligner = None;
    let mut stereo = Vec::new();
    for tap in std::mem::take(&mut world.taps) {
        match tap {
            Tap::Start { at, .. } => aligner = Some(Aligner::new(at)),
            Tap::Packet { at, .. } => {
                let aligner = aligner.as_mut().expect("a start before the first packet");
                aligner.handle_tap(&tap);
                aligner.advance(at, &mut stereo);
            }
            Tap::End { at, .. } => aligner
                .take()
                .expect("a start before the end")
                .finish(at, &mut stereo),
        }
    }
    assert!(aligner.is_none(), "the recording has an end");
    [0, 1].map(|side| stereo.iter().skip(side).step_by(2).copied().collect())
}

/// The samples of a second.
fn second(side: &[i16], from: usize) -> &[i16] {
    &side[from * 8000..(from + 1) * 8000]
}

fn assert_only(side: &[i16], hz: f64, not_hz: f64) {
    let (wanted, unwanted) = (tone::level(side, hz), tone::level(side, not_hz));
    assert!((wanted + 6.0).abs() < 0.5, "{hz} Hz at {wanted} dB");
    assert!(wanted - unwanted > 40.0, "{not_hz} Hz at {unwanted} dB");
}

#[test]
fn the_customer_is_on_the_left_and_the_agent_on_the_right() {
    let (mut world, mut customer, mut agent) = recorded();
    world.talk(
        &mut [(&mut customer, 440.0), (&mut agent, 880.0)],
        SECOND * 3,
    );
    let [left, right] = sides(&mut world);
    assert_eq!((left.len(), right.len()), (24_000, 24_000));
    assert_only(&left, 440.0, 880.0);
    assert_only(&right, 880.0, 440.0);
}

#[test]
fn each_side_stands_where_it_was_said() {
    let (mut world, mut customer, mut agent) = recorded();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.talk(&mut [(&mut agent, 880.0)], SECOND);
    customer.timestamp = customer.timestamp.wrapping_add(8000);
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.run(SECOND);
    let [left, right] = sides(&mut world);
    assert_eq!((left.len(), right.len()), (32_000, 32_000));
    assert_only(second(&left, 0), 440.0, 880.0);
    assert!(
        second(&left, 1)
            .iter()
            .chain(second(&left, 3))
            .all(|&sample| sample == 0)
    );
    assert_only(second(&left, 2), 440.0, 880.0);
    assert!(
        second(&right, 0)
            .iter()
            .chain(&right[16_000..])
            .all(|&sample| sample == 0)
    );
    assert_only(second(&right, 1), 880.0, 440.0);
}

#[test]
fn jitter_and_disorder_are_put_right() {
    let (mut smooth, mut one, _) = recorded();
    let (mut rough, mut two, _) = recorded();
    smooth.talk(&mut [(&mut one, 440.0)], SECOND * 2);
    // In fives, each five in disorder.
    for _ in 0..20 {
        let five: Vec<_> = (0..5).map(|_| two.tone(440.0)).collect();
        for n in [0, 4, 2, 1, 3] {
            rough.send(&two, &five[n]);
        }
        rough.run(FRAME * 5);
    }
    assert_eq!(sides(&mut smooth), sides(&mut rough));
}

#[test]
fn what_was_lost_is_silence_and_moves_nothing() {
    let (mut world, mut customer, _) = recorded();
    let (mut whole, mut other, _) = recorded();
    whole.talk(&mut [(&mut other, 440.0)], SECOND * 2);
    for n in 0..100 {
        let packet = customer.tone(440.0);
        if !(40..60).contains(&n) {
            world.send(&customer, &packet);
        }
        world.run(FRAME);
    }
    let ([lossy, _], [whole, _]) = (sides(&mut world), sides(&mut whole));
    assert_eq!(lossy[..6400], whole[..6400]);
    assert!(lossy[6400..9600].iter().all(|&sample| sample == 0));
    assert_eq!(lossy[9600..], whole[9600..]);
}

#[test]
fn a_stream_that_begins_anew_begins_at_its_arrival() {
    type Change = fn(&mut Phone);
    let changes: [Change; 3] = [
        |phone| (phone.ssrc, phone.sequence, phone.timestamp) = (77, 88, 99),
        |phone| phone.timestamp = phone.timestamp.wrapping_add(1 << 30),
        |phone| phone.timestamp = phone.timestamp.wrapping_sub(1 << 30),
    ];
    for change in changes {
        let (mut world, mut customer, _) = recorded();
        world.talk(&mut [(&mut customer, 440.0)], SECOND);
        world.run(SECOND);
        change(&mut customer);
        world.talk(&mut [(&mut customer, 880.0)], SECOND);
        let [left, _] = sides(&mut world);
        assert_only(second(&left, 0), 440.0, 880.0);
        assert!(second(&left, 1).iter().all(|&sample| sample == 0));
        assert_only(second(&left, 2), 880.0, 440.0);
    }
}

#[test]
fn a_path_that_becomes_slower_is_followed() {
    let (mut world, mut customer, _) = recorded();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    // From now on everything comes 0.8 s later.
    world.run(Duration::from_millis(800));
    world.talk(&mut [(&mut customer, 440.0)], SECOND * 2);
    let [left, _] = sides(&mut world);
    assert_eq!(left.len(), 30_400);
    assert_only(&left[16_000..], 440.0, 880.0);
}

#[test]
fn a_phone_whose_clock_is_wrong_stays_near_its_arrival() {
    // One percent, a hundred times what a quartz is allowed: a minute of it drifts as far as two hours of a good one.
    for frame in [Duration::from_micros(19_800), Duration::from_micros(20_200)] {
        let (mut world, mut customer, _) = recorded();
        let frames = 3000;
        for n in 0..frames {
            // The last two seconds are another tone.
            let packet = customer.tone(if n < frames - 100 { 440.0 } else { 880.0 });
            world.send(&customer, &packet);
            world.run(frame);
        }
        let [left, _] = sides(&mut world);
        let last = &left[left.len() - 8000..];
        // Not more than 0.4 s away: the other tone fills most of the last second.
        assert!(tone::level(last, 880.0) > -11.0 && tone::level(last, 440.0) < -30.0);
    }
}

#[test]
fn all_but_the_last_half_second_is_given_out_at_any_moment() {
    let (mut world, mut customer, mut agent) = recorded();
    let start = world.now;
    let mut aligner = Aligner::new(start);
    let mut stereo = Vec::new();
    for _ in 0..200 {
        world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], FRAME);
        world
            .taps
            .drain(..)
            .for_each(|tap| aligner.handle_tap(&tap));
        aligner.advance(world.now, &mut stereo);
        let behind = (world.now - start).as_millis() as usize - stereo.len() / 16;
        assert!(behind <= 500, "{behind} ms behind");
    }
}

#[test]
fn nothing_is_lost_when_the_recorder_was_held_up() {
    let (mut world, mut customer, _) = recorded();
    world.talk(&mut [(&mut customer, 440.0)], SECOND * 30);
    world.command(Command::StopRecording {
        recording: RECORDING,
    });
    let mut stereo = Vec::new();
    let mut aligner = Aligner::new(world.now - SECOND * 30);
    world
        .taps
        .drain(..)
        .for_each(|tap| aligner.handle_tap(&tap));
    aligner.finish(world.now, &mut stereo);
    assert_eq!(stereo.len(), 480_000);
    let left: Vec<i16> = stereo.into_iter().step_by(2).collect();
    assert_only(&left, 440.0, 880.0);
}

#[test]
fn keys_are_not_audio_and_long_packets_are_whole() {
    let (mut world, mut customer, _) = recorded();
    let packet = customer.packet(101, vec![5, 10, 0, 160]);
    world.send(&customer, &packet);
    assert_eq!(world.taps.len(), 1, "only the start");
    // 120 ms in a packet.
    for _ in 0..10 {
        let long: Vec<i16> = tone::sine(440.0, 16_384, Duration::from_millis(120));
        let packet = customer.say(&long);
        world.send(&customer, &packet);
        world.run(Duration::from_millis(120));
    }
    let [left, _] = sides(&mut world);
    assert_eq!(left.len(), 9600);
    assert!(
        left.chunks(160)
            .all(|frame| tone::level(frame, 440.0) > -8.0)
    );
}

#[test]
fn a_recording_ends_with_its_legs_and_another_of_the_same_leg_ends_it_too() {
    let (mut world, customer, agent) = recorded();
    let other = RecordingId(10);
    let path = PathBuf::from("2.wav");
    world.command(Command::Record {
        recording: other,
        path,
        left: agent.leg,
        right: customer.leg,
    });
    let order: Vec<_> = world
        .taps
        .drain(..)
        .map(|tap| match tap {
            Tap::Start { recording, .. } => (recording, "start"),
            Tap::Packet { recording, .. } => (recording, "packet"),
            Tap::End { recording, .. } => (recording, "end"),
        })
        .collect();
    assert_eq!(
        order,
        [(RECORDING, "start"), (RECORDING, "end"), (other, "start")]
    );
    world.command(Command::Close { leg: agent.leg });
    assert!(
        world.taps.is_empty(),
        "the customer may still say something"
    );
    world.command(Command::Close { leg: customer.leg });
    assert!(matches!(world.taps[..], [Tap::End { recording, .. }] if recording == other));
    world.command(Command::StopRecording { recording: other });
    assert_eq!(world.taps.len(), 1);
}

#[test]
fn a_recording_of_nobody_is_told_at_once() {
    let mut world = World::new();
    let (a, b) = (Phone::new(1, Codec::Pcmu), Phone::new(2, Codec::Pcmu));
    world.command(record(&a, &b));
    assert!(matches!(
        &world.take_events()[..],
        [Event::Recorded {
            recording: RECORDING,
            result: Err(_)
        }]
    ));
    assert!(world.taps.is_empty());
}
