//! Properties that hold for any input.

use bytes::Bytes;
use proptest::prelude::*;
use sip::endpoint::Status;
use sip::header::{Contacts, Header};
use sip::message::Writer;
use sip::sdp::{Direction, Session};
use sip::{Frame, Framer, Message, Method, Uri};

use crate::corpus::{phones, rfc};

/// Every sample, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    let samples = [rfc("rfc4475"), rfc("rfc5118"), phones()].concat();
    samples.into_iter().map(|sample| sample.octets).collect()
}

/// A sample with some octets replaced, removed and doubled.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let samples = samples();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 0..6);
    (0..samples.len(), edits).prop_map(move |(sample, edits)| {
        let mut octets = samples[sample].clone();
        for (place, edit, octet) in edits {
            let at = place.index(octets.len());
            match edit {
                0 => octets[at] = octet,
                1 => drop(octets.remove(at)),
                2 => octets.insert(at, octet),
                _ => octets.insert(
                    at,
                    *b"\r\n ;,<>\"@:%=".get(usize::from(octet) % 12).unwrap(),
                ),
            }
        }
        octets
    })
}

/// Reads everything that can be read.
fn read_all(message: &Message) {
    let _ = message.validate();
    let _ = (
        message.uri(),
        message.via(),
        message.cseq(),
        message.contacts(),
        message.expires(),
        message.retry_after(),
    );
    let _ = (
        message.accepts("application", "sdp"),
        message.content_type(),
        message.max_forwards(),
        message.reason_phrase(),
    );
    for address in [message.from(), message.to(), message.contact()]
        .into_iter()
        .flatten()
    {
        let _ = (
            address.display(),
            address.tag(),
            address.q(),
            address.expires(),
            address.uri.user(),
        );
        assert!(address.uri.equivalent(&address.uri));
    }
    for credentials in message.credentials(Header::Authorization) {
        let _ = credentials.get("nonce");
    }
    for reason in message.reasons() {
        let _ = (reason.cause(), reason.text());
    }
    for (_, name, value) in message.headers() {
        assert!(
            !name.is_empty() && !value.contains(['\r', '\n']),
            "{name}: {value}"
        );
    }
}

/// Parses octets as a datagram and, if they are a request, writes an answer that must be well-formed.
fn parse_and_answer(octets: Vec<u8>) {
    let source = "[2001:db8::1]:40000".parse().unwrap();
    match Message::parse(octets.into()) {
        Ok(message) => {
            read_all(&message);
            if message.is_request() {
                let answer =
                    Writer::answer(&message, Status(200), Some("tag"), source).finish(None);
                let answer = Message::parse(answer).expect("an answer can be read");
                if message.validate().is_ok() {
                    assert_eq!(answer.from(), message.from());
                    assert_eq!(answer.cseq(), message.cseq());
                    assert_eq!(answer.vias().count(), message.vias().count());
                    assert!(answer.to().unwrap().tag().is_some());
                }
            }
        }
        Err(fault) => {
            if let Some(request) = &fault.request {
                read_all(request);
                let answer = fault.answers(source).next().expect("a request is answered");
                assert_eq!(
                    Message::parse(answer)
                        .expect("an answer can be read")
                        .status(),
                    Some(fault.defect.status())
                );
            }
        }
    }
}

/// What comes out of a stream, as text.
fn frames(stream: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        framer.push(&stream[from..cut]);
        from = cut;
        while let Some(frame) = framer.poll() {
            found.push(match frame {
                Frame::Message(message) => format!("{:?}", message.octets()),
                Frame::Ping => "ping".to_owned(),
                Frame::Refused(fault) => format!("refused {:?}", fault.defect),
                Frame::Lost(fault) => {
                    format!("lost {:?} {}", fault.defect, fault.request.is_some())
                }
            });
        }
    }
    found.push(format!("incomplete {}", framer.is_incomplete()));
    found
}

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,12}"
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![Just("INVITE".to_owned()), Just("BYE".to_owned()), token()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_read_without_harm(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        parse_and_answer(octets);
    }

    #[test]
    fn damaged_messages_are_read_without_harm(octets in damaged()) {
        parse_and_answer(octets);
    }

    #[test]
    fn what_was_written_is_read_again(
        (method, user, host) in (method(), "[^\\r\\n]{1,20}", "[a-z][a-z0-9.-]{0,12}"),
        (display, tag, call_id) in (prop::option::of("[^\\r\\n]{1,20}"), token(), token()),
        (number, branch, body) in (any::<u32>(), token(), prop::option::of(prop::collection::vec(any::<u8>(), 0..200))),
    ) {
        let uri = format!("sip:{}@{host}", sip::uri::escape_user(&user));
        let mut writer = Writer::request(Method::parse(&method).unwrap(), &uri);
        writer.header(Header::Via, format_args!("SIP/2.0/UDP {host}:5062;branch={branch};rport"));
        writer.address(Header::From, display.as_deref(), &uri, Some(&tag));
        writer.address(Header::To, None, &uri, None);
        writer.address(Header::Contact, display.as_deref(), &uri, None);
        writer.header(Header::CallId, &call_id);
        writer.header(Header::CSeq, format_args!("{number} {method}"));
        writer.header(Header::MaxForwards, 70);
        let octets = writer.finish(body.as_deref().map(|body| ("application/octet-stream", body)));
        let message = Message::parse(octets).unwrap();
        prop_assert_eq!(message.validate(), Ok(()));
        prop_assert_eq!(message.method().unwrap().as_str(), &method);
        prop_assert_eq!(message.request_uri(), Some(uri.as_str()));
        prop_assert_eq!(message.uri().unwrap().user().unwrap(), user);
        prop_assert_eq!(message.via().unwrap().branch(), Some(branch.as_str()));
        let from = message.from().unwrap();
        let shown = from.display();
        prop_assert_eq!(shown.as_deref(), display.as_deref());
        prop_assert_eq!(from.tag(), Some(tag.as_str()));
        prop_assert_eq!(message.call_id(), Some(call_id.as_str()));
        prop_assert_eq!(message.cseq().unwrap().number, number);
        prop_assert_eq!(message.max_forwards(), Some(70));
        let alone = matches!(message.contacts(), Ok(Contacts::List(list)) if list.len() == 1);
        prop_assert!(alone);
        prop_assert_eq!(message.body(), Bytes::from(body.unwrap_or_default()));
    }

    #[test]
    fn no_value_breaks_out_of_its_line(text in "[\\x00-\\x7f]{0,40}", tag in "[\\x00-\\x7f]{0,10}") {
        let mut writer = Writer::request(Method::Options, &text);
        writer.header(Header::Subject, &text);
        writer.address(Header::From, Some(&text), &text, Some(&tag));
        writer.header(Header::Via, "SIP/2.0/UDP a");
        let octets = writer.finish(Some((&text, b"")));
        let text = str::from_utf8(&octets).unwrap();
        prop_assert_eq!(text.matches('\n').count(), 7);
        prop_assert_eq!(text.matches('\r').count(), 7);
        prop_assert!(text.ends_with("\r\n\r\n"));
        let written = text.split("\r\n").map(|line| line.split([' ', ':']).next().unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(written, ["OPTIONS", "Subject", "From", "Via", "Content-Type", "Content-Length", "", ""]);
    }

    #[test]
    fn a_stream_gives_the_same_at_any_split(
        parts in prop::collection::vec(prop_oneof![4 => damaged(), 1 => Just(b"\r\n".to_vec()), 1 => Just(b"\r\n\r\n".to_vec())], 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let stream = parts.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(frames(&stream, &cuts), frames(&stream, &[]));
    }

    #[test]
    fn a_message_with_its_length_is_the_same_in_a_datagram_and_on_a_stream(octets in damaged()) {
        let mut framer = Framer::default();
        framer.push(&octets);
        if let Some(Frame::Message(framed)) = framer.poll() {
            let message = Message::parse(octets.into()).unwrap();
            prop_assert!(message.headers().eq(framed.headers()));
            prop_assert_eq!(message.body(), framed.body());
        }
    }

    #[test]
    fn any_uri_is_read_without_harm(text in "(sip|sips|tel|x):[ -~]{0,40}") {
        if let Ok(uri) = Uri::parse(&text) {
            let _ = uri.user();
            prop_assert!(uri.equivalent(&uri));
            prop_assert_eq!(uri.text(), &text);
        }
    }

    #[test]
    fn any_session_description_is_read_without_harm(octets in damaged(), lines in prop::collection::vec("[a-z]=[ -~]{0,40}", 0..12)) {
        let start = octets.windows(4).position(|part| part == b"v=0\r").unwrap_or(octets.len());
        let odd = format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\n{}", lines.join("\r\n"));
        for description in [&octets[start..], odd.as_bytes()] {
            let mut session = Session::new("192.0.2.1:10000".parse().unwrap(), u64::MAX);
            session.offer(Direction::SendRecv, None);
            let _ = session.accept(description);
            if let Ok((answer, agreed)) = session.answer(description, Direction::SendRecv, None) {
                // A peer that offered one stream takes what we say, from its side.
                let mut peer = Session::new("192.0.2.2:10002".parse().unwrap(), 1);
                peer.offer(Direction::SendRecv, None);
                let answer_text = str::from_utf8(&answer).unwrap();
                if answer_text.find("m=audio 10000 ") == answer_text.find("m=") {
                    prop_assert_eq!(peer.accept(&answer).unwrap().direction, agreed.direction.mirrored());
                }
            }
        }
    }
}
