//! What a registration and a call cost in the exchange, without sockets: `cargo run --release -p call --example call_cost`.
//!
//! With `-- quick` everything is done once, for an instruction count: `valgrind --tool=callgrind`. With `-- memory` it tells what a
//! standing call holds in the exchange: signalling and call control, without sockets and media.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use call::exchange::{Exchange, Output};
use media::LegId;
use media::mixer::{Command, Port, PortIndex, StreamStats};
use sip::header::Header;
use sip::{Flow, Message, Transport, digest};
use testkit::Site;

/// Pairs of phones that take turns: from 201 on, below the numbers of the site.
const PAIRS: u32 = 190;
/// Registrations and calls of one measurement.
const ROUNDS: u32 = 4_000;
/// From one to the next: with the timers of 32 s, 1,600 calls are in the tables.
const PACE: Duration = Duration::from_millis(20);
/// All timers of a call that stands are over by then.
const REST: Duration = Duration::from_secs(33);
/// Each measurement is the best of so many: the machine may be busy with other things.
const TRIES: usize = 5;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n\
                   a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

fn main() {
    let is_asked = |name: &str| std::env::args().any(|argument| argument == name);
    if is_asked("memory") {
        return memory();
    }
    let quick = is_asked("quick");
    let tries = if quick { 1 } else { TRIES };
    let (mut registration, mut call) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..tries {
        let mut bench = Bench::new();
        registration = registration.min(bench.microseconds(Bench::register));
        call = call.min(bench.microseconds(Bench::call));
    }
    println!("registration, both round trips {registration:6.1} us");
    println!("call, INVITE to call record    {call:6.1} us");
}

/// Octets that a call holds as soon as it stands, and when the timers of its beginning are over.
fn memory() {
    let mut bench = Bench::new();
    // Tables have grown as far as they will.
    for caller in 0..PAIRS {
        bench.call(caller);
    }
    bench.pass(REST);
    let mut answers = Vec::with_capacity(PAIRS as usize);
    let begun = allocation_counter::measure(|| {
        for caller in 0..PAIRS {
            answers.push(bench.set_up(caller));
        }
    });
    let rested = allocation_counter::measure(|| bench.pass(REST));
    // What this bench itself keeps of each call.
    let kept: i64 = answers.iter().map(|it| it.octets().len() as i64).sum();
    let begun = begun.bytes_current - kept;
    let of_one = |octets: i64| octets / i64::from(PAIRS);
    println!("octets_at_once {}", of_one(begun));
    println!("octets_of_a_call {}", of_one(begun + rested.bytes_current));
}

#[expect(clippy::disallowed_methods, reason = "this measures")]
fn now() -> Instant {
    Instant::now()
}

/// An exchange and the phones around it.
struct Bench {
    exchange: Exchange,
    phones: Vec<Phone>,
    now: Instant,
    spent: Duration,
    sent: VecDeque<(Flow, Message)>,
    commands: Vec<Command>,
    branches: u32,
}

struct Phone {
    number: u32,
    flow: Flow,
    challenge: Option<String>,
    used: u32,
    cseq: u32,
}

impl Bench {
    fn new() -> Self {
        let (now, mut site) = (now(), Site::with_agents(PAIRS * 2, 0));
        // Requests here are shorter than those of phones: their challenges would have to wait.
        let trusted = "127.0.0.0/8".parse().expect("a network");
        site.settings.sip.defence.trusted.push(trusted);
        let mut exchange = Exchange::new(site.settings, [7; 32], now, SystemTime::UNIX_EPOCH);
        let ports: Vec<Port> = (0..1_000)
            .map(|index| Port {
                worker: 0,
                index: PortIndex(index),
                local: SocketAddr::from(([127, 0, 0, 1], 20_000 + index * 2)),
            })
            .collect();
        exchange.handle_ports(&ports);
        let phones = (0..PAIRS * 2)
            .map(|index| Phone {
                number: 201 + index,
                flow: Flow {
                    transport: Transport::Udp,
                    local: SocketAddr::from(([127, 0, 0, 1], 5060)),
                    remote: SocketAddr::from(([127, 0, 0, 1], 30_000 + index as u16)),
                },
                challenge: None,
                used: 0,
                cseq: 0,
            })
            .collect();
        let mut bench = Self {
            exchange,
            phones,
            now,
            spent: Duration::ZERO,
            sent: VecDeque::new(),
            commands: Vec::new(),
            branches: 0,
        };
        for phone in 0..bench.phones.len() {
            bench.register(phone as u32);
        }
        bench
    }

    /// What the exchange takes for one of these.
    fn microseconds(&mut self, each: impl Fn(&mut Self, u32)) -> f64 {
        self.spent = Duration::ZERO;
        for round in 0..ROUNDS {
            each(self, round % PAIRS);
            let begin = now();
            self.pass(PACE);
            self.spent += begin.elapsed();
        }
        self.spent.as_secs_f64() * 1e6 / f64::from(ROUNDS)
    }

    /// Time goes on.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        while let Some((at, _)) = self.exchange.poll_timeout()
            && at <= self.now
        {
            self.exchange.handle_timeout(at);
            while self.exchange.poll_output().is_some() {}
        }
    }

    /// A message of a phone comes; what the exchange sends is kept.
    fn receive(&mut self, phone: u32, text: String) {
        let (octets, flow) = (Bytes::from(text), self.phones[phone as usize].flow);
        let mut outputs = Vec::with_capacity(8);
        let begin = now();
        let message = Message::parse(octets).expect("the phone writes well");
        self.exchange.handle_message(message, flow, self.now);
        while let Some(output) = self.exchange.poll_output() {
            outputs.push(output);
        }
        self.spent += begin.elapsed();
        for output in outputs {
            match output {
                Output::Transmit { flow, octets } => {
                    let message = Message::parse(octets).expect("the switch writes well");
                    self.sent.push_back((flow, message));
                }
                Output::Media { command, .. } => self.commands.push(command),
                Output::Dialog { .. } | Output::Shut { .. } | Output::Pass { .. } => {}
                Output::LookUp { .. } | Output::Proofs(_) | Output::QueueLog(_) => {}
                Output::CallRecord { call, .. } => self.exchange.handle_record_written(call),
            }
        }
    }

    /// The next message to this phone.
    fn take(&mut self, phone: u32) -> Message {
        let flow = self.phones[phone as usize].flow;
        let at = self.sent.iter().position(|(to, _)| *to == flow);
        let (_, message) = at
            .and_then(|at| self.sent.remove(at))
            .expect("the switch sends");
        message
    }

    /// The first lines of a request outside a dialog.
    fn request(&mut self, phone: u32, method: &str, uri: &str, to: &str) -> String {
        self.branches += 1;
        let branch = self.branches;
        let Phone {
            number, flow, cseq, ..
        } = &mut self.phones[phone as usize];
        *cseq += 1;
        let address = flow.remote;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK{branch:08x}\r\nMax-Forwards: 70\r\n\
             From: <sip:{number}@127.0.0.1>;tag=phone{number}\r\nTo: {to}\r\nCall-ID: {method}-{branch}@{address}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{number}@{address}>\r\nUser-Agent: a desk phone 1.2.3\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY\r\n"
        )
    }

    fn authorization(&mut self, phone: u32, method: &str, uri: &str) -> String {
        let phone = &mut self.phones[phone as usize];
        phone.used += 1;
        let (user, challenge) = (phone.number.to_string(), phone.challenge.as_deref());
        let password = format!("ringmaster-{user}");
        challenge
            .and_then(|challenge| {
                digest::answer(
                    challenge, method, uri, &user, &password, phone.used, "0a4f113b",
                )
            })
            .map(|answer| format!("Authorization: {answer}\r\n"))
            .expect("the phone was challenged")
    }

    /// REGISTER, 401, REGISTER with credentials, 200.
    fn register(&mut self, phone: u32) {
        let number = self.phones[phone as usize].number;
        let to = format!("<sip:{number}@127.0.0.1>");
        let rest = "Expires: 3600\r\nContent-Length: 0\r\n\r\n";
        let head = self.request(phone, "REGISTER", "sip:127.0.0.1", &to);
        self.receive(phone, head + rest);
        let challenge = self
            .take(phone)
            .header(Header::WwwAuthenticate)
            .map(str::to_owned);
        self.phones[phone as usize].challenge = challenge;
        self.phones[phone as usize].used = 0;
        let head = self.request(phone, "REGISTER", "sip:127.0.0.1", &to);
        let authorization = self.authorization(phone, "REGISTER", "sip:127.0.0.1");
        self.receive(phone, head + &authorization + rest);
        assert_eq!(self.take(phone).status().map(|status| status.0), Some(200));
    }

    /// INVITE, 180, 200, ACK on both legs, BYE on both legs, call record.
    fn call(&mut self, caller: u32) {
        let answered = self.set_up(caller);
        let callee = caller + PAIRS;
        let number = self.phones[callee as usize].number;
        self.receive(caller, self.in_dialog("BYE", caller, &answered));
        self.take(caller);
        let bye = self.take(callee);
        self.receive(callee, reply(&bye, "200 OK", number, ""));
        self.close_streams();
        assert!(self.sent.is_empty() && self.exchange.calls() == 0);
    }

    /// INVITE, 180, 200, ACK on both legs; gives the 200.
    fn set_up(&mut self, caller: u32) -> Message {
        let callee = caller + PAIRS;
        let number = self.phones[callee as usize].number;
        let uri = format!("sip:{number}@127.0.0.1");
        let body = format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        );
        let head = self.request(caller, "INVITE", &uri, &format!("<{uri}>"));
        // The nonce of the registration still lives: one round trip, as with most phones.
        let authorization = self.authorization(caller, "INVITE", &uri);
        self.receive(caller, head + &authorization + &body);
        let answer = self.take(caller);
        assert_eq!(answer.status().map(|status| status.0), Some(100));
        let invite = self.take(callee);
        self.receive(callee, reply(&invite, "180 Ringing", number, ""));
        let ringing = self.take(caller);
        assert_eq!(ringing.status().map(|status| status.0), Some(180));
        self.receive(callee, reply(&invite, "200 OK", number, &body));
        self.take(callee);
        let answered = self.take(caller);
        self.receive(caller, self.in_dialog("ACK", caller, &answered));
        answered
    }

    fn in_dialog(&self, method: &str, phone: u32, answered: &Message) -> String {
        let Phone { number, flow, .. } = &self.phones[phone as usize];
        let value = |header| answered.header(header).unwrap_or_default();
        let (from, to, call_id) = (
            value(Header::From),
            value(Header::To),
            value(Header::CallId),
        );
        let cseq = answered.cseq().map_or(0, |cseq| cseq.number) + u32::from(method == "BYE");
        format!(
            "{method} sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bK{method}{call_id}\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nUser-Agent: a desk phone {number}\r\n\
             Content-Length: 0\r\n\r\n",
            flow.remote
        )
    }

    /// The RTP worker closes what it was told to close, and the ports come back.
    fn close_streams(&mut self) {
        let commands = std::mem::take(&mut self.commands);
        let port_of = |wanted: LegId| {
            commands.iter().find_map(|command| {
                if let Command::Open { leg, port, .. } = command
                    && *leg == wanted
                {
                    Some(*port)
                } else {
                    None
                }
            })
        };
        let mut records = Vec::new();
        for command in &commands {
            if let Command::Close { leg } = *command
                && let Some(port) = port_of(leg)
            {
                let stats = StreamStats::default();
                let begin = now();
                self.exchange
                    .handle_media(media::Event::Closed { leg, port, stats }, self.now);
                while let Some(output) = self.exchange.poll_output() {
                    records.push(output);
                }
                self.spent += begin.elapsed();
                self.exchange.handle_ports(&[port]);
            }
        }
        for output in records {
            if let Output::CallRecord { call, .. } = output {
                self.exchange.handle_record_written(call);
            }
        }
    }
}

/// The answer of a phone.
fn reply(request: &Message, status: &str, number: u32, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (header, name, value) in request.headers() {
        if matches!(
            header,
            Header::Via | Header::From | Header::CallId | Header::CSeq
        ) {
            text += &format!("{name}: {value}\r\n");
        } else if header == Header::To {
            text += &if value.contains(";tag=") {
                format!("To: {value}\r\n")
            } else {
                format!("To: {value};tag=callee{number}\r\n")
            };
        }
    }
    text += &format!("Contact: <sip:{number}@127.0.0.1:{}>\r\n", 29_799 + number);
    text + if body.is_empty() {
        "Content-Length: 0\r\n\r\n"
    } else {
        body
    }
}
