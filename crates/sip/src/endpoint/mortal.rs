//! Dialogs in their mortal state (RFC 5407 section 2): ended by us a moment ago. A BYE of the peer that crossed ours may come when
//! ours was answered long since.

use std::collections::VecDeque;
use std::time::Instant;

use super::Endpoint;
use crate::Message;
use crate::token::Token;
use crate::transaction::SIXTY_FOUR_T1;

/// Dialogs that are remembered (40 octets each): those of 16 s with 250 calls a second. Beyond, the oldest is forgotten, and a BYE that
/// still comes there gets 481, which ends it for its sender, too.
const MAX_MORTAL: usize = 4_096;

/// Our tags of those dialogs, the oldest first. A tag that nobody can guess is all that is to be known of them.
#[derive(Debug, Default)]
pub(super) struct Mortal(VecDeque<(Instant, Token)>);

impl Mortal {
    /// A dialog is over: its peer repeats a BYE for so long (RFC 3261 section 17.1.2.2).
    pub(super) fn add(&mut self, tag: Token, now: Instant) {
        self.forget(now);
        if self.0.len() >= MAX_MORTAL {
            self.0.pop_front();
        }
        self.0.push_back((now + SIXTY_FOUR_T1, tag));
    }

    fn has(&mut self, tag: Token, now: Instant) -> bool {
        self.forget(now);
        self.0.iter().any(|(_, ended)| *ended == tag)
    }

    fn forget(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(until, _)| *until <= now) {
            self.0.pop_front();
        }
    }
}

impl Endpoint {
    /// Whether a request is for a dialog in its mortal state.
    pub(super) fn is_mortal(&mut self, request: &Message, now: Instant) -> bool {
        let tag = request
            .to()
            .and_then(|to| Token::parse(to.tag()?.as_bytes()));
        tag.is_some_and(|tag| self.mortal.has(tag, now))
    }
}
