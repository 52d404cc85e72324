//! MESSAGE between phones (RFC 3428), and who sees who wrote or called (RFC 3323, RFC 3325).

use std::time::Duration;

use sip::endpoint::{Account, Outgoing};
use sip::header::Header;
use sip::{Event, Message};

use crate::bench::{Bench, describe, describe_all, tcp, udp};
use crate::phone::{Phone, SDP, SWITCH, value};

/// A phone of this account at a place of its own, registered.
fn at(bench: &mut Bench, user: &str, place: &str) -> Phone {
    let mut phone = Phone::at(user, udp(place));
    phone.call_id = format!("{user}-{place}");
    phone.register(bench);
    bench.take_events();
    phone
}

fn write(
    bench: &mut Bench,
    phone: &mut Phone,
    whom: &str,
    lines: &[String],
    body: &str,
) -> Vec<Message> {
    let uri = format!("sip:{whom}@{SWITCH}");
    let mut all = vec!["Content-Type: text/plain;charset=utf-8".to_owned()];
    all.extend_from_slice(lines);
    phone.authorized(bench, "MESSAGE", &uri, &format!("<{uri}>"), &all, body)
}

#[test]
fn a_message_goes_to_every_phone_of_an_account_and_the_first_to_take_it_answers() {
    let mut bench = Bench::new();
    let mut alice = Phone::new("201");
    let bobs = ["127.0.0.9:7001", "127.0.0.9:7002"].map(|place| at(&mut bench, "202", place));
    let lines = [
        "Subject: lunch".to_owned(),
        "Content-Language: de".to_owned(),
    ];
    let copies = write(&mut bench, &mut alice, "202", &lines, "Mahlzeit \u{e4}\r\n");
    assert_eq!(describe_all(&copies), "MESSAGE, MESSAGE");
    for copy in &copies {
        assert_eq!(copy.body(), "Mahlzeit \u{e4}\r\n");
        assert_eq!(value(copy, Header::ContentType), "text/plain;charset=utf-8");
        assert_eq!(value(copy, Header::Subject), "lunch");
        assert_eq!(value(copy, Header::ContentLanguage), "de");
        assert_eq!(copy.header(Header::Contact), None, "RFC 3428 section 4");
        assert_eq!(copy.header(Header::Authorization), None);
        let from = copy.from().unwrap();
        assert_eq!(from.uri.text(), "sip:201@127.0.0.1");
        assert_eq!(from.display().unwrap(), "Phone 201");
    }
    // The freshest binding first.
    let refusal = bobs[1].respond(&copies[0], "486 Busy Here", "b", &[], "");
    bobs[1].send(&mut bench, &refusal);
    assert_eq!(
        describe_all(&bench.take_sent()),
        "",
        "the other may still take it"
    );
    let taken = bobs[0].respond(&copies[1], "202 Accepted", "a", &[], "");
    bobs[0].send(&mut bench, &taken);
    assert_eq!(describe(&bench.only()), "202 Accepted (MESSAGE)");
    bench.advance(Duration::from_secs(60));
    assert_eq!(describe_all(&bench.take_sent()), "");
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn a_message_that_cannot_be_delivered_gets_its_status() {
    let mut bench = Bench::new();
    let mut alice = Phone::new("201");
    let at_limit = "x".repeat(1300);
    let too_large = "x".repeat(1301);
    for (whom, line, body, answer) in [
        ("299", "X: y", "hi", "404 Not Found (MESSAGE)"),
        ("202", "X: y", "hi", "480 Temporarily Unavailable (MESSAGE)"),
        (
            "202",
            "X: y",
            &at_limit,
            "480 Temporarily Unavailable (MESSAGE)",
        ),
        (
            "202",
            "X: y",
            &too_large,
            "413 Request Entity Too Large (MESSAGE)",
        ),
    ] {
        let sent = write(&mut bench, &mut alice, whom, &[line.to_owned()], body);
        assert_eq!(describe_all(&sent), answer);
    }
    let bob = at(&mut bench, "202", "127.0.0.9:7001");
    for (status, passed) in [
        ("486 Busy Here", "486 Busy Here (MESSAGE)"),
        ("415 What", "415 Unsupported Media Type (MESSAGE)"),
        ("401 Who", "480 Temporarily Unavailable (MESSAGE)"),
        ("503 Full", "480 Temporarily Unavailable (MESSAGE)"),
        ("603 No", "603 Decline (MESSAGE)"),
    ] {
        let copies = write(&mut bench, &mut alice, "202", &[], "hi");
        let refusal = bob.respond(&copies[0], status, "b", &[], "");
        bob.send(&mut bench, &refusal);
        assert_eq!(describe(&bench.only()), passed);
    }
    // Nobody answers: neither do we (RFC 4320 section 4.2), and nothing is left behind.
    bench.advance(Duration::from_secs(60));
    let copies = write(&mut bench, &mut alice, "202", &[], "hi");
    assert_eq!(describe_all(&copies), "MESSAGE");
    bench.advance(Duration::from_secs(60));
    assert!(
        bench
            .take_sent()
            .iter()
            .all(|message| describe(message) == "MESSAGE")
    );
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn who_writes_to_phones_that_are_off_leaves_room_for_others() {
    let mut bench = Bench::new();
    at(&mut bench, "202", "127.0.0.9:7001");
    let (mut alice, mut carol) = (Phone::new("201"), Phone::new("203"));
    for _ in 0..16 {
        let sent = write(&mut bench, &mut alice, "202", &[], "hi");
        assert_eq!(describe_all(&sent), "MESSAGE");
    }
    let sent = write(&mut bench, &mut alice, "202", &[], "hi");
    assert_eq!(describe_all(&sent), "503 Service Unavailable (MESSAGE)");
    let sent = write(&mut bench, &mut carol, "202", &[], "hi");
    assert_eq!(describe_all(&sent), "MESSAGE");
}

/// What a phone may try to be taken for somebody else.
const SMUGGLED: [&str; 8] = [
    "P-Asserted-Identity: \"The boss\" <sip:999@127.0.0.1>",
    "p-asserted-identity :\t<sip:999@127.0.0.1>",
    "P-ASSERTED-IDENTITY:<sip:999@127.0.0.1>, <tel:999>",
    "P-Asserted-Identity:\r\n <sip:999@127.0.0.1>",
    "P-Asserted-Identity: <sip:201@127.0.0.1>\r\nP-Asserted-Identity: <sip:999@127.0.0.1>",
    "Remote-Party-ID: <sip:999@127.0.0.1>;party=calling;screen=yes",
    "P-Preferred-Identity: \"The boss\" <sip:999@127.0.0.1>",
    "X: y\r\n\tP-Asserted-Identity: <sip:999@127.0.0.1>",
];

#[test]
fn nobody_is_taken_for_another_by_what_it_asserts() {
    for smuggled in SMUGGLED {
        let mut bench = Bench::new();
        let mut alice = Phone::new("201");
        at(&mut bench, "202", "127.0.0.9:7001");
        let copies = write(&mut bench, &mut alice, "202", &[smuggled.to_owned()], "hi");
        assert_eq!(describe_all(&copies), "MESSAGE", "{smuggled}");
        let octets = String::from_utf8(copies[0].octets().to_vec()).unwrap();
        assert!(
            !octets.contains("999") && !octets.contains("boss"),
            "{octets}"
        );
        let uri = format!("sip:700@{SWITCH}");
        let lines = [
            format!("Contact: <{}>", alice.contact()),
            smuggled.to_owned(),
        ];
        alice.call_id = "call".into();
        alice.authorized(&mut bench, "INVITE", &uri, &format!("<{uri}>"), &lines, SDP);
        match &bench.take_events()[..] {
            [Event::Incoming { invite, .. }] => {
                assert_eq!(invite.account, Account("201".into()));
                assert_eq!(invite.caller, "201");
                assert_eq!(invite.display.as_deref(), Some("Phone 201"));
                assert!(!invite.private);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_caller_who_wants_to_stay_unknown_is_known_to_the_switch_alone() {
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    for (line, from) in [
        ("Privacy: id", None),
        ("Privacy: header;user", None),
        ("X: y", Some(anonymous)),
    ] {
        let mut bench = Bench::new();
        let mut alice = Phone::new("201");
        let bob = at(&mut bench, "202", "127.0.0.9:7001");
        let uri = format!("sip:202@{SWITCH}");
        let mut lines = vec![format!("Contact: <{}>", alice.contact()), line.to_owned()];
        let text = alice.write("INVITE", &uri, &format!("<{uri}>"), &lines, SDP);
        alice.send(&mut bench, &text);
        lines.push(alice.authorization(&bench.only(), "INVITE", &uri, 1));
        let mut text = alice.write("INVITE", &uri, &format!("<{uri}>"), &lines, SDP);
        if let Some(from) = from {
            text = text.replace("\"Phone 201\" <sip:201@127.0.0.1>", from);
        }
        alice.send(&mut bench, &text);
        let events = bench.take_events();
        let [Event::Incoming { invite, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(invite.account, Account("201".into()));
        assert_eq!(invite.caller, "201");
        assert!(invite.private);
        bench.take_sent();
        let outgoing = Outgoing {
            binding: bench.endpoint.bindings(&Account("202".into())).remove(0),
            caller: invite.caller.clone(),
            display: invite.display.clone(),
            private: invite.private,
            offer: SDP.into(),
            max_forwards: 69,
            max_breadth: 60,
            referred_by: None,
            upstream: None,
        };
        bench.endpoint.invite(outgoing, bench.now);
        bench.drain();
        let invite = bench.only();
        let octets = String::from_utf8(invite.octets().to_vec()).unwrap();
        assert!(
            octets.contains(&format!("From: {anonymous};tag=")),
            "{octets}"
        );
        assert!(!octets.contains("201"), "{octets}");
        drop(bob);
    }
}

#[test]
fn options_tell_exactly_what_is_there() {
    let mut bench = Bench::new();
    // Over UDP a stranger is told all of it only if that is not much longer than the question.
    let mut phone = Phone::at("201", tcp("127.0.0.9:40000"));
    let text = phone.write(
        "OPTIONS",
        &format!("sip:{SWITCH}"),
        &format!("<sip:{SWITCH}>"),
        &[],
        "",
    );
    phone.send(&mut bench, &text);
    let outside = bench.only();
    let call = phone.call_established(&mut bench);
    let inside = phone
        .within(&mut bench, &call, "OPTIONS", &[], "")
        .remove(0);
    for answer in [outside, inside] {
        assert_eq!(describe(&answer), "200 OK (OPTIONS)");
        let allowed: Vec<&str> = answer.tokens(Header::Allow).collect();
        for method in [
            "INVITE",
            "ACK",
            "CANCEL",
            "BYE",
            "OPTIONS",
            "REGISTER",
            "INFO",
            "UPDATE",
            "MESSAGE",
            "SUBSCRIBE",
        ] {
            assert!(allowed.contains(&method), "{method}");
        }
        assert!(!allowed.contains(&"PUBLISH"));
        assert_eq!(
            value(&answer, Header::AllowEvents),
            "dialog, message-summary, reg"
        );
        assert_eq!(value(&answer, Header::Accept), "application/sdp");
        assert!(answer.header(Header::Supported).is_some());
    }
}
