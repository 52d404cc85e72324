//! A browser's leg: ICE checks, a DTLS handshake, and SRTP with the keys that come of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dimpl::crypto::rust_crypto;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use hmac::{Hmac, KeyInit, Mac};
use media::mixer::{self, Codec, Ice, Rtcp, Security};
use media::{Command, Identity, tone};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::protection_profile::ProtectionProfile;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use webrtc_util::marshal::{Marshal, Unmarshal};

use crate::phone::{FRAME, Phone, Sent, World, samples};

const ICE: Ice = Ice {
    fragment: *b"ringmast",
    password: *b"a password of 24 octets!",
};
const USE_CANDIDATE: bool = true;

fn certificate() -> DtlsCertificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["browser".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    DtlsCertificate {
        certificate: certificate.der().to_vec(),
        private_key: key.serialize_der(),
    }
}

/// The switch's side: a world whose mixer has a certificate, and its fingerprint.
fn world() -> (World, [u8; 32]) {
    let DtlsCertificate {
        certificate,
        private_key,
    } = certificate();
    let identity = Identity::new(certificate, private_key).expect("an identity");
    let fingerprint = identity.fingerprint();
    let mut world = World::new();
    let mixer = media::Mixer::new(crate::phone::LIMITS, 7);
    world.mixer = mixer.with_identity(Arc::new(identity));
    (world, fingerprint)
}

struct Browser {
    phone: Phone,
    dtls: Dtls,
    client: bool,
    /// SHA-256 of what the switch showed.
    shown: Option<[u8; 32]>,
    speaks: Option<Context>,
    hears: Option<Context>,
}

impl Browser {
    /// With an open leg; it begins the handshake, or waits for the switch to.
    fn new(world: &mut World, number: u16, client: bool) -> Self {
        let mut phone = Phone::new(number, Codec::Opus);
        // Its description names an address that is of no use, as behind most routers.
        phone.settings.remote = "192.0.2.77:9".parse().expect("an address");
        Self::open(world, phone, client, Some(ICE))
    }

    /// A desk phone, which is where its description says.
    fn desk_phone(world: &mut World, number: u16, client: bool) -> Self {
        let mut phone = Phone::new(number, Codec::Opus);
        phone.settings.rtcp = Rtcp::Mux;
        Self::open(world, phone, client, None)
    }

    fn open(world: &mut World, mut phone: Phone, client: bool, ice: Option<Ice>) -> Self {
        let certificate = certificate();
        phone.settings.security = Security::Dtls(mixer::Dtls {
            fingerprint: Sha256::digest(&certificate.certificate).into(),
            active: !client,
            ice,
        });
        world.open(&phone);
        let config = Config::builder()
            .with_crypto_provider(rust_crypto::default_provider())
            .build()
            .expect("settings");
        let mut dtls = Dtls::new_auto(Arc::new(config), certificate, world.now);
        dtls.set_active(client);
        Self {
            phone,
            dtls,
            client,
            shown: None,
            speaks: None,
            hears: None,
        }
    }

    /// A binding request (RFC 8445 section 7.2.2).
    fn check(&self, password: &[u8], nominates: bool) -> Vec<u8> {
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([7; 12]);
        request.extend([0, 6, 0, 13]);
        request.extend(b"ringmast:them");
        request.extend([0; 3]);
        request.extend([0, 0x24, 0, 4, 1, 2, 3, 4]);
        if nominates {
            request.extend([0, 0x25, 0, 0]);
        }
        let length = (request.len() - 20 + 24) as u16;
        request[2..4].copy_from_slice(&length.to_be_bytes());
        let mut mac = Hmac::<Sha1>::new_from_slice(password).expect("a key");
        mac.update(&request);
        let mac = mac.finalize().into_bytes();
        request.extend([0, 8, 0, 20]);
        request.extend(mac);
        request
    }

    fn send(&self, world: &mut World, from: SocketAddr, datagram: Vec<u8>) {
        world.receive(self.phone.port().index, from, datagram);
    }

    fn nominate(&self, world: &mut World) {
        let check = self.check(&ICE.password, USE_CANDIDATE);
        self.send(world, self.phone.address, check);
    }

    /// Lets both sides talk until there is nothing to say for a second.
    fn shake_hands(&mut self, world: &mut World) {
        for _ in 0..100 {
            self.dtls
                .handle_timeout(world.now)
                .expect("a browser goes on");
            let mut quiet = true;
            for datagram in self.poll() {
                quiet = false;
                self.send(world, self.phone.address, datagram);
            }
            for (_, to, letter) in std::mem::take(&mut world.letters) {
                if to == self.phone.address && letter[0] >= 20 {
                    quiet = false;
                    self.dtls
                        .handle_packet(&letter)
                        .expect("what the switch says is taken");
                }
            }
            world.run(if quiet {
                FRAME * 5
            } else {
                Duration::from_millis(1)
            });
        }
    }

    fn poll(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2_000];
        let mut datagrams = Vec::new();
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
                Output::PeerCert(certificate) => {
                    self.shown = Some(Sha256::digest(certificate).into());
                }
                Output::KeyingMaterial(material, profile) => {
                    let (profile, key, salt) = match profile {
                        SrtpProfile::AES128_CM_SHA1_80 => {
                            (ProtectionProfile::Aes128CmHmacSha1_80, 16, 14)
                        }
                        SrtpProfile::AEAD_AES_128_GCM => (ProtectionProfile::AeadAes128Gcm, 16, 12),
                        SrtpProfile::AEAD_AES_256_GCM | _ => {
                            (ProtectionProfile::AeadAes256Gcm, 32, 12)
                        }
                    };
                    let context = |side: usize| {
                        let keys = &material[side * key..][..key];
                        let salts = &material[2 * key + side * salt..][..salt];
                        let provider = default_provider().expect("it is built in");
                        Context::new(keys, salts, profile, None, None, provider.crypto())
                            .expect("key and salt of the right length")
                    };
                    let ours = usize::from(!self.client);
                    self.speaks = Some(context(ours));
                    self.hears = Some(context(1 - ours));
                }
                Output::Timeout(_) => return datagrams,
                Output::BufferTooSmall { .. }
                | Output::Connected
                | Output::ApplicationData(_)
                | Output::CloseNotify
                | _ => {}
            }
        }
    }

    /// What it heard, decrypted.
    fn heard(&mut self, world: &mut World) -> Vec<Sent> {
        let hears = self.hears.as_mut().expect("keys");
        let decrypt = |sent: Sent| {
            let datagram = sent.packet.marshal().expect("a packet");
            let plain = hears.decrypt_rtp(&datagram).expect("it is for us");
            let packet = rtp::packet::Packet::unmarshal(&mut &plain[..]).expect("RTP");
            Sent { packet, ..sent }
        };
        world.heard(&self.phone).into_iter().map(decrypt).collect()
    }

    /// The next packet of silence in Opus, encrypted.
    fn silence(&mut self) -> Vec<u8> {
        let packet = self.phone.packet(111, vec![0xf8, 0xff, 0xfe]);
        self.phone.timestamp = self.phone.timestamp.wrapping_add(960);
        let plain = packet.marshal().expect("a packet");
        let speaks = self.speaks.as_mut().expect("keys");
        speaks.encrypt_rtp(&plain).expect("room for a tag").to_vec()
    }
}

/// Both ways round: the browser, or the desk phone without ICE, begins the handshake, or the switch does.
#[test]
fn a_browser_and_a_phone_hear_each_other_once_certificates_are_shown() {
    for (client, ice) in [(true, true), (false, true), (true, false), (false, false)] {
        let (mut world, fingerprint) = world();
        let mut browser = if ice {
            Browser::new(&mut world, 1, client)
        } else {
            Browser::desk_phone(&mut world, 1, client)
        };
        let mut phone = world.phone(2, Codec::Pcmu);
        world.command(Command::Bridge {
            a: browser.phone.leg,
            b: phone.leg,
        });
        world.talk(&mut [(&mut phone, 440.0)], Duration::from_millis(200));
        assert_eq!(
            world.heard(&browser.phone).len(),
            0,
            "nothing leaves before there are keys"
        );
        if ice {
            browser.nominate(&mut world);
        }
        browser.shake_hands(&mut world);
        assert_eq!(browser.shown, Some(fingerprint));
        world.heard(&browser.phone);
        world.heard(&phone);
        for _ in 0..50 {
            let packet = browser.silence();
            browser.send(&mut world, browser.phone.address, packet);
            world.talk(&mut [(&mut phone, 440.0)], FRAME);
        }
        let heard = browser.heard(&mut world);
        assert!(heard.len() >= 45, "{} packets", heard.len());
        let mut decoder = ropus::Decoder::new(8_000, ropus::Channels::Mono).expect("a decoder");
        let mut voice = Vec::new();
        for sent in heard {
            let mut samples = [0; 960];
            let length = decoder
                .decode(
                    &sent.packet.payload,
                    &mut samples,
                    ropus::DecodeMode::Normal,
                )
                .expect("Opus");
            voice.extend_from_slice(&samples[..length]);
        }
        let level = tone::level(&voice[3_000..7_000], 440.0);
        assert!((level + 6.0).abs() < 1.0, "{level:.1} dB");
        // The phone hears the browser's silence, not nothing.
        let heard = world.heard(&phone);
        assert!(heard.len() >= 45 && samples(&heard).iter().all(|it| it.unsigned_abs() < 100));
    }
}

/// A stranger who is faster starts no handshake with a phone's leg, and keeps it from none.
#[test]
fn a_desk_phones_handshake_is_taken_from_its_hosts_alone() {
    let (mut world, fingerprint) = world();
    let mut stranger = Browser::desk_phone(&mut world, 1, true);
    stranger.phone.address = "203.0.113.66:4444".parse().expect("an address");
    stranger.shake_hands(&mut world);
    assert!(stranger.shown.is_none() && world.letters.is_empty());
    let rejected = world.mixer.stats(stranger.phone.leg).map(|it| it.rejected);
    assert!(rejected > Some(0), "{rejected:?}");
    // Behind a router its sound comes from where its SIP does, whatever its description says.
    let mut phone = Phone::new(2, Codec::Opus);
    phone.settings.remote = "10.0.0.5:4000".parse().expect("an address");
    phone.settings.signalling_host = Some(phone.address.ip());
    let mut phone = Browser::open(&mut world, phone, true, None);
    phone.shake_hands(&mut world);
    assert_eq!(phone.shown, Some(fingerprint));
    let music = media::Sound::new(tone::sine(440.0, 8_000, Duration::from_secs(2)));
    world.command(Command::Background {
        leg: phone.phone.leg,
        sound: Some(Arc::new(music)),
    });
    let packet = phone.silence();
    phone.send(&mut world, phone.phone.address, packet);
    world.run(Duration::from_millis(500));
    assert!(phone.heard(&mut world).len() > 20);
    // After a router has given it another port it is found by what its keys prove, and by nothing else.
    let moved: SocketAddr = SocketAddr::new(phone.phone.address.ip(), 5_555);
    let forged = vec![0x80; 60];
    phone.send(&mut world, moved, forged);
    world.run(Duration::from_millis(100));
    let heard = phone.heard(&mut world);
    assert!(heard.iter().all(|sent| sent.to == phone.phone.address));
    for _ in 0..100 {
        let packet = phone.silence();
        phone.send(&mut world, moved, packet);
        world.run(FRAME);
    }
    let port = phone.phone.address;
    phone.phone.address = moved;
    assert!(
        phone.heard(&mut world).len() > 20,
        "it is not found again at {moved} after {port}"
    );
}

#[test]
fn checks_without_the_password_open_nothing() {
    let (mut world, _) = world();
    let mut browser = Browser::new(&mut world, 1, true);
    let forged = browser.check(b"another password of 24..", USE_CANDIDATE);
    browser.send(&mut world, browser.phone.address, forged);
    browser.shake_hands(&mut world);
    assert!(browser.shown.is_none() && world.letters.is_empty());
    let rejected = world
        .mixer
        .stats(browser.phone.leg)
        .map(|stats| stats.rejected);
    assert!(rejected > Some(1), "{rejected:?}");
}

#[test]
fn another_certificate_than_that_of_the_description_hears_and_says_nothing() {
    let (mut world, _) = world();
    let mut browser = Browser::new(&mut world, 1, true);
    let Security::Dtls(dtls) = browser.phone.settings.security else {
        panic!("a browser has DTLS");
    };
    let mut settings = browser.phone.settings;
    settings.security = Security::Dtls(mixer::Dtls {
        fingerprint: [0; 32],
        ..dtls
    });
    world.command(Command::Update {
        leg: browser.phone.leg,
        settings,
    });
    browser.nominate(&mut world);
    browser.shake_hands(&mut world);
    world.run(Duration::from_secs(1));
    assert_eq!(world.heard(&browser.phone).len(), 0);
    if browser.speaks.is_some() {
        let packet = browser.silence();
        browser.send(&mut world, browser.phone.address, packet);
    }
    let stats = world.mixer.stats(browser.phone.leg).expect("an open leg");
    assert_eq!(stats.received, 0);
}

/// RFC 8445: the peer may nominate another of its addresses at any time, and only by a check.
#[test]
fn packets_follow_the_last_nomination_and_nothing_else() {
    let (mut world, _) = world();
    let mut browser = Browser::new(&mut world, 1, true);
    browser.nominate(&mut world);
    browser.shake_hands(&mut world);
    world.heard(&browser.phone);
    let elsewhere: SocketAddr = "203.0.113.9:4444".parse().expect("an address");
    let packet = browser.silence();
    browser.send(&mut world, elsewhere, packet);
    world.run(Duration::from_millis(100));
    assert!(
        world
            .heard(&browser.phone)
            .iter()
            .all(|sent| sent.to == browser.phone.address)
    );
    let check = browser.check(&ICE.password, USE_CANDIDATE);
    browser.send(&mut world, elsewhere, check);
    world.run(Duration::from_millis(100));
    assert!(
        world
            .heard(&browser.phone)
            .iter()
            .all(|sent| sent.to == elsewhere)
    );
    let received = |world: &World| world.mixer.stats(browser.phone.leg).map(|it| it.received);
    assert_eq!(received(&world), Some(0));
}

/// A lost flight is sent again by whoever waits for its answer (RFC 6347 section 4.2.4).
#[test]
fn the_handshake_stands_the_loss_of_any_datagram_of_ours() {
    for lost in 0..4 {
        let (mut world, _) = world();
        let mut browser = Browser::new(&mut world, 1, false);
        browser.nominate(&mut world);
        let mut count = 0;
        for _ in 0..200 {
            browser
                .dtls
                .handle_timeout(world.now)
                .expect("a browser goes on");
            for datagram in browser.poll() {
                browser.send(&mut world, browser.phone.address, datagram);
            }
            for (_, _, letter) in std::mem::take(&mut world.letters) {
                if letter[0] >= 20 {
                    count += 1;
                    if count - 1 != lost {
                        browser.dtls.handle_packet(&letter).expect("it is taken");
                    }
                }
            }
            world.run(FRAME * 2);
        }
        assert!(browser.speaks.is_some(), "datagram {lost} of ours was lost");
        assert!(
            world.heard(&browser.phone).len() > 10,
            "datagram {lost} of ours was lost"
        );
    }
}
