//! What a leg hears, and who hears it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Sound;

/// The media of one leg; carries the number of its SIP leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// A recording, numbered by call control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u64);

/// A `Play` command, numbered by call control, so that a late `Played` is told from the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u64);

/// A local RTP address that is bound and waits on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The index of the RTP worker that holds the socket.
    pub worker: u16,
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
    Open { leg: LegId, port: Port, settings: StreamSettings },
    /// SDP agreed on something new for the leg.
    Update { leg: LegId, settings: StreamSettings },
    /// What the leg hears when nothing is played and nobody is bridged: a loop, resumed where it was after each `Play`. None: silence.
    Background { leg: LegId, sound: Option<Arc<Sound>> },
    /// Plays a sound once in place of the background; replaces a sound that still plays (which ends without `Played`).
    Play { leg: LegId, sound: Arc<Sound>, play: PlayId },
    /// Ends the sound of `Play`, back to the background.
    StopPlay { leg: LegId },
    /// The leg hears itself.
    Echo { leg: LegId },
    /// Two legs hear each other; ends what is played to them.
    Bridge { a: LegId, b: LegId },
    /// Ends the bridge of the leg; both hear their background again.
    Unbridge { leg: LegId },
    /// Records a bridge: left hears from `left`, right from `right`.
    Record { recording: RecordingId, path: PathBuf, left: LegId, right: LegId },
    /// Ends a recording.
    StopRecording { recording: RecordingId },
    /// Ends a leg: `Closed` follows, and the port is free again.
    Close { leg: LegId },
}

/// What a leg's stream was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// RTP packets from the peer that were taken.
    pub received: u64,
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
    Closed { leg: LegId, port: Port, stats: StreamStats },
    /// The recording is complete on disk, or why not.
    Recorded { recording: RecordingId, result: Result<Duration, String> },
}

/// What the recorder gets from the mixer, in order.
#[derive(Clone, Debug)]
pub enum Tap {
    /// A recording begins now.
    Start { recording: RecordingId, path: PathBuf, at: Instant },
    /// One packet of one side.
    Packet { recording: RecordingId, side: Side, codec: Codec, sequence: u16, timestamp: u32, ssrc: u32, at: Instant, payload: Payload },
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

/// What must leave the mixer.
#[derive(Debug)]
pub enum Output<'a> {
    /// A packet to send from the leg's socket.
    Send { leg: LegId, to: SocketAddr, packet: &'a [u8] },
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

/// One worker's media. After every `handle_*`, drain `poll_output`.
#[derive(Debug)]
pub struct Mixer {}

#[expect(unused_variables, clippy::needless_pass_by_ref_mut, reason = "skeleton")]
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
    /// A datagram came to the leg's socket; it may be rewritten in place to go on.
    pub fn handle_packet(&mut self, leg: LegId, source: SocketAddr, packet: &mut [u8], now: Instant) {
        unimplemented!()
    }
    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }
    /// What must leave next. (The media owner may choose another shape that neither copies nor allocates per packet.)
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        unimplemented!()
    }
    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        unimplemented!()
    }
}
