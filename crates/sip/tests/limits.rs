//! What parsing costs, and where it stops.

use std::hint::black_box;

use bytes::Bytes;
use sip::Message;
use sip::endpoint::Status;
use sip::header::Header;
use sip::message::{Defect, MAX_HEADER_LINE, MAX_HEADERS, MAX_MESSAGE, Writer};
use sip::uri::MAX_URI;

use crate::corpus::phone;

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

fn parse(text: impl Into<String>) -> Result<Message, Defect> {
    Message::parse(Bytes::from(text.into())).map_err(|fault| fault.defect)
}

#[test]
fn an_invite_of_a_desk_phone_is_parsed_and_checked_without_allocation() {
    let octets = Bytes::from(phone("grandstream-invite"));
    assert_eq!(
        Message::parse(octets.clone()).unwrap().headers().count(),
        17
    );
    let info = allocation_counter::measure(|| {
        let message = Message::parse(octets.clone()).unwrap();
        assert_eq!(message.validate(), Ok(()));
        black_box((
            message.via(),
            message.from(),
            message.to(),
            message.cseq(),
            message.contact(),
            message.uri(),
        ));
        black_box(message.body());
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn what_exceeds_a_limit_gets_its_status() {
    let status = |text: String| parse(text).unwrap_err().status().0;
    let lines = |count: usize| format!("{OPTIONS}{}\r\n", "X: y\r\n".repeat(count));
    assert!(parse(lines(MAX_HEADERS - 5)).is_ok());
    assert_eq!(status(lines(MAX_HEADERS - 4)), 513);
    assert_eq!(
        status(format!(
            "{OPTIONS}X: {}\r\n\r\n",
            "y".repeat(MAX_HEADER_LINE)
        )),
        513
    );
    assert_eq!(
        status(format!(
            "{OPTIONS}X: {}\r\n\r\n",
            "y\r\n ".repeat(MAX_HEADER_LINE / 4 + 1)
        )),
        513
    );
    assert_eq!(
        status(OPTIONS.replace("a@b", &format!("{}@b", "a".repeat(MAX_URI))) + "\r\n"),
        414
    );
    assert_eq!(
        status(format!("{OPTIONS}\r\n{}", "a".repeat(MAX_MESSAGE))),
        513
    );
    assert!(
        parse(format!(
            "{OPTIONS}\r\n{}",
            "a".repeat(MAX_MESSAGE - OPTIONS.len() - 2)
        ))
        .is_ok()
    );
}

#[test]
fn an_answer_to_what_may_be_read_can_be_read() {
    let source = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
        .parse()
        .unwrap();
    let readable = |text: String| {
        let request = parse(text).unwrap();
        let tag = request.stateless_tag();
        let mut writer = Writer::answer(&request, Status(401), Some(tag.as_str()), source);
        for _ in 0..2 {
            writer.header(Header::WwwAuthenticate, "Digest realm=\"ringmaster\"");
        }
        writer.header(Header::Server, "Ringmaster");
        let answer = Message::parse(writer.finish(None)).map_err(|fault| fault.defect);
        answer.map(|answer| answer.vias().count()) == Ok(request.vias().count())
    };
    let via = "Via: SIP/2.0/UDP c;rport;branch=z9hG4bK";
    let longest = MAX_HEADER_LINE - via.len();
    assert!(readable(
        OPTIONS.replace(
            "Via: SIP/2.0/UDP c;branch=z9hG4bK1",
            &format!("{via}{}", "1".repeat(longest))
        ) + "\r\n"
    ));
    let to = format!("To: <sip:{}@b>", "a".repeat(2_000));
    let to = format!("{to};x={}", "y".repeat(MAX_HEADER_LINE - to.len() - 3));
    assert!(readable(OPTIONS.replace("To: <sip:a@b>", &to) + "\r\n"));
    let lines = format!("{via}2\r\n").repeat(MAX_HEADERS - 5);
    assert!(readable(format!("{OPTIONS}{lines}\r\n")));
    // Many in a line stay in it.
    let many = vec!["SIP/2.0/UDP c"; 500].join(", ");
    assert!(readable(format!("{OPTIONS}Via: {many}\r\n\r\n")));
    // An answer that could be longer than a message is none.
    let repeated = format!("Via: {}\r\n", "x".repeat(8_000)).repeat(5);
    let fault = Message::parse(Bytes::from(format!("{OPTIONS}{repeated}\r\n"))).unwrap_err();
    assert_eq!(fault.defect, Defect::MessageTooLong);
    assert!(fault.answers(source).next().is_none());
}

#[test]
fn a_message_beyond_the_inline_index_is_read_all_the_same() {
    let message = parse(format!(
        "{OPTIONS}{}Contact: <sip:late@c>\r\n\r\n",
        "Pad: y\r\n".repeat(40)
    ))
    .unwrap();
    assert_eq!(message.other("pad").count(), 40);
    assert_eq!(message.header(Header::Contact), Some("<sip:late@c>"));
}

#[test]
fn line_ends_may_be_lf_alone_but_not_cr_alone() {
    let message = parse(OPTIONS.replace("\r\n", "\n") + "l: 1\n\nab").unwrap();
    assert_eq!(message.body(), "a");
    assert_eq!(message.validate(), Ok(()));
    let fault = Message::parse(Bytes::from(format!("{OPTIONS}X: a\rEvil: b\r\n\r\n"))).unwrap_err();
    assert_eq!(fault.defect, Defect::HeaderLine);
    assert_eq!(
        fault.request.unwrap().header(Header::Via),
        Some("SIP/2.0/UDP c;branch=z9hG4bK1")
    );
}

#[test]
fn octets_that_are_no_utf_8_cost_only_themselves() {
    let mut octets = OPTIONS
        .replace("<sip:c@d>", "\"Ren\u{e9}\" <sip:c@d>")
        .into_bytes();
    let accent = octets.iter().position(|octet| *octet == 0xc3).unwrap();
    octets.remove(accent);
    octets.extend_from_slice(b"\r\n\xff\xfe");
    let message = Message::parse(octets.into()).unwrap();
    assert_eq!(message.from().unwrap().display().unwrap(), "Ren?");
    assert_eq!(
        message.body(),
        &b"\xff\xfe"[..],
        "the body stays as it came"
    );
}

#[test]
fn keep_alives_and_other_protocols_are_no_sip() {
    for octets in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"INVITE",
        b"INVITE sip:a@b\r\n\r\n",
    ] {
        let fault = Message::parse(Bytes::from_static(octets)).unwrap_err();
        assert_eq!(fault.defect, Defect::NotSip, "{octets:?}");
        assert!(
            fault
                .answers("192.0.2.1:5060".parse().unwrap())
                .next()
                .is_none()
        );
    }
}

#[test]
fn an_ack_is_never_answered() {
    let fault = Message::parse(Bytes::from(
        OPTIONS.replace("OPTIONS", "ACK") + "bad line\r\n\r\n",
    ))
    .unwrap_err();
    assert!(
        fault
            .answers("192.0.2.1:5060".parse().unwrap())
            .next()
            .is_none()
    );
}

#[test]
fn answers_without_state_repeat_themselves() {
    let answer = || {
        let fault = Message::parse(Bytes::from(format!("{OPTIONS}bad line\r\n\r\n"))).unwrap_err();
        fault
            .answers("192.0.2.1:5060".parse().unwrap())
            .next()
            .unwrap()
    };
    assert_eq!(answer(), answer());
    let text = String::from_utf8(answer().to_vec()).unwrap();
    assert!(
        text.starts_with(
            "SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1;received=192.0.2.1\r\n"
        ),
        "{text}"
    );
    assert!(text.contains("\r\nTo: <sip:a@b>;tag="), "{text}");
}
