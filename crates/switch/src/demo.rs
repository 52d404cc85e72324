//! `ringmaster demo`: the newcomer's first minute. The whole switch on the sample configuration, two test phones that call
//! over real SIP and RTP, and a proof of what each of them heard.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Level;

use crate::config::{self, Checked, sample};
use crate::control::Notice;
use crate::log::{self, say};
use crate::run::{StartError, Switch};

mod ear;
mod ladder;
pub(crate) mod phone;
mod story;

/// SIP's port (RFC 3261 section 19.1.2), and others to try when something listens there.
const PORTS: [u16; 6] = [5060, 5062, 5064, 5066, 5068, 15_060];
/// How often the announcement is played: the sample's interval is for people with more time.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// How long calls may stand after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(1);

/// Tells the story; then stays up for real phones, or with `once` ends: with success if all of it came true.
pub(crate) fn demo(once: bool) -> ExitCode {
    match Demo::start() {
        Ok(demo) => demo.run(once),
        Err(error) => {
            eprintln!("ringmaster demo: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    switch: Switch,
    checked: Checked,
    address: SocketAddr,
}

impl Demo {
    fn start() -> Result<Self, StartError> {
        let address = free_address()?;
        // A folder that can be thrown away, and that no other demo on this machine uses.
        let folder = std::env::temp_dir().join(format!("ringmaster-demo-{}", std::process::id()));
        // The sample names a folder for sounds; without files in it the built-in ones are played.
        std::fs::create_dir_all(folder.join("sounds"))?;
        let mut checked = config::load_texts(&folder, sample::adapted(address))?;
        checked.calls.drain_timeout = DRAIN;
        for queue in checked.queues.values_mut() {
            if let Some(config::Announce { every, .. }) = &mut queue.announce {
                *every = ANNOUNCE_EVERY;
            }
        }
        // The story is the log; what goes wrong still shows.
        let log = log::start(Level::WARN)?;
        let switch = Switch::start(checked.clone(), None, log)?;
        Ok(Self {
            switch,
            checked,
            address,
        })
    }

    fn run(self, once: bool) -> ExitCode {
        let Self {
            switch,
            checked,
            address,
        } = self;
        say(introduction(address));
        let came_true = Arc::new(AtomicBool::new(false));
        let (verdict, notices) = (Arc::clone(&came_true), switch.notices());
        let teller = std::thread::Builder::new()
            .name("story".to_owned())
            .spawn(move || {
                let told = story::tell(&checked, address);
                match &told {
                    Ok(()) => say("\nEverything above was measured, and is as it should be."),
                    Err(error) => say(format_args!("\nThe story did not come true: {error}")),
                }
                verdict.store(told.is_ok(), Ordering::Relaxed);
                if once {
                    // If the switch has ended before, there is nothing left to stop.
                    let _ = notices.blocking_send(Notice::Stop);
                } else {
                    say(invitation(&checked, address));
                }
            });
        if let Err(error) = teller {
            eprintln!("ringmaster demo: {error}");
            return ExitCode::FAILURE;
        }
        let ended = switch.run();
        if once && !came_true.load(Ordering::Relaxed) {
            ExitCode::FAILURE
        } else {
            ended
        }
    }
}

/// A loopback address where nothing listens on UDP or TCP.
fn free_address() -> Result<SocketAddr, io::Error> {
    let mut taken = None;
    for port in PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match UdpSocket::bind(address).and_then(|_| TcpListener::bind(address)) {
            Ok(_) => return Ok(address),
            Err(error) => taken = Some(error),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

fn introduction(address: SocketAddr) -> String {
    let elsewhere = if address.port() == PORTS[0] {
        String::new()
    } else {
        format!(
            "\nPort {} is taken on this machine: the demo uses {}.\n",
            PORTS[0],
            address.port()
        )
    };
    format!(
        "Ringmaster {} on {address}, with two test phones: real SIP, real RTP, real waiting times.{elsewhere}",
        env!("CARGO_PKG_VERSION")
    )
}

/// What a newcomer can do now.
fn invitation(checked: &Checked, address: SocketAddr) -> String {
    let phones: Vec<&str> = checked.phones.keys().map(|account| &*account.0).collect();
    let span = match (phones.first(), phones.last()) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (None, _) | (_, None) => String::new(),
    };
    format!(
        "
Now it is your turn. The switch stays up until Ctrl-C.

  softphone   server {address} (UDP or TCP), user {span}, password ringmaster-USER (such as ringmaster-205)
  dial        700  the queue: agents are whoever registers as 201 to 204
              205  another phone
              600  echo          601  music
              *45  log in        *46  log out (on an agent's phone)
  written to  {}

For phones on your network:  ringmaster init pbx && ringmaster run --config pbx",
        folder(checked).display()
    )
}

/// Where the demo writes: above recordings and call records.
fn folder(checked: &Checked) -> PathBuf {
    checked
        .recordings
        .parent()
        .map_or_else(|| checked.recordings.clone(), PathBuf::from)
}
