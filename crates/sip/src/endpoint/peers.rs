//! Peers that are known by their addresses, not by a registration here: trunks.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::{Account, Endpoint};
use crate::digest::{Credentials, Ring};
use crate::token::Token;
use crate::transaction::MAGIC_COOKIE;
use crate::{Flow, Message, Transport};

/// Where requests of a peer come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The first address of a network.
    pub network: IpAddr,
    /// How many leading bits count: 32 or 128 for one address.
    pub prefix: u8,
    /// The port over UDP; none: any. Connections come from any port.
    pub port: Option<u16>,
}

impl Source {
    /// Whether the address is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = match (self.network, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        bits >= self.prefix.into()
    }

    fn has(&self, flow: Flow) -> bool {
        let port = match flow.transport {
            Transport::Udp => self.port.is_none_or(|port| port == flow.remote.port()),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => true,
        };
        port && self.contains(flow.remote.ip())
    }
}

/// A peer that is known by its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in events: no phone has it.
    pub account: Account,
    /// Where its requests come from.
    pub sources: Vec<Source>,
    /// Where requests of ours go: only there our credentials are shown.
    pub targets: Vec<SocketAddr>,
    /// What we show when it asks.
    pub credentials: Option<Credentials>,
    /// Whether it is believed who it says is calling (P-Asserted-Identity, RFC 3325 section 8).
    pub trusted: bool,
    /// Whether what comes from its sources is its own over TLS alone: the transport has its certificate verified there.
    pub proves: bool,
    /// Whether we registered there: calls to the Contact of `Credentials::line` are the peer's, wherever they come from.
    pub has_line: bool,
}

/// How we know who sent an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// An account of ours by its credentials.
    Password,
    /// A peer by where it came from.
    Address,
    /// A peer by the Contact that we registered there.
    Line,
}

/// A peer, and what our credentials have seen.
#[derive(Debug)]
pub(super) struct Known {
    sources: Vec<Source>,
    targets: Vec<SocketAddr>,
    ring: Option<Ring>,
    line: Option<String>,
    pub(super) trusted: bool,
    proves: bool,
}

impl Known {
    /// Whether requests come from it over this flow.
    fn sends_over(&self, flow: Flow) -> bool {
        let proven = !self.proves || flow.transport == Transport::Tls;
        proven && self.sources.iter().any(|source| source.has(flow))
    }

    /// Whether requests of ours go there.
    pub(super) fn is_at(&self, target: SocketAddr) -> bool {
        self.targets.contains(&target)
    }

    /// Our credentials, if requests of ours go to `target`.
    pub(super) fn ring(&mut self, target: SocketAddr) -> Option<&mut Ring> {
        let known = self.targets.contains(&target);
        self.ring.as_mut().filter(|_| known)
    }
}

/// The peers by name.
pub(super) type Peers = BTreeMap<Account, Known>;

impl Endpoint {
    /// Takes the peers in place of those before; legs of a peer that is gone go on.
    pub fn set_peers(&mut self, peers: Vec<Peer>) {
        let mut before = std::mem::take(&mut self.peers);
        for peer in peers {
            // The use of its nonces goes on.
            let old = before.remove(&peer.account).and_then(|known| known.ring);
            let line = peer.credentials.as_ref().filter(|_| peer.has_line);
            let line = line.map(Credentials::line);
            let ring = peer.credentials.map(|credentials| match old {
                Some(ring) if *ring.credentials() == credentials => ring,
                Some(_) | None => Ring::new(credentials),
            });
            let known = Known {
                sources: peer.sources,
                targets: peer.targets,
                ring,
                line,
                trusted: peer.trusted,
                proves: peer.proves,
            };
            self.peers.insert(peer.account, known);
        }
    }

    /// Who sent an INVITE: a peer by its address, anybody else by a password. `None` once it has been challenged or refused.
    pub(super) fn caller(
        &mut self,
        request: &Message,
        flow: Flow,
        now: Instant,
    ) -> Option<(Account, KnownBy)> {
        if let Some((account, known_by)) = self.peer_of(request, flow) {
            return Some((account.clone(), known_by));
        }
        let account = self.authenticate(request, flow, now)?;
        Some((account, KnownBy::Password))
    }

    /// The peer whose request this is. Two peers at one address are told apart by the line, or else by name: the first has it.
    fn peer_of(&self, request: &Message, flow: Flow) -> Option<(&Account, KnownBy)> {
        if self.peers.is_empty() {
            return None;
        }
        let user = request.uri().and_then(|uri| uri.user().map(String::from));
        let has_line = |known: &Known| known.line.is_some() && known.line == user;
        let by_line = self.peers.iter().find(|(_, known)| has_line(known));
        let by_source = || self.peers.iter().find(|(_, known)| known.sends_over(flow));
        by_line
            .map(|(account, _)| (account, KnownBy::Line))
            .or_else(|| by_source().map(|(account, _)| (account, KnownBy::Address)))
    }

    /// Whether requests of any peer come from there.
    pub(super) fn is_peer(&self, flow: Flow) -> bool {
        self.peers.values().any(|known| known.sends_over(flow))
    }

    /// Whether any peer has this address, whatever the port.
    pub(super) fn is_home_of_peer(&self, address: IpAddr) -> bool {
        let mut sources = self.peers.values().flat_map(|known| &known.sources);
        sources.any(|source| source.contains(address))
    }

    /// Whether an INVITE is one of ours that is under way, sent back to us by proxies for the same Request-URI.
    pub(super) fn came_back(&self, request: &Message) -> bool {
        let below = request.vias().skip(1).flatten();
        let mut ours = below.filter_map(|via| {
            let token = via.branch()?.strip_prefix(MAGIC_COOKIE)?;
            self.wire.layer.sent(Token::parse(token.as_bytes())?)
        });
        ours.any(|sent| {
            let sent = Message::parse(sent.clone());
            sent.is_ok_and(|sent| sent.request_uri() == request.request_uri())
        })
    }

    /// Whether requests of this peer come from there.
    pub(super) fn is_source_of(&self, account: &Account, flow: Flow) -> bool {
        self.peers
            .get(account)
            .is_some_and(|known| known.sources.iter().any(|source| source.has(flow)))
    }
}
