//! The trunks as they are now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sip::endpoint::{Account, NoReply, Peer, RequestId};
use sip::{Endpoint, Flow, Header, Message, Transport};
use tracing::{info, warn};

use super::asks::{options, registered};
use super::names::Names;
use super::rate::Rate;
use super::register::{Outcome, Registration};
use super::settings::{Host, HostName, Outside, Trunk};
use super::target::{Found, LiveHost, Place, Target};

/// A target that has not answered OPTIONS for so long is taken for dead: four datagrams were lost then (RFC 3261 section 17.1.2.2).
const OPTIONS_LIMIT: Duration = Duration::from_secs(4);
/// The shortest time that an answer of a look-up is kept: no name server makes us ask all the time.
const SHORTEST_TTL: Duration = Duration::from_secs(30);
/// The longest: what has moved is found again within the hour.
const LONGEST_TTL: Duration = Duration::from_secs(3_600);
/// When a look-up failed it is tried again after this; what was found before goes on being used.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(30);
/// A look-up of ours; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookUpId(pub u64);

/// Where is this? (RFC 3263 section 4)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// The name.
    pub host: String,
    /// Its port, if it has a fixed one.
    pub port: Option<u16>,
    /// The transport, if it is fixed.
    pub transport: Option<Transport>,
}

/// What an OPTIONS or REGISTER was for.
#[derive(Clone, Debug)]
struct Asked {
    trunk: Account,
    flow: Flow,
    registers: bool,
}

/// Every trunk, and what is under way for them.
#[derive(Debug)]
pub(crate) struct Trunks {
    live: BTreeMap<Account, Live>,
    asked: BTreeMap<RequestId, Asked>,
    /// Look-ups that wait for their answer: of which trunk's which host.
    looking: BTreeMap<LookUpId, (Account, usize)>,
    /// Look-ups that shall leave.
    pub(crate) outbox: Vec<(LookUpId, LookUp)>,
    /// Who has to prove what over TLS.
    pub(crate) names: Names,
    last_look_up: u64,
    chance: u64,
}

/// One trunk.
#[derive(Debug)]
pub(crate) struct Live {
    hosts: Vec<LiveHost>,
    registration: Option<Registration>,
    registered: bool,
    legs: usize,
    rate: Rate,
}

impl Trunks {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *seed;
        Self {
            live: BTreeMap::new(),
            asked: BTreeMap::new(),
            looking: BTreeMap::new(),
            outbox: Vec::new(),
            names: Names::default(),
            last_look_up: 0,
            chance: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        }
    }

    /// Takes new settings: trunks that did not change go on as they are.
    pub(crate) fn configure(
        &mut self,
        before: &Outside,
        outside: &Outside,
        sip: &mut Endpoint,
        now: Instant,
    ) {
        for (account, old) in &before.trunks {
            let new = outside.trunks.get(account);
            let stays = new.is_some_and(|new| new.is_where(old));
            let stays = stays && before.listeners == outside.listeners;
            if !stays {
                self.unregister(account, old, sip, now);
                self.live.remove(account);
                self.asked.retain(|_, asked| asked.trunk != *account);
                self.looking.retain(|_, (trunk, _)| trunk != account);
            }
        }
        for (account, trunk) in &outside.trunks {
            let live = self
                .live
                .entry(account.clone())
                .or_insert_with(|| Live::new(account, trunk, outside, now));
            live.rate = Rate::new(trunk.calls_per_second, now);
            for target in live.targets_mut() {
                let asks = trunk.options.is_some() && target.asking.is_none();
                target.ask_at = asks.then_some(target.ask_at.unwrap_or(now));
            }
        }
        self.tell_peers(outside, sip);
        self.handle_timeout(outside, sip, now);
    }

    /// The connection to a target closed or could not be opened: why, for the log.
    pub(crate) fn handle_flow_closed(&mut self, flow: Flow, why: &str) {
        let targets = self.live.values_mut().flat_map(Live::targets_mut);
        for target in targets.filter(|target| target.flow == flow) {
            target.fault = Some(why.to_owned());
        }
    }

    /// The endpoint knows where trunks are, and what to show them; over TLS, each place has one name.
    fn tell_peers(&mut self, outside: &Outside, sip: &mut Endpoint) {
        self.names.begin();
        for (account, trunk) in &outside.trunks {
            let hosts = self.live.get_mut(account).map(|live| &mut live.hosts);
            for (live, host) in hosts.into_iter().flatten().zip(&trunk.hosts) {
                let proof = trunk.proof(host);
                live.targets
                    .retain(|target| self.names.admit(target.flow, &proof, account));
            }
        }
        let peer = |(account, trunk): (&Account, &Trunk)| {
            let targets = self.live.get(account).into_iter().flat_map(Live::targets);
            let flows: Vec<Flow> = targets.map(|target| target.flow).collect();
            trunk.peer(account, &flows)
        };
        let peers: Vec<Peer> = outside.trunks.iter().map(peer).collect();
        for (peer, trunk) in peers.iter().zip(outside.trunks.values()) {
            if let Some(host) = trunk.hosts.first().filter(|_| trunk.tls_verify) {
                self.names.expect(&peer.sources, &trunk.proof(host));
            }
        }
        self.names.finish();
        sip.set_peers(peers);
    }

    // --- time ----------------------------------------------------------------------------------------------------

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.live.values().flat_map(Live::deadlines).min()
    }

    /// Does what is due: OPTIONS, REGISTER, look-ups.
    pub(crate) fn handle_timeout(&mut self, outside: &Outside, sip: &mut Endpoint, now: Instant) {
        for (account, trunk) in &outside.trunks {
            let Some(live) = self.live.get_mut(account) else {
                continue;
            };
            for index in live.due_look_ups(now) {
                self.last_look_up += 1;
                let id = LookUpId(self.last_look_up);
                if let Some(Host {
                    name: HostName::Name(host, port),
                    transport,
                    ..
                }) = trunk.hosts.get(index)
                {
                    let look_up = LookUp {
                        host: host.clone(),
                        port: *port,
                        transport: *transport,
                    };
                    self.outbox.push((id, look_up));
                    self.looking.insert(id, (account.clone(), index));
                }
            }
            for target in live.targets_mut() {
                if target.asking.is_some_and(|(_, until)| until <= now) {
                    target.silent(account, trunk, now);
                }
                if target.ask_at.is_some_and(|at| at <= now) {
                    let id = sip.send_request(options(account, trunk, target.flow), now);
                    target.ask_at = None;
                    target.asking = Some((id, now + OPTIONS_LIMIT));
                    let asked = Asked {
                        trunk: account.clone(),
                        flow: target.flow,
                        registers: false,
                    };
                    self.asked.insert(id, asked);
                }
            }
            if live.registration_is_due(now)
                && let Some((id, flow)) = live.register(account, trunk, sip, now)
            {
                let trunk = account.clone();
                self.asked.insert(
                    id,
                    Asked {
                        trunk,
                        flow,
                        registers: true,
                    },
                );
            }
        }
    }

    /// Takes our binding away where we are registered (RFC 3261 section 10.2.2).
    fn unregister(&self, account: &Account, trunk: &Trunk, sip: &mut Endpoint, now: Instant) {
        if let Some(live) = self.live.get(account)
            && live.registered
            && let Some(registration) = &live.registration
            && let Some(flow) = live.best().map(|target| target.flow)
            && let way = (flow, sip.nat().signalling(flow))
            && let Some(request) = registered(account, trunk, registration, way, Duration::ZERO)
        {
            sip.send_request(request, now);
        }
    }

    // --- answers -------------------------------------------------------------------------------------------------

    /// The answer to a request of `send_request`; false if it was not one of ours.
    pub(crate) fn handle_reply(
        &mut self,
        request: RequestId,
        cseq: u32,
        reply: &Result<Box<Message>, NoReply>,
        outside: &Outside,
        now: Instant,
    ) -> bool {
        let Some(asked) = self.asked.remove(&request) else {
            return false;
        };
        let spread = self.spread();
        if let (Some(live), Some(trunk)) = (
            self.live.get_mut(&asked.trunk),
            outside.trunks.get(&asked.trunk),
        ) {
            if asked.registers {
                live.registration_answered(&asked, cseq, reply, trunk, spread, now);
            } else {
                live.options_answered(request, &asked, reply, trunk, spread, now);
            }
        }
        true
    }

    /// The answer of a look-up; what was found before stays when nothing is found now.
    pub(crate) fn handle_found(
        &mut self,
        look_up: LookUpId,
        found: Result<Found, String>,
        outside: &Outside,
        sip: &mut Endpoint,
        now: Instant,
    ) {
        let Some((account, index)) = self.looking.remove(&look_up) else {
            return;
        };
        let trunk = outside.trunks.get(&account);
        let host = trunk.and_then(|trunk| Some((trunk, trunk.hosts.get(index)?)));
        let Some(((trunk, settings), live)) = host.zip(
            self.live
                .get_mut(&account)
                .and_then(|live| live.hosts.get_mut(index)),
        ) else {
            return;
        };
        match found {
            Ok(found) => {
                live.look_up_at = Some(now + found.ttl.clamp(SHORTEST_TTL, LONGEST_TTL));
                live.take(&found.places, settings, trunk, outside, now);
                if live.targets.is_empty() {
                    warn!(
                        trunk = &*account.0,
                        "look-up: no address that a listener of ours can reach"
                    );
                }
                self.tell_peers(outside, sip);
                self.handle_timeout(outside, sip, now);
            }
            Err(why) => {
                live.look_up_at = Some(now + LOOK_UP_AGAIN);
                warn!(trunk = &*account.0, why, "look-up failed");
            }
        }
    }

    // --- calls ---------------------------------------------------------------------------------------------------

    pub(crate) fn get(&self, account: &Account) -> Option<&Live> {
        self.live.get(account)
    }

    pub(crate) fn get_mut(&mut self, account: &Account) -> Option<&mut Live> {
        self.live.get_mut(account)
    }

    /// A number from 0 to 1, the next of a row that the seed determines (splitmix64).
    pub(crate) fn spread(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let top = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
        f64::from(top) / f64::from(u32::MAX)
    }
}

impl Live {
    fn new(account: &Account, trunk: &Trunk, outside: &Outside, now: Instant) -> Self {
        let hosts = trunk.hosts.iter().map(|host| {
            let mut live = LiveHost {
                targets: Vec::new(),
                look_up_at: None,
            };
            match &host.name {
                HostName::Address(address) => {
                    let place = Place {
                        transport: host.transport.unwrap_or(Transport::Udp),
                        address: *address,
                        priority: 0,
                        weight: 0,
                    };
                    live.take(&[place], host, trunk, outside, now);
                }
                HostName::Name(..) => live.look_up_at = Some(now),
            }
            live
        });
        let registration = trunk.register.zip(trunk.credentials.as_ref());
        Self {
            hosts: hosts.collect(),
            registration: registration.map(|(expires, credentials)| {
                // The same after a restart, so that the registrar sees one client (RFC 3261 section 10.2).
                let call_id = format!("{}-{}", account.0, credentials.line());
                Registration::new(expires, call_id, now)
            }),
            registered: false,
            legs: 0,
            rate: Rate::new(trunk.calls_per_second, now),
        }
    }

    /// The targets of each host.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &[Target]> {
        self.hosts.iter().map(|host| host.targets.as_slice())
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.hosts.iter().flat_map(|host| &host.targets)
    }

    fn targets_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        self.hosts.iter_mut().flat_map(|host| &mut host.targets)
    }

    /// The target that comes first now; one that is down comes last, as nothing else may ever find out that it is back.
    fn best(&self) -> Option<&Target> {
        self.targets()
            .min_by_key(|target| (target.health.down_until(), target.priority))
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> + '_ {
        let look_ups = self.hosts.iter().filter_map(|host| host.look_up_at);
        let options = self.targets().flat_map(|target| {
            let until = target.asking.map(|(_, until)| until);
            [target.ask_at, until].into_iter().flatten()
        });
        let registration = self.registration.as_ref().and_then(Registration::due);
        look_ups.chain(options).chain(registration)
    }

    /// The hosts whose look-up is due; it is on its way then.
    fn due_look_ups(&mut self, now: Instant) -> Vec<usize> {
        let hosts = self.hosts.iter_mut().enumerate();
        hosts
            .filter_map(|(index, host)| {
                let due = host.look_up_at.take_if(|at| *at <= now);
                due.map(|_| index)
            })
            .collect()
    }

    // --- registration --------------------------------------------------------------------------------------------

    fn registration_is_due(&self, now: Instant) -> bool {
        let due = self.registration.as_ref().and_then(Registration::due);
        due.is_some_and(|at| at <= now)
    }

    fn register(
        &mut self,
        account: &Account,
        trunk: &Trunk,
        sip: &mut Endpoint,
        now: Instant,
    ) -> Option<(RequestId, Flow)> {
        let flow = self.best().map(|target| target.flow);
        let registration = self.registration.as_mut()?;
        let Some(flow) = flow else {
            registration.postpone(now);
            return None;
        };
        let way = (flow, sip.nat().signalling(flow));
        let request = registered(account, trunk, registration, way, registration.expires())?;
        let id = sip.send_request(request, now);
        registration.asked(id);
        Some((id, flow))
    }

    fn registration_answered(
        &mut self,
        asked: &Asked,
        cseq: u32,
        reply: &Result<Box<Message>, NoReply>,
        trunk: &Trunk,
        spread: f64,
        now: Instant,
    ) {
        let (Some(registration), Some(credentials)) = (&mut self.registration, &trunk.credentials)
        else {
            return;
        };
        let name = &*asked.trunk.0;
        let was_registered = self.registered;
        match registration.answered(reply, cseq, &credentials.line(), spread, now) {
            Outcome::Registered(granted) => {
                self.registered = true;
                if !was_registered {
                    info!(trunk = name, seconds = granted.as_secs(), "registered");
                }
                self.answered(asked.flow, name, now);
            }
            Outcome::Longer => {}
            Outcome::Refused(status) => {
                self.registered = false;
                let realm = realm_of(reply).filter(|realm| *realm != credentials.realm);
                match realm {
                    Some(asks) => warn!(
                        trunk = name,
                        status,
                        asks,
                        set = credentials.realm,
                        "registration refused: it asks for another `realm` than is set, so it gets no credentials"
                    ),
                    None => warn!(trunk = name, status, "registration refused"),
                }
                self.answered(asked.flow, name, now);
            }
            Outcome::Unreachable => {
                self.registered = false;
                let target = self.target(asked.flow);
                let why = target.as_ref().and_then(|target| target.fault.clone());
                let why = why.unwrap_or_else(|| "no answer, or it cannot serve".to_owned());
                warn!(trunk = name, why, "registration failed");
                if let Some(target) = target {
                    target.health.take_down(None, now);
                }
            }
        }
    }

    // --- health --------------------------------------------------------------------------------------------------

    fn target(&mut self, flow: Flow) -> Option<&mut Target> {
        self.targets_mut().find(|target| target.flow == flow)
    }

    fn options_answered(
        &mut self,
        request: RequestId,
        asked: &Asked,
        reply: &Result<Box<Message>, NoReply>,
        trunk: &Trunk,
        spread: f64,
        now: Instant,
    ) {
        let Some(target) = self.target(asked.flow) else {
            return;
        };
        // What comes after the limit counts for what it is, but the next OPTIONS has its own time.
        if target.asking.is_some_and(|(id, _)| id == request) {
            target.asking = None;
            // Up to a tenth earlier, so that many switches do not ask at the same moment.
            let interval = trunk
                .options
                .map(|every| every.mul_f64(1.0 - spread / 10.0));
            target.ask_at = interval.map(|interval| now + interval);
        }
        match reply {
            Ok(message) if message.status().is_some_and(|status| status.0 == 503) => {
                let after = message.retry_after();
                let after = after.map(|seconds| Duration::from_secs(seconds.into()));
                target.failed(&asked.trunk, "it cannot serve (503)", after, trunk, now);
            }
            Ok(_) => self.answered(asked.flow, &asked.trunk.0, now),
            Err(NoReply::FlowFailed) => {
                let why = target.fault.clone().unwrap_or_default();
                target.failed(&asked.trunk, &why, None, trunk, now);
            }
            // Its limit was shorter, or it never left.
            Err(NoReply::Timeout | NoReply::NoRoom) => {}
        }
    }

    /// A target answered.
    pub(crate) fn answered(&mut self, flow: Flow, name: &str, now: Instant) {
        let Some(target) = self.target(flow) else {
            return;
        };
        target.fault = None;
        if target.health.answered(now) {
            info!(trunk = name, "answers again");
        }
        // One that asked for a pause is asked again at its end.
        if let (Some(at), Some(until)) = (target.ask_at, target.health.down_until()) {
            target.ask_at = Some(at.min(until));
        }
    }

    /// A target failed a call.
    pub(crate) fn failed_call(
        &mut self,
        flow: Flow,
        name: &str,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        if let Some(target) = self.target(flow)
            && target.health.failed_call(retry_after, now)
        {
            let pause = retry_after.map(|asked| asked.as_secs());
            warn!(trunk = name, pause, "fails calls: it gets none for a while");
            if let (Some(_), Some(until)) = (target.ask_at, target.health.down_until()) {
                target.ask_at = Some(until);
            }
        }
    }

    // --- limits --------------------------------------------------------------------------------------------------

    /// Whether one more call of ours may begin; it is counted for the rate then.
    pub(crate) fn admits(&mut self, trunk: &Trunk, now: Instant) -> bool {
        self.legs < trunk.max_calls && self.rate.take(now)
    }

    /// Calls of both directions.
    pub(crate) fn legs(&self) -> usize {
        self.legs
    }

    pub(crate) fn enter(&mut self) {
        self.legs += 1;
    }

    pub(crate) fn leave(&mut self) {
        self.legs = self.legs.saturating_sub(1);
    }
}

/// The realm that a refusal asked for.
fn realm_of(reply: &Result<Box<Message>, NoReply>) -> Option<String> {
    let message = reply.as_ref().ok()?;
    [Header::WwwAuthenticate, Header::ProxyAuthenticate]
        .into_iter()
        .flat_map(|header| message.credentials(header))
        .find_map(|challenge| challenge.get("realm").map(String::from))
}
