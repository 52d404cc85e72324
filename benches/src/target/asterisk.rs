//! Asterisk 22 in its own folder (`peers/asterisk.sh`), set up as its documentation advises for the same job.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Layout, QUEUE, create_folder, write};
use crate::machine;

/// Where `peers/asterisk.sh` puts peers unless RINGMASTER_PEERS says otherwise.
const PEERS: &str = "/var/tmp/ringmaster-peers";

/// Folders that Asterisk wants below its own.
const FOLDERS: [&str; 9] = [
    "etc",
    "var",
    "db",
    "keys",
    "spool",
    "run",
    "log",
    "log/cdr-csv",
    "moh",
];

/// Modules that would listen on ports of their own, or wait for hardware.
const UNUSED: [&str; 6] = [
    "chan_iax2.so",
    "pbx_dundi.so",
    "chan_unistim.so",
    "chan_mgcp.so",
    "chan_dahdi.so",
    "res_hep.so",
];

/// Seconds of music that callers hear.
const MUSIC_SECONDS: usize = 30;

/// Writes its configuration; returns its folder and the command that starts it.
pub(super) fn prepare(
    name: &str,
    server: SocketAddr,
    layout: &Layout,
) -> Result<(PathBuf, Command), String> {
    let peers =
        std::env::var_os("RINGMASTER_PEERS").map_or_else(|| PathBuf::from(PEERS), PathBuf::from);
    let root = peers.join("asterisk");
    if !root.join("usr/sbin/asterisk").exists() {
        return Err(format!(
            "there is no Asterisk in {}: run benches/peers/asterisk.sh",
            root.display()
        ));
    }
    let folder = root.join(name);
    for one in FOLDERS {
        create_folder(&folder.join(one))?;
    }
    // A quiet square wave in mu-law is music enough: Asterisk reads and sends it like any other.
    let music: Vec<u8> = (0..MUSIC_SECONDS * 8000)
        .map(|sample| if sample / 20 % 2 == 0 { 0xc0 } else { 0x40 })
        .collect();
    std::fs::write(folder.join("moh/music.ulaw"), music)
        .map_err(|error| format!("music on hold: {error}"))?;
    configure(
        &root,
        &folder.join("etc"),
        &format!("/{name}"),
        server,
        layout,
    )?;
    let mut command = machine::measured(OsStr::new("chroot"))?;
    command.arg(&root).args([
        "/usr/sbin/asterisk",
        "-f",
        "-C",
        &format!("/{name}/etc/asterisk.conf"),
    ]);
    Ok((folder, command))
}

/// Debian keeps modules below the name of the architecture.
fn modules(root: &Path) -> Result<String, String> {
    let entries = std::fs::read_dir(root.join("usr/lib"))
        .map_err(|error| format!("{}: {error}", root.display()))?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let found = names.find(|name| {
        root.join("usr/lib")
            .join(name)
            .join("asterisk/modules")
            .is_dir()
    });
    found
        .map(|name| format!("/usr/lib/{name}/asterisk/modules"))
        .ok_or_else(|| "Asterisk has no modules folder".to_owned())
}

/// `inside`: the folder as Asterisk sees it.
fn configure(
    root: &Path,
    etc: &Path,
    inside: &str,
    server: SocketAddr,
    layout: &Layout,
) -> Result<(), String> {
    let modules = modules(root)?;
    let file = |name: &str, text: &str| write(&etc.join(name), text);
    file(
        "asterisk.conf",
        &format!(
            "[directories]\nastetcdir => {inside}/etc\nastmoddir => {modules}\n\
             astvarlibdir => {inside}/var\nastdbdir => {inside}/db\nastkeydir => {inside}/keys\nastdatadir => /usr/share/asterisk\n\
             astagidir => /usr/share/asterisk/agi-bin\nastspooldir => {inside}/spool\nastrundir => {inside}/run\nastlogdir => {inside}/log\n\
             [options]\nverbose = 0\ndebug = 0\n"
        ),
    )?;
    let unused: String = UNUSED
        .iter()
        .map(|module| format!("noload = {module}\n"))
        .collect();
    file(
        "modules.conf",
        &format!("[modules]\nautoload = yes\n{unused}"),
    )?;
    file(
        "logger.conf",
        "[general]\n[logfiles]\nmessages = warning,error\n",
    )?;
    file("cdr.conf", "[general]\nenable = yes\n[csv]\n")?;
    file("rtp.conf", "[general]\nrtpstart = 10000\nrtpend = 19999\n")?;
    file(
        "musiconhold.conf",
        &format!("[default]\nmode = files\ndirectory = {inside}/moh\n"),
    )?;
    file("pjsip.conf", &phones(server, layout))?;
    file("extensions.conf", &dialplan(layout.recorded))?;
    file("queues.conf", &queue(layout))?;
    Ok(())
}

fn phones(server: SocketAddr, layout: &Layout) -> String {
    let mut text = format!(
        "[global]\ntype = global\n[udp]\ntype = transport\nprotocol = udp\nbind = {server}\n"
    );
    for number in layout.numbers() {
        let password = Layout::password(&number);
        let _ = write!(
            text,
            "[{number}]\ntype = endpoint\ncontext = phones\ndisallow = all\nallow = ulaw\nauth = {number}\naors = {number}\n\
             direct_media = no\nrtp_symmetric = yes\nmedia_address = 127.0.0.1\n\
             [{number}]\ntype = auth\nauth_type = userpass\nusername = {number}\npassword = {password}\n\
             [{number}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n"
        );
    }
    text
}

fn dialplan(recorded: bool) -> String {
    let record = if recorded {
        " same => n,MixMonitor(${UNIQUEID}.wav,b)\n"
    } else {
        ""
    };
    format!(
        "[phones]\nexten => _1XXX,1,Dial(PJSIP/${{EXTEN}},30)\n\
         exten => {QUEUE},1,Answer(,i)\n{record} same => n,Queue(support)\n same => n,Hangup()\n"
    )
}

/// `retry = 1` and `wrapuptime = 0`: the quickest that app_queue can be told to be.
fn queue(layout: &Layout) -> String {
    let mut text = "[general]\nautofill = yes\n[support]\nstrategy = rrmemory\ntimeout = 30\nretry = 1\nwrapuptime = 0\n\
                    ringinuse = no\nmusicclass = default\nannounce-frequency = 0\nannounce-holdtime = no\nannounce-position = no\n"
        .to_owned();
    for number in layout.agent_numbers() {
        let _ = writeln!(text, "member => PJSIP/{number}");
    }
    text
}
