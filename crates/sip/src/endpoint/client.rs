//! Requests of ours outside dialogs (REGISTER, OPTIONS, MESSAGE), and our credentials wherever a peer asks for them
//! (RFC 3261 sections 8.1, 10.2, 22.2 and 22.3).

use std::time::Instant;

use bytes::Bytes;

use super::leg::{Outgoing, Progress, State};
use super::wire::Wire;
use super::{Account, Endpoint, Event, Status};
use crate::dialog::MAX_FORWARDS;
use crate::message::Writer;
use crate::token::Token;
use crate::transaction::{ClientKey, Failure, MAGIC_COOKIE, Purpose};
use crate::{Flow, Header, Message, Method, Transport};

/// Most requests outside dialogs that wait for their answers; a further one fails at once. A trunk has two, and what
/// phones make us send lasts 32 s at most.
const MAX_OUTSIDE: usize = 16_384;

/// How often one request is sent again with credentials: once for the peer, once for a proxy before it, once for a nonce
/// that went stale meanwhile.
const MAX_CHALLENGES: u8 = 3;

/// A request of ours outside dialogs; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A request of ours outside dialogs (RFC 3261 section 8.1.1).
#[derive(Clone, Debug)]
pub struct Request {
    /// REGISTER, OPTIONS, MESSAGE or the like; never INVITE, ACK or CANCEL.
    pub method: Method<'static>,
    /// The Request-URI.
    pub uri: String,
    /// Where it goes.
    pub flow: Flow,
    /// The value of From, without a tag.
    pub from: String,
    /// The value of To.
    pub to: String,
    /// The Call-ID and the CSeq number, where both go on from request to request (RFC 3261 section 10.2); none: a new Call-ID.
    pub thread: Option<(String, u32)>,
    /// Further header fields in order: Contact, Expires, ...
    pub headers: Vec<(Header, String)>,
    /// The body and its Content-Type.
    pub body: Option<(String, Bytes)>,
    /// Whose challenge gets our credentials: a peer of `set_peers`.
    pub peer: Option<Account>,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// Nobody answered for 64*T1: to be treated as 408 (RFC 3261 section 8.1.3.1).
    Timeout,
    /// The flow failed: to be treated as 503 (RFC 3261 section 8.1.3.1).
    FlowFailed,
    /// Too many requests wait already; it was not sent.
    NoRoom,
}

/// A request that was challenged, as it stood in its transaction.
#[derive(Clone, Debug)]
pub(crate) struct Challenged {
    pub(crate) request: Bytes,
    pub(crate) flow: Flow,
    /// How often it was sent with other credentials before.
    pub(crate) challenges: u8,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    cseq: u32,
    peer: Option<Account>,
}

impl Endpoint {
    /// Sends a request outside dialogs; `Event::Replied` tells how it ended. A challenge is answered meanwhile.
    pub fn send_request(&mut self, request: Request, now: Instant) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        let (call_id, cseq) = match request.thread {
            Some((call_id, cseq)) => (call_id, cseq),
            None => (self.wire.draw().to_string(), 1),
        };
        if self.waiting.len() >= MAX_OUTSIDE {
            let reply = Err(NoReply::NoRoom);
            self.wire.tell(Event::Replied {
                request: id,
                cseq,
                reply,
            });
            return id;
        }
        let (branch, tag) = (self.wire.draw(), self.wire.draw());
        let mut writer = Writer::request(request.method, &request.uri);
        self.wire.write_via(&mut writer, request.flow, branch);
        writer.header(Header::MaxForwards, MAX_FORWARDS);
        writer.header(Header::From, format_args!("{};tag={tag}", request.from));
        writer.header(Header::To, &request.to);
        writer.header(Header::CallId, &call_id);
        writer.header(Header::CSeq, format_args!("{cseq} {}", request.method));
        for (header, value) in &request.headers {
            writer.header(*header, value);
        }
        writer.header(Header::UserAgent, &self.wire.product);
        let body = request.body.as_ref();
        let octets = writer.finish(body.map(|(kind, body)| (kind.as_str(), &body[..])));
        let key = ClientKey {
            branch,
            cancel: false,
        };
        let peer = request.peer;
        self.waiting.insert(id, Waiting { cseq, peer });
        let purpose = Purpose::Outside {
            request: id,
            method: request.method,
        };
        self.wire
            .layer
            .request(key, octets, request.flow, purpose, now);
        self.drop_stale_timers();
        id
    }

    /// A final answer to a request outside dialogs.
    pub(super) fn replied(&mut self, id: RequestId, response: &Message) {
        if let Some(Waiting { cseq, .. }) = self.waiting.remove(&id) {
            self.wire.tell(Event::Replied {
                request: id,
                cseq,
                reply: Ok(Box::new(response.clone())),
            });
        }
    }

    /// A request outside dialogs got no answer.
    pub(super) fn never_replied(&mut self, id: RequestId, failure: Failure) {
        if let Some(Waiting { cseq, .. }) = self.waiting.remove(&id) {
            let reply = Err(match failure {
                Failure::Timeout => NoReply::Timeout,
                Failure::Transport => NoReply::FlowFailed,
            });
            self.wire.tell(Event::Replied {
                request: id,
                cseq,
                reply,
            });
        }
    }

    /// Answers a challenge: sends the same request again with credentials (RFC 3261 sections 22.2 and 22.3).
    /// `false` if it is not ours to answer; the refusal counts then.
    pub(super) fn answer_challenge(
        &mut self,
        purpose: Purpose,
        challenged: &Challenged,
        response: &Message,
        now: Instant,
    ) -> bool {
        let (ask, show) = match response.status() {
            Some(Status(401)) => (Header::WwwAuthenticate, Header::Authorization),
            Some(Status(407)) => (Header::ProxyAuthenticate, Header::ProxyAuthorization),
            Some(_) | None => return false,
        };
        let Ok(request) = Message::parse(challenged.request.clone()) else {
            return false;
        };
        let Some(cseq) = self.wanted_still(purpose, challenged) else {
            return false;
        };
        let cnonce = self.wire.draw();
        let answer = self.asked_by(purpose).and_then(|peer| {
            // Never to a stranger: what another address asks for is refused, whatever realm it names.
            let ring = peer.ring(challenged.flow.remote)?;
            ring.answer(
                response.values(ask),
                request.header(show).is_some(),
                purpose.method().as_str(),
                request.request_uri()?,
                cnonce,
            )
        });
        let Some(answer) = answer else { return false };
        let branch = self.wire.draw();
        let octets = self
            .wire
            .again(&request, challenged.flow, branch, cseq, (show, &answer));
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.sent_again(purpose, branch, cseq);
        self.wire
            .layer
            .request(key, octets, challenged.flow, purpose, now);
        if let Some(client) = self.wire.layer.client(key) {
            client.challenges = challenged.challenges + 1;
        }
        true
    }

    /// The peer that a request was for.
    fn asked_by(&mut self, purpose: Purpose) -> Option<&mut super::peers::Known> {
        let account = match purpose {
            Purpose::Outside { request, .. } => self.waiting.get(&request)?.peer.as_ref()?,
            Purpose::Invite(leg)
            | Purpose::Reoffer(leg)
            | Purpose::Bye(leg)
            | Purpose::Update(leg)
            | Purpose::Prack(leg)
            | Purpose::Refresh(leg)
            | Purpose::Ask(leg, ..) => &self.legs.get(&leg)?.account,
            // The latter two go to phones, which get no credentials of ours.
            Purpose::Cancel | Purpose::Discard | Purpose::Notify(_) | Purpose::Message(_) => {
                return None;
            }
        };
        self.peers.get_mut(account)
    }

    /// The CSeq number of the request when it is sent once more (RFC 3261 section 22.2: the next one); none if it shall not be.
    fn wanted_still(&self, purpose: Purpose, challenged: &Challenged) -> Option<u32> {
        if challenged.challenges >= MAX_CHALLENGES {
            return None;
        }
        match purpose {
            Purpose::Outside { request, .. } => Some(self.waiting.get(&request)?.cseq + 1),
            Purpose::Invite(leg) => {
                let leg = self.legs.get(&leg)?;
                let wanted = match &leg.state {
                    State::Outgoing(Outgoing { progress, .. }) => match progress {
                        Progress::Calling | Progress::Proceeding => true,
                        // It was to be cancelled: a refusal of any kind is as good.
                        Progress::CancelHeld(_) | Progress::Cancelled { .. } => false,
                    },
                    State::Incoming(_)
                    | State::Standing(_)
                    | State::Leaving { .. }
                    | State::Left => false,
                };
                wanted.then(|| leg.dialog.last_cseq() + 1)
            }
            Purpose::Reoffer(leg)
            | Purpose::Bye(leg)
            | Purpose::Update(leg)
            | Purpose::Prack(leg)
            | Purpose::Refresh(leg)
            | Purpose::Ask(leg, ..) => Some(self.legs.get(&leg)?.dialog.last_cseq() + 1),
            Purpose::Cancel | Purpose::Discard | Purpose::Notify(_) | Purpose::Message(_) => None,
        }
    }

    /// Notes the number, and for the CANCEL of an INVITE the branch, of a request that leaves once more.
    fn sent_again(&mut self, purpose: Purpose, branch: Token, cseq: u32) {
        match purpose {
            Purpose::Outside { request, .. } => {
                if let Some(waiting) = self.waiting.get_mut(&request) {
                    waiting.cseq = cseq;
                }
            }
            Purpose::Invite(leg)
            | Purpose::Reoffer(leg)
            | Purpose::Bye(leg)
            | Purpose::Update(leg)
            | Purpose::Prack(leg)
            | Purpose::Refresh(leg)
            | Purpose::Ask(leg, ..) => {
                let Some(leg) = self.legs.get_mut(&leg) else {
                    return;
                };
                leg.dialog.next_cseq();
                if let Purpose::Reoffer(_) = purpose {
                    leg.offers.reinvite = Some(branch);
                }
                if let (Purpose::Invite(_), State::Outgoing(outgoing)) = (purpose, &mut leg.state) {
                    outgoing.branch = branch;
                    outgoing.progress = Progress::Calling;
                }
            }
            Purpose::Cancel | Purpose::Discard | Purpose::Notify(_) | Purpose::Message(_) => {}
        }
    }
}

impl Wire {
    /// The same request as a new transaction (RFC 3261 section 22.2): another branch, the next CSeq, the credentials.
    fn again(
        &self,
        request: &Message,
        flow: Flow,
        branch: Token,
        cseq: u32,
        credentials: (Header, &str),
    ) -> Bytes {
        let (Some(method), Some(uri)) = (request.method(), request.request_uri()) else {
            return Bytes::new();
        };
        let mut writer = Writer::request(method, uri);
        self.write_via(&mut writer, flow, branch);
        let mut kind = None;
        for (header, name, value) in request.headers() {
            // The Via and the length are written anew, credentials that were refused are left out.
            if [Header::Via, Header::ContentLength, credentials.0].contains(&header) {
                continue;
            }
            if header == Header::ContentType {
                kind = Some(value);
            } else if header == Header::CSeq {
                writer.header(header, format_args!("{cseq} {method}"));
            } else if header == Header::Other {
                writer.other(name, value);
            } else {
                writer.header(header, value);
            }
        }
        writer.header(credentials.0, credentials.1);
        let body = request.body();
        writer.finish(kind.map(|kind| (kind, &body[..])))
    }

    /// On a connection the peer may send its own requests back over it (RFC 5923 section 8.1).
    fn write_via(&self, writer: &mut Writer, flow: Flow, branch: Token) {
        let (transport, ours) = (flow.transport.via(), self.nat.signalling(flow));
        let alias = match flow.transport {
            Transport::Tcp | Transport::Tls => ";alias",
            Transport::Udp | Transport::Ws | Transport::Wss => "",
        };
        writer.header(
            Header::Via,
            format_args!("SIP/2.0/{transport} {ours};rport{alias};branch={MAGIC_COOKIE}{branch}"),
        );
    }
}
