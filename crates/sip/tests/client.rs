//! Requests of ours outside dialogs, and peers that are known by their addresses.

use std::time::Duration;

use sip::digest::Credentials;
use sip::endpoint::{Account, Binding, LegId, NoReply, Outgoing, Peer, Request, Source, Status};
use sip::header::Header;
use sip::{Event, Flow, Message, Method, Transport};

use crate::bench::{self, Bench, describe, describe_all, tcp, udp};
use crate::phone::{Phone, SDP, value};

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"provider\", nonce=\"n1\", qop=\"auth\"";

fn provider() -> Phone {
    Phone::at("provider", udp("127.0.0.9:5060"))
}

/// The endpoint knows the provider by its address, and has credentials for its realm.
fn acquainted() -> Bench {
    let mut bench = Bench::new();
    bench.endpoint.set_peers(vec![peer(udp("127.0.0.9:5060"))]);
    bench
}

fn peer(flow: Flow) -> Peer {
    Peer {
        account: account(),
        sources: vec![Source {
            network: flow.remote.ip(),
            prefix: 32,
            port: Some(flow.remote.port()),
        }],
        targets: vec![flow.remote],
        credentials: Some(credentials()),
        trusted: false,
        proves: false,
        has_line: true,
    }
}

fn account() -> Account {
    Account("provider".into())
}

fn credentials() -> Credentials {
    Credentials {
        user: "alice".into(),
        password: "secret".into(),
        realm: "provider".into(),
    }
}

fn register(flow: Flow) -> Request {
    Request {
        method: Method::Register,
        uri: "sip:127.0.0.9".into(),
        flow,
        from: "<sip:alice@127.0.0.9>".into(),
        to: "<sip:alice@127.0.0.9>".into(),
        thread: Some(("thread".into(), 7)),
        headers: vec![(Header::Expires, "300".into())],
        body: None,
        peer: Some(account()),
    }
}

fn send(bench: &mut Bench, flow: Flow) -> Message {
    bench.endpoint.send_request(register(flow), bench.now);
    bench.drain();
    bench.only()
}

/// The provider was asked something.
fn asked() -> (Bench, Phone, Message) {
    let (mut bench, provider) = (acquainted(), provider());
    let request = send(&mut bench, provider.flow);
    (bench, provider, request)
}

fn answer(bench: &mut Bench, from: &Phone, request: &Message, status: &str, lines: &[&str]) {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let text = from.respond(request, status, "p", &lines, "");
    from.send(bench, &text);
}

fn challenge(bench: &mut Bench, from: &Phone, request: &Message, with: &str) {
    answer(bench, from, request, "401 Unauthorized", &[with]);
}

/// The status and the CSeq of the one reply that was told.
fn reply(bench: &mut Bench) -> (Result<u16, NoReply>, u32) {
    let events = bench.take_events();
    let [Event::Replied { cseq, reply, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    let status = |message: &Message| message.status().unwrap().0;
    let reply = reply.as_ref().map(|message| status(message));
    (reply.map_err(|why| *why), *cseq)
}

fn call(bench: &mut Bench, flow: Flow) -> LegId {
    bench.invite(Outgoing {
        binding: Binding {
            account: account(),
            contact: "sip:49301234@127.0.0.9".into(),
            flow,
        },
        ..Phone::new("201").outgoing()
    })
}

#[test]
fn a_request_outside_dialogs_is_repeated_until_its_answer_is_told() {
    let (mut bench, provider, request) = asked();
    assert_eq!(value(&request, Header::CSeq), "7 REGISTER");
    assert_eq!(value(&request, Header::CallId), "thread");
    bench.advance(Duration::from_secs(1));
    assert_eq!(describe_all(&bench.take_sent()), "REGISTER");
    answer(&mut bench, &provider, &request, "200 OK", &[]);
    assert_eq!(reply(&mut bench), (Ok(200), 7));
    bench.advance(Duration::from_secs(40));
    assert!(bench.is_quiet());
}

#[test]
fn a_challenge_of_the_peer_is_answered_before_the_owner_hears_of_it() {
    for flow in [udp("127.0.0.9:5060"), tcp("127.0.0.9:5060")] {
        let mut bench = acquainted();
        let provider = Phone::at("provider", flow);
        let request = send(&mut bench, flow);
        challenge(&mut bench, &provider, &request, CHALLENGE);
        let again = bench.only();
        assert_eq!(value(&again, Header::CSeq), "8 REGISTER");
        assert_eq!(value(&again, Header::Expires), "300");
        let shown = value(&again, Header::Authorization);
        assert!(shown.starts_with("Digest username=\"alice\", realm=\"provider\", nonce=\"n1\""));
        assert!(shown.contains("uri=\"sip:127.0.0.9\""), "{shown}");
        answer(&mut bench, &provider, &again, "200 OK", &[]);
        assert_eq!(reply(&mut bench), (Ok(200), 8));
    }
}

#[test]
fn a_stale_nonce_is_answered_once_more_and_wrong_credentials_are_not() {
    let (mut bench, provider, request) = asked();
    challenge(&mut bench, &provider, &request, CHALLENGE);
    let again = bench.only();
    let stale = CHALLENGE.replace("n1", "n2") + ", stale=true";
    challenge(&mut bench, &provider, &again, &stale);
    let third = bench.only();
    assert!(value(&third, Header::Authorization).contains("nonce=\"n2\""));
    let fresh = CHALLENGE.replace("n1", "n3");
    challenge(&mut bench, &provider, &third, &fresh);
    assert_eq!(describe_all(&bench.take_sent()), "");
    assert_eq!(reply(&mut bench), (Ok(401), 9));
}

#[test]
fn a_peer_that_is_never_satisfied_is_left() {
    let (mut bench, provider, mut request) = asked();
    let stale = CHALLENGE.to_owned() + ", stale=true";
    for _ in 0..3 {
        challenge(&mut bench, &provider, &request, &stale);
        request = bench.only();
    }
    challenge(&mut bench, &provider, &request, &stale);
    assert_eq!(reply(&mut bench), (Ok(401), 10));
}

#[test]
fn credentials_are_shown_to_no_stranger() {
    // Another realm, another address, a request that is for no peer.
    let (mut bench, provider, request) = asked();
    let foreign = CHALLENGE.replace("realm=\"provider\"", "realm=\"stranger\"");
    challenge(&mut bench, &provider, &request, &foreign);
    assert_eq!(reply(&mut bench), (Ok(401), 7));

    let stranger = Phone::at("stranger", udp("127.0.0.66:5060"));
    let request = send(&mut bench, stranger.flow);
    challenge(&mut bench, &stranger, &request, CHALLENGE);
    assert_eq!(reply(&mut bench), (Ok(401), 7));

    // Somebody who saw the request answers in the peer's place.
    let request = send(&mut bench, provider.flow);
    challenge(&mut bench, &stranger, &request, CHALLENGE);
    assert_eq!(reply(&mut bench), (Ok(401), 7));
    assert_eq!(describe_all(&bench.take_sent()), "");
}

#[test]
fn a_phone_that_challenges_us_gets_nothing() {
    let (mut bench, phone) = (acquainted(), Phone::new("201"));
    bench.invite(phone.outgoing());
    let invite = bench.only();
    challenge(&mut bench, &phone, &invite, CHALLENGE);
    assert_eq!(describe_all(&bench.take_sent()), "ACK");
}

#[test]
fn nobody_answers_and_the_owner_is_told() {
    let (mut bench, provider) = (acquainted(), provider());
    send(&mut bench, provider.flow);
    bench.advance(Duration::from_secs(33));
    assert_eq!(reply(&mut bench), (Err(NoReply::Timeout), 7));
    bench.take_sent();
    send(&mut bench, tcp("127.0.0.9:5060"));
    let flow = tcp("127.0.0.9:5060");
    bench.endpoint.handle_flow_closed(flow, bench.now);
    bench.drain();
    assert_eq!(reply(&mut bench), (Err(NoReply::FlowFailed), 7));
}

#[test]
fn an_invite_and_a_bye_are_challenged_too() {
    let (mut bench, provider) = (acquainted(), provider());
    let proxy = CHALLENGE.replace("WWW-", "Proxy-");
    let leg = call(&mut bench, provider.flow);
    let invite = bench.only();
    answer(
        &mut bench,
        &provider,
        &invite,
        "407 Proxy Authentication Required",
        &[&proxy],
    );
    let sent = bench.take_sent();
    assert_eq!(describe_all(&sent), "ACK, INVITE");
    let again = &sent[1];
    assert_eq!(value(again, Header::CSeq), "2 INVITE");
    assert!(value(again, Header::ProxyAuthorization).contains("uri=\"sip:49301234@127.0.0.9\""));
    assert_eq!(&again.body()[..], SDP.as_bytes());
    let contact = format!("Contact: <{}>", provider.contact());
    let text = provider.respond(again, "200 OK", "p", &[contact], SDP);
    provider.send(&mut bench, &text);
    let ack = bench.only();
    assert_eq!(value(&ack, Header::CSeq), "2 ACK");

    bench.endpoint.bye(leg, None, bench.now);
    bench.drain();
    let bye = bench.only();
    assert_eq!(value(&bye, Header::CSeq), "3 BYE");
    challenge(&mut bench, &provider, &bye, CHALLENGE);
    let again = bench.only();
    assert_eq!(describe(&again), "BYE");
    assert_eq!(value(&again, Header::CSeq), "4 BYE");
    // The same nonce for the second time.
    assert!(value(&again, Header::Authorization).contains("nc=00000002"));
    answer(&mut bench, &provider, &again, "200 OK", &[]);
    assert_eq!(bench.endpoint.legs(), 0);
}

#[test]
fn an_invite_that_was_sent_again_is_cancelled_as_it_stands_now() {
    let (mut bench, provider) = (acquainted(), provider());
    let leg = call(&mut bench, provider.flow);
    let invite = bench.only();
    challenge(&mut bench, &provider, &invite, CHALLENGE);
    let again = bench.take_sent().remove(1);
    answer(&mut bench, &provider, &again, "100 Trying", &[]);
    bench.endpoint.cancel(leg, None, bench.now);
    bench.drain();
    let cancel = bench.only();
    assert_eq!(value(&cancel, Header::CSeq), "2 CANCEL");
    assert_eq!(value(&cancel, Header::Via), value(&again, Header::Via));
}

#[test]
fn an_invite_that_nobody_wants_any_more_is_not_sent_again() {
    let (mut bench, provider) = (acquainted(), provider());
    let leg = call(&mut bench, provider.flow);
    let invite = bench.only();
    bench.endpoint.cancel(leg, None, bench.now);
    challenge(&mut bench, &provider, &invite, CHALLENGE);
    assert_eq!(describe_all(&bench.take_sent()), "ACK");
    let events = bench.take_events();
    assert!(matches!(
        events[..],
        [Event::Refused {
            status: Status(401),
            ..
        }]
    ));
}

#[test]
fn a_peer_calls_from_its_address_without_a_password() {
    let (mut bench, mut provider) = (acquainted(), provider());
    let lines = [format!("Contact: <{}>", provider.contact())];
    let uri = "sip:4930700@127.0.0.1";
    let text = provider.write("INVITE", uri, &format!("<{uri}>"), &lines, SDP);
    provider.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "100 Trying (INVITE)");
    let events = bench.take_events();
    let [Event::Incoming { invite, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(invite.account, account());
    assert_eq!(
        (invite.caller.as_str(), invite.dialled.as_str()),
        ("provider", "4930700")
    );
}

#[test]
fn who_only_says_to_be_the_peer_is_challenged() {
    // Another address, another port, its name in From.
    for place in ["127.0.0.10:5060", "127.0.0.9:5061"] {
        let mut bench = acquainted();
        let mut stranger = Phone::at("provider", udp(place));
        let lines = [format!("Contact: <{}>", stranger.contact())];
        let text = stranger.write(
            "INVITE",
            "sip:700@127.0.0.1",
            "<sip:700@127.0.0.1>",
            &lines,
            SDP,
        );
        stranger.send(&mut bench, &text);
        assert_eq!(
            describe(&bench.only()),
            "401 Unauthorized (INVITE)",
            "{place}"
        );
    }
}

#[test]
fn a_call_for_our_line_is_the_peer_s_wherever_it_comes_from() {
    let mut bench = acquainted();
    let mut other = Phone::at("4915712345", udp("127.0.0.77:5080"));
    let uri = format!("sip:{}@127.0.0.1:5060", credentials().line());
    let lines = [format!("Contact: <{}>", other.contact())];
    let text = other.write("INVITE", &uri, "<sip:4930700@provider>", &lines, SDP);
    other.send(&mut bench, &text);
    assert_eq!(describe(&bench.only()), "100 Trying (INVITE)");
    let events = bench.take_events();
    let [Event::Incoming { invite, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(invite.account, account());
    assert_eq!(
        (invite.caller.as_str(), invite.dialled.as_str()),
        ("4915712345", "4930700")
    );
}

#[test]
fn an_invite_of_ours_that_comes_back_unchanged_is_a_loop() {
    let (mut bench, mut provider) = (acquainted(), provider());
    call(&mut bench, provider.flow);
    let invite = bench.only();
    let via = format!("Via: {}", value(&invite, Header::Via));
    let contact = format!("Contact: <{}>", provider.contact());
    for (uri, answer) in [
        ("sip:49301234@127.0.0.9", "482 Loop Detected (INVITE)"),
        // A proxy that found another target for it: a spiral (RFC 3261 section 16.3, item 4).
        ("sip:700@127.0.0.1", "100 Trying (INVITE)"),
    ] {
        let lines = [via.clone(), contact.clone()];
        let text = provider.write("INVITE", uri, &format!("<{uri}>"), &lines, SDP);
        provider.send(&mut bench, &text);
        assert_eq!(describe(&bench.only()), answer, "{uri}");
    }
}

/// The provider connects from a port of its own and lets us use the connection (RFC 5923), or says so of another's.
fn lends(bench: &mut Bench, connection: Flow, sent_by: &str) {
    let text = format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {sent_by};alias;branch=z9hG4bKalias\r\n\
         From: <sip:127.0.0.9>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: alias\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    bench.receive(text.as_bytes(), connection);
    bench.take_sent();
}

fn left(bench: &mut Bench) -> (Flow, String) {
    let (flow, message) = bench.sent.pop().unwrap();
    (flow, describe(&message))
}

#[test]
fn what_goes_to_a_peer_takes_the_connection_that_it_lends_and_our_own_when_that_is_gone() {
    let (mut bench, ours) = (acquainted(), tcp("127.0.0.9:5060"));
    let theirs = tcp("127.0.0.9:45000");
    lends(&mut bench, theirs, "127.0.0.9");
    bench.endpoint.send_request(register(ours), bench.now);
    bench.drain();
    let (flow, request) = bench.sent.pop().unwrap();
    assert_eq!(flow, theirs);
    assert!(
        value(&request, Header::Via).contains(";alias;"),
        "we lend ours"
    );
    // Our credentials are for the address that it stands for.
    let provider = Phone::at("provider", theirs);
    challenge(&mut bench, &provider, &request, CHALLENGE);
    assert_eq!(left(&mut bench), (theirs, "REGISTER".to_owned()));
    bench.endpoint.handle_flow_closed(theirs, bench.now);
    bench.drain();
    assert_eq!(left(&mut bench), (ours, "REGISTER".to_owned()));
    bench.endpoint.send_request(register(ours), bench.now);
    bench.drain();
    assert_eq!(left(&mut bench).0, ours);
}

#[test]
fn nobody_lends_a_connection_for_anothers_address_nor_over_tls() {
    let ours = tcp("127.0.0.9:5060");
    let tls = |remote| bench::flow(Transport::Tls, remote);
    for (connection, sent_by, asked) in [
        (tcp("127.0.0.8:45000"), "127.0.0.9:5060", ours),
        (tcp("127.0.0.9:45000"), "carrier.example", ours),
        (tls("127.0.0.9:45000"), "127.0.0.9:5060", ours),
        (
            tls("127.0.0.9:45000"),
            "127.0.0.9:5061",
            tls("127.0.0.9:5061"),
        ),
    ] {
        let mut bench = acquainted();
        lends(&mut bench, connection, sent_by);
        bench.endpoint.send_request(register(asked), bench.now);
        bench.drain();
        assert_eq!(left(&mut bench).0, asked, "{sent_by}");
    }
}

#[test]
fn what_meets_a_connection_that_the_peer_has_just_closed_goes_once_more_over_a_new_one() {
    let (mut bench, flow) = (acquainted(), tcp("127.0.0.9:5060"));
    let provider = Phone::at("provider", flow);
    let first = send(&mut bench, flow);
    answer(&mut bench, &provider, &first, "200 OK", &[]);
    bench.take_events();
    let second = send(&mut bench, flow);
    let again = |bench: &mut Bench| {
        bench.endpoint.handle_flow_closed(flow, bench.now);
        bench.drain();
        bench.take_sent()
    };
    let sent = again(&mut bench);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].octets(), second.octets());
    // The new one cannot be opened: that is told at once.
    assert!(again(&mut bench).is_empty());
    assert_eq!(reply(&mut bench), (Err(NoReply::FlowFailed), 7));
}
