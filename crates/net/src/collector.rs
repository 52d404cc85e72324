//! The way to a collector of traces.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A UDP socket that sends to one address and never blocks: what finds no room is gone. Nothing is sent yet.
///
/// # Errors
/// The machine has no way to an address of that family.
pub fn connect(collector: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if collector.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(collector)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
