//! Call control: one state machine per call, from the first INVITE to the call record.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments.

pub mod exchange;
pub mod record;
pub mod settings;

pub use exchange::{Exchange, Output};
pub use record::CallRecord;
pub use settings::Settings;
