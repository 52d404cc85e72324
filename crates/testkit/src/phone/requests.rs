//! What a phone sends of its own accord.

use std::time::Instant;

use media::g711::Law;
use rsip::SipMessage;

use super::line::Giving;
use super::{Offer, Phone, host};
use crate::site::password;
use crate::wire::{self, Key};

/// As long as all that desk phones say besides of their methods, events, types, languages and extensions.
const MORE: &str = "methods INVITE ACK CANCEL BYE OPTIONS NOTIFY REFER INFO UPDATE MESSAGE SUBSCRIBE PUBLISH, events dialog \
    message-summary refer talk hold conference, extensions path outbound gruu";

impl Phone {
    pub(super) fn send_register(&mut self, now: Instant) {
        let Some(registering) = &self.registering else {
            return;
        };
        let (contact, expires) = (registering.contact.clone(), registering.expires);
        let server = host(self.server.ip());
        let address = format!("<sip:{}@{server}>", self.account);
        let to = format!("sip:{server}");
        let via = self.via();
        let (call_id, cseq) = (format!("{}-register", self.name), self.counter);
        let mut headers = vec![
            ("Via", via),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("{address};tag={}r", self.name)),
            ("To", address),
            ("Call-ID", call_id.clone()),
            ("CSeq", format!("{cseq} REGISTER")),
            // What desk phones say besides: an answer is not much longer than its request.
            ("User-Agent", "Testkit Desk Phone 4.8.7.2316".to_owned()),
            ("Organization", MORE.to_owned()),
        ];
        if !contact.is_empty() {
            headers.push(("Contact", contact));
            headers.push(("Expires", expires.to_string()));
        }
        headers.extend(self.credentials("REGISTER", &to));
        let octets = wire::request("REGISTER", &to, &headers, "");
        let key = Key::new(&call_id, cseq, "REGISTER");
        self.transactions.send_until_answered(octets, key, now);
    }

    /// The INVITE that begins the call, first or with credentials.
    pub(super) fn send_invite(&mut self, now: Instant) {
        let via = self.via();
        let Some(line) = &mut self.line else { return };
        line.cseq += 1;
        line.branch = branch_of(&via);
        let (offer, target) = (line.offer, line.remote_target.clone());
        let credentials = self.credentials("INVITE", &target);
        let body = self.offer(offer, &both(self.codec));
        let replaces = self.replaces.clone().map(|dialog| ("Replaces", dialog));
        let route = self.route.clone().map(|proxy| ("Route", proxy));
        let lines: Vec<_> = credentials
            .into_iter()
            .chain(replaces)
            .chain(route)
            .collect();
        self.send_request("INVITE", via, lines, &body, now);
    }

    pub(super) fn send_in_dialog(&mut self, method: &str, body: &str, now: Instant) {
        self.send_with(method, &[], body, now);
    }

    /// A request in the dialog with further header fields, and with credentials if a challenge is known.
    pub(super) fn send_with(
        &mut self,
        method: &str,
        lines: &[(&'static str, String)],
        body: &str,
        now: Instant,
    ) {
        let via = self.via();
        let Some(line) = &mut self.line else { return };
        line.cseq += 1;
        let target = line.remote_target.clone();
        let credentials = self.credentials(method, &target);
        let lines = lines.iter().cloned().chain(credentials);
        self.send_request(method, via, lines, body, now);
    }

    fn send_request(
        &mut self,
        method: &str,
        via: String,
        lines: impl IntoIterator<Item = (&'static str, String)>,
        body: &str,
        now: Instant,
    ) {
        let contact = self.contact_value();
        let Some(line) = &self.line else { return };
        let mut headers = vec![
            ("Via", via),
            ("Max-Forwards", self.max_forwards.to_string()),
            ("From", line.local.clone()),
            ("To", line.remote.clone()),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{} {method}", line.cseq)),
            ("Contact", contact),
        ];
        if method == "INVITE" {
            let breadth = self.max_breadth;
            headers.extend(breadth.map(|most| ("Max-Breadth", most.to_string())));
            let asserts = self.asserts.clone();
            headers.extend(asserts.map(|who| ("P-Asserted-Identity", who)));
        }
        let reason = self.gives_reason.filter(|_| method == "BYE");
        headers.extend(reason.map(|reason| ("Reason", reason.to_owned())));
        if self.private && method == "INVITE" {
            headers.push(("Privacy", "id".to_owned()));
        }
        if matches!(method, "INVITE" | "UPDATE") {
            headers.extend(self.abilities());
        }
        headers.extend(lines);
        let octets = wire::request(method, &line.remote_target, &headers, body);
        let key = Key::new(&line.call_id, line.cseq, method);
        self.transactions.send_until_answered(octets, key, now);
    }

    /// Gives up dialling; once.
    pub(super) fn cancel(&mut self, now: Instant) {
        let place = self.sent_by();
        let Some(line) = &mut self.line else { return };
        if matches!(line.giving, Giving::Up | Giving::Over) {
            return;
        }
        line.giving = Giving::Up;
        let headers = [
            ("Via", format!("{place};branch={};rport", line.branch)),
            ("Max-Forwards", "70".to_owned()),
            ("From", line.local.clone()),
            ("To", line.remote.clone()),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{} CANCEL", line.cseq)),
        ];
        let reason = self
            .gives_reason
            .map(|reason| ("Reason", reason.to_owned()));
        let headers: Vec<_> = headers.into_iter().chain(reason).collect();
        let octets = wire::request("CANCEL", &line.remote_target, &headers, "");
        let key = Key::new(&line.call_id, line.cseq, "CANCEL");
        self.transactions.send_until_answered(octets, key, now);
    }

    /// Acknowledges a final answer to an INVITE, and does so again when it comes again.
    pub(super) fn send_ack(&mut self, answer: &SipMessage, key: &Key, body: &str) {
        let ok = matches!(answer, SipMessage::Response(response) if wire::status(&response.status_code) < 300);
        // The ACK of a refusal belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3), that of a 2xx does not.
        let via = if ok {
            self.via()
        } else {
            format!("{};branch={};rport", self.sent_by(), wire::branch(answer))
        };
        let Some(line) = &self.line else { return };
        let to = wire::value(answer, "To").expect("every response has it");
        let headers = [
            ("Via", via),
            ("Max-Forwards", "70".to_owned()),
            ("From", line.local.clone()),
            ("To", to.to_owned()),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{} ACK", key.cseq)),
        ];
        let octets = wire::request("ACK", &line.remote_target, &headers, body);
        self.transactions.keep_ack(key.clone(), octets.clone());
        if self.acknowledges || !ok {
            self.transactions.send(octets);
        }
    }

    // --- parts of messages ---------------------------------------------------------------------------------------

    pub(super) fn contact_value(&self) -> String {
        format!("<sip:{}@{}>", self.account, self.contact)
    }

    fn sent_by(&self) -> String {
        let transport = self.access.transport.via();
        format!("SIP/2.0/{transport} {}", self.contact)
    }

    /// A Via with a fresh branch.
    pub(super) fn via(&mut self) -> String {
        self.counter += 1;
        let (name, counter) = (&self.name, self.counter);
        format!("{};branch=z9hG4bK{name}x{counter};rport", self.sent_by())
    }

    /// The Authorization for a challenge that was not answered yet, or is remembered.
    pub(super) fn credentials(&mut self, method: &str, to: &str) -> Option<(&'static str, String)> {
        let challenge = self.challenge.as_mut()?;
        let password = if self.mistypes_password {
            "wrong".to_owned()
        } else {
            password(&self.account)
        };
        let value = challenge.answer(&self.account, &password, method, to);
        if !self.remembers_nonce {
            self.challenge = None;
        }
        Some(("Authorization", value))
    }

    pub(super) fn offer(&self, offer: Offer, codecs: &[Law]) -> String {
        match offer {
            Offer::Direction(direction) => self.description(direction, codecs),
            Offer::Codec(codec) => self.description("sendrecv", &[codec]),
            Offer::Unknown => self.description("sendrecv", &[]),
            Offer::Late(_) => String::new(),
        }
    }

    /// A session description; without codecs one that nobody can agree on.
    pub(super) fn description(&self, direction: &str, codecs: &[Law]) -> String {
        let types: Vec<&str> = codecs
            .iter()
            .map(|codec| match codec {
                Law::Mu => "0",
                Law::A => "8",
            })
            .collect();
        let types = if !self.formats.is_empty() {
            self.formats_for(codecs)
        } else if types.is_empty() || self.speaks_unknown_codecs {
            "18".to_owned()
        } else {
            types.join(" ")
        };
        let ip = self.rtp().ip();
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let has_opus = self.formats.contains(&111);
        let opus = if has_opus {
            "a=rtpmap:111 opus/48000/2\r\n"
        } else {
            ""
        };
        format!(
            "v=0\r\no=- {} 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {types} 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n{opus}a={direction}\r\n",
            self.counter,
            self.rtp().port(),
        )
    }
}

/// Both codecs, this one first.
fn both(first: Law) -> [Law; 2] {
    match first {
        Law::Mu => [Law::Mu, Law::A],
        Law::A => [Law::A, Law::Mu],
    }
}

fn branch_of(via: &str) -> String {
    let branch = via
        .split(";branch=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    branch.expect("a Via of ours has one").to_owned()
}
