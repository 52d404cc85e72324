//! Typed views of the header fields, read at each call and borrowed from the message.
//!
//! After `Message::validate` the mandatory fields are there and every address, Via and CSeq can be read;
//! before it, `None` stands for missing and for malformed alike.

use std::net::SocketAddr;

use super::{Message, Method};
use crate::header::{
    CSeq, Contacts, Credentials, Header, Malformed, MaxForwards, MediaType, NameAddr, ReasonValue,
    Via,
};
use crate::header::{delta_seconds, items, retry_after, tokens};
use crate::uri::Uri;

impl Message {
    /// The Request-URI, read; none for a response.
    #[must_use]
    pub fn uri(&self) -> Option<Uri<'_>> {
        Uri::parse(self.request_uri()?).ok()
    }

    /// The topmost Via.
    #[must_use]
    pub fn via(&self) -> Option<Via<'_>> {
        Via::parse(self.first(Header::Via)?).ok()
    }

    /// All Vias, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, Malformed>> {
        self.list(Header::Via).map(Via::parse)
    }

    /// From (RFC 3261 section 20.20).
    #[must_use]
    pub fn from(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Header::From)?).ok()
    }

    /// To (RFC 3261 section 20.39).
    #[must_use]
    pub fn to(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.header(Header::To)?).ok()
    }

    /// Call-ID, compared octet by octet (RFC 3261 section 20.8).
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.header(Header::CallId).filter(|id| !id.is_empty())
    }

    /// CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        CSeq::parse(self.header(Header::CSeq)?).ok()
    }

    /// The method that the message is about: of the request line, or of the CSeq of a response.
    #[must_use]
    pub fn cseq_method(&self) -> Option<Method<'_>> {
        self.method()
            .or_else(|| self.cseq().map(|cseq| cseq.method))
    }

    /// Max-Forwards, 0 to 255; a larger number counts as absent (RFC 4475 section 3.1.2.4).
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        match MaxForwards::parse(self.header(Header::MaxForwards)?) {
            Ok(MaxForwards::Hops(hops)) => Some(hops),
            Ok(MaxForwards::Overlarge) | Err(Malformed) => None,
        }
    }

    /// All Contacts.
    ///
    /// # Errors
    /// `Malformed` if one is, or if `*` stands beside others.
    pub fn contacts(&self) -> Result<Contacts<'_>, Malformed> {
        Contacts::parse(self.values(Header::Contact))
    }

    /// The first Contact, if it is an address: the target of a dialog (RFC 3261 section 12.1).
    #[must_use]
    pub fn contact(&self) -> Option<NameAddr<'_>> {
        NameAddr::parse(self.first(Header::Contact)?).ok()
    }

    /// The Route values in order.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Malformed>> {
        self.list(Header::Route).map(NameAddr::parse)
    }

    /// The Record-Route values in order.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Malformed>> {
        self.list(Header::RecordRoute).map(NameAddr::parse)
    }

    /// Expires in seconds; what is no number up to 2^32-1 counts as 3600 (RFC 3261 sections 10.3 and 20.19).
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.header(Header::Expires).map(delta_seconds)
    }

    /// Min-Expires in seconds.
    #[must_use]
    pub fn min_expires(&self) -> Option<u32> {
        self.header(Header::MinExpires).map(delta_seconds)
    }

    /// Retry-After in seconds, if it is a number up to 2^32-1.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        retry_after(self.header(Header::RetryAfter)?)
    }

    /// Content-Type.
    #[must_use]
    pub fn content_type(&self) -> Option<MediaType<'_>> {
        MediaType::parse(self.header(Header::ContentType)?).ok()
    }

    /// Whether an answer may have a body of the media type `kind/subtype`: no Accept means SDP (RFC 3261 section 20.1).
    #[must_use]
    pub fn accepts(&self, kind: &str, subtype: &str) -> bool {
        match self.header(Header::Accept) {
            None => kind.eq_ignore_ascii_case("application") && subtype.eq_ignore_ascii_case("sdp"),
            Some(_) => self
                .list(Header::Accept)
                .flat_map(MediaType::parse)
                .any(|range| range.accepts(kind, subtype)),
        }
    }

    /// The tokens of Require, Proxy-Require, Supported, Unsupported, Allow and the like.
    pub fn tokens(&self, header: Header) -> impl Iterator<Item = &str> {
        self.values(header).flat_map(tokens)
    }

    /// The values of a header field that is a list with commas, over all its lines.
    pub fn list(&self, header: Header) -> impl Iterator<Item = &str> {
        self.values(header).flat_map(items)
    }

    /// The first value of such a field.
    pub(crate) fn first(&self, header: Header) -> Option<&str> {
        items(self.header(header)?).next()
    }

    /// Authorization, Proxy-Authorization, WWW-Authenticate or Proxy-Authenticate, each line; unreadable ones left out.
    pub fn credentials(&self, header: Header) -> impl Iterator<Item = Credentials<'_>> {
        self.values(header).flat_map(Credentials::parse)
    }

    /// The Reason values in order; unreadable ones left out (RFC 3326 section 2).
    pub fn reasons(&self) -> impl Iterator<Item = ReasonValue<'_>> {
        self.list(Header::Reason).flat_map(ReasonValue::parse)
    }

    /// Where the response to this UDP request from `source` goes (RFC 3261 section 18.2.2, RFC 3581 section 4).
    #[must_use]
    pub fn response_address(&self, source: SocketAddr) -> SocketAddr {
        self.via()
            .map_or(source, |via| via.response_address(source))
    }
}
