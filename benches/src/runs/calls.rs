//! Calls that begin and end all the time, phone to phone and without media, in a closed loop.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::load::Happening;
use crate::sip::{Event, Phone};
use crate::target::Layout;

/// What still stands so long after the last thing that happened is lost.
const PATIENCE: Duration = Duration::from_secs(40);

/// What became of the calls of one measurement.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Calls that were tried.
    pub(super) offered: usize,
    /// From each INVITE to its 200.
    pub(super) answers: Vec<Duration>,
    /// Answered and hung up again.
    pub(super) completed: usize,
    /// Answered with 503.
    pub(super) refused: usize,
    /// Ended in another way.
    pub(super) failed: usize,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// The callers, whose partners are as many phones after them.
pub(super) struct Calls<'a> {
    stage: &'a mut Stage,
    pairs: usize,
    /// Who may call next, in this order.
    idle: VecDeque<usize>,
    dialled: Vec<Instant>,
    outcome: Outcome,
}

impl<'a> Calls<'a> {
    /// Nobody calls yet.
    pub(super) fn new(stage: &'a mut Stage, pairs: usize) -> Self {
        Self {
            stage,
            pairs,
            idle: (0..pairs).collect(),
            dialled: vec![Instant::now(); pairs],
            outcome: Outcome::default(),
        }
    }

    /// So many calls, or as many as begin in a time, so many of them at once.
    pub(super) fn in_a_closed_loop(
        mut self,
        samples: usize,
        time: Duration,
        at_once: usize,
    ) -> Result<Outcome, String> {
        let start = Instant::now();
        let mut begins = true;
        while begins || self.over() < self.outcome.offered {
            begins = self.outcome.offered < samples && start.elapsed() < time;
            while begins
                && self.outcome.offered < samples
                && self.outcome.offered - self.over() < at_once
            {
                self.dial();
            }
            if self.over() == self.outcome.offered {
                break;
            }
            match self.stage.load.next(Instant::now() + PATIENCE)? {
                Some(happening) => self.handle(happening),
                None => return Err(self.stage.complain("calls do not end")),
            }
        }
        self.outcome.elapsed = start.elapsed();
        Ok(self.outcome)
    }

    fn over(&self) -> usize {
        self.outcome.completed + self.outcome.refused + self.outcome.failed
    }

    fn dial(&mut self) {
        let Some(caller) = self.idle.pop_front() else {
            return;
        };
        self.outcome.offered += 1;
        self.dialled[caller] = Instant::now();
        self.stage
            .dial(caller, &Layout::number(self.pairs + caller));
    }

    fn handle(&mut self, happening: Happening) {
        let Happening { phone, event, at } = happening;
        match event {
            Event::Incoming => self.stage.answer(phone),
            Event::Answered(_) => {
                self.outcome.answers.push(at - self.dialled[phone]);
                self.stage.load.command(phone, Phone::hang_up);
            }
            Event::Released => {
                self.outcome.completed += 1;
                self.idle.push_back(phone);
            }
            Event::Refused(status) if phone < self.pairs => {
                if status == 503 {
                    self.outcome.refused += 1;
                } else {
                    self.outcome.failed += 1;
                }
                self.idle.push_back(phone);
            }
            // The switch hung up before the caller did: a fault, when it is the caller's leg.
            Event::Ended if phone < self.pairs => {
                self.outcome.failed += 1;
                self.idle.push_back(phone);
            }
            Event::Refused(_)
            | Event::Ended
            | Event::Registered
            | Event::Ringing
            | Event::Connected(_)
            | Event::Cancelled => {}
        }
    }
}
