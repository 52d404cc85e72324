//! The system calls of a worker: UDP sockets of legs and the one place where the worker waits.
//!
//! Everything that a faster kernel interface (io_uring) would replace is in this file.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use media::mixer::PortIndex;
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with, sockopt,
};

/// Longest datagram taken, in octets: more than any Ethernet frame holds; a longer one is dropped.
pub(super) const MAX_DATAGRAM: usize = 2048;

/// Datagrams thrown away at the most when a port is cleared: more than a socket's default receive buffer
/// (208 KiB, some 270 small packets) can hold, so that a sender who keeps on sending cannot hold up the worker.
const MAX_CLEARED: usize = 512;

/// Ready sockets told in one wait, in events: all that 5,000 legs get within one window of 2 ms.
const MAX_READY: usize = 1024;

/// The token of the wake-up signal; tokens of sockets are port indices of 16 bits, and never get there.
const WAKE_TOKEN: u64 = u64::MAX;

/// What the token of a socket for RTCP has more than that of the one for RTP beside it.
const RTCP_TOKEN: u64 = 1 << 16;

/// The two UDP sockets of one RTP port.
#[derive(Debug)]
pub(super) struct Pair {
    /// The even port.
    pub(super) rtp: RtpSocket,
    /// The port after it.
    pub(super) rtcp: RtpSocket,
}

impl Pair {
    /// Binds both, or neither.
    pub(super) fn bind(local: SocketAddr) -> io::Result<Self> {
        let beside = SocketAddr::new(local.ip(), local.port() | 1);
        Ok(Self {
            rtp: RtpSocket::bind(local)?,
            rtcp: RtpSocket::bind(beside)?,
        })
    }

    /// Throws away what waits to be received.
    pub(super) fn clear(&self) {
        self.rtp.clear();
        self.rtcp.clear();
    }
}

/// One UDP socket: never connected, never blocking.
#[derive(Debug)]
pub(super) struct RtpSocket(OwnedFd);

impl RtpSocket {
    /// Binds; an IPv6 socket takes no IPv4 packets.
    pub(super) fn bind(local: SocketAddr) -> io::Result<Self> {
        let family = if local.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
        if local.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        bind(&socket, &local)?;
        Ok(Self(socket))
    }

    /// Takes one datagram, if there is one of at most `MAX_DATAGRAM` octets.
    pub(super) fn receive(&self, buffer: &mut [u8; MAX_DATAGRAM]) -> Option<(usize, SocketAddr)> {
        // With TRUNC the kernel tells the true length, so that a cut datagram is seen.
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let (_, length, source) = recvfrom(&self.0, buffer, flags).ok()?;
        let source = SocketAddr::try_from(source?).ok()?;
        (length <= MAX_DATAGRAM).then_some((length, source))
    }

    /// Sends one datagram; a full send buffer is an error like any other, for RTP is not sent late.
    pub(super) fn send(&self, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        sendto(&self.0, packet, SendFlags::DONTWAIT, &to)?;
        Ok(())
    }

    /// Throws away what waits to be received.
    fn clear(&self) {
        let mut one = [0u8; 1];
        for _ in 0..MAX_CLEARED {
            if recvfrom(&self.0, &mut one, RecvFlags::DONTWAIT) == Err(Errno::AGAIN) {
                return;
            }
        }
    }
}

/// Wakes a worker from another thread.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes the worker's current or next wait return.
    pub(super) fn wake(&self) {
        // The only error is a counter at its end, and then the worker is awake already.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

/// Where a worker waits.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    wake: Waker,
}

impl Poller {
    /// A poller that watches nothing but its waker.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let token = epoll::EventData::new_u64(WAKE_TOKEN);
        epoll::add(&epoll, &wake, token, epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            wake: Waker(Arc::new(wake)),
        })
    }

    /// What wakes this poller from another thread.
    pub(super) fn waker(&self) -> Waker {
        self.wake.clone()
    }

    /// Watches the sockets of a port, level-triggered: one packet is read per wait, for that is what arrives per socket
    /// in 20 ms, and a second read would only learn that there is none.
    pub(super) fn watch(&self, sockets: &Pair, index: PortIndex) -> io::Result<()> {
        let token = u64::from(index.0);
        let readable = epoll::EventFlags::IN;
        for (socket, token) in [(&sockets.rtp, token), (&sockets.rtcp, token | RTCP_TOKEN)] {
            let token = epoll::EventData::new_u64(token);
            if let Err(error) = epoll::add(&self.epoll, &socket.0, token, readable) {
                self.forget(sockets);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Watches the sockets of a port no more.
    pub(super) fn forget(&self, sockets: &Pair) {
        // An unwatched socket is what was asked for.
        let _ = epoll::delete(&self.epoll, &sockets.rtp.0);
        let _ = epoll::delete(&self.epoll, &sockets.rtcp.0);
    }

    /// Waits until a socket is readable, the waker was used or `timeout` is over (rounded up to 1 ms).
    pub(super) fn wait(&self, ready: &mut Ready, timeout: Option<Duration>) {
        ready.0.clear();
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        // A signal that interrupts counts as a wake-up for nothing.
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut ready.0), timeout.as_ref());
    }
}

/// What a wait found; reused, never grown.
pub(super) struct Ready(Vec<epoll::Event>);

/// One entry of `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// A packet of RTP waits at that port ...
    Rtp(PortIndex),
    /// ... or one of RTCP at the port after it.
    Rtcp(PortIndex),
    /// The waker was used.
    Woken,
}

impl Ready {
    /// Room for `MAX_READY` entries.
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(MAX_READY))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there may be more ready sockets than these.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() == self.0.capacity()
    }

    /// The entry at `position`. `Woken` resets the waker of `poller`.
    pub(super) fn get(&self, position: usize, poller: &Poller) -> Readiness {
        let token = self.0[position].data.u64();
        // The index of the port: its low 16 bits.
        let index = PortIndex((token & 0xffff) as u16);
        match token & !0xffff {
            0 => Readiness::Rtp(index),
            RTCP_TOKEN => Readiness::Rtcp(index),
            _ => {
                let _ = rustix::io::read(&*poller.wake.0, &mut [0u8; 8]);
                Readiness::Woken
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::getsockname;

    fn loopback() -> RtpSocket {
        RtpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
    }

    fn address(socket: &RtpSocket) -> SocketAddr {
        SocketAddr::try_from(getsockname(&socket.0).unwrap()).unwrap()
    }

    #[test]
    fn a_datagram_comes_with_its_source_and_a_longer_one_than_allowed_is_dropped() {
        let (a, b) = (loopback(), loopback());
        let to = address(&b);
        a.send(to, &[1; MAX_DATAGRAM + 1]).unwrap();
        a.send(to, &[2; 172]).unwrap();
        let mut buffer = [0; MAX_DATAGRAM];
        assert_eq!(b.receive(&mut buffer), None);
        assert_eq!(b.receive(&mut buffer), Some((172, address(&a))));
        assert_eq!(buffer[..172], [2; 172]);
        assert_eq!(b.receive(&mut buffer), None);
    }

    #[test]
    fn a_cleared_socket_has_nothing_to_receive() {
        let (a, b) = (loopback(), loopback());
        for _ in 0..50 {
            a.send(address(&b), &[0; 172]).unwrap();
        }
        b.clear();
        assert_eq!(b.receive(&mut [0; MAX_DATAGRAM]), None);
    }

    fn found(poller: &Poller, timeout: Duration) -> Vec<Readiness> {
        let mut ready = Ready::new();
        poller.wait(&mut ready, Some(timeout));
        (0..ready.len())
            .map(|position| ready.get(position, poller))
            .collect()
    }

    #[test]
    fn a_wait_ends_when_another_thread_wakes_it() {
        let poller = Poller::new().unwrap();
        let waker = poller.waker();
        let thread = std::thread::spawn(move || waker.wake());
        assert_eq!(found(&poller, Duration::from_secs(10)), [Readiness::Woken]);
        assert_eq!(found(&poller, Duration::ZERO), [], "the signal is used up");
        thread.join().unwrap();
    }

    #[test]
    fn only_a_watched_socket_ends_a_wait() {
        let a = loopback();
        let b = Pair {
            rtp: loopback(),
            rtcp: loopback(),
        };
        let poller = Poller::new().unwrap();
        poller.watch(&b, PortIndex(7)).unwrap();
        let mut buffer = [0; MAX_DATAGRAM];
        a.send(address(&b.rtp), &[0; 12]).unwrap();
        let seven = Readiness::Rtp(PortIndex(7));
        assert_eq!(found(&poller, Duration::from_secs(10)), [seven]);
        b.rtp.receive(&mut buffer).unwrap();
        a.send(address(&b.rtcp), &[0; 12]).unwrap();
        let seven = Readiness::Rtcp(PortIndex(7));
        assert_eq!(found(&poller, Duration::from_secs(10)), [seven]);
        poller.forget(&b);
        assert_eq!(found(&poller, Duration::ZERO), []);
    }
}
