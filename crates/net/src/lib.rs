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

use std::any::Any;

/// What a caught panic said, for who tells of it.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}
