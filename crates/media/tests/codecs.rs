//! Phones that speak different codecs: what one says is decoded, evened out and encoded again for the other.

use std::time::Duration;

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};
use media::g711::Law;
use media::mixer::{Codec, Over, PlayId, RecordingId};
use media::{Command, Event, Sound, tone};
use ropus::{Application, Channels, DecodeMode};

use crate::phone::{FRAME, Phone, Sent, World, assert_continuous_at};
use crate::tap::{record, sides};

/// The mouth and the ear of a phone, with codecs of its own.
enum Voice {
    G711(Law),
    G722(Box<(G722Encoder, G722Decoder)>),
    Opus(Box<(ropus::Encoder, ropus::Decoder)>),
    L16,
}

pub(crate) struct Wide {
    pub(crate) phone: Phone,
    voice: Voice,
    /// Samples spoken.
    spoken: u32,
}

impl Wide {
    pub(crate) fn new(world: &mut World, number: u16, codec: Codec) -> Self {
        let hz = codec.rate().hz();
        let voice = match codec {
            Codec::Pcmu => Voice::G711(Law::Mu),
            Codec::Pcma => Voice::G711(Law::A),
            Codec::G722 => Voice::G722(Box::default()),
            Codec::Opus => {
                let encoder = ropus::Encoder::builder(hz, Channels::Mono, Application::Voip);
                let decoder = ropus::Decoder::new(hz, Channels::Mono);
                Voice::Opus(Box::new((
                    encoder.build().expect("an encoder"),
                    decoder.expect("a decoder"),
                )))
            }
            Codec::L16Narrow | Codec::L16Wide => Voice::L16,
            Codec::G729 | Codec::Gsm => panic!("nobody speaks {codec:?} here"),
        };
        Self {
            phone: world.phone(number, codec),
            voice,
            spoken: 0,
        }
    }

    fn codec(&self) -> Codec {
        self.phone.settings.codec
    }

    /// The next packet: a tone at -6 dB.
    pub(crate) fn tone(&mut self, hz: f64, time: Duration) -> rtp::packet::Packet {
        let rate = self.codec().rate().hz();
        let count = rate * time.as_millis() as u32 / 1000;
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        let sample = |n| ((f64::from(n) * step).sin() * 16_384.0) as i16;
        let samples: Vec<i16> = (self.spoken..self.spoken + count).map(sample).collect();
        self.spoken += count;
        self.say(&samples)
    }

    /// The next packet, with these samples.
    pub(crate) fn say(&mut self, samples: &[i16]) -> rtp::packet::Packet {
        let mut payload = vec![0; 2 * samples.len()];
        let length = match &mut self.voice {
            Voice::G711(law) => {
                payload = samples.iter().map(|&sample| law.encode(sample)).collect();
                payload.len()
            }
            Voice::L16 => {
                payload = samples
                    .iter()
                    .flat_map(|sample| sample.to_be_bytes())
                    .collect();
                payload.len()
            }
            Voice::G722(both) => both.0.encode_into(samples, &mut payload).expect("G.722"),
            Voice::Opus(both) => both.0.encode(samples, &mut payload).expect("Opus"),
        };
        payload.truncate(length);
        let packet = self.phone.packet(self.phone.settings.payload_type, payload);
        let (clock, rate) = (self.codec().clock_rate(), self.codec().rate().hz());
        let ticks = samples.len() as u32 * (clock / 1000) / (rate / 1000);
        self.phone.timestamp = self.phone.timestamp.wrapping_add(ticks);
        packet
    }

    /// What packets sound like, at the rate of the codec.
    pub(crate) fn decode(&mut self, packets: &[Sent]) -> Vec<i16> {
        let mut heard = Vec::new();
        for sent in packets {
            let payload = &sent.packet.payload[..];
            let mut samples = [0; 1_920];
            let length = match &mut self.voice {
                Voice::G711(law) => {
                    heard.extend(payload.iter().map(|&octet| law.decode(octet)));
                    0
                }
                Voice::L16 => {
                    let (octets, _) = payload.as_chunks::<2>();
                    heard.extend(octets.iter().map(|octets| i16::from_be_bytes(*octets)));
                    0
                }
                Voice::G722(both) => both.1.decode_into(payload, &mut samples).expect("G.722"),
                Voice::Opus(both) => both
                    .1
                    .decode(payload, &mut samples, DecodeMode::Normal)
                    .expect("Opus"),
            };
            heard.extend_from_slice(&samples[..length]);
        }
        heard
    }

    /// The level of a tone in samples of this phone, in dB.
    pub(crate) fn level(&self, samples: &[i16], hz: f64) -> f64 {
        tone::level(samples, hz * 8_000.0 / f64::from(self.codec().rate().hz()))
    }
}

/// Both talk for so long.
fn talk(world: &mut World, phones: &mut [(&mut Wide, f64)], time: Duration) {
    for _ in 0..time.as_millis() / FRAME.as_millis() {
        for (wide, hz) in &mut *phones {
            let packet = wide.tone(*hz, FRAME);
            world.send(&wide.phone, &packet);
        }
        world.run(FRAME);
    }
}

fn bridge(world: &mut World, a: &Wide, b: &Wide) {
    world.command(Command::Bridge {
        a: a.phone.leg,
        b: b.phone.leg,
    });
}

#[test]
fn every_codec_is_heard_by_every_other_at_its_level() {
    for (from, to) in Codec::ALL
        .iter()
        .flat_map(|from| Codec::ALL.map(|to| (*from, to)))
    {
        let mut world = World::new();
        let (mut a, mut b) = (Wide::new(&mut world, 1, from), Wide::new(&mut world, 2, to));
        bridge(&mut world, &a, &b);
        talk(
            &mut world,
            &mut [(&mut a, 440.0), (&mut b, 1_000.0)],
            Duration::from_secs(2),
        );
        for (wide, own, other) in [(&mut a, 440.0, 1_000.0), (&mut b, 1_000.0, 440.0)] {
            let packets = world.heard(&wide.phone);
            assert_continuous_at(&packets, wide.codec().clock_rate());
            let samples = wide.decode(&packets);
            let second = wide.codec().rate().hz() as usize;
            assert!(
                samples.len() >= 2 * second - second / 10,
                "{from:?} {to:?}: {}",
                samples.len()
            );
            let heard = &samples[second / 2..second / 2 + second];
            let level = wide.level(heard, other);
            assert!(
                (level + 6.0).abs() < 1.0,
                "{from:?} to {to:?}: {level:.1} dB"
            );
            assert!(wide.level(heard, own) < -50.0, "{from:?} hears itself");
        }
    }
}

/// Between wideband phones nothing above 4 kHz is lost; towards G.711 none of it folds back.
#[test]
fn what_is_above_four_kilohertz_goes_on_where_it_can() {
    for (to, hz, least, most) in [
        (Codec::L16Wide, 6_000.0, -8.0, -4.0),
        (Codec::Pcma, 2_000.0, f64::NEG_INFINITY, -75.0),
    ] {
        let mut world = World::new();
        let mut a = Wide::new(&mut world, 1, Codec::G722);
        let mut b = Wide::new(&mut world, 2, to);
        bridge(&mut world, &a, &b);
        talk(&mut world, &mut [(&mut a, 6_000.0)], Duration::from_secs(2));
        let packets = world.heard(&b.phone);
        let samples = b.decode(&packets);
        let heard = &samples[samples.len() / 4..samples.len() / 4 * 3];
        let level = b.level(heard, hz);
        assert!(
            (least..=most).contains(&level),
            "{to:?}: {level:.1} dB at {hz} Hz"
        );
    }
}

#[test]
fn music_and_announcements_reach_every_codec() {
    for codec in Codec::ALL {
        let mut world = World::new();
        let mut a = Wide::new(&mut world, 1, codec);
        let sound = |hz| Sound::new(tone::sine(hz, 16_384, Duration::from_secs(1))).into();
        world.command(Command::Background {
            leg: a.phone.leg,
            sound: Some(sound(500.0)),
        });
        world.command(Command::Play {
            leg: a.phone.leg,
            sound: sound(900.0),
            over: Over::All,
            play: PlayId(1),
        });
        world.run(Duration::from_secs(2));
        let packets = world.heard(&a.phone);
        assert_continuous_at(&packets, codec.clock_rate());
        let samples = a.decode(&packets);
        let second = codec.rate().hz() as usize;
        for (from, hz) in [(second / 4, 900.0), (second * 5 / 4, 500.0)] {
            let level = a.level(&samples[from..from + second / 2], hz);
            assert!((level + 6.0).abs() < 1.0, "{codec:?}: {level:.1} dB");
        }
        assert_eq!(world.take_events().len(), 1, "the announcement was played");
    }
}

/// Packets of 10, 30, 40 and 60 ms become packets of 20 ms without a gap.
#[test]
fn any_length_of_packets_is_taken() {
    for (codec, milliseconds) in [
        (Codec::G722, 10),
        (Codec::G722, 30),
        (Codec::Opus, 10),
        (Codec::Opus, 40),
        (Codec::Opus, 60),
        (Codec::L16Wide, 30),
    ] {
        let mut world = World::new();
        let mut a = Wide::new(&mut world, 1, codec);
        let mut b = Wide::new(&mut world, 2, Codec::Pcmu);
        bridge(&mut world, &a, &b);
        let time = Duration::from_millis(milliseconds);
        for _ in 0..3_000 / milliseconds {
            let packet = a.tone(700.0, time);
            world.send(&a.phone, &packet);
            world.run(time);
        }
        let packets = world.heard(&b.phone);
        assert_continuous_at(&packets, 8_000);
        let samples = b.decode(&packets);
        // A gap of one packet in the second would take more than half a dB and spread the tone.
        let level = b.level(&samples[12_000..20_000], 700.0);
        assert!(
            (level + 6.0).abs() < 0.5,
            "{codec:?} {milliseconds} ms: {level:.2} dB"
        );
        let guessed = world.mixer.stats(a.phone.leg).map(|stats| stats.guessed);
        assert!(
            guessed < Some(Duration::from_millis(200)),
            "{codec:?} {milliseconds} ms: {guessed:?}"
        );
    }
}

/// A key pressed on an Opus phone reaches a G.711 phone as one press, on its own time line, without a tone beside it.
#[test]
fn keys_cross_from_one_clock_to_the_other() {
    let mut world = World::new();
    let mut a = Wide::new(&mut world, 1, Codec::Opus);
    let mut b = Wide::new(&mut world, 2, Codec::Pcmu);
    bridge(&mut world, &a, &b);
    talk(
        &mut world,
        &mut [(&mut a, 440.0), (&mut b, 440.0)],
        Duration::from_millis(400),
    );
    world.heard(&b.phone);
    for report in 1u16..=5 {
        let duration = 960 * report;
        let mut payload = vec![5, if report == 5 { 0x8a } else { 0x0a }];
        payload.extend(duration.to_be_bytes());
        let packet = a.phone.packet(101, payload);
        world.send(&a.phone, &packet);
        world.run(FRAME);
    }
    a.phone.timestamp = a.phone.timestamp.wrapping_add(4_800);
    talk(
        &mut world,
        &mut [(&mut a, 440.0)],
        Duration::from_millis(400),
    );
    let heard = world.heard(&b.phone);
    let reports: Vec<_> = heard
        .iter()
        .filter(|sent| sent.packet.header.payload_type == 101)
        .collect();
    assert_eq!(reports.len(), 5);
    let durations: Vec<u16> = reports
        .iter()
        .map(|sent| u16::from_be_bytes([sent.packet.payload[2], sent.packet.payload[3]]))
        .collect();
    assert_eq!(durations, [160, 320, 480, 640, 800]);
    assert!(reports[0].packet.header.marker);
    let start = reports[0].packet.header.timestamp;
    assert!(
        reports
            .iter()
            .all(|sent| sent.packet.header.timestamp == start)
    );
    let between = heard.iter().filter(|sent| {
        let at = reports[0].at..=reports[4].at;
        sent.packet.header.payload_type == 0 && at.contains(&sent.at)
    });
    assert_eq!(between.count(), 0, "audio beside the key");
    for (n, pair) in heard.windows(2).enumerate() {
        let (one, two) = (&pair[0].packet.header, &pair[1].packet.header);
        assert_eq!(
            one.sequence_number.wrapping_add(1),
            two.sequence_number,
            "packet {n}"
        );
    }
    let events = world.take_events();
    assert_eq!(
        events,
        [Event::Digit {
            leg: a.phone.leg,
            digit: '5'
        }]
    );
}

/// A phone that begins to send another codec is heard on, and again when it goes back.
#[test]
fn a_talker_may_change_its_codec() {
    let mut world = World::new();
    let mut a = Wide::new(&mut world, 1, Codec::Pcmu);
    let mut b = Wide::new(&mut world, 2, Codec::Pcmu);
    bridge(&mut world, &a, &b);
    for codec in [Codec::Opus, Codec::Pcmu, Codec::G722, Codec::Pcma] {
        let (leg, before) = (a.phone.leg, a.phone.clone());
        a = Wide::new(&mut World::new(), 1, codec);
        (a.phone.sequence, a.phone.timestamp) = (before.sequence, before.timestamp);
        let settings = a.phone.settings;
        world.command(Command::Update { leg, settings });
        talk(
            &mut world,
            &mut [(&mut a, 600.0), (&mut b, 900.0)],
            Duration::from_secs(1),
        );
        let packets = world.heard(&b.phone);
        let samples = b.decode(&packets);
        assert!(
            samples.len() >= 7_600,
            "{codec:?}: {} samples",
            samples.len()
        );
        let level = b.level(&samples[samples.len() - 4_000..], 600.0);
        assert!((level + 6.0).abs() < 1.0, "{codec:?}: {level:.1} dB");
    }
}

/// A recording holds both sides, whatever they speak, in time with each other.
#[test]
fn every_codec_is_recorded_in_its_place() {
    for codec in Codec::ALL {
        let mut world = World::new();
        let mut a = Wide::new(&mut world, 1, codec);
        let mut b = Wide::new(&mut world, 2, Codec::Pcma);
        bridge(&mut world, &a, &b);
        world.command(record(&a.phone, &b.phone));
        talk(&mut world, &mut [(&mut b, 1_000.0)], Duration::from_secs(1));
        talk(
            &mut world,
            &mut [(&mut a, 440.0), (&mut b, 1_000.0)],
            Duration::from_secs(1),
        );
        let [left, _] = sides(&mut world);
        assert_eq!(left.len(), 16_000);
        assert_eq!(
            tone::level(&left[..7_900], 440.0),
            f64::NEG_INFINITY,
            "{codec:?}"
        );
        let level = tone::level(&left[8_400..15_600], 440.0);
        assert!((level + 6.0).abs() < 1.0, "{codec:?}: {level:.1} dB");
        let begin = left
            .iter()
            .position(|sample| sample.unsigned_abs() > 1_000)
            .expect("a tone");
        // Opus looks 6.5 ms ahead, G.722 takes 1.4 ms: what the phone adds is not ours to take back.
        assert!(
            (8_000..8_070).contains(&begin),
            "{codec:?} begins at {begin}"
        );
    }
}

/// What a tone is late by, compared with packets that go on as they came: the wait for the next frame, and what the codecs and the
/// filter look ahead.
#[test]
fn what_is_decoded_and_encoded_again_is_little_late() {
    for (from, to, most) in [
        (Codec::Pcmu, Codec::L16Wide, 30),
        (Codec::L16Wide, Codec::Pcmu, 30),
        (Codec::G722, Codec::Pcma, 32),
        (Codec::Opus, Codec::Pcma, 37),
        (Codec::Pcma, Codec::Opus, 40),
    ] {
        let mut world = World::new();
        let mut a = Wide::new(&mut world, 1, from);
        let mut b = Wide::new(&mut world, 2, to);
        bridge(&mut world, &a, &b);
        talk(&mut world, &mut [(&mut a, 0.0)], Duration::from_secs(1));
        let begin = world.now;
        let start = world.heard(&b.phone);
        b.decode(&start);
        talk(&mut world, &mut [(&mut a, 600.0)], Duration::from_secs(1));
        let packets = world.heard(&b.phone);
        let first = packets[0].at;
        let samples = b.decode(&packets);
        let onset = samples
            .iter()
            .position(|sample| sample.unsigned_abs() > 3_000)
            .expect("a tone");
        let rate = f64::from(to.rate().hz());
        let late = (first + Duration::from_secs_f64(onset as f64 / rate)).as_secs_f64()
            - world.since_start(begin).as_secs_f64();
        let milliseconds = (late * 1_000.0).round() as i32;
        assert!(
            (0..=most).contains(&milliseconds),
            "{from:?} to {to:?}: {milliseconds} ms"
        );
    }
}

/// Uniform numbers from 0 to 1, the same in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

/// What a bad network leaves of a tone: loss in per cent, jitter in milliseconds, what was guessed of 10 s in per cent, the level of
/// the tone in dB and the score (MOS). Every packet is late by chance between 0 and the jitter.
const MATRIX: &str = "\
G722 loss 0 jitter 0: guessed 0.2 % level -5.9 dB MOS 4.38
G722 loss 0 jitter 20: guessed 0.4 % level -6.0 dB MOS 4.37
G722 loss 0 jitter 80: guessed 1.0 % level -6.0 dB MOS 4.33
G722 loss 5 jitter 0: guessed 3.0 % level -6.0 dB MOS 4.11
G722 loss 5 jitter 20: guessed 3.2 % level -6.0 dB MOS 4.09
G722 loss 5 jitter 80: guessed 3.9 % level -6.0 dB MOS 4.04
G722 loss 20 jitter 0: guessed 22.9 % level -6.2 dB MOS 2.41
G722 loss 20 jitter 20: guessed 23.1 % level -6.2 dB MOS 2.38
G722 loss 20 jitter 80: guessed 23.4 % level -6.2 dB MOS 2.31
Opus loss 0 jitter 0: guessed 0.2 % level -6.1 dB MOS 4.38
Opus loss 0 jitter 20: guessed 0.4 % level -6.1 dB MOS 4.37
Opus loss 0 jitter 80: guessed 0.7 % level -6.2 dB MOS 4.33
Opus loss 5 jitter 0: guessed 3.0 % level -6.4 dB MOS 4.11
Opus loss 5 jitter 20: guessed 1.0 % level -6.4 dB MOS 4.09
Opus loss 5 jitter 80: guessed 0.7 % level -6.5 dB MOS 4.04
Opus loss 20 jitter 0: guessed 22.8 % level -8.5 dB MOS 2.41
Opus loss 20 jitter 20: guessed 12.7 % level -8.6 dB MOS 2.38
Opus loss 20 jitter 80: guessed 4.3 % level -8.6 dB MOS 2.31
";

#[test]
fn loss_and_jitter_are_borne_as_well_as_before() {
    let mut table = String::new();
    for codec in [Codec::G722, Codec::Opus] {
        for (loss, jitter) in [0, 5, 20]
            .iter()
            .flat_map(|loss| [0, 20, 80].map(|it| (*loss, it)))
        {
            let mut world = World::new();
            let mut a = Wide::new(&mut world, 1, codec);
            let mut b = Wide::new(&mut world, 2, Codec::Pcmu);
            bridge(&mut world, &a, &b);
            let mut chance = Chance(7);
            let mut on_the_way: Vec<(u64, rtp::packet::Packet)> = Vec::new();
            for millisecond in (0..10_000).step_by(5) {
                if millisecond % 20 == 0 {
                    let packet = a.tone(400.0, FRAME);
                    let late = (chance.next() * jitter as f64) as u64;
                    if chance.next() * 100.0 >= f64::from(loss) {
                        on_the_way.push((millisecond + late, packet));
                    }
                }
                let arrived = on_the_way.extract_if(.., |(at, _)| *at <= millisecond);
                for (_, packet) in arrived.collect::<Vec<_>>() {
                    world.send(&a.phone, &packet);
                }
                world.run(Duration::from_millis(5));
            }
            let packets = world.heard(&b.phone);
            assert_continuous_at(&packets, 8_000);
            let samples = b.decode(&packets);
            let power =
                samples.iter().map(|&it| f64::from(it).powi(2)).sum::<f64>() / samples.len() as f64;
            let loudness = 10.0 * (2.0 * power / f64::from(i16::MAX).powi(2)).log10();
            let stats = world.mixer.stats(a.phone.leg).expect("an open leg");
            let guessed = stats.guessed.as_secs_f64() / 0.1;
            let score = media::quality::mos(&stats).expect("something came");
            let row = format!(
                "{codec:?} loss {loss} jitter {jitter}: guessed {guessed:.1} % level {loudness:.1} dB MOS {score:.2}"
            );
            table.push_str(&row);
            table.push('\n');
        }
    }
    assert_eq!(table, MATRIX, "{table}");
}

/// Passed on octet for octet between two who have it; recorded, and heard by others, as silence.
#[test]
fn what_is_not_spoken_is_passed_on_and_silent_elsewhere() {
    for (codec, octets) in [(Codec::G729, 20), (Codec::Gsm, 33)] {
        let mut world = World::new();
        let mut phones = [1, 2].map(|number| world.phone(number, codec));
        let listener = world.phone(3, Codec::Pcmu);
        let (a, b) = (phones[0].leg, phones[1].leg);
        world.command(Command::Bridge { a, b });
        world.command(Command::Mix {
            listener: listener.leg,
            talker: a,
        });
        world.command(Command::Record {
            recording: RecordingId(1),
            path: "a".into(),
            left: a,
            right: b,
        });
        for number in 0..50u8 {
            let payload_type = phones[0].settings.payload_type;
            let packet = phones[0].packet(payload_type, vec![number; octets]);
            phones[0].timestamp = phones[0].timestamp.wrapping_add(160);
            world.send(&phones[0].clone(), &packet);
            world.run(FRAME);
        }
        let heard = world.heard(&phones[1]);
        assert_eq!(heard.len(), 50);
        crate::phone::assert_continuous(&heard);
        for (number, sent) in heard.iter().enumerate() {
            assert_eq!(sent.packet.payload[..], vec![number as u8; octets][..]);
        }
        let silence = crate::phone::samples(&world.heard(&listener));
        assert!(silence.len() > 7_000 && silence.iter().all(|it| it.unsigned_abs() < 16));
        // A sound for it cannot be said.
        world.command(Command::Unbridge { leg: a });
        let music = Sound::new(tone::sine(400.0, 8_000, Duration::from_secs(1)));
        world.command(Command::Background {
            leg: b,
            sound: Some(music.into()),
        });
        world.run(Duration::from_millis(500));
        assert_eq!(world.heard(&phones[1]).len(), 0);
    }
}
