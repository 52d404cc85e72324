//! Another way for what a closed connection may have lost, and connections that peers let us use (RFC 5923).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::leg::Leg;
use super::peers::Peers;
use super::{Endpoint, LegId};
use crate::transaction::{Elsewhere, Purpose};
use crate::{Flow, Message, Transport};

/// How often one request changes its way: a connection to where the phone says it is, and the phone's next one of its own.
const MAX_TRIES: u8 = 3;

/// The way of a request of ours whose connection closed (RFC 3261 sections 12.2.1.2 and 18.4). Inside dialogs nobody else could be
/// asked. What begins outside has its own next target; but where a connection to a peer stood (`stood`), the peer may have
/// closed it for want of use just then, and gets the request once more over a new one.
fn another_way(
    legs: &BTreeMap<LegId, Leg>,
    peers: &Peers,
    purpose: Purpose,
    tries: u8,
    (closed, stood): (Flow, bool),
) -> Elsewhere {
    if purpose.in_dialog().is_none() && stood && tries == 0 {
        return Elsewhere::Over(closed);
    }
    let leg = purpose.in_dialog().and_then(|leg| legs.get(&leg));
    let Some(leg) = leg.filter(|_| tries < MAX_TRIES) else {
        return Elsewhere::Nowhere;
    };
    if leg.dialog.flow != closed {
        return Elsewhere::Over(leg.dialog.flow);
    }
    let is_peer = |remote: &SocketAddr| peers.values().any(|peer| peer.is_at(*remote));
    let remote = match closed.transport {
        // No phone has us connect to another host than its own.
        Transport::Tcp => leg
            .dialog
            .next_hop()
            .filter(|hop| hop.ip() == closed.remote.ip() || is_peer(hop)),
        // Whoever is there has to prove its name, and only those of peers are known.
        Transport::Tls => leg.dialog.next_hop().filter(is_peer),
        Transport::Udp | Transport::Ws | Transport::Wss => None,
    };
    match remote.or(Some(closed.remote).filter(is_peer)) {
        Some(remote) if tries == 0 => Elsewhere::Over(Flow { remote, ..closed }),
        // A phone comes back by itself.
        Some(_) | None => Elsewhere::Later,
    }
}

impl Endpoint {
    /// A connection closed or could not be opened.
    pub fn handle_flow_closed(&mut self, flow: Flow, now: Instant) {
        let changes = self.registrar.flow_closed(flow);
        self.leave(flow);
        let (legs, peers) = (&self.legs, &self.peers);
        let closed = (flow, self.wire.layer.standing.remove(&flow));
        let elsewhere = |purpose, tries| another_way(legs, peers, purpose, tries, closed);
        for failed in self.wire.layer.flow_closed(flow, now, elsewhere) {
            self.failed(failed, now);
        }
        self.tell_reach(changes, now);
        self.drop_stale_timers();
    }

    /// Something came over a connection: if it goes to a target of a peer, it stands.
    pub(super) fn note_standing(&mut self, flow: Flow) {
        if flow.transport.is_reliable()
            && !self.wire.layer.standing.contains(&flow)
            && self.peers.values().any(|peer| peer.is_at(flow.remote))
        {
            self.wire.layer.standing.insert(flow);
        }
    }

    /// A request of a peer that lets us use its connection for the address that it names in Via (RFC 5923 section 8.2).
    ///
    /// Only for the very address that it comes from, and only for peers that we know by that address: what goes to a peer over
    /// TCP trusts the network as much. Over TLS we want a certificate of the peer's name (section 9.1), which nobody shows who
    /// connects to us, so that we open a connection of our own there.
    pub(super) fn learn_alias(&mut self, request: &Message, flow: Flow) {
        if flow.transport != Transport::Tcp || self.peers.is_empty() {
            return;
        }
        let Some(Ok(via)) = request.vias().next() else {
            return;
        };
        let asks = via.params.get("alias").is_some() && via.host.ip() == Some(flow.remote.ip());
        if asks && self.is_peer(flow) {
            let place = SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(5060));
            self.wire.layer.aliases.learn(place, flow);
        }
    }
}
