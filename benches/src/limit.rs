//! The machine's limit: processes that do nothing but move the same packets.
//!
//! One forwards RTP, one socket per leg, by epoll; the other answers SIP requests from one socket with lines that it copies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Stdio};

use rustix::event::epoll;

use crate::machine;
use crate::target::Measured;

/// The hidden run of this binary that forwards.
pub(crate) const FORWARD: &str = "forward";

/// The hidden run of this binary that answers.
pub(crate) const ANSWER: &str = "answer";

/// Ends the forwarder when it closes.
const STDIN: u64 = u64::MAX;
/// Most readiness reports taken at once.
const REPORTS: usize = 256;

/// A forwarder on the measured core.
#[derive(Debug)]
pub(crate) struct Forwarder {
    child: Child,
    /// The address of each leg; leg 2n forwards to whoever sends to leg 2n+1, and back.
    pub(crate) legs: Vec<SocketAddr>,
}

impl Forwarder {
    /// Starts a forwarder with so many legs.
    pub(crate) fn start(legs: usize) -> Result<Self, String> {
        let me =
            std::env::current_exe().map_err(|error| format!("where is this binary? {error}"))?;
        let mut command = machine::measured(me.as_os_str())?;
        command
            .arg(FORWARD)
            .arg(legs.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("the forwarder does not start: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|error| format!("the forwarder says nothing: {error}"))?;
        }
        let ports: Vec<SocketAddr> = line
            .split_whitespace()
            .filter_map(|port| Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))))
            .collect();
        if ports.len() == legs {
            Ok(Self { child, legs: ports })
        } else {
            Err("the forwarder opened too few legs".to_owned())
        }
    }
}

impl Measured for Forwarder {
    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The forwarder's own life: prints its ports, forwards until its standard input closes.
pub(crate) fn forward(legs: usize) -> Result<(), String> {
    let text = |error: std::io::Error| format!("forwarder: {error}");
    let sockets: Vec<UdpSocket> = (0..legs)
        .map(|_| UdpSocket::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| text(error.into()))?;
    let mut ports = String::new();
    for (index, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true).map_err(text)?;
        epoll::add(
            &queue,
            socket,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )
        .map_err(|error| text(error.into()))?;
        ports.push_str(&format!("{} ", socket.local_addr().map_err(text)?.port()));
    }
    epoll::add(
        &queue,
        std::io::stdin(),
        epoll::EventData::new_u64(STDIN),
        epoll::EventFlags::IN,
    )
    .map_err(|error| text(error.into()))?;
    println!("{ports}");
    std::io::stdout().flush().map_err(text)?;
    forward_between(&sockets, &queue)
}

fn forward_between(sockets: &[UdpSocket], queue: &rustix::fd::OwnedFd) -> Result<(), String> {
    let mut peers: Vec<Option<SocketAddr>> = vec![None; sockets.len()];
    let mut reports = Vec::with_capacity(REPORTS);
    let mut packet = [0; 2048];
    loop {
        reports.clear();
        match epoll::wait(queue, rustix::buffer::spare_capacity(&mut reports), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("forwarder: {error}")),
        }
        for report in &reports {
            let token: u64 = report.data.u64();
            if token == STDIN {
                // Nothing is ever written to it: readable means closed.
                if matches!(std::io::stdin().read(&mut packet), Ok(0) | Err(_)) {
                    return Ok(());
                }
                continue;
            }
            let leg = token as usize;
            if let Ok((length, from)) = sockets[leg].recv_from(&mut packet) {
                peers[leg] = Some(from);
                if let Some(to) = peers[leg ^ 1] {
                    // A full socket buffer is loss; the generator counts it.
                    let _ = sockets[leg ^ 1].send_to(&packet[..length], to);
                }
            }
        }
    }
}

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
