//! One SIP message: the bytes as they came and an index of where its headers are.

mod defect;
mod head;
mod method;
mod page;
mod stateless_tag;
mod validate;
mod views;
mod writer;

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;

pub use defect::{Defect, Fault};
pub(crate) use head::{BodyLength, Head, HeadScan};
pub use method::Method;
pub use stateless_tag::StatelessTag;
pub(crate) use writer::Quoted;
pub use writer::{Writer, reason_phrase};

use crate::endpoint::Status;
use crate::header::Header;

/// Octets of the longest message: positions in it fit 16 bits; no UDP datagram is longer. Longer ones get 513.
pub const MAX_MESSAGE: usize = 65_535;
/// Header lines of a message; more get 513. Real ones have 10 to 30; the RFC 4475 message with most has 42.
pub const MAX_HEADERS: usize = 128;
/// Octets of one header field, folded lines together; longer ones get 513. Identity tokens come near 4 KiB.
pub const MAX_HEADER_LINE: usize = 8 * 1024;
/// Header lines, and octets of each, that an answer may have more than the request whose fields it repeats: what is added
/// to Via and To, and the fields of its own.
const ANSWER_ROOM: (usize, usize) = (16, 256);
/// Octets of the fields that an answer repeats (RFC 3261 section 8.2.6.2); a request with more of them is dropped, as its answer
/// could be longer than a message may be.
const MAX_REPEATED: usize = MAX_MESSAGE / 2;
/// Header fields indexed without allocation: an INVITE of a desk phone has 15 to 20.
const INLINE_HEADERS: usize = 24;

/// A range of octets in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// One header field: what it is and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    header: Header,
    name: Span,
    value: Span,
}

/// The first line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartLine {
    Request { method: Span, uri: Span },
    Response { status: Status, reason: Span },
}

/// A parsed message: shared bytes and ranges into them; cloning copies no text.
///
/// Folded values read as one line: such a message (rare) is copied once, each line break turned into spaces
/// (RFC 3261 section 7.3.1); octets that are not UTF-8 in the header section then become `?`.
#[derive(Clone, Debug)]
pub struct Message {
    octets: Bytes,
    /// The header section once more, known to be text.
    text: ByteString,
    start: StartLine,
    headers: SmallVec<[Entry; INLINE_HEADERS]>,
    /// The `Header::bit` of each of them: most fields that are asked for are not there.
    present: u64,
    body: Span,
}

impl Message {
    /// Reads one message as it stands in a datagram: octets after Content-Length are cut off,
    /// without Content-Length the body is the rest (RFC 3261 section 18.3).
    ///
    /// # Errors
    /// A `Fault`, which still holds the message if it is a request that can be answered. Faulty responses are dropped.
    pub fn parse(octets: Bytes) -> Result<Self, Fault> {
        if octets.len() > MAX_MESSAGE {
            return Err(Fault::unanswerable(Defect::MessageTooLong));
        }
        let HeadScan { head, defect, .. } = Head::scan(&octets).map_err(Fault::unanswerable)?;
        let available = octets.len() - head.len();
        let (body_len, defect) = match head.body_length() {
            // RFC 3261 section 18.3: a datagram that ends before its body does is an error.
            BodyLength::Stated(stated) if stated > available => {
                (available, defect.or(Some(Defect::BodyTruncated)))
            }
            BodyLength::Stated(stated) => (stated, defect),
            BodyLength::Missing | BodyLength::Unknown(_) => (available, defect),
        };
        let message = head.into_message(octets, body_len);
        if message.repeats_too_much() {
            return Err(Fault::unanswerable(Defect::MessageTooLong));
        }
        match defect {
            None => Ok(message),
            Some(defect) => Err(Fault::new(defect, message)),
        }
    }

    /// Whether an answer to the request could be longer than a message may be.
    pub(crate) fn repeats_too_much(&self) -> bool {
        let repeated = [
            Header::Via,
            Header::From,
            Header::To,
            Header::CallId,
            Header::CSeq,
            Header::RecordRoute,
        ];
        let octets = |header| -> usize {
            self.values(header)
                .map(|value| value.len() + header.name().len() + 4)
                .sum()
        };
        self.is_request()
            && self.octets.len() > MAX_REPEATED
            && repeated.into_iter().map(octets).sum::<usize>() > MAX_REPEATED
    }

    /// The octets of the message: as they came, save for the repairs told at the type.
    #[must_use]
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// The body; empty if there is none.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.octets.slice(self.body.range())
    }

    /// Whether this is a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The status of a response; none for a request.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response.
    #[must_use]
    pub fn reason_phrase(&self) -> Option<&str> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { reason, .. } => Some(self.text(reason)),
        }
    }

    /// The method of a request; none for a response (see `cseq`).
    #[must_use]
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start {
            StartLine::Request { method, .. } => Some(Method::of_token(self.text(method))),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI as it came; none for a response.
    #[must_use]
    pub fn request_uri(&self) -> Option<&str> {
        match self.start {
            StartLine::Request { uri, .. } => Some(self.text(uri)),
            StartLine::Response { .. } => None,
        }
    }

    /// The value of the first header field of this name.
    #[must_use]
    pub fn header(&self, header: Header) -> Option<&str> {
        self.values(header).next()
    }

    /// The values of all header fields of this name, one per line (see `header::items` for lists with commas).
    pub fn values(&self, header: Header) -> impl Iterator<Item = &str> {
        let entries = match self.present & header.bit() {
            0 => &[],
            _ => self.headers.as_slice(),
        };
        entries
            .iter()
            .filter(move |entry| entry.header == header)
            .map(|entry| self.text(entry.value))
    }

    /// The values of all header fields of a name that `Header` does not know, in any case.
    pub fn other<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |entry| {
                entry.header == Header::Other && self.text(entry.name).eq_ignore_ascii_case(name)
            })
            .map(|entry| self.text(entry.value))
    }

    /// Every header field in order: what it is, its name as it came, its value.
    pub fn headers(&self) -> impl Iterator<Item = (Header, &str, &str)> {
        self.headers
            .iter()
            .map(|entry| (entry.header, self.text(entry.name), self.text(entry.value)))
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.range()]
    }
}
