//! The places of one host of a trunk.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::endpoint::{Account, RequestId};
use sip::{Flow, Transport};
use tracing::warn;

use super::health::Health;
use super::settings::{Host, Outside, Trunk};

/// Most targets of one host; the others of a longer answer are not used.
const MAX_TARGETS: usize = 16;

/// One answer of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The transport.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
    /// Lower ones come first (RFC 2782).
    pub priority: u16,
    /// Among equals it gets this share of the calls (RFC 2782).
    pub weight: u16,
}

/// The answer of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In any order; at least one.
    pub places: Vec<Place>,
    /// For how long they hold.
    pub ttl: Duration,
}

#[derive(Debug)]
pub(super) struct LiveHost {
    pub(super) targets: Vec<Target>,
    /// When it shall be looked up (again).
    pub(super) look_up_at: Option<Instant>,
}

/// One place of a trunk.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) flow: Flow,
    /// Of the host, then of the look-up.
    pub(crate) priority: (u16, u16),
    /// The same.
    pub(crate) weight: (u16, u16),
    pub(crate) health: Health,
    /// Why its connection closed last or could not be opened, since it answered.
    pub(super) fault: Option<String>,
    /// When OPTIONS shall leave; none while one waits, or if none shall.
    pub(super) ask_at: Option<Instant>,
    /// OPTIONS that waits, and until when.
    pub(super) asking: Option<(RequestId, Instant)>,
}

impl LiveHost {
    /// Takes the places of a look-up; a target that is there already keeps its health.
    pub(super) fn take(
        &mut self,
        places: &[Place],
        host: &Host,
        trunk: &Trunk,
        outside: &Outside,
        now: Instant,
    ) {
        let mut before = std::mem::take(&mut self.targets);
        for place in places {
            let Some(local) = listener(outside, place) else {
                continue;
            };
            let flow = Flow {
                transport: place.transport,
                local,
                remote: place.address,
            };
            if self.targets.len() == MAX_TARGETS || self.targets.iter().any(|it| it.flow == flow) {
                continue;
            }
            let old = before.iter().position(|target| target.flow == flow);
            let mut target = old.map_or_else(
                || Target {
                    flow,
                    priority: (0, 0),
                    weight: (0, 0),
                    health: Health::new(),
                    fault: None,
                    ask_at: trunk.options.map(|_| now),
                    asking: None,
                },
                |old| before.swap_remove(old),
            );
            target.priority = (host.priority, place.priority);
            target.weight = (host.weight, place.weight);
            self.targets.push(target);
        }
    }
}

impl Target {
    /// Whether calls may go there: it works, or nobody but a call can find out whether it works again.
    pub(crate) fn takes_calls(&self, now: Instant) -> bool {
        let asked = self.ask_at.is_some() || self.asking.is_some();
        match self.health.down_until() {
            None => true,
            Some(until) => !asked && until <= now,
        }
    }

    /// OPTIONS has no answer within its limit.
    pub(super) fn silent(&mut self, account: &Account, trunk: &Trunk, now: Instant) {
        self.asking = None;
        self.failed(account, "no answer", None, trunk, now);
    }

    pub(super) fn failed(
        &mut self,
        account: &Account,
        why: &str,
        retry_after: Option<Duration>,
        trunk: &Trunk,
        now: Instant,
    ) {
        if self.health.take_down(retry_after, now) {
            warn!(
                trunk = &*account.0,
                why, "does not answer: it gets no calls"
            );
        }
        // It is asked again when its pause is over; the pause grows.
        self.ask_at = trunk.options.and(self.health.down_until());
    }
}

/// Our address for a place: of its transport and family; loopback is reached from loopback, the world from anywhere else.
fn listener(outside: &Outside, place: &Place) -> Option<SocketAddr> {
    let fits = |(transport, local): &&(Transport, SocketAddr)| {
        *transport == place.transport && local.is_ipv4() == place.address.is_ipv4()
    };
    let loopback = place.address.ip().is_loopback();
    let fitting: Vec<SocketAddr> = outside
        .listeners
        .iter()
        .filter(fits)
        .map(|(_, local)| *local)
        .collect();
    let same = fitting
        .iter()
        .find(|local| local.ip().is_loopback() == loopback);
    same.or(fitting.first()).copied()
}
