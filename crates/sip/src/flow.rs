//! Where a message came from and where it goes.

use std::fmt;
use std::net::SocketAddr;

/// The transport protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message a datagram (RFC 3261 section 18).
    Udp,
    /// Messages framed by Content-Length (RFC 3261 section 18.3).
    Tcp,
    /// The same inside TLS (RFC 3261 section 26.2).
    Tls,
    /// One message a WebSocket message (RFC 7118).
    Ws,
    /// The same inside TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The name in Via (RFC 3261 section 20.42, RFC 7118 section 5.1).
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The name in settings, records and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The parameter of a `sip:` URI that is reached by it. `transport=tls` is deprecated (RFC 3261 section 26.2.2), but
    /// what desk phones write and read; both kinds of WebSocket are `ws` (RFC 7118 section 5.2).
    #[must_use]
    pub const fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }

    /// Whether a flow is a connection, which loses nothing while it stands (RFC 3261 section 17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => true,
        }
    }

    /// Whether nobody on the way can read it: what a `sips:` URI asks for (RFC 3261 section 26.2.2).
    #[must_use]
    pub const fn is_secure(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The 5-tuple between one of our sockets and a peer (RFC 5626 section 2).
///
/// On a reliable transport a flow is one connection. When none is open, the shell connects to `remote` over TCP; the peers
/// of TLS and WebSockets are clients that nobody can connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// The protocol.
    pub transport: Transport,
    /// Our address: the listening socket's for UDP, else the connection's.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}
