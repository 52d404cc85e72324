//! Who carries a call, in which order.

use std::time::Instant;

use sip::Flow;
use sip::endpoint::Account;

use super::live::{Live, Trunks};
use super::number::rewritten;
use super::settings::{Allowance, Caller, Outside, Route, Trunk};
use crate::Cause;
use crate::settings::Destination;

/// Most targets that one call tries: at four seconds each, callers do not wait longer.
const MAX_CANDIDATES: usize = 8;

/// One way for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) trunk: Account,
    pub(crate) flow: Flow,
}

impl Outside {
    /// The way for a number: the most precise pattern that matches.
    pub(crate) fn route(&self, number: &str) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| route.pattern.matches(number))
    }

    /// What an account may do.
    pub(crate) fn allowance(&self, account: &Account) -> Allowance {
        *self.accounts.get(account).unwrap_or(&self.everybody)
    }

    /// Whether only an account with `international` may call the number, as dialled or as the route takes it.
    pub(crate) fn is_international(&self, dialled: &str, stripped: &str) -> bool {
        [dialled, stripped].iter().any(|number| {
            let has = |patterns: &[super::Pattern]| {
                patterns.iter().any(|pattern| pattern.matches(number))
            };
            has(&self.international) && !has(&self.national)
        })
    }
}

impl Route {
    /// The number as the trunks of the route get it.
    pub(crate) fn stripped(&self, number: &str) -> String {
        number.chars().skip(self.strip).collect()
    }
}

impl Trunk {
    /// Where a number leads that was called from the trunk.
    pub(crate) fn destination(&self, dialled: &str) -> Option<&Destination> {
        let number = rewritten(&self.number_in, dialled);
        let found = self
            .numbers
            .iter()
            .find(|(pattern, _)| pattern.matches(&number));
        found.map(|(_, destination)| destination)
    }

    /// Who we say is calling, by number; none: nobody. `caller` is the account or the number that called in.
    #[must_use]
    pub fn shown_caller(&self, caller: &str) -> Option<String> {
        match &self.caller {
            Caller::Fixed(number) => Some(number.clone()),
            Caller::Anonymous => None,
            Caller::Own {
                rewrite,
                allowed,
                otherwise,
            } => {
                let own = rewritten(rewrite, caller);
                let may = allowed.iter().any(|pattern| pattern.matches(&own));
                Some(if may { own } else { otherwise.clone() })
            }
        }
    }
}

impl Trunks {
    /// The targets for a call, best first: by priority, then by weight and chance (RFC 2782), first among the trunks of
    /// the route, then inside each. None that is down.
    pub(crate) fn candidates(
        &mut self,
        route: &Route,
        now: Instant,
    ) -> Result<Vec<Candidate>, Cause> {
        let mut trunks: Vec<_> = route
            .trunks
            .iter()
            .map(|way| (way.priority, self.lot(way.weight), &way.trunk))
            .collect();
        trunks.sort_by(|a, b| {
            (a.0, a.1)
                .partial_cmp(&(b.0, b.1))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let mut candidates = Vec::new();
        for (_, _, trunk) in trunks {
            let hosts: Vec<Vec<_>> = self
                .get(trunk)
                .into_iter()
                .flat_map(Live::hosts)
                .map(|targets| {
                    let takes = targets.iter().filter(|target| target.takes_calls(now));
                    takes
                        .map(|target| (target.priority, target.weight, target.flow))
                        .collect()
                })
                .collect();
            let mut drawn = Vec::new();
            for targets in hosts {
                let mut host_lot = None;
                for ((host, place), (host_weight, weight), flow) in targets {
                    let first = *host_lot.get_or_insert_with(|| self.lot(host_weight));
                    drawn.push(((host, first, place, self.lot(weight)), flow));
                }
            }
            drawn.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
            candidates.extend(drawn.into_iter().map(|(_, flow)| Candidate {
                trunk: trunk.clone(),
                flow,
            }));
        }
        candidates.truncate(MAX_CANDIDATES);
        if candidates.is_empty() {
            return Err(Cause::TrunkDown);
        }
        Ok(candidates)
    }

    /// A lot for a draw among equals: the lowest wins, and wins as often as its weight's share of all weights
    /// (exponential lots); weight 0 hardly ever (RFC 2782).
    fn lot(&mut self, weight: u16) -> f64 {
        let weight = if weight == 0 {
            0.001
        } else {
            f64::from(weight)
        };
        -self.spread().max(f64::MIN_POSITIVE).ln() / weight
    }
}
