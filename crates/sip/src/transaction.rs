//! The four transactions of RFC 3261 section 17 with RFC 6026: one pure machine per figure, and the table that runs them.

mod alias;
mod client;
mod derived;
mod invite_client;
mod invite_server;
mod key;
mod large;
mod layer;
mod non_invite_client;
mod non_invite_server;
mod server;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::Transport;

pub(crate) use client::{Client, Purpose};
pub(crate) use derived::cancel;
pub(crate) use key::{ClientKey, MAGIC_COOKIE, ServerKey};
pub(crate) use layer::{Elsewhere, Failed, Layer};

/// The round-trip estimate (RFC 3261 section 17.1.1.1): the default, as no phone on a network that carries calls is slower.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions of a non-INVITE request or an INVITE response (RFC 3261 section 17.1.2.2).
pub(crate) const T2: Duration = Duration::from_secs(4);
/// The longest a message stays in the network (RFC 3261 section 17.1.2.2).
pub(crate) const T4: Duration = Duration::from_secs(5);
/// Timers B, F, H, J, L and M, and how long a 2xx waits for its ACK: 32 s.
pub(crate) const SIXTY_FOUR_T1: Duration = Duration::from_secs(32);
/// Timer D over UDP: at least 32 s (RFC 3261 section 17.1.1.2).
pub(crate) const TIMER_D: Duration = Duration::from_secs(32);

/// The timers that the four figures name (RFC 3261 appendix A; L and M of RFC 6026).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Retransmits an INVITE.
    A,
    /// Ends an INVITE that nobody answers.
    B,
    /// Waits for retransmitted refusals of an INVITE.
    D,
    /// Retransmits another request.
    E,
    /// Ends another request that nobody answers.
    F,
    /// Retransmits the refusal of an INVITE.
    G,
    /// Ends the wait for the ACK of a refusal.
    H,
    /// Waits for retransmitted ACKs.
    I,
    /// Waits for retransmissions of another request.
    J,
    /// Waits for retransmitted responses of another request.
    K,
    /// Waits for retransmissions of an accepted INVITE.
    L,
    /// Waits for more 2xx of an accepted INVITE.
    M,
}

impl Timer {
    /// Whether the timer sends something again; all others end a state.
    /// A transaction has at most one timer of each kind at a time.
    pub(crate) fn retransmits(self) -> bool {
        match self {
            Self::A | Self::E | Self::G => true,
            Self::B
            | Self::D
            | Self::F
            | Self::H
            | Self::I
            | Self::J
            | Self::K
            | Self::L
            | Self::M => false,
        }
    }
}

/// Why a transaction failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody answered in time: to be treated as 408 (RFC 3261 section 8.1.3.1).
    Timeout,
    /// The connection is gone: to be treated as 503 (RFC 3261 section 8.1.3.1).
    Transport,
}

/// What a machine wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the request (client) or the last response (server), again if it was sent before.
    Send,
    /// Send the ACK for a refusal (RFC 3261 section 17.1.1.3), again if it was sent before.
    SendAck,
    /// Give the transaction user what came in.
    Pass,
    /// Tell the transaction user that the transaction failed.
    Inform(Failure),
    /// Start a timer.
    Start(Timer, Duration),
    /// Stop a timer.
    Stop(Timer),
}

/// No figure asks for more than four things at once.
pub(crate) type Actions = SmallVec<[Action; 4]>;

/// Whether the transport itself repeats what was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// UDP.
    Unreliable,
    /// A connection.
    Reliable,
}

impl From<Transport> for Reliability {
    fn from(transport: Transport) -> Self {
        if transport.is_reliable() {
            Self::Reliable
        } else {
            Self::Unreliable
        }
    }
}

/// The running timers of a transaction: at most one that retransmits and one that ends its state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadlines {
    retransmit: Option<(Timer, Instant)>,
    end: Option<(Timer, Instant)>,
}

impl Deadlines {
    /// The end of a state comes before a retransmission of the same moment: nothing leaves for nobody.
    fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let due = |slot: &mut Option<(Timer, Instant)>| slot.take_if(|(_, at)| *at <= now);
        due(&mut self.end)
            .or_else(|| due(&mut self.retransmit))
            .map(|(timer, _)| timer)
    }

    fn start(&mut self, timer: Timer, at: Instant) {
        *self.slot(timer) = Some((timer, at));
    }

    fn stop(&mut self, timer: Timer) {
        *self.slot(timer) = None;
    }

    fn is_empty(&self) -> bool {
        self.retransmit.is_none() && self.end.is_none()
    }

    fn include(&self, at: Instant) -> bool {
        [self.retransmit, self.end]
            .into_iter()
            .flatten()
            .any(|(_, deadline)| deadline == at)
    }

    fn slot(&mut self, timer: Timer) -> &mut Option<(Timer, Instant)> {
        if timer.retransmits() {
            &mut self.retransmit
        } else {
            &mut self.end
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::{Debug, Write};

    use super::{Action, Actions, Failure, Reliability};

    /// One block per transport: the first step, then every state with every input.
    pub(crate) fn write_table<State: Copy + Debug, Input: Copy + Debug>(
        title: &str,
        states: &[State],
        inputs: &[Input],
        start: impl Fn(Reliability) -> (State, Actions),
        on: impl Fn(State, Input, Reliability) -> (State, Actions),
    ) -> String {
        let mut table = format!("{title}\n");
        for reliability in [Reliability::Unreliable, Reliability::Reliable] {
            let (state, actions) = start(reliability);
            writeln!(table, "\n{reliability:?}").unwrap();
            writeln!(table, "{:44} -> {}", "", outcome(state, &actions)).unwrap();
            for from in states {
                for input in inputs {
                    let (state, actions) = on(*from, *input, reliability);
                    let step = format!("{} {input:?}", name(from));
                    writeln!(table, "{step:44} -> {}", outcome(state, &actions)).unwrap();
                }
            }
        }
        table
    }

    fn outcome(state: impl Debug, actions: &[Action]) -> String {
        let actions: Vec<String> = actions.iter().map(describe).collect();
        format!("{:26} {}", name(state), actions.join(", "))
            .trim_end()
            .to_owned()
    }

    fn name(state: impl Debug) -> String {
        format!("{state:?}")
            .replace(['{', '}'], "")
            .replace("  ", " ")
            .trim()
            .to_owned()
    }

    fn describe(action: &Action) -> String {
        match action {
            Action::Send => "send".to_owned(),
            Action::SendAck => "send ACK".to_owned(),
            Action::Pass => "pass".to_owned(),
            Action::Inform(Failure::Timeout) => "inform of timeout".to_owned(),
            Action::Inform(Failure::Transport) => "inform of transport error".to_owned(),
            Action::Start(timer, after) => format!("start {timer:?} {after:?}"),
            Action::Stop(timer) => format!("stop {timer:?}"),
        }
    }
}
