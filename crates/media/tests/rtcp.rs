//! Reports to a leg's peer, and those that it sends (RTCP, RFC 3550 section 6). Their octets are written and read here by hand.

use std::net::SocketAddr;
use std::time::Duration;

use media::mixer::{Codec, Component, PortIndex, Rtcp, StreamStats};
use media::srtp::MAX_TAG_OCTETS;
use media::{Command, Event};

use crate::phone::{FRAME, Phone, Report, World};

const SECOND: Duration = Duration::from_secs(1);

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(octets[at..at + 4].try_into().expect("four octets"))
}

/// The packets of a compound, by their types.
fn parts(octets: &[u8]) -> Vec<(u8, &[u8])> {
    let (mut parts, mut rest) = (Vec::new(), octets);
    while !rest.is_empty() {
        let length = 4 * (usize::from(rest[2]) * 256 + usize::from(rest[3]) + 1);
        assert_eq!(rest[0] >> 6, 2, "the version");
        parts.push((rest[1], &rest[..length]));
        rest = &rest[length..];
    }
    parts
}

/// A receiver report about `source`.
fn receiver_report(source: u32, lost: u32, jitter: u32, last: u32, delay: u32) -> Vec<u8> {
    let mut octets = vec![0x81, 201, 0, 7];
    for word in [0xabc0_0001, source, lost, 0, jitter, last, delay] {
        octets.extend(word.to_be_bytes());
    }
    octets
}

/// The phone talks so long, and is heard by nobody: the leg hears silence.
fn talk(world: &mut World, phone: &mut Phone, time: Duration) {
    world.talk(&mut [(phone, 440.0)], time);
}

fn rtcp(world: &mut World, phone: &Phone, from: SocketAddr, octets: &[u8]) {
    let mut datagram = octets.to_vec();
    datagram.reserve(MAX_TAG_OCTETS);
    let now = world.now;
    let port = phone.port().index;
    world.mixer.handle_rtcp(port, from, &mut datagram, now);
}

/// Where the phone sends its reports from.
fn control(phone: &Phone) -> SocketAddr {
    let Rtcp::Port(address) = phone.settings.rtcp else {
        panic!("it has a port of its own for them");
    };
    address
}

fn stats(world: &World, phone: &Phone) -> StreamStats {
    world.mixer.stats(phone.leg).expect("an open leg")
}

fn reports(world: &mut World) -> Vec<Report> {
    std::mem::take(&mut world.reports)
}

/// The words of the one report block of a report.
fn block(report: &[u8]) -> &[u8] {
    assert_eq!(report[0] & 0x1f, 1, "one block");
    &report[report.len() - 24..]
}

#[test]
fn a_talking_peer_is_told_each_five_seconds_or_so_what_came_and_what_was_sent() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    for _ in 0..50 {
        talk(&mut world, &mut phone, 49 * FRAME);
        // One of fifty is lost on its way.
        phone.tone(440.0);
        world.run(FRAME);
    }
    let sent = reports(&mut world);
    assert!((7..=17).contains(&sent.len()), "{} in 50 s", sent.len());
    assert!(sent[0].at <= Duration::from_millis(3_750), "the first soon");
    for pair in sent.windows(2) {
        let pause = (pair[1].at - pair[0].at).as_millis();
        assert!((2_500..=7_500).contains(&pause), "{pause} ms");
    }
    let source = world.sent[0].packet.header.ssrc;
    for report in &sent {
        assert_eq!(
            (report.component, report.to),
            (Component::Rtcp, control(&phone))
        );
        let parts = parts(&report.octets);
        assert_eq!(
            parts.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
            [200, 202]
        );
        let sender = parts[0].1;
        assert_eq!(word(sender, 4), source);
        // A frame each 20 ms, of 160 octets.
        let frames = (report.at.as_millis() / 20) as u32;
        assert!(word(sender, 20).abs_diff(frames) <= 1, "{report:?}");
        assert_eq!(word(sender, 24), word(sender, 20) * 160);
        let block = block(sender);
        assert_eq!(word(block, 0), phone.ssrc);
        let lost = word(block, 4) & 0xff_ffff;
        assert_eq!(
            u128::from(lost),
            report.at.as_millis() / 1_000,
            "{report:?}"
        );
    }
    // 256ths, since the last report: a fiftieth.
    let fraction = block(parts(&sent[5].octets)[0].1)[4];
    assert!((4..=7).contains(&fraction), "{fraction}");
}

/// RFC 3550 section 6.4.1: time and timestamp of a report are of one moment, so that a listener can place our sound in time.
#[test]
fn the_timestamp_of_a_report_is_on_the_line_of_the_packets() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    talk(&mut world, &mut phone, 9 * SECOND);
    let frames = world.heard(&phone);
    for report in reports(&mut world) {
        let ntp = u64::from(word(&report.octets, 8)) << 32 | u64::from(word(&report.octets, 12));
        let counted = Duration::from_nanos(((u128::from(ntp) * 1_000_000_000) >> 32) as u64);
        assert!(report.at.abs_diff(counted) < Duration::from_micros(1));
        let before = frames.iter().rfind(|frame| frame.at <= report.at);
        let before = before.expect("something left before it");
        let since = (report.at - before.at).as_micros() as u32;
        let expected = before
            .packet
            .header
            .timestamp
            .wrapping_add(since * 8 / 1_000);
        assert!(word(&report.octets, 16).abs_diff(expected) <= 1);
    }
}

#[test]
fn the_round_trip_is_what_the_network_takes_and_not_what_the_peer_waits() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    for _ in 0..6 {
        talk(&mut world, &mut phone, 5 * SECOND);
        for report in reports(&mut world) {
            let last = word(&report.octets, 8) << 16 | word(&report.octets, 12) >> 16;
            // It left some time ago; the peer says that it waited all of it but 120 ms.
            let ago = world.since_start(world.now) - report.at;
            let Some(waited) = ago.checked_sub(Duration::from_millis(120)) else {
                continue;
            };
            let delay = (waited.as_secs_f64() * 65_536.0) as u32;
            let source = word(&report.octets, 4);
            let answer = receiver_report(source, 0x1900_0007, 80, last, delay);
            rtcp(&mut world, &phone, control(&phone), &answer);
        }
    }
    let stats = stats(&world, &phone);
    let trip = stats.round_trip.expect("it was measured").as_millis();
    assert!((119..=121).contains(&trip), "{trip} ms");
    let peer = stats.peer.expect("it reported");
    assert_eq!((peer.lost, peer.jitter), (7, Duration::from_millis(10)));
}

#[test]
fn reports_of_strangers_of_other_streams_and_of_junk_change_nothing() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    talk(&mut world, &mut phone, 4 * SECOND);
    let source = word(&reports(&mut world)[0].octets, 4);
    let stranger = SocketAddr::from(([10, 9, 9, 9], 50_001));
    let good = receiver_report(source, 7, 80, 0, 0);
    rtcp(&mut world, &phone, stranger, &good);
    rtcp(
        &mut world,
        &phone,
        control(&phone),
        &receiver_report(source + 1, 7, 80, 0, 0),
    );
    for length in 0..good.len() {
        rtcp(&mut world, &phone, control(&phone), &good[..length]);
    }
    rtcp(&mut world, &phone, control(&phone), &[0xff; 40]);
    // What a leg that is gone is told reaches nobody.
    world
        .mixer
        .handle_rtcp(PortIndex(77), stranger, &mut good.clone(), world.now);
    assert_eq!(stats(&world, &phone).peer, None);
    assert_eq!(stats(&world, &phone).round_trip, None);
    // Nor does the stranger get our reports.
    talk(&mut world, &mut phone, 8 * SECOND);
    assert!(
        reports(&mut world)
            .iter()
            .all(|report| report.to == control(&phone))
    );
    rtcp(&mut world, &phone, control(&phone), &good);
    assert!(stats(&world, &phone).peer.is_some());
}

#[test]
fn reports_go_beside_the_packets_or_to_where_those_of_the_peer_come_from() {
    let mut world = World::new();
    let mut beside = Phone::new(1, Codec::Pcmu);
    beside.settings.rtcp = Rtcp::Mux;
    world.open(&beside);
    // Behind a NAT: what its description says of itself is wrong.
    let mut hidden = Phone::new(2, Codec::Pcmu);
    hidden.settings.remote = SocketAddr::from(([192, 168, 1, 2], 4_000));
    hidden.settings.rtcp = Rtcp::Port(SocketAddr::from(([192, 168, 1, 2], 4_001)));
    world.open(&hidden);
    let to = |world: &mut World, phone: &Phone| {
        let sent = reports(world).into_iter();
        let mut sent = sent.filter(|report| report.port == phone.port().index);
        sent.next_back().map(|report| (report.component, report.to))
    };
    for _ in 0..8 {
        world.talk(&mut [(&mut beside, 440.0), (&mut hidden, 880.0)], SECOND);
    }
    let sent = world.reports.clone();
    assert_eq!(
        to(&mut world, &beside),
        Some((Component::Rtp, beside.address))
    );
    world.reports = sent;
    let next = SocketAddr::new(hidden.address.ip(), hidden.address.port() + 1);
    assert_eq!(to(&mut world, &hidden), Some((Component::Rtcp, next)));
    let from = SocketAddr::new(hidden.address.ip(), 61_234);
    rtcp(&mut world, &hidden, from, &receiver_report(1, 0, 0, 0, 0));
    world.talk(&mut [(&mut hidden, 880.0)], 8 * SECOND);
    assert_eq!(to(&mut world, &hidden), Some((Component::Rtcp, from)));
}

#[test]
fn who_never_said_anything_gets_no_report() {
    let mut world = World::new();
    world.phone(1, Codec::Pcmu);
    world.run(20 * SECOND);
    assert!(world.reports.is_empty());
}

/// RFC 3550 section 6.3.7: and before the port is free.
#[test]
fn a_leg_that_ends_says_goodbye() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    talk(&mut world, &mut phone, SECOND);
    world.command(Command::Close { leg: phone.leg });
    let last = reports(&mut world).pop().expect("a last report");
    let parts = parts(&last.octets);
    let (kind, bye) = parts.last().expect("parts");
    assert_eq!((*kind, word(bye, 4)), (203, word(&last.octets, 4)));
}

/// RFC 3611 sections 4.4 and 4.5: a phone that only listens measures the round trip, too.
#[test]
fn a_reference_time_is_answered_with_how_long_it_lay_here() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    talk(&mut world, &mut phone, 4 * SECOND);
    reports(&mut world);
    let mut report = vec![0x80, 201, 0, 1];
    report.extend(0x1234_5678_u32.to_be_bytes());
    report.extend([0x80, 207, 0, 4]);
    for word in [0x1234_5678_u32, 0x0400_0002, 0x0001_2345, 0x6789_abcd] {
        report.extend(word.to_be_bytes());
    }
    let came = world.since_start(world.now);
    rtcp(&mut world, &phone, control(&phone), &report);
    talk(&mut world, &mut phone, 8 * SECOND);
    let sent = reports(&mut world);
    let answers: Vec<&Report> = sent
        .iter()
        .filter(|report| parts(&report.octets).iter().any(|(kind, _)| *kind == 207))
        .collect();
    let [answer] = answers[..] else {
        panic!("one answer to one time: {answers:?}");
    };
    let parts = parts(&answer.octets);
    let (_, extended) = parts.iter().find(|(kind, _)| *kind == 207).expect("one");
    assert_eq!(word(extended, 8), 0x0500_0003);
    assert_eq!(word(extended, 12), 0x1234_5678);
    assert_eq!(word(extended, 16), 0x2345_6789);
    let waited = f64::from(word(extended, 20)) / 65_536.0;
    assert!((waited - (answer.at - came).as_secs_f64()).abs() < 0.001);
}

/// RFC 3611 section 4.7.
#[test]
fn a_phone_may_tell_how_it_likes_what_it_hears() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    talk(&mut world, &mut phone, 4 * SECOND);
    let source = word(&reports(&mut world)[0].octets, 4);
    let mut report = vec![0x80, 207, 0, 10];
    report.extend(1u32.to_be_bytes());
    report.extend([7, 0, 0, 8]);
    report.extend(source.to_be_bytes());
    report.extend([0; 18]);
    report.extend([38, 36]);
    report.extend([0; 8]);
    rtcp(&mut world, &phone, control(&phone), &report);
    let peer = stats(&world, &phone).peer.expect("it told");
    assert_eq!(peer.mos, Some(3.8));
    // And it is told the same of what comes from it.
    talk(&mut world, &mut phone, 8 * SECOND);
    let told = reports(&mut world);
    let told = parts(&told.last().expect("a report").octets);
    let (_, rating) = told.iter().find(|(kind, _)| *kind == 207).expect("one");
    assert_eq!(rating.len(), 44);
    assert_eq!(rating[8..12], [7, 0, 0, 8]);
    assert_eq!(word(rating, 12), phone.ssrc);
    // Nothing is lost; the rating is 92, and the score 4.4.
    assert_eq!((rating[16], rating[32], rating[34]), (0, 92, 44));
}

#[test]
fn a_phone_that_holds_is_there_as_long_as_it_reports() {
    let mut world = World::new();
    let mut phone = world.phone(1, Codec::Pcmu);
    talk(&mut world, &mut phone, SECOND);
    let mut settings = phone.settings;
    settings.send = false;
    settings.receive = false;
    let leg = phone.leg;
    world.command(Command::Update { leg, settings });
    let alive = receiver_report(1, 0, 0, 0, 0);
    for _ in 0..400 {
        world.run(5 * SECOND);
        rtcp(&mut world, &phone, control(&phone), &alive);
    }
    assert_eq!(world.take_events(), []);
    world.run(1_801 * SECOND);
    let after = 1_800 * SECOND;
    assert_eq!(world.take_events(), [Event::Silent { leg, after }]);
}
