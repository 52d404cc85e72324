//! The RTP media mixer: streams, sounds, bridges, recordings; advanced by time that its driver gives.
//!
//! A pure crate: it opens no socket, reads no clock, spawns nothing. One mixer lives on each RTP worker thread.

mod alarms;
pub mod codec;
mod command;
mod decoder;
mod draws;
mod dtmf;
mod ear;
mod encoder;
mod event;
pub mod g711;
mod inband;
mod latch;
mod leg;
pub mod loudness;
mod mix;
pub mod mixer;
mod noise;
pub mod packet;
mod player;
mod presses;
pub mod quality;
mod receiver;
pub mod recording;
pub mod resample;
mod rtcp;
mod secure;
mod sender;
pub mod sound;
pub mod srtp;
pub mod stun;
pub mod tone;
mod wheel;

pub use mixer::{Command, Event, LegId, Mixer, Output, Transmit};
pub use secure::Identity;
pub use sound::Sound;
