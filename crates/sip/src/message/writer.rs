//! Writing: one buffer, parts copied from received messages as ranges, nothing formatted twice.

use std::fmt::{self, Display, Write as _};
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Message, Method};
use crate::endpoint::Status;
use crate::header::{Header, Via};

/// Octets set aside for a message: most fit without growing.
const CAPACITY: usize = 1024;

/// Octets that a finished message may hold in vain: transactions keep it for 32 s and more, a copy takes less time than
/// touching fresh memory for each.
const SPARE: usize = 256;

/// Writes one message, header by header.
///
/// No value can break out of its line: CR and LF become spaces, and what would end a URI in brackets is escaped.
#[derive(Debug)]
pub struct Writer {
    octets: BytesMut,
}

/// Text of one line: a line break in it becomes a space.
struct OneLine<'a>(&'a mut BytesMut);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        self.0.put_slice(text.as_bytes());
        if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_some() {
            for octet in &mut self.0[start..] {
                if matches!(octet, b'\r' | b'\n') {
                    *octet = b' ';
                }
            }
        }
        Ok(())
    }
}

/// A URI between brackets: white space, quotes and brackets in it are escaped.
struct InBrackets<'a>(&'a str);

impl Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\0'..=' ' | '"' | '<' | '>' | '\x7f' => write!(f, "%{:02X}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A quoted string (RFC 3261 section 25.1).
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

impl Writer {
    /// Begins a request.
    #[must_use]
    pub fn request(method: Method<'_>, uri: &str) -> Self {
        let mut writer = Self {
            octets: BytesMut::with_capacity(CAPACITY),
        };
        writer.line(format_args!("{method} {} SIP/2.0", InBrackets(uri)));
        writer
    }

    /// Begins a response with nothing but its status line.
    #[must_use]
    pub fn response(status: Status, phrase: &str) -> Self {
        let mut writer = Self {
            octets: BytesMut::with_capacity(CAPACITY),
        };
        writer.line(format_args!("SIP/2.0 {:03} {phrase}", status.0));
        writer
    }

    /// Begins the response to a request that came from `source` (RFC 3261 section 8.2.6): its Vias with `received` and `rport`
    /// filled in (section 18.2.1, RFC 3581 section 4), From, To with our tag if it has none, Call-ID, CSeq, Timestamp in a 100,
    /// and Record-Route where the response makes a dialog (section 12.1.1).
    #[must_use]
    pub fn answer(
        request: &Message,
        status: Status,
        tag: Option<&str>,
        source: SocketAddr,
    ) -> Self {
        let mut writer = Self::response(status, reason_phrase(status));
        writer.answered_vias(request, source);
        writer.copy(request, Header::From);
        match (request.header(Header::To), tag) {
            (Some(to), Some(tag)) if request.to().is_none_or(|to| to.tag().is_none()) => {
                writer.header(Header::To, format_args!("{to};tag={tag}"))
            }
            (_, _) => writer.copy(request, Header::To),
        }
        writer.copy(request, Header::CallId);
        writer.copy(request, Header::CSeq);
        if status.0 == 100 {
            // RFC 3261 section 8.2.6.1.
            writer.copy(request, Header::Timestamp);
        } else if status.0 < 300 {
            writer.copy(request, Header::RecordRoute);
        }
        writer
    }

    /// Writes a header field.
    pub fn header(&mut self, header: Header, value: impl Display) {
        self.line(format_args!("{}: {value}", header.name()));
    }

    /// Writes a header field that `Header` does not know.
    pub(crate) fn other(&mut self, name: &str, value: &str) {
        self.line(format_args!("{name}: {value}"));
    }

    /// Writes From, To, Contact, Refer-To or the like: `"display" <uri>;tag=tag`.
    pub fn address(&mut self, header: Header, display: Option<&str>, uri: &str, tag: Option<&str>) {
        let (tag_name, tag) = tag.map_or(("", ""), |tag| (";tag=", tag));
        match display {
            Some(display) => self.header(
                header,
                format_args!("{} <{}>{tag_name}{tag}", Quoted(display), InBrackets(uri)),
            ),
            None => self.header(header, format_args!("<{}>{tag_name}{tag}", InBrackets(uri))),
        }
    }

    /// Copies every header field of this name as it came.
    pub fn copy(&mut self, message: &Message, header: Header) {
        for value in message.values(header) {
            self.copied(header, value);
        }
    }

    /// Copies the topmost Via alone: for the CANCEL and the ACK of a request of ours (RFC 3261 sections 9.1 and 17.1.1.3).
    pub fn copy_top_via(&mut self, message: &Message) {
        if let Some(via) = message.list(Header::Via).next() {
            self.copied(Header::Via, via);
        }
    }

    /// Ends the message: with a body and its Content-Type, or without.
    #[must_use]
    pub fn finish(mut self, body: Option<(&str, &[u8])>) -> Bytes {
        let octets = match body {
            Some((kind, octets)) => {
                self.header(Header::ContentType, kind);
                octets
            }
            None => &[],
        };
        self.header(Header::ContentLength, octets.len());
        self.octets.put_slice(b"\r\n");
        self.octets.put_slice(octets);
        if self.octets.capacity() - self.octets.len() > SPARE {
            return Bytes::copy_from_slice(&self.octets);
        }
        self.octets.freeze()
    }

    /// The Vias of the request; the topmost tells the sender where we saw it.
    fn answered_vias(&mut self, request: &Message, source: SocketAddr) {
        let mut lines = request.values(Header::Via);
        let topmost = request.list(Header::Via).next();
        if let (Some(line), Some(topmost)) = (lines.next(), topmost) {
            // The others in the line stay there: many of them shall not become many lines.
            match (Via::parse(topmost), line.strip_prefix(topmost)) {
                (Ok(via), Some(others)) => {
                    let answered = Answered { via, source };
                    self.header(Header::Via, format_args!("{answered}{others}"));
                }
                (_, _) => self.copied(Header::Via, line),
            }
        }
        for line in lines {
            self.copied(Header::Via, line);
        }
    }

    /// A value of a parsed message: the scan left no line break in it.
    fn copied(&mut self, header: Header, value: &str) {
        for part in [header.name(), ": ", value, "\r\n"] {
            self.octets.put_slice(part.as_bytes());
        }
    }

    /// One line; formatting into memory cannot fail.
    fn line(&mut self, text: fmt::Arguments<'_>) {
        OneLine(&mut self.octets)
            .write_fmt(text)
            .expect("invariant: values that are written do not fail to format");
        self.octets.put_slice(b"\r\n");
    }
}

/// The topmost Via of a response.
struct Answered<'a> {
    via: Via<'a>,
    source: SocketAddr,
}

impl Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via.sent)?;
        let ours = |name: &str| {
            name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport")
        };
        for param in self.via.params.iter().filter(|param| !ours(param.name)) {
            write!(f, ";{}", param.name)?;
            if let Some(value) = param.raw {
                write!(f, "={value}")?;
            }
        }
        let (source, asks_rport) = (self.source.ip().to_canonical(), self.via.asks_rport());
        // RFC 3261 section 18.2.1; RFC 3581 section 4: with rport always. RFC 5118 section 4.5: without brackets.
        if asks_rport || !self.via.is_sent_by(source) {
            write!(f, ";received={source}")?;
        }
        if asks_rport {
            write!(f, ";rport={}", self.source.port())?;
        }
        Ok(())
    }
}

/// The reason phrase that the RFCs give a status (RFC 3261 section 21 and others).
#[must_use]
pub fn reason_phrase(status: Status) -> &'static str {
    match status.0 {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        other => match other / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Global Failure",
        },
    }
}
