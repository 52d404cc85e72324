//! Session timers (RFC 4028): too short ones, the roles of table 2, refreshes, and the end of a session that nobody refreshes.

use std::time::Duration;

use sip::endpoint::{Ending, LegId, Status};
use sip::header::Header;
use sip::{Event, Message};

use crate::bench::{Bench, describe, describe_all, tcp};
use crate::phone::{Call, Phone, SDP, value};

const SECOND: Duration = Duration::from_secs(1);
const KNOWS: &str = "Supported: timer";

/// A phone that calls 700 with these lines, which answers: the 200.
fn answered(lines: &[&str]) -> (Bench, Phone, Call, Message) {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let (sent, leg) = invites(&mut bench, &mut phone, lines);
    assert_eq!(describe_all(&sent), "100 Trying (INVITE)");
    let leg = leg.unwrap();
    bench.endpoint.answer(leg, SDP.into(), bench.now);
    bench.drain();
    let answer = bench.only();
    let target = answer.contact().unwrap().uri.text().to_owned();
    let to = value(&answer, Header::To);
    let call = Call { leg, target, to };
    phone.ack(&mut bench, &call, "");
    bench.take_events();
    (bench, phone, call, answer)
}

fn invites(bench: &mut Bench, phone: &mut Phone, lines: &[&str]) -> (Vec<Message>, Option<LegId>) {
    let sent = phone.invite_with(bench, "700", lines, SDP);
    let leg = bench.take_events().pop().and_then(|event| {
        if let Event::Incoming { leg, .. } = event {
            Some(leg)
        } else {
            None
        }
    });
    (sent, leg)
}

fn expired(bench: &mut Bench) -> bool {
    let events = bench.take_events();
    matches!(
        events[..],
        [Event::Ended {
            ending: Ending::Expired,
            ..
        }]
    )
}

#[test]
fn an_interval_below_ninety_seconds_gets_422_with_min_se() {
    for lines in [&["Session-Expires: 5", KNOWS][..], &["x: 89;refresher=uac"]] {
        let (mut bench, mut phone) = (Bench::new(), Phone::new("201"));
        let (sent, leg) = invites(&mut bench, &mut phone, lines);
        assert_eq!(
            describe_all(&sent),
            "422 Session Interval Too Small (INVITE)"
        );
        assert_eq!(value(&sent[0], Header::MinSe), "90");
        assert_eq!(leg, None);
    }
    let (mut bench, mut phone, call, _) = answered(&[KNOWS]);
    for method in ["INVITE", "UPDATE"] {
        let lines = [
            format!("Contact: <{}>", phone.contact()),
            "Session-Expires: 60".to_owned(),
        ];
        let sent = phone.within(&mut bench, &call, method, &lines, "");
        assert_eq!(
            describe_all(&sent[..1]),
            format!("422 Session Interval Too Small ({method})")
        );
    }
}

#[test]
fn the_roles_are_those_of_table_2() {
    let table: [(&[&str], &str, bool); 9] = [
        (&[], "", false),
        (&["Session-Expires: 600"], "600;refresher=uas", false),
        (&[KNOWS], "1800;refresher=uas", false),
        (&[KNOWS, "Session-Expires: 600"], "600;refresher=uas", false),
        (
            &[KNOWS, "Session-Expires: 600;refresher=uac"],
            "600;refresher=uac",
            true,
        ),
        (
            &[KNOWS, "Session-Expires: 600;refresher=uas"],
            "600;refresher=uas",
            false,
        ),
        // Never longer than we like, unless the Min-SE says so.
        (
            &[KNOWS, "Session-Expires: 7200"],
            "1800;refresher=uas",
            false,
        ),
        (
            &[KNOWS, "Session-Expires: 7200", "Min-SE: 3600"],
            "3600;refresher=uas",
            false,
        ),
        (
            &[KNOWS, "Session-Expires: soon"],
            "1800;refresher=uas",
            false,
        ),
    ];
    for (lines, expected, required) in table {
        let (_, _, _, answer) = answered(lines);
        let said = answer.header(Header::SessionExpires).unwrap_or_default();
        assert_eq!(said, expected, "{lines:?}");
        let requires = answer.header(Header::Require) == Some("timer");
        assert_eq!(requires, required, "{lines:?}");
    }
}

#[test]
fn we_refresh_by_update_after_half_of_the_interval_and_the_session_goes_on() {
    let (mut bench, phone, _, _) = answered(&[KNOWS, "Session-Expires: 90", "Allow: UPDATE, BYE"]);
    for _ in 0..5 {
        bench.advance(44 * SECOND);
        assert_eq!(describe_all(&bench.take_sent()), "");
        bench.advance(SECOND);
        let update = bench.only();
        assert_eq!(describe(&update), "UPDATE");
        assert!(update.body().is_empty());
        assert_eq!(
            value(&update, Header::SessionExpires),
            "90;refresher=uac",
            "we are the client of this one"
        );
        let lines = ["Session-Expires: 90;refresher=uac".to_owned()];
        let text = phone.respond(&update, "200 OK", "", &lines, "");
        phone.send(&mut bench, &text);
    }
    assert!(bench.take_events().is_empty());
}

#[test]
fn a_peer_without_update_is_refreshed_by_re_invite() {
    let (mut bench, phone, call, _) =
        answered(&[KNOWS, "Session-Expires: 90", "Allow: INVITE, BYE"]);
    bench.advance(45 * SECOND);
    assert!(matches!(
        bench.take_events()[..],
        [Event::RefreshDue { .. }]
    ));
    bench.endpoint.reoffer(call.leg, SDP.into(), bench.now);
    bench.drain();
    let invite = bench.only();
    assert_eq!(value(&invite, Header::SessionExpires), "90;refresher=uac");
    let lines = [
        format!("Contact: <{}>", phone.contact()),
        "Session-Expires: 90;refresher=uac".to_owned(),
    ];
    let text = phone.respond(&invite, "200 OK", "", &lines, SDP);
    phone.send(&mut bench, &text);
    bench.take_events();
    bench.advance(44 * SECOND);
    assert!(bench.take_events().is_empty());
    bench.advance(SECOND);
    assert!(matches!(
        bench.take_events()[..],
        [Event::RefreshDue { .. }]
    ));
}

#[test]
fn a_session_that_the_peer_was_to_refresh_ends_a_third_or_32_seconds_before_its_interval() {
    for (interval, ends) in [("90", 60), ("600", 568)] {
        let line = format!("Session-Expires: {interval};refresher=uac");
        let (mut bench, _, _, _) = answered(&[KNOWS, &line]);
        bench.advance((ends - 1) * SECOND);
        assert!(bench.take_events().is_empty());
        bench.take_sent();
        bench.advance(SECOND);
        assert!(expired(&mut bench));
        assert_eq!(describe_all(&bench.take_sent()), "BYE");
    }
}

#[test]
fn the_peers_refresh_by_update_or_re_invite_starts_the_interval_anew() {
    let line = "Session-Expires: 90;refresher=uac";
    let (mut bench, mut phone, call, _) = answered(&[KNOWS, line]);
    for method in ["UPDATE", "INVITE", "UPDATE"] {
        bench.advance(50 * SECOND);
        let lines = [
            format!("Contact: <{}>", phone.contact()),
            KNOWS.to_owned(),
            "Session-Expires: 90".to_owned(),
        ];
        let body = if method == "INVITE" { SDP } else { "" };
        let mut sent = phone.within(&mut bench, &call, method, &lines, body);
        if method == "INVITE" {
            bench.endpoint.answer(call.leg, SDP.into(), bench.now);
            bench.drain();
            sent = bench.take_sent();
        }
        assert_eq!(describe_all(&sent), format!("200 OK ({method})"));
        // Who refreshed before goes on (section 7.4).
        assert_eq!(value(&sent[0], Header::SessionExpires), "90;refresher=uac");
        if method == "INVITE" {
            phone.ack(&mut bench, &call, "");
        }
        bench.take_events();
    }
    bench.advance(60 * SECOND);
    assert!(expired(&mut bench));
}

#[test]
fn a_refresh_that_is_refused_for_a_while_is_tried_again_until_the_session_expires() {
    let (mut bench, phone, _, _) = answered(&[KNOWS, "Session-Expires: 120", "Allow: UPDATE"]);
    bench.advance(60 * SECOND);
    for _ in 0..2 {
        let update = bench.only();
        let text = phone.respond(&update, "500 Busy", "", &["Retry-After: 3".into()], "");
        phone.send(&mut bench, &text);
        bench.advance(10 * SECOND);
    }
    bench.take_sent();
    bench.advance(8 * SECOND);
    assert!(expired(&mut bench));
}

#[test]
fn a_refresh_without_an_answer_or_with_481_ends_the_call() {
    for status in ["", "481 Gone", "408 Late"] {
        let (mut bench, phone, _, _) = answered(&[KNOWS, "Allow: UPDATE"]);
        bench.advance(900 * SECOND);
        let update = bench.only();
        if status.is_empty() {
            bench.advance(32 * SECOND);
        } else {
            let text = phone.respond(&update, status, "", &[], "");
            phone.send(&mut bench, &text);
        }
        let events = bench.take_events();
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
        assert!(describe_all(&bench.take_sent()).ends_with("BYE"));
    }
}

#[test]
fn a_refresh_over_a_broken_connection_is_tried_again_over_the_next() {
    let flow = tcp("127.0.0.9:41000");
    let mut bench = Bench::new();
    let (mut registering, mut phone) = (Phone::at("201", flow), Phone::at("201", flow));
    registering.call_id = "register".into();
    registering.register(&mut bench);
    bench.take_events();
    let lines = [KNOWS, "Session-Expires: 120", "Allow: UPDATE"];
    let (_, leg) = invites(&mut bench, &mut phone, &lines);
    bench.endpoint.answer(leg.unwrap(), SDP.into(), bench.now);
    bench.drain();
    let answer = bench.only();
    let target = answer.contact().unwrap().uri.text().to_owned();
    let to = value(&answer, Header::To);
    let leg = leg.unwrap();
    phone.ack(&mut bench, &Call { leg, target, to }, "");
    bench.advance(60 * SECOND);
    assert_eq!(describe(&bench.only()), "UPDATE");
    bench.endpoint.handle_flow_closed(flow, bench.now);
    bench.drain();
    assert_eq!(
        describe(&bench.only()),
        "UPDATE",
        "over a connection of ours"
    );
    registering.flow = tcp("127.0.0.9:41001");
    registering.register(&mut bench);
    bench.take_events();
    // Nobody takes the connection to where the phone was.
    bench.endpoint.handle_flow_closed(flow, bench.now);
    bench.drain();
    let (flow, update) = bench.sent.pop().unwrap();
    assert_eq!(describe(&update), "UPDATE");
    assert_eq!(flow, registering.flow);
    assert!(bench.take_events().is_empty());
}

/// The switch calls 201.
fn called() -> (Bench, Phone, LegId) {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    let leg = bench.invite(phone.outgoing());
    (bench, phone, leg)
}

#[test]
fn a_phone_that_wants_a_longer_interval_gets_the_invite_again_with_it() {
    let (mut bench, phone, _) = called();
    let first = bench.only();
    assert_eq!(value(&first, Header::SessionExpires), "1800");
    assert_eq!(first.header(Header::MinSe), None);
    let lines = ["Min-SE: 3600".to_owned()];
    let text = phone.respond(&first, "422 Session Interval Too Small", "a", &lines, "");
    phone.send(&mut bench, &text);
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "ACK, INVITE");
    let again = &sent[1];
    assert_eq!(value(again, Header::SessionExpires), "3600");
    assert_eq!(value(again, Header::MinSe), "3600");
    assert_eq!(again.call_id(), first.call_id());
    assert_eq!(
        again.cseq().unwrap().number,
        first.cseq().unwrap().number + 1
    );
    assert_eq!(again.body(), SDP);
    // The same again is no reason to try once more.
    let text = phone.respond(again, "422 Session Interval Too Small", "b", &lines, "");
    phone.send(&mut bench, &text);
    assert_eq!(describe_all(&bench.take_sent()), "ACK");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Refused {
            status: Status(422),
            ..
        }]
    ));
}

#[test]
fn the_called_phone_says_who_refreshes() {
    for (said, ours) in [
        ("Session-Expires: 90;refresher=uac", true),
        ("Session-Expires: 90", true),
        ("Session-Expires: 90;refresher=uas", false),
    ] {
        let (mut bench, phone, _) = called();
        let invite = bench.only();
        let lines = [
            format!("Contact: <{}>", phone.contact()),
            "Allow: UPDATE".to_owned(),
            said.to_owned(),
        ];
        let text = phone.respond(&invite, "200 OK", "a", &lines, SDP);
        phone.send(&mut bench, &text);
        assert_eq!(describe_all(&bench.take_sent()), "ACK");
        bench.take_events();
        bench.advance(45 * SECOND);
        let sent = if ours { "UPDATE" } else { "" };
        assert_eq!(describe_all(&bench.take_sent()), sent, "{said}");
        bench.advance(15 * SECOND);
        assert!(expired(&mut bench), "{said}");
    }
}

#[test]
fn a_phone_without_timers_is_left_alone() {
    let (mut bench, phone, _) = called();
    let invite = bench.only();
    let lines = [format!("Contact: <{}>", phone.contact())];
    let text = phone.respond(&invite, "200 OK", "a", &lines, SDP);
    phone.send(&mut bench, &text);
    bench.take_sent();
    bench.take_events();
    bench.advance(4_000 * SECOND);
    assert!(bench.take_sent().is_empty() && bench.take_events().is_empty());
}
