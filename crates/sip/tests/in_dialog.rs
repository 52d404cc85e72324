//! Requests inside a standing dialog, from the phone and from the switch.

use std::time::Duration;

use sip::endpoint::{Ending, Status};
use sip::header::Header;
use sip::{Event, Flow, Message, Transport};

use crate::bench::{Bench, describe, describe_all, flow, tcp, udp};
use crate::phone::{Call, Phone, SDP, SWITCH, standing, value};

const SECOND: Duration = Duration::from_secs(1);

fn contact(phone: &Phone) -> String {
    format!("Contact: <{}>", phone.contact())
}

#[test]
fn a_phone_holds_and_the_owner_answers() {
    let (mut bench, mut phone, call) = standing();
    let lines = [contact(&phone)];
    let sent = phone.within(&mut bench, &call, "INVITE", &lines, SDP);
    assert_eq!(describe_all(&sent), "");
    let events = bench.take_events();
    assert!(
        matches!(events[..], [Event::Reoffered { offer: Some(_), .. }]),
        "{events:?}"
    );
    bench.endpoint.answer(call.leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "200 OK (INVITE)");
    bench.advance(Duration::from_millis(500));
    assert_eq!(describe(&bench.only()), "200 OK (INVITE)");
    phone.ack(&mut bench, &call, "");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Acknowledged { .. }]
    ));
    bench.advance(Duration::from_secs(40));
    assert!(bench.take_sent().is_empty() && bench.is_quiet());
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let (mut bench, mut phone, call) = standing();
    phone.within(&mut bench, &call, "INVITE", &[contact(&phone)], SDP);
    bench.endpoint.reject(call.leg, Status(488), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "488 Not Acceptable Here (INVITE)");
    bench.take_events();
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Ended {
            ending: Ending::Bye(None),
            ..
        }]
    ));
}

#[test]
fn update_offers_too_and_without_an_offer_it_refreshes_the_target() {
    let (mut bench, mut phone, call) = standing();
    phone.within(&mut bench, &call, "UPDATE", &[contact(&phone)], SDP);
    assert!(matches!(
        bench.take_events()[..],
        [Event::Reoffered { offer: Some(_), .. }]
    ));
    bench.endpoint.answer(call.leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "200 OK (UPDATE)");
    let sent = phone.within(
        &mut bench,
        &call,
        "UPDATE",
        &["Contact: <sip:moved@127.0.0.9>".into()],
        "",
    );
    assert_eq!(describe_all(&sent), "200 OK (UPDATE)");
    assert!(bench.take_events().is_empty());
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    assert_eq!(bench.only().request_uri(), Some("sip:moved@127.0.0.9"));
}

#[test]
fn a_second_offer_waits_for_the_answer_to_the_first() {
    let (mut bench, mut phone, call) = standing();
    phone.within(&mut bench, &call, "INVITE", &[contact(&phone)], SDP);
    for method in ["INVITE", "UPDATE"] {
        let sent = phone.within(&mut bench, &call, method, &[contact(&phone)], SDP);
        assert_eq!(sent[0].status().unwrap().0, 500);
        assert!(value(&sent[0], Header::RetryAfter).parse::<u32>().unwrap() <= 10);
    }
    assert_eq!(bench.take_events().len(), 1);
}

#[test]
fn offers_that_cross_get_491_and_ours_is_tried_again() {
    let (mut bench, mut phone, call) = standing();
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    let ours = bench.only();
    assert_eq!(describe(&ours), "INVITE");
    let sent = phone.within(&mut bench, &call, "INVITE", &[contact(&phone)], SDP);
    assert_eq!(describe_all(&sent), "491 Request Pending (INVITE)");
    let text = phone.respond(&ours, "491 Request Pending", "", &[], "");
    phone.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "ACK");
    // Section 14.1: the caller made the Call-ID, so we wait 0 to 2 s.
    bench.advance(Duration::from_secs(2));
    let sent = bench.take_sent();
    assert!(
        sent.iter().any(|m| describe(m) == "INVITE"),
        "{}",
        describe_all(&sent)
    );
    let again = sent.iter().find(|m| describe(m) == "INVITE").unwrap();
    assert!(again.cseq().unwrap().number > ours.cseq().unwrap().number);
    let text = phone.respond(again, "200 OK", "", &[contact(&phone)], SDP);
    phone.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "ACK");
    let events = bench.take_events();
    assert!(
        matches!(
            events[..],
            [Event::Reanswered {
                result: Ok(Some(_)),
                ..
            }]
        ),
        "{events:?}"
    );
    // The 2xx again, the ACK again.
    phone.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "ACK");
    assert!(bench.take_events().is_empty());
}

#[test]
fn an_offer_of_ours_waits_until_the_invite_under_way_is_done() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let call = phone.call_answered(&mut bench, SDP);
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "");
    phone.ack(&mut bench, &call, "");
    assert_eq!(describe_all(&bench.take_sent()), "INVITE");
}

#[test]
fn an_offer_of_ours_that_rings_after_its_call_has_ended_is_given_up_all_the_same() {
    let (mut bench, mut phone, call) = standing();
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    let ours = bench.only();
    phone.within(&mut bench, &call, "BYE", &[], "");
    let text = phone.respond(&ours, "180 Ringing", "", &[], "");
    phone.send(&mut bench, &text);
    bench.advance(Duration::from_secs(70));
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn an_offer_of_ours_that_is_taken_after_its_call_has_ended_is_acknowledged_and_no_more() {
    let (mut bench, mut phone, call) = standing();
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    let ours = bench.only();
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
    let text = phone.respond(&ours, "200 OK", "", &[contact(&phone)], SDP);
    for _ in 0..2 {
        phone.send(&mut bench, &text);
        assert_eq!(describe_all(&bench.take_sent()), "ACK");
    }
}

/// RFC 3261 section 13.2.2.4: each 2xx is acknowledged. One that another device gives to an older offer is no answer to the newer.
#[test]
fn a_second_answer_to_an_older_offer_does_not_answer_the_newer() {
    let (mut bench, phone, call) = standing();
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    let first = bench.only();
    let text = phone.respond(&first, "200 OK", "", &[contact(&phone)], SDP);
    phone.send(&mut bench, &text);
    assert_eq!(describe_all(&bench.take_sent()), "ACK");
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "INVITE");
    bench.take_events();
    let to = first.to().and_then(|to| to.tag().map(str::to_owned));
    let other = text.replace(&to.expect("a tag"), "another");
    phone.send(&mut bench, &other);
    assert_eq!(describe_all(&bench.take_sent()), "ACK");
    assert!(bench.take_events().is_empty(), "nothing was answered");
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "", "one offer at a time");
}

#[test]
fn a_bye_that_crossed_ours_gets_200_for_as_long_as_it_may_be_repeated() {
    for (later, answer) in [
        (Duration::from_secs(31), "200 OK (BYE)"),
        (
            Duration::from_secs(32),
            "481 Call/Transaction Does Not Exist (BYE)",
        ),
    ] {
        let (mut bench, mut phone, call) = standing();
        bench.endpoint.bye(call.leg, None, bench.now);
        bench.drain();
        let ours = bench.only();
        let text = phone.respond(&ours, "200 OK", "", &[], "");
        phone.send(&mut bench, &text);
        bench.take_events();
        bench.advance(later);
        let sent = phone.within(&mut bench, &call, "BYE", &[], "");
        assert_eq!(describe_all(&sent), answer);
        assert!(bench.take_events().is_empty());
    }
}

#[test]
fn a_refused_offer_of_ours_is_told_and_481_or_silence_ends_the_leg() {
    for (status, ends) in [
        ("488 Not Acceptable Here", false),
        ("481 Gone", true),
        ("", true),
    ] {
        let (mut bench, phone, call) = standing();
        bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
        bench.drain();
        let ours = bench.only();
        if status.is_empty() {
            bench.advance(Duration::from_secs(32));
        } else {
            let text = phone.respond(&ours, status, "", &[], "");
            phone.send(&mut bench, &text);
        }
        let events = bench.take_events();
        let sent = describe_all(&bench.take_sent());
        if ends {
            assert!(
                matches!(
                    events[..],
                    [Event::Ended {
                        ending: Ending::PeerGone,
                        ..
                    }]
                ),
                "{events:?}"
            );
            assert!(sent.ends_with("BYE"), "{sent}");
        } else {
            assert!(matches!(
                events[..],
                [Event::Reanswered {
                    result: Err(Status(488)),
                    ..
                }]
            ));
            assert_eq!(sent, "ACK");
        }
    }
}

#[test]
fn keys_pressed_come_by_info() {
    let (mut bench, mut phone, call) = standing();
    let kind = |kind: &str| [format!("Content-Type: {kind}")];
    let sent = phone.within(
        &mut bench,
        &call,
        "INFO",
        &kind("application/dtmf-relay"),
        "Signal=#\r\nDuration=160\r\n",
    );
    assert_eq!(describe_all(&sent), "200 OK (INFO)");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Digit { digit: '#', .. }]
    ));
    let sent = phone.within(
        &mut bench,
        &call,
        "INFO",
        &kind("application/media_control+xml"),
        "<x/>",
    );
    assert_eq!(describe_all(&sent), "415 Unsupported Media Type (INFO)");
    assert_eq!(
        value(&sent[0], Header::Accept),
        "application/dtmf-relay, application/dtmf"
    );
    let sent = phone.within(&mut bench, &call, "INFO", &kind("application/dtmf"), "5");
    assert_eq!(describe_all(&sent), "200 OK (INFO)");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Digit { digit: '5', .. }]
    ));
    let package = ["Info-Package: foo".to_owned()];
    let sent = phone.within(&mut bench, &call, "INFO", &package, "");
    assert_eq!(describe_all(&sent), "469 Bad Info Package (INFO)");
    assert_eq!(value(&sent[0], Header::RecvInfo), "");
    let sent = phone.within(&mut bench, &call, "INFO", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (INFO)");
    assert!(bench.take_events().is_empty());
}

#[test]
fn cseq_rises_or_gets_500() {
    let (mut bench, mut phone, call) = standing();
    phone.cseq -= 1;
    let sent = phone.within(&mut bench, &call, "INFO", &[], "");
    assert_eq!(sent[0].status().unwrap().0, 500);
    let sent = phone.within(&mut bench, &call, "OPTIONS", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (OPTIONS)");
}

#[test]
fn a_request_with_wrong_tags_belongs_to_no_dialog() {
    let (mut bench, mut phone, call) = standing();
    phone.tag = "other".into();
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(
        describe_all(&sent),
        "481 Call/Transaction Does Not Exist (BYE)"
    );
    phone.tag = "tag-201".into();
    phone.call_id = "other".into();
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(
        describe_all(&sent),
        "481 Call/Transaction Does Not Exist (BYE)"
    );
    assert!(bench.take_events().is_empty());
}

#[test]
fn a_request_from_another_address_is_challenged_and_a_new_port_is_not() {
    let (mut bench, mut phone, call) = standing();
    let home = phone.flow;
    phone.flow = udp("127.0.0.66:5060");
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "401 Unauthorized (BYE)");
    let mut other = Phone::at("202", phone.flow);
    (other.tag, other.call_id, other.cseq) = ("tag-201".into(), "call-201".into(), 50);
    let line = other.authorization(&sent[0], "BYE", &call.target, 1);
    let sent = other.within(&mut bench, &call, "BYE", &[line], "");
    assert_eq!(describe_all(&sent), "403 Forbidden (BYE)");
    assert!(bench.take_events().is_empty());
    // Behind a NAT the port may change; answers and requests follow.
    phone.flow = home;
    phone.flow.remote.set_port(6666);
    let sent = phone.within(&mut bench, &call, "INFO", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (INFO)");
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    assert_eq!(bench.sent[0].0, phone.flow);
}

#[test]
fn a_phone_that_moved_shows_who_it_is_and_goes_on() {
    let (mut bench, mut phone, call) = standing();
    phone.flow = udp("127.0.0.66:5060");
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    let line = phone.authorization(&sent[0], "BYE", &call.target, 1);
    let sent = phone.within(&mut bench, &call, "BYE", &[line], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
    assert!(matches!(bench.take_events()[..], [Event::Ended { .. }]));
}

#[test]
fn byes_that_cross_both_get_200() {
    let (mut bench, mut phone, call) = standing();
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    let ours = bench.only();
    assert_eq!(describe(&ours), "BYE");
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
    let text = phone.respond(&ours, "200 OK", "", &[], "");
    phone.send(&mut bench, &text);
    bench.advance(Duration::from_secs(40));
    assert!(bench.take_sent().is_empty() && bench.take_events().is_empty() && bench.is_quiet());
    let sent = phone.within(&mut bench, &call, "INFO", &[], "");
    assert_eq!(
        describe_all(&sent),
        "481 Call/Transaction Does Not Exist (INFO)"
    );
}

#[test]
fn a_bye_answers_the_offer_that_is_under_way_too() {
    let (mut bench, mut phone, call) = standing();
    phone.within(&mut bench, &call, "INVITE", &[contact(&phone)], SDP);
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(
        describe_all(&sent),
        "200 OK (BYE), 487 Request Terminated (INVITE)"
    );
}

#[test]
fn a_new_invite_shows_that_the_lost_ack_was_sent() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let call = phone.call_answered(&mut bench, SDP);
    phone.within(&mut bench, &call, "INVITE", &[contact(&phone)], SDP);
    let events = bench.take_events();
    assert!(
        matches!(
            events[..],
            [
                Event::Acknowledged { answer: None, .. },
                Event::Reoffered { .. }
            ]
        ),
        "{events:?}"
    );
    bench.advance(Duration::from_secs(3));
    assert_eq!(describe_all(&bench.take_sent()), "");
}

#[test]
fn the_route_set_of_a_caller_behind_proxies_is_kept() {
    for (routes, uri, rest) in [
        (
            ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"],
            "sip:201@127.0.0.9",
            vec!["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"],
        ),
        (
            ["<sip:p1.example.com>", "<sip:p2.example.com;lr>"],
            "sip:p1.example.com",
            vec!["<sip:p2.example.com;lr>", "<sip:201@127.0.0.9>"],
        ),
    ] {
        let mut bench = Bench::new();
        let mut phone = Phone::new("201");
        let target = format!("sip:700@{}", crate::phone::SWITCH);
        let mut lines = vec!["Contact: <sip:201@127.0.0.9>".to_owned()];
        lines.extend(routes.iter().map(|route| format!("Record-Route: {route}")));
        phone.authorized(
            &mut bench,
            "INVITE",
            &target,
            &format!("<{target}>"),
            &lines,
            SDP,
        );
        let Some(Event::Incoming { leg, .. }) = bench.take_events().pop() else {
            panic!()
        };
        bench.endpoint.answer(leg, SDP.into(), bench.now);
        bench.drain();
        let answer = bench.only();
        assert_eq!(
            answer.values(Header::RecordRoute).collect::<Vec<_>>(),
            routes
        );
        let call = Call {
            leg,
            target: answer.contact().unwrap().uri.text().into(),
            to: value(&answer, Header::To),
        };
        phone.ack(&mut bench, &call, "");
        bench.endpoint.bye(leg, None, bench.now);
        bench.drain();
        let bye = bench.only();
        assert_eq!(bye.request_uri(), Some(uri));
        assert_eq!(bye.values(Header::Route).collect::<Vec<_>>(), rest);
    }
}

/// A phone that registered and called over this flow; a second one with its account, for further REGISTERs.
fn registered_and_calling(flow: sip::Flow) -> (Bench, Phone, Call, Phone) {
    let mut bench = Bench::new();
    let mut registering = Phone::at("201", flow);
    registering.call_id = "register".into();
    registering.register(&mut bench);
    let mut phone = Phone::at("201", flow);
    bench.take_events();
    let call = phone.call_established(&mut bench);
    (bench, phone, call, registering)
}

#[test]
fn a_phone_that_came_back_over_a_new_connection_is_told_there_that_its_call_ended() {
    let (mut bench, phone, call, mut registering) = registered_and_calling(tcp("127.0.0.9:41000"));
    bench.endpoint.handle_flow_closed(phone.flow, bench.now);
    registering.flow = tcp("127.0.0.9:41001");
    registering.register(&mut bench);
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    let (flow, bye) = bench.sent.pop().unwrap();
    assert_eq!((describe(&bye).as_str(), flow), ("BYE", registering.flow));
}

#[test]
fn a_phone_that_came_back_before_its_broken_connection_was_seen_is_told_there_too() {
    let (mut bench, phone, call, mut registering) = registered_and_calling(tcp("127.0.0.9:41000"));
    registering.flow = tcp("127.0.0.9:41001");
    registering.register(&mut bench);
    bench.endpoint.handle_flow_closed(phone.flow, bench.now);
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    let (flow, bye) = bench.sent.pop().unwrap();
    assert_eq!((describe(&bye).as_str(), flow), ("BYE", registering.flow));
}

#[test]
fn a_phone_whose_nat_gave_it_another_port_is_reached_there_after_it_registered() {
    let (mut bench, phone, call, mut registering) = registered_and_calling(udp("127.0.0.9:41000"));
    let lines = [contact(&phone)];
    registering.flow = udp("127.0.0.9:41001");
    registering.register_with(&mut bench, &lines);
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    let (flow, bye) = bench.sent.pop().unwrap();
    assert_eq!((describe(&bye).as_str(), flow), ("BYE", registering.flow));
}

#[test]
fn another_phone_of_the_account_does_not_draw_a_call_to_itself() {
    let (mut bench, phone, call, mut registering) = registered_and_calling(udp("127.0.0.9:41000"));
    for other in ["127.0.0.9:41001", "127.0.0.8:41000"] {
        registering.flow = udp(other);
        registering.register(&mut bench);
    }
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    let (flow, bye) = bench.sent.pop().unwrap();
    assert_eq!((describe(&bye).as_str(), flow), ("BYE", phone.flow));
}

/// The phone registers over another flow; gives the request that it gets there beside the answer.
fn comes_back(bench: &mut Bench, phone: &mut Phone, flow: Flow) -> Message {
    phone.flow = flow;
    let (uri, to) = (format!("sip:{SWITCH}"), format!("<sip:201@{SWITCH}>"));
    let lines = [contact(phone), "Expires: 3600".into()];
    let sent = phone.authorized(bench, "REGISTER", &uri, &to, &lines, "");
    assert_eq!(sent.len(), 2, "{}", describe_all(&sent));
    let mut requests = sent.into_iter().filter(Message::is_request);
    requests.next().unwrap()
}

/// Hangs up on a phone whose connection is closed; gives the BYE.
fn bye_into_the_void(bench: &mut Bench, phone: &Phone, call: &Call) -> Message {
    bench.endpoint.bye(call.leg, None, bench.now);
    bench.drain();
    let bye = bench.only();
    bench.endpoint.handle_flow_closed(phone.flow, bench.now);
    bench.drain();
    bye
}

#[test]
fn a_bye_that_a_broken_connection_took_along_goes_over_a_new_one_and_over_the_phones_next() {
    let (mut bench, phone, call, mut registering) = registered_and_calling(tcp("127.0.0.9:41000"));
    let bye = bye_into_the_void(&mut bench, &phone, &call);
    // To where the phone says that it is, as the same transaction: it may have it already.
    let (flow, again) = bench.sent.pop().unwrap();
    assert_eq!((flow, again.octets()), (phone.flow, bye.octets()));
    bench.endpoint.handle_flow_closed(flow, bench.now);
    bench.drain();
    assert!(bench.sent.is_empty(), "nobody is there");
    bench.advance(2 * SECOND);
    let again = comes_back(&mut bench, &mut registering, tcp("127.0.0.9:41001"));
    assert_eq!(again.octets(), bye.octets());
    registering.send(
        &mut bench,
        &registering.respond(&bye, "200 OK", "p", &[], ""),
    );
    assert_eq!(bench.endpoint.legs(), 0);
}

#[test]
fn a_bye_that_a_browsers_broken_connection_took_along_waits_for_its_next_one() {
    let (mut bench, phone, call, mut registering) =
        registered_and_calling(flow(Transport::Wss, "127.0.0.9:41000"));
    let bye = bye_into_the_void(&mut bench, &phone, &call);
    assert!(bench.sent.is_empty(), "nobody can connect to a browser");
    let next = flow(Transport::Wss, "127.0.0.9:41001");
    let again = comes_back(&mut bench, &mut registering, next);
    assert_eq!(again.octets(), bye.octets());
}

#[test]
fn a_bye_to_a_phone_that_never_comes_back_is_forgotten() {
    let (mut bench, phone, call, _) =
        registered_and_calling(flow(Transport::Wss, "127.0.0.9:41000"));
    bye_into_the_void(&mut bench, &phone, &call);
    bench.advance(33 * SECOND);
    assert_eq!(
        (bench.endpoint.legs(), bench.endpoint.transactions()),
        (0, 0)
    );
    assert!(bench.sent.is_empty());
}
