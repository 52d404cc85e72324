//! `ringmaster check`: every mistake at once, nothing started.

use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// Checks the configuration in a folder and says what it found: mistakes on the error output, else a summary.
pub(crate) fn check(dir: &Path) -> ExitCode {
    let checked = config::load(dir).and_then(|checked| {
        checked.decode_sounds()?;
        Ok(checked)
    });
    match checked {
        Ok(checked) => {
            print!("{}", checked.summary());
            ExitCode::SUCCESS
        }
        Err(report) => {
            eprintln!("{report}");
            ExitCode::FAILURE
        }
    }
}
