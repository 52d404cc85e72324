//! What an administrator decided, already checked: every name that is used here exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use media::Sound;
use media::loudness::Loudness;
use queue::{AgentId, Arrival, CustomerId, NeedsId, QueueId, Status};
use sip::endpoint::Account;
use sip::sdp::{Codecs, Encryption};

use crate::spoken::Voice;
use crate::trunk::Outside;

/// Everything that call control is told, at start and at each reload.
#[derive(Clone, Debug)]
pub struct Settings {
    /// SIP: realm, accounts (one per phone), limits of bindings.
    pub sip: sip::endpoint::Settings,
    /// What is dialled -> where it leads. Phones are reached by their account's name without an entry here.
    pub numbers: BTreeMap<String, Destination>,
    /// Phones and outside numbers that ring together or in turn.
    pub groups: BTreeMap<GroupId, Group>,
    /// What a queue's callers hear and where they go.
    pub queues: BTreeMap<QueueId, Service>,
    /// The phone of each agent that has one here; remote agents have a number in `outside`.
    pub agents: BTreeMap<AgentId, Account>,
    /// The queue engine's plan of the same queues and agents.
    pub plan: queue::Plan,
    /// Tones and sounds that are not a queue's own.
    pub sounds: Sounds,
    /// The phones whose users may supervise others.
    pub supervisors: BTreeSet<Account>,
    /// How long a phone called by a phone rings.
    pub ring_timeout: Duration,
    /// Most calls at once; a further one gets 503 with Retry-After.
    pub max_calls: usize,
    /// Where recordings go, below the recordings folder: `{date}/{time}-{queue}-{caller}-{agent}-{call}`; the suffix `.wav` is added.
    pub recording_name: String,
    /// Trunks, the ways over them, and who may use them.
    pub outside: Outside,
    /// Whose sound is encrypted.
    pub srtp: Each<Encryption>,
    /// The codecs that are spoken with whom.
    pub codecs: Each<Codecs>,
    /// How sound is treated.
    pub audio: Each<Audio>,
}

/// How the sound of a phone or a trunk is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Comfort noise is agreed on with it, where it has it: it may suppress its silence.
    pub comfort_noise: bool,
    /// We leave out packets of Opus while nothing is to be heard, where it asks for that.
    pub dtx: bool,
    /// How loud it is, and hears.
    pub loudness: Loudness,
}

impl Default for Audio {
    /// As it comes, with the silence of others understood and none of our own.
    fn default() -> Self {
        Self {
            comfort_noise: true,
            dtx: false,
            loudness: Loudness::default(),
        }
    }
}

/// A setting for phones and trunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Each<T> {
    /// Of all those that are not in `of`.
    pub everybody: T,
    /// Of these phones and trunks.
    pub of: BTreeMap<Account, T>,
}

impl<T> Each<T> {
    pub(crate) fn of(&self, account: &Account) -> &T {
        self.of.get(account).unwrap_or(&self.everybody)
    }
}

/// The name of a ring group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(pub Arc<str>);

/// The name of a conference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConferenceId(pub Arc<str>);

/// A ring group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who rings; at least one.
    pub members: Vec<GroupMember>,
    /// Together or one after the other.
    pub order: GroupOrder,
    /// How long each rings before the next does, or all ring before the call ends.
    pub ring_time: Duration,
}

/// Who rings in a group: groups do not nest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupMember {
    /// A registered phone.
    Phone(Account),
    /// A number outside, over a trunk.
    Outside(String),
}

/// In which order a group rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupOrder {
    /// All at once; the first to answer has the call.
    All,
    /// One after the other, in the order of the members.
    InTurn,
}

/// Where a dialled number leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A queue.
    Queue(Entrance),
    /// A registered phone.
    Phone(Account),
    /// A ring group.
    Group(GroupId),
    /// A conference: everybody in it hears all others.
    Conference(ConferenceId),
    /// The caller hears itself.
    Echo,
    /// The caller hears music.
    Music,
    /// The agents of the calling phone have this status.
    SetStatus(Status),
    /// The agents of the calling phone want their next call now.
    Ready,
    /// With the name of a phone after it: the caller is with that phone, if it may.
    Supervise(Supervision),
}

/// Who hears a supervisor, who hears both sides of a conversation in any case. The keys are those of FreeSWITCH's `eavesdrop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// Nobody. Key 0.
    Listen,
    /// The phone that is supervised. Key 2.
    Whisper,
    /// Who talks with it. Key 1.
    Aside,
    /// Both. Key 3.
    Barge,
}

impl Supervision {
    pub(crate) fn of_key(key: char) -> Option<Self> {
        match key {
            '0' => Some(Self::Listen),
            '1' => Some(Self::Aside),
            '2' => Some(Self::Whisper),
            '3' => Some(Self::Barge),
            _ => None,
        }
    }
}

/// A way into a queue: several numbers may lead into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The queue.
    pub queue: QueueId,
    /// Callers of a higher priority always come first.
    pub priority: u32,
    /// As if the caller had waited so much longer.
    pub base_score: Duration,
    /// What its agent must be able to do.
    pub needs: Option<NeedsId>,
}

impl Entrance {
    /// Who comes in by it, after having waited for so long elsewhere.
    #[must_use]
    pub fn arrival(&self, customer: Option<CustomerId>, waited: Duration) -> Arrival {
        Arrival {
            customer,
            priority: self.priority,
            head_start: self.base_score + waited,
            needs: self.needs.clone(),
        }
    }
}

impl From<QueueId> for Entrance {
    /// As all others.
    fn from(queue: QueueId) -> Self {
        Self {
            queue,
            priority: 0,
            base_score: Duration::ZERO,
            needs: None,
        }
    }
}

/// One queue as its callers meet it.
#[derive(Clone, Debug)]
pub struct Service {
    /// Played to its end before any agent is rung.
    pub start_sound: Option<Arc<Sound>>,
    /// Told to the agent who answers, before it hears the caller: which queue it is.
    pub agent_announcement: Option<Arc<Sound>>,
    /// Looped while the caller waits: music on hold, or the ringing tone.
    pub waiting: Arc<Sound>,
    /// What the caller is told while it waits.
    pub announce: Option<Announcement>,
    /// A key that leaves the queue, and the number it leads to (none: hang-up).
    pub exit_key: Option<(char, Option<String>)>,
    /// Where `max_wait_time` leads (none: hang-up).
    pub timeout_transfer_dst: Option<String>,
    /// Where `max_wait_time_with_no_agent` leads (none: hang-up).
    pub no_agent_timeout_transfer_dst: Option<String>,
    /// Where a caller goes for whom the queue has no place (none: hang-up).
    pub overflow_transfer_dst: Option<String>,
    /// Conversations are recorded.
    pub record_enabled: bool,
    /// The key by which the agent pauses the recording, and lets it go on.
    pub record_pause_key: Option<char>,
}

/// What is told to who waits, from time to time.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// First of all.
    pub sound: Option<Arc<Sound>>,
    /// Then the place in the queue, by this voice.
    pub position: Option<Arc<Voice>>,
    /// Then how long the wait will most likely last, if the queue has been served for long enough to know.
    pub wait: Option<Arc<Voice>>,
    /// From the beginning of one to the beginning of the next.
    pub every: Duration,
    /// The music is heard beside it, and does not wait.
    pub beside: bool,
}

/// Sounds that are not a queue's own.
#[derive(Clone, Debug)]
pub struct Sounds {
    /// For the number that plays music, and for who is held.
    pub music: Arc<Sound>,
    /// The ringing tone: for a caller who was answered and now waits for another phone.
    pub ringing: Arc<Sound>,
    /// The busy tone, some seconds of it: for a caller who was answered, and for whom nobody is found.
    pub busy: Arc<Sound>,
    /// Confirms a log-in.
    pub logged_in: Arc<Sound>,
    /// Confirms a log-out.
    pub logged_out: Arc<Sound>,
    /// Says that the calling phone has no agent.
    pub not_an_agent: Arc<Sound>,
    /// Heard in a conference when somebody comes ...
    pub joined: Arc<Sound>,
    /// ... and when somebody goes.
    pub left: Arc<Sound>,
}
