//! What must hold before anybody acts on a message.

use super::{Defect, Message};
use crate::header::{CSeq, Contacts, Header, MaxForwards, MediaType, NameAddr};
use crate::uri::Uri;

impl Message {
    /// Checks what every message must have: RFC 3261 sections 8.1.1 (mandatory fields), 7.3.1 (fields that stand once),
    /// 8.1.1.5 (CSeq), 19.1.1 (Request-URI), 25.1 (grammar of the fields that route and match).
    ///
    /// Fields that nobody acts on (Date, Warning, Subject, ...) are not read. Whether the scheme, the method, the extensions
    /// or the body are supported is for the user agent to say, in the order of RFC 3261 section 8.2.
    ///
    /// # Errors
    /// The first defect: a request is answered with its `status`, a response is dropped.
    pub fn validate(&self) -> Result<(), Defect> {
        if let Some(uri) = self.request_uri() {
            let uri = Uri::parse(uri).map_err(|_| Defect::RequestUri)?;
            // RFC 3261 section 19.1.1: header fields may not stand in a Request-URI.
            if uri.sip().is_some_and(|uri| uri.headers.is_some()) {
                return Err(Defect::RequestUri);
            }
        }
        self.validate_vias()?;
        for header in [Header::From, Header::To] {
            NameAddr::parse(self.single(header)?).map_err(|_| Defect::Malformed(header))?;
        }
        if self.single(Header::CallId)?.is_empty() {
            return Err(Defect::Malformed(Header::CallId));
        }
        let cseq =
            CSeq::parse(self.single(Header::CSeq)?).map_err(|_| Defect::Malformed(Header::CSeq))?;
        // RFC 3261 section 8.1.1.5.
        if self.method().is_some_and(|method| method != cseq.method) {
            return Err(Defect::MethodMismatch);
        }
        if let Some(hops) = self.at_most_one(Header::MaxForwards)? {
            MaxForwards::parse(hops).map_err(|_| Defect::Malformed(Header::MaxForwards))?;
        }
        if let Some(kind) = self.at_most_one(Header::ContentType)? {
            MediaType::parse(kind).map_err(|_| Defect::Malformed(Header::ContentType))?;
        }
        self.at_most_one(Header::Expires)?;
        Contacts::check(self.values(Header::Contact))
            .map_err(|_| Defect::Malformed(Header::Contact))?;
        self.validate_routes(Header::Route)?;
        self.validate_routes(Header::RecordRoute)
    }

    /// At least one Via, and all of them readable.
    fn validate_vias(&self) -> Result<(), Defect> {
        let mut count = 0;
        for via in self.vias() {
            via.map_err(|_| Defect::Malformed(Header::Via))?;
            count += 1;
        }
        match count {
            0 => Err(Defect::Missing(Header::Via)),
            // RFC 3261 section 8.1.3.3: a user agent drops a response with more Vias than its own.
            2.. if !self.is_request() => Err(Defect::ForeignResponse),
            _ => Ok(()),
        }
    }

    fn validate_routes(&self, header: Header) -> Result<(), Defect> {
        self.list(header)
            .try_for_each(|item| NameAddr::parse(item).map(drop))
            .map_err(|_| Defect::Malformed(header))
    }

    /// The value of a field that must stand exactly once (RFC 3261 section 7.3.1).
    fn single(&self, header: Header) -> Result<&str, Defect> {
        self.at_most_one(header)?.ok_or(Defect::Missing(header))
    }

    /// The value of a field that may stand once.
    fn at_most_one(&self, header: Header) -> Result<Option<&str>, Defect> {
        let mut values = self.values(header);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Defect::Repeated(header)),
        }
    }
}
