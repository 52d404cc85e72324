use std::time::Duration;

use bytes::Bytes;
use sip::{Flow, Transport};

use super::*;
use crate::trace::Direction;

fn invite(call_id: &str, from: &str, to: &str) -> Passed {
    let text = format!(
        "INVITE sip:{to}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}@h>;tag=1\r\nTo: <sip:{to}@h>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    Passed {
        at: Duration::ZERO,
        direction: Direction::Received,
        flow: Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.7:5062".parse().unwrap(),
        },
        octets: Bytes::from(text),
    }
}

fn dialog(call: &str, call_id: &str) -> Dialog {
    Dialog {
        call: call.into(),
        call_id: call_id.into(),
    }
}

/// Call-ID and group of what is shown.
fn shown(due: Vec<Entry>) -> Vec<(String, String)> {
    due.into_iter()
        .map(|entry| (entry.facts.call_id, entry.group))
        .collect()
}

fn pair(call_id: &str, group: &str) -> (String, String) {
    (call_id.to_owned(), group.to_owned())
}

#[test]
fn without_a_filter_everything_is_shown_at_once_with_its_call_once_it_is_known() {
    let mut book = Book::new(Filter::All);
    assert_eq!(
        shown(book.message(invite("a", "205", "700"))),
        [pair("a", "a")]
    );
    assert!(book.dialog(&dialog("call-1", "a")).is_empty());
    assert_eq!(
        shown(book.message(invite("a", "205", "700"))),
        [pair("a", "call-1")]
    );
}

#[test]
fn a_number_shows_all_legs_of_its_calls_from_their_beginning() {
    let mut book = Book::new(Filter::Text("201".into()));
    assert!(book.message(invite("a", "205", "700")).is_empty());
    assert!(book.message(invite("x", "206", "600")).is_empty());
    assert!(book.dialog(&dialog("call-1", "a")).is_empty());
    assert!(book.dialog(&dialog("call-1", "b")).is_empty());
    let due = book.message(invite("b", "205", "201"));
    assert_eq!(shown(due), [pair("a", "call-1"), pair("b", "call-1")]);
    assert_eq!(
        shown(book.message(invite("a", "205", "700"))),
        [pair("a", "call-1")]
    );
    assert!(book.message(invite("x", "206", "600")).is_empty());
}

#[test]
fn a_call_is_found_by_its_name_and_by_each_of_its_call_ids() {
    for filter in ["call-1", "a", "b"] {
        let mut book = Book::new(Filter::Text(filter.into()));
        let mut due = book.message(invite("a", "205", "700"));
        due.extend(book.dialog(&dialog("call-1", "a")));
        due.extend(book.dialog(&dialog("call-1", "b")));
        due.extend(book.message(invite("b", "205", "201")));
        due.extend(book.message(invite("c", "205", "201")));
        let ids: Vec<String> = due.into_iter().map(|entry| entry.facts.call_id).collect();
        assert_eq!(ids, ["a", "b"], "{filter}");
    }
}

#[test]
fn an_address_shows_also_what_is_no_message() {
    let mut book = Book::new("192.0.2.0/24".parse().unwrap());
    let mut junk = invite("a", "205", "700");
    junk.octets = Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n");
    let due = book.message(junk.clone());
    assert_eq!(due[0].facts.label, "GET / HTTP/1.1");
    let mut book = Book::new("198.51.100.0/24".parse().unwrap());
    assert!(book.message(junk).is_empty());
}

#[test]
fn what_is_held_has_a_limit() {
    let mut book = Book::new(Filter::Text("201".into()));
    for _ in 0..=MAX_HELD {
        assert!(book.message(invite("a", "205", "700")).is_empty());
    }
    assert_eq!(book.held.len(), MAX_HELD);
    for n in 0..=MAX_DIALOGS {
        book.dialog(&dialog("call-1", &n.to_string()));
    }
    assert_eq!(
        (book.calls.len(), book.dialogs.len()),
        (MAX_DIALOGS, MAX_DIALOGS)
    );
}
