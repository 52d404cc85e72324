//! Who waits, who is free, who is picked and why. Knows neither SIP nor RTP.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments. [`Engine`] is driven by events:
//! nothing polls, and an event looks only at the callers and agents that it touches. After every `handle_*` or command the driver drains
//! [`Engine::poll_output`]; at [`Engine::poll_timeout`] it calls [`Engine::handle_timeout`].
//!
//! # Who rings for whom
//! Callers choose in one order over all queues: the longest waiting first. Inside a queue that is first come, first served, and an agent of
//! several queues serves who has waited longest in any of them. The caller at hand is offered to free agents of the lowest level on which
//! somebody can be rung for it; whoever is busy, resting, or under the floor below counts as not there, so the next level has its turn.
//! On that level, ascending:
//!
//! | [`Strategy`] | rings | order |
//! | --- | --- | --- |
//! | `RingAll` | all of the level | position, name |
//! | `LongestIdleAgent` | one | failures for this caller, end of the last conversation (without one: log-in), position, name |
//! | `RoundRobin` | one | failures for this caller, then behind the one whom this queue offered a call last on this level: position, name |
//!
//! With `RingAll` agents are added as they become free while it rings: those of the lowest level that rings, or of a lower one. What rings
//! on a higher level goes on.
//!
//! **The floor.** Whatever the delays, an agent who failed a caller is not offered the same caller for 1 s, then 2, 4, 8 and at most 10 s.
//! Others may be offered that caller, and that agent other callers. An offer that was answered elsewhere or given up by the
//! caller is no failure; one that ended because the agent logged out is.
//!
//! # The life of a caller
//! ```text
//! join --> Waiting -- handle_answer --> Talking -- handle_release, leave --> gone
//!           |   ^                          |
//!           |   +----- handle_vanish ------+   at its old place
//!           |
//!           +--> gone: leave, TimedOut, QueueGone
//! ```
//! While it waits, phones ring for it or not; each ring is an [`OfferId`] that ends in exactly one of `handle_answer`, `handle_failure`,
//! [`Output::Withdraw`]. `max_wait_time` is soft: a ring that is under way ends first, but nobody more is rung.
//!
//! # The life of an agent
//! ```text
//! Idle -- Offer --> Offered -- handle_answer --> Talking -- handle_release --> WrapUp --> Idle
//!                    |   |                         |
//!           Withdraw |   | handle_failure,         | handle_vanish
//!                    |   | NoAnswer                |
//!                    v   v                         v
//!                 Idle   resting: Idle for people, but not offered --> Idle
//! ```
//! A new agent is unregistered until `handle_reach` says otherwise, after a reload too.
//! An agent is offered calls when its [`Status`] is `Available`, its [`Reach`] is `Reachable` and it does nothing. [`State`] is derived from
//! what rings and who talks, so it cannot say otherwise. The three are independent:
//!
//! | event | while `Offered` | while `Talking` |
//! | --- | --- | --- |
//! | `set_status(LoggedOut)` | withdrawn with `AgentGone` | the conversation goes on |
//! | `handle_reach(Busy or Unregistered)` | rings on: call control tells how it ends | the conversation goes on |
//! | removed by `configure` | withdrawn with `AgentGone` | the conversation goes on; the agent is gone after it |
//!
//! | after | rests for | ends early |
//! | --- | --- | --- |
//! | a conversation | `wrap_up_time` | no |
//! | no answer, `handle_vanish` | `no_answer_delay_time` | no |
//! | a rejection | `reject_delay_time` | no |
//! | busy | `busy_delay_time` | no |
//! | unreachable | 5 s | when `handle_reach` says `Reachable` |
//!
//! # Limits
//! Callers: `capacity` per queue, then [`Refused::Full`]. Offers: one per agent. Timers: one per caller, per agent, and per pair under the
//! floor. Any time in a plan counts as a year at most. What an event costs: `examples/busy.rs`.

mod agent;
mod caller;
mod engine;
mod offer;
mod order;
mod plan;
mod queue;
mod timer;

pub use agent::{Reach, State};
pub use caller::{Refused, Ticket};
pub use engine::Engine;
pub use offer::{Failure, OfferId, Output, Withdrawal};
pub use plan::{
    AgentId, AgentSettings, Membership, Plan, QueueId, QueueSettings, Status, Strategy,
};
pub use timer::Wake;
