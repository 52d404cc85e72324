//! The certificates that the switch shows over TLS, and what it wants to see of those whom it knows.

mod guest;
mod peer;
mod validity;

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, ServerConfig};

pub use peer::{Authorities, AuthoritiesError, Peer, Peers};

use crate::self_signed::self_signed;

/// Certificates of a chain that are read; real chains have two or three.
const MAX_CHAIN: usize = 16;

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The first file holds none.
    #[error("no certificate in it (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// The first file cannot be read as PEM.
    #[error("no certificate in PEM form: {0}")]
    Certificate(pem::Error),
    /// The second file holds none that can be read.
    #[error("no private key in PEM form, or one with a passphrase: {0}")]
    Key(pem::Error),
    /// They do not fit together, or are of a kind that nobody uses.
    #[error("{0}")]
    Unfit(rustls::Error),
    /// None could be made.
    #[error("no certificate could be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

/// A certificate chain with its key, ready for connections.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    key: Arc<CertifiedKey>,
    fingerprint: String,
    end: Option<SystemTime>,
}

/// A new certificate and its key, both in PEM form.
#[derive(Clone)]
pub struct SelfSigned {
    /// The certificate.
    pub certificate: String,
    /// The key: for the owner's eyes only.
    pub key: String,
}

impl Identity {
    /// Reads a chain (the switch's own certificate first) and its private key, both in PEM form.
    ///
    /// # Errors
    /// What is missing, cannot be read, or does not fit.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .take(MAX_CHAIN)
            .collect::<Result<Vec<_>, _>>()
            .map_err(IdentityError::Certificate)?;
        let own = chain.first().ok_or(IdentityError::NoCertificate)?;
        let fingerprint = fingerprint(own);
        let end = validity::end(own);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(IdentityError::Key)?;
        let provider = ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(IdentityError::Unfit)?;
        let key = Arc::new(key);
        let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&key)));
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::Unfit)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(Self {
            config: Arc::new(config),
            key,
            fingerprint,
            end,
        })
    }

    /// SHA-256 of the certificate, as phones and browsers show it: `AB:CD:..`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Until when the certificate holds, if it says so.
    #[must_use]
    pub fn end(&self) -> Option<SystemTime> {
        self.end
    }
}

impl SelfSigned {
    /// Makes a certificate for these names and addresses, signed by nobody else.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate, or no random numbers.
    pub fn make(names: &[String]) -> Result<Self, IdentityError> {
        let (certificate, key) = self_signed(names, "Ringmaster, self-signed")?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::new();
    for octet in Sha256::digest(certificate) {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{colon}{octet:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> SelfSigned {
        SelfSigned::make(&["192.0.2.1".to_owned(), "pbx.example".to_owned()]).unwrap()
    }

    #[test]
    fn a_self_signed_certificate_can_be_used_and_has_a_fingerprint() {
        let made = made();
        let identity = Identity::read(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
        assert_eq!(identity.fingerprint().len(), 32 * 3 - 1);
        let again = Identity::read(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
        assert_eq!(identity.fingerprint(), again.fingerprint());
        assert!(identity.end().is_some_and(|end| end > SystemTime::now()));
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_told() {
        let (one, other) = (made(), made());
        let [certificate, key] = [one.certificate.as_bytes(), one.key.as_bytes()];
        let read = |chain, key| Identity::read(chain, key).unwrap_err();
        assert!(matches!(read(b"", key), IdentityError::NoCertificate));
        assert!(matches!(read(key, key), IdentityError::NoCertificate));
        assert!(matches!(
            read(certificate, certificate),
            IdentityError::Key(_)
        ));
        let unfit = read(certificate, other.key.as_bytes());
        assert!(matches!(unfit, IdentityError::Unfit(_)), "{unfit}");
    }
}
