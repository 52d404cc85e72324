//! The SIP trace: what passes between the switch and its peers, decrypted, for whoever asks at the control socket; and beside it
//! the answers to `ringmaster why`, and what `ringmaster do` wants.
//!
//! ```text
//! control loop --Tap--> hub thread --a bounded queue each--> writer threads --Unix socket--> `ringmaster trace`
//!                                                       +--> exporting thread --HEP3, UDP--> collector
//! ```
//! While nobody watches, a message costs one branch. While somebody does, the control loop never waits: what a slow reader
//! does not take is counted, and the reader is told. Which call a dialog belongs to is known to call control, which tells
//! it while somebody watches; filters, ladders and files are the work of the reader's own process.

mod book;
pub(crate) mod command;
mod decided;
mod door;
mod filter;
mod find;
mod frame;
mod hep;
mod hub;
mod ladder;
pub(crate) mod orders;
mod pcap;
mod secrets;
mod text;
pub(crate) mod why;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip::Flow;

pub(crate) use command::Options;
pub(crate) use filter::{Filter, NoNetwork};
pub(crate) use find::SOCKET_NAME;
pub(crate) use hep::Export;
pub(crate) use hub::{Tap, Trace};
pub(crate) use orders::{ORDERS, Wanted, Word, word};
pub(crate) use why::Question;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// From a peer to the switch.
    Received,
    /// From the switch to a peer.
    Sent,
}

/// A message that passed the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Passed {
    /// When, since 1970.
    at: Duration,
    direction: Direction,
    flow: Flow,
    octets: Bytes,
}

impl Passed {
    fn source(&self) -> SocketAddr {
        match self.direction {
            Direction::Received => self.flow.remote,
            Direction::Sent => self.flow.local,
        }
    }

    fn destination(&self) -> SocketAddr {
        match self.direction {
            Direction::Received => self.flow.local,
            Direction::Sent => self.flow.remote,
        }
    }
}

/// Which call a dialog belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dialog {
    /// The call's name, as in its record.
    call: String,
    call_id: String,
}
