//! The only crate with sockets and a clock: SIP over UDP and TCP, RTP workers.
//!
//! A shell around the pure cores `sip` and `media`: it frames, sends and wakes, and decides nothing about calls.

pub mod collector;
pub mod descriptors;
pub mod local_socket;
pub mod lookup;
pub mod rtp;
mod self_signed;
pub mod sip;
