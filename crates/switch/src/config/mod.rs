//! The configuration: five TOML files, read and checked as a whole. What comes out cannot be wrong; what is wrong comes
//! out as a list of every mistake with its place.
//!
//! * `source`, `section`, `mistake`, `nearest`: reading of any TOML file without stopping at a mistake;
//! * `ringmaster` with `listen`, `tls`, `nat` and `defence`, `phones`, `queues`, `numbers` with `groups`, `trunks`: what each file
//!   may say;
//! * `names`, `sounds`, `passwords`: what the files must say together;
//! * `defaults`: the value of what is not written; `sample`: the documented configuration inside the binary;
//! * `settings`: the same for call control.

mod agents;
mod audio;
mod defaults;
mod defence;
mod groups;
mod listen;
mod mistake;
mod names;
mod nat;
mod nearest;
mod numbers;
mod passwords;
mod phones;
mod queues;
mod ringmaster;
pub(crate) mod sample;
mod section;
mod settings;
mod skills;
mod sounds;
mod source;
mod tls;
mod trace;
mod trunks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use call::settings::{Audio, Destination, Each, Group, GroupId};
use call::spoken::Language;
use call::trunk::Outside;
use media::tone::Tones;
use queue::{AgentId, AgentSettings, Needs, QueueId, QueueSettings};
use sip::digest::Algorithm;
use sip::endpoint::Account;
use sip::flow::Transport;
use sip::guard::Defence;
use sip::nat::Nat;
use sip::sdp::{Codecs, Encryption};

use self::mistake::Mistakes;
use self::names::Names;
use self::section::parse;
use self::sounds::SoundFolder;
use self::source::Sources;
use crate::recorder::Format;

pub(crate) use self::mistake::Report;
pub(crate) use self::nearest::nearest;
pub(crate) use self::queues::STRATEGIES;
pub(crate) use self::sounds::{SoundName, UsedSound};
pub(crate) use self::source::File;
pub(crate) use self::tls::{Papers, Tls, expiry};
pub(crate) use self::trace::Trace;

/// A configuration without mistakes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    /// The signalling.
    pub(crate) sip: Sip,
    /// The media.
    pub(crate) rtp: Rtp,
    /// Limits of calls.
    pub(crate) calls: Calls,
    /// What strangers may do.
    pub(crate) defence: Defence,
    /// Under which addresses peers see the switch.
    pub(crate) nat: Nat,
    /// Those addresses.
    pub(crate) outer_addresses: Vec<IpAddr>,
    /// Where recordings go (absolute).
    pub(crate) recordings: PathBuf,
    /// The name of a recording below that folder, without `.wav`.
    pub(crate) recording_name: String,
    /// What complete recordings become.
    pub(crate) recording_format: Format,
    /// Where call records go (absolute).
    pub(crate) call_records: PathBuf,
    /// Where the queue log goes (absolute).
    pub(crate) queue_log: PathBuf,
    /// The trace.
    pub(crate) trace: Trace,
    /// The least important lines that are logged.
    pub(crate) log_level: tracing::Level,
    /// Who may register.
    pub(crate) phones: BTreeMap<Account, Password>,
    /// Whose users may supervise others.
    pub(crate) supervisors: BTreeSet<Account>,
    /// Whose sound is encrypted.
    pub(crate) srtp: Each<Encryption>,
    pub(crate) codecs: Each<Codecs>,
    pub(crate) audio: Each<Audio>,
    /// Phones and outside numbers that ring together or in turn.
    pub(crate) groups: BTreeMap<GroupId, Group>,
    /// Trunks, routes and limits; its listeners and agents are filled in for call control.
    pub(crate) outside: Outside,
    /// What is dialled, besides phones.
    pub(crate) numbers: BTreeMap<String, Destination>,
    /// The queues.
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    /// The agents.
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    /// What callers may need of agents.
    pub(crate) needs: Vec<Needs>,
    /// Sounds that are not a queue's own.
    pub(crate) switch_sounds: SwitchSounds,
    /// Where sounds are looked for before the built-in ones (absolute; may be missing).
    pub(crate) sounds_folder: PathBuf,
    /// Ringing and busy tone.
    pub(crate) tones: Tones,
    /// All sounds are made equally loud.
    pub(crate) even_loudness: bool,
    /// Every sound that is named above.
    pub(crate) sounds: BTreeMap<SoundName, UsedSound>,
    /// The configuration's folder as the user named it, for messages.
    shown_dir: String,
    /// What works, but is not safe: one line each, for people.
    pub(crate) unsafe_points: Vec<String>,
}

/// The signalling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sip {
    /// Where phones reach the switch; at least one, each once.
    pub(crate) listeners: Vec<Listener>,
    /// The certificate; there is one where a listener speaks TLS.
    pub(crate) tls: Option<Tls>,
    /// The web pages that may connect over WebSockets; none: all.
    pub(crate) origins: Vec<String>,
    /// The digest realm.
    pub(crate) realm: String,
    /// The digest algorithms that phones may answer with, in the order of the challenges; at least one.
    pub(crate) digests: Vec<Algorithm>,
    /// Shortest registration granted.
    pub(crate) min_expires: Duration,
    /// Longest registration granted.
    pub(crate) max_expires: Duration,
    /// The session interval that is asked for (RFC 4028).
    pub(crate) session_expires: Duration,
}

/// One listening socket of the signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The protocol.
    pub(crate) transport: Transport,
    /// The address; neither unspecified (`0.0.0.0`) nor port 0.
    pub(crate) address: SocketAddr,
}

impl fmt::Display for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.transport, self.address)
    }
}

/// The media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rtp {
    /// At most one of each family, and one for each family of the listeners.
    pub(crate) addresses: Vec<IpAddr>,
    /// The lowest port.
    pub(crate) first_port: u16,
    /// The highest port.
    pub(crate) last_port: u16,
    /// Worker threads, 1 to 64.
    pub(crate) workers: usize,
    /// A leg that sends nothing for so long is ended.
    pub(crate) rtp_timeout: Duration,
    /// The same on hold.
    pub(crate) hold_timeout: Duration,
}

/// Limits of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Most calls at once.
    pub(crate) max_calls: usize,
    /// How long a phone called by a phone rings.
    pub(crate) ring_timeout: Duration,
    /// How long standing calls may go on after SIGTERM.
    pub(crate) drain_timeout: Duration,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    /// What the queue engine needs.
    pub(crate) plan: QueueSettings,
    /// Played to its end before any agent is called.
    pub(crate) start_sound: Option<SoundName>,
    /// Told to the agent who answers.
    pub(crate) agent_announcement: Option<SoundName>,
    /// Music on hold, one after the other; none is the ringing tone.
    pub(crate) sound: Vec<SoundName>,
    /// What is announced.
    pub(crate) announce: Option<Announce>,
    /// The key that leaves the queue, and where it leads.
    pub(crate) exit_key: Option<(char, Option<String>)>,
    /// Where `max_wait_time` leads.
    pub(crate) timeout_transfer_dst: Option<String>,
    /// Where `max_wait_time_with_no_agent` leads.
    pub(crate) no_agent_timeout_transfer_dst: Option<String>,
    /// Where a caller goes for whom there is no place.
    pub(crate) overflow_transfer_dst: Option<String>,
    /// Conversations are recorded.
    pub(crate) record_enabled: bool,
    /// The agent's key that pauses the recording.
    pub(crate) record_pause_key: Option<char>,
}

/// What is told to who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announce {
    /// First.
    pub(crate) sound: Option<SoundName>,
    /// Then the place.
    pub(crate) position: bool,
    /// Then the time.
    pub(crate) wait: bool,
    /// In which both are spoken.
    pub(crate) language: Language,
    /// How often.
    pub(crate) every: Duration,
    /// The music is heard beside.
    pub(crate) beside: bool,
}

impl Announce {
    /// Whether anything is spoken.
    fn speaks(&self) -> bool {
        self.position || self.wait
    }
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    /// What the queue engine needs.
    pub(crate) plan: AgentSettings,
    /// What rings.
    pub(crate) reached: Reached,
}

/// Where an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// At a phone that registers here.
    Phone(Account),
    /// At a number outside, over a trunk.
    Outside(String),
}

/// Sounds that are not a queue's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SwitchSounds {
    /// For numbers that lead to `music`.
    pub(crate) music: SoundName,
    /// Confirms a log-in.
    pub(crate) logged_in: SoundName,
    /// Confirms a log-out.
    pub(crate) logged_out: SoundName,
    /// For a phone without an agent.
    pub(crate) not_an_agent: SoundName,
}

/// A phone's password; never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(..)")
    }
}

/// Reads and checks the configuration in a folder.
///
/// # Errors
/// Every mistake of every file at once.
pub(crate) fn load(dir: &Path) -> Result<Checked, Report> {
    let mut mistakes = Mistakes::default();
    let sources = Sources::read(dir, &mut mistakes);
    check(&sources, mistakes)
}

/// Checks texts as if they stood in the files of a folder (which need not exist; relative paths start there).
///
/// # Errors
/// Every mistake at once.
pub(crate) fn load_texts(
    dir: &Path,
    texts: impl IntoIterator<Item = (File, String)>,
) -> Result<Checked, Report> {
    check(&Sources::of(dir, texts), Mistakes::default())
}

fn check(sources: &Sources, mut mistakes: Mistakes) -> Result<Checked, Report> {
    let checked = if sources.is_empty() {
        None
    } else {
        Some(walk(sources, &mut mistakes))
    };
    match checked {
        Some(checked) if mistakes.is_empty() => Ok(checked),
        Some(_) | None => Err(mistakes.report(sources)),
    }
}

/// How sound goes, for everybody and for the phones and trunks that say it for themselves.
fn sound(
    rtp: &ringmaster::RawRtp,
    phones: &[phones::Phone],
    trunks: &trunks::Raw,
) -> (Each<Encryption>, Each<Codecs>, Each<Audio>) {
    let account = |phone: &phones::Phone| phone.account.clone();
    let encrypted = phones
        .iter()
        .filter_map(|phone| Some((account(phone), phone.srtp?)));
    let spoken = phones
        .iter()
        .filter_map(|phone| Some((account(phone), phone.codecs.clone()?)));
    let srtp = Each {
        everybody: rtp.srtp(),
        of: encrypted.chain(trunks.srtp()).collect(),
    };
    let codecs = Each {
        everybody: rtp.codecs(),
        of: spoken.chain(trunks.codecs()).collect(),
    };
    let everybody = rtp.audio();
    let treated = phones
        .iter()
        .map(|phone| (account(phone), phone.audio.above(everybody)));
    let audio = Each {
        everybody,
        of: treated
            .chain(trunks.audio(everybody))
            .filter(|(_, audio)| *audio != everybody)
            .collect(),
    };
    (srtp, codecs, audio)
}

/// Whose users may supervise others.
fn supervisors(phones: &[phones::Phone]) -> BTreeSet<Account> {
    let supervisors = phones.iter().filter(|phone| phone.supervisor);
    supervisors.map(|phone| phone.account.clone()).collect()
}

/// Reads all files to their ends. Where there is a mistake, something harmless stands in the result, which is then not used.
fn walk(sources: &Sources, mistakes: &mut Mistakes) -> Checked {
    let [switch, phones, queues, numbers, trunks] =
        File::ALL.map(|file| parse(file, sources, mistakes));
    let switch = ringmaster::read(switch.as_ref(), &sources.base(), mistakes);
    let trunks = trunks::read(trunks.as_ref(), &sources.base(), mistakes);
    let phones = phones::read(phones.as_ref(), trunks.everybody(), mistakes);
    let queues = queues::read(queues.as_ref(), mistakes);
    let (numbers, groups) = numbers::read(numbers.as_ref(), mistakes);

    let names = Names::new(&phones, &queues, (&numbers, &groups), &trunks, mistakes);
    let mut sounds = SoundFolder::open(&switch.sound_folder, switch.sound_folder_written, mistakes);
    let (queues, agents, needs) = queues.check(&names, &mut sounds, mistakes);
    let numbers = numbers::check(&numbers, &names, mistakes);
    let groups = groups::check(&groups, &names, mistakes);
    let allowed = phones
        .iter()
        .filter_map(|phone| Some((phone.account.clone(), phone.outside?)));
    let (srtp, codecs, audio) = sound(&switch.rtp, &phones, &trunks);
    let outside = trunks.check(&switch.sip.listeners, allowed.collect(), &names, mistakes);
    let switch_sounds = switch.sounds.check(&mut sounds, mistakes);
    let exposed = passwords::exposed(&switch.sip, &switch.rtp);
    let mut unsafe_points =
        passwords::check(&phones, exposed, &sources.path(File::Phones), mistakes);
    if !matches!(srtp.everybody, Encryption::Required | Encryption::Dtls) {
        let text = "sound is encrypted only where it is offered so: who can read the network hears the rest \
                    (`srtp` in [rtp] of ringmaster.toml)";
        unsafe_points.push(text.to_owned());
    }
    let sip = switch.sip.into_sip();
    let shown = outside.trunks.values().flat_map(|it| &it.tls_certificate);
    let keys = sip
        .tls
        .iter()
        .map(|tls| &tls.key)
        .chain(shown.map(|files| &files.key));
    unsafe_points.extend(keys.filter_map(|key| tls::unsafe_point(key)));
    Checked {
        sip,
        rtp: switch.rtp.into_rtp(),
        calls: switch.calls,
        defence: switch.defence,
        nat: switch.nat.nat,
        outer_addresses: switch.nat.outer,
        recordings: switch.recordings,
        recording_name: switch.recording_name,
        recording_format: switch.recording_format,
        call_records: switch.call_records,
        queue_log: switch.queue_log,
        trace: switch.trace,
        log_level: switch.log_level,
        supervisors: supervisors(&phones),
        phones: phones
            .into_iter()
            .map(|phone| (phone.account, phone.password.value))
            .collect(),
        srtp,
        codecs,
        audio,
        groups,
        outside,
        numbers,
        queues,
        agents,
        needs,
        switch_sounds,
        sounds_folder: switch.sound_folder.value,
        tones: switch.tones,
        even_loudness: switch.even_loudness,
        sounds: sounds.into_used(sources),
        shown_dir: sources.dir().display().to_string(),
        unsafe_points,
    }
}

const fn loopback() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

#[cfg(test)]
mod tests;
