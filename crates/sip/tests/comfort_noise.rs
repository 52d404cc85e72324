//! Comfort noise (RFC 3389) in offers and answers.

use sip::sdp::{AudioCodec, Codecs, ComfortNoise, Direction, Session};

fn session() -> Session {
    let codecs = [
        AudioCodec::Pcmu,
        AudioCodec::G722,
        AudioCodec::L16Wide,
        AudioCodec::Opus,
    ];
    Session::new(([192, 0, 2, 1], 10_000).into(), 7).with_codecs(Codecs::of(codecs))
}

/// A description of the peer with these formats and what is said of them.
fn peer(formats: &str, attributes: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n{attributes}"
    )
}

/// The formats of an answer to an offer, and the comfort noise that was agreed on.
fn answered(session: &mut Session, offer: &str) -> (String, Option<ComfortNoise>) {
    let answer = session.answer(offer.as_bytes(), Direction::SendRecv, None);
    let (answer, agreed) = answer.expect("a codec in common");
    (formats(&answer), agreed.comfort_noise)
}

fn formats(description: &[u8]) -> String {
    let text = std::str::from_utf8(description).expect("text");
    let start = "m=audio 10000 RTP/AVP ";
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(start));
    lines.next().expect("a stream").to_owned()
}

fn noise(payload_type: u8) -> Option<ComfortNoise> {
    Some(ComfortNoise {
        payload_type,
        receive_payload_type: payload_type,
    })
}

#[test]
fn comfort_noise_is_answered_to_who_offers_it_at_the_clock_of_the_codec() {
    let wide = "a=rtpmap:98 L16/16000\r\na=rtpmap:99 CN/16000\r\n";
    for (offer, answer, agreed) in [
        (peer("0 13", ""), "0 13", noise(13)),
        (peer("9 0 13", "a=rtpmap:13 CN/8000\r\n"), "9 13", noise(13)),
        (peer("0", ""), "0", None),
        (peer("0 97", "a=rtpmap:97 cn/8000\r\n"), "0 97", noise(97)),
        // At another clock it is of no use, and Opus has its own way.
        (peer("98 13", wide), "98", None),
        (peer("98 13 99", wide), "98 99", noise(99)),
        (peer("111 13", "a=rtpmap:111 opus/48000/2\r\n"), "111", None),
    ] {
        assert_eq!(
            answered(&mut session(), &offer),
            (answer.to_owned(), agreed),
            "{offer}"
        );
    }
}

#[test]
fn it_is_refused_where_silence_is_not_to_be_suppressed() {
    let mut session = session().without_comfort_noise();
    session.meet_comfort_noise();
    assert!(!session.takes_comfort_noise(peer("0 13", "").as_bytes()));
    assert_eq!(
        answered(&mut session, &peer("0 13", "")),
        ("0".into(), None)
    );
    let offer = session.offer(Direction::SendRecv, None);
    assert!(!formats(&offer).contains(" 13"));
}

#[test]
fn it_is_offered_only_where_the_other_leg_has_it() {
    let answer = peer("0 13", "");
    let mut alone = session();
    let offer = formats(&alone.offer(Direction::SendRecv, None));
    assert_eq!(offer, "0 9 112 111 101 110");
    // What was not offered cannot be answered.
    let agreed = alone.accept(answer.as_bytes()).expect("an answer");
    assert_eq!(agreed.comfort_noise, None);

    let mut session = session();
    assert!(session.takes_comfort_noise(answer.as_bytes()));
    session.meet_comfort_noise();
    let offer = formats(&session.offer(Direction::SendRecv, None));
    assert_eq!(offer, "0 9 112 111 13 114 101 110");
    let agreed = session.accept(answer.as_bytes()).expect("an answer");
    assert_eq!(agreed.comfort_noise, noise(13));
}

#[test]
fn what_was_agreed_on_stays_in_later_offers_under_its_number() {
    let mut session = session();
    let wide = "a=rtpmap:98 L16/16000\r\na=rtpmap:112 CN/16000\r\n";
    assert_eq!(answered(&mut session, &peer("98 112", wide)).1, noise(112));
    let offer = session.offer(Direction::SendRecv, Some(AudioCodec::L16Wide));
    assert_eq!(formats(&offer), "98 0 9 111 13 112 101 110");
}

#[test]
fn who_wants_no_opus_in_silence_says_so_by_usedtx() {
    for (parameters, wants) in [
        ("usedtx=1", true),
        ("minptime=10; useinbandfec=1;usedtx=1", true),
        ("usedtx=0", false),
        ("useinbandfec=1", false),
    ] {
        let attributes = format!("a=rtpmap:96 opus/48000/2\r\na=fmtp:96 {parameters}\r\n");
        let offer = peer("96 0", &attributes);
        let answer = session().answer(offer.as_bytes(), Direction::SendRecv, None);
        let (answer, agreed) = answer.expect("a codec in common");
        assert_eq!(agreed.wants_dtx, wants, "{parameters}");
        // It says what its sender wants to get: we ask for nothing.
        assert!(!String::from_utf8_lossy(&answer).contains("usedtx"));
        let narrow = session().answer(
            offer.as_bytes(),
            Direction::SendRecv,
            Some(AudioCodec::Pcmu),
        );
        assert!(!narrow.expect("a codec in common").1.wants_dtx);
    }
}
