//! A phone that writes its messages as text, one by one, so that a test can say exactly what it sends.

use std::fmt::Write;

use sip::endpoint::{Account, Binding, LegId, Outgoing};
use sip::header::Header;
use sip::{Event, Flow, Message, digest};

use crate::bench::{Bench, describe, describe_all, password, udp};

/// The switch as phones address it.
pub(crate) const SWITCH: &str = "127.0.0.1";
/// What every phone here offers and answers; nobody in these tests reads it.
pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nt=0 0\r\n";

/// A phone.
pub(crate) struct Phone {
    pub(crate) user: String,
    pub(crate) flow: Flow,
    /// From of requests outside dialogs carries this tag.
    pub(crate) tag: String,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    branch: u32,
}

/// A call of 201 that stands.
pub(crate) fn standing() -> (Bench, Phone, Call) {
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let call = phone.call_established(&mut bench);
    (bench, phone, call)
}

impl Phone {
    pub(crate) fn new(user: &str) -> Self {
        Self::at(
            user,
            udp(&format!(
                "127.0.0.9:{}",
                10_000 + user.len() + user.bytes().map(usize::from).sum::<usize>()
            )),
        )
    }

    pub(crate) fn at(user: &str, flow: Flow) -> Self {
        Self {
            user: user.into(),
            flow,
            tag: format!("tag-{user}"),
            call_id: format!("call-{user}"),
            cseq: 0,
            branch: 0,
        }
    }

    pub(crate) fn contact(&self) -> String {
        let Flow {
            transport, remote, ..
        } = self.flow;
        format!("sip:{}@{remote}{}", self.user, transport.uri_parameter())
    }

    /// A request with the next CSeq and a new branch; `to` and `lines` as they are to stand in it.
    pub(crate) fn write(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        lines: &[String],
        body: &str,
    ) -> String {
        self.cseq += 1;
        self.rewrite(method, uri, to, lines, body)
    }

    /// The same with the CSeq of the request before.
    pub(crate) fn rewrite(
        &mut self,
        method: &str,
        uri: &str,
        to: &str,
        lines: &[String],
        body: &str,
    ) -> String {
        self.branch += 1;
        let transport = self.flow.transport.via();
        let mut text = format!("{method} {uri} SIP/2.0\r\n");
        let (via, user, tag) = (self.flow.remote, &self.user, &self.tag);
        write!(
            text,
            "Via: SIP/2.0/{transport} {via};rport;branch=z9hG4bK{}-{}-{}\r\n",
            self.call_id, self.cseq, self.branch
        )
        .unwrap();
        write!(
            text,
            "Max-Forwards: 70\r\nFrom: \"Phone {user}\" <sip:{user}@{SWITCH}>;tag={tag}\r\n"
        )
        .unwrap();
        write!(
            text,
            "To: {to}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n",
            self.call_id, self.cseq
        )
        .unwrap();
        text += MORE;
        for line in lines {
            write!(text, "{line}\r\n").unwrap();
        }
        if !body.is_empty() && !lines.iter().any(|line| line.starts_with("Content-Type")) {
            text += "Content-Type: application/sdp\r\n";
        }
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        text
    }

    pub(crate) fn send(&self, bench: &mut Bench, text: &str) {
        bench.receive(text.as_bytes(), self.flow);
    }

    /// The Authorization line for the first challenge of a 401.
    pub(crate) fn authorization(
        &self,
        challenge: &Message,
        method: &str,
        uri: &str,
        nc: u32,
    ) -> String {
        let value = challenge
            .header(Header::WwwAuthenticate)
            .expect("a 401 has a challenge");
        let value = digest::answer(
            value,
            method,
            uri,
            &self.user,
            &password(&self.user),
            nc,
            "0a4f113b",
        );
        format!(
            "Authorization: {}",
            value.expect("the first challenge can be answered")
        )
    }

    /// A request outside a dialog with its challenge; gives what came after the 401.
    pub(crate) fn authorized(
        &mut self,
        bench: &mut Bench,
        method: &str,
        uri: &str,
        to: &str,
        lines: &[String],
        body: &str,
    ) -> Vec<Message> {
        let text = self.write(method, uri, to, lines, body);
        self.send(bench, &text);
        let challenge = bench.only();
        assert_eq!(challenge.status().unwrap().0, 401);
        let mut lines = lines.to_vec();
        lines.push(self.authorization(&challenge, method, uri, 1));
        let text = self.write(method, uri, to, &lines, body);
        self.send(bench, &text);
        bench.take_sent()
    }

    /// REGISTER with these lines; gives the final answer.
    pub(crate) fn register_with(&mut self, bench: &mut Bench, lines: &[String]) -> Message {
        let to = format!("<sip:{}@{SWITCH}>", self.user);
        let mut answers =
            self.authorized(bench, "REGISTER", &format!("sip:{SWITCH}"), &to, lines, "");
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// REGISTER of the phone's own contact for an hour.
    pub(crate) fn register(&mut self, bench: &mut Bench) -> Message {
        let contact = format!("Contact: <{}>", self.contact());
        self.register_with(bench, &[contact, "Expires: 3600".into()])
    }

    /// INVITE with this body; gives what came after the 401.
    pub(crate) fn invite(&mut self, bench: &mut Bench, dialled: &str, body: &str) -> Vec<Message> {
        self.invite_with(bench, dialled, &[], body)
    }

    /// The same with these lines beside its Contact.
    pub(crate) fn invite_with(
        &mut self,
        bench: &mut Bench,
        dialled: &str,
        lines: &[&str],
        body: &str,
    ) -> Vec<Message> {
        let uri = format!("sip:{dialled}@{SWITCH}");
        let mut all = vec![format!("Contact: <{}>", self.contact())];
        all.extend(lines.iter().map(|line| (*line).to_owned()));
        self.authorized(bench, "INVITE", &uri, &format!("<{uri}>"), &all, body)
    }

    /// A call that the switch makes to it for 202.
    pub(crate) fn outgoing(&self) -> Outgoing {
        Outgoing {
            binding: Binding {
                account: Account(self.user.as_str().into()),
                contact: self.contact(),
                flow: self.flow,
            },
            caller: "202".into(),
            display: None,
            private: false,
            offer: SDP.into(),
            max_forwards: 70,
            max_breadth: 60,
            referred_by: None,
            upstream: None,
        }
    }

    /// A response to a request of the switch.
    pub(crate) fn respond(
        &self,
        request: &Message,
        status: &str,
        to_tag: &str,
        lines: &[String],
        body: &str,
    ) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in request.values(Header::Via) {
            write!(text, "Via: {via}\r\n").unwrap();
        }
        let to = request.header(Header::To).unwrap();
        let tag = if to.contains(";tag=") || to_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={to_tag}")
        };
        write!(
            text,
            "From: {}\r\nTo: {to}{tag}\r\n",
            request.header(Header::From).unwrap()
        )
        .unwrap();
        write!(
            text,
            "Call-ID: {}\r\nCSeq: {}\r\n",
            request.call_id().unwrap(),
            request.header(Header::CSeq).unwrap()
        )
        .unwrap();
        for line in lines {
            write!(text, "{line}\r\n").unwrap();
        }
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        text
    }
}

/// The value of a header that must be there.
pub(crate) fn value(message: &Message, header: Header) -> String {
    message
        .header(header)
        .unwrap_or_else(|| panic!("{} is missing", header.name()))
        .to_owned()
}

/// What desk phones say besides, as long as it is with most: answers over UDP are at most a fifth longer than their requests.
const MORE: &str = "Organization: phones tell which methods, events, types, languages and extensions they know, who made them, \
    what they are called, in which version, and which of their lines it is that speaks\r\n";

/// A call that a phone made: what its requests in the dialog carry.
pub(crate) struct Call {
    pub(crate) leg: LegId,
    /// Contact of the switch.
    pub(crate) target: String,
    /// To of the phone's requests, with the tag of the switch.
    pub(crate) to: String,
}

impl Phone {
    /// Calls 700; the owner is told, nothing is answered yet.
    pub(crate) fn call(&mut self, bench: &mut Bench, body: &str) -> LegId {
        let sent = self.invite(bench, "700", body);
        assert_eq!(describe_all(&sent), "100 Trying (INVITE)");
        match bench.take_events().pop() {
            Some(Event::Incoming { leg, .. }) => leg,
            other => panic!("{other:?}"),
        }
    }

    /// Calls 700, which answers; the 2xx is not acknowledged yet.
    pub(crate) fn call_answered(&mut self, bench: &mut Bench, body: &str) -> Call {
        let leg = self.call(bench, body);
        bench.endpoint.answer(leg, SDP.into(), bench.now);
        bench.drain();
        let answer = bench.only();
        assert_eq!(describe(&answer), "200 OK (INVITE)");
        let target = answer.contact().unwrap().uri.text().to_owned();
        Call {
            leg,
            target,
            to: value(&answer, Header::To),
        }
    }

    /// Calls 700 up to the ACK.
    pub(crate) fn call_established(&mut self, bench: &mut Bench) -> Call {
        let call = self.call_answered(bench, SDP);
        self.ack(bench, &call, "");
        assert_eq!(describe_all(&bench.take_sent()), "");
        assert!(matches!(
            bench.take_events()[..],
            [Event::Acknowledged { answer: None, .. }]
        ));
        call
    }

    /// ACK for a 2xx to the last INVITE.
    pub(crate) fn ack(&mut self, bench: &mut Bench, call: &Call, body: &str) {
        let text = self.rewrite("ACK", &call.target, &call.to, &[], body);
        self.send(bench, &text);
    }

    /// A request in the dialog of a call; gives what came back.
    pub(crate) fn within(
        &mut self,
        bench: &mut Bench,
        call: &Call,
        method: &str,
        lines: &[String],
        body: &str,
    ) -> Vec<Message> {
        let text = self.write(method, &call.target, &call.to, lines, body);
        self.send(bench, &text);
        bench.take_sent()
    }
}
