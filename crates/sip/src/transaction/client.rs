//! One client transaction: a machine and what it needs to act.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Actions, Deadlines, Reliability, Timer, invite_client, non_invite_client};
use crate::endpoint::{LegId, MessageId, RequestId, Status, SubscriptionId};
use crate::{Flow, Method};

/// Most answers of one INVITE that are acknowledged apart (forking proxies); later ones are dropped.
/// A proxy rings the phones of one person: rarely three.
const MAX_FORKS: usize = 8;

/// Why we sent the request: who is told how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The INVITE that makes a leg.
    Invite(LegId),
    /// A re-INVITE of a leg.
    Reoffer(LegId),
    /// The BYE of a leg.
    Bye(LegId),
    /// A request outside dialogs.
    Outside {
        /// Which.
        request: RequestId,
        /// Its method.
        method: Method<'static>,
    },
    /// An UPDATE of a leg that offers.
    Update(LegId),
    /// The PRACK of a provisional response to a leg's INVITE.
    Prack(LegId),
    /// The UPDATE that refreshes a leg's session.
    Refresh(LegId),
    /// A request of the owner inside a leg's dialog.
    Ask(LegId, RequestId, Method<'static>),
    /// The CANCEL of an INVITE; its answer tells nothing.
    Cancel,
    /// The BYE of a dialog that nobody wanted (a late or forked 2xx).
    Discard,
    /// A NOTIFY of a subscription.
    Notify(SubscriptionId),
    /// A copy of a message between phones.
    Message(MessageId),
}

impl Purpose {
    /// The leg in whose dialog the request is.
    pub(crate) fn in_dialog(self) -> Option<LegId> {
        match self {
            Self::Reoffer(leg)
            | Self::Bye(leg)
            | Self::Update(leg)
            | Self::Prack(leg)
            | Self::Refresh(leg)
            | Self::Ask(leg, ..) => Some(leg),
            Self::Invite(_)
            | Self::Outside { .. }
            | Self::Cancel
            | Self::Discard
            | Self::Notify(_)
            | Self::Message(_) => None,
        }
    }

    pub(crate) fn method(self) -> Method<'static> {
        match self {
            Self::Invite(_) | Self::Reoffer(_) => Method::Invite,
            Self::Bye(_) | Self::Discard => Method::Bye,
            Self::Outside { method, .. } => method,
            Self::Update(_) | Self::Refresh(_) => Method::Update,
            Self::Prack(_) => Method::Prack,
            Self::Ask(_, _, method) => method,
            Self::Cancel => Method::Cancel,
            Self::Notify(_) => Method::Notify,
            Self::Message(_) => Method::Message,
        }
    }
}

/// What happens to a client transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// The peer answers.
    Response(Status),
    /// A timer fired.
    Fired(Timer),
    /// The flow failed.
    TransportError,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(invite_client::State),
    Other(non_invite_client::State),
}

/// One client transaction.
#[derive(Debug)]
pub(crate) struct Client {
    machine: Machine,
    /// Where the request goes.
    pub(crate) flow: Flow,
    pub(crate) purpose: Purpose,
    pub(crate) request: Bytes,
    /// The request as it goes if its connection fails before anything came back: over UDP, if it is tried over TCP for its size
    /// alone; over a connection of our own, if the peer's is used.
    pub(crate) fallback: Option<(Bytes, Flow)>,
    /// How often its connection closed and it took another way.
    pub(crate) tries: u8,
    /// The ACK of a refused INVITE.
    pub(crate) refusal_ack: Bytes,
    /// The ACKs of its 2xx, by To tag.
    acks: SmallVec<[(Box<str>, Bytes); 1]>,
    pub(crate) deadlines: Deadlines,
    /// How often the same request was sent with other credentials before.
    pub(crate) challenges: u8,
    /// Its leg is gone: nobody waits for more than its end.
    pub(crate) is_abandoned: bool,
}

impl Client {
    /// The transaction of a request of ours, and its first actions.
    pub(crate) fn start(request: Bytes, flow: Flow, purpose: Purpose) -> (Self, Actions) {
        let reliability = Reliability::from(flow.transport);
        let (machine, actions) = if purpose.method() == Method::Invite {
            let (state, actions) = invite_client::State::start(reliability);
            (Machine::Invite(state), actions)
        } else {
            let (state, actions) = non_invite_client::State::start(reliability);
            (Machine::Other(state), actions)
        };
        let client = Self {
            machine,
            flow,
            purpose,
            request,
            fallback: None,
            tries: 0,
            refusal_ack: Bytes::new(),
            acks: SmallVec::new(),
            deadlines: Deadlines::default(),
            challenges: 0,
            is_abandoned: false,
        };
        (client, actions)
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

    /// Whether it waits for a final answer, and only so long.
    pub(crate) fn may_go_elsewhere(&self) -> bool {
        let waits = match self.machine {
            Machine::Invite(state) => match state {
                invite_client::State::Calling { .. } | invite_client::State::Proceeding => true,
                invite_client::State::Completed
                | invite_client::State::Accepted
                | invite_client::State::Terminated => false,
            },
            Machine::Other(state) => match state {
                non_invite_client::State::Trying { .. } | non_invite_client::State::Proceeding => {
                    true
                }
                non_invite_client::State::Completed | non_invite_client::State::Terminated => false,
            },
        };
        waits && !self.deadlines.is_empty()
    }

    /// Whether the transaction is over.
    pub(crate) fn is_terminated(&self) -> bool {
        match self.machine {
            Machine::Invite(state) => state == invite_client::State::Terminated,
            Machine::Other(state) => state == non_invite_client::State::Terminated,
        }
    }

    /// The ACK that was sent for the 2xx with this To tag.
    pub(crate) fn ack(&self, tag: &str) -> Option<&Bytes> {
        self.acks
            .iter()
            .find(|(known, _)| **known == *tag)
            .map(|(_, ack)| ack)
    }

    /// Keeps the ACK for retransmitted 2xx with this To tag (RFC 3261 section 13.2.2.4). `false` if there are too many.
    pub(crate) fn keep_ack(&mut self, tag: &str, ack: Bytes) -> bool {
        let room = self.acks.len() < MAX_FORKS;
        if room {
            self.acks.push((tag.into(), ack));
        }
        room
    }
}

fn invite_input(input: Input) -> Option<invite_client::Input> {
    Some(match input {
        Input::Response(Status(..=199)) => invite_client::Input::Provisional,
        Input::Response(Status(200..=299)) => invite_client::Input::Success,
        Input::Response(Status(300..)) => invite_client::Input::Refusal,
        Input::Fired(timer) => invite_client::Input::fired(timer)?,
        Input::TransportError => invite_client::Input::TransportError,
    })
}

fn non_invite_input(input: Input) -> Option<non_invite_client::Input> {
    Some(match input {
        Input::Response(Status(..=199)) => non_invite_client::Input::Provisional,
        Input::Response(Status(200..)) => non_invite_client::Input::Final,
        Input::Fired(timer) => non_invite_client::Input::fired(timer)?,
        Input::TransportError => non_invite_client::Input::TransportError,
    })
}
