//! What somebody beside a call may want of it.

use queue::AgentId;

/// A command for a call that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// It ends.
    HangUp,
    /// The caller goes to this number, as if it had dialled it, and keeps the time that it has waited; who talks with it is released.
    Transfer(String),
    /// The caller waits with this priority.
    Priority(u32),
    /// The caller is given to this agent, whose phone rings now: whoever's turn it was, and whatever the agent's level and skills.
    Agent(AgentId),
    /// The conversation is recorded, or not.
    Recording(RecordingOrder),
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
            Self::Priority(_) => "only who waits in a queue has a priority",
            Self::Agent(_) => "only who waits in a queue can be given to an agent",
            Self::Recording(RecordingOrder::Start) => {
                "only a conversation that is not recorded can begin to be"
            }
            Self::Recording(RecordingOrder::Stop) => "there is no recording to end",
            Self::Recording(RecordingOrder::Pause) => "there is no recording that runs",
            Self::Recording(RecordingOrder::Resume) => "there is no recording that pauses",
        }
    }
}
