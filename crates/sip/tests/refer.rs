//! REFER in a call, and the subscription that comes with it.

use std::time::Duration;

use sip::Event;
use sip::endpoint::Status;
use sip::header::Header;

use crate::bench::{Bench, describe_all};
use crate::phone::{Call, Phone, standing, value};

fn contact(phone: &Phone) -> String {
    format!("Contact: <{}>", phone.contact())
}

/// A call whose REFER was accepted: 202 and the first report are gone.
fn referred() -> (Bench, Phone, Call) {
    let (mut bench, mut phone, call) = standing();
    let lines = [contact(&phone), "Refer-To: <sip:207@127.0.0.1>".to_owned()];
    let sent = phone.within(&mut bench, &call, "REFER", &lines, "");
    assert_eq!(describe_all(&sent), "");
    bench.endpoint.accept_refer(call.leg, bench.now);
    bench.drain();
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "202 Accepted (REFER), NOTIFY");
    let answer = phone.respond(&sent[1], "200 OK", "", &[], "");
    phone.send(&mut bench, &answer);
    bench.take_events();
    (bench, phone, call)
}

#[test]
fn a_refer_to_a_place_outside_is_declined() {
    let (mut bench, mut phone, call) = standing();
    for (target, status) in [
        ("<sip:207@elsewhere.example>", "603 Decline (REFER)"),
        (
            "<mailto:207@127.0.0.1>",
            "416 Unsupported URI Scheme (REFER)",
        ),
    ] {
        let lines = [contact(&phone), format!("Refer-To: {target}")];
        let sent = phone.within(&mut bench, &call, "REFER", &lines, "");
        assert_eq!(describe_all(&sent), status);
    }
}

/// RFC 3261 section 15.1.2: what is pending is answered as the session ends, whoever ends it.
#[test]
fn a_refer_that_nobody_decided_gets_487_when_the_call_ends() {
    for phone_hangs_up in [true, false] {
        let (mut bench, mut phone, call) = standing();
        let lines = [contact(&phone), "Refer-To: <sip:207@127.0.0.1>".to_owned()];
        phone.within(&mut bench, &call, "REFER", &lines, "");
        let sent = if phone_hangs_up {
            phone.within(&mut bench, &call, "BYE", &[], "")
        } else {
            bench.endpoint.bye(call.leg, None, bench.now);
            bench.drain();
            bench.take_sent()
        };
        let ending = if phone_hangs_up {
            "200 OK (BYE), 487 Request Terminated (REFER)"
        } else {
            "487 Request Terminated (REFER), BYE"
        };
        assert_eq!(describe_all(&sent), ending);
    }
}

#[test]
fn a_subscription_inside_a_call_is_refused_and_the_call_goes_on() {
    let (mut bench, mut phone, call) = standing();
    for (event, status) in [
        ("dialog", "603 Decline (SUBSCRIBE)"),
        ("conference", "489 Bad Event (SUBSCRIBE)"),
        ("refer", "481 Call/Transaction Does Not Exist (SUBSCRIBE)"),
    ] {
        let lines = [contact(&phone), format!("Event: {event}")];
        let sent = phone.within(&mut bench, &call, "SUBSCRIBE", &lines, "");
        assert_eq!(describe_all(&sent), status);
        let allowed = sent[0].header(Header::AllowEvents).is_some();
        assert_eq!(allowed, event == "conference");
    }
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
}

#[test]
fn the_reports_of_a_transfer_may_be_prolonged_and_ended() {
    let (mut bench, mut phone, call) = referred();
    let mut subscribe = |bench: &mut Bench, expires: u32| {
        let lines = [
            contact(&phone),
            "Event: refer".to_owned(),
            format!("Expires: {expires}"),
        ];
        let sent = phone.within(bench, &call, "SUBSCRIBE", &lines, "");
        let answer = sent
            .get(1)
            .map(|notify| phone.respond(notify, "200 OK", "", &[], ""));
        if let Some(answer) = answer {
            phone.send(bench, &answer);
        }
        sent
    };
    let sent = subscribe(&mut bench, 60);
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE), NOTIFY");
    assert_eq!(value(&sent[0], Header::Expires), "60");
    assert_eq!(
        sent[1].header(Header::SubscriptionState),
        Some("active;expires=60")
    );
    let sent = subscribe(&mut bench, 0);
    assert_eq!(describe_all(&sent), "200 OK (SUBSCRIBE), NOTIFY");
    assert_eq!(
        sent[1].header(Header::SubscriptionState),
        Some("terminated;reason=timeout")
    );
    assert_eq!(&sent[1].body()[..], b"SIP/2.0 100 Trying\r\n");
    // The transfer goes on, and nothing more is reported.
    bench.endpoint.report(call.leg, Status(200), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "");
    let sent = subscribe(&mut bench, 60);
    assert_eq!(
        describe_all(&sent),
        "481 Call/Transaction Does Not Exist (SUBSCRIBE)"
    );
}

#[test]
fn who_hangs_up_after_its_refer_is_told_the_end_all_the_same() {
    let (mut bench, mut phone, call) = referred();
    let sent = phone.within(&mut bench, &call, "BYE", &[], "");
    assert_eq!(describe_all(&sent), "200 OK (BYE)");
    assert!(matches!(bench.take_events()[..], [Event::Ended { .. }]));
    for (status, state) in [
        (Status(180), "active;expires=600"),
        (Status(200), "terminated;reason=noresource"),
    ] {
        bench.endpoint.report(call.leg, status, bench.now);
        bench.drain();
        let notify = bench.only();
        assert_eq!(notify.header(Header::SubscriptionState), Some(state));
        assert_eq!(value(&notify, Header::CallId), phone.call_id);
        let answer = phone.respond(&notify, "200 OK", "", &[], "");
        phone.send(&mut bench, &answer);
    }
    assert_eq!(bench.endpoint.legs(), 0);
    bench.endpoint.report(call.leg, Status(200), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "");
}

#[test]
fn reports_that_nobody_gives_are_waited_for_ten_minutes() {
    let (mut bench, mut phone, call) = referred();
    phone.within(&mut bench, &call, "BYE", &[], "");
    bench.advance(Duration::from_secs(599));
    assert_eq!(bench.endpoint.legs(), 1);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.endpoint.legs(), 0);
}
