//! What a caller is told of its place, its time and its agent, and an agent of its caller, put together from recorded parts.
//!
//! | part | in English | where |
//! | --- | --- | --- |
//! | `position` | "You are caller number" | a number follows |
//! | `next` | "You are next in line." | in the place of both for the first |
//! | `wait` | "The expected waiting time is about" | a number and minutes follow |
//! | `minutes` | "minutes." | `minute` after 1, in Russian also after 21, .., and there `minutes-few` after 2 to 4, 22 to 24, .. |
//! | `less-than-a-minute`, `more-than-an-hour` | "The expected waiting time is less than a minute." | in the place of all three |
//! | `agent` | "Your call is answered by agent number" | a number follows, or digits |
//! | `waited` | "The caller has waited for" | a number and minutes follow |
//! | `waited-less-than-a-minute`, `waited-more-than-an-hour` | "The caller has waited for less than a minute." | in the place of all three |
//! | `0` | "zero" | where digits are spoken |
//! | `1` to `19`, `20` to `90`, `100` to `900` | numbers below a thousand | in Russian `1f` and `2f` before minutes |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use media::Sound;

/// Languages by the names of their folders.
pub const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("ru", Language::Russian)];

/// The largest number that is spoken; a place beyond it is not told.
const MAX_NUMBER: usize = 999;
/// What is expected beyond that is not told in minutes: nobody can know it so well.
const MAX_MINUTES: usize = 60;
/// Most digits of an agent's number that are spoken: a longer one is not told.
const MAX_DIGITS: usize = 12;

const PHRASES: [&str; 12] = [
    "position",
    "next",
    "wait",
    "minute",
    "minutes",
    "less-than-a-minute",
    "more-than-an-hour",
    "agent",
    "waited",
    "waited-less-than-a-minute",
    "waited-more-than-an-hour",
    "0",
];
const ONES: [&str; 19] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
    "18", "19",
];
const TENS: [&str; 8] = ["20", "30", "40", "50", "60", "70", "80", "90"];
const HUNDREDS: [&str; 9] = [
    "100", "200", "300", "400", "500", "600", "700", "800", "900",
];
const RUSSIAN: [&str; 3] = ["minutes-few", "1f", "2f"];

/// In which numbers are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// The name of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The names of all parts that it needs.
    pub fn parts(self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match self {
            Self::English => &[],
            Self::Russian => &RUSSIAN,
        };
        let all = [&PHRASES[..], &ONES, &TENS, &HUNDREDS, own];
        all.into_iter().flatten().copied()
    }
}

/// A language and the sounds of its parts.
#[derive(Debug)]
pub struct Voice {
    language: Language,
    parts: BTreeMap<&'static str, Arc<Sound>>,
}

impl Voice {
    /// A voice with a sound for each of `Language::parts`. A part without one is not heard.
    #[must_use]
    pub fn new(language: Language, parts: BTreeMap<&'static str, Arc<Sound>>) -> Self {
        Self { language, parts }
    }

    /// A place in the queue, from 1; None where it is too far back to be of use.
    pub(crate) fn position(&self, position: usize) -> Option<Sound> {
        match position {
            0 => None,
            1 => Some(self.say(&["next"])),
            position => {
                let number = number(position, false)?;
                Some(self.say(&[&["position"], &number[..]].concat()))
            }
        }
    }

    /// How long the wait may still last, in whole minutes, rounded up.
    pub(crate) fn wait(&self, expected: Duration) -> Sound {
        match expected.as_secs().div_ceil(60) {
            0 | 1 => self.say(&["less-than-a-minute"]),
            minutes => self.time("wait", minutes, "more-than-an-hour"),
        }
    }

    /// How long the caller has waited, in whole minutes, rounded down.
    pub(crate) fn waited(&self, waited: Duration) -> Sound {
        match waited.as_secs() / 60 {
            0 => self.say(&["waited-less-than-a-minute"]),
            minutes => self.time("waited", minutes, "waited-more-than-an-hour"),
        }
    }

    /// The number of the agent who answers; None for a name that is none.
    pub(crate) fn agent(&self, agent: &str) -> Option<Sound> {
        let digit = |digit: char| match digit.to_digit(10)? {
            0 => Some("0"),
            digit => Some(ONES[digit as usize - 1]),
        };
        let digits: Vec<&str> = agent.chars().map(digit).collect::<Option<_>>()?;
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return None;
        }
        let whole = (digits[0] != "0").then(|| agent.parse().ok()).flatten();
        let spoken = whole.and_then(|whole| number(whole, false));
        let spoken = spoken.unwrap_or(digits);
        Some(self.say(&[&["agent"], &spoken[..]].concat()))
    }

    /// So many minutes, from 1, behind a phrase, or what is said where they are too many.
    fn time(&self, phrase: &str, minutes: u64, beyond: &str) -> Sound {
        let minutes = usize::try_from(minutes).unwrap_or(usize::MAX);
        let feminine = self.language == Language::Russian;
        match number(minutes, feminine) {
            Some(number) if minutes <= MAX_MINUTES => {
                let unit = self.minutes(minutes);
                self.say(&[&[phrase], &number[..], &[unit]].concat())
            }
            Some(_) | None => self.say(&[beyond]),
        }
    }

    fn minutes(&self, number: usize) -> &'static str {
        let (tens, ones) = (number / 10 % 10, number % 10);
        match (self.language, ones) {
            (Language::English, _) if number == 1 => "minute",
            (Language::English, _) => "minutes",
            (Language::Russian, 1) if tens != 1 => "minute",
            (Language::Russian, 2..=4) if tens != 1 => "minutes-few",
            (Language::Russian, _) => "minutes",
        }
    }

    fn say(&self, parts: &[&str]) -> Sound {
        let sounds = parts.iter().filter_map(|part| self.parts.get(part));
        Sound::joined(sounds.map(|sound| &**sound))
    }
}

/// The parts of a number, 1 to 999, before a feminine word or another.
fn number(number: usize, feminine: bool) -> Option<Vec<&'static str>> {
    if !(1..=MAX_NUMBER).contains(&number) {
        return None;
    }
    let (hundreds, rest) = (number / 100, number % 100);
    let (tens, ones) = match rest {
        0..20 => (0, rest),
        _ => (rest / 10, rest % 10),
    };
    let ones = match ones {
        1 if feminine => Some("1f"),
        2 if feminine => Some("2f"),
        _ => ones.checked_sub(1).map(|at| ONES[at]),
    };
    let hundreds = hundreds.checked_sub(1).map(|at| HUNDREDS[at]);
    let tens = tens.checked_sub(2).map(|at| TENS[at]);
    Some([hundreds, tens, ones].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each part is so many samples long that a sentence tells its parts by its length.
    fn voice(language: Language) -> (Voice, BTreeMap<&'static str, usize>) {
        let lengths: BTreeMap<_, _> = language
            .parts()
            .enumerate()
            .map(|(number, part)| (part, 3 + number * number * 7))
            .collect();
        let sound = |length: &usize| Arc::new(Sound::new(vec![*length as i16; *length]));
        let parts = lengths.iter().map(|(part, length)| (*part, sound(length)));
        (Voice::new(language, parts.collect()), lengths)
    }

    /// The parts of a sound.
    fn parts(sound: &Sound, lengths: &BTreeMap<&'static str, usize>) -> String {
        let samples = sound.samples();
        let mut said = Vec::new();
        let mut at = 0;
        while let Some(sample) = samples.get(at) {
            let (part, length) = lengths
                .iter()
                .find(|(_, length)| **length as i16 == *sample)
                .expect("a part");
            said.push(*part);
            at += length;
        }
        said.join(" ")
    }

    #[test]
    fn places_are_spoken_in_english_and_russian() {
        for language in [Language::English, Language::Russian] {
            let (voice, lengths) = voice(language);
            for (place, expected) in [
                (1, "next"),
                (2, "position 2"),
                (11, "position 11"),
                (20, "position 20"),
                (42, "position 40 2"),
                (100, "position 100"),
                (219, "position 200 19"),
                (999, "position 900 90 9"),
            ] {
                let sound = voice.position(place).expect("a place that is told");
                assert_eq!(parts(&sound, &lengths), expected);
            }
            assert!(voice.position(0).is_none() && voice.position(1_000).is_none());
        }
    }

    #[test]
    fn an_agent_is_told_by_its_number_as_a_number_or_by_digits() {
        let (voice, lengths) = voice(Language::English);
        for (agent, expected) in [
            ("7", "agent 7"),
            ("201", "agent 200 1"),
            ("007", "agent 0 0 7"),
            ("4012", "agent 4 0 1 2"),
        ] {
            let sound = voice.agent(agent).expect("a number");
            assert_eq!(parts(&sound, &lengths), expected);
        }
        for agent in ["", "anna", "20a", "-5", "1234567890123"] {
            assert!(voice.agent(agent).is_none(), "{agent}");
        }
    }

    #[test]
    fn times_are_spoken_with_the_form_of_the_word_that_the_number_wants() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (language, table) in [
            (
                Language::English,
                [
                    (1, "less-than-a-minute"),
                    (2, "wait 2 minutes"),
                    (21, "wait 20 1 minutes"),
                    (60, "wait 60 minutes"),
                    (61, "more-than-an-hour"),
                ],
            ),
            (
                Language::Russian,
                [
                    (2, "wait 2f minutes-few"),
                    (5, "wait 5 minutes"),
                    (12, "wait 12 minutes"),
                    (21, "wait 20 1f minute"),
                    (34, "wait 30 4 minutes-few"),
                ],
            ),
        ] {
            let (voice, lengths) = voice(language);
            for (time, expected) in table {
                assert_eq!(parts(&voice.wait(minutes(time)), &lengths), expected);
            }
            let waited = |time| parts(&voice.waited(time), &lengths);
            let moment = Duration::from_secs(1);
            assert_eq!(waited(minutes(1) - moment), "waited-less-than-a-minute");
            assert_eq!(waited(minutes(6) - moment), "waited 5 minutes");
            let one = waited(minutes(1));
            match language {
                Language::English => assert_eq!(one, "waited 1 minute"),
                Language::Russian => assert_eq!(one, "waited 1f minute"),
            }
            assert_eq!(waited(minutes(61)), "waited-more-than-an-hour");
            // Rounded up: nobody is promised less than is expected.
            let more = voice.wait(minutes(4) + Duration::from_secs(1));
            assert_eq!(parts(&more, &lengths), "wait 5 minutes");
        }
    }
}
