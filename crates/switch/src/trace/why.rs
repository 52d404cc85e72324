//! `ringmaster why`: asks a running switch why a call or an agent is where it is.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::command::{TraceError, say};
use super::door::{KNOWN, UNKNOWN, WHY};

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
    match ask(question) {
        Ok(Some(text)) => {
            // A reader that is gone wanted no more.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(None) => {
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

fn ask(question: &Question) -> Result<Option<String>, TraceError> {
    // A line is a line.
    let name = question.name.replace(char::is_control, " ");
    let line = format!("{WHY}{name}");
    let (path, _, answer) = say(question.socket.as_ref(), &line, |stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })?;
    match answer.split_once('\n') {
        Some((KNOWN, text)) => Ok(Some(text.to_owned())),
        Some((UNKNOWN, _)) => Ok(None),
        Some(_) | None => Err(TraceError::Version(path)),
    }
}
