//! The certificate that the switch makes for itself at the first start where TLS is listened on and none is given.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions, remove_file};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use net::sip::tls::{IdentityError, SelfSigned};

use crate::config::{Listener, Tls};

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    /// A file could not be written.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The system gives no random numbers.
    #[error("{0}")]
    Certificate(#[from] IdentityError),
}

/// Makes a certificate for the addresses that phones reach the switch at, also from beyond a router, and keeps it for all
/// later starts.
pub(crate) fn make(tls: &Tls, listeners: &[Listener], outer: &[IpAddr]) -> Result<(), MakeError> {
    let secure = listeners.iter().filter(|it| it.transport.is_secure());
    let ours = secure.map(|listener| listener.address.ip());
    let addresses: BTreeSet<IpAddr> = ours.chain(outer.iter().copied()).collect();
    let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let made = SelfSigned::make(&names)?;
    write(&tls.key, 0o600, &made.key)?;
    write(&tls.certificate, 0o644, &made.certificate).inspect_err(|_| {
        // A key without its certificate would stop the next start.
        let _ = remove_file(&tls.key);
    })
}

/// Writes a file that is not there yet.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), MakeError> {
    let write = || {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|reason| MakeError::File {
        path: path.to_owned(),
        reason,
    })
}
