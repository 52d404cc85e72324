//! RFC 3261 figure 6, the non-INVITE client transaction.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, Failure, Reliability, SIXTY_FOUR_T1, T1, T2, T4, Timer};

/// The states of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing came back yet.
    Trying {
        /// The interval of timer E that runs now.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A final response came.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// 100 to 199.
    Provisional,
    /// 200 to 699.
    Final,
    /// Timer E fired.
    TimerE,
    /// Timer F fired.
    TimerF,
    /// Timer K fired.
    TimerK,
    /// The flow failed.
    TransportError,
}

impl Input {
    /// The input that a fired timer is; none for a timer of another figure.
    pub(crate) fn fired(timer: Timer) -> Option<Self> {
        match timer {
            Timer::E => Some(Self::TimerE),
            Timer::F => Some(Self::TimerF),
            Timer::K => Some(Self::TimerK),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::J
            | Timer::L
            | Timer::M => None,
        }
    }
}

impl State {
    /// The first state, when the transaction user sends a request.
    pub(crate) fn start(reliability: Reliability) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Send];
        if reliability == Reliability::Unreliable {
            actions.push(Action::Start(Timer::E, T1));
        }
        actions.push(Action::Start(Timer::F, SIXTY_FOUR_T1));
        (Self::Trying { interval: T1 }, actions)
    }

    /// One step of the figure. What the figure does not draw changes nothing.
    pub(crate) fn on(self, input: Input, reliability: Reliability) -> (Self, Actions) {
        match self {
            Self::Trying { interval } => match input {
                Input::TimerE => {
                    // Section 17.1.2.2: MIN(2*T1, T2), MIN(4*T1, T2) and so on.
                    let interval = (interval * 2).min(T2);
                    (
                        Self::Trying { interval },
                        smallvec![Action::Send, Action::Start(Timer::E, interval)],
                    )
                }
                Input::Provisional => (Self::Proceeding, smallvec![Action::Pass]),
                Input::Final => Self::complete(reliability),
                Input::TimerF => Self::fail(Failure::Timeout),
                Input::TransportError => Self::fail(Failure::Transport),
                Input::TimerK => (self, smallvec![]),
            },
            Self::Proceeding => match input {
                // Section 17.1.2.2: in Proceeding the interval is T2.
                Input::TimerE => (
                    Self::Proceeding,
                    smallvec![Action::Send, Action::Start(Timer::E, T2)],
                ),
                Input::Provisional => (Self::Proceeding, smallvec![Action::Pass]),
                Input::Final => Self::complete(reliability),
                Input::TimerF => Self::fail(Failure::Timeout),
                Input::TransportError => Self::fail(Failure::Transport),
                Input::TimerK => (Self::Proceeding, smallvec![]),
            },
            Self::Completed => match input {
                Input::TimerK => (Self::Terminated, smallvec![]),
                Input::Provisional
                | Input::Final
                | Input::TimerE
                | Input::TimerF
                | Input::TransportError => (Self::Completed, smallvec![]),
            },
            Self::Terminated => (Self::Terminated, smallvec![]),
        }
    }

    fn complete(reliability: Reliability) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Stop(Timer::E), Action::Pass];
        match reliability {
            Reliability::Unreliable => {
                actions.push(Action::Start(Timer::K, T4));
                (Self::Completed, actions)
            }
            // Section 17.1.2.2: timer K is zero seconds over a reliable transport.
            Reliability::Reliable => (Self::Terminated, actions),
        }
    }

    fn fail(failure: Failure) -> (Self, Actions) {
        (Self::Terminated, smallvec![Action::Inform(failure)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::transaction::tests::write_table;

    #[test]
    fn every_state_meets_every_input_as_figure_6_says() {
        let table = write_table(
            "RFC 3261 figure 6, non-INVITE client transaction",
            &[
                State::Trying { interval: T1 },
                State::Trying { interval: T2 },
                State::Proceeding,
                State::Completed,
                State::Terminated,
            ],
            &[
                Input::Provisional,
                Input::Final,
                Input::TimerE,
                Input::TimerF,
                Input::TimerK,
                Input::TransportError,
            ],
            State::start,
            State::on,
        );
        golden::compare("rfc3261-figure-6-non-invite-client", &table);
    }
}
