//! What those prove to whom we connect over TLS.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Certificates of authorities that are read from a file: systems have some 150.
const MAX_AUTHORITIES: usize = 4_096;

/// Why nobody could vouch for a peer.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read as PEM.
    #[error("no certificate in PEM form: {0}")]
    Certificate(pem::Error),
    /// There is none.
    #[error("no certificate of an authority in it (`-----BEGIN CERTIFICATE-----`)")]
    NoFile,
    /// The system has none.
    #[error("the system trusts no authority: install its list (on Debian, ca-certificates)")]
    NoSystem,
    /// They cannot be used.
    #[error("{0}")]
    Unfit(rustls::Error),
}

/// Who may vouch for the names of peers.
#[derive(Clone, Debug)]
pub struct Authorities {
    config: Arc<ClientConfig>,
    /// Tells one set from another.
    digest: [u8; 32],
}

/// A peer that we connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    name: ServerName<'static>,
    authorities: Authorities,
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Authorities {
    /// Those that the system trusts: its administrator adds to them and takes from them, and updates of the system do.
    ///
    /// # Errors
    /// `NoSystem` or `Unfit`.
    pub fn of_system() -> Result<Self, AuthoritiesError> {
        let found = rustls_native_certs::load_native_certs();
        Self::new(&found.certs, AuthoritiesError::NoSystem)
    }

    /// Those of a file in PEM form, and nobody else.
    ///
    /// # Errors
    /// `NoFile`, `Certificate` or `Unfit`.
    pub fn read(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .take(MAX_AUTHORITIES)
            .collect::<Result<Vec<_>, _>>()
            .map_err(AuthoritiesError::Certificate)?;
        Self::new(&certificates, AuthoritiesError::NoFile)
    }

    fn new(
        certificates: &[CertificateDer<'static>],
        none: AuthoritiesError,
    ) -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        // The lists of systems hold some that nobody can read.
        let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        if added == 0 {
            return Err(none);
        }
        let mut digest = Sha256::new();
        for certificate in certificates {
            digest.update(certificate);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(AuthoritiesError::Unfit)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            digest: digest.finalize().into(),
        })
    }
}

impl Peer {
    /// A peer that must show a certificate of this name or address (RFC 5922 section 7.1), vouched for by one of these.
    /// `None` if it is neither.
    #[must_use]
    pub fn new(name: &str, authorities: Authorities) -> Option<Self> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        Some(Self { name, authorities })
    }

    /// What the handshake wants to know.
    pub(in crate::sip) fn into_parts(self) -> (Arc<ClientConfig>, ServerName<'static>) {
        (self.authorities.config, self.name)
    }
}
