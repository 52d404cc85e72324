//! Calls that the switch makes: the client side of INVITE.

use std::time::Duration;

use sip::endpoint::{LegId, Outgoing, Reason, Status};
use sip::header::Header;
use sip::{Event, Message};

use crate::bench::{Bench, PRODUCT, describe, describe_all, tcp};
use crate::phone::{Call, Phone, SDP, value};

fn call(bench: &mut Bench, phone: &Phone) -> LegId {
    bench.invite(Outgoing {
        caller: "+49 30".into(),
        display: Some("Jo \"J\" \r\nX: y".into()),
        ..phone.outgoing()
    })
}

fn answer(bench: &mut Bench, phone: &Phone, invite: &Message, status: &str, tag: &str, body: &str) {
    let contact = format!("Contact: <{};tag={tag}>", phone.contact());
    let text = phone.respond(invite, status, tag, &[contact], body);
    phone.send(bench, &text);
}

fn elsewhere() -> Reason {
    Reason {
        protocol: "SIP".into(),
        cause: 200,
        text: "Call completed elsewhere".into(),
    }
}

#[test]
fn our_invite_names_the_caller_and_the_way_back() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    let invite = bench.only();
    assert_eq!(invite.request_uri(), Some(phone.contact().as_str()));
    assert_eq!(
        value(&invite, Header::From).split(";tag=").next(),
        Some("\"Jo \\\"J\\\"   X: y\" <sip:+49%2030@127.0.0.1>")
    );
    assert_eq!(value(&invite, Header::To), "<sip:201@127.0.0.1>");
    assert_eq!(
        value(&invite, Header::Contact),
        "<sip:+49%2030@127.0.0.1:5060>"
    );
    assert_eq!(value(&invite, Header::UserAgent), PRODUCT);
    assert!(
        value(&invite, Header::Via).starts_with("SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK")
    );
    assert_eq!(&invite.body()[..], SDP.as_bytes());
}

#[test]
fn a_phone_rings_answers_and_is_hung_up() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    let leg = call(&mut bench, &phone);
    let invite = bench.only();
    answer(&mut bench, &phone, &invite, "100 Trying", "", "");
    answer(&mut bench, &phone, &invite, "180 Ringing", "a", "");
    answer(
        &mut bench,
        &phone,
        &invite,
        "183 Session Progress",
        "a",
        SDP,
    );
    let events = bench.take_events();
    assert!(
        matches!(
            events[..],
            [
                Event::Ringing {
                    status: Status(180),
                    answer: None,
                    ..
                },
                Event::Ringing {
                    status: Status(183),
                    answer: Some(_),
                    ..
                }
            ]
        ),
        "{events:?}"
    );
    answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
    let ack = bench.only();
    assert_eq!(describe(&ack), "ACK");
    assert_eq!(
        ack.request_uri(),
        Some(&*format!("{};tag=a", phone.contact()))
    );
    assert_eq!(ack.cseq().unwrap().number, invite.cseq().unwrap().number);
    assert_ne!(ack.via().unwrap().branch(), invite.via().unwrap().branch());
    assert!(matches!(
        bench.take_events()[..],
        [Event::Answered {
            answer: Some(_),
            ..
        }]
    ));
    // The same 2xx again: the same ACK again, nothing else.
    answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
    assert_eq!(bench.only().octets(), ack.octets());

    bench.endpoint.bye(leg, Some(elsewhere()), bench.now);
    bench.drain();
    let bye = bench.only();
    assert_eq!(describe(&bye), "BYE");
    assert_eq!(
        value(&bye, Header::Reason),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    assert_eq!(bye.to().unwrap().tag(), Some("a"));
    answer(&mut bench, &phone, &bye, "200 OK", "", "");
    bench.advance(Duration::from_secs(40));
    assert!(bench.take_events().is_empty() && bench.take_sent().is_empty() && bench.is_quiet());
}

#[test]
fn a_refusal_is_acknowledged_and_told() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    let invite = bench.only();
    let text = phone.respond(
        &invite,
        "480 Later",
        "a",
        &["Retry-After: 120 (meeting)".into()],
        "",
    );
    phone.send(&mut bench, &text);
    let ack = bench.only();
    assert_eq!(describe(&ack), "ACK");
    assert_eq!(ack.via().unwrap().branch(), invite.via().unwrap().branch());
    assert_eq!(ack.to().unwrap().tag(), Some("a"));
    let events = bench.take_events();
    let retry = Some(Duration::from_secs(120));
    assert!(
        matches!(events[..], [Event::Refused { status: Status(480), retry_after, .. }] if retry_after == retry),
        "{events:?}"
    );
    phone.send(&mut bench, &text);
    assert_eq!(bench.only().octets(), ack.octets());
    bench.advance(Duration::from_secs(33));
    assert!(bench.take_events().is_empty() && bench.is_quiet());
}

#[test]
fn a_phone_that_does_not_answer_at_all_is_given_up_after_32_seconds() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    bench.advance(Duration::from_millis(31_999));
    assert_eq!(bench.take_sent().len(), 7);
    assert!(bench.take_events().is_empty());
    bench.advance(Duration::from_millis(1));
    assert!(matches!(
        bench.take_events()[..],
        [Event::Refused {
            status: Status(408),
            ..
        }]
    ));
    assert!(bench.is_quiet());
}

#[test]
fn a_connection_that_fails_refuses_the_call_at_once() {
    let mut bench = Bench::new();
    let phone = Phone::at("201", tcp("127.0.0.9:41000"));
    call(&mut bench, &phone);
    bench.take_sent();
    bench.endpoint.handle_flow_closed(phone.flow, bench.now);
    bench.drain();
    assert!(matches!(
        bench.take_events()[..],
        [Event::Refused {
            status: Status(503),
            ..
        }]
    ));
    assert!(bench.is_quiet());
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    let leg = call(&mut bench, &phone);
    let invite = bench.only();
    bench.endpoint.cancel(leg, Some(elsewhere()), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "");
    answer(&mut bench, &phone, &invite, "180 Ringing", "a", "");
    let cancel = bench.only();
    assert_eq!(describe(&cancel), "CANCEL");
    assert_eq!(
        cancel.via().unwrap().branch(),
        invite.via().unwrap().branch()
    );
    assert_eq!(cancel.cseq().unwrap().number, invite.cseq().unwrap().number);
    assert_eq!(
        value(&cancel, Header::Reason),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    assert!(cancel.to().unwrap().tag().is_none());
    answer(&mut bench, &phone, &cancel, "200 OK", "a", "");
    assert!(bench.take_events().is_empty());
    answer(
        &mut bench,
        &phone,
        &invite,
        "487 Request Terminated",
        "a",
        "",
    );
    assert_eq!(describe(&bench.only()), "ACK");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Refused {
            status: Status(487),
            ..
        }]
    ));
}

#[test]
fn a_cancelled_call_without_a_final_answer_ends_all_the_same() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    let leg = call(&mut bench, &phone);
    let invite = bench.only();
    answer(&mut bench, &phone, &invite, "180 Ringing", "a", "");
    bench.endpoint.cancel(leg, None, bench.now);
    bench.drain();
    bench.take_events();
    bench.advance(Duration::from_secs(32));
    let sent = bench.take_sent();
    assert_eq!(
        sent.len(),
        11,
        "timer E of the CANCEL: {}",
        describe_all(&sent)
    );
    assert!(matches!(
        bench.take_events()[..],
        [Event::Refused {
            status: Status(408),
            ..
        }]
    ));
    // Section 9.1: a phone that died while it rang costs no memory for ever.
    assert_eq!(
        (bench.endpoint.legs(), bench.endpoint.transactions()),
        (0, 0)
    );
}

#[test]
fn an_answer_that_crosses_the_cancel_gets_ack_and_bye() {
    for ringing in [true, false] {
        let mut bench = Bench::new();
        let phone = Phone::new("201");
        let leg = call(&mut bench, &phone);
        let invite = bench.only();
        if ringing {
            answer(&mut bench, &phone, &invite, "180 Ringing", "a", "");
        }
        bench.endpoint.cancel(leg, None, bench.now);
        bench.drain();
        bench.take_sent();
        bench.take_events();
        answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
        let sent = bench.take_sent();
        assert_eq!(describe_all(&sent), "ACK, BYE");
        assert_eq!(sent[1].to().unwrap().tag(), Some("a"));
        assert!(sent[1].cseq().unwrap().number > sent[0].cseq().unwrap().number);
        assert!(matches!(
            bench.take_events()[..],
            [Event::Refused {
                status: Status(487),
                ..
            }]
        ));
        // Again: ACK only.
        answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
        assert_eq!(describe_all(&bench.take_sent()), "ACK");
    }
}

#[test]
fn of_two_phones_behind_a_proxy_the_first_answer_wins() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    let invite = bench.only();
    answer(&mut bench, &phone, &invite, "180 Ringing", "a", "");
    answer(&mut bench, &phone, &invite, "180 Ringing", "b", "");
    answer(&mut bench, &phone, &invite, "200 OK", "b", SDP);
    assert_eq!(describe_all(&bench.take_sent()), "ACK");
    bench.take_events();
    answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "ACK, BYE");
    assert!(
        sent.iter()
            .all(|message| message.to().unwrap().tag() == Some("a"))
    );
    assert!(bench.take_events().is_empty());
}

#[test]
fn endless_answers_of_one_invite_are_dropped_after_the_eighth() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    let invite = bench.only();
    for n in 0..20 {
        answer(
            &mut bench,
            &phone,
            &invite,
            "200 OK",
            &format!("fork{n}"),
            SDP,
        );
        let expected = match n {
            0 => "ACK",
            1..8 => "ACK, BYE",
            _ => "",
        };
        assert_eq!(describe_all(&bench.take_sent()), expected, "{n}");
    }
}

#[test]
fn a_called_phone_holds_and_hangs_up() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let leg = call(&mut bench, &phone);
    let invite = bench.only();
    answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
    bench.take_sent();
    bench.take_events();
    let call = Call {
        leg,
        target: invite.contact().unwrap().uri.text().into(),
        to: value(&invite, Header::From),
    };
    (phone.tag, phone.call_id) = ("a".into(), invite.call_id().unwrap().into());
    let contact = format!("Contact: <{}>", phone.contact());
    phone.within(&mut bench, &call, "INVITE", &[contact], SDP);
    assert!(matches!(bench.take_events()[..], [Event::Reoffered { .. }]));
    bench.endpoint.answer(leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "200 OK (INVITE)");
    phone.ack(&mut bench, &call, "");
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
}

#[test]
fn we_made_the_call_id_so_we_wait_longer_after_491() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    let leg = call(&mut bench, &phone);
    let invite = bench.only();
    answer(&mut bench, &phone, &invite, "200 OK", "a", SDP);
    bench.endpoint.reoffer(leg, SDP.into(), bench.now);
    bench.drain();
    let reinvite = bench.take_sent().pop().unwrap();
    answer(&mut bench, &phone, &reinvite, "491 Request Pending", "", "");
    bench.take_sent();
    bench.advance(Duration::from_millis(2_090));
    assert_eq!(describe_all(&bench.take_sent()), "");
    bench.advance(Duration::from_millis(1_910));
    assert!(describe_all(&bench.take_sent()).starts_with("INVITE"));
}

#[test]
fn the_route_set_of_a_called_phone_is_reversed() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    let invite = bench.only();
    let lines = [
        "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>".to_owned(),
        "Contact: <sip:201@127.0.0.9?Route=%3Csip:evil%3E>".to_owned(),
    ];
    let text = phone.respond(&invite, "200 OK", "a", &lines, SDP);
    phone.send(&mut bench, &text);
    let ack = bench.only();
    assert_eq!(ack.request_uri(), Some("sip:201@127.0.0.9"));
    let routes: Vec<_> = ack.values(Header::Route).collect();
    assert_eq!(
        routes,
        ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    );
}

#[test]
fn over_ipv6_and_tcp_our_contact_leads_back_to_the_connection() {
    let mut bench = Bench::new();
    let phone = Phone::at("201", tcp("[::1]:41000"));
    call(&mut bench, &phone);
    let invite = bench.only();
    assert_eq!(
        value(&invite, Header::Contact),
        "<sip:+49%2030@[::1]:5060;transport=tcp>"
    );
    assert!(value(&invite, Header::Via).starts_with("SIP/2.0/TCP [::1]:5060;"));
    assert_eq!(value(&invite, Header::To), "<sip:201@[::1]>");
}

#[test]
fn responses_that_nobody_waits_for_are_dropped() {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    call(&mut bench, &phone);
    let invite = bench.only();
    let good = phone.respond(&invite, "200 OK", "a", &[], SDP);
    for bad in [
        good.replace("z9hG4bK", "z9hG4bKx"),
        good.replace("INVITE\r\n", "BYE\r\n"),
        good.replace("Via: ", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx, "),
    ] {
        phone.send(&mut bench, &bad);
        assert!(
            bench.take_sent().is_empty() && bench.take_events().is_empty(),
            "{bad}"
        );
    }
    phone.send(&mut bench, &good);
    assert_eq!(bench.take_events().len(), 1);
}
