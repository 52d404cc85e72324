//! One SIP message: the bytes as they came and an index of where its headers are.

use bytes::Bytes;

/// A parsed message: shared bytes and ranges into them; cloning copies no text.
#[derive(Clone, Debug)]
pub struct Message {
    /// The octets as they came.
    #[expect(dead_code, reason = "skeleton")]
    octets: Bytes,
}
