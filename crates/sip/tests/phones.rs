//! Messages as real phones send them.

use bytes::Bytes;
use sip::endpoint::Status;
use sip::header::{Contacts, Header, NameAddr};
use sip::message::Writer;
use sip::sdp::{AudioCodec, Direction, Session};
use sip::{Message, Method};

use crate::corpus::{phone, phones};
use crate::offer_answer::narrow_event;

fn message(name: &str) -> Message {
    Message::parse(phone(name).into()).unwrap()
}

fn only_contact(message: &Message) -> NameAddr<'_> {
    match message.contacts().unwrap() {
        Contacts::List(list) if list.len() == 1 => list[0],
        other @ (Contacts::List(_) | Contacts::Star) => panic!("{other:?}"),
    }
}

#[test]
fn every_message_of_a_phone_is_taken() {
    assert_eq!(phones().len(), 12);
    for sample in phones() {
        let message = Message::parse(sample.octets.into())
            .unwrap_or_else(|fault| panic!("{}: {fault}", sample.name));
        assert_eq!(message.validate(), Ok(()), "{}", sample.name);
    }
}

#[test]
fn contacts_of_desk_phones_keep_their_instance() {
    let register = message("yealink-register");
    let contact = only_contact(&register);
    assert_eq!(
        contact.uri.text(),
        "sip:201@192.0.2.21:5060;line=d2c1f3a4b5"
    );
    assert_eq!(
        contact.params.value("+sip.instance"),
        Some("<urn:uuid:00000000-0000-1000-8000-805ec0a1b2c3>")
    );
    assert_eq!(contact.params.value("reg-id"), Some("1"));
    assert_eq!((contact.expires(), register.expires()), (None, Some(3600)));
    let credentials = register.credentials(Header::Authorization).next().unwrap();
    assert_eq!(
        credentials.get("response").unwrap(),
        "ea9a1ffe4ef3dd60ea9a9d1e1b1f7c5a"
    );
    assert_eq!(credentials.get("algorithm").unwrap(), "SHA-256");
    assert_eq!(credentials.get("uri").unwrap(), "sip:192.0.2.10:5060");

    let baresip = message("baresip-register");
    assert_eq!(only_contact(&baresip).expires(), Some(600));
    let linphone = message("linphone-invite");
    assert_eq!(
        only_contact(&linphone).params.value("+org.linphone.specs"),
        Some("conference/2.0,ephemeral/1.1,groupchat/1.2,lime")
    );
    assert_eq!(linphone.to().unwrap().uri.text(), "sip:700@192.0.2.10");
}

#[test]
fn quotes_and_accents_in_names_are_resolved() {
    let invite = message("grandstream-invite");
    assert_eq!(invite.from().unwrap().display().unwrap(), "Desk \"2\" été");
    assert_eq!(invite.other("p-emergency-info").count(), 1);
}

#[test]
fn compact_names_are_their_long_ones() {
    let hold = message("cisco-hold");
    assert_eq!(hold.via().unwrap().branch(), Some("z9hG4bK-3c8d1f"));
    assert_eq!(hold.from().unwrap().tag(), Some("c3ce6a1fd24a9a21o0"));
    assert_eq!(hold.call_id(), Some("8d8ba6c4-8e2a4cb8@192.0.2.26"));
    assert!(hold.tokens(Header::Supported).eq(["replaces"]));
    assert!(hold.content_type().unwrap().is("application", "sdp"));
}

#[test]
fn a_bye_tells_its_reasons() {
    let bye = message("polycom-bye");
    let reasons: Vec<_> = bye
        .reasons()
        .map(|reason| (reason.protocol, reason.cause().unwrap()))
        .collect();
    assert_eq!(reasons, [("Q.850", 16), ("SIP", 200)]);
    assert_eq!(
        bye.reasons().next().unwrap().text().unwrap(),
        "Normal, call clearing"
    );
}

#[test]
fn every_session_description_of_a_phone_comes_to_an_agreement() {
    let agreed = |name: &str, local: &str| {
        let mut session = Session::new(local.parse().unwrap(), 1);
        session
            .answer(&message(name).body(), Direction::SendRecv, None)
            .unwrap()
            .1
    };
    let four = "192.0.2.10:10000";
    let yealink = agreed("yealink-invite", four);
    assert_eq!(
        (yealink.codec, yealink.telephone_event),
        (AudioCodec::Pcma, narrow_event(101))
    );
    let grandstream = agreed("grandstream-invite", four);
    assert_eq!(
        (grandstream.codec, grandstream.remote.port()),
        (AudioCodec::Pcmu, 5004),
        "the plain stream beside SRTP"
    );
    let linphone = agreed("linphone-invite", four);
    assert_eq!(
        (linphone.codec, linphone.telephone_event),
        (AudioCodec::Pcmu, narrow_event(99)),
        "events at 8000 Hz"
    );
    assert_eq!(agreed("sipp-invite", four).telephone_event, None);
    let baresip = agreed("baresip-invite", "[2001:db8::10]:10000");
    assert_eq!(baresip.remote, "[2001:db8::24]:10480".parse().unwrap());
    let hold = agreed("cisco-hold", four);
    assert_eq!(hold.direction, Direction::RecvOnly);
    let mut session = Session::new(four.parse().unwrap(), 1);
    session.offer(Direction::SendRecv, None);
    assert_eq!(
        session.accept(&message("snom-ok").body()).unwrap().remote,
        "192.0.2.25:59316".parse().unwrap()
    );
}

#[test]
fn an_answer_carries_what_the_request_had_and_where_it_came_from() {
    let request = message("yealink-invite");
    let source = "203.0.113.7:61000".parse().unwrap();
    let mut writer = Writer::answer(&request, Status(180), Some("our1"), source);
    writer.address(
        Header::Contact,
        None,
        "sip:ringmaster@192.0.2.10:5060",
        None,
    );
    let answer = writer.finish(None);
    assert_eq!(
        str::from_utf8(&answer).unwrap(),
        "SIP/2.0 180 Ringing\r\n\
         Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1973528340;received=203.0.113.7;rport=61000\r\n\
         From: \"Anna Berg\" <sip:201@192.0.2.10:5060>;tag=1583020571\r\n\
         To: <sip:700@192.0.2.10:5060>;tag=our1\r\n\
         Call-ID: 0_2467108213@192.0.2.21\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:ringmaster@192.0.2.10:5060>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    // A To with a tag keeps it, and a request without rport is told only where it is not what it says (RFC 3261 section 18.2.1).
    let hold = message("cisco-hold");
    let answer = Message::parse(
        Writer::answer(
            &hold,
            Status(200),
            Some("x"),
            "192.0.2.26:5060".parse().unwrap(),
        )
        .finish(None),
    )
    .unwrap();
    assert_eq!(answer.to().unwrap().tag(), Some("9fb1c2"));
    assert_eq!(
        answer.header(Header::Via),
        Some("SIP/2.0/UDP 192.0.2.26:5060;branch=z9hG4bK-3c8d1f")
    );
}

#[test]
fn vias_and_record_routes_are_answered_in_order_and_spoofed_received_is_replaced() {
    let request = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP p2.example.com;received=198.51.100.1;rport;branch=z9hG4bK2, SIP/2.0/UDP p1;branch=z9hG4bK1\r\n\
        v: SIP/2.0/TCP [2001:db8::9];received=192.0.2.1\r\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\r\nRecord-Route: <sip:p0;lr>\r\nTimestamp: 54\r\n\
        From: <sip:c@d>;tag=1\r\nTo: sip:a@b;x=y\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";
    let request = Message::parse(Bytes::from_static(request.as_bytes())).unwrap();
    let source = "[2001:db8::77]:5060".parse().unwrap();
    let answer = |status, tag| {
        Message::parse(Writer::answer(&request, Status(status), tag, source).finish(None)).unwrap()
    };
    let ok = answer(200, Some("t"));
    assert_eq!(
        ok.list(Header::Via).collect::<Vec<_>>(),
        [
            "SIP/2.0/UDP p2.example.com;branch=z9hG4bK2;received=2001:db8::77;rport=5060",
            "SIP/2.0/UDP p1;branch=z9hG4bK1",
            "SIP/2.0/TCP [2001:db8::9];received=192.0.2.1"
        ]
    );
    assert_eq!(ok.list(Header::RecordRoute).count(), 3);
    assert_eq!(ok.to().unwrap().tag(), Some("t"));
    assert_eq!(ok.header(Header::Timestamp), None);
    let trying = answer(100, None);
    assert_eq!(
        (
            trying.header(Header::Timestamp),
            trying.header(Header::RecordRoute)
        ),
        (Some("54"), None)
    );
    assert_eq!(trying.to().unwrap().tag(), None);
    assert_eq!(answer(486, Some("t")).header(Header::RecordRoute), None);
}

#[test]
fn an_ipv4_source_seen_through_an_ipv6_socket_is_written_as_ipv4() {
    let hold = message("cisco-hold");
    let answer = |source: &str| {
        let answer =
            Writer::answer(&hold, Status(200), Some("x"), source.parse().unwrap()).finish(None);
        Message::parse(answer).unwrap().via().unwrap().received()
    };
    assert_eq!(
        answer("[::ffff:192.0.2.26]:5060"),
        None,
        "exactly what sent-by says"
    );
    assert_eq!(
        answer("[::ffff:192.0.2.99]:5060"),
        Some("192.0.2.99".parse().unwrap())
    );
}

#[test]
fn cancel_and_ack_copy_their_invite() {
    let invite = message("yealink-invite");
    let mut writer = Writer::request(Method::Cancel, invite.request_uri().unwrap());
    writer.copy_top_via(&invite);
    for header in [Header::From, Header::To, Header::CallId] {
        writer.copy(&invite, header);
    }
    writer.header(
        Header::CSeq,
        format_args!("{} {}", invite.cseq().unwrap().number, Method::Cancel),
    );
    let cancel = Message::parse(writer.finish(None)).unwrap();
    assert_eq!(cancel.validate(), Ok(()));
    assert_eq!(cancel.via(), invite.via());
    assert_eq!(cancel.from(), invite.from());
}
