//! `ringmaster why`: asks a running switch why a call or an agent is where it is.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::command::ask;
use super::door::WHY;

/// Whom to ask about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// A call's name, a number that calls or was dialled, or an agent.
    pub(crate) name: String,
    /// The switch's socket; none: that of the only switch on this machine.
    pub(crate) socket: Option<PathBuf>,
}

/// Prints the answer; a failure if nothing bears the name.
pub(crate) fn why(question: &Question) -> ExitCode {
    // A line is a line.
    let name = question.name.replace(char::is_control, " ");
    match ask(question.socket.as_ref(), &format!("{WHY}{name}")) {
        Ok(Ok(text)) => {
            // A reader that is gone wanted no more.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Err(_)) => {
            eprintln!(
                "ringmaster why: no standing call and no agent is named `{}`: give a call as the log names it, the number that \
                 calls, the number that was dialled, or an agent of queues.toml; what is over is in the call records",
                question.name
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("ringmaster why: {error}");
            ExitCode::FAILURE
        }
    }
}
