//! The table of open connections: who may open one, and who must go when there are too many.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ::sip::Flow;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::limits::{ConnectionLimits, Tally, WRITE_QUEUE};

/// A connection, counted from the start: tells it from an older one of the same flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(u64);

/// What a connection's task gets.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) id: ConnectionId,
    pub(super) flow: Flow,
    /// What to write; its end closes the connection.
    pub(super) queue: mpsc::Receiver<Bytes>,
    /// For answers to keep-alives, which the task writes by itself.
    pub(super) pong: mpsc::WeakSender<Bytes>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It will be written.
    Queued,
    /// There is no such connection.
    NoConnection,
    /// Its peer does not read; it is closed.
    Overflow,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    writer: mpsc::Sender<Bytes>,
    /// The peer will send nothing more: requests would get no answer here.
    takes_requests: bool,
}

/// The open connections by their flows.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    tally: Arc<Tally>,
    open: HashMap<Flow, Connection>,
    per_address: HashMap<IpAddr, usize>,
    /// Accepted ones that sent no message yet, oldest first: the ones that make room.
    unproven: BTreeMap<ConnectionId, Flow>,
    next: u64,
}

impl Connections {
    /// An empty table.
    pub(super) fn new(limits: ConnectionLimits, tally: Arc<Tally>) -> Self {
        Self {
            limits,
            tally,
            open: HashMap::new(),
            per_address: HashMap::new(),
            unproven: BTreeMap::new(),
            next: 0,
        }
    }

    /// A connection that a peer opened. None: there are too many.
    pub(super) fn accept(&mut self, flow: Flow) -> Option<Ticket> {
        let ticket = self.insert(flow)?;
        self.unproven.insert(ticket.id, flow);
        Some(ticket)
    }

    /// A connection that we open, with its first message. None: there are too many.
    pub(super) fn open(&mut self, flow: Flow, first: Bytes) -> Option<Ticket> {
        let ticket = self.insert(flow)?;
        let sent = self.send(flow, first);
        debug_assert_eq!(sent, Sent::Queued, "a new queue has room");
        Some(ticket)
    }

    /// Queues a message for writing.
    pub(super) fn send(&mut self, flow: Flow, octets: Bytes) -> Sent {
        let is_request = !octets.starts_with(b"SIP/2.0 ");
        let connection = self.open.get(&flow);
        let connection = connection.filter(|it| it.takes_requests || !is_request);
        let Some(connection) = connection else {
            return Sent::NoConnection;
        };
        match connection.writer.try_send(octets) {
            Ok(()) => Sent::Queued,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.remove(flow);
                Sent::Overflow
            }
            // Its task has ended and says so soon.
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.remove(flow);
                Sent::NoConnection
            }
        }
    }

    /// A message came: this peer speaks SIP, and its connection is no longer the first to go.
    pub(super) fn prove(&mut self, flow: Flow) {
        if let Some(connection) = self.open.get(&flow) {
            self.unproven.remove(&connection.id);
        }
    }

    /// The peer has closed its sending half: what it asked before is still answered, and nothing more is asked.
    pub(super) fn half_closed(&mut self, flow: Flow, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&flow)
            && connection.id == id
        {
            connection.takes_requests = false;
        }
    }

    /// A connection's task has ended. False: the flow has a newer connection, or was given up before.
    pub(super) fn ended(&mut self, flow: Flow, id: ConnectionId) -> bool {
        let known = self
            .open
            .get(&flow)
            .is_some_and(|connection| connection.id == id);
        if known {
            self.remove(flow);
        }
        known
    }

    /// Ends connections when what is queued is written; gives their flows.
    pub(super) fn close(&mut self, which: impl Fn(&Flow) -> bool) -> Vec<Flow> {
        let flows: Vec<Flow> = self.open.keys().copied().filter(which).collect();
        for flow in &flows {
            self.remove(*flow);
        }
        flows
    }

    /// Ends all connections when what is queued is written.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.per_address.clear();
        self.unproven.clear();
    }

    fn insert(&mut self, flow: Flow) -> Option<Ticket> {
        // The old connection of the same addresses is dead, for the peer uses its port again.
        self.remove(flow);
        if !self.make_room(flow.remote.ip()) {
            self.tally.connections_refused.add();
            return None;
        }
        let id = ConnectionId(self.next);
        self.next += 1;
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let pong = writer.downgrade();
        let connection = Connection {
            id,
            writer,
            takes_requests: true,
        };
        self.open.insert(flow, connection);
        *self.per_address.entry(flow.remote.ip()).or_default() += 1;
        Some(Ticket {
            id,
            flow,
            queue,
            pong,
        })
    }

    /// Whether there is room for one more connection with `address`, if need be made by the oldest one
    /// that has sent no message.
    fn make_room(&mut self, address: IpAddr) -> bool {
        let here = self.per_address.get(&address).copied().unwrap_or_default();
        let mut unproven = self.unproven.values();
        let victim = if here >= self.limits.connections_per_address {
            unproven.find(|flow| flow.remote.ip() == address)
        } else if self.open.len() >= self.limits.connections {
            unproven.next()
        } else {
            return true;
        };
        let Some(victim) = victim.copied() else {
            return false;
        };
        self.remove(victim);
        self.tally.connections_evicted.add();
        true
    }

    fn remove(&mut self, flow: Flow) {
        if let Some(connection) = self.open.remove(&flow) {
            self.unproven.remove(&connection.id);
            let address = flow.remote.ip();
            if let Some(count) = self.per_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.per_address.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ::sip::Transport;

    use super::*;

    fn table(connections: usize, connections_per_address: usize) -> Connections {
        let limits = ConnectionLimits {
            connections,
            connections_per_address,
            ..ConnectionLimits::default()
        };
        Connections::new(limits, Arc::default())
    }

    fn flow(host: u8, port: u16) -> Flow {
        Flow {
            transport: Transport::Tcp,
            local: SocketAddr::from(([127, 0, 0, 1], 5060)),
            remote: SocketAddr::from(([192, 0, 2, host], port)),
        }
    }

    #[test]
    fn at_the_limit_the_oldest_silent_connection_makes_room() {
        let mut table = table(3, 3);
        let talker = table.accept(flow(1, 1)).unwrap();
        let mut silent = table.accept(flow(1, 2)).unwrap();
        let _younger = table.accept(flow(2, 3)).unwrap();
        table.prove(talker.flow);
        let _new = table.accept(flow(3, 4)).unwrap();
        assert!(silent.queue.try_recv().is_err() && silent.queue.is_closed());
        assert!(!table.ended(silent.flow, silent.id), "it is gone already");
        assert_eq!(table.send(talker.flow, Bytes::new()), Sent::Queued);
        assert_eq!(table.tally.counters().connections_evicted, 1);
    }

    #[test]
    fn one_address_cannot_push_out_another() {
        let mut table = table(10, 2);
        let other = table.accept(flow(2, 1)).unwrap();
        let (first, second) = (table.accept(flow(1, 1)), table.accept(flow(1, 2)));
        let third = table.accept(flow(1, 3)).unwrap();
        assert!(first.unwrap().queue.is_closed());
        assert!(!other.queue.is_closed());
        table.prove(second.unwrap().flow);
        table.prove(third.flow);
        assert!(table.accept(flow(1, 4)).is_none(), "both talk");
        assert_eq!(table.tally.counters().connections_refused, 1);
        assert!(table.ended(third.flow, third.id));
        assert!(table.accept(flow(1, 4)).is_some());
    }

    #[test]
    fn a_peer_that_does_not_read_loses_its_connection() {
        let mut table = table(10, 10);
        let mut ticket = table.open(flow(1, 1), Bytes::from("0")).unwrap();
        for _ in 1..WRITE_QUEUE {
            assert_eq!(table.send(ticket.flow, Bytes::new()), Sent::Queued);
        }
        assert_eq!(table.send(ticket.flow, Bytes::new()), Sent::Overflow);
        assert_eq!(table.send(ticket.flow, Bytes::new()), Sent::NoConnection);
        assert_eq!(ticket.queue.try_recv().unwrap(), "0");
    }

    #[test]
    fn the_end_of_an_old_connection_leaves_the_new_one_of_the_same_flow() {
        let mut table = table(10, 10);
        let old = table.accept(flow(1, 1)).unwrap();
        let new = table.accept(flow(1, 1)).unwrap();
        assert!(old.queue.is_closed());
        assert!(!table.ended(old.flow, old.id));
        assert_eq!(table.send(new.flow, Bytes::new()), Sent::Queued);
        assert!(table.ended(new.flow, new.id));
        assert!(table.per_address.is_empty() && table.unproven.is_empty());
    }
}
