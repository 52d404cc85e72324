//! Refer-To, Replaces and Refer-Sub: what a transfer names.

use std::borrow::Cow;

use super::{Malformed, NameAddr, Params};
use crate::uri::{Uri, unescape};

/// The dialog that an INVITE takes the place of (RFC 3891 section 6.1), with the tags as the receiver of that INVITE sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    /// The Call-ID of the dialog.
    pub call_id: String,
    /// The receiver's own tag.
    pub to_tag: String,
    /// The tag of the receiver's peer.
    pub from_tag: String,
    /// Only as long as the dialog is early (RFC 3891 section 3).
    pub early_only: bool,
}

impl Replaces {
    /// Reads `98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff`.
    ///
    /// # Errors
    /// `Malformed` without a Call-ID or without exactly one of each tag.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let end = text.find(';').unwrap_or(text.len());
        let (call_id, params) = text.split_at(end);
        let call_id = call_id.trim_matches([' ', '\t']);
        let params = Params::parse(params)?;
        let only = |name: &str| {
            let mut named = params
                .iter()
                .filter(|param| param.name.eq_ignore_ascii_case(name));
            match (named.next().and_then(|param| param.value()), named.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value.to_owned()),
                (_, _) => Err(Malformed),
            }
        };
        if call_id.is_empty() || call_id.contains([' ', '\t', ',']) {
            return Err(Malformed);
        }
        Ok(Self {
            call_id: call_id.to_owned(),
            to_tag: only("to-tag")?,
            from_tag: only("from-tag")?,
            early_only: params.get("early-only").is_some(),
        })
    }
}

/// Where a transfer leads (RFC 3515 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo<'a> {
    /// The URI with all that belongs to it.
    pub uri: Uri<'a>,
    /// The dialog that the new call is to take the place of (RFC 3891 section 4): it stands escaped in the URI's header part.
    pub replaces: Option<Replaces>,
}

impl<'a> ReferTo<'a> {
    /// Reads one value. Without brackets a URI has no header part (RFC 3261 section 20.10).
    ///
    /// # Errors
    /// `Malformed` if it is no address or if its Replaces is none.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let uri = NameAddr::parse(text)?.uri;
        let headers = uri.sip().and_then(|uri| uri.headers).unwrap_or_default();
        let replaces = headers
            .split('&')
            .filter_map(|header| header.split_once('='))
            .find(|(name, _)| unescape(name).eq_ignore_ascii_case("Replaces"))
            .map(|(_, value)| Replaces::parse(&unescape(value)))
            .transpose()?;
        Ok(Self { uri, replaces })
    }

    /// The method of the request that is asked for; none means INVITE (RFC 3515 section 2.1).
    #[must_use]
    pub fn method(&self) -> Option<Cow<'a, str>> {
        let method = self.uri.sip()?.param("method")?;
        method.value().map(unescape)
    }
}

/// Whether the sender of a REFER wants to hear how it goes on: all but `false` (RFC 4488 section 4).
pub(crate) fn wants_reports(refer_sub: Option<&str>) -> bool {
    let value = refer_sub.and_then(|text| text.split(';').next());
    !value.is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaces(call_id: &str, to_tag: &str, from_tag: &str, early_only: bool) -> Replaces {
        Replaces {
            call_id: call_id.into(),
            to_tag: to_tag.into(),
            from_tag: from_tag.into(),
            early_only,
        }
    }

    #[test]
    fn the_examples_of_rfc_3891_are_read() {
        for (text, read) in [
            (
                "98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff",
                replaces("98732@sip.example.com", "ff87ff", "r33th4x0r", false),
            ),
            (
                "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only",
                replaces("12adf2f34456gs5", "12345", "54321", true),
            ),
            (
                "87134@171.161.34.23;to-tag=24796;from-tag=0",
                replaces("87134@171.161.34.23", "24796", "0", false),
            ),
        ] {
            assert_eq!(Replaces::parse(text), Ok(read), "{text}");
        }
    }

    #[test]
    fn without_call_id_or_with_other_than_one_tag_of_each_side_it_is_malformed() {
        for text in [
            "",
            ";to-tag=1;from-tag=2",
            "a;to-tag=1",
            "a;from-tag=1",
            "a;to-tag=1;to-tag=2;from-tag=3",
            "a;to-tag;from-tag=3",
            "a b;to-tag=1;from-tag=2",
            "a;to-tag=1;from-tag=2, b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_transfer_names_a_dialog_in_the_header_part_of_its_uri() {
        let text = "<sip:207@192.0.2.1;user=phone?replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>";
        let refer_to = ReferTo::parse(text).unwrap();
        assert_eq!(refer_to.uri.user().as_deref(), Some("207"));
        assert_eq!(refer_to.replaces, Some(replaces("a@b", "1", "2", false)));
        assert_eq!(refer_to.method(), None);
        let plain = ReferTo::parse("sip:207@192.0.2.1").unwrap();
        assert_eq!(plain.replaces, None);
        let bye = ReferTo::parse("<sip:207@192.0.2.1;method=BYE>").unwrap();
        assert_eq!(bye.method().as_deref(), Some("BYE"));
        for text in ["", "207", "<sip:207@192.0.2.1?Replaces=x>"] {
            assert_eq!(ReferTo::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn reports_are_wanted_unless_refer_sub_is_false() {
        assert!(wants_reports(None) && wants_reports(Some("true")));
        assert!(!wants_reports(Some("false")) && !wants_reports(Some("False ;x=1")));
    }
}
