//! The mixer in virtual time: phones talk RTP to it, and what they hear is measured.

mod bridge;
mod phone;
mod play;
