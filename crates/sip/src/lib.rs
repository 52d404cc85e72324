//! RFC 3261 in memory: messages, transactions, dialogs, offer/answer, registrar and digest.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing; time and randomness are arguments.

pub mod digest;
pub mod endpoint;
pub mod flow;
pub mod framer;
pub mod guard;
pub mod header;
pub mod identity;
pub mod message;
pub mod nat;
pub mod overload;
pub mod sdp;
pub mod uri;

mod dialog;
mod grammar;
mod package;
mod registrar;
mod timers;
mod token;
mod transaction;

#[cfg(test)]
mod golden;

pub use endpoint::{Endpoint, Event, Output};
pub use flow::{Flow, Transport};
pub use framer::{Frame, Framer};
pub use header::Header;
pub use message::{Message, Method};
pub use package::{DialogState, Initiator, WatchedDialog};
pub use uri::Uri;
