//! SIP over TCP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::sip::{ConnectionLimits, INBOX, Incoming, Settings, Sip};
use sip::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::phone::{PATIENCE, bind, closed, listener, message, nothing, options};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(600);

const ANSWER: &str = "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";

fn bind_with(limits: ConnectionLimits) -> Sip {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Sip::bind(Settings {
        listeners: vec![(Transport::Tcp, address)],
        limits,
        ..Settings::default()
    })
    .unwrap()
}

async fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut buffer = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(buffer).unwrap()
}

/// All that the switch still says before it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text))
        .await
        .unwrap();
    String::from_utf8(text).unwrap()
}

/// A phone whose first request has arrived.
async fn registered(sip: &mut Sip) -> (TcpStream, Flow) {
    let mut phone = TcpStream::connect(listener(sip)).await.unwrap();
    let request = options("TCP", "first", "");
    phone.write_all(request.as_bytes()).await.unwrap();
    let (_, flow) = message(sip, "first").await;
    (phone, flow)
}

#[tokio::test]
async fn messages_arrive_at_any_split_and_answers_return() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let mut sip = bind(Transport::Tcp, host);
        let mut phone = TcpStream::connect(listener(&sip)).await.unwrap();
        phone.set_nodelay(true).unwrap();
        let stream = options("TCP", "a", "one") + &options("TCP", "a", "two");
        for size in [1, 2, 7, 100, 399, 2000] {
            for part in stream.as_bytes().chunks(size) {
                phone.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            for body in ["one", "two"] {
                let (message, flow) = message(&mut sip, "a").await;
                assert_eq!(message.body(), body);
                assert_eq!(flow.local, listener(&sip));
                assert_eq!(flow.remote, phone.local_addr().unwrap());
                sip.send(flow, format!("answer {body}").into());
            }
            assert_eq!(read(&mut phone, 20).await, "answer oneanswer two");
        }
    }
}

#[tokio::test]
async fn a_double_line_end_is_answered_with_one() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, _) = registered(&mut sip).await;
    for _ in 0..2 {
        phone.write_all(b"\r\n\r\n").await.unwrap();
        nothing(&mut sip, Duration::from_millis(50)).await;
        assert_eq!(read(&mut phone, 2).await, "\r\n");
    }
    assert_eq!(sip.counters().keep_alives, 2);
}

#[tokio::test]
async fn a_faulty_request_is_answered_and_the_stream_goes_on() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, _) = registered(&mut sip).await;
    let faulty = options("TCP", "b", "").replace("Max-Forwards: 70", "no header");
    phone.write_all(faulty.as_bytes()).await.unwrap();
    phone
        .write_all(options("TCP", "c", "").as_bytes())
        .await
        .unwrap();
    message(&mut sip, "c").await;
    assert_eq!(read(&mut phone, 12).await, "SIP/2.0 400 ");
}

#[tokio::test]
async fn a_request_without_content_length_is_answered_and_the_connection_closed() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, flow) = registered(&mut sip).await;
    let endless = options("TCP", "b", "").replace("Content-Length: 0\r\n", "");
    phone.write_all(endless.as_bytes()).await.unwrap();
    phone.write_all(&[b'x'; 5000]).await.unwrap();
    let (answer, gone) = tokio::join!(rest(&mut phone), async {
        let flow = closed(&mut sip).await;
        (flow, sip.counters().faults_answered)
    });
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
    assert_eq!(gone, (flow, 1));
}

#[tokio::test]
async fn a_peer_that_closes_its_sending_half_gets_its_answers_and_then_the_end() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, flow) = registered(&mut sip).await;
    phone.shutdown().await.unwrap();
    nothing(&mut sip, Duration::from_millis(50)).await;
    sip.send(flow, ANSWER.into());
    let (answer, gone) = tokio::join!(rest(&mut phone), closed(&mut sip));
    assert_eq!((answer.as_str(), gone), (ANSWER, flow));
}

#[tokio::test]
async fn who_has_closed_its_sending_half_is_asked_nothing_more() {
    let mut sip = bind_with(ConnectionLimits {
        linger: PATIENCE,
        ..ConnectionLimits::default()
    });
    let (mut phone, flow) = registered(&mut sip).await;
    phone.shutdown().await.unwrap();
    nothing(&mut sip, Duration::from_millis(50)).await;
    sip.send(flow, ANSWER.into());
    // The phone takes no connections: there is no other way to it.
    sip.send(flow, options("TCP", "question", "").into());
    assert_eq!(closed(&mut sip).await, flow);
    assert_eq!(rest(&mut phone).await, ANSWER);
}

#[tokio::test]
async fn what_came_before_garbage_is_answered() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, flow) = registered(&mut sip).await;
    phone.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    nothing(&mut sip, Duration::from_millis(50)).await;
    sip.send(flow, ANSWER.into());
    let (answer, gone) = tokio::join!(rest(&mut phone), closed(&mut sip));
    assert_eq!((answer.as_str(), gone), (ANSWER, flow));
}

#[tokio::test]
async fn a_peer_that_asks_faster_than_it_reads_waits_and_gets_every_answer() {
    const REQUESTS: usize = 5_000;
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (phone, _) = registered(&mut sip).await;
    let (mut ear, mut mouth) = phone.into_split();
    let asks = async {
        let request = options("TCP", "again", "");
        mouth.write_all(request.repeat(REQUESTS).as_bytes()).await
    };
    let answers = async {
        for _ in 0..REQUESTS {
            let (_, flow) = message(&mut sip, "again").await;
            sip.send(flow, [b'x'; 1000].as_slice().into());
        }
        // The last ones are still on their way to the phone.
        nothing(&mut sip, PATIENCE / 2).await;
    };
    let hears = async {
        tokio::time::sleep(SHORT).await;
        let mut all = vec![0; 1000 * REQUESTS];
        ear.read_exact(&mut all).await
    };
    tokio::select! {
        () = answers => panic!("answers are missing"),
        (asked, heard) = async { tokio::join!(asks, hears) } => assert!(asked.is_ok() && heard.is_ok()),
    }
}

#[tokio::test]
async fn a_connection_is_opened_for_a_flow_that_has_none_and_used_both_ways() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flow = Flow {
        transport: Transport::Tcp,
        local: listener(&sip),
        remote: peer.local_addr().unwrap(),
    };
    sip.send(flow, "one ".into());
    sip.send(flow, "two ".into());
    let (mut stream, from) = timeout(PATIENCE, peer.accept()).await.unwrap().unwrap();
    sip.send(flow, "three".into());
    assert_eq!(from.ip(), flow.local.ip());
    assert_eq!(read(&mut stream, 13).await, "one two three");
    let request = options("TCP", "a", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (_, came) = message(&mut sip, "a").await;
    assert_eq!(came, flow, "answers find the way back");
    drop(stream);
    assert_eq!(closed(&mut sip).await, flow);
}

#[tokio::test]
async fn a_flow_that_cannot_be_opened_is_closed() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flow = Flow {
        transport: Transport::Tcp,
        local: listener(&sip),
        remote: nobody.local_addr().unwrap(),
    };
    drop(nobody);
    sip.send(flow, "lost".into());
    assert_eq!(closed(&mut sip).await, flow);
    nothing(&mut sip, Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_flow_that_does_not_open_in_time_is_closed() {
    let mut sip = bind_with(ConnectionLimits {
        connect: SHORT,
        ..ConnectionLimits::default()
    });
    // The queue of this listener takes one connection; the kernel ignores the SYN of the next.
    let busy = TcpSocket::new_v4().unwrap();
    busy.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let busy = busy.listen(0).unwrap();
    let remote = busy.local_addr().unwrap();
    let _first = TcpStream::connect(remote).await.unwrap();
    let flow = Flow {
        transport: Transport::Tcp,
        local: listener(&sip),
        remote,
    };
    let start = Instant::now();
    sip.send(flow, "lost".into());
    assert_eq!(closed(&mut sip).await, flow);
    assert!(start.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_peer_that_hangs_up_closes_its_flow_and_may_come_back() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (phone, flow) = registered(&mut sip).await;
    drop(phone);
    assert_eq!(closed(&mut sip).await, flow);
    registered(&mut sip).await;
}

#[tokio::test]
async fn half_a_message_is_waited_for_only_so_long() {
    let mut sip = bind_with(ConnectionLimits {
        message: SHORT,
        ..ConnectionLimits::default()
    });
    let (mut phone, flow) = registered(&mut sip).await;
    let start = Instant::now();
    let trickle = async {
        // Octet by octet does not help, nor does a keep-alive first.
        let request = format!("\r\n\r\n{}", options("TCP", "slow", ""));
        for octet in request.as_bytes().chunks(1) {
            if phone.write_all(octet).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (gone, ()) = tokio::join!(closed(&mut sip), trickle);
    assert_eq!(gone, flow);
    assert!(start.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let mut sip = bind_with(ConnectionLimits {
        message: SHORT,
        ..ConnectionLimits::default()
    });
    let mut silent = TcpStream::connect(listener(&sip)).await.unwrap();
    // Keep-alives are no message.
    silent.write_all(b"\r\n\r\n").await.unwrap();
    let start = Instant::now();
    let flow = closed(&mut sip).await;
    assert_eq!(flow.remote, silent.local_addr().unwrap());
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(rest(&mut silent).await, "\r\n");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_keep_alives_keep_it() {
    let mut sip = bind_with(ConnectionLimits {
        idle: SHORT,
        ..ConnectionLimits::default()
    });
    let (mut phone, flow) = registered(&mut sip).await;
    for _ in 0..3 {
        nothing(&mut sip, SHORT / 2).await;
        phone.write_all(b"\r\n\r\n").await.unwrap();
    }
    assert_eq!(closed(&mut sip).await, flow);
}

#[tokio::test]
async fn a_peer_that_never_reads_is_closed_and_nobody_waits_for_it() {
    let mut sip = bind_with(ConnectionLimits {
        write: SHORT,
        ..ConnectionLimits::default()
    });
    let (_slow, flow) = registered(&mut sip).await;
    let (mut quick, other) = registered(&mut sip).await;
    let long = bytes::Bytes::from(vec![b'x'; 60_000]);
    let start = Instant::now();
    for _ in 0..250 {
        sip.send(flow, long.clone());
    }
    sip.send(other, "answer".into());
    assert!(start.elapsed() < PATIENCE / 2, "send never blocks");
    assert_eq!(read(&mut quick, 6).await, "answer");
    assert_eq!(closed(&mut sip).await, flow);
}

#[tokio::test]
async fn silent_connections_make_room_for_new_ones() {
    let mut sip = bind_with(ConnectionLimits {
        connections_per_address: 3,
        ..ConnectionLimits::default()
    });
    let (mut first, flow) = registered(&mut sip).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(listener(&sip)).await.unwrap());
    }
    let (_second, _) = registered(&mut sip).await;
    sip.send(flow, "answer".into());
    assert_eq!(read(&mut first, 6).await, "answer", "those who talk stay");
    assert!(sip.counters().connections_evicted >= 18);
    for stream in &mut silent[..18] {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn what_was_sent_is_written_before_the_end() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, flow) = registered(&mut sip).await;
    for _ in 0..100 {
        sip.send(flow, bytes::Bytes::from(vec![b'x'; 1000]));
    }
    let start = Instant::now();
    let (text, ()) = tokio::join!(rest(&mut phone), sip.close());
    assert_eq!(text.len(), 100_000);
    assert!(
        start.elapsed() < Duration::from_millis(1900),
        "no limit ran out"
    );
}

#[tokio::test]
async fn when_the_control_loop_is_behind_what_begins_is_refused_and_a_registration_waits() {
    let mut sip = bind(Transport::Tcp, "127.0.0.1:0");
    let (mut phone, _) = registered(&mut sip).await;
    let asking = options("TCP", "a", "");
    let registration = options("TCP", "r", "").replace("OPTIONS", "REGISTER");
    // A quarter of the inbox, after those that nobody asks how long.
    let waiting = INBOX / 4 + 32;
    for _ in 0..=waiting {
        phone.write_all(asking.as_bytes()).await.unwrap();
    }
    phone.write_all(registration.as_bytes()).await.unwrap();
    assert_eq!(read(&mut phone, 12).await, "SIP/2.0 503 ");
    let mut entered = 0;
    while let Incoming::Message { message, .. } = sip.recv().await
        && message.call_id() == Some("a")
    {
        entered += 1;
    }
    // How many enter depends on how fast the loop took the first message as well.
    assert_eq!(entered + sip.counters().refused, waiting as u64 + 1);
    assert!(sip.counters().refused > 0);
}
