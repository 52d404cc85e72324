//! Requests that are too large for one datagram (RFC 3261 section 18.1.1).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};

use crate::uri::Uri;
use crate::{Flow, Message, Transport};

/// Octets of a request from which on it goes over TCP, the path's MTU being unknown.
const MAX_DATAGRAM: usize = 1300;

/// Peers that are remembered to take no TCP, so that no second request waits for them; beyond it one is forgotten.
const MAX_DEAF: usize = 1024;

/// The top Via of requests of ours, which follows the request line.
const OVER_UDP: &[u8] = b"\r\nVia: SIP/2.0/UDP ";

/// Who takes no TCP.
#[derive(Debug, Default)]
pub(super) struct Deaf(BTreeSet<SocketAddr>);

impl Deaf {
    /// This peer could not be connected to.
    pub(super) fn remember(&mut self, peer: SocketAddr) {
        if self.0.len() >= MAX_DEAF {
            self.0.pop_first();
        }
        self.0.insert(peer);
    }

    /// The same request for TCP, if it is to be sent so.
    pub(super) fn over_tcp(&self, request: &Bytes, flow: Flow) -> Option<(Bytes, Flow)> {
        let is_large = flow.transport == Transport::Udp && request.len() > MAX_DATAGRAM;
        if !is_large || self.0.contains(&flow.remote) || !listens(request, flow.remote) {
            return None;
        }
        let via = request
            .windows(OVER_UDP.len())
            .position(|it| it == OVER_UDP)?;
        let mut octets = BytesMut::from(&request[..]);
        let name = via + OVER_UDP.len() - " ".len() - Transport::Udp.via().len();
        octets[name..][..3].copy_from_slice(Transport::Tcp.via().as_bytes());
        let transport = Transport::Tcp;
        Some((octets.freeze(), Flow { transport, ..flow }))
    }
}

/// Whether the peer names the address that we see as its own: behind a NAT nobody could connect to it, and the flow that it
/// keeps open is the only way (RFC 5626 section 5.3).
fn listens(request: &Bytes, peer: SocketAddr) -> bool {
    let Ok(request) = Message::parse(request.clone()) else {
        return false;
    };
    let Some(Uri::Sip(uri)) = request.uri() else {
        return false;
    };
    // Section 19.1.2.
    uri.host.ip() == Some(peer.ip()) && uri.port.unwrap_or(5060) == peer.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, body: usize) -> Bytes {
        format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: {body}\r\n\r\n{}",
            "x".repeat(body)
        )
        .into()
    }

    const FLOW: &str = "192.0.2.9:5060";

    fn flow() -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: FLOW.parse().unwrap(),
        }
    }

    #[test]
    fn a_request_beyond_1300_octets_goes_over_tcp_with_a_via_that_says_so() {
        let deaf = Deaf::default();
        let large = request("sip:201@192.0.2.9", 1200);
        let (octets, over) = deaf.over_tcp(&large, flow()).unwrap();
        assert_eq!(over.transport, Transport::Tcp);
        let text = String::from_utf8(octets.to_vec()).unwrap();
        assert!(text.contains("\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1\r\n"));
        assert_eq!(text.replace("/TCP", "/UDP").as_bytes(), large);
        let small = request("sip:201@192.0.2.9", 1000);
        assert_eq!(deaf.over_tcp(&small, flow()), None);
    }

    #[test]
    fn who_cannot_be_connected_to_gets_it_over_udp() {
        let mut deaf = Deaf::default();
        for behind_nat in [
            "sip:201@10.0.0.9",
            "sip:201@192.0.2.9:1024",
            "sip:201@phone",
        ] {
            assert_eq!(deaf.over_tcp(&request(behind_nat, 1300), flow()), None);
        }
        let large = request("sip:201@192.0.2.9:5060", 1300);
        assert!(deaf.over_tcp(&large, flow()).is_some());
        deaf.remember(flow().remote);
        assert_eq!(deaf.over_tcp(&large, flow()), None);
    }
}
