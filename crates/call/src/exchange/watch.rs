//! What watchers of a phone are told: its live legs, looked up when a notification leaves and kept nowhere.

use std::time::Instant;

use sip::endpoint::{Account, LegId, SubscriptionId};
use sip::{DialogState, Initiator, WatchedDialog};

use super::Exchange;
use crate::body::Body;
use crate::leg::{Leg, Role, Signalling};

impl Exchange {
    /// Tells a watcher which dialogs a phone has now.
    pub(super) fn tell_watcher(
        &mut self,
        subscription: SubscriptionId,
        account: &Account,
        now: Instant,
    ) {
        let dialogs: Vec<WatchedDialog> = self
            .board
            .presence
            .legs(account)
            .filter_map(|leg| self.watched(leg))
            .collect();
        self.board.sip.notify(subscription, &dialogs, now);
    }

    fn watched(&self, leg: LegId) -> Option<WatchedDialog> {
        let call = self.board.routes.legs.get(&leg)?;
        let body = &self.calls.get(call)?.body;
        let leg = body.leg(leg)?;
        let (initiator, remote, remote_display) = remote(leg, body);
        Some(WatchedDialog {
            leg: leg.id,
            initiator,
            state: state(leg)?,
            held: leg.holds(),
            yields: yields(leg),
            remote,
            remote_display,
        })
    }
}

/// How far a leg is, as its phone sees it (RFC 4235 section 3.7.1).
fn state(leg: &Leg) -> Option<DialogState> {
    match leg.signalling {
        Signalling::Incoming(_) | Signalling::Calling => Some(match leg.times.ring {
            Some(_) => DialogState::Early,
            None => DialogState::Trying,
        }),
        Signalling::Up => Some(DialogState::Confirmed),
        Signalling::Down => None,
    }
}

/// Whether any phone may pick the call up: while it rings, and not from an agent, whom the queue chose.
fn yields(leg: &Leg) -> bool {
    matches!(leg.role, Role::Callee) && matches!(leg.signalling, Signalling::Calling)
}

/// Who is at the other end: what the caller dialled, or who called, unless that is a secret.
fn remote(leg: &Leg, body: &Body) -> (Initiator, Option<String>, Option<String>) {
    match leg.role {
        Role::Caller => (
            Initiator::Phone,
            Some(body.draft.dialled().to_owned()),
            None,
        ),
        Role::Callee | Role::Agent(_) if body.caller_is_private => (Initiator::Other, None, None),
        Role::Callee | Role::Agent(_) => (
            Initiator::Other,
            Some(body.caller_number.clone()),
            body.caller_name.clone(),
        ),
    }
}
