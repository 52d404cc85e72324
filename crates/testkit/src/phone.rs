//! A scripted desk phone: one line, plain RFC 3261, no opinion of its own beyond its `Behaviour`.

mod access;
mod audio;
mod formats;
mod line;
mod reliable;
mod requests;
mod responses;
mod transactions;
mod user;
mod watching;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::g711::Law;
use rsip::SipMessage;
use sip::Flow;

use crate::wire::{self, Challenge};
pub use access::Access;
pub(crate) use line::Line;
use transactions::Transactions;

/// Where phones hear over IPv6 whose signalling is over IPv4: 2001:db8:2::/96, and their IPv4 address.
const SOUND6: u128 = 0x2001_0db8_0002 << 80;

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

/// A session description of the phone: who may send, seen from the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// `sendrecv`, `sendonly`, ... in the codecs as they are.
    Direction(&'static str),
    /// This codec and no other, `sendrecv`.
    Codec(Law),
    /// An unknown codec only: cannot be agreed on.
    Unknown,
    /// No session description: the switch is to offer, the ACK answers with this direction.
    Late(&'static str),
}

/// See the module.
#[derive(Debug)]
pub struct Phone {
    /// Its name in ladders, Call-IDs and tags.
    pub name: String,
    /// The account it registers and calls with.
    pub account: String,
    /// How it reaches the switch.
    pub access: Access,
    /// Its Contact: where it is called.
    pub contact: SocketAddr,
    /// Where its messages come from now: over TCP the port changes with each connection.
    pub source: SocketAddr,
    /// What it does with an INVITE.
    pub behaviour: Behaviour,
    /// `sip`, or `sips` for calls that must stay encrypted.
    pub scheme: &'static str,
    /// The codec it offers first.
    pub codec: Law,
    /// The payload types that it has in the place of both forms of G.711, the best first; empty: those two. 13 is comfort noise, 111 Opus.
    pub formats: &'static [u8],
    /// The last packet of sound that it got: its payload type and its payload.
    pub got: Option<(u8, Vec<u8>)>,
    /// The direction of its answer to an INVITE: `sendrecv`, or `sendonly` of one who answers on hold.
    pub answers: &'static str,
    /// The tone it speaks, in Hz; none: it sends silence.
    pub speaks: Option<f64>,
    /// It sends no RTP at all.
    pub mute: bool,
    /// All that it heard since the test cleared it, 8 kHz.
    pub heard: Vec<i16>,
    /// The keys that it was told (RFC 4733).
    pub keys: String,
    /// The last final status to its own INVITE, re-INVITE or REGISTER.
    pub last_status: Option<u16>,
    /// The Retry-After of that answer.
    pub retry_after: Option<String>,
    /// It answers at all; a dead phone does not.
    pub alive: bool,
    /// Max-Forwards of its INVITE.
    pub max_forwards: u8,
    /// Max-Breadth of its INVITE (RFC 5393).
    pub max_breadth: Option<u8>,
    /// P-Asserted-Identity of its INVITE (RFC 3325).
    pub asserts: Option<String>,
    /// It sends its INVITE without a session description.
    pub late_offer: bool,
    /// It acknowledges a 2xx; one behind a broken NAT never does.
    pub acknowledges: bool,
    /// It answers the offer of a late one in its ACK; a broken one sends no session description at all.
    pub late_answer: bool,
    /// It knows no codec that anybody else knows.
    pub speaks_unknown_codecs: bool,
    /// A session description that nobody asked for in each ACK of a 2xx: its direction.
    pub ack_describes: Option<&'static str>,
    /// It takes provisional answers reliably, and gives them so (RFC 3262).
    pub reliable: bool,
    /// It rings with 183 and a session description, and speaks at once.
    pub early_media: bool,
    /// The Session-Expires (RFC 4028) of its INVITE and of its 200; it never refreshes a session itself.
    pub session_expires: Option<&'static str>,
    /// The Reason (RFC 3326) of its BYE and CANCEL.
    pub gives_reason: Option<&'static str>,
    /// The Reason of the last BYE or CANCEL that came.
    pub got_reason: Option<String>,
    /// It allows UPDATE (RFC 3311).
    pub allows_update: bool,
    /// The Route of the INVITEs that begin its calls: its outbound proxy.
    pub route: Option<String>,
    /// It answers the last challenge again, unasked, as most phones do.
    pub remembers_nonce: bool,
    /// It has the wrong password.
    pub mistypes_password: bool,
    /// It asks who calls it for a password in this realm (407), as trunks do, and takes any.
    pub challenges: Option<&'static str>,
    /// The Contacts of the last answer to its REGISTER.
    pub bindings: Vec<String>,
    /// The Contact of its 3xx answers: where it sends its callers.
    pub forwards: String,
    /// The Retry-After of its refusals.
    pub asks_for_pause: Option<u32>,
    /// The dialog that its next calls take the place of (RFC 3891).
    pub replaces: Option<String>,
    /// The answer to its REFER.
    pub refer_status: Option<u16>,
    /// What NOTIFY told it of its REFER: `SIP/2.0 100 Trying (active)`.
    pub reports: Vec<String>,
    /// Referred-By of the last call that it got.
    pub referred_by: Option<String>,
    /// INVITEs that it refused because it was in a call.
    pub refused_for_busy: usize,
    /// The documents that it was told about what it watches, in order, with their Subscription-State.
    pub notified: Vec<(String, String)>,
    /// Its calls ask for privacy (RFC 3323).
    pub private: bool,
    /// The last session description that it got.
    pub told: String,
    /// Its current call.
    pub(crate) line: Option<Line>,
    /// The call that it hung up last: a BYE that crosses its own is still answered.
    left: Option<String>,
    lamps: Vec<watching::Lamp>,
    server: SocketAddr,
    counter: u32,
    registering: Option<Registering>,
    challenge: Option<Challenge>,
    transactions: Transactions,
    act_at: Option<(Instant, Option<u16>)>,
    voice: Vec<i16>,
}

/// A REGISTER that waits for its answer.
#[derive(Debug)]
struct Registering {
    contact: String,
    expires: u32,
    challenged: bool,
}

impl Phone {
    /// A phone for `account` at `contact` whose server is at `server`.
    #[must_use]
    pub fn new(
        name: &str,
        account: &str,
        access: Access,
        contact: SocketAddr,
        server: SocketAddr,
    ) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            access,
            contact,
            source: contact,
            behaviour: Behaviour::Ring,
            scheme: "sip",
            codec: Law::A,
            formats: &[],
            got: None,
            answers: "sendrecv",
            speaks: None,
            mute: false,
            heard: Vec::new(),
            keys: String::new(),
            last_status: None,
            retry_after: None,
            alive: true,
            max_forwards: 70,
            max_breadth: None,
            asserts: None,
            late_offer: false,
            acknowledges: true,
            late_answer: true,
            speaks_unknown_codecs: false,
            ack_describes: None,
            reliable: false,
            early_media: false,
            session_expires: None,
            told: String::new(),
            gives_reason: None,
            got_reason: None,
            allows_update: false,
            route: None,
            remembers_nonce: false,
            mistypes_password: false,
            challenges: None,
            bindings: Vec::new(),
            forwards: String::new(),
            asks_for_pause: None,
            replaces: None,
            refer_status: None,
            reports: Vec::new(),
            referred_by: None,
            refused_for_busy: 0,
            notified: Vec::new(),
            private: false,
            left: None,
            lamps: Vec::new(),
            line: None,
            server,
            counter: 0,
            registering: None,
            challenge: None,
            transactions: Transactions::new(access.transport),
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

    /// The Call-ID of its current call.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.line.as_ref().map(|line| line.call_id.as_str())
    }

    /// A header field of the INVITE that it got last, if that made its current call.
    #[must_use]
    pub fn invited_with(&self, name: &str) -> Option<&str> {
        let invite = self.line.as_ref()?.invite.as_ref()?;
        wire::value(invite, name)
    }

    /// Where its RTP arrives.
    #[must_use]
    pub fn rtp(&self) -> SocketAddr {
        let ip = match (self.contact.ip(), self.access.sound_ipv6) {
            (IpAddr::V4(ip), true) => Ipv6Addr::from_bits(SOUND6 | u128::from(ip.to_bits())).into(),
            (IpAddr::V6(ip), false) => {
                let [.., high, low] = ip.octets();
                Ipv4Addr::new(10, 64, high, low).into()
            }
            (ip, _) => ip,
        };
        SocketAddr::new(ip, 4_000)
    }

    /// The flow of its messages, as the switch sees it.
    pub(crate) fn flow(&self) -> Flow {
        Flow {
            transport: self.access.transport,
            local: self.server,
            remote: self.source,
        }
    }

    // --- time ----------------------------------------------------------------------------------------------------

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [
            self.transactions.poll_timeout(),
            self.act_at.map(|(at, _)| at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for key in self.transactions.handle_timeout(now) {
            self.given_up(&key, now);
        }
        if let Some((at, status)) = self.act_at
            && at <= now
        {
            self.act_at = None;
            match status {
                None if self.state() == PhoneState::Ringing => self.answer(now),
                Some(status) if self.state() == PhoneState::Ringing => self.refuse(status, now),
                None | Some(_) => {}
            }
        }
    }

    /// Nothing was answered for 64*T1.
    fn given_up(&mut self, key: &wire::Key, now: Instant) {
        if key.method == "REGISTER" {
            self.registering = None;
            self.last_status = Some(408);
        }
        if self.call_id() != Some(key.call_id.as_str()) {
            return;
        }
        match (key.method.as_str(), self.state()) {
            // A 2xx without its ACK: RFC 3261 section 13.3.1.4.
            ("ACK", PhoneState::Talking) => self.hang_up(now),
            ("INVITE", PhoneState::Dialling) | ("CANCEL", _) => {
                self.last_status = Some(408);
                self.line = None;
            }
            (_, _) => {}
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        // What a dead phone wants to say is never heard.
        while let Some(octets) = self.transactions.poll_transmit() {
            if self.alive {
                return Some(octets);
            }
        }
        None
    }

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
}

/// An address as the host of a URI.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
