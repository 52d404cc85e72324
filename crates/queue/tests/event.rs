//! All that can happen to an engine, as a value.

use std::time::{Duration, Instant};

use queue::{
    AgentId, Arrival, Departure, Engine, Failure, OfferId, Output, Plan, QueueId, Reach, Status,
    Ticket,
};

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Configure(Plan),
    Join(QueueId, Arrival),
    Leave(Ticket, Departure),
    Status(AgentId, Status),
    Ready(AgentId),
    Prolong(AgentId, Duration),
    Reach(AgentId, Reach),
    Answer(OfferId),
    Fail(OfferId, Failure),
    Release(Ticket),
    Vanish(Ticket),
    Prefer(Ticket, u32),
    Hand(Ticket, AgentId),
    Timeout,
}

impl Event {
    /// Returns the ticket of who joined or was answered, and what the engine wants.
    pub(crate) fn apply(self, engine: &mut Engine, now: Instant) -> (Option<Ticket>, Vec<Output>) {
        let mut reply = None;
        match self {
            Self::Configure(plan) => engine.configure(plan, now),
            Self::Join(queue, arrival) => reply = engine.join(&queue, &arrival, now).ok(),
            Self::Leave(ticket, how) => engine.leave(ticket, how, now),
            Self::Status(agent, status) => {
                let changes = engine.status(&agent).is_some_and(|old| old != status);
                assert_eq!(engine.set_status(&agent, status, now), changes);
            }
            Self::Ready(agent) => {
                engine.ready(&agent, now);
            }
            Self::Prolong(agent, by) => {
                engine.prolong_wrap_up(&agent, by, now);
            }
            Self::Reach(agent, reach) => engine.handle_reach(&agent, reach, now),
            Self::Answer(offer) => reply = engine.handle_answer(offer, now),
            Self::Fail(offer, failure) => engine.handle_failure(offer, failure, now),
            Self::Release(ticket) => engine.handle_release(ticket, now),
            Self::Vanish(ticket) => engine.handle_vanish(ticket, now),
            Self::Prefer(ticket, priority) => {
                engine.prefer(ticket, priority, now);
            }
            Self::Hand(ticket, agent) => {
                let held = engine.held(&agent).is_some();
                assert!(engine.hand(ticket, &agent, now).is_err() || !held);
            }
            Self::Timeout => engine.handle_timeout(now),
        }
        let outputs = std::iter::from_fn(|| engine.poll_output()).collect();
        (reply, outputs)
    }
}

/// What the engine wants, without its reasons: the reference knows none.
pub(crate) fn told(output: &Output) -> String {
    match output {
        Output::Offer {
            offer,
            ticket,
            queue,
            agent,
            ..
        } => format!("{offer:?} {ticket:?} {} {}", queue.0, agent.0),
        Output::Withdraw { .. }
        | Output::TimedOut { .. }
        | Output::StatusChanged { .. }
        | Output::QueueGone { .. } => format!("{output:?}"),
    }
}
