//! What keeps us from taking an offer: the Warning of its 488 (RFC 3261 sections 20.43 and 21.4.26).

use std::fmt;

use super::description::{Description, Profile};
use super::is_group;

/// The first thing that no stream of an offer gets past. An offer without one may be refused all the same: for an address of
/// another family, or because the other party of the call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// It is no session description.
    Unreadable,
    /// There is no audio stream that is open.
    NoAudio,
    /// Audio comes in no way that we speak.
    Protocol,
    /// It is DTLS, without a fingerprint by SHA-256.
    Dtls,
    /// It is SRTP, without a key of use.
    Keys,
    /// No codec of ours.
    Codecs,
    /// No address, or a name.
    Address,
    /// The address of a group.
    Multicast,
}

impl Objection {
    /// What is wrong with an offer, if anything is.
    pub(crate) fn to(offer: &[u8]) -> Option<Self> {
        let Ok(offer) = Description::parse(offer) else {
            return Some(Self::Unreadable);
        };
        let mut streams: Vec<_> = offer.streams.iter().collect();
        streams.retain(|stream| stream.is_open_audio());
        if streams.is_empty() {
            return Some(Self::NoAudio);
        }
        streams.retain(|stream| stream.profile.is_some());
        if streams.is_empty() {
            return Some(Self::Protocol);
        }
        let by_dtls = streams.iter().all(|it| it.profile == Some(Profile::Dtls));
        streams.retain(|stream| match stream.profile {
            Some(Profile::Plain) | None => true,
            Some(Profile::Srtp) => !stream.keys.is_empty(),
            Some(Profile::Dtls) => stream.wanted.is_complete(),
        });
        if streams.is_empty() {
            return Some(if by_dtls { Self::Dtls } else { Self::Keys });
        }
        streams.retain(|stream| stream.codecs().any(|(_, codec)| codec.is_spoken()));
        if streams.is_empty() {
            return Some(Self::Codecs);
        }
        streams.retain(|stream| stream.address.is_some());
        if streams.is_empty() {
            return Some(Self::Address);
        }
        let mut addresses = streams.iter().filter_map(|stream| stream.address);
        addresses.all(is_group).then_some(Self::Multicast)
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, text) = match self {
            Self::Unreadable => (399, "the session description cannot be read"),
            Self::NoAudio => (304, "no audio is offered"),
            Self::Protocol => (
                302,
                "only RTP/AVP, RTP/SAVP and UDP/TLS/RTP/SAVP, with or without F, are taken",
            ),
            Self::Dtls => (399, "DTLS needs a=fingerprint by sha-256"),
            Self::Keys => (
                399,
                "no a=crypto of use: AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32 or AEAD_AES_128_GCM, inline, without MKI",
            ),
            Self::Codecs => (
                305,
                "only PCMU, PCMA, G722, opus and L16 are spoken here, G729 and GSM passed on where they are allowed",
            ),
            Self::Address => (301, "no address is offered"),
            Self::Multicast => (330, "groups are not sent to"),
        };
        write!(f, "{code} ringmaster \"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n";

    fn objection(offer: &str) -> Option<Objection> {
        Objection::to(offer.as_bytes())
    }

    #[test]
    fn each_offer_is_told_what_is_wrong_with_it() {
        assert_eq!(objection(PLAIN), None);
        for (offer, expected) in [
            (PLAIN.replace("v=0", "v=1"), Objection::Unreadable),
            (PLAIN.replace("audio", "video"), Objection::NoAudio),
            (PLAIN.replace("4000", "0"), Objection::NoAudio),
            ("v=0\r\n".to_owned(), Objection::NoAudio),
            (
                PLAIN.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF"),
                Objection::Dtls,
            ),
            (PLAIN.replace("RTP/AVP", "RTP/SAVP"), Objection::Keys),
            (PLAIN.replace("RTP/AVP", "TCP/RTP/AVP"), Objection::Protocol),
            (PLAIN.replace("AVP 0", "AVP 4 18"), Objection::Codecs),
            (PLAIN.replace("192.0.2.9", "pbx"), Objection::Address),
            (
                PLAIN.replace("192.0.2.9", "239.1.2.3"),
                Objection::Multicast,
            ),
        ] {
            assert_eq!(objection(&offer), Some(expected), "{offer}");
        }
    }

    #[test]
    fn one_stream_that_fits_is_enough() {
        let video = "m=video 4002 RTP/AVP 96\r\n";
        let secret = "m=audio 4004 RTP/SAVP 0\r\n";
        assert_eq!(objection(&format!("{PLAIN}{video}{secret}")), None);
    }
}
