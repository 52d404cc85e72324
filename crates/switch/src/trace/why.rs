//! `ringmaster why`: asks a running switch why a call or an agent is where it is.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use super::command::{TraceError, socket_of};
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
    let path = socket_of(question.socket.as_ref())?;
    let asked = UnixStream::connect(&path).and_then(|mut stream| {
        // A line is a line.
        let name = question.name.replace(char::is_control, " ");
        writeln!(stream, "{WHY}{name}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = match asked {
        Ok(answer) => answer,
        Err(reason) => return Err(TraceError::Closed { path, reason }),
    };
    match answer.split_once('\n') {
        Some((KNOWN, text)) => Ok(Some(text.to_owned())),
        Some((UNKNOWN, _)) => Ok(None),
        Some(_) | None => Err(TraceError::Version(path)),
    }
}
