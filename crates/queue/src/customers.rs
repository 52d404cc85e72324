//! What is remembered of customers who are not there: who served them last, and the places that they keep.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::AgentId;
use crate::caller::{CustomerId, Place};

/// Most customers whose last agent is known: more than call a large site in a week; beyond, the one served longest ago is forgotten.
const MOST_REGULARS: usize = 100_000;

/// Most places that a queue keeps: as many callers as may wait in one; beyond, the oldest is given up.
const MOST_PLACES: usize = 10_000;

/// Who served which customer last.
#[derive(Debug, Default)]
pub(crate) struct Regulars {
    served: BTreeMap<CustomerId, (u64, AgentId)>,
    /// The same in order of time.
    order: BTreeMap<u64, CustomerId>,
    next: u64,
}

impl Regulars {
    pub(crate) fn served_by(&mut self, customer: CustomerId, agent: AgentId) {
        let nth = self.next;
        self.next += 1;
        self.order.insert(nth, customer.clone());
        if let Some((before, _)) = self.served.insert(customer, (nth, agent)) {
            self.order.remove(&before);
        }
        if self.served.len() > MOST_REGULARS
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.served.remove(&oldest);
        }
    }

    pub(crate) fn agent_of(&self, customer: &CustomerId) -> Option<&AgentId> {
        self.served.get(customer).map(|(_, agent)| agent)
    }
}

/// The place of a caller who hung up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptPlace {
    pub(crate) place: Place,
    pub(crate) joined: Instant,
    until: Instant,
}

/// The places that a queue keeps.
#[derive(Debug, Default)]
pub(crate) struct KeptPlaces {
    places: BTreeMap<CustomerId, KeptPlace>,
    /// Whose and until when, in order of hanging up; those who came back or hung up again are still in it.
    order: VecDeque<(CustomerId, Instant)>,
}

impl KeptPlaces {
    pub(crate) fn keep(
        &mut self,
        customer: CustomerId,
        place: Place,
        joined: Instant,
        until: Instant,
        now: Instant,
    ) {
        self.order.push_back((customer.clone(), until));
        self.places.insert(
            customer,
            KeptPlace {
                place,
                joined,
                until,
            },
        );
        while let Some((oldest, until)) = self.order.front()
            && (*until <= now || self.order.len() > MOST_PLACES)
        {
            if self
                .places
                .get(oldest)
                .is_some_and(|kept| kept.until == *until)
            {
                self.places.remove(oldest);
            }
            self.order.pop_front();
        }
    }

    /// The customer is back: its place, if it is in time.
    pub(crate) fn take(&mut self, customer: &CustomerId, now: Instant) -> Option<KeptPlace> {
        self.places.remove(customer).filter(|kept| now < kept.until)
    }
}
