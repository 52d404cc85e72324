//! The To tag of answers that are given without state.

use super::Message;
use crate::header::Header;
use crate::token::hexadecimal;

/// A To tag for an answer without state: the same for each retransmission of the request (RFC 3261 section 8.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatelessTag([u8; Self::LENGTH]);

impl StatelessTag {
    /// Its characters: fewer than those of a dialog's.
    pub const LENGTH: usize = 16;

    /// The characters: hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("invariant: a tag is hexadecimal")
    }
}

impl Message {
    /// The To tag of an answer to this request that is given without state.
    #[must_use]
    pub fn stateless_tag(&self) -> StatelessTag {
        // FNV-1a over what the retransmissions share; a tag without a dialog need not be secret.
        let branch = self.via().and_then(|via| via.branch()).unwrap_or_default();
        let call_id = self.header(Header::CallId).unwrap_or_default();
        let cseq = self.header(Header::CSeq).unwrap_or_default();
        let hash = [branch, call_id, cseq]
            .iter()
            .flat_map(|text| text.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            });
        let mut tag = [0; StatelessTag::LENGTH];
        for (pair, octet) in tag.chunks_exact_mut(2).zip(hash.to_be_bytes()) {
            pair.copy_from_slice(&hexadecimal(octet));
        }
        StatelessTag(tag)
    }
}
