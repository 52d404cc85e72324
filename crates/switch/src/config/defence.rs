//! `[defence]` of ringmaster.toml: what strangers may do.

use std::ops::RangeInclusive;
use std::time::Duration;

use sip::guard::{Defence, Network};

use super::mistake::shortened;
use super::ringmaster::DAY;
use super::section::Section;

/// Most networks that are trusted: each request is compared with all of them.
const MAX_TRUSTED: usize = 64;

/// Wrong passwords that may be let pass before a ban; more is no defence.
const BAN_AFTER: RangeInclusive<u64> = 1..=100;

/// How long a wrong password may count (s).
const BAN_WINDOW: RangeInclusive<u64> = 1..=3_600;

/// Wrong passwords of one account in an hour: two at least, so that a mistyped one shuts nobody out.
const GUESSES: RangeInclusive<u64> = 2..=3_600;

/// Unproven requests: more than one core can answer.
const REQUESTS: RangeInclusive<u64> = 1..=100_000;

/// Reads the section.
pub(super) fn read(mut section: Section<'_, '_>) -> Defence {
    let default = Defence::default();
    let mut number = |key, range, unit, default: u32| {
        let number = section.number(key, range, unit);
        number.map_or(default, |number| {
            u32::try_from(number.value).unwrap_or(default)
        })
    };
    let ban_after = number("ban_after", BAN_AFTER, "wrong passwords", default.ban_after);
    let guesses_per_hour = number("guesses_per_hour", GUESSES, "", default.guesses_per_hour);
    let requests_per_second = number(
        "requests_per_second",
        REQUESTS,
        "",
        default.requests_per_second,
    );
    let burst = number("burst", REQUESTS, "requests", default.burst);
    let mut time = |key, range, default: Duration| {
        let time = section.seconds(key, range);
        time.map_or(default, |time| time.value)
    };
    let ban_window = time("ban_window", BAN_WINDOW, default.ban_window);
    let ban_time = time("ban_time", 1..=DAY, default.ban_time);
    let longest_ban = time("longest_ban", 1..=DAY, default.longest_ban);
    if ban_time > longest_ban {
        let text = format!(
            "`longest_ban` ({} s) is below `ban_time` ({} s)",
            longest_ban.as_secs(),
            ban_time.as_secs()
        );
        section.mistakes.add(section.place(), text);
    }
    let trusted = trusted(&mut section);
    section.finish();
    Defence {
        ban_after,
        ban_window,
        ban_time,
        longest_ban,
        guesses_per_hour,
        requests_per_second,
        burst,
        trusted,
    }
}

fn trusted(section: &mut Section<'_, '_>) -> Vec<Network> {
    let texts = section.texts("trusted").unwrap_or_default();
    if texts.len() > MAX_TRUSTED {
        let text = format!("`trusted` has more than {MAX_TRUSTED} networks");
        section.mistakes.add(section.place(), text);
    }
    let mut networks = Vec::new();
    for text in texts.into_iter().take(MAX_TRUSTED) {
        match text.value.parse() {
            Ok(network) => networks.push(network),
            Err(why) => {
                let why = format!("`{}`: {why}", shortened(&text.value));
                section.mistakes.add(text.place, why);
            }
        }
    }
    networks
}
