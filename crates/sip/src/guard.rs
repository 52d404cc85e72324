//! Defence against strangers: how much an address may ask before it proves who it is, and which address is not heard for a while.
//!
//! A source address has two allowances, of requests and of octets of answers: what it sent, and a fifth more. Both are whole again
//! once a request from there has proved itself by a password, so that phones never meet them, however many share an address.
//! Wrong passwords ban an address, each time for twice as long; an address from which accounts have registered before is not
//! banned as a whole: those accounts go on, all others are answered as if their password were wrong.

mod account;
mod network;
mod source;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::time::{Duration, Instant};

use bytes::Bytes;
pub use network::Network;

use crate::endpoint::Account;
use account::Homes;
use network::Source;
use source::Record;

/// Most addresses that are remembered. Whole allowances are forgotten as new addresses come; if none is whole, one without a ban
/// goes first, then one with a ban. Half a million addresses of forged datagrams a minute make the oldest bans end early.
const MAX_SOURCES: usize = 65_536;

/// Addresses looked at for each new one, so that those worth nothing leave faster than others come.
const SWEPT: usize = 4;

/// Addresses looked at for one without a ban when the table is full.
const SEARCHED: usize = 16;

/// Most tidings of bans in a second; more are counted in the next one. The log stays readable under a flood (at most 10 lines/s).
const TIDINGS_PER_SECOND: u32 = 4;

/// How long somebody is shut out at once, so that a reload soon lets an address in again.
pub const SHUT: Duration = Duration::from_secs(1);

/// What defends the switch against strangers; every default is a setting's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defence {
    /// Wrong passwords from one address within `ban_window` that ban it; at least 1.
    pub ban_after: u32,
    /// How long a wrong password counts.
    pub ban_window: Duration,
    /// The first ban of an address. Each further one within `longest_ban` of the last lasts twice as long.
    pub ban_time: Duration,
    /// The longest ban.
    pub longest_ban: Duration,
    /// Wrong passwords of one account in an hour from addresses that it never registered from; then only those that it did
    /// register from may try.
    pub guesses_per_hour: u32,
    /// Requests a second that an address may send without ever proving itself.
    pub requests_per_second: u32,
    /// The same at once, after a pause: an office behind one address whose power comes back.
    pub burst: u32,
    /// Networks that none of this is for.
    pub trusted: Vec<Network>,
}

impl Default for Defence {
    fn default() -> Self {
        Self {
            // Two phones of one office with a stale password retry less often than this; fail2ban's usual value.
            ban_after: 5,
            ban_window: Duration::from_secs(60),
            ban_time: Duration::from_secs(300),
            longest_ban: Duration::from_secs(86_400),
            guesses_per_hour: 20,
            // 200 phones behind one NAT send some 10 unproven requests a second; a restart of all of them some 600 at once.
            requests_per_second: 100,
            burst: 1_000,
            trusted: Vec::new(),
        }
    }
}

/// From where nothing is worth reading for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stranger {
    /// An address where nobody lives; for IPv6 the first one of its /64.
    Address(IpAddr),
    /// One port of an address where others live.
    Port(SocketAddr),
}

/// Whether a request may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Admitted,
    /// Only if it came over a flow that a phone is registered from, or from a peer that is known by its address.
    FlowsOnly,
}

/// What the owner should tell people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The address, for IPv6 the first one of its /64.
    pub address: IpAddr,
    /// For how long it is banned.
    pub time: Duration,
    /// Whether accounts that have registered from there before may go on.
    pub spares_known: bool,
    /// Bans since the last one told, which were too many to tell.
    pub untold: u32,
}

/// The guard.
#[derive(Debug)]
pub(crate) struct Guard {
    defence: Defence,
    sources: BTreeMap<Source, Record>,
    /// Where the search for records worth nothing goes on.
    hand: Option<Source>,
    /// As many as there are accounts.
    homes: BTreeMap<Account, Homes>,
    tidings: Tidings,
    dropped: u64,
    /// When the last request came.
    now: Instant,
}

/// How many tidings left in this second.
#[derive(Debug)]
struct Tidings {
    second: Instant,
    told: u32,
    untold: u32,
}

impl Guard {
    pub(crate) fn new(defence: Defence, now: Instant) -> Self {
        Self {
            defence,
            sources: BTreeMap::new(),
            hand: None,
            homes: BTreeMap::new(),
            tidings: Tidings {
                second: now,
                told: 0,
                untold: 0,
            },
            dropped: 0,
            now,
        }
    }

    /// Takes new settings and forgets all bans and wrong passwords: a reload is how an administrator lifts a ban.
    pub(crate) fn configure(&mut self, defence: Defence, exists: impl Fn(&Account) -> bool) {
        self.defence = defence;
        self.homes.retain(|account, _| exists(account));
        self.sources.clear();
        for homes in self.homes.values_mut() {
            homes.forgive();
            for source in homes.sources() {
                self.sources.entry(source).or_default().residents += 1;
            }
        }
    }

    /// Requests that were dropped unread.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A request came from this address: takes one from its allowance, unless it is one that gets no answer (`asks`).
    pub(crate) fn admit(&mut self, address: IpAddr, asks: bool, now: Instant) -> Admission {
        self.now = now;
        if self.is_trusted(address) {
            return Admission::Admitted;
        }
        let (rate, burst) = (self.defence.requests_per_second, self.defence.burst);
        let record = self.record(address, now);
        if record.is_banned(now) && record.residents == 0 {
            return Admission::FlowsOnly;
        }
        if !asks || record.take(rate, burst, now) {
            Admission::Admitted
        } else {
            Admission::FlowsOnly
        }
    }

    /// A request was dropped. Gives whose datagrams may be dropped without a look, and until when.
    pub(crate) fn drop_unread(
        &mut self,
        remote: SocketAddr,
        now: Instant,
    ) -> Option<(Stranger, Instant)> {
        self.dropped += 1;
        let source = Source::of(remote.ip());
        let record = self.sources.get(&source)?;
        let stranger = if record.residents == 0 {
            Stranger::Address(source.address())
        } else {
            Stranger::Port(remote)
        };
        Some((stranger, record.shut_until(SHUT, now)))
    }

    /// A request belonged to a dialog or transaction of ours: it costs nothing.
    pub(crate) fn belongs(&mut self, address: IpAddr) {
        let interval = interval(self.defence.requests_per_second);
        if let Some(record) = self.sources.get_mut(&Source::of(address)) {
            record.give_back(interval);
        }
    }

    /// The first of these answers that may leave for the unproven datagram of `request` octets that came last. All that goes
    /// to an address that never proved itself is at most 1.2 times as long as what came from there: an answer that is longer
    /// waits until its request was repeated often enough.
    pub(crate) fn fair_answer(
        &mut self,
        address: IpAddr,
        request: usize,
        mut answers: impl Iterator<Item = Bytes>,
    ) -> Option<Bytes> {
        if self.is_trusted(address) {
            return answers.next();
        }
        let now = self.now;
        let record = self.record(address, now);
        record.earn(request);
        answers.find(|answer| record.spend(answer.len()))
    }

    /// Whether the password of this account may be tried from this address now.
    pub(crate) fn may_try(&self, account: &Account, address: IpAddr, now: Instant) -> bool {
        if self.is_trusted(address) {
            return true;
        }
        let source = Source::of(address);
        let homes = self.homes.get(account);
        if homes.is_some_and(|homes| homes.include(source)) {
            return homes.is_some_and(|homes| homes.may_guess_at_home(&self.defence, now));
        }
        let banned = self
            .sources
            .get(&source)
            .is_some_and(|record| record.is_banned(now));
        !banned && homes.is_none_or(|homes| homes.may_guess(&self.defence, now))
    }

    /// The right password came: the address is what it says, and the account lives there.
    pub(crate) fn proved(&mut self, account: &Account, address: IpAddr, now: Instant) {
        let source = Source::of(address);
        self.record(address, now).make_whole();
        let lives_here = |homes: &Homes| homes.is_first(source);
        if self.homes.get(account).is_some_and(lives_here) {
            return;
        }
        let homes = self.homes.entry(account.clone()).or_default();
        let was_known = homes.include(source);
        let left = homes.enter(source);
        if !was_known {
            self.record(address, now).residents += 1;
        }
        if let Some(record) = left.and_then(|left| self.sources.get_mut(&left)) {
            record.residents = record.residents.saturating_sub(1);
        }
    }

    /// A wrong password came, or an account that does not exist. Gives the ban that follows, if it is to be told.
    pub(crate) fn failed(
        &mut self,
        account: Option<&Account>,
        address: IpAddr,
        now: Instant,
    ) -> Option<Ban> {
        if self.is_trusted(address) {
            return None;
        }
        let source = Source::of(address);
        if let Some(account) = account {
            let homes = self.homes.entry(account.clone()).or_default();
            homes.guessed(homes.include(source), &self.defence, now);
        }
        let defence = self.defence.clone();
        let record = self.record(address, now);
        let time = record.failed(&defence, now)?;
        let spares_known = record.residents > 0;
        let untold = self.tidings.take(now)?;
        Some(Ban {
            address: source.address(),
            time,
            spares_known,
            untold,
        })
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        let trusted = &self.defence.trusted;
        trusted.iter().any(|network| network.contains(address))
    }

    fn record(&mut self, address: IpAddr, now: Instant) -> &mut Record {
        let source = Source::of(address);
        if !self.sources.contains_key(&source) {
            self.sweep(now);
        }
        self.sources.entry(source).or_default()
    }

    /// Makes room: looks at the next few records, and drops those worth nothing.
    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT {
            let Some((source, record)) = self.next_swept() else {
                return;
            };
            if record.is_worthless(now) {
                self.sources.remove(&source);
            }
        }
        if self.sources.len() < MAX_SOURCES {
            return;
        }
        let mut victim = None;
        for _ in 0..SEARCHED {
            let Some((source, record)) = self.next_swept() else {
                return;
            };
            if record.residents == 0 {
                victim = Some(source);
                if !record.is_banned(now) {
                    break;
                }
            }
        }
        // All of them homes of accounts: as few as there are accounts, so one of them may go.
        if let Some(source) = victim.or(self.hand) {
            self.sources.remove(&source);
        }
    }

    fn next_swept(&mut self) -> Option<(Source, &Record)> {
        let from = self.hand.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.sources.range((from, Bound::Unbounded)).next();
        let (source, record) = next.or_else(|| self.sources.first_key_value())?;
        self.hand = Some(*source);
        Some((*source, record))
    }
}

impl Tidings {
    /// How many went untold since the last one; none if this one goes untold, too.
    fn take(&mut self, now: Instant) -> Option<u32> {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.told = 0;
        }
        if self.told == TIDINGS_PER_SECOND {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

/// What a ban is for: the address, or the first one of the /64 of an IPv6 address.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    Source::of(address).address()
}

/// Octets of the longest answer to an unproven datagram of so many: a fifth more, as an answer has lines that a request has not.
#[must_use]
pub fn fair(request: usize) -> usize {
    request + request / 5
}

/// The time that earns one request.
fn interval(requests_per_second: u32) -> Duration {
    Duration::from_secs(1) / requests_per_second.max(1)
}

#[cfg(test)]
mod tests;
