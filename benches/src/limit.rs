//! The machine's limit: a process that does nothing but forward the same packets, one socket per leg, by epoll.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Stdio};

use rustix::event::epoll;

use crate::machine;
use crate::target::Measured;

/// The hidden run of this binary that forwards.
pub(crate) const FORWARD: &str = "forward";

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
