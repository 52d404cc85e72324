//! Where a SIP server is, by the DNS (RFC 3263): NAPTR, SRV, A and AAAA, within two seconds in total.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use sip::Transport;
use tokio::time::{Instant, timeout_at};

/// The time that all questions of one look-up may take together: who waits for a call has given up soon after.
const LIMIT: Duration = Duration::from_secs(2);
/// The time for the first question alone: few sites have NAPTR records, and some name servers never answer that question.
const NAPTR_LIMIT: Duration = Duration::from_millis(700);
/// The time after which one name server is given up for the next.
const SERVER_LIMIT: Duration = Duration::from_millis(600);
/// Most places of an answer; the others are not used.
const MAX_PLACES: usize = 16;
/// The port of a server without SRV record (RFC 3263 section 4.2) ...
const SIP_PORT: u16 = 5060;
/// ... and where it is reached over TLS.
const SIPS_PORT: u16 = 5061;

/// The question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The host of a SIP URI: a name.
    pub host: String,
    /// Its port, if it has one.
    pub port: Option<u16>,
    /// Its transport, if it has one.
    pub transport: Option<Transport>,
}

/// One place where the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The transport.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
    /// Lower ones come first (RFC 2782).
    pub priority: u16,
    /// Among equals it gets this share of the calls (RFC 2782).
    pub weight: u16,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// At least one.
    pub places: Vec<Place>,
    /// For how long all of it holds: the shortest of the records used.
    pub ttl: Duration,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing within two seconds.
    #[error("no answer from the name servers within 2 s")]
    Timeout,
    /// No record says where it is.
    #[error("the name has no address")]
    NoAddress,
}

/// Asks the name servers of the system. Clones share their cache.
#[derive(Clone)]
pub struct LookUps {
    resolver: TokioResolver,
}

impl std::fmt::Debug for LookUps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LookUps")
    }
}

/// What an SRV record or its absence leads to.
struct Target {
    name: String,
    port: u16,
    transport: Transport,
    priority: u16,
    weight: u16,
}

impl LookUps {
    /// With the name servers of `/etc/resolv.conf`, which is read once.
    ///
    /// # Errors
    /// The resolver's words if that cannot be read.
    pub fn of_system() -> Result<Self, String> {
        Self::build(TokioResolver::builder_tokio().map_err(|fault| fault.to_string())?)
    }

    /// With this name server alone.
    ///
    /// # Errors
    /// The resolver's words.
    pub fn of_server(server: SocketAddr) -> Result<Self, String> {
        let mut config = NameServerConfig::udp(server.ip());
        for connection in &mut config.connections {
            connection.port = server.port();
        }
        let servers = ResolverConfig::from_name_servers(vec![config]);
        let provider = TokioRuntimeProvider::default();
        Self::build(TokioResolver::builder_with_config(servers, provider))
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, String> {
        let options = builder.options_mut();
        options.timeout = SERVER_LIMIT;
        options.attempts = 1;
        let resolver = builder.build().map_err(|fault| fault.to_string())?;
        Ok(Self { resolver })
    }

    /// Finds the places of a server (RFC 3263 section 4).
    ///
    /// # Errors
    /// `Fault`.
    pub async fn find(&self, query: &Query) -> Result<Found, Fault> {
        let until = Instant::now() + LIMIT;
        let mut ttl = Duration::MAX;
        let targets = self.targets(query, until, &mut ttl).await;
        let mut places = Vec::new();
        for (rank, target) in targets.iter().enumerate() {
            for ip in self.addresses(&target.name, until, &mut ttl).await {
                if places.len() < MAX_PLACES {
                    places.push(Place {
                        transport: target.transport,
                        address: SocketAddr::new(ip, target.port),
                        priority: target.priority,
                        weight: target.weight,
                    });
                }
            }
            // What was found in time is better than nothing.
            if Instant::now() >= until && rank > 0 && !places.is_empty() {
                break;
            }
        }
        if !places.is_empty() {
            return Ok(Found { places, ttl });
        }
        Err(if Instant::now() >= until {
            Fault::Timeout
        } else {
            Fault::NoAddress
        })
    }

    /// The servers' names, ports and transports (section 4.1, and 4.2 up to the addresses).
    async fn targets(&self, query: &Query, until: Instant, ttl: &mut Duration) -> Vec<Target> {
        // A port in the URI: neither NAPTR nor SRV, and UDP if no transport is named.
        if let Some(port) = query.port {
            return vec![query.itself(port)];
        }
        let services = match query.transport {
            Some(transport) => vec![(service(transport, &query.host), transport)],
            None => {
                let named = self.services(&query.host, until, ttl).await;
                if named.is_empty() {
                    let of = |transport| (service(transport, &query.host), transport);
                    [Transport::Udp, Transport::Tcp, Transport::Tls]
                        .map(of)
                        .into()
                } else {
                    named
                }
            }
        };
        let mut targets = Vec::new();
        for (rank, (name, transport)) in (0..).zip(services) {
            for record in self.ask(name, RecordType::SRV, until, ttl).await {
                if let RData::SRV(SRV {
                    priority,
                    weight,
                    port,
                    target,
                    ..
                }) = record
                    // RFC 2782: a lone dot says that the service is not there.
                    && !target.is_root()
                {
                    targets.push((
                        rank,
                        Target {
                            name: target.to_ascii(),
                            port,
                            transport,
                            priority,
                            weight,
                        },
                    ));
                }
            }
        }
        // The first transport that has servers is used (section 4.1).
        let Some(first) = targets.iter().map(|(rank, _)| *rank).min() else {
            let is_secure = query.transport.is_some_and(Transport::is_secure);
            return vec![query.itself(if is_secure { SIPS_PORT } else { SIP_PORT })];
        };
        targets.retain(|(rank, _)| *rank == first);
        targets.into_iter().map(|(_, target)| target).collect()
    }

    /// The services that NAPTR records name, best first; those that we do not speak are left out (section 4.1).
    async fn services(
        &self,
        host: &str,
        until: Instant,
        ttl: &mut Duration,
    ) -> Vec<(String, Transport)> {
        let soon = until.min(Instant::now() + NAPTR_LIMIT);
        let records = self
            .ask(host.to_owned(), RecordType::NAPTR, soon, ttl)
            .await;
        let mut services = Vec::new();
        for record in records {
            if let RData::NAPTR(NAPTR {
                order,
                preference,
                flags,
                services: service,
                replacement,
                ..
            }) = record
                && flags.eq_ignore_ascii_case(b"s")
            {
                let transport = if service.eq_ignore_ascii_case(b"SIP+D2U") {
                    Transport::Udp
                } else if service.eq_ignore_ascii_case(b"SIP+D2T") {
                    Transport::Tcp
                } else if service.eq_ignore_ascii_case(b"SIPS+D2T") {
                    Transport::Tls
                } else {
                    continue;
                };
                services.push((order, preference, replacement.to_ascii(), transport));
            }
        }
        services.sort_by_key(|(order, preference, ..)| (*order, *preference));
        let services = services.into_iter();
        services
            .map(|(_, _, name, transport)| (name, transport))
            .collect()
    }

    /// The addresses of a name, of both families at once.
    async fn addresses(&self, name: &str, until: Instant, ttl: &mut Duration) -> Vec<IpAddr> {
        let (mut four, mut six) = (*ttl, *ttl);
        let (a, aaaa) = tokio::join!(
            self.ask(name.to_owned(), RecordType::A, until, &mut four),
            self.ask(name.to_owned(), RecordType::AAAA, until, &mut six),
        );
        *ttl = four.min(six);
        let address = |record: RData| {
            if let RData::A(a) = record {
                Some(IpAddr::V4(a.0))
            } else if let RData::AAAA(aaaa) = record {
                Some(IpAddr::V6(aaaa.0))
            } else {
                None
            }
        };
        a.into_iter().chain(aaaa).filter_map(address).collect()
    }

    /// The records of a name; none if there are none, or no answer comes in time. `ttl` becomes the shortest of them.
    async fn ask(
        &self,
        name: String,
        kind: RecordType,
        until: Instant,
        ttl: &mut Duration,
    ) -> Vec<RData> {
        let Ok(Ok(answer)) = timeout_at(until, self.resolver.lookup(name, kind)).await else {
            return Vec::new();
        };
        let records = answer
            .answers()
            .iter()
            .filter(|record| record.record_type() == kind);
        records
            .map(|record| {
                *ttl = (*ttl).min(Duration::from_secs(record.ttl.into()));
                record.data.clone()
            })
            .collect()
    }
}

impl Query {
    /// The host as it stands, without SRV records.
    fn itself(&self, port: u16) -> Target {
        Target {
            name: self.host.clone(),
            port,
            transport: self.transport.unwrap_or(Transport::Udp),
            priority: 0,
            weight: 0,
        }
    }
}

/// The name of the SRV records of a transport (section 4.1).
fn service(transport: Transport, host: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        // RFC 7118 names no service of its own: a WebSocket is never looked up.
        Transport::Tcp | Transport::Ws | Transport::Wss => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    format!("{service}.{host}")
}
