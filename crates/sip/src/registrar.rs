//! Where the phones are (RFC 3261 section 10): each account's bindings, with the flow that each came over (RFC 5626).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::endpoint::{Account, Binding, Settings};
use crate::header::{Addresses, Contacts, NameAddr};
use crate::uri::{Host, Uri};
use crate::{Flow, Message};

/// Most bindings of an account. A phone that draws a new Contact at each start fills this in hours,
/// so a further binding takes the place of the one refreshed longest ago; one REGISTER with more is refused.
pub(crate) const MAX_BINDINGS: usize = 10;

/// What a REGISTER without Expires gets (RFC 3261 section 10.2.1.1 leaves it to the registrar; this is what most ask for).
const DEFAULT_EXPIRES: Duration = Duration::from_secs(3600);

/// Below this a binding may be refused as too brief (RFC 3261 section 10.3, step 7).
const BRIEF: Duration = Duration::from_secs(3600);

/// One binding as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    contact: Box<str>,
    flow: Flow,
    call_id: Box<str>,
    cseq: u32,
    /// What names the device for as long as it lives (RFC 5626 section 4.1).
    instance: Option<Box<str>>,
    /// The host of the address-of-record as the phone writes it (RFC 3261 section 10.2: To).
    domain: Box<str>,
    expires: Instant,
    /// Tells bindings that expire together apart.
    serial: u64,
}

impl Record {
    /// The URI of the Contact.
    pub(crate) fn contact(&self) -> &str {
        &self.contact
    }

    /// The flow that it was registered over.
    pub(crate) fn flow(&self) -> Flow {
        self.flow
    }

    /// Whole seconds until it expires; a part counts as one, so that what still stands does not show 0.
    pub(crate) fn seconds_left(&self, now: Instant) -> u64 {
        let left = self.expires.saturating_duration_since(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A Contact that is no SIP URI, or `*` without `Expires: 0`: 400 (RFC 3261 section 10.3, step 6).
    Malformed,
    /// An expiry below the least: 423 (step 7).
    TooBrief,
    /// A CSeq that is not above the last one of its Call-ID (step 7).
    OutOfOrder,
    /// More than `MAX_BINDINGS` Contacts: 403.
    TooMany,
}

/// A change of whether an account can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) account: Account,
    pub(crate) reachable: bool,
}

/// One Contact of a REGISTER, checked.
struct Wish<'a> {
    contact: NameAddr<'a>,
    expires: Duration,
}

/// The registrar.
#[derive(Debug)]
pub(crate) struct Registrar {
    least: Duration,
    most: Duration,
    /// Freshest first; no account without a binding.
    bindings: BTreeMap<Account, Vec<Record>>,
    expiries: BTreeMap<(Instant, u64), Account>,
    /// The accounts that registered over each flow.
    by_flow: BTreeSet<(Flow, Account)>,
    serial: u64,
    /// The accounts whose bindings have changed since this was last taken.
    changed: Vec<Account>,
}

impl Registrar {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            least: settings.min_expires,
            most: settings.max_expires,
            bindings: BTreeMap::new(),
            expiries: BTreeMap::new(),
            by_flow: BTreeSet::new(),
            serial: 0,
            changed: Vec::new(),
        }
    }

    /// Takes new limits and drops the bindings of accounts that are no more.
    pub(crate) fn configure(&mut self, settings: &Settings) -> Vec<Reach> {
        self.least = settings.min_expires;
        self.most = settings.max_expires;
        let gone: Vec<Account> = self
            .bindings
            .keys()
            .filter(|account| !settings.accounts.contains_key(*account))
            .cloned()
            .collect();
        gone.iter()
            .filter_map(|account| self.retain(account, |_| false))
            .collect()
    }

    /// An account whose bindings were refreshed, came or went since it was last asked for.
    pub(crate) fn take_changed(&mut self) -> Option<Account> {
        self.changed.pop()
    }

    /// The least expiry, for Min-Expires.
    pub(crate) fn least(&self) -> Duration {
        self.least
    }

    /// The bindings of an account, freshest first.
    pub(crate) fn records(&self, account: &Account) -> &[Record] {
        self.bindings.get(account).map_or(&[], Vec::as_slice)
    }

    /// The bindings of an account as its callers need them, freshest first.
    pub(crate) fn bindings(&self, account: &Account) -> Vec<Binding> {
        self.records(account)
            .iter()
            .map(|record| Binding {
                account: account.clone(),
                contact: record.contact.to_string(),
                flow: record.flow,
            })
            .collect()
    }

    /// Whether a phone of the account has registered in this domain.
    pub(crate) fn is_domain_of(&self, account: &Account, host: &Host<'_>) -> bool {
        let host = host.to_string();
        let records = self.records(account);
        records
            .iter()
            .any(|record| record.domain.eq_ignore_ascii_case(&host))
    }

    /// Whether a request for an account comes from a phone that is registered as it: over the same flow, in the registrations
    /// that it began when it started (RFC 3261 section 10.2: their Call-ID), or by its instance. Who does not see its
    /// messages guesses none of these.
    pub(crate) fn is_phone_of(&self, account: &Account, request: &Message, flow: Flow) -> bool {
        let contact = request.contact();
        let named = contact.as_ref().and_then(instance);
        self.records(account).iter().any(|record| {
            record.flow == flow
                || request.call_id() == Some(&*record.call_id)
                || named.is_some() && named == record.instance.as_deref()
        })
    }

    /// Whether a phone is registered over exactly this flow.
    pub(crate) fn is_registered_over(&self, flow: Flow) -> bool {
        let first = self.by_flow.range((flow, Account("".into()))..).next();
        first.is_some_and(|(of, _)| *of == flow)
    }

    /// A REGISTER of this account that passed authentication: all of it happens or nothing (RFC 3261 section 10.3).
    pub(crate) fn register(
        &mut self,
        account: &Account,
        request: &Message,
        flow: Flow,
        now: Instant,
    ) -> Result<Option<Reach>, Refusal> {
        let (Some(call_id), Some(cseq), Ok(contacts)) =
            (request.call_id(), request.cseq(), request.contacts())
        else {
            return Err(Refusal::Malformed);
        };
        let cseq = cseq.number;
        let in_order = |record: &Record| *record.call_id != *call_id || record.cseq < cseq;
        match contacts {
            Contacts::Star => {
                // Step 6: only with Expires: 0.
                if request.expires() != Some(0) {
                    return Err(Refusal::Malformed);
                }
                if !self.records(account).iter().all(in_order) {
                    return Err(Refusal::OutOfOrder);
                }
                Ok(self.retain(account, |_| false))
            }
            Contacts::List(contacts) => {
                let wishes = self.wishes(contacts, request.expires())?;
                let touched = |record: &Record| {
                    wishes
                        .iter()
                        .any(|wish| same_contact(record, &wish.contact))
                };
                if self
                    .records(account)
                    .iter()
                    .any(|record| touched(record) && !in_order(record))
                {
                    return Err(Refusal::OutOfOrder);
                }
                let to = request.to();
                let domain = to.and_then(|to| Some(to.uri.sip()?.host.to_string()));
                let stamp = (call_id, cseq, domain.unwrap_or_default());
                Ok(self.bind(account, &wishes, flow, stamp, now))
            }
        }
    }

    /// A connection closed: its bindings lead nowhere any more.
    pub(crate) fn flow_closed(&mut self, flow: Flow) -> Vec<Reach> {
        let accounts: Vec<Account> = self
            .by_flow
            .range((flow, Account("".into()))..)
            .take_while(|(of, _)| *of == flow)
            .map(|(_, account)| account.clone())
            .collect();
        accounts
            .iter()
            .filter_map(|account| self.retain(account, |record| record.flow != flow))
            .collect()
    }

    /// Drops what has expired.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Reach> {
        let mut changes = Vec::new();
        while let Some(entry) = self.expiries.first_entry()
            && entry.key().0 <= now
        {
            let serial = entry.key().1;
            let account = entry.get().clone();
            changes.extend(self.retain(&account, |record| record.serial != serial));
        }
        changes
    }

    /// When the next binding expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first_key_value().map(|((at, _), _)| *at)
    }

    /// What the Contacts ask for (RFC 3261 section 10.3, step 7).
    fn wishes<'a>(
        &self,
        contacts: Addresses<'a>,
        expires: Option<u32>,
    ) -> Result<Vec<Wish<'a>>, Refusal> {
        if contacts.len() > MAX_BINDINGS {
            return Err(Refusal::TooMany);
        }
        contacts
            .into_iter()
            .map(|contact| {
                if contact.uri.sip().is_none() {
                    return Err(Refusal::Malformed);
                }
                let asked = contact.expires().or(expires);
                let asked = asked.map_or(DEFAULT_EXPIRES, |s| Duration::from_secs(s.into()));
                if !asked.is_zero() && asked < self.least && asked < BRIEF {
                    return Err(Refusal::TooBrief);
                }
                Ok(Wish {
                    contact,
                    expires: asked.min(self.most),
                })
            })
            .collect()
    }

    fn bind(
        &mut self,
        account: &Account,
        wishes: &[Wish<'_>],
        flow: Flow,
        (call_id, cseq, domain): (&str, u32, String),
        now: Instant,
    ) -> Option<Reach> {
        let was_reachable = self.bindings.contains_key(account);
        for wish in wishes {
            self.drop_records(account, |record| !same_contact(record, &wish.contact));
            if wish.expires.is_zero() {
                continue;
            }
            self.serial += 1;
            let record = Record {
                contact: wish.contact.uri.text().into(),
                flow,
                call_id: call_id.into(),
                cseq,
                instance: instance(&wish.contact).map(Box::from),
                domain: domain.as_str().into(),
                expires: now + wish.expires,
                serial: self.serial,
            };
            self.expiries
                .insert((record.expires, record.serial), account.clone());
            self.by_flow.insert((flow, account.clone()));
            self.bindings
                .entry(account.clone())
                .or_default()
                .insert(0, record);
        }
        self.changed.push(account.clone());
        if let Some(oldest) = self
            .records(account)
            .get(MAX_BINDINGS)
            .map(|record| record.serial)
        {
            self.drop_records(account, |record| record.serial > oldest);
        }
        self.change(account, was_reachable)
    }

    /// Keeps some bindings of an account.
    fn retain(&mut self, account: &Account, keep: impl Fn(&Record) -> bool) -> Option<Reach> {
        let was_reachable = self.bindings.contains_key(account);
        self.drop_records(account, keep);
        self.changed.push(account.clone());
        self.change(account, was_reachable)
    }

    fn change(&self, account: &Account, was_reachable: bool) -> Option<Reach> {
        let reachable = self.bindings.contains_key(account);
        (reachable != was_reachable).then(|| Reach {
            account: account.clone(),
            reachable,
        })
    }

    fn drop_records(&mut self, account: &Account, keep: impl Fn(&Record) -> bool) {
        let Some(records) = self.bindings.get_mut(account) else {
            return;
        };
        let mut left = Vec::new();
        for record in records.extract_if(.., |record| !keep(record)) {
            self.expiries.remove(&(record.expires, record.serial));
            left.push(record.flow);
        }
        left.retain(|flow| records.iter().all(|record| record.flow != *flow));
        if records.is_empty() {
            self.bindings.remove(account);
        }
        for flow in left {
            self.by_flow.remove(&(flow, account.clone()));
        }
    }
}

/// The instance of a Contact.
fn instance<'a>(contact: &NameAddr<'a>) -> Option<&'a str> {
    contact.params.value("+sip.instance")
}

/// Contacts compare as URIs (RFC 3261 sections 10.3 and 19.1.4).
fn same_contact(record: &Record, contact: &NameAddr<'_>) -> bool {
    Uri::parse(&record.contact).is_ok_and(|uri| uri.equivalent(&contact.uri))
}
