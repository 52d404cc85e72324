//! What a packet and a frame cost in the mixer, without sockets: `cargo run --release -p media --example mixer_cost`.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::mixer::{
    Codec, Limits, OUTPUT_OCTETS, Port, PortIndex, RecordingId, Security, StreamSettings, Tap,
    TelephoneEvent,
};
use media::recording::Aligner;
use media::{Command, LegId, Mixer, Output, Sound, tone};

/// Octets of a packet with 20 ms of G.711.
const PACKET_OCTETS: usize = 172;
const FRAME: Duration = Duration::from_millis(20);
/// Calls in the relay measurements: as many legs as an RTP worker serves, so that the caches are as cold as there.
const CALLS: u16 = 500;
const LISTENERS: u16 = 1000;
/// Frame times in each measurement: 10 s of talk.
const ROUNDS: u16 = 500;
/// Each measurement is the best of so many: the machine may be busy with other things.
const TRIES: usize = 5;

fn main() {
    use Codec::{Pcma, Pcmu};
    let rows = [
        (
            "relay, one codec",
            "packet",
            best(|| relay([Pcmu, Pcmu], false)),
        ),
        (
            "relay, two codecs",
            "packet",
            best(|| relay([Pcmu, Pcma], false)),
        ),
        (
            "relay, recorded",
            "packet",
            best(|| relay([Pcmu, Pcmu], true)),
        ),
        ("1000 listeners", "frame", best(listen)),
        ("aligner", "tap", best(align)),
    ];
    for (what, unit, nanoseconds) in rows {
        println!("{what:20} {nanoseconds:6.0} ns per {unit}");
    }
}

fn best(measure: impl Fn() -> f64) -> f64 {
    (0..TRIES).map(|_| measure()).fold(f64::INFINITY, f64::min)
}

fn mixer() -> (Mixer, Instant) {
    let limits = Limits {
        rtp_timeout: Duration::from_secs(30),
        hold_timeout: Duration::from_secs(1800),
    };
    (Mixer::new(limits, 1), now())
}

#[expect(clippy::disallowed_methods, reason = "this measures")]
fn now() -> Instant {
    Instant::now()
}

fn open(mixer: &mut Mixer, number: u16, codec: Codec, now: Instant) {
    let remote = ([10, 0, 0, 1], 1000 + number).into();
    let port = Port {
        worker: 0,
        index: PortIndex(number),
        local: ([10, 0, 0, 2], 1000 + number).into(),
    };
    let payload_type = if codec == Codec::Pcmu { 0 } else { 8 };
    let settings = StreamSettings {
        remote,
        signalling_host: None,
        codec,
        payload_type,
        receive_payload_type: payload_type,
        telephone_event: Some(TelephoneEvent {
            payload_type: 101,
            clock_rate: 8_000,
        }),
        send: true,
        receive: true,
        security: Security::Plain,
    };
    mixer.handle_command(
        Command::Open {
            leg: LegId(number.into()),
            port,
            settings,
        },
        now,
    );
}

/// Nanoseconds per packet that goes from leg to leg.
fn relay(codecs: [Codec; 2], recorded: bool) -> f64 {
    let (mut mixer, start) = mixer();
    for call in 0..CALLS {
        let [a, b] = [call * 2, call * 2 + 1];
        open(&mut mixer, a, codecs[0], start);
        open(&mut mixer, b, codecs[1], start);
        let [left, right] = [a, b].map(|leg| LegId(leg.into()));
        mixer.handle_command(Command::Bridge { a: left, b: right }, start);
        if recorded {
            let (recording, path) = (RecordingId(call.into()), PathBuf::new());
            mixer.handle_command(
                Command::Record {
                    recording,
                    path,
                    left,
                    right,
                },
                start,
            );
        }
    }
    let mut buffer = [0; OUTPUT_OCTETS];
    while mixer.poll_output(&mut buffer).is_some() {}
    let mut packet = [0u8; PACKET_OCTETS];
    let begin = now();
    for round in 0..ROUNDS {
        let now = start + FRAME * u32::from(round);
        for leg in 0..CALLS * 2 {
            packet[..2].copy_from_slice(&[
                0x80,
                if codecs[usize::from(leg % 2)] == Codec::Pcmu {
                    0
                } else {
                    8
                },
            ]);
            packet[2..4].copy_from_slice(&round.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(round) * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&u32::from(leg).to_be_bytes());
            let source = ([10, 0, 0, 1], 1000 + leg).into();
            let transmit =
                mixer.handle_packet(PortIndex(leg), source, &mut packet, PACKET_OCTETS, now);
            assert!(black_box(transmit).is_some());
            while let Some(output) = mixer.poll_output(&mut buffer) {
                black_box(&output);
            }
        }
    }
    begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS) / f64::from(CALLS * 2)
}

/// Nanoseconds per frame of music.
fn listen() -> f64 {
    let (mut mixer, start) = mixer();
    let music = Arc::new(Sound::new(tone::sine(300.0, 8000, Duration::from_secs(60))));
    for listener in 0..LISTENERS {
        open(&mut mixer, listener, Codec::Pcma, start);
        let (leg, sound) = (LegId(listener.into()), Some(music.clone()));
        mixer.handle_command(Command::Background { leg, sound }, start);
    }
    let mut buffer = [0; OUTPUT_OCTETS];
    let mut frames = 0u32;
    let begin = now();
    for millisecond in 0..u64::from(ROUNDS) * 20 {
        mixer.handle_timeout(start + Duration::from_millis(millisecond));
        while let Some(output) = mixer.poll_output(&mut buffer) {
            frames += u32::from(matches!(output, Output::Send(_)));
            black_box(&buffer);
        }
    }
    let spent = begin.elapsed().as_nanos() as f64;
    assert_eq!(frames, u32::from(LISTENERS) * u32::from(ROUNDS));
    spent / f64::from(frames)
}

/// Nanoseconds per packet of a recording.
fn align() -> f64 {
    let (mut mixer, start) = mixer();
    for leg in 0..2 {
        open(&mut mixer, leg, Codec::Pcmu, start);
    }
    let (recording, path) = (RecordingId(1), PathBuf::new());
    let record = Command::Record {
        recording,
        path,
        left: LegId(0),
        right: LegId(1),
    };
    mixer.handle_command(record, start);
    let mut taps: Vec<Tap> = Vec::new();
    let mut packet = [0u8; PACKET_OCTETS];
    let mut buffer = [0; OUTPUT_OCTETS];
    for round in 0..ROUNDS {
        for leg in 0..2u16 {
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&round.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(round) * 160).to_be_bytes());
            let now = start + FRAME * u32::from(round);
            mixer.handle_packet(
                PortIndex(leg),
                ([10, 0, 0, 1], 1000 + leg).into(),
                &mut packet,
                PACKET_OCTETS,
                now,
            );
            while let Some(output) = mixer.poll_output(&mut buffer) {
                if let Output::Tap(tap @ Tap::Packet { .. }) = output {
                    taps.push(tap);
                }
            }
        }
    }
    let mut aligner = Aligner::new(start);
    let mut samples = Vec::new();
    let begin = now();
    for (n, tap) in taps.iter().enumerate() {
        aligner.handle_tap(tap);
        if n % 50 == 0 {
            aligner.advance(start + FRAME * (n as u32 / 2), &mut samples);
            samples.clear();
        }
    }
    black_box(&samples);
    begin.elapsed().as_nanos() as f64 / taps.len() as f64
}
