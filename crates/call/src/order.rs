//! What somebody beside a call may want of it.

use queue::{AgentId, QueueId};
use sip::endpoint::Account;

use crate::settings::Supervision;

/// A command for a call that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// It ends.
    HangUp,
    /// The caller goes there, and keeps the time that it has waited; who talks with it is released.
    Transfer(Target),
    /// The caller waits in this queue from now, for as long as it has waited already, with its priority and its needs, and hears no start
    /// sound.
    Move(QueueId),
    /// The caller waits with this priority.
    Priority(u32),
    /// The caller is given to this agent, whose phone rings now: whoever's turn it was, and whatever the agent's level and skills.
    Agent(AgentId),
    /// This phone of a supervisor is rung, and is then with the phone that talks in the call as by a feature code.
    Supervise(Supervision, Account),
    /// This phone is rung, and takes the place of the agent in the conversation, or of who was called.
    Intercept(Account),
    /// The conversation is recorded, or not.
    Recording(RecordingOrder),
}

/// Where a caller is led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// As if it had dialled this number.
    Number(String),
    /// Into a queue, whether a number leads there or not.
    Queue(QueueId),
    /// To a phone.
    Phone(Account),
    /// To the phone of an agent, or to its number outside, whether it is free or not: its queues know only that it is in a call.
    Agent(AgentId),
}

/// What is to become of a conversation's recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingOrder {
    /// It begins.
    Start,
    /// It ends; another may begin.
    Stop,
    /// Silence stands in it ...
    Pause,
    /// ... until now.
    Resume,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheeded {
    /// No call that stands bears the name.
    #[error("no standing call is named so")]
    Unknown,
    /// Several do.
    #[error("several standing calls are named so; name one of them: {}", .0.join(", "))]
    Several(Vec<String>),
    /// The call cannot do that as it is.
    #[error("the call {state}: {wanted}")]
    NotNow {
        /// What it does.
        state: &'static str,
        /// What the order is for.
        wanted: &'static str,
    },
    /// The number leads nowhere.
    #[error("the number {0} leads nowhere")]
    Nowhere(String),
    /// Nothing is named so.
    #[error("there is no {what} {name}")]
    Nothing {
        /// A queue, a phone or an agent.
        what: &'static str,
        /// As it was named.
        name: String,
    },
    /// The phone cannot be rung.
    #[error("phone {0} is not registered")]
    Unregistered(String),
    /// The phone's user may not supervise others.
    #[error("phone {0} may not supervise: it needs supervisor = true in phones.toml")]
    NoSupervisor(String),
    /// There is no room for one more call.
    #[error("the switch is full")]
    SwitchFull,
    /// The queue takes nobody.
    #[error("the queue {0} is full")]
    Full(String),
    /// The agent cannot have the caller.
    #[error("agent {agent} {why}")]
    NoAgent {
        /// Who.
        agent: String,
        /// What holds it back.
        why: String,
    },
}

impl Order {
    /// In which state of a call it can be carried out, for people.
    pub(crate) fn wanted(&self) -> &'static str {
        match self {
            Self::HangUp => "it has ended already",
            Self::Transfer(_) => {
                "only who waits, talks, or is alone with the switch can be led elsewhere"
            }
            Self::Move(_) => "only who waits in a queue can wait in another",
            Self::Priority(_) => "only who waits in a queue has a priority",
            Self::Agent(_) => "only who waits in a queue can be given to an agent",
            Self::Supervise(..) => {
                "only a conversation of another phone of this switch can be supervised"
            }
            Self::Intercept(_) => {
                "only a conversation of others can be taken over, one time after the other"
            }
            Self::Recording(RecordingOrder::Start) => {
                "only a conversation that is not recorded can begin to be"
            }
            Self::Recording(RecordingOrder::Stop) => "there is no recording to end",
            Self::Recording(RecordingOrder::Pause) => "there is no recording that runs",
            Self::Recording(RecordingOrder::Resume) => "there is no recording that pauses",
        }
    }
}
