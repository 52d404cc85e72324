//! What the tests say and hear.

use std::time::Duration;

use net::sip::{Incoming, Settings, Sip};
use sip::{Flow, Message, Transport};

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An OPTIONS request with this Call-ID and body.
pub(crate) fn options(transport: &str, call_id: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "OPTIONS sip:switch SIP/2.0\r\n\
         Via: SIP/2.0/{transport} phone.invalid;branch=z9hG4bK{call_id};rport\r\n\
         From: <sip:201@switch>;tag=1\r\nTo: <sip:switch>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The first listener.
pub(crate) fn listener(sip: &Sip) -> std::net::SocketAddr {
    sip.listeners()[0].1
}

/// Listens on one address.
pub(crate) fn bind(transport: Transport, address: &str) -> Sip {
    Sip::bind(Settings {
        listeners: vec![(transport, address.parse().unwrap())],
        ..Settings::default()
    })
    .unwrap()
}

/// The next message, with the Call-ID checked.
pub(crate) async fn message(sip: &mut Sip, call_id: &str) -> (Message, Flow) {
    match incoming(sip).await {
        Incoming::Message { message, flow } => {
            assert_eq!(message.call_id(), Some(call_id));
            (message, flow)
        }
        other @ Incoming::FlowClosed { .. } => panic!("{other:?}"),
    }
}

/// The next flow that closes.
pub(crate) async fn closed(sip: &mut Sip) -> Flow {
    match incoming(sip).await {
        Incoming::FlowClosed { flow, .. } => flow,
        other @ Incoming::Message { .. } => panic!("{other:?}"),
    }
}

async fn incoming(sip: &mut Sip) -> Incoming {
    tokio::time::timeout(PATIENCE, sip.recv()).await.unwrap()
}

/// Lets the transports work while nothing is expected from them.
pub(crate) async fn nothing(sip: &mut Sip, during: Duration) {
    if let Ok(incoming) = tokio::time::timeout(during, sip.recv()).await {
        panic!("{incoming:?}");
    }
}
