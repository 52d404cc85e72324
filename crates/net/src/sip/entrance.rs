//! The way from the sockets to the control loop: what may wait for it, and what comes at a better time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::sip::overload::{self, Class, Rank};
use tokio::sync::mpsc;
use tracing::warn;

use super::Arrival;
use super::limits::{CALM, Tally};

/// Between two lines in the log about requests that are refused.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The control loop has time for it soon enough; it waits with this class.
    Enters(Class),
    /// It would wait for too long, or begin a call for which there is no place.
    TurnedAway(Rank),
    /// Nobody waits for it.
    Forgotten,
}

/// The inbox of the control loop, as socket tasks see it.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    pub(super) inbox: mpsc::Sender<Arrival>,
    pub(super) tally: Arc<Tally>,
    /// When the log was last told that the control loop is behind.
    told: Arc<Mutex<Option<Instant>>>,
}

impl Entrance {
    pub(super) fn new(inbox: mpsc::Sender<Arrival>, tally: Arc<Tally>) -> Self {
        Self {
            inbox,
            tally,
            told: Arc::default(),
        }
    }

    /// Looks at a message as it came.
    pub(super) fn judge(&self, octets: &[u8]) -> Verdict {
        if overload::is_ack_of_nothing(octets) {
            return Verdict::Forgotten;
        }
        let room = self.inbox.max_capacity();
        let vacancies = self.tally.vacancies();
        if room - self.inbox.capacity() < CALM && vacancies > CALM {
            return Verdict::Enters(Class::Standing);
        }
        let rank = Rank::of(octets);
        let class = rank.class();
        let waiting = self.tally.waiting(class).get();
        if class == Class::Calls && overload::is_invite(octets) && self.tally.is_full() {
            return Verdict::TurnedAway(rank);
        }
        let ahead = match class {
            Class::Calls | Class::Registrations => {
                waiting + self.tally.waiting(Class::Standing).get()
            }
            Class::Standing => waiting,
        };
        if rank.may_wait(ahead, room, self.tally.pace.service()) {
            return Verdict::Enters(class);
        }
        Verdict::TurnedAway(rank)
    }

    /// Counts a request that was turned away.
    pub(super) fn turned_away(&self) {
        self.tally.refused.add();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            *told = Some(Instant::now());
            let (refused, vacancies) = (self.tally.counters().refused, self.tally.vacancies());
            if vacancies < CALM {
                warn!(
                    refused,
                    vacancies,
                    "calls are refused: `max_calls` or the RTP ports are in use, or too many records wait for the disk"
                );
            } else {
                warn!(
                    refused,
                    "more comes than can be served: what begins is refused, what stands goes on"
                );
            }
        }
    }
}
