//! The agents of queues.toml.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use queue::{AgentId, AgentSettings, Status};

use super::mistake::{Located, Mistakes};
use super::names::Names;
use super::ringmaster::DAY;
use super::section::Section;
use super::skills::{self, RawSkills};
use super::{Agent, Reached, defaults};

/// Highest number of calls that may be missed.
const MAX_MISSED: u64 = 1_000;
/// Most conversations at once: no phone has keys for more.
const MAX_CALLS: u64 = 16;

const STATUSES: [(&str, Status); 3] = [
    ("available", Status::Available),
    ("on_demand", Status::OnDemand),
    ("logged_out", Status::LoggedOut),
];

/// One agent; its phone may not exist.
pub(super) struct RawAgent {
    pub(super) name: Located<String>,
    phone: Located<String>,
    /// Of a remote agent.
    number: Option<Located<String>>,
    status: Status,
    skills: RawSkills,
    call_timeout: Duration,
    /// None: as its queues say.
    wrap_up_time: Option<Duration>,
    max_no_answer: u32,
    no_answer_delay_time: Duration,
    reject_delay_time: Duration,
    busy_delay_time: Duration,
    max_calls: NonZeroU8,
    call_waiting: bool,
}

/// Reads the table of one agent.
pub(super) fn read(name: Located<String>, mut section: Section<'_, '_>) -> RawAgent {
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
    let no_answer_delay_time = time("no_answer_delay_time", 0..=DAY, defaults::DELAY_TIME);
    let reject_delay_time = time("reject_delay_time", 0..=DAY, defaults::DELAY_TIME);
    let busy_delay_time = time("busy_delay_time", 0..=DAY, defaults::DELAY_TIME);
    let wrap_up_time = section.seconds("wrap_up_time", 0..=DAY);
    let wrap_up_time = wrap_up_time.map(|time| time.value);
    let max_no_answer = section
        .number("max_no_answer", 0..=MAX_MISSED, "")
        .and_then(|missed| u32::try_from(missed.value).ok())
        .unwrap_or(defaults::MAX_NO_ANSWER);
    let max_calls = section
        .number("max_calls", 1..=MAX_CALLS, "")
        .and_then(|calls| NonZeroU8::new(u8::try_from(calls.value).ok()?))
        .unwrap_or(defaults::AGENT_MAX_CALLS);
    let call_waiting = section
        .flag("call_waiting")
        .unwrap_or(defaults::CALL_WAITING);
    let status = section
        .choice("status", &STATUSES)
        .unwrap_or(defaults::STATUS);
    let skills = skills::read(&mut section);
    section.finish();
    RawAgent {
        name,
        phone,
        number,
        status,
        skills,
        call_timeout,
        wrap_up_time,
        max_no_answer,
        no_answer_delay_time,
        reject_delay_time,
        busy_delay_time,
        max_calls,
        call_waiting,
    }
}

impl RawAgent {
    /// What it can do.
    pub(super) fn skills(&self) -> impl Iterator<Item = &Located<String>> {
        self.skills.iter().map(|(skill, _)| skill)
    }

    /// Follows the agent's names to what they stand for.
    pub(super) fn check(
        &self,
        names: &Names<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<(AgentId, Agent)> {
        let id = AgentId(Arc::from(self.name.value.as_str()));
        let plan = AgentSettings {
            id: id.clone(),
            status: self.status.clone(),
            skills: skills::checked(&self.skills),
            call_timeout: self.call_timeout,
            wrap_up_time: self.wrap_up_time,
            max_no_answer: self.max_no_answer,
            no_answer_delay_time: self.no_answer_delay_time,
            reject_delay_time: self.reject_delay_time,
            busy_delay_time: self.busy_delay_time,
            max_calls: self.max_calls,
            call_waiting: self.call_waiting,
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
