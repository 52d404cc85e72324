//! Legs over trunks: when one target does not take the call, the next one gets it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sip::endpoint::{Account, Binding, LegId, Outgoing, Status, Upstream};
use sip::uri::escape_user;
use tracing::{debug, info};

use super::Body;
use crate::Cause;
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::Role;
use crate::trunk::{Candidate, rewritten};

/// A target that says nothing to an INVITE for so long, not even 100, is given up for the next one: four datagrams were
/// lost then (RFC 3261 section 17.1.1.2: sent at 0, 0.5, 1.5 and 3.5 s).
const SILENCE: Duration = Duration::from_secs(4);

/// Hops that a call gets that came from a trunk and goes to a trunk: two switches that forward to each other come to an
/// end after ten legs, not after seventy (RFC 3261 section 8.1.1.6 has 70 for calls that begin here).
const FORWARDED_HOPS: u8 = 10;

/// Who an anonymous caller is (RFC 3323 section 4.1.1.3).
const ANONYMOUS: (&str, &str) = ("anonymous", "anonymous.invalid");

/// An INVITE over a trunk that has no final answer yet, and who gets it if this one fails.
#[derive(Debug)]
pub(super) struct Attempt {
    role: Role,
    /// The number as the route has it.
    number: String,
    current: Candidate,
    /// Best first.
    next: VecDeque<Candidate>,
    /// When it is given up; none once it said something or was given up.
    silent_at: Option<Instant>,
}

impl Body {
    /// Calls a number outside. The leg, or why there is none.
    pub(crate) fn dial_outside(
        &mut self,
        number: &str,
        role: &Role,
        fx: &mut Effects<'_>,
    ) -> Result<LegId, Cause> {
        if self.max_forwards <= 1 {
            return Err(Cause::TooManyHops);
        }
        let board = &mut *fx.board;
        let outside = &board.settings.outside;
        let route = outside.route(number).ok_or(Cause::UnknownNumber)?;
        let stripped = route.stripped(number);
        let mut candidates = board.trunks.candidates(route, fx.now)?;
        if self.secure {
            // RFC 3261 section 26.2.2: over TLS to the very end, or not at all.
            let is_safe = |trunk: &Account| outside.trunks.get(trunk).is_some_and(|it| it.sips);
            candidates.retain(|candidate| is_safe(&candidate.trunk));
            if candidates.is_empty() {
                return Err(Cause::Unregistered);
            }
        }
        debug!(route = route.name, number, "goes outside");
        // An agent's number is the administrator's choice, not the caller's.
        if role.agent().is_none() {
            self.charge(number, &stripped, fx)?;
        }
        self.place(role.clone(), stripped, candidates.into(), fx)
    }

    /// Who wants the call pays for it, if it has an account here: the caller, who transfers it, or whose phone is forwarded.
    /// Once for each call.
    fn charge(&mut self, number: &str, stripped: &str, fx: &mut Effects<'_>) -> Result<(), Cause> {
        let settings = &fx.board.settings;
        let payer = self.referrer.as_ref().unwrap_or(&self.caller_account);
        if !settings.sip.accounts.contains_key(payer) {
            return Ok(());
        }
        let outside = &settings.outside;
        let allowance = outside.accounts.get(payer);
        let allowance = *allowance.unwrap_or(&outside.everybody);
        if outside.is_international(number, stripped) && !allowance.international {
            info!("outside call refused: the account may not call abroad");
            return Err(Cause::NotAllowed);
        }
        if !self.pays_outside.is_empty() {
            return Ok(());
        }
        let today = fx.board.clock.moment(fx.now).date();
        let begun = fx.board.accounts.begin(payer, allowance, today);
        match begun {
            Ok(()) => self.pays_outside.push(payer.clone()),
            Err(_) => info!("outside call refused: the account has as many as it may"),
        }
        begun
    }

    /// Sends the INVITE to the first target that takes one more call.
    fn place(
        &mut self,
        role: Role,
        number: String,
        mut next: VecDeque<Candidate>,
        fx: &mut Effects<'_>,
    ) -> Result<LegId, Cause> {
        let prefer = self.preferred_codec()?;
        let mut full = Cause::TrunkDown;
        while let Some(current) = next.pop_front() {
            let board = &mut *fx.board;
            let trunk = board.settings.outside.trunks.get(&current.trunk);
            let Some((trunk, live)) = trunk.zip(board.trunks.get_mut(&current.trunk)) else {
                continue;
            };
            if !live.admits(trunk, fx.now) {
                info!(trunk = &*current.trunk.0, "trunk full: no more calls now");
                full = Cause::TrunkFull;
                continue;
            }
            let outgoing = self.outgoing(&current, &number, fx);
            let Some(leg) = outgoing.and_then(|it| self.call_out(it, &role, prefer, fx)) else {
                return Err(Cause::SwitchFull);
            };
            info!(trunk = &*current.trunk.0, "calls over a trunk");
            let attempt = Attempt {
                role,
                number,
                current,
                next,
                silent_at: Some(fx.now + SILENCE),
            };
            self.attempts.insert(leg, attempt);
            return Ok(leg);
        }
        Err(full)
    }

    /// The INVITE as the trunk wants it.
    fn outgoing(&self, to: &Candidate, number: &str, fx: &Effects<'_>) -> Option<Outgoing> {
        let trunks = &fx.board.settings.outside.trunks;
        let trunk = trunks.get(&to.trunk)?;
        let number = rewritten(&trunk.number_out, number);
        let (caller, caller_domain) = match trunk.shown_caller(&self.caller_number) {
            Some(caller) => (caller, trunk.domain.clone()),
            None => (ANONYMOUS.0.to_owned(), ANONYMOUS.1.to_owned()),
        };
        let registers = trunk
            .credentials
            .as_ref()
            .filter(|_| trunk.register.is_some());
        let forwarded = trunks.contains_key(&self.caller_account);
        let hops = self.max_forwards.saturating_sub(1);
        Some(Outgoing {
            binding: Binding {
                account: to.trunk.clone(),
                contact: format!(
                    "{}:{}@{}",
                    trunk.scheme(),
                    escape_user(&number),
                    trunk.domain
                ),
                flow: to.flow,
            },
            caller,
            // Names inside the house are nobody's business outside.
            display: None,
            private: self.caller_is_private,
            offer: bytes::Bytes::new(),
            max_forwards: if forwarded {
                hops.min(FORWARDED_HOPS)
            } else {
                hops
            },
            referred_by: None,
            upstream: Some(Upstream {
                number,
                domain: trunk.domain.clone(),
                caller_domain,
                line: registers.map(sip::digest::Credentials::line),
            }),
        })
    }

    /// What an event of a leg over a trunk says about the trunk.
    pub(crate) fn note_trunk(&mut self, event: &Event, fx: &mut Effects<'_>) {
        let (leg, status) = if let Event::Ringing(leg, _) | Event::Answered(leg, _) = event {
            (*leg, None)
        } else if let Event::Refused(leg, status, _) = event {
            (*leg, Some(*status))
        } else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(&leg) else {
            return;
        };
        attempt.silent_at = None;
        let Candidate { trunk, flow } = &attempt.current;
        if let Some(live) = fx.board.trunks.get_mut(trunk) {
            if status.is_some_and(is_failure) {
                live.failed_call(*flow, &trunk.0, fx.now);
            } else {
                live.answered(*flow, &trunk.0);
            }
        }
        if let Event::Answered(..) = event {
            self.attempts.remove(&leg);
        }
    }

    /// When the next trunk has been silent for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let attempts = self.attempts.values();
        attempts.filter_map(|attempt| attempt.silent_at).min()
    }

    /// A leg whose trunk has said nothing at all until now, each once.
    pub(crate) fn silent_leg(&mut self, fx: &mut Effects<'_>) -> Option<LegId> {
        loop {
            let due = self
                .attempts
                .iter_mut()
                .find(|(_, attempt)| attempt.silent_at.is_some_and(|at| at <= fx.now));
            let (leg, attempt) = due?;
            attempt.silent_at = None;
            if fx.is_proceeding(*leg) {
                continue;
            }
            let Candidate { trunk, flow } = &attempt.current;
            if let Some(live) = fx.board.trunks.get_mut(trunk) {
                live.failed_call(*flow, &trunk.0, fx.now);
            }
            return Some(*leg);
        }
    }

    /// Whether a leg that failed with this status was over a trunk and may go over another one: a trunk that cannot, not
    /// a callee who does not want to, and nobody's phone rang yet.
    pub(crate) fn has_another_way(&self, leg: LegId, status: Status) -> bool {
        let rang = self.leg(leg).is_some_and(|leg| leg.times.ring.is_some());
        let attempt = self.attempts.get(&leg);
        attempt.is_some_and(|attempt| !attempt.next.is_empty()) && !rang && is_failure(status)
    }

    /// Takes what is left to try of an attempt.
    pub(crate) fn take_attempt(&mut self, leg: LegId) -> Option<Remaining> {
        let attempt = self.attempts.remove(&leg)?;
        Some(Remaining(attempt))
    }

    /// The call goes to the next target; none if no target takes it.
    pub(crate) fn try_another_way(
        &mut self,
        Remaining(attempt): Remaining,
        fx: &mut Effects<'_>,
    ) -> Option<LegId> {
        let Attempt {
            role, number, next, ..
        } = attempt;
        self.place(role, number, next, fx).ok()
    }

    /// The trunk that a caller came from has more calls than it may.
    pub(crate) fn is_over_trunk_limit(&self, fx: &Effects<'_>) -> bool {
        let account: &Account = &self.caller_account;
        let trunk = fx.board.settings.outside.trunks.get(account);
        let live = fx.board.trunks.get(account);
        trunk
            .zip(live)
            .is_some_and(|(trunk, live)| live.legs() > trunk.max_calls)
    }
}

/// What is left to try.
pub(crate) struct Remaining(Attempt);

/// Whether a trunk says by this that it cannot carry the call, whoever is called: wrong credentials, no answer, server
/// failures (RFC 3261 sections 21.4.2, 21.4.8, 21.4.9 and 21.5).
fn is_failure(status: Status) -> bool {
    matches!(status.0, 401 | 407 | 408 | 500 | 502 | 503 | 504)
}
