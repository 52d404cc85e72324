//! Session descriptions, and two who agree on one.

use sip::sdp::{AudioCodec, Codecs, Direction, Session};

use super::Octets;

const DIRECTIONS: [Direction; 4] = [
    Direction::SendRecv,
    Direction::SendOnly,
    Direction::RecvOnly,
    Direction::Inactive,
];

const PREFERENCES: [Option<AudioCodec>; 4] = [
    None,
    Some(AudioCodec::Pcmu),
    Some(AudioCodec::Pcma),
    Some(AudioCodec::Opus),
];

/// A session that speaks everything.
fn session(local: &str, id: u64) -> Session {
    Session::new(local.parse().expect("an address"), id).with_codecs(Codecs::of(AudioCodec::ALL))
}

/// What peers write besides: each has cost somebody a call.
const ODD_LINES: [&str; 16] = [
    "c=IN IP4 0.0.0.0",
    "c=IN IP6 ::1",
    "a=sendonly",
    "a=inactive",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtpmap:0 PCMA/8000",
    "a=fmtp:101 0-15",
    "m=audio 0 RTP/AVP 0 8",
    "m=video 4000 RTP/AVP 34",
    "m=audio 4000 RTP/SAVP 8",
    "b=AS:64",
    "m=audio 4002 RTP/AVP 8 101",
    "a=rtpmap:111 telephone-event/48000",
    "a=rtpmap:101 opus/48000/2",
    "a=rtpmap:110 L16/16000",
    "m=audio 4004 RTP/AVP 96 111 9",
];

/// Any octets as an offer and as an answer.
pub(super) fn description(octets: &[u8]) {
    let mut ours = session("192.0.2.1:10000", u64::MAX);
    ours.offer(Direction::SendRecv, None);
    let _ = ours.accept(octets);
    if let Ok((answer, agreed)) = ours.answer(octets, Direction::SendRecv, None) {
        assert!(
            agreed.direction.receives() || !agreed.direction.sends() || agreed.remote.port() > 0
        );
        let answer = str::from_utf8(&answer).expect("ours is text");
        // A peer that offered one stream takes what we say, from its side.
        if answer.find("m=audio 10000 ") == answer.find("m=") {
            let mut peer = session("192.0.2.2:10002", 1);
            peer.offer(Direction::SendRecv, None);
            let theirs = peer
                .accept(answer.as_bytes())
                .expect("what we say is understood");
            assert_eq!(theirs.direction, agreed.direction.mirrored());
        }
        // What the peer ends with port 0 is answered with port 0 (RFC 3264 section 8.2).
        let port = match agreed.remote.port() {
            0 => 0,
            _ => 10_000,
        };
        assert!(answer.contains(&format!("m=audio {port} ")), "{answer}");
        assert!(!answer.contains(|c: char| c.is_control() && !"\r\n".contains(c)));
    }
}

/// Two sessions offer and answer in turn, and what they say is changed on the way: what came unchanged is agreed on alike.
pub(super) fn negotiation(octets: &[u8]) {
    let mut octets = Octets { rest: octets };
    let mut sessions = ["192.0.2.1:10000", "192.0.2.2:10002"].map(|local| session(local, 1));
    while !octets.is_empty() {
        let [one, other] = &mut sessions;
        let (offerer, answerer) = if octets.next().is_multiple_of(2) {
            (one, other)
        } else {
            (other, one)
        };
        let offer = offerer.offer(octets.pick(&DIRECTIONS), octets.pick(&PREFERENCES));
        let on_the_way = changed(&offer, &mut octets);
        let limit = octets.pick(&DIRECTIONS);
        let answered = answerer.answer(&on_the_way, limit, octets.pick(&PREFERENCES));
        let is_same = on_the_way == offer;
        let Ok((answer, theirs)) = answered else {
            assert!(!is_same, "each understands what the other writes");
            continue;
        };
        if is_same {
            let ours = offerer
                .accept(&answer)
                .expect("each understands what the other writes");
            assert_eq!(
                (ours.codec, ours.direction),
                (theirs.codec, theirs.direction.mirrored())
            );
            assert_eq!(ours.telephone_event, theirs.telephone_event);
            assert_eq!(
                [ours.remote, theirs.remote],
                [answerer.local(), offerer.local()]
            );
        }
        let _ = offerer.accept(&changed(&answer, &mut octets));
    }
}

/// A description with some lines changed, doubled or gone, or none.
fn changed(description: &[u8], octets: &mut Octets<'_>) -> Vec<u8> {
    let text = str::from_utf8(description).expect("ours is text");
    let mut lines: Vec<&str> = text
        .split_inclusive("\r\n")
        .map(|line| line.trim_end())
        .collect();
    for _ in 0..octets.next() % 4 {
        let at = usize::from(octets.next()) % lines.len().max(1);
        match octets.next() % 3 {
            0 => lines.insert(at, octets.pick(&ODD_LINES)),
            1 if !lines.is_empty() => drop(lines.remove(at)),
            _ => lines.push(octets.pick(&ODD_LINES)),
        }
    }
    lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\r\n"].concat())
        .collect()
}
