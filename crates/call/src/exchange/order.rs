//! Commands for calls, by their names.

use std::time::Instant;

use queue::AgentId;

use super::{Call, CallId, Exchange};
use crate::order::{Order, Unheeded};
use crate::state::State;

/// Calls that are named at most where several bear a name.
const MAX_NAMED: usize = 10;

impl Exchange {
    /// Carries out an order for the call that bears this name: its own, its caller's number, or what was dialled. Gives the call's own.
    ///
    /// # Errors
    /// Why it was not; the call goes on as it was.
    pub fn order(&mut self, name: &str, order: &Order, now: Instant) -> Result<String, Unheeded> {
        let id = self.named(name)?;
        let told = self.calls[&id].body.draft.name().to_owned();
        match order {
            Order::Agent(agent) => self.hand(id, agent, now)?,
            Order::Transfer(number) if !self.leads_somewhere(number) => {
                return Err(Unheeded::Nowhere(number.clone()));
            }
            Order::HangUp | Order::Transfer(_) | Order::Priority(_) | Order::Recording(_) => {
                self.obey(id, order, now)?;
            }
        }
        self.settle(now);
        Ok(told)
    }

    fn named(&self, name: &str) -> Result<CallId, Unheeded> {
        let stands = |call: &Call| !matches!(call.state, State::Releasing(_));
        let is_meant = |call: &Call| call.body.draft.is_named(name) && stands(call);
        let named = self.calls.iter().filter(|(_, call)| is_meant(call));
        let named: Vec<_> = named.take(MAX_NAMED).collect();
        match named[..] {
            [] => Err(Unheeded::Unknown),
            [(id, _)] => Ok(*id),
            _ => {
                let name = |(_, call): &(_, &Call)| call.body.draft.name().to_owned();
                Err(Unheeded::Several(named.iter().map(name).collect()))
            }
        }
    }

    fn leads_somewhere(&self, number: &str) -> bool {
        let settings = &self.board.settings;
        let account = sip::endpoint::Account(number.into());
        settings.numbers.contains_key(number)
            || settings.sip.accounts.contains_key(&account)
            || settings.outside.route(number).is_some()
    }

    fn obey(&mut self, id: CallId, order: &Order, now: Instant) -> Result<(), Unheeded> {
        let Some(Call {
            mut body,
            state,
            deadline,
        }) = self.calls.remove(&id)
        else {
            return Err(Unheeded::Unknown);
        };
        let span = body.span.clone();
        let _entered = span.enter();
        let words = state.words();
        let mut obeyed = false;
        let state = self.guard(id, &mut body, now, |body, fx| {
            let (state, done) = state.obey(order, body, fx);
            obeyed = done;
            state
        });
        self.keep(id, body, state, deadline, now);
        if obeyed {
            Ok(())
        } else {
            Err(Unheeded::NotNow {
                state: words,
                wanted: order.wanted(),
            })
        }
    }

    /// Gives a waiting caller to an agent.
    fn hand(&mut self, id: CallId, agent: &AgentId, now: Instant) -> Result<(), Unheeded> {
        let state = &self.calls[&id].state;
        let State::Queued(queued) = state else {
            return Err(Unheeded::NotNow {
                state: state.words(),
                wanted: Order::Agent(agent.clone()).wanted(),
            });
        };
        let ticket = queued.ticket();
        let handed = self.board.queue.hand(ticket, agent, now);
        handed.map_err(|held| Unheeded::NoAgent {
            agent: agent.0.to_string(),
            why: match held {
                Some(held) => format!(
                    "cannot have the caller: {}",
                    self.reason(&held, ticket, now)
                ),
                None => "does not serve the caller's queue".to_owned(),
            },
        })
    }
}
