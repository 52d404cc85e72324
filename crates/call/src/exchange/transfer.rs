//! What concerns two calls at once: transfers and calls that are taken over.

use std::time::Instant;

use sip::endpoint::{LegId, Refer, Status};

use super::Exchange;
use crate::event::Event;

impl Exchange {
    /// A phone asks us to connect the party that it talks with.
    pub(super) fn referred(&mut self, leg: LegId, refer: Refer, now: Instant) {
        let Some(call) = self.board.routes.legs.get(&leg).copied() else {
            return self.board.sip.refuse_refer(leg, Status(481), now);
        };
        if refer.replaces.is_none() {
            return self.step(call, Event::Referred(leg, Box::new(refer)), now);
        }
        self.board.sip.refuse_refer(leg, Status(603), now);
    }
}
