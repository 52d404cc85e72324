//! Requests in dialogs whose connection closed before the answer (RFC 3261 section 18.4).

use super::Layer;
use crate::Flow;
use crate::endpoint::LegId;
use crate::timers::Target;
use crate::transaction::{ClientKey, Purpose};

/// Where a request of ours goes whose connection closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// There, at once.
    Over(Flow),
    /// To wherever `resend` says, if it does so before the transaction is over.
    Later,
    /// Nobody could take it.
    Nowhere,
}

impl Layer {
    /// The peer of a leg is reached over this flow now: what waited for that leaves.
    pub(crate) fn resend(&mut self, leg: LegId, flow: Flow) {
        let stranded: Vec<ClientKey> = self.stranded.iter().copied().collect();
        for key in stranded {
            let client = self.clients.get(&key);
            if client.is_some_and(|client| client.purpose.in_dialog() == Some(leg)) {
                self.stranded.remove(&key);
                self.send_over(key, flow);
            }
        }
    }

    /// Whether a request of ours whose connection closed has another way. It stays the same transaction: a peer that has it
    /// already knows it again.
    pub(super) fn goes_elsewhere(
        &mut self,
        key: ClientKey,
        elsewhere: impl Fn(Purpose, u8) -> Elsewhere,
    ) -> bool {
        let Some(client) = self.clients.get_mut(&key) else {
            return false;
        };
        if client.fallback.is_some() || !client.may_go_elsewhere() {
            return false;
        }
        let way = elsewhere(client.purpose, client.tries);
        client.tries = client.tries.saturating_add(1);
        match way {
            Elsewhere::Over(flow) => self.send_over(key, flow),
            Elsewhere::Later => {
                self.by_flow.remove(&(client.flow, Target::Client(key)));
                self.stranded.insert(key);
            }
            Elsewhere::Nowhere => {}
        }
        way != Elsewhere::Nowhere
    }

    /// Sends a request once more, over another flow of the same transport.
    fn send_over(&mut self, key: ClientKey, flow: Flow) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let octets = client.request.clone();
        let before = std::mem::replace(&mut client.flow, flow);
        self.by_flow.remove(&(before, Target::Client(key)));
        self.index(flow, Target::Client(key));
        self.transmit(flow, octets);
    }
}
