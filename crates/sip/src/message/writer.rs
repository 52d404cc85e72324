//! Writing: on the stack, parts copied from received messages as ranges; what is finished is copied once, into memory of its size.

use std::fmt::{self, Display, Write as _};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use memchr::memchr2;

use super::page::Page;
use super::{Message, Method};
use crate::endpoint::Status;
use crate::grammar::{Class, uri_len};
use crate::header::{Header, NameAddr, Via, items};

/// Writes one message, header by header. What begins a line ends the one before.
///
/// No value can break out of its line: CR and LF become spaces, and what would end a URI in brackets is escaped.
#[derive(Debug)]
pub struct Writer {
    page: Page,
}

/// Takes what is formatted.
struct Formatted<'a>(&'a mut Writer);

impl fmt::Write for Formatted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text);
        Ok(())
    }
}

/// A quoted string (RFC 3261 section 25.1).
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for part in self.0.split_inclusive(['"', '\\']) {
            let plain = part.trim_end_matches(['"', '\\']);
            f.write_str(plain)?;
            if plain.len() < part.len() {
                f.write_char('\\')?;
                f.write_str(&part[plain.len()..])?;
            }
        }
        f.write_char('"')
    }
}

impl Writer {
    /// Begins a request.
    #[must_use]
    pub fn request(method: Method<'_>, uri: &str) -> Self {
        let mut writer = Self { page: Page::new() };
        writer.put(method.as_str());
        writer.put(" ");
        writer.put_uri(uri);
        writer.put(" SIP/2.0");
        writer
    }

    /// Begins a response with nothing but its status line.
    #[must_use]
    pub fn response(status: Status, phrase: &str) -> Self {
        let mut writer = Self { page: Page::new() };
        writer.put("SIP/2.0 ");
        writer.put_decimal(status.0.into());
        writer.page.push(b' ');
        writer.put_line(phrase);
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
        let is_untagged =
            |to: &str| NameAddr::parse(to).map_or(true, |address| address.tag().is_none());
        match (request.header(Header::To), tag) {
            (Some(to), Some(tag)) if is_untagged(to) => {
                writer.copied(Header::To, to);
                writer.put(";tag=");
                writer.put_line(tag);
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
        self.put(header.line());
        let start = self.page.len();
        self.put_formatted(format_args!("{value}"));
        self.close_line(start);
    }

    /// Writes a header field that `Header` does not know.
    pub(crate) fn other(&mut self, name: &str, value: &str) {
        self.put("\r\n");
        self.put_line(name);
        self.put(": ");
        self.put_line(value);
    }

    /// Writes From, To, Contact, Refer-To or the like: `"display" <uri>;tag=tag`.
    pub fn address(&mut self, header: Header, display: Option<&str>, uri: &str, tag: Option<&str>) {
        self.put(header.line());
        let start = self.page.len();
        if let Some(display) = display {
            self.put_formatted(format_args!("{} ", Quoted(display)));
        }
        self.put("<");
        self.put_uri(uri);
        self.put(">");
        if let Some(tag) = tag {
            self.put(";tag=");
            self.put(tag);
        }
        self.close_line(start);
    }

    /// Copies every header field of this name as it came.
    pub fn copy(&mut self, message: &Message, header: Header) {
        for value in message.values(header) {
            self.copied(header, value);
        }
    }

    /// Copies the topmost Via alone: for the CANCEL and the ACK of a request of ours (RFC 3261 sections 9.1 and 17.1.1.3).
    pub fn copy_top_via(&mut self, message: &Message) {
        if let Some(via) = message.first(Header::Via) {
            self.copied(Header::Via, via);
        }
    }

    /// Ends the message: with a body and its Content-Type, or without.
    #[must_use]
    pub fn finish(mut self, body: Option<(&str, &[u8])>) -> Bytes {
        let body = match body {
            Some((kind, octets)) => {
                self.put(Header::ContentType.line());
                self.put_line(kind);
                octets
            }
            None => &[],
        };
        self.put(Header::ContentLength.line());
        self.put_decimal(body.len());
        self.put("\r\n\r\n");
        let head = self.page.octets();
        let mut octets = Vec::with_capacity(head.len() + body.len());
        octets.extend_from_slice(head);
        octets.extend_from_slice(body);
        octets.into()
    }

    /// The Vias of the request; the topmost tells the sender where we saw it.
    fn answered_vias(&mut self, request: &Message, source: SocketAddr) {
        let mut lines = request.values(Header::Via);
        if let Some(line) = lines.next() {
            let topmost = items(line).next().unwrap_or_default();
            // The others in the line stay there: many of them shall not become many lines.
            match (Via::parse(topmost), line.strip_prefix(topmost)) {
                (Ok(via), Some(others)) => self.answered_via(&via, source, others),
                (_, _) => self.copied(Header::Via, line),
            }
        }
        for line in lines {
            self.copied(Header::Via, line);
        }
    }

    /// The topmost Via, and those behind it in its line.
    fn answered_via(&mut self, via: &Via<'_>, source: SocketAddr, others: &str) {
        self.copied(Header::Via, via.sent);
        let mut asks_rport = false;
        for (param, text) in via.params.segments() {
            if param.name.eq_ignore_ascii_case("rport") {
                asks_rport = true;
            } else if !param.name.eq_ignore_ascii_case("received") {
                self.put(text);
            }
        }
        let address = source.ip().to_canonical();
        // RFC 3261 section 18.2.1; RFC 3581 section 4: with rport always. RFC 5118 section 4.5: without brackets.
        if asks_rport || !via.is_sent_by(address) {
            self.put(";received=");
            self.put_address(address);
        }
        if asks_rport {
            self.put(";rport=");
            self.put_decimal(source.port().into());
        }
        self.put(others);
    }

    /// A value of a parsed message: the scan left no line break in it.
    fn copied(&mut self, header: Header, value: &str) {
        self.put(header.line());
        self.put(value);
    }

    /// Text of one line.
    fn put_line(&mut self, text: &str) {
        let start = self.page.len();
        self.put(text);
        self.close_line(start);
    }

    /// Makes one line of what was written from `start` on: a line break in it becomes a space.
    fn close_line(&mut self, start: usize) {
        let mut line = &mut self.page.octets()[start..];
        while let Some(at) = memchr2(b'\r', b'\n', line) {
            line[at] = b' ';
            line = &mut line[at..];
        }
    }

    /// A URI between brackets, or one in a request line: white space, quotes and brackets in it are escaped.
    fn put_uri(&mut self, uri: &str) {
        let (clean, rest) = uri.split_at(uri_len(uri));
        self.put(clean);
        for c in rest.chars() {
            match u8::try_from(c) {
                Ok(octet) if Class::NO_URI.has(octet) => {
                    self.put_formatted(format_args!("%{octet:02X}"));
                }
                Ok(_) | Err(_) => self.put(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    fn put(&mut self, text: &str) {
        self.page.put(text.as_bytes());
    }

    fn put_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        self.page.push(b'.');
                    }
                    self.put_decimal(octet.into());
                }
            }
            IpAddr::V6(address) => self.put_formatted(format_args!("{address}")),
        }
    }

    fn put_decimal(&mut self, number: usize) {
        // As many as the largest number has.
        let (mut digits, mut left) = ([b'0'; 20], number);
        let mut first = digits.len() - 1;
        while left > 9 {
            digits[first] += (left % 10) as u8;
            left /= 10;
            first -= 1;
        }
        digits[first] += left as u8;
        for digit in &digits[first..] {
            self.page.push(*digit);
        }
    }

    /// Formatting into memory cannot fail.
    fn put_formatted(&mut self, text: fmt::Arguments<'_>) {
        Formatted(self)
            .write_fmt(text)
            .expect("invariant: values that are written do not fail to format");
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
