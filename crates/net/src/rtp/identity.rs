//! The certificate of the switch's DTLS: made anew at each start, for what vouches for it is its hash in each session description.

use media::Identity;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// A certificate, its key, and what DTLS makes of both.
///
/// # Errors
/// There are no random numbers.
pub(super) fn make() -> Result<Identity, String> {
    let made = || {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "Ringmaster");
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok((certificate.der().to_vec(), key.serialize_der()))
    };
    let (certificate, key) = made().map_err(|error: rcgen::Error| error.to_string())?;
    Identity::new(certificate, key)
}
