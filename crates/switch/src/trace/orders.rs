//! `ringmaster do`: has a running switch do something with a call that stands.

use std::path::PathBuf;
use std::process::ExitCode;

use call::order::{Order, RecordingOrder, Target};
use call::settings::Supervision;
use queue::{AgentId, QueueId};
use sip::endpoint::Account;

use super::command::ask;
use super::door::DO;

/// An order as it is written.
#[derive(Debug)]
pub(crate) struct Word {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is about, for people; none: nothing.
    pub(crate) about: Option<&'static str>,
    /// What it means with what it is about; none: that is not what it can be about.
    pub(crate) read: fn(&str) -> Option<Order>,
}

/// Every order.
pub(crate) const ORDERS: [Word; 13] = [
    alone("hang-up", |_| Some(Order::HangUp)),
    with(
        "transfer",
        "a number, or queue NAME, agent NAME, phone NAME",
        |about| target(about).map(Order::Transfer),
    ),
    with("move", "a queue of queues.toml", |about| {
        Some(Order::Move(QueueId(about.into())))
    }),
    with("priority", "a number, 0 to 100", |about| {
        let priority = about.parse().ok().filter(|it| *it <= MAX_PRIORITY);
        priority.map(Order::Priority)
    }),
    with("agent", "an agent of queues.toml", |about| {
        Some(Order::Agent(AgentId(about.into())))
    }),
    with("listen", SUPERVISOR, |about| {
        supervise(Supervision::Listen, about)
    }),
    with("whisper", SUPERVISOR, |about| {
        supervise(Supervision::Whisper, about)
    }),
    with("barge", SUPERVISOR, |about| {
        supervise(Supervision::Barge, about)
    }),
    with("intercept", "a phone of phones.toml", |about| {
        Some(Order::Intercept(Account(about.into())))
    }),
    alone("record", |_| Some(Order::Recording(RecordingOrder::Start))),
    alone("stop-recording", |_| {
        Some(Order::Recording(RecordingOrder::Stop))
    }),
    alone("pause-recording", |_| {
        Some(Order::Recording(RecordingOrder::Pause))
    }),
    alone("resume-recording", |_| {
        Some(Order::Recording(RecordingOrder::Resume))
    }),
];

/// The highest priority, as in the configuration.
const MAX_PRIORITY: u32 = 100;

/// What `listen`, `whisper` and `barge` are about.
const SUPERVISOR: &str = "the phone of a supervisor";

fn supervise(supervision: Supervision, about: &str) -> Option<Order> {
    Some(Order::Supervise(supervision, Account(about.into())))
}

const fn alone(name: &'static str, read: fn(&str) -> Option<Order>) -> Word {
    Word {
        name,
        about: None,
        read,
    }
}

const fn with(name: &'static str, about: &'static str, read: fn(&str) -> Option<Order>) -> Word {
    Word {
        name,
        about: Some(about),
        read,
    }
}

/// Where a caller is to be led: `206`, `queue support`.
fn target(about: &str) -> Option<Target> {
    let Some((what, name)) = about.split_once(' ') else {
        return Some(Target::Number(about.to_owned()));
    };
    match what {
        "queue" => Some(Target::Queue(QueueId(name.into()))),
        "agent" => Some(Target::Agent(AgentId(name.into()))),
        "phone" => Some(Target::Phone(Account(name.into()))),
        _ => None,
    }
}

/// The order of that name.
pub(crate) fn word(name: &str) -> Option<&'static Word> {
    const { &ORDERS }.iter().find(|word| word.name == name)
}

/// What to do with which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A call's name, the number that calls, or the number that was dialled.
    pub(crate) name: String,
    /// One of `ORDERS`.
    pub(crate) order: String,
    /// What it is about.
    pub(crate) about: Option<String>,
    /// The switch's socket; none: that of the only switch on this machine.
    pub(crate) socket: Option<PathBuf>,
}

/// Reads what a client wants: the order, the call and what it is about.
pub(super) fn read(line: &str) -> Option<(String, Order)> {
    let mut words = line.split('\t');
    let (order, name, about) = (
        words.next()?,
        words.next()?,
        words.next().unwrap_or_default(),
    );
    let order = (word(order)?.read)(about)?;
    Some((name.to_owned(), order))
}

/// Has it done; a failure says why it was not.
pub(crate) fn carry_out(wanted: &Wanted) -> ExitCode {
    match ask(wanted.socket.as_ref(), &line(wanted)) {
        Ok(Ok(call)) => {
            println!("call {call}: done");
            ExitCode::SUCCESS
        }
        Ok(Err(unheeded)) => {
            eprintln!("ringmaster do: `{}`: {unheeded}", wanted.name);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("ringmaster do: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The line that asks for it; `read` reads what follows `DO`.
fn line(wanted: &Wanted) -> String {
    let Wanted {
        name,
        order,
        about,
        socket: _,
    } = wanted;
    // A line is a line, and a tab an end.
    let clean = |text: &str| text.replace(char::is_control, " ");
    let about = about.as_deref().map(clean).unwrap_or_default();
    format!("{DO}{}\t{}\t{about}", clean(order), clean(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_the_switch_reads() {
        let queue = || QueueId("support".into());
        let supervisor = || Account("206".into());
        for (order, about, expected) in [
            ("hang-up", None, Order::HangUp),
            (
                "transfer",
                Some("206"),
                Order::Transfer(Target::Number("206".into())),
            ),
            (
                "transfer",
                Some("queue support"),
                Order::Transfer(Target::Queue(queue())),
            ),
            (
                "transfer",
                Some("agent 203"),
                Order::Transfer(Target::Agent(AgentId("203".into()))),
            ),
            (
                "transfer",
                Some("phone 206"),
                Order::Transfer(Target::Phone(supervisor())),
            ),
            ("move", Some("support"), Order::Move(queue())),
            (
                "listen",
                Some("206"),
                Order::Supervise(Supervision::Listen, supervisor()),
            ),
            (
                "whisper",
                Some("206"),
                Order::Supervise(Supervision::Whisper, supervisor()),
            ),
            (
                "barge",
                Some("206"),
                Order::Supervise(Supervision::Barge, supervisor()),
            ),
            ("intercept", Some("206"), Order::Intercept(supervisor())),
        ] {
            let wanted = Wanted {
                name: "205".to_owned(),
                order: order.to_owned(),
                about: about.map(str::to_owned),
                socket: None,
            };
            let line = line(&wanted);
            let read = line.strip_prefix(DO).and_then(read);
            assert_eq!(read, Some(("205".to_owned(), expected)));
        }
    }
}
