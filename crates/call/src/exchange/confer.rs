//! Who is in a conference with whom: looked up from live calls, and kept nowhere else.

use std::collections::BTreeSet;
use std::time::Instant;

use sip::endpoint::LegId;

use super::{CallId, Exchange};
use crate::event::Event;
use crate::leg::Leg;
use crate::settings::ConferenceId;
use crate::state::{Others, State};

/// Somebody in a conference.
struct Conferee {
    call: CallId,
    leg: LegId,
    /// Others can hear it: its stream is open, and its own music on hold is nothing for them.
    is_heard: bool,
    worker: u16,
}

impl Exchange {
    /// Tells everybody in a conference who has come and who has gone; false if there is no news.
    pub(super) fn tell_conferees(&mut self, now: Instant) -> bool {
        let conferences: Vec<ConferenceId> = self.board.conferences.keys().cloned().collect();
        let mut news = Vec::new();
        for conference in conferences {
            let conferees = self.conferees(&conference);
            // All meet where the first of them is.
            let worker = conferees.first().map(|first| first.worker);
            // Who passes to another worker does so before the others there hear it.
            let (here, coming): (Vec<_>, Vec<_>) = conferees
                .iter()
                .partition(|conferee| Some(conferee.worker) == worker);
            for conferee in coming.into_iter().chain(here) {
                let heard = conferees.iter().filter(|other| other.is_heard);
                let legs = heard.map(|other| other.leg);
                let legs: BTreeSet<LegId> = legs.filter(|leg| *leg != conferee.leg).collect();
                let worker = worker.filter(|_| !legs.is_empty());
                let others = Others { legs, worker };
                if self.others_of(conferee.call) != Some(&others) {
                    news.push((conferee.call, others));
                }
            }
        }
        let is_news = !news.is_empty();
        for (call, others) in news {
            self.step(call, Event::Conferees(others), now);
        }
        is_news
    }

    /// In the order in which they came, as their calls are numbered.
    fn conferees(&mut self, conference: &ConferenceId) -> Vec<Conferee> {
        let calls = &self.calls;
        let conferee = |id: &CallId| {
            let call = calls.get(id)?;
            let State::Conferring(state) = &call.state else {
                return None;
            };
            let (body, leg) = (&call.body, call.body.caller);
            (state.conference == *conference).then(|| Conferee {
                call: *id,
                leg,
                is_heard: body.is_open(leg) && !body.leg(leg).is_some_and(Leg::holds),
                worker: body.worker(),
            })
        };
        let Some(ids) = self.board.conferences.get_mut(conference) else {
            return Vec::new();
        };
        ids.retain(|id| conferee(id).is_some());
        let conferees: Vec<Conferee> = ids.iter().filter_map(conferee).collect();
        if conferees.is_empty() {
            self.board.conferences.remove(conference);
        }
        conferees
    }

    fn others_of(&self, call: CallId) -> Option<&Others> {
        match &self.calls.get(&call)?.state {
            State::Conferring(state) => Some(&state.others),
            State::Calling(_)
            | State::Greeting(_)
            | State::Queued(_)
            | State::Talking(_)
            | State::Transferring(_)
            | State::Intercepting(_)
            | State::Summoning(_)
            | State::Service(_)
            | State::Supervising(_)
            | State::Releasing(_) => None,
        }
    }
}
