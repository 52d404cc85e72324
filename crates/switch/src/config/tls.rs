//! The certificate of the listeners that speak TLS, and who may vouch for those of trunks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use call::trunk::{CertificateFiles, HostName, Proof, Trunk};
use net::sip::tls::{Authorities, Identity, Peer};
use sip::flow::Transport;

use super::mistake::Located;
use super::ringmaster::{DAY, absolute};
use super::section::Section;
use super::{Checked, Listener, Report, defaults};

/// Largest certificate or key file that is read (octets): a chain of ten has a tenth of it.
const MAX_FILE: u64 = 1 << 20;

/// A certificate that ends sooner is warned about: time for a new one from any authority.
const WARN_BEFORE: Duration = Duration::from_secs(14 * DAY);

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
    let (certificate, key) = read_files(section);
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

/// A certificate and its key: both are named, or neither.
fn read_files(section: &mut Section<'_, '_>) -> (Option<Located<String>>, Option<Located<String>>) {
    let certificate = section.text("tls_certificate");
    let key = section.text("tls_key");
    if let (Some(lone), None) | (None, Some(lone)) = (&certificate, &key) {
        let text = "`tls_certificate` and `tls_key` belong together: write both or neither";
        section.mistakes.add(lone.place, text.to_owned());
    }
    (certificate, key)
}

/// What a trunk is shown.
pub(super) fn read_shown(section: &mut Section<'_, '_>, base: &Path) -> Option<CertificateFiles> {
    let (certificate, key) = read_files(section);
    Some(CertificateFiles {
        certificate: absolute(base, &certificate?.value),
        key: absolute(base, &key?.value),
    })
}

impl Tls {
    /// Whether the start is to make a certificate first.
    pub(crate) fn is_to_be_made(&self) -> bool {
        self.made_by_us && !self.certificate.exists() && !self.key.exists()
    }
}

/// What is not safe about the file of a key, for people.
pub(super) fn unsafe_point(key: &Path) -> Option<String> {
    let mode = std::fs::metadata(key).map_or(0, |it| it.permissions().mode());
    (mode & 0o004 != 0).then(|| {
        format!(
            "every user of this machine can read the key of TLS: chmod 600 {}",
            key.display()
        )
    })
}

/// A certificate chain and its key, ready to be shown.
fn load(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let read = Identity::read(&octets(certificate)?, &octets(key)?);
    read.map_err(|error| {
        use net::sip::tls::IdentityError as Why;
        let (certificate, key) = (certificate.display(), key.display());
        match error {
            Why::NoCertificate | Why::Certificate(_) | Why::NotMade(_) => {
                format!("{certificate}: {error}")
            }
            Why::Key(_) => format!("{key}: {error}"),
            Why::Unfit(_) => format!("{certificate} with {key}: {error}"),
        }
    })
}

impl Checked {
    /// Reads the certificate; none if nobody listens with TLS, or if the start is to make it.
    ///
    /// # Errors
    /// The file that cannot be used, and why.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Report> {
        match &self.sip.tls {
            Some(tls) if !tls.is_to_be_made() => load(&tls.certificate, &tls.key)
                .map(Some)
                .map_err(|fault| Report::of(self.shown_dir.clone(), vec![fault])),
            Some(_) | None => Ok(None),
        }
    }
}

/// What was read for trunks over TLS, by the files that they name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Papers {
    /// Who may vouch for them; none: those whom the system trusts.
    authorities: BTreeMap<Option<PathBuf>, Authorities>,
    /// What we show them.
    shown: BTreeMap<CertificateFiles, Identity>,
}

impl Papers {
    /// Who has to prove this, if anybody can.
    pub(crate) fn peer(&self, proof: &Proof) -> Option<Peer> {
        let authorities = self.authorities.get(&proof.authorities)?;
        let shown = match &proof.certificate {
            Some(files) => Some(self.shown.get(files)?.clone()),
            None => None,
        };
        Peer::new(&proof.name, authorities.clone(), shown)
    }
}

impl Checked {
    /// What phones and browsers will show, to compare with, and what is wrong with it.
    pub(crate) fn certificate_lines(&self, identity: &Identity) -> String {
        let file = self.sip.tls.as_ref().map(|tls| tls.certificate.display());
        file.map_or_else(String::new, |file| {
            let fingerprint = identity.fingerprint();
            let warning = expiry(identity, SystemTime::now());
            let warning = warning.map_or_else(String::new, |text| format!("warning: {text}\n"));
            format!("TLS certificate {file}, SHA-256 {fingerprint}\n{warning}")
        })
    }

    /// Reads who may vouch for trunks, and what these are shown.
    ///
    /// # Errors
    /// Each file that cannot be used, and why; a system that trusts nobody, if a trunk is to be reached over TLS in any case.
    pub(crate) fn papers(&self) -> Result<Papers, Report> {
        let (mut papers, mut faults) = (Papers::default(), Vec::new());
        for trunk in self.outside.trunks.values().filter(|it| may_use_tls(it)) {
            let file = &trunk.tls_authorities;
            if !papers.authorities.contains_key(file) {
                match authorities(file.as_deref()) {
                    Ok(read) => drop(papers.authorities.insert(file.clone(), read)),
                    Err(fault) if must_use_tls(trunk) && !faults.contains(&fault) => {
                        faults.push(fault);
                    }
                    // Its look-up may lead to something else; if it does not, its log says that nobody vouches for it.
                    Err(_) => {}
                }
            }
            if let Some(files) = &trunk.tls_certificate
                && !papers.shown.contains_key(files)
            {
                match load(&files.certificate, &files.key) {
                    Ok(read) => drop(papers.shown.insert(files.clone(), read)),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        if faults.is_empty() {
            Ok(papers)
        } else {
            Err(Report::of(self.shown_dir.clone(), faults))
        }
    }
}

/// Those of a file; none: those whom the system trusts.
fn authorities(file: Option<&Path>) -> Result<Authorities, String> {
    let Some(path) = file else {
        return Authorities::of_system().map_err(|fault| fault.to_string());
    };
    let read = Authorities::read(&octets(path)?);
    read.map_err(|fault| format!("{}: {fault}", path.display()))
}

/// Whether a trunk is reached over TLS, whatever its look-up says, or reaches us so.
fn must_use_tls(trunk: &Trunk) -> bool {
    let mut hosts = trunk.hosts.iter();
    trunk.tls_verify || hosts.any(|host| host.transport == Some(Transport::Tls))
}

/// Whether a look-up can lead there, too.
fn may_use_tls(trunk: &Trunk) -> bool {
    let by_name = |name: &HostName| matches!(name, HostName::Name(_, None));
    let mut hosts = trunk.hosts.iter();
    must_use_tls(trunk) || hosts.any(|host| host.transport.is_none() && by_name(&host.name))
}

/// What is to be said about the end of a certificate.
pub(crate) fn expiry(identity: &Identity, now: SystemTime) -> Option<String> {
    let left = identity.end()?.duration_since(now);
    match left {
        Err(_) => Some("the certificate of TLS has expired: phones refuse it".to_owned()),
        Ok(left) if left < WARN_BEFORE => {
            let days = left.as_secs() / DAY;
            Some(format!("the certificate of TLS expires in {days} days"))
        }
        Ok(_) => None,
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

#[cfg(test)]
mod tests {
    use net::sip::tls::SelfSigned;

    use super::*;

    fn identity() -> Identity {
        let made = SelfSigned::make(&["192.0.2.1".to_owned()]).unwrap();
        Identity::read(made.certificate.as_bytes(), made.key.as_bytes()).unwrap()
    }

    #[test]
    fn the_end_of_a_certificate_is_told_two_weeks_before_and_after_it() {
        let identity = identity();
        let end = identity.end().unwrap();
        let said = |days: u64| expiry(&identity, end - Duration::from_secs(days * DAY));
        assert_eq!(said(15), None);
        let soon = "the certificate of TLS expires in 13 days".to_owned();
        assert_eq!(said(13), Some(soon));
        let late = expiry(&identity, end + Duration::from_secs(1)).unwrap();
        assert!(late.contains("has expired"), "{late}");
    }
}
