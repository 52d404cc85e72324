//! Legs over trunks: when one target does not take the call, the next one gets it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sip::endpoint::{Account, Binding, Identity, LegId, Outgoing, Status, Upstream};
use sip::uri::escape_user;
use tracing::{debug, info, warn};

use super::Body;
use crate::Cause;
use crate::effects::Effects;
use crate::event::Event;
use crate::leg::Role;
use crate::trunk::{Candidate, Shown, Trunk, rewritten};

/// A target that says nothing to an INVITE for so long, not even 100, is given up for the next one: four datagrams were
/// lost then (RFC 3261 section 17.1.1.2: sent at 0, 0.5, 1.5 and 3.5 s).
const SILENCE: Duration = Duration::from_secs(4);

/// Hops that a call gets that came from a trunk and goes to a trunk: two switches that forward to each other come to an
/// end after ten legs, not after seventy (RFC 3261 section 8.1.1.6 has 70 for calls that begin here).
const FORWARDED_HOPS: u8 = 10;

/// An INVITE over a trunk that has no final answer yet, and who gets it if this one fails.
#[derive(Debug)]
pub(super) struct Attempt {
    wanted: Wanted,
    current: Candidate,
    /// Best first.
    next: VecDeque<Candidate>,
    /// When it is given up; none once it said something or was given up.
    silent_at: Option<Instant>,
}

/// What is the same over every trunk.
#[derive(Debug)]
struct Wanted {
    role: Role,
    /// The number as the route has it.
    number: String,
    /// Branches that it is called with.
    breadth: usize,
    payer: Option<Account>,
}

impl Body {
    /// Calls a number outside, with so many branches for it. The leg, or why there is none.
    pub(crate) fn dial_outside(
        &mut self,
        number: &str,
        role: &Role,
        breadth: usize,
        fx: &mut Effects<'_>,
    ) -> Result<LegId, Cause> {
        if self.max_forwards <= 1 {
            return Err(Cause::TooManyHops);
        }
        if breadth == 0 {
            return Err(Cause::TooManyBranches);
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
        let payer = match role.agent() {
            None => self.charge(number, &stripped, fx)?,
            Some(_) => None,
        };
        let wanted = Wanted {
            role: role.clone(),
            number: stripped,
            breadth,
            payer,
        };
        self.place(wanted, candidates.into(), fx)
    }

    /// Who wants the call pays for it, if it has an account here: the caller, who transfers it, or whose phone is forwarded.
    /// A call counts once, the talk of each of its legs outside.
    fn charge(
        &mut self,
        number: &str,
        stripped: &str,
        fx: &mut Effects<'_>,
    ) -> Result<Option<Account>, Cause> {
        let board = &mut *fx.board;
        let payer = self.referrer.as_ref().unwrap_or(&self.caller_account);
        if !board.settings.sip.accounts.contains_key(payer) {
            return Ok(None);
        }
        board.learn_day(fx.now);
        let outside = &board.settings.outside;
        let allowance = outside.allowance(payer);
        if outside.is_international(number, stripped) && !allowance.international {
            info!("outside call refused: the account may not call abroad");
            return Err(Cause::NotAllowed);
        }
        let accounts = &mut board.accounts;
        let begun = if !accounts.has_time(payer, allowance, fx.now) {
            Err(Cause::TalkSpent)
        } else if self.pays_outside.is_empty() {
            accounts.begin(payer, allowance)
        } else {
            return Ok(Some(payer.clone()));
        };
        if let Err(cause) = begun {
            if accounts.is_news(payer, allowance, fx.now) {
                board.alarms += 1;
                warn!(
                    ?cause,
                    "outside call refused: its account has used up what it may today"
                );
            } else {
                info!(?cause, "outside call refused");
            }
            return Err(cause);
        }
        self.pays_outside.push(payer.clone());
        Ok(Some(payer.clone()))
    }

    /// Sends the INVITE to the first target that takes one more call.
    fn place(
        &mut self,
        wanted: Wanted,
        mut next: VecDeque<Candidate>,
        fx: &mut Effects<'_>,
    ) -> Result<LegId, Cause> {
        let codecs = self.caller_codecs()?;
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
            let outgoing = self.outgoing(&current, &wanted, fx);
            let role = &wanted.role;
            let Some(leg) = outgoing.and_then(|it| self.call_out(it, role, codecs.as_ref(), fx))
            else {
                return Err(Cause::SwitchFull);
            };
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.payer.clone_from(&wanted.payer);
            }
            info!(trunk = &*current.trunk.0, "calls over a trunk");
            let attempt = Attempt {
                wanted,
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
    fn outgoing(&self, to: &Candidate, wanted: &Wanted, fx: &Effects<'_>) -> Option<Outgoing> {
        let trunks = &fx.board.settings.outside.trunks;
        let trunk = trunks.get(&to.trunk)?;
        let number = rewritten(&trunk.number_out, &wanted.number);
        let caller = trunk.shown_caller(&self.caller_number);
        let private = self.caller_is_private || caller.is_none();
        let identity = caller
            .clone()
            .and_then(|caller| identity(trunk, caller, private));
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
            caller: caller.unwrap_or_default(),
            // Names inside the house are nobody's business outside.
            display: None,
            private,
            offer: bytes::Bytes::new(),
            max_forwards: if forwarded {
                hops.min(FORWARDED_HOPS)
            } else {
                hops
            },
            max_breadth: wanted.breadth,
            referred_by: None,
            upstream: Some(Upstream {
                number,
                domain: trunk.domain.clone(),
                caller_domain: trunk.domain.clone(),
                line: registers.map(sip::digest::Credentials::line),
                identity,
            }),
        })
    }

    /// What an event of a leg over a trunk says about the trunk.
    pub(crate) fn note_trunk(&mut self, event: &Event, fx: &mut Effects<'_>) {
        let (leg, refusal) = if let Event::Ringing(leg, _) | Event::Answered(leg, _) = event {
            (*leg, None)
        } else if let Event::Refused(leg, refusal) = event {
            (
                *leg,
                Some(refusal).filter(|refusal| is_failure(refusal.status)),
            )
        } else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(&leg) else {
            return;
        };
        attempt.silent_at = None;
        let Candidate { trunk, flow } = &attempt.current;
        if let Some(live) = fx.board.trunks.get_mut(trunk) {
            match refusal {
                Some(refusal) => {
                    // Section 21.5.4: only with it a 503 is about more than this call.
                    let rest = refusal.retry_after.filter(|_| refusal.status.0 == 503);
                    live.failed_call(*flow, &trunk.0, rest, fx.now);
                }
                None => live.answered(*flow, &trunk.0, fx.now),
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
                live.failed_call(*flow, &trunk.0, None, fx.now);
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
        let Attempt { wanted, next, .. } = attempt;
        self.place(wanted, next, fx).ok()
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

/// What is said of the caller besides From. Who wants to stay unknown is told to trusted trunks alone, who keep it to themselves
/// (RFC 3325 section 7); a number that the trunk shall look at first is asked for in its name.
fn identity(trunk: &Trunk, caller: String, private: bool) -> Option<Identity> {
    match trunk.identity {
        Shown::From => None,
        Shown::Asserted => (!private || trunk.trusted).then_some(Identity::Asserted(caller)),
        Shown::Preferred => Some(Identity::Preferred(caller)),
    }
}

/// What is left to try.
pub(crate) struct Remaining(Attempt);

/// Whether a trunk says by this that it cannot carry the call, whoever is called: wrong credentials, no answer, server
/// failures (RFC 3261 sections 21.4.2, 21.4.8, 21.4.9 and 21.5).
fn is_failure(status: Status) -> bool {
    matches!(status.0, 401 | 407 | 408 | 500 | 502 | 503 | 504)
}
