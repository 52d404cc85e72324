//! What a packet and a frame cost in the mixer, without sockets: `cargo run --release -p media --example mixer_cost`.

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::mixer::{
    Codec, Limits, OUTPUT_OCTETS, Port, PortIndex, RecordingId, Rtcp, Security, StreamSettings,
    Tap, TelephoneEvent,
};
use media::recording::Aligner;
use media::srtp::{KEYING_OCTETS, Keying, Srtp, Suite};
use media::{Command, LegId, Mixer, Output, Sound, tone};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::protection_profile::ProtectionProfile;

/// Octets of a packet with 20 ms of G.711.
const PACKET_OCTETS: usize = 172;
const FRAME: Duration = Duration::from_millis(20);
/// Calls in the relay measurements: as many legs as an RTP worker serves, so that the caches are as cold as there.
const CALLS: u16 = 500;
const LISTENERS: u16 = 1000;
/// Calls where codecs differ, or packets are encrypted.
const CONVERSATIONS: u16 = 20;
/// Frame times in each measurement: 10 s of talk.
const ROUNDS: u16 = 500;
/// Each measurement is the best of so many: the machine may be busy with other things.
const TRIES: usize = 5;

fn main() {
    use Codec::{G722, Opus, Pcma, Pcmu};
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
        (
            "relay, SDES twice",
            "packet",
            best(|| converse([Pcmu, Pcmu], true)),
        ),
        (
            "G.722 and G.711",
            "packet",
            best(|| converse([G722, Pcmu], false)),
        ),
        (
            "Opus and G.711",
            "packet",
            best(|| converse([Opus, Pcmu], false)),
        ),
        ("Opus alone, encoded", "frame", best(encode)),
        ("Opus alone, decoded", "frame", best(decode)),
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

fn source(number: u16) -> SocketAddr {
    ([10, 0, 0, 1], 1000 + number).into()
}

fn settings(number: u16, codec: Codec) -> StreamSettings {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::G729 => 18,
        Codec::Gsm => 3,
        Codec::Opus | Codec::L16Narrow | Codec::L16Wide => 111,
    };
    StreamSettings {
        remote: source(number),
        signalling_host: Some(source(number).ip()),
        codec,
        payload_type,
        receive_payload_type: payload_type,
        telephone_event: Some(TelephoneEvent {
            payload_type: 101,
            clock_rate: codec.clock_rate(),
        }),
        comfort_noise: None,
        dtx: false,
        loudness: media::loudness::Loudness::default(),
        send: true,
        receive: true,
        security: Security::Plain,
        rtcp: Rtcp::Mux,
    }
}

fn open(mixer: &mut Mixer, number: u16, codec: Codec, now: Instant) {
    let port = Port {
        worker: 0,
        index: PortIndex(number),
        local: ([10, 0, 0, 2], 1000 + number).into(),
    };
    mixer.handle_command(
        Command::Open {
            leg: LegId(number.into()),
            port,
            settings: settings(number, codec),
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
            let transmit =
                mixer.handle_packet(PortIndex(leg), source(leg), &mut packet, PACKET_OCTETS, now);
            assert!(black_box(transmit).is_some());
            while let Some(output) = mixer.poll_output(&mut buffer) {
                black_box(&output);
            }
        }
    }
    begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS) / f64::from(CALLS * 2)
}

/// Nanoseconds per packet of calls whose sides speak these codecs, or are both encrypted; packets are made before.
fn converse(codecs: [Codec; 2], encrypted: bool) -> f64 {
    let (mut mixer, start) = mixer();
    let mut packets: Vec<Vec<Vec<u8>>> = Vec::new();
    for leg in 0..CONVERSATIONS * 2 {
        let codec = codecs[usize::from(leg % 2)];
        open(&mut mixer, leg, codec, start);
        let mut settings = settings(leg, codec);
        let srtp = Srtp {
            suite: Suite::AesCm128HmacSha1_80,
            ours: Keying([leg as u8; KEYING_OCTETS]),
            theirs: Keying([leg as u8 + 1; KEYING_OCTETS]),
        };
        let mut context = encrypted.then(|| {
            settings.security = Security::Keys(srtp);
            let (key, salt) = srtp.theirs.0[..30].split_at(16);
            let provider = default_provider().expect("it is built in");
            let profile = ProtectionProfile::Aes128CmHmacSha1_80;
            Context::new(key, salt, profile, None, None, provider.crypto()).expect("a context")
        });
        let id = LegId(leg.into());
        mixer.handle_command(Command::Update { leg: id, settings }, start);
        let payloads = payloads(codec);
        let made = payloads.iter().enumerate().map(|(n, payload)| {
            let mut packet = vec![0x80, settings.payload_type];
            packet.extend((n as u16).to_be_bytes());
            packet.extend((n as u32 * codec.clock_rate() / 50).to_be_bytes());
            packet.extend(u32::from(leg).to_be_bytes());
            packet.extend(payload);
            match &mut context {
                Some(context) => context.encrypt_rtp(&packet).expect("room").to_vec(),
                None => packet,
            }
        });
        packets.push(made.collect());
        if leg % 2 == 1 {
            let [a, b] = [leg - 1, leg].map(|leg| LegId(leg.into()));
            mixer.handle_command(Command::Bridge { a, b }, start);
        }
    }
    let mut buffer = [0; OUTPUT_OCTETS];
    let mut datagram = [0u8; OUTPUT_OCTETS];
    let begin = now();
    for round in 0..usize::from(ROUNDS) {
        let now = start + FRAME * round as u32;
        mixer.handle_timeout(now);
        for (leg, packets) in packets.iter().enumerate() {
            let packet = &packets[round];
            datagram[..packet.len()].copy_from_slice(packet);
            let (port, source) = (PortIndex(leg as u16), source(leg as u16));
            black_box(mixer.handle_packet(port, source, &mut datagram, packet.len(), now));
        }
        while let Some(output) = mixer.poll_output(&mut buffer) {
            black_box(&output);
        }
    }
    begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS) / f64::from(CONVERSATIONS * 2)
}

/// 20 ms of a tone each, for all rounds.
fn payloads(codec: Codec) -> Vec<Vec<u8>> {
    let frames = speech();
    if let Some(law) = codec.law() {
        let narrow = |frame: &[i16]| frame.iter().step_by(2).map(|it| law.encode(*it)).collect();
        return frames.chunks(320).map(narrow).collect();
    }
    if codec != Codec::Opus {
        return vec![vec![0x55; 160]; ROUNDS.into()];
    }
    let mut encoder = opus();
    let encode = |frame: &[i16]| {
        let mut packet = [0; 640];
        let length = encoder.encode(frame, &mut packet).expect("Opus");
        packet[..length].to_vec()
    };
    frames.chunks(320).map(encode).collect()
}

/// An encoder as the mixer sets it.
fn opus() -> ropus::Encoder {
    ropus::Encoder::builder(16_000, ropus::Channels::Mono, ropus::Application::Voip)
        .bitrate(ropus::Bitrate::Bits(28_000))
        .complexity(3)
        .inband_fec(ropus::InbandFec::Enabled)
        .packet_loss_perc(10)
        .build()
        .expect("an encoder")
}

/// Harmonics that swell and fade, at 16 kHz, for all rounds.
fn speech() -> Vec<i16> {
    let sample = |n: u32| {
        let time = f64::from(n) / 16_000.0;
        let pitch = 120.0 + 30.0 * (2.0 * time).sin();
        let swell = 0.5 + 0.5 * (8.0 * time).sin();
        let harmonic =
            |h: u32| (time * pitch * f64::from(h) * std::f64::consts::TAU).sin() / f64::from(h);
        ((1..20).map(harmonic).sum::<f64>() * swell * 4_000.0) as i16
    };
    (0..u32::from(ROUNDS) * 320).map(sample).collect()
}

/// Nanoseconds per frame of Opus and nothing else.
fn encode() -> f64 {
    let (mut encoder, speech) = (opus(), speech());
    let mut packet = [0; 640];
    let begin = now();
    for frame in speech.chunks(320) {
        black_box(encoder.encode(frame, &mut packet).expect("Opus"));
    }
    begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}

/// The same of decoding.
fn decode() -> f64 {
    let packets = payloads(Codec::Opus);
    let decoder = ropus::Decoder::new(16_000, ropus::Channels::Mono);
    let mut decoder = decoder.expect("a decoder");
    let mut samples = [0; 320];
    let begin = now();
    for packet in &packets {
        let decoded = decoder.decode(packet, &mut samples, ropus::DecodeMode::Normal);
        black_box(decoded.expect("Opus"));
    }
    begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
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
            mixer.handle_packet(PortIndex(leg), source(leg), &mut packet, PACKET_OCTETS, now);
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
