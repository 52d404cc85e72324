//! The exchange: every call, the queue engine and the SIP endpoint behind four kinds of method.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use media::mixer::{Command, Port};
use sip::{Flow, Message};

use crate::{CallRecord, Settings};

/// A call's number: counts from the start of the switch; with the start's wall time it names the call for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What must leave.
#[derive(Debug)]
pub enum Output {
    /// SIP octets.
    Transmit {
        /// Where to.
        flow: Flow,
        /// The message.
        octets: Bytes,
    },
    /// For the RTP worker `worker`.
    Media {
        /// The worker that holds the leg's port.
        worker: u16,
        /// What to do.
        command: Command,
    },
    /// Write and flush this, then tell `handle_record_written`.
    CallRecord {
        /// The call, kept until the record is safe.
        call: CallId,
        /// The record.
        record: Box<CallRecord>,
    },
}

/// Why the exchange wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// SIP.
    Sip(sip::endpoint::Wake),
    /// The queue engine.
    Queue(queue::Wake),
    /// A call's own deadline: an announcement, a ring timeout.
    Call,
}

/// The whole switch without its sockets. After every `handle_*` or command, drain `poll_output`.
#[derive(Debug)]
pub struct Exchange {}

#[expect(unused_variables, clippy::needless_pass_by_ref_mut, reason = "skeleton")]
impl Exchange {
    /// An exchange without calls. `now` and `wall` are the same moment: the one anchor of all wall times in records.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], now: Instant, wall: SystemTime) -> Self {
        unimplemented!()
    }
    /// Takes new settings atomically: standing calls, bindings and live agent statuses stay.
    pub fn configure(&mut self, settings: Settings, now: Instant) {
        unimplemented!()
    }
    /// RTP ports that are bound and free to use.
    pub fn handle_ports(&mut self, ports: &[Port]) {
        unimplemented!()
    }
    /// A SIP message came.
    pub fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        unimplemented!()
    }
    /// A connection closed or could not be opened.
    pub fn handle_flow_closed(&mut self, flow: Flow, now: Instant) {
        unimplemented!()
    }
    /// An RTP worker or the recorder tells something.
    pub fn handle_media(&mut self, event: media::Event, now: Instant) {
        unimplemented!()
    }
    /// The call's record is on disk: the call may be forgotten.
    pub fn handle_record_written(&mut self, call: CallId) {
        unimplemented!()
    }
    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        unimplemented!()
    }
    /// No new calls from now: 503 with Retry-After. Standing calls go on.
    pub fn drain(&mut self, retry_after: Duration) {
        unimplemented!()
    }
    /// Ends every call (the limit of a graceful stop is over).
    pub fn hang_up_all(&mut self, now: Instant) {
        unimplemented!()
    }
    /// What must leave next.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }
    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        unimplemented!()
    }
    /// Calls that are not forgotten yet.
    #[must_use]
    pub fn calls(&self) -> usize {
        unimplemented!()
    }
    /// Accounts with at least one binding.
    #[must_use]
    pub fn registered(&self) -> usize {
        unimplemented!()
    }
}
