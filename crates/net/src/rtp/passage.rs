//! Legs that pass from one worker to another, with their sockets.
//!
//! ```text
//! control loop --Give--> worker of now  --Parcel--> worker from then on <--Take-- control loop
//! ```
//! The worker that takes a leg waits with all further commands until it is there, some milliseconds, while its packets go on.
//! No two workers can wait for each other: both orders of a passage leave at once, so that what a worker waits for is held up only
//! by passages that began earlier.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use media::LegId;
use media::mixer::{Command, Passenger};

use super::socket::Pair;

/// What the control loop asks of a worker.
#[derive(Debug)]
pub(super) enum Order {
    /// For its mixer.
    Media(Box<Command>),
    /// A leg leaves.
    Give(LegId, SyncSender<Parcel>),
    /// A leg comes, unless it is gone.
    Take(Receiver<Parcel>),
}

/// A leg and its socket.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) passenger: Passenger,
    pub(super) sockets: Arc<Pair>,
}

/// The orders that make a leg pass from one worker to another.
pub(super) fn passage(leg: LegId) -> (Order, Order) {
    let (to, from) = sync_channel(1);
    (Order::Give(leg, to), Order::Take(from))
}
