//! queues.toml: queues, agents and who serves where.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use queue::{AgentId, AgentSettings, Membership, QueueId, QueueSettings, Status, Strategy};
use toml::de::DeTable;

use super::mistake::{Located, Mistakes, shortened};
use super::names::{Names, is_name};
use super::ringmaster::{DAY, count};
use super::section::{Entry, Section, quoted_list};
use super::sounds::{SoundFolder, SoundName};
use super::source::File;
use super::{Agent, Queue, Reached, defaults};

/// Most queues, and most agents: what one site has is less.
const MAX_ENTRIES: usize = 10_000;

/// Most callers that may wait in one queue.
const MAX_CAPACITY: u64 = 10_000;

/// Highest level and position: numbers for people.
const MAX_RANK: u64 = 10_000;

/// Strategies by name; without a value: of the product, but not of this version.
const STRATEGIES: [(&str, Option<Strategy>); 9] = [
    ("ring-all", Some(Strategy::RingAll)),
    ("longest-idle-agent", Some(Strategy::LongestIdleAgent)),
    ("round-robin", Some(Strategy::RoundRobin)),
    ("top-down", None),
    ("agent-with-least-talk-time", None),
    ("agent-with-fewest-calls", None),
    ("sequentially-by-agent-order", None),
    ("random", None),
    ("ring-progressively", None),
];

const STATUSES: [(&str, Status); 2] = [
    ("available", Status::Available),
    ("logged_out", Status::LoggedOut),
];

/// Settings of a queue that this version has no behaviour for.
const QUEUE_NOT_YET: [&str; 5] = [
    "max_wait_time_with_no_agent",
    "no_agent_timeout_transfer_dst",
    "tier_rules_apply",
    "tier_rule_wait_second",
    "tier_rule_wait_multiply_level",
];

/// What a caller hears while it waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SoundType {
    Music,
    Ring,
}

const SOUND_TYPES: [(&str, SoundType); 2] =
    [("music", SoundType::Music), ("ring", SoundType::Ring)];

/// The file as it was written.
pub(super) struct Raw {
    pub(super) queues: Vec<RawQueue>,
    pub(super) agents: Vec<RawAgent>,
}

/// One queue; what it names may not exist.
pub(super) struct RawQueue {
    pub(super) name: Located<String>,
    sound: Option<Located<String>>,
    announce: Option<(Located<String>, Duration)>,
    start_sound: Option<Located<String>>,
    strategy: Strategy,
    max_wait_time: Option<Duration>,
    timeout_transfer_dst: Option<Located<String>>,
    exit_key: Option<char>,
    exit_transfer_dst: Option<Located<String>>,
    record_enabled: bool,
    capacity: usize,
    members: Vec<Member>,
}

struct Member {
    agent: Located<String>,
    level: u32,
    position: u32,
}

/// One agent; its phone may not exist.
pub(super) struct RawAgent {
    pub(super) name: Located<String>,
    phone: Located<String>,
    /// Of a remote agent.
    number: Option<Located<String>>,
    status: Status,
    call_timeout: Duration,
    wrap_up_time: Duration,
    no_answer_delay_time: Duration,
    reject_delay_time: Duration,
    busy_delay_time: Duration,
}

/// Reads the file.
pub(super) fn read(table: Option<&DeTable<'_>>, mistakes: &mut Mistakes) -> Raw {
    let mut file = Section::file(File::Queues, table, mistakes);
    let mut section = file.table("queues");
    let queues = named(&mut section, "queue", read_queue);
    let mut section = file.table("agents");
    let agents = named(&mut section, "agent", read_agent);
    file.finish();
    Raw { queues, agents }
}

fn named<'d, T>(
    section: &mut Section<'d, '_>,
    what: &str,
    read: impl Fn(Located<String>, Section<'d, '_>) -> T,
) -> Vec<T> {
    let entries = section.entries();
    if entries.len() > MAX_ENTRIES {
        section
            .mistakes
            .add(section.place(), format!("more than {MAX_ENTRIES} {what}s"));
    }
    let mut all = Vec::new();
    for entry in entries.into_iter().take(MAX_ENTRIES) {
        if !is_name(&entry.name.value) {
            let text = format!(
                "`{}` cannot name a {what}: use up to 64 letters, digits and `-_.`, a letter or digit first",
                shortened(&entry.name.value)
            )
            .replace("a agent", "an agent");
            section.mistakes.add(entry.name.place, text);
        }
        all.push(read(entry.name.clone(), section.enter(&entry)));
    }
    all
}

fn read_queue(name: Located<String>, mut section: Section<'_, '_>) -> RawQueue {
    let strategy = strategy(&mut section).unwrap_or(defaults::STRATEGY);
    let start_sound = section.text("start_sound");
    let sound = waiting_sound(&mut section);
    let announce = announcement(&mut section);
    let max_wait_time = section
        .seconds("max_wait_time", 0..=DAY)
        .map_or(defaults::MAX_WAIT_TIME, |time| time.value);
    let max_wait_time = (!max_wait_time.is_zero()).then_some(max_wait_time);
    let timeout_transfer_dst = section.text("timeout_transfer_dst");
    if let (Some(number), None) = (&timeout_transfer_dst, max_wait_time) {
        let text = "`timeout_transfer_dst` is never used: `max_wait_time` is 0, without limit";
        section.mistakes.add(number.place, text.to_owned());
    }
    let (exit_key, exit_transfer_dst) = exit(&mut section);
    let record_enabled = section
        .flag("record_enabled")
        .unwrap_or(defaults::RECORD_ENABLED);
    let capacity = count(
        section.number("capacity", 1..=MAX_CAPACITY, ""),
        defaults::CAPACITY,
    );
    section.not_yet(&QUEUE_NOT_YET);
    let mut members = Vec::new();
    for entry in section.list("agents").unwrap_or_default() {
        members.extend(read_member(&mut section, &entry));
    }
    section.finish();
    RawQueue {
        name,
        sound,
        announce,
        start_sound,
        strategy,
        max_wait_time,
        timeout_transfer_dst,
        exit_key,
        exit_transfer_dst,
        record_enabled,
        capacity,
        members,
    }
}

fn strategy(section: &mut Section<'_, '_>) -> Option<Strategy> {
    let written = section.text("strategy")?;
    let found = STRATEGIES.iter().find(|(word, _)| *word == written.value);
    match found {
        Some((_, Some(strategy))) => return Some(*strategy),
        Some((word, None)) => {
            let text = format!("strategy `{word}`: this version does not do that yet");
            section.mistakes.add(written.place, text);
        }
        None => {
            let built = STRATEGIES.iter().filter(|(_, strategy)| strategy.is_some());
            let known = quoted_list(built.map(|(word, _)| *word), "or");
            let words = STRATEGIES.iter().map(|(word, _)| *word);
            let all = format!(": must be {known}");
            section.mistakes.add_unknown(
                written.place,
                "unknown strategy",
                &written.value,
                words,
                &all,
            );
        }
    }
    None
}

/// The music, or none for the ringing tone.
fn waiting_sound(section: &mut Section<'_, '_>) -> Option<Located<String>> {
    let written = section.choice("sound_type", &SOUND_TYPES);
    let sound = section.text("sound");
    let sound_type = match written {
        Some(sound_type) => sound_type,
        // Nobody knows what the wrong word was to be.
        None if section.is_written("sound_type") => return sound,
        None => SoundType::Ring,
    };
    match (sound_type, &sound) {
        (SoundType::Music, None) => {
            let text = "`sound_type = \"music\"` needs a `sound`".to_owned();
            section.mistakes.add(section.place(), text);
        }
        (SoundType::Ring, Some(sound)) => {
            let text = "`sound` is never played: it needs `sound_type = \"music\"`".to_owned();
            section.mistakes.add(sound.place, text);
        }
        (SoundType::Music, Some(_)) | (SoundType::Ring, None) => {}
    }
    sound
}

fn announcement(section: &mut Section<'_, '_>) -> Option<(Located<String>, Duration)> {
    let sound = section.text("announce_sound");
    let frequency = section.seconds("announce_frequency", 1..=DAY);
    match (sound, frequency) {
        (Some(sound), Some(frequency)) => Some((sound, frequency.value)),
        (Some(sound), None) if !section.is_written("announce_frequency") => {
            let text = "`announce_sound` is never played: it needs `announce_frequency`".to_owned();
            section.mistakes.add(sound.place, text);
            None
        }
        (None, Some(frequency)) if !section.is_written("announce_sound") => {
            let text =
                "`announce_frequency` announces nothing: it needs `announce_sound`".to_owned();
            section.mistakes.add(frequency.place, text);
            None
        }
        (Some(_), None) | (None, Some(_) | None) => None,
    }
}

fn exit(section: &mut Section<'_, '_>) -> (Option<char>, Option<Located<String>>) {
    let written = section.text("exit_key");
    let number = section.text("exit_transfer_dst");
    if let Some(number) = &number
        && !section.is_written("exit_key")
    {
        let text = "`exit_transfer_dst` is never used: it needs `exit_key`".to_owned();
        section.mistakes.add(number.place, text);
    }
    let key = written.as_ref().and_then(|written| {
        let mut letters = written.value.chars();
        let key = letters
            .next()
            .filter(|key| key.is_ascii_digit() || matches!(key, '*' | '#'));
        if key.is_none() || letters.next().is_some() {
            let text = "`exit_key` must be one key of a phone: 0 to 9, * or #".to_owned();
            section.mistakes.add(written.place, text);
        }
        key
    });
    (key, number)
}

fn read_member<'d>(section: &mut Section<'d, '_>, entry: &Entry<'d>) -> Option<Member> {
    let mut member = section.enter(entry);
    let agent = member.required_text("agent");
    let level = rank(&mut member, "level", defaults::LEVEL);
    let position = rank(&mut member, "position", defaults::POSITION);
    member.finish();
    Some(Member {
        agent: agent?,
        level,
        position,
    })
}

fn rank(section: &mut Section<'_, '_>, key: &'static str, default: u32) -> u32 {
    let written = section.number(key, 1..=MAX_RANK, "");
    written
        .and_then(|written| u32::try_from(written.value).ok())
        .unwrap_or(default)
}

fn read_agent(name: Located<String>, mut section: Section<'_, '_>) -> RawAgent {
    let phone = section.text("phone");
    let number = section.text("number");
    if let (Some(_), Some(number)) = (&phone, &number) {
        let text = "an agent has a `phone` here or a `number` outside".to_owned();
        section.mistakes.add(number.place, text);
    }
    let phone = phone.unwrap_or_else(|| name.clone());
    let mut time = |key, range, default| {
        section
            .seconds(key, range)
            .map_or(default, |time: Located<Duration>| time.value)
    };
    let call_timeout = time("call_timeout", 1..=600, defaults::CALL_TIMEOUT);
    let wrap_up_time = time("wrap_up_time", 0..=DAY, defaults::WRAP_UP_TIME);
    let no_answer_delay_time = time("no_answer_delay_time", 0..=DAY, defaults::DELAY_TIME);
    let reject_delay_time = time("reject_delay_time", 0..=DAY, defaults::DELAY_TIME);
    let busy_delay_time = time("busy_delay_time", 0..=DAY, defaults::DELAY_TIME);
    let status = section
        .choice("status", &STATUSES)
        .unwrap_or(defaults::STATUS);
    section.finish();
    RawAgent {
        name,
        phone,
        number,
        status,
        call_timeout,
        wrap_up_time,
        no_answer_delay_time,
        reject_delay_time,
        busy_delay_time,
    }
}

impl Raw {
    /// Follows every name to what it stands for.
    pub(super) fn check(
        &self,
        names: &Names<'_>,
        sounds: &mut SoundFolder,
        mistakes: &mut Mistakes,
    ) -> (BTreeMap<QueueId, Queue>, BTreeMap<AgentId, Agent>) {
        let queues = self
            .queues
            .iter()
            .map(|queue| queue.check(names, sounds, mistakes))
            .collect();
        let agents = self
            .agents
            .iter()
            .filter_map(|agent| agent.check(names, mistakes))
            .collect();
        (queues, agents)
    }
}

impl RawQueue {
    fn check(
        &self,
        names: &Names<'_>,
        sounds: &mut SoundFolder,
        mistakes: &mut Mistakes,
    ) -> (QueueId, Queue) {
        let id = QueueId(Arc::from(self.name.value.as_str()));
        let mut find =
            |sound: &Located<String>| -> Option<SoundName> { sounds.find(sound, mistakes) };
        let start_sound = self.start_sound.as_ref().and_then(&mut find);
        let sound = self.sound.as_ref().and_then(&mut find);
        let announce = self.announce.as_ref();
        let announce = announce.and_then(|(sound, frequency)| Some((find(sound)?, *frequency)));
        for number in [&self.timeout_transfer_dst, &self.exit_transfer_dst]
            .into_iter()
            .flatten()
        {
            names.number(number, mistakes);
        }
        let number = |number: &Option<Located<String>>| number.as_ref().map(|n| n.value.clone());
        let queue = Queue {
            plan: QueueSettings {
                id: id.clone(),
                strategy: self.strategy,
                max_wait_time: self.max_wait_time,
                capacity: self.capacity,
                members: self.members(names, mistakes),
            },
            start_sound,
            sound,
            announce,
            exit_key: self
                .exit_key
                .map(|key| (key, number(&self.exit_transfer_dst))),
            timeout_transfer_dst: number(&self.timeout_transfer_dst),
            record_enabled: self.record_enabled,
        };
        (id, queue)
    }

    fn members(&self, names: &Names<'_>, mistakes: &mut Mistakes) -> Vec<Membership> {
        let mut seen = BTreeMap::new();
        let mut members = Vec::new();
        for member in &self.members {
            let name = member.agent.value.as_str();
            if let Some(first) = seen.get(name) {
                let text = format!("agent `{}` is in this queue already", shortened(name));
                mistakes.add_also(member.agent.place, text, "first", Some(*first));
                continue;
            }
            seen.insert(name, member.agent.place);
            let agent = names.agent(&member.agent, mistakes);
            members.extend(agent.map(|agent| Membership {
                agent,
                level: member.level,
                position: member.position,
            }));
        }
        members
    }
}

impl RawAgent {
    fn check(&self, names: &Names<'_>, mistakes: &mut Mistakes) -> Option<(AgentId, Agent)> {
        let id = AgentId(Arc::from(self.name.value.as_str()));
        let plan = AgentSettings {
            id: id.clone(),
            status: self.status.clone(),
            call_timeout: self.call_timeout,
            wrap_up_time: self.wrap_up_time,
            no_answer_delay_time: self.no_answer_delay_time,
            reject_delay_time: self.reject_delay_time,
            busy_delay_time: self.busy_delay_time,
        };
        let reached = match &self.number {
            Some(number) => names
                .outside(number, mistakes)
                .then(|| Reached::Outside(number.value.clone()))?,
            None => Reached::Phone(names.phone(&self.phone, mistakes)?),
        };
        Some((id, Agent { plan, reached }))
    }
}
