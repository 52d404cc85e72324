//! One dialog (RFC 3261 section 12): what its requests carry, and whose requests belong to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::header::NameAddr;
use crate::identity::{ANONYMOUS_NAME, ANONYMOUS_URI};
use crate::message::{Quoted, Writer};
use crate::nat::Nat;
use crate::token::Token;
use crate::transaction::MAGIC_COOKIE;
use crate::uri::{Host, Uri, escape_user};
use crate::{Flow, Header, Message, Method, Transport};

/// Hops that a request of ours may take (RFC 3261 section 8.1.1.6).
pub(crate) const MAX_FORWARDS: u8 = 70;

/// Most entries of a route set that are kept; a peer behind more proxies is refused.
/// Real ways have one to three proxies; the loop limit of Max-Forwards is 70.
const MAX_ROUTES: usize = 16;

/// The port of a SIP URI without one (RFC 3261 section 19.1.2) ...
const SIP_PORT: u16 = 5060;

/// ... and over TLS.
const SIPS_PORT: u16 = 5061;

/// The first CSeq of our requests: any number below 2^31 would do (RFC 3261 section 8.1.1.5).
const FIRST_CSEQ: u32 = 1;

/// The state of a dialog (RFC 3261 section 12).
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    /// Where its requests go: where the last one came from.
    pub(crate) flow: Flow,
    /// What the peer sees of our addresses, as it was when the dialog began.
    nat: Arc<Nat>,
    pub(crate) call_id: Box<str>,
    pub(crate) local_tag: Token,
    /// From of our requests, with our tag.
    local: Box<str>,
    /// To of our requests, with the peer's tag once it is known.
    remote: Box<str>,
    remote_tag: Option<Box<str>>,
    /// The user part of our Contact.
    user: Box<str>,
    /// Whether our Contact is a `sips:` URI.
    secure: bool,
    /// The remote target: the Request-URI of our requests.
    target: Box<str>,
    /// The Route values of our requests, in order.
    routes: Vec<Box<str>>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    /// Whether a 2xx made it: before, forks are not told apart.
    confirmed: bool,
    /// Hops that its requests may take: of the INVITE what the call has left, of later ones all (RFC 3261 section 8.1.1.6).
    max_forwards: u8,
    /// Whether we made the Call-ID: decides who waits longer after 491 (RFC 3261 section 14.1).
    pub(crate) ours: bool,
    /// The fields of the INVITE that makes it and of no later request.
    opening: Vec<(Header, Box<str>)>,
}

/// Whom an INVITE of ours calls, and for whom.
pub(crate) struct Parties<'a> {
    /// The Contact that the phone registered.
    pub(crate) contact: &'a str,
    /// The user part of the called address-of-record.
    pub(crate) called: &'a str,
    /// Its host; none: ours.
    pub(crate) called_host: Option<&'a str>,
    /// The user part of the caller; empty if it has none.
    pub(crate) caller: &'a str,
    /// Its host; none: ours.
    pub(crate) caller_host: Option<&'a str>,
    /// The user part of our Contact; none: the caller's.
    pub(crate) line: Option<&'a str>,
    /// The caller's display name.
    pub(crate) display: Option<&'a str>,
    /// The called phone is not to see who calls (RFC 3323).
    pub(crate) private: bool,
    /// Hops that the INVITE may take.
    pub(crate) max_forwards: u8,
    /// The fields that the INVITE has and no later request of the dialog.
    pub(crate) opening: Vec<(Header, Box<str>)>,
}

impl Parties<'_> {
    /// The user part of our Contact.
    fn contact_user(&self) -> &str {
        match self.line {
            Some(line) => line,
            None if self.private => "",
            None => self.caller,
        }
    }

    /// From without a tag; `ours` is our host.
    fn from(&self, ours: &str) -> String {
        if self.private {
            return format!("{} <{ANONYMOUS_URI}>", Quoted(ANONYMOUS_NAME));
        }
        let host = self.caller_host.unwrap_or(ours);
        let display = self
            .display
            .map(|name| format!("{} ", Quoted(name)))
            .unwrap_or_default();
        let caller = if self.caller.is_empty() {
            String::new()
        } else {
            format!("{}@", escape_user(self.caller))
        };
        format!("{display}<sip:{caller}{host}>")
    }
}

impl Dialog {
    /// The dialog that an INVITE of a peer asks for (RFC 3261 section 12.1.1). `None` if it has no Contact to answer to.
    pub(crate) fn incoming(
        invite: &Message,
        local_tag: Token,
        flow: Flow,
        nat: &Arc<Nat>,
    ) -> Option<Self> {
        let from = invite.from()?;
        let routes: Vec<Box<str>> = invite.list(Header::RecordRoute).map(Box::from).collect();
        if routes.len() > MAX_ROUTES {
            return None;
        }
        Some(Self {
            flow,
            nat: Arc::clone(nat),
            call_id: invite.call_id()?.into(),
            local_tag,
            local: format!("{};tag={local_tag}", invite.header(Header::To)?).into(),
            remote: invite.header(Header::From)?.into(),
            remote_tag: from.tag().map(Box::from),
            user: invite.uri()?.user().unwrap_or_default().into(),
            // Section 12.1.1.
            secure: flow.transport.is_secure()
                && (is_secure(&invite.uri()?) || is_secure(&invite.contact()?.uri)),
            target: target(&invite.contact()?),
            routes,
            local_cseq: 0,
            remote_cseq: Some(invite.cseq()?.number),
            confirmed: true,
            max_forwards: MAX_FORWARDS,
            ours: false,
            opening: Vec::new(),
        })
    }

    /// The dialog that an INVITE of ours asks for; `confirm` completes it.
    pub(crate) fn outgoing(
        parties: Parties<'_>,
        flow: Flow,
        nat: &Arc<Nat>,
        tokens: [Token; 2],
    ) -> Self {
        let ours = HostOf(nat.signalling(flow).ip()).to_string();
        let called_host = parties.called_host.unwrap_or(&ours);
        let [local_tag, call_id] = tokens;
        Self {
            flow,
            nat: Arc::clone(nat),
            call_id: call_id.as_str().into(),
            local_tag,
            local: format!("{};tag={local_tag}", parties.from(&ours)).into(),
            remote: format!("<sip:{}@{called_host}>", escape_user(parties.called)).into(),
            remote_tag: None,
            user: parties.contact_user().into(),
            // Section 8.1.1.8.
            secure: flow.transport.is_secure()
                && Uri::parse(parties.contact).is_ok_and(|uri| is_secure(&uri)),
            max_forwards: parties.max_forwards,
            target: without_headers(parties.contact).into(),
            routes: Vec::new(),
            local_cseq: FIRST_CSEQ,
            remote_cseq: None,
            confirmed: false,
            ours: true,
            opening: parties.opening,
        }
    }

    /// Completes the dialog by a 2xx to our INVITE (RFC 3261 sections 12.1.2 and 13.2.2.4).
    pub(crate) fn confirm(&mut self, response: &Message) {
        self.confirmed = true;
        self.max_forwards = MAX_FORWARDS;
        self.opening = Vec::new();
        self.remote_tag = response.to().and_then(|to| to.tag().map(Box::from));
        if let Some(to) = response.header(Header::To) {
            self.remote = to.into();
        }
        // Section 12.1.2: for the client the route set is in reverse order.
        self.routes = response
            .list(Header::RecordRoute)
            .take(MAX_ROUTES)
            .map(Box::from)
            .collect();
        self.routes.reverse();
        self.refresh(response);
    }

    /// The dialog that a 2xx to `invite` of ours makes beside the one we wanted (RFC 3261 section 13.2.2.4).
    pub(crate) fn beside(
        invite: &Message,
        response: &Message,
        flow: Flow,
        nat: &Arc<Nat>,
    ) -> Option<Self> {
        let mut dialog = Self {
            flow,
            nat: Arc::clone(nat),
            call_id: invite.call_id()?.into(),
            local_tag: Token::parse(invite.from()?.tag()?.as_bytes())?,
            local: invite.header(Header::From)?.into(),
            remote: Box::default(),
            remote_tag: None,
            user: Box::default(),
            secure: false,
            target: invite.request_uri()?.into(),
            routes: Vec::new(),
            local_cseq: invite.cseq()?.number,
            remote_cseq: None,
            confirmed: false,
            max_forwards: MAX_FORWARDS,
            ours: true,
            opening: Vec::new(),
        };
        dialog.confirm(response);
        Some(dialog)
    }

    /// Our address as the peer sees it.
    pub(crate) fn ours(&self) -> SocketAddr {
        self.nat.signalling(self.flow)
    }

    /// The place that its requests go to (RFC 3261 section 12.2.1.1), if that stands there as an address: the first proxy, or
    /// the remote target.
    pub(crate) fn next_hop(&self) -> Option<SocketAddr> {
        let first = self.routes.first().map(|route| NameAddr::parse(route));
        let uri = match first {
            Some(proxy) => proxy.ok()?.uri,
            None => Uri::parse(&self.target).ok()?,
        };
        let uri = uri.sip()?;
        let secure = uri.secure || self.flow.transport.is_secure();
        let port = uri
            .port
            .unwrap_or(if secure { SIPS_PORT } else { SIP_PORT });
        Some(SocketAddr::new(uri.host.ip()?, port))
    }

    /// Whether the peer or we call our side by this host.
    pub(crate) fn is_known_as(&self, host: &Host<'_>) -> bool {
        let local = NameAddr::parse(&self.local);
        local.is_ok_and(|local| local.uri.sip().is_some_and(|uri| uri.host.equivalent(host)))
    }

    /// The remote target.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// A target refresh (RFC 3261 section 12.2): the peer's Contact, if the message has one.
    pub(crate) fn refresh(&mut self, message: &Message) {
        if let Some(contact) = message.contact() {
            self.target = target(&contact);
        }
    }

    /// Whether a request with our tag in To is of this dialog (RFC 3261 section 12.2.2).
    /// Before the 2xx any tag of the peer will do: forks are told apart only then.
    pub(crate) fn has(&self, request: &Message) -> bool {
        let tag = request.from().and_then(|from| from.tag());
        request.call_id() == Some(&*self.call_id)
            && (!self.confirmed || tag == self.remote_tag.as_deref())
    }

    /// Whether it is the dialog with this Call-ID and this tag of the peer (RFC 3891 section 3); as long as forks are not
    /// told apart, any tag will do.
    pub(crate) fn is(&self, call_id: &str, peer: &str) -> bool {
        *self.call_id == *call_id && (!self.confirmed || self.remote_tag() == peer)
    }

    /// The peer's tag; 0 where there is none, as with a peer of RFC 2543 (RFC 3891 section 3).
    pub(crate) fn remote_tag(&self) -> &str {
        self.remote_tag.as_deref().unwrap_or("0")
    }

    /// Takes the CSeq number of a request, unless it is not above the last one (RFC 3261 section 12.2.2).
    pub(crate) fn advance(&mut self, number: u32) -> bool {
        let rises = self.remote_cseq.is_none_or(|last| number > last);
        if rises {
            self.remote_cseq = Some(number);
        }
        rises
    }

    /// The fields of the INVITE that makes the dialog; none once it stands.
    pub(crate) fn opening(&self) -> &[(Header, Box<str>)] {
        &self.opening
    }

    /// The CSeq number of our next request.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// The next request has a number above this one.
    pub(crate) fn go_on_from(&mut self, number: u32) {
        self.local_cseq = self.local_cseq.max(number);
    }

    /// The CSeq number of our last request.
    pub(crate) fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Begins a request in the dialog (RFC 3261 section 12.2.1.1).
    pub(crate) fn request(&self, method: Method<'_>, cseq: u32, branch: Token) -> Writer {
        let strict = self.routes.first().and_then(|route| strict_router(route));
        let mut writer = Writer::request(method, strict.unwrap_or(&self.target));
        let transport = self.flow.transport.via();
        writer.header(
            Header::Via,
            format_args!(
                "SIP/2.0/{transport} {};rport;branch={MAGIC_COOKIE}{branch}",
                self.ours()
            ),
        );
        writer.header(Header::MaxForwards, self.max_forwards);
        // Section 12.2.1.1: a strict router finds itself in the Request-URI and the target at the end.
        for route in self.routes.iter().skip(usize::from(strict.is_some())) {
            writer.header(Header::Route, route);
        }
        if strict.is_some() {
            writer.header(Header::Route, format_args!("<{}>", self.target));
        }
        writer.header(Header::From, &self.local);
        writer.header(Header::To, &self.remote);
        writer.header(Header::CallId, &self.call_id);
        writer.header(Header::CSeq, format_args!("{cseq} {method}"));
        writer
    }

    /// Our Contact (RFC 3261 section 8.1.1.8): the flow's own address, as the peer sees it, so that the peer's requests come
    /// the same way.
    pub(crate) fn contact(&self) -> Contact<'_> {
        Contact {
            user: &self.user,
            secure: self.secure,
            transport: self.flow.transport,
            ours: self.ours(),
        }
    }
}

/// The value of our Contact.
pub(crate) struct Contact<'a> {
    user: &'a str,
    secure: bool,
    transport: Transport,
    ours: SocketAddr,
}

impl fmt::Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "<sips:" } else { "<sip:" })?;
        if !self.user.is_empty() {
            write!(f, "{}@", escape_user(self.user))?;
        }
        let transport = match self.transport {
            // RFC 3261 section 26.2.2: the scheme says it.
            Transport::Tls if self.secure => "",
            other @ (Transport::Udp
            | Transport::Tcp
            | Transport::Tls
            | Transport::Ws
            | Transport::Wss) => other.uri_parameter(),
        };
        write!(f, "{}{transport}>", self.ours)
    }
}

/// An address as the host of a URI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostOf(pub(crate) IpAddr);

impl fmt::Display for HostOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

fn is_secure(uri: &Uri<'_>) -> bool {
    uri.sip().is_some_and(|uri| uri.secure)
}

/// The target that a Contact names.
fn target(contact: &NameAddr<'_>) -> Box<str> {
    without_headers(contact.uri.text()).into()
}

/// A URI as it may stand in a request line: header fields in it are not obeyed (RFC 3261 section 19.1.5).
fn without_headers(uri: &str) -> &str {
    match Uri::parse(uri) {
        Ok(Uri::Sip(sip)) if let Some(headers) = sip.headers => {
            &uri[..uri.len() - headers.len() - 1]
        }
        Ok(_) | Err(_) => uri,
    }
}

/// The URI of a Route value without `lr` (RFC 3261 section 19.1.1).
fn strict_router(route: &str) -> Option<&str> {
    let uri = NameAddr::parse(route).ok()?.uri;
    let strict = uri.sip().is_some_and(|uri| !uri.is_loose_router());
    strict.then(|| uri.text())
}
