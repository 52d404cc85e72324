//! numbers.toml: the dial plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call::settings::{ConferenceId, Destination, Entrance, Supervision};
use queue::{BreakReason, Status};
use toml::de::DeTable;

use super::defaults;
use super::groups::{self, RawGroup};
use super::mistake::{Located, Mistakes, shortened};
use super::names::{Names, is_dialable, is_name};
use super::ringmaster::DAY;
use super::section::{Entry, Section, quoted_list};
use super::source::File;

/// Most numbers: more than one switch has phones.
const MAX_NUMBERS: usize = 100_000;

/// Highest priority: a number for people.
const MAX_PRIORITY: u64 = 100;

/// What a number may lead to without a name.
static SERVICES: [(&str, Destination); 9] = [
    ("echo", Destination::Echo),
    ("music", Destination::Music),
    ("log-in", Destination::SetStatus(Status::Available)),
    ("on-demand", Destination::SetStatus(Status::OnDemand)),
    ("log-out", Destination::SetStatus(Status::LoggedOut)),
    ("ready", Destination::Ready),
    ("listen", Destination::Supervise(Supervision::Listen)),
    ("whisper", Destination::Supervise(Supervision::Whisper)),
    ("barge", Destination::Supervise(Supervision::Barge)),
];

/// One number as it was written.
pub(super) struct Number {
    pub(super) number: Located<String>,
    leads_to: Option<LeadsTo>,
}

/// What a number leads to; it may not exist.
pub(super) enum LeadsTo {
    Queue(Way),
    Group(Located<String>),
    Phone(Located<String>),
    Service(Destination),
}

/// A way into a queue.
pub(super) struct Way {
    queue: Located<String>,
    priority: u32,
    base_score: Duration,
    needs: Option<Located<String>>,
}

/// Reads the file.
pub(super) fn read(
    table: Option<&DeTable<'_>>,
    mistakes: &mut Mistakes,
) -> (Vec<Number>, Vec<RawGroup>) {
    let mut file = Section::file(File::Numbers, table, mistakes);
    let mut numbers = Vec::new();
    let mut section = file.table("numbers");
    let entries = section.entries();
    if entries.len() > MAX_NUMBERS {
        section
            .mistakes
            .add(section.place(), format!("more than {MAX_NUMBERS} numbers"));
    }
    for entry in entries.into_iter().take(MAX_NUMBERS) {
        if !is_dialable(&entry.name.value) {
            let text = format!(
                "`{}` cannot be dialled: use up to 32 letters, digits and `-._+*#`",
                shortened(&entry.name.value)
            );
            section.mistakes.add(entry.name.place, text);
        }
        let leads_to = leads_to(&mut section, &entry, File::Numbers);
        numbers.push(Number {
            number: entry.name,
            leads_to,
        });
    }
    let groups = groups::read(file.table("groups"));
    file.finish();
    (numbers, groups)
}

/// Reads what a number of a table leads to.
pub(super) fn leads_to<'d>(
    section: &mut Section<'d, '_>,
    entry: &Entry<'d>,
    file: File,
) -> Option<LeadsTo> {
    if entry.is_table() {
        let mut target = section.enter(entry);
        let queue = read_way(&mut target).map(LeadsTo::Queue);
        let phone = target.text("phone").map(LeadsTo::Phone);
        let group = target.text("group").map(LeadsTo::Group);
        let pause = target.text("break").map(|reason| {
            let reason = BreakReason(reason.value.as_str().into());
            LeadsTo::Service(Destination::SetStatus(Status::OnBreak(reason)))
        });
        let conference = conference(&mut target).map(LeadsTo::Service);
        let written = [queue, phone, group, conference, pause];
        let mut written: Vec<LeadsTo> = written.into_iter().flatten().collect();
        if written.len() != 1 {
            let number = shortened(&entry.name.value);
            let text = format!(
                "`{number}` must lead to one `queue`, `phone`, `group`, `conference` or `break`"
            );
            target.mistakes.add(entry.place(file), text);
        }
        target.finish();
        return written.pop();
    }
    let words = || SERVICES.iter().map(|(word, _)| *word);
    let wanted = format!(
        "{} or a table such as {{ queue = \"support\" }}",
        quoted_list(words(), "or").replace(" or ", ", ")
    );
    let place = entry.place(file);
    let Some(written) = entry.text() else {
        let text = format!("a number leads to {wanted}, not to {}", entry.kind());
        section.mistakes.add(place, text);
        return None;
    };
    let service = SERVICES.iter().find(|(word, _)| *word == written);
    if service.is_none() {
        let all = format!(": a number leads to {wanted}");
        section
            .mistakes
            .add_unknown(place, "unknown destination", written, words(), &all);
    }
    service.map(|(_, destination)| LeadsTo::Service(destination.clone()))
}

/// A conference needs nothing but a name.
fn conference(target: &mut Section<'_, '_>) -> Option<Destination> {
    let written = target.text("conference")?;
    if !is_name(&written.value) {
        let text = format!(
            "`{}` cannot name a conference: use up to 64 letters, digits and `-_.`, a letter or digit first",
            shortened(&written.value)
        );
        target.mistakes.add(written.place, text);
    }
    let conference = ConferenceId(Arc::from(written.value.as_str()));
    Some(Destination::Conference(conference))
}

fn read_way(target: &mut Section<'_, '_>) -> Option<Way> {
    let queue = target.text("queue");
    let priority = target.number("priority", 0..=MAX_PRIORITY, "");
    let base_score = target.seconds("base_score", 0..=DAY);
    let needs = target.text("needs");
    if !target.is_written("queue") {
        let places = [
            ("priority", priority.as_ref().map(|it| it.place)),
            ("base_score", base_score.as_ref().map(|it| it.place)),
            ("needs", needs.as_ref().map(|it| it.place)),
        ];
        for (key, place) in places {
            if let Some(place) = place {
                let text = format!("`{key}` is never used: it needs a `queue`");
                target.mistakes.add(place, text);
            }
        }
    }
    Some(Way {
        queue: queue?,
        priority: priority
            .and_then(|priority| u32::try_from(priority.value).ok())
            .unwrap_or(defaults::PRIORITY),
        base_score: base_score.map_or(defaults::BASE_SCORE, |score| score.value),
        needs,
    })
}

/// Follows every number to what it leads to.
pub(super) fn check(
    numbers: &[Number],
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) -> BTreeMap<String, Destination> {
    let mut checked = BTreeMap::new();
    for Number { number, leads_to } in numbers {
        let destination = leads_to.as_ref().and_then(|it| follow(it, names, mistakes));
        checked.extend(destination.map(|destination| (number.value.clone(), destination)));
    }
    checked
}

/// Follows one number to what it leads to.
pub(super) fn follow(
    leads_to: &LeadsTo,
    names: &Names<'_>,
    mistakes: &mut Mistakes,
) -> Option<Destination> {
    match leads_to {
        LeadsTo::Queue(way) => {
            let needs = way.needs.as_ref();
            let needs = needs.and_then(|needs| names.needs(needs, mistakes));
            names.queue(&way.queue, mistakes).map(|queue| {
                Destination::Queue(Entrance {
                    queue,
                    priority: way.priority,
                    base_score: way.base_score,
                    needs,
                })
            })
        }
        LeadsTo::Phone(phone) => names.phone(phone, mistakes).map(Destination::Phone),
        LeadsTo::Group(group) => names.group(group, mistakes).map(Destination::Group),
        LeadsTo::Service(destination) => Some(destination.clone()),
    }
}
