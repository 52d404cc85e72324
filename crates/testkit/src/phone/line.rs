//! The one call of a phone.

use std::net::SocketAddr;

use media::g711::Law;
use rsip::SipMessage;

use super::{Offer, PhoneState};

/// Whether the user gave up dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Giving {
    Not,
    /// CANCEL waits for a provisional answer.
    Wanted,
    /// CANCEL was sent.
    Up,
    /// BYE was sent in the early dialog (RFC 3261 section 15).
    Over,
}

/// The phone's one call.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) caller: bool,
    pub(crate) call_id: String,
    /// From of its requests, with its tag.
    pub(crate) local: String,
    /// To of its requests.
    pub(crate) remote: String,
    /// To of the last provisional answer, with the switch's tag.
    pub(crate) early: String,
    pub(crate) remote_target: String,
    /// What rings.
    pub(crate) invite: Option<SipMessage>,
    /// The branch of its first INVITE, for CANCEL.
    pub(crate) branch: String,
    pub(crate) cseq: u32,
    /// PRACKs that it sent: their numbers follow that of the INVITE, which CANCEL and ACK repeat.
    pub(crate) pracks: u32,
    /// The last RSeq that came, or that it gave.
    pub(crate) rseq: Option<u32>,
    pub(crate) state: PhoneState,
    pub(crate) tag: String,
    pub(crate) giving: Giving,
    /// A provisional answer came.
    pub(crate) proceeding: bool,
    pub(crate) challenged: bool,
    /// What it offered last.
    pub(crate) offer: Offer,
    /// Where its RTP goes, once SDP told.
    pub(crate) rtp: Option<SocketAddr>,
    /// The codec agreed on.
    pub(crate) codec: Law,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

impl Line {
    pub(crate) fn new(state: PhoneState, codec: Law) -> Self {
        Self {
            caller: false,
            call_id: String::new(),
            local: String::new(),
            remote: String::new(),
            early: String::new(),
            remote_target: String::new(),
            invite: None,
            branch: String::new(),
            cseq: 0,
            pracks: 0,
            rseq: None,
            state,
            tag: String::new(),
            giving: Giving::Not,
            proceeding: false,
            challenged: false,
            offer: Offer::Direction("sendrecv"),
            rtp: None,
            codec,
            sequence: 100,
            timestamp: 160_000,
        }
    }
}
