//! Anything may come in any order: nothing panics, every table empties again.

use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::{Account, Binding, InDialog, LegId, Outgoing, Status};
use sip::{Flow, Message, Method};

use crate::bench::{Bench, tcp, udp};
use crate::phone::{Phone, SDP};

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A storm over one endpoint.
struct Storm {
    bench: Bench,
    chance: Chance,
    flows: [Flow; 4],
    phones: Vec<Phone>,
    /// Every message that was ever written, to come again at any time.
    written: Vec<Vec<u8>>,
    /// The last messages of the switch, to be answered.
    heard: Vec<Message>,
}

const METHODS: [&str; 11] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "UPDATE",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "MESSAGE",
    "SUBSCRIBE",
];
const STATUSES: [&str; 10] = [
    "100 Trying",
    "180 Ringing",
    "183 Progress",
    "200 OK",
    "302 Moved",
    "408 Timeout",
    "481 Gone",
    "487 Terminated",
    "491 Pending",
    "603 Decline",
];

impl Storm {
    fn new(seed: u64) -> Self {
        let flows = [
            udp("127.0.0.9:5060"),
            udp("127.0.0.10:40000"),
            tcp("127.0.0.9:41000"),
            tcp("[::1]:41000"),
        ];
        let phones = ["201", "202", "203"]
            .map(|user| Phone::at(user, flows[0]))
            .into();
        Self {
            bench: Bench::new(),
            chance: Chance(seed),
            flows,
            phones,
            written: vec![],
            heard: vec![],
        }
    }

    fn leg(&mut self) -> LegId {
        LegId(u64::try_from(self.chance.below(40)).unwrap())
    }

    /// A line of an extension that peers may know, or none.
    fn extension(&mut self) -> Option<String> {
        let lines = [
            "Supported: 100rel, timer",
            "Require: 100rel",
            "Session-Expires: 90;refresher=uac",
            "Session-Expires: 90;refresher=uas",
            "Session-Expires: 5",
            "Min-SE: 3600",
            "Allow: UPDATE",
        ];
        let chosen = self.chance.below(2 * lines.len());
        lines.get(chosen).map(|line| (*line).to_owned())
    }

    fn send(&mut self, text: String) {
        self.written.push(text.clone().into_bytes());
        let flow = *self.chance.pick(&self.flows);
        self.bench.receive(text.as_bytes(), flow);
    }

    /// A request with the right password, or one in a dialog that the switch has told of.
    fn request(&mut self) {
        let which = self.chance.below(self.phones.len());
        let method = *self.chance.pick(&METHODS);
        let body = if self.chance.below(2) == 0 { SDP } else { "" };
        let extension = self.extension();
        let heard = (!self.heard.is_empty()).then(|| self.chance.pick(&self.heard).clone());
        let phone = &mut self.phones[which];
        let contact = format!("Contact: <{}>", phone.contact());
        if self.chance.below(2) == 0 {
            phone.call_id = format!("{}-{}", phone.user, self.chance.below(6));
            let uri = "sip:700@127.0.0.1";
            let to = if method == "REGISTER" {
                format!("<sip:{}@x>", phone.user)
            } else {
                format!("<{uri}>")
            };
            let mut lines = vec![contact];
            lines.extend(extension);
            let text = phone.write(method, uri, &to, &lines, body);
            self.send(text);
            let mut latest = self.bench.sent.iter().rev().map(|(_, message)| message);
            let challenge = latest
                .find(|message| message.status() == Some(Status(401)))
                .cloned();
            let phone = &mut self.phones[which];
            if let Some(challenge) = challenge {
                let line = phone.authorization(&challenge, method, uri, 1);
                lines.push(line);
                let text = phone.write(method, uri, &to, &lines, body);
                self.send(text);
            }
        } else if let Some(heard) = heard {
            // Whatever the switch said last: its tag, our tag.
            let (ours, theirs) = if heard.is_request() {
                (heard.to(), heard.header(sip::Header::From))
            } else {
                (heard.from(), heard.header(sip::Header::To))
            };
            phone.tag = ours.and_then(|a| a.tag()).unwrap_or("none").to_owned();
            phone.call_id = heard.call_id().unwrap_or("none").to_owned();
            let mut lines = vec![contact];
            lines.extend(extension);
            if let Some(rseq) = heard.header(sip::Header::RSeq) {
                let invite = heard.cseq().map_or(0, |cseq| cseq.number);
                lines.push(format!("RAck: {rseq} {invite} INVITE"));
            }
            let text = phone.write(
                method,
                "sip:700@127.0.0.1",
                theirs.unwrap_or("<sip:x>"),
                &lines,
                body,
            );
            self.send(text);
        }
    }

    fn respond(&mut self) {
        let requests: Vec<_> = self
            .heard
            .iter()
            .filter(|m| m.is_request())
            .cloned()
            .collect();
        if requests.is_empty() {
            return;
        }
        let request = self.chance.pick(&requests).clone();
        let status = *self.chance.pick(&STATUSES);
        let tag = ["a", "b", "", "c"][self.chance.below(4)];
        let body = if self.chance.below(2) == 0 { SDP } else { "" };
        let mut lines = vec!["Contact: <sip:201@127.0.0.9>".to_owned()];
        lines.extend(self.extension());
        if self.chance.below(3) == 0 {
            lines.push("Require: 100rel".into());
            lines.push(format!("RSeq: {}", 1 + self.chance.below(3)));
        }
        let text = self.phones[0].respond(&request, status, tag, &lines, body);
        self.send(text);
    }

    /// A message that came before comes again, sometimes broken.
    fn repeat(&mut self) {
        if self.written.is_empty() {
            return;
        }
        let mut octets = self.chance.pick(&self.written).clone();
        for _ in 0..self.chance.below(4) {
            let at = self.chance.below(octets.len());
            match self.chance.below(3) {
                0 => octets[at] = u8::try_from(self.chance.below(256)).unwrap(),
                1 => octets.truncate(at.max(1)),
                _ => {
                    octets.remove(at);
                    octets.push(b'x');
                }
            }
        }
        let flow = *self.chance.pick(&self.flows);
        self.bench.receive(&octets, flow);
    }

    fn command(&mut self) {
        let now = self.bench.now;
        let leg = self.leg();
        let flow = *self.chance.pick(&self.flows);
        let endpoint = &mut self.bench.endpoint;
        let description = Bytes::from_static(SDP.as_bytes());
        match self.chance.below(10) {
            0 => {
                let binding = Binding {
                    account: Account("201".into()),
                    contact: "sip:201@127.0.0.9".into(),
                    flow,
                };
                let (caller, display) = ("700".into(), None);
                endpoint.invite(
                    Outgoing {
                        binding,
                        caller,
                        display,
                        private: false,
                        offer: description,
                        max_forwards: 70,
                        max_breadth: 60,
                        referred_by: None,
                        upstream: None,
                    },
                    now,
                );
            }
            1 => endpoint.ring(leg, Status(180), None, now),
            2 | 3 => endpoint.answer(leg, description, now),
            4 => endpoint.reject(leg, Status(486), now),
            5 => endpoint.cancel(leg, None, now),
            6 => endpoint.reoffer(leg, description, now),
            7 => endpoint.ring(leg, Status(183), Some(description), now),
            8 => {
                let info = InDialog {
                    method: Method::Info,
                    headers: vec![],
                    body: None,
                };
                endpoint.ask(leg, &info, now);
            }
            _ => endpoint.bye(leg, None, now),
        }
        self.bench.drain();
    }

    fn step(&mut self) {
        match self.chance.below(10) {
            0..3 => self.request(),
            3..5 => self.respond(),
            5 => self.repeat(),
            6..9 => self.command(),
            _ => {
                let wait = self.chance.below(3_000);
                self.bench
                    .advance(Duration::from_millis(u64::try_from(wait).unwrap()));
            }
        }
        if self.chance.below(200) == 0 {
            let flow = *self.chance.pick(&self.flows[2..]);
            self.bench.endpoint.handle_flow_closed(flow, self.bench.now);
            self.bench.drain();
        }
        self.heard.extend(
            std::mem::take(&mut self.bench.sent)
                .into_iter()
                .map(|(_, m)| m),
        );
        let old = self.heard.len().saturating_sub(30);
        self.heard.drain(..old);
    }
}

#[test]
fn nothing_that_comes_in_any_order_breaks_the_endpoint_or_stays_for_ever() {
    let mut told = 0;
    for seed in 0..60 {
        let mut storm = Storm::new(seed);
        for _ in 0..1_500 {
            storm.step();
        }
        told += storm.bench.take_events().len();
        // The owner ends everything; silence from the phones.
        for leg in 0..2_000 {
            let (leg, now) = (LegId(leg), storm.bench.now);
            storm.bench.endpoint.bye(leg, None, now);
        }
        storm.bench.drain();
        storm.bench.advance(Duration::from_secs(150));
        assert_eq!(storm.bench.endpoint.legs(), 0, "seed {seed}");
        assert!(storm.bench.is_quiet(), "seed {seed}");
    }
    assert!(told > 1_000, "the storm must reach dialogs: {told}");
}
