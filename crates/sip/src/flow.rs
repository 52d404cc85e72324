//! Where a message came from and where it goes.

use std::net::SocketAddr;

/// The transport protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message a datagram (RFC 3261 section 18).
    Udp,
    /// Messages framed by Content-Length (RFC 3261 section 18.3).
    Tcp,
}

/// The 5-tuple between one of our sockets and a peer (RFC 5626 section 2).
///
/// Over TCP a flow is one connection; when none is open, the shell connects to `remote`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// The protocol.
    pub transport: Transport,
    /// Our address: the listening socket's for UDP, the connection's for TCP.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}
