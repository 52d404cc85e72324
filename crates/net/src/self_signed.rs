//! Certificates that nobody but their own key signs: of TLS until the administrator has another one, and of DTLS.

use rcgen::{Certificate, CertificateParams, DistinguishedName, DnType, KeyPair};

/// A certificate for these names and addresses, and its key.
///
/// # Errors
/// A name that cannot stand in a certificate, or no random numbers.
pub(crate) fn self_signed(
    names: &[String],
    common_name: &str,
) -> Result<(Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?, key))
}
