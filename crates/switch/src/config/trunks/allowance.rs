//! What an account may do outside, as trunks.toml says it for everybody and phones.toml for one phone.

use std::time::Duration;

use call::trunk::Allowance;

use super::super::ringmaster::count;
use super::super::section::Section;
use super::MAX_CALLS;

/// Most minutes of outside talk in a day: seven hundred lines that are never free.
const MAX_MINUTES: u64 = 1_000_000;

/// What a phone may do: a table of its own.
pub(in crate::config) fn allowance(mut section: Section<'_, '_>, default: Allowance) -> Allowance {
    let allowance = read_allowance(&mut section, default);
    section.finish();
    allowance
}

/// The same within another table.
pub(super) fn read_allowance(section: &mut Section<'_, '_>, default: Allowance) -> Allowance {
    let calls = section.number("calls", 0..=MAX_CALLS, "");
    let per_day = section.number("calls_per_day", 0..=1_000_000, "");
    let minutes = section.number("minutes_per_day", 0..=MAX_MINUTES, "");
    Allowance {
        calls: count(calls, default.calls),
        calls_per_day: per_day
            .and_then(|number| u32::try_from(number.value).ok())
            .unwrap_or(default.calls_per_day),
        talk_per_day: minutes.map_or(default.talk_per_day, |minutes| {
            Duration::from_secs(60 * minutes.value)
        }),
        international: section
            .flag("international_calls")
            .unwrap_or(default.international),
    }
}
