//! What leaves the mixer.

use std::net::SocketAddr;
use std::time::Duration;

use crate::command::{LegId, PlayId, Port, PortIndex, RecordingId};
use crate::encoder::MAX_ENCODED_OCTETS;
use crate::packet::HEADER_OCTETS;
use crate::recording::Tap;
pub use crate::rtcp::PeerReport;
use crate::srtp::MAX_TAG_OCTETS;

/// What a leg's stream was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// RTP packets from the peer that were taken, without duplicates.
    pub received: u64,
    /// RTP packets from the peer that came more than once; dropped.
    pub duplicates: u64,
    /// RTP packets to the peer.
    pub sent: u64,
    /// Packets that never came, by sequence number (RFC 3550 appendix A.3).
    pub lost: u64,
    /// How often one packet or more in a row never came, or came late.
    pub gaps: u64,
    /// Datagrams dropped because they came from a stranger, were malformed, or had a number far from all before.
    pub rejected: u64,
    /// Interarrival jitter at the end (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// The highest jitter seen.
    pub max_jitter: Duration,
    /// How much of what was decoded had to be guessed, for nothing had come in time.
    pub guessed: Duration,
    /// The longest time without a packet while neither side held the other.
    pub longest_pause: Duration,
    /// How long a packet takes to the peer and back, on average, as its reports show (RFC 3550 section 6.4.1).
    pub round_trip: Option<Duration>,
    /// What the peer reported last of what we sent.
    pub peer: Option<PeerReport>,
}

impl StreamStats {
    /// Which part of the peer's packets never came, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let expected = self.received + self.lost;
        if expected == 0 {
            return 0.0;
        }
        self.lost as f64 / expected as f64
    }
}

/// What the mixer tells call control.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The sound of `Play` came to its end.
    Played {
        /// Who heard it.
        leg: LegId,
        /// From the command.
        play: PlayId,
    },
    /// The peer pressed a key, by RFC 4733, or by its tones where that was not agreed on: told once per press, when it begins.
    Digit {
        /// Whose phone.
        leg: LegId,
        /// 0 to 9, `*`, `#`, A to D.
        digit: char,
    },
    /// Nothing came from the peer for the limit. Told once, and again only if something came meanwhile.
    Silent {
        /// Who is silent.
        leg: LegId,
        /// The limit.
        after: Duration,
    },
    /// What the leg's stream was like until now: told once a second.
    Figures {
        /// Which leg.
        leg: LegId,
        /// Its figures.
        stats: StreamStats,
    },
    /// The leg is closed; the port may be used again.
    Closed {
        /// Which leg.
        leg: LegId,
        /// Its port.
        port: Port,
        /// What its stream was like.
        stats: StreamStats,
    },
    /// The recording is complete on disk with its length, or why not. (Told by the recorder; by the mixer only if no leg was there to record.)
    Recorded {
        /// Which recording.
        recording: RecordingId,
        /// How long it is.
        result: Result<Duration, String>,
    },
}

/// The two sockets of a port, by their names in ICE (RFC 8445 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The even port.
    Rtp,
    /// The odd port after it; nothing goes there where both sides agreed on rtcp-mux (RFC 5761).
    Rtcp,
}

/// A packet that must leave. Its octets are the first `len` of the buffer that the driver lent to the mixer:
/// the received datagram itself after [`Mixer::handle_packet`](crate::Mixer::handle_packet),
/// the given buffer after [`Mixer::poll_output`](crate::Mixer::poll_output).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The port to send from.
    pub port: PortIndex,
    /// Which socket of it.
    pub component: Component,
    /// Where to.
    pub to: SocketAddr,
    /// Octets.
    pub len: usize,
}

/// Octets that a buffer lent to [`Mixer::poll_output`](crate::Mixer::poll_output) must have: a datagram of a DTLS handshake, which
/// is longer than an RTP header, 20 ms of the longest codec and a tag of SRTP.
pub const OUTPUT_OCTETS: usize = 1_200;
const _: () = assert!(HEADER_OCTETS + MAX_ENCODED_OCTETS + MAX_TAG_OCTETS <= OUTPUT_OCTETS);

/// What must leave the mixer.
#[derive(Debug)]
pub enum Output {
    /// A packet to send.
    Send(Transmit),
    /// For call control.
    Event(Event),
    /// For the recorder.
    Tap(Tap),
}
