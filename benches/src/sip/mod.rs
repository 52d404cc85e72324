//! A SIP phone of the benchmarks' own, small and honest: it retransmits, answers challenges, acknowledges, and takes what it gets.
//!
//! It shares no code with the switch, so that a fault of ours is not measured with itself.

mod digest;
mod message;
pub(crate) mod phone;
mod text;

pub(crate) use phone::{Event, Phone};
