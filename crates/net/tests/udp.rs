//! SIP over UDP.

use std::net::SocketAddr;
use std::time::Duration;

use net::sip::{INBOX, Settings, Sip};
use rustix::net::sockopt;
use sip::Transport;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::phone::{PATIENCE, bind, listener, message, nothing, options};

async fn heard(phone: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 2000];
    let (length, from) = timeout(PATIENCE, phone.recv_from(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    (String::from_utf8(buffer[..length].to_vec()).unwrap(), from)
}

#[tokio::test]
async fn a_message_and_its_answer_take_the_same_flow() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let mut sip = bind(Transport::Udp, host);
        let phone = UdpSocket::bind(host).await.unwrap();
        let request = options("UDP", "a", "");
        phone
            .send_to(request.as_bytes(), listener(&sip))
            .await
            .unwrap();
        let (_, flow) = message(&mut sip, "a").await;
        assert_eq!(flow.transport, Transport::Udp);
        assert_eq!(flow.local, listener(&sip));
        assert_eq!(flow.remote, phone.local_addr().unwrap());
        sip.send(flow, "answer".into());
        assert_eq!(heard(&phone).await, ("answer".to_owned(), flow.local));
    }
}

#[tokio::test]
async fn on_a_wildcard_address_a_flow_names_the_address_that_the_phone_sees() {
    for (all, host) in [("0.0.0.0:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0")] {
        let mut sip = bind(Transport::Udp, all);
        let phone = UdpSocket::bind(host).await.unwrap();
        let mut local: SocketAddr = host.parse().unwrap();
        local.set_port(listener(&sip).port());
        phone
            .send_to(options("UDP", "a", "").as_bytes(), local)
            .await
            .unwrap();
        let (_, flow) = message(&mut sip, "a").await;
        assert_eq!(flow.local, local);
        sip.send(flow, "answer".into());
        assert_eq!(heard(&phone).await, ("answer".to_owned(), local));
    }
}

#[tokio::test]
async fn ipv4_and_ipv6_share_a_port() {
    let first = bind(Transport::Udp, "0.0.0.0:0");
    let port = listener(&first).port();
    let second = SocketAddr::from(([0u16; 8], port));
    let both = Sip::bind(Settings {
        listeners: vec![(Transport::Udp, second), (Transport::Tcp, second)],
        ..Settings::default()
    });
    assert!(both.is_ok());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind(Transport::Udp, "127.0.0.1:0");
    let address = listener(&first);
    let error = Sip::bind(Settings {
        listeners: vec![(Transport::Udp, address)],
        ..Settings::default()
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on UDP {address}: Address already")),
        "{error}"
    );
}

#[tokio::test]
async fn keep_alives_and_noise_are_silent_and_a_faulty_request_is_answered() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    phone.connect(listener(&sip)).await.unwrap();
    for keep_alive in ["", "\r\n\r\n", "\0\0\0\0", "\r\n"] {
        phone.send(keep_alive.as_bytes()).await.unwrap();
    }
    for noise in [
        "GET / HTTP/1.1\r\n\r\n",
        "\u{1}\0binary",
        "SIP/2.0 999 Odd\r\n\r\n",
    ] {
        phone.send(noise.as_bytes()).await.unwrap();
    }
    let faulty = options("UDP", "b", "").replace("Max-Forwards: 70", "no header");
    phone.send(faulty.as_bytes()).await.unwrap();
    nothing(&mut sip, Duration::from_millis(100)).await;
    let (answer, _) = heard(&phone).await;
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
    let counters = sip.counters();
    assert_eq!((counters.keep_alives, counters.faults_dropped), (4, 3));
    assert_eq!((counters.faults_answered, counters.messages), (1, 0));
    let mut buffer = [0; 100];
    assert!(
        phone.try_recv(&mut buffer).is_err(),
        "nothing but one answer"
    );
}

#[tokio::test]
async fn datagrams_beyond_the_inbox_are_dropped_and_counted() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Of a dialog, so that nothing is refused before the inbox is full.
    let request = options("UDP", "a", "").replace("To: <sip:switch>", "To: <sip:switch>;tag=1");
    assert!(request.contains(";tag=1\r\n"));
    let beyond = 30;
    for _ in 0..INBOX + beyond {
        phone
            .send_to(request.as_bytes(), listener(&sip))
            .await
            .unwrap();
        // The socket's buffer must not be what overflows.
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(sip.counters().messages, INBOX as u64);
    assert_eq!(sip.counters().inbox_full, beyond as u64);
    for _ in 0..INBOX {
        message(&mut sip, "a").await;
    }
    phone
        .send_to(options("UDP", "z", "").as_bytes(), listener(&sip))
        .await
        .unwrap();
    message(&mut sip, "z").await;
}

/// Requests that may wait: a quarter of the inbox.
const QUARTER: usize = INBOX / 4;

#[tokio::test]
async fn a_storm_of_registrations_leaves_room_for_calls() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let call = options("UDP", "a", "");
    let registration = call.replace("OPTIONS", "REGISTER");
    let to = listener(&sip);
    for _ in 0..INBOX {
        phone.send_to(registration.as_bytes(), to).await.unwrap();
        tokio::task::yield_now().await;
    }
    phone.send_to(call.as_bytes(), to).await.unwrap();
    for _ in 0..QUARTER {
        let (found, _) = message(&mut sip, "a").await;
        assert_eq!(found.octets(), registration.as_bytes());
    }
    let (found, _) = message(&mut sip, "a").await;
    assert_eq!(found.octets(), call.as_bytes());
    assert_eq!(sip.counters().refused, (INBOX - QUARTER) as u64);
}

#[tokio::test]
async fn when_the_control_loop_is_behind_what_begins_is_refused_and_what_stands_waits() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // As long as most are, so that the refusal is not much longer.
    let begins = options("UDP", "a", &"x".repeat(200));
    let stands = begins.replace("To: <sip:switch>", "To: <sip:switch>;tag=1");
    let beyond = 10;
    for _ in 0..QUARTER + beyond {
        let to = listener(&sip);
        phone.send_to(begins.as_bytes(), to).await.unwrap();
        tokio::task::yield_now().await;
    }
    for _ in 0..beyond {
        let (refusal, _) = heard(&phone).await;
        assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
        assert!(refusal.contains("Retry-After: "), "{refusal}");
    }
    let to = listener(&sip);
    phone.send_to(stands.as_bytes(), to).await.unwrap();
    for _ in 0..QUARTER {
        message(&mut sip, "a").await;
    }
    let (found, _) = message(&mut sip, "a").await;
    assert_eq!(found.octets(), stands.as_bytes());
    let counters = sip.counters();
    assert_eq!((counters.refused, counters.inbox_full), (beyond as u64, 0));
    // There is time again.
    phone.send_to(begins.as_bytes(), to).await.unwrap();
    message(&mut sip, "a").await;
}

#[tokio::test]
async fn a_call_without_a_place_is_refused_at_the_door_and_nothing_else_is() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = listener(&sip);
    // As long as most are, so that the refusal is not much longer.
    let other = options("UDP", "a", &"x".repeat(200));
    let call = other.replace("OPTIONS", "INVITE");
    let again = call.replace("To: <sip:switch>", "To: <sip:switch>;tag=1");
    sip.set_vacancies(0);
    for request in [&call, &other, &again] {
        phone.send_to(request.as_bytes(), to).await.unwrap();
    }
    let (refusal, _) = heard(&phone).await;
    assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    for expected in [&other, &again] {
        let (found, _) = message(&mut sip, "a").await;
        assert_eq!(found.octets(), expected.as_bytes());
    }
    sip.set_vacancies(2);
    for _ in 0..3 {
        phone.send_to(call.as_bytes(), to).await.unwrap();
    }
    let (refusal, _) = heard(&phone).await;
    assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    for _ in 0..2 {
        message(&mut sip, "a").await;
    }
    // What begins no call takes no place.
    for _ in 0..3 {
        phone.send_to(other.as_bytes(), to).await.unwrap();
    }
    phone.send_to(call.as_bytes(), to).await.unwrap();
    for expected in [&other, &other, &other, &call] {
        let (found, _) = message(&mut sip, "a").await;
        assert_eq!(found.octets(), expected.as_bytes());
    }
}

#[tokio::test]
async fn a_flood_gets_so_many_refusals_at_once_and_the_rest_is_left_to_come_again() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // As long as most are, so that the refusal is not much longer.
    let begins = options("UDP", "a", &"x".repeat(200));
    sockopt::set_socket_recv_buffer_size_force(&phone, 4 << 20).unwrap();
    // All that is read in three turns of 512; of what may not wait 512 are refused at once, and 96 more in each turn.
    let (waiting, beyond) = (QUARTER, 3 * 512 - QUARTER);
    for _ in 0..waiting + beyond {
        // Without a turn for the socket's task.
        while phone
            .try_send_to(begins.as_bytes(), listener(&sip))
            .is_err()
        {
            phone.writable().await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(sip.counters().refused, beyond as u64);
    for _ in 0..waiting {
        message(&mut sip, "a").await;
    }
    let mut answers = 0;
    let mut buffer = [0; 2_000];
    while timeout(Duration::from_millis(100), phone.recv(&mut buffer))
        .await
        .is_ok()
    {
        assert!(buffer.starts_with(b"SIP/2.0 503 "));
        answers += 1;
    }
    assert_eq!(answers, 512 + 2 * 96);
}

#[tokio::test]
async fn a_stun_binding_request_is_told_where_it_came_from() {
    let mut sip = bind(Transport::Udp, "127.0.0.1:0");
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut request = [[0, 1, 0, 0], [0x21, 0x12, 0xa4, 0x42]].concat();
    request.extend([7; 12]);
    phone.send_to(&request, listener(&sip)).await.unwrap();
    nothing(&mut sip, Duration::from_millis(50)).await;
    let mut answer = [0; 100];
    let length = phone.recv(&mut answer).await.unwrap();
    assert_eq!((length, &answer[..4]), (32, &[1, 1, 0, 12][..]));
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, phone.local_addr().unwrap().port());
    assert_eq!(sip.counters().keep_alives, 1);
}
