//! RTP workers: real sockets, real time.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use media::g711::Law;
use media::mixer::{
    Codec, Limits, Port, RecordingId, Rtcp, Security, StreamSettings, StreamStats, Tap,
};
use media::{Command, LegId, tone};
use net::rtp::{Counters, Event, QUARANTINE, Rtp, Settings, StartError};
use tokio::time::timeout;

use crate::phone::PATIENCE;

const FRAME: Duration = Duration::from_millis(20);

/// Workers of a test that shares its loopback address with no other.
fn settings(host: u8, ports: u16) -> Settings {
    Settings {
        addresses: vec![[127, 78, 0, host].into()],
        ports: 30_000..=30_000 + 2 * ports - 1,
        workers: 1,
        sockets: usize::MAX,
        limits: Limits {
            rtp_timeout: Duration::from_secs(30),
            hold_timeout: Duration::from_secs(30),
        },
        seed: 11,
    }
}

/// The next event that is not told each second.
async fn event(rtp: &mut Rtp) -> Event {
    loop {
        let event = timeout(PATIENCE, rtp.recv()).await.unwrap();
        if !matches!(event, Event::Media(media::Event::Figures { .. })) {
            return event;
        }
    }
}

async fn ports(rtp: &mut Rtp) -> Vec<Port> {
    match event(rtp).await {
        Event::Ports(ports) => ports,
        other @ (Event::Media(_) | Event::Panicked { .. }) => panic!("{other:?}"),
    }
}

async fn closed(rtp: &mut Rtp) -> (LegId, Port, StreamStats) {
    let event = event(rtp).await;
    let Event::Media(media::Event::Closed { leg, port, stats }) = event else {
        panic!("{event:?}");
    };
    (leg, port, stats)
}

/// The worker's numbers as soon as so many legs are open: it publishes them after it has told events.
async fn counters_with(rtp: &Rtp, legs_open: u64) -> Counters {
    let found = async {
        loop {
            let counters = rtp.counters()[0];
            if counters.legs_open == legs_open {
                return counters;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap()
}

fn open(rtp: &mut Rtp, leg: u64, port: Port, remote: SocketAddr) {
    let settings = StreamSettings {
        remote,
        signalling_host: None,
        codec: Codec::Pcmu,
        payload_type: 0,
        receive_payload_type: 0,
        telephone_event: None,
        comfort_noise: None,
        dtx: false,
        loudness: media::loudness::Loudness::default(),
        send: true,
        receive: true,
        security: Security::Plain,
        rtcp: Rtcp::Mux,
    };
    let leg = LegId(leg);
    let open = Command::Open {
        leg,
        port,
        settings,
    };
    rtp.send(port.worker, open);
    rtp.flush();
}

/// A phone that sends a tone and listens.
struct Phone {
    socket: UdpSocket,
    samples: Vec<i16>,
    sent: u16,
    heard: Vec<i16>,
}

impl Phone {
    fn new(local: SocketAddr, hz: f64) -> Self {
        let socket = UdpSocket::bind(local).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            samples: tone::sine(hz, 8000, Duration::from_secs(4)),
            sent: 0,
            heard: Vec::new(),
        }
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// One frame to the switch, and all that came from there.
    fn step(&mut self, switch: Port) {
        let mut packet = vec![0x80, 0];
        packet.extend(self.sent.to_be_bytes());
        packet.extend((u32::from(self.sent) * 160).to_be_bytes());
        packet.extend(u32::from(self.local().port()).to_be_bytes());
        let start = usize::from(self.sent) * 160;
        let frame = &self.samples[start..start + 160];
        packet.extend(frame.iter().map(|&sample| Law::Mu.encode(sample)));
        self.socket.send_to(&packet, switch.local).unwrap();
        self.sent += 1;
        let mut buffer = [0; 2000];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            assert_eq!(source, switch.local);
            let payload = &buffer[12..length];
            let decoded = payload.iter().map(|&octet| Law::Mu.decode(octet));
            self.heard.extend(decoded);
        }
    }

    /// The level of a tone in the last 200 ms that were heard, in dB below full scale.
    fn level(&self, hz: f64) -> f64 {
        tone::level(&self.heard[self.heard.len() - 1600..], hz)
    }
}

#[tokio::test]
async fn bridged_phones_hear_each_other_and_the_recorder_hears_both() {
    let (mut rtp, taps) = Rtp::start(&settings(1, 10)).unwrap();
    let free = ports(&mut rtp).await;
    let (customer_port, agent_port) = (free[0], free[1]);
    let host = SocketAddr::from(([127, 78, 0, 1], 0));
    let (mut customer, mut agent) = (Phone::new(host, 440.0), Phone::new(host, 880.0));
    open(&mut rtp, 1, customer_port, customer.local());
    open(&mut rtp, 2, agent_port, agent.local());
    let (left, right) = (LegId(1), LegId(2));
    rtp.send(0, Command::Bridge { a: left, b: right });
    rtp.flush();
    let recording = RecordingId(5);
    let path = "a.wav".into();
    let record = Command::Record {
        recording,
        path,
        left,
        right,
    };
    rtp.send(0, record);
    rtp.flush();
    for _ in 0..30 {
        customer.step(customer_port);
        agent.step(agent_port);
        tokio::time::sleep(FRAME).await;
    }
    assert!(customer.level(880.0) > -20.0 && customer.level(440.0) < -40.0);
    assert!(agent.level(440.0) > -20.0 && agent.level(880.0) < -40.0);

    rtp.send(0, Command::Close { leg: left });
    rtp.flush();
    rtp.send(0, Command::Close { leg: right });
    rtp.flush();
    let (leg, port, stats) = closed(&mut rtp).await;
    assert_eq!((leg, port, stats.lost), (left, customer_port, 0));
    assert!(stats.received >= 29 && stats.sent >= 25, "{stats:?}");
    closed(&mut rtp).await;
    let counters = counters_with(&rtp, 0).await;
    assert!(
        counters.received >= 58 && counters.sent >= 50,
        "{counters:?}"
    );
    assert_eq!((counters.send_failures, counters.taps_dropped), (0, 0));
    drop(rtp);
    let taps: Vec<Tap> = taps.into_iter().flatten().collect();
    assert!(matches!(taps.first(), Some(Tap::Start { .. })));
    assert!(matches!(taps.last(), Some(Tap::End { .. })));
    assert!(taps.len() > 50, "{}", taps.len());
}

#[tokio::test]
async fn a_port_is_offered_again_after_its_quarantine_and_carries_nothing_over() {
    let (mut rtp, _taps) = Rtp::start(&settings(2, 1)).unwrap();
    let port = ports(&mut rtp).await[0];
    let mut phone = Phone::new(SocketAddr::from(([127, 78, 0, 2], 0)), 440.0);
    open(&mut rtp, 1, port, phone.local());
    rtp.send(0, Command::Close { leg: LegId(1) });
    rtp.flush();
    closed(&mut rtp).await;
    let start = Instant::now();
    let talking = async {
        loop {
            phone.step(port);
            tokio::time::sleep(FRAME).await;
        }
    };
    let again = tokio::select! {
        again = ports(&mut rtp) => again,
        () = talking => unreachable!("it never ends"),
    };
    assert!(start.elapsed() >= QUARANTINE - FRAME);
    assert_eq!(again, [port]);
    open(&mut rtp, 2, port, phone.local());
    rtp.send(0, Command::Close { leg: LegId(2) });
    rtp.flush();
    let (_, _, stats) = closed(&mut rtp).await;
    assert_eq!((stats.received, stats.rejected), (0, 0));
}

#[tokio::test]
async fn a_leg_passes_to_another_worker_without_a_loss_and_its_port_goes_home() {
    let two = Settings {
        workers: 2,
        ..settings(9, 10)
    };
    let (mut rtp, _taps) = Rtp::start(&two).unwrap();
    let free = [ports(&mut rtp).await, ports(&mut rtp).await].concat();
    let of = |worker| *free.iter().find(|port| port.worker == worker).unwrap();
    let (one, other) = (of(0), of(1));
    let host = SocketAddr::from(([127, 78, 0, 9], 0));
    let (mut alice, mut bob) = (Phone::new(host, 440.0), Phone::new(host, 880.0));
    open(&mut rtp, 1, one, alice.local());
    open(&mut rtp, 2, other, bob.local());
    for _ in 0..10 {
        alice.step(one);
        bob.step(other);
        tokio::time::sleep(FRAME).await;
    }
    let (a, b) = (LegId(1), LegId(2));
    rtp.pass(a, 0, 1);
    rtp.send(1, Command::Bridge { a, b });
    // Nobody waits for a leg that is gone.
    rtp.pass(LegId(3), 0, 1);
    rtp.flush();
    for _ in 0..20 {
        alice.step(one);
        bob.step(other);
        tokio::time::sleep(FRAME).await;
    }
    assert!(alice.level(880.0) > -20.0 && alice.level(440.0) < -40.0);
    assert!(bob.level(440.0) > -20.0 && bob.level(880.0) < -40.0);
    rtp.send(1, Command::Close { leg: a });
    rtp.send(1, Command::Close { leg: b });
    rtp.flush();
    let (leg, port, stats) = closed(&mut rtp).await;
    assert_eq!((leg, port.worker, port.local), (a, 1, one.local));
    assert!(stats.received >= 28 && stats.lost == 0, "{stats:?}");
    closed(&mut rtp).await;
    let mut back = BTreeSet::new();
    while back.len() < 2 {
        back.extend(ports(&mut rtp).await);
    }
    assert_eq!(back, BTreeSet::from([one, other]));
}

#[tokio::test]
async fn an_ipv6_phone_hears_its_echo() {
    let ipv6 = Settings {
        addresses: vec!["::1".parse().unwrap()],
        ..settings(0, 10)
    };
    let (mut rtp, _taps) = Rtp::start(&ipv6).unwrap();
    let port = ports(&mut rtp).await[0];
    assert!(port.local.is_ipv6() && port.local.port().is_multiple_of(2));
    let mut phone = Phone::new("[::1]:0".parse().unwrap(), 440.0);
    open(&mut rtp, 1, port, phone.local());
    rtp.send(0, Command::Echo { leg: LegId(1) });
    rtp.flush();
    for _ in 0..20 {
        phone.step(port);
        tokio::time::sleep(FRAME).await;
    }
    assert!(phone.level(440.0) > -20.0);
}

#[tokio::test]
async fn a_thousand_calls_leak_no_port() {
    let (mut rtp, _taps) = Rtp::start(&settings(3, 1500)).unwrap();
    let nobody = SocketAddr::from(([127, 78, 0, 3], 9));
    let mut free = ports(&mut rtp).await;
    let mut closed = 0;
    let take = |event, free: &mut Vec<Port>, closed: &mut u64| match event {
        Event::Ports(ports) => free.extend(ports),
        Event::Media(media::Event::Closed { .. }) => *closed += 1,
        other @ (Event::Media(_) | Event::Panicked { .. }) => panic!("{other:?}"),
    };
    for leg in 0..1000 {
        while free.is_empty() {
            take(event(&mut rtp).await, &mut free, &mut closed);
        }
        let port = free.remove(0);
        open(&mut rtp, leg, port, nobody);
        rtp.send(0, Command::Close { leg: LegId(leg) });
        rtp.flush();
    }
    while closed < 1000 {
        take(event(&mut rtp).await, &mut free, &mut closed);
    }
    counters_with(&rtp, 0).await;
    // Each bound port comes back, or this waits in vain.
    while free.len() < rtp.counters()[0].ports_bound as usize {
        take(event(&mut rtp).await, &mut free, &mut closed);
    }
    let distinct: BTreeSet<&Port> = free.iter().collect();
    assert_eq!(distinct.len(), free.len(), "none is offered twice");
}

#[tokio::test]
async fn commands_beyond_the_channel_wait_and_none_is_lost() {
    let (mut rtp, _taps) = Rtp::start(&settings(4, 10)).unwrap();
    let port = ports(&mut rtp).await[0];
    for leg in 1000..30_000 {
        rtp.send(0, Command::Close { leg: LegId(leg) });
        rtp.flush();
    }
    open(&mut rtp, 1, port, SocketAddr::from(([127, 78, 0, 4], 9)));
    rtp.send(0, Command::Close { leg: LegId(1) });
    rtp.flush();
    assert_eq!(closed(&mut rtp).await.0, LegId(1));
}

#[tokio::test]
async fn a_leg_on_a_port_that_was_not_offered_is_closed_at_once() {
    let (mut rtp, _taps) = Rtp::start(&settings(5, 10)).unwrap();
    let mut port = ports(&mut rtp).await[0];
    let nobody = SocketAddr::from(([127, 78, 0, 5], 9));
    open(&mut rtp, 1, port, nobody);
    open(&mut rtp, 2, port, nobody);
    assert_eq!(closed(&mut rtp).await.0, LegId(2));
    port.local.set_port(4);
    open(&mut rtp, 3, port, nobody);
    assert_eq!(closed(&mut rtp).await.0, LegId(3));
    counters_with(&rtp, 1).await;
}

#[test]
fn what_cannot_be_bound_is_named() {
    let start = |addresses: &[&str], ports, workers| {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        let settings = Settings {
            addresses: addresses.collect(),
            ports,
            workers,
            ..settings(6, 1)
        };
        Rtp::start(&settings).unwrap_err()
    };
    let range = 30_000..=30_099;
    assert!(matches!(
        start(&[], range.clone(), 1),
        StartError::NoAddress
    ));
    let wildcard = start(&["0.0.0.0"], range.clone(), 1).to_string();
    assert!(wildcard.contains("0.0.0.0 is a wildcard"), "{wildcard}");
    let foreign = start(&["192.0.2.1"], range, 1).to_string();
    assert!(foreign.starts_with("RTP address 192.0.2.1: "), "{foreign}");
    let few = start(&["127.0.0.1"], 30_001..=30_004, 3).to_string();
    assert!(few.contains("30001-30004"), "{few}");
}
