//! When the mixer has to look at a leg, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::command::PortIndex;

/// What there is to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// It may have been silent for its limit.
    Silence,
    /// Its DTLS handshake wants to go on.
    Handshake,
    /// Its peer is to get a report.
    Report,
}

/// One time for each leg and reason at the most.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    times: BTreeMap<(PortIndex, Alarm), Instant>,
    queue: BTreeSet<(Instant, PortIndex, Alarm)>,
}

impl Alarms {
    /// The next of all.
    pub(crate) fn next(&self) -> Option<(Instant, Alarm)> {
        let &(at, _, alarm) = self.queue.first()?;
        Some((at, alarm))
    }

    /// Sets the time of one, or that there is none.
    pub(crate) fn set(&mut self, port: PortIndex, alarm: Alarm, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.times.insert((port, alarm), at),
            None => self.times.remove(&(port, alarm)),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.queue.remove(&(before, port, alarm));
        }
        self.queue.extend(at.map(|at| (at, port, alarm)));
    }

    /// The leg is gone.
    pub(crate) fn forget(&mut self, port: PortIndex) {
        for alarm in [Alarm::Silence, Alarm::Handshake, Alarm::Report] {
            self.set(port, alarm, None);
        }
    }

    /// Takes one whose time has come.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(PortIndex, Alarm)> {
        let &(_, port, alarm) = self.queue.first().filter(|(at, ..)| *at <= now)?;
        self.set(port, alarm, None);
        Some((port, alarm))
    }
}
