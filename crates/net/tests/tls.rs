//! SIP over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::sip::tls::{Identity, SelfSigned};
use net::sip::{ConnectionLimits, Settings, Sip};
use sip::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::phone::{PATIENCE, closed, listener, message, nothing, options};

/// Short enough for a test, long enough for a handshake on a busy machine.
const SHORT: Duration = Duration::from_millis(1000);

pub(crate) fn certificate() -> SelfSigned {
    SelfSigned::make(&["127.0.0.1".to_owned()]).unwrap()
}

pub(crate) fn identity(made: &SelfSigned) -> Identity {
    Identity::read(made.certificate.as_bytes(), made.key.as_bytes()).unwrap()
}

/// Listens on loopback with this certificate.
pub(crate) fn bind(transport: Transport, made: &SelfSigned, limits: ConnectionLimits) -> Sip {
    Sip::bind(Settings {
        listeners: vec![(transport, "127.0.0.1:0".parse().unwrap())],
        identity: Some(identity(made)),
        limits,
        ..Settings::default()
    })
    .unwrap()
}

/// Connects and trusts nothing but this certificate.
pub(crate) async fn connect(
    address: SocketAddr,
    trusted: &SelfSigned,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// A phone whose first request has arrived. The switch accepts while it is asked for messages.
async fn registered(sip: &mut Sip, trusted: &SelfSigned) -> (TlsStream<TcpStream>, Flow) {
    let address = listener(sip);
    let says = async {
        let mut phone = connect(address, trusted).await.unwrap();
        phone
            .write_all(options("TLS", "first", "").as_bytes())
            .await
            .unwrap();
        phone
    };
    let (phone, (_, flow)) = tokio::join!(says, message(sip, "first"));
    (phone, flow)
}

async fn read(phone: &mut TlsStream<TcpStream>, length: usize) -> String {
    let mut buffer = vec![0; length];
    timeout(PATIENCE, phone.read_exact(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(buffer).unwrap()
}

#[tokio::test]
async fn messages_arrive_at_any_split_and_answers_return() {
    let made = certificate();
    let mut sip = bind(Transport::Tls, &made, ConnectionLimits::default());
    let (mut phone, flow) = registered(&mut sip, &made).await;
    assert_eq!(flow.transport, Transport::Tls);
    assert_eq!(flow.local, listener(&sip));
    let stream = options("TLS", "a", "one") + &options("TLS", "a", "two");
    for size in [7, 100, 2000] {
        for part in stream.as_bytes().chunks(size) {
            phone.write_all(part).await.unwrap();
        }
        for body in ["one", "two"] {
            let (message, came) = message(&mut sip, "a").await;
            assert_eq!((message.body().as_ref(), came), (body.as_bytes(), flow));
            sip.send(flow, format!("answer {body}").into());
        }
        let (heard, ()) = tokio::join!(read(&mut phone, 20), async {
            nothing(&mut sip, Duration::from_millis(50)).await;
        });
        assert_eq!(heard, "answer oneanswer two");
    }
}

#[tokio::test]
async fn a_double_line_end_is_answered_with_one() {
    let made = certificate();
    let mut sip = bind(Transport::Tls, &made, ConnectionLimits::default());
    let (mut phone, _) = registered(&mut sip, &made).await;
    phone.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut phone, 2).await, "\r\n");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let (old, new) = (certificate(), certificate());
    let mut sip = bind(Transport::Tls, &old, ConnectionLimits::default());
    let (mut phone, flow) = registered(&mut sip, &old).await;
    sip.configure(Some(identity(&new)), Vec::new());
    let _new_phone = registered(&mut sip, &new).await;
    let address = listener(&sip);
    let (refused, _) = tokio::join!(connect(address, &old), closed(&mut sip));
    assert!(
        refused.is_err(),
        "the old certificate is not shown any more"
    );
    sip.send(flow, "answer".into());
    assert_eq!(read(&mut phone, 6).await, "answer");
}

#[tokio::test]
async fn a_peer_that_closes_its_side_closes_its_flow() {
    let made = certificate();
    let mut sip = bind(Transport::Tls, &made, ConnectionLimits::default());
    let (mut phone, flow) = registered(&mut sip, &made).await;
    phone.shutdown().await.unwrap();
    assert_eq!(closed(&mut sip).await, flow);
    let (rude, flow) = registered(&mut sip, &made).await;
    // Without a word.
    drop(rude);
    assert_eq!(closed(&mut sip).await, flow);
}

#[tokio::test]
async fn nobody_connects_to_a_phone_of_tls_that_has_gone() {
    let made = certificate();
    let mut sip = bind(Transport::Tls, &made, ConnectionLimits::default());
    let (phone, flow) = registered(&mut sip, &made).await;
    drop(phone);
    closed(&mut sip).await;
    sip.send(flow, "lost".into());
    assert_eq!(closed(&mut sip).await, flow);
}

#[tokio::test]
async fn a_handshake_is_waited_for_only_so_long() {
    let made = certificate();
    let limits = ConnectionLimits {
        message: SHORT,
        ..ConnectionLimits::default()
    };
    let mut sip = bind(Transport::Tls, &made, limits);
    let start = Instant::now();
    let silent = TcpStream::connect(listener(&sip)).await.unwrap();
    assert_eq!(closed(&mut sip).await.remote, silent.local_addr().unwrap());
    let mut babbler = TcpStream::connect(listener(&sip)).await.unwrap();
    // The head of a ClientHello whose rest never comes.
    babbler.write_all(&[22, 3, 1, 1, 0, 1]).await.unwrap();
    assert_eq!(closed(&mut sip).await.remote, babbler.local_addr().unwrap());
    assert!(start.elapsed() >= 2 * SHORT);
    let mut plain = TcpStream::connect(listener(&sip)).await.unwrap();
    plain
        .write_all(options("TCP", "plain", "").as_bytes())
        .await
        .unwrap();
    let start = Instant::now();
    closed(&mut sip).await;
    assert!(start.elapsed() < SHORT, "no TLS: ended at once");
}

#[tokio::test]
async fn a_handshake_without_a_message_holds_a_connection_no_longer() {
    let made = certificate();
    let limits = ConnectionLimits {
        message: SHORT,
        ..ConnectionLimits::default()
    };
    let mut sip = bind(Transport::Tls, &made, limits);
    let address = listener(&sip);
    let (_phone, gone) = tokio::join!(connect(address, &made), closed(&mut sip));
    assert_eq!(gone.transport, Transport::Tls);
}

#[tokio::test]
async fn tls_without_a_certificate_is_not_bound() {
    let error = Sip::bind(Settings {
        listeners: vec![(Transport::Tls, "127.0.0.1:0".parse().unwrap())],
        ..Settings::default()
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot listen on TLS 127.0.0.1:0: ")
    );
}
