//! Commands for calls, by their names.

use std::time::Instant;

use queue::{AgentId, QueueId};
use sip::endpoint::Account;

use super::{Call, CallId, Exchange};
use crate::body::Body;
use crate::order::{Order, Target, Unheeded};
use crate::settings::Supervision;
use crate::state::{State, Summoning};

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
            Order::Transfer(target) => {
                self.check(target)?;
                self.obey(id, order, now)?;
            }
            Order::Move(queue) => {
                self.check_queue(queue)?;
                self.obey(id, order, now)?;
            }
            Order::Intercept(phone) => {
                self.check_phone(phone)?;
                self.obey(id, order, now)?;
            }
            Order::Supervise(supervision, phone) => {
                self.check_phone(phone)?;
                self.summon(id, *supervision, phone, now)?;
            }
            Order::HangUp | Order::Priority(_) | Order::Recording(_) => {
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

    /// Whether a caller can be led there; who is led to a place that is none would be lost.
    fn check(&self, target: &Target) -> Result<(), Unheeded> {
        let settings = &self.board.settings;
        let (is_there, what, name) = match target {
            Target::Number(number) if self.leads_somewhere(number) => return Ok(()),
            Target::Number(number) => return Err(Unheeded::Nowhere(number.clone())),
            Target::Queue(queue) => return self.check_queue(queue),
            Target::Phone(account) => {
                let is_there = settings.sip.accounts.contains_key(account);
                (is_there, "phone", &account.0)
            }
            Target::Agent(agent) => {
                let is_outside = settings.outside.agents.contains_key(agent);
                let is_there = is_outside || settings.agents.contains_key(agent);
                (is_there, "agent", &agent.0)
            }
        };
        if is_there {
            return Ok(());
        }
        let name = name.to_string();
        Err(Unheeded::Nothing { what, name })
    }

    fn check_queue(&self, queue: &QueueId) -> Result<(), Unheeded> {
        let name = queue.0.to_string();
        if !self.board.settings.queues.contains_key(queue) {
            return Err(Unheeded::Nothing {
                what: "queue",
                name,
            });
        }
        if !self.board.queue.has_room(queue) {
            return Err(Unheeded::Full(name));
        }
        Ok(())
    }

    /// Whether the phone can be rung for somebody at a shell.
    fn check_phone(&self, phone: &Account) -> Result<(), Unheeded> {
        self.check(&Target::Phone(phone.clone()))?;
        if self.board.sip.is_registered(phone) {
            return Ok(());
        }
        Err(Unheeded::Unregistered(phone.0.to_string()))
    }

    /// A call of its own rings the supervisor.
    fn summon(
        &mut self,
        id: CallId,
        supervision: Supervision,
        supervisor: &Account,
        now: Instant,
    ) -> Result<(), Unheeded> {
        let settings = &self.board.settings;
        if !settings.supervisors.contains(supervisor) {
            return Err(Unheeded::NoSupervisor(supervisor.0.to_string()));
        }
        let Call { body, state, .. } = &self.calls[&id];
        let near = state
            .talk()
            .and_then(|talk| body.account(talk.server(body)));
        let is_phone = |near: &&Account| settings.sip.accounts.contains_key(*near);
        let Some(near) = near.filter(|near| is_phone(near) && *near != supervisor) else {
            return Err(Unheeded::NotNow {
                state: state.words(),
                wanted: Order::Supervise(supervision, supervisor.clone()).wanted(),
            });
        };
        let (near, worker) = (near.clone(), body.worker());
        if self.vacancies() == 0 {
            return Err(Unheeded::SwitchFull);
        }
        let call = CallId(self.next_call + 1);
        self.next_call = call.0;
        let name = self.board.call_name(call);
        let shown = format!("{} {}", supervision.name(), near.0);
        let mut body = Body::summon(&name, supervisor, &near, shown, worker, now);
        let span = body.span.clone();
        let _entered = span.enter();
        let state = self.guard(call, &mut body, now, |body, fx| {
            Summoning::enter(near, supervision, body, fx)
        });
        self.keep(call, body, state, None, now);
        Ok(())
    }

    fn leads_somewhere(&self, number: &str) -> bool {
        let settings = &self.board.settings;
        let account = Account(number.into());
        settings.numbers.contains_key(number)
            || settings.sip.accounts.contains_key(&account)
            || settings.outside.route(number).is_some()
    }

    fn obey(&mut self, id: CallId, order: &Order, now: Instant) -> Result<(), Unheeded> {
        let (mut words, mut obeyed) = (None, false);
        self.act_on(id, None, now, |state, body, fx| {
            words = Some(state.words());
            let (state, done) = state.obey(order, body, fx);
            obeyed = done;
            state
        });
        match words {
            None => Err(Unheeded::Unknown),
            Some(_) if obeyed => Ok(()),
            Some(state) => Err(Unheeded::NotNow {
                state,
                wanted: order.wanted(),
            }),
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
