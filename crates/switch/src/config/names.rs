//! All names of a configuration, so that each can be looked up wherever another file uses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use call::settings::GroupId;
use call::trunk::Pattern;
use queue::{AgentId, NeedsId, QueueId};
use sip::endpoint::Account;

use super::agents::RawAgent;
use super::groups::RawGroup;
use super::mistake::{Located, Mistakes, Place, shortened};
use super::numbers::Number;
use super::phones::Phone;
use super::queues::Raw;
use super::source::File;
use super::trunks;

/// Longest number or name of a phone (characters); longer than any telephone number.
const MAX_DIALLED: usize = 32;

/// Longest name of a queue or an agent (characters): it becomes part of file names.
const MAX_NAME: usize = 64;

/// The names and where each was given.
pub(super) struct Names<'c> {
    phones: BTreeMap<&'c str, Place>,
    queues: BTreeMap<&'c str, Place>,
    agents: BTreeMap<&'c str, Place>,
    skills: BTreeMap<&'c str, Place>,
    needs: BTreeMap<&'c str, Place>,
    numbers: BTreeMap<&'c str, Place>,
    groups: BTreeMap<&'c str, Place>,
    trunks: BTreeMap<&'c str, Place>,
    /// Which numbers lead outside.
    outside: Vec<&'c Pattern>,
}

impl<'c> Names<'c> {
    /// Collects the names; a number that is a phone's name, too, is a mistake.
    pub(super) fn new(
        phones: &'c [Phone],
        queues: &'c Raw,
        (numbers, groups): (&'c [Number], &'c [RawGroup]),
        trunks: &'c trunks::Raw,
        mistakes: &mut Mistakes,
    ) -> Self {
        let located = |name: &'c Located<String>| (name.value.as_str(), name.place);
        let phones: BTreeMap<_, _> = phones
            .iter()
            .map(|phone| (&*phone.account.0, phone.place))
            .collect();
        let numbers: BTreeMap<_, _> = numbers
            .iter()
            .map(|number| located(&number.number))
            .collect();
        for (number, place) in &numbers {
            if let Some(phone) = phones.get(number) {
                let text = format!("`{number}` is a phone already and rings without an entry here");
                mistakes.add_also(*place, text, "the phone", Some(*phone));
            }
        }
        let trunk_names: BTreeMap<_, _> = trunks
            .trunks
            .iter()
            .map(|trunk| located(&trunk.name))
            .collect();
        for (name, place) in &trunk_names {
            if let Some(phone) = phones.get(name) {
                let text = format!("`{name}` is a phone already: records tell both by their names");
                mistakes.add_also(*place, text, "the phone", Some(*phone));
            }
        }
        Self {
            groups: groups.iter().map(|group| located(&group.name)).collect(),
            trunks: trunk_names,
            outside: trunks
                .routes
                .iter()
                .filter_map(|route| route.pattern.as_ref())
                .collect(),
            phones,
            queues: queues
                .queues
                .iter()
                .map(|queue| located(&queue.name))
                .collect(),
            agents: queues
                .agents
                .iter()
                .map(|agent| located(&agent.name))
                .collect(),
            skills: queues
                .agents
                .iter()
                .flat_map(RawAgent::skills)
                .map(located)
                .collect(),
            needs: queues
                .needs
                .iter()
                .map(|needs| located(&needs.name))
                .collect(),
            numbers,
        }
    }

    /// The phone of that name; an unknown one is a mistake.
    pub(super) fn phone(&self, name: &Located<String>, to: &mut Mistakes) -> Option<Account> {
        let otherwise = ": phones.toml does not name it";
        look_up(
            &self.phones,
            "unknown phone",
            name,
            otherwise,
            File::Phones,
            to,
        )
        .map(Account)
    }

    /// The queue of that name; an unknown one is a mistake.
    pub(super) fn queue(&self, name: &Located<String>, to: &mut Mistakes) -> Option<QueueId> {
        let otherwise = ": queues.toml does not name it";
        look_up(
            &self.queues,
            "unknown queue",
            name,
            otherwise,
            File::Queues,
            to,
        )
        .map(QueueId)
    }

    /// The group of that name; an unknown one is a mistake.
    pub(super) fn group(&self, name: &Located<String>, to: &mut Mistakes) -> Option<GroupId> {
        let otherwise = ": [groups] in numbers.toml does not name it";
        look_up(
            &self.groups,
            "unknown group",
            name,
            otherwise,
            File::Numbers,
            to,
        )
        .map(GroupId)
    }

    /// The trunk of that name; an unknown one is a mistake.
    pub(super) fn trunk(&self, name: &Located<String>, to: &mut Mistakes) -> Option<Account> {
        let otherwise = ": trunks.toml does not name it";
        look_up(
            &self.trunks,
            "unknown trunk",
            name,
            otherwise,
            File::Trunks,
            to,
        )
        .map(Account)
    }

    /// Whether a phone has this name.
    pub(super) fn is_phone(&self, name: &str) -> bool {
        self.phones.contains_key(name)
    }

    /// Whether a route of trunks.toml leads to the number.
    pub(super) fn leads_outside(&self, number: &str) -> bool {
        self.outside.iter().any(|pattern| pattern.matches(number))
    }

    /// A number outside, which needs a route; without one it is a mistake.
    pub(super) fn outside(&self, number: &Located<String>, mistakes: &mut Mistakes) -> bool {
        let leads = self.leads_outside(&number.value);
        if !leads && !mistakes.is_broken(File::Trunks) {
            let text = format!(
                "`{}` leads nowhere: no route of trunks.toml has a pattern for it",
                shortened(&number.value)
            );
            mistakes.add(number.place, text);
        }
        leads
    }

    /// The agent of that name; an unknown one is a mistake.
    pub(super) fn agent(&self, name: &Located<String>, to: &mut Mistakes) -> Option<AgentId> {
        let otherwise = ": queues.toml has no such table in [agents]";
        look_up(
            &self.agents,
            "unknown agent",
            name,
            otherwise,
            File::Queues,
            to,
        )
        .map(AgentId)
    }

    /// A skill; one that no agent has is a mistake.
    pub(super) fn skill(&self, name: &Located<String>, to: &mut Mistakes) {
        let otherwise = ": no agent has it";
        look_up(
            &self.skills,
            "unknown skill",
            name,
            otherwise,
            File::Queues,
            to,
        );
    }

    /// What callers need under that name; an unknown one is a mistake.
    pub(super) fn needs(&self, name: &Located<String>, to: &mut Mistakes) -> Option<NeedsId> {
        let otherwise = ": queues.toml has no such table in [needs]";
        look_up(
            &self.needs,
            "unknown needs",
            name,
            otherwise,
            File::Queues,
            to,
        )
        .map(NeedsId)
    }

    /// A number that a caller can be led to: of the dial plan or a phone; an unknown one is a mistake.
    pub(super) fn number(&self, number: &Located<String>, mistakes: &mut Mistakes) {
        let name = number.value.as_str();
        let may_be_there = mistakes.is_broken(File::Phones) || mistakes.is_broken(File::Numbers);
        let leads = self.numbers.contains_key(name)
            || self.phones.contains_key(name)
            || self.leads_outside(name);
        if !leads && !may_be_there {
            let known = self.numbers.keys().chain(self.phones.keys()).copied();
            let otherwise = ": neither numbers.toml nor phones.toml has it";
            mistakes.add_unknown(number.place, "unknown number", name, known, otherwise);
        }
    }
}

fn look_up(
    names: &BTreeMap<&str, Place>,
    what: &str,
    name: &Located<String>,
    otherwise: &str,
    file: File,
    mistakes: &mut Mistakes,
) -> Option<Arc<str>> {
    if !names.contains_key(name.value.as_str()) {
        if !mistakes.is_broken(file) {
            let known = names.keys().copied();
            mistakes.add_unknown(name.place, what, &name.value, known, otherwise);
        }
        return None;
    }
    Some(Arc::from(name.value.as_str()))
}

/// Whether a phone can dial it: the user part of a SIP URI without characters that need escapes in most phones.
pub(super) fn is_dialable(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._+*#".contains(letter);
    // A leading dot would hide the recordings of the phone, or name the folder above.
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= MAX_DIALLED
        && name.chars().all(fits)
}

/// Whether a queue or an agent can be called so: the name becomes part of file names, log lines and later of URLs.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    name.chars().next().is_some_and(char::is_alphanumeric)
        && name.chars().count() <= MAX_NAME
        && name.chars().all(fits)
}
