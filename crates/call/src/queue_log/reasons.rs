//! Why an agent was offered a caller, and what held back those who would have come before: as data for the log, and in words for people.

use std::collections::BTreeMap;
use std::time::Instant;

use queue::{AgentId, Candidate, Held, Merit, Picked, Ticket};
use serde::{Deserialize, Serialize};

use super::{MissedBy, millis};
use crate::clock::Clock;

/// Candidates that are named in one entry, at most.
const MOST_NAMED: usize = 8;
/// Candidates that are looked at for one entry, at most: in a queue of 10,000 agents an entry must not cost more than its call.
const MOST_LOOKED_AT: usize = 100;

/// Why an agent's phone rings for a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The agent's level in the queue.
    pub level: u32,
    /// What decided on the level.
    #[serde(flatten)]
    pub by: By,
    /// How often the agent had failed this caller.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Who would have come before, by level, position and name, and what held each back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Of those who are not named, how many each rule held back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<String, u64>,
    /// Who was not looked at, for there are too many.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unseen: usize,
}

/// What decided for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum By {
    /// Its place in the queue, its turn or the lot.
    Order,
    /// It has waited longest for a call.
    Idle {
        /// How long, in milliseconds.
        idle_ms: u64,
    },
    /// It has talked least.
    TalkTime {
        /// How long, in milliseconds.
        talk_ms: u64,
    },
    /// It has had the fewest calls.
    Calls {
        /// How many.
        calls: u64,
    },
    /// It served the customer last.
    Favourite,
    /// Somebody gave it the caller.
    Hand,
}

/// A candidate that something held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Who.
    pub agent: String,
    /// What.
    #[serde(flatten)]
    pub rule: Rule,
    /// Until when (RFC 3339), if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What holds an agent back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Rule {
    /// A reload removed it.
    Removed,
    /// It is logged out.
    LoggedOut,
    /// It has a break.
    OnBreak {
        /// Which.
        reason: String,
    },
    /// Its phone is not registered.
    Unregistered,
    /// Its phone is in a call that no queue gave it.
    BusyElsewhere,
    /// Its phone rings for the same caller.
    Rings,
    /// Its phone rings for another caller.
    RingsForAnother,
    /// It talks.
    Talks,
    /// It wraps up.
    WrapUp,
    /// On demand: it has not asked for the next call.
    Parked,
    /// It rests after an offer that came to nothing.
    Rests {
        /// What became of the offer.
        after: MissedBy,
    },
    /// It cannot do what the caller asks.
    Unskilled {
        /// The skill that it lacks.
        skill: String,
        /// The level that is asked.
        least: u8,
    },
    /// It failed this caller.
    Failed {
        /// So often.
        times: u32,
    },
    /// Its level is not open to the caller yet.
    LevelClosed,
    /// Somebody of a lower level goes first.
    LowerLevelFirst,
    /// Another agent goes first.
    OtherFirst,
    /// The caller has waited as long as it may.
    Overdue,
}

impl Rule {
    /// What holds the agent back, towards the caller of this ticket, and until when.
    pub(crate) fn of(held: &Held, ticket: Ticket) -> (Self, Option<Instant>) {
        match held {
            Held::Removed => (Self::Removed, None),
            Held::LoggedOut => (Self::LoggedOut, None),
            Held::OnBreak(reason) => {
                let reason = reason.0.to_string();
                (Self::OnBreak { reason }, None)
            }
            Held::Unregistered => (Self::Unregistered, None),
            Held::BusyElsewhere => (Self::BusyElsewhere, None),
            Held::Offered(_, other) if *other == ticket => (Self::Rings, None),
            Held::Offered(..) => (Self::RingsForAnother, None),
            Held::Talking(_) => (Self::Talks, None),
            Held::WrapUp { until } => (Self::WrapUp, Some(*until)),
            Held::Parked => (Self::Parked, None),
            Held::Delay { after, until } => {
                let after = (*after).into();
                (Self::Rests { after }, Some(*until))
            }
            Held::Unskilled {
                skill,
                least,
                until,
            } => {
                let skill = skill.0.to_string();
                let least = *least;
                (Self::Unskilled { skill, least }, *until)
            }
            Held::Failed { times, until } => {
                let times = *times;
                (Self::Failed { times }, Some(*until))
            }
            Held::LevelClosed { opens } => (Self::LevelClosed, Some(*opens)),
            Held::LowerLevelRings => (Self::LowerLevelFirst, None),
            Held::OtherRings { until } => (Self::OtherFirst, *until),
            Held::Overdue => (Self::Overdue, None),
        }
    }

    /// In words. `time`: for how long, or until when, with a blank before it; empty if that is not known.
    #[must_use]
    pub fn told(&self, time: &str) -> String {
        match self {
            Self::Removed => "is not in the configuration any more".to_owned(),
            Self::LoggedOut => "logged out".to_owned(),
            Self::OnBreak { reason } => format!("on break ({reason})"),
            Self::Unregistered => "its phone is not registered".to_owned(),
            Self::BusyElsewhere => "its phone is in another call".to_owned(),
            Self::Rings => "its phone rings for this call".to_owned(),
            Self::RingsForAnother => "its phone rings for another caller".to_owned(),
            Self::Talks => "talks".to_owned(),
            Self::WrapUp => format!("wraps up{time}"),
            Self::Parked => "on demand, and has not asked for the next call".to_owned(),
            Self::Rests { after } => format!("rests{time}: it {}", after.words()),
            Self::Unskilled { skill, least } => {
                let comma = if time.is_empty() { "" } else { "," };
                format!("lacks the skill {skill} at level {least}{comma}{time}")
            }
            Self::Failed { times } => {
                format!("did not take this caller {times} times: not again{time}")
            }
            Self::LevelClosed => format!("its level is not open to this caller{time}"),
            Self::LowerLevelFirst => "somebody of a lower level is rung first".to_owned(),
            Self::OtherFirst if time.is_empty() => "another agent is rung first".to_owned(),
            Self::OtherFirst => format!("another agent is rung first, alone{time}"),
            Self::Overdue => "the caller has waited as long as it may".to_owned(),
        }
    }

    /// How it is counted where nobody is named: in a few words that fit behind a number.
    fn name(&self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::LoggedOut => "logged out",
            Self::OnBreak { .. } => "on break",
            Self::Unregistered => "not registered",
            Self::BusyElsewhere => "in another call",
            Self::Rings => "ringing for it",
            Self::RingsForAnother => "ringing for another",
            Self::Talks => "talking",
            Self::WrapUp => "wrapping up",
            Self::Parked => "on demand",
            Self::Rests { .. } => "resting",
            Self::Unskilled { .. } => "without the skill",
            Self::Failed { .. } => "that failed it",
            Self::LevelClosed => "of a level not open yet",
            Self::LowerLevelFirst | Self::OtherFirst => "whose turn it is not",
            Self::Overdue => "too late",
        }
    }
}

impl MissedBy {
    /// What the agent did, behind "it".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoAnswer => "did not answer",
            Self::Rejected => "rejected",
            Self::Busy => "was busy",
            Self::Unreachable => "could not be reached",
        }
    }
}

impl Choice {
    /// `candidates`: all of the queue, by level, position and name. Of a level above the agent's nobody would have come before it.
    pub(super) fn new(
        picked: &Picked,
        ticket: Ticket,
        candidates: impl ExactSizeIterator<Item = Candidate>,
        clock: &Clock,
        now: Instant,
    ) -> Self {
        let mut choice = Self {
            level: picked.level,
            by: By::of(picked, now),
            failures: picked.failures,
            passed_over: Vec::new(),
            others: BTreeMap::new(),
            unseen: candidates.len().saturating_sub(MOST_LOOKED_AT),
        };
        for candidate in candidates.take(MOST_LOOKED_AT) {
            if candidate.level > picked.level {
                choice.unseen = 0;
                break;
            }
            let Some(held) = &candidate.held else {
                continue;
            };
            let (rule, until) = Rule::of(held, ticket);
            if rule == Rule::Rings {
                continue;
            }
            if choice.passed_over.len() < MOST_NAMED {
                choice.passed_over.push(PassedOver {
                    agent: candidate.agent.0.to_string(),
                    rule,
                    until: until.map(|until| clock.moment(until).rfc3339()),
                });
            } else {
                *choice.others.entry(rule.name().to_owned()).or_default() += 1;
            }
        }
        choice
    }

    /// Why this one, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let by = match &self.by {
            By::Order => "its turn".to_owned(),
            By::Idle { idle_ms } => format!("idle longest, for {} s", idle_ms / 1_000),
            By::TalkTime { talk_ms } => format!("talked least, {} s", talk_ms / 1_000),
            By::Calls { calls } => format!("had the fewest calls, {calls}"),
            By::Favourite => "served the customer last".to_owned(),
            By::Hand => "somebody gave it the caller".to_owned(),
        };
        let failures = match self.failures {
            0 => String::new(),
            times => format!(", though it failed the caller {times} times"),
        };
        format!("level {}, {by}{failures}", self.level)
    }
}

impl By {
    fn of(picked: &Picked, now: Instant) -> Self {
        if picked.is_by_hand {
            return Self::Hand;
        }
        if picked.is_favourite {
            return Self::Favourite;
        }
        match picked.merit {
            Merit::Seat => Self::Order,
            Merit::IdleSince(since) => Self::Idle {
                idle_ms: millis(now.saturating_duration_since(since)),
            },
            Merit::TalkTime(time) => Self::TalkTime {
                talk_ms: millis(time),
            },
            Merit::Calls(calls) => Self::Calls { calls },
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_none(number: &usize) -> bool {
    *number == 0
}

/// Who was offered a caller, for the log.
pub(crate) struct Offered<'a> {
    pub(crate) ticket: Ticket,
    pub(crate) agent: &'a AgentId,
    pub(crate) picked: &'a Picked,
}
