//! The wire: messages of the RFCs, of real phones, and made by chance.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod answers;
mod ask;
mod bench;
mod chance;
mod client;
mod comfort_noise;
mod corpus;
mod defence;
mod differential;
#[path = "../src/golden.rs"]
mod golden;
mod in_dialog;
mod incoming;
mod limits;
mod messages;
mod mutations;
mod offer_answer;
mod outgoing;
mod pair;
mod phone;
mod phones;
mod prack;
mod pressure;
mod refer;
mod registration;
mod session_timer;
mod storm;
mod subscriptions;
mod torture;
mod transports;
