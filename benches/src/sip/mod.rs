//! A SIP phone of the benchmarks' own, small and honest: it retransmits, answers challenges, acknowledges, and takes what it gets.
//!
//! It shares no code with the switch, so that a fault of ours is not measured with itself.

pub(crate) mod digest;
pub(crate) mod message;
pub(crate) mod phone;
pub(crate) mod text;

pub(crate) use phone::{Event, Phone};
