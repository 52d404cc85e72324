//! The certificate of the switch's DTLS: made anew at each start, for what vouches for it is its hash in each session description.

use media::Identity;

use crate::self_signed::self_signed;

/// A certificate, its key, and what DTLS makes of both.
///
/// # Errors
/// There are no random numbers.
pub(super) fn make() -> Result<Identity, String> {
    let (certificate, key) = self_signed(&[], "Ringmaster").map_err(|error| error.to_string())?;
    Identity::new(certificate.der().to_vec(), key.serialize_der())
}
