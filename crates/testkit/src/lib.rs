//! Virtual time and network, scripted phones, message ladders: the whole switch in a test, without a socket.
//!
//! The phones write and read their messages with `rsip`, so that tests and product share no parser.

mod chance;
pub mod golden;
mod ladder;
mod network;
mod phone;
mod site;
mod stopwatch;
pub mod targets;
mod wire;
mod world;

pub use chance::Chance;
pub use network::Fate;
pub use phone::{Access, Behaviour, Offer, Phone, PhoneState};
pub use site::{Site, tones};
pub use world::{PhoneId, Recorder, World};
