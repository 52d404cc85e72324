//! What every part of the endpoint writes and sends with.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::incoming::description;
use super::session_timer::{SessionTimer, Wish};
use super::{Event, LegId, Reason, Status};
use crate::dialog::Dialog;
use crate::guard::Guard;
use crate::message::{Fault, Quoted, Writer};
use crate::nat::Nat;
use crate::package::ALLOW_EVENTS;
use crate::sdp::Objection;
use crate::token::{Token, Tokens};
use crate::transaction::{self, ClientKey, Layer, Purpose, ServerKey};
use crate::{Flow, Header, Message, Method, Transport};

/// The methods that we know what to do with (RFC 3261 section 20.5).
pub(super) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK, REFER, MESSAGE, SUBSCRIBE";

/// The extensions that we know what to do with (RFC 3261 section 20.37).
pub(super) const SUPPORTED: &str = "100rel, timer, replaces, norefersub";

/// The same one by one.
pub(super) const EXTENSIONS: [&str; 4] = ["100rel", "timer", "replaces", "norefersub"];

/// The only kind of session description.
pub(super) const SDP: &str = "application/sdp";

/// What we can do, as OPTIONS asks for it (RFC 3261 section 11.2, RFC 6665 section 4.4.4).
pub(super) fn capabilities() -> [(Header, &'static dyn Display); 6] {
    [
        (Header::Allow, &ALLOW),
        (Header::AllowEvents, &ALLOW_EVENTS),
        (Header::Accept, &SDP),
        (Header::AcceptEncoding, &"identity"),
        (Header::AcceptLanguage, &"en"),
        (Header::Supported, &SUPPORTED),
    ]
}

/// How long a peer waits before it asks again when a table is full: a moment, as calls end all the time.
pub(super) const RETRY_WHEN_FULL: Duration = Duration::from_secs(5);

/// A request that waits for our answer.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) key: ServerKey,
    pub(super) request: Message,
    /// Where it came from.
    pub(super) flow: Flow,
}

/// Writer, transaction layer, and the guard of what leaves without a transaction.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) layer: Layer,
    pub(super) guard: Guard,
    pub(super) tokens: Tokens,
    pub(super) product: Arc<str>,
    pub(super) nat: Arc<Nat>,
}

impl Wire {
    /// Tells the owner.
    pub(super) fn tell(&mut self, event: Event) {
        self.layer.tell(event);
    }

    /// Refuses a request that does not follow the grammar (RFC 3261 section 21.4.1).
    pub(super) fn refuse_malformed(&mut self, fault: &Fault, flow: Flow) {
        if let Some(request) = &fault.request {
            self.transmit_statelessly(request, flow, fault.answers(flow.remote));
        }
    }

    /// Begins a response with Server, the peer's request having come over `flow`.
    pub(super) fn answer(
        &self,
        request: &Message,
        status: Status,
        tag: Option<&str>,
        flow: Flow,
    ) -> Writer {
        let mut writer = Writer::answer(request, status, tag, flow.remote);
        writer.header(Header::Server, &self.product);
        writer
    }

    /// Answers without any state (RFC 3261 section 8.2.7): the same answer again to the same request. `more` need not be said, and
    /// is not if the answer would be too long with it.
    pub(super) fn answer_statelessly(
        &mut self,
        request: &Message,
        flow: Flow,
        status: u16,
        headers: &[(Header, &dyn Display)],
        more: &[(Header, &dyn Display)],
    ) {
        let tag = request.stateless_tag();
        let product = Arc::clone(&self.product);
        let answers = [true, false].into_iter().map(|long| {
            let mut writer =
                Writer::answer(request, Status(status), Some(tag.as_str()), flow.remote);
            if long {
                writer.header(Header::Server, &product);
            }
            for (header, value) in headers.iter().chain(more.iter().filter(|_| long)) {
                writer.header(*header, value);
            }
            writer.finish(None)
        });
        self.transmit_statelessly(request, flow, answers);
    }

    /// Sends the first of these answers, for which there is no state, that does not make us a cannon: over UDP nobody knows
    /// who asked.
    pub(super) fn transmit_statelessly(
        &mut self,
        request: &Message,
        flow: Flow,
        mut answers: impl Iterator<Item = Bytes>,
    ) {
        let (address, asked) = (flow.remote.ip(), request.octets().len());
        let answer = match flow.transport {
            Transport::Udp => self.guard.fair_answer(address, asked, answers),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => answers.next(),
        };
        if let Some(answer) = answer {
            self.layer.transmit(response_flow(request, flow), answer);
        }
    }

    /// Answers a request in its server transaction, without a body.
    pub(super) fn respond(
        &mut self,
        pending: &Pending,
        status: u16,
        tag: &str,
        headers: &[(Header, &dyn Display)],
        now: Instant,
    ) {
        let Pending { key, request, flow } = pending;
        let mut writer = self.answer(request, Status(status), Some(tag), *flow);
        for (header, value) in headers {
            writer.header(*header, value);
        }
        // RFC 3261 section 21.4.26: it should say why.
        let offer = description(request).filter(|_| status == 488);
        if let Some(objection) = offer.and_then(|offer| Objection::to(&offer)) {
            writer.header(Header::Warning, objection);
        }
        self.layer
            .respond(*key, Status(status), writer.finish(None), now);
    }

    /// Answers 200 to an INVITE or UPDATE; gives the octets, which are to be repeated until the ACK.
    pub(super) fn accept(
        &mut self,
        pending: &Pending,
        dialog: &Dialog,
        description: Option<&[u8]>,
        timer: Option<&SessionTimer>,
        now: Instant,
    ) -> Bytes {
        let Pending { key, request, flow } = pending;
        let mut writer = self.answer(request, Status(200), Some(dialog.local_tag.as_str()), *flow);
        writer.header(Header::Contact, dialog.contact());
        writer.header(Header::Allow, ALLOW);
        writer.header(Header::Supported, SUPPORTED);
        if let Some(timer) = timer {
            timer.write(&mut writer);
        }
        let octets = writer.finish(description.map(|octets| (SDP, octets)));
        self.layer.respond(*key, Status(200), octets.clone(), now);
        octets
    }

    /// A branch that nobody can guess.
    pub(super) fn draw(&mut self) -> Token {
        self.tokens.draw()
    }

    /// Sends an INVITE of ours, in a dialog or for one; gives its branch.
    pub(super) fn invite(
        &mut self,
        dialog: &Dialog,
        cseq: u32,
        offer: &[u8],
        wish: Option<Wish>,
        purpose: Purpose,
        now: Instant,
    ) -> Token {
        let branch = self.draw();
        let mut writer = dialog.request(Method::Invite, cseq, branch);
        writer.header(Header::Contact, dialog.contact());
        writer.header(Header::Allow, ALLOW);
        writer.header(Header::Supported, SUPPORTED);
        if let Some(wish) = wish {
            wish.write(&mut writer);
        }
        writer.header(Header::Accept, SDP);
        for (header, value) in dialog.opening() {
            writer.header(*header, value);
        }
        writer.header(Header::UserAgent, &self.product);
        let octets = writer.finish(Some((SDP, offer)));
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.layer.request(key, octets, dialog.flow, purpose, now);
        branch
    }

    /// Sends CANCEL for an INVITE of ours (RFC 3261 section 9.1).
    pub(super) fn cancel(&mut self, branch: Token, reason: Option<&Reason>, now: Instant) {
        let Some(invite) = self.layer.client(ClientKey {
            branch,
            cancel: false,
        }) else {
            return;
        };
        let flow = invite.flow;
        let Some(mut writer) = transaction::cancel(&invite.request) else {
            return;
        };
        write_reason(&mut writer, reason);
        let key = ClientKey {
            branch,
            cancel: true,
        };
        self.layer
            .request(key, writer.finish(None), flow, Purpose::Cancel, now);
    }

    /// Acknowledges a 2xx to an INVITE of ours, now and whenever it comes again (RFC 3261 section 13.2.2.4).
    /// `false` if this INVITE has more answers than we deal with; nothing is sent then.
    pub(super) fn acknowledge(
        &mut self,
        invite: ClientKey,
        dialog: &Dialog,
        cseq: u32,
        tag: &str,
    ) -> bool {
        let branch = self.draw();
        let mut writer = dialog.request(Method::Ack, cseq, branch);
        writer.header(Header::UserAgent, &self.product);
        let ack = writer.finish(None);
        let client = self.layer.client(invite);
        let kept = client.is_some_and(|client| client.keep_ack(tag, ack.clone()));
        if kept {
            self.layer.transmit(dialog.flow, ack);
        }
        kept
    }

    /// Sends BYE (RFC 3261 section 15.1.1).
    pub(super) fn bye(
        &mut self,
        dialog: &mut Dialog,
        reason: Option<&Reason>,
        purpose: Purpose,
        now: Instant,
    ) {
        let branch = self.draw();
        let cseq = dialog.next_cseq();
        let mut writer = dialog.request(Method::Bye, cseq, branch);
        write_reason(&mut writer, reason);
        writer.header(Header::UserAgent, &self.product);
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.layer
            .request(key, writer.finish(None), dialog.flow, purpose, now);
    }

    /// Wakes a leg.
    pub(super) fn wake(&mut self, leg: LegId, at: Instant) {
        self.layer.timers.set(at, crate::timers::Target::Leg(leg));
    }
}

/// Where responses to a request go (RFC 3261 section 18.2.2): the same connection, or
/// over UDP the source address and the port that the Via says (RFC 3581).
pub(super) fn response_flow(request: &Message, flow: Flow) -> Flow {
    match flow.transport {
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => flow,
        Transport::Udp => Flow {
            remote: request.response_address(flow.remote),
            ..flow
        },
    }
}

fn write_reason(writer: &mut Writer, reason: Option<&Reason>) {
    if let Some(Reason {
        protocol,
        cause,
        text,
    }) = reason
    {
        writer.header(
            Header::Reason,
            format_args!("{protocol};cause={cause};text={}", Quoted(text)),
        );
    }
}
