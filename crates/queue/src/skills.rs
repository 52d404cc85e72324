//! What callers need of their agents: a filter before any strategy, which asks less the longer a caller waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::held::Held;
use crate::timer::after;
use crate::{Needs, NeedsId, Skill};

/// What is asked of agents, until the next `configure`. Needs that ask the same have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AskKey(usize);

/// Nothing is asked: everybody will do.
pub(crate) const ANYBODY: AskKey = AskKey(0);

/// All that may be asked.
#[derive(Debug)]
pub(crate) struct Asks {
    /// By key: the least level of each skill.
    least: Vec<BTreeMap<Skill, u8>>,
    /// From which wait on what is asked, the longest wait first.
    needs: BTreeMap<NeedsId, Vec<(Duration, AskKey)>>,
}

impl Asks {
    pub(crate) fn new(plan: Vec<Needs>) -> Self {
        let mut asks = Self {
            least: vec![BTreeMap::new()],
            needs: BTreeMap::new(),
        };
        for needs in plan {
            let steps = needs.steps.into_iter();
            let mut steps: Vec<(Duration, AskKey)> = steps
                .map(|step| (step.after, asks.key(step.skills)))
                .collect();
            steps.sort();
            steps.reverse();
            asks.needs.entry(needs.id).or_insert(steps);
        }
        asks
    }

    fn key(&mut self, least: BTreeMap<Skill, u8>) -> AskKey {
        let known = self.least.iter().position(|other| *other == least);
        AskKey(known.unwrap_or_else(|| {
            self.least.push(least);
            self.least.len() - 1
        }))
    }

    /// What a caller asks who has waited since `joined`, and when it asks something else.
    pub(crate) fn of(
        &self,
        needs: Option<&NeedsId>,
        joined: Instant,
        now: Instant,
    ) -> (AskKey, Option<Instant>) {
        let mut next = None;
        for &(wait, ask) in needs
            .and_then(|id| self.needs.get(id))
            .into_iter()
            .flatten()
        {
            let from = after(joined, wait);
            if from <= now {
                return (ask, next);
            }
            next = Some(from);
        }
        (ANYBODY, next)
    }

    /// Whether an agent with these skills will do.
    pub(crate) fn admits(&self, ask: AskKey, skills: &BTreeMap<Skill, u8>) -> bool {
        self.lacking(ask, skills).is_none()
    }

    /// What holds an agent with these skills back from a caller who asks this until then.
    pub(crate) fn held(
        &self,
        ask: AskKey,
        until: Option<Instant>,
        skills: &BTreeMap<Skill, u8>,
    ) -> Option<Held> {
        let (skill, least) = self.lacking(ask, skills)?;
        Some(Held::Unskilled {
            skill: skill.clone(),
            least,
            until,
        })
    }

    fn lacking(&self, ask: AskKey, skills: &BTreeMap<Skill, u8>) -> Option<(&Skill, u8)> {
        let mut least = self.least[ask.0].iter();
        least
            .find(|&(skill, least)| skills.get(skill).is_none_or(|level| level < least))
            .map(|(skill, least)| (skill, *least))
    }
}
