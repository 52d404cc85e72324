//! Values with a number, a token or a media type.

use std::borrow::Cow;

use super::{Malformed, Params, unescape_quoted};
use crate::grammar::{Class, Scanner, all, cut, trim};
use crate::message::Method;

/// What a delta-seconds that is no number counts as (RFC 3261 section 20.10).
const DEFAULT_EXPIRES: u32 = 3600;

/// The CSeq value: a number and the method it counts (RFC 3261 section 20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// 0 to 2^32-1.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads `4711 INVITE`.
    ///
    /// # Errors
    /// `Malformed` for a number above 2^32-1 or a method that is no token.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(text);
        let number = scanner.take_number().ok_or(Malformed)?;
        let is_apart = scanner.octet().is_some_and(|octet| Class::SPACE.has(octet));
        if !is_apart {
            return Err(Malformed);
        }
        Ok(Self {
            number,
            method: Method::parse(trim(scanner.rest()))?,
        })
    }
}

/// Max-Forwards (RFC 3261 section 20.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxForwards {
    /// 0 to 255.
    Hops(u8),
    /// A number out of range counts as absent (RFC 4475 section 3.1.2.4).
    Overlarge,
}

impl MaxForwards {
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if !all(text.as_bytes(), Class::DIGIT) {
            return Err(Malformed);
        }
        Ok(text.parse().map_or(Self::Overlarge, Self::Hops))
    }
}

/// A number of digits only, up to 2^32-1.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    let mut scanner = Scanner::new(text);
    scanner.take_number().filter(|_| scanner.is_done())
}

/// Seconds of Expires; what is no number counts as an hour (RFC 3261 section 20.10).
pub(crate) fn delta_seconds(text: &str) -> u32 {
    decimal(text).unwrap_or(DEFAULT_EXPIRES)
}

/// Seconds of Retry-After, its comment and parameters left out (RFC 3261 section 20.33).
pub(crate) fn retry_after(text: &str) -> Option<u32> {
    decimal(text.split([' ', '\t', ';', '(']).next()?)
}

/// A media type: `application/sdp;charset=utf-8` (RFC 3261 section 20.15), or a range in Accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// `application`; `*` in a range.
    pub kind: &'a str,
    /// `sdp`; `*` in a range.
    pub subtype: &'a str,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads one media type or range.
    ///
    /// # Errors
    /// `Malformed` without a slash or with white space inside the type.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let end = text.find(';').unwrap_or(text.len());
        let (kind, subtype) = cut(&text[..end], b'/').ok_or(Malformed)?;
        let (kind, subtype) = (trim(kind), trim(subtype));
        if !is_token(kind) || !is_token(subtype) {
            return Err(Malformed);
        }
        Ok(Self {
            kind,
            subtype,
            params: Params::parse(&text[end..])?,
        })
    }

    /// Whether this is the media type `kind/subtype`, in any case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// Whether this range of an Accept takes the media type (RFC 3261 section 20.1).
    #[must_use]
    pub fn accepts(&self, kind: &str, subtype: &str) -> bool {
        (self.kind == "*" || self.kind.eq_ignore_ascii_case(kind))
            && (self.subtype == "*" || self.subtype.eq_ignore_ascii_case(subtype))
    }
}

/// One Reason value: `Q.850;cause=16;text="Terminated"` (RFC 3326 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonValue<'a> {
    /// `SIP`, `Q.850`, ...
    pub protocol: &'a str,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> ReasonValue<'a> {
    /// Reads one Reason value; a list is split by `items` before.
    ///
    /// # Errors
    /// `Malformed` if the protocol is no token or the parameters are none.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let end = text.find(';').unwrap_or(text.len());
        let protocol = trim(&text[..end]);
        if !is_token(protocol) {
            return Err(Malformed);
        }
        Ok(Self {
            protocol,
            params: Params::parse(&text[end..])?,
        })
    }

    /// The cause, if it is a number up to 65535.
    #[must_use]
    pub fn cause(&self) -> Option<u16> {
        decimal(self.params.value("cause")?).and_then(|cause| cause.try_into().ok())
    }

    /// The text, unescaped.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.params.value("text").map(unescape_quoted)
    }
}

/// Whether the text is a token (RFC 3261 section 25.1).
pub(crate) fn is_token(text: &str) -> bool {
    all(text.as_bytes(), Class::TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_is_a_number_below_2_to_the_32_and_a_method() {
        assert_eq!(
            CSeq::parse("0009   INVITE"),
            Ok(CSeq {
                number: 9,
                method: Method::Invite
            })
        );
        assert_eq!(
            CSeq::parse("4294967295 RE%47IST").unwrap().method,
            Method::Other("RE%47IST")
        );
        for text in [
            "4294967296 INVITE",
            "36893488147419103232 REGISTER",
            "-1 INVITE",
            "+1 INVITE",
            "1",
            " 1 INVITE",
            "1 IN VITE",
            "1 ",
            "",
        ] {
            assert_eq!(CSeq::parse(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn overlarge_max_forwards_is_no_fault() {
        assert_eq!(MaxForwards::parse("0068"), Ok(MaxForwards::Hops(68)));
        assert_eq!(MaxForwards::parse("300"), Ok(MaxForwards::Overlarge));
        assert_eq!(MaxForwards::parse("-1"), Err(Malformed));
        assert_eq!(MaxForwards::parse(""), Err(Malformed));
    }

    #[test]
    fn retry_after_may_carry_a_comment() {
        assert_eq!(retry_after("18000;duration=3600"), Some(18000));
        assert_eq!(retry_after("120 (I'm in a meeting)"), Some(120));
        assert_eq!(retry_after("949302838503028349304023988"), None);
        assert_eq!(retry_after(""), None);
    }

    #[test]
    fn media_types_and_ranges() {
        let sdp = MediaType::parse("Application/SDP ; charset=\"utf-8\"").unwrap();
        assert!(sdp.is("application", "sdp"));
        assert_eq!(sdp.params.value("charset"), Some("utf-8"));
        assert!(
            MediaType::parse("application/*;q=0.5")
                .unwrap()
                .accepts("application", "sdp")
        );
        assert!(
            !MediaType::parse("text/nobodyKnowsThis")
                .unwrap()
                .accepts("application", "sdp")
        );
        assert_eq!(MediaType::parse("application"), Err(Malformed));
    }

    #[test]
    fn reason_has_protocol_cause_and_text() {
        let reason =
            ReasonValue::parse(r#"SIP ;cause=200 ;text="Call completed \"elsewhere\"""#).unwrap();
        assert_eq!((reason.protocol, reason.cause()), ("SIP", Some(200)));
        assert_eq!(reason.text().unwrap(), "Call completed \"elsewhere\"");
        assert_eq!(
            ReasonValue::parse("Q.850;cause=99999").unwrap().cause(),
            None
        );
        assert_eq!(ReasonValue::parse(";cause=1"), Err(Malformed));
    }
}
