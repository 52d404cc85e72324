//! Peers of the field that fail at a challenge that RFC 8760 section 2.4 wants them to pass over.

use crate::{Header, Message};

/// Whether the sender is known to give up when SHA-256 is offered beside MD5. It is then offered MD5 alone: that loses
/// nothing, since everybody may answer with MD5 who wants to, and it works out of the box.
///
/// * SIPp (to 3.7) reads the first challenge only. Its scenarios seldom send User-Agent, but it makes its branches as
///   `z9hG4bK-PID-CALL-MESSAGE`.
/// * baresip 0 and 1 (Debian 12) end the registration at the first algorithm that they do not know.
pub(crate) fn knows_only_md5(request: &Message) -> bool {
    let agent = request.header(Header::UserAgent).unwrap_or_default();
    if ["baresip v0.", "baresip v1.", "SIPp"]
        .iter()
        .any(|known| agent.starts_with(known))
    {
        return true;
    }
    let via = request.via();
    via.and_then(|via| via.branch()).is_some_and(is_sipp_branch)
}

fn is_sipp_branch(branch: &str) -> bool {
    let Some(numbers) = branch.strip_prefix("z9hG4bK-") else {
        return false;
    };
    let mut parts = 0;
    let numeric = numbers.split('-').all(|part| {
        parts += 1;
        !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit())
    });
    numeric && parts == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_of_sipp_is_told_from_others() {
        assert!(is_sipp_branch("z9hG4bK-16996-1-0"));
        for other in [
            "z9hG4bK-1-2",
            "z9hG4bK-1-2-3-4",
            "z9hG4bK-a-1-0",
            "z9hG4bK-1--0",
            "z9hG4bK16996-1-0",
            "z9hG4bK",
        ] {
            assert!(!is_sipp_branch(other), "{other}");
        }
    }
}
