//! What an INVITE says: one that came, and one of ours.

use bytes::Bytes;

use super::{Account, Binding, LegId};
use crate::uri::escape_user;
use crate::{Flow, Header};

/// Branches that a call has which does not say (RFC 5393 section 5.3.3), and the most that we make of one that says more.
pub const MAX_BREADTH: usize = 60;

/// An INVITE outside a dialog that passed all checks of RFC 3261 sections 8.2 and 22; 100 has been sent.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Who calls: the account that authenticated, or the peer that it came from.
    pub account: Account,
    /// The user part of From, unescaped: the account's own name, or the number that a peer says.
    pub caller: String,
    /// The display name that it calls itself, unquoted.
    pub display: Option<String>,
    /// Who is called must not see who calls (RFC 3323).
    pub private: bool,
    /// The user part of the Request-URI, unescaped: what was dialled.
    pub dialled: String,
    /// How many hops the call may still take (RFC 3261 section 16.6, item 3); at least 1.
    pub max_forwards: u8,
    /// How many branches may ring at once for it, at most [`MAX_BREADTH`].
    pub max_breadth: usize,
    /// The session description, if the INVITE had one.
    pub offer: Option<Bytes>,
    /// The Call-ID, for records and traces.
    pub call_id: String,
    /// Where it came from.
    pub flow: Flow,
    /// The caller asked for a `sips:` URI: nothing of the call may go unencrypted (RFC 3261 section 26.2.2).
    pub secure: bool,
    /// The caller takes provisional responses reliably (RFC 3262): they may carry session descriptions that count.
    pub reliable: bool,
    /// The leg that it is to take the place of (RFC 3891): it has not ended.
    pub replaces: Option<LegId>,
}

/// An INVITE of ours.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The binding to call: Request-URI and flow.
    pub binding: Binding,
    /// The caller as the called phone should show it: user part.
    pub caller: String,
    /// The caller's display name.
    pub display: Option<String>,
    /// The called phone shows nobody as the caller (RFC 3323).
    pub private: bool,
    /// The session description that we offer.
    pub offer: Bytes,
    /// How many hops the call may still take (RFC 7332 section 4: carried on by who stands between).
    pub max_forwards: u8,
    /// How many branches the call may have from there on (RFC 5393 section 5.3.3); at least 1.
    pub max_breadth: usize,
    /// Who had this phone called for another: the value of Referred-By (RFC 3892).
    pub referred_by: Option<String>,
    /// What a trunk wants to see; none for a phone of ours.
    pub upstream: Option<Upstream>,
}

/// How an INVITE of ours names the parties to a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The called number: user part of To.
    pub number: String,
    /// The host of To.
    pub domain: String,
    /// The host of From.
    pub caller_domain: String,
    /// The user part of our Contact, if it differs from the caller's.
    pub line: Option<String>,
    /// Who the caller is, besides From.
    pub identity: Option<Identity>,
}

/// Who the caller is, for those who decide about it (RFC 3325).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// We vouch for this number at the peer's domain: P-Asserted-Identity, for peers who believe us.
    Asserted(String),
    /// The peer shall vouch for it: P-Preferred-Identity.
    Preferred(String),
}

impl Outgoing {
    /// The fields of the INVITE that no later request of its dialog has.
    pub(super) fn opening(&self) -> Vec<(Header, Box<str>)> {
        let mut opening = vec![(Header::MaxBreadth, self.max_breadth.to_string().into())];
        opening.extend(
            self.referred_by
                .as_deref()
                .map(|by| (Header::ReferredBy, by.into())),
        );
        let Some(upstream) = &self.upstream else {
            return opening;
        };
        opening.extend(upstream.identity.as_ref().map(|identity| {
            let (header, number) = match identity {
                Identity::Asserted(number) => (Header::PAssertedIdentity, number),
                Identity::Preferred(number) => (Header::PPreferredIdentity, number),
            };
            let uri = format!("<sip:{}@{}>", escape_user(number), upstream.domain);
            (header, uri.into())
        }));
        if self.private {
            // RFC 3323 section 4.2, RFC 3325 section 9.3: what the peer knows of the caller by itself is hidden, too.
            opening.push((Header::Privacy, "id".into()));
        }
        opening
    }
}
