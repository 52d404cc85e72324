//! Plays a day through the queue engine, in no time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use queue::{AgentId, Departure, Engine, Limit, OfferId, Output, Plan, Reach, Status, Ticket};

use super::day::{Chance, Day};
use crate::service::{Fate, Table};

/// The engine and all chance in it begin with this: two runs of one day differ only by what was changed.
const SEED: u64 = 1;

/// What people do, in order of time, then of planning.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Begins(AgentId),
    Ends(AgentId),
    Calls(usize),
    GivesUp(Ticket),
    Answers(OfferId),
    Releases(Ticket),
}

struct Play<'d> {
    day: &'d Day,
    engine: Engine,
    midnight: Instant,
    agenda: BinaryHeap<Reverse<(Instant, u64, Deed)>>,
    planned: u64,
    /// By ticket: which call it is, and whether it still waits.
    tickets: Vec<(usize, bool)>,
    pickups: Chance,
    table: Table,
}

/// How the callers of the day are served under a plan.
pub(super) fn play(plan: &Plan, day: &Day) -> Table {
    let midnight = Instant::now();
    let mut engine = Engine::new(SEED);
    engine.configure(plan.clone(), midnight);
    let mut play = Play {
        day,
        engine,
        midnight,
        agenda: BinaryHeap::new(),
        planned: 0,
        tickets: Vec::new(),
        pickups: Chance(SEED),
        table: Table::default(),
    };
    for (agent, shift) in &day.shifts {
        play.later(midnight + shift.from, Deed::Begins(agent.clone()));
        play.later(midnight + shift.to, Deed::Ends(agent.clone()));
    }
    for (index, call) in day.calls.iter().enumerate() {
        play.later(midnight + call.at, Deed::Calls(index));
    }
    play.run();
    play.table
}

impl Play<'_> {
    fn later(&mut self, at: Instant, deed: Deed) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, deed)));
    }

    fn run(&mut self) {
        loop {
            let due = self.engine.poll_timeout().map(|(due, _)| due);
            let planned = self.agenda.peek().map(|Reverse((at, ..))| *at);
            match (due, planned) {
                (Some(due), planned) if planned.is_none_or(|planned| due <= planned) => {
                    self.engine.handle_timeout(due);
                    self.listen(due);
                }
                (_, Some(_)) => {
                    if let Some(Reverse((now, _, deed))) = self.agenda.pop() {
                        self.happens(deed, now);
                        self.listen(now);
                    }
                }
                (_, None) => break,
            }
        }
    }

    fn happens(&mut self, deed: Deed, now: Instant) {
        match deed {
            Deed::Begins(agent) => {
                self.engine.handle_reach(&agent, Reach::Reachable, now);
                self.engine.set_status(&agent, Status::Available, now);
            }
            Deed::Ends(agent) => {
                self.engine.set_status(&agent, Status::LoggedOut, now);
            }
            Deed::Calls(index) => self.call(index, now),
            Deed::GivesUp(ticket) => {
                let (index, waits) = *self.ticket(ticket);
                if let (true, Some((_, how))) = (waits, self.day.calls[index].patience) {
                    let fate = match how {
                        Departure::HungUp => Fate::Abandoned,
                        Departure::Exit | Departure::Moved | Departure::Closed => Fate::Exit,
                    };
                    self.end_wait(ticket, fate, now);
                    self.engine.leave(ticket, how, now);
                }
            }
            Deed::Answers(offer) => {
                if let Some(ticket) = self.engine.handle_answer(offer, now) {
                    let index = self.end_wait(ticket, Fate::Answered, now);
                    self.later(now + self.day.calls[index].talk, Deed::Releases(ticket));
                }
            }
            Deed::Releases(ticket) => self.engine.handle_release(ticket, now),
        }
    }

    fn call(&mut self, index: usize, now: Instant) {
        let call = &self.day.calls[index];
        match self.engine.join(&call.queue, &call.arrival, now) {
            Ok(ticket) => {
                self.tickets.push((index, true));
                if let Some((patience, _)) = call.patience {
                    self.later(now + patience, Deed::GivesUp(ticket));
                }
            }
            Err(_) => self.table.add(&call.queue, Fate::Full, Duration::ZERO),
        }
    }

    fn listen(&mut self, now: Instant) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Offer { offer, .. } => {
                    if let Some(pickup) = self.pickups.one(&self.day.pickups) {
                        self.later(now + pickup, Deed::Answers(offer));
                    }
                }
                Output::TimedOut { ticket, limit } => {
                    let fate = match limit {
                        Limit::MaxWait => Fate::TimedOut,
                        Limit::NoAgent => Fate::NoAgent,
                    };
                    self.end_wait(ticket, fate, now);
                }
                Output::Withdraw { .. }
                | Output::StatusChanged { .. }
                | Output::QueueGone { .. } => {}
            }
        }
    }

    /// Which call it is, and whether it still waits. The engine counts its tickets from 0.
    fn ticket(&mut self, ticket: Ticket) -> &mut (usize, bool) {
        let nth = usize::try_from(ticket.0).unwrap_or(usize::MAX);
        &mut self.tickets[nth]
    }

    /// Which call it was.
    fn end_wait(&mut self, ticket: Ticket, fate: Fate, now: Instant) -> usize {
        let (index, waits) = self.ticket(ticket);
        *waits = false;
        let index = *index;
        let call = &self.day.calls[index];
        let wait = now - (self.midnight + call.at);
        self.table.add(&call.queue, fate, wait);
        index
    }
}
