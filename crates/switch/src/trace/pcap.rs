//! The trace as a file for Wireshark: classic pcap, each message as one UDP datagram between the true addresses.
//!
//! Also what went over TCP, TLS or WebSocket is framed so: a stream of its own would need sequence numbers that nobody saw,
//! and the messages are whole already. Wireshark shows them as SIP by their content or by the port.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use bytes::BufMut;

use super::Passed;

/// Times in microseconds, numbers in network order (draft-ietf-opsawg-pcap section 4).
const MAGIC: u32 = 0xa1b2_c3d4;
/// Packets begin with an IP header of either version (LINKTYPE_RAW).
const RAW_IP: u32 = 101;
/// Largest packet, in octets: that of IP.
const SNAP_LENGTH: u32 = 65_535;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
/// The protocol number of UDP.
const UDP: u8 = 17;
/// Hops; nobody counts them down.
const TTL: u8 = 64;

/// Writes a pcap file, message after message.
#[derive(Debug)]
pub(super) struct Pcap<W> {
    output: W,
}

impl<W: Write> Pcap<W> {
    /// Begins a file.
    pub(super) fn new(mut output: W) -> io::Result<Self> {
        let mut head = Vec::with_capacity(24);
        head.put_u32(MAGIC);
        // Version 2.4; two fields that are always 0.
        head.put_u16(2);
        head.put_u16(4);
        head.put_u64(0);
        head.put_u32(SNAP_LENGTH);
        head.put_u32(RAW_IP);
        output.write_all(&head)?;
        output.flush()?;
        Ok(Self { output })
    }

    /// Writes a message, so that a reader of the growing file sees it at once.
    pub(super) fn write(&mut self, passed: &Passed) -> io::Result<()> {
        let packet = packet(passed.source(), passed.destination(), &passed.octets);
        let length = u32::try_from(packet.len()).unwrap_or(SNAP_LENGTH);
        let mut head = Vec::with_capacity(16);
        // The format ends in 2106.
        head.put_u32(u32::try_from(passed.at.as_secs()).unwrap_or(u32::MAX));
        head.put_u32(passed.at.subsec_micros());
        head.put_u32(length);
        head.put_u32(length);
        self.output.write_all(&head)?;
        self.output.write_all(&packet)?;
        self.output.flush()
    }
}

/// An IP packet with a UDP datagram; of a message that is too long for one, the beginning.
fn packet(source: SocketAddr, destination: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let most = SNAP_LENGTH as usize - IPV4_HEADER - UDP_HEADER;
    let octets = &octets[..octets.len().min(most)];
    // At most 65,515, as `most` says.
    let udp_length = (UDP_HEADER + octets.len()) as u16;
    let mut packet = Vec::with_capacity(IPV6_HEADER + usize::from(udp_length));
    // What UDP's checksum covers besides the datagram (RFC 768, RFC 8200 section 8.1).
    let mut pseudo = Vec::with_capacity(40);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // RFC 791 section 3.1.
            packet.put_u8(0x45);
            packet.put_u8(0);
            packet.put_u16(udp_length + IPV4_HEADER as u16);
            packet.put_u32(0);
            packet.put_u8(TTL);
            packet.put_u8(UDP);
            packet.put_u16(0);
            packet.put_slice(&from.octets());
            packet.put_slice(&to.octets());
            let sum = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            pseudo.put_slice(&packet[12..20]);
        }
        (from, to) => {
            // RFC 8200 section 3. Both are of one family; an IPv4 address could stand here as a mapped one.
            packet.put_u32(0x6000_0000);
            packet.put_u16(udp_length);
            packet.put_u8(UDP);
            packet.put_u8(TTL);
            for ip in [from, to] {
                packet.put_slice(&match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                    IpAddr::V6(ip) => ip.octets(),
                });
            }
            pseudo.put_slice(&packet[8..40]);
        }
    }
    pseudo.put_u16(u16::from(UDP));
    pseudo.put_u16(udp_length);
    let mut udp = Vec::with_capacity(UDP_HEADER);
    udp.put_u16(source.port());
    udp.put_u16(destination.port());
    udp.put_u16(udp_length);
    udp.put_u16(0);
    let sum = checksum(&[&pseudo, &udp, octets]);
    // 0 would say that there is none (RFC 768).
    udp[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    packet.put_slice(&udp);
    packet.put_slice(octets);
    packet
}

/// The Internet checksum (RFC 1071) of parts of which all but the last have even lengths.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::{Buf, Bytes};
    use sip::{Flow, Transport};

    use super::*;
    use crate::trace::Direction;

    fn passed(direction: Direction, local: &str, remote: &str, octets: &'static [u8]) -> Passed {
        Passed {
            at: Duration::from_micros(1_795_209_600_123_456),
            direction,
            flow: Flow {
                transport: Transport::Tcp,
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
            },
            octets: Bytes::from_static(octets),
        }
    }

    /// A packet as a reader of its own sees it: time in microseconds, from, to, payload.
    type Seen = (u64, SocketAddr, SocketAddr, Vec<u8>);

    fn read(mut file: &[u8]) -> Vec<Seen> {
        assert_eq!(file.get_u32(), 0xa1b2_c3d4);
        assert_eq!((file.get_u16(), file.get_u16()), (2, 4));
        assert_eq!(
            (file.get_u64(), file.get_u32(), file.get_u32()),
            (0, 65_535, 101)
        );
        let mut seen = Vec::new();
        while file.has_remaining() {
            let at = u64::from(file.get_u32()) * 1_000_000 + u64::from(file.get_u32());
            let length = file.get_u32();
            assert_eq!(file.get_u32(), length);
            let packet = file.copy_to_bytes(length as usize);
            let (ips, rest): ([IpAddr; 2], _) = if packet[0] == 0x45 {
                assert_eq!(checksum(&[&packet[..20]]), 0);
                assert_eq!(usize::from((&packet[2..4]).get_u16()), packet.len());
                let ip = |at: usize| (&packet[at..at + 4]).get_u32().to_be_bytes().into();
                ([ip(12), ip(16)], 20)
            } else {
                assert_eq!(packet[0], 0x60);
                assert_eq!(usize::from((&packet[4..6]).get_u16()) + 40, packet.len());
                let ip = |at: usize| (&packet[at..at + 16]).get_u128().to_be_bytes().into();
                ([ip(8), ip(24)], 40)
            };
            let mut udp = &packet[rest..];
            let length = (&udp[4..6]).get_u16();
            assert_eq!(usize::from(length), udp.len());
            let mut pseudo = packet[rest - if rest == 20 { 8 } else { 32 }..rest].to_vec();
            pseudo.extend([0, 17]);
            pseudo.extend(length.to_be_bytes());
            assert_eq!(checksum(&[&pseudo, udp]), 0, "the checksum of UDP");
            let (from, to) = (udp.get_u16(), udp.get_u16());
            seen.push((
                at,
                SocketAddr::new(ips[0], from),
                SocketAddr::new(ips[1], to),
                udp[4..].to_vec(),
            ));
        }
        seen
    }

    #[test]
    fn another_reader_sees_each_message_between_its_true_addresses() {
        let four = ("192.0.2.1:5060", "192.0.2.7:5062");
        let six = ("[2001:db8::1]:5061", "[2001:db8::7]:1024");
        let mut file = Vec::new();
        let mut pcap = Pcap::new(&mut file).unwrap();
        pcap.write(&passed(Direction::Received, four.0, four.1, b"OPTIONS"))
            .unwrap();
        pcap.write(&passed(Direction::Sent, six.0, six.1, b"SIP/2.0 200 OK"))
            .unwrap();
        let at = 1_795_209_600_123_456;
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(
            read(&file),
            [
                (at, address(four.1), address(four.0), b"OPTIONS".to_vec()),
                (
                    at,
                    address(six.0),
                    address(six.1),
                    b"SIP/2.0 200 OK".to_vec()
                ),
            ]
        );
    }

    #[test]
    fn of_a_message_that_no_datagram_holds_the_beginning_is_written() {
        static LONG: [u8; 70_000] = [b'x'; 70_000];
        let mut file = Vec::new();
        let mut pcap = Pcap::new(&mut file).unwrap();
        pcap.write(&passed(
            Direction::Sent,
            "192.0.2.1:5060",
            "192.0.2.7:5062",
            &LONG,
        ))
        .unwrap();
        assert_eq!(read(&file)[0].3.len(), 65_507);
    }
}
