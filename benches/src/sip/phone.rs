//! One registered phone with at most one call, as RFC 3261 wants a UDP user agent: it retransmits what is not answered.
//!
//! Both measured switches are back-to-back user agents that add no Record-Route, so there is no route set.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::digest::Challenge;
use super::message::{Request, acknowledgement, description, repeated, response};
use super::text::{Text, audio_address, parameter};

/// RFC 3261 section 17.1.1.1.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 section 17.1.2.2.
const T2: Duration = Duration::from_secs(4);
/// 64*T1: nobody answers.
const PATIENCE: Duration = Duration::from_secs(32);

/// What happened to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// REGISTER got 200.
    Registered,
    /// REGISTER or INVITE was refused with this status (408: nobody answered).
    Refused(u16),
    /// Our call rings.
    Ringing,
    /// Our call was answered, and ACK sent; audio goes there.
    Answered(SocketAddr),
    /// Somebody calls: `answer` or `refuse`.
    Incoming,
    /// Our answer was acknowledged; audio goes there.
    Connected(SocketAddr),
    /// The caller gave up before we answered.
    Cancelled,
    /// The other side hung up.
    Ended,
    /// Our BYE was answered.
    Released,
}

/// What a phone had to do beside the straight way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Requests and 2xx sent again because nobody answered in time.
    pub(crate) retransmissions: u64,
    /// Challenges answered.
    pub(crate) challenges: u64,
    /// Requests that nobody answered for 32 s.
    pub(crate) timeouts: u64,
}

/// A client transaction.
#[derive(Debug)]
struct Pending {
    request: Request,
    branch: String,
    octets: String,
    /// None: a provisional answer stopped the retransmissions of an INVITE.
    again: Option<Instant>,
    interval: Duration,
    over: Instant,
    /// The nonce that the credentials in it answer; a second challenge with it is a refusal.
    nonce: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    /// Somebody calls and hears ringing.
    Alerting,
    /// Our 200 waits for its ACK.
    Answering {
        again: Instant,
        interval: Duration,
        over: Instant,
    },
    Talking,
    HangingUp,
}

#[derive(Debug)]
struct Call {
    state: State,
    call_id: String,
    /// From and To of our requests in the dialog.
    local: String,
    remote: String,
    target: String,
    cseq: u32,
    media: SocketAddr,
    /// Where the other side wants its audio.
    audio: Option<SocketAddr>,
    /// The header lines of the INVITE that every response to it repeats.
    repeated: String,
    /// Our last response to the INVITE, or our ACK: sent again when theirs comes again.
    last: String,
}

/// A phone on a socket of its own.
#[derive(Debug)]
pub(crate) struct Phone {
    number: String,
    password: String,
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    challenge: Option<Challenge>,
    /// One Call-ID and a rising CSeq for all registrations (RFC 3261 section 10.2).
    registrations: u32,
    serial: u64,
    pending: Vec<Pending>,
    call: Option<Call>,
    /// The ACK for the last refused INVITE, by its branch.
    refused: Option<(String, String)>,
    counters: Counters,
}

/// What is left of a phone that is played by somebody else from now on.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) number: String,
    pub(crate) password: String,
    pub(crate) socket: UdpSocket,
    pub(crate) local: SocketAddr,
    /// The last challenge that it got.
    pub(crate) challenge: Option<Challenge>,
}

impl Phone {
    /// A phone on a free port of a loopback address.
    pub(crate) fn at(
        address: Ipv4Addr,
        number: &str,
        password: &str,
        server: SocketAddr,
    ) -> Result<Self, String> {
        let open = || {
            let socket = UdpSocket::bind((address, 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let (socket, local) = open()
            .map_err(|error: std::io::Error| format!("no socket for phone {number}: {error}"))?;
        Ok(Self {
            number: number.to_owned(),
            password: password.to_owned(),
            socket,
            local,
            server,
            challenge: None,
            registrations: 0,
            serial: 0,
            pending: Vec::new(),
            call: None,
            refused: None,
            counters: Counters::default(),
        })
    }

    /// Ends the phone; its registration stays.
    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            number: self.number,
            password: self.password,
            socket: self.socket,
            local: self.local,
            challenge: self.challenge,
        }
    }

    /// What the phone had to do beside the straight way.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether the phone has a call.
    pub(crate) fn is_busy(&self) -> bool {
        self.call.is_some()
    }

    /// Forgets the server's nonce, as a phone that was switched off.
    pub(crate) fn forget_challenge(&mut self) {
        self.challenge = None;
    }

    /// Registers its socket for an hour.
    pub(crate) fn register(&mut self, now: Instant) {
        self.registrations += 1;
        let (number, server) = (&self.number, self.server);
        let request = Request {
            method: "REGISTER",
            uri: format!("sip:{}", server.ip()),
            from: format!("<sip:{number}@{}>;tag=r{}", server.ip(), self.registrations),
            to: format!("<sip:{number}@{}>", server.ip()),
            call_id: format!("reg-{number}-{}", self.local.port()),
            cseq: self.registrations * 10,
            body: String::new(),
        };
        self.request(request, now);
    }

    /// Calls a number; `media` is where its audio shall come.
    pub(crate) fn dial(&mut self, number: &str, media: SocketAddr, now: Instant) {
        self.serial += 1;
        let id = format!("{}-{}-{}", self.serial, self.number, self.local.port());
        let uri = format!("sip:{number}@{}:{}", self.server.ip(), self.server.port());
        let request = Request {
            method: "INVITE",
            uri: uri.clone(),
            from: format!("<sip:{}@{}>;tag=c{id}", self.number, self.server.ip()),
            to: format!("<{uri}>"),
            call_id: id,
            cseq: 1,
            body: description(media),
        };
        self.call = Some(Call {
            state: State::Calling,
            call_id: request.call_id.clone(),
            local: request.from.clone(),
            remote: request.to.clone(),
            target: uri,
            cseq: 1,
            media,
            audio: None,
            repeated: String::new(),
            last: String::new(),
        });
        self.request(request, now);
    }

    /// Takes the call that came; `media` is where its audio shall come.
    pub(crate) fn answer(&mut self, media: SocketAddr, now: Instant) {
        let contact = self.contact();
        let Some(call) = &mut self.call else { return };
        call.media = media;
        call.state = State::Answering {
            again: now + T1,
            interval: T1,
            over: now + PATIENCE,
        };
        call.last = response("200 OK", &call.repeated, &contact, &description(media));
        let octets = call.last.clone();
        self.send(&octets);
    }

    /// Hangs up a call that stands.
    pub(crate) fn hang_up(&mut self, now: Instant) {
        let Some(call) = &mut self.call else { return };
        call.cseq += 1;
        call.state = State::HangingUp;
        let request = Request {
            method: "BYE",
            uri: call.target.clone(),
            from: call.local.clone(),
            to: call.remote.clone(),
            call_id: call.call_id.clone(),
            cseq: call.cseq,
            body: String::new(),
        };
        self.request(request, now);
    }

    /// Reads one datagram; false when there is none.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        now: Instant,
        events: &mut Vec<Event>,
    ) -> bool {
        match self.socket.recv(buffer) {
            Ok(length) => {
                if let Some(text) = Text::scan(&buffer[..length]) {
                    self.handle(&text, now, events);
                }
                true
            }
            // A closed port shows as ConnectionRefused on a connected socket; the retransmissions deal with it.
            Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        }
    }

    /// When `expire` must be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let pending = self
            .pending
            .iter()
            .map(|one| one.again.map_or(one.over, |again| again.min(one.over)))
            .min();
        let answering = self.call.as_ref().and_then(|call| match call.state {
            State::Answering { again, over, .. } => Some(again.min(over)),
            State::Calling | State::Alerting | State::Talking | State::HangingUp => None,
        });
        [pending, answering].into_iter().flatten().min()
    }

    /// Sends again what is due and gives up what is over.
    pub(crate) fn expire(&mut self, now: Instant, events: &mut Vec<Event>) {
        let mut due = Vec::new();
        for one in &mut self.pending {
            if one.again.is_some_and(|again| again <= now) {
                // INVITE doubles without an end (timer A), the others up to T2 (timer E).
                one.interval = if one.request.method == "INVITE" {
                    one.interval * 2
                } else {
                    (one.interval * 2).min(T2)
                };
                one.again = Some(now + one.interval);
                due.push(one.octets.clone());
            }
        }
        let given_up: Vec<_> = self.pending.extract_if(.., |one| one.over <= now).collect();
        for one in given_up {
            self.counters.timeouts += 1;
            self.close(&one.request, 408, events);
        }
        if let Some(call) = &mut self.call
            && let State::Answering {
                again,
                interval,
                over,
            } = call.state
        {
            if over <= now {
                self.counters.timeouts += 1;
                self.call = None;
                events.push(Event::Ended);
            } else if again <= now {
                let interval = (interval * 2).min(T2);
                call.state = State::Answering {
                    again: now + interval,
                    interval,
                    over,
                };
                due.push(call.last.clone());
            }
        }
        self.counters.retransmissions += due.len() as u64;
        for octets in due {
            self.send(&octets);
        }
    }

    fn contact(&self) -> String {
        format!("Contact: <sip:{}@{}>\r\n", self.number, self.local)
    }

    fn send(&self, octets: &str) {
        // A full buffer or a closed port is loss on the wire: the retransmissions deal with it.
        let _ = self.socket.send(octets.as_bytes());
    }

    /// Starts a client transaction, with credentials when a challenge is known.
    fn request(&mut self, request: Request, now: Instant) {
        self.serial += 1;
        let branch = format!("z9hG4bK{}x{}", self.local.port(), self.serial);
        let credentials = self
            .challenge
            .as_mut()
            .map(|one| one.answer(&self.number, &self.password, request.method, &request.uri))
            .unwrap_or_default();
        let octets = request.write(self.local, &branch, &self.contact(), &credentials);
        self.send(&octets);
        let nonce = self.challenge.as_ref().map(|one| one.nonce().to_owned());
        self.pending.push(Pending {
            request,
            branch,
            octets,
            again: Some(now + T1),
            interval: T1,
            over: now + PATIENCE,
            nonce,
        });
    }

    fn handle(&mut self, text: &Text<'_>, now: Instant, events: &mut Vec<Event>) {
        if let Some(status) = text.status() {
            self.handle_response(status, text, now, events);
        } else if let Some(method) = text.method() {
            self.handle_request(method, text, events);
        }
    }

    fn handle_response(
        &mut self,
        status: u16,
        text: &Text<'_>,
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        let branch = text
            .header("Via", "v")
            .and_then(|via| parameter(via, "branch"))
            .unwrap_or_default();
        let Some(index) = self.pending.iter().position(|one| one.branch == branch) else {
            self.repeat(branch, status, text);
            return;
        };
        let invite = self.pending[index].request.method == "INVITE";
        if status < 200 {
            if invite {
                self.pending[index].again = None;
            }
            if status == 180 {
                events.push(Event::Ringing);
            }
            return;
        }
        let one = self.pending.swap_remove(index);
        if invite && status >= 300 {
            let to = text.header("To", "t").unwrap_or_default();
            let ack = acknowledgement(&one.request, &one.branch, self.local, to, &one.request.uri);
            self.send(&ack);
            self.refused = Some((one.branch.clone(), ack));
        }
        match status {
            200..=299 => self.succeed(&one.request, text, events),
            401 | 407 if self.take_challenge(status, text, one.nonce.as_deref()) => {
                let mut request = one.request;
                request.cseq += 1;
                if let Some(call) = self
                    .call
                    .as_mut()
                    .filter(|call| call.call_id == request.call_id)
                {
                    call.cseq = request.cseq;
                }
                self.request(request, now);
            }
            _ => self.close(&one.request, status, events),
        }
    }

    /// A response whose transaction is over: the ACK was lost, or is on its way.
    fn repeat(&self, branch: &str, status: u16, text: &Text<'_>) {
        if text.cseq().is_none_or(|(_, method)| method != "INVITE") || status < 200 {
            return;
        }
        if let Some((_, ack)) = self
            .refused
            .as_ref()
            .filter(|(refused, _)| refused == branch)
        {
            self.send(ack);
        } else if let Some(call) = self
            .call
            .as_ref()
            .filter(|call| call.call_id == text.call_id())
        {
            self.send(&call.last);
        }
    }

    /// True: a new challenge that we can answer.
    fn take_challenge(&mut self, status: u16, text: &Text<'_>, answered: Option<&str>) -> bool {
        let (name, compact) = if status == 401 {
            ("WWW-Authenticate", "WWW-Authenticate")
        } else {
            ("Proxy-Authenticate", "Proxy-Authenticate")
        };
        let challenge = text
            .lines(name, compact)
            .find_map(|value| Challenge::take(status, value));
        let fresh = challenge.filter(|challenge| Some(challenge.nonce()) != answered);
        let taken = fresh.is_some();
        if taken {
            self.counters.challenges += 1;
            self.challenge = fresh;
        }
        taken
    }

    fn succeed(&mut self, request: &Request, text: &Text<'_>, events: &mut Vec<Event>) {
        match request.method {
            "REGISTER" => events.push(Event::Registered),
            "BYE" => {
                self.call = None;
                events.push(Event::Released);
            }
            _ => {
                let Some(call) = self
                    .call
                    .as_mut()
                    .filter(|call| call.call_id == request.call_id)
                else {
                    return;
                };
                call.state = State::Talking;
                call.remote = text.header("To", "t").unwrap_or_default().to_owned();
                call.target = text.contact().unwrap_or(&call.target).to_owned();
                self.serial += 1;
                let branch = format!("z9hG4bK{}a{}", self.local.port(), self.serial);
                call.last =
                    acknowledgement(request, &branch, self.local, &call.remote, &call.target);
                call.audio = audio_address(text.body);
                let (octets, audio) = (call.last.clone(), call.audio);
                self.send(&octets);
                match audio {
                    Some(audio) => events.push(Event::Answered(audio)),
                    None => events.push(Event::Refused(488)),
                }
            }
        }
    }

    /// A request of ours came to nothing.
    fn close(&mut self, request: &Request, status: u16, events: &mut Vec<Event>) {
        match request.method {
            "REGISTER" => events.push(Event::Refused(status)),
            "BYE" => {
                self.call = None;
                events.push(Event::Released);
            }
            _ => {
                self.call = None;
                events.push(Event::Refused(status));
            }
        }
    }

    fn handle_request(&mut self, method: &str, text: &Text<'_>, events: &mut Vec<Event>) {
        let ours = self
            .call
            .as_ref()
            .is_some_and(|call| call.call_id == text.call_id());
        match method {
            "INVITE" if ours => self.reinvited(text),
            "INVITE" => self.invited(text, events),
            "ACK" if ours => self.acknowledged(events),
            "ACK" => {}
            "CANCEL" if ours => self.cancelled(text, events),
            "BYE" => {
                // A BYE that comes again after the call is gone gets its 200 again.
                self.respond("200 OK", text);
                if ours {
                    self.call = None;
                    events.push(Event::Ended);
                }
            }
            "OPTIONS" | "CANCEL" => self.respond("200 OK", text),
            _ => self.respond("501 Not Implemented", text),
        }
    }

    fn respond(&self, status: &str, text: &Text<'_>) {
        self.send(&response(status, &repeated(text, ""), "", ""));
    }

    fn invited(&mut self, text: &Text<'_>, events: &mut Vec<Event>) {
        if self.call.is_some() {
            self.respond("486 Busy Here", text);
            return;
        }
        self.serial += 1;
        let tag = format!("a{}x{}", self.local.port(), self.serial);
        let repeated = repeated(text, &format!(";tag={tag}"));
        let last = response("180 Ringing", &repeated, &self.contact(), "");
        self.send(&last);
        self.call = Some(Call {
            state: State::Alerting,
            call_id: text.call_id().to_owned(),
            local: format!("{};tag={tag}", text.header("To", "t").unwrap_or_default()),
            remote: text.header("From", "f").unwrap_or_default().to_owned(),
            target: text.contact().unwrap_or_default().to_owned(),
            cseq: 100,
            media: self.local,
            audio: audio_address(text.body),
            repeated,
            last,
        });
        events.push(Event::Incoming);
    }

    /// The INVITE again, or a re-INVITE: the first gets the last response again, the other the session as it stands.
    fn reinvited(&mut self, text: &Text<'_>) {
        let contact = self.contact();
        let Some(call) = &mut self.call else { return };
        if call.state == State::Talking {
            call.audio = audio_address(text.body).or(call.audio);
            let octets = response(
                "200 OK",
                &repeated(text, ""),
                &contact,
                &description(call.media),
            );
            self.send(&octets);
        } else {
            let octets = call.last.clone();
            self.send(&octets);
        }
    }

    fn acknowledged(&mut self, events: &mut Vec<Event>) {
        let Some(call) = &mut self.call else { return };
        if let State::Answering { .. } = call.state {
            call.state = State::Talking;
            match call.audio {
                Some(audio) => events.push(Event::Connected(audio)),
                None => events.push(Event::Refused(488)),
            }
        }
    }

    fn cancelled(&mut self, text: &Text<'_>, events: &mut Vec<Event>) {
        self.respond("200 OK", text);
        if let Some(call) = self.call.take_if(|call| call.state == State::Alerting) {
            // Sent once: the ACK or the retransmitted INVITE would bring it again, and on loopback nothing is lost.
            self.send(&response("487 Request Terminated", &call.repeated, "", ""));
            events.push(Event::Cancelled);
        }
    }
}

impl AsFd for Phone {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
