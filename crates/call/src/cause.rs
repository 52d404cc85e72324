//! Why a call ended, and who ended it: one list for records, logs and SIP answers.

use queue::Failure;
use serde::Serialize;
use sip::endpoint::{Reason, Status};

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// Who sent the first INVITE.
    Caller,
    /// The phone or agent that was called.
    Callee,
    /// Ringmaster itself.
    Switch,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// BYE from one side of an answered call.
    HangUp,
    /// The caller gave up before an answer.
    Cancelled,
    /// The called phone is busy (486, 600).
    Busy,
    /// The called phone rang for its time and nobody answered.
    NoAnswer,
    /// The called phone refused (403, 603 and such).
    Rejected,
    /// The called phone is not registered.
    Unregistered,
    /// The called phone cannot be reached or failed.
    Unreachable,
    /// Nobody has the dialled number.
    UnknownNumber,
    /// No codec in common, or no readable session description.
    NotAcceptable,
    /// A phone wants its sound in a family of addresses of which the switch has none (`addresses` of `[rtp]`), or it answered in
    /// another family than it was offered and did not let the call move there.
    AddressFamily,
    /// The caller pressed the queue's exit key, which leads nowhere.
    ExitKey,
    /// The caller waited for `max_wait_time`, which leads nowhere.
    MaxWaitTime,
    /// Nobody served the queue for `max_wait_time_with_no_agent`, which leads nowhere.
    NoAgent,
    /// The queue holds as many callers as it may.
    QueueFull,
    /// The conference has as many people as it may.
    ConferenceFull,
    /// The queue was removed from the configuration.
    QueueGone,
    /// One side sent no RTP for the limit.
    MediaLost,
    /// The peer stopped answering SIP.
    PeerGone,
    /// The peer did not refresh its session in time (RFC 4028).
    SessionExpired,
    /// All calls or RTP ports are in use.
    SwitchFull,
    /// Every trunk for the number has as many calls as it may.
    TrunkFull,
    /// No trunk for the number answers.
    TrunkDown,
    /// The account has as many outside calls as it may, at once or today.
    AccountLimit,
    /// The account has talked outside for as long as it may today.
    TalkSpent,
    /// The account may not call this number (abroad).
    NotAllowed,
    /// The call came through as many servers as it may, and would have to go on (Max-Forwards).
    TooManyHops,
    /// The call would ring in more places than it may (Max-Breadth).
    TooManyBranches,
    /// The called phone sends its callers to a place outside that is no number here (302 with another host).
    RedirectedAway,
    /// Somebody ended it by a command.
    Ordered,
    /// What the caller dialled is done (a log-in, a log-out).
    Completed,
    /// The redirection from queue to queue did not come to an end.
    Loop,
    /// The switch was stopped.
    Stopped,
    /// A fault of Ringmaster.
    InternalError,
}

impl Cause {
    /// The answer to an INVITE that ends for this cause.
    pub(crate) fn status(self) -> Status {
        Status(match self {
            Self::Busy => 486,
            // The end system was contacted, but the callee does not come (RFC 3261 section 21.4.18).
            Self::NoAnswer
            | Self::Unregistered
            | Self::Unreachable
            | Self::RedirectedAway
            | Self::Ordered
            | Self::QueueGone => 480,
            Self::Rejected => 603,
            Self::UnknownNumber => 404,
            Self::NotAcceptable | Self::AddressFamily => 488,
            Self::Cancelled => 487,
            Self::QueueFull | Self::ConferenceFull => 486,
            Self::Loop => 482,
            Self::AccountLimit | Self::TalkSpent | Self::NotAllowed => 403,
            Self::TooManyHops => 483,
            // RFC 5393 section 5.3.3.
            Self::TooManyBranches => 440,
            Self::SwitchFull | Self::TrunkFull | Self::TrunkDown | Self::Stopped => 503,
            Self::HangUp
            | Self::ExitKey
            | Self::MaxWaitTime
            | Self::NoAgent
            | Self::MediaLost
            | Self::PeerGone
            | Self::SessionExpired
            | Self::Completed
            | Self::InternalError => 500,
        })
    }

    /// The Reason (RFC 3326) of the BYE or CANCEL that ends a leg for this cause; a plain hang-up needs none.
    pub(crate) fn reason(self) -> Option<Reason> {
        let (cause, text) = match self {
            Self::HangUp | Self::Completed | Self::Cancelled => return None,
            Self::Busy => (17, "User busy"),
            Self::NoAnswer => (19, "No answer"),
            Self::Rejected => (21, "Call rejected"),
            Self::Unregistered => (20, "Not registered"),
            Self::Unreachable => (27, "Unreachable"),
            Self::UnknownNumber => (1, "Unknown number"),
            Self::NotAcceptable => (88, "No codec in common"),
            Self::AddressFamily => (88, "No address of this family"),
            Self::ExitKey => (16, "Exit key"),
            Self::Ordered => (16, "Ended by command"),
            Self::MaxWaitTime => (16, "Longest wait reached"),
            Self::NoAgent => (16, "No agent"),
            Self::QueueFull => (17, "Queue full"),
            Self::ConferenceFull => (17, "Conference full"),
            Self::QueueGone => (31, "Queue removed"),
            Self::MediaLost => (41, "No RTP"),
            Self::PeerGone => (27, "Peer does not answer"),
            // ITU-T Q.850: recovery on timer expiry.
            Self::SessionExpired => (102, "Session expired"),
            Self::TrunkFull => (34, "Trunk full"),
            Self::TrunkDown => (38, "Trunk out of order"),
            Self::AccountLimit => (21, "Limit of the account"),
            Self::TalkSpent => (21, "No talk left today"),
            Self::TooManyBranches => (25, "Too many branches"),
            Self::NotAllowed => (21, "Not allowed"),
            Self::TooManyHops => (25, "Too many hops"),
            Self::SwitchFull => (42, "Switch full"),
            Self::Loop => (25, "Routing loop"),
            // ITU-T Q.850: call rejected because of what the callee's side is set to.
            Self::RedirectedAway => (29, "Forwarded elsewhere"),
            Self::Stopped => (31, "Switch stopped"),
            Self::InternalError => (41, "Internal error"),
        };
        Some(Reason {
            protocol: "Q.850".to_owned(),
            cause,
            text: text.to_owned(),
        })
    }

    /// What a refusal of our INVITE means for the call.
    pub(crate) fn of_refusal(status: Status) -> Self {
        match status.0 {
            486 | 600 => Self::Busy,
            401 | 402 | 403 | 407 | 603 | 607 | 608 => Self::Rejected,
            408 => Self::NoAnswer,
            488 | 606 => Self::NotAcceptable,
            _ => Self::Unreachable,
        }
    }
}

/// What a refusal of an agent's phone means for the queue engine.
pub(crate) fn failure_of_refusal(status: Status) -> Failure {
    match status.0 {
        486 | 600 => Failure::Busy,
        401 | 402 | 403 | 407 | 603 | 607 | 608 => Failure::Rejected,
        _ => Failure::NoAnswer,
    }
}

/// The Reason of the CANCEL that tells a phone that another one answered: it then lists no missed call.
pub(crate) fn answered_elsewhere() -> Reason {
    Reason {
        protocol: "SIP".to_owned(),
        cause: 200,
        text: "Call completed elsewhere".to_owned(),
    }
}
