//! Peers that the switch connects to over TLS, and what they must prove.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use net::sip::tls::{Authorities, Identity, Peer, Peers, SelfSigned};
use net::sip::{ConnectionLimits, Incoming, Sip};
use sip::endpoint::Source;
use sip::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

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

    /// Somebody else who might be at its place.
    fn stranger(&self) -> Peer {
        Peer::new("stranger.example", self.authorities(), None).unwrap()
    }

    fn authorities(&self) -> Authorities {
        Authorities::read(self.shows.certificate.as_bytes()).unwrap()
    }

    /// The switch is to connect to it by this name.
    fn known_to(&self, sip: &mut Sip, name: &str, authorities: Authorities) {
        let peer = Peer::new(name, authorities, None).unwrap();
        self.is_at_its_place(sip, peer);
    }

    fn is_at_its_place(&self, sip: &mut Sip, peer: Peer) {
        sip.set_peers(Peers {
            places: HashMap::from([(self.address(), peer)]),
            sources: Vec::new(),
        });
    }

    async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        self.accept_with(WebPkiClientVerifier::no_client_auth())
            .await
    }

    /// Lets nobody in whose certificate this one has not signed.
    async fn accept_only(&self, signer: &SelfSigned) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(roots(signer));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        self.accept_with(verifier.build().unwrap()).await
    }

    async fn accept_with(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let (chain, key) = parts(&self.shows);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        let (stream, _) = timeout(PATIENCE, self.socket.accept()).await.unwrap()?;
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    }
}

fn parts(of: &SelfSigned) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_slice(of.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(of.key.as_bytes());
    (vec![certificate.unwrap()], key.unwrap())
}

fn roots(signer: &SelfSigned) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (chain, _) = parts(signer);
    roots.add(chain[0].clone()).unwrap();
    roots
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

#[tokio::test]
async fn a_peer_that_asks_for_a_certificate_is_shown_the_one_that_is_meant_for_it() {
    let (mut sip, carrier) = (switch(), Carrier::new(&["127.0.0.1"]).await);
    let ours = SelfSigned::make(&["switch.example".to_owned()]).unwrap();
    let identity = Identity::read(ours.certificate.as_bytes(), ours.key.as_bytes()).unwrap();
    for shown in [Some(identity), None] {
        let shows = shown.is_some();
        let peer = Peer::new("127.0.0.1", carrier.authorities(), shown).unwrap();
        carrier.is_at_its_place(&mut sip, peer);
        sip.send(carrier.flow(&sip), "hello".into());
        let talks = async {
            let mut stream = carrier.accept_only(&ours).await?;
            stream.read_exact(&mut [0; 5]).await
        };
        tokio::select! {
            heard = talks => assert_eq!(heard.is_ok(), shows),
            _ = async { loop { sip.recv().await; } } => {}
        }
        // The connection of the first round ends with what it had to prove.
        carrier.is_at_its_place(&mut sip, carrier.stranger());
    }
}

/// Who connects to the switch from an address where somebody has to prove a name; whether it is heard.
async fn is_let_in(shows: Option<&SelfSigned>, peer: Option<Peer>, source: &str) -> bool {
    let ours = certificate();
    let mut sip = bind(Transport::Tls, &ours, ConnectionLimits::default());
    let source = Source {
        network: source.parse().unwrap(),
        prefix: 32,
        port: None,
    };
    sip.set_peers(Peers {
        places: HashMap::new(),
        sources: vec![(source, peer)],
    });
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&ours));
    let config = match shows.map(parts) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let address = listener(&sip);
    let says = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        stream
            .write_all(options("TLS", "guest", "").as_bytes())
            .await?;
        stream.flush().await?;
        stream.read(&mut [0; 1]).await
    };
    tokio::select! {
        _ = says => false,
        incoming = sip.recv() => matches!(incoming, Incoming::Message { .. }),
    }
}

#[tokio::test]
async fn who_connects_from_a_peers_address_must_show_its_name_too() {
    let signed = |name: &str| SelfSigned::make(&[name.to_owned()]).unwrap();
    let (right, other) = (signed("sip.carrier.example"), signed("sip.evil.example"));
    let peer = |by: &SelfSigned| {
        let authorities = Authorities::read(by.certificate.as_bytes()).unwrap();
        Peer::new("sip.carrier.example", authorities, None)
    };
    assert!(is_let_in(Some(&right), peer(&right), "127.0.0.1").await);
    assert!(
        !is_let_in(None, peer(&right), "127.0.0.1").await,
        "it shows nothing"
    );
    assert!(
        !is_let_in(Some(&right), peer(&other), "127.0.0.1").await,
        "a stranger vouches"
    );
    assert!(
        !is_let_in(Some(&other), peer(&other), "127.0.0.1").await,
        "another name"
    );
    assert!(
        !is_let_in(Some(&right), None, "127.0.0.1").await,
        "nobody can say who it is"
    );
    assert!(
        is_let_in(None, peer(&right), "127.0.0.2").await,
        "a phone elsewhere"
    );
}

#[test]
fn a_file_without_authorities_is_refused() {
    for octets in [&b""[..], b"no certificate", certificate().key.as_bytes()] {
        assert!(Authorities::read(octets).is_err());
    }
    assert!(
        Peer::new(
            "no name",
            Authorities::read(certificate().certificate.as_bytes()).unwrap(),
            None
        )
        .is_none()
    );
}
