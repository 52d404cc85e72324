//! Messages and what they are made of.

use bytes::Bytes;
use sip::endpoint::Status;
use sip::header::{
    CSeq, Contacts, Credentials, MediaType, NameAddr, Params, ReasonValue, Via, items,
};
use sip::message::Writer;
use sip::{Frame, Framer, Header, Message, Uri};

/// Where messages come from here.
const SOURCE: &str = "[2001:db8::1]:40000";

/// A datagram: read it, and answer what asks for an answer; the answer can be read again and repeats what it must
/// (RFC 3261 section 8.2.6.2).
pub(super) fn datagram(octets: &[u8]) {
    let source = SOURCE.parse().expect("an address");
    match Message::parse(Bytes::copy_from_slice(octets)) {
        Ok(message) => {
            read(&message);
            if message.is_request() {
                let answer =
                    Writer::answer(&message, Status(200), Some("tag"), source).finish(None);
                let answer = Message::parse(answer).expect("an answer can be read");
                if message.validate().is_ok() {
                    assert_eq!(answer.from(), message.from());
                    assert_eq!(answer.cseq(), message.cseq());
                    assert_eq!(answer.vias().count(), message.vias().count());
                    assert!(answer.to().is_some_and(|to| to.tag().is_some()));
                }
            }
        }
        Err(fault) => {
            if let Some(request) = &fault.request {
                read(request);
                let answer = fault.answers(source).next().expect("a request is answered");
                let answer = Message::parse(answer).expect("an answer can be read");
                assert_eq!(answer.status(), Some(fault.defect.status()));
            }
        }
    }
}

/// Reads everything that can be read.
fn read(message: &Message) {
    let _ = message.validate();
    let _ = (
        message.uri(),
        message.via(),
        message.cseq(),
        message.contacts(),
    );
    let _ = (
        message.expires(),
        message.retry_after(),
        message.max_forwards(),
    );
    let _ = (
        message.accepts("application", "sdp"),
        message.content_type(),
    );
    let _ = (message.routes().count(), message.record_routes().count());
    let addresses = [message.from(), message.to(), message.contact()];
    for address in addresses.into_iter().flatten() {
        touch(&address);
    }
    for credentials in message.credentials(Header::Authorization) {
        let _ = (credentials.is_digest(), credentials.get("nonce"));
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

fn touch(address: &NameAddr<'_>) {
    let _ = (
        address.display(),
        address.tag(),
        address.q(),
        address.expires(),
    );
    let _ = address.uri.user();
    assert!(address.uri.equivalent(&address.uri));
}

/// A stream: the first octet says into how many parts it is cut, the next ones where. It gives the same at any split, and
/// octet by octet.
pub(super) fn stream(octets: &[u8]) {
    let Some((cuts, rest)) = octets.split_first() else {
        return;
    };
    let (places, stream) = rest.split_at(rest.len().min(usize::from(cuts % 8)));
    let mut cuts: Vec<usize> = places
        .iter()
        .map(|place| usize::from(*place) * (stream.len() + 1) / 256)
        .collect();
    cuts.sort_unstable();
    let whole = frames(stream, &[]);
    assert_eq!(frames(stream, &cuts), whole);
    assert_eq!(
        frames(stream, &(1..stream.len()).collect::<Vec<_>>()),
        whole
    );
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

/// A message that is read, written anew from what was read, and read again is the same.
pub(super) fn round_trip(octets: &[u8]) {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(octets)) else {
        return;
    };
    if message.validate().is_err() {
        // What nobody acts on may hold what the writer does not write.
        return;
    }
    let mut writer = match (message.method(), message.status()) {
        (Some(method), _) => Writer::request(method, message.request_uri().unwrap_or_default()),
        (None, Some(status)) => {
            Writer::response(status, message.reason_phrase().unwrap_or_default())
        }
        (None, None) => unreachable!("a message is one or the other"),
    };
    // `finish` writes the last two by itself; the names of unknown fields are not the writer's to choose.
    let ours = |header: Header| {
        !matches!(
            header,
            Header::ContentType | Header::ContentLength | Header::Other
        )
    };
    for (header, _, value) in message.headers().filter(|(header, ..)| ours(*header)) {
        writer.header(header, value);
    }
    let again = writer.finish(Some(("application/octet-stream", &message.body())));
    let again = Message::parse(again).expect("what was written can be read");
    assert_eq!(again.method(), message.method());
    assert_eq!(again.status(), message.status());
    assert_eq!(again.request_uri(), message.request_uri());
    assert_eq!(again.body(), message.body());
    let values = |message: &Message| -> Vec<(Header, String)> {
        let kept = message.headers().filter(|(header, ..)| ours(*header));
        kept.map(|(header, _, value)| (header, value.to_owned()))
            .collect()
    };
    assert_eq!(values(&again), values(&message));
}

/// A URI is read without harm, keeps its text and is equivalent to itself.
pub(super) fn uri(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else {
        return;
    };
    if let Ok(uri) = Uri::parse(text) {
        assert_eq!(uri.text(), text);
        assert!(uri.equivalent(&uri));
        if let Some(user) = uri.user().filter(|user| !user.is_empty()) {
            let escaped = format!("sip:{}@h", sip::uri::escape_user(&user));
            let again = Uri::parse(&escaped).expect("an escaped user can be read");
            assert_eq!(again.user(), Some(user));
        }
        if let Some(sip) = uri.sip() {
            let _ = (
                sip.text(),
                sip.param("transport"),
                sip.is_loose_router(),
                sip.host.ip(),
            );
        }
    }
}

/// The values that route, match and authenticate, each read as each kind.
pub(super) fn headers(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else {
        return;
    };
    if let Ok(via) = Via::parse(text) {
        let _ = (via.branch(), via.received(), via.rport(), via.asks_rport());
        let _ = via.response_address(SOURCE.parse().expect("an address"));
    }
    for item in items(text) {
        if let Ok(address) = NameAddr::parse(item) {
            touch(&address);
        }
    }
    if let Ok(credentials) = Credentials::parse(text) {
        for name in ["username", "realm", "nonce", "uri", "response", "nc", "qop"] {
            assert_eq!(
                credentials.get(name).is_some(),
                credentials.raw(name).is_some()
            );
        }
    }
    if let Ok(params) = Params::parse(text) {
        for param in params.iter() {
            assert!(params.get(param.name).is_some());
        }
    }
    if let Ok(cseq) = CSeq::parse(text) {
        assert!(text.contains(cseq.method.as_str()));
    }
    if let Ok(kind) = MediaType::parse(text) {
        let _ = kind.accepts("application", "sdp");
    }
    if let Ok(reason) = ReasonValue::parse(text) {
        let _ = (reason.cause(), reason.text());
    }
    // As a message has it: Contact is read as a list, with its star.
    let lines = text.replace(['\r', '\n'], " ");
    let message = format!("REGISTER sip:a SIP/2.0\r\nContact: {lines}\r\n\r\n");
    if let Ok(message) = Message::parse(message.into())
        && let Ok(Contacts::List(list)) = message.contacts()
    {
        list.iter().for_each(touch);
    }
}
