//! What comes back on requests of ours (RFC 3261 sections 8.1.3, 13.2.2, 14.1 and 15.1.1).

use std::time::{Duration, Instant};

use super::incoming::description;
use super::leg::{Leg, Outgoing, Progress, Standing, State};
use super::session_timer::SessionTimer;
use super::{Ending, Endpoint, Event, LegId, Reason, Redirection, Status};
use crate::dialog::Dialog;
use crate::header::{Contacts, NameAddr};
use crate::transaction::{ClientKey, Failed, Failure, Purpose, SIXTY_FOUR_T1};
use crate::uri::Uri;
use crate::{Flow, Message};

/// Most contacts of a 3xx that are told; more are left out. A phone that is forwarded names one.
const MAX_TARGETS: usize = 10;

/// What a contact without a q parameter is worth, in thousandths: RFC 3261 names none, RFC 2543 section 6.13 said 1.
const DEFAULT_Q: u16 = 1_000;

impl Endpoint {
    /// A response came.
    pub(super) fn response(&mut self, response: &Message, flow: Flow, now: Instant) {
        // Section 8.1.3: what nobody waits for, or cannot be read, is dropped.
        if response.validate().is_err() {
            return;
        }
        // A challenge is the peer's own only if it comes from where the request went.
        let challenged = self
            .wire
            .layer
            .challenged(response)
            .filter(|challenged| challenged.flow.remote.ip() == flow.remote.ip());
        let Some((key, purpose)) = self.wire.layer.receive(response, now) else {
            return;
        };
        if let Some(challenged) = challenged
            && self.answer_challenge(purpose, &challenged, response, now)
        {
            return;
        }
        let Some(status) = response.status() else {
            return;
        };
        match purpose {
            Purpose::Invite(leg) => match status.0 {
                ..=199 => self.provisional(leg, status, response, now),
                200..=299 => self.accepted(leg, key, response, now),
                422 if self.invite_again(leg, response, now) => {}
                300.. => {
                    let targets = self.redirections(leg, response);
                    self.refused(leg, status, retry_after(response), targets, now);
                }
            },
            Purpose::Reoffer(leg) => match status.0 {
                ..=199 => {}
                200..=299 => self.reoffer_accepted(leg, key, response, now),
                422 if self.reoffer_again(leg, response, now) => {}
                300.. => self.reoffer_refused(leg, status, now),
            },
            Purpose::Bye(leg) => {
                if status.0 >= 200 {
                    self.forget_left(leg, now);
                }
            }
            Purpose::Outside { request, .. } => {
                if status.0 >= 200 {
                    self.replied(request, response);
                }
            }
            Purpose::Ask(leg, request, _) => {
                if status.0 >= 200 {
                    self.replied_in_dialog(leg, request, Ok(response));
                }
            }
            Purpose::Update(leg) => match status.0 {
                ..=199 => {}
                200..=299 => self.reoffer_accepted(leg, key, response, now),
                300.. => self.reoffer_refused(leg, status, now),
            },
            Purpose::Refresh(leg) => self.refreshed(leg, status.0, Some(response), now),
            // What it acknowledged came; whether the PRACK did is the peer's to find out (RFC 3262 section 4).
            Purpose::Prack(_) | Purpose::Cancel | Purpose::Discard => {}
            Purpose::Notify(id) => self.notify_answered(id, status.0, response, now),
            Purpose::Message(id) => self.message_answered(id, status.0, now),
        }
    }

    /// A transaction got no answer, or its connection is gone.
    pub(super) fn failed(&mut self, failed: Failed, now: Instant) {
        match failed {
            Failed::Client(Purpose::Invite(leg), failure) => {
                // Section 8.1.3.1.
                let status = match failure {
                    Failure::Timeout => Status(408),
                    Failure::Transport => Status(503),
                };
                self.refused(leg, status, None, Vec::new(), now);
            }
            Failed::Client(Purpose::Reoffer(leg) | Purpose::Update(leg), failure) => {
                match failure {
                    Failure::Timeout => self.reoffer_refused(leg, Status(408), now),
                    Failure::Transport => self.reoffer_refused(leg, Status(503), now),
                }
            }
            Failed::Client(Purpose::Bye(leg), _) => self.forget_left(leg, now),
            Failed::Client(Purpose::Outside { request, .. }, failure) => {
                self.never_replied(request, failure)
            }
            Failed::Client(Purpose::Refresh(leg), failure) => {
                let status = match failure {
                    Failure::Timeout => 408,
                    Failure::Transport => 503,
                };
                self.refreshed(leg, status, None, now);
            }
            Failed::Client(Purpose::Ask(leg, request, _), failure) => {
                self.replied_in_dialog(leg, request, Err(failure));
            }
            Failed::Client(Purpose::Prack(_) | Purpose::Cancel | Purpose::Discard, _) => {}
            Failed::Client(Purpose::Notify(id), _) => self.notify_failed(id),
            Failed::Client(Purpose::Message(id), failure) => {
                self.message_failed(id, failure, now);
            }
            Failed::Server(leg, failure) => match failure {
                // The refusal was never acknowledged: nobody is left to be told.
                Failure::Timeout => {}
                Failure::Transport => self.caller_is_gone(leg, now),
            },
        }
    }

    /// The connection of a caller closed before the answer.
    fn caller_is_gone(&mut self, leg: LegId, now: Instant) {
        let waits = |leg: &Leg| matches!(leg.state, State::Incoming(_));
        if self.legs.get(&leg).is_some_and(waits)
            && let Some(Leg {
                state: State::Incoming(incoming),
                ..
            }) = self.remove(leg, now)
        {
            self.wire.layer.forget(incoming.invite.key);
            self.wire.tell(Event::Cancelled { leg, reason: None });
        }
    }

    fn provisional(&mut self, id: LegId, status: Status, response: &Message, now: Instant) {
        let Some(Leg {
            state: State::Outgoing(outgoing),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        match &mut outgoing.progress {
            Progress::Calling => outgoing.progress = Progress::Proceeding,
            Progress::Proceeding => {}
            Progress::CancelHeld(reason) => {
                let reason = reason.take();
                return self.send_cancel(id, reason.as_ref(), now);
            }
            Progress::Cancelled { .. } => return,
        }
        if status.0 > 100
            && let Some(answers) = self.acknowledge_provisional(id, response, now)
        {
            self.wire.tell(Event::Ringing {
                leg: id,
                status,
                answer: description(response).filter(|_| answers),
            });
            self.reoffer_held(id, now);
        }
    }

    /// Sends CANCEL and gives the final answer 64*T1 (RFC 3261 section 9.1).
    fn send_cancel(&mut self, id: LegId, reason: Option<&Reason>, now: Instant) {
        if let Some(Leg {
            state: State::Outgoing(outgoing),
            ..
        }) = self.legs.get_mut(&id)
        {
            let until = now + SIXTY_FOUR_T1;
            outgoing.progress = Progress::Cancelled { until };
            self.wire.cancel(outgoing.branch, reason, now);
            self.wire.wake(id, until);
        }
    }

    /// Gives up an INVITE; `tells` whether the owner hears of its end.
    pub(super) fn give_up(&mut self, id: LegId, reason: Option<Reason>, tells: bool, now: Instant) {
        let Some(Leg {
            state: State::Outgoing(outgoing),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        outgoing.tells &= tells;
        match outgoing.progress {
            Progress::Calling => outgoing.progress = Progress::CancelHeld(reason),
            Progress::Proceeding => self.send_cancel(id, reason.as_ref(), now),
            Progress::CancelHeld(_) | Progress::Cancelled { .. } => {}
        }
    }

    /// A 2xx to the INVITE of a leg: the first, again, of a fork, or too late (RFC 3261 section 13.2.2.4).
    fn accepted(&mut self, id: LegId, key: ClientKey, response: &Message, now: Instant) {
        if self.acknowledged_before(key, response) {
            return;
        }
        let wanted = self.legs.get(&id).is_some_and(|leg| match &leg.state {
            State::Outgoing(Outgoing { progress, .. }) => match progress {
                Progress::Calling | Progress::Proceeding => true,
                Progress::CancelHeld(_) | Progress::Cancelled { .. } => false,
            },
            State::Incoming(_) | State::Standing(_) | State::Leaving { .. } | State::Left => false,
        });
        if !wanted {
            self.discard(id, key, response, now);
            // The 2xx crossed our CANCEL: for the owner the INVITE was cancelled.
            return self.refused(id, Status(487), None, Vec::new(), now);
        }
        if let Some(leg) = self.legs.get_mut(&id)
            && let State::Outgoing(outgoing) = &mut leg.state
        {
            let early = outgoing.early(Some(tag(response)));
            // RFC 3262 section 5: what a reliable response answered is not answered again.
            let agreed = early.as_ref().is_some_and(|early| early.agreed);
            if let Some(early) = early {
                let numbers = leg.dialog.last_cseq();
                leg.dialog = early.dialog.clone();
                leg.dialog.go_on_from(numbers);
            }
            leg.dialog.confirm(response);
            let timer = SessionTimer::agreed(response, &outgoing.wish, now);
            leg.learn(response);
            leg.state = State::Standing(Standing {
                timer,
                ..Standing::default()
            });
            self.wire.watch(id, timer.as_ref());
            // The ACK carries the number of its INVITE (section 13.2.2.4); PRACKs may have left since.
            let cseq = response.cseq().map_or(0, |cseq| cseq.number);
            self.wire.acknowledge(key, &leg.dialog, cseq, tag(response));
            self.wire.tell(Event::Answered {
                leg: id,
                answer: description(response).filter(|_| !agreed),
            });
            self.reoffer_held(id, now);
        }
    }

    /// Sends the same ACK again for a 2xx that came again.
    pub(super) fn acknowledged_before(&mut self, key: ClientKey, response: &Message) -> bool {
        let Some(client) = self.wire.layer.client(key) else {
            return true;
        };
        let flow = client.flow;
        let Some(ack) = client.ack(tag(response)).cloned() else {
            return false;
        };
        self.wire.layer.transmit(flow, ack);
        true
    }

    /// Acknowledges a 2xx that nobody wants, and ends its dialog.
    pub(super) fn discard(&mut self, id: LegId, key: ClientKey, response: &Message, now: Instant) {
        if let Some(mut dialog) = self.acknowledge_alone(key, response) {
            // PRACKs of the leg may have used numbers since.
            if let Some(leg) = self.legs.get(&id) {
                dialog.go_on_from(leg.dialog.last_cseq());
            }
            self.wire.bye(&mut dialog, None, Purpose::Discard, now);
        }
    }

    /// Acknowledges a 2xx whose dialog is none of ours, or none any more; gives the dialog.
    pub(super) fn acknowledge_alone(
        &mut self,
        key: ClientKey,
        response: &Message,
    ) -> Option<Dialog> {
        let client = self.wire.layer.client(key)?;
        let flow = client.flow;
        let invite = Message::parse(client.request.clone()).ok()?;
        let dialog = Dialog::beside(&invite, response, flow, &self.wire.nat)?;
        let cseq = dialog.last_cseq();
        let is_new = self.wire.acknowledge(key, &dialog, cseq, tag(response));
        is_new.then_some(dialog)
    }

    /// The INVITE of a leg failed; a leg that stands (another fork answered) is not concerned.
    pub(super) fn refused(
        &mut self,
        id: LegId,
        status: Status,
        retry_after: Option<Duration>,
        targets: Vec<Redirection>,
        now: Instant,
    ) {
        let waits = |leg: &Leg| matches!(leg.state, State::Outgoing(_));
        if self.legs.get(&id).is_some_and(waits)
            && let Some(Leg {
                state: State::Outgoing(outgoing),
                ..
            }) = self.remove(id, now)
            && outgoing.tells
        {
            self.wire.tell(Event::Refused {
                leg: id,
                status,
                retry_after,
                targets,
            });
        }
    }

    /// Where a 3xx sends the caller of a leg, by q, equal ones in their order (RFC 3261 sections 8.1.3.4 and 20.10).
    fn redirections(&self, id: LegId, response: &Message) -> Vec<Redirection> {
        let redirects = response
            .status()
            .is_some_and(|status| (300..400).contains(&status.0));
        let leg = self.legs.get(&id).filter(|_| redirects);
        let (Some(leg), Ok(Contacts::List(mut contacts))) = (leg, response.contacts()) else {
            return Vec::new();
        };
        contacts.sort_by_key(|contact| std::cmp::Reverse(contact.q().unwrap_or(DEFAULT_Q)));
        let redirection = |contact: &NameAddr<'_>| {
            let number = contact
                .uri
                .user()
                .filter(|_| self.is_here(leg, &contact.uri));
            number.map_or(Redirection::Elsewhere, |number| {
                Redirection::Number(number.into())
            })
        };
        contacts.iter().map(redirection).take(MAX_TARGETS).collect()
    }

    /// Whether a URI that a phone writes means a number of ours: a tel URI, or a host by which the phone knows us. That is
    /// our address on its way, what it called us in its INVITE, or the domain that it registered in; the port is not looked at.
    pub(super) fn is_here(&self, leg: &Leg, uri: &Uri<'_>) -> bool {
        let sip = match uri {
            Uri::Tel(_) => return true,
            Uri::Other(_) => return false,
            Uri::Sip(sip) => sip,
        };
        let here = [leg.dialog.flow.local, leg.dialog.ours()].map(|it| it.ip().to_canonical());
        let address = sip.host.ip().map(|ip| ip.to_canonical());
        address.is_some_and(|address| here.contains(&address))
            || leg.dialog.is_known_as(&sip.host)
            || self.registrar.is_domain_of(&leg.account, &sip.host)
    }

    /// The peer knows nothing of the dialog any more, or says nothing: it ends.
    pub(super) fn peer_is_gone(&mut self, id: LegId, now: Instant) {
        self.say_bye(id, None, now);
        let ending = Ending::PeerGone;
        self.wire.tell(Event::Ended { leg: id, ending });
    }

    /// Sends BYE; the leg is kept until it is answered, so that a BYE that crosses it gets 200.
    pub(super) fn say_bye(&mut self, id: LegId, reason: Option<&Reason>, now: Instant) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.settle(&mut self.wire, now);
            leg.state = State::Left;
            self.wire
                .bye(&mut leg.dialog, reason, Purpose::Bye(id), now);
        }
    }

    fn forget_left(&mut self, id: LegId, now: Instant) {
        let leg = self.legs.get(&id);
        if let Some(leg) = leg.filter(|leg| matches!(leg.state, State::Left)) {
            self.mortal.add(leg.dialog.local_tag, now);
            self.remove(id, now);
        }
    }

    /// A leg's own time has come.
    pub(super) fn leg_timeout(&mut self, id: LegId, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return self.departed_timeout(id, now);
        };
        match &mut leg.state {
            State::Incoming(incoming) => {
                let again = incoming.ring_again.is_some_and(|at| at <= now);
                if let Some((status, description)) = incoming.progress.clone().filter(|_| again) {
                    self.progress_incoming(id, status, description, now);
                }
                self.repeat_provisional(id, now);
            }
            State::Outgoing(outgoing) => match outgoing.progress {
                Progress::Cancelled { until } if until <= now => {
                    // Section 9.1: the INVITE's transaction is destroyed; with a provisional response it has no timer.
                    let branch = outgoing.branch;
                    self.wire.layer.forget_client(ClientKey {
                        branch,
                        cancel: false,
                    });
                    self.refused(id, Status(408), None, Vec::new(), now);
                }
                Progress::Cancelled { .. }
                | Progress::Calling
                | Progress::CancelHeld(_)
                | Progress::Proceeding => {}
            },
            State::Standing(_) => {
                self.repeat_2xx(id, now);
                self.session_time(id, now);
            }
            State::Leaving { .. } => self.repeat_2xx(id, now),
            State::Left => {}
        }
        self.reoffer_time(id, now);
    }
}

fn tag(response: &Message) -> &str {
    response.to().and_then(|to| to.tag()).unwrap_or_default()
}

fn retry_after(response: &Message) -> Option<Duration> {
    response
        .retry_after()
        .map(|seconds| Duration::from_secs(seconds.into()))
}
