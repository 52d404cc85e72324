//! `ringmaster why`: asks a running switch why a call or an agent is where it is, and the queue log why it was.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::command::ask;
use super::decided;
use super::door::WHY;
use crate::config;

/// Whom to ask about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// A call's name, a number that calls or was dialled, or an agent.
    pub(crate) name: String,
    /// The day of the log (`2026-11-20`, UTC); none: what stands, and the last two days of the log.
    pub(crate) day: Option<String>,
    /// The switch's socket; none: that of the only switch on this machine.
    pub(crate) socket: Option<PathBuf>,
    /// The folder of the configuration, which says where the log is.
    pub(crate) config: PathBuf,
}

/// Prints what the switch answers and what the log says; a failure if neither knows the name.
pub(crate) fn why(question: &Question) -> ExitCode {
    // A line is a line.
    let name = question.name.replace(char::is_control, " ");
    let live = match &question.day {
        Some(_) => Ok(Err(String::new())),
        None => ask(question.socket.as_ref(), &format!("{WHY}{name}")),
    };
    let logged = by_log(&question.config, &question.name, question.day.as_deref());
    let mut text = String::new();
    if let Ok(Ok(live)) = &live {
        text += live;
    }
    if let Ok(Some(logged)) = &logged {
        text += logged;
    }
    if !text.is_empty() {
        // A reader that is gone wanted no more.
        let _ = io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    if let Err(error) = &live {
        eprintln!("ringmaster why: {error}");
    } else {
        eprintln!(
            "ringmaster why: no standing call and no agent is named `{}`: give a call as the log names it, the number that \
             calls, the number that was dialled, or an agent of queues.toml; what is over is in the call records",
            question.name
        );
    }
    match logged {
        Ok(_) => eprintln!(
            "ringmaster why: the queue log says nothing of it either; another day is given behind the name"
        ),
        Err(reason) => eprintln!("ringmaster why: {reason}"),
    }
    ExitCode::FAILURE
}

fn by_log(config: &Path, name: &str, day: Option<&str>) -> Result<Option<String>, String> {
    let folder = config::load(config)
        .map_err(|mistakes| mistakes.to_string())?
        .queue_log;
    decided::told(&folder, name, day).map_err(|reason| {
        format!(
            "the queue log in {} cannot be read: {reason}",
            folder.display()
        )
    })
}
