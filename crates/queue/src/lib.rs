//! Who waits, who is free, who is picked and why. Knows neither SIP nor RTP.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments.

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
