//! SRTP and SRTCP of one leg (RFC 3711, RFC 7714): what leaves is protected, what comes is proved and decrypted, both in the packet's own buffer.
//!
//! A packet whose tag is wrong changes nothing here: what it says it comes from is believed only when it is proved.

use std::collections::VecDeque;
use std::fmt;

use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::packet::{HEADER_OCTETS, Ssrc};

/// Octets that protection adds to a packet at the most: the tag of GCM.
pub const MAX_TAG_OCTETS: usize = 16;

/// Octets of the tag of RTCP with HMAC, whatever RTP has (RFC 4568 section 6.2.2) ...
const RTCP_TAG_OCTETS: usize = 10;

/// ... and of the flag and index before it (with GCM at the end).
const RTCP_INDEX_OCTETS: usize = 4;

/// Octets of a master key and its salt, at the most.
pub const KEYING_OCTETS: usize = 44;

/// Packets that a late one may be behind the newest (RFC 3711 section 3.3.2 wants 64 at least).
const REPLAY_WINDOW: usize = 128;

/// Streams of the peer whose counts are kept; the oldest gives way. A phone has one, and a new one after a transfer.
const MAX_STREAMS: usize = 4;

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 section 6.2.1).
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32` (RFC 4568 section 6.2.2).
    AesCm128HmacSha1_32,
    /// `AEAD_AES_128_GCM` (RFC 7714 section 14.2).
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`, which browsers agree on by DTLS.
    AeadAes256Gcm,
}

impl Suite {
    /// Octets of the master key.
    pub(crate) const fn key_octets(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master key and its salt.
    #[must_use]
    pub const fn keying_octets(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 30,
            Self::AeadAes128Gcm => 28,
            Self::AeadAes256Gcm => 44,
        }
    }

    const fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }
}

/// A master key and its salt, one after the other; octets beyond those of the suite count for nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keying(pub [u8; KEYING_OCTETS]);

impl fmt::Debug for Keying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keying")
    }
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Srtp {
    /// How packets are protected, in both directions.
    pub suite: Suite,
    /// For what we send.
    pub ours: Keying,
    /// For what the peer sends.
    pub theirs: Keying,
}

/// The protection of a leg's packets.
pub(crate) struct Protection {
    srtp: Srtp,
    outgoing: Context,
    /// The peer's streams that have been proved, the newest first; each counts by itself.
    incoming: VecDeque<(Ssrc, Context)>,
}

impl Protection {
    pub(crate) fn new(srtp: Srtp) -> Self {
        Self {
            outgoing: context(srtp.suite, &srtp.ours),
            incoming: VecDeque::new(),
            srtp,
        }
    }

    /// The protection after a new agreement: a key that stays goes on counting, for no packet number may be used twice with it (RFC 3711
    /// section 9.1).
    pub(crate) fn renewed(before: Option<Self>, srtp: Srtp) -> Self {
        let mut fresh = Self::new(srtp);
        if let Some(before) = before.filter(|before| before.srtp.suite == srtp.suite) {
            if before.srtp.ours == srtp.ours {
                fresh.outgoing = before.outgoing;
            }
            if before.srtp.theirs == srtp.theirs {
                fresh.incoming = before.incoming;
            }
        }
        fresh
    }

    /// Proves and decrypts an RTP packet; gives its length without its tag. None: it is forged, replayed or broken.
    pub(crate) fn unprotect(&mut self, packet: &mut [u8]) -> Option<usize> {
        let ssrc = packet.get(8..HEADER_OCTETS)?.try_into().ok()?;
        let plain = self.prove(Ssrc(u32::from_be_bytes(ssrc)), |context| {
            context.decrypt_rtp(packet).ok()
        })?;
        packet.get_mut(..plain.len())?.copy_from_slice(&plain);
        Some(plain.len())
    }

    /// The same for RTCP (RFC 3711 section 3.4).
    pub(crate) fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        if !self.is_encrypted(packet) {
            return None;
        }
        let ssrc = packet.get(4..8)?.try_into().ok()?;
        let plain = self.prove(Ssrc(u32::from_be_bytes(ssrc)), |context| {
            context.decrypt_rtcp(packet).ok()
        })?;
        packet.get_mut(..plain.len())?.copy_from_slice(&plain);
        Some(plain.len())
    }

    /// Whether RTCP says that it is encrypted. `rtc-srtp` takes what says it is not without looking at its tag, with which
    /// anybody could report anything.
    fn is_encrypted(&self, packet: &[u8]) -> bool {
        let tag = match self.srtp.suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => RTCP_TAG_OCTETS,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 0,
        };
        let index = packet.len().checked_sub(tag + RTCP_INDEX_OCTETS);
        index.is_some_and(|index| packet[index] & 0x80 != 0)
    }

    /// Lets the context of a source prove a packet. A source that is not known yet has to prove its first one.
    fn prove<P>(
        &mut self,
        ssrc: Ssrc,
        proves: impl FnOnce(&mut Context) -> Option<P>,
    ) -> Option<P> {
        let known = self.incoming.iter().position(|(known, _)| *known == ssrc);
        if let Some(place) = known {
            return proves(&mut self.incoming[place].1);
        }
        let mut context = context(self.srtp.suite, &self.srtp.theirs);
        let plain = proves(&mut context)?;
        self.incoming.truncate(MAX_STREAMS - 1);
        self.incoming.push_front((ssrc, context));
        Some(plain)
    }

    /// Protects a report.
    pub(crate) fn protect_rtcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let protected = self.outgoing.encrypt_rtcp(packet).ok()?;
        Some(protected.to_vec())
    }

    /// Protects the RTP packet at the front of a buffer; gives its new length. None: there is no room for the tag, or the key is used up.
    pub(crate) fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let protected = self.outgoing.encrypt_rtp(buffer.get(..length)?).ok()?;
        buffer
            .get_mut(..protected.len())?
            .copy_from_slice(&protected);
        Some(protected.len())
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.srtp.fmt(f)
    }
}

fn context(suite: Suite, keying: &Keying) -> Context {
    let (key, salt) = keying.0[..suite.keying_octets()].split_at(suite.key_octets());
    let provider = default_provider().expect("invariant: the provider is built in");
    let replay = Some(srtp_replay_protection(REPLAY_WINDOW));
    let replay_rtcp = Some(srtcp_replay_protection(REPLAY_WINDOW));
    let (profile, crypto) = (suite.profile(), provider.crypto());
    Context::new(key, salt, profile, replay, replay_rtcp, crypto)
        .expect("invariant: key and salt have the lengths of the suite")
}
