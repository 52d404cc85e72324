//! Session descriptions (RFC 8866) and the offer/answer state of a dialog (RFC 3264), for one audio stream.

use std::net::SocketAddr;

use bytes::Bytes;

/// The audio codecs that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioCodec {
    /// G.711 mu-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

/// Who may send, seen from our side (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Both send.
    SendRecv,
    /// Only we send: the peer holds nobody, it only listens.
    SendOnly,
    /// Only the peer sends.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

/// What both sides agreed on for the audio stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where the peer wants its RTP.
    pub remote: SocketAddr,
    /// The codec of both directions.
    pub codec: AudioCodec,
    /// The payload type that the peer expects for the codec.
    pub payload_type: u8,
    /// The payload type of telephone-event (RFC 4733) if both speak it.
    pub telephone_event: Option<u8>,
    /// Who sends, from our side.
    pub direction: Direction,
}

/// Why no agreement came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The body is no session description: 400.
    #[error("the body is not a session description")]
    Malformed,
    /// No stream or codec in common: 488 (RFC 3261 section 21.4.26).
    #[error("no codec in common")]
    NothingInCommon,
}

/// The offer/answer state of one dialog.
#[derive(Clone, Debug)]
pub struct Session {
    local: SocketAddr,
}

impl Session {
    /// A session whose RTP arrives at `local`; `id` becomes the session id of the origin line.
    #[must_use]
    pub fn new(local: SocketAddr, id: u64) -> Self {
        let _ = id;
        Self { local }
    }

    /// Where our RTP arrives.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Our next offer. `prefer` puts one codec first, so that both legs of a call agree on the same.
    pub fn offer(&mut self, direction: Direction, prefer: Option<AudioCodec>) -> Bytes {
        let _ = (direction, prefer);
        unimplemented!()
    }

    /// Answers the peer's offer; the direction is the peer's mirrored, limited by `direction`.
    pub fn answer(&mut self, offer: &[u8], direction: Direction, prefer: Option<AudioCodec>) -> Result<(Bytes, Agreed), Disagreement> {
        let _ = (offer, direction, prefer);
        unimplemented!()
    }

    /// Takes the peer's answer to our last offer.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Agreed, Disagreement> {
        let _ = answer;
        unimplemented!()
    }
}
