//! What those prove over TLS whom we know, and what we show them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::sip::endpoint::Source;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

use super::{Identity, guest};

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
}

/// Who may vouch for the names of peers.
#[derive(Clone, Debug)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    /// Tells one set from another.
    digest: [u8; 32],
}

/// A peer that must prove its name.
#[derive(Clone, Debug)]
pub struct Peer {
    name: ServerName<'static>,
    authorities: Authorities,
    /// What we show where we connect, if we are asked.
    shows: Option<Identity>,
}

/// The peers by where they are.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Those that we connect to, and nobody else.
    pub places: HashMap<SocketAddr, Peer>,
    /// Those who connect to us and have to prove their name, the first that fits; none: nobody may come from there.
    pub sources: Vec<(Source, Option<Peer>)>,
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        let shows = |peer: &Self| peer.shows.as_ref().map(|it| it.fingerprint.clone());
        self.name == other.name
            && self.authorities == other.authorities
            && shows(self) == shows(other)
    }
}

impl Peers {
    /// Who has to prove its name on connections from this address, if anybody has.
    pub(in crate::sip) fn guest(&self, address: IpAddr) -> Option<&Option<Peer>> {
        let mut sources = self.sources.iter();
        let source = sources.find(|(source, _)| source.contains(address));
        source.map(|(_, peer)| peer)
    }

    /// Whether a connection has proved what others would have it prove.
    pub(in crate::sip) fn differ(&self, other: &Self, remote: SocketAddr) -> bool {
        self.places.get(&remote) != other.places.get(&remote)
            || self.guest(remote.ip()) != other.guest(remote.ip())
    }
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
    /// `NoSystem`.
    pub fn of_system() -> Result<Self, AuthoritiesError> {
        let found = rustls_native_certs::load_native_certs();
        Self::new(&found.certs, AuthoritiesError::NoSystem)
    }

    /// Those of a file in PEM form, and nobody else.
    ///
    /// # Errors
    /// `NoFile` or `Certificate`.
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
        Ok(Self {
            roots: Arc::new(roots),
            digest: digest.finalize().into(),
        })
    }
}

impl Peer {
    /// A peer that must show a certificate of this name or address (RFC 5922 section 7.1), vouched for by one of these; we show it
    /// ours, if there is one. `None` if the name is neither.
    #[must_use]
    pub fn new(name: &str, authorities: Authorities, shows: Option<Identity>) -> Option<Self> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        Some(Self {
            name,
            authorities,
            shows,
        })
    }

    /// What the handshake wants to know where we connect.
    pub(in crate::sip) fn into_parts(
        self,
    ) -> Result<(ClientConfig, ServerName<'static>), rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.authorities.roots);
        let config = match self.shows {
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key)))
            }
            None => builder.with_no_client_auth(),
        };
        Ok((config, self.name))
    }

    /// Our side of a connection that it opens.
    pub(in crate::sip) fn guest_config(&self, identity: &Identity) -> Option<Arc<ServerConfig>> {
        guest::config(identity, &self.authorities.roots, &self.name)
    }
}
