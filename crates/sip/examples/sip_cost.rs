//! What signalling costs: the time from parsed octets in to octets out, without sockets.
//!
//! `cargo run --release -p sip --example sip_cost`
//!
//! Each figure is the median over many runs, so that a busy machine disturbs it little.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock and may stop where something is wrong"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::digest::Algorithm;
use sip::endpoint::{Account, Binding, Outgoing, Settings, Status};
use sip::header::Header;
use sip::{Endpoint, Event, Flow, Message, Output, Transport, digest};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// Lines that a desk phone sends beside the mandatory ones.
const USUAL: &str = "Contact: <sip:201@127.0.0.9:5060>;+sip.instance=\"<urn:uuid:0>\"\r\n\
                     User-Agent: Phone/1.2.3\r\nSupported: path, outbound\r\n\
                     Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n";

/// The endpoint, and the time spent in it.
struct Bench {
    endpoint: Endpoint,
    now: Instant,
    spent: Duration,
    sent: Vec<Message>,
    leg: Option<sip::endpoint::LegId>,
    serial: u32,
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "127.0.0.1:5060".parse().unwrap(),
        remote: "127.0.0.9:5060".parse().unwrap(),
    }
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let settings = Settings {
            realm: "ringmaster".into(),
            digests: vec![Algorithm::Sha256, Algorithm::Md5],
            accounts: BTreeMap::from([(Account("201".into()), "secret".into())]),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            session_expires: Duration::from_secs(1800),
            product: "Ringmaster".into(),
            defence: sip::guard::Defence::default(),
            nat: sip::nat::Nat::default(),
        };
        let endpoint = Endpoint::new(settings, [7; 32], now);
        Self {
            endpoint,
            now,
            spent: Duration::ZERO,
            sent: vec![],
            leg: None,
            serial: 0,
        }
    }

    /// Times one thing that the endpoint does, with all that leaves.
    fn time(&mut self, act: impl FnOnce(&mut Endpoint, Instant)) {
        self.sent.clear();
        let mut octets = Vec::with_capacity(4);
        let start = Instant::now();
        act(&mut self.endpoint, self.now);
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit {
                    octets: message, ..
                } => octets.push(message),
                Output::Event(Event::Incoming { leg, .. }) => self.leg = Some(leg),
                Output::Event(_) | Output::Shut { .. } => {}
            }
        }
        self.spent += start.elapsed();
        self.sent.extend(
            octets
                .into_iter()
                .map(|message| Message::parse(message).unwrap()),
        );
    }

    fn receive(&mut self, text: String) {
        let octets = Bytes::from(text);
        self.time(|endpoint, now| {
            endpoint.handle_message(Message::parse(octets).unwrap(), flow(), now);
        });
    }

    /// Time goes on: the timers of what was done before cost their part.
    fn pass_time(&mut self) {
        self.now += Duration::from_millis(1);
        self.time(|endpoint, now| {
            if endpoint.poll_timeout().is_some_and(|(at, _)| at <= now) {
                endpoint.handle_timeout(now);
            }
        });
    }

    fn request(&mut self, method: &str, uri: &str, to: &str, cseq: u32, lines: &str, body: &str) {
        self.serial += 1;
        let (serial, call) = (self.serial, self.now);
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        self.receive(format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;rport;branch=z9hG4bK{serial}\r\n\
             Max-Forwards: 70\r\nFrom: \"Phone\" <sip:201@127.0.0.1>;tag=abc\r\nTo: {to}\r\n\
             Call-ID: {call:?}\r\nCSeq: {cseq} {method}\r\n{lines}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// A request and, after its challenge, the same with credentials.
    fn authorized(&mut self, method: &str, uri: &str, to: &str, body: &str) {
        self.request(method, uri, to, 1, USUAL, body);
        let challenge = self.sent[0].header(Header::WwwAuthenticate).unwrap();
        let answer = digest::answer(challenge, method, uri, "201", "secret", 1, "0a4f").unwrap();
        let lines = format!("{USUAL}Authorization: {answer}\r\n");
        self.request(method, uri, to, 2, &lines, body);
    }

    fn register(&mut self) {
        self.authorized("REGISTER", "sip:127.0.0.1", "<sip:201@127.0.0.1>", "");
        assert_eq!(self.sent[0].status().unwrap().0, 200);
    }

    fn take_a_call(&mut self) {
        self.authorized("INVITE", "sip:700@127.0.0.1", "<sip:700@127.0.0.1>", SDP);
        let leg = self.leg.take().unwrap();
        self.time(|endpoint, now| endpoint.ring(leg, Status(180), None, now));
        self.time(|endpoint, now| endpoint.answer(leg, SDP.into(), now));
        let to = self.sent[0].header(Header::To).unwrap().to_owned();
        self.request("ACK", "sip:127.0.0.1", &to, 2, "", "");
        self.request("BYE", "sip:127.0.0.1", &to, 3, "", "");
        assert_eq!(self.sent[0].status().unwrap().0, 200);
    }

    fn make_a_call(&mut self) {
        let binding = Binding {
            account: Account("201".into()),
            contact: "sip:201@127.0.0.9:5060".into(),
            flow: flow(),
        };
        let (caller, display) = ("202".into(), Some("Another".into()));
        let outgoing = Outgoing {
            binding,
            caller,
            display,
            private: false,
            offer: SDP.into(),
            max_forwards: 70,
            max_breadth: 60,
            referred_by: None,
            upstream: None,
        };
        let mut leg = None;
        self.time(|endpoint, now| leg = Some(endpoint.invite(outgoing, now)));
        let invite = self.sent.remove(0);
        for (status, body) in [("100 Trying", ""), ("180 Ringing", ""), ("200 OK", SDP)] {
            self.respond(&invite, status, body);
        }
        self.time(|endpoint, now| endpoint.bye(leg.unwrap(), None, now));
        let bye = self.sent.remove(0);
        self.respond(&bye, "200 OK", "");
    }

    fn respond(&mut self, request: &Message, status: &str, body: &str) {
        let value = |header| request.header(header).unwrap();
        let to = value(Header::To);
        let tag = if to.contains(";tag=") { "" } else { ";tag=b" };
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        self.receive(format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             {USUAL}{kind}Content-Length: {}\r\n\r\n{body}",
            value(Header::Via),
            value(Header::From),
            value(Header::CallId),
            value(Header::CSeq),
            body.len()
        ));
    }
}

/// The median cost of a thing done many times.
fn measure(what: &str, mut act: impl FnMut(&mut Bench)) {
    const RUNS: usize = 20_000;
    let mut bench = Bench::new();
    let mut costs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            bench.spent = Duration::ZERO;
            act(&mut bench);
            bench.pass_time();
            bench.spent
        })
        .collect();
    costs.sort_unstable();
    println!("{what}: {:?}", costs[RUNS / 2]);
}

fn main() {
    measure("REGISTER, challenge and all", Bench::register);
    measure(
        "a call taken (INVITE twice, 180, 200, ACK, BYE)",
        Bench::take_a_call,
    );
    measure(
        "a call made (INVITE, 100, 180, 200, ACK, BYE)",
        Bench::make_a_call,
    );
}
