//! The mixer in virtual time: phones talk RTP to it, and what they hear is measured.

mod allocation;
mod bridge;
mod browser;
mod codecs;
mod keys;
mod loudness;
mod mix;
mod noise;
mod octets;
mod phone;
mod play;
mod rtcp;
mod silence;
mod source;
mod srtp;
mod tap;
