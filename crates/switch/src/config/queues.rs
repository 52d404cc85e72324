//! queues.toml: queues, agents, who serves where, and what callers need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call::spoken::{LANGUAGES, Language};
use queue::{
    AgentId, BreakReason, Membership, Needs, NoAgentLimit, QueueId, QueueSettings, Status,
    Strategy, TierRules,
};
use toml::de::DeTable;

use super::agents::{self, RawAgent};
use super::mistake::{Located, Mistakes, shortened};
use super::names::{Names, is_name};
use super::ringmaster::{DAY, count};
use super::section::{Entry, Section};
use super::skills::{self, RawNeeds};
use super::sounds::{SoundFolder, SoundName};
use super::source::File;
use super::{Agent, Announce, Queue, defaults};

/// Most queues, and most agents: what one site has is less.
const MAX_ENTRIES: usize = 10_000;

/// Most callers that may wait in one queue.
const MAX_CAPACITY: u64 = 10_000;

/// Highest level and position: numbers for people.
const MAX_RANK: u64 = 10_000;

/// Strategies by name.
pub(crate) const STRATEGIES: [(&str, Strategy); 9] = [
    ("ring-all", Strategy::RingAll),
    ("longest-idle-agent", Strategy::LongestIdleAgent),
    ("round-robin", Strategy::RoundRobin),
    ("top-down", Strategy::TopDown),
    (
        "agent-with-least-talk-time",
        Strategy::AgentWithLeastTalkTime,
    ),
    ("agent-with-fewest-calls", Strategy::AgentWithFewestCalls),
    (
        "sequentially-by-agent-order",
        Strategy::SequentiallyByAgentOrder,
    ),
    ("random", Strategy::Random),
    ("ring-progressively", Strategy::RingProgressively),
];

/// What an agent has who does not answer.
#[derive(Clone, Copy)]
enum Away {
    OnBreak,
    LoggedOut,
}

const AWAY: [(&str, Away); 2] = [("on_break", Away::OnBreak), ("logged_out", Away::LoggedOut)];

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
    pub(super) needs: Vec<RawNeeds>,
}

/// One queue; what it names may not exist.
pub(super) struct RawQueue {
    pub(super) name: Located<String>,
    sound: Vec<Located<String>>,
    announce: Option<RawAnnounce>,
    start_sound: Option<Located<String>>,
    agent_announcement: Option<Located<String>>,
    agent_announce_wait: bool,
    announce_agent: bool,
    language: Language,
    strategy: Strategy,
    ring_progressively_delay: Duration,
    tier_rules: Option<TierRules>,
    max_wait_time: Option<Duration>,
    timeout_transfer_dst: Option<Located<String>>,
    max_wait_time_with_no_agent: Option<NoAgentLimit>,
    no_agent_timeout_transfer_dst: Option<Located<String>>,
    abandoned_resume: Option<Duration>,
    overflow_transfer_dst: Option<Located<String>>,
    wrap_up_time: Duration,
    agent_no_answer_status: Status,
    exit_key: Option<char>,
    exit_transfer_dst: Option<Located<String>>,
    record_enabled: bool,
    record_pause_key: Option<char>,
    capacity: usize,
    members: Vec<Member>,
}

/// What is told to who waits.
struct RawAnnounce {
    sound: Option<Located<String>>,
    position: bool,
    wait: bool,
    every: Duration,
    beside: bool,
}

struct Member {
    agent: Located<String>,
    level: u32,
    position: u32,
}

/// Reads the file.
pub(super) fn read(table: Option<&DeTable<'_>>, mistakes: &mut Mistakes) -> Raw {
    let mut file = Section::file(File::Queues, table, mistakes);
    let mut section = file.table("queues");
    let queues = named(&mut section, "queue", read_queue);
    let mut section = file.table("agents");
    let agents = named(&mut section, "agent", agents::read);
    let mut section = file.table("needs");
    let needs = named(&mut section, "need", skills::read_needs);
    file.finish();
    Raw {
        queues,
        agents,
        needs,
    }
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
    let strategy = section
        .choice("strategy", &STRATEGIES)
        .unwrap_or(defaults::STRATEGY);
    let ring_progressively_delay = section
        .seconds("ring_progressively_delay", 1..=DAY)
        .map_or(defaults::RING_PROGRESSIVELY_DELAY, |time| time.value);
    let tier_rules = tier_rules(&mut section);
    let start_sound = section.text("start_sound");
    let agent_announcement = section.text("agent_announcement");
    let agent_announce_wait = section.flag("agent_announce_wait").unwrap_or(false);
    let announce_agent = section.flag("announce_agent").unwrap_or(false);
    let language = section
        .choice("language", &LANGUAGES)
        .unwrap_or(defaults::LANGUAGE);
    let sound = waiting_sound(&mut section);
    let announce = announcement(&mut section);
    let (max_wait_time, timeout_transfer_dst) = limit(
        &mut section,
        ("max_wait_time", "timeout_transfer_dst"),
        defaults::MAX_WAIT_TIME,
    );
    let (max_wait_time_with_no_agent, no_agent_timeout_transfer_dst) = no_agent_limit(&mut section);
    let abandoned_resume = abandoned_resume(&mut section);
    let (exit_key, exit_transfer_dst) = exit(&mut section);
    let record_enabled = section
        .flag("record_enabled")
        .unwrap_or(defaults::RECORD_ENABLED);
    let record_pause_key = key(&mut section, "record_pause_key");
    let capacity = count(
        section.number("capacity", 1..=MAX_CAPACITY, ""),
        defaults::CAPACITY,
    );
    let overflow_transfer_dst = section.text("overflow_transfer_dst");
    let wrap_up_time = section
        .seconds("wrap_up_time", 0..=DAY)
        .map_or(defaults::WRAP_UP_TIME, |time| time.value);
    let agent_no_answer_status = away(&mut section);
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
        agent_announcement,
        agent_announce_wait,
        announce_agent,
        language,
        strategy,
        ring_progressively_delay,
        tier_rules,
        max_wait_time,
        timeout_transfer_dst,
        max_wait_time_with_no_agent,
        no_agent_timeout_transfer_dst,
        abandoned_resume,
        overflow_transfer_dst,
        wrap_up_time,
        agent_no_answer_status,
        exit_key,
        exit_transfer_dst,
        record_enabled,
        record_pause_key,
        capacity,
        members,
    }
}

/// A time to wait, and the number that it leads to; none: without limit.
fn limit(
    section: &mut Section<'_, '_>,
    (time, number): (&'static str, &'static str),
    default: Duration,
) -> (Option<Duration>, Option<Located<String>>) {
    let written = section.seconds(time, 0..=DAY);
    let wrong = written.is_none() && section.is_written(time);
    let limit = written.map_or(default, |time| time.value);
    let limit = (!limit.is_zero()).then_some(limit);
    let leads_to = section.text(number);
    if let (Some(leads_to), None, false) = (&leads_to, limit, wrong) {
        let text = format!("`{number}` is never used: `{time}` is 0, without limit");
        section.mistakes.add(leads_to.place, text);
    }
    (limit, leads_to)
}

fn no_agent_limit(
    section: &mut Section<'_, '_>,
) -> (Option<NoAgentLimit>, Option<Located<String>>) {
    let (time, leads_to) = limit(
        section,
        (
            "max_wait_time_with_no_agent",
            "no_agent_timeout_transfer_dst",
        ),
        defaults::MAX_WAIT_TIME_WITH_NO_AGENT,
    );
    let grace = section
        .seconds("max_wait_time_with_no_agent_time_reached", 0..=DAY)
        .map_or(defaults::MAX_WAIT_TIME_WITH_NO_AGENT_TIME_REACHED, |time| {
            time.value
        });
    let limit = time.map(|max_wait_time| NoAgentLimit {
        max_wait_time,
        grace,
    });
    (limit, leads_to)
}

/// The status of an agent who does not answer.
fn away(section: &mut Section<'_, '_>) -> Status {
    match section.choice("agent_no_answer_status", &AWAY) {
        Some(Away::LoggedOut) => Status::LoggedOut,
        Some(Away::OnBreak) | None => Status::OnBreak(BreakReason(defaults::BREAK_REASON.into())),
    }
}

fn tier_rules(section: &mut Section<'_, '_>) -> Option<TierRules> {
    let apply = section.flag("tier_rules_apply");
    let wait = section.seconds("tier_rule_wait_second", 0..=DAY);
    let multiply_level = section
        .flag("tier_rule_wait_multiply_level")
        .unwrap_or(defaults::TIER_RULE_WAIT_MULTIPLY_LEVEL);
    let no_agent_no_wait = section
        .flag("tier_rule_no_agent_no_wait")
        .unwrap_or(defaults::TIER_RULE_NO_AGENT_NO_WAIT);
    if !apply.unwrap_or(defaults::TIER_RULES_APPLY) {
        return None;
    }
    if !section.is_written("tier_rule_wait_second") {
        let text = "`tier_rules_apply = true` needs `tier_rule_wait_second`".to_owned();
        section.mistakes.add(section.place(), text);
    }
    Some(TierRules {
        wait: wait?.value,
        multiply_level,
        no_agent_no_wait,
    })
}

/// How long the place of a caller who hung up is kept.
fn abandoned_resume(section: &mut Section<'_, '_>) -> Option<Duration> {
    let allowed = section.flag("abandoned_resume_allowed");
    let time = section
        .seconds("discard_abandoned_after", 1..=DAY)
        .map_or(defaults::DISCARD_ABANDONED_AFTER, |time| time.value);
    allowed
        .unwrap_or(defaults::ABANDONED_RESUME_ALLOWED)
        .then_some(time)
}

/// The music, or none for the ringing tone.
fn waiting_sound(section: &mut Section<'_, '_>) -> Vec<Located<String>> {
    let written = section.choice("sound_type", &SOUND_TYPES);
    let sounds = section.text_or_texts("sound");
    let sound_type = match written {
        Some(sound_type) => sound_type,
        // Nobody knows what the wrong word was to be.
        None if section.is_written("sound_type") => return sounds,
        None => SoundType::Ring,
    };
    match (sound_type, sounds.first()) {
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
    sounds
}

fn announcement(section: &mut Section<'_, '_>) -> Option<RawAnnounce> {
    let sound = section.text("announce_sound");
    let position = section.flag("announce_position").unwrap_or(false);
    let wait = section.flag("announce_expected_wait").unwrap_or(false);
    let beside = section
        .flag("announce_over_music")
        .unwrap_or(defaults::ANNOUNCE_OVER_MUSIC);
    let frequency = section.seconds("announce_frequency", 1..=DAY);
    let place = section.place();
    let is_written = |key| section.is_written(key);
    let anything = sound.is_some() || position || wait;
    // What is written and wrong is told already.
    let wrong = sound.is_none() && is_written("announce_sound");
    if anything && !is_written("announce_frequency") {
        let text = "nothing is announced: `announce_sound`, `announce_position` and `announce_expected_wait` need `announce_frequency`";
        let place = sound.map_or(place, |sound| sound.place);
        section.mistakes.add(place, text.to_owned());
        return None;
    }
    if let (false, false, Some(frequency)) = (anything, wrong, &frequency) {
        let text = "`announce_frequency` announces nothing: it needs `announce_sound`, `announce_position` or `announce_expected_wait`";
        section.mistakes.add(frequency.place, text.to_owned());
    }
    Some(RawAnnounce {
        sound,
        position,
        wait,
        every: frequency?.value,
        beside,
    })
    .filter(|_| anything)
}

fn exit(section: &mut Section<'_, '_>) -> (Option<char>, Option<Located<String>>) {
    let key = key(section, "exit_key");
    let number = section.text("exit_transfer_dst");
    if let Some(number) = &number
        && !section.is_written("exit_key")
    {
        let text = "`exit_transfer_dst` is never used: it needs `exit_key`".to_owned();
        section.mistakes.add(number.place, text);
    }
    (key, number)
}

/// One key of a phone.
fn key(section: &mut Section<'_, '_>, name: &'static str) -> Option<char> {
    let written = section.text(name)?;
    let mut letters = written.value.chars();
    let key = letters
        .next()
        .filter(|key| key.is_ascii_digit() || matches!(key, '*' | '#'));
    if key.is_none() || letters.next().is_some() {
        let text = format!("`{name}` must be one key of a phone: 0 to 9, * or #");
        section.mistakes.add(written.place, text);
    }
    key
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
    let written = section.number(key, 0..=MAX_RANK, "");
    written
        .and_then(|written| u32::try_from(written.value).ok())
        .unwrap_or(default)
}

impl Raw {
    /// Follows every name to what it stands for.
    pub(super) fn check(
        &self,
        names: &Names<'_>,
        sounds: &mut SoundFolder,
        mistakes: &mut Mistakes,
    ) -> (
        BTreeMap<QueueId, Queue>,
        BTreeMap<AgentId, Agent>,
        Vec<Needs>,
    ) {
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
        let needs = self.needs.iter();
        let needs = needs.map(|needs| needs.check(names, mistakes)).collect();
        (queues, agents, needs)
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
        let agent_announcement = self.agent_announcement.as_ref().and_then(&mut find);
        let sound = self.sound.iter().filter_map(&mut find).collect();
        let announce = self.announce.as_ref().map(|announce| Announce {
            sound: announce.sound.as_ref().and_then(&mut find),
            position: announce.position,
            wait: announce.wait,
            every: announce.every,
            beside: announce.beside,
        });
        for number in [
            &self.timeout_transfer_dst,
            &self.no_agent_timeout_transfer_dst,
            &self.overflow_transfer_dst,
            &self.exit_transfer_dst,
        ]
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
                ring_progressively_delay: self.ring_progressively_delay,
                tier_rules: self.tier_rules,
                max_wait_time: self.max_wait_time,
                max_wait_time_with_no_agent: self.max_wait_time_with_no_agent,
                abandoned_resume: self.abandoned_resume,
                wrap_up_time: self.wrap_up_time,
                agent_no_answer_status: self.agent_no_answer_status.clone(),
                capacity: self.capacity,
                members: self.members(names, mistakes),
            },
            start_sound,
            agent_announcement,
            agent_announce_wait: self.agent_announce_wait,
            announce_agent: self.announce_agent,
            language: self.language,
            sound,
            announce,
            exit_key: self
                .exit_key
                .map(|key| (key, number(&self.exit_transfer_dst))),
            timeout_transfer_dst: number(&self.timeout_transfer_dst),
            no_agent_timeout_transfer_dst: number(&self.no_agent_timeout_transfer_dst),
            overflow_transfer_dst: number(&self.overflow_transfer_dst),
            record_enabled: self.record_enabled,
            record_pause_key: self.record_pause_key,
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
