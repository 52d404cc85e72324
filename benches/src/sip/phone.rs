//! One registered phone with at most one call, as RFC 3261 wants a UDP user agent: it retransmits what is not answered.
//!
//! Both measured switches are back-to-back user agents that add no Record-Route, so there is no route set.

mod requests;
mod responses;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::digest::Challenge;
use super::message::{Codec, Request, description, response};
use super::text::Text;
use crate::srtp::Key;

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
    /// Its key, and the tag of the line that it stood in.
    their_key: Option<(u32, Key)>,
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
    codec: Codec,
    /// Our key, if we talk encrypted.
    key: Option<Key>,
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
            codec: Codec::default(),
            key: None,
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

    /// Speaks that codec from the next call on.
    pub(crate) fn speak(&mut self, codec: Codec) {
        self.codec = codec;
    }

    /// Talks encrypted from the next call on.
    pub(crate) fn encrypt(&mut self) {
        self.key = Some(Key::of(&self.number));
    }

    /// Our key and theirs, in a call that is encrypted.
    pub(crate) fn keys(&self) -> Option<(&Key, &Key)> {
        let (_, theirs) = self.call.as_ref()?.their_key.as_ref()?;
        Some((self.key.as_ref()?, theirs))
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
            body: self.description(media, 1),
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
            their_key: None,
            repeated: String::new(),
            last: String::new(),
        });
        self.request(request, now);
    }

    /// Takes the call that came; `media` is where its audio shall come.
    pub(crate) fn answer(&mut self, media: SocketAddr, now: Instant) {
        let contact = self.contact();
        let description = self.answering_description(media);
        let Some(call) = &mut self.call else { return };
        call.media = media;
        call.state = State::Answering {
            again: now + T1,
            interval: T1,
            over: now + PATIENCE,
        };
        call.last = response("200 OK", &call.repeated, &contact, &description);
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

    /// `tag`: of the line with our key.
    fn description(&self, media: SocketAddr, tag: u32) -> String {
        let key = self.key.as_ref().map(|key| (tag, key));
        description(media, self.codec, key)
    }

    /// Our answer has the tag of their offer (RFC 4568 section 5.1.3).
    fn answering_description(&self, media: SocketAddr) -> String {
        let theirs = self.call.as_ref().and_then(|call| call.their_key.as_ref());
        self.description(media, theirs.map_or(1, |(tag, _)| *tag))
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
}

impl AsFd for Phone {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
