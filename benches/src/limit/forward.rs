//! Bare forwarders: what comes from one leg goes to the other of its call, unseen.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::net::sockopt;
use uring::{Arrival, Ring};

use super::FORWARD;
use crate::machine;
use crate::rtp::FIRST_SSRC;
use crate::target::Measured;

/// Most readiness reports taken at once.
const REPORTS: usize = 1024;
/// How long packets collect, where they are forwarded together: as in the switch.
const WINDOW: Duration = Duration::from_millis(2);
/// The receive buffer of the one socket of `Shared`, in octets: what 5,000 legs send in some 15 ms.
const SHARED_BUFFER: usize = 4 << 20;

/// How a forwarder has its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketLayout {
    /// One for each leg; each packet wakes the process (epoll).
    Epoll,
    /// One for each leg, looked at each 2 ms (epoll): the layout of the switch.
    Window,
    /// One for each leg, served each 2 ms (io_uring).
    IoUring,
    /// One for all legs, told apart by SSRC, served each 2 ms (io_uring).
    Shared,
}

impl SocketLayout {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Epoll, Self::Window, Self::IoUring, Self::Shared];

    /// As the command line and the figures call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Window => "epoll-window",
            Self::IoUring => "io_uring",
            Self::Shared => "io_uring-shared",
        }
    }
}

/// A forwarder on the measured core.
#[derive(Debug)]
pub(crate) struct Forwarder {
    child: Child,
    /// The address of each leg; leg 2n forwards to whoever sends to leg 2n+1, and back.
    pub(crate) legs: Vec<SocketAddr>,
}

impl Forwarder {
    /// Starts a forwarder with so many legs.
    pub(crate) fn start(legs: usize, layout: SocketLayout) -> Result<Self, String> {
        let me =
            std::env::current_exe().map_err(|error| format!("where is this binary? {error}"))?;
        let mut command = machine::measured(me.as_os_str())?;
        command
            .args([FORWARD, layout.name(), &legs.to_string()])
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
pub(crate) fn forward(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let name = arguments.next().unwrap_or_default();
    let layout = SocketLayout::ALL
        .into_iter()
        .find(|layout| layout.name() == name)
        .ok_or("forward by which layout?")?;
    let legs = arguments.next().and_then(|legs| legs.parse().ok());
    let legs = legs.ok_or("how many legs?")?;
    run(layout, legs).map_err(|error| format!("forwarder, {name}: {error}"))
}

fn run(layout: SocketLayout, legs: usize) -> io::Result<()> {
    let count = if layout == SocketLayout::Shared {
        1
    } else {
        legs
    };
    let sockets: Vec<_> = (0..count)
        .map(|_| Ok(Arc::new(UdpSocket::bind(("127.0.0.1", 0))?)))
        .collect::<io::Result<_>>()?;
    let mut ports = String::new();
    for leg in 0..legs {
        let socket = &sockets[leg % count];
        socket.set_nonblocking(true)?;
        ports.push_str(&format!("{} ", socket.local_addr()?.port()));
    }
    thread::spawn(|| {
        // Nothing is ever written to it: it ends when it is closed.
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    println!("{ports}");
    io::stdout().flush()?;
    match layout {
        SocketLayout::Epoll => by_epoll(&sockets, legs, None),
        SocketLayout::Window => by_epoll(&sockets, legs, Some(WINDOW)),
        SocketLayout::IoUring => by_ring(sockets, legs, |token, _| Some(usize::from(token))),
        SocketLayout::Shared => {
            // Beyond the system's limit for those who may; a smaller buffer is loss, which the generator counts.
            let _ = sockopt::set_socket_recv_buffer_size_force(&sockets[0], SHARED_BUFFER);
            by_ring(sockets, legs, |_, packet| leg_of(packet, legs))
        }
    }
}

/// Whose packet it is, by its SSRC.
fn leg_of(packet: &[u8], legs: usize) -> Option<usize> {
    let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
    let leg = ssrc.checked_sub(FIRST_SSRC)? as usize;
    (leg < legs).then_some(leg)
}

fn by_epoll(sockets: &[Arc<UdpSocket>], legs: usize, window: Option<Duration>) -> io::Result<()> {
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, socket) in sockets.iter().enumerate() {
        let token = epoll::EventData::new_u64(index as u64);
        epoll::add(&queue, socket, token, epoll::EventFlags::IN)?;
    }
    let mut peers: Vec<Option<SocketAddr>> = vec![None; legs];
    let mut reports = Vec::with_capacity(REPORTS);
    let mut packet = [0; uring::MAX_DATAGRAM];
    loop {
        reports.clear();
        match epoll::wait(&queue, rustix::buffer::spare_capacity(&mut reports), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let started = Instant::now();
        for report in &reports {
            let leg = report.data.u64() as usize;
            if let Ok((length, from)) = sockets[leg].recv_from(&mut packet) {
                peers[leg] = Some(from);
                if let Some(to) = peers[leg ^ 1] {
                    // A full socket buffer is loss; the generator counts it.
                    let _ = sockets[leg ^ 1].send_to(&packet[..length], to);
                }
            }
        }
        if let Some(window) = window.filter(|_| reports.len() < REPORTS) {
            thread::sleep(window.saturating_sub(started.elapsed()));
        }
    }
}

fn ring<S: AsFd>() -> io::Result<Ring<S>> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    Ring::new(Arc::new(wake))
}

fn by_ring(
    sockets: Vec<Arc<UdpSocket>>,
    legs: usize,
    leg_of: impl Fn(u16, &[u8]) -> Option<usize>,
) -> io::Result<()> {
    let mut ring = ring()?;
    let last = sockets.len() - 1;
    for (index, socket) in sockets.into_iter().enumerate() {
        ring.watch(index as u16, socket);
    }
    let mut peers: Vec<Option<SocketAddr>> = vec![None; legs];
    loop {
        ring.wait(REPORTS as u32, Some(WINDOW))?;
        while let Some(arrival) = ring.arrival() {
            let Arrival::Datagram {
                token,
                source,
                length,
            } = arrival
            else {
                continue;
            };
            let packet = ring.datagram().map_or(&[][..], |packet| &packet[..length]);
            let Some(leg) = leg_of(token, packet) else {
                continue;
            };
            peers[leg] = Some(source);
            if let Some(to) = peers[leg ^ 1] {
                ring.send((leg ^ 1).min(last) as u16, to, length);
            }
        }
    }
}
