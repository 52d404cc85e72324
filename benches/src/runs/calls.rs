//! Calls that begin and end all the time, phone to phone and without media: in a closed loop or at a rate.

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
    /// Calls that were due while all callers were busy: the load is smaller than asked for.
    pub(super) not_offered: usize,
    /// From each INVITE to its 200.
    pub(super) answers: Vec<Duration>,
    /// Answered and hung up again.
    pub(super) completed: usize,
    /// Answered with 503.
    pub(super) refused: usize,
    /// Ended in another way.
    pub(super) failed: usize,
    /// Calls of others that ended.
    pub(super) standing_lost: usize,
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

    /// A rate for a while; then all calls end.
    pub(super) fn at_a_rate(mut self, rate: f64, time: Duration) -> Result<Outcome, String> {
        let start = Instant::now();
        let mut due = 0_u32;
        loop {
            let now = Instant::now();
            if now >= start + time {
                break;
            }
            let next = start + Duration::from_secs_f64(f64::from(due) / rate);
            if now >= next {
                due += 1;
                self.dial();
            } else if let Some(happening) = self.stage.load.next(next)? {
                self.handle(happening);
            }
        }
        self.outcome.elapsed = start.elapsed();
        // What was answered in time counts; what comes later only has to end.
        let (answered, completed) = (self.outcome.answers.len(), self.outcome.completed);
        let until = Instant::now() + PATIENCE;
        while self.over() < self.outcome.offered && Instant::now() < until {
            if let Some(happening) = self.stage.load.next(until)? {
                self.handle(happening);
            }
        }
        self.outcome.failed += self.outcome.offered - self.over();
        self.outcome.answers.truncate(answered);
        self.outcome.completed = completed;
        Ok(self.outcome)
    }

    fn over(&self) -> usize {
        self.outcome.completed + self.outcome.refused + self.outcome.failed
    }

    fn dial(&mut self) {
        let Some(caller) = self.idle.pop_front() else {
            self.outcome.not_offered += 1;
            return;
        };
        self.outcome.offered += 1;
        self.dialled[caller] = Instant::now();
        self.stage
            .dial(caller, &Layout::number(self.pairs + caller));
    }

    fn handle(&mut self, happening: Happening) {
        let Happening { phone, event, at } = happening;
        if phone >= self.pairs * 2 {
            self.outcome.standing_lost += usize::from(event == Event::Ended);
            return;
        }
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
