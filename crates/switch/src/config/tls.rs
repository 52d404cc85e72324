//! The certificate of the listeners that speak TLS.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use net::sip::tls::Identity;

use super::mistake::Located;
use super::ringmaster::absolute;
use super::section::Section;
use super::{Checked, Listener, Report, defaults};

/// Largest certificate or key file that is read (octets): a chain of ten has a tenth of it.
const MAX_FILE: u64 = 1 << 20;

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The chain, the switch's own certificate first (absolute).
    pub(crate) certificate: PathBuf,
    /// Its private key (absolute).
    pub(crate) key: PathBuf,
    /// Nobody named the files: if neither is there, the start makes both.
    pub(crate) made_by_us: bool,
}

/// The certificate, if a listener needs one.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    base: &Path,
    listeners: &[Located<Listener>],
) -> Option<Tls> {
    let certificate = section.text("tls_certificate");
    let key = section.text("tls_key");
    if let (Some(lone), None) | (None, Some(lone)) = (&certificate, &key) {
        let text = "`tls_certificate` and `tls_key` belong together: write both or neither";
        section.mistakes.add(lone.place, text.to_owned());
    }
    let is_needed = listeners.iter().any(|it| it.value.transport.is_secure());
    let made_by_us = certificate.is_none() && key.is_none();
    let path = |written: Option<Located<String>>, default: &str| {
        absolute(base, written.as_ref().map_or(default, |it| &it.value))
    };
    is_needed.then(|| Tls {
        certificate: path(certificate, defaults::TLS_CERTIFICATE),
        key: path(key, defaults::TLS_KEY),
        made_by_us,
    })
}

impl Tls {
    /// Whether the start is to make a certificate first.
    pub(crate) fn is_to_be_made(&self) -> bool {
        self.made_by_us && !self.certificate.exists() && !self.key.exists()
    }

    /// What is not safe about the files, for people.
    pub(super) fn unsafe_point(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.key).map_or(0, |it| it.permissions().mode());
        (mode & 0o004 != 0).then(|| {
            format!(
                "every user of this machine can read the key of TLS: chmod 600 {}",
                self.key.display()
            )
        })
    }

    fn load(&self) -> Result<Identity, String> {
        let chain = octets(&self.certificate)?;
        let key = octets(&self.key)?;
        Identity::read(&chain, &key).map_err(|error| {
            use net::sip::tls::IdentityError as Why;
            let (certificate, key) = (self.certificate.display(), self.key.display());
            match error {
                Why::NoCertificate | Why::Certificate(_) | Why::NotMade(_) => {
                    format!("{certificate}: {error}")
                }
                Why::Key(_) => format!("{key}: {error}"),
                Why::Unfit(_) => format!("{certificate} with {key}: {error}"),
            }
        })
    }
}

impl Checked {
    /// Reads the certificate; none if nobody listens with TLS, or if the start is to make it.
    ///
    /// # Errors
    /// The file that cannot be used, and why.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Report> {
        match &self.sip.tls {
            Some(tls) if !tls.is_to_be_made() => tls
                .load()
                .map(Some)
                .map_err(|fault| Report::of(self.shown_dir.clone(), vec![fault])),
            Some(_) | None => Ok(None),
        }
    }
}

impl Checked {
    /// What phones and browsers will show, to compare with.
    pub(crate) fn certificate_line(&self, identity: &Identity) -> String {
        let file = self.sip.tls.as_ref().map(|tls| tls.certificate.display());
        file.map_or_else(String::new, |file| {
            let fingerprint = identity.fingerprint();
            format!("TLS certificate {file}, SHA-256 {fingerprint}\n")
        })
    }
}

fn octets(path: &Path) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Vec<u8>> {
        // A pipe or a device would block or never end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a file"));
        }
        let mut octets = Vec::new();
        File::open(path)?.take(MAX_FILE).read_to_end(&mut octets)?;
        Ok(octets)
    };
    read().map_err(|error| format!("{}: {error}", path.display()))
}
