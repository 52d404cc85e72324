//! SIP over UDP, TCP, TLS and WebSockets, IPv4 and IPv6: sockets on one side, whole messages and flows on the other.
//!
//! ```text
//! socket tasks: receive, frame, parse --one bounded channel--> Sip::recv --> control loop
//! control loop --> Sip::send --> UDP socket, or the write queue of a connection
//! ```
//! Faulty requests are answered by the tasks, without state (RFC 3261 section 8.2.7); they never reach the
//! control loop. The table of connections belongs to `Sip` alone: nothing is locked.

mod connection;
mod connections;
mod entrance;
mod handshakes;
mod limits;
mod local;
mod shut;
mod surplus;
pub mod tls;
mod udp;
mod websocket;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::sip::guard::Stranger;
use ::sip::overload::Class;
use ::sip::{Flow, Message, Transport};
use bytes::Bytes;
use rustix::net::{SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

pub use limits::{ConnectionLimits, Counters, INBOX};

use connection::{Connection, Layers};
use connections::{ConnectionId, Connections, Sent};
use entrance::Entrance;
use handshakes::Thread;
use limits::{ACCEPT_BACKLOG, ACCEPT_PAUSE, TURN, Tally};
use shut::Shut;
use tls::Identity;
use udp::UdpListener;

/// How long `close` waits for connections to take what was sent to them.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {} {address}: {source}", .transport.via())]
pub struct BindError {
    /// The transport.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// What the transports are told at their start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where to listen; port 0 takes any free port.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// The certificate of TLS and WSS listeners.
    pub identity: Option<Identity>,
    /// The web pages that may open a WebSocket (`https://pbx.example`); none: all.
    pub origins: Vec<String>,
    /// The limits of connections.
    pub limits: ConnectionLimits,
}

/// What comes from the network.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are messages; a box would cost an allocation for each"
)]
pub enum Incoming {
    /// A message without a fault.
    Message {
        /// The message.
        message: Message,
        /// Where it came from; `flow.local` is an address of this machine that the peer can reach.
        flow: Flow,
    },
    /// The connection of a flow is closed, or could not be opened, or its peer does not read;
    /// what was sent last may be lost.
    FlowClosed {
        /// The flow.
        flow: Flow,
        /// Why, in words for the log.
        why: String,
    },
}

/// What the tasks tell `Sip`.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are messages; a box would cost an allocation for each"
)]
enum Arrival {
    Message {
        message: Message,
        flow: Flow,
        class: Class,
    },
    Accepted {
        stream: TcpStream,
        flow: Flow,
    },
    HalfClosed {
        flow: Flow,
        id: ConnectionId,
    },
    Ended {
        flow: Flow,
        id: ConnectionId,
        why: String,
    },
}

/// The SIP transports. Dropping it ends all tasks and connections at once; `close` ends them in order.
#[derive(Debug)]
pub struct Sip {
    udp: Vec<UdpListener>,
    streams: Vec<(Transport, SocketAddr)>,
    identity: Option<Identity>,
    /// Where TLS handshakes are done; there is one where a listener speaks TLS.
    thread: Option<Thread>,
    /// Who has to prove its name over TLS.
    peers: tls::Peers,
    origins: Arc<[String]>,
    connections: Connections,
    limits: ConnectionLimits,
    inbox: mpsc::Receiver<Arrival>,
    /// When the last arrival was taken out of it.
    taken: Option<Instant>,
    /// Messages taken since the socket tasks had their turn.
    in_turn: usize,
    /// For the tasks of sockets and new connections.
    entrance: Entrance,
    /// Flows that failed in `send`, to be told by `recv`, and why.
    failed: VecDeque<(Flow, &'static str)>,
    tally: Arc<Tally>,
    shut: Arc<Shut>,
    /// What receives and accepts.
    listening: JoinSet<()>,
    /// What writes: connections, and datagrams that had to wait.
    tasks: JoinSet<()>,
}

impl Sip {
    /// Listens on all the addresses. On a wildcard address each flow names the address that the peer sees. Call it
    /// within a tokio runtime.
    ///
    /// # Errors
    /// The first address that cannot be listened on, or that needs a certificate where there is none; nothing stays bound.
    pub fn bind(settings: Settings) -> Result<Self, BindError> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let tally = Arc::new(Tally::default());
        tally.set_vacancies(usize::MAX);
        let limits = settings.limits;
        let mut sip = Self {
            udp: Vec::new(),
            streams: Vec::new(),
            identity: settings.identity,
            thread: None,
            peers: tls::Peers::default(),
            origins: settings.origins.into(),
            connections: Connections::new(limits, Arc::clone(&tally)),
            limits,
            inbox,
            taken: None,
            in_turn: 0,
            entrance: Entrance::new(sender, Arc::clone(&tally)),
            failed: VecDeque::new(),
            tally,
            shut: Arc::default(),
            listening: JoinSet::new(),
            tasks: JoinSet::new(),
        };
        for (transport, address) in settings.listeners {
            let bound = match transport {
                Transport::Udp => sip.bind_udp(address),
                Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                    sip.bind_stream(transport, address)
                }
            };
            bound.map_err(|source| BindError {
                transport,
                address,
                source,
            })?;
        }
        Ok(sip)
    }

    /// The addresses listened on, with the ports that port 0 became.
    #[must_use]
    pub fn listeners(&self) -> Vec<(Transport, SocketAddr)> {
        let udp = self
            .udp
            .iter()
            .map(|listener| (Transport::Udp, listener.local()));
        udp.chain(self.streams.iter().copied()).collect()
    }

    /// What those find who connect from now on: another certificate, unless it is none, and other web pages that may open
    /// a WebSocket. Open connections stay.
    pub fn configure(&mut self, identity: Option<Identity>, origins: Vec<String>) {
        // A listener that speaks TLS could serve nobody without one.
        if identity.is_some() {
            self.identity = identity;
        }
        self.origins = origins.into();
    }

    /// Whom we connect to over TLS from now on and what each must prove, and who must prove what to connect to us. Connections
    /// stay open whose peers have to prove what they did before.
    pub fn set_peers(&mut self, peers: tls::Peers) {
        let before = std::mem::replace(&mut self.peers, peers);
        let differs = |flow: &Flow| {
            flow.transport == Transport::Tls && self.peers.differ(&before, flow.remote)
        };
        for flow in self.connections.close(differs) {
            self.failed
                .push_back((flow, "it has to prove something else"));
        }
    }

    /// Sends a message over a flow; never blocks. Over TCP without a connection one is opened from `flow.local` (any port)
    /// to `flow.remote`, over TLS if that is one of `set_peers`; when that fails, `FlowClosed` follows, as it does at once
    /// for everybody else of TLS and WebSockets, who are clients. What cannot be sent over UDP is counted, and the
    /// transaction's timers do the rest.
    pub fn send(&mut self, flow: Flow, octets: Bytes) {
        match flow.transport {
            Transport::Udp => match self.udp.iter().find(|listener| listener.serves(flow.local)) {
                Some(listener) => listener.send(octets, flow.remote),
                None => self.tally.unsent.add(),
            },
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                match self.connections.send(flow, octets.clone()) {
                    Sent::Queued => {}
                    Sent::NoConnection => self.connect(flow, octets),
                    Sent::Overflow => self.fail(flow, "the peer does not read"),
                }
            }
        }
    }

    /// Lets the socket tasks read, once enough messages were taken since they did. To be awaited between two messages.
    pub async fn take_turns(&mut self) {
        if self.in_turn >= TURN {
            self.in_turn = 0;
            tokio::task::yield_now().await;
        }
    }

    /// What comes next. May be dropped at any await and called again.
    pub async fn recv(&mut self) -> Incoming {
        loop {
            if let Some((flow, why)) = self.failed.pop_front() {
                let why = why.to_owned();
                return Incoming::FlowClosed { flow, why };
            }
            let busy = !self.inbox.is_empty();
            let Some(arrival) = self.inbox.recv().await else {
                // It ends only with the last sender, and one is ours.
                return std::future::pending().await;
            };
            let now = Instant::now();
            self.in_turn += 1;
            if let Some(taken) = self.taken.replace(now).filter(|_| busy) {
                self.tally.pace.served(now - taken);
            }
            match arrival {
                Arrival::Message {
                    message,
                    flow,
                    class,
                } => {
                    self.tally.leaves(class, &message);
                    self.connections.prove(flow);
                    return Incoming::Message { message, flow };
                }
                Arrival::Accepted { stream, flow } => self.accept(stream, flow),
                Arrival::HalfClosed { flow, id } => self.connections.half_closed(flow, id),
                Arrival::Ended { flow, id, why } => {
                    while self.tasks.try_join_next().is_some() {}
                    if self.connections.ended(flow, id) {
                        return Incoming::FlowClosed { flow, why };
                    }
                }
            }
        }
    }

    /// Lets so many calls begin from now on; the INVITEs beyond get 503 before anybody works on them. At first there is no limit.
    pub fn set_vacancies(&self, calls: usize) {
        self.tally.set_vacancies(calls);
    }

    /// Drops a stranger's datagrams unread until then. Connections are not touched.
    pub fn shut(&mut self, stranger: Stranger, until: Instant) {
        self.shut.add(stranger, until, Instant::now());
    }

    /// What the transports have done since their start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally.counters()
    }

    /// Ends in order: what was sent is written, for 2 s at the most. What still comes is dropped.
    pub async fn close(mut self) {
        self.listening.abort_all();
        self.inbox.close();
        // With the last sender of each queue its task ends, when it has written all.
        self.connections.clear();
        self.udp.clear();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // A peer that does not read in time loses its messages.
        let _ = tokio::time::timeout(CLOSE_LIMIT, ended).await;
    }

    fn bind_udp(&mut self, local: SocketAddr) -> io::Result<()> {
        let socket = udp::bind(local)?;
        let receiver = udp::Receiver::new(&socket, self.entrance.clone(), Arc::clone(&self.shut))?;
        self.listening.spawn(receiver.run());
        let (listener, late) = UdpListener::new(socket, Arc::clone(&self.tally))?;
        self.tasks.spawn(late);
        self.udp.push(listener);
        Ok(())
    }

    fn bind_stream(&mut self, transport: Transport, local: SocketAddr) -> io::Result<()> {
        if transport.is_secure() && self.identity.is_none() {
            return Err(io::Error::other("there is no certificate"));
        }
        if transport.is_secure() && self.thread.is_none() {
            self.thread = Some(Thread::start()?);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(local::family(local), SocketType::STREAM, flags, None)?;
        // A restart finds connections of the old process that still linger.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if local.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        bind(&socket, &local)?;
        listen(&socket, ACCEPT_BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        self.streams.push((transport, listener.local_addr()?));
        self.listening
            .spawn(accept(transport, listener, self.entrance.inbox.clone()));
        Ok(())
    }

    fn accept(&mut self, stream: TcpStream, flow: Flow) {
        let Some(layers) = self.layers(flow) else {
            debug!(remote = %flow.remote, "connection refused: nobody can say who has to be there");
            return;
        };
        let Some(ticket) = self.connections.accept(flow) else {
            debug!(remote = %flow.remote, "connection refused: too many");
            return;
        };
        let connection = Connection::new(ticket, self.entrance.clone(), self.limits);
        self.tasks.spawn(connection.serve(stream, layers));
    }

    /// What is spoken with who connects; none: it may not.
    fn layers(&self, flow: Flow) -> Option<Layers> {
        let identity = self.identity.as_ref();
        let handshakes = self.thread.as_ref().map(Thread::handshakes);
        let open = || identity.map(|it| Arc::clone(&it.config));
        let web_socket = || Some(Arc::clone(&self.origins));
        let (config, web_socket) = match flow.transport {
            Transport::Udp | Transport::Tcp => (None, None),
            Transport::Tls => match self.peers.guest(flow.remote.ip()) {
                Some(peer) => (Some(peer.as_ref()?.guest_config(identity?)?), None),
                None => (open(), None),
            },
            Transport::Ws => (None, web_socket()),
            Transport::Wss => (open(), web_socket()),
        };
        Some(Layers {
            tls: config.zip(handshakes),
            web_socket,
        })
    }

    fn connect(&mut self, flow: Flow, first: Bytes) {
        let tls = match flow.transport {
            Transport::Tcp => None,
            Transport::Tls => {
                let handshakes = self.thread.as_ref().map(Thread::handshakes);
                match self.peers.places.get(&flow.remote).cloned().zip(handshakes) {
                    Some(tls) => Some(tls),
                    None => return self.fail(flow, "nobody knows who has to be there"),
                }
            }
            Transport::Udp | Transport::Ws | Transport::Wss => {
                return self.fail(flow, "its peer is a client");
            }
        };
        let Some(ticket) = self.connections.open(flow, first) else {
            return self.fail(flow, "there are too many connections");
        };
        let connection = Connection::new(ticket, self.entrance.clone(), self.limits);
        self.tasks.spawn(connection.connect(tls));
    }

    fn fail(&mut self, flow: Flow, why: &'static str) {
        self.tally.unsent.add();
        self.failed.push_back((flow, why));
    }
}

/// Accepts connections as long as the inbox has room for them.
async fn accept(transport: Transport, listener: TcpListener, inbox: mpsc::Sender<Arrival>) {
    while let Ok(permit) = inbox.reserve().await {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // A connection without an address is closed already.
                if let Ok(local) = stream.local_addr() {
                    let flow = Flow {
                        transport,
                        local,
                        remote,
                    };
                    permit.send(Arrival::Accepted { stream, flow });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                debug!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
