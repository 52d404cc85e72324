//! The stock of RTP ports that are bound and free.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use media::mixer::Port;

/// Free ports by worker and address. The RTP workers fill it; a port comes back through them when its leg is closed.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    free: BTreeMap<(u16, IpAddr), VecDeque<Port>>,
}

impl Ports {
    pub(crate) fn add(&mut self, port: Port) {
        self.free
            .entry((port.worker, port.local.ip()))
            .or_default()
            .push_back(port);
    }

    /// A port for a new leg whose SIP or sound is at `local`: on `worker` if the call has one already (legs of one call
    /// live on one worker), else on the worker with the most free ports; at the same address if there is one,
    /// else at one of the same family.
    pub(crate) fn take(&mut self, local: IpAddr, worker: Option<u16>) -> Option<Port> {
        let best = self
            .free
            .iter()
            .filter(|((w, _), ports)| worker.is_none_or(|worker| worker == *w) && !ports.is_empty())
            .filter(|((_, ip), _)| ip.is_ipv4() == local.is_ipv4())
            .max_by_key(|((_, ip), ports)| (*ip == local, ports.len()))
            .map(|(key, _)| *key)?;
        self.free.get_mut(&best)?.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.free.values().map(VecDeque::len).sum()
    }
}
