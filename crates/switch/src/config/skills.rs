//! Skills of agents and [needs] of callers, in queues.toml.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use queue::{Needs, NeedsId, NeedsStep, Skill};

use super::mistake::{Located, Mistakes, shortened};
use super::names::{Names, is_name};
use super::ringmaster::DAY;
use super::section::Section;

/// Highest level: a number for people.
const MAX_LEVEL: u64 = 100;

/// Most steps of one need: what is asked in a queue costs a little whenever one of its agents is busy or free.
const MAX_STEPS: usize = 10;

/// Skills and their levels, as they were written.
pub(super) type RawSkills = Vec<(Located<String>, u8)>;

/// One need; nobody may have its skills.
pub(super) struct RawNeeds {
    pub(super) name: Located<String>,
    steps: Vec<(Duration, RawSkills)>,
}

/// Reads the table `skills`.
pub(super) fn read(section: &mut Section<'_, '_>) -> RawSkills {
    let mut table = section.table("skills");
    let mut skills = Vec::new();
    for entry in table.entries() {
        let name = entry.name.clone();
        if !is_name(&name.value) {
            let text = format!("`{}` cannot name a skill", shortened(&name.value));
            table.mistakes.add(name.place, text);
        }
        let level = table.entry_number(&entry, 1..=MAX_LEVEL, "");
        let level = level.and_then(|level| u8::try_from(level.value).ok());
        skills.extend(level.map(|level| (name, level)));
    }
    skills
}

/// Reads one table of [needs].
pub(super) fn read_needs(name: Located<String>, mut section: Section<'_, '_>) -> RawNeeds {
    let written = section.list("steps").unwrap_or_default();
    if written.is_empty() || written.len() > MAX_STEPS {
        let text = format!("what callers need has 1 to {MAX_STEPS} `steps`");
        section.mistakes.add(name.place, text);
    }
    let mut steps: Vec<(Duration, RawSkills)> = Vec::new();
    for entry in written {
        let mut step = section.enter(&entry);
        let after = step.seconds("after", 0..=DAY);
        let after = after.map_or(Duration::ZERO, |after| after.value);
        if steps.last().is_some_and(|(before, _)| *before >= after) {
            let text = "a step must come `after` the one before it".to_owned();
            step.mistakes.add(step.place(), text);
        }
        steps.push((after, read(&mut step)));
        step.finish();
    }
    section.finish();
    RawNeeds { name, steps }
}

impl RawNeeds {
    /// Follows every skill to somebody who has it.
    pub(super) fn check(&self, names: &Names<'_>, mistakes: &mut Mistakes) -> Needs {
        for (skill, _) in self.steps.iter().flat_map(|(_, skills)| skills) {
            names.skill(skill, mistakes);
        }
        let steps = self.steps.iter().map(|(after, skills)| NeedsStep {
            after: *after,
            skills: checked(skills),
        });
        Needs {
            id: NeedsId(Arc::from(self.name.value.as_str())),
            steps: steps.collect(),
        }
    }
}

/// As the queue engine takes them.
pub(super) fn checked(skills: &RawSkills) -> BTreeMap<Skill, u8> {
    let skills = skills.iter();
    skills
        .map(|(name, level)| (Skill(Arc::from(name.value.as_str())), *level))
        .collect()
}
