//! REGISTER (RFC 3261 section 10) with digest (RFC 3261 section 22, RFC 7616, RFC 8760).

use std::time::Duration;

use sip::endpoint::{Account, Event};
use sip::header::Header;

use crate::bench::{Bench, describe, password, settings, tcp, udp};
use crate::phone::{Phone, SWITCH, value};

fn account(user: &str) -> Account {
    Account(user.into())
}

fn contacts(message: &sip::Message) -> Vec<&str> {
    message.values(Header::Contact).collect()
}

fn reach(bench: &mut Bench) -> Vec<(String, bool)> {
    bench
        .take_events()
        .into_iter()
        .map(|event| {
            let Event::Reach { account, reachable } = event else {
                panic!("{event:?}")
            };
            (account.0.to_string(), reachable)
        })
        .collect()
}

#[test]
fn a_phone_registers_after_a_challenge_and_becomes_reachable() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let to = format!("<sip:201@{SWITCH}>");
    let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &[], "");
    phone.send(&mut bench, &text);
    let challenge = bench.only();
    let offered: Vec<_> = challenge.values(Header::WwwAuthenticate).collect();
    assert_eq!(offered.len(), 2);
    assert!(offered[0].contains("algorithm=SHA-256") && offered[1].contains("algorithm=MD5"));
    assert!(bench.is_quiet(), "a challenge leaves no state");

    let answer = phone.register(&mut bench);
    assert_eq!(describe(&answer), "200 OK (REGISTER)");
    assert_eq!(
        contacts(&answer),
        [format!("<{}>;expires=3600", phone.contact())]
    );
    assert_eq!(reach(&mut bench), [("201".into(), true)]);
    let bindings = bench.endpoint.bindings(&account("201"));
    assert_eq!(bindings.len(), 1);
    assert_eq!(
        (bindings[0].contact.as_str(), bindings[0].flow),
        (&*phone.contact(), phone.flow)
    );
}

#[test]
fn both_algorithms_are_taken() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let to = format!("<sip:201@{SWITCH}>");
    for second in [false, true] {
        let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &[], "");
        phone.send(&mut bench, &text);
        let challenge = bench.only();
        let value = challenge
            .values(Header::WwwAuthenticate)
            .nth(usize::from(second))
            .unwrap();
        let answer = sip::digest::answer(
            value,
            "REGISTER",
            "sip:127.0.0.1",
            "201",
            &password("201"),
            1,
            "c",
        )
        .unwrap();
        let text = phone.write(
            "REGISTER",
            "sip:127.0.0.1",
            &to,
            &[format!("Authorization: {answer}")],
            "",
        );
        phone.send(&mut bench, &text);
        assert_eq!(describe(&bench.only()), "200 OK (REGISTER)");
    }
}

#[test]
fn a_retransmitted_register_gets_the_same_answer_and_a_replayed_one_a_stale_challenge() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let to = format!("<sip:201@{SWITCH}>");
    let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &[], "");
    phone.send(&mut bench, &text);
    let challenge = bench.only();
    let lines = [phone.authorization(&challenge, "REGISTER", "sip:127.0.0.1", 1)];
    let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &lines, "");
    phone.send(&mut bench, &text);
    let first = bench.only();
    phone.send(&mut bench, &text);
    assert_eq!(bench.only().octets(), first.octets());
    // Timer J: 32 s later the transaction is gone, and what somebody recorded is worth nothing.
    bench.advance(Duration::from_secs(33));
    phone.send(&mut bench, &text);
    let answer = bench.only();
    assert_eq!(describe(&answer), "401 Unauthorized (REGISTER)");
    assert!(value(&answer, Header::WwwAuthenticate).contains("stale=true"));
}

#[test]
fn wrong_passwords_and_unknown_users_look_the_same_and_nobody_registers_for_another() {
    let mut bench = Bench::new();
    for (user, to, status) in [
        ("999", "999", 401),
        ("201", "202", 403),
        ("201", "201", 200),
    ] {
        let mut phone = Phone::new(user);
        phone.call_id = format!("{user}-as-{to}");
        let to = format!("<sip:{to}@{SWITCH}>");
        let answers = phone.authorized(&mut bench, "REGISTER", "sip:127.0.0.1", &to, &[], "");
        assert_eq!(answers[0].status().unwrap().0, status, "{user} {to}");
        if status == 401 {
            assert!(!value(&answers[0], Header::WwwAuthenticate).contains("stale"));
        }
    }
    assert!(bench.endpoint.bindings(&account("202")).is_empty());
}

#[test]
fn credentials_for_another_uri_are_refused() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let to = format!("<sip:201@{SWITCH}>");
    for (uri, status) in [
        ("sip:127.0.0.2", 400),
        ("sip:127.0.0.1:5070", 400),
        ("sip:127.0.0.1:5060;transport=udp", 200),
    ] {
        let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &[], "");
        phone.send(&mut bench, &text);
        let challenge = bench.only();
        let lines = [phone.authorization(&challenge, "REGISTER", uri, 1)];
        let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &lines, "");
        phone.send(&mut bench, &text);
        assert_eq!(bench.only().status().unwrap().0, status, "{uri}");
    }
}

#[test]
fn peers_that_fail_beside_sha_256_are_offered_md5_alone() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let to = format!("<sip:201@{SWITCH}>");
    let sipp = |text: String| text.replacen("branch=z9hG4bKcall-201-", "branch=z9hG4bK-16996-", 1);
    let agent = |name: &str| [format!("User-Agent: {name}")];
    for (text, challenges) in [
        (
            phone.write(
                "REGISTER",
                "sip:127.0.0.1",
                &to,
                &agent("baresip v1.0.0 (x86_64/linux)"),
                "",
            ),
            1,
        ),
        (
            phone.write(
                "REGISTER",
                "sip:127.0.0.1",
                &to,
                &agent("baresip v3.16.0 (x86_64/linux)"),
                "",
            ),
            2,
        ),
        (
            sipp(phone.write("REGISTER", "sip:127.0.0.1", &to, &[], "")),
            1,
        ),
    ] {
        phone.send(&mut bench, &text);
        let challenge = bench.only();
        let offered: Vec<_> = challenge.values(Header::WwwAuthenticate).collect();
        assert_eq!(offered.len(), challenges, "{text}");
        assert!(offered[challenges - 1].contains("algorithm=MD5"));
    }
}

#[test]
fn expiry_is_too_brief_clamped_or_of_each_contact() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let answer = phone.register_with(
        &mut bench,
        &["Contact: <sip:201@127.0.0.9>;expires=59".into()],
    );
    assert_eq!(describe(&answer), "423 Interval Too Brief (REGISTER)");
    assert_eq!(value(&answer, Header::MinExpires), "60");
    let answer = phone.register_with(
        &mut bench,
        &[
            "Contact: <sip:a@127.0.0.9>;expires=90, <sip:b@127.0.0.9>".into(),
            "Expires: 999999".into(),
        ],
    );
    assert_eq!(
        contacts(&answer),
        [
            "<sip:b@127.0.0.9>;expires=3600",
            "<sip:a@127.0.0.9>;expires=90"
        ]
    );
    assert_eq!(reach(&mut bench), [("201".into(), true)]);
    bench.advance(Duration::from_millis(89_500));
    let answer = phone.register_with(&mut bench, &[]);
    assert_eq!(
        contacts(&answer),
        [
            "<sip:b@127.0.0.9>;expires=3511",
            "<sip:a@127.0.0.9>;expires=1"
        ]
    );
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.endpoint.bindings(&account("201")).len(), 1);
    assert_eq!(reach(&mut bench), []);
    bench.advance(Duration::from_secs(3600));
    assert_eq!(reach(&mut bench), [("201".into(), false)]);
}

#[test]
fn a_contact_is_known_again_by_its_uri_and_removed_by_expires_0() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    phone.register_with(
        &mut bench,
        &["Contact: \"A\" <sip:%61@HOST.example.com;x=1>".into()],
    );
    let answer = phone.register_with(&mut bench, &["Contact: <sip:a@host.EXAMPLE.com>".into()]);
    assert_eq!(contacts(&answer), ["<sip:a@host.EXAMPLE.com>;expires=3600"]);
    let answer = phone.register_with(
        &mut bench,
        &["Contact: <sip:a@host.example.com>;expires=0".into()],
    );
    assert_eq!(contacts(&answer), Vec::<&str>::new());
    assert_eq!(
        reach(&mut bench),
        [("201".into(), true), ("201".into(), false)]
    );
}

#[test]
fn a_star_removes_all_but_only_with_expires_0() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    phone.register_with(
        &mut bench,
        &["Contact: <sip:a@127.0.0.9>, <sip:b@127.0.0.9>".into()],
    );
    let answer = phone.register_with(&mut bench, &["Contact: *".into(), "Expires: 5".into()]);
    assert_eq!(describe(&answer), "400 Bad Request (REGISTER)");
    assert_eq!(bench.endpoint.bindings(&account("201")).len(), 2);
    let answer = phone.register_with(&mut bench, &["Contact: *".into(), "Expires: 0".into()]);
    assert_eq!(describe(&answer), "200 OK (REGISTER)");
    assert!(bench.endpoint.bindings(&account("201")).is_empty());
}

#[test]
fn an_old_register_of_the_same_call_id_changes_nothing() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    phone.register(&mut bench);
    phone.cseq -= 2;
    let answer = phone.register_with(&mut bench, &["Contact: *".into(), "Expires: 0".into()]);
    assert_eq!(answer.status().unwrap().0, 500);
    assert_eq!(bench.endpoint.bindings(&account("201")).len(), 1);
    // A phone that starts anew draws a new Call-ID.
    phone.call_id = "another".into();
    phone.cseq = 0;
    assert_eq!(describe(&phone.register(&mut bench)), "200 OK (REGISTER)");
}

#[test]
fn the_eleventh_contact_takes_the_place_of_the_oldest() {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    for n in 0..11 {
        phone.register_with(&mut bench, &[format!("Contact: <sip:c{n}@127.0.0.9>")]);
    }
    let bindings = bench.endpoint.bindings(&account("201"));
    assert_eq!(bindings.len(), 10);
    assert_eq!(bindings[0].contact, "sip:c10@127.0.0.9");
    assert_eq!(bindings[9].contact, "sip:c1@127.0.0.9");
    let many: Vec<String> = (0..11)
        .map(|n| format!("Contact: <sip:d{n}@127.0.0.9>"))
        .collect();
    assert_eq!(
        phone.register_with(&mut bench, &many).status().unwrap().0,
        403
    );
    assert_eq!(bench.endpoint.bindings(&account("201")), bindings);
}

#[test]
fn a_connection_that_closes_takes_its_bindings_along() {
    let mut bench = Bench::new();
    let mut desk = Phone::at("201", tcp("127.0.0.9:41000"));
    let mut soft = Phone::at("201", udp("127.0.0.8:5060"));
    soft.call_id = "soft".into();
    desk.register(&mut bench);
    soft.register(&mut bench);
    assert_eq!(reach(&mut bench), [("201".into(), true)]);
    bench.endpoint.handle_flow_closed(desk.flow, bench.now);
    bench.drain();
    assert_eq!(reach(&mut bench), []);
    assert_eq!(bench.endpoint.bindings(&account("201"))[0].flow, soft.flow);
    // The same contact over a new connection counts for the new one alone.
    desk.register(&mut bench);
    let old = desk.flow;
    desk.flow = tcp("127.0.0.9:41001");
    desk.register_with(
        &mut bench,
        &["Contact: <sip:201@127.0.0.9:41000;transport=tcp>".into()],
    );
    bench.endpoint.handle_flow_closed(old, bench.now);
    assert_eq!(bench.endpoint.bindings(&account("201"))[0].flow, desk.flow);
    bench.drain();
}

#[test]
fn a_reload_drops_the_bindings_of_removed_accounts_alone() {
    let mut bench = Bench::new();
    Phone::new("201").register(&mut bench);
    Phone::new("202").register(&mut bench);
    bench.take_events();
    let mut settings = settings();
    settings.accounts.remove("202");
    bench.endpoint.configure(settings, bench.now);
    bench.drain();
    assert_eq!(reach(&mut bench), [("202".into(), false)]);
    assert_eq!(bench.endpoint.bindings(&account("201")).len(), 1);
    let mut phone = Phone::new("202");
    phone.call_id = "after-reload".into();
    assert_eq!(phone.register(&mut bench).status().unwrap().0, 401);
}

#[test]
fn the_answer_goes_where_the_via_says() {
    let register = |via: &str| {
        format!(
            "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: {via};branch=z9hG4bKx1\r\nFrom: <sip:201@x>;tag=1\r\n\
             To: <sip:201@x>\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for (via, from, to, received) in [
        (
            "SIP/2.0/UDP 10.0.0.1:5070;rport",
            udp("127.0.0.9:40000"),
            "127.0.0.9:40000",
            ";received=127.0.0.9;rport=40000",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1:5070",
            udp("127.0.0.9:40000"),
            "127.0.0.9:5070",
            ";received=127.0.0.9",
        ),
        (
            "SIP/2.0/UDP 127.0.0.9",
            udp("127.0.0.9:40000"),
            "127.0.0.9:5060",
            "",
        ),
        (
            "SIP/2.0/UDP [::1]:5070",
            udp("[::1]:40000"),
            "[::1]:5070",
            "",
        ),
        (
            "SIP/2.0/TCP 10.0.0.1:5070",
            tcp("127.0.0.9:40000"),
            "127.0.0.9:40000",
            ";received=127.0.0.9",
        ),
    ] {
        let mut bench = Bench::new();
        // It is short for its answer, which comes when it is repeated.
        while bench.sent.is_empty() {
            bench.receive(register(via).as_bytes(), from);
        }
        let (flow, message) = bench.sent.remove(0);
        assert_eq!(flow.remote, to.parse().unwrap(), "{via}");
        assert_eq!((flow.local, flow.transport), (from.local, from.transport));
        let got = value(&message, Header::Via);
        assert_eq!(
            got.split_once(";received")
                .map_or("", |(_, rest)| rest)
                .is_empty(),
            received.is_empty(),
            "{got}"
        );
        assert!(got.ends_with(received) || got.contains(received), "{got}");
    }
}
