//! Where an account lives, and how often its password was guessed.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Defence;
use super::network::Source;

/// Addresses that an account is known at, the last one first: office, home, and the two that its mobile phone had last.
const MAX_HOMES: usize = 4;

/// The time in which guesses are counted.
const HOUR: Duration = Duration::from_secs(3_600);

/// The addresses that proved to know an account's password, and the wrong passwords that came for it.
#[derive(Debug, Default)]
pub(super) struct Homes {
    sources: SmallVec<[Source; MAX_HOMES]>,
    strangers: Guesses,
    /// Wrong passwords from its own addresses: a colleague's phone, or an attacker in the same network.
    own: Guesses,
}

/// Wrong passwords, as a bucket of half the guesses of an hour that empties within that hour, so that no hour has more
/// than all of them: the time when it is empty.
#[derive(Debug, Default)]
struct Guesses(Option<Instant>);

impl Homes {
    pub(super) fn include(&self, source: Source) -> bool {
        self.sources.contains(&source)
    }

    pub(super) fn is_first(&self, source: Source) -> bool {
        self.sources.first() == Some(&source)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = Source> + '_ {
        self.sources.iter().copied()
    }

    /// Puts an address first; gives the one that has to leave.
    pub(super) fn enter(&mut self, source: Source) -> Option<Source> {
        if let Some(at) = self.sources.iter().position(|known| *known == source) {
            self.sources.remove(at);
        }
        let left = (self.sources.len() == MAX_HOMES)
            .then(|| self.sources.pop())
            .flatten();
        self.sources.insert(0, source);
        left
    }

    pub(super) fn may_guess(&self, defence: &Defence, now: Instant) -> bool {
        self.strangers.is_below(defence.guesses_per_hour, now)
    }

    pub(super) fn may_guess_at_home(&self, defence: &Defence, now: Instant) -> bool {
        self.own.is_below(defence.guesses_per_hour, now)
    }

    pub(super) fn guessed(&mut self, at_home: bool, defence: &Defence, now: Instant) {
        let guesses = if at_home {
            &mut self.own
        } else {
            &mut self.strangers
        };
        guesses.add(defence.guesses_per_hour, now);
    }

    pub(super) fn forgive(&mut self) {
        self.strangers = Guesses(None);
        self.own = Guesses(None);
    }
}

impl Guesses {
    fn is_below(&self, per_hour: u32, now: Instant) -> bool {
        let each = each(per_hour);
        self.0.is_none_or(|empty| empty + each <= now + HOUR)
    }

    fn add(&mut self, per_hour: u32, now: Instant) {
        let each = each(per_hour);
        // A guess that was not tried adds nothing: nobody may keep an account shut for more than the hour.
        if self.is_below(per_hour, now) {
            self.0 = Some(self.0.unwrap_or(now).max(now) + each);
        }
    }
}

/// The time that one guess stays in the bucket.
fn each(per_hour: u32) -> Duration {
    HOUR / (per_hour / 2).max(1)
}
