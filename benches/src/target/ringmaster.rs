//! Our switch: the release binary of this checkout on a configuration of its own, all else at its default.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CONFERENCE, Layout, MUSIC, Ports, QUEUE, create_folder, write};
use crate::machine;
use crate::options::Options;

/// RTP ports are looked for from the end of the default range, which a switch may have that runs here in earnest, up to
/// where Linux gives ports to programs.
const PLACE: RangeInclusive<usize> = 20_480..=32_767;
/// Between two places that are tried.
const STEP: usize = 256;
/// As many as the default range has.
const MIN_PORTS: usize = 4_096;
/// Two calls for each phone, at two legs of two ports: freed ports rest a while.
const PORTS_PER_PHONE: usize = 8;
/// Nor more than this, however many phones there are.
const MAX_PORTS: usize = 40_000;
/// More than this are not looked for: the switch passes over ports that programs have.
const MAX_FREE_PORTS: usize = 8_192;
/// All between those of well-known services and those of the measured switches; it passes over what programs have.
const ALL: RangeInclusive<usize> = 2_048..=60_999;
/// Two legs of two ports.
const PORTS_PER_CALL: usize = 4;
/// The default. A call counts until its record is on disk, so there may be more than phones.
const MAX_CALLS: usize = 500;

/// Writes its configuration; returns its folder and the command that starts it.
pub(super) fn prepare(
    folder: &Path,
    server: SocketAddr,
    layout: &Layout,
    options: &Options,
) -> Result<(PathBuf, Command), String> {
    create_folder(folder)?;
    let (calls, ports) = match layout.ports {
        Ports::All => (ALL.count() / PORTS_PER_CALL, ALL),
        Ports::Usual => usual_ports(layout)?,
    };
    let (first_port, last_port) = (ports.start(), ports.end());
    let text = format!(
        "[sip]\nlisten = [\"udp:{server}\", \"tcp:{server}\"]\n\
         [rtp]\naddresses = [\"{}\"]\nfirst_port = {first_port}\nlast_port = {last_port}\n\
         [calls]\nmax_calls = {}\n[log]\nlevel = \"info\"\n",
        server.ip(),
        calls,
    );
    write(&folder.join("ringmaster.toml"), &text)?;
    write(&folder.join("phones.toml"), &phones(layout))?;
    let mut numbers =
        format!("[numbers]\n{CONFERENCE} = {{ conference = \"round\" }}\n{MUSIC} = \"music\"\n");
    let mut queues = String::new();
    if layout.agents > 0 {
        queues = queue(layout);
        let _ = writeln!(numbers, "{QUEUE} = {{ queue = \"support\" }}");
    }
    write(&folder.join("queues.toml"), &queues)?;
    write(&folder.join("numbers.toml"), &numbers)?;
    let mut command = machine::measured(options.binary.as_os_str())?;
    command
        .current_dir(folder)
        .arg("run")
        .arg("--config")
        .arg(folder);
    Ok((folder.to_owned(), command))
}

/// The ports, and how many calls may stand.
fn usual_ports(layout: &Layout) -> Result<(usize, RangeInclusive<usize>), String> {
    let count = (layout.phones * PORTS_PER_PHONE).clamp(MIN_PORTS, MAX_PORTS);
    let ports = if count > MAX_FREE_PORTS {
        *PLACE.start()..=PLACE.start() + count
    } else {
        free_ports(count)?
    };
    let calls = MAX_CALLS.max(layout.phones * 2).min(count / PORTS_PER_CALL);
    Ok((calls, ports))
}

/// A stretch of so many ports that nobody has now.
fn free_ports(count: usize) -> Result<RangeInclusive<usize>, String> {
    let starts = PLACE
        .step_by(STEP)
        .take_while(|start| start + count - 1 <= *PLACE.end());
    let is_free = |port: usize| {
        u16::try_from(port).is_ok_and(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
    };
    // RTP goes to even ports (RFC 3550 section 11).
    let mut free = starts
        .map(|start| start..=start + count - 1)
        .filter(|ports| ports.clone().step_by(2).all(is_free));
    free.next().ok_or_else(|| {
        format!("no {count} free UDP ports side by side below 32768: does another switch run here?")
    })
}

fn phones(layout: &Layout) -> String {
    let mut text = "[phones]\n".to_owned();
    let srtp = if layout.encrypted {
        ", srtp = \"required\""
    } else {
        ""
    };
    for number in layout.numbers() {
        let password = Layout::password(&number);
        let _ = writeln!(text, "{number} = {{ password = \"{password}\"{srtp} }}");
    }
    text
}

fn queue(layout: &Layout) -> String {
    let mut text = format!(
        "[queues.support]\nsound_type = \"music\"\nsound = \"music\"\nstrategy = \"round-robin\"\nrecord_enabled = {}\nagents = [\n",
        layout.recorded
    );
    for number in layout.agent_numbers() {
        let _ = writeln!(text, "  {{ agent = \"{number}\" }},");
    }
    text.push_str("]\n");
    for number in layout.agent_numbers() {
        let _ = writeln!(text, "[agents.{number}]\nwrap_up_time = 0");
    }
    text
}
