//! Offer and answer (RFC 3264) with what phones send.

use std::net::SocketAddr;

use sip::sdp::{
    AudioCodec, Codecs, Direction, Disagreement, Encryption, Secret, Session, Suite, TelephoneEvent,
};

use crate::corpus::one;

/// All codecs that we speak.
const SPOKEN: [AudioCodec; 6] = [
    AudioCodec::Pcmu,
    AudioCodec::Pcma,
    AudioCodec::G722,
    AudioCodec::Opus,
    AudioCodec::L16Wide,
    AudioCodec::L16Narrow,
];

const PLAIN: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.9\r\ns=\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 9 8 0 96\r\na=rtpmap:9 G722/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n";

fn session() -> Session {
    Session::new("192.0.2.1:10000".parse().unwrap(), 7)
}

/// telephone-event at 8 kHz.
pub(crate) fn narrow_event(payload_type: u8) -> Option<TelephoneEvent> {
    let clock_rate = 8_000;
    Some(TelephoneEvent {
        payload_type,
        clock_rate,
    })
}

fn text(octets: impl AsRef<[u8]>) -> String {
    String::from_utf8(octets.as_ref().to_vec()).unwrap()
}

/// The value of the only line that begins so.
fn line(description: &str, start: &str) -> String {
    let mut lines = description
        .lines()
        .filter_map(|line| line.strip_prefix(start));
    let value = lines
        .next()
        .unwrap_or_else(|| panic!("no {start} in {description}"))
        .to_owned();
    assert_eq!(lines.next(), None, "{start} twice in {description}");
    value
}

fn version(description: impl AsRef<[u8]>) -> u64 {
    line(&text(description), "o=")
        .split(' ')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap()
}

fn answer(offer: &str) -> (String, sip::sdp::Agreed) {
    let (answer, agreed) = session()
        .answer(offer.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    (text(answer), agreed)
}

#[test]
fn our_offer_lists_both_codecs_and_the_preferred_first() {
    let offer = session().offer(Direction::SendRecv, Some(AudioCodec::Pcma));
    assert_eq!(
        text(offer),
        "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 8 0 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(
        line(&text(session().offer(Direction::SendRecv, None)), "m="),
        "audio 10000 RTP/AVP 0 8 101"
    );
}

#[test]
fn the_answer_takes_the_first_codec_that_we_speak_and_the_payload_types_of_the_offer() {
    let (answer, agreed) = answer(PLAIN);
    assert_eq!(line(&answer, "m="), "audio 10000 RTP/AVP 8 96");
    assert_eq!(
        (agreed.codec, agreed.payload_type, agreed.telephone_event),
        (AudioCodec::Pcma, 8, narrow_event(96))
    );
    assert_eq!(agreed.remote, "192.0.2.9:49170".parse().unwrap());
    assert_eq!(agreed.direction, Direction::SendRecv);
}

#[test]
fn the_answer_takes_the_preferred_codec_if_it_is_offered() {
    let choose = |offer: &str, codec| {
        session()
            .answer(offer.as_bytes(), Direction::SendRecv, Some(codec))
            .unwrap()
            .1
            .codec
    };
    assert_eq!(choose(PLAIN, AudioCodec::Pcmu), AudioCodec::Pcmu);
    assert_eq!(
        choose(&PLAIN.replace("9 8 0", "8"), AudioCodec::Pcmu),
        AudioCodec::Pcma
    );
}

#[test]
fn a_codec_under_a_dynamic_payload_type_keeps_it() {
    let (answer, agreed) = answer(
        &PLAIN
            .replace("9 8 0 96", "97 96")
            .replace("9 G722/8000", "97 pcmu/8000/1"),
    );
    assert_eq!((agreed.codec, agreed.payload_type), (AudioCodec::Pcmu, 97));
    assert_eq!(line(&answer, "a=rtpmap:97 "), "PCMU/8000");
}

#[test]
fn the_version_grows_only_with_a_change() {
    let mut session = session();
    let first = session.offer(Direction::SendRecv, None);
    assert_eq!(session.offer(Direction::SendRecv, None), first);
    let held = session.offer(Direction::SendOnly, None);
    assert_eq!((version(&first), version(&held)), (1, 2));
    assert_eq!(version(session.offer(Direction::SendRecv, None)), 3);
    let (answer, _) = session
        .answer(PLAIN.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!(version(&answer), 4);
    assert_eq!(
        session
            .answer(PLAIN.as_bytes(), Direction::SendRecv, None)
            .unwrap()
            .0,
        answer
    );
}

#[test]
fn streams_that_we_do_not_take_are_answered_with_port_0_in_their_place() {
    let offer = format!(
        "{}m=audio 49174 RTP/SAVP 0 8\r\nm=video 49172 RTP/AVP 31 34\r\nm=image 5004 udptl t38\r\nm=audio 49180 RTP/AVP 0\r\n",
        PLAIN.replace(
            "m=audio 49170",
            "m=application 0 TCP/MSRP *\r\nm=audio 49170"
        )
    );
    let mut session = session();
    let (answer, agreed) = session
        .answer(offer.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    let lines = |description: &str| {
        description
            .lines()
            .filter(|line| line.starts_with("m="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let expected = |audio: &str| {
        [
            "m=application 0 TCP/MSRP *",
            audio,
            "m=audio 0 RTP/SAVP 0",
            "m=video 0 RTP/AVP 31",
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 0",
        ]
        .map(str::to_owned)
    };
    assert_eq!(lines(&text(answer)), expected("m=audio 10000 RTP/AVP 8 96"));
    assert_eq!(agreed.remote.port(), 49170);
    // RFC 3264 section 8: a later offer of ours keeps every line, and the payload type of telephone-event.
    assert_eq!(
        lines(&text(session.offer(Direction::SendRecv, None))),
        expected("m=audio 10000 RTP/AVP 0 8 96")
    );
}

#[test]
fn hold_is_understood_in_every_spelling() {
    for (spelling, direction, attribute) in [
        ("a=sendonly\r\n", Direction::RecvOnly, "recvonly"),
        ("a=inactive\r\n", Direction::Inactive, "inactive"),
        ("a=recvonly\r\n", Direction::SendOnly, "sendonly"),
        ("c=IN IP4 0.0.0.0\r\n", Direction::RecvOnly, "recvonly"),
        (
            "c=IN IP4 0.0.0.0\r\na=sendonly\r\n",
            Direction::RecvOnly,
            "recvonly",
        ),
        (
            "c=IN IP4 0.0.0.0\r\na=inactive\r\n",
            Direction::Inactive,
            "inactive",
        ),
    ] {
        let (answer, agreed) = answer(&format!("{PLAIN}{spelling}"));
        assert_eq!(agreed.direction, direction, "{spelling}");
        assert!(
            answer.ends_with(&format!("a={attribute}\r\n")),
            "{spelling} {answer}"
        );
    }
    let (_, agreed) = answer(&PLAIN.replace("t=0 0", "t=0 0\r\na=sendonly"));
    assert_eq!(
        agreed.direction,
        Direction::RecvOnly,
        "an attribute of the session holds for its streams"
    );
    let (_, agreed) = answer(&format!(
        "{}a=sendrecv\r\n",
        PLAIN.replace("t=0 0", "t=0 0\r\na=sendonly")
    ));
    assert_eq!(
        agreed.direction,
        Direction::SendRecv,
        "the stream's own attribute comes first"
    );
}

#[test]
fn a_stream_that_is_ended_in_a_call_is_held_until_it_is_offered_again() {
    let ended = PLAIN.replace("m=audio 49170", "m=audio 0");
    let refused = session().answer(ended.as_bytes(), Direction::SendRecv, None);
    assert_eq!(refused, Err(Disagreement::NothingInCommon), "no call yet");
    let mut session = session();
    let mut say = |offer: &str| {
        let answer = session.answer(offer.as_bytes(), Direction::SendRecv, None);
        let (answer, agreed) = answer.unwrap();
        (line(&text(answer), "m="), agreed)
    };
    say(PLAIN);
    let (answer, agreed) = say(&ended);
    assert_eq!(answer, "audio 0 RTP/AVP 8 96");
    assert_eq!(agreed.direction, Direction::Inactive);
    assert_eq!(agreed.remote, "0.0.0.0:0".parse().unwrap());
    let (answer, agreed) = say(PLAIN);
    assert_eq!(answer, "audio 10000 RTP/AVP 8 96");
    assert_eq!(agreed.direction, Direction::SendRecv);
    // A second stream beside it opens none of its own.
    say(&ended);
    let ours = text(session.offer(Direction::SendRecv, None));
    assert_eq!(line(&ours, "m="), "audio 10000 RTP/AVP 0 8 96");
}

#[test]
fn a_new_offer_may_change_address_port_codec_and_direction_and_add_streams() {
    let mut session = session();
    let mut say = |offer: &str| {
        let answer = session.answer(offer.as_bytes(), Direction::SendRecv, None);
        let (answer, agreed) = answer.unwrap();
        (text(answer), agreed)
    };
    let (first, _) = say(PLAIN);
    let moved = PLAIN
        .replace("c=IN IP4 192.0.2.9", "c=IN IP4 192.0.2.77")
        .replace(
            "m=audio 49170 RTP/AVP 9 8 0 96",
            "m=audio 50000 RTP/AVP 0 96",
        );
    let (answer, agreed) = say(&format!(
        "{moved}a=recvonly\r\nm=video 6000 RTP/AVP 31\r\nm=audio 7000 RTP/SAVP 8\r\n"
    ));
    assert_eq!(agreed.remote, "192.0.2.77:50000".parse().unwrap());
    assert_eq!(agreed.codec, AudioCodec::Pcmu);
    assert_eq!(agreed.direction, Direction::SendOnly);
    assert!(
        answer.ends_with("m=video 0 RTP/AVP 31\r\nm=audio 0 RTP/SAVP 8\r\n"),
        "{answer}"
    );
    assert_eq!(version(answer), version(first) + 1);
}

#[test]
fn the_unspecified_address_of_the_other_family_holds_too() {
    let held = PLAIN.replace("c=IN IP4 192.0.2.9", "c=IN IP6 ::");
    let (_, agreed) = answer(&held);
    assert_eq!(agreed.direction, Direction::RecvOnly);
}

#[test]
fn srtp_alone_is_refused_and_beside_plain_rtp_it_gets_port_0() {
    let secure = "m=audio 5000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n";
    let beside = format!("{PLAIN}{secure}");
    let (answer, agreed) = answer(&beside);
    assert!(answer.ends_with("m=audio 0 RTP/SAVP 8\r\n"), "{answer}");
    assert_eq!(agreed.remote.port(), 49170);
    let alone = PLAIN.replace("RTP/AVP", "RTP/SAVP");
    let refused = session().answer(alone.as_bytes(), Direction::SendRecv, None);
    assert_eq!(refused, Err(Disagreement::NothingInCommon));
}

#[test]
fn our_side_limits_the_direction() {
    let mut session = session();
    let (answer, agreed) = session
        .answer(PLAIN.as_bytes(), Direction::SendOnly, None)
        .unwrap();
    assert!(text(answer).ends_with("a=sendonly\r\n"));
    assert_eq!(agreed.direction, Direction::SendOnly);
    session.offer(Direction::SendOnly, None);
    let mut answered = |attribute: &str| {
        session
            .accept(format!("{PLAIN}{attribute}\r\n").as_bytes())
            .unwrap()
            .direction
    };
    assert_eq!(answered("a=recvonly"), Direction::SendOnly);
    assert_eq!(answered("a=inactive"), Direction::Inactive);
    assert_eq!(
        answered("a=sendrecv"),
        Direction::SendOnly,
        "an answer cannot widen the offer"
    );
}

#[test]
fn the_answer_to_our_offer_is_taken_from_its_line() {
    let mut session = session();
    session.offer(Direction::SendRecv, None);
    let agreed = session
        .accept(PLAIN.replace("9 8 0 96", "0 8").as_bytes())
        .unwrap();
    assert_eq!(
        (agreed.codec, agreed.telephone_event),
        (AudioCodec::Pcmu, None)
    );
    for refused in [
        PLAIN.replace("audio 49170", "audio 0"),
        PLAIN.replace("9 8 0 96", "9"),
        PLAIN.split("m=").next().unwrap().to_owned(),
    ] {
        assert_eq!(
            session.accept(refused.as_bytes()),
            Err(Disagreement::NothingInCommon)
        );
    }
}

#[test]
fn nothing_in_common_is_told_apart_from_no_description() {
    let refuse = |offer: &str| {
        session()
            .answer(offer.as_bytes(), Direction::SendRecv, None)
            .unwrap_err()
    };
    for offer in [
        PLAIN.replace("9 8 0 96", "9 18"),
        PLAIN.replace("RTP/AVP", "RTP/SAVP"),
        PLAIN.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF"),
        PLAIN.replace("audio 49170", "audio 0"),
        PLAIN.replace("m=audio", "m=video"),
        PLAIN.replace("c=IN IP4 192.0.2.9\r\n", ""),
        PLAIN.replace("c=IN IP4 192.0.2.9", "c=IN IP6 2001:db8::9"),
        PLAIN.replace("c=IN IP4 192.0.2.9", "c=IN IP4 224.2.1.1/127"),
        PLAIN.replace("c=IN IP4 192.0.2.9", "c=IN IP4 phone.example.com"),
        "v=0\r\n".to_owned(),
    ] {
        assert_eq!(refuse(&offer), Disagreement::NothingInCommon, "{offer}");
    }
    for offer in ["", "hello", "m=audio 1 RTP/AVP 0", "<xml/>"] {
        assert_eq!(refuse(offer), Disagreement::Malformed, "{offer}");
    }
}

#[test]
fn order_and_unknown_lines_do_not_matter() {
    let odd = "v=0\no=- 99999999999999999999999999 -1\nt=33384811893370017201\nx=unknown\ns\nb=AS:64\nc=IN IP4 192.0.2.9\n\
               s=\nm=audio 49170/2 RTP/AVP 8 \na =sendonly\nb=TIAS:64000\ni=late\n\n";
    let (_, agreed) = answer(odd);
    assert_eq!(agreed.remote, "192.0.2.9:49170".parse().unwrap());
    let mut latin = PLAIN.as_bytes().to_vec();
    let name = latin.windows(4).position(|part| part == b"s=\r\n").unwrap() + 2;
    latin.insert(name, 0xe9);
    assert!(
        session().answer(&latin, Direction::SendRecv, None).is_ok(),
        "a Latin-1 session name"
    );
}

#[test]
fn hostile_numbers_are_refused_without_harm() {
    for (from, to) in [
        ("49170", "99999"),
        ("49170", "-1"),
        ("49170", "+5"),
        ("49170", ""),
        ("49170", "18446744073709551616"),
    ] {
        let offer = PLAIN.replace(from, to);
        assert_eq!(
            session()
                .answer(offer.as_bytes(), Direction::SendRecv, None)
                .unwrap_err(),
            Disagreement::Malformed,
            "{to}"
        );
    }
    let (_, agreed) = answer(
        &PLAIN
            .replace("9 8 0 96", "256 999999999999 -1 200 8")
            .replace("a=fmtp", "a=rtpmap:99999 x\r\na=rtpmap:8\r\na=fmtp"),
    );
    assert_eq!(agreed.payload_type, 8);
    let many = format!("{PLAIN}{}", "m=video 1 RTP/AVP 31\r\n".repeat(16));
    assert_eq!(
        session()
            .answer(many.as_bytes(), Direction::SendRecv, None)
            .unwrap_err(),
        Disagreement::Malformed
    );
    let long = PLAIN.replace("RTP/AVP", &"x".repeat(65));
    assert_eq!(
        session()
            .answer(long.as_bytes(), Direction::SendRecv, None)
            .unwrap_err(),
        Disagreement::Malformed
    );
}

#[test]
fn ipv6_and_mapped_ipv4_addresses_are_spoken() {
    let mut six = Session::new("[2001:db8::1]:10000".parse().unwrap(), 7);
    let offer = PLAIN.replace("c=IN IP4 192.0.2.9", "c=IN IP6 2001:db8::9");
    let (answer, agreed) = six
        .answer(offer.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!(line(&text(answer), "c="), "IN IP6 2001:db8::1");
    assert_eq!(agreed.remote, "[2001:db8::9]:49170".parse().unwrap());
    let mapped = PLAIN.replace("c=IN IP4 192.0.2.9", "c=IN IP6 ::ffff:192.0.2.9");
    assert_eq!(
        session()
            .answer(mapped.as_bytes(), Direction::SendRecv, None)
            .unwrap()
            .1
            .remote,
        "192.0.2.9:49170".parse().unwrap()
    );
}

#[test]
fn the_descriptions_of_rfc_5118_are_read() {
    let body = |name: &str| {
        sip::Message::parse(one("rfc5118", name).into())
            .unwrap()
            .body()
    };
    let (answer, agreed) = session()
        .answer(&body("mult-ip-in-sdp"), Direction::SendRecv, None)
        .unwrap();
    assert_eq!(agreed.remote, "192.0.2.1:22334".parse().unwrap());
    assert!(text(answer).ends_with("m=video 0 RTP/AVP 107\r\n"));
    for name in ["ipv6-in-sdp", "ipv4-mapped-ipv6"] {
        assert_eq!(
            session()
                .answer(&body(name), Direction::SendRecv, None)
                .unwrap_err(),
            Disagreement::NothingInCommon,
            "only G726: {name}"
        );
    }
}

#[test]
fn a_refused_offer_leaves_the_session_as_it_was() {
    let mut session = session();
    let before = session.offer(Direction::SendRecv, None);
    assert!(
        session
            .answer(
                PLAIN.replace("RTP/AVP", "RTP/SAVP").as_bytes(),
                Direction::Inactive,
                None
            )
            .is_err()
    );
    assert_eq!(session.offer(Direction::SendRecv, None), before);
}

// --- SRTP (RFC 4568) -----------------------------------------------------------------------------------------------------

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER_KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn secure_session(encryption: Encryption) -> Session {
    session().with_srtp(encryption, Secret::new([7; 32], 1))
}

/// An offer or answer of the peer with these lines about keys.
fn secured(protocol: &str, lines: &[&str]) -> String {
    let lines: String = lines
        .iter()
        .map(|line| format!("a=crypto:{line}\r\n"))
        .collect();
    format!(
        "v=0\r\no=a 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 {protocol} 0\r\n{lines}"
    )
}

fn cm_80(tag: u8, key: &str) -> String {
    format!("{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}")
}

/// Suite, key and salt of a line of ours.
fn key_of(description: &str) -> (String, String) {
    let line = line(description, "a=crypto:");
    let (head, key) = line.split_once(" inline:").unwrap();
    (head.to_owned(), key.to_owned())
}

#[test]
fn an_encrypted_offer_is_answered_with_the_first_suite_that_we_speak_and_a_key_of_ours() {
    let mut session = secure_session(Encryption::Accepted);
    let offer = secured(
        "RTP/SAVP",
        &[
            "1 F8_128_HMAC_SHA1_80 inline:x",
            &cm_80(2, KEY),
            &cm_80(3, OTHER_KEY),
        ],
    );
    let answered = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    let (answer, agreed) = answered.unwrap();
    let answer = text(answer);
    assert_eq!(line(&answer, "m="), "audio 10000 RTP/SAVP 0");
    let (head, key) = key_of(&answer);
    assert_eq!(head, "2 AES_CM_128_HMAC_SHA1_80");
    assert!(key.len() == 40 && key != KEY);
    let crypto = agreed.crypto.unwrap();
    assert_eq!(crypto.suite, Suite::AesCm128HmacSha1_80);
    assert_eq!(crypto.theirs.0, *b"YS___semctl () {\t220;}\n}\nunles");
    // What we say again says the same keys, in an offer as well.
    let again = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    assert_eq!(text(again.unwrap().0), answer);
    let ours = text(session.offer(Direction::SendOnly, None));
    assert_eq!(key_of(&ours), (head, key));
}

#[test]
fn our_encrypted_offer_has_a_key_for_each_suite_and_the_answer_takes_one_of_them() {
    let mut session = secure_session(Encryption::Required);
    let offer = text(session.offer(Direction::SendRecv, None));
    assert_eq!(line(&offer, "m="), "audio 10000 RTP/SAVP 0 8 101");
    let lines: Vec<_> = offer
        .lines()
        .filter_map(|line| line.strip_prefix("a=crypto:"))
        .collect();
    let tags: Vec<_> = lines.iter().map(|line| line.split(' ').next()).collect();
    assert_eq!(tags, [Some("1"), Some("2"), Some("3")]);
    let keys: std::collections::BTreeSet<_> = lines
        .iter()
        .map(|line| line.split_once(":").unwrap().1)
        .collect();
    assert_eq!(keys.len(), 3, "{offer}");
    let agreed = session.accept(secured("RTP/SAVP", &[&cm_80(1, KEY)]).as_bytes());
    assert_eq!(
        agreed.unwrap().crypto.unwrap().suite,
        Suite::AesCm128HmacSha1_80
    );
    // Another tag than the suite's, a suite that was not offered, no key, or no encryption at all.
    for answer in [
        secured("RTP/SAVP", &[&cm_80(2, KEY)]),
        secured("RTP/SAVP", &["1 F8_128_HMAC_SHA1_80 inline:x"]),
        secured("RTP/SAVP", &[]),
        secured("RTP/AVP", &[]),
    ] {
        let refused = session.accept(answer.as_bytes());
        assert_eq!(refused, Err(Disagreement::NothingInCommon), "{answer}");
    }
}

#[test]
fn who_requires_encryption_takes_nothing_plain_and_who_refuses_it_nothing_else() {
    let (plain, secret) = (
        secured("RTP/AVP", &[]),
        secured("RTP/SAVP", &[&cm_80(1, KEY)]),
    );
    for (encryption, takes_plain, takes_secret) in [
        (Encryption::Accepted, true, true),
        (Encryption::Required, false, true),
        (Encryption::Refused, true, false),
    ] {
        let takes = |offer: &str| {
            let mut session = secure_session(encryption);
            let answered = session.answer(offer.as_bytes(), Direction::SendRecv, None);
            answered.is_ok()
        };
        assert_eq!(takes(&plain), takes_plain, "{encryption:?}");
        assert_eq!(takes(&secret), takes_secret, "{encryption:?}");
        let mut session = secure_session(encryption);
        let offer = text(session.offer(Direction::SendRecv, None));
        assert_eq!(
            offer.contains("RTP/SAVP"),
            encryption == Encryption::Required
        );
    }
    // Without a key of use it is no offer, whatever we want.
    let mut session = secure_session(Encryption::Accepted);
    let offer = secured("RTP/SAVP", &[&format!("{}|2^20|1:4", cm_80(1, KEY))]);
    let answered = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    assert_eq!(answered.err(), Some(Disagreement::NothingInCommon));
}

#[test]
fn who_offers_the_same_sound_plain_and_encrypted_gets_it_encrypted() {
    let mut session = secure_session(Encryption::Accepted);
    let secret = format!("m=audio 4002 RTP/SAVP 0\r\na=crypto:{}\r\n", cm_80(1, KEY));
    let offer = secured("RTP/AVP", &[]) + &secret;
    let answered = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    let (answer, agreed) = answered.unwrap();
    let answer = text(answer);
    let lines: Vec<_> = answer
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(lines, ["m=audio 0 RTP/AVP 0", "m=audio 10000 RTP/SAVP 0"]);
    assert_eq!(agreed.remote.port(), 4002);
}

#[test]
fn a_later_offer_may_begin_encryption_and_hold_keeps_the_keys() {
    let mut session = secure_session(Encryption::Accepted);
    let plain = session.answer(
        secured("RTP/AVP", &[]).as_bytes(),
        Direction::SendRecv,
        None,
    );
    assert_eq!(plain.unwrap().1.crypto, None);
    let offer = secured("RTP/SAVP", &[&cm_80(1, KEY)]);
    let begun = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    let crypto = begun.unwrap().1.crypto;
    assert!(crypto.is_some());
    // Hold by port 0: some phones leave the keys out then.
    let ended = secured("RTP/SAVP", &[]).replace("4000", "0");
    let held = session.answer(ended.as_bytes(), Direction::SendRecv, None);
    let (answer, agreed) = held.unwrap();
    assert_eq!(agreed.crypto, crypto);
    assert!(line(&text(answer), "m=").starts_with("audio 0 RTP/SAVP"));
    let resumed = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    assert_eq!(resumed.unwrap().1.crypto, crypto);
}

/// What a browser offers.
const BROWSER: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 111 63 9 0 8 13 110 126\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:63 red/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
    a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n";

fn speaking(codecs: impl IntoIterator<Item = AudioCodec>) -> Session {
    session().with_codecs(Codecs::of(codecs))
}

#[test]
fn opus_is_answered_with_keys_at_its_clock_and_g711_with_keys_at_its_own() {
    let mut session = speaking(SPOKEN);
    let (answer, agreed) = session
        .answer(BROWSER.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    let answer = text(answer);
    assert_eq!(line(&answer, "m="), "audio 10000 RTP/AVP 111 110");
    for expected in [
        "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n",
        "a=rtpmap:110 telephone-event/48000\r\n",
    ] {
        assert!(answer.contains(expected), "{answer}");
    }
    assert_eq!((agreed.codec, agreed.payload_type), (AudioCodec::Opus, 111));
    let (_, agreed) = speaking([AudioCodec::Pcmu])
        .answer(BROWSER.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!(agreed.telephone_event, narrow_event(126));
    let (answer, agreed) = speaking([AudioCodec::Pcmu, AudioCodec::G722])
        .answer(BROWSER.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!(agreed.codec, AudioCodec::G722);
    assert!(text(answer).contains("a=rtpmap:9 G722/8000\r\n"));
}

#[test]
fn what_the_other_leg_speaks_is_offered_first_and_g711_always_but_nothing_to_be_converted() {
    let offered = |other: &[AudioCodec]| {
        let mut session = speaking(SPOKEN);
        session.meet(&Codecs::of(other.iter().copied()));
        line(&text(session.offer(Direction::SendRecv, None)), "m=")
    };
    assert_eq!(offered(&[AudioCodec::Pcma]), "audio 10000 RTP/AVP 8 0 101");
    assert_eq!(
        offered(&[AudioCodec::Opus, AudioCodec::Pcma]),
        "audio 10000 RTP/AVP 111 8 0 101 110"
    );
    assert_eq!(
        offered(&[AudioCodec::G722]),
        "audio 10000 RTP/AVP 9 0 8 101"
    );
    let mut session = speaking([AudioCodec::G722]);
    session.meet(&Codecs::default());
    let offer = text(session.offer(Direction::SendRecv, None));
    assert_eq!(line(&offer, "m="), "audio 10000 RTP/AVP 9 101");
}

#[test]
fn the_common_codecs_have_the_order_of_the_offer() {
    let session = speaking(SPOKEN);
    let common: Vec<AudioCodec> = session.common(BROWSER.as_bytes()).iter().collect();
    assert_eq!(
        common,
        [
            AudioCodec::Opus,
            AudioCodec::G722,
            AudioCodec::Pcmu,
            AudioCodec::Pcma
        ]
    );
}

/// RFC 3264 section 8.3.2: a payload type means the same for the whole session; what the peer chose is not used for something else.
#[test]
fn payload_types_of_the_peer_are_kept_and_never_given_twice() {
    let offer = PLAIN
        .replace("9 8 0 96", "101 111")
        .replace("a=rtpmap:96", "a=rtpmap:111")
        .replace("a=fmtp:96", "a=rtpmap:101 opus/48000/2\r\na=fmtp:111");
    let mut session = speaking(SPOKEN);
    let (_, agreed) = session
        .answer(offer.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (AudioCodec::Opus, 101));
    let ours = text(session.offer(Direction::SendRecv, None));
    let mut numbers: Vec<&str> = ours
        .lines()
        .filter_map(|line| line.strip_prefix("a=rtpmap:")?.split(' ').next())
        .collect();
    assert!(ours.contains("a=rtpmap:101 opus/48000/2"), "{ours}");
    assert!(ours.contains("a=rtpmap:111 telephone-event/8000"), "{ours}");
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "{ours}");
}

/// RFC 3264 section 6.1: what the peer sends has the number of our offer, what we send that of its answer.
#[test]
fn an_answer_may_have_another_payload_type_for_the_same_codec() {
    let mut session = speaking(SPOKEN);
    session.offer(Direction::SendRecv, None);
    let answer = PLAIN
        .replace("9 8 0 96", "96")
        .replace("telephone-event/8000", "opus/48000/2");
    let agreed = session.accept(answer.as_bytes()).unwrap();
    assert_eq!(
        (agreed.payload_type, agreed.receive_payload_type),
        (96, 111)
    );
}

const PRINT: &str = "19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2";

/// What a browser offers of its own: one stream of sound, by DTLS.
fn browser_offer() -> String {
    BROWSER
        .replace("RTP/AVP", "UDP/TLS/RTP/SAVPF")
        .replace("m=audio 49170", "m=audio 9")
        .replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0")
        .replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE sound\r\n")
        + &format!(
            "a=mid:sound\r\na=rtcp-mux\r\na=ice-ufrag:frag\r\na=ice-pwd:a-password-of-a-browser\r\n\
             a=fingerprint:sha-256 {PRINT}\r\na=setup:actpass\r\na=sendrecv\r\n"
        )
}

fn web_session(offers: bool) -> Session {
    secure_session(Encryption::Accepted)
        .with_codecs(Codecs::of(SPOKEN))
        .with_dtls([0xab; 32], offers)
}

#[test]
fn a_browser_is_answered_with_our_certificate_our_address_and_its_own_tag() {
    let mut session = web_session(false);
    let (answer, agreed) = session
        .answer(browser_offer().as_bytes(), Direction::SendRecv, None)
        .unwrap();
    let answer = text(answer);
    assert!(
        line(&answer, "m=").starts_with("audio 10000 UDP/TLS/RTP/SAVPF 111 "),
        "{answer}"
    );
    for expected in [
        "a=ice-lite\r\na=group:BUNDLE sound\r\nm=audio",
        "a=mid:sound\r\na=rtcp-mux\r\n",
        "a=setup:passive\r\n",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 10000 typ host\r\n",
        "a=fingerprint:sha-256 AB:AB:",
        "a=sendrecv\r\n",
    ] {
        assert!(answer.contains(expected), "no {expected} in {answer}");
    }
    let dtls = agreed.dtls.unwrap();
    assert_eq!(dtls.fingerprint[..3], [0x19, 0xe2, 0x1c]);
    assert!(!dtls.active);
    let ice = dtls.ice.expect("a browser has ICE");
    assert_eq!(line(&answer, "a=ice-ufrag:").as_bytes(), ice.fragment);
    assert_eq!(line(&answer, "a=ice-pwd:").as_bytes(), ice.password);
    // Port 9 at no address is how a browser begins, and no hold.
    assert_eq!(agreed.direction, Direction::SendRecv);
    // The same again keeps all; another fragment is a restart, which changes our passwords and nothing else.
    let again = browser_offer();
    let (same, kept) = session
        .answer(again.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!((text(same), kept.dtls), (answer, Some(dtls)));
    let restart = again.replace("ice-ufrag:frag", "ice-ufrag:gfra");
    let (_, restarted) = session
        .answer(restart.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    let restarted = restarted.dtls.unwrap();
    assert_ne!(restarted.ice, dtls.ice);
    assert_eq!(
        (restarted.fingerprint, restarted.active),
        (dtls.fingerprint, dtls.active)
    );
}

#[test]
fn a_browser_that_is_called_is_offered_dtls_and_says_who_begins() {
    for (setup, active) in [("active", false), ("passive", true)] {
        let mut session = web_session(true);
        let offer = text(session.offer(Direction::SendRecv, None));
        assert!(line(&offer, "m=").starts_with("audio 10000 UDP/TLS/RTP/SAVPF "));
        assert!(offer.contains("a=group:BUNDLE 0\r\n") && offer.contains("a=mid:0\r\n"));
        assert!(offer.contains("a=setup:actpass\r\n"), "{offer}");
        let answer = browser_offer().replace("actpass", setup);
        let agreed = session.accept(answer.as_bytes()).unwrap();
        assert_eq!(agreed.dtls.map(|dtls| dtls.active), Some(active));
        // Our next offer is of the same kind, and its answer keeps the association.
        let offer = text(session.offer(Direction::SendOnly, None));
        assert!(line(&offer, "m=").contains("UDP/TLS/RTP/SAVPF"), "{offer}");
        let again = session.accept(answer.as_bytes()).unwrap();
        assert_eq!(again.dtls, agreed.dtls);
        // An answer that leaves it open who begins is none, and neither is a plain one.
        assert!(session.accept(browser_offer().as_bytes()).is_err());
        assert!(session.accept(BROWSER.as_bytes()).is_err());
    }
}

#[test]
fn dtls_without_a_certificate_or_our_consent_is_refused() {
    let offer = browser_offer();
    for (what, broken) in [
        ("no hash that we know", offer.replace("sha-256", "sha-1")),
        ("a hash too short", offer.replace(":88:A2", ":88")),
    ] {
        let refused = web_session(false).answer(broken.as_bytes(), Direction::SendRecv, None);
        assert_eq!(refused.err(), Some(Disagreement::NothingInCommon), "{what}");
    }
    let without =
        secure_session(Encryption::Accepted).answer(offer.as_bytes(), Direction::SendRecv, None);
    assert!(without.is_err(), "no certificate of ours");
    let never = secure_session(Encryption::Refused)
        .with_dtls([1; 32], true)
        .answer(offer.as_bytes(), Direction::SendRecv, None);
    assert!(never.is_err(), "srtp = \"refused\"");
}

/// What desk phones offer: DTLS, and no ICE.
fn phone_offer(lines: &str) -> String {
    PLAIN.replace("RTP/AVP", "UDP/TLS/RTP/SAVP")
        + &format!("a=fingerprint:sha-256 {PRINT}\r\na=setup:actpass\r\n{lines}")
}

#[test]
fn a_phone_without_ice_is_answered_without_and_its_sound_goes_where_it_says() {
    for (lines, muxed) in [("", false), ("a=rtcp-mux\r\n", true)] {
        let offer = phone_offer(lines);
        let mut session = web_session(false);
        let (answer, agreed) = session
            .answer(offer.as_bytes(), Direction::SendRecv, None)
            .unwrap();
        let answer = text(answer);
        assert!(
            line(&answer, "m=").starts_with("audio 10000 UDP/TLS/RTP/SAVP 9 "),
            "{answer}"
        );
        for absent in ["ice", "candidate", "BUNDLE", "a=mid"] {
            assert!(!answer.contains(absent), "{absent} in {answer}");
        }
        assert!(
            answer.contains("a=setup:passive\r\n") && answer.contains("a=fingerprint:sha-256 AB:")
        );
        assert_eq!(answer.contains("a=rtcp-mux\r\n"), muxed);
        let dtls = agreed.dtls.unwrap();
        assert_eq!((dtls.ice, dtls.active), (None, false));
        assert_eq!(agreed.remote, "192.0.2.9:49170".parse().unwrap());
        assert_eq!(agreed.rtcp.is_none(), muxed);
    }
}

#[test]
fn a_phone_that_is_to_have_dtls_is_offered_it_and_may_answer_without_ice() {
    let session = || secure_session(Encryption::Dtls).with_dtls([0xab; 32], false);
    let mut asking = session();
    let offer = text(asking.offer(Direction::SendRecv, None));
    assert!(
        line(&offer, "m=").starts_with("audio 10000 UDP/TLS/RTP/SAVP "),
        "{offer}"
    );
    for expected in ["a=setup:actpass\r\n", "a=ice-lite\r\n", "a=rtcp-mux\r\n"] {
        assert!(offer.contains(expected), "no {expected} in {offer}");
    }
    assert!(
        !offer.contains("BUNDLE") && !offer.contains("a=mid"),
        "{offer}"
    );
    let answer = phone_offer("").replace("actpass", "active");
    let agreed = asking.accept(answer.as_bytes()).unwrap();
    assert_eq!(
        agreed.dtls.map(|dtls| (dtls.ice, dtls.active)),
        Some((None, false))
    );
    assert_eq!(agreed.rtcp, Some("192.0.2.9:49171".parse().unwrap()));
    // Plain sound is neither taken nor answered.
    assert!(
        session()
            .answer(PLAIN.as_bytes(), Direction::SendRecv, None)
            .is_err()
    );
    assert!(asking.accept(PLAIN.as_bytes()).is_err());
}

#[test]
fn feedback_profiles_are_answered_in_their_own_name() {
    for protocol in ["RTP/AVP", "RTP/AVPF"] {
        let offer = PLAIN.replace("RTP/AVP", protocol);
        let (answer, _) = answer(&offer);
        assert_eq!(line(&answer, "m="), format!("audio 10000 {protocol} 8 96"));
    }
}

/// RFC 5761 section 5.1.1: who offers to put RTCP beside RTP gets it so, in the answer and in our offers from then on; RFC 3605:
/// who names a place for it, there.
#[test]
fn reports_go_to_where_the_peer_wants_them() {
    let mut session = speaking(SPOKEN);
    let with = |line: &str| format!("{PLAIN}{line}");
    let rtcp = |session: &mut Session, line: &str| {
        let answer = session.answer(with(line).as_bytes(), Direction::SendRecv, None);
        let (body, agreed) = answer.unwrap();
        let muxed = String::from_utf8_lossy(&body).contains("a=rtcp-mux\r\n");
        (agreed.rtcp.map(|at| at.to_string()), muxed)
    };
    let at = |place: &str| Some(place.to_owned());
    let agreed = session.answer(PLAIN.as_bytes(), Direction::SendRecv, None);
    let remote = agreed.unwrap().1.remote;
    let next = SocketAddr::new(remote.ip(), remote.port() + 1).to_string();
    assert_eq!(rtcp(&mut session, ""), (at(&next), false));
    let there = format!("{}:53020", remote.ip());
    assert_eq!(rtcp(&mut session, "a=rtcp:53020\r\n"), (at(&there), false));
    let named = "a=rtcp:53020 IN IP4 126.16.64.4\r\n";
    assert_eq!(rtcp(&mut session, named), (at("126.16.64.4:53020"), false));
    assert_eq!(rtcp(&mut session, "a=rtcp:nowhere\r\n"), (at(&next), false));
    let offer = |session: &mut Session| {
        let offer = session.offer(Direction::SendRecv, None);
        String::from_utf8_lossy(&offer).contains("a=rtcp-mux\r\n")
    };
    assert!(!offer(&mut session));
    // An answer cannot ask for what was not offered.
    let agreed = session.accept(with("a=rtcp-mux\r\n").as_bytes()).unwrap();
    assert!(agreed.rtcp.is_some());
    assert_eq!(rtcp(&mut session, "a=rtcp-mux\r\n"), (None, true));
    assert!(offer(&mut session));
    let agreed = session.accept(with("a=rtcp-mux\r\n").as_bytes()).unwrap();
    assert_eq!(agreed.rtcp, None);
    let agreed = session.accept(PLAIN.as_bytes()).unwrap();
    assert_eq!(agreed.rtcp.map(|at| at.to_string()), at(&next));
}

#[test]
fn what_is_only_passed_on_is_agreed_on_where_both_sides_have_it_and_nowhere_else() {
    let all = || speaking(AudioCodec::ALL);
    let g729 = PLAIN.replace("RTP/AVP 9 8 0 ", "RTP/AVP 18 ");
    // Alone with the switch it would hear nothing.
    let alone = all().answer(g729.as_bytes(), Direction::SendRecv, None);
    assert_eq!(alone.err(), Some(Disagreement::NothingInCommon));
    // Who is called by it is offered nothing that would have to be made of it.
    let mut called = all();
    called.meet(&all().common(g729.as_bytes()));
    let offer = text(called.offer(Direction::SendRecv, None));
    assert!(
        line(&offer, "m=").starts_with("audio 10000 RTP/AVP 18 101"),
        "{offer}"
    );
    assert!(offer.contains("a=rtpmap:18 G729/8000\r\n"));
    let agreed = called.accept(g729.as_bytes()).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (AudioCodec::G729, 18));
    let (answer, agreed) = all()
        .answer(g729.as_bytes(), Direction::SendRecv, Some(agreed.codec))
        .unwrap();
    assert_eq!(agreed.codec, AudioCodec::G729);
    assert!(line(&text(answer), "m=").starts_with("audio 10000 RTP/AVP 18 "));
    // Who speaks something else, too, may choose.
    let both = PLAIN.replace("RTP/AVP 9 8 0 ", "RTP/AVP 18 8 ");
    let mut called = all();
    called.meet(&all().common(both.as_bytes()));
    let offer = text(called.offer(Direction::SendRecv, None));
    assert!(
        line(&offer, "m=").starts_with("audio 10000 RTP/AVP 18 8 0 101"),
        "{offer}"
    );
    let (_, agreed) = all()
        .answer(both.as_bytes(), Direction::SendRecv, None)
        .unwrap();
    assert_eq!(agreed.codec, AudioCodec::Pcma);
    // And nobody is offered it out of the blue.
    let offer = text(all().offer(Direction::SendRecv, None));
    assert!(!offer.contains("G729") && !offer.contains("GSM"), "{offer}");
}
