//! `ringmaster do`: has a running switch do something with a call that stands.

use std::path::PathBuf;
use std::process::ExitCode;

use call::order::{Order, RecordingOrder};
use queue::AgentId;

use super::command::ask;
use super::door::DO;

/// The words of orders, and what each is about.
pub(crate) const ORDERS: [(&str, Option<&str>); 8] = [
    ("hang-up", None),
    ("transfer", Some("a number")),
    ("priority", Some("a number, 0 to 100")),
    ("agent", Some("an agent of queues.toml")),
    ("record", None),
    ("stop-recording", None),
    ("pause-recording", None),
    ("resume-recording", None),
];

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
    let order = match order {
        "hang-up" => Order::HangUp,
        "transfer" => Order::Transfer(about.to_owned()),
        "priority" => Order::Priority(about.parse().ok()?),
        "agent" => Order::Agent(AgentId(about.into())),
        "record" => Order::Recording(RecordingOrder::Start),
        "stop-recording" => Order::Recording(RecordingOrder::Stop),
        "pause-recording" => Order::Recording(RecordingOrder::Pause),
        "resume-recording" => Order::Recording(RecordingOrder::Resume),
        _ => return None,
    };
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
