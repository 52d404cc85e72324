//! `ringmaster check`: every mistake at once, nothing started.

use std::path::Path;
use std::process::ExitCode;

use crate::config;
use crate::sounds::Library;

/// Checks the configuration in a folder and says what it found: mistakes on the error output, else a summary.
pub(crate) fn check(dir: &Path) -> ExitCode {
    let checked = config::load(dir).and_then(|checked| {
        checked.decode_sounds(&mut Library::default())?;
        checked.papers()?;
        let certificate = match checked.identity()? {
            Some(identity) => checked.certificate_lines(&identity),
            None => String::new(),
        };
        Ok((checked, certificate))
    });
    match checked {
        Ok((checked, certificate)) => {
            print!("{certificate}{}", checked.summary());
            ExitCode::SUCCESS
        }
        Err(report) => {
            eprintln!("{report}");
            ExitCode::FAILURE
        }
    }
}
