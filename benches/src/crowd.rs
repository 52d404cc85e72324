//! A crowd: callers who ask for more calls than a switch can take, and phones that take every call at once.
//!
//! A phone of `sip::phone` costs too much to offer ten times what a switch can do from one core. Here an INVITE is a copy of a
//! prepared text, one hash and one datagram, each caller has as many calls as it likes, and who is called keeps no state. They
//! behave as RFC 3261 wants all the same: what gets no answer is sent again after 500 ms, 1 s, 2 s, ..., a refusal is acknowledged.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::sip::digest::{Challenge, Prepared};
use crate::sip::message::{Codec, Request, acknowledgement, description, repeated, response};
use crate::sip::text::{Text, parameter};
use crate::sip::{Phone, phone::Parts};

/// Most readiness reports taken at once.
const REPORTS: usize = 256;
/// Datagrams read from one socket before the others have their turn.
const BATCH: usize = 64;
/// INVITEs that are sent before answers are read.
const BURST: u64 = 64;
/// A SIP message on loopback is smaller.
const DATAGRAM_OCTETS: usize = 8192;
/// Timers A and E of RFC 3261: each repetition waits twice as long as the one before, six of them within 64*T1.
const REPETITIONS: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];
/// Stands in a prepared text where the number of the call goes.
const SERIAL: &str = "ssssssssssssssss";
/// Begins the branch of an INVITE, and that of a BYE.
const BRANCHES: [&str; 2] = ["z9hG4bKi", "z9hG4bKb"];

/// What became of the calls.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Calls that were begun.
    pub(crate) offered: u64,
    /// Requests that were sent again, as no answer came in time.
    pub(crate) repeated: u64,
    /// From each INVITE to its 200.
    pub(crate) answers: Vec<Duration>,
    /// Answered and hung up again.
    pub(crate) completed: u64,
    /// Answered with 503.
    pub(crate) refused: u64,
    /// Ended in another way.
    pub(crate) failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No answer yet.
    Inviting,
    /// A provisional answer stopped the repetitions.
    Proceeding,
    HangingUp,
}

#[derive(Debug)]
struct Call {
    caller: usize,
    state: State,
    dialled: Instant,
    count: u32,
    /// The BYE, to be sent again.
    bye: String,
}

/// A caller and what of its INVITEs stays the same.
#[derive(Debug)]
struct Caller {
    parts: Parts,
    request: Request,
    credentials: Option<Prepared>,
    /// The INVITE with placeholders.
    text: String,
    count: u32,
}

/// Callers and those they call.
pub(crate) struct Crowd {
    epoll: OwnedFd,
    callers: Vec<Caller>,
    called: Vec<Parts>,
    calls: HashMap<u64, Call>,
    serial: u64,
    repetitions: [VecDeque<(Instant, u64)>; REPETITIONS.len()],
    outcome: Outcome,
    buffer: Vec<u8>,
    reports: Vec<epoll::Event>,
}

impl Crowd {
    /// Registered phones: the first half calls the second half.
    pub(crate) fn new(mut phones: Vec<Phone>, server: SocketAddr) -> Result<Self, String> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| format!("no epoll: {error}"))?;
        let called: Vec<Parts> = phones
            .split_off(phones.len() / 2)
            .into_iter()
            .map(Phone::into_parts)
            .collect();
        let callers: Vec<Caller> = phones
            .into_iter()
            .zip(&called)
            .map(|(phone, partner)| Caller::new(phone.into_parts(), &partner.number, server))
            .collect();
        let sockets = callers
            .iter()
            .map(|caller| &caller.parts)
            .chain(&called)
            .map(|parts| &parts.socket);
        for (index, socket) in sockets.enumerate() {
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, socket, data, epoll::EventFlags::IN)
                .map_err(|error| format!("epoll refuses a socket: {error}"))?;
        }
        Ok(Self {
            epoll,
            callers,
            called,
            calls: HashMap::new(),
            serial: 0,
            repetitions: Default::default(),
            outcome: Outcome::default(),
            buffer: vec![0; DATAGRAM_OCTETS],
            reports: Vec::with_capacity(REPORTS),
        })
    }

    /// Calls that are not over.
    pub(crate) fn open(&self) -> usize {
        self.calls.len()
    }

    /// What became of the calls since the last time.
    pub(crate) fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// Gives up what is not over, and gives how many calls that were.
    pub(crate) fn forget(&mut self) -> u64 {
        let open = self.calls.len() as u64;
        self.calls.clear();
        self.repetitions.iter_mut().for_each(VecDeque::clear);
        open
    }

    /// Begins up to `due` calls, and gives how many.
    pub(crate) fn dial(&mut self, due: u64) -> u64 {
        let begun = due.min(BURST);
        for _ in 0..begun {
            self.serial += 1;
            let caller = (self.serial % self.callers.len() as u64) as usize;
            self.outcome.offered += 1;
            self.invite(self.serial, caller, Instant::now());
        }
        begun
    }

    /// Reads what came, waits for it for that long if nothing is there, and repeats what got no answer.
    pub(crate) fn turn(&mut self, wait: Duration) -> Result<(), String> {
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        self.reports.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.reports);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("epoll: {error}")),
        }
        let (reports, mut buffer) = (
            std::mem::take(&mut self.reports),
            std::mem::take(&mut self.buffer),
        );
        for report in &reports {
            let index = report.data.u64() as usize;
            match index.checked_sub(self.callers.len()) {
                None => self.answers(index, &mut buffer),
                Some(called) => self.called[called].answer_all(&mut buffer),
            }
        }
        (self.reports, self.buffer) = (reports, buffer);
        self.repeat(Instant::now());
        Ok(())
    }

    fn invite(&mut self, serial: u64, caller: usize, now: Instant) {
        let from = &mut self.callers[caller];
        from.count += 1;
        let count = from.count;
        from.send_invite(serial, count);
        self.repetitions[0].push_back((now + REPETITIONS[0], serial));
        let call = Call {
            caller,
            state: State::Inviting,
            dialled: now,
            count,
            bye: String::new(),
        };
        self.calls.insert(serial, call);
    }

    fn repeat(&mut self, now: Instant) {
        for step in 0..REPETITIONS.len() {
            while let Some((due, serial)) = self.repetitions[step].front().copied()
                && due <= now
            {
                self.repetitions[step].pop_front();
                let Some(call) = self.calls.get(&serial) else {
                    continue;
                };
                match call.state {
                    State::Inviting => self.callers[call.caller].send_invite(serial, call.count),
                    State::HangingUp => self.callers[call.caller].parts.send(&call.bye),
                    State::Proceeding => continue,
                }
                self.outcome.repeated += 1;
                if let Some(next) = REPETITIONS.get(step + 1) {
                    self.repetitions[step + 1].push_back((now + *next, serial));
                }
            }
        }
    }

    fn answers(&mut self, caller: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Ok(length) = self.callers[caller].parts.socket.recv(buffer) else {
                return;
            };
            if let Some(text) = Text::scan(&buffer[..length]) {
                self.answered(caller, &text);
            }
        }
    }

    fn answered(&mut self, caller: usize, text: &Text<'_>) {
        let (Some(status), Some(via)) = (text.status(), text.header("Via", "v")) else {
            return;
        };
        let branch = parameter(via, "branch").unwrap_or_default();
        let serial = |prefix| u64::from_str_radix(branch.strip_prefix(prefix)?, 16).ok();
        if let Some(serial) = serial(BRANCHES[0]) {
            self.invite_answered(caller, serial, status, text);
        } else if let Some(serial) = serial(BRANCHES[1])
            && self.calls.remove(&serial).is_some()
        {
            self.outcome.completed += 1;
        }
    }

    fn invite_answered(&mut self, caller: usize, serial: u64, status: u16, text: &Text<'_>) {
        let now = Instant::now();
        let from = &mut self.callers[caller];
        if status >= 300 {
            // Also when it comes again: the ACK was lost then.
            from.acknowledge_refusal(serial, text);
        }
        let Some(call) = self.calls.get_mut(&serial) else {
            return;
        };
        match status {
            ..200 => call.state = State::Proceeding,
            200..300 if call.state == State::HangingUp => {}
            200..300 => {
                self.outcome.answers.push(now - call.dialled);
                call.state = State::HangingUp;
                call.bye = from.acknowledge_and_hang_up(serial, text);
                self.repetitions[0].push_back((now + REPETITIONS[0], serial));
            }
            401 | 407 if from.take_challenge(status, text) => {
                let dialled = call.dialled;
                self.calls.remove(&serial);
                self.serial += 1;
                let again = self.serial;
                self.invite(again, caller, now);
                if let Some(call) = self.calls.get_mut(&again) {
                    call.dialled = dialled;
                }
            }
            503 => {
                self.calls.remove(&serial);
                self.outcome.refused += 1;
            }
            _ => {
                self.calls.remove(&serial);
                self.outcome.failed += 1;
            }
        }
    }
}

impl Caller {
    fn new(parts: Parts, number: &str, server: SocketAddr) -> Self {
        let uri = format!("sip:{number}@{}:{}", server.ip(), server.port());
        let request = Request {
            method: "INVITE",
            uri: uri.clone(),
            from: format!("<sip:{}@{}>;tag={SERIAL}", parts.number, server.ip()),
            to: format!("<{uri}>"),
            call_id: SERIAL.to_owned(),
            cseq: 1,
            body: description(parts.local, Codec::Pcmu, None),
        };
        let challenge = parts.challenge.clone();
        let mut caller = Self {
            parts,
            request,
            credentials: None,
            text: String::new(),
            count: 0,
        };
        caller.prepare(challenge);
        caller
    }

    /// Writes the INVITE that all of this caller's are copies of.
    fn prepare(&mut self, challenge: Option<Challenge>) {
        let Parts {
            number, password, ..
        } = &self.parts;
        self.credentials = challenge
            .map(|challenge| challenge.prepare(number, password, "INVITE", &self.request.uri));
        let line = self.credentials.as_ref().map_or("", |it| it.line());
        let branch = format!("{}{SERIAL}", BRANCHES[0]);
        let contact = self.parts.contact();
        self.text = self
            .request
            .write(self.parts.local, &branch, &contact, line);
        self.count = 0;
    }

    fn send_invite(&self, serial: u64, count: u32) {
        let mut text = self.text.replace(SERIAL, &format!("{serial:016x}"));
        if let Some(credentials) = &self.credentials {
            credentials.fill(&mut text, count);
        }
        self.parts.send(&text);
    }

    /// True: a challenge that was not answered before.
    fn take_challenge(&mut self, status: u16, text: &Text<'_>) -> bool {
        let name = if status == 401 {
            "WWW-Authenticate"
        } else {
            "Proxy-Authenticate"
        };
        let mut lines = text.lines(name, name);
        let Some(challenge) = lines.find_map(|value| Challenge::take(status, value)) else {
            return false;
        };
        let known = self.credentials.as_ref().map(|it| it.nonce());
        if known != Some(challenge.nonce()) {
            self.prepare(Some(challenge));
        }
        true
    }

    fn of(&self, serial: u64) -> Request {
        let serial = format!("{serial:016x}");
        let mut request = self.request.clone();
        request.from = request.from.replace(SERIAL, &serial);
        request.call_id = serial;
        request
    }

    fn acknowledge_refusal(&self, serial: u64, text: &Text<'_>) {
        let (invite, branch) = (self.of(serial), format!("{}{serial:016x}", BRANCHES[0]));
        let to = text.header("To", "t").unwrap_or_default();
        let ack = acknowledgement(&invite, &branch, self.parts.local, to, &invite.uri);
        self.parts.send(&ack);
    }

    /// Gives the BYE that was sent.
    fn acknowledge_and_hang_up(&self, serial: u64, text: &Text<'_>) -> String {
        let mut request = self.of(serial);
        let to = text.header("To", "t").unwrap_or_default();
        let target = text.contact().unwrap_or(&request.uri).to_owned();
        let branch = format!("z9hG4bKa{serial:016x}");
        let ack = acknowledgement(&request, &branch, self.parts.local, to, &target);
        self.parts.send(&ack);
        request.method = "BYE";
        request.uri = target;
        request.to = to.to_owned();
        request.cseq = 2;
        request.body.clear();
        let branch = format!("{}{serial:016x}", BRANCHES[1]);
        let bye = request.write(self.parts.local, &branch, "", "");
        self.parts.send(&bye);
        bye
    }
}

impl Parts {
    fn send(&self, octets: &str) {
        // A full buffer is loss on the wire: the repetitions deal with it.
        let _ = self.socket.send(octets.as_bytes());
    }

    fn contact(&self) -> String {
        format!("Contact: <sip:{}@{}>\r\n", self.number, self.local)
    }

    /// Takes every call and every BYE, and keeps nothing.
    fn answer_all(&self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Ok(length) = self.socket.recv(buffer) else {
                return;
            };
            let Some(text) = Text::scan(&buffer[..length]) else {
                continue;
            };
            match text.method() {
                Some("INVITE") => {
                    let lines = repeated(&text, ";tag=taken");
                    let contact = self.contact();
                    self.send(&response("180 Ringing", &lines, &contact, ""));
                    let body = description(self.local, Codec::Pcmu, None);
                    self.send(&response("200 OK", &lines, &contact, &body));
                }
                Some("ACK") | None => {}
                Some(_) => self.send(&response("200 OK", &repeated(&text, ""), "", "")),
            }
        }
    }
}
