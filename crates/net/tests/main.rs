//! Real sockets on loopback addresses, ephemeral ports, bounded time.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod lookup;
mod phone;
mod rtp;
mod tcp;
mod tls;
mod tls_peer;
mod udp;
mod websocket;
