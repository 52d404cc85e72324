//! Look-ups (RFC 3263) against a name server of the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::lookup::{Fault, Found, LookUps, Query};
use sip::Transport;
use tokio::net::UdpSocket;

const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
const TTL: u32 = 60;

/// What a name server knows: the record data of a name and type.
type Zone = BTreeMap<(&'static str, u16), Vec<Vec<u8>>>;

/// A name as labels (RFC 1035 section 3.1).
fn labels(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a short label"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Vec<u8> {
    let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
    [numbers, labels(target)].concat()
}

fn naptr(order: u16, service: &str, replacement: &str) -> Vec<u8> {
    let mut octets = [order, 1].map(u16::to_be_bytes).concat();
    for text in ["s", service, ""] {
        octets.push(u8::try_from(text.len()).expect("a short text"));
        octets.extend(text.as_bytes());
    }
    [octets, labels(replacement)].concat()
}

/// Answers one question (RFC 1035 section 4.1).
fn answer(question: &[u8], zone: &Zone) -> Vec<u8> {
    let mut at = 12;
    let mut name = String::new();
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        name += &String::from_utf8_lossy(&question[at + 1..end]).to_lowercase();
        name.push('.');
        at = end;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let records = zone
        .iter()
        .find(|((of, is), _)| *of == name.trim_end_matches('.') && *is == kind);
    let records = records
        .map(|(_, records)| records.as_slice())
        .unwrap_or_default();
    let mut octets = question[..2].to_vec();
    octets.extend([
        0x81,
        0x80,
        0,
        1,
        0,
        u8::try_from(records.len()).expect("few"),
        0,
        0,
        0,
        0,
    ]);
    octets.extend(&question[12..at + 5]);
    for data in records {
        octets.extend([0xc0, 12]);
        octets.extend(kind.to_be_bytes());
        octets.extend([0, 1]);
        octets.extend(TTL.to_be_bytes());
        octets.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        octets.extend(data);
    }
    octets
}

/// A name server with this zone; a silent one answers nothing.
async fn server(zone: Zone, silent: bool) -> LookUps {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if !silent {
                let octets = answer(&buffer[..length], &zone);
                socket.send_to(&octets, from).await.expect("sent");
            }
        }
    });
    LookUps::of_server(address).expect("a resolver")
}

fn query(host: &str) -> Query {
    Query {
        host: host.to_owned(),
        port: None,
        transport: None,
    }
}

/// `tcp 192.0.2.1:5061 1 10`, one for each place.
fn shown(found: Result<Found, Fault>) -> Vec<String> {
    let Ok(found) = found else {
        return vec!["nothing".to_owned()];
    };
    let place = |place: &net::lookup::Place| {
        let transport = place.transport.via().to_lowercase();
        let (address, priority, weight) = (place.address, place.priority, place.weight);
        format!("{transport} {address} {priority} {weight}")
    };
    found.places.iter().map(place).collect()
}

fn zone() -> Zone {
    let one = vec![vec![192, 0, 2, 1]];
    let two = vec![vec![192, 0, 2, 2]];
    let srv_tcp = vec![srv(1, 10, 5061, "one.test"), srv(2, 20, 5062, "two.test")];
    Zone::from([
        (("one.test", A), one.clone()),
        (("two.test", A), two),
        (("plain.test", A), one.clone()),
        (
            ("naptr.test", NAPTR),
            vec![
                naptr(2, "SIP+D2U", "_sip._udp.naptr.test"),
                naptr(1, "SIP+D2T", "_sip._tcp.naptr.test"),
            ],
        ),
        (("_sip._tcp.naptr.test", SRV), srv_tcp.clone()),
        (
            ("_sip._udp.naptr.test", SRV),
            vec![srv(1, 1, 5070, "one.test")],
        ),
        (("srv.test", A), one.clone()),
        (
            ("safe.test", NAPTR),
            vec![
                naptr(1, "SIPS+D2T", "_sips._tcp.safe.test"),
                naptr(2, "SIP+D2U", "_sip._udp.naptr.test"),
            ],
        ),
        (
            ("_sips._tcp.safe.test", SRV),
            vec![srv(1, 1, 5061, "one.test")],
        ),
        (
            ("_sips._tcp.only.test", SRV),
            vec![srv(1, 1, 5071, "one.test")],
        ),
        (("bare.test", A), one),
        (("_sip._tcp.srv.test", SRV), srv_tcp),
    ])
}

#[tokio::test]
async fn naptr_names_the_transport_and_srv_the_servers() {
    let look_ups = server(zone(), false).await;
    let found = look_ups.find(&query("naptr.test")).await;
    assert_eq!(
        found.as_ref().map(|found| found.ttl),
        Ok(Duration::from_secs(TTL.into()))
    );
    assert_eq!(
        shown(found),
        ["tcp 192.0.2.1:5061 1 10", "tcp 192.0.2.2:5062 2 20"]
    );
}

#[tokio::test]
async fn without_naptr_the_srv_records_of_our_transports_are_asked_for() {
    let look_ups = server(zone(), false).await;
    let found = look_ups.find(&query("srv.test")).await;
    assert_eq!(
        shown(found),
        ["tcp 192.0.2.1:5061 1 10", "tcp 192.0.2.2:5062 2 20"]
    );
}

#[tokio::test]
async fn tls_is_found_by_naptr_or_srv_and_has_a_port_of_its_own() {
    let look_ups = server(zone(), false).await;
    for (host, transport, place) in [
        ("safe.test", None, "tls 192.0.2.1:5061 1 1"),
        ("only.test", None, "tls 192.0.2.1:5071 1 1"),
        ("only.test", Some(Transport::Tls), "tls 192.0.2.1:5071 1 1"),
        ("bare.test", Some(Transport::Tls), "tls 192.0.2.1:5061 0 0"),
    ] {
        let asked = Query {
            transport,
            ..query(host)
        };
        assert_eq!(shown(look_ups.find(&asked).await), [place], "{host}");
    }
}

#[tokio::test]
async fn without_any_record_but_an_address_it_is_udp_and_5060() {
    let look_ups = server(zone(), false).await;
    let found = look_ups.find(&query("plain.test")).await;
    assert_eq!(shown(found), ["udp 192.0.2.1:5060 0 0"]);
}

#[tokio::test]
async fn a_port_is_taken_as_it_stands() {
    let look_ups = server(zone(), false).await;
    let fixed = Query {
        port: Some(5080),
        transport: Some(Transport::Tcp),
        ..query("naptr.test")
    };
    assert_eq!(
        shown(look_ups.find(&fixed).await),
        ["nothing"],
        "it has no address"
    );
    let fixed = Query {
        host: "srv.test".to_owned(),
        ..fixed
    };
    assert_eq!(
        shown(look_ups.find(&fixed).await),
        ["tcp 192.0.2.1:5080 0 0"]
    );
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told_at_once() {
    let look_ups = server(zone(), false).await;
    assert_eq!(
        look_ups.find(&query("nobody.test")).await,
        Err(Fault::NoAddress)
    );
}

#[tokio::test]
async fn silent_name_servers_cost_two_seconds_and_no_more() {
    let look_ups = server(zone(), true).await;
    let begin = Instant::now();
    assert_eq!(
        look_ups.find(&query("naptr.test")).await,
        Err(Fault::Timeout)
    );
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(2_300), "{took:?}");
}
