//! Requests as they come, in the order of RFC 3261 section 8.2; those outside dialogs are dealt with here.

use std::fmt::Display;
use std::time::Instant;

use super::leg::Leg;
use super::wire::{ALLOW, EXTENSIONS, Pending, RETRY_WHEN_FULL, capabilities, response_flow};
use super::{Account, Endpoint, Event, LegId, Status};
use crate::digest::{Verdict, knows_only_md5};
use crate::guard::{Admission, Stranger};
use crate::message::{Fault, Writer};
use crate::registrar::{Reach, Record, Refusal};
use crate::transaction::ServerKey;
use crate::uri::{SipUri, Uri};
use crate::{Flow, Header, Message, Method, Transport};

/// The port of a SIP URI without one (RFC 3261 section 19.1.2).
const DEFAULT_PORT: u16 = 5060;

/// What we make of a method.
enum Known {
    Implemented,
    /// 405: the method exists, but not here.
    NotAllowed,
    /// 501: nobody knows it.
    Unknown,
}

fn known(method: Method<'_>) -> Known {
    match method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Message
        | Method::Prack
        | Method::Refer
        | Method::Subscribe
        | Method::Update => Known::Implemented,
        Method::Notify | Method::Publish => Known::NotAllowed,
        Method::Other(_) => Known::Unknown,
    }
}

impl Endpoint {
    /// A request came.
    pub(super) fn request(&mut self, request: Message, flow: Flow, now: Instant) {
        let asks = request.method() != Some(Method::Ack);
        let admission = self.wire.guard.admit(flow.remote.ip(), asks, now);
        let is_known = || self.registrar.is_registered_over(flow) || self.is_peer(flow);
        if admission == Admission::FlowsOnly && !is_known() {
            return self.drop_unread(flow, now);
        }
        // On a stream such a message is read in whole.
        if request.repeats_too_much() {
            return;
        }
        if let Err(defect) = request.validate() {
            self.wire
                .refuse_malformed(&Fault::new(defect, request), flow);
            return;
        }
        self.learn_alias(&request, flow);
        let Some(method) = request.method() else {
            return;
        };
        let transaction = match method {
            // Sections 17.1.1.3 and 9.1: they carry the branch of their INVITE.
            Method::Ack | Method::Cancel => Method::Invite,
            Method::Invite
            | Method::Bye
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::Prack
            | Method::Publish
            | Method::Refer
            | Method::Subscribe
            | Method::Update
            | Method::Other(_) => method,
        };
        let Some(key) = self.wire.layer.server_key(&request, transaction, flow) else {
            return;
        };
        if method == Method::Ack {
            self.acknowledgement(key, &request, now);
        } else if method == Method::Cancel {
            self.cancellation(key, &request, flow, now);
        } else if !self.wire.layer.repeated(key, now) {
            self.new_request(
                &Pending {
                    key,
                    request: request.clone(),
                    flow,
                },
                method,
                now,
            );
        }
    }

    /// Drops a request of an address that is banned or asks too much, and has those that follow dropped where that is cheapest.
    fn drop_unread(&mut self, flow: Flow, now: Instant) {
        let Some((stranger, until)) = self.wire.guard.drop_unread(flow.remote, now) else {
            return;
        };
        let stranger = match stranger {
            // A peer's other ports are not its fault.
            Stranger::Address(_) if self.is_home_of_peer(flow.remote.ip()) => {
                Stranger::Port(flow.remote)
            }
            Stranger::Address(_) | Stranger::Port(_) => stranger,
        };
        // The port of a connection says nothing about the datagrams from there.
        if matches!(stranger, Stranger::Address(_)) || flow.transport == Transport::Udp {
            self.wire.layer.shut(stranger, until);
        }
    }

    /// A request that is no retransmission (RFC 3261 sections 8.2.1 and 8.2.2).
    fn new_request(&mut self, pending: &Pending, method: Method<'_>, now: Instant) {
        let Pending { key, request, flow } = pending;
        match known(method) {
            Known::Implemented => {}
            Known::NotAllowed => {
                return self.refuse(request, *flow, 405, &[(Header::Allow, &ALLOW)]);
            }
            Known::Unknown => {
                let more: [(Header, &dyn Display); 1] = [(Header::Allow, &ALLOW)];
                return self
                    .wire
                    .answer_statelessly(request, *flow, 501, &[], &more);
            }
        }
        // RFC 3891 section 3: only an INVITE takes the place of a dialog.
        if method != Method::Invite && request.header(Header::Replaces).is_some() {
            return self.refuse(request, *flow, 400, &[]);
        }
        if matches!(request.uri(), None | Some(Uri::Other(_))) {
            return self.refuse(request, *flow, 416, &[]);
        }
        // Section 26.2.2: `sips:` asks for TLS on each hop, and this was the last.
        let asks_for_tls = request
            .uri()
            .and_then(|uri| uri.sip().map(|uri| uri.secure));
        if asks_for_tls == Some(true) && !flow.transport.is_secure() {
            return self.refuse(request, *flow, 416, &[]);
        }
        // Section 8.2.2.3.
        let unknown = |option: &&str| !EXTENSIONS.contains(&&*option.to_ascii_lowercase());
        let required: Vec<&str> = request.tokens(Header::Require).filter(unknown).collect();
        if !required.is_empty() {
            let required = required.join(", ");
            return self.refuse(request, *flow, 420, &[(Header::Unsupported, &required)]);
        }
        // A registration is no dialog, whatever tag it carries.
        if method == Method::Register {
            return self.registration(*key, request, *flow, now);
        }
        if method == Method::Message {
            return self.message(pending, now);
        }
        if request.to().is_some_and(|to| to.tag().is_some()) {
            if method == Method::Subscribe && self.resubscription(pending, now) {
                return;
            }
            return self.request_in_dialog(pending, method, now);
        }
        match method {
            Method::Invite => self.invitation(pending, now),
            Method::Options => self.capabilities(request, *flow),
            // We call nobody for somebody whom we do not talk with (RFC 3515 section 5).
            Method::Refer => self.refuse(request, *flow, 403, &[]),
            Method::Subscribe => self.subscription(pending, now),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Register
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::Prack
            | Method::Publish
            | Method::Update
            // Sections 15.1.2 and 12.2.2: they live in dialogs only.
            | Method::Other(_) => self.refuse(request, *flow, 481, &[]),
        }
    }

    /// Refuses without state.
    pub(super) fn refuse(
        &mut self,
        request: &Message,
        flow: Flow,
        status: u16,
        headers: &[(Header, &dyn Display)],
    ) {
        self.wire
            .answer_statelessly(request, flow, status, headers, &[]);
    }

    /// 503 with Retry-After, without state: there is no room.
    pub(super) fn refuse_full(&mut self, request: &Message, flow: Flow) {
        self.refuse(
            request,
            flow,
            503,
            &[(Header::RetryAfter, &RETRY_WHEN_FULL.as_secs())],
        );
    }

    /// OPTIONS tells what an INVITE would meet (RFC 3261 section 11.2).
    pub(super) fn capabilities(&mut self, request: &Message, flow: Flow) {
        self.wire
            .answer_statelessly(request, flow, 200, &[], &capabilities());
    }

    /// Who sent this request? `None` once it has been challenged or refused, without state (RFC 3261 section 22.4).
    pub(super) fn authenticate(
        &mut self,
        request: &Message,
        flow: Flow,
        now: Instant,
    ) -> Option<Account> {
        let address = flow.remote.ip();
        let verdict = self.authenticator.check(
            request.credentials(Header::Authorization),
            request.method()?.as_str(),
            |uri| names_the_same(uri, request),
            address,
            now,
        );
        match verdict {
            Verdict::Authentic(account) => {
                if self.registrar.is_phone_of(&account, request, flow)
                    || self.wire.guard.may_try(&account, address, now)
                {
                    self.wire.guard.proved(&account, address, now);
                    return Some(account);
                }
                // Too many have guessed it: the right guess gets the answer of a wrong one.
                self.challenge(request, flow, false, now);
            }
            Verdict::Challenge { stale } => self.challenge(request, flow, stale, now),
            Verdict::Wrong(account) => {
                let ban = self.wire.guard.failed(account.as_ref(), address, now);
                self.challenge(request, flow, false, now);
                if let Some(ban) = ban {
                    self.wire.tell(Event::Banned(ban));
                }
            }
            Verdict::OtherUri => self.refuse(request, flow, 400, &[]),
        }
        None
    }

    /// 401, without state and without a word that is not needed: its receiver may never have asked.
    fn challenge(&mut self, request: &Message, flow: Flow, stale: bool, now: Instant) {
        let tag = request.stateless_tag();
        let mut writer = Writer::answer(request, Status(401), Some(tag.as_str()), flow.remote);
        let md5_only = knows_only_md5(request);
        let peer = flow.remote.ip();
        for challenge in self.authenticator.challenge(stale, md5_only, peer, now) {
            writer.header(Header::WwwAuthenticate, challenge);
        }
        self.wire
            .transmit_statelessly(request, flow, [writer.finish(None)].into_iter());
    }

    /// REGISTER (RFC 3261 section 10.3).
    fn registration(&mut self, key: ServerKey, request: &Message, flow: Flow, now: Instant) {
        // Step 5: the To is the address-of-record, which is a SIP URI with a user.
        let to = request
            .to()
            .and_then(|to| to.uri.sip().and_then(|_| to.uri.user()));
        let Some(user) = to else {
            return self.refuse(request, flow, 400, &[]);
        };
        if !self.wire.layer.has_room(false) {
            return self.refuse_full(request, flow);
        }
        let Some(account) = self.authenticate(request, flow, now) else {
            return;
        };
        // From here on with state: the nonce count is spent, a retransmission must find its answer.
        self.wire
            .layer
            .open(key, Method::Register, response_flow(request, flow), None);
        let pending = Pending {
            key,
            request: request.clone(),
            flow,
        };
        let tag = self.wire.draw();
        let refuse: &[(Header, &dyn Display)] = &[];
        // Step 4: nobody registers for another.
        if *user != *account.0 {
            return self.wire.respond(&pending, 403, tag.as_str(), refuse, now);
        }
        match self.registrar.register(&account, request, flow, now) {
            Ok(change) => {
                self.answer_with_bindings(&pending, &account, now);
                self.follow(&account, flow);
                self.tell_reach(change, now);
            }
            Err(Refusal::TooBrief) => {
                let least = self.registrar.least().as_secs();
                let header: (Header, &dyn Display) = (Header::MinExpires, &least);
                self.wire
                    .respond(&pending, 423, tag.as_str(), &[header], now);
            }
            Err(Refusal::Malformed) => self.wire.respond(&pending, 400, tag.as_str(), refuse, now),
            Err(Refusal::OutOfOrder) => self.wire.respond(&pending, 500, tag.as_str(), refuse, now),
            Err(Refusal::TooMany) => self.wire.respond(&pending, 403, tag.as_str(), refuse, now),
        }
    }

    /// A phone that registers over a new flow, and by no binding over the old one any more, is reached there in its calls, too:
    /// its connection broke, or its NAT gave it another port (RFC 5626 section 4.2.1: a flow that failed is replaced).
    fn follow(&mut self, account: &Account, flow: Flow) {
        let records = self.registrar.records(account);
        let stands = |old: Flow| records.iter().any(|record| record.flow() == old);
        if !stands(flow) {
            return;
        }
        let of_account = |(_, leg): &(&LegId, &mut Leg)| leg.account == *account;
        for (id, Leg { dialog, .. }) in self.legs.iter_mut().filter(of_account) {
            if from_same_host(dialog.flow, flow) && !stands(dialog.flow) {
                dialog.flow = flow;
                self.wire.layer.resend(*id, flow);
            }
        }
    }

    /// A connection closed. A phone that saw it break before us has registered over a new one, and is reached there in its calls.
    pub(super) fn leave(&mut self, closed: Flow) {
        let left = |leg: &&mut Leg| leg.dialog.flow == closed;
        for Leg {
            dialog, account, ..
        } in self.legs.values_mut().filter(left)
        {
            let records = self.registrar.records(account);
            let mut flows = records.iter().map(Record::flow);
            if let Some(flow) = flows.find(|flow| from_same_host(closed, *flow)) {
                dialog.flow = flow;
            }
        }
    }

    /// Step 8: the 200 lists every binding that stands now.
    fn answer_with_bindings(&mut self, pending: &Pending, account: &Account, now: Instant) {
        let tag = self.wire.draw();
        let Pending { key, request, flow } = pending;
        let mut writer = self
            .wire
            .answer(request, super::Status(200), Some(tag.as_str()), *flow);
        for record in self.registrar.records(account) {
            let left = record.seconds_left(now);
            writer.header(
                Header::Contact,
                format_args!("<{}>;expires={left}", record.contact()),
            );
        }
        self.wire
            .layer
            .respond(*key, super::Status(200), writer.finish(None), now);
    }

    /// Tells the owner who can be called now, and who no longer; and watchers which bindings there are.
    pub(super) fn tell_reach(&mut self, changes: impl IntoIterator<Item = Reach>, now: Instant) {
        while let Some(account) = self.registrar.take_changed() {
            self.bindings_changed(&account, now);
        }
        for Reach { account, reachable } in changes {
            self.wire.tell(Event::Reach { account, reachable });
        }
    }
}

/// Whether a digest-uri names what the Request-URI names: parameters may differ (RFC 3261 section 22.4, item 9).
/// A digest-uri without a user names our server, and so all that is dialled there: SIPp writes it for every request.
fn names_the_same(digest_uri: &str, request: &Message) -> bool {
    if request.request_uri() == Some(digest_uri) {
        return true;
    }
    let place = |uri: &SipUri<'_>| uri.port.unwrap_or(DEFAULT_PORT);
    match (Uri::parse(digest_uri), request.uri()) {
        (Ok(Uri::Sip(a)), Some(Uri::Sip(b))) => {
            (a.user == b.user || a.user.is_none())
                && a.host.equivalent(&b.host)
                && place(&a) == place(&b)
        }
        (_, _) => false,
    }
}

/// Whether two flows come from the same host by the same transport.
pub(super) fn from_same_host(one: Flow, other: Flow) -> bool {
    (one.transport, one.remote.ip()) == (other.transport, other.remote.ip())
}
