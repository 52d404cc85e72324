//! Reliable provisional responses (RFC 3262) and UPDATE in early dialogs (RFC 3311), on both sides.

use std::time::Duration;

use sip::endpoint::{Ending, LegId, Status};
use sip::header::Header;
use sip::{Event, Message};

use crate::bench::{Bench, describe, describe_all};
use crate::phone::{Call, Phone, SDP, standing, value};

/// A phone that calls 700 with these lines beside its Contact.
fn calls(lines: &[&str], body: &str) -> (Bench, Phone, LegId) {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    phone.invite_with(&mut bench, "700", lines, body);
    let Some(Event::Incoming { leg, invite }) = bench.take_events().pop() else {
        panic!("it calls")
    };
    let takes = lines.iter().any(|line| line.contains("100rel"));
    assert_eq!(invite.reliable, takes);
    (bench, phone, leg)
}

fn ring(bench: &mut Bench, leg: LegId, status: u16, description: Option<&'static str>) {
    let description = description.map(Into::into);
    bench
        .endpoint
        .ring(leg, Status(status), description, bench.now);
    bench.drain();
}

fn rseq(message: &Message) -> u32 {
    value(message, Header::RSeq).parse().unwrap()
}

fn call_of(leg: LegId, response: &Message) -> Call {
    let target = response.contact().unwrap().uri.text().to_owned();
    let to = value(response, Header::To);
    Call { leg, target, to }
}

/// PRACK of a response to the INVITE with this CSeq number.
fn prack(
    bench: &mut Bench,
    phone: &mut Phone,
    call: &Call,
    named: (u32, u32),
    body: &str,
) -> Vec<Message> {
    let line = format!("RAck: {} {} INVITE", named.0, named.1);
    phone.within(bench, call, "PRACK", &[line], body)
}

#[test]
fn a_caller_that_takes_reliable_answers_gets_them_until_it_says_so() {
    for line in ["Supported: 100rel", "Require: 100rel", "k: timer, 100rel"] {
        let (mut bench, mut phone, leg) = calls(&[line], SDP);
        let invite = phone.cseq;
        ring(&mut bench, leg, 180, None);
        let first = bench.only();
        assert_eq!(describe(&first), "180 Ringing (INVITE)");
        assert_eq!(value(&first, Header::Require), "100rel");
        // RFC 3262 section 3: T1, doubled each time, with no upper limit.
        bench.advance(Duration::from_millis(3_600));
        let again = bench.take_sent();
        assert_eq!(again.len(), 3, "{}", describe_all(&again));
        assert!(again.iter().all(|one| rseq(one) == rseq(&first)));
        let call = call_of(leg, &first);
        let sent = prack(&mut bench, &mut phone, &call, (rseq(&first), invite), "");
        assert_eq!(describe_all(&sent), "200 OK (PRACK)");
        bench.advance(Duration::from_secs(40));
        assert_eq!(describe_all(&bench.take_sent()), "");
        // Each further one has the next number.
        ring(&mut bench, leg, 183, None);
        assert_eq!(rseq(&bench.only()), rseq(&first) + 1);
    }
}

#[test]
fn a_prack_that_names_nothing_gets_481_and_one_without_a_name_400() {
    let (mut bench, mut phone, leg) = calls(&["Supported: 100rel"], SDP);
    let invite = phone.cseq;
    ring(&mut bench, leg, 180, None);
    let first = bench.only();
    let call = call_of(leg, &first);
    for named in [(rseq(&first) + 1, invite), (rseq(&first), invite + 1)] {
        let sent = prack(&mut bench, &mut phone, &call, named, "");
        assert_eq!(
            describe_all(&sent),
            "481 Call/Transaction Does Not Exist (PRACK)"
        );
    }
    let sent = phone.within(&mut bench, &call, "PRACK", &["RAck: 1 INVITE".into()], "");
    assert_eq!(describe_all(&sent), "400 Bad Request (PRACK)");
    let named = (rseq(&first), invite);
    let sent = prack(&mut bench, &mut phone, &call, named, "");
    assert_eq!(describe_all(&sent), "200 OK (PRACK)");
    let sent = prack(&mut bench, &mut phone, &call, named, "");
    assert_eq!(
        describe_all(&sent),
        "481 Call/Transaction Does Not Exist (PRACK)"
    );
}

#[test]
fn a_reliable_answer_that_is_never_acknowledged_ends_the_invite_with_504() {
    let (mut bench, _, leg) = calls(&["Require: 100rel"], SDP);
    ring(&mut bench, leg, 180, None);
    bench.take_sent();
    bench.advance(Duration::from_millis(31_900));
    assert!(
        bench
            .take_sent()
            .iter()
            .all(|one| one.status() == Some(Status(180)))
    );
    bench.advance(Duration::from_millis(100));
    let sent = bench.take_sent();
    assert_eq!(describe(&sent[0]), "504 Server Time-out (INVITE)");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Ended {
            ending: Ending::NoAck,
            ..
        }]
    ));
}

#[test]
fn a_second_answer_waits_for_the_prack_of_the_first_and_a_200_for_a_described_one() {
    let (mut bench, mut phone, leg) = calls(&["Supported: 100rel"], SDP);
    let invite = phone.cseq;
    ring(&mut bench, leg, 180, None);
    let first = bench.only();
    let call = call_of(leg, &first);
    ring(&mut bench, leg, 183, Some(SDP));
    assert_eq!(describe_all(&bench.take_sent()), "");
    let sent = prack(&mut bench, &mut phone, &call, (rseq(&first), invite), "");
    assert_eq!(
        describe_all(&sent),
        "200 OK (PRACK), 183 Session Progress (INVITE)"
    );
    assert_eq!(sent[1].body(), SDP);
    // RFC 3262 section 5.
    bench.endpoint.answer(leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "");
    let sent = prack(&mut bench, &mut phone, &call, (rseq(&sent[1]), invite), "");
    assert_eq!(describe_all(&sent), "200 OK (PRACK), 200 OK (INVITE)");
    assert!(sent[1].body().is_empty(), "the 183 answered");
    phone.cseq = invite;
    phone.ack(&mut bench, &call, "");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Acknowledged { answer: None, .. }]
    ));
}

#[test]
fn a_200_may_overtake_a_reliable_180_whose_prack_still_gets_its_200() {
    let (mut bench, mut phone, leg) = calls(&["Supported: 100rel"], SDP);
    let invite = phone.cseq;
    ring(&mut bench, leg, 180, None);
    let first = bench.only();
    bench.endpoint.answer(leg, SDP.into(), bench.now);
    bench.drain();
    let answer = bench.only();
    assert_eq!(describe(&answer), "200 OK (INVITE)");
    assert_eq!(answer.body(), SDP);
    let call = call_of(leg, &answer);
    let sent = prack(&mut bench, &mut phone, &call, (rseq(&first), invite), "");
    assert_eq!(describe_all(&sent), "200 OK (PRACK)");
    bench.advance(Duration::from_secs(3));
    let sent = bench.take_sent();
    assert!(sent.iter().all(|one| one.status() == Some(Status(200))));
}

#[test]
fn an_invite_without_an_offer_gets_it_in_the_180_and_answers_in_the_prack() {
    let (mut bench, mut phone, leg) = calls(&["Supported: 100rel"], "");
    let invite = phone.cseq;
    ring(&mut bench, leg, 180, Some(SDP));
    let first = bench.only();
    assert_eq!(first.body(), SDP);
    let call = call_of(leg, &first);
    // RFC 3311 section 5.2: our offer has no answer.
    let sent = phone.within(&mut bench, &call, "UPDATE", &[], SDP);
    assert_eq!(describe_all(&sent), "491 Request Pending (UPDATE)");
    let named = (rseq(&first), invite);
    let sent = prack(&mut bench, &mut phone, &call, named, SDP);
    assert_eq!(describe_all(&sent), "200 OK (PRACK)");
    assert!(matches!(
        bench.take_events()[..],
        [Event::Acknowledged {
            answer: Some(_),
            ..
        }]
    ));
    bench.endpoint.answer(leg, SDP.into(), bench.now);
    bench.drain();
    assert!(bench.only().body().is_empty());
}

#[test]
fn once_agreed_reliably_the_caller_may_offer_anew_in_the_prack_and_in_update() {
    let (mut bench, mut phone, leg) = calls(&["Supported: 100rel", "Allow: UPDATE"], SDP);
    let invite = phone.cseq;
    ring(&mut bench, leg, 183, Some(SDP));
    let first = bench.only();
    let call = call_of(leg, &first);
    let contact = format!("Contact: <{}>", phone.contact());
    // RFC 3311 section 5.2: whether the answer arrived is not known.
    let sent = phone.within(
        &mut bench,
        &call,
        "UPDATE",
        std::slice::from_ref(&contact),
        SDP,
    );
    assert_eq!(describe_all(&sent), "500 Server Internal Error (UPDATE)");
    let named = (rseq(&first), invite);
    let sent = prack(&mut bench, &mut phone, &call, named, SDP);
    assert_eq!(describe_all(&sent), "");
    for request in ["PRACK", "UPDATE"] {
        assert!(matches!(
            bench.take_events()[..],
            [Event::Reoffered { offer: Some(_), .. }]
        ));
        bench.endpoint.answer(leg, "v=0\r\nx".into(), bench.now);
        bench.drain();
        let answer = bench.only();
        assert_eq!(describe(&answer), format!("200 OK ({request})"));
        assert_eq!(answer.body(), &b"v=0\r\nx"[..]);
        phone.within(
            &mut bench,
            &call,
            "UPDATE",
            std::slice::from_ref(&contact),
            SDP,
        );
    }
    bench.endpoint.reject(leg, Status(488), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "488 Not Acceptable Here (UPDATE)");
    // But not by a second INVITE (RFC 3261 section 14.2).
    let second = std::slice::from_ref(&contact);
    let sent = phone.within(&mut bench, &call, "INVITE", second, SDP);
    assert_eq!(describe_all(&sent), "500 Server Internal Error (INVITE)");
    // And so may we.
    bench.endpoint.reoffer(leg, SDP.into(), bench.now);
    bench.drain();
    let ours = bench.only();
    assert_eq!(describe(&ours), "UPDATE");
    let text = phone.respond(&ours, "200 OK", "", &[contact], SDP);
    phone.send(&mut bench, &text);
    let events = bench.take_events();
    assert!(
        matches!(
            events.last(),
            Some(Event::Reanswered {
                result: Ok(Some(_)),
                ..
            })
        ),
        "{events:?}"
    );
}

/// The switch calls 201; its INVITE and the phone.
fn called() -> (Bench, Phone, LegId, Message) {
    let mut bench = Bench::new();
    let phone = Phone::new("201");
    let leg = bench.invite(phone.outgoing());
    let invite = bench.only();
    assert_eq!(
        value(&invite, Header::Supported),
        "100rel, timer, replaces, norefersub"
    );
    (bench, phone, leg, invite)
}

fn reliable(phone: &Phone, rseq: u32) -> Vec<String> {
    vec![
        format!("Contact: <{}>", phone.contact()),
        "Require: 100rel".into(),
        format!("RSeq: {rseq}"),
        "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE".into(),
    ]
}

fn answers(bench: &mut Bench, phone: &Phone, request: &Message, answer: (&str, &str, &[String])) {
    let (status, body, lines) = answer;
    let text = phone.respond(request, status, "p1", lines, body);
    phone.send(bench, &text);
}

#[test]
fn a_phone_that_rings_reliably_gets_one_prack_for_each_answer_in_order() {
    let (mut bench, phone, _, invite) = called();
    for number in [7, 7, 9] {
        answers(
            &mut bench,
            &phone,
            &invite,
            ("180 Ringing", "", &reliable(&phone, number)),
        );
    }
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "PRACK");
    let cseq = invite.cseq().unwrap().number;
    assert_eq!(value(&sent[0], Header::RAck), format!("7 {cseq} INVITE"));
    assert_eq!(sent[0].request_uri(), Some(&*phone.contact()));
    assert_eq!(sent[0].to().unwrap().tag(), Some("p1"));
    assert_eq!(bench.take_events().len(), 1, "the others are passed over");
    answers(
        &mut bench,
        &phone,
        &invite,
        ("183 Session Progress", SDP, &reliable(&phone, 8)),
    );
    assert_eq!(
        value(&bench.only(), Header::RAck),
        format!("8 {cseq} INVITE")
    );
    assert!(matches!(
        bench.take_events()[..],
        [Event::Ringing {
            answer: Some(_),
            ..
        }]
    ));
    let contact = [format!("Contact: <{}>", phone.contact())];
    answers(&mut bench, &phone, &invite, ("200 OK", SDP, &contact));
    let ack = bench.only();
    assert_eq!(describe(&ack), "ACK");
    assert_eq!(ack.cseq().unwrap().number, cseq);
    assert!(matches!(
        bench.take_events()[..],
        [Event::Answered { answer: None, .. }]
    ));
}

#[test]
fn a_phone_and_the_switch_may_update_once_the_early_dialog_is_agreed() {
    let (mut bench, mut phone, leg, invite) = called();
    answers(
        &mut bench,
        &phone,
        &invite,
        ("180 Ringing", "", &reliable(&phone, 1)),
    );
    let prack = bench.only();
    // The phone's own requests: its tag, our From as its To.
    phone.call_id = value(&invite, Header::CallId);
    phone.tag = "p1".into();
    let call = Call {
        leg,
        target: invite.contact().unwrap().uri.text().to_owned(),
        to: value(&prack, Header::From),
    };
    let contact = [format!("Contact: <{}>", phone.contact())];
    let sent = phone.within(&mut bench, &call, "UPDATE", &contact, SDP);
    assert_eq!(describe_all(&sent), "491 Request Pending (UPDATE)");
    bench.endpoint.reoffer(leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe_all(&bench.take_sent()), "", "it waits");
    answers(
        &mut bench,
        &phone,
        &invite,
        ("183 Session Progress", SDP, &reliable(&phone, 2)),
    );
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "PRACK, UPDATE");
    answers(&mut bench, &phone, &sent[1], ("200 OK", SDP, &contact));
    bench.take_events();
    let sent = phone.within(&mut bench, &call, "INVITE", &contact, SDP);
    assert_eq!(describe_all(&sent), "491 Request Pending (INVITE)");
    let sent = phone.within(&mut bench, &call, "UPDATE", &contact, SDP);
    assert_eq!(describe_all(&sent), "");
    assert!(matches!(bench.take_events()[..], [Event::Reoffered { .. }]));
    bench.endpoint.answer(leg, SDP.into(), bench.now);
    bench.drain();
    assert_eq!(describe(&bench.only()), "200 OK (UPDATE)");
    let sent = phone.within(&mut bench, &call, "UPDATE", &contact, "");
    assert_eq!(describe_all(&sent), "200 OK (UPDATE)");
    answers(&mut bench, &phone, &invite, ("200 OK", "", &contact));
    assert_eq!(describe(&bench.only()), "ACK");
    bench.endpoint.bye(leg, None, bench.now);
    bench.drain();
    // INVITE, PRACK, PRACK, UPDATE, BYE.
    assert_eq!(
        bench.only().cseq().unwrap().number,
        invite.cseq().unwrap().number + 4
    );
}

#[test]
fn each_fork_has_its_own_reliable_answers_and_numbers_rise_in_all_of_them() {
    let (mut bench, phone, _, invite) = called();
    let mut numbers = vec![];
    for (tag, number) in [("a", 100), ("b", 5), ("a", 101), ("b", 6)] {
        let text = phone.respond(&invite, "180 Ringing", tag, &reliable(&phone, number), "");
        phone.send(&mut bench, &text);
        let prack = bench.only();
        assert_eq!(prack.to().unwrap().tag(), Some(tag));
        numbers.push(prack.cseq().unwrap().number);
    }
    assert!(numbers.is_sorted());
    let contact = [format!("Contact: <{}>", phone.contact())];
    for (tag, sent) in [("a", "ACK"), ("b", "ACK, BYE")] {
        let text = phone.respond(&invite, "200 OK", tag, &contact, SDP);
        phone.send(&mut bench, &text);
        let left = bench.take_sent();
        assert_eq!(describe_all(&left), sent);
        let last = left.last().unwrap();
        assert!(tag == "a" || last.cseq().unwrap().number > numbers[3]);
    }
}

#[test]
fn what_we_do_not_know_gets_420_by_name() {
    let (mut bench, mut phone, call) = standing();
    let lines = ["Require: 100rel, precondition, timer, Foo".to_owned()];
    let sent = phone.within(&mut bench, &call, "INFO", &lines, "");
    assert_eq!(describe_all(&sent), "420 Bad Extension (INFO)");
    assert_eq!(value(&sent[0], Header::Unsupported), "precondition, Foo");
}
