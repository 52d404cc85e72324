//! When the next frame of each leg is due.
//!
//! Frames leave on a raster of 1 ms, and each leg has one of the 20 places in a frame's time. Legs that share a place share one
//! wake-up; legs that begin together are spread, so that a thousand listeners are fifty packets each millisecond and no burst.

use std::time::{Duration, Instant};

use crate::command::PortIndex;

/// Places in 20 ms.
const PLACES: usize = 20;

/// The raster.
const TICK: Duration = Duration::from_millis(1);

/// A driver that comes later than this many ticks has lost the frames between: they are passed over, not sent in a burst
/// that would only overflow the jitter buffers of the phones.
const MAX_LATE_TICKS: u64 = 100;

/// A place takes this many legs above the average before the next place is tried.
const UNEVENNESS: usize = 4;

/// Ticks are counted from an epoch; deadlines are absolute, so that nothing drifts.
#[derive(Debug, Default)]
pub(crate) struct Wheel {
    /// When the first leg came onto the empty wheel.
    epoch: Option<Instant>,
    places: [Vec<PortIndex>; PLACES],
    legs: usize,
    /// The tick whose legs come next, and how many of them are still to come.
    tick: u64,
    remaining: usize,
    /// Ticks before this one have come.
    until: u64,
}

impl Wheel {
    /// Gives the leg a place; its first frame is due at the time given back, at most 20 ms from now.
    pub(crate) fn insert(&mut self, leg: PortIndex, now: Instant) -> Instant {
        if self.legs == 0 {
            (self.epoch, self.tick, self.remaining, self.until) = (Some(now), 0, 0, 0);
        }
        let epoch = self.epoch.unwrap_or(now);
        let soonest = ticks(epoch, now + TICK - Duration::from_nanos(1));
        // A tick whose turn is over already has lost its place in this round.
        let first = soonest.max(self.until);
        let room = self.legs / PLACES + UNEVENNESS;
        let place = |tick: u64| (tick % PLACES as u64) as usize;
        let tick = (first..first + PLACES as u64)
            .find(|&tick| self.places[place(tick)].len() < room)
            .unwrap_or(first);
        self.places[place(tick)].push(leg);
        self.legs += 1;
        time(epoch, tick)
    }

    /// The leg has no more frames.
    pub(crate) fn remove(&mut self, leg: PortIndex) {
        let current = self.place();
        for (place, legs) in self.places.iter_mut().enumerate() {
            if let Some(at) = legs.iter().position(|&other| other == leg) {
                legs.remove(at);
                self.legs -= 1;
                if place == current && at < self.remaining {
                    self.remaining -= 1;
                }
                return;
            }
        }
    }

    /// It is `now`.
    pub(crate) fn advance(&mut self, now: Instant) {
        let Some(epoch) = self.epoch.filter(|_| self.legs > 0) else {
            return;
        };
        let until = ticks(epoch, now) + 1;
        if until <= self.until {
            return;
        }
        if self.tick == self.until {
            self.remaining = self.places[self.place()].len();
        }
        self.until = until;
        if until - self.tick > MAX_LATE_TICKS {
            // One round: each leg once.
            self.tick = until - PLACES as u64;
            self.remaining = self.places[self.place()].len();
        }
    }

    /// The next leg whose frame is due, and the deadline.
    pub(crate) fn next_due(&mut self) -> Option<(PortIndex, Instant)> {
        let epoch = self.epoch?;
        while self.tick < self.until {
            if let Some(at) = self.remaining.checked_sub(1) {
                self.remaining = at;
                return Some((self.places[self.place()][at], time(epoch, self.tick)));
            }
            self.tick += 1;
            if self.tick < self.until {
                self.remaining = self.places[self.place()].len();
            }
        }
        None
    }

    /// The next deadline.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let next = (self.tick..self.tick + PLACES as u64)
            .find(|tick| !self.places[(tick % PLACES as u64) as usize].is_empty())?;
        Some(time(self.epoch?, next))
    }

    fn place(&self) -> usize {
        (self.tick % PLACES as u64) as usize
    }
}

/// Whole ticks up to `time`.
fn ticks(epoch: Instant, time: Instant) -> u64 {
    time.saturating_duration_since(epoch).as_millis() as u64
}

fn time(epoch: Instant, tick: u64) -> Instant {
    epoch + Duration::from_millis(tick)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    fn wheel() -> (Wheel, Instant) {
        (Wheel::default(), Instant::now())
    }

    fn due(wheel: &mut Wheel, now: Instant) -> Vec<(u16, Instant)> {
        wheel.advance(now);
        std::iter::from_fn(|| wheel.next_due())
            .map(|(leg, at)| (leg.0, at))
            .collect()
    }

    #[test]
    fn a_leg_alone_is_due_at_once_and_each_twenty_milliseconds() {
        let (mut wheel, now) = wheel();
        assert_eq!(wheel.poll_timeout(), None);
        assert_eq!(wheel.insert(PortIndex(3), now), now);
        for n in 0..100 {
            assert_eq!(wheel.poll_timeout(), Some(now + FRAME * n));
            assert_eq!(due(&mut wheel, now + FRAME * n), [(3, now + FRAME * n)]);
        }
        wheel.remove(PortIndex(3));
        assert_eq!(wheel.poll_timeout(), None);
    }

    #[test]
    fn a_leg_that_comes_later_gets_the_next_millisecond_whose_turn_is_not_over() {
        let (mut wheel, now) = wheel();
        wheel.insert(PortIndex(1), now);
        let later = now + Duration::from_micros(4300);
        let first = now + Duration::from_millis(5);
        assert_eq!(wheel.insert(PortIndex(2), later), first);
        assert_eq!(due(&mut wheel, first), [(1, now), (2, first)]);
        assert_eq!(
            wheel.insert(PortIndex(4), first),
            now + Duration::from_millis(6)
        );
    }

    #[test]
    fn legs_may_leave_while_their_tick_is_served() {
        let (mut wheel, now) = wheel();
        for n in 0..4 {
            wheel.insert(PortIndex(n), now);
        }
        wheel.advance(now);
        assert_eq!(wheel.next_due(), Some((PortIndex(3), now)));
        wheel.remove(PortIndex(3));
        wheel.remove(PortIndex(1));
        assert_eq!(wheel.next_due(), Some((PortIndex(2), now)));
        assert_eq!(wheel.next_due(), Some((PortIndex(0), now)));
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_wheel_that_was_empty_for_days_owes_nothing() {
        let (mut wheel, now) = wheel();
        wheel.insert(PortIndex(1), now);
        wheel.remove(PortIndex(1));
        let later = now + Duration::from_secs(90 * 24 * 3600);
        assert_eq!(due(&mut wheel, later), []);
        assert_eq!(wheel.insert(PortIndex(1), later), later);
        assert_eq!(due(&mut wheel, later), [(1, later)]);
    }

    #[test]
    fn after_a_long_sleep_each_leg_is_due_once() {
        let (mut wheel, now) = wheel();
        for n in 0..100 {
            wheel.insert(PortIndex(n), now);
        }
        due(&mut wheel, now + FRAME);
        let late = now + Duration::from_secs(3);
        let mut legs: Vec<u16> = due(&mut wheel, late)
            .into_iter()
            .map(|(leg, _)| leg)
            .collect();
        legs.sort_unstable();
        assert_eq!(legs, (0..100).collect::<Vec<_>>());
        assert!(wheel.poll_timeout() > Some(late));
    }
}
