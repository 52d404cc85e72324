//! RFC 3261 in memory: messages, transactions, dialogs, offer/answer, registrar and digest.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments.

pub mod endpoint;
pub mod flow;
pub mod message;
pub mod sdp;

pub use endpoint::{Endpoint, Event, Output};
pub use flow::{Flow, Transport};
pub use message::Message;
