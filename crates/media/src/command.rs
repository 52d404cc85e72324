//! What call control asks of the mixer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::Sound;
use crate::codec::Codec;
use crate::loudness::Loudness;
use crate::srtp::Srtp;

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
/// Its range is the limit of legs in one mixer: 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortIndex(pub u16);

/// A local RTP address that is bound and waits on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The index of the RTP worker that holds the sockets.
    pub worker: u16,
    /// The place of its sockets within that worker; no two ports of a worker share it.
    pub index: PortIndex,
    /// The bound address of RTP; RTCP has the next port.
    pub local: SocketAddr,
}

/// The format of keys that are told (RFC 4733).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Its payload type, 96 to 127.
    pub payload_type: u8,
    /// Ticks of its durations in a second, in Hz.
    pub clock_rate: u32,
}

/// The payload types of comfort noise, at the clock of the codec (RFC 3389).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComfortNoise {
    /// The one that the peer expects, 0 to 127.
    pub payload_type: u8,
    /// The one that it sends.
    pub receive_payload_type: u8,
}

/// How the packets of a leg are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// By keys that SDP told (RFC 4568).
    Keys(Srtp),
    /// By keys that DTLS agrees on (RFC 5764), between addresses that ICE finds (RFC 8445), or symmetric RTP.
    Dtls(Dtls),
}

/// What SDP agreed on for DTLS, and for ICE if the peer has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtls {
    /// The SHA-256 of the peer's certificate.
    pub fingerprint: [u8; 32],
    /// We begin the handshake.
    pub active: bool,
    /// What the peer's checks must know; none: it has no ICE, and its handshake comes from where its description or its SIP is.
    pub ice: Option<Ice>,
}

/// Our side of ICE.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ice {
    /// The fragment of the user name.
    pub fragment: [u8; 8],
    /// The password.
    pub password: [u8; 24],
}

impl fmt::Debug for Ice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ice")
    }
}

/// What SDP agreed on for a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Where the peer wants its RTP, until symmetric RTP learns better. Port 0 or address 0.0.0.0: nowhere.
    pub remote: SocketAddr,
    /// The host that the peer's SIP comes from: behind a NAT its RTP will most likely come from there too,
    /// so a source on this host is learned as quickly as one on the host of `remote`. None: not known.
    pub signalling_host: Option<IpAddr>,
    /// The codec of both directions.
    pub codec: Codec,
    /// Its payload type, 0 to 127.
    pub payload_type: u8,
    /// The payload type that the peer sends it with, where it is another: what our offer said.
    pub receive_payload_type: u8,
    /// How keys are told (RFC 4733).
    pub telephone_event: Option<TelephoneEvent>,
    /// Comfort noise (RFC 3389), if both sides have it.
    pub comfort_noise: Option<ComfortNoise>,
    /// Opus leaves out packets while nothing is to be heard, for a peer that asks for it (RFC 7587 section 6.1).
    pub dtx: bool,
    /// What is done to the loudness of both directions.
    pub loudness: Loudness,
    /// We may send (the peer does not refuse to hear us).
    pub send: bool,
    /// The peer may send; while it may not (hold), its silence is no fault for `hold_timeout`.
    pub receive: bool,
    /// How the packets of both directions are protected.
    pub security: Security,
    /// Where our reports go.
    pub rtcp: Rtcp,
}

/// Where RTCP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtcp {
    /// Where RTP goes, beside it (RFC 5761).
    Mux,
    /// From the port after that of RTP to this address, until symmetric RTP learns better.
    Port(SocketAddr),
}

/// What becomes of all else that a leg hears (background, bridge, echo, whom it hears besides) while a sound is played to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It waits, or is not heard, and goes on afterwards.
    All,
    /// It is heard beside the sound: people as they talk, a background 12 dB softer. An echo is not heard.
    Beside,
}

/// What call control asks for. A command for a leg that is gone is ignored.
#[derive(Clone, Debug)]
pub enum Command {
    /// A leg begins on a bound port: it hears silence (packets with it, so that no NAT and no phone gives up the stream)
    /// until told otherwise. A leg that is open already is closed first.
    Open {
        /// The new leg.
        leg: LegId,
        /// Where its packets come and go; no other leg has it.
        port: Port,
        /// From SDP.
        settings: StreamSettings,
    },
    /// SDP agreed on something new for the leg.
    Update {
        /// Which leg.
        leg: LegId,
        /// From SDP.
        settings: StreamSettings,
    },
    /// What the leg hears when nothing is played and nobody is bridged: a loop, resumed where it was after each `Play` and each bridge.
    /// The very sound that is set already goes on where it was.
    Background {
        /// Who hears it.
        leg: LegId,
        /// The loop; None: silence.
        sound: Option<Arc<Sound>>,
    },
    /// Plays a sound once; replaces a sound that still plays (which ends without `Played`).
    Play {
        /// Who hears it.
        leg: LegId,
        /// What.
        sound: Arc<Sound>,
        /// In the place of what, or beside what.
        over: Over,
        /// Comes back in [`Event::Played`](crate::Event::Played).
        play: PlayId,
    },
    /// Ends the sound of `Play` without `Played`.
    StopPlay {
        /// Who hears it.
        leg: LegId,
    },
    /// The leg hears itself; ends a bridge of it.
    Echo {
        /// Which leg.
        leg: LegId,
    },
    /// Two legs hear each other; ends what is played to them, and bridges with others.
    Bridge {
        /// One.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// The leg's peer hears a key pressed, for 100 ms: by RFC 4733 where that was agreed on, else as tones; in the place of all else.
    Press {
        /// Who hears it.
        leg: LegId,
        /// 0 to 9, `*`, `#`, A to D; anything else is ignored.
        key: char,
    },
    /// Besides whom it is bridged with, a leg hears this one; without a bridge, in the place of its background. Whom it hears so is
    /// mixed, and does not hear it.
    Mix {
        /// Who hears.
        listener: LegId,
        /// Whom.
        talker: LegId,
    },
    /// Ends that.
    Unmix {
        /// Who heard.
        listener: LegId,
        /// Whom.
        talker: LegId,
    },
    /// Ends the bridge (or echo) of the leg; both hear their background again.
    Unbridge {
        /// Either of the two.
        leg: LegId,
    },
    /// Records what two legs say, until `StopRecording` or until both are closed. A leg is in one recording at a time:
    /// another one that it is in ends.
    Record {
        /// The new recording.
        recording: RecordingId,
        /// For the recorder.
        path: PathBuf,
        /// What this leg says is on the left.
        left: LegId,
        /// What this leg says is on the right.
        right: LegId,
    },
    /// From now on silence stands in the recording in the place of what is said, or no longer.
    PauseRecording {
        /// Which.
        recording: RecordingId,
        /// False: it goes on.
        paused: bool,
    },
    /// Ends a recording.
    StopRecording {
        /// Which.
        recording: RecordingId,
    },
    /// Ends a leg: `Closed` follows, and the port is free again.
    Close {
        /// Which leg.
        leg: LegId,
    },
}
