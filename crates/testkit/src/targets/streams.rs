//! The whole mixer, driven by a program of octets: legs of every kind, packets of RTP, RTCP, STUN and DTLS that are nearly right or
//! not at all, commands in any order, and a clock that goes on.
//!
//! Whatever the program was: nothing panics, what is sent is well-formed and comes from an open port, what is sent for one packet is
//! bounded, and each leg that was opened is told to be closed once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use media::mixer::{
    Codec, ComfortNoise, Component, Dtls, Ice, Limits, OUTPUT_OCTETS, Over, PlayId, Port,
    PortIndex, RecordingId, Rtcp, Security, StreamSettings, TelephoneEvent,
};
use media::srtp::{KEYING_OCTETS, Keying, MAX_TAG_OCTETS, Srtp, Suite};
use media::{Command, Event, Identity, LegId, Mixer, Output, Sound, tone};
use sha1::Sha1;

use super::Octets;

/// Steps of a program.
const MAX_STEPS: usize = 300;
/// Legs; each has a port of its own.
const LEGS: u64 = 5;
/// What may leave because of one packet: it, the answer of a check, and a flight of a handshake.
const MAX_ANSWERS: usize = 24;
const ICE: Ice = Ice {
    fragment: *b"ringmast",
    password: *b"a password of 24 octets!",
};
const PAUSES: [Duration; 8] = [
    Duration::from_millis(1),
    Duration::from_millis(20),
    Duration::from_millis(20),
    Duration::from_millis(20),
    Duration::from_millis(61),
    Duration::from_millis(61),
    Duration::from_millis(700),
    Duration::from_secs(6),
];
/// Rarely: longer than a phone may be silent.
const LONG_PAUSE: Duration = Duration::from_secs(31);
const CODECS: [(Codec, u8); 6] = [
    (Codec::Pcmu, 0),
    (Codec::Pcma, 8),
    (Codec::G722, 9),
    (Codec::Opus, 111),
    (Codec::L16Narrow, 112),
    (Codec::L16Wide, 113),
];

fn identity() -> Arc<Identity> {
    static IDENTITY: OnceLock<Arc<Identity>> = OnceLock::new();
    let made = IDENTITY.get_or_init(|| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["fuzz".to_owned()]).expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let certificate = certificate.der().to_vec();
        Arc::new(Identity::new(certificate, key.serialize_der()).expect("an identity"))
    });
    Arc::clone(made)
}

struct Program<'a> {
    octets: Octets<'a>,
    mixer: Mixer,
    now: Instant,
    sound: Arc<Sound>,
    /// Legs that are open, and how they are protected.
    open: BTreeMap<LegId, Security>,
    /// The source of the last RTP that left each leg.
    sources: BTreeMap<PortIndex, [u8; 4]>,
    sequences: [u16; LEGS as usize],
    timestamps: [u32; LEGS as usize],
    plays: u64,
}

/// See the module.
pub(super) fn streams(input: &[u8]) {
    let now = Instant::now();
    let limits = Limits {
        rtp_timeout: Duration::from_secs(30),
        hold_timeout: Duration::from_secs(3_600),
    };
    let mut program = Program {
        octets: Octets { rest: input },
        mixer: Mixer::new(limits, 1).with_identity(identity()),
        now,
        sound: Arc::new(tone::ringing()),
        open: BTreeMap::new(),
        sources: BTreeMap::new(),
        sequences: [0; LEGS as usize],
        timestamps: [0; LEGS as usize],
        plays: 0,
    };
    for leg in 0..LEGS {
        program.open(LegId(leg));
    }
    for _ in 0..MAX_STEPS {
        if program.octets.is_empty() {
            break;
        }
        program.step();
    }
    for leg in 0..LEGS {
        program.command(Command::Close { leg: LegId(leg) });
    }
    assert!(program.open.is_empty(), "each leg is told to be closed");
    assert_eq!(program.mixer.legs(), 0);
}

fn port(leg: LegId) -> Port {
    let index = leg.0 as u16;
    Port {
        worker: 0,
        index: PortIndex(index),
        local: SocketAddr::from(([10, 0, 0, 1], 20_000 + 2 * index)),
    }
}

fn peer(leg: LegId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 40_000 + 2 * leg.0 as u16))
}

impl Program<'_> {
    fn step(&mut self) {
        match self.octets.next() % 16 {
            0..=4 => self.rtp(),
            5 | 6 => self.rtcp(),
            7 => self.check(),
            8 | 9 => self.handshake(),
            10 => self.junk(),
            11 | 12 => self.pass(),
            _ => self.control(),
        }
    }

    fn leg(&mut self) -> LegId {
        LegId(u64::from(self.octets.next()) % LEGS)
    }

    fn source(&mut self, leg: LegId) -> SocketAddr {
        let peer = peer(leg);
        let others = [
            peer,
            peer,
            peer,
            SocketAddr::new(peer.ip(), peer.port() + 1),
            SocketAddr::new(peer.ip(), 9),
            SocketAddr::from(([192, 0, 2, 9], 9)),
        ];
        self.octets.pick(&others)
    }

    /// What the program wants in a payload.
    fn payload(&mut self, most: usize) -> Vec<u8> {
        let length = usize::from(self.octets.next()) * 2 % (most + 1);
        (0..length).map(|_| self.octets.next()).collect()
    }

    fn rtp(&mut self) {
        let leg = self.leg();
        let (source, place) = (self.source(leg), leg.0 as usize);
        let step = self.octets.pick(&[1, 1, 1, 1, 2, 0, 7, 3_001, 65_535]);
        let ticks = self.octets.pick(&[160, 160, 160, 320, 960, 0, 80_000]);
        self.sequences[place] = self.sequences[place].wrapping_add(step);
        self.timestamps[place] = self.timestamps[place].wrapping_add(ticks);
        let payload_type = self.octets.pick(&[0, 8, 9, 111, 112, 113, 101, 13, 200]);
        let first = self
            .octets
            .pick(&[0x80, 0x80, 0x80, 0x90, 0xa0, 0x8f, 0x40]);
        let mut packet = vec![first, payload_type];
        packet.extend(self.sequences[place].to_be_bytes());
        packet.extend(self.timestamps[place].to_be_bytes());
        let stream = self.octets.pick(&[1, 1, 1, 1, 2]);
        packet.extend([7, 7, leg.0 as u8, stream]);
        packet.extend(self.payload(400));
        self.receive(leg, source, packet);
    }

    fn rtcp(&mut self) {
        let leg = self.leg();
        let source = self.source(leg);
        let ours = self.sources.get(&port(leg).index).copied();
        let mut packet = Vec::new();
        for _ in 0..=self.octets.next() % 3 {
            let kind = self
                .octets
                .pick(&[200, 201, 202, 203, 204, 205, 206, 207, 210]);
            let count = self
                .octets
                .pick(&[0x80, 0x81, 0x81, 0x82, 0xa1, 0x9f, 0x41]);
            let mut body = vec![7, 7, leg.0 as u8, 1];
            if kind == 200 {
                body.extend((0..20).map(|_| self.octets.next()));
            }
            if kind == 207 {
                let block = self.octets.pick(&[4, 5, 7, 1, 99]);
                body.extend([block, 0, 0, self.octets.pick(&[2, 3, 8, 8, 255])]);
            }
            body.extend(ours.unwrap_or_default());
            body.extend(self.payload(60));
            body.resize(body.len().next_multiple_of(4), 0);
            let words = (body.len() / 4) as u16;
            let words = self.octets.pick(&[words, words, words, words, 0, 0xffff]);
            packet.extend([count, kind]);
            packet.extend(words.to_be_bytes());
            packet.extend(body);
        }
        if self.octets.next().is_multiple_of(2) {
            return self.receive(leg, source, packet);
        }
        self.mixer
            .handle_rtcp(port(leg).index, source, &mut packet, self.now);
        self.drain(MAX_ANSWERS);
    }

    /// A check of ICE (RFC 8445 section 7.2.2), with its password or without.
    fn check(&mut self) {
        let leg = self.leg();
        let source = self.source(leg);
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([7; 12]);
        request.extend([0, 6, 0, 13]);
        request.extend(b"ringmast:them");
        request.extend([0; 3]);
        if self.octets.next().is_multiple_of(2) {
            request.extend([0, 0x25, 0, 0]);
        }
        request.extend(self.payload(16));
        request.resize(request.len().next_multiple_of(4), 0);
        let length = (request.len() - 20 + 24) as u16;
        request[2..4].copy_from_slice(&length.to_be_bytes());
        let mut mac = Hmac::<Sha1>::new_from_slice(&ICE.password).expect("a key");
        mac.update(&request);
        let mac = mac.finalize().into_bytes();
        request.extend([0, 8, 0, 20]);
        request.extend(mac);
        let broken = usize::from(self.octets.next());
        if let Some(octet) = request.get_mut(broken) {
            *octet ^= self.octets.next();
        }
        self.receive(leg, source, request);
    }

    /// A record of DTLS (RFC 6347 section 4.1), and in it a message of the handshake.
    fn handshake(&mut self) {
        let leg = self.leg();
        let source = self.source(leg);
        let body = self.payload(300);
        let kind = self.octets.pick(&[1, 1, 2, 11, 12, 16, 20, 0]);
        let mut message = vec![kind, 0];
        message.extend((body.len() as u16).to_be_bytes());
        message.extend([0, self.octets.next() % 3, 0, 0, 0, 0]);
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(body);
        let content = self.octets.pick(&[22, 22, 22, 20, 21, 23, 24]);
        let mut record = vec![content, 254, self.octets.pick(&[253, 255, 252])];
        record.extend([0, self.octets.next() % 2, 0, 0, 0, 0, 0, self.octets.next()]);
        record.extend((message.len() as u16).to_be_bytes());
        record.extend(message);
        self.receive(leg, source, record);
    }

    fn junk(&mut self) {
        let leg = self.leg();
        let source = self.source(leg);
        let junk = self.payload(500);
        self.receive(leg, source, junk);
    }

    fn receive(&mut self, leg: LegId, source: SocketAddr, mut packet: Vec<u8>) {
        let length = packet.len();
        packet.resize(length + MAX_TAG_OCTETS, 0);
        let port = port(leg).index;
        let sent = self
            .mixer
            .handle_packet(port, source, &mut packet, length, self.now);
        if let Some(sent) = sent {
            self.look_at(sent.port, sent.component, &packet[..sent.len]);
        }
        self.drain(MAX_ANSWERS);
    }

    fn pass(&mut self) {
        let end = self.now
            + match self.octets.next() {
                255 => LONG_PAUSE,
                other => PAUSES[usize::from(other) % PAUSES.len()],
            };
        while let Some((at, _)) = self.mixer.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.mixer.handle_timeout(self.now);
            self.drain(usize::MAX);
        }
        self.now = end;
    }

    fn control(&mut self) {
        let (leg, other) = (self.leg(), self.leg());
        let (listener, talker) = (leg, other);
        let recording = RecordingId(u64::from(self.octets.next() % 3));
        self.plays += 1;
        let play = PlayId(self.plays);
        let sound = Arc::clone(&self.sound);
        let command = match self.octets.next() % 15 {
            0 | 1 => Command::Bridge { a: leg, b: other },
            2 => Command::Unbridge { leg },
            3 | 4 => Command::Mix { listener, talker },
            5 => Command::Unmix { listener, talker },
            6 => Command::Play {
                leg,
                sound,
                over: self.octets.pick(&[Over::All, Over::Beside]),
                play,
            },
            7 => Command::Background {
                leg,
                sound: Some(sound),
            },
            8 => Command::Echo { leg },
            9 => Command::Record {
                recording,
                path: "a".into(),
                left: leg,
                right: other,
            },
            10 => Command::StopRecording { recording },
            11 => Command::Press {
                leg,
                key: self.octets.pick(&['0', '5', '#', 'D', 'x']),
            },
            12 => Command::PauseRecording {
                recording,
                paused: self.octets.next().is_multiple_of(2),
            },
            13 => Command::Update {
                leg,
                settings: self.settings(leg),
            },
            _ => {
                self.command(Command::Close { leg });
                return self.open(leg);
            }
        };
        self.command(command);
    }

    fn open(&mut self, leg: LegId) {
        let settings = self.settings(leg);
        // At once it may have something to say.
        self.open.insert(leg, settings.security);
        self.command(Command::Open {
            leg,
            port: port(leg),
            settings,
        });
    }

    fn command(&mut self, command: Command) {
        if let Command::Update { leg, settings } = &command {
            self.open.insert(*leg, settings.security);
        }
        self.mixer.handle_command(command, self.now);
        self.drain(MAX_ANSWERS);
    }

    fn settings(&mut self, leg: LegId) -> StreamSettings {
        let (codec, payload_type) = self.octets.pick(&CODECS);
        let suites = [
            Suite::AesCm128HmacSha1_80,
            Suite::AesCm128HmacSha1_32,
            Suite::AeadAes128Gcm,
        ];
        let keys = Security::Keys(Srtp {
            suite: self.octets.pick(&suites),
            ours: Keying([1; KEYING_OCTETS]),
            theirs: Keying([2; KEYING_OCTETS]),
        });
        let dtls = Security::Dtls(Dtls {
            fingerprint: [3; 32],
            active: self.octets.next().is_multiple_of(2),
            ice: self.octets.next().is_multiple_of(2).then_some(ICE),
        });
        let beside = Rtcp::Port(SocketAddr::new(peer(leg).ip(), peer(leg).port() + 1));
        let flags = self.octets.next();
        StreamSettings {
            remote: peer(leg),
            signalling_host: Some(peer(leg).ip()),
            codec,
            payload_type,
            receive_payload_type: payload_type,
            telephone_event: (flags & 1 == 0).then_some(TelephoneEvent {
                payload_type: 101,
                clock_rate: codec.clock_rate(),
            }),
            comfort_noise: (flags & 32 == 0).then_some(ComfortNoise {
                payload_type: 13,
                receive_payload_type: 13,
            }),
            dtx: flags & 64 == 0,
            loudness: media::loudness::Loudness {
                says: media::loudness::Volume {
                    automatic: flags & 192 == 192,
                    ..Default::default()
                },
                hears: Default::default(),
            },
            send: flags & 6 != 6,
            receive: flags & 24 != 24,
            security: self
                .octets
                .pick(&[Security::Plain, Security::Plain, keys, dtls]),
            rtcp: self.octets.pick(&[Rtcp::Mux, beside]),
        }
    }

    fn drain(&mut self, most: usize) {
        let mut buffer = [0; OUTPUT_OCTETS];
        let mut sent = 0;
        while let Some(output) = self.mixer.poll_output(&mut buffer) {
            match output {
                Output::Send(transmit) => {
                    sent += 1;
                    assert!(sent <= most, "one packet has too much come of it");
                    let packet = &buffer[..transmit.len];
                    self.look_at(transmit.port, transmit.component, packet);
                }
                Output::Event(Event::Closed { leg, .. }) => {
                    assert!(self.open.remove(&leg).is_some(), "{leg:?} is closed twice");
                }
                Output::Event(_) | Output::Tap(_) => {}
            }
        }
    }

    /// What leaves can be read by whoever gets it.
    fn look_at(&mut self, from: PortIndex, component: Component, packet: &[u8]) {
        let leg = LegId(u64::from(from.0));
        let security = self.open.get(&leg).expect("only open ports send");
        match packet[0] {
            // STUN and DTLS.
            0..=3 | 20..=63 => {
                assert!(
                    matches!(security, Security::Dtls(_)),
                    "nobody agreed on DTLS"
                );
            }
            octet => assert_eq!(octet >> 6, 2, "the version of RTP and RTCP"),
        }
        if packet[0] < 128 {
            return;
        }
        if (192..=223).contains(&packet[1]) {
            if *security == Security::Plain {
                let mut rest = packet;
                while !rest.is_empty() {
                    let length = 4 * (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1);
                    rest = rest.get(length..).expect("a whole packet of RTCP");
                }
            }
            return;
        }
        assert_eq!(component, Component::Rtp);
        assert!(packet.len() > 12, "a packet of RTP has a payload");
        self.sources
            .insert(from, [packet[8], packet[9], packet[10], packet[11]]);
    }
}
