//! Our switch: the release binary of this checkout on a configuration of its own, all else at its default.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Layout, QUEUE, create_folder, write};
use crate::machine;
use crate::options::Options;

/// As many RTP ports as the default range has, but beside it: a switch that runs on this machine in earnest has that one.
const FIRST_PORT: usize = 20_480;
const LAST_PORT: usize = 24_575;
/// Two calls for each phone, at two legs of two ports: freed ports rest a while.
const PORTS_PER_PHONE: usize = 8;
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
    let last_port = LAST_PORT.max(FIRST_PORT + layout.phones * PORTS_PER_PHONE - 1);
    let text = format!(
        "[sip]\nlisten = [\"udp:{server}\", \"tcp:{server}\"]\n\
         [rtp]\naddresses = [\"{}\"]\nfirst_port = {FIRST_PORT}\nlast_port = {last_port}\n\
         [calls]\nmax_calls = {}\n[log]\nlevel = \"info\"\n",
        server.ip(),
        MAX_CALLS.max(layout.phones * 2),
    );
    write(&folder.join("ringmaster.toml"), &text)?;
    write(&folder.join("phones.toml"), &phones(layout))?;
    let (queues, numbers) = if layout.agents == 0 {
        (String::new(), "[numbers]\n".to_owned())
    } else {
        (
            queue(layout),
            format!("[numbers]\n{QUEUE} = {{ queue = \"support\" }}\n"),
        )
    };
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

fn phones(layout: &Layout) -> String {
    let mut text = "[phones]\n".to_owned();
    for number in layout.numbers() {
        let _ = writeln!(
            text,
            "{number} = {{ password = \"{}\" }}",
            Layout::password(&number)
        );
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
