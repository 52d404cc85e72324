//! Who rings until one answers: a phone, a ring group or a number outside, and where phones send the caller (3xx).

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Account, LegId, Reason, Redirection, Status};
use sip::sdp::AudioCodec;
use tracing::debug;

use crate::body::Body;
use crate::cause::answered_elsewhere;
use crate::effects::Effects;
use crate::event::{Event, Refusal};
use crate::leg::Role;
use crate::settings::{Destination, GroupId, GroupMember, GroupOrder};
use crate::{Cause, Party};

/// See the module.
#[derive(Debug)]
pub(crate) struct Search {
    ringing: BTreeSet<LegId>,
    /// The phone that the caller hears already.
    heard: Option<LegId>,
    /// The best refusal so far (RFC 3261 section 16.7 step 6).
    best: Option<Failed>,
    /// Who has not answered by then does not.
    pub(crate) until: Instant,
    /// Of a group that rings in turn: who has not rung yet, and how long each may.
    next: VecDeque<GroupMember>,
    ring_time: Duration,
    /// What redirections led to: nothing twice, so that they end (RFC 3261 section 8.1.3.4).
    called: BTreeSet<String>,
    /// Where redirections lead besides, the next one first.
    waiting: VecDeque<Redirection>,
}

/// Why nobody answers.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) cause: Cause,
    /// What the caller may be told.
    pub(crate) status: Status,
    pub(crate) by: Party,
}

/// What is left of a search.
#[derive(Debug)]
pub(crate) enum Outlook {
    /// Somebody still rings.
    Rings,
    /// A phone sends the caller to a number that is no phone, and nobody rings.
    Leads(String),
    /// Nobody is left.
    Nobody(Failed),
}

impl Search {
    /// A phone rings on every binding.
    pub(crate) fn phone(
        account: &Account,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Result<Self, Failed> {
        let member = GroupMember::Phone(account.clone());
        let mut search = Self::empty([member].into(), fx.ring_timeout(), fx);
        search.called.insert(account.0.to_string());
        search.begin(body, fx)
    }

    /// A number outside is called over a trunk.
    pub(crate) fn outside(
        number: &str,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Result<Self, Failed> {
        let member = GroupMember::Outside(number.to_owned());
        Self::empty([member].into(), fx.ring_timeout(), fx).begin(body, fx)
    }

    /// A group rings.
    pub(crate) fn group(
        group: &GroupId,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Result<Self, Failed> {
        let Some(group) = fx.group(group).cloned() else {
            return Err(Failed::of(Cause::UnknownNumber));
        };
        // Nobody's own phone rings for the call that it makes.
        let own = GroupMember::Phone(body.caller_account.clone());
        let members = group.members.into_iter().filter(|member| *member != own);
        let mut search = Self::empty(members.collect(), group.ring_time, fx);
        match group.order {
            GroupOrder::InTurn => search.begin(body, fx),
            GroupOrder::All => {
                let members = std::mem::take(&mut search.next);
                let breadth = body.breadth();
                // RFC 5393 section 5.3.3: who may not branch so often is told so.
                if members.len() > breadth {
                    return Err(Failed::of(Cause::TooManyBranches));
                }
                let each = breadth / members.len().max(1);
                let mut cause = Cause::Unregistered;
                for member in &members {
                    match ring(member, each, body, fx) {
                        Ok(legs) => search.ringing.extend(legs),
                        Err(why) => cause = why,
                    }
                }
                if search.ringing.is_empty() {
                    return Err(Failed::of(cause));
                }
                Ok(search)
            }
        }
    }

    fn empty(next: VecDeque<GroupMember>, ring_time: Duration, fx: &Effects<'_>) -> Self {
        Self {
            ringing: BTreeSet::new(),
            heard: None,
            best: None,
            until: fx.now + ring_time,
            next,
            ring_time,
            called: BTreeSet::new(),
            waiting: VecDeque::new(),
        }
    }

    fn begin(mut self, body: &mut Body, fx: &mut Effects<'_>) -> Result<Self, Failed> {
        match self.ring_next(body, fx) {
            Outlook::Rings | Outlook::Leads(_) => Ok(self),
            Outlook::Nobody(failed) => Err(failed),
        }
    }

    /// A called phone rings; whether the caller hears it already.
    pub(crate) fn rings(
        &mut self,
        leg: LegId,
        early: Option<&Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> bool {
        body.mark_ringing(leg, early, fx);
        // The first phone that has something to say is heard; a description without sound is rare.
        let speaks = early.is_some() && self.heard.is_none_or(|heard| heard == leg);
        let heard = speaks && body.hear_early(leg, fx);
        if heard {
            self.heard = Some(leg);
        }
        heard
    }

    /// Whether the leg is one that rings.
    pub(crate) fn has(&self, leg: LegId) -> bool {
        self.ringing.contains(&leg)
    }

    /// A call over a trunk goes on over another one.
    pub(super) fn replace(&mut self, old: LegId, new: LegId) -> bool {
        self.ringing.remove(&old) && self.ringing.insert(new)
    }

    /// A called phone answered. Its codec if it has the call; end the search then.
    ///
    /// # Errors
    /// Its answer is of no use: its leg has ended, and `Outlook` tells what is left.
    pub(crate) fn answered(
        &mut self,
        leg: LegId,
        answer: Option<Bytes>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Result<Option<AudioCodec>, Outlook> {
        if !self.ringing.contains(&leg) {
            body.release(leg, Status(487), Some(answered_elsewhere()), fx);
            return Err(Outlook::Rings);
        }
        match body.take_answer(leg, answer, fx) {
            Ok(codec) => {
                self.ringing.remove(&leg);
                Ok(codec)
            }
            Err(cause) => {
                body.release(leg, cause.status(), cause.reason(), fx);
                let failed = Failed {
                    by: Party::Callee,
                    ..Failed::of(cause)
                };
                Err(self.lost(leg, failed, Vec::new(), body, fx))
            }
        }
    }

    /// Somebody has the call: the other phones ring no more, and list no missed call.
    pub(crate) fn end(mut self, body: &mut Body, fx: &mut Effects<'_>) {
        self.stop(Some(answered_elsewhere()), body, fx);
    }

    fn stop(&mut self, reason: Option<Reason>, body: &mut Body, fx: &mut Effects<'_>) {
        for leg in std::mem::take(&mut self.ringing) {
            body.release(leg, Status(487), reason.clone(), fx);
        }
    }

    /// Somebody who rings does not have the call, or nobody in time: what is left.
    pub(crate) fn set_back(
        &mut self,
        event: Event,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Outlook {
        match event {
            Event::Refused(leg, refusal) => self.refused(leg, refusal, body, fx),
            Event::Ended(leg, cause) => self.refused(leg, Refusal::of(cause.status()), body, fx),
            Event::Deadline => self.timed_out(body, fx),
            Event::Ringing(..)
            | Event::Answered(..)
            | Event::Acknowledged(..)
            | Event::Reoffered(..)
            | Event::Reanswered(..)
            | Event::RefreshDue(_)
            | Event::Referred(..)
            | Event::Digit(..)
            | Event::Played(..)
            | Event::Silent(..)
            | Event::Closed(..)
            | Event::Recorded(..)
            | Event::Offered(..)
            | Event::Withdrawn(..)
            | Event::WaitedTooLong(_)
            | Event::QueueGone
            | Event::Conversation(_)
            | Event::Conferees(_)
            | Event::Stop(..) => Outlook::Rings,
        }
    }

    /// Who rings does not answer in time, and gives way to the next of the group.
    fn timed_out(&mut self, body: &mut Body, fx: &mut Effects<'_>) -> Outlook {
        self.stop(None, body, fx);
        if self.next.is_empty() {
            return Outlook::Nobody(Failed::of(Cause::NoAnswer));
        }
        self.best.get_or_insert(Failed::of(Cause::NoAnswer));
        self.ring_next(body, fx)
    }

    /// A called phone refused, or sends the caller elsewhere.
    fn refused(
        &mut self,
        leg: LegId,
        refusal: Refusal,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Outlook {
        let Refusal {
            status,
            mut targets,
            ..
        } = refusal;
        // A trunk forwards nobody at our cost.
        let by = body.account(leg).cloned();
        if by.as_ref().is_some_and(|by| fx.is_trunk(by)) {
            targets.clear();
        }
        body.mark_over(leg, Some(status), fx);
        if self.ringing.contains(&leg) && !targets.is_empty() {
            body.forward_by(by);
        }
        let failed = Failed {
            cause: Cause::of_refusal(status),
            status,
            by: Party::Callee,
        };
        self.lost(leg, failed, targets, body, fx)
    }

    /// A called phone, whose leg is over, does not have the call; it may have named others.
    fn lost(
        &mut self,
        leg: LegId,
        failed: Failed,
        targets: Vec<Redirection>,
        body: &mut Body,
        fx: &mut Effects<'_>,
    ) -> Outlook {
        if !self.ringing.remove(&leg) {
            return Outlook::Rings;
        }
        if self.heard.take_if(|heard| *heard == leg).is_some() {
            let ringing = fx.sounds().ringing.clone();
            body.background(body.caller, Some(ringing), fx);
        }
        let redirects = !targets.is_empty();
        let is_final = failed.status.0 >= 600;
        if redirects {
            for target in targets.into_iter().rev() {
                self.waiting.push_front(target);
            }
        } else {
            self.note(failed);
        }
        // A 6xx ends the search: the callee is known not to want the call anywhere (RFC 3261 section 21.6).
        if is_final && self.next.is_empty() {
            self.stop(None, body, fx);
            self.waiting.clear();
        }
        if self.ringing.is_empty() || redirects {
            self.follow(body, fx)
        } else {
            Outlook::Rings
        }
    }

    /// Calls where the last redirection leads, one number at a time; then the next of the group.
    fn follow(&mut self, body: &mut Body, fx: &mut Effects<'_>) -> Outlook {
        while let Some(target) = self.waiting.pop_front() {
            let Redirection::Number(number) = target else {
                debug!("is redirected to what is no number of ours");
                self.note(Failed::of(Cause::RedirectedAway));
                continue;
            };
            let member = match fx.answering(&number) {
                Some(Destination::Phone(account)) => Some(GroupMember::Phone(account)),
                Some(_) if !self.ringing.is_empty() => {
                    // It waits for those who ring: a queue would take the call from them.
                    self.waiting.push_front(Redirection::Number(number));
                    return Outlook::Rings;
                }
                Some(_) => None,
                None => Some(GroupMember::Outside(number.clone())),
            };
            if !self.called.insert(number.clone()) {
                self.note(Failed::of(Cause::Loop));
                continue;
            }
            if !body.redirected() {
                self.note(Failed::of(Cause::Loop));
                continue;
            }
            debug!(number, "is redirected");
            let Some(member) = member else {
                return Outlook::Leads(number);
            };
            match ring(&member, body.breadth(), body, fx) {
                Ok(legs) => {
                    self.ringing.extend(legs);
                    self.until = fx.now + self.ring_time;
                    return Outlook::Rings;
                }
                Err(cause) => self.note(Failed::of(cause)),
            }
        }
        if self.ringing.is_empty() {
            self.ring_next(body, fx)
        } else {
            Outlook::Rings
        }
    }

    /// The first of those who have not rung yet rings that can.
    fn ring_next(&mut self, body: &mut Body, fx: &mut Effects<'_>) -> Outlook {
        let mut cause = Cause::Unregistered;
        while let Some(member) = self.next.pop_front() {
            match ring(&member, body.breadth(), body, fx) {
                Ok(legs) => {
                    debug!(legs = legs.len(), "rings");
                    self.ringing.extend(legs);
                    self.until = fx.now + self.ring_time;
                    return Outlook::Rings;
                }
                Err(why) => cause = why,
            }
        }
        let best = self.best.take();
        Outlook::Nobody(best.unwrap_or_else(|| Failed::of(cause)))
    }

    /// Somebody refused, or could not be called; the caller is told the best of it.
    fn note(&mut self, failed: Failed) {
        let is_better = |best: &Failed| rank(failed.status) < rank(best.status);
        if self.best.as_ref().is_none_or(is_better) {
            self.best = Some(Failed {
                status: passed_on(failed.status),
                ..failed
            });
        }
    }
}

impl Failed {
    fn of(cause: Cause) -> Self {
        Self {
            cause,
            status: cause.status(),
            by: Party::Switch,
        }
    }
}

/// Rings a member of a group, with so many branches for it.
fn ring(
    member: &GroupMember,
    breadth: usize,
    body: &mut Body,
    fx: &mut Effects<'_>,
) -> Result<Vec<LegId>, Cause> {
    match member {
        GroupMember::Phone(account) => body.dial(account, &Role::Callee, breadth, fx),
        GroupMember::Outside(number) => {
            let leg = body.dial_outside(number, &Role::Callee, breadth, fx)?;
            Ok(vec![leg])
        }
    }
}

/// 6xx before all; else what says most to the caller: busy, then the lowest class (RFC 3261 section 16.7 step 6).
fn rank(status: Status) -> (u8, u16) {
    match status.0 {
        600.. => (0, status.0),
        486 => (1, 0),
        other => (2, other),
    }
}

/// What the caller is told of the callee's refusal: never a challenge or a redirection that is not meant for it,
/// nor that a server is overloaded, which would make it give this one up (RFC 3261 section 16.7).
fn passed_on(status: Status) -> Status {
    match status.0 {
        400 | 402..=406 | 408..=499 | 600.. => status,
        _ => Status(480),
    }
}
