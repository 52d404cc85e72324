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
