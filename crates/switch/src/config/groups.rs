//! [groups] of numbers.toml: phones and outside numbers that ring together or in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call::settings::{Group, GroupId, GroupMember, GroupOrder};

use super::defaults;
use super::mistake::{Located, Mistakes, shortened};
use super::names::{Names, is_name};
use super::section::Section;

/// Most members of a group: a call never rings at more places at once, so that a call from outside cannot set off a storm.
const MAX_MEMBERS: usize = 32;

/// Most groups.
const MAX_GROUPS: usize = 10_000;

const ORDERS: [(&str, GroupOrder); 2] = [("all", GroupOrder::All), ("in-turn", GroupOrder::InTurn)];

/// One group; its members may not exist.
pub(super) struct RawGroup {
    pub(super) name: Located<String>,
    members: Vec<Located<String>>,
    order: GroupOrder,
    ring_time: Duration,
}

/// Reads the table.
pub(super) fn read(mut section: Section<'_, '_>) -> Vec<RawGroup> {
    let entries = section.entries();
    if entries.len() > MAX_GROUPS {
        let text = format!("more than {MAX_GROUPS} groups");
        section.mistakes.add(section.place(), text);
    }
    let mut groups = Vec::new();
    for entry in entries.into_iter().take(MAX_GROUPS) {
        let name = entry.name.clone();
        if !is_name(&name.value) {
            let text = format!(
                "`{}` cannot name a group: use up to 64 letters, digits and `-_.`, a letter or digit first",
                shortened(&name.value)
            );
            section.mistakes.add(name.place, text);
        }
        let mut group = section.enter(&entry);
        let members = group.texts("members").unwrap_or_default();
        if members.is_empty() || members.len() > MAX_MEMBERS {
            let text = format!("a group has 1 to {MAX_MEMBERS} `members`");
            group.mistakes.add(name.place, text);
        }
        let order = group.choice("order", &ORDERS).unwrap_or(GroupOrder::All);
        let ring_time = group.seconds("ring_time", 1..=600);
        group.finish();
        groups.push(RawGroup {
            name,
            members,
            order,
            ring_time: ring_time.map_or(defaults::GROUP_RING_TIME, |time| time.value),
        });
    }
    groups
}

/// Follows every member to its phone, or to a number outside.
pub(super) fn check(
    groups: &[RawGroup],
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) -> BTreeMap<GroupId, Group> {
    let mut checked = BTreeMap::new();
    for group in groups {
        let mut members = Vec::new();
        for member in &group.members {
            if names.leads_outside(&member.value) && !names.is_phone(&member.value) {
                members.push(GroupMember::Outside(member.value.clone()));
            } else {
                members.extend(names.phone(member, mistakes).map(GroupMember::Phone));
            }
        }
        let group_ = Group {
            members,
            order: group.order,
            ring_time: group.ring_time,
        };
        checked.insert(GroupId(Arc::from(group.name.value.as_str())), group_);
    }
    checked
}
