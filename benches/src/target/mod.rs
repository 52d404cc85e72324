//! What is measured: the switch, and its peer. Both get the same phones, numbers and queue.

mod asterisk;
mod ringmaster;

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::{limit, machine};

/// A start that takes longer has failed.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Between two OPTIONS while the start is timed: what the start time is exact to.
const START_STEP: Duration = Duration::from_millis(1);
/// A stop that takes longer is forced.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The number of the queue on every target.
pub(crate) const QUEUE: &str = "700";
/// The number of the conference on our switch.
pub(crate) const CONFERENCE: &str = "900";
/// The number of the music on our switch.
pub(crate) const MUSIC: &str = "601";

/// A process whose CPU time and memory are read.
pub(crate) trait Measured {
    /// Its process id.
    fn pid(&self) -> u32;
}

/// A switch that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours.
    Ringmaster,
    /// Asterisk 22, see `peers/asterisk.sh`.
    Asterisk,
    /// The answerer of `limit`.
    Answerer,
}

/// What stands in one column of the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A switch.
    Switch(Kind),
    /// What the machine can do at all, see `limit`.
    Limit,
}

impl Target {
    /// As the figures and the command line call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Switch(kind) => kind.name(),
            Self::Limit => "limit",
        }
    }
}

impl Kind {
    /// As the figures call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ringmaster => "ringmaster",
            Self::Asterisk => "asterisk",
            Self::Answerer => "limit",
        }
    }
}

/// What a switch is set up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// How many phones there are.
    pub(crate) phones: usize,
    /// How many of them, the last ones, are agents of the queue.
    pub(crate) agents: usize,
    /// Whether queue calls are recorded.
    pub(crate) recorded: bool,
    /// RTP ports of our switch.
    pub(crate) ports: Ports,
    /// Whether our switch wants all sound encrypted, by keys in the SIP messages.
    pub(crate) encrypted: bool,
}

/// How many RTP ports our switch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Enough for the phones.
    Usual,
    /// Nearly all: each call keeps two for more than 2 s after its end, so that these serve some 6,500 calls a second.
    All,
}

impl Layout {
    /// The number of a phone; it is also its user name.
    pub(crate) fn number(index: usize) -> String {
        format!("{}", 1001 + index)
    }

    /// The password of a phone.
    pub(crate) fn password(number: &str) -> String {
        format!("bench-{number}")
    }

    fn numbers(&self) -> impl Iterator<Item = String> {
        (0..self.phones).map(Self::number)
    }

    fn agent_numbers(&self) -> impl Iterator<Item = String> {
        (self.phones - self.agents..self.phones).map(Self::number)
    }
}

/// A switch that runs on the measured core; stopped, and its folder removed, when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
    /// Where it takes SIP.
    pub(crate) server: SocketAddr,
    /// From the start of the process to its first answer.
    pub(crate) ready_after: Duration,
}

impl Measured for Running {
    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Running {
    /// Starts a switch and waits until it answers OPTIONS.
    pub(crate) fn start(kind: Kind, layout: &Layout, options: &Options) -> Result<Self, String> {
        let server = free_address()?;
        let name = format!("ringmaster-bench-{}-{}", std::process::id(), server.port());
        let (folder, mut command) = match kind {
            Kind::Ringmaster => {
                ringmaster::prepare(&std::env::temp_dir().join(name), server, layout, options)?
            }
            Kind::Asterisk => asterisk::prepare(&name, server, layout)?,
            Kind::Answerer => prepare_answerer(&std::env::temp_dir().join(name), server)?,
        };
        let log = folder.join("output.log");
        let output = fs::File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = output.map_err(|error| format!("{}: {error}", log.display()))?;
        let started = Instant::now();
        let child = command
            .stdin(std::process::Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn();
        let child = child.map_err(|error| format!("{command:?} does not start: {error}"))?;
        let mut running = Self {
            child,
            folder,
            server,
            ready_after: Duration::ZERO,
        };
        running
            .await_first_answer(started)
            .map_err(|error| format!("{}: {error}; it said:\n{}", kind.name(), tail(&log)))?;
        Ok(running)
    }

    fn await_first_answer(&mut self, started: Instant) -> Result<(), String> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).and_then(|socket| {
            socket.connect(self.server)?;
            socket.set_read_timeout(Some(START_STEP))?;
            Ok(socket)
        });
        let socket = socket.map_err(|error| error.to_string())?;
        let local = socket.local_addr().map_err(|error| error.to_string())?;
        let mut buffer = [0; 2048];
        for attempt in 0u32.. {
            let options = format!(
                "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bKready{attempt}\r\nMax-Forwards: 70\r\n\
                 From: <sip:bench@{local}>;tag={attempt}\r\nTo: <sip:{server}>\r\nCall-ID: ready{attempt}\r\nCSeq: 1 OPTIONS\r\n\
                 Content-Length: 0\r\n\r\n",
                server = self.server,
            );
            // Nobody listens yet: the error comes at once, so the step is slept.
            if socket.send(options.as_bytes()).is_ok() && socket.recv(&mut buffer).is_ok() {
                self.ready_after = started.elapsed();
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at its start with {status}"));
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!(
                    "does not answer OPTIONS within {} s",
                    START_LIMIT.as_secs()
                ));
            }
            std::thread::sleep(START_STEP);
        }
        Ok(())
    }

    /// What it said, the end of it.
    pub(crate) fn last_words(&self) -> String {
        tail(&self.folder.join("output.log"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL only after a SIGTERM that nobody heeds: a graceful stop waits for calls, and a failed run leaves some.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let until = Instant::now() + STOP_LIMIT;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn prepare_answerer(folder: &Path, server: SocketAddr) -> Result<(PathBuf, Command), String> {
    create_folder(folder)?;
    let me = std::env::current_exe().map_err(|error| format!("where is this binary? {error}"))?;
    let mut command = machine::measured(me.as_os_str())?;
    command.arg(limit::ANSWER).arg(server.to_string());
    Ok((folder.to_owned(), command))
}

/// A loopback port that nobody has now, for UDP; the switches take TCP there, too. Above those that Linux hands out to
/// programs, where the phones are, and above RTP.
fn free_address() -> Result<SocketAddr, String> {
    let mut addresses = (61_000..=u16::MAX).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses
        .find(|address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok())
        .ok_or_else(|| "no free port above 61000".to_owned())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn create_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
