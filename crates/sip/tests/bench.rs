//! An endpoint alone on the bench, in virtual time: what goes in is text, what comes out is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::digest::Algorithm;
use sip::endpoint::{Account, LegId, Outgoing, Settings, Status, Wake};
use sip::guard::{Defence, Stranger};
use sip::message::Defect;
use sip::{Endpoint, Event, Flow, Message, Output, Transport};

pub(crate) const REALM: &str = "ringmaster";
pub(crate) const PRODUCT: &str = "Ringmaster-test";

/// Accounts 201 to 210, each with a password of its own.
pub(crate) fn settings() -> Settings {
    Settings {
        realm: REALM.into(),
        digests: vec![Algorithm::Sha256, Algorithm::Md5],
        accounts: (201..=210)
            .map(|n| (Account(n.to_string().into()), password(&n.to_string())))
            .collect::<BTreeMap<_, _>>(),
        min_expires: Duration::from_secs(60),
        max_expires: Duration::from_secs(3600),
        session_expires: Duration::from_secs(1800),
        product: PRODUCT.into(),
        defence: Defence::default(),
        nat: sip::nat::Nat::default(),
    }
}

pub(crate) fn password(user: &str) -> String {
    format!("ringmaster-{user}")
}

/// The moment that all tests start from.
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn flow(transport: Transport, remote: &str) -> Flow {
    let remote: SocketAddr = remote.parse().unwrap();
    let local = if remote.is_ipv4() {
        "127.0.0.1:5060"
    } else {
        "[::1]:5060"
    };
    Flow {
        transport,
        local: local.parse().unwrap(),
        remote,
    }
}

pub(crate) fn udp(remote: &str) -> Flow {
    flow(Transport::Udp, remote)
}

pub(crate) fn tcp(remote: &str) -> Flow {
    flow(Transport::Tcp, remote)
}

/// The bench.
pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    /// What left since it was last taken.
    pub(crate) sent: Vec<(Flow, Message)>,
    /// What the owner was told since it was last taken.
    pub(crate) events: Vec<Event>,
    /// Who was shut out.
    pub(crate) shut: Vec<Stranger>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let now = start();
        let endpoint = Endpoint::new(settings(), [42; 32], now);
        Self {
            endpoint,
            now,
            sent: vec![],
            events: vec![],
            shut: vec![],
        }
    }

    /// Octets come in, as from the net: what cannot be parsed is answered by its fault.
    pub(crate) fn receive(&mut self, octets: &[u8], flow: Flow) {
        match Message::parse(Bytes::copy_from_slice(octets)) {
            Ok(message) => self.endpoint.handle_message(message, flow, self.now),
            Err(fault) => {
                if let (Some(answer), Some(request)) =
                    (fault.answers(flow.remote).next(), &fault.request)
                {
                    let remote = request.response_address(flow.remote);
                    let answer = Message::parse(answer).unwrap();
                    self.sent.push((Flow { remote, ..flow }, answer));
                }
            }
        }
        self.drain();
    }

    /// Time goes on; every timer on the way fires at its time.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, _)) = self.endpoint.poll_timeout().filter(|(at, _)| *at <= end) {
            assert!(at >= self.now, "a timer in the past was left behind");
            self.now = at;
            self.endpoint.handle_timeout(at);
            let next = self.endpoint.poll_timeout().map(|(next, _)| next);
            assert_ne!(next, Some(at), "a timer that was due is still there");
            self.drain();
        }
        self.now = end;
    }

    /// The switch calls.
    pub(crate) fn invite(&mut self, outgoing: Outgoing) -> LegId {
        let leg = self.endpoint.invite(outgoing, self.now);
        self.drain();
        leg
    }

    /// Takes what the endpoint has to say.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, octets } => {
                    let message = Message::parse(octets).expect("what we send parses");
                    // A response through proxies has more Vias than one, which only its receiver may not see.
                    // A 400 repeats what was wrong.
                    let valid = message.validate();
                    let repeats = message.status() == Some(Status(400));
                    assert!(
                        repeats || matches!(valid, Ok(()) | Err(Defect::ForeignResponse)),
                        "{valid:?}"
                    );
                    self.sent.push((flow, message));
                }
                Output::Shut { stranger, .. } => self.shut.push(stranger),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The messages that left, taken away.
    pub(crate) fn take_sent(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(|(_, message)| message)
            .collect()
    }

    /// The only message that left, taken away.
    pub(crate) fn only(&mut self) -> Message {
        let mut sent = self.take_sent();
        assert_eq!(sent.len(), 1, "{}", describe_all(&sent));
        sent.remove(0)
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether only bindings are left to wait for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.endpoint
            .poll_timeout()
            .is_none_or(|(_, why)| why == Wake::Binding)
    }
}

/// `INVITE` or `200 OK (INVITE)`.
pub(crate) fn describe(message: &Message) -> String {
    match (message.method(), message.status()) {
        (Some(method), _) => method.to_string(),
        (None, Some(status)) => {
            let method = message.cseq().unwrap().method;
            format!(
                "{} {} ({method})",
                status.0,
                message.reason_phrase().unwrap_or_default()
            )
        }
        (None, None) => unreachable!("a message is a request or a response"),
    }
}

pub(crate) fn describe_all(messages: &[Message]) -> String {
    messages.iter().map(describe).collect::<Vec<_>>().join(", ")
}
