//! The RTP ports of one worker: bound ahead, offered to call control, opened, quarantined, offered again.
//!
//! ```text
//! bind --> Offered --open--> Open --close--> Quarantined --QUARANTINE--> Offered
//!                              |--lend--> Lent --its leg is gone--^
//! ```
//! A bound port is never closed again: it goes round until the worker ends. A leg may go on on another worker, which has its port as
//! a guest until the leg is closed.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::LegId;
use media::mixer::{Port, PortIndex};
use tracing::warn;

use super::share::Share;
use super::socket::{Pair, Poller};

/// How long a port rests after its leg: RTP that the old peer still sends must not enter a new call.
/// A phone stops within a round trip of the BYE; 2 s covers a BYE that is sent a second time.
pub const QUARANTINE: Duration = Duration::from_secs(2);

/// Ports that rest longer than they must, so that they come back together: each return wakes the worker and the control loop.
const RETURN_INTERVAL: Duration = Duration::from_millis(250);

/// Ports that call control holds unopened per worker and address, below which more are bound. Call control
/// takes a port when a phone begins to ring and opens it when the phone answers, so that ringing phones
/// count here too.
pub const LOW_WATER: usize = 512;

/// Ports bound beyond the low water at once, so that refills are rare.
const REFILL: usize = 256;

/// Tries to bind in one refill: at 5 us each they hold up the packets by 4 ms at the most,
/// and mostly by 1 ms.
const MAX_BINDS: usize = 768;

/// How often a worker looks whether legs that it gave away still stand.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// When to try again after the whole range was in use or the system refused a socket.
const RETRY: Duration = Duration::from_secs(1);

/// Why a leg was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Call control opened a port that it was not offered.
    #[error("the port was not offered")]
    NotOffered,
    /// The kernel cannot watch one more socket.
    #[error("the socket cannot be watched: {0}")]
    Watch(io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Call control may open it.
    Offered,
    /// A leg uses it.
    Open(LegId),
    /// Its leg lives on another worker.
    Lent,
    /// It waits for late RTP to end.
    Quarantined,
}

#[derive(Debug)]
struct Slot {
    sockets: Arc<Pair>,
    port: Port,
    /// None: it is a guest's.
    shelf: Option<usize>,
    state: State,
}

impl Slot {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }
}

/// The ports of one local address.
#[derive(Debug)]
struct Shelf {
    address: IpAddr,
    /// Which ports of the share are bound by us.
    bound: Vec<bool>,
    /// How many of them.
    ports: usize,
    /// The index in the share that is tried next.
    next: u16,
    offered: usize,
    open: usize,
}

/// The ports of one worker.
#[derive(Debug)]
pub(super) struct Stock {
    worker: u16,
    share: Share,
    shelves: Vec<Shelf>,
    /// By `PortIndex`.
    slots: Vec<Option<Slot>>,
    /// The places in it that guests have left.
    vacant: Vec<PortIndex>,
    guests: usize,
    /// The ports whose legs live elsewhere, and when to look next whether they still do.
    lent: Vec<PortIndex>,
    look_at: Option<Instant>,
    /// In the order of their ends.
    quarantine: VecDeque<(Instant, PortIndex)>,
    /// Most ports of each address that are bound.
    most: usize,
    /// Not before then is a refused bind tried again.
    retry_at: Option<Instant>,
}

impl Stock {
    /// An empty stock. The first port tried is chosen by `seed`: after a restart, RTP of the calls before it
    /// does not meet the first calls after it. At most `most` ports are bound, the same number for each address.
    pub(super) fn new(
        worker: u16,
        addresses: &[IpAddr],
        share: Share,
        most: usize,
        seed: u64,
    ) -> Self {
        let start = u16::try_from(seed % u64::from(share.count().max(1))).unwrap_or(0);
        let shelves = addresses.iter().map(|&address| Shelf {
            address,
            bound: vec![false; usize::from(share.count())],
            ports: 0,
            next: start,
            offered: 0,
            open: 0,
        });
        Self {
            worker,
            share,
            shelves: shelves.collect(),
            slots: Vec::new(),
            vacant: Vec::new(),
            guests: 0,
            lent: Vec::new(),
            look_at: None,
            quarantine: VecDeque::new(),
            most: most / addresses.len().max(1),
            retry_at: None,
        }
    }

    /// Ports that call control may open from now on: those whose quarantine is over and new ones.
    pub(super) fn replenish(&mut self, now: Instant) -> Vec<Port> {
        let mut fresh = Vec::new();
        self.take_back(now);
        let returns = self.next_return().is_some_and(|at| at <= now);
        while let Some(&(until, index)) = self.quarantine.front().filter(|_| returns)
            && until <= now
        {
            self.quarantine.pop_front();
            if let Some(slot) = &mut self.slots[usize::from(index.0)]
                && let Some(shelf) = slot.shelf
            {
                slot.sockets.clear();
                slot.state = State::Offered;
                self.shelves[shelf].offered += 1;
                fresh.push(slot.port);
            }
        }
        if self.retry_at.is_none_or(|at| at <= now) {
            self.retry_at = None;
            for shelf in 0..self.shelves.len() {
                self.bind_more(shelf, now, &mut fresh);
            }
        }
        fresh
    }

    /// When `replenish` has something to do at the latest.
    pub(super) fn next_replenish(&self) -> Option<Instant> {
        let others = self.retry_at.into_iter().chain(self.look_at);
        self.next_return().into_iter().chain(others).min()
    }

    fn next_return(&self) -> Option<Instant> {
        let (until, _) = self.quarantine.front()?;
        Some(*until + RETURN_INTERVAL)
    }

    /// Gives an offered port to a leg. What came to the port before is not the leg's.
    pub(super) fn open(
        &mut self,
        leg: LegId,
        port: Port,
        poller: &Poller,
    ) -> Result<(), OpenError> {
        let slot = self.slots.get_mut(usize::from(port.index.0));
        let slot = slot.and_then(Option::as_mut);
        let (slot, shelf) = slot
            .filter(|slot| slot.port == port && slot.state == State::Offered)
            .and_then(|slot| slot.shelf.map(|shelf| (slot, shelf)))
            .ok_or(OpenError::NotOffered)?;
        slot.sockets.clear();
        poller
            .watch(&slot.sockets, port.index)
            .map_err(OpenError::Watch)?;
        slot.state = State::Open(leg);
        let shelf = &mut self.shelves[shelf];
        shelf.offered -= 1;
        shelf.open += 1;
        Ok(())
    }

    /// Takes the port of a closed leg back into quarantine; that of a guest goes home.
    pub(super) fn close(&mut self, port: Port, now: Instant, poller: &Poller) {
        let place = &mut self.slots[usize::from(port.index.0)];
        let Some(slot) = place.as_mut().filter(|slot| slot.is_open()) else {
            return;
        };
        poller.forget(&slot.sockets);
        if let Some(shelf) = slot.shelf {
            slot.state = State::Quarantined;
            self.shelves[shelf].open -= 1;
            self.quarantine.push_back((now + QUARANTINE, port.index));
        } else {
            *place = None;
            self.vacant.push(port.index);
            self.guests -= 1;
        }
    }

    /// The leg of an open port goes on on another worker, with these sockets. A guest that goes on again leaves its place.
    pub(super) fn lend(&mut self, port: Port, now: Instant, poller: &Poller) -> Option<Arc<Pair>> {
        let slot = self.slots[usize::from(port.index.0)].as_mut();
        let slot = slot.filter(|slot| slot.is_open())?;
        let sockets = Arc::clone(&slot.sockets);
        if let Some(shelf) = slot.shelf {
            poller.forget(&sockets);
            slot.state = State::Lent;
            self.shelves[shelf].open -= 1;
            self.lent.push(port.index);
            self.look_at.get_or_insert(now + LOOK_INTERVAL);
        } else {
            self.close(port, now, poller);
        }
        Some(sockets)
    }

    /// A leg of another worker goes on here, with its sockets.
    pub(super) fn host(
        &mut self,
        leg: LegId,
        local: SocketAddr,
        sockets: Arc<Pair>,
        poller: &Poller,
    ) -> Result<Port, OpenError> {
        let index = self.vacancy().map_err(OpenError::Watch)?;
        let port = Port {
            worker: self.worker,
            index,
            local,
        };
        if let Err(error) = poller.watch(&sockets, index) {
            self.vacant.push(index);
            return Err(OpenError::Watch(error));
        }
        self.guests += 1;
        self.slots[usize::from(index.0)] = Some(Slot {
            sockets,
            port,
            shelf: None,
            state: State::Open(leg),
        });
        Ok(port)
    }

    /// A free place among the slots.
    fn vacancy(&mut self) -> io::Result<PortIndex> {
        if let Some(index) = self.vacant.pop() {
            return Ok(index);
        }
        let index = u16::try_from(self.slots.len()).map_err(io::Error::other)?;
        self.slots.push(None);
        Ok(PortIndex(index))
    }

    /// Lent ports whose legs are gone rest as others do: nobody else holds their sockets any more.
    fn take_back(&mut self, now: Instant) {
        if self.look_at.is_none_or(|at| at > now) {
            return;
        }
        for index in std::mem::take(&mut self.lent) {
            match &mut self.slots[usize::from(index.0)] {
                Some(slot) if Arc::strong_count(&slot.sockets) == 1 => {
                    slot.state = State::Quarantined;
                    self.quarantine.push_back((now + QUARANTINE, index));
                }
                Some(_) | None => self.lent.push(index),
            }
        }
        self.look_at = (!self.lent.is_empty()).then(|| now + LOOK_INTERVAL);
    }

    /// The sockets of an open leg.
    pub(super) fn open_sockets(&self, index: PortIndex) -> Option<&Pair> {
        let slot = self.slots.get(usize::from(index.0))?.as_ref()?;
        slot.is_open().then_some(&*slot.sockets)
    }

    /// The open legs and their ports.
    pub(super) fn legs(&self) -> Vec<(LegId, Port)> {
        let slots = self.slots.iter().flatten();
        let open = slots.filter_map(|slot| match slot.state {
            State::Open(leg) => Some((leg, slot.port)),
            State::Offered | State::Lent | State::Quarantined => None,
        });
        open.collect()
    }

    /// How many ports are bound.
    pub(super) fn bound_count(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.ports).sum()
    }

    /// How many legs are open.
    pub(super) fn open_count(&self) -> usize {
        let own: usize = self.shelves.iter().map(|shelf| shelf.open).sum();
        own + self.guests
    }

    /// Binds more ports of a shelf if call control has few.
    fn bind_more(&mut self, shelf: usize, now: Instant, fresh: &mut Vec<Port>) {
        let Shelf {
            offered,
            open,
            ports,
            ..
        } = self.shelves[shelf];
        // As many phones may ring as talk.
        let low_water = LOW_WATER.max(open);
        if offered >= low_water || ports >= self.most {
            return;
        }
        let mut missing = (low_water + REFILL - offered).min(self.most - ports);
        for _ in 0..MAX_BINDS.min(usize::from(self.share.count())) {
            match self.bind_next(shelf) {
                Ok(Some(port)) => {
                    fresh.push(port);
                    missing -= 1;
                    if missing == 0 {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    warn!(worker = self.worker, %error, "no more RTP sockets for now");
                    break;
                }
            }
        }
        self.retry_at = Some(now + RETRY);
    }

    /// Binds the next port of a shelf, unless it is in use, by us or by another program.
    fn bind_next(&mut self, shelf: usize) -> io::Result<Option<Port>> {
        let Shelf { address, next, .. } = self.shelves[shelf];
        self.shelves[shelf].next = (next + 1) % self.share.count();
        if self.shelves[shelf].bound[usize::from(next)] {
            return Ok(None);
        }
        let local = SocketAddr::new(address, self.share.nth(next));
        let sockets = match Pair::bind(local) {
            Ok(sockets) => sockets,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = self.vacancy()?;
        let port = Port {
            worker: self.worker,
            index,
            local,
        };
        self.slots[usize::from(index.0)] = Some(Slot {
            sockets: Arc::new(sockets),
            port,
            shelf: Some(shelf),
            state: State::Offered,
        });
        let shelf = &mut self.shelves[shelf];
        shelf.bound[usize::from(next)] = true;
        shelf.ports += 1;
        shelf.offered += 1;
        Ok(Some(port))
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::{MAX_DATAGRAM, Ready};
    use super::*;
    use std::net::UdpSocket;

    /// A stock of `count` ports on a loopback address that no other test uses.
    fn stock(host: u8, count: u16) -> Stock {
        let address = IpAddr::from([127, 77, 0, host]);
        let share = Share::new(&(20_000..=20_000 + 2 * count - 1), 0, 1);
        Stock::new(0, &[address], share, usize::MAX, 3)
    }

    fn late(now: Instant) -> Instant {
        now + QUARANTINE + RETURN_INTERVAL + RETRY
    }

    #[test]
    fn more_ports_are_bound_only_when_call_control_has_few() {
        let (mut stock, poller) = (stock(1, 2000), Poller::new().unwrap());
        let now = Instant::now();
        let first = stock.replenish(now);
        assert_eq!(first.len(), LOW_WATER + REFILL);
        assert_eq!(
            stock.next_replenish(),
            None,
            "a full refill is no failure to wait after"
        );
        assert!(stock.replenish(late(now)).is_empty());
        for (leg, &port) in (0..).zip(&first[..REFILL]) {
            stock.open(LegId(leg), port, &poller).unwrap();
        }
        assert!(stock.replenish(late(now)).is_empty());
        stock.open(LegId(999), first[REFILL], &poller).unwrap();
        assert_eq!(stock.replenish(late(now)).len(), REFILL + 1);
    }

    #[test]
    fn no_more_ports_are_bound_than_allowed_and_each_address_has_its_part() {
        let addresses = [5, 6].map(|host| IpAddr::from([127, 77, 0, host]));
        let share = Share::new(&(20_000..=20_999), 0, 1);
        let mut stock = Stock::new(0, &addresses, share, 40, 3);
        let now = Instant::now();
        let ports = stock.replenish(now);
        for address in addresses {
            let bound = ports.iter().filter(|port| port.local.ip() == address);
            assert_eq!(bound.count(), 20);
        }
        assert!(stock.replenish(late(now)).is_empty());
    }

    #[test]
    fn a_port_in_use_by_another_program_is_skipped_and_so_is_one_whose_reports_would_have_none() {
        let mut stock = stock(2, 4);
        let _others = [20_002, 20_007].map(|port| UdpSocket::bind(("127.77.0.2", port)).unwrap());
        let ports = stock.replenish(Instant::now());
        let mut ports: Vec<_> = ports.iter().map(|port| port.local.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [20_000, 20_004]);
    }

    #[test]
    fn a_closed_port_rests_and_comes_back_without_late_packets() {
        let (mut stock, poller) = (stock(3, 1), Poller::new().unwrap());
        let now = Instant::now();
        let port = stock.replenish(now)[0];
        let peer = UdpSocket::bind(("127.77.0.3", 0)).unwrap();
        peer.send_to(b"early", port.local).unwrap();
        stock.open(LegId(1), port, &poller).unwrap();
        let sockets = stock.open_sockets(port.index).unwrap();
        assert_eq!(sockets.rtp.receive(&mut [0; MAX_DATAGRAM]), None);

        stock.close(port, now, &poller);
        peer.send_to(b"late", port.local).unwrap();
        let mut ready = Ready::new();
        poller.wait(&mut ready, Some(Duration::ZERO));
        assert_eq!(ready.len(), 0, "a resting port wakes nobody");
        assert!(stock.open_sockets(port.index).is_none());
        let soon = now + QUARANTINE - Duration::from_millis(1);
        assert!(stock.replenish(soon).is_empty());
        assert!(stock.open(LegId(2), port, &poller).is_err());

        assert_eq!(
            stock.next_replenish(),
            Some(now + QUARANTINE + RETURN_INTERVAL)
        );
        assert_eq!(stock.replenish(late(now)), [port]);
        stock.open(LegId(2), port, &poller).unwrap();
        let sockets = stock.open_sockets(port.index).unwrap();
        assert_eq!(sockets.rtp.receive(&mut [0; MAX_DATAGRAM]), None);
    }

    #[test]
    fn a_lent_port_comes_back_when_its_leg_is_closed_wherever_it_went() {
        let (mut home, mut away) = (stock(7, 1), stock(8, 1));
        let pollers = [Poller::new().unwrap(), Poller::new().unwrap()];
        let now = Instant::now();
        let port = home.replenish(now)[0];
        away.replenish(now);
        home.open(LegId(1), port, &pollers[0]).unwrap();
        let sockets = home.lend(port, now, &pollers[0]).unwrap();
        assert!(home.lend(port, now, &pollers[0]).is_none());
        let guest = away.host(LegId(1), port.local, sockets, &pollers[1]);
        let guest = guest.unwrap();
        assert_eq!((home.open_count(), home.legs()), (0, vec![]));
        assert_eq!(away.legs(), [(LegId(1), guest)]);
        assert!(away.open_sockets(guest.index).is_some());
        let looked = home.next_replenish().unwrap();
        assert!(home.replenish(late(looked)).is_empty(), "its leg stands");

        away.close(guest, now, &pollers[1]);
        away.close(guest, now, &pollers[1]);
        assert_eq!((away.open_count(), away.bound_count()), (0, 1));
        let looked = home.next_replenish().unwrap();
        assert!(home.replenish(looked).is_empty(), "it rests first");
        assert_eq!(home.replenish(late(looked)), [port]);
        // The place of a guest is the next one's.
        home.open(LegId(2), port, &pollers[0]).unwrap();
        let sockets = home.lend(port, now, &pollers[0]).unwrap();
        let next = away.host(LegId(2), port.local, sockets, &pollers[1]);
        assert_eq!(next.unwrap(), guest);
    }

    #[test]
    fn no_port_is_lost_in_a_thousand_calls() {
        let (mut stock, poller) = (stock(4, 10), Poller::new().unwrap());
        let mut now = Instant::now();
        let mut free = stock.replenish(now);
        assert_eq!(free.len(), 10);
        for call in 0..1000 {
            let port = free.remove(0);
            stock.open(LegId(call), port, &poller).unwrap();
            assert!(stock.open(LegId(call), port, &poller).is_err());
            stock.close(port, now, &poller);
            stock.close(port, now, &poller);
            now += QUARANTINE / 5;
            free.extend(stock.replenish(now));
        }
        free.extend(stock.replenish(late(now)));
        free.sort_unstable();
        free.dedup();
        assert_eq!((free.len(), stock.bound_count()), (10, 10));
        assert_eq!((stock.open_count(), stock.legs()), (0, vec![]));
    }
}
