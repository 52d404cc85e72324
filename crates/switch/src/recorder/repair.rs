//! What a killed switch left: `NAME.wav.part` gets the sizes that its length tells and becomes `NAME.partial.wav`.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::{PART, SAMPLES_PER_SECOND, files_below, rename};

/// Octets before the samples, as hound writes them: RIFF, fmt of PCM, data.
pub(super) const HEADER: u64 = 44;
/// Octets of one sample of both sides.
const FRAME: u64 = 4;

/// Repairs every unfinished recording that no living process holds.
pub(super) fn all_below(root: &Path) {
    let mut repaired = 0;
    files_below(root, &mut |path| {
        let name = path.as_os_str().as_encoded_bytes();
        if !name.ends_with(PART.as_bytes()) {
            return;
        }
        match repair(path) {
            Ok(Some(length)) => {
                repaired += 1;
                debug!(path = %path.display(), ?length, "an unfinished recording can be played");
            }
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "an unfinished recording cannot be repaired");
                debug!(path = %path.display(), "that recording");
            }
        }
    });
    if repaired > 0 {
        info!(
            recordings = repaired,
            "made good what was being recorded when the switch was last killed; the names end in .partial.wav"
        );
    }
}

/// The length of the recording that can be played now; none if a living process still writes it, or if nothing was in it.
fn repair(path: &Path) -> io::Result<Option<Duration>> {
    let file = File::options().read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    if file.metadata()?.len() < HEADER {
        fs::remove_file(path)?;
        return Ok(None);
    }
    finish(&file, path)?;
    let octets = file.metadata()?.len() - HEADER;
    Ok(Some(Duration::from_millis(
        octets / 2 * 1_000 / SAMPLES_PER_SECOND,
    )))
}

/// Sets the sizes in the header from the file's length and gives the file its partial name.
pub(super) fn finish(file: &File, path: &Path) -> io::Result<()> {
    let mut header = [0; HEADER as usize];
    file.read_exact_at(&mut header, 0)?;
    if &header[..4] != b"RIFF" || &header[8..16] != b"WAVEfmt " || &header[36..40] != b"data" {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "not a recording of this program",
        ));
    }
    // A write that was cut short may have left a part of a sample.
    let octets = (file.metadata()?.len() - HEADER) / FRAME * FRAME;
    file.set_len(HEADER + octets)?;
    let size = |octets: u64| u32::try_from(octets).unwrap_or(u32::MAX).to_le_bytes();
    file.write_all_at(&size(HEADER - 8 + octets), 4)?;
    file.write_all_at(&size(octets), 40)?;
    file.sync_all()?;
    rename(path, &partial(path))
}

/// `a.wav.part` -> `a.partial.wav`, or `a.partial-2.wav` if that is taken.
fn partial(path: &Path) -> PathBuf {
    let stem = path.with_extension("").with_extension("");
    let named = |ending: &str| {
        let mut name = stem.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mut name = named(".partial.wav");
    let mut ordinal = 2;
    while name.exists() {
        name = named(&format!(".partial-{ordinal}.wav"));
        ordinal += 1;
    }
    name
}
