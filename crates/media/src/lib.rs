//! The RTP media mixer: streams, sounds, bridges, recordings; advanced by time that its driver gives.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing. One mixer lives on each RTP worker thread.

pub mod mixer;
pub mod packet;
pub mod recording;
pub mod sound;
pub mod tone;

pub use mixer::{Command, Event, LegId, Mixer, Output, Transmit};
pub use sound::Sound;
