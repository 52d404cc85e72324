//! Which of our addresses a peer sees, when a socket listens on all of them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::net::{connect, connect_unspec, getsockname, socket_with};

/// Asks the kernel's routes, by a UDP socket that is connected and never used. At some 2 us a question
/// nothing is cached, and a new route counts at once.
#[derive(Debug)]
pub(super) struct Routes(OwnedFd);

impl Routes {
    /// For peers of the family of `local`.
    pub(super) fn new(local: SocketAddr) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family(local), SocketType::DGRAM, flags, None)?;
        Ok(Self(socket))
    }

    /// The address that a datagram to `peer` leaves from, with `port`.
    pub(super) fn local(&self, peer: SocketAddr, port: u16) -> io::Result<SocketAddr> {
        connect(&self.0, &peer)?;
        let mut local = SocketAddr::try_from(getsockname(&self.0)?)?;
        // Without this the next route would begin at this address.
        connect_unspec(&self.0)?;
        local.set_port(port);
        Ok(local)
    }
}

/// The family of an address.
pub(super) fn family(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_sees_the_address_of_its_route() {
        for (peer, local) in [
            ("127.0.0.1:5060", "127.0.0.1:7000"),
            ("[::1]:5060", "[::1]:7000"),
        ] {
            let peer: SocketAddr = peer.parse().unwrap();
            let routes = Routes::new(peer).unwrap();
            for _ in 0..2 {
                let found = routes.local(peer, 7000).unwrap();
                assert_eq!(found, local.parse().unwrap());
            }
        }
    }
}
