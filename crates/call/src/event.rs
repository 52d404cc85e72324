//! What can happen to a call.

use std::time::Duration;

use bytes::Bytes;
use media::mixer::{PlayId, RecordingId, StreamStats};
use queue::{AgentId, Limit, OfferId, Withdrawal};
use sip::endpoint::{LegId, Redirection, Refer, Status};

use crate::state::{Conversation, Others};
use crate::{Cause, Party};

/// What a call is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// A called phone rings; with the description of what it lets the caller hear meanwhile.
    Ringing(LegId, Option<Bytes>),
    /// A called phone answered with this session description.
    Answered(LegId, Option<Bytes>),
    /// A called phone refused; its leg is gone.
    Refused(LegId, Refusal),
    /// The peer wants another session (hold, resume, another codec).
    Reoffered(LegId, Option<Bytes>),
    /// The peer's answer to a session that we offered anew; none: it refused, the old one stays.
    Reanswered(LegId, Option<Bytes>),
    /// The leg's session is to be offered again as it stands.
    RefreshDue(LegId),
    /// The ACK of our 200 came, with the answer if our 200 had the offer.
    Acknowledged(LegId, Option<Bytes>),
    /// The peer asks us to connect the other party with a number.
    Referred(LegId, Box<Refer>),
    /// A leg's dialog is over.
    Ended(LegId, Cause),
    /// A key was pressed.
    Digit(LegId, char, KeyBy),
    /// A sound came to its end.
    Played(PlayId),
    /// No RTP came from this leg for so long.
    Silent(LegId, Duration),
    /// A leg's stream has ended, with its figures.
    Closed(LegId, StreamStats),
    /// A recording is complete on disk with its length, or why not.
    Recorded(RecordingId, Result<Duration, String>),
    /// The queue engine picked an agent for the caller.
    Offered(OfferId, AgentId),
    /// The queue engine takes an offer back.
    Withdrawn(OfferId, Withdrawal),
    /// The caller waited as long as it may.
    WaitedTooLong(Limit),
    /// The caller's queue was removed.
    QueueGone,
    /// The phone that is supervised is in this conversation now; none: in no one.
    Conversation(Option<Conversation>),
    /// Who else is in the conference now.
    Conferees(Others),
    /// The state's own deadline has come.
    Deadline,
    /// Somebody outside the call ends it.
    Stop(Cause, Party),
}

/// How a phone tells a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyBy {
    /// In its stream: whom it talks with hears it there.
    Rtp,
    /// By INFO (RFC 6086): nobody else knows of it.
    Info,
}

/// What a called party said instead of answering.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    /// When it may be asked again (RFC 3261 section 20.33).
    pub(crate) retry_after: Option<Duration>,
    /// With a 3xx: where to call instead, the most wanted first.
    pub(crate) targets: Vec<Redirection>,
}

impl Refusal {
    /// A status and nothing else.
    pub(crate) fn of(status: Status) -> Self {
        Self {
            status,
            retry_after: None,
            targets: Vec::new(),
        }
    }
}

impl Event {
    /// The leg that it came from.
    pub(crate) fn leg(&self) -> Option<LegId> {
        match self {
            Self::Ringing(leg, _)
            | Self::Answered(leg, _)
            | Self::Refused(leg, _)
            | Self::Referred(leg, _)
            | Self::Reoffered(leg, _)
            | Self::Reanswered(leg, _)
            | Self::RefreshDue(leg)
            | Self::Acknowledged(leg, _)
            | Self::Ended(leg, _)
            | Self::Digit(leg, ..)
            | Self::Silent(leg, _)
            | Self::Closed(leg, _) => Some(*leg),
            Self::Played(_)
            | Self::Recorded(..)
            | Self::Offered(..)
            | Self::Withdrawn(..)
            | Self::WaitedTooLong(_)
            | Self::QueueGone
            | Self::Conversation(_)
            | Self::Conferees(_)
            | Self::Deadline
            | Self::Stop(..) => None,
        }
    }
}
