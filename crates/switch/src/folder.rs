//! Folders that the switch writes to.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The file that is made and removed to see whether a folder takes files. Hidden, so that nobody who looks for records sees it.
const PROBE: &str = ".ringmaster-writes-here";

/// Makes a folder that is missing, and finds out at the start, not in the first call, that nothing can be written there.
/// A full disk is no reason not to start: it is emptied while the telephones go on.
///
/// # Errors
/// It cannot be made, or takes no files: no right, or a file system that is read-only.
pub(crate) fn ready(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let probe = folder.join(PROBE);
    match File::create(&probe) {
        Ok(_) => fs::remove_file(&probe),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        Err(error) => Err(error),
    }
}
