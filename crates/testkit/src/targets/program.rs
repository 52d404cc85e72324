//! The whole endpoint, driven by a program of octets: a peer that sends what it likes, an owner that answers, calls and
//! hangs up when it likes, and a clock that goes on.
//!
//! Whatever the program was: nothing panics, what is sent is well-formed, what is held is bounded by what came in, and once the
//! owner has let go of everything the endpoint forgets it all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Account, Binding, LegId, Outgoing, Peer, Reason, Source, Status};
use sip::message::Writer;
use sip::{Endpoint, Event, Flow, Header, Message, Output, Transport};

use super::Octets;
use crate::Site;

/// Steps of a program: enough for some calls at once.
const MAX_STEPS: usize = 200;
/// Requests of ours that the peer may still answer; the oldest are forgotten.
const REMEMBERED: usize = 32;
/// Longer than any transaction, 2xx without ACK or CANCEL without answer lasts, one after the other (five times 64*T1); three times
/// that is longer than anybody waits for the reports of its REFER (10 min).
const END: Duration = Duration::from_secs(210);

const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "INVITE",
    "ACK",
    "UPDATE",
    "INFO",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "REFER",
    "SUBSCRIBE",
    "NOTIFY",
];

const STATUSES: [u16; 20] = [
    100, 180, 183, 200, 200, 200, 202, 302, 401, 407, 408, 422, 481, 486, 487, 488, 491, 500, 503,
    603,
];

const EXTRAS: [&str; 12] = [
    "",
    "",
    "Supported: 100rel, timer, replaces\r\n",
    "Require: 100rel\r\n",
    "Require: something-new\r\n",
    "Session-Expires: 90;refresher=uac\r\nSupported: timer\r\n",
    "Session-Expires: 1\r\n",
    "RAck: 1 1 INVITE\r\nRSeq: 1\r\n",
    "Replaces: c0;to-tag=x;from-tag=t0\r\n",
    "Refer-To: <sip:201@127.0.0.1>\r\nEvent: refer\r\n",
    "Record-Route: <sip:127.0.0.7;lr>\r\nReason: SIP;cause=200\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nRetry-After: 5\r\n",
];

const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";

const BODIES: [&str; 4] = ["", DESCRIPTION, DESCRIPTION, "Signal=5\r\n"];

const PAUSES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(500),
    Duration::from_secs(4),
    Duration::from_secs(33),
    Duration::from_secs(61),
    Duration::from_secs(3_600),
];

/// What may happen at a step.
#[derive(Clone, Copy)]
enum Step {
    Request,
    Response,
    Pause,
    Close,
    Command,
    Invite,
}

/// Requests, retransmissions, ACKs, CANCELs and answers on few branches, which only the owner's refusals end.
pub(super) fn transactions(octets: &[u8]) {
    let steps = [
        Step::Request,
        Step::Request,
        Step::Request,
        Step::Invite,
        Step::Response,
        Step::Pause,
        Step::Close,
    ];
    Desk::new().play(octets, &steps);
}

/// The same with an owner who does what it likes.
pub(super) fn dialogs(octets: &[u8]) {
    let steps = [
        Step::Request,
        Step::Request,
        Step::Command,
        Step::Command,
        Step::Response,
        Step::Invite,
        Step::Pause,
    ];
    Desk::new().play(octets, &steps);
}

/// The endpoint, and what its peer and its owner remember.
struct Desk {
    endpoint: Endpoint,
    now: Instant,
    flows: [Flow; 2],
    /// Requests that were sent.
    sent: Vec<(Flow, Message)>,
    /// Tags that the endpoint gave, each with its Call-ID.
    tags: Vec<(String, String)>,
    legs: Vec<LegId>,
}

impl Desk {
    fn new() -> Self {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(Site::sample().settings.sip, [42; 32], now);
        let remote: SocketAddr = "127.0.0.9:5070".parse().expect("an address");
        // A trunk: nothing is asked of it, so that every octet of the program counts.
        endpoint.set_peers(vec![Peer {
            account: Account("trunk".into()),
            sources: vec![Source {
                network: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
                prefix: 8,
                port: None,
            }],
            targets: vec![remote],
            credentials: None,
            trusted: false,
            proves: false,
            has_line: false,
        }]);
        let flow = |transport| Flow {
            transport,
            local: "127.0.0.1:5060".parse().expect("an address"),
            remote,
        };
        Self {
            endpoint,
            now,
            flows: [flow(Transport::Udp), flow(Transport::Tcp)],
            sent: Vec::new(),
            tags: Vec::new(),
            legs: Vec::new(),
        }
    }

    fn play(mut self, octets: &[u8], steps: &[Step]) {
        let mut octets = Octets { rest: octets };
        for _ in 0..MAX_STEPS {
            if octets.is_empty() {
                break;
            }
            match octets.pick(steps) {
                Step::Request => self.request(&mut octets),
                Step::Response => self.respond(&mut octets),
                Step::Pause => self.pause(octets.pick(&PAUSES)),
                Step::Close => {
                    let flow = octets.pick(&self.flows);
                    self.endpoint.handle_flow_closed(flow, self.now);
                }
                Step::Command => self.command(&mut octets),
                Step::Invite => self.invite(octets.pick(&self.flows)),
            }
            self.drain();
            assert!(self.endpoint.legs() <= MAX_STEPS);
            assert!(self.endpoint.transactions() <= 4 * MAX_STEPS);
        }
        self.let_go();
    }

    /// The owner ends every leg; after some time nothing is left.
    fn let_go(mut self) {
        // Legs may come out while others end; a leg that just ends may not be ended again.
        for _ in 0..3 {
            for leg in self.legs.clone() {
                self.endpoint.reject(leg, Status(480), self.now);
                self.endpoint.cancel(leg, None, self.now);
                self.endpoint.bye(leg, None, self.now);
            }
            self.drain();
            self.pause(END);
        }
        assert_eq!(self.endpoint.legs(), 0, "legs are left");
        assert_eq!(self.endpoint.transactions(), 0, "transactions are left");
    }

    /// Something that the peer asks.
    fn request(&mut self, octets: &mut Octets<'_>) {
        let method = octets.pick(&METHODS);
        let (call, branch, cseq) = (octets.next() % 3, octets.next() % 8, octets.next() % 6);
        let (flow, extra) = (octets.pick(&self.flows), octets.pick(&EXTRAS));
        let body = octets.pick(&BODIES);
        let choice = octets.next();
        let (call_id, to_tag) = match self.tags.len() {
            0 => (format!("c{call}"), String::new()),
            // Half of the requests are inside a dialog that may stand.
            count if choice % 2 == 1 => {
                let (call_id, tag) = &self.tags[usize::from(choice / 2) % count];
                (call_id.clone(), format!(";tag={tag}"))
            }
            _ => (format!("c{call}"), String::new()),
        };
        let kind = if body.starts_with("v=0") {
            "application/sdp"
        } else {
            "application/dtmf-relay"
        };
        let text = format!(
            "{method} sip:20{call}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1@127.0.0.9>;tag=t{call}\r\nTo: <sip:20{call}@127.0.0.1>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:1@127.0.0.9:5070>\r\n{extra}\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse(Bytes::from(text)).expect("the peer writes well");
        self.endpoint.handle_message(message, flow, self.now);
    }

    /// The peer answers a request of ours, perhaps again, perhaps from another device.
    fn respond(&mut self, octets: &mut Octets<'_>) {
        let (at, status) = (usize::from(octets.next()), Status(octets.pick(&STATUSES)));
        let tag = octets.pick(&["", "p0", "p1"]);
        let body = octets.pick(&BODIES);
        let extra = octets.pick(&EXTRAS);
        let Some((flow, request)) = self.sent.get(at % self.sent.len().max(1)) else {
            return;
        };
        let tag = Some(tag).filter(|tag| !tag.is_empty());
        let mut writer = Writer::answer(request, status, tag, flow.local);
        writer.header(Header::Contact, "<sip:1@127.0.0.9:5070>");
        let described = (!body.is_empty()).then_some(("application/sdp", body.as_bytes()));
        let text = writer.finish(described);
        // Fields that the writer has no name for stand before the last of its own.
        let text = String::from_utf8(text.to_vec()).expect("text");
        let text = text.replacen("Content-Length:", &format!("{extra}Content-Length:"), 1);
        let (message, flow) = (Message::parse(text.into()), *flow);
        self.endpoint
            .handle_message(message.expect("the peer writes well"), flow, self.now);
    }

    fn command(&mut self, octets: &mut Octets<'_>) {
        let at = usize::from(octets.next());
        let Some(leg) = self.legs.get(at % self.legs.len().max(1)).copied() else {
            return;
        };
        let (endpoint, now) = (&mut self.endpoint, self.now);
        let reason = || {
            Some(Reason {
                protocol: "SIP".into(),
                cause: 200,
                text: "elsewhere".into(),
            })
        };
        let what = octets.next();
        match what % 6 {
            // Few of the numbers, so that older programs of the corpora mean what they meant.
            _ if what == 0xb1 => endpoint.accept_refer(leg, now),
            _ if what == 0xb3 => endpoint.report(leg, Status(180), now),
            _ if what == 0xb5 => endpoint.report(leg, Status(200), now),
            0 => {
                let early =
                    (octets.next() % 2 == 1).then(|| Bytes::from_static(DESCRIPTION.as_bytes()));
                endpoint.ring(leg, Status(octets.pick(&[180, 181, 183])), early, now);
            }
            1 => endpoint.answer(leg, Bytes::from_static(DESCRIPTION.as_bytes()), now),
            2 => endpoint.reject(leg, Status(octets.pick(&[403, 486, 488, 503])), now),
            3 => endpoint.reoffer(leg, Bytes::from_static(DESCRIPTION.as_bytes()), now),
            4 => endpoint.cancel(leg, reason(), now),
            _ => endpoint.bye(leg, reason(), now),
        }
    }

    fn invite(&mut self, flow: Flow) {
        let outgoing = Outgoing {
            binding: Binding {
                account: Account("201".into()),
                contact: "sip:1@127.0.0.9:5070".into(),
                flow,
            },
            caller: "205".into(),
            display: None,
            offer: Bytes::from_static(DESCRIPTION.as_bytes()),
            max_forwards: 70,
            upstream: None,
            private: false,
            max_breadth: 60,
            referred_by: None,
        };
        let leg = self.endpoint.invite(outgoing, self.now);
        self.legs.push(leg);
    }

    /// Time goes on; every timer on the way fires at its time, and none is left behind.
    fn pause(&mut self, duration: Duration) {
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

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, octets } => self.look_at(flow, octets),
                Output::Event(Event::Incoming { leg, .. }) => self.legs.push(leg),
                Output::Event(_) | Output::Shut { .. } => {}
            }
        }
    }

    fn look_at(&mut self, flow: Flow, octets: Bytes) {
        let message = Message::parse(octets).expect("what is sent can be read");
        assert_eq!(message.validate(), Ok(()), "{message:?}");
        let ours = if message.is_request() {
            message.from()
        } else {
            message.to()
        };
        let tag = ours.and_then(|ours| ours.tag().map(str::to_owned));
        if let (Some(tag), Some(call_id)) = (tag, message.call_id()) {
            let pair = (call_id.to_owned(), tag);
            if !self.tags.contains(&pair) && self.tags.len() < REMEMBERED {
                self.tags.push(pair);
            }
        }
        if message.is_request() && message.method() != Some(sip::Method::Ack) {
            if self.sent.len() >= REMEMBERED {
                self.sent.remove(0);
            }
            self.sent.push((flow, message));
        }
    }
}
