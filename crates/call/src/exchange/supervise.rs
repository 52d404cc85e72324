//! Which conversation a supervisor is with: looked up from live calls, and kept nowhere else.

use std::time::Instant;

use sip::endpoint::Account;

use super::{CallId, Exchange};
use crate::event::Event;
use crate::state::{Conversation, State};

impl Exchange {
    /// Tells the supervisors whose phone is in another conversation now; false if there is no news.
    pub(super) fn tell_supervisors(&mut self, now: Instant) -> bool {
        let news: Vec<(CallId, Option<Conversation>)> = self
            .board
            .supervisors
            .iter()
            .filter_map(|id| {
                let State::Supervising(supervisor) = &self.calls.get(id)?.state else {
                    return None;
                };
                let found = self.conversation_of(&supervisor.account);
                (found != supervisor.conversation).then_some((*id, found))
            })
            .collect();
        for (call, conversation) in &news {
            self.step(*call, Event::Conversation(*conversation), now);
            let supervisor = self
                .calls
                .get(call)
                .map(|call| call.body.caller_account.clone());
            let supervised = conversation.and_then(|it| self.calls.get_mut(&it.call));
            if let Some((supervised, supervisor)) = supervised.zip(supervisor) {
                supervised.body.draft.supervised_by(&supervisor);
            }
        }
        let calls = &self.calls;
        let supervises = |id: &CallId| {
            let call = calls.get(id);
            call.is_some_and(|call| matches!(call.state, State::Supervising(_)))
        };
        self.board.supervisors.retain(supervises);
        !news.is_empty()
    }

    /// Of several the one that began last.
    fn conversation_of(&self, account: &Account) -> Option<Conversation> {
        let legs = self.board.presence.legs(account);
        let conversations = legs.filter_map(|near| {
            let id = *self.board.routes.legs.get(&near)?;
            let call = self.calls.get(&id)?;
            let talk = call.state.talk()?;
            talk.has(near, &call.body).then(|| Conversation {
                call: id,
                near,
                far: talk.other(near, &call.body),
                worker: call.body.worker(),
            })
        });
        conversations.last()
    }
}
