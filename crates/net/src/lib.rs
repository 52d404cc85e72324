//! The only crate with sockets and a clock.
