//! Socket addresses as the kernel writes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Octets of the longest one, `struct sockaddr_in6`.
pub(crate) const ADDRESS_OCTETS: usize = size_of::<libc::sockaddr_in6>();

const V4: u16 = libc::AF_INET as u16;
const V6: u16 = libc::AF_INET6 as u16;

/// Reads an address; none for a family that is neither IPv4 nor IPv6.
pub(crate) fn read(octets: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*octets.first_chunk()?);
    let port = u16::from_be_bytes(octets.get(2..4)?.try_into().ok()?);
    match family {
        V4 => {
            let address: [u8; 4] = octets.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address)), port))
        }
        V6 => {
            let word =
                |at: usize| Some(u32::from_ne_bytes(octets.get(at..at + 4)?.try_into().ok()?));
            let address: [u8; 16] = octets.get(8..24)?.try_into().ok()?;
            let (flow, scope) = (word(4)?, word(24)?);
            let address = SocketAddrV6::new(Ipv6Addr::from(address), port, flow, scope);
            Some(SocketAddr::V6(address))
        }
        _ => None,
    }
}

/// Writes an address to the front of `ADDRESS_OCTETS` octets; gives how many it takes.
pub(crate) fn write(address: SocketAddr, octets: &mut [u8]) -> usize {
    octets[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(address) => {
            octets[..2].copy_from_slice(&V4.to_ne_bytes());
            octets[4..8].copy_from_slice(&address.ip().octets());
            octets[8..16].fill(0);
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(address) => {
            octets[..2].copy_from_slice(&V6.to_ne_bytes());
            octets[4..8].copy_from_slice(&address.flowinfo().to_ne_bytes());
            octets[8..24].copy_from_slice(&address.ip().octets());
            octets[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
            ADDRESS_OCTETS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["192.0.2.1:4000", "[2001:db8::7]:65535", "[fe80::1%3]:5"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut octets = [0xff; ADDRESS_OCTETS];
            let length = write(address, &mut octets);
            assert_eq!(read(&octets[..length]), Some(address));
        }
        assert_eq!(read(&[1; ADDRESS_OCTETS]), None);
        assert_eq!(read(&[]), None);
    }
}
