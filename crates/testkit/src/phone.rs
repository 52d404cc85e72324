//! A scripted desk phone: one line, plain RFC 3261, no opinion of its own beyond its `Behaviour`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::mixer::Codec;
use media::tone::sine;
use rsip::SipMessage;

use crate::site::password;
use crate::wire;

const T1: Duration = Duration::from_millis(500);
/// A request without an answer is given up after 64*T1.
const GIVE_UP: Duration = Duration::from_secs(32);
const FRAME: usize = 160;

/// What the phone does with an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Rings until the test answers or rejects.
    Ring,
    /// Rings and answers after so long.
    AnswerAfter(Duration),
    /// Refuses with this status.
    Refuse(u16),
    /// Rings and refuses with this status after so long.
    RefuseAfter(Duration, u16),
    /// Says nothing at all.
    Dead,
}

/// What the user of the phone sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneState {
    /// Nothing goes on.
    Idle,
    /// It dialled, nothing came back yet.
    Dialling,
    /// It dialled and hears ringing.
    RingingBack,
    /// It rings.
    Ringing,
    /// In a call.
    Talking,
}

/// The phone's one call.
#[derive(Debug)]
pub struct Line {
    caller: bool,
    call_id: String,
    local: String,
    remote: String,
    remote_target: String,
    invite: Option<SipMessage>,
    invite_octets: Bytes,
    branch: String,
    cseq: u32,
    state: PhoneState,
    dialled: String,
    tag: String,
    cancelled: bool,
    challenged: bool,
    /// Where its RTP goes, once SDP told.
    pub rtp: Option<SocketAddr>,
    /// The codec agreed on.
    pub codec: Codec,
    sequence: u16,
    timestamp: u32,
    held: bool,
}

#[derive(Debug)]
struct Resend {
    octets: Bytes,
    key: (String, u32, String),
    at: Instant,
    every: Duration,
    until: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Phone {
    /// Its number: account and name in ladders.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// What it does with an INVITE.
    pub behaviour: Behaviour,
    /// The codec it offers first.
    pub codec: Codec,
    /// The tone it speaks, in Hz; none: it sends silence.
    pub speaks: Option<f64>,
    /// It sends no RTP at all.
    pub mute: bool,
    /// All that it heard since the test cleared it, 8 kHz.
    pub heard: Vec<i16>,
    /// The last final status to its own INVITE or REGISTER.
    pub last_status: Option<u16>,
    /// It answers re-INVITEs, BYEs and so on; a dead phone does not.
    pub alive: bool,
    /// It sends its INVITE without a session description.
    pub late_offer: bool,
    /// Its current call.
    pub line: Option<Line>,
    server: SocketAddr,
    counter: u32,
    pending_register: Option<(String, u32)>,
    register_challenged: bool,
    outbox: VecDeque<Bytes>,
    resend: Vec<Resend>,
    act_at: Option<(Instant, Option<u16>)>,
    voice: Vec<i16>,
}

impl Phone {
    /// A phone at `address` whose server is at `server`.
    #[must_use]
    pub fn new(name: &str, address: SocketAddr, server: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            address,
            behaviour: Behaviour::Ring,
            codec: Codec::Pcma,
            speaks: None,
            mute: false,
            heard: Vec::new(),
            last_status: None,
            alive: true,
            late_offer: false,
            line: None,
            server,
            counter: 0,
            pending_register: None,
            register_challenged: false,
            outbox: VecDeque::new(),
            resend: Vec::new(),
            act_at: None,
            voice: Vec::new(),
        }
    }

    /// What its user sees.
    #[must_use]
    pub fn state(&self) -> PhoneState {
        self.line
            .as_ref()
            .map_or(PhoneState::Idle, |line| line.state)
    }

    /// Where its RTP arrives.
    #[must_use]
    pub fn rtp(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), 4_000)
    }

    // --- what its user does --------------------------------------------------------------------------------------

    /// Registers for `expires` seconds; 0 takes the binding away.
    pub fn register(&mut self, expires: u32, now: Instant) {
        self.counter += 1;
        self.send_register(expires, None, now);
    }

    /// Dials a number.
    pub fn dial(&mut self, number: &str, now: Instant) {
        self.counter += 1;
        let tag = format!("{}c{}", self.name, self.counter);
        let from = format!("<sip:{}@{}>;tag={tag}", self.name, self.server.ip());
        let uri = self.uri_of(number);
        self.last_status = None;
        self.line = Some(Line {
            caller: true,
            call_id: format!("{}-{}", self.name, self.counter),
            local: from,
            remote: format!("<{uri}>"),
            remote_target: uri,
            invite: None,
            invite_octets: Bytes::new(),
            branch: String::new(),
            cseq: 0,
            state: PhoneState::Dialling,
            dialled: number.to_owned(),
            tag,
            cancelled: false,
            challenged: false,
            rtp: None,
            codec: self.codec,
            sequence: 100,
            timestamp: 160_000,
            held: false,
        });
        let body = if self.late_offer {
            String::new()
        } else {
            self.sdp("sendrecv", None)
        };
        self.send_invite(&body, None, now);
    }

    /// Lifts the receiver of the ringing phone.
    ///
    /// # Panics
    /// If it does not ring.
    pub fn answer(&mut self, now: Instant) {
        self.act_at = None;
        let line = self.line.as_mut().expect("a ringing phone has a line");
        assert_eq!(
            line.state,
            PhoneState::Ringing,
            "only a ringing phone can be answered"
        );
        line.state = PhoneState::Talking;
        let invite = line.invite.clone().expect("a ringing phone has an INVITE");
        let (tag, codec) = (line.tag.clone(), line.codec);
        let body = self.sdp("sendrecv", Some(codec));
        let contact = ("Contact", format!("<sip:{}@{}>", self.name, self.address));
        let octets = wire::response(&invite, 200, &tag, &[contact], &body);
        let (number, _) = wire::cseq(&invite);
        let call_id = wire::value(&invite, "Call-ID").expect("every request has it");
        self.keep_sending(octets, (call_id, number, "ACK".to_owned()), now);
    }

    /// Refuses the call that rings.
    pub fn refuse(&mut self, status: u16) {
        self.act_at = None;
        let Some(line) = self.line.take() else { return };
        if let Some(invite) = &line.invite {
            self.outbox
                .push_back(wire::response(invite, status, &line.tag, &[], ""));
        }
    }

    /// Hangs up, gives up dialling, or refuses, whichever fits.
    pub fn hang_up(&mut self, now: Instant) {
        match self.state() {
            PhoneState::Idle => {}
            PhoneState::Ringing => self.refuse(603),
            PhoneState::Dialling | PhoneState::RingingBack => self.cancel(now),
            PhoneState::Talking => {
                self.send_in_dialog("BYE", "", now);
                self.line = None;
            }
        }
    }

    /// Puts the call on hold (RFC 3264 section 8.4), or resumes it.
    pub fn hold(&mut self, on: bool, now: Instant) {
        let direction = if on { "sendonly" } else { "sendrecv" };
        let codec = self.line.as_ref().map(|line| line.codec);
        let body = self.sdp(direction, codec);
        if let Some(line) = &mut self.line {
            line.held = on;
        }
        self.send_in_dialog("INVITE", &body, now);
    }

    fn cancel(&mut self, now: Instant) {
        let Some(line) = &mut self.line else { return };
        line.cancelled = true;
        if line.state == PhoneState::Dialling {
            return; // CANCEL waits for the first provisional answer (RFC 3261 section 9.1).
        }
        let headers = [
            (
                "Via",
                format!("SIP/2.0/UDP {};branch={};rport", self.address, line.branch),
            ),
            ("Max-Forwards", "70".to_owned()),
            ("From", line.local.clone()),
            ("To", line.remote.clone()),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{} CANCEL", line.cseq)),
        ];
        let octets = wire::request("CANCEL", &line.remote_target, &headers, "");
        let key = (line.call_id.clone(), line.cseq, "CANCEL".to_owned());
        self.keep_sending(octets, key, now);
    }

    // --- what it writes ------------------------------------------------------------------------------------------

    fn uri_of(&self, number: &str) -> String {
        format!("sip:{number}@{}", self.server)
    }

    fn sdp(&self, direction: &str, answer: Option<Codec>) -> String {
        let first = answer.unwrap_or(self.codec);
        let types = match (first, answer) {
            (Codec::Pcmu, Some(_)) => "0",
            (Codec::Pcma, Some(_)) => "8",
            (Codec::Pcmu, None) => "0 8",
            (Codec::Pcma, None) => "8 0",
        };
        let (ip, family) = (
            self.address.ip(),
            if self.address.is_ipv4() { "IP4" } else { "IP6" },
        );
        format!(
            "v=0\r\no=- {} 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {types} 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na={direction}\r\n",
            self.counter,
            self.rtp().port(),
        )
    }

    fn branch(&mut self) -> String {
        self.counter += 1;
        format!("z9hG4bK{}x{}", self.name, self.counter)
    }

    fn send_register(&mut self, expires: u32, authorization: Option<String>, now: Instant) {
        let branch = self.branch();
        let cseq = self.counter;
        let call_id = format!("{}-register", self.name);
        let uri = format!("sip:{}", self.server.ip());
        let mut headers = vec![
            (
                "Via",
                format!("SIP/2.0/UDP {};branch={branch};rport", self.address),
            ),
            ("Max-Forwards", "70".to_owned()),
            (
                "From",
                format!(
                    "<sip:{}@{}>;tag={}r",
                    self.name,
                    self.server.ip(),
                    self.name
                ),
            ),
            ("To", format!("<sip:{}@{}>", self.name, self.server.ip())),
            ("Call-ID", call_id.clone()),
            ("CSeq", format!("{cseq} REGISTER")),
            ("Contact", format!("<sip:{}@{}>", self.name, self.address)),
            ("Expires", expires.to_string()),
        ];
        self.pending_register = Some((uri.clone(), expires));
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let octets = wire::request("REGISTER", &uri, &headers, "");
        self.keep_sending(octets, (call_id, cseq, "REGISTER".to_owned()), now);
    }

    fn send_invite(&mut self, body: &str, authorization: Option<String>, now: Instant) {
        let branch = self.branch();
        let contact = format!("<sip:{}@{}>", self.name, self.address);
        let Some(line) = &mut self.line else { return };
        line.cseq += 1;
        line.branch = branch;
        let mut headers = vec![
            (
                "Via",
                format!("SIP/2.0/UDP {};branch={};rport", self.address, line.branch),
            ),
            ("Max-Forwards", "70".to_owned()),
            ("From", line.local.clone()),
            ("To", line.remote.clone()),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{} INVITE", line.cseq)),
            ("Contact", contact),
        ];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let octets = wire::request("INVITE", &line.remote_target, &headers, body);
        line.invite_octets = octets.clone();
        let key = (line.call_id.clone(), line.cseq, "INVITE".to_owned());
        self.keep_sending(octets, key, now);
    }

    fn send_in_dialog(&mut self, method: &str, body: &str, now: Instant) {
        let branch = self.branch();
        let contact = format!("<sip:{}@{}>", self.name, self.address);
        let Some(line) = &mut self.line else { return };
        line.cseq += 1;
        let headers = [
            (
                "Via",
                format!("SIP/2.0/UDP {};branch={branch};rport", self.address),
            ),
            ("Max-Forwards", "70".to_owned()),
            ("From", line.local.clone()),
            ("To", line.remote.clone()),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{} {method}", line.cseq)),
            ("Contact", contact),
        ];
        let octets = wire::request(method, &line.remote_target, &headers, body);
        let key = (line.call_id.clone(), line.cseq, method.to_owned());
        self.keep_sending(octets, key, now);
    }

    fn send_ack(&mut self, answer: &SipMessage, body: &str) {
        let (cseq, _) = wire::cseq(answer);
        let ok = matches!(answer, SipMessage::Response(response) if wire::status(&response.status_code) < 300);
        let fresh = self.branch();
        let Some(line) = &self.line else { return };
        // The ACK of a refusal belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3), that of a 2xx does not.
        let branch = if ok { &fresh } else { &line.branch };
        let headers = [
            (
                "Via",
                format!("SIP/2.0/UDP {};branch={branch};rport", self.address),
            ),
            ("Max-Forwards", "70".to_owned()),
            ("From", line.local.clone()),
            (
                "To",
                wire::value(answer, "To").expect("every response has it"),
            ),
            ("Call-ID", line.call_id.clone()),
            ("CSeq", format!("{cseq} ACK")),
        ];
        self.outbox
            .push_back(wire::request("ACK", &line.remote_target, &headers, body));
    }

    fn keep_sending(&mut self, octets: Bytes, key: (String, u32, String), now: Instant) {
        self.outbox.push_back(octets.clone());
        self.resend.push(Resend {
            octets,
            key,
            at: now + T1,
            every: T1,
            until: now + GIVE_UP,
        });
    }

    // --- what it reads -------------------------------------------------------------------------------------------

    /// Octets came from the switch.
    pub(crate) fn handle(&mut self, octets: &[u8], now: Instant) {
        if !self.alive {
            return;
        }
        let message = wire::read(octets);
        match &message {
            SipMessage::Response(response) => {
                let status = wire::status(&response.status_code);
                self.handle_response(&message, status, now);
            }
            SipMessage::Request(_) => self.handle_request(&message, now),
        }
    }

    fn handle_response(&mut self, message: &SipMessage, status: u16, now: Instant) {
        let (number, method) = wire::cseq(message);
        let call_id = wire::value(message, "Call-ID").expect("every response has it");
        self.resend
            .retain(|r| r.key != (call_id.clone(), number, method.clone()));
        if method == "REGISTER" && status >= 200 {
            match (status, self.pending_register.take()) {
                (401, Some((uri, expires))) if !self.register_challenged => {
                    self.register_challenged = true;
                    let value = wire::authorization(
                        message,
                        &self.name,
                        &password(&self.name),
                        "REGISTER",
                        &uri,
                    );
                    self.send_register(expires, Some(value), now);
                }
                _ => {
                    self.register_challenged = false;
                    self.last_status = Some(status);
                }
            }
        }
        if method == "INVITE"
            && self
                .line
                .as_ref()
                .is_some_and(|line| line.call_id == call_id)
        {
            self.handle_invite_response(message, status, now);
        }
    }

    fn handle_invite_response(&mut self, message: &SipMessage, status: u16, now: Instant) {
        let Some(line) = &mut self.line else { return };
        let initial = line.state != PhoneState::Talking;
        match status {
            100..200 => {
                if status >= 180 && initial {
                    line.state = PhoneState::RingingBack;
                }
                if line.cancelled && line.state != PhoneState::Talking {
                    line.state = PhoneState::RingingBack;
                    line.cancelled = false;
                    self.cancel(now);
                }
            }
            200..300 => {
                line.state = PhoneState::Talking;
                line.remote = wire::value(message, "To").expect("every response has it");
                if let Some(contact) = wire::value(message, "Contact") {
                    line.remote_target = bare_uri(&contact);
                }
                if initial {
                    self.last_status = Some(status);
                }
                self.take_sdp(message);
                let codec = self.line.as_ref().map(|line| line.codec);
                let body = if initial && self.late_offer {
                    self.sdp("sendrecv", codec)
                } else {
                    String::new()
                };
                self.send_ack(message, &body);
                if self.line.as_ref().is_some_and(|line| line.cancelled) {
                    // The answer and the CANCEL crossed: the user has hung up all the same.
                    self.hang_up(now);
                }
            }
            401 if initial && !line.challenged => {
                line.challenged = true;
                self.send_ack(message, "");
                let uri = self
                    .line
                    .as_ref()
                    .map(|line| line.remote_target.clone())
                    .expect("a call has a target");
                let value =
                    wire::authorization(message, &self.name, &password(&self.name), "INVITE", &uri);
                let body = if self.late_offer {
                    String::new()
                } else {
                    self.sdp("sendrecv", None)
                };
                self.send_invite(&body, Some(value), now);
            }
            _ => {
                self.send_ack(message, "");
                if initial {
                    self.last_status = Some(status);
                    self.line = None;
                }
            }
        }
    }

    fn handle_request(&mut self, message: &SipMessage, now: Instant) {
        let (number, method) = wire::cseq(message);
        let call_id = wire::value(message, "Call-ID").expect("every request has it");
        let ours = self
            .line
            .as_ref()
            .is_some_and(|line| line.call_id == call_id);
        match method.as_str() {
            "ACK" => {
                self.resend
                    .retain(|r| r.key != (call_id.clone(), number, "ACK".to_owned()));
                if ours {
                    self.take_sdp(message);
                }
            }
            "INVITE" if ours => self.handle_reinvite(message, number, &call_id, now),
            "INVITE" => self.handle_invite(message, call_id, now),
            "CANCEL" => {
                let ringing = ours && self.state() == PhoneState::Ringing;
                self.outbox.push_back(wire::response(
                    message,
                    if ringing { 200 } else { 481 },
                    "c",
                    &[],
                    "",
                ));
                if ringing {
                    self.refuse(487);
                }
            }
            "BYE" => {
                self.outbox.push_back(wire::response(
                    message,
                    if ours { 200 } else { 481 },
                    "b",
                    &[],
                    "",
                ));
                if ours {
                    self.resend.retain(|r| r.key.0 != call_id);
                    self.line = None;
                }
            }
            _ => self
                .outbox
                .push_back(wire::response(message, 200, "o", &[], "")),
        }
    }

    fn handle_invite(&mut self, message: &SipMessage, call_id: String, now: Instant) {
        self.counter += 1;
        let tag = format!("{}t{}", self.name, self.counter);
        if self.line.is_some() {
            self.outbox
                .push_back(wire::response(message, 486, &tag, &[], ""));
            return;
        }
        let remote = wire::value(message, "From").expect("every request has it");
        let mut local = wire::value(message, "To").expect("every request has it");
        local.push_str(&format!(";tag={tag}"));
        self.line = Some(Line {
            caller: false,
            call_id,
            local,
            remote,
            remote_target: wire::value(message, "Contact")
                .map(|contact| bare_uri(&contact))
                .unwrap_or_default(),
            invite: Some(message.clone()),
            invite_octets: Bytes::new(),
            branch: String::new(),
            cseq: 0,
            state: PhoneState::Ringing,
            dialled: String::new(),
            tag: tag.clone(),
            cancelled: false,
            challenged: false,
            rtp: None,
            codec: self.codec,
            sequence: 7_000,
            timestamp: 99,
            held: false,
        });
        self.take_sdp(message);
        match self.behaviour {
            Behaviour::Dead => self.line = None,
            Behaviour::Refuse(status) => self.refuse(status),
            Behaviour::Ring => self
                .outbox
                .push_back(wire::response(message, 180, &tag, &[], "")),
            Behaviour::AnswerAfter(after) => {
                self.outbox
                    .push_back(wire::response(message, 180, &tag, &[], ""));
                self.act_at = Some((now + after, None));
            }
            Behaviour::RefuseAfter(after, status) => {
                self.outbox
                    .push_back(wire::response(message, 180, &tag, &[], ""));
                self.act_at = Some((now + after, Some(status)));
            }
        }
    }

    fn handle_reinvite(&mut self, message: &SipMessage, number: u32, call_id: &str, now: Instant) {
        let Some(line) = &self.line else { return };
        if line.state == PhoneState::Ringing {
            return; // a retransmission of the INVITE that rings
        }
        let (tag, codec) = (line.tag.clone(), line.codec);
        self.take_sdp(message);
        let body = self.sdp("sendrecv", Some(codec));
        let contact = ("Contact", format!("<sip:{}@{}>", self.name, self.address));
        let octets = wire::response(message, 200, &tag, &[contact], &body);
        self.keep_sending(octets, (call_id.to_owned(), number, "ACK".to_owned()), now);
    }

    fn take_sdp(&mut self, message: &SipMessage) {
        let body = String::from_utf8_lossy(message.body()).into_owned();
        let Some(line) = &mut self.line else { return };
        let ip = body.lines().find_map(|l| {
            l.strip_prefix("c=IN IP4 ")
                .or_else(|| l.strip_prefix("c=IN IP6 "))
        });
        let media = body.lines().find_map(|l| l.strip_prefix("m=audio "));
        if let (Some(ip), Some(media)) = (ip, media) {
            let mut words = media.split(' ');
            let port = words.next().and_then(|port| port.parse().ok());
            let codec = words.find_map(|word| match word {
                "0" => Some(Codec::Pcmu),
                "8" => Some(Codec::Pcma),
                _ => None,
            });
            if let (Ok(ip), Some(port), Some(codec)) = (ip.trim().parse(), port, codec) {
                line.rtp = Some(SocketAddr::new(ip, port));
                line.codec = codec;
            }
        }
    }

    // --- time ----------------------------------------------------------------------------------------------------

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let resend = self.resend.iter().map(|r| r.at.min(r.until)).min();
        [resend, self.act_at.map(|(at, _)| at)]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.resend.retain(|r| r.until > now);
        for r in self.resend.iter_mut().filter(|r| r.at <= now) {
            r.every = (r.every * 2).min(Duration::from_secs(4));
            r.at = now + r.every;
            if self.alive {
                self.outbox.push_back(r.octets.clone());
            }
        }
        if let Some((at, status)) = self.act_at
            && at <= now
        {
            self.act_at = None;
            match status {
                None if self.state() == PhoneState::Ringing => self.answer(now),
                Some(status) if self.state() == PhoneState::Ringing => self.refuse(status),
                None | Some(_) => {}
            }
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outbox.pop_front()
    }

    // --- audio ---------------------------------------------------------------------------------------------------

    /// The phone's next 20 ms of RTP, if it talks.
    pub(crate) fn next_packet(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        if self.mute || !self.alive {
            return None;
        }
        let frame = self.next_frame();
        let line = self.line.as_mut()?;
        if line.state != PhoneState::Talking {
            return None;
        }
        let to = line.rtp?;
        line.sequence = line.sequence.wrapping_add(1);
        line.timestamp = line.timestamp.wrapping_add(FRAME as u32);
        let payload: Vec<u8> = frame
            .iter()
            .map(|sample| line.codec.encode(*sample))
            .collect();
        let payload_type = match line.codec {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        };
        Some((
            to,
            rtp(
                payload_type,
                line.sequence,
                line.timestamp,
                line.caller,
                &payload,
            ),
        ))
    }

    /// The three packets of a key press (RFC 4733), as phones send them when the key is let go.
    pub(crate) fn key_packets(&mut self, digit: char) -> Vec<(SocketAddr, Vec<u8>)> {
        let event = "0123456789*#ABCD".find(digit).expect("a key of the phone") as u8;
        let Some(line) = &mut self.line else {
            return Vec::new();
        };
        let Some(to) = line.rtp else {
            return Vec::new();
        };
        let timestamp = line.timestamp;
        (0..3)
            .map(|_| {
                line.sequence = line.sequence.wrapping_add(1);
                (
                    to,
                    rtp(
                        101,
                        line.sequence,
                        timestamp,
                        line.caller,
                        &[event, 0x8A, 0x03, 0x20],
                    ),
                )
            })
            .collect()
    }

    fn next_frame(&mut self) -> Vec<i16> {
        let Some(hz) = self.speaks else {
            return vec![0; FRAME];
        };
        if self.voice.len() < FRAME {
            self.voice = sine(hz, 8_000, Duration::from_secs(1));
            self.voice.reverse();
        }
        let rest = self.voice.len() - FRAME;
        let mut frame = self.voice.split_off(rest);
        frame.reverse();
        frame
    }

    pub(crate) fn hear(&mut self, packet: &[u8]) {
        let Some(line) = &self.line else { return };
        let codec = match packet.get(1).map(|octet| octet & 0x7F) {
            Some(0) => Codec::Pcmu,
            Some(8) => Codec::Pcma,
            Some(_) | None => return,
        };
        if line.state == PhoneState::Talking {
            self.heard
                .extend(packet[12..].iter().map(|octet| codec.decode(*octet)));
        }
    }

    /// What the phone dialled, for ladders.
    #[must_use]
    pub fn dialled(&self) -> &str {
        self.line.as_ref().map_or("", |line| &line.dialled)
    }
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, caller: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(if caller { 0x1111_1111u32 } else { 0x2222_2222 }.to_be_bytes());
    packet.extend(payload);
    packet
}

fn bare_uri(contact: &str) -> String {
    let uri = contact
        .split('<')
        .nth(1)
        .and_then(|rest| rest.split('>').next())
        .unwrap_or(contact);
    uri.split(';').next().unwrap_or(uri).to_owned()
}
