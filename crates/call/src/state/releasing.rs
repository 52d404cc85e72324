//! The call is over: its legs end, its figures are awaited, its record is written.

use std::time::{Duration, Instant};

use sip::endpoint::Status;
use tracing::info;

use super::State;
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::{Cause, Party};

/// Longest wait for the figures of streams and for the end of recordings; after it the record is written without them.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Releasing {
    /// The end of the wait; none once the record has left.
    pub(crate) until: Option<Instant>,
}

impl Releasing {
    pub(crate) fn enter(cause: Cause, by: Party, body: &mut Body, fx: &mut Effects<'_>) -> State {
        Self::refuse(cause, cause.status(), by, body, fx)
    }

    /// As `enter`; an INVITE that still waits gets this status.
    pub(crate) fn refuse(
        cause: Cause,
        status: Status,
        by: Party,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> State {
        info!(?cause, ?by, "ends");
        body.draft.ended(cause, by, fx.now);
        // RFC 3326 section 1: who hung up may have said why.
        let reason = cause.reason().or_else(|| body.reason.take());
        for leg in body.legs.keys().copied().collect::<Vec<_>>() {
            body.release(leg, status, reason.clone(), fx);
        }
        State::Releasing(Self::from_now(fx.now))
    }

    /// The wait begins.
    pub(crate) fn from_now(now: Instant) -> Self {
        Self {
            until: Some(now + CLOSING_LIMIT),
        }
    }

    pub(crate) fn handle(self, event: Event, body: &mut Body, fx: &mut Effects<'_>) -> State {
        if let Event::Deadline = event {
            body.abandon_legs(fx);
            for recording in body.draft.open_recordings().collect::<Vec<_>>() {
                fx.forget_recording(recording);
                body.draft.recorded(
                    recording,
                    Err("the recorder did not finish it in time".to_owned()),
                );
            }
        }
        State::Releasing(self)
    }

    /// All legs are closed and all recordings are on disk: the record can be written.
    pub(crate) fn is_complete(&self, body: &Body) -> bool {
        self.until.is_some()
            && body.legs.is_empty()
            && body.draft.open_recordings().next().is_none()
    }
}
