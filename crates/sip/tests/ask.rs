//! Requests of the owner inside a dialog, and how it hears of their end.

use std::time::Duration;

use sip::endpoint::{InDialog, NoReply};
use sip::header::Header;
use sip::{Event, Method};

use crate::bench::{Bench, describe, describe_all};
use crate::phone::{standing, value};

fn notify() -> InDialog {
    InDialog {
        method: Method::Notify,
        headers: vec![
            (Header::Event, "refer".into()),
            (Header::SubscriptionState, "active;expires=60".into()),
        ],
        body: Some((
            "message/sipfrag;version=2.0".into(),
            "SIP/2.0 100 Trying\r\n".into(),
        )),
    }
}

#[test]
fn the_owner_asks_inside_a_dialog_and_hears_the_final_answer_once() {
    let (mut bench, phone, call) = standing();
    let asked = bench.endpoint.ask(call.leg, &notify(), bench.now).unwrap();
    bench.drain();
    let sent = bench.only();
    assert_eq!(describe(&sent), "NOTIFY");
    assert_eq!(value(&sent, Header::Event), "refer");
    assert_eq!(
        value(&sent, Header::ContentType),
        "message/sipfrag;version=2.0"
    );
    assert_eq!(sent.body(), &b"SIP/2.0 100 Trying\r\n"[..]);
    assert!(sent.contact().is_some());
    for status in ["100 Trying", "200 OK", "200 OK"] {
        let text = phone.respond(&sent, status, "", &[], "");
        phone.send(&mut bench, &text);
    }
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [Event::RepliedInDialog { request, reply: Ok(_), .. }] if *request == asked),
        "{events:?}"
    );
}

#[test]
fn a_request_without_an_answer_counts_as_408_and_a_dead_leg_tells_nothing() {
    let (mut bench, _, call) = standing();
    for (ends, told) in [(false, true), (true, false)] {
        let asked = bench.endpoint.ask(call.leg, &notify(), bench.now);
        assert!(asked.is_some());
        if ends {
            bench.endpoint.bye(call.leg, None, bench.now);
        }
        bench.advance(Duration::from_secs(33));
        let events = bench.take_events();
        let timed_out = matches!(
            events[..],
            [Event::RepliedInDialog {
                reply: Err(NoReply::Timeout),
                ..
            }]
        );
        assert_eq!((timed_out, events.is_empty()), (told, !told), "{events:?}");
    }
    assert!(bench.endpoint.ask(call.leg, &notify(), bench.now).is_none());
}

#[test]
fn sixteen_requests_may_wait_for_their_answers() {
    let (mut bench, phone, call) = standing();
    let ask = |bench: &mut Bench| bench.endpoint.ask(call.leg, &notify(), bench.now);
    for _ in 0..16 {
        assert!(ask(&mut bench).is_some());
    }
    assert!(ask(&mut bench).is_none());
    bench.drain();
    let sent = bench.take_sent();
    assert!(describe_all(&sent).ends_with("NOTIFY"));
    let text = phone.respond(&sent[0], "481 Gone", "", &[], "");
    phone.send(&mut bench, &text);
    assert!(ask(&mut bench).is_some());
}
