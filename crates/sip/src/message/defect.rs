//! What can be wrong with a message, and what may be answered.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Message, Method, Writer};
use crate::endpoint::Status;
use crate::header::Header;

/// The first thing found wrong with a message: always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// No SIP start line: dropped.
    #[error("the octets are no SIP message")]
    NotSip,
    /// A response whose status is not 100 to 699: dropped.
    #[error("the status code is not 100 to 699")]
    StatusCode,
    /// Longer than `MAX_MESSAGE`.
    #[error("the message is too long")]
    MessageTooLong,
    /// More header lines than `MAX_HEADERS`.
    #[error("the message has too many header lines")]
    TooManyHeaders,
    /// A header field longer than `MAX_HEADER_LINE`.
    #[error("a header field is too long")]
    HeaderTooLong,
    /// A Request-URI longer than `MAX_URI`.
    #[error("the Request-URI is too long")]
    UriTooLong,
    /// White space where the Request-Line has none (RFC 3261 section 7.1).
    #[error("the request line is malformed")]
    RequestLine,
    /// The Request-URI is malformed or holds header fields (RFC 3261 section 19.1.1).
    #[error("the Request-URI is malformed")]
    RequestUri,
    /// Another version than SIP/2.0.
    #[error("the SIP version is not 2.0")]
    Version,
    /// A header line without a name or a colon, or with a carriage return alone in it.
    #[error("a header line is malformed")]
    HeaderLine,
    /// No empty line after the header fields.
    #[error("the header section does not end")]
    NoBlankLine,
    /// Content-Length is no number, or given twice with different values.
    #[error("Content-Length is malformed")]
    ContentLength,
    /// No Content-Length on a stream (RFC 3261 section 18.3).
    #[error("Content-Length is missing on a stream")]
    NoContentLength,
    /// The datagram ends before the body does (RFC 3261 section 18.3).
    #[error("the body is shorter than Content-Length")]
    BodyTruncated,
    /// A header field that every message must have (RFC 3261 section 8.1.1) is missing.
    #[error("{} is missing", .0.name())]
    Missing(Header),
    /// A header field that may stand once stands more often.
    #[error("{} is repeated", .0.name())]
    Repeated(Header),
    /// The value does not follow its grammar.
    #[error("{} is malformed", .0.name())]
    Malformed(Header),
    /// The CSeq names another method than the request line (RFC 3261 section 8.1.1.5).
    #[error("CSeq names another method")]
    MethodMismatch,
    /// A response with more Vias than ours (RFC 3261 section 8.1.3.3): dropped.
    #[error("the response is not for us")]
    ForeignResponse,
}

impl Defect {
    /// The status that answers a request with this defect.
    #[must_use]
    pub fn status(self) -> Status {
        Status(match self {
            Self::UriTooLong => 414,
            Self::Version => 505,
            Self::MessageTooLong | Self::TooManyHeaders | Self::HeaderTooLong => 513,
            Self::NotSip
            | Self::StatusCode
            | Self::RequestLine
            | Self::RequestUri
            | Self::HeaderLine
            | Self::NoBlankLine
            | Self::ContentLength
            | Self::NoContentLength
            | Self::BodyTruncated
            | Self::Missing(_)
            | Self::Repeated(_)
            | Self::Malformed(_)
            | Self::MethodMismatch
            | Self::ForeignResponse => 400,
        })
    }
}

/// Why a message could not be taken, and the message as far as it was read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{defect}")]
pub struct Fault {
    /// What is wrong.
    pub defect: Defect,
    /// The request, where it can be answered: not for responses and ACK, nor without a Via that can be read.
    pub request: Option<Box<Message>>,
}

impl Fault {
    pub(crate) fn unanswerable(defect: Defect) -> Self {
        Self {
            defect,
            request: None,
        }
    }

    pub(crate) fn new(defect: Defect, message: Message) -> Self {
        // RFC 3261 section 17.1.1.3: an ACK is never answered.
        let answerable =
            message.method().is_some_and(|method| method != Method::Ack) && message.via().is_some();
        Self {
            defect,
            request: answerable.then(|| Box::new(message)),
        }
    }

    /// The stateless answer to the request that came from `source`: 400, 414, 505 or 513 (RFC 3261 section 8.2.7), first with a
    /// word about what is wrong, then without; none if there is none.
    pub fn answers(&self, source: SocketAddr) -> impl Iterator<Item = Bytes> + '_ {
        let request = self.request.as_deref();
        let forms = request
            .into_iter()
            .flat_map(|request| [(request, true), (request, false)]);
        forms.map(move |(request, explains)| {
            let tag = request.stateless_tag();
            let mut writer =
                Writer::answer(request, self.defect.status(), Some(tag.as_str()), source);
            if explains {
                // RFC 3261 section 21.4.1: the reason phrase should name the fault; Warning says it without touching the phrase.
                writer.header(
                    Header::Warning,
                    format_args!("399 ringmaster \"{}\"", self.defect),
                );
            }
            writer.finish(None)
        })
    }
}
