//! RFC 3261 figure 5, the INVITE client transaction, with the Accepted state of RFC 6026 section 8.4.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, Failure, Reliability, SIXTY_FOUR_T1, T1, TIMER_D, Timer};

/// The states of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing came back yet.
    Calling {
        /// The interval of timer A that runs now.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A refusal came and was acknowledged.
    Completed,
    /// A 2xx came; more of them may (RFC 6026).
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// 100 to 199.
    Provisional,
    /// 200 to 299.
    Success,
    /// 300 to 699.
    Refusal,
    /// Timer A fired.
    TimerA,
    /// Timer B fired.
    TimerB,
    /// Timer D fired.
    TimerD,
    /// Timer M fired.
    TimerM,
    /// The flow failed.
    TransportError,
}

impl Input {
    /// The input that a fired timer is; none for a timer of another figure.
    pub(crate) fn fired(timer: Timer) -> Option<Self> {
        match timer {
            Timer::A => Some(Self::TimerA),
            Timer::B => Some(Self::TimerB),
            Timer::D => Some(Self::TimerD),
            Timer::M => Some(Self::TimerM),
            Timer::E
            | Timer::F
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::J
            | Timer::K
            | Timer::L => None,
        }
    }
}

impl State {
    /// The first state, when the transaction user sends an INVITE.
    pub(crate) fn start(reliability: Reliability) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Send];
        // Section 17.1.1.2: timer A only over an unreliable transport, timer B over any.
        if reliability == Reliability::Unreliable {
            actions.push(Action::Start(Timer::A, T1));
        }
        actions.push(Action::Start(Timer::B, SIXTY_FOUR_T1));
        (Self::Calling { interval: T1 }, actions)
    }

    /// One step of the figure. What the figure does not draw changes nothing.
    pub(crate) fn on(self, input: Input, reliability: Reliability) -> (Self, Actions) {
        match self {
            Self::Calling { interval } => Self::calling(interval, input, reliability),
            Self::Proceeding => Self::proceeding(input, reliability),
            Self::Completed => Self::completed(input),
            Self::Accepted => Self::accepted(input),
            Self::Terminated => (Self::Terminated, smallvec![]),
        }
    }

    fn calling(interval: Duration, input: Input, reliability: Reliability) -> (Self, Actions) {
        match input {
            Input::TimerA => {
                // Section 17.1.1.2: doubles each time, without a limit: timer B ends it.
                let interval = interval * 2;
                (
                    Self::Calling { interval },
                    smallvec![Action::Send, Action::Start(Timer::A, interval)],
                )
            }
            Input::Provisional => (
                Self::Proceeding,
                smallvec![Action::Stop(Timer::A), Action::Stop(Timer::B), Action::Pass],
            ),
            Input::Success => Self::accept(),
            Input::Refusal => Self::complete(reliability),
            Input::TimerB => (
                Self::Terminated,
                smallvec![Action::Inform(Failure::Timeout)],
            ),
            Input::TransportError => Self::fail(),
            Input::TimerD | Input::TimerM => (Self::Calling { interval }, smallvec![]),
        }
    }

    fn proceeding(input: Input, reliability: Reliability) -> (Self, Actions) {
        match input {
            Input::Provisional => (Self::Proceeding, smallvec![Action::Pass]),
            Input::Success => Self::accept(),
            Input::Refusal => Self::complete(reliability),
            Input::TransportError => Self::fail(),
            Input::TimerA | Input::TimerB | Input::TimerD | Input::TimerM => {
                (Self::Proceeding, smallvec![])
            }
        }
    }

    fn completed(input: Input) -> (Self, Actions) {
        match input {
            Input::Refusal => (Self::Completed, smallvec![Action::SendAck]),
            Input::TimerD => (Self::Terminated, smallvec![]),
            Input::TransportError => Self::fail(),
            Input::Provisional | Input::Success | Input::TimerA | Input::TimerB | Input::TimerM => {
                (Self::Completed, smallvec![])
            }
        }
    }

    fn accepted(input: Input) -> (Self, Actions) {
        match input {
            // RFC 6026 section 8.4: retransmitted 2xx and those of other branches all reach the user.
            Input::Success => (Self::Accepted, smallvec![Action::Pass]),
            Input::TimerM => (Self::Terminated, smallvec![]),
            Input::Provisional
            | Input::Refusal
            | Input::TimerA
            | Input::TimerB
            | Input::TimerD
            | Input::TransportError => (Self::Accepted, smallvec![]),
        }
    }

    fn accept() -> (Self, Actions) {
        (
            Self::Accepted,
            smallvec![
                Action::Stop(Timer::A),
                Action::Start(Timer::M, SIXTY_FOUR_T1),
                Action::Pass
            ],
        )
    }

    fn complete(reliability: Reliability) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Stop(Timer::A), Action::SendAck, Action::Pass];
        match reliability {
            Reliability::Unreliable => {
                actions.push(Action::Start(Timer::D, TIMER_D));
                (Self::Completed, actions)
            }
            // Section 17.1.1.2: timer D is zero seconds over a reliable transport.
            Reliability::Reliable => (Self::Terminated, actions),
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
    fn every_state_meets_every_input_as_figure_5_says() {
        let table = write_table(
            "RFC 3261 figure 5, INVITE client transaction, with RFC 6026",
            &[
                State::Calling { interval: T1 },
                State::Proceeding,
                State::Completed,
                State::Accepted,
                State::Terminated,
            ],
            &[
                Input::Provisional,
                Input::Success,
                Input::Refusal,
                Input::TimerA,
                Input::TimerB,
                Input::TimerD,
                Input::TimerM,
                Input::TransportError,
            ],
            State::start,
            State::on,
        );
        golden::compare("rfc3261-figure-5-invite-client", &table);
    }

    #[test]
    fn an_invite_is_sent_seven_times_before_timer_b() {
        let (mut state, _) = State::start(Reliability::Unreliable);
        let (mut sent, mut elapsed, mut next) = (1, Duration::ZERO, T1);
        loop {
            elapsed += next;
            if elapsed >= SIXTY_FOUR_T1 {
                break;
            }
            let (after, actions) = state.on(Input::TimerA, Reliability::Unreliable);
            state = after;
            sent += 1;
            let Some(Action::Start(Timer::A, interval)) = actions.last() else {
                panic!("timer A must run on: {actions:?}");
            };
            next = *interval;
        }
        // Section 17.1.1.2: 0, 500, 1500, 3500, 7500, 15500, 31500 ms.
        assert_eq!(sent, 7);
    }
}
