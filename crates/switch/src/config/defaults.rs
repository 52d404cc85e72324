//! The value of every setting that is not written, each with its reason. The sample configuration documents them; a
//! test holds the two together.

use std::num::NonZeroU8;
use std::thread::available_parallelism;
use std::time::Duration;

use call::spoken::Language;
use media::tone::{COUNTRIES, Tones};
use queue::{Status, Strategy};
use sip::digest::Algorithm;
use sip::sdp::{AudioCodec, Codecs};
use tracing::Level;

use super::ringmaster::MAX_WORKERS;
use super::{Listener, loopback};
use crate::recorder::Format;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// The switch.

/// Loopback: safe before anybody has thought about passwords. 5060 is SIP's port (RFC 3261 section 19.1.2).
pub(super) fn listen() -> Vec<Listener> {
    [sip::flow::Transport::Udp, sip::flow::Transport::Tcp]
        .map(|transport| Listener {
            transport,
            address: (loopback(), 5060).into(),
        })
        .into()
}
/// Made at the first start where a listener needs it; beside the configuration, so that it moves with it.
pub(super) const TLS_CERTIFICATE: &str = "tls/certificate.pem";
/// As the certificate.
pub(super) const TLS_KEY: &str = "tls/key.pem";
/// Most phones choose the first that they speak: the two that cost nothing.
pub(super) fn codecs() -> Codecs {
    Codecs::of([
        AudioCodec::Pcmu,
        AudioCodec::Pcma,
        AudioCodec::G722,
        AudioCodec::Opus,
    ])
}
/// Phones show it when they ask for a password; it is no host name, so that it survives a move of the switch.
pub(super) const REALM: &str = "ringmaster";
/// The better one first (RFC 8760 section 2.4); MD5 for all the phones that know nothing else.
pub(super) const DIGESTS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];
/// A phone behind NAT that registers each minute keeps its way open; more often is only load.
pub(super) const MIN_EXPIRES: Duration = seconds(60);
/// What most phones ask for; a phone that vanished is noticed after an hour at the latest.
pub(super) const MAX_EXPIRES: Duration = seconds(3600);
/// What RFC 4028 section 4 recommends: a question each 15 minutes costs nothing, and a call whose other end is lost ends.
pub(super) const SESSION_EXPIRES: Duration = seconds(1800);

/// Who needs no router to reach us: ourselves, private networks (RFC 1918, RFC 4193) and our own link (RFC 3927, RFC 4291).
pub(super) const LOCAL_NETWORKS: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

// Trunks.

/// Most carriers grant this; a carrier that wants longer says so (423).
pub(super) const TRUNK_EXPIRES: Duration = seconds(600);
/// A dead trunk is found out within a minute, and calls find out sooner.
pub(super) const TRUNK_OPTIONS: Duration = seconds(60);
/// What a line of 30 channels carries.
pub(super) const TRUNK_CALLS: usize = 30;
/// Carriers begin to refuse somewhere above.
pub(super) const TRUNK_RATE: u32 = 10;
/// How people begin an international number: E.164, Europe, North America, Russia.
pub(super) const INTERNATIONAL: [&str; 4] = ["+.", "00.", "011.", "810."];
/// As long as agents' phones ring.
pub(super) const GROUP_RING_TIME: Duration = seconds(20);

// RTP.

/// Above the registered ports in common use and below 32768, where Linux begins to hand out ports to programs.
pub(super) const FIRST_PORT: u16 = 16384;
/// 4,096 ports: two for each leg, 500 calls of two legs and as many phones that only ring.
pub(super) const LAST_PORT: u16 = 20479;
/// One fills a core, and a call's packets need no second.
pub(super) fn workers() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS as usize))
}
/// Longer than any gap of a healthy network, short enough that nobody talks to a dead phone for long.
pub(super) const RTP_TIMEOUT: Duration = seconds(30);
/// Nobody holds a customer for longer on purpose.
pub(super) const HOLD_TIMEOUT: Duration = seconds(3600);

// Calls.

/// What one processor core carries with recording on, with half of it left.
pub(super) const MAX_CALLS: usize = 500;
/// Longer than any voicemail waits, shorter than the three minutes at which proxies give up (timer C, RFC 3261 section 16.6).
pub(super) const RING_TIMEOUT: Duration = seconds(60);
/// Most conversations end within a minute; service managers kill after 90 s.
pub(super) const DRAIN_TIMEOUT: Duration = seconds(60);

// Folders and names.

/// Beside the configuration, so that a folder can be tried and thrown away as a whole.
pub(super) const RECORDINGS: &str = "recordings";
/// As the recordings.
pub(super) const CALL_RECORDS: &str = "call-records";
/// Beside them.
pub(super) const QUEUE_LOG: &str = "queue-log";
/// The language of the built-in sounds.
pub(super) const LANGUAGE: Language = Language::English;

/// A voice alone is understood best.
pub(super) const ANNOUNCE_OVER_MUSIC: bool = false;

/// What everything plays, and what costs the machine nothing.
pub(super) const RECORDING_FORMAT: Format = Format::Wav;

/// As the recordings; it may be missing, since the sample's sounds are inside the binary.
pub(super) const SOUNDS: &str = "sounds";

/// Understood everywhere.
pub(super) const TONES: Tones = COUNTRIES[0].1;

/// Nobody wants to be startled by music after a soft voice.
pub(super) const EVEN_LOUDNESS: bool = true;
/// A folder a day, sorted by time inside it; `{call}` makes the name unique.
pub(super) const RECORDING_NAME: &str = "{date}/{time}-{queue}-{caller}-{agent}-{call}";
/// The music for numbers that lead to `music`.
pub(super) const MUSIC: &str = "music";
/// Confirms a log-in.
pub(super) const LOGGED_IN: &str = "logged-in";
/// Confirms a log-out.
pub(super) const LOGGED_OUT: &str = "logged-out";
/// For a phone without an agent.
pub(super) const NOT_AN_AGENT: &str = "not-an-agent";
/// A call's life in at most ten lines.
pub(super) const LOG_LEVEL: Level = Level::INFO;

// The trace.

/// Any number: one switch needs none to tell it from others.
pub(super) const CAPTURE_ID: u32 = 1;

// Queues: the defaults of the cloud PBX interface that the settings' names come from.

/// In turn: nobody needs to know more about the agents.
pub(super) const STRATEGY: Strategy = Strategy::RoundRobin;
/// An hour.
pub(super) const MAX_WAIT_TIME: Duration = seconds(3600);
/// As many callers as there are, one more agent each ten seconds, rings nobody in vain: mod_callcenter's default.
pub(super) const RING_PROGRESSIVELY_DELAY: Duration = seconds(10);
/// As in the cloud PBX interface: the next level is called when the lower one is busy.
pub(super) const TIER_RULES_APPLY: bool = false;
/// One wait for all levels above the lowest.
pub(super) const TIER_RULE_WAIT_MULTIPLY_LEVEL: bool = false;
/// Nobody waits for a level without agents; the other value lets even the first level wait, which is taken for a fault.
pub(super) const TIER_RULE_NO_AGENT_NO_WAIT: bool = true;
/// Off: a queue whose agents are out for lunch keeps its callers.
pub(super) const MAX_WAIT_TIME_WITH_NO_AGENT: Duration = seconds(0);
/// Enough to hear that one is in a queue; mod_callcenter's default.
pub(super) const MAX_WAIT_TIME_WITH_NO_AGENT_TIME_REACHED: Duration = seconds(5);
/// Off: some callers would rather begin anew.
pub(super) const ABANDONED_RESUME_ALLOWED: bool = false;
/// Who was cut off calls back within a minute.
pub(super) const DISCARD_ABANDONED_AFTER: Duration = seconds(60);
/// None: the agent is free at once.
pub(super) const WRAP_UP_TIME: Duration = seconds(0);
/// Of a break by `max_no_answer`: nobody said why.
pub(super) const BREAK_REASON: &str = "no answer";
/// All callers are alike.
pub(super) const PRIORITY: u32 = 0;
/// No head start.
pub(super) const BASE_SCORE: Duration = seconds(0);
/// Above `MAX_CALLS`, so that the limit of the whole switch is met first unless a queue is given its own.
pub(super) const CAPACITY: usize = 1000;
/// Recording needs the consent of both sides in many countries: never by default.
pub(super) const RECORD_ENABLED: bool = false;

// Phones.

/// Nobody listens to others unless the administrator says so.
pub(super) const SUPERVISOR: bool = false;

// Agents.

/// Agents take calls as soon as their phone is there.
pub(super) const STATUS: Status = Status::Available;
/// Four rings; a customer who waits longer for one agent would rather have the next.
pub(super) const CALL_TIMEOUT: Duration = seconds(20);
/// Never: who sits at the phone knows better.
pub(super) const MAX_NO_ANSWER: u32 = 0;
/// After a call that was missed, rejected or found the phone busy; the cloud PBX interface's default for all three.
pub(super) const DELAY_TIME: Duration = seconds(10);
/// One customer has an agent's whole attention.
pub(super) const AGENT_MAX_CALLS: NonZeroU8 = NonZeroU8::MIN;
/// Who talks with somebody else is not disturbed.
pub(super) const CALL_WAITING: bool = false;
/// The lowest: everybody is called at once until levels are given.
pub(super) const LEVEL: u32 = 1;
/// The first.
pub(super) const POSITION: u32 = 1;
