//! The queue engine in virtual time.

mod desk;
mod sentences;
