//! What an administrator decided about the world outside: trunks, the ways to them, and who may use them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use queue::AgentId;
use sip::digest::Credentials;
use sip::endpoint::{Account, Peer, Source};
use sip::{Flow, Transport};

use super::names::Proof;
use super::number::{Pattern, Rewrite};
use crate::settings::Destination;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Our own SIP addresses: a trunk is reached from the first one of its transport and family.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// The trunks by name; no phone has one of the names.
    pub trunks: BTreeMap<Account, Trunk>,
    /// The ways out, the most precise pattern first.
    pub routes: Vec<Route>,
    /// Numbers that only an account with `international` may call ...
    pub international: Vec<Pattern>,
    /// ... unless one of these matches, too.
    pub national: Vec<Pattern>,
    /// What each account may do; who is not here may do what `everybody` may.
    pub accounts: BTreeMap<Account, Allowance>,
    /// What accounts may do that are not named above.
    pub everybody: Allowance,
    /// The outside number of each remote agent.
    pub agents: BTreeMap<AgentId, String>,
}

/// One trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Where it is; at least one.
    pub hosts: Vec<Host>,
    /// The host of the Request-URI, From and To that we write.
    pub domain: String,
    /// The name that its certificate must show over TLS; none: that of the host.
    pub tls_name: Option<String>,
    /// The file with the authorities that may vouch for it; none: those of the system.
    pub tls_authorities: Option<PathBuf>,
    /// What we show it over TLS when we connect; none: nothing.
    pub tls_certificate: Option<CertificateFiles>,
    /// Who connects from its addresses must show a certificate of that name, too, and what comes otherwise is not the trunk's.
    pub tls_verify: bool,
    /// It is called by `sips:` URIs: each hop beyond must be over TLS, too (RFC 3261 section 26.2.2). Its hosts are TLS then.
    pub sips: bool,
    /// What we show when it asks who we are.
    pub credentials: Option<Credentials>,
    /// For how long we register there; none: we do not. It needs credentials.
    pub register: Option<Duration>,
    /// How often we ask it whether it is there; none: only calls tell.
    pub options: Option<Duration>,
    /// Where its calls come from besides its hosts.
    pub sources: Vec<Source>,
    /// Most calls at once, of both directions.
    pub max_calls: usize,
    /// Most calls that we begin in a second.
    pub calls_per_second: u32,
    /// What is made of a number that is called there.
    pub number_out: Vec<Rewrite>,
    /// What is made of a number that is called from there.
    pub number_in: Vec<Rewrite>,
    /// Who we say is calling.
    pub caller: Caller,
    /// Where else than in From we say it.
    pub identity: Shown,
    /// It is told, and believed, who is calling even if that is private (RFC 3324 section 2.3, a Trust Domain).
    pub trusted: bool,
    /// What callers reach that come from there, the most precise pattern first; nothing else.
    pub numbers: Vec<(Pattern, Destination)>,
}

/// A certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateFiles {
    /// The file with the chain, ours first.
    pub certificate: PathBuf,
    /// The file with its private key.
    pub key: PathBuf,
}

/// One place of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name or address.
    pub name: HostName,
    /// The transport; none: as its look-up says, else UDP.
    pub transport: Option<Transport>,
    /// Lower ones come first.
    pub priority: u16,
    /// Among equals it gets this share of the calls.
    pub weight: u16,
}

impl Trunk {
    /// The scheme of the URIs that we write.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.sips { "sips" } else { "sip" }
    }

    /// What its certificate must show at one of its hosts (RFC 5922 section 7.1: the name that was asked for, whatever the
    /// look-up led to), and what ours is there.
    pub(super) fn proof(&self, host: &Host) -> Proof {
        let name = match (&self.tls_name, &host.name) {
            (Some(name), _) | (None, HostName::Name(name, _)) => name.clone(),
            (None, HostName::Address(address)) => address.ip().to_string(),
        };
        Proof {
            name,
            authorities: self.tls_authorities.clone(),
            certificate: self.tls_certificate.clone(),
        }
    }

    /// It as the endpoint knows it, at these places.
    pub(super) fn peer(&self, account: &Account, flows: &[Flow]) -> Peer {
        let source = |flow: &Flow| Source {
            network: flow.remote.ip(),
            prefix: if flow.remote.is_ipv4() { 32 } else { 128 },
            port: Some(flow.remote.port()),
        };
        let sources = flows.iter().map(source);
        Peer {
            account: account.clone(),
            sources: sources.chain(self.sources.iter().copied()).collect(),
            targets: flows.iter().map(|flow| flow.remote).collect(),
            credentials: self.credentials.clone(),
            trusted: self.trusted,
            proves: self.tls_verify,
            has_line: self.register.is_some(),
        }
    }

    /// Whether it is the same peer by the same ways: what is known of it holds on.
    pub(super) fn is_where(&self, old: &Self) -> bool {
        self.hosts == old.hosts
            && self.domain == old.domain
            && self.sips == old.sips
            && self.tls_name == old.tls_name
            && self.tls_authorities == old.tls_authorities
            && self.tls_certificate == old.tls_certificate
            && self.credentials == old.credentials
            && self.register == old.register
    }
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostName {
    /// An address and a port: nothing needs to be looked up.
    Address(SocketAddr),
    /// A name, with a port if it has a fixed one (RFC 3263 section 4.2).
    Name(String, Option<u16>),
}

/// Who we say is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Always this number.
    Fixed(String),
    /// Nobody (RFC 3323 section 4.1.1.3).
    Anonymous,
    /// The caller's own number after rewriting, if one of the patterns matches it; else the other number.
    Own {
        /// What is made of the caller's number.
        rewrite: Vec<Rewrite>,
        /// The numbers that the trunk lets us show.
        allowed: Vec<Pattern>,
        /// For everybody else.
        otherwise: String,
    },
}

/// Where the caller's number stands in calls over a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In From alone.
    From,
    /// In P-Asserted-Identity, too (RFC 3325): the trunk believes us.
    Asserted,
    /// In P-Preferred-Identity, too: the trunk looks whether it is ours.
    Preferred,
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name in logs.
    pub name: String,
    /// Which numbers.
    pub pattern: Pattern,
    /// Characters taken away at the front before any trunk sees the number.
    pub strip: usize,
    /// The trunks that may carry the call; at least one.
    pub trunks: Vec<Way>,
}

/// A trunk of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The trunk.
    pub trunk: Account,
    /// Lower ones come first.
    pub priority: u16,
    /// Among equals it gets this share of the calls.
    pub weight: u16,
}

/// What an account may do outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Most outside calls at once.
    pub calls: usize,
    /// Most outside calls in a day (UTC).
    pub calls_per_day: u32,
    /// How long they may be talked in on a day, all together.
    pub talk_per_day: Duration,
    /// Whether it may call international numbers.
    pub international: bool,
}

impl Default for Allowance {
    /// What a stolen password may cost: two calls at once, two hundred a day, a working day of talk, none abroad.
    fn default() -> Self {
        Self {
            calls: 2,
            calls_per_day: 200,
            talk_per_day: Duration::from_secs(8 * 3_600),
            international: false,
        }
    }
}
