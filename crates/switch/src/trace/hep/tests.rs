use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;

use bytes::Buf;
use sip::Flow;

use super::*;
use crate::trace::Direction;

/// The chunks of a packet, as a reader of its own sees them.
fn chunks(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut packet = packet;
    assert_eq!(packet.copy_to_bytes(4), "HEP3");
    assert_eq!(usize::from(packet.get_u16()), packet.len() + 6);
    let mut chunks = BTreeMap::new();
    while packet.has_remaining() {
        assert_eq!(packet.get_u16(), 0, "the generic vendor");
        let kind = packet.get_u16();
        let length = usize::from(packet.get_u16()) - 6;
        let value = packet.copy_to_bytes(length).to_vec();
        assert!(chunks.insert(kind, value).is_none());
    }
    chunks
}

fn message(direction: Direction, call_id: &str, transport: Transport, remote: &str) -> Arc<Frame> {
    let local = if remote.starts_with('[') {
        "[2001:db8::1]:5060"
    } else {
        "192.0.2.1:5060"
    };
    let text = format!(
        "OPTIONS sip:a SIP/2.0\r\nCall-ID: {call_id}\r\nAuthorization: Digest response=\"abc\"\r\n\r\n"
    );
    Arc::new(Frame::Message(Passed {
        at: Duration::from_micros(1_795_209_600_123_456),
        direction,
        flow: Flow {
            transport,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        },
        octets: Bytes::from(text),
    }))
}

#[test]
fn a_collector_gets_each_message_with_its_addresses_and_its_call() {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let exporter = Exporter::new(&Export {
        collector: collector.local_addr().unwrap(),
        capture_id: 2001,
    })
    .unwrap();
    let (queue, frames) = sync_channel(8);
    queue
        .send(message(
            Direction::Received,
            "a",
            Transport::Udp,
            "192.0.2.7:5062",
        ))
        .unwrap();
    // That the dialog is a call's comes out a moment after its INVITE.
    let dialog = Dialog {
        call: "call-1".into(),
        call_id: "a".into(),
    };
    queue.send(Arc::new(Frame::Dialog(dialog))).unwrap();
    queue
        .send(message(
            Direction::Sent,
            "b",
            Transport::Tcp,
            "[2001:db8::7]:1024",
        ))
        .unwrap();
    drop(queue);
    exporter.run(&frames, &AtomicU64::new(0));

    let mut buffer = [0; 2_048];
    let mut next = || {
        let length = collector.recv(&mut buffer).unwrap();
        chunks(&buffer[..length])
    };
    let first = next();
    let number = |value: u32| value.to_be_bytes().to_vec();
    let port = |value: u16| value.to_be_bytes().to_vec();
    let payload =
        "OPTIONS sip:a SIP/2.0\r\nCall-ID: a\r\nAuthorization: Digest response=\"***\"\r\n\r\n";
    let expected = BTreeMap::from([
        (1, vec![2]),
        (2, vec![17]),
        (3, vec![192, 0, 2, 7]),
        (4, vec![192, 0, 2, 1]),
        (7, port(5062)),
        (8, port(5060)),
        (9, number(1_795_209_600)),
        (10, number(123_456)),
        (11, vec![1]),
        (12, number(2001)),
        (15, payload.into()),
        (17, b"call-1".to_vec()),
    ]);
    assert_eq!(first, expected);
    let second = next();
    assert_eq!((&second[&1], &second[&2]), (&vec![10], &vec![6]));
    assert_eq!(
        second[&5],
        [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    );
    assert_eq!((&second[&8], &second[&17]), (&port(1024), &b"b".to_vec()));
}
