//! Which messages are to be shown, and of which call they are.
//!
//! That a call matches may come out late: when the agent's number is looked for, or when a dialog turns out to belong to a
//! call. So what does not match is held for a while, and shown when its call does.

use std::collections::{HashMap, HashSet, VecDeque};

use super::filter::Filter;
use super::text::Facts;
use super::{Dialog, Passed};

/// Messages held that no filter matched so far; the oldest is forgotten. Some minutes of an office, at most 256 MB of the largest.
const MAX_HELD: usize = 4_096;
/// Dialogs whose calls are known, and calls that matched; the oldest is forgotten. Hours of an office.
const MAX_DIALOGS: usize = 16_384;

/// A message to be shown.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) passed: Passed,
    pub(super) facts: Facts,
    /// The call's name, or the Call-ID of what belongs to no call; empty for what is no message.
    pub(super) group: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Book {
    filter: Filter,
    calls: HashMap<String, String>,
    dialogs: VecDeque<String>,
    matching: HashSet<String>,
    matched: VecDeque<String>,
    held: VecDeque<Entry>,
}

impl Book {
    pub(super) fn new(filter: Filter) -> Self {
        Self {
            filter,
            calls: HashMap::new(),
            dialogs: VecDeque::new(),
            matching: HashSet::new(),
            matched: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// A message passed: what is to be shown now, in order.
    pub(super) fn message(&mut self, passed: Passed) -> Vec<Entry> {
        let facts = Facts::of(&passed);
        let group = self
            .calls
            .get(&facts.call_id)
            .unwrap_or(&facts.call_id)
            .clone();
        let matches = self.filter.matches(&passed, &facts);
        let entry = Entry {
            passed,
            facts,
            group,
        };
        if entry.group.is_empty() || self.filter == Filter::All {
            return if matches { vec![entry] } else { Vec::new() };
        }
        if matches {
            self.match_group(&entry.group);
        }
        let group = entry.group.clone();
        self.held.push_back(entry);
        let due = self.release(&group);
        if self.held.len() > MAX_HELD {
            self.held.pop_front();
        }
        due
    }

    /// A dialog belongs to a call: what is to be shown because of that.
    pub(super) fn dialog(&mut self, dialog: &Dialog) -> Vec<Entry> {
        let Dialog { call, call_id } = dialog;
        if self.calls.insert(call_id.clone(), call.clone()).is_none() {
            self.dialogs.push_back(call_id.clone());
            if self.dialogs.len() > MAX_DIALOGS
                && let Some(oldest) = self.dialogs.pop_front()
            {
                self.calls.remove(&oldest);
            }
        }
        if self.matching.contains(call_id) || self.filter.names(call) {
            self.match_group(call);
        }
        for entry in &mut self.held {
            if entry.group == *call_id {
                entry.group.clone_from(call);
            }
        }
        self.release(call)
    }

    fn match_group(&mut self, group: &str) {
        if self.matching.insert(group.to_owned()) {
            self.matched.push_back(group.to_owned());
            if self.matched.len() > MAX_DIALOGS
                && let Some(oldest) = self.matched.pop_front()
            {
                self.matching.remove(&oldest);
            }
        }
    }

    /// What is held of a group, if the group is to be shown.
    fn release(&mut self, group: &str) -> Vec<Entry> {
        if !self.matching.contains(group) {
            return Vec::new();
        }
        let (due, held) = self.held.drain(..).partition(|entry| entry.group == group);
        self.held = held;
        due.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
