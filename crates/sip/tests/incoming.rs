//! Calls that phones make: the server side of INVITE.

use std::time::Duration;

use sip::Event;
use sip::endpoint::{Ending, Status};
use sip::header::Header;

use crate::bench::{Bench, describe, describe_all, tcp};
use crate::phone::{Phone, SDP, SWITCH, value};

/// Seconds after the 2xx or refusal at which it comes again (RFC 3261 sections 13.3.1.4 and 17.2.1).
const REPEATED: [f64; 10] = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5];

/// When this message left, in seconds from now, as time goes on.
fn times_of(bench: &mut Bench, what: &str, seconds: u64) -> Vec<f64> {
    let start = bench.now;
    let mut times = Vec::new();
    let end = start + Duration::from_secs(seconds);
    while let Some((at, _)) = bench.endpoint.poll_timeout().filter(|(at, _)| *at <= end) {
        bench.advance(at - bench.now);
        for message in bench.take_sent() {
            assert_eq!(describe(&message), what);
            times.push((bench.now - start).as_secs_f64());
        }
    }
    bench.advance(end - bench.now);
    times
}

#[test]
fn a_call_rings_is_answered_acknowledged_and_ended_by_the_caller() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let sent = phone.invite(&mut bench, "*45%23", SDP);
    assert_eq!(describe_all(&sent), "100 Trying (INVITE)");
    assert!(sent[0].to().unwrap().tag().is_none());
    let events = bench.take_events();
    let [Event::Incoming { leg, invite }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&*invite.account.0, &*invite.dialled), ("201", "*45#"));
    assert_eq!(invite.display.as_deref(), Some("Phone 201"));
    assert_eq!(invite.offer.as_deref(), Some(SDP.as_bytes()));
    assert_eq!((&*invite.call_id, invite.flow), ("call-201", phone.flow));

    bench.endpoint.ring(*leg, Status(180), None, bench.now);
    bench.drain();
    let ringing = bench.only();
    assert_eq!(describe(&ringing), "180 Ringing (INVITE)");
    let tag = ringing.to().unwrap().tag().unwrap().to_owned();
    assert!(tag.len() >= 16, "64 bit at least");

    bench.endpoint.answer(*leg, SDP.into(), bench.now);
    bench.drain();
    let answer = bench.only();
    assert_eq!(describe(&answer), "200 OK (INVITE)");
    assert_eq!(answer.to().unwrap().tag(), Some(&*tag));
    assert_eq!(&answer.body()[..], SDP.as_bytes());
    assert_eq!(
        value(&answer, Header::Contact),
        "<sip:*45%23@127.0.0.1:5060>"
    );

    let call = crate::phone::Call {
        leg: *leg,
        target: answer.contact().unwrap().uri.text().into(),
        to: value(&answer, Header::To),
    };
    phone.ack(&mut bench, &call, "");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Acknowledged { answer: None, .. }]
    ));
    let reason = "Reason: Q.850;cause=16;text=\"Normal\"".to_owned();
    let sent = phone.within(&mut bench, &call, "BYE", &[reason], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
    let events = bench.take_events();
    let [
        Event::Ended {
            ending: Ending::Bye(Some(reason)),
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (&*reason.protocol, reason.cause, &*reason.text),
        ("Q.850", 16, "Normal")
    );
    bench.advance(Duration::from_secs(60));
    assert_eq!(describe_all(&bench.take_sent()), "");
    assert!(bench.is_quiet());
}

#[test]
fn a_2xx_is_repeated_until_its_ack_over_udp_and_tcp() {
    for flow in [Phone::new("201").flow, tcp("127.0.0.9:41000")] {
        let mut bench = Bench::new();
        let mut phone = Phone::at("201", flow);
        let call = phone.call_answered(&mut bench, SDP);
        assert_eq!(times_of(&mut bench, "200 OK (INVITE)", 5), REPEATED[..3]);
        phone.ack(&mut bench, &call, "");
        assert!(times_of(&mut bench, "", 60).is_empty());
        assert!(bench.is_quiet());
    }
}

#[test]
fn a_2xx_that_is_never_acknowledged_ends_the_leg_with_bye() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    phone.call_answered(&mut bench, SDP);
    let mut times = times_of(&mut bench, "200 OK (INVITE)", 31);
    bench.advance(Duration::from_secs(1));
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "200 OK (INVITE), BYE");
    times.push(31.5);
    assert_eq!(times, REPEATED);
    let events = bench.take_events();
    assert!(
        matches!(
            events[..],
            [Event::Ended {
                ending: Ending::NoAck,
                ..
            }]
        ),
        "{events:?}"
    );
    let text = phone.respond(&sent[1], "200 OK", "", &[], "");
    phone.send(&mut bench, &text);
    bench.advance(Duration::from_secs(40));
    assert!(bench.take_sent().is_empty() && bench.is_quiet());
}

#[test]
fn an_offer_in_the_200_is_answered_by_the_ack() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let call = phone.call_answered(&mut bench, "");
    phone.ack(&mut bench, &call, SDP);
    let events = bench.take_events();
    let [
        Event::Acknowledged {
            answer: Some(answer),
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(&answer[..], SDP.as_bytes());
}

#[test]
fn the_owner_hangs_up_before_the_ack_and_bye_waits_for_it() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let call = phone.call_answered(&mut bench, SDP);
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "");
    assert_eq!(times_of(&mut bench, "200 OK (INVITE)", 1), REPEATED[..1]);
    phone.ack(&mut bench, &call, "");
    assert_eq!(describe_all(&bench.take_sent()), "BYE");
    assert!(bench.take_events().is_empty());
}

#[test]
fn a_caller_that_gives_up_gets_487_and_the_owner_hears_why() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let leg = phone.call(&mut bench, SDP);
    bench.endpoint.ring(leg, Status(180), None, bench.now);
    bench.drain();
    let tag = bench.only().to().unwrap().tag().unwrap().to_owned();
    let uri = format!("sip:700@{SWITCH}");
    let invite = phone.rewrite("INVITE", &uri, &format!("<{uri}>"), &[], "");
    // CANCEL has the branch of its INVITE: the one before this.
    let cancel = invite
        .replace("-2-3\r\n", "-2-2\r\n")
        .replace("INVITE", "CANCEL")
        .replace(
            "Content-Length",
            "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\nContent-Length",
        );
    phone.send(&mut bench, &cancel);
    let sent = bench.take_sent();
    assert_eq!(
        describe_all(&sent),
        "200 OK (CANCEL), 487 Request Terminated (INVITE)"
    );
    assert!(
        sent.iter()
            .all(|message| message.to().unwrap().tag() == Some(&*tag))
    );
    let events = bench.take_events();
    let [
        Event::Cancelled {
            reason: Some(reason),
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&*reason.protocol, reason.cause), ("SIP", 200));
    // Its retransmission is answered again, the 487 repeated until the ACK.
    phone.send(&mut bench, &cancel);
    assert_eq!(describe_all(&bench.take_sent()), "200 OK (CANCEL)");
    assert_eq!(
        times_of(&mut bench, "487 Request Terminated (INVITE)", 2),
        REPEATED[..2]
    );
    let ack = invite
        .replace("-2-3\r\n", "-2-2\r\n")
        .replace("INVITE", "ACK");
    phone.send(&mut bench, &ack);
    assert!(times_of(&mut bench, "", 60).is_empty() && bench.is_quiet());
}

#[test]
fn a_cancel_that_comes_too_late_or_for_nothing_changes_nothing() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let call = phone.call_answered(&mut bench, SDP);
    let uri = format!("sip:700@{SWITCH}");
    let cancel = phone.rewrite("CANCEL", &uri, &format!("<{uri}>"), &[], "");
    phone.send(&mut bench, &cancel.replace("-2-3\r\n", "-2-2\r\n"));
    assert_eq!(describe_all(&bench.take_sent()), "200 OK (CANCEL)");
    phone.send(&mut bench, &cancel);
    assert_eq!(
        describe_all(&bench.take_sent()),
        "481 Call/Transaction Does Not Exist (CANCEL)"
    );
    // From another address not even the right branch helps.
    bench.receive(
        cancel.replace("-2-3\r\n", "-2-2\r\n").as_bytes(),
        tcp("127.0.0.66:9"),
    );
    assert_eq!(
        describe_all(&bench.take_sent()),
        "481 Call/Transaction Does Not Exist (CANCEL)"
    );
    phone.ack(&mut bench, &call, "");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Acknowledged { .. }]
    ));
}

#[test]
fn a_488_says_what_is_wrong_with_the_offer_if_anything_is() {
    let plain = format!("{SDP}c=IN IP4 127.0.0.9\r\nm=audio 4000 RTP/AVP 0\r\n");
    let browsers = plain.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
    let why = "399 ringmaster \"DTLS needs a=fingerprint by sha-256\"";
    for (offer, warning) in [(&*plain, None), (&browsers, Some(why)), ("", None)] {
        let mut bench = Bench::new();
        let mut phone = Phone::new("201");
        let leg = phone.call(&mut bench, offer);
        bench.endpoint.reject(leg, Status(488), bench.now);
        bench.drain();
        let refusal = bench.only();
        assert_eq!(describe(&refusal), "488 Not Acceptable Here (INVITE)");
        assert_eq!(refusal.header(Header::Warning), warning, "{offer}");
    }
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let leg = phone.call(&mut bench, SDP);
    bench.endpoint.reject(leg, Status(486), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "486 Busy Here (INVITE)");
    let mut times = times_of(&mut bench, "486 Busy Here (INVITE)", 40);
    assert_eq!(times.split_off(10), []);
    assert_eq!(times, REPEATED);
    assert!(bench.take_events().is_empty() && bench.is_quiet());
}

#[test]
fn a_bye_before_the_answer_ends_the_call_like_a_cancel() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let leg = phone.call(&mut bench, SDP);
    bench.endpoint.ring(leg, Status(180), None, bench.now);
    bench.drain();
    let ringing = bench.only();
    let call = crate::phone::Call {
        leg,
        target: ringing.contact().unwrap().uri.text().into(),
        to: value(&ringing, Header::To),
    };
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(
        describe_all(&sent),
        "200 OK (BYE), 487 Request Terminated (INVITE)"
    );
    assert!(matches!(
        bench.take_events()[..],
        [Event::Cancelled { reason: None, .. }]
    ));
}

#[test]
fn ringing_is_told_again_every_minute() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let leg = phone.call(&mut bench, SDP);
    bench.endpoint.ring(leg, Status(180), None, bench.now);
    bench.drain();
    bench.take_sent();
    assert_eq!(
        times_of(&mut bench, "180 Ringing (INVITE)", 200),
        [60.0, 120.0, 180.0]
    );
}

#[test]
fn a_caller_whose_connection_closes_has_given_up() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("201", tcp("127.0.0.9:41000"));
    phone.call(&mut bench, SDP);
    bench.endpoint.handle_flow_closed(phone.flow, bench.now);
    bench.drain();
    assert!(matches!(
        bench.take_events()[..],
        [Event::Cancelled { reason: None, .. }]
    ));
    assert!(bench.take_sent().is_empty() && bench.is_quiet());
}

#[test]
fn what_speaks_against_an_invite_is_said_exactly() {
    let long: &str = "Contact: <sip:201@127.0.0.9>";
    type Case<'a> = (&'a [&'a str], &'a str, u16, Option<(Header, &'a str)>);
    let cases: &[Case<'_>] = &[
        (&[], SDP, 400, None),
        (
            &[long, "Content-Type: text/plain"],
            "hello",
            415,
            Some((Header::Accept, "application/sdp")),
        ),
        (
            &[long, "Content-Encoding: gzip"],
            SDP,
            415,
            Some((Header::AcceptEncoding, "identity")),
        ),
        (
            &[long, "Accept: text/plain"],
            SDP,
            406,
            Some((
                Header::Warning,
                "399 ringmaster \"only application/sdp is offered\"",
            )),
        ),
        (&[long, "Accept: application/*, text/plain"], SDP, 100, None),
    ];
    for (lines, body, status, header) in cases {
        let mut bench = Bench::new();
        let mut phone = Phone::new("201");
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let uri = format!("sip:700@{SWITCH}");
        let sent = phone.authorized(
            &mut bench,
            "INVITE",
            &uri,
            &format!("<{uri}>"),
            &lines,
            body,
        );
        assert_eq!(sent[0].status().unwrap().0, *status, "{lines:?}");
        if let Some((header, text)) = header {
            assert_eq!(value(&sent[0], *header), *text);
        }
        assert_eq!(bench.take_events().len(), usize::from(*status == 100));
    }
}

#[test]
fn a_caller_speaks_only_for_itself() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let uri = format!("sip:700@{SWITCH}");
    let text = phone.write("INVITE", &uri, &format!("<{uri}>"), &[], "");
    phone.send(&mut bench, &text);
    let challenge = bench.only();
    let lines = [
        phone.authorization(&challenge, "INVITE", &uri, 1),
        format!("Contact: <{}>", phone.contact()),
    ];
    let text = phone.write("INVITE", &uri, &format!("<{uri}>"), &lines, SDP);
    phone.send(
        &mut bench,
        &text.replace("<sip:201@127.0.0.1>;tag", "<sip:202@127.0.0.1>;tag"),
    );
    assert_eq!(describe(&bench.only()), "403 Forbidden (INVITE)");
    assert!(bench.take_events().is_empty());
}

#[test]
fn an_invite_without_hops_left_or_come_by_two_ways_is_refused() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let uri = format!("sip:700@{SWITCH}");
    let to = format!("<{uri}>");
    let text = phone.write("INVITE", &uri, &to, &[], "");
    phone.send(&mut bench, &text);
    let challenge = bench.only();
    let contact = format!("Contact: <{}>", phone.contact());
    let lines = |phone: &Phone, nc| {
        [
            phone.authorization(&challenge, "INVITE", &uri, nc),
            contact.clone(),
        ]
    };
    let lines_1 = lines(&phone, 1);
    let text = phone.write("INVITE", &uri, &to, &lines_1, SDP);
    phone.send(
        &mut bench,
        &text.replace("Max-Forwards: 70", "Max-Forwards: 0"),
    );
    assert_eq!(describe(&bench.only()), "483 Too Many Hops (INVITE)");
    let lines_2 = lines(&phone, 2);
    let text = phone.write("INVITE", &uri, &to, &lines_2, SDP);
    phone.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "100 Trying (INVITE)");
    let lines_3 = lines(&phone, 3);
    let text = phone.rewrite("INVITE", &uri, &to, &lines_3, SDP);
    phone.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "482 Loop Detected (INVITE)");
    assert_eq!(bench.take_events().len(), 1);
}

#[test]
fn no_new_calls_while_draining() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    bench.endpoint.drain(Duration::from_secs(30));
    let uri = format!("sip:700@{SWITCH}");
    let text = phone.write("INVITE", &uri, &format!("<{uri}>"), &[], "");
    phone.send(&mut bench, &text);
    let answer = bench.only();
    assert_eq!(describe(&answer), "503 Service Unavailable (INVITE)");
    assert_eq!(value(&answer, Header::RetryAfter), "30");
}

#[test]
fn methods_schemes_and_extensions_that_we_do_not_have_are_named() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    for (method, uri, line, answer, header) in [
        (
            "PUBLISH",
            "sip:201@127.0.0.1",
            "X: y",
            "405 Method Not Allowed (PUBLISH)",
            Some(Header::Allow),
        ),
        (
            "FOO",
            "sip:201@127.0.0.1",
            "X: y",
            "501 Not Implemented (FOO)",
            Some(Header::Allow),
        ),
        (
            "OPTIONS",
            "isbn:2983792873",
            "X: y",
            "416 Unsupported URI Scheme (OPTIONS)",
            None,
        ),
        (
            "OPTIONS",
            "sip:127.0.0.1",
            "Require: a, b",
            "420 Bad Extension (OPTIONS)",
            Some(Header::Unsupported),
        ),
        (
            "OPTIONS",
            "sip:127.0.0.1",
            "X: y",
            "200 OK (OPTIONS)",
            Some(Header::Accept),
        ),
        (
            "BYE",
            "sip:127.0.0.1",
            "X: y",
            "481 Call/Transaction Does Not Exist (BYE)",
            None,
        ),
        ("ACK", "sip:127.0.0.1", "X: y", "", None),
    ] {
        let text = phone.write(method, uri, "<sip:127.0.0.1>", &[line.to_owned()], "");
        phone.send(&mut bench, &text);
        let sent = bench.take_sent();
        assert_eq!(describe_all(&sent), answer);
        if let Some(header) = header {
            assert!(!value(&sent[0], header).is_empty());
        }
        // Without state the same request gets the very same answer.
        phone.send(&mut bench, &text);
        let again = bench.take_sent();
        assert!(
            again
                .iter()
                .map(|m| m.octets())
                .eq(sent.iter().map(|m| m.octets()))
        );
    }
    assert!(bench.is_quiet());
}
