//! What browsers want of a stream: ICE (RFC 8445; our side is lite, for our addresses are known) and DTLS-SRTP (RFC 5763, RFC 5764).
//!
//! ICE decides where packets go: to where the peer's last nominating check came from. Checks are proved by our password, which
//! travels in the session description. DTLS proves that the peer has the certificate whose fingerprint stands there too, and gives
//! the keys of SRTP. Until then nothing is sent, and nothing that comes is looked at.
//!
//! Desk phones have no ICE: their handshake is taken from the hosts of their description and of their SIP alone, so that a stranger
//! cannot be first; then packets that the keys prove decide where sound goes, as everywhere (`latch`).

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use dimpl::crypto::rust_crypto;
use dimpl::{Config, DtlsCertificate, KeyingMaterial, SrtpProfile};
use sha2::{Digest, Sha256};

use crate::command::{Dtls, Ice};
use crate::event::OUTPUT_OCTETS;
use crate::srtp::{KEYING_OCTETS, Keying, Srtp, Suite};
use crate::stun;

/// Octets of the datagrams of our handshakes: they cross every tunnel.
const MAX_HANDSHAKE_OCTETS: usize = 1_150;

/// Our certificate for DTLS, and what is made of it once.
#[derive(Clone)]
pub struct Identity {
    certificate: DtlsCertificate,
    config: Arc<Config>,
}

impl Identity {
    /// The certificate and its private key (PKCS #8), both as DER, ECDSA over P-256.
    ///
    /// # Errors
    /// Why the library of DTLS does not take its settings.
    pub fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> Result<Self, String> {
        let config = Config::builder()
            .with_crypto_provider(rust_crypto::default_provider())
            .mtu(MAX_HANDSHAKE_OCTETS)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            certificate: DtlsCertificate {
                certificate,
                private_key,
            },
            config: Arc::new(config),
        })
    }

    /// The SHA-256 of the certificate, for session descriptions (RFC 8122 section 5).
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate.certificate).into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// ICE and DTLS of one leg.
pub(crate) struct Secure {
    settings: Dtls,
    identity: Arc<Identity>,
    peer: Peer,
    /// Where the peer was nominated, or first seen; without ICE, where its handshake goes.
    selected: Option<SocketAddr>,
    /// The last proved check came from there: enough for the handshake.
    seen: Option<SocketAddr>,
    association: Option<Box<dimpl::Dtls>>,
    /// When the association wants to be woken.
    wakes: Option<Instant>,
    /// The peer has shown the certificate of its fingerprint.
    known: bool,
    keys: Option<Srtp>,
    /// Datagrams for the peer.
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// Where a peer without ICE may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// By its description.
    pub(crate) told: SocketAddr,
    /// The host of its SIP.
    pub(crate) signals: Option<IpAddr>,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure")
            .field("selected", &self.selected)
            .finish_non_exhaustive()
    }
}

impl Secure {
    pub(crate) fn new(settings: Dtls, identity: Arc<Identity>, peer: Peer, now: Instant) -> Self {
        let mut secure = Self {
            settings,
            identity,
            peer,
            selected: None,
            seen: None,
            association: None,
            wakes: None,
            known: false,
            keys: None,
            datagrams: VecDeque::new(),
        };
        if secure.settings.active && !secure.has_ice() {
            secure.selected = Some(peer.told);
            secure.begin(now);
        }
        secure
    }

    /// Whether ICE decides where packets go.
    pub(crate) fn has_ice(&self) -> bool {
        self.settings.ice.is_some()
    }

    /// What a new agreement makes of it: another certificate or role begins another handshake (RFC 8842 section 4), other
    /// passwords are those of an ICE restart, during which packets go on where they went (RFC 8445 section 2.4).
    pub(crate) fn renewed(before: Self, settings: Dtls, peer: Peer, now: Instant) -> Self {
        let Dtls {
            fingerprint,
            active,
            ..
        } = before.settings;
        if (fingerprint, active) == (settings.fingerprint, settings.active) {
            return Self {
                settings,
                peer,
                ..before
            };
        }
        Self::new(settings, before.identity, peer, now)
    }

    /// Where packets go; None while nobody is nominated.
    pub(crate) fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    /// The keys, once they are agreed on.
    pub(crate) fn keys(&self) -> Option<Srtp> {
        self.keys
    }

    /// When to come back.
    pub(crate) fn wakes(&self) -> Option<Instant> {
        self.wakes
    }

    pub(crate) fn next_datagram(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.datagrams.pop_front()
    }

    /// A datagram of STUN; false if it proves nothing.
    pub(crate) fn check(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> bool {
        let Some(Ice { fragment, password }) = &self.settings.ice else {
            return false;
        };
        let Some(check) = stun::check(datagram, source, fragment, password) else {
            return false;
        };
        self.datagrams.push_back((source, check.answer));
        if check.nominates || self.selected.is_none() {
            self.selected = Some(source);
        }
        self.seen = Some(source);
        if self.settings.active && self.association.is_none() {
            self.begin(now);
        }
        true
    }

    /// A datagram of DTLS; false if it is not from where the peer was seen.
    pub(crate) fn handshake(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> bool {
        if !self.admits(source) {
            return false;
        }
        if !self.has_ice() && self.keys.is_none() {
            self.selected = Some(source);
        }
        if self.association.is_none() {
            self.begin(now);
        }
        let Some(association) = &mut self.association else {
            return false;
        };
        let taken = association
            .handle_timeout(now)
            .and_then(|()| association.handle_packet(datagram));
        self.go_on(taken.is_ok());
        true
    }

    /// Whether the peer's handshake may come from there.
    fn admits(&self, source: SocketAddr) -> bool {
        let Peer { told, signals } = self.peer;
        let host = source.ip();
        let is_host = !self.has_ice() && (host == told.ip() || Some(host) == signals);
        is_host || [self.selected, self.seen].contains(&Some(source))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.wakes = None;
        if let Some(association) = &mut self.association {
            let taken = association.handle_timeout(now);
            self.go_on(taken.is_ok());
        }
    }

    fn begin(&mut self, now: Instant) {
        let Identity {
            certificate,
            config,
        } = &*self.identity;
        let mut association = dimpl::Dtls::new_auto(Arc::clone(config), certificate.clone(), now);
        association.set_active(self.settings.active);
        let taken = association.handle_timeout(now);
        self.association = Some(Box::new(association));
        self.go_on(taken.is_ok());
    }

    /// Takes what the association has to say. One that failed is gone: the peer may begin anew.
    fn go_on(&mut self, well: bool) {
        let mut buffer = [0; OUTPUT_OCTETS];
        let (mut material, mut connected) = (None, self.keys.is_some());
        while let Some(association) = &mut self.association {
            match association.poll_output(&mut buffer) {
                dimpl::Output::Packet(datagram) => {
                    if let Some(to) = self.selected {
                        self.datagrams.push_back((to, datagram.to_vec()));
                    }
                }
                dimpl::Output::PeerCert(certificate) => {
                    let fingerprint: [u8; 32] = Sha256::digest(certificate).into();
                    self.known = fingerprint == self.settings.fingerprint;
                }
                dimpl::Output::KeyingMaterial(keying, profile) => {
                    material = keys(&keying, profile, self.settings.active);
                }
                dimpl::Output::Connected => connected = true,
                dimpl::Output::Timeout(at) => {
                    self.wakes = Some(at);
                    break;
                }
                dimpl::Output::CloseNotify | dimpl::Output::BufferTooSmall { .. } => {
                    self.association = None;
                }
                // Nothing else is asked of DTLS.
                dimpl::Output::ApplicationData(_) | _ => {}
            }
        }
        if self.known && connected {
            self.keys = material.or(self.keys);
        }
        if !well {
            self.association = None;
            self.wakes = None;
        }
    }
}

/// RFC 5764 section 4.2: the client's key, the server's, the client's salt, the server's.
fn keys(material: &KeyingMaterial, profile: SrtpProfile, active: bool) -> Option<Srtp> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let key = suite.key_octets();
    let salt = suite.keying_octets() - key;
    let of = |side: usize| {
        let mut keying = [0; KEYING_OCTETS];
        let salts = 2 * key + side * salt;
        keying[..key].copy_from_slice(material.get(side * key..side * key + key)?);
        keying[key..key + salt].copy_from_slice(material.get(salts..salts + salt)?);
        Some(Keying(keying))
    };
    let (client, server) = (of(0)?, of(1)?);
    let (ours, theirs) = if active {
        (client, server)
    } else {
        (server, client)
    };
    Some(Srtp {
        suite,
        ours,
        theirs,
    })
}
