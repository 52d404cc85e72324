//! SIP over UDP: one message a datagram (RFC 3261 section 18).

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use ::sip::message::Fault;
use ::sip::overload::{self, Class, Rank};
use ::sip::{Flow, Message, Transport};
use bytes::Bytes;
use rustix::net::sockopt;
use rustix::net::{SocketFlags, SocketType, socket_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tracing::debug;

use super::Arrival;
use super::entrance::{Entrance, Verdict};
use super::limits::{
    DATAGRAM_BATCH, REFUSALS, REFUSALS_AT_ONCE, Tally, UDP_RECEIVE_BUFFER, UDP_SEND_QUEUE,
};
use super::local::{Routes, family};
use super::shut::Shut;
use super::surplus::Surplus;

/// The largest datagram, in octets.
const MAX_DATAGRAM: usize = 65_535;

/// Octets of a datagram that can be a keep-alive: four, with room for phones that send more.
const MAX_KEEP_ALIVE: usize = 16;

/// The sending side of a listening UDP socket.
#[derive(Debug)]
pub(super) struct UdpListener {
    local: SocketAddr,
    socket: Arc<UdpSocket>,
    waiting: mpsc::Sender<(Bytes, SocketAddr)>,
    tally: Arc<Tally>,
}

impl UdpListener {
    /// The sending side of `socket`, and the task that sends what had to wait.
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        tally: Arc<Tally>,
    ) -> io::Result<(Self, impl Future<Output = ()> + use<>)> {
        let (waiting, queue) = mpsc::channel(UDP_SEND_QUEUE);
        let late = send_late(Arc::clone(&socket), queue, Arc::clone(&tally));
        let local = socket.local_addr()?;
        let listener = Self {
            local,
            socket,
            waiting,
            tally,
        };
        Ok((listener, late))
    }

    /// The bound address.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether flows with this local address are this socket's.
    pub(super) fn serves(&self, local: SocketAddr) -> bool {
        self.local == local
            || self.local.ip().is_unspecified()
                && self.local.port() == local.port()
                && self.local.is_ipv4() == local.is_ipv4()
    }

    /// Sends a message now, or as soon as the socket has room; never blocks.
    pub(super) fn send(&self, octets: Bytes, to: SocketAddr) {
        // What waits goes first.
        let idle = self.waiting.capacity() == self.waiting.max_capacity();
        if idle {
            match self.socket.send_to(&octets, to) {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    debug!(%error, "datagram not sent");
                    return self.tally.unsent.add();
                }
            }
        }
        if self.waiting.try_send((octets, to)).is_err() {
            self.tally.unsent.add();
        }
    }
}

/// A bound socket that never blocks.
///
/// tokio's own UDP socket would be watched for room to send as well, and the kernel tells of room after each
/// datagram that has left: one wake-up of the whole thread for nothing with every message.
pub(super) fn bind(local: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family(local), SocketType::DGRAM, flags, None)?;
    if local.is_ipv6() {
        // IPv4 peers have a socket of their own, and never an address like ::ffff:192.0.2.1.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // Beyond the system's limit only with a privilege; else as much as the limit allows.
    if sockopt::set_socket_recv_buffer_size_force(&socket, UDP_RECEIVE_BUFFER).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, UDP_RECEIVE_BUFFER)?;
    }
    rustix::net::bind(&socket, &local)?;
    Ok(Arc::new(socket.into()))
}

/// Sends what found no room.
async fn send_late(
    socket: Arc<UdpSocket>,
    mut queue: mpsc::Receiver<(Bytes, SocketAddr)>,
    tally: Arc<Tally>,
) {
    while let Some((octets, to)) = queue.recv().await {
        if send_when_writable(&socket, &octets, to).await.is_err() {
            tally.unsent.add();
        }
    }
}

async fn send_when_writable(
    socket: &UdpSocket,
    octets: &[u8],
    to: SocketAddr,
) -> io::Result<usize> {
    // Through a descriptor of its own, and only while something waits.
    let watched = watch(socket.try_clone()?, Interest::WRITABLE)?;
    let send = |socket: &UdpSocket| socket.send_to(octets, to);
    watched.async_io(Interest::WRITABLE, send).await
}

/// Watches a socket for one thing.
#[expect(
    deprecated,
    reason = "sound here, as the descriptor of these sockets never changes; its successor is unsafe"
)]
fn watch<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

/// The receiving side of a listening UDP socket.
pub(super) struct Receiver {
    local: SocketAddr,
    socket: AsyncFd<Arc<UdpSocket>>,
    /// Present when the socket listens on all addresses.
    routes: Option<Routes>,
    entrance: Entrance,
    surplus: Cell<Surplus>,
    shut: Arc<Shut>,
    /// Refusals that may be sent now.
    refusals: Cell<usize>,
}

impl Receiver {
    /// The receiving side of `socket`.
    pub(super) fn new(
        socket: &Arc<UdpSocket>,
        entrance: Entrance,
        shut: Arc<Shut>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let routes = if local.ip().is_unspecified() {
            Some(Routes::new(local)?)
        } else {
            None
        };
        Ok(Self {
            local,
            socket: watch(Arc::clone(socket), Interest::READABLE)?,
            routes,
            entrance,
            surplus: Cell::new(Surplus::new(Instant::now())),
            shut,
            refusals: Cell::new(REFUSALS_AT_ONCE),
        })
    }

    /// Receives as long as the runtime lives.
    pub(super) async fn run(self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        while let Ok(mut guard) = self.socket.readable().await {
            let mut taken = 0;
            let refusals = self.refusals.get() + REFUSALS;
            self.refusals.set(refusals.min(REFUSALS_AT_ONCE));
            while taken < DATAGRAM_BATCH {
                match self.socket.get_ref().recv_from(&mut buffer) {
                    Ok((length, remote)) => self.take(&buffer[..length], remote),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        guard.clear_ready();
                        break;
                    }
                    // It belongs to one datagram and is gone with it.
                    Err(_) => {}
                }
                taken += 1;
            }
            if taken == DATAGRAM_BATCH {
                tokio::task::yield_now().await;
            }
        }
    }

    fn take(&self, datagram: &[u8], remote: SocketAddr) {
        let tally = &self.entrance.tally;
        if is_keep_alive(datagram) {
            return tally.keep_alives.add();
        }
        // Before any work.
        if self.shut.has(remote) {
            return tally.shut_out.add();
        }
        if media::stun::is_stun(datagram) {
            return self.answer_stun(datagram, remote);
        }
        match self.entrance.judge(datagram) {
            Verdict::Enters(class) => self.enter(datagram, class, remote),
            Verdict::TurnedAway(rank) => self.turn_away(datagram, rank, remote),
            Verdict::Forgotten => {}
        }
    }

    fn enter(&self, datagram: &[u8], class: Class, remote: SocketAddr) {
        let Entrance { inbox, tally, .. } = &self.entrance;
        let Ok(permit) = inbox.try_reserve() else {
            return tally.inbox_full.add();
        };
        match Message::parse(Bytes::copy_from_slice(datagram)) {
            Ok(message) => {
                let Ok(local) = self.flow_local(remote) else {
                    // There is no way back to the sender.
                    return tally.faults_dropped.add();
                };
                let transport = Transport::Udp;
                let flow = Flow {
                    transport,
                    local,
                    remote,
                };
                tally.messages.add();
                tally.enters(class, &message);
                permit.send(Arrival::Message {
                    message,
                    flow,
                    class,
                });
            }
            Err(fault) => self.answer(&fault, remote),
        }
    }

    /// Refuses what would wait for too long, or leaves it to its sender to send it again: a registration, and whatever comes when
    /// enough was refused for now.
    fn turn_away(&self, datagram: &[u8], rank: Rank, remote: SocketAddr) {
        if rank == Rank::Standing {
            return self.entrance.tally.inbox_full.add();
        }
        self.entrance.turned_away();
        let left = self.refusals.get();
        if rank.is_repeated_soon() || left == 0 {
            return;
        }
        self.refusals.set(left - 1);
        let Ok(request) = Message::parse(Bytes::copy_from_slice(datagram)) else {
            return;
        };
        let fair = ::sip::guard::fair(datagram.len());
        if let Some(answer) = overload::refusal(&request, remote).filter(|it| it.len() <= fair) {
            let to = request.response_address(remote);
            if self.socket.get_ref().send_to(&answer, to).is_err() {
                self.entrance.tally.unsent.add();
            }
        }
    }

    /// Tells a phone its own address, which also keeps its way open.
    fn answer_stun(&self, request: &[u8], remote: SocketAddr) {
        let tally = &self.entrance.tally;
        let mut surplus = self.surplus.get();
        let answer = media::stun::answer(request, remote)
            .filter(|it| surplus.allows(request.len(), it.len(), Instant::now()));
        self.surplus.set(surplus);
        match answer {
            Some(answer) if self.socket.get_ref().send_to(&answer, remote).is_ok() => {
                tally.keep_alives.add();
            }
            Some(_) => tally.unsent.add(),
            None => tally.faults_dropped.add(),
        }
    }

    /// Answers a faulty request without keeping state: one answer for one request, never repeated
    /// (RFC 3261 section 8.2.7).
    fn answer(&self, fault: &Fault, remote: SocketAddr) {
        let tally = &self.entrance.tally;
        let Some(request) = &fault.request else {
            return tally.faults_dropped.add();
        };
        // Over UDP nobody knows who asked.
        let fair = ::sip::guard::fair(request.octets().len());
        let Some(answer) = fault.answers(remote).find(|answer| answer.len() <= fair) else {
            return tally.faults_dropped.add();
        };
        debug!(%fault, "faulty request answered");
        tally.faults_answered.add();
        let to = request.response_address(remote);
        if self.socket.get_ref().send_to(&answer, to).is_err() {
            tally.unsent.add();
        }
    }

    /// Our address as the peer sees it.
    fn flow_local(&self, remote: SocketAddr) -> io::Result<SocketAddr> {
        match &self.routes {
            None => Ok(self.local),
            Some(routes) => routes.local(remote, self.local.port()),
        }
    }
}

/// Line ends (RFC 5626 section 3.5.1), zeros or nothing at all: what phones send to keep a NAT's mapping.
fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.len() <= MAX_KEEP_ALIVE && datagram.iter().all(|octet| b"\r\n\0".contains(octet))
}
