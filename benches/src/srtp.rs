//! SRTP of the load: the keys of both sides (RFC 4568) and the protection of packets, by a crate.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::default_provider;
use rtc_srtp::protection_profile::ProtectionProfile;
use sha2::{Digest as _, Sha256};

/// The one suite that is spoken (RFC 4568 section 6.2.1): what every phone has.
const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
const KEY_OCTETS: usize = 16;
const SALT_OCTETS: usize = 14;

/// A master key and its salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// The key of a phone: the same in all its calls, for each has an SSRC of its own only once.
    pub(crate) fn of(number: &str) -> Self {
        Self(Sha256::digest(number)[..KEY_OCTETS + SALT_OCTETS].to_vec())
    }

    /// As session descriptions say it.
    pub(crate) fn line(&self, tag: u32) -> String {
        format!(
            "a=crypto:{tag} {SUITE} inline:{}\r\n",
            STANDARD.encode(&self.0)
        )
    }

    /// The first of a description that is of our suite, and the tag of its line.
    pub(crate) fn find(description: &str) -> Option<(u32, Self)> {
        description.lines().find_map(|line| {
            let (tag, rest) = line.strip_prefix("a=crypto:")?.split_once(' ')?;
            let key = rest.strip_prefix(SUITE)?.trim().strip_prefix("inline:")?;
            let key = STANDARD.decode(key.split('|').next()?).ok()?;
            (key.len() == KEY_OCTETS + SALT_OCTETS).then_some((tag.parse().ok()?, Self(key)))
        })
    }

    fn context(&self) -> Result<Context, String> {
        let (key, salt) = self.0.split_at(KEY_OCTETS);
        let provider = default_provider().map_err(|error| format!("SRTP: {error}"))?;
        let profile = ProtectionProfile::Aes128CmHmacSha1_80;
        Context::new(key, salt, profile, None, None, provider.crypto())
            .map_err(|error| format!("SRTP: {error}"))
    }
}

/// Both directions of a stream.
pub(crate) struct Protection {
    outgoing: Context,
    incoming: Context,
}

impl Protection {
    /// What we send is protected by our key, what comes by theirs.
    pub(crate) fn new(ours: &Key, theirs: &Key) -> Result<Self, String> {
        Ok(Self {
            outgoing: ours.context()?,
            incoming: theirs.context()?,
        })
    }

    /// The packet as it is sent.
    pub(crate) fn protect(&mut self, packet: &[u8]) -> Option<impl AsRef<[u8]> + use<>> {
        self.outgoing.encrypt_rtp(packet).ok()
    }

    /// What lies at the start of the buffer becomes plain; None: it is forged.
    pub(crate) fn open(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let plain = self.incoming.decrypt_rtp(buffer.get(..length)?).ok()?;
        buffer.get_mut(..plain.len())?.copy_from_slice(&plain);
        Some(plain.len())
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protection")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_protects_the_other_side_opens() {
        let (a, b) = (Key::of("1001"), Key::of("1002"));
        let lines = format!("a=crypto:7 AEAD_AES_128_GCM inline:x\r\n{}", a.line(2));
        let (tag, found) = Key::find(&lines).unwrap();
        assert_eq!((tag, &found), (2, &a));
        let mut sender = Protection::new(&a, &b).unwrap();
        let mut receiver = Protection::new(&b, &found).unwrap();
        let mut packet = vec![7; 60];
        packet[0] = 0x80;
        let protected = sender.protect(&packet).unwrap();
        let mut buffer = [0; 200];
        let length = protected.as_ref().len();
        buffer[..length].copy_from_slice(protected.as_ref());
        assert_eq!(length, packet.len() + 10);
        assert_eq!(receiver.open(&mut buffer, length), Some(packet.len()));
        assert_eq!(buffer[..packet.len()], packet[..]);
        buffer[20] ^= 1;
        assert_eq!(receiver.open(&mut buffer, length), None);
    }
}
