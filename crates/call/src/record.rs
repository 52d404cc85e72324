//! The call record: what happened, as one line of JSON.
//!
//! Times are RFC 3339 in UTC with milliseconds; durations are whole milliseconds of the monotonic clock.

use serde::{Deserialize, Serialize};

use crate::{Cause, Party};

/// Most legs that one record lists: a caller who waits all day on agents who do not answer makes no record of megabytes.
pub const MAX_LEGS: usize = 200;

/// One call, written when all its legs are closed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// The call's name, unique over restarts; it stands in logs and recording names.
    pub call: String,
    /// The caller's account, or the number that a trunk says.
    pub caller: String,
    /// The display name that the caller sent.
    pub caller_name: Option<String>,
    /// What the caller dialled.
    pub dialled: String,
    /// When the INVITE came.
    pub start: String,
    /// When the caller's leg was answered.
    pub answer: Option<String>,
    /// When the call ended.
    pub end: String,
    /// From `start` to `end`, in milliseconds.
    pub duration_ms: u64,
    /// Why it ended.
    pub cause: Cause,
    /// Who ended it.
    pub ended_by: Party,
    /// The queues that the call waited in, in order.
    pub queues: Vec<Visit>,
    /// What was asked for by REFER, or taken over by Replaces, in order; at most 100.
    pub transfers: Vec<TransferRecord>,
    /// The names of calls that an attended transfer joined with this one: their legs, queues and recordings are listed here.
    pub joined_calls: Vec<String>,
    /// The phones whose users listened to the call, or spoke in it, as its supervisors.
    pub supervisors: Vec<String>,
    /// The recordings, in order.
    pub recordings: Vec<RecordingRecord>,
    /// Every leg, in order; at most [`MAX_LEGS`], and then the oldest that were not answered are left out.
    pub legs: Vec<LegRecord>,
    /// Legs that are not listed.
    pub legs_omitted: usize,
}

/// A call's wait in one queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Visit {
    /// The queue.
    pub queue: String,
    /// When the caller joined it (after the start sound).
    pub joined: String,
    /// How long it waited, in milliseconds.
    pub wait_ms: u64,
    /// How the wait ended.
    pub outcome: Outcome,
    /// The agent who served the call.
    pub agent: Option<String>,
    /// How long they talked, in milliseconds.
    pub talk_ms: u64,
    /// For how long of it one of the two held, in milliseconds.
    pub hold_ms: u64,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An agent answered.
    Answered,
    /// The caller hung up.
    Abandoned,
    /// The caller pressed the exit key.
    ExitKey,
    /// Somebody led the caller elsewhere by a command.
    Moved,
    /// The caller waited for `max_wait_time`.
    MaxWaitTime,
    /// The caller waited for `max_wait_time_with_no_agent`.
    NoAgent,
    /// The queue was removed from the configuration, or the switch was stopped.
    Closed,
}

/// One transfer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransferRecord {
    /// When it was asked for.
    pub at: String,
    /// How.
    pub kind: TransferKind,
    /// The account that asked for it.
    pub by: String,
    /// The number, or for a joined call the account, that the other party was to be connected with.
    pub to: String,
    /// How it ended: 200, or the status that the other call failed with (487: the call ended before).
    pub status: u16,
}

/// How a transfer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferKind {
    /// REFER with a number.
    Blind,
    /// REFER with another call of the same phone (Replaces).
    Attended,
    /// INVITE with Replaces: a phone takes a call over from another.
    Pickup,
    /// A command: a phone takes the place of an agent, or of who was called. It is `by`, and `to` is whose place it takes.
    Intercept,
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordingRecord {
    /// Its file, below the recordings folder.
    pub path: String,
    /// When it began.
    pub start: String,
    /// When it ended.
    pub end: String,
    /// Length of its audio, in milliseconds.
    pub duration_ms: u64,
    /// When the agent had it paused: silence stands there.
    pub pauses: Vec<Pause>,
    /// What is missing, and why.
    pub error: Option<String>,
}

/// A time in which nothing was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pause {
    /// When it began.
    pub start: String,
    /// When it ended.
    pub end: String,
}

/// One leg.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LegRecord {
    /// Its number, unique since the start of the switch.
    pub leg: u64,
    /// `caller`, `callee` or `agent`.
    pub role: &'static str,
    /// The phone, or the trunk.
    pub account: String,
    /// The account whose allowance it counts against, if it is a call outside.
    pub paid_by: Option<String>,
    /// The number that was called over a trunk, as its rules wrote it.
    pub number: Option<String>,
    /// The agent, if the leg is one's.
    pub agent: Option<String>,
    /// The Call-ID of its dialog.
    pub call_id: Option<String>,
    /// Where its SIP comes from: `udp 192.0.2.7:5060`.
    pub flow: String,
    /// When its INVITE came or left.
    pub start: String,
    /// When it began to ring.
    pub ring: Option<String>,
    /// When it was answered.
    pub answer: Option<String>,
    /// When it ended.
    pub end: String,
    /// The final status of its INVITE.
    pub status: Option<u16>,
    /// The codec agreed on.
    pub codec: Option<&'static str>,
    /// How its RTP was encrypted: the suite of SRTP, or `DTLS-SRTP`, whose suite the handshake chose.
    pub srtp: Option<&'static str>,
    /// Its RTP, if it had any.
    pub media: Option<MediaRecord>,
}

/// The RTP of one leg.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MediaRecord {
    /// Packets from the phone.
    pub received: u64,
    /// Packets to the phone.
    pub sent: u64,
    /// Packets from the phone that never came (RFC 3550 appendix A.3).
    pub lost: u64,
    /// Packets dropped: from a stranger, or malformed.
    pub rejected: u64,
    /// Interarrival jitter at the end, in milliseconds (RFC 3550 section 6.4.1).
    pub jitter_ms: f64,
    /// The highest jitter, in milliseconds.
    pub max_jitter_ms: f64,
    /// The longest time in which nothing came from the phone, while nobody held the other, in milliseconds.
    pub longest_pause_ms: f64,
    /// How well the phone could be understood: the mean opinion score by ITU-T G.107, 1 to 4.4; none if nothing came.
    pub mos: Option<f64>,
    /// How long a packet takes to the phone and back, on average, in milliseconds, as the phone's reports show (RTCP).
    pub round_trip_ms: Option<f64>,
    /// What the phone reported of what it heard.
    pub reported: Option<ReportedMedia>,
    /// What was wrong with the phone's sound, in words; none if nothing was.
    pub trouble: Option<String>,
}

/// What came to a phone, as it reports itself (RFC 3550 section 6.4).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportedMedia {
    /// Packets to the phone that never came there.
    pub lost: u64,
    /// The highest jitter there, in milliseconds.
    pub max_jitter_ms: f64,
    /// How well the phone could hear: its own score (RFC 3611 section 4.7), or that of what it reports by ITU-T G.107.
    pub mos: f64,
}
