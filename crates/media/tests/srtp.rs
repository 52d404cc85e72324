//! Legs whose packets are encrypted (SRTP, RFC 3711 and RFC 7714).

use std::net::SocketAddr;
use std::time::Duration;

use media::mixer::{Codec, Security};
use media::srtp::{KEYING_OCTETS, Keying, Srtp, Suite};
use media::{Command, tone};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::protection_profile::ProtectionProfile;
use webrtc_util::marshal::{Marshal, Unmarshal};

use crate::phone::{FRAME, Phone, Sent, World, assert_continuous, samples};

const SECOND: Duration = Duration::from_secs(1);
const SUITES: [(Suite, ProtectionProfile, usize); 3] = [
    (
        Suite::AesCm128HmacSha1_80,
        ProtectionProfile::Aes128CmHmacSha1_80,
        30,
    ),
    (
        Suite::AesCm128HmacSha1_32,
        ProtectionProfile::Aes128CmHmacSha1_32,
        30,
    ),
    (Suite::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm, 28),
];

/// A phone with SRTP.
struct Secure {
    phone: Phone,
    speaks: Context,
    hears: Context,
}

fn context(suite: usize, keying: Keying) -> Context {
    let (_, profile, octets) = SUITES[suite];
    let (key, salt) = keying.0[..octets].split_at(16);
    let provider = default_provider().expect("it is built in");
    Context::new(key, salt, profile, None, None, provider.crypto())
        .expect("key and salt of the right length")
}

impl Secure {
    /// With an open leg; `keys` make its keys.
    fn new(world: &mut World, number: u16, suite: usize, keys: u8) -> Self {
        let mut phone = Phone::new(number, Codec::Pcmu);
        let srtp = Srtp {
            suite: SUITES[suite].0,
            ours: Keying([keys; KEYING_OCTETS]),
            theirs: Keying([keys + 1; KEYING_OCTETS]),
        };
        phone.settings.security = Security::Keys(srtp);
        world.open(&phone);
        Self {
            phone,
            speaks: context(suite, srtp.theirs),
            hears: context(suite, srtp.ours),
        }
    }

    /// The next 20 ms of a tone, encrypted.
    fn tone(&mut self, hz: f64) -> Vec<u8> {
        let packet = self.phone.tone(hz).marshal().expect("a packet");
        let protected = self.speaks.encrypt_rtp(&packet);
        protected.expect("room for a tag").to_vec()
    }

    fn send(&self, world: &mut World, datagram: Vec<u8>) {
        world.receive(self.phone.port().index, self.phone.address, datagram);
    }

    /// What it heard, decrypted.
    fn heard(&mut self, world: &mut World) -> Vec<Sent> {
        let decrypt = |sent: Sent| {
            let datagram = sent.packet.marshal().expect("a packet");
            let plain = self.hears.decrypt_rtp(&datagram).expect("it is for us");
            let packet = rtp::packet::Packet::unmarshal(&mut &plain[..]).expect("RTP");
            Sent { packet, ..sent }
        };
        let heard = world.heard(&self.phone);
        heard.into_iter().map(decrypt).collect()
    }
}

fn assert_tone(packets: &[Sent], hz: f64) {
    let level = tone::level(&samples(packets), hz);
    assert!((level + 6.0).abs() < 0.5, "{hz} Hz at {level} dB");
}

#[test]
fn an_encrypted_and_a_plain_phone_hear_each_other_and_the_encrypted_one_music() {
    for suite in 0..SUITES.len() {
        let mut world = World::new();
        let mut a = Secure::new(&mut world, 1, suite, 10);
        let mut b = world.phone(2, Codec::Pcma);
        world.run(SECOND);
        assert_continuous(&a.heard(&mut world));
        let bridge = Command::Bridge {
            a: a.phone.leg,
            b: b.leg,
        };
        world.command(bridge);
        world.heard(&b);
        for _ in 0..50 {
            let (one, other) = (a.tone(440.0), b.tone(880.0));
            a.send(&mut world, one);
            world.send(&b, &other);
            world.run(FRAME);
        }
        assert_tone(&a.heard(&mut world), 880.0);
        assert_tone(&world.heard(&b), 440.0);
    }
}

#[test]
fn two_encrypted_phones_with_keys_of_their_own_hear_each_other() {
    let mut world = World::new();
    let mut a = Secure::new(&mut world, 1, 0, 10);
    let mut b = Secure::new(&mut world, 2, 2, 20);
    let (one, other) = (a.phone.leg, b.phone.leg);
    world.command(Command::Bridge { a: one, b: other });
    for _ in 0..50 {
        let (one, other) = (a.tone(440.0), b.tone(880.0));
        a.send(&mut world, one);
        b.send(&mut world, other);
        world.run(FRAME);
    }
    assert_tone(&a.heard(&mut world), 880.0);
    assert_tone(&b.heard(&mut world), 440.0);
}

#[test]
fn what_is_not_proved_is_not_heard_and_moves_nothing() {
    let mut world = World::new();
    let mut a = Secure::new(&mut world, 1, 0, 10);
    let b = world.phone(2, Codec::Pcmu);
    let (one, other) = (a.phone.leg, b.leg);
    world.command(Command::Bridge { a: one, b: other });
    let first = a.tone(440.0);
    a.send(&mut world, first.clone());
    assert_eq!(world.heard(&b).len(), 1);

    let stranger = SocketAddr::from(([10, 9, 9, 9], 5));
    let port = a.phone.port().index;
    let mut forged = a.tone(440.0);
    *forged.last_mut().unwrap() ^= 1;
    let plain = a.phone.tone(440.0).marshal().unwrap().to_vec();
    let mut rejected = 0;
    for datagram in [first, forged, plain] {
        for source in [a.phone.address, stranger] {
            world.receive(port, source, datagram.clone());
            rejected += 1;
        }
    }
    // Streams that nobody has: none of them stays.
    for ssrc in 0..1000_u32 {
        let mut datagram = a.tone(440.0);
        datagram[8..12].copy_from_slice(&ssrc.to_be_bytes());
        world.receive(port, stranger, datagram);
        rejected += 1;
    }
    assert_eq!(world.heard(&b).len(), 0, "b hears what was forged");
    assert_eq!(world.mixer.stats(one).unwrap().rejected, rejected);

    let next = a.tone(440.0);
    a.send(&mut world, next);
    let packet = b.clone().tone(880.0);
    world.send(&b, &packet);
    assert_eq!(world.heard(&b).len(), 1, "the phone itself goes on");
    let to_a = world.heard(&a.phone);
    assert!(to_a.iter().all(|sent| sent.to == a.phone.address));
}

#[test]
fn a_new_agreement_with_the_same_keys_goes_on_counting() {
    let mut world = World::new();
    let mut a = Secure::new(&mut world, 1, 0, 10);
    let b = world.phone(2, Codec::Pcmu);
    let leg = a.phone.leg;
    world.command(Command::Bridge { a: leg, b: b.leg });
    // Its numbers pass 65,535, so that the count of rounds, which no packet tells, is 1.
    for _ in 0..20 {
        let packet = a.tone(440.0);
        a.send(&mut world, packet);
        world.run(FRAME);
    }
    let settings = a.phone.settings;
    world.command(Command::Update { leg, settings });
    world.heard(&b);
    for _ in 0..20 {
        let packet = a.tone(440.0);
        a.send(&mut world, packet);
        world.run(FRAME);
    }
    assert_eq!(world.heard(&b).len(), 20);
    // With new keys it begins anew.
    let Security::Keys(srtp) = settings.security else {
        panic!("a phone with keys");
    };
    let (ours, theirs) = (Keying([77; KEYING_OCTETS]), Keying([78; KEYING_OCTETS]));
    a.phone.settings.security = Security::Keys(Srtp {
        ours,
        theirs,
        ..srtp
    });
    (a.speaks, a.hears) = (context(0, theirs), context(0, ours));
    let settings = a.phone.settings;
    world.command(Command::Update { leg, settings });
    world.heard(&a.phone);
    let packet = a.tone(440.0);
    a.send(&mut world, packet);
    assert_eq!(world.heard(&b).len(), 1);
    let packet = b.clone().tone(880.0);
    world.send(&b, &packet);
    assert_eq!(a.heard(&mut world).len(), 1);
}

/// RFC 3711 section 3.4.
#[test]
fn reports_are_encrypted_too_and_those_that_are_not_are_not_believed() {
    for suite in 0..SUITES.len() {
        let mut world = World::new();
        let mut a = Secure::new(&mut world, 1, suite, 10);
        for _ in 0..200 {
            let tone = a.tone(440.0);
            a.send(&mut world, tone);
            world.run(FRAME);
        }
        let sent = world.reports.pop().expect("a report within 4 s").octets;
        let plain = a.hears.decrypt_rtcp(&sent).expect("it is for us");
        assert_eq!(plain[1], 200);
        let source = &plain[4..8];
        let mut report = vec![0x81, 201, 0, 7];
        report.extend(a.phone.ssrc.to_be_bytes());
        report.extend(source);
        report.extend([0, 0, 0, 9]);
        report.extend([0; 16]);
        let lost = |world: &World| {
            let stats = world.mixer.stats(a.phone.leg).expect("an open leg");
            stats.peer.map(|peer| peer.lost)
        };
        let protected = a.speaks.encrypt_rtcp(&report).expect("room").to_vec();
        let mut forged = protected.clone();
        forged[20] ^= 1;
        // Says that it is not encrypted: its tag proves nothing then.
        let mut open = protected.clone();
        let tag = if suite == 2 { 0 } else { 10 };
        let flag = open.len() - tag - 4;
        open[flag] &= 0x7f;
        open[8..28].copy_from_slice(&report[8..28]);
        let rejected = world.mixer.stats(a.phone.leg).expect("open").rejected;
        for datagram in [report, forged, open] {
            a.send(&mut world, datagram);
            assert_eq!(lost(&world), None);
        }
        a.send(&mut world, protected.clone());
        assert_eq!(lost(&world), Some(9));
        // A replay.
        a.send(&mut world, protected);
        let stats = world.mixer.stats(a.phone.leg).expect("open");
        assert_eq!(stats.rejected, rejected + 4);
    }
}
