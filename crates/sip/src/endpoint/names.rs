//! Names and numbers that the endpoint and its owner share.

use crate::Flow;

/// One party's dialog (and, with the same number, its media): lives from the INVITE to its end, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// The user part of an address-of-record that may register and call: `201`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(pub std::sync::Arc<str>);

impl std::borrow::Borrow<str> for Account {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A SIP status code, 100 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

/// A Reason header field (RFC 3326): why a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: String,
    /// The status code or Q.850 cause.
    pub cause: u16,
    /// Text for people.
    pub text: String,
}

/// Where a phone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The account that registered.
    pub account: Account,
    /// Its Contact URI as it was given.
    pub contact: String,
    /// The flow it registered from.
    pub flow: Flow,
}

/// Where a 3xx sends the caller (RFC 3261 section 8.1.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirection {
    /// A number to dial here: a tel URI, or a SIP URI at a host by which the phone knows us.
    Number(String),
    /// Anything else, such as a SIP URI at another host: nothing that is dialled for a phone.
    Elsewhere,
}

/// Why a leg ended that stood (or waited for its ACK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer sent BYE, with its Reason if it gave one.
    Bye(Option<Reason>),
    /// Our 2xx was never acknowledged for 64*T1 (RFC 3261 section 13.3.1.4): BYE has been sent; or a reliable provisional
    /// response was not (RFC 3262 section 3): 504 has been sent.
    NoAck,
    /// A request in the dialog got 408 or 481 or no answer (RFC 3261 section 12.2.1.2).
    PeerGone,
    /// Nobody refreshed the session in time (RFC 4028 section 10); BYE has been sent.
    Expired,
}
