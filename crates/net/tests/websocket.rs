//! SIP over WebSockets (RFC 7118).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use net::sip::{ConnectionLimits, Settings, Sip};
use sip::{Flow, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::phone::{PATIENCE, bind, closed, listener, message, nothing, options};
use crate::tls;

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(600);

/// A browser's handshake over a stream.
async fn browser<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    protocol: &str,
    origin: &str,
) -> Result<WebSocketStream<S>, Error> {
    let mut request = "ws://pbx.example/ws".into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
    headers.insert("origin", origin.parse().unwrap());
    let (socket, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    Ok(socket)
}

/// A browser that is connected to a switch which listens beside it.
async fn connected(sip: &mut Sip) -> WebSocketStream<TcpStream> {
    let address = listener(sip);
    let connecting = async {
        let stream = TcpStream::connect(address).await.unwrap();
        browser(stream, "sip", "https://pbx.example").await.unwrap()
    };
    tokio::select! {
        socket = connecting => socket,
        () = nothing(sip, PATIENCE) => panic!("no handshake"),
    }
}

/// A browser whose first request has arrived.
async fn registered(sip: &mut Sip) -> (WebSocketStream<TcpStream>, Flow) {
    let mut socket = connected(sip).await;
    let request = options("WS", "first", "");
    socket.send(Message::text(request)).await.unwrap();
    let (_, flow) = message(sip, "first").await;
    (socket, flow)
}

async fn hears<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Message {
    let next = timeout(PATIENCE, socket.next()).await.unwrap();
    next.unwrap().unwrap()
}

#[tokio::test]
async fn a_message_a_frame_arrives_with_or_without_content_length() {
    let mut sip = bind(Transport::Ws, "127.0.0.1:0");
    let (mut socket, flow) = registered(&mut sip).await;
    assert_eq!(flow.transport, Transport::Ws);
    let bare = options("WS", "a", "body").replace("Content-Length: 4\r\n", "");
    for frame in [
        Message::text(options("WS", "a", "body")),
        Message::text(bare.clone()),
        Message::binary(bare),
    ] {
        socket.send(frame).await.unwrap();
        let (message, came) = message(&mut sip, "a").await;
        assert_eq!((message.body().as_ref(), came), (&b"body"[..], flow));
    }
    sip.send(flow, "one".into());
    sip.send(flow, vec![0xff_u8].into());
    assert_eq!(hears(&mut socket).await, Message::text("one"));
    assert_eq!(hears(&mut socket).await, Message::binary(vec![0xff_u8]));
}

#[tokio::test]
async fn the_same_inside_tls() {
    let made = tls::certificate();
    let mut sip = tls::bind(Transport::Wss, &made, ConnectionLimits::default());
    let address = listener(&sip);
    let says = async {
        let stream = tls::connect(address, &made).await.unwrap();
        let mut socket = browser(stream, "sip", "https://any.example").await.unwrap();
        let request = options("WSS", "a", "");
        socket.send(Message::text(request)).await.unwrap();
        socket
    };
    let (mut socket, (_, flow)) = tokio::join!(says, message(&mut sip, "a"));
    assert_eq!(flow.transport, Transport::Wss);
    sip.send(flow, "answer".into());
    assert_eq!(hears(&mut socket).await, Message::text("answer"));
}

#[tokio::test]
async fn line_ends_and_pings_are_answered() {
    let mut sip = bind(Transport::Ws, "127.0.0.1:0");
    let (mut socket, _) = registered(&mut sip).await;
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(hears(&mut socket).await, Message::text("\r\n"));
    socket.send(Message::Ping("there?".into())).await.unwrap();
    assert_eq!(hears(&mut socket).await, Message::Pong("there?".into()));
    assert_eq!(sip.counters().keep_alives, 1);
}

#[tokio::test]
async fn a_faulty_request_is_answered_and_the_socket_goes_on() {
    let mut sip = bind(Transport::Ws, "127.0.0.1:0");
    let (mut socket, _) = registered(&mut sip).await;
    let faulty = options("WS", "b", "").replace("Max-Forwards: 70", "no header");
    socket.send(Message::text(faulty)).await.unwrap();
    socket
        .send(Message::text(options("WS", "c", "")))
        .await
        .unwrap();
    message(&mut sip, "c").await;
    let answer = hears(&mut socket).await.into_text().unwrap();
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
}

#[tokio::test]
async fn who_does_not_speak_sip_or_comes_from_a_strange_page_is_refused() {
    let mut sip = Sip::bind(Settings {
        listeners: vec![(Transport::Ws, "127.0.0.1:0".parse().unwrap())],
        origins: vec!["https://pbx.example".to_owned()],
        ..Settings::default()
    })
    .unwrap();
    for (protocol, origin, status) in [
        ("chat", "https://pbx.example", 400),
        ("sip", "https://evil.example", 403),
    ] {
        let stream = TcpStream::connect(listener(&sip)).await.unwrap();
        let (refused, _) = tokio::join!(browser(stream, protocol, origin), closed(&mut sip));
        let Err(Error::Http(response)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(response.status().as_u16(), status);
    }
    registered(&mut sip).await;
}

#[tokio::test]
async fn a_close_ends_the_flow() {
    let mut sip = bind(Transport::Ws, "127.0.0.1:0");
    let (mut socket, flow) = registered(&mut sip).await;
    socket.close(None).await.unwrap();
    let (gone, last) = tokio::join!(closed(&mut sip), socket.next());
    assert_eq!(gone, flow);
    assert!(matches!(last, Some(Ok(Message::Close(_))) | None));
}

#[tokio::test]
async fn a_browser_that_is_there_answers_pings_and_one_that_is_not_is_closed() {
    let limits = ConnectionLimits {
        ping: SHORT,
        ..ConnectionLimits::default()
    };
    let mut sip = Sip::bind(Settings {
        listeners: vec![(Transport::Ws, "127.0.0.1:0".parse().unwrap())],
        limits,
        ..Settings::default()
    })
    .unwrap();
    let (mut socket, flow) = registered(&mut sip).await;
    let pongs = async {
        // Polling it answers the pings.
        for _ in 0..4 {
            assert_eq!(hears(&mut socket).await, Message::Ping("".into()));
        }
    };
    tokio::select! {
        () = pongs => {}
        () = nothing(&mut sip, PATIENCE) => panic!("no pings"),
    }
    // It is polled no more.
    assert_eq!(closed(&mut sip).await, flow);
}

#[tokio::test]
async fn half_a_handshake_is_waited_for_only_so_long() {
    let limits = ConnectionLimits {
        message: SHORT,
        ..ConnectionLimits::default()
    };
    let mut sip = Sip::bind(Settings {
        listeners: vec![(Transport::Ws, "127.0.0.1:0".parse().unwrap())],
        limits,
        ..Settings::default()
    })
    .unwrap();
    let silent = TcpStream::connect(listener(&sip)).await.unwrap();
    assert_eq!(closed(&mut sip).await.remote, silent.local_addr().unwrap());
    // Nor does the handshake alone, or a ping, keep it.
    let mut idle = connected(&mut sip).await;
    idle.send(Message::Ping("".into())).await.unwrap();
    closed(&mut sip).await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_socket() {
    let mut sip = bind(Transport::Ws, "127.0.0.1:0");
    let (mut socket, flow) = registered(&mut sip).await;
    let long = options("WS", "long", &"x".repeat(70_000));
    let (_, gone) = tokio::join!(socket.send(Message::text(long)), closed(&mut sip));
    assert_eq!(gone, flow);
}
