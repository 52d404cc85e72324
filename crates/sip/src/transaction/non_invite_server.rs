//! RFC 3261 figure 8, the non-INVITE server transaction.

use smallvec::smallvec;

use super::{Action, Actions, Failure, Reliability, SIXTY_FOUR_T1, Timer};

/// The states of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The transaction user has not answered yet.
    Trying,
    /// It answered 100 to 199.
    Proceeding,
    /// It answered 200 to 699.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The request came again.
    Request,
    /// The transaction user answers 100 to 199.
    Provisional,
    /// The transaction user answers 200 to 699.
    Final,
    /// Timer J fired.
    TimerJ,
    /// The flow failed.
    TransportError,
}

impl Input {
    /// The input that a fired timer is; none for a timer of another figure.
    pub(crate) fn fired(timer: Timer) -> Option<Self> {
        match timer {
            Timer::J => Some(Self::TimerJ),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::E
            | Timer::F
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::K
            | Timer::L
            | Timer::M => None,
        }
    }
}

impl State {
    /// The first state, when a request comes that matches no transaction; it is passed to the user.
    pub(crate) fn start() -> Self {
        Self::Trying
    }

    /// One step of the figure. What the figure does not draw changes nothing.
    pub(crate) fn on(self, input: Input, reliability: Reliability) -> (Self, Actions) {
        match self {
            Self::Trying => match input {
                Input::Provisional => (Self::Proceeding, smallvec![Action::Send]),
                // Erratum 1470: a final response is possible from Trying too.
                Input::Final => Self::complete(reliability),
                // Section 17.2.2: a retransmission in Trying is discarded.
                Input::Request | Input::TimerJ | Input::TransportError => {
                    (Self::Trying, smallvec![])
                }
            },
            Self::Proceeding => match input {
                Input::Request | Input::Provisional => (Self::Proceeding, smallvec![Action::Send]),
                Input::Final => Self::complete(reliability),
                Input::TransportError => Self::fail(),
                Input::TimerJ => (Self::Proceeding, smallvec![]),
            },
            Self::Completed => match input {
                Input::Request => (Self::Completed, smallvec![Action::Send]),
                Input::TimerJ => (Self::Terminated, smallvec![]),
                Input::TransportError => Self::fail(),
                // Section 17.2.2: any other final response is discarded.
                Input::Provisional | Input::Final => (Self::Completed, smallvec![]),
            },
            Self::Terminated => (Self::Terminated, smallvec![]),
        }
    }

    fn complete(reliability: Reliability) -> (Self, Actions) {
        match reliability {
            Reliability::Unreliable => (
                Self::Completed,
                smallvec![Action::Send, Action::Start(Timer::J, SIXTY_FOUR_T1)],
            ),
            // Section 17.2.2: timer J is zero seconds over a reliable transport.
            Reliability::Reliable => (Self::Terminated, smallvec![Action::Send]),
        }
    }

    fn fail() -> (Self, Actions) {
        (
            Self::Terminated,
            smallvec![Action::Inform(Failure::Transport)],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::transaction::tests::write_table;

    #[test]
    fn every_state_meets_every_input_as_figure_8_says() {
        let table = write_table(
            "RFC 3261 figure 8, non-INVITE server transaction",
            &[
                State::Trying,
                State::Proceeding,
                State::Completed,
                State::Terminated,
            ],
            &[
                Input::Request,
                Input::Provisional,
                Input::Final,
                Input::TimerJ,
                Input::TransportError,
            ],
            |_| (State::start(), smallvec![Action::Pass]),
            State::on,
        );
        golden::compare("rfc3261-figure-8-non-invite-server", &table);
    }
}
