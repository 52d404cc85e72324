//! One server transaction: a machine and what it needs to act.

use bytes::Bytes;

use super::{Actions, Deadlines, Reliability, Timer, invite_server, non_invite_server};
use crate::endpoint::{LegId, Status};
use crate::{Flow, Method};

/// What happens to a server transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// The request came again.
    Request,
    /// The ACK of an INVITE came.
    Ack,
    /// The user answers.
    Response(Status),
    /// A timer fired.
    Fired(Timer),
    /// The flow failed.
    TransportError,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(invite_server::State),
    Other(non_invite_server::State),
}

/// One server transaction.
#[derive(Debug)]
pub(crate) struct Server {
    machine: Machine,
    /// Where responses go.
    pub(crate) flow: Flow,
    /// The last response.
    pub(crate) response: Bytes,
    /// The leg that the request belongs to.
    pub(crate) leg: Option<LegId>,
    pub(crate) deadlines: Deadlines,
}

impl Server {
    /// The transaction of a request that matched none.
    pub(crate) fn new(method: Method<'_>, flow: Flow, leg: Option<LegId>) -> Self {
        let machine = if method == Method::Invite {
            Machine::Invite(invite_server::State::start())
        } else {
            Machine::Other(non_invite_server::State::start())
        };
        Self {
            machine,
            flow,
            response: Bytes::new(),
            leg,
            deadlines: Deadlines::default(),
        }
    }

    /// One step of its figure.
    pub(crate) fn on(&mut self, input: Input) -> Actions {
        let reliability = Reliability::from(self.flow.transport);
        match self.machine {
            Machine::Invite(state) => {
                let Some(input) = invite_input(input) else {
                    return Actions::new();
                };
                let (state, actions) = state.on(input, reliability);
                self.machine = Machine::Invite(state);
                actions
            }
            Machine::Other(state) => {
                let Some(input) = non_invite_input(input) else {
                    return Actions::new();
                };
                let (state, actions) = state.on(input, reliability);
                self.machine = Machine::Other(state);
                actions
            }
        }
    }

    /// Whether the transaction is over.
    pub(crate) fn is_terminated(&self) -> bool {
        match self.machine {
            Machine::Invite(state) => state == invite_server::State::Terminated,
            Machine::Other(state) => state == non_invite_server::State::Terminated,
        }
    }

    /// Whether a final response was sent.
    pub(crate) fn is_answered(&self) -> bool {
        match self.machine {
            Machine::Invite(state) => state != invite_server::State::Proceeding,
            Machine::Other(state) => match state {
                non_invite_server::State::Trying | non_invite_server::State::Proceeding => false,
                non_invite_server::State::Completed | non_invite_server::State::Terminated => true,
            },
        }
    }
}

fn invite_input(input: Input) -> Option<invite_server::Input> {
    Some(match input {
        Input::Request => invite_server::Input::Invite,
        Input::Ack => invite_server::Input::Ack,
        Input::Response(Status(..=199)) => invite_server::Input::Provisional,
        Input::Response(Status(200..=299)) => invite_server::Input::Success,
        Input::Response(Status(300..)) => invite_server::Input::Refusal,
        Input::Fired(timer) => invite_server::Input::fired(timer)?,
        Input::TransportError => invite_server::Input::TransportError,
    })
}

fn non_invite_input(input: Input) -> Option<non_invite_server::Input> {
    Some(match input {
        Input::Request => non_invite_server::Input::Request,
        Input::Ack => return None,
        Input::Response(Status(..=199)) => non_invite_server::Input::Provisional,
        Input::Response(Status(200..)) => non_invite_server::Input::Final,
        Input::Fired(timer) => non_invite_server::Input::fired(timer)?,
        Input::TransportError => non_invite_server::Input::TransportError,
    })
}
