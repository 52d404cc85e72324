//! Messages on a stream (RFC 3261 section 18.3): octets in, messages out, the same at any split.

use bytes::{Buf, Bytes, BytesMut};

use crate::message::{BodyLength, Defect, Fault, Head, HeadScan, MAX_MESSAGE, Message};

/// Octets of buffer that an idle connection keeps: most messages fit. One long message must not weigh on each of
/// thousands of connections for ever.
const KEPT_CAPACITY: usize = 4096;

/// What comes out of a stream.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every frame is a message; a box would cost an allocation for each"
)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// A keep-alive: answer with one CR LF (RFC 5626 section 4.4.1).
    Ping,
    /// A whole message with a fault: send its answer, if it has one; the stream goes on.
    Refused(Fault),
    /// The end of this message cannot be found: send the answer of the fault, if it has one, and close the connection
    /// (RFC 3261 section 18.3, RFC 4475 section 3.1.2.3). Nothing more comes out.
    Lost(Fault),
}

/// Cuts a stream of octets into messages.
///
/// It holds at most one message of `MAX_MESSAGE` octets besides what the last `push` brought. A peer that sends half a
/// message and then nothing is for the shell to time out: see `is_incomplete`.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    state: State,
}

#[derive(Debug, Default)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per connection; a box would cost an allocation for each message"
)]
enum State {
    /// Before a message: empty lines are keep-alives.
    #[default]
    Between,
    /// In a header section; so many octets hold no empty line.
    Head { searched: usize },
    /// In a body.
    Body { scan: HeadScan, body: usize },
    /// After a fault that hides where the next message begins.
    Lost,
}

impl Framer {
    /// Takes octets as they came from the connection; afterwards call `poll` until it gives none.
    pub fn push(&mut self, octets: &[u8]) {
        match self.state {
            State::Between | State::Head { .. } | State::Body { .. } => {
                self.buffer.extend_from_slice(octets)
            }
            State::Lost => {}
        }
    }

    /// Whether a message has begun that has not ended: time the peer out when this lasts.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match self.state {
            State::Between | State::Lost => false,
            State::Head { .. } | State::Body { .. } => true,
        }
    }

    /// The next frame, if it is complete.
    pub fn poll(&mut self) -> Option<Frame> {
        loop {
            match std::mem::replace(&mut self.state, State::Lost) {
                State::Between => match self.between()? {
                    Between::Ping => return Some(Frame::Ping),
                    Between::Message => self.state = State::Head { searched: 0 },
                },
                State::Head { searched } => {
                    if let Err(fault) = self.head(searched)? {
                        self.buffer = BytesMut::new();
                        return Some(Frame::Lost(fault));
                    }
                }
                State::Body { scan, body } => return self.body(scan, body),
                State::Lost => return None,
            }
        }
    }

    /// Before a message.
    fn between(&mut self) -> Option<Between> {
        self.state = State::Between;
        loop {
            match &self.buffer[..] {
                // RFC 5626 section 3.5.1: two line ends are a ping, one is a pong, which we never asked for.
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    return Some(Between::Ping);
                }
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
                [b'\r', b'\n', ..] => self.buffer.advance(2),
                // RFC 3261 section 7.5: empty lines before a start line are ignored; some senders end them with LF alone.
                [b'\n', ..] => self.buffer.advance(1),
                [_, ..] => return Some(Between::Message),
            }
        }
    }

    /// In a header section.
    fn head(&mut self, searched: usize) -> Option<Result<(), Fault>> {
        let Some(end) = head_end(&self.buffer, searched) else {
            if self.buffer.len() > MAX_MESSAGE {
                return Some(Err(self.too_long()));
            }
            self.state = State::Head {
                searched: self.buffer.len(),
            };
            return None;
        };
        if end > MAX_MESSAGE {
            return Some(Err(self.too_long()));
        }
        let scan = match Head::scan(&self.buffer[..end]) {
            Ok(scan) => scan,
            Err(defect) => return Some(Err(Fault::unanswerable(defect))),
        };
        let lost = match scan.head.body_length() {
            BodyLength::Stated(body) if body <= MAX_MESSAGE - end => {
                self.state = State::Body { scan, body };
                return Some(Ok(()));
            }
            BodyLength::Stated(_) => Defect::MessageTooLong,
            BodyLength::Missing => Defect::NoContentLength,
            BodyLength::Unknown(defect) => defect,
        };
        Some(Err(self.lost(end, scan, lost)))
    }

    /// In a body.
    fn body(&mut self, scan: HeadScan, body: usize) -> Option<Frame> {
        let total = scan.head.len() + body;
        if self.buffer.len() < total {
            self.state = State::Body { scan, body };
            return None;
        }
        self.state = State::Between;
        let octets = self.take(total);
        let HeadScan { head, defect, .. } = scan;
        let message = head.into_message(octets, body);
        Some(match defect {
            None => Frame::Message(message),
            Some(defect) => Frame::Refused(Fault::new(defect, message)),
        })
    }

    /// Cuts octets off the front. A copy, so that a message that is kept for the life of a dialog holds its own octets and
    /// not the whole buffer, and the buffer is used again.
    fn take(&mut self, len: usize) -> Bytes {
        let octets = Bytes::copy_from_slice(&self.buffer[..len]);
        self.buffer.advance(len);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = BytesMut::new();
        }
        octets
    }

    /// A header section without end: the request may still be known by what came.
    fn too_long(&mut self) -> Fault {
        self.buffer.truncate(MAX_MESSAGE);
        match Head::scan(&self.buffer) {
            Ok(scan) => self.lost(MAX_MESSAGE, scan, Defect::MessageTooLong),
            Err(defect) => Fault::unanswerable(defect),
        }
    }

    /// The fault of a message whose end is unknown, with its header section for the answer.
    fn lost(&mut self, end: usize, scan: HeadScan, defect: Defect) -> Fault {
        let octets = self.take(end);
        Fault::new(defect, scan.head.into_message(octets, 0))
    }
}

/// What stands before a message.
enum Between {
    Ping,
    Message,
}

/// The end of the header section: after its empty line. `searched` octets were looked at before.
fn head_end(octets: &[u8], searched: usize) -> Option<usize> {
    // The empty line may have begun in what was looked at: CR LF CR is three octets.
    let mut at = searched.saturating_sub(3);
    loop {
        let line_end = at + memchr::memchr(b'\n', &octets[at..])?;
        match &octets[line_end + 1..] {
            [b'\r', b'\n', ..] => return Some(line_end + 3),
            [b'\n', ..] => return Some(line_end + 2),
            _ => at = line_end + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

    /// A short name of each frame, the same for each split.
    fn frames(stream: &[u8], size: usize) -> Vec<String> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for part in stream.chunks(size) {
            framer.push(part);
            while let Some(frame) = framer.poll() {
                found.push(match frame {
                    Frame::Message(message) => {
                        format!("{:?} {:?}", message.method(), message.body())
                    }
                    Frame::Ping => "ping".to_owned(),
                    Frame::Refused(fault) => {
                        format!("refused {:?} {}", fault.defect, fault.request.is_some())
                    }
                    Frame::Lost(fault) => {
                        format!("lost {:?} {}", fault.defect, fault.request.is_some())
                    }
                });
            }
        }
        found
    }

    fn at_every_split(stream: &[u8]) -> Vec<String> {
        let whole = frames(stream, stream.len());
        for size in 1..stream.len() {
            assert_eq!(frames(stream, size), whole, "in parts of {size} octets");
        }
        whole
    }

    #[test]
    fn messages_and_pings_come_out_at_any_split() {
        let stream = format!(
            "\r\n\r\n{OPTIONS}Content-Length: 3\r\n\r\na\r\n\r\n{OPTIONS}l: 0\r\n\r\n\r\n\r\n\n\r\n{OPTIONS}L:1\n\nb"
        );
        assert_eq!(
            at_every_split(stream.as_bytes()),
            [
                "ping",
                "Some(Options) b\"a\\r\\n\"",
                "Some(Options) b\"\"",
                "ping",
                "Some(Options) b\"b\""
            ]
        );
    }

    #[test]
    fn a_message_without_content_length_loses_the_stream() {
        let stream = format!("{OPTIONS}\r\n{OPTIONS}l: 0\r\n\r\n");
        assert_eq!(
            at_every_split(stream.as_bytes()),
            ["lost NoContentLength true"]
        );
    }

    #[test]
    fn two_lengths_lose_the_stream() {
        let stream = format!("{OPTIONS}l: 0\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(
            at_every_split(stream.as_bytes()),
            ["lost ContentLength true"]
        );
    }

    #[test]
    fn a_fault_inside_a_message_leaves_the_stream_whole() {
        let stream = format!("{OPTIONS}no colon\r\nl: 1\r\n\r\na{OPTIONS}l: 0\r\n\r\n");
        assert_eq!(
            at_every_split(stream.as_bytes()),
            ["refused HeaderLine true", "Some(Options) b\"\""]
        );
    }

    #[test]
    fn octets_that_are_no_sip_lose_the_stream_without_an_answer() {
        assert_eq!(
            at_every_split(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ["lost NotSip false"]
        );
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_before_it_is_held() {
        let stated = format!("{OPTIONS}l: 99999999\r\n\r\n");
        assert_eq!(frames(stated.as_bytes(), 100), ["lost MessageTooLong true"]);
        let endless = format!("{OPTIONS}X: {}", "a".repeat(2 * MAX_MESSAGE));
        assert_eq!(
            frames(endless.as_bytes(), 1000),
            ["lost MessageTooLong true"]
        );
        assert_eq!(
            frames(endless.as_bytes(), endless.len()),
            ["lost MessageTooLong true"]
        );
    }

    #[test]
    fn an_idle_connection_keeps_no_large_buffer() {
        let mut framer = Framer::default();
        framer.push(format!("{OPTIONS}l: 60000\r\n\r\n{}", "a".repeat(60_000)).as_bytes());
        assert!(matches!(framer.poll(), Some(Frame::Message(_))));
        assert!(framer.buffer.capacity() <= KEPT_CAPACITY);
    }

    #[test]
    fn half_a_message_is_incomplete_and_a_lone_line_end_is_not() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert!(framer.poll().is_none() && !framer.is_incomplete());
        framer.push(b"OPT");
        assert!(framer.poll().is_none() && framer.is_incomplete());
    }
}
