//! RFC 3261 figure 7, the INVITE server transaction, with the Accepted state of RFC 6026 section 8.7.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, Failure, Reliability, SIXTY_FOUR_T1, T1, T2, T4, Timer};

/// The states of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No final response yet.
    Proceeding,
    /// Refused; waits for the ACK.
    Completed {
        /// The interval of timer G that runs now.
        interval: Duration,
    },
    /// The ACK for the refusal came.
    Confirmed,
    /// A 2xx was sent; the transaction user repeats it until the ACK (RFC 6026).
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The INVITE came again.
    Invite,
    /// An ACK with the branch of the INVITE came.
    Ack,
    /// The transaction user answers 100 to 199.
    Provisional,
    /// The transaction user answers 200 to 299.
    Success,
    /// The transaction user answers 300 to 699.
    Refusal,
    /// Timer G fired.
    TimerG,
    /// Timer H fired.
    TimerH,
    /// Timer I fired.
    TimerI,
    /// Timer L fired.
    TimerL,
    /// The flow failed.
    TransportError,
}

impl Input {
    /// The input that a fired timer is; none for a timer of another figure.
    pub(crate) fn fired(timer: Timer) -> Option<Self> {
        match timer {
            Timer::G => Some(Self::TimerG),
            Timer::H => Some(Self::TimerH),
            Timer::I => Some(Self::TimerI),
            Timer::L => Some(Self::TimerL),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::E
            | Timer::F
            | Timer::J
            | Timer::K
            | Timer::M => None,
        }
    }
}

impl State {
    /// The first state, when an INVITE comes that matches no transaction; it is passed to the user.
    pub(crate) fn start() -> Self {
        Self::Proceeding
    }

    /// One step of the figure. What the figure does not draw changes nothing.
    pub(crate) fn on(self, input: Input, reliability: Reliability) -> (Self, Actions) {
        match self {
            Self::Proceeding => Self::proceeding(input, reliability),
            Self::Completed { interval } => Self::completed(interval, input, reliability),
            Self::Confirmed => match input {
                Input::TimerI => (Self::Terminated, smallvec![]),
                Input::Invite
                | Input::Ack
                | Input::Provisional
                | Input::Success
                | Input::Refusal
                | Input::TimerG
                | Input::TimerH
                | Input::TimerL
                | Input::TransportError => (Self::Confirmed, smallvec![]),
            },
            Self::Accepted => Self::accepted(input),
            Self::Terminated => (Self::Terminated, smallvec![]),
        }
    }

    fn proceeding(input: Input, reliability: Reliability) -> (Self, Actions) {
        match input {
            // Section 17.2.1: the most recent provisional response again.
            Input::Invite | Input::Provisional => (Self::Proceeding, smallvec![Action::Send]),
            Input::Success => (
                Self::Accepted,
                smallvec![Action::Send, Action::Start(Timer::L, SIXTY_FOUR_T1)],
            ),
            Input::Refusal => {
                let mut actions: Actions = smallvec![Action::Send];
                // Section 17.2.1: timer G only over an unreliable transport, timer H over any.
                if reliability == Reliability::Unreliable {
                    actions.push(Action::Start(Timer::G, T1));
                }
                actions.push(Action::Start(Timer::H, SIXTY_FOUR_T1));
                (Self::Completed { interval: T1 }, actions)
            }
            // RFC 6026 section 8.8: the user decides, the transaction stays.
            Input::TransportError => (
                Self::Proceeding,
                smallvec![Action::Inform(Failure::Transport)],
            ),
            Input::Ack | Input::TimerG | Input::TimerH | Input::TimerI | Input::TimerL => {
                (Self::Proceeding, smallvec![])
            }
        }
    }

    fn completed(interval: Duration, input: Input, reliability: Reliability) -> (Self, Actions) {
        match input {
            Input::Invite => (Self::Completed { interval }, smallvec![Action::Send]),
            Input::TimerG => {
                let interval = (interval * 2).min(T2);
                (
                    Self::Completed { interval },
                    smallvec![Action::Send, Action::Start(Timer::G, interval)],
                )
            }
            Input::Ack => match reliability {
                Reliability::Unreliable => (
                    Self::Confirmed,
                    smallvec![Action::Stop(Timer::G), Action::Start(Timer::I, T4)],
                ),
                // Section 17.2.1: timer I is zero seconds over a reliable transport.
                Reliability::Reliable => (Self::Terminated, smallvec![]),
            },
            Input::TimerH => (
                Self::Terminated,
                smallvec![Action::Inform(Failure::Timeout)],
            ),
            Input::TransportError => (
                Self::Completed { interval },
                smallvec![Action::Inform(Failure::Transport)],
            ),
            Input::Provisional
            | Input::Success
            | Input::Refusal
            | Input::TimerI
            | Input::TimerL => (Self::Completed { interval }, smallvec![]),
        }
    }

    fn accepted(input: Input) -> (Self, Actions) {
        match input {
            // RFC 6026 section 8.7: the 2xx and its retransmissions come from the user; an INVITE again is absorbed.
            Input::Success => (Self::Accepted, smallvec![Action::Send]),
            Input::Ack => (Self::Accepted, smallvec![Action::Pass]),
            Input::TimerL => (Self::Terminated, smallvec![]),
            Input::TransportError => (
                Self::Accepted,
                smallvec![Action::Inform(Failure::Transport)],
            ),
            Input::Invite
            | Input::Provisional
            | Input::Refusal
            | Input::TimerG
            | Input::TimerH
            | Input::TimerI => (Self::Accepted, smallvec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::transaction::tests::write_table;

    #[test]
    fn every_state_meets_every_input_as_figure_7_says() {
        let table = write_table(
            "RFC 3261 figure 7, INVITE server transaction, with RFC 6026",
            &[
                State::Proceeding,
                State::Completed { interval: T1 },
                State::Completed { interval: T2 },
                State::Confirmed,
                State::Accepted,
                State::Terminated,
            ],
            &[
                Input::Invite,
                Input::Ack,
                Input::Provisional,
                Input::Success,
                Input::Refusal,
                Input::TimerG,
                Input::TimerH,
                Input::TimerI,
                Input::TimerL,
                Input::TransportError,
            ],
            |_| (State::start(), smallvec![Action::Pass]),
            State::on,
        );
        golden::compare("rfc3261-figure-7-invite-server", &table);
    }
}
