//! Peers that the switch connects to over TLS, and what they must prove.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use net::sip::tls::{Authorities, Peer, SelfSigned};
use net::sip::{ConnectionLimits, Incoming, Sip};
use sip::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::phone::{PATIENCE, listener, message, options};
use crate::tls::{bind, certificate};

/// A carrier that listens, and the flow to it.
struct Carrier {
    socket: TcpListener,
    shows: SelfSigned,
}

impl Carrier {
    async fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Self {
            socket: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            shows: SelfSigned::make(&names).unwrap(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn flow(&self, sip: &Sip) -> Flow {
        Flow {
            transport: Transport::Tls,
            local: listener(sip),
            remote: self.address(),
        }
    }

    fn authorities(&self) -> Authorities {
        Authorities::read(self.shows.certificate.as_bytes()).unwrap()
    }

    /// The switch is to connect to it by this name.
    fn known_to(&self, sip: &mut Sip, name: &str, authorities: Authorities) {
        let peer = Peer::new(name, authorities).unwrap();
        sip.set_peers(HashMap::from([(self.address(), peer)]));
    }

    async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let certificate = CertificateDer::from_pem_slice(self.shows.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.shows.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.unwrap()], key)
            .unwrap();
        let (stream, _) = timeout(PATIENCE, self.socket.accept()).await.unwrap()?;
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    }
}

async fn closed(sip: &mut Sip) -> (Flow, String) {
    match timeout(PATIENCE, sip.recv()).await.unwrap() {
        Incoming::FlowClosed { flow, why } => (flow, why),
        other @ Incoming::Message { .. } => panic!("{other:?}"),
    }
}

fn switch() -> Sip {
    bind(Transport::Tls, &certificate(), ConnectionLimits::default())
}

#[tokio::test]
async fn a_peer_that_shows_its_name_gets_what_waited_and_answers_over_the_same_connection() {
    let (mut sip, carrier) = (switch(), Carrier::new(&["sip.carrier.example"]).await);
    carrier.known_to(&mut sip, "sip.carrier.example", carrier.authorities());
    let flow = carrier.flow(&sip);
    sip.send(flow, "first".into());
    sip.send(flow, "second".into());
    let talks = async {
        let mut stream = carrier.accept().await.unwrap();
        let mut heard = [0; 11];
        stream.read_exact(&mut heard).await.unwrap();
        let asks = options("TLS", "carrier", "");
        stream.write_all(asks.as_bytes()).await.unwrap();
        (stream, heard)
    };
    let ((mut stream, heard), (_, came)) = tokio::join!(talks, message(&mut sip, "carrier"));
    assert_eq!((&heard, came), (b"firstsecond", flow));
    sip.send(flow, "third".into());
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"third");
}

#[tokio::test]
async fn a_peer_that_shows_another_name_gets_nothing_and_the_reason_is_told() {
    let (mut sip, carrier) = (switch(), Carrier::new(&["sip.evil.example"]).await);
    carrier.known_to(&mut sip, "sip.carrier.example", carrier.authorities());
    let flow = carrier.flow(&sip);
    sip.send(flow, "secret".into());
    let (accepted, (failed, why)) = tokio::join!(carrier.accept(), closed(&mut sip));
    assert_eq!(failed, flow);
    assert!(why.contains("sip.carrier.example"), "{why}");
    if let Ok(mut stream) = accepted {
        let heard = stream.read(&mut [0; 6]).await;
        assert!(!matches!(heard, Ok(1..)), "nothing was said: {heard:?}");
    }
}

#[tokio::test]
async fn an_address_can_be_the_name_and_a_stranger_cannot_vouch_for_it() {
    let (mut sip, carrier) = (switch(), Carrier::new(&["127.0.0.1"]).await);
    carrier.known_to(&mut sip, "127.0.0.1", carrier.authorities());
    let flow = carrier.flow(&sip);
    sip.send(flow, "hello".into());
    let mut stream = tokio::select! {
        stream = carrier.accept() => stream.unwrap(),
        incoming = sip.recv() => panic!("{incoming:?}"),
    };
    stream.read_exact(&mut [0; 5]).await.unwrap();
    // Another authority: the connection that the first one vouched for ends, and a new one is refused.
    let stranger = Authorities::read(certificate().certificate.as_bytes()).unwrap();
    carrier.known_to(&mut sip, "127.0.0.1", stranger);
    assert_eq!(closed(&mut sip).await.0, flow);
    sip.send(flow, "hello".into());
    let (_, (failed, why)) = tokio::join!(carrier.accept(), closed(&mut sip));
    assert_eq!(failed, flow);
    assert!(why.contains("invalid peer certificate"), "{why}");
}

#[tokio::test]
async fn a_peer_that_is_known_as_before_keeps_its_connection() {
    let (mut sip, carrier) = (switch(), Carrier::new(&["127.0.0.1"]).await);
    carrier.known_to(&mut sip, "127.0.0.1", carrier.authorities());
    let flow = carrier.flow(&sip);
    sip.send(flow, "one".into());
    let mut stream = tokio::select! {
        stream = carrier.accept() => stream.unwrap(),
        incoming = sip.recv() => panic!("{incoming:?}"),
    };
    carrier.known_to(&mut sip, "127.0.0.1", carrier.authorities());
    sip.send(flow, "two".into());
    let mut heard = [0; 6];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"onetwo");
}

#[test]
fn a_file_without_authorities_is_refused() {
    for octets in [&b""[..], b"no certificate", certificate().key.as_bytes()] {
        assert!(Authorities::read(octets).is_err());
    }
    assert!(
        Peer::new(
            "no name",
            Authorities::read(certificate().certificate.as_bytes()).unwrap()
        )
        .is_none()
    );
}
