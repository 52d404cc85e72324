//! The machine's limit: processes that do nothing but move the same packets.
//!
//! One forwards RTP, by each layout of sockets that there is; the other answers SIP requests from one socket with lines that it copies.

mod forward;

use std::net::UdpSocket;

pub(crate) use forward::{Forwarder, SocketLayout, forward};

/// The hidden run of this binary that forwards.
pub(crate) const FORWARD: &str = "forward";

/// The hidden run of this binary that answers.
pub(crate) const ANSWER: &str = "answer";

/// The answerer's own life: each request is answered as a registrar that checks nothing would, until the process is ended.
/// REGISTER without credentials gets 401, all else 200.
pub(crate) fn answer(address: &str) -> Result<(), String> {
    let socket =
        UdpSocket::bind(address).map_err(|error| format!("answerer: {address}: {error}"))?;
    let (mut request, mut response) = ([0; 4096], Vec::with_capacity(4096));
    loop {
        let (length, from) = socket
            .recv_from(&mut request)
            .map_err(|error| format!("answerer: {error}"))?;
        write_answer(&request[..length], &mut response);
        // A full socket buffer is loss; the generator counts it.
        let _ = socket.send_to(&response, from);
    }
}

fn write_answer(request: &[u8], response: &mut Vec<u8>) {
    let copied: [&[u8]; 6] = [
        b"Via:",
        b"From:",
        b"To:",
        b"Call-ID:",
        b"CSeq:",
        b"Contact:",
    ];
    let lines = || request.split_inclusive(|&octet| octet == b'\n');
    let challenged = request.starts_with(b"REGISTER")
        && !lines().any(|line| line.starts_with(b"Authorization:"));
    response.clear();
    response.extend_from_slice(if challenged {
        b"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"ringmaster\", nonce=\"0123456789abcdef0123456789abcdef\", \
          algorithm=SHA-256, qop=\"auth\"\r\n"
    } else {
        b"SIP/2.0 200 OK\r\n"
    });
    for line in lines().filter(|line| copied.iter().any(|name| line.starts_with(name))) {
        response.extend_from_slice(line);
    }
    response.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}
