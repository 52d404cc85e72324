//! What a leg hears, and who hears it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Sound;
use crate::packet::{RtpTimestamp, SequenceNumber, Ssrc};

/// The media of one leg; carries the number of its SIP leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// A recording, numbered by call control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u64);

/// A `Play` command, numbered by call control, so that a late `Played` is told from the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u64);

/// The place of a port among the sockets of its worker, counted from 0 without gaps: the mixer finds a leg by it without hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortIndex(pub u16);

/// A local RTP address that is bound and waits on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The index of the RTP worker that holds the socket.
    pub worker: u16,
    /// The socket's place within that worker; no two ports of a worker share it.
    pub index: PortIndex,
    /// The bound address.
    pub local: SocketAddr,
}

/// The codecs that the mixer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// What SDP agreed on for a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Where the peer wants its RTP, until symmetric RTP learns better.
    pub remote: SocketAddr,
    /// The host that the peer's SIP comes from: behind a NAT its RTP will most likely come from there too,
    /// so a source on this host is learned as quickly as one on the host of `remote`. None: not known.
    pub signalling_host: Option<IpAddr>,
    /// The codec of both directions.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of telephone-event (RFC 4733).
    pub telephone_event: Option<u8>,
    /// We may send (the peer does not refuse to hear us).
    pub send: bool,
    /// The peer may send; while it may not (hold), its silence is no fault for `hold_timeout`.
    pub receive: bool,
}

/// What call control asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// A leg begins on a bound port.
    Open {
        leg: LegId,
        port: Port,
        settings: StreamSettings,
    },
    /// SDP agreed on something new for the leg.
    Update {
        leg: LegId,
        settings: StreamSettings,
    },
    /// What the leg hears when nothing is played and nobody is bridged: a loop, resumed where it was after each `Play`. None: silence.
    Background {
        leg: LegId,
        sound: Option<Arc<Sound>>,
    },
    /// Plays a sound once in place of the background; replaces a sound that still plays (which ends without `Played`).
    Play {
        leg: LegId,
        sound: Arc<Sound>,
        play: PlayId,
    },
    /// Ends the sound of `Play`, back to the background.
    StopPlay { leg: LegId },
    /// The leg hears itself.
    Echo { leg: LegId },
    /// Two legs hear each other; ends what is played to them.
    Bridge { a: LegId, b: LegId },
    /// Ends the bridge of the leg; both hear their background again.
    Unbridge { leg: LegId },
    /// Records a bridge: left hears from `left`, right from `right`.
    Record {
        recording: RecordingId,
        path: PathBuf,
        left: LegId,
        right: LegId,
    },
    /// Ends a recording.
    StopRecording { recording: RecordingId },
    /// Ends a leg: `Closed` follows, and the port is free again.
    Close { leg: LegId },
}

/// What a leg's stream was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// RTP packets from the peer that were taken, without duplicates.
    pub received: u64,
    /// RTP packets that came more than once; dropped.
    pub duplicates: u64,
    /// RTP packets to the peer.
    pub sent: u64,
    /// Packets that never came, by sequence number (RFC 3550 appendix A.3).
    pub lost: u64,
    /// Packets dropped because they came from a stranger or were malformed.
    pub rejected: u64,
    /// Interarrival jitter at the end (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// The highest jitter seen.
    pub max_jitter: Duration,
}

/// What the mixer tells call control.
#[derive(Clone, Debug)]
pub enum Event {
    /// The sound of `Play` came to its end.
    Played { leg: LegId, play: PlayId },
    /// The peer pressed a key (RFC 4733), once per key press.
    Digit { leg: LegId, digit: char },
    /// Nothing came from the peer for the limit; told once.
    Silent { leg: LegId, after: Duration },
    /// The leg is closed; the port may be used again.
    Closed {
        leg: LegId,
        port: Port,
        stats: StreamStats,
    },
    /// The recording is complete on disk, or why not.
    Recorded {
        recording: RecordingId,
        result: Result<Duration, String>,
    },
}

/// What the recorder gets from the mixer, in order.
#[derive(Clone, Debug)]
pub enum Tap {
    /// A recording begins now.
    Start {
        recording: RecordingId,
        path: PathBuf,
        at: Instant,
    },
    /// One packet of one side.
    Packet {
        recording: RecordingId,
        side: Side,
        codec: Codec,
        sequence: SequenceNumber,
        timestamp: RtpTimestamp,
        ssrc: Ssrc,
        at: Instant,
        payload: Payload,
    },
    /// The recording ends now.
    End { recording: RecordingId, at: Instant },
}

/// A copied payload, without allocation.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// Octets used.
    pub len: u16,
    /// The octets; 60 ms of G.711 at the most.
    pub octets: [u8; 480],
}

/// The channel of a stereo recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The customer.
    Left,
    /// The agent.
    Right,
}

/// A packet that must leave. Its octets are the first `len` of the buffer that the driver lent to the mixer:
/// the received datagram itself after [`Mixer::handle_packet`], the given buffer after [`Mixer::poll_output`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send from.
    pub port: PortIndex,
    /// Where to.
    pub to: SocketAddr,
    /// Octets.
    pub len: usize,
}

/// Octets that a buffer lent to [`Mixer::poll_output`] must have: an RTP header and 20 ms of G.711.
pub const FRAME_PACKET_OCTETS: usize = 12 + 160;

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

/// The limits of a mixer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A leg without RTP from its peer for so long is told as `Silent`.
    pub rtp_timeout: Duration,
    /// The same while the peer is on hold.
    pub hold_timeout: Duration,
}

/// Why the mixer wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// The next 20 ms frame of something that is played.
    Frame,
    /// A leg may have been silent for its limit.
    Silence,
}

/// One worker's media. After every `handle_*` (after a batch of `handle_packet` once), drain `poll_output`.
#[derive(Debug)]
pub struct Mixer {}

#[expect(
    unused_variables,
    clippy::needless_pass_by_ref_mut,
    reason = "skeleton"
)]
impl Mixer {
    /// A mixer without legs; `seed` feeds SSRCs and first sequence numbers.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        unimplemented!()
    }
    /// A command of call control. A command for a leg that is gone is ignored.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        unimplemented!()
    }
    /// A datagram came to the socket `port`. A packet that goes on to another leg (or back, by `Echo`) is rewritten
    /// in place, neither copied nor allocated, and must be sent before its buffer is used again.
    pub fn handle_packet(
        &mut self,
        port: PortIndex,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Option<Transmit> {
        unimplemented!()
    }
    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }
    /// What must leave next. `buffer` has at least [`FRAME_PACKET_OCTETS`]; an [`Output::Send`] has written its packet there
    /// (give the next free slot of a sending batch, so that nothing is copied twice). Other outputs leave it alone.
    pub fn poll_output(&mut self, buffer: &mut [u8]) -> Option<Output> {
        unimplemented!()
    }
    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        unimplemented!()
    }
}
