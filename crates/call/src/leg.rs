//! One party of a call: its dialog, its session and its media, which carry one number.

use std::time::Instant;

use bytes::Bytes;

use media::mixer::{
    Codec, ComfortNoise, Command, Dtls, Ice, Port, Rtcp, Security, StreamSettings, StreamStats,
    TelephoneEvent,
};
use media::srtp::{KEYING_OCTETS, Keying, Srtp};
use queue::AgentId;
use sip::Flow;
use sip::endpoint::{Account, LegId, Status};
use sip::sdp::{Agreed, AudioCodec, Direction, Session, Suite};
use tracing::Span;

use crate::settings::Audio;

/// What a leg is in its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It sent the first INVITE.
    Caller,
    /// A phone that a phone called.
    Callee,
    /// The phone of an agent that the queue engine picked.
    Agent(AgentId),
}

impl Role {
    /// The agent whose phone it is.
    pub(crate) fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::Agent(agent) => Some(agent),
            Self::Caller | Self::Callee => None,
        }
    }

    /// As records and logs name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
            Self::Agent(_) => "agent",
        }
    }
}

/// Where a leg's dialog stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signalling {
    /// The caller's INVITE waits for our answer.
    Incoming(Invited),
    /// Our INVITE waits for the phone's answer.
    Calling,
    /// Answered.
    Up,
    /// Over.
    Down,
}

/// What was said of the session while the caller's INVITE waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invited {
    /// It offers.
    Offers(Bytes),
    /// It asks us to offer, which a provisional answer may do if the caller takes it reliably (RFC 3262 section 5).
    Asks {
        /// It does.
        reliable: bool,
    },
    /// A provisional answer of ours described our side; the 200 says the same.
    Described(Bytes),
}

/// Where a leg's media stands.
#[derive(Debug)]
pub(crate) enum Media {
    /// The port is reserved, no stream is open.
    Reserved,
    /// Our 200 carried the offer: what the stream shall do once the ACK brings the answer.
    AwaitsAck(Vec<Command>),
    /// The stream runs.
    Open,
    /// The stream shall end; its figures are awaited.
    Closing,
    /// Ended, with its figures.
    Closed(StreamStats),
}

/// One party.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) span: Span,
    pub(crate) role: Role,
    pub(crate) account: Account,
    /// The number that was called over a trunk.
    pub(crate) number: Option<String>,
    /// Who pays for it, if it is over a trunk and anybody here does.
    pub(crate) payer: Option<Account>,
    /// Branches that were given away with its INVITE (RFC 5393 section 5.3.3).
    pub(crate) breadth: usize,
    pub(crate) flow: Flow,
    pub(crate) call_id: Option<String>,
    pub(crate) port: Port,
    pub(crate) session: Session,
    pub(crate) agreed: Option<Agreed>,
    /// What it answered while it rang, if that cannot be agreed on before the call can move to the other family of addresses.
    pub(crate) early: Option<Bytes>,
    /// Our sound has moved to another port, and it has not confirmed yet that it knows.
    pub(crate) moving: bool,
    /// Our 200 to its re-INVITE offered: the ACK is to answer.
    pub(crate) offered: bool,
    pub(crate) signalling: Signalling,
    pub(crate) media: Media,
    /// How its stream goes, as it was told a moment ago.
    pub(crate) figures: Option<Box<StreamStats>>,
    pub(crate) times: Times,
    /// The final status of its INVITE.
    pub(crate) status: Option<Status>,
}

/// When things happened to a leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) start: Instant,
    pub(crate) ring: Option<Instant>,
    pub(crate) answer: Option<Instant>,
    pub(crate) end: Option<Instant>,
}

impl Times {
    pub(crate) fn start(now: Instant) -> Self {
        Self {
            start: now,
            ring: None,
            answer: None,
            end: None,
        }
    }
}

impl Leg {
    /// The leg's number in the mixer.
    pub(crate) fn stream(&self) -> media::LegId {
        media::LegId(self.id.0)
    }

    /// Nothing more is to come for this leg.
    pub(crate) fn is_over(&self) -> bool {
        self.signalling == Signalling::Down
            && matches!(self.media, Media::Reserved | Media::Closed(_))
    }

    /// The peer refuses to hear us: it holds the call.
    pub(crate) fn holds(&self) -> bool {
        self.agreed.is_some_and(|agreed| {
            matches!(agreed.direction, Direction::RecvOnly | Direction::Inactive)
        })
    }

    pub(crate) fn codec(&self) -> Option<AudioCodec> {
        self.agreed.map(|agreed| agreed.codec)
    }
}

/// What the mixer must know of an agreement.
pub(crate) fn stream_settings(agreed: &Agreed, flow: &Flow, audio: &Audio) -> StreamSettings {
    StreamSettings {
        remote: agreed.remote,
        codec: match agreed.codec {
            AudioCodec::Pcmu => Codec::Pcmu,
            AudioCodec::Pcma => Codec::Pcma,
            AudioCodec::G722 => Codec::G722,
            AudioCodec::Opus => Codec::Opus,
            AudioCodec::L16Wide => Codec::L16Wide,
            AudioCodec::L16Narrow => Codec::L16Narrow,
            AudioCodec::G729 => Codec::G729,
            AudioCodec::Gsm => Codec::Gsm,
        },
        payload_type: agreed.payload_type,
        receive_payload_type: agreed.receive_payload_type,
        telephone_event: agreed.telephone_event.map(|event| TelephoneEvent {
            payload_type: event.payload_type,
            clock_rate: event.clock_rate,
        }),
        comfort_noise: agreed.comfort_noise.map(|noise| ComfortNoise {
            payload_type: noise.payload_type,
            receive_payload_type: noise.receive_payload_type,
        }),
        dtx: agreed.wants_dtx && audio.dtx,
        loudness: audio.loudness,
        send: matches!(agreed.direction, Direction::SendRecv | Direction::SendOnly),
        signalling_host: Some(flow.remote.ip()),
        receive: matches!(agreed.direction, Direction::SendRecv | Direction::RecvOnly),
        security: security(agreed),
        rtcp: agreed.rtcp.map_or(Rtcp::Mux, Rtcp::Port),
    }
}

fn security(agreed: &Agreed) -> Security {
    if let Some(dtls) = agreed.dtls {
        return Security::Dtls(Dtls {
            fingerprint: dtls.fingerprint,
            active: dtls.active,
            ice: dtls.ice.map(|ice| Ice {
                fragment: ice.fragment,
                password: ice.password,
            }),
        });
    }
    let Some(crypto) = agreed.crypto else {
        return Security::Plain;
    };
    Security::Keys(Srtp {
        suite: match crypto.suite {
            Suite::AesCm128HmacSha1_80 => media::srtp::Suite::AesCm128HmacSha1_80,
            Suite::AesCm128HmacSha1_32 => media::srtp::Suite::AesCm128HmacSha1_32,
            Suite::AeadAes128Gcm => media::srtp::Suite::AeadAes128Gcm,
        },
        ours: keying(&crypto.ours),
        theirs: keying(&crypto.theirs),
    })
}

/// The mixer has room for longer keys than descriptions tell.
fn keying(told: &sip::sdp::Keying) -> Keying {
    let mut keying = [0; KEYING_OCTETS];
    keying[..told.0.len()].copy_from_slice(&told.0);
    Keying(keying)
}
