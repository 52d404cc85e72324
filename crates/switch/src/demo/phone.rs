//! A test phone: registers, calls, answers and hears, over real SIP and RTP sockets on loopback.
//!
//! It is as small as a phone can be: UDP, one call at a time, one request of its own at a time.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::Message;
use sip::endpoint::Status;
use sip::header::Header;
use sip::message::{Method, Writer};
use sip::sdp::{Direction, Session};

use self::audio::{Audio, Heard};
use self::request::Request;

mod audio;
mod request;

/// One packet of speech (RFC 3551 section 4.2 recommends 20 ms).
const TICK: Duration = Duration::from_millis(20);
/// RFC 3261 section 17.1.1.1: the first retransmission of a request over UDP.
const T1: Duration = Duration::from_millis(500);
/// Retransmissions of one request. On loopback the first arrives.
const MAX_SENDS: u32 = 5;
/// How long a registration lasts, in seconds: longer than any demo, shorter than an evening.
const EXPIRES: u32 = 300;

/// What a phone is told to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Tell the switch where the phone is.
    Register,
    /// Tell it that the phone is gone.
    Unregister,
    /// Call a number.
    Call(&'static str),
    /// Take the call that rings.
    Answer,
    /// End the call.
    HangUp,
    /// Speak: a sine of so many Hz. A phone is silent until then.
    Speak(f64),
}

/// What a phone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The switch took the registration.
    Registered,
    /// The switch took it back.
    Unregistered,
    /// The call that it made was answered.
    Answered,
    /// It rings.
    Rings,
    /// The switch knows that it answered.
    Connected,
    /// The call is over.
    Ended,
    /// The switch refused what the phone asked for.
    Refused(Status),
}

/// A phone, seen from the story.
pub(crate) struct Phone {
    /// Its account: `201`.
    pub(crate) account: String,
    orders: Sender<Order>,
    news: Receiver<(Instant, News)>,
    heard: Arc<Mutex<Heard>>,
}

impl Phone {
    /// Switches a phone on; it does nothing before its first order.
    pub(crate) fn start(account: &str, password: &str, switch: SocketAddr) -> io::Result<Self> {
        let local = SocketAddr::new(switch.ip(), 0);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (orders, incoming) = mpsc::channel();
        let (teller, news) = mpsc::channel();
        let line = Line {
            account: account.to_owned(),
            password: password.to_owned(),
            switch,
            socket: UdpSocket::bind(local)?,
            audio: Audio::open(local, Arc::clone(&heard))?,
            news: teller,
            pending: None,
            state: State::Idle,
            words: 0,
        };
        std::thread::Builder::new()
            .name(format!("phone-{account}"))
            .spawn(move || line.run(&incoming))?;
        Ok(Self {
            account: account.to_owned(),
            orders,
            news,
            heard,
        })
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: Order) {
        // A phone whose thread is gone tells no news: the story notices there.
        let _ = self.orders.send(order);
    }

    /// Waits for this news and gives its time; other news before it are an error.
    pub(crate) fn expect(&self, wanted: News, limit: Duration) -> Result<Instant, String> {
        match self.news.recv_timeout(limit) {
            Ok((at, news)) if news == wanted => Ok(at),
            Ok((_, news)) => Err(format!(
                "phone {}: expected {wanted:?}, but: {news:?}",
                self.account
            )),
            Err(_) => Err(format!(
                "phone {}: expected {wanted:?}, but nothing came within {limit:?}",
                self.account
            )),
        }
    }

    /// Waits until it has heard so many samples (8 kHz) since its first call began, and gives all of them with the time of the first.
    pub(crate) fn hear(&self, count: usize) -> Result<(Instant, Vec<i16>), String> {
        // RTP comes in real time: what is not there then does not come.
        let until = Instant::now() + Duration::from_secs(2) + TICK * (count / 160) as u32;
        loop {
            let heard = self
                .heard
                .lock()
                .map_err(|_| format!("phone {} broke", self.account))?;
            if let Some(first) = heard.first
                && heard.samples.len() >= count
            {
                return Ok((first, heard.samples.clone()));
            }
            if Instant::now() > until {
                let seconds = heard.samples.len() as f64 / 8_000.0;
                return Err(format!(
                    "phone {} heard only {seconds:.1} s of RTP",
                    self.account
                ));
            }
            drop(heard);
            std::thread::sleep(TICK);
        }
    }

    /// How many samples it has heard.
    pub(crate) fn heard(&self) -> usize {
        self.heard.lock().map_or(0, |heard| heard.samples.len())
    }
}

/// A phone, seen from its thread.
struct Line {
    account: String,
    password: String,
    switch: SocketAddr,
    socket: UdpSocket,
    audio: Audio,
    news: Sender<(Instant, News)>,
    pending: Option<Pending>,
    state: State,
    /// Counts what must be unlike: branches, tags, Call-IDs.
    words: u32,
}

/// A request of the phone that has no final answer yet.
struct Pending {
    request: Request,
    octets: Bytes,
    /// When to send it again; never after a provisional answer.
    again: Option<Instant>,
    sends: u32,
}

/// The phone's only call.
enum State {
    Idle,
    /// Its INVITE is under way.
    Calling {
        session: Session,
    },
    /// It rings.
    Ringing {
        invite: Message,
        tag: String,
        answer: Bytes,
    },
    /// In a call: what its requests in the dialog are made from (RFC 3261 section 12.2.1.1).
    Talking {
        dialog: Request,
        ok: Option<Bytes>,
    },
}

impl Line {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut buffer = vec![0; 65_536];
        let mut next = Instant::now() + TICK;
        loop {
            match orders.try_recv() {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            // A timeout of zero would mean: for ever.
            let wait = next
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            if self.socket.set_read_timeout(Some(wait)).is_err() {
                return;
            }
            match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => self.handle(&buffer[..length], source),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // The switch is gone: an ICMP answer to the last datagram. It may come back.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
            if Instant::now() >= next {
                next += TICK;
                self.audio.tick();
                self.send_again();
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Register => self.register(EXPIRES),
            Order::Unregister => self.register(0),
            Order::Call(number) => self.call(number),
            Order::Answer => self.answer(),
            Order::HangUp => self.hang_up(),
            Order::Speak(hz) => self.audio.speak(hz),
        }
    }

    fn tell(&self, news: News) {
        // Nobody listens when the story is over.
        let _ = self.news.send((Instant::now(), news));
    }

    // --- requests of the phone ------------------------------------------------------------------------------------

    fn register(&mut self, expires: u32) {
        let uri = format!("sip:{}", self.switch);
        let own = self.own_uri();
        let request = Request {
            expires: Some(expires),
            ..self.request(Method::Register, uri, &own)
        };
        self.send_request(request);
    }

    fn call(&mut self, number: &str) {
        let uri = format!("sip:{number}@{}", self.switch);
        let mut session = Session::new(self.audio.local(), 1);
        let offer = session.offer(Direction::SendRecv, None);
        let request = Request {
            body: Some(offer),
            ..self.request(Method::Invite, uri.clone(), &uri)
        };
        self.state = State::Calling { session };
        self.send_request(request);
    }

    fn hang_up(&mut self) {
        self.audio.stop();
        if let State::Talking { mut dialog, .. } = std::mem::replace(&mut self.state, State::Idle) {
            dialog.method = Method::Bye;
            dialog.cseq += 1;
            dialog.branch = self.word("z9hG4bK");
            self.send_request(dialog);
        }
    }

    /// A request outside a dialog (RFC 3261 section 8.1.1).
    fn request(&mut self, method: Method<'static>, uri: String, to: &str) -> Request {
        let (own, tag) = (self.own_uri(), self.word("tag"));
        Request {
            method,
            uri,
            from: format!("<{own}>;tag={tag}"),
            to: format!("<{to}>"),
            call_id: self.word("demo-"),
            cseq: 1,
            branch: self.word("z9hG4bK"),
            expires: None,
            body: None,
            authorization: None,
        }
    }

    fn send_request(&mut self, request: Request) {
        let octets = request.write(&self.account, self.local());
        self.send(&octets);
        self.pending = Some(Pending {
            request,
            octets,
            again: Some(Instant::now() + T1),
            sends: 1,
        });
    }

    fn send_again(&mut self) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        if pending.again.is_none_or(|at| at > Instant::now()) {
            return;
        }
        pending.again =
            (pending.sends < MAX_SENDS).then(|| Instant::now() + T1 * (1 << pending.sends));
        pending.sends += 1;
        let octets = pending.octets.clone();
        self.send(&octets);
    }

    // --- what comes -----------------------------------------------------------------------------------------------

    fn handle(&mut self, octets: &[u8], source: SocketAddr) {
        // A phone that gets nonsense from its switch stays silent; the story notices.
        let Ok(message) = Message::parse(Bytes::copy_from_slice(octets)) else {
            return;
        };
        match message.status() {
            Some(status) => self.handle_response(&message, status),
            None => self.handle_request(&message, source),
        }
    }

    fn handle_response(&mut self, message: &Message, status: Status) {
        let Some(pending) = &mut self.pending else {
            return self.acknowledge_again(message);
        };
        if message.via().and_then(|via| via.branch()) != Some(&pending.request.branch) {
            return;
        }
        if status.0 < 200 {
            pending.again = None;
            return;
        }
        let Some(Pending { request, .. }) = self.pending.take() else {
            return;
        };
        let challenged = matches!(status.0, 401 | 407) && request.authorization.is_none();
        if request.method == Method::Invite && status.0 >= 300 {
            // RFC 3261 section 17.1.1.3: the branch of the INVITE, the To of the answer.
            let to = message.header(Header::To).unwrap_or_default().to_owned();
            let ack = Request {
                method: Method::Ack,
                to,
                body: None,
                ..request.clone()
            };
            let octets = ack.write(&self.account, self.local());
            self.send(&octets);
        }
        if challenged && let Some(again) = self.authorized(request.clone(), message) {
            return self.send_request(again);
        }
        match (request.method, status.0) {
            (Method::Register, 200..=299) if request.expires == Some(0) => {
                self.tell(News::Unregistered)
            }
            (Method::Register, 200..=299) => self.tell(News::Registered),
            (Method::Invite, 200..=299) => self.answered(request, message),
            (Method::Bye, _) => self.tell(News::Ended),
            (_, _) => {
                self.state = State::Idle;
                self.tell(News::Refused(status));
            }
        }
    }

    /// The request with credentials for the first challenge that can be answered (RFC 8760 section 2.4).
    fn authorized(&mut self, request: Request, message: &Message) -> Option<Request> {
        let cnonce = self.word("c");
        let pairs = [
            (Header::WwwAuthenticate, Header::Authorization),
            (Header::ProxyAuthenticate, Header::ProxyAuthorization),
        ];
        let (header, value) = pairs.into_iter().find_map(|(asked, given)| {
            let answer = |challenge| {
                let Request { method, uri, .. } = &request;
                sip::digest::answer(
                    challenge,
                    method.as_str(),
                    uri,
                    &self.account,
                    &self.password,
                    1,
                    &cnonce,
                )
            };
            message
                .values(asked)
                .find_map(answer)
                .map(|value| (given, value))
        })?;
        Some(Request {
            cseq: request.cseq + 1,
            branch: self.word("z9hG4bK"),
            authorization: Some((header, value)),
            ..request
        })
    }

    /// 2xx to the INVITE: a dialog (RFC 3261 section 12.1.2), an ACK of its own (section 13.2.2.4), and sound.
    fn answered(&mut self, request: Request, message: &Message) {
        let State::Calling { session } = &mut self.state else {
            return;
        };
        if let Ok(agreed) = session.accept(&message.body()) {
            self.audio.start(agreed);
        }
        let target = message
            .contact()
            .map_or(request.uri.clone(), |contact| contact.uri.text().to_owned());
        let dialog = Request {
            method: Method::Ack,
            uri: target,
            to: message.header(Header::To).unwrap_or_default().to_owned(),
            branch: self.word("z9hG4bK"),
            body: None,
            authorization: None,
            ..request
        };
        let octets = dialog.write(&self.account, self.local());
        self.send(&octets);
        self.state = State::Talking { dialog, ok: None };
        self.tell(News::Answered);
    }

    /// A 2xx that came once more gets its ACK once more.
    fn acknowledge_again(&self, message: &Message) {
        if let State::Talking { dialog, .. } = &self.state
            && message.cseq_method() == Some(Method::Invite)
            && message.call_id() == Some(&dialog.call_id)
        {
            let octets = dialog.write(&self.account, self.local());
            self.send(&octets);
        }
    }

    fn handle_request(&mut self, message: &Message, source: SocketAddr) {
        match message.method() {
            Some(Method::Invite) => self.invited(message, source),
            Some(Method::Ack) => {
                if let State::Talking { ok, .. } = &mut self.state
                    && ok.take().is_some()
                {
                    self.tell(News::Connected);
                }
            }
            Some(Method::Bye) => {
                self.reply(message, Status(200), None);
                self.end();
            }
            Some(Method::Cancel) => {
                self.reply(message, Status(200), None);
                if let State::Ringing { invite, tag, .. } = &self.state {
                    let cancelled =
                        Writer::answer(invite, Status(487), Some(tag), source).finish(None);
                    self.send(&cancelled);
                    self.end();
                }
            }
            Some(_) => self.reply(message, Status(200), None),
            None => {}
        }
    }

    fn invited(&mut self, invite: &Message, source: SocketAddr) {
        match &self.state {
            State::Idle => {}
            State::Ringing {
                invite: first, tag, ..
            } if first.call_id() == invite.call_id() => {
                let ringing = Writer::answer(invite, Status(180), Some(tag), source).finish(None);
                return self.send(&ringing);
            }
            State::Talking {
                ok: Some(ok),
                dialog,
            } if invite.call_id() == Some(&dialog.call_id) => {
                return self.send(&ok.clone());
            }
            State::Ringing { .. } | State::Talking { .. } | State::Calling { .. } => {
                return self.reply(invite, Status(486), None);
            }
        }
        let mut session = Session::new(self.audio.local(), 1);
        let Ok((answer, agreed)) = session.answer(&invite.body(), Direction::SendRecv, None) else {
            return self.reply(invite, Status(488), None);
        };
        self.audio.agree(agreed);
        let tag = self.word("tag");
        let ringing = Writer::answer(invite, Status(180), Some(&tag), source).finish(None);
        self.send(&ringing);
        self.state = State::Ringing {
            invite: invite.clone(),
            tag,
            answer,
        };
        self.tell(News::Rings);
    }

    /// Picks up: 200 with the answer, and a dialog (RFC 3261 section 12.1.1).
    fn answer(&mut self) {
        let State::Ringing {
            invite,
            tag,
            answer,
        } = std::mem::replace(&mut self.state, State::Idle)
        else {
            return;
        };
        let mut writer = Writer::answer(&invite, Status(200), Some(&tag), self.switch);
        writer.header(
            Header::Contact,
            format_args!("<sip:{}@{}>", self.account, self.local()),
        );
        let ok = writer.finish(Some(("application/sdp", &answer)));
        self.send(&ok);
        self.audio.resume();
        let text = |header| invite.header(header).unwrap_or_default().to_owned();
        let target = invite
            .contact()
            .map(|contact| contact.uri.text().to_owned());
        let dialog = Request {
            method: Method::Bye,
            uri: target.unwrap_or_else(|| format!("sip:{}", self.switch)),
            from: format!("{};tag={tag}", text(Header::To)),
            to: text(Header::From),
            call_id: text(Header::CallId),
            cseq: 0,
            branch: String::new(),
            expires: None,
            body: None,
            authorization: None,
        };
        self.state = State::Talking {
            dialog,
            ok: Some(ok),
        };
    }

    fn end(&mut self) {
        self.audio.stop();
        self.state = State::Idle;
        self.tell(News::Ended);
    }

    fn reply(&mut self, request: &Message, status: Status, body: Option<(&str, &[u8])>) {
        let tag = self.word("tag");
        let octets = Writer::answer(request, status, Some(&tag), self.switch).finish(body);
        self.send(&octets);
    }

    fn send(&self, octets: &[u8]) {
        // What is lost is sent again, or the story ends with what did not come.
        let _ = self.socket.send_to(octets, self.switch);
    }

    fn own_uri(&self) -> String {
        format!("sip:{}@{}", self.account, self.switch)
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or(self.switch)
    }

    /// A word that no other message of any demo on this machine has: the phone's port and a count.
    fn word(&mut self, prefix: &str) -> String {
        self.words += 1;
        format!(
            "{prefix}{}-{}-{}",
            std::process::id(),
            self.local().port(),
            self.words
        )
    }
}
