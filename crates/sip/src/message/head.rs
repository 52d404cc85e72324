//! The scan of a header section: one pass, no allocation, no copy.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use memchr::memrchr;
use smallvec::SmallVec;

use super::{
    ANSWER_ROOM, Defect, Entry, INLINE_HEADERS, MAX_HEADER_LINE, MAX_HEADERS, Message, Span,
    StartLine,
};
use crate::endpoint::Status;
use crate::grammar::{Class, all, find, find_any};
use crate::header::Header;
use crate::uri::MAX_URI;

/// The index of a header section, without the octets.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    start: StartLine,
    headers: SmallVec<[Entry; INLINE_HEADERS]>,
    present: u64,
    length: BodyLength,
    len: u16,
    /// Whether there are folded values or a carriage return alone.
    repair: bool,
}

/// What the header section says of the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// Content-Length in octets.
    Stated(usize),
    /// There is none.
    Missing,
    /// It cannot be known: on a stream nothing after this message can be found.
    Unknown(Defect),
}

/// An index and the first fault found while it was made.
#[derive(Clone, Debug)]
pub(crate) struct HeadScan {
    pub(crate) head: Head,
    pub(crate) defect: Option<Defect>,
    /// The place of the first Content-Length among the header fields; mostly it is the last of them.
    first_length: usize,
}

/// One line without its end.
struct Line {
    start: usize,
    end: usize,
    next: usize,
    bare_cr: bool,
}

impl Head {
    /// Indexes the header section at the front of `octets` (at most `MAX_MESSAGE`), up to and with its empty line.
    ///
    /// # Errors
    /// A defect that leaves nothing to answer: no SIP, or a response without a status.
    pub(crate) fn scan(octets: &[u8]) -> Result<HeadScan, Defect> {
        // RFC 3261 section 7.5: empty lines before the start line are ignored.
        let first = octets
            .iter()
            .position(|octet| !matches!(octet, b'\r' | b'\n'))
            .ok_or(Defect::NotSip)?;
        let line = next_line(octets, first).ok_or(Defect::NotSip)?;
        let (start, defect) = start_line(octets, &line)?;
        let mut scan = HeadScan {
            head: Self {
                start,
                headers: SmallVec::new(),
                present: 0,
                length: BodyLength::Missing,
                len: 0,
                repair: line.bare_cr,
            },
            defect: defect.or(line.bare_cr.then_some(Defect::HeaderLine)),
            first_length: 0,
        };
        let end = scan.headers(octets, line.next);
        scan.head.len = span(end, end).end;
        Ok(scan)
    }

    /// Most header lines, and most octets of each.
    fn limits(&self) -> (usize, usize) {
        match self.start {
            StartLine::Request { .. } => (MAX_HEADERS, MAX_HEADER_LINE),
            StartLine::Response { .. } => {
                let (lines, octets) = ANSWER_ROOM;
                (MAX_HEADERS + lines, MAX_HEADER_LINE + octets)
            }
        }
    }

    /// Octets of the header section with its empty line.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The length of the body.
    pub(crate) fn body_length(&self) -> BodyLength {
        self.length
    }

    /// Turns line breaks inside values into spaces and what is not UTF-8 into `?`, so that every value reads as one line of text.
    fn repaired(&self, octets: &[u8]) -> Bytes {
        let mut octets = BytesMut::from(octets);
        let start = match self.start {
            StartLine::Request { uri, .. } => uri,
            StartLine::Response { reason, .. } => reason,
        };
        for span in self.headers.iter().map(|entry| entry.value).chain([start]) {
            for octet in &mut octets[span.range()] {
                if matches!(octet, b'\r' | b'\n') {
                    *octet = b' ';
                }
            }
        }
        let mut checked = 0;
        while let Err(error) = str::from_utf8(&octets[checked..self.len()]) {
            checked += error.valid_up_to();
            octets[checked] = b'?';
        }
        octets.freeze()
    }

    /// Joins the octets and their index; `octets` holds the head and at least `body_len` octets after it.
    pub(crate) fn into_message(self, mut octets: Bytes, body_len: usize) -> Message {
        let text = |octets: &Bytes| ByteString::try_from(octets.slice(..self.len()));
        let text = match text(&octets) {
            Ok(text) if !self.repair => text,
            Ok(_) | Err(_) => {
                octets = self.repaired(&octets);
                text(&octets).expect("invariant: what is repaired is text")
            }
        };
        Message {
            octets,
            text,
            start: self.start,
            body: span(self.len(), self.len() + body_len),
            headers: self.headers,
            present: self.present,
        }
    }
}

impl HeadScan {
    /// Indexes the header lines from `at`; returns the end of the section.
    fn headers(&mut self, octets: &[u8], mut at: usize) -> usize {
        loop {
            let Some(line) = next_line(octets, at) else {
                self.fault(Defect::NoBlankLine);
                return octets.len();
            };
            if line.start == line.end {
                return self.finish(octets, line.next);
            }
            if line.bare_cr {
                self.head.repair = true;
                self.fault(Defect::HeaderLine);
            }
            if Class::SPACE.has(octets[line.start]) {
                self.continuation(octets, &line);
            } else {
                self.field(octets, &line);
            }
            at = line.next;
        }
    }

    /// One header line.
    fn field(&mut self, octets: &[u8], line: &Line) {
        let text = &octets[line.start..line.end];
        let Some(colon) = find(text, b':') else {
            return self.fault(Defect::HeaderLine);
        };
        // RFC 3261 section 7.3.1: white space may stand before the colon.
        let name = text[..colon].trim_ascii_end();
        let header = Header::from_name(name);
        if header == Header::Other && !all(name, Class::TOKEN) {
            return self.fault(Defect::HeaderLine);
        }
        let (most_lines, longest) = self.head.limits();
        if self.head.headers.len() == most_lines {
            return self.fault_of_field(Defect::TooManyHeaders);
        }
        if text.len() > longest {
            return self.fault_of_field(Defect::HeaderTooLong);
        }
        if header == Header::ContentLength && self.head.present & header.bit() == 0 {
            self.first_length = self.head.headers.len();
        }
        self.head.present |= header.bit();
        self.head.headers.push(Entry {
            header,
            name: span(line.start, line.start + name.len()),
            value: trimmed(octets, line.start + colon + 1, line.end),
        });
    }

    /// A line that goes on with the value before it (RFC 3261 section 7.3.1).
    fn continuation(&mut self, octets: &[u8], line: &Line) {
        self.head.repair = true;
        let more = trimmed(octets, line.start, line.end);
        let Some(last) = self.head.headers.last_mut() else {
            return self.fault(Defect::HeaderLine);
        };
        if last.value.start == last.value.end {
            last.value = more;
        } else if more.start < more.end {
            last.value.end = more.end;
        }
        let length = last.value.range().len();
        if length > self.head.limits().1 {
            self.fault(Defect::HeaderTooLong);
        }
    }

    /// After the empty line: the length of the body.
    fn finish(&mut self, octets: &[u8], end: usize) -> usize {
        // A field that was not indexed may have been a Content-Length.
        if self.head.length != BodyLength::Missing {
            return end;
        }
        let lengths = self.head.headers[self.first_length..]
            .iter()
            .filter(|entry| entry.header == Header::ContentLength);
        let length = lengths.fold(BodyLength::Missing, |before, entry| {
            match (decimal(&octets[entry.value.range()]), before) {
                (Some(length), BodyLength::Missing) => BodyLength::Stated(length),
                // The same length twice harms nobody; two lengths let each reader choose (RFC 4475 section 3.3.9).
                (Some(length), BodyLength::Stated(other)) if length == other => before,
                (Some(_) | None, _) => BodyLength::Unknown(Defect::ContentLength),
            }
        });
        self.head.length = length;
        if let BodyLength::Unknown(defect) = length {
            self.fault(defect);
        }
        end
    }

    /// A fault that leaves a field without index.
    fn fault_of_field(&mut self, defect: Defect) {
        self.head.length = BodyLength::Unknown(defect);
        self.fault(defect);
    }

    /// Keeps the first fault.
    fn fault(&mut self, defect: Defect) {
        self.defect.get_or_insert(defect);
    }
}

/// Reads the first line; the defect, if any, leaves a request that can be answered.
fn start_line(octets: &[u8], line: &Line) -> Result<(StartLine, Option<Defect>), Defect> {
    let text = &octets[line.start..line.end];
    // RFC 3261 section 7.1: the version compares in any case; '/' stands in no method.
    if text
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
    {
        return status_line(text, line.start);
    }
    request_line(text, line.start)
}

/// `SIP/2.0 200 OK`; the phrase, and the space before it, may be missing.
fn status_line(text: &[u8], at: usize) -> Result<(StartLine, Option<Defect>), Defect> {
    let (version, rest) = text.split_at_checked(8).ok_or(Defect::NotSip)?;
    if !version.eq_ignore_ascii_case(b"SIP/2.0 ") {
        return Err(Defect::NotSip);
    }
    let code_len = find(rest, b' ').unwrap_or(rest.len());
    let phrase = (at + 8 + code_len + 1).min(at + text.len());
    let reason = span(phrase, at + text.len());
    let code = decimal(&rest[..code_len]).filter(|code| code_len == 3 && (100..700).contains(code));
    let (status, defect) = match code.and_then(|code| u16::try_from(code).ok()) {
        Some(code) => (Status(code), None),
        None => (Status(0), Some(Defect::StatusCode)),
    };
    Ok((StartLine::Response { status, reason }, defect))
}

/// `INVITE sip:700@example.com SIP/2.0`.
fn request_line(text: &[u8], at: usize) -> Result<(StartLine, Option<Defect>), Defect> {
    let method = find(text, b' ')
        .filter(|end| all(&text[..*end], Class::TOKEN))
        .ok_or(Defect::NotSip)?;
    let line_end = text.trim_ascii_end().len();
    let uri_end = memrchr(b' ', &text[..line_end])
        .filter(|end| *end > method)
        .ok_or(Defect::NotSip)?;
    let version = &text[uri_end + 1..line_end];
    if !version
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
    {
        return Err(Defect::NotSip);
    }
    let uri = &text[method + 1..uri_end];
    let start = StartLine::Request {
        method: span(at, at + method),
        uri: span(at + method + 1, at + uri_end),
    };
    let defect = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(Defect::Version)
    } else if line_end < text.len() || find_any(uri, [b' ', b'\t', b'\r']).is_some() {
        // RFC 3261 section 7.1: single spaces, and none at the end.
        Some(Defect::RequestLine)
    } else if uri.len() > MAX_URI {
        Some(Defect::UriTooLong)
    } else {
        None
    };
    Ok((start, defect))
}

/// The line at `from`: up to CR LF, or to LF alone, which some senders write.
fn next_line(octets: &[u8], from: usize) -> Option<Line> {
    let (mut at, mut bare_cr) = (from, false);
    loop {
        let end = at + find_any(octets.get(at..)?, [b'\r', b'\n'])?;
        if octets[end] == b'\n' {
            return Some(Line {
                start: from,
                end,
                next: end + 1,
                bare_cr,
            });
        }
        if octets.get(end + 1) == Some(&b'\n') {
            return Some(Line {
                start: from,
                end,
                next: end + 2,
                bare_cr,
            });
        }
        bare_cr = true;
        at = end + 1;
    }
}

/// The range without spaces and tabs at both ends.
#[inline]
fn trimmed(octets: &[u8], mut start: usize, end: usize) -> Span {
    let mut text = &octets[start..end];
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
        start += 1;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    span(start, start + text.len())
}

/// A number of digits only.
fn decimal(digits: &[u8]) -> Option<usize> {
    let text = str::from_utf8(digits)
        .ok()
        .filter(|_| digits.iter().all(u8::is_ascii_digit))?;
    text.parse().ok()
}

fn span(start: usize, end: usize) -> Span {
    let narrow =
        |at: usize| u16::try_from(at).expect("invariant: messages are at most MAX_MESSAGE octets");
    Span {
        start: narrow(start),
        end: narrow(end),
    }
}
