//! What strangers meet: floods, guesses, spoofed sources; and that phones go on beside them.

use std::time::Duration;

use sip::Event;
use sip::guard::Stranger;
use sip::header::Header;

use crate::bench::{Bench, udp};
use crate::phone::{Phone, SWITCH};

/// A REGISTER with a wrong password; gives the status of each answer.
fn guess(bench: &mut Bench, phone: &mut Phone, challenge: &str) -> Vec<u16> {
    let uri = "sip:127.0.0.1";
    let to = format!("<sip:{}@{SWITCH}>", phone.user);
    let answer =
        sip::digest::answer(challenge, "REGISTER", uri, &phone.user, "wrong", 1, "c").unwrap();
    let text = phone.write(
        "REGISTER",
        uri,
        &to,
        &[format!("Authorization: {answer}")],
        "",
    );
    phone.send(bench, &text);
    let sent = bench.take_sent();
    sent.iter()
        .map(|answer| answer.status().unwrap().0)
        .collect()
}

/// The first challenge that a phone gets.
fn challenge(bench: &mut Bench, phone: &mut Phone) -> String {
    let to = format!("<sip:{}@{SWITCH}>", phone.user);
    let text = phone.write("REGISTER", "sip:127.0.0.1", &to, &[], "");
    phone.send(bench, &text);
    let answer = bench.only();
    answer.header(Header::WwwAuthenticate).unwrap().to_owned()
}

fn bans(bench: &mut Bench) -> usize {
    let events = bench.take_events();
    let is_ban = |event: &&Event| matches!(event, Event::Banned(_));
    events.iter().filter(is_ban).count()
}

#[test]
fn the_sixth_guess_meets_silence_and_what_follows_is_not_even_read() {
    let mut bench = Bench::new();
    let mut cracker = Phone::at("201", udp("203.0.113.9:5060"));
    let challenge = challenge(&mut bench, &mut cracker);
    for _ in 0..5 {
        assert_eq!(guess(&mut bench, &mut cracker, &challenge), [401]);
    }
    assert_eq!(bans(&mut bench), 1);
    assert!(guess(&mut bench, &mut cracker, &challenge).is_empty());
    let address = "203.0.113.9".parse().unwrap();
    assert_eq!(bench.shut, [Stranger::Address(address)]);
    // Not even with the right password, until the ban is over.
    bench.advance(Duration::from_secs(299));
    assert!(guess(&mut bench, &mut cracker, &challenge).is_empty());
    bench.advance(Duration::from_secs(2));
    cracker.register(&mut bench);
}

#[test]
fn a_phone_goes_on_at_the_address_of_a_cracker_that_is_banned() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("202", udp("203.0.113.9:4000"));
    phone.register(&mut bench);
    let mut cracker = Phone::at("201", udp("203.0.113.9:5060"));
    let challenge = challenge(&mut bench, &mut cracker);
    for _ in 0..50 {
        assert_eq!(guess(&mut bench, &mut cracker, &challenge), [401]);
    }
    assert_eq!(bans(&mut bench), 1);
    assert!(bench.shut.is_empty());
    phone.register(&mut bench);
    // Its NAT gives it another port: the account is known there.
    phone.flow = udp("203.0.113.9:4001");
    phone.register(&mut bench);
    // The cracker finds the right password, and is told what it was told before.
    let mut lucky = Phone::at("201", udp("203.0.113.9:5060"));
    let to = format!("<sip:201@{SWITCH}>");
    let answer = lucky.authorized(&mut bench, "REGISTER", "sip:127.0.0.1", &to, &[], "");
    assert_eq!(answer[0].status().unwrap().0, 401);
}

#[test]
fn an_account_that_is_sprayed_from_many_addresses_stays_with_its_phone() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("201", udp("192.0.2.1:5060"));
    phone.register(&mut bench);
    for host in 0..40 {
        let mut cracker = Phone::at("201", udp(&format!("198.51.100.{host}:5060")));
        let challenge = challenge(&mut bench, &mut cracker);
        guess(&mut bench, &mut cracker, &challenge);
    }
    phone.register(&mut bench);
    // From elsewhere even the right password is none for a while.
    let mut elsewhere = Phone::at("201", udp("198.51.100.77:5060"));
    elsewhere.call_id = "elsewhere".into();
    let to = format!("<sip:201@{SWITCH}>");
    let answer = elsewhere.authorized(&mut bench, "REGISTER", "sip:127.0.0.1", &to, &[], "");
    assert_eq!(answer[0].status().unwrap().0, 401);
    bench.advance(Duration::from_secs(1_800));
    elsewhere.register(&mut bench);
}

#[test]
fn a_flood_without_passwords_leaves_no_state_and_is_answered_within_its_allowance() {
    let mut bench = Bench::new();
    let mut flooder = Phone::at("201", udp("203.0.113.9:5060"));
    let mut phone = Phone::at("202", udp("192.0.2.1:5060"));
    phone.register(&mut bench);
    let quiet = bench.endpoint.transactions();
    let (mut answers, mut asked, mut answered) = (0, 0, 0);
    for number in 0..3_000 {
        let method = ["REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS", "MESSAGE"][number % 5];
        let to = format!("<sip:201@{SWITCH}>");
        let text = flooder.write(method, "sip:201@127.0.0.1", &to, &[], "");
        asked += text.len();
        flooder.send(&mut bench, &text);
        for (flow, message) in std::mem::take(&mut bench.sent) {
            assert_eq!(flow, flooder.flow, "answers go where they were asked for");
            answers += 1;
            answered += message.octets().len();
        }
    }
    assert!(answers <= 1_000, "{answers}");
    assert!(answered * 10 <= asked * 12, "{answered} for {asked}");
    assert_eq!(bench.endpoint.transactions(), quiet);
    assert!(bench.endpoint.dropped() >= 2_000);
    phone.register(&mut bench);
}

#[test]
fn a_flood_from_the_address_of_a_phone_has_its_own_port_shut_and_no_other() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("202", udp("203.0.113.9:4000"));
    phone.register(&mut bench);
    let mut flooder = Phone::at("201", udp("203.0.113.9:5060"));
    // Long enough that no answer takes from what answers may be longer.
    let subject = [format!("Subject: {}", "x".repeat(300))];
    for _ in 0..1_010 {
        let to = format!("<sip:201@{SWITCH}>");
        let text = flooder.write("OPTIONS", "sip:201@127.0.0.1", &to, &subject, "");
        flooder.send(&mut bench, &text);
    }
    bench.sent.clear();
    assert_eq!(bench.shut.len(), 10);
    assert!(
        bench
            .shut
            .iter()
            .all(|stranger| *stranger == Stranger::Port(flooder.flow.remote))
    );
    phone.register(&mut bench);
    // A phone that was never seen there meets an allowance that the flood no longer takes.
    Phone::at("203", udp("203.0.113.9:4001")).register(&mut bench);
}

#[test]
fn the_phone_itself_is_never_locked_out_by_who_guesses_at_its_address() {
    let mut bench = Bench::new();
    let mut phone = Phone::at("201", udp("203.0.113.9:4000"));
    phone.register(&mut bench);
    let mut cracker = Phone::at("201", udp("203.0.113.9:5060"));
    let challenge = challenge(&mut bench, &mut cracker);
    for _ in 0..50 {
        assert_eq!(guess(&mut bench, &mut cracker, &challenge), [401]);
    }
    // The cracker finds the right password, and is told what it was told before.
    let to = format!("<sip:201@{SWITCH}>");
    let lucky = |bench: &mut Bench, lines: &[String]| {
        let mut lucky = Phone::at("201", udp("203.0.113.9:5061"));
        lucky.call_id = "another".into();
        let answer = lucky.authorized(bench, "REGISTER", "sip:127.0.0.1", &to, lines, "");
        answer[0].status().unwrap().0
    };
    assert_eq!(lucky(&mut bench, &[]), 401);
    // The phone may come from another port, as its NAT likes.
    phone.flow = udp("203.0.113.9:4001");
    assert_eq!(phone.register(&mut bench).status().unwrap().0, 200);
    // One that has an instance may have been started again.
    let contact = format!(
        "Contact: <{}>;+sip.instance=\"<urn:uuid:1>\"",
        phone.contact()
    );
    let lines = [contact, "Expires: 3600".to_owned()];
    assert_eq!(
        phone.register_with(&mut bench, &lines).status().unwrap().0,
        200
    );
    assert_eq!(lucky(&mut bench, &lines), 200);
    // A colleague's phone guesses as one who is not known.
    let mut colleague = Phone::at("202", udp("203.0.113.9:4002"));
    colleague.register(&mut bench);
    let mut guest = Phone::at("203", colleague.flow);
    Phone::at("203", udp("203.0.113.9:4003")).register(&mut bench);
    let challenge = self::challenge(&mut bench, &mut guest);
    for _ in 0..50 {
        assert_eq!(guess(&mut bench, &mut guest, &challenge), [401]);
    }
    let to = format!("<sip:203@{SWITCH}>");
    guest.call_id = "guest".into();
    let answer = guest.authorized(&mut bench, "REGISTER", "sip:127.0.0.1", &to, &[], "");
    assert_eq!(answer[0].status().unwrap().0, 401);
}

#[test]
fn no_answer_leaves_for_a_third_address_whatever_the_via_says() {
    let mut bench = Bench::new();
    let mut spoofer = Phone::at("201", udp("203.0.113.9:5060"));
    for via in [
        "198.51.100.1:5060",
        "203.0.113.9:5060;maddr=198.51.100.1",
        "203.0.113.9:5060;received=198.51.100.1;rport=9",
        "203.0.113.9:5060;maddr=224.0.1.75;ttl=255",
    ] {
        let to = format!("<sip:201@{SWITCH}>");
        let text = spoofer.write("OPTIONS", "sip:127.0.0.1", &to, &[], "");
        let text = text.replacen("203.0.113.9:5060;rport", via, 1);
        spoofer.send(&mut bench, &text);
        let sent = std::mem::take(&mut bench.sent);
        assert_eq!(sent.len(), 1, "{via}");
        assert_eq!(sent[0].0.remote.ip(), spoofer.flow.remote.ip(), "{via}");
    }
}
