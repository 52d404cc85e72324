//! Call control: one state machine per call, from the first INVITE to the call record.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments.
//! A call's states are one struct and one file each in `state/`; what a call may cause is the list of
//! methods of `Effects`; the [`Exchange`] routes events to calls and owns everything that calls share.

mod body;
mod cause;
mod clock;
mod draft;
mod effects;
mod event;
pub mod exchange;
mod leg;
mod load;
mod log;
mod name;
pub mod order;
mod ports;
mod presence;
pub mod queue_log;
pub mod record;
pub mod settings;
pub mod spoken;
mod state;
mod switchboard;
mod trouble;
pub mod trunk;

pub use cause::{Cause, Party};
pub use clock::time_of_day;
pub use exchange::{Exchange, Output};
pub use record::CallRecord;
pub use settings::Settings;
