//! One event on one call, behind the border that no panic crosses.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use sip::endpoint::{Invite, LegId};
use tracing::{error, warn};

use super::{Call, CallId, Exchange, Output};
use crate::body::Body;
use crate::effects::Effects;
use crate::event::Event;
use crate::state::{Releasing, State, route};
use crate::{Cause, Party};

impl Exchange {
    /// A phone calls.
    pub(super) fn incoming(&mut self, leg: LegId, invite: Invite, now: Instant) {
        if let Some(old) = invite.replaces {
            return self.take_over(old, leg, invite, now);
        }
        let Some((call, mut body)) = self.new_call(leg, invite, now) else {
            if !self.full {
                self.full = true;
                let unwritten = self.unwritten;
                let (calls, ports) = (self.calls.len() - unwritten, self.board.ports.len());
                warn!(calls, unwritten, ports, "full: new calls get 503");
            }
            return self.board.sip.reject(leg, Cause::SwitchFull.status(), now);
        };
        self.full = false;
        let span = body.span.clone();
        let _entered = span.enter();
        self.board.route_leg(leg, call);
        let state = self.guard(call, &mut body, now, route);
        self.keep(call, body, state, None, now);
    }

    /// None: all calls or RTP ports are in use, or too many records wait for the disk.
    fn new_call(&mut self, leg: LegId, invite: Invite, now: Instant) -> Option<(CallId, Body)> {
        if self.vacancies() == 0 {
            return None;
        }
        let call = CallId(self.next_call + 1);
        let near = self.worker_near(&invite);
        let name = self.board.call_name(call);
        let mut fx = Effects {
            now,
            call,
            board: &mut self.board,
        };
        let body = Body::new(&name, leg, invite, near, &mut fx)?;
        self.next_call = call.0;
        Some((call, body))
    }

    /// The RTP worker of the phone's other call, where both can be joined as they are. Trunks have no such calls.
    fn worker_near(&self, invite: &Invite) -> Option<u16> {
        let board = &self.board;
        if board.settings.outside.trunks.contains_key(&invite.account) {
            return None;
        }
        let leg = board.presence.latest(&invite.account)?;
        let call = self.calls.get(board.routes.legs.get(&leg)?)?;
        Some(call.body.worker())
    }

    /// One event on one call.
    pub(super) fn step(&mut self, call: CallId, event: Event, now: Instant) {
        let leg = event.leg();
        self.act_on(call, leg, now, |state, body, fx| {
            state.handle(event, body, fx)
        });
    }

    /// One transition of one call, in the span of the leg that it comes from; nothing if there is no such call.
    pub(super) fn act_on(
        &mut self,
        call: CallId,
        leg: Option<LegId>,
        now: Instant,
        act: impl FnOnce(State, &mut Body, &mut Effects<'_>) -> State,
    ) {
        let Some(Call {
            mut body,
            state,
            deadline,
        }) = self.calls.remove(&call)
        else {
            return;
        };
        let spans = [
            Some(body.span.clone()),
            leg.and_then(|leg| body.leg(leg))
                .map(|leg| leg.span.clone()),
        ];
        let _entered = spans
            .each_ref()
            .map(|span| span.as_ref().map(|s| s.enter()));
        let state = self.guard(call, &mut body, now, |body, fx| act(state, body, fx));
        self.keep(call, body, state, deadline, now);
    }

    /// Ends the outside calls of accounts that have talked for as long as they may.
    pub(super) fn cut_spent(&mut self, now: Instant) {
        self.board.learn_day(now);
        while let Some((account, legs)) = self.board.accounts.take_spent(now) {
            let routes = &self.board.routes.legs;
            let calls: BTreeSet<CallId> = legs
                .iter()
                .flat_map(|leg| routes.get(leg))
                .copied()
                .collect();
            let allowance = self.board.settings.outside.allowance(&account);
            if self.board.accounts.is_news(&account, allowance, now) {
                self.board.alarms += 1;
                let call = calls.first().map(|call| self.board.call_name(*call));
                warn!(
                    call,
                    "outside calls are cut: their account has talked for as long as it may today"
                );
            }
            for call in calls {
                self.step(call, Event::Stop(Cause::TalkSpent, Party::Switch), now);
                self.settle(now);
            }
        }
    }

    /// A panic in a state is a fault of ours: it ends this call and no other.
    pub(super) fn guard(
        &mut self,
        call: CallId,
        body: &mut Body,
        now: Instant,
        act: impl FnOnce(&mut Body, &mut Effects<'_>) -> State,
    ) -> State {
        let mut fx = Effects {
            now,
            call,
            board: &mut self.board,
        };
        if let Ok(state) = catch_unwind(AssertUnwindSafe(|| act(body, &mut fx))) {
            return state;
        }
        self.panics += 1;
        error!("a fault of Ringmaster ends this call");
        let release = AssertUnwindSafe(|| {
            fx.abandon_queues();
            body.draft.abandoned(now);
            Releasing::enter(Cause::InternalError, Party::Switch, body, &mut fx)
        });
        // If even that fails, what is left of the call is thrown away when the state's limit is over.
        catch_unwind(release).unwrap_or_else(|_| State::Releasing(Releasing::from_now(now)))
    }

    /// Keeps the call and its deadline, and lets its record leave when nothing more is to come.
    pub(super) fn keep(
        &mut self,
        call: CallId,
        mut body: Body,
        mut state: State,
        old_deadline: Option<Instant>,
        now: Instant,
    ) {
        if let State::Releasing(releasing) = &mut state
            && releasing.is_complete(&body)
        {
            releasing.until = None;
            self.unwritten += 1;
            for payer in &body.pays_outside {
                self.board.accounts.end(payer);
            }
            let record = Box::new(body.draft.finish(&self.board.clock, now));
            self.board
                .outputs
                .push_back(Output::CallRecord { call, record });
        }
        // Who watches a phone is told of whatever has become of its legs; of those that ended by `leave_call`.
        for leg in body.legs.values() {
            self.board.sip.dialogs_changed(&leg.account, now);
        }
        let deadline = [state.deadline(), body.deadline()]
            .into_iter()
            .flatten()
            .min();
        if deadline != old_deadline {
            if let Some(old) = old_deadline {
                self.deadlines.remove(&(old, call));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, call));
            }
        }
        self.calls.insert(
            call,
            Call {
                body,
                state,
                deadline,
            },
        );
    }
}
