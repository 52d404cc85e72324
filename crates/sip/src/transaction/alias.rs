//! Connections of peers that stand for an address (RFC 5923 section 8.2).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::{Flow, Transport};

/// Most connections that stand for an address; a further one does not. Sites have a few trunks.
const MAX_ALIASES: usize = 1_024;

/// TCP alone: see `Endpoint::learn_alias`.
#[derive(Debug, Default)]
pub(crate) struct Aliases(BTreeMap<SocketAddr, Flow>);

impl Aliases {
    /// What goes to this place may go over this connection.
    pub(crate) fn learn(&mut self, place: SocketAddr, flow: Flow) {
        if self.0.len() < MAX_ALIASES || self.0.contains_key(&place) {
            self.0.insert(place, flow);
        }
    }

    /// The connection that stands for this flow.
    pub(super) fn of(&self, flow: Flow) -> Option<Flow> {
        let found = self.0.get(&flow.remote).copied();
        found.filter(|found| flow.transport == Transport::Tcp && *found != flow)
    }

    /// The flow as it was asked for, if it is such a connection.
    pub(super) fn place_of(&self, flow: Flow) -> Flow {
        let mut places = self.0.iter();
        let place = places.find(|(_, connection)| **connection == flow);
        let remote = place.map_or(flow.remote, |(place, _)| *place);
        Flow { remote, ..flow }
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, flow: Flow) {
        if flow.transport == Transport::Tcp {
            self.0.retain(|_, connection| *connection != flow);
        }
    }
}
