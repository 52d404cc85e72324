//! Events on their way to their call.

use std::time::Instant;

use queue::QueueId;
use sip::Message;
use sip::endpoint::{Ending, LegId, NoReply, Reason, RequestId, Status};
use sip::guard::Ban;
use tracing::{debug, error, info, warn};

use super::{Exchange, Output};
use crate::Cause;
use crate::event::{Event, KeyBy, Refusal};
use crate::log::shown;
use crate::queue_log::Offered;
use crate::switchboard::Switchboard;

/// Most events that one `handle_*` works off before it returns: a loop between the parts would be a fault of ours.
const MAX_STEPS: usize = 1_000_000;

impl Exchange {
    /// Works off all that the endpoint and the queue engine have to say, until both are silent.
    pub(super) fn settle(&mut self, now: Instant) {
        // Before anything leaves for one of them.
        if let Some(proofs) = self.board.trunks.names.take_news() {
            self.board.outputs.push_back(Output::Proofs(proofs));
        }
        for _ in 0..MAX_STEPS {
            self.write_queue_log(now);
            if let Some(output) = self.board.sip.poll_output() {
                match output {
                    sip::Output::Transmit { flow, octets } => {
                        self.board
                            .outputs
                            .push_back(Output::Transmit { flow, octets });
                    }
                    sip::Output::Shut { stranger, until } => {
                        let shut = Output::Shut { stranger, until };
                        self.board.outputs.push_back(shut);
                    }
                    sip::Output::Event(event) => self.sip_event(event, now),
                }
            } else if let Some(output) = self.board.queue.poll_output() {
                self.queue_output(output, now);
            } else if !self.tell_supervisors(now) && !self.tell_conferees(now) {
                return self.let_look_ups_out();
            }
        }
        error!("the endpoint and the queue engine do not come to rest");
    }

    /// Writes what happened in the queues; of a new day soon what all agents are.
    fn write_queue_log(&mut self, now: Instant) {
        let Switchboard {
            queue,
            queue_log,
            clock,
            routes,
            outputs,
            settings,
            ..
        } = &mut self.board;
        while let Some(note) = queue.poll_note() {
            let call = |ticket| {
                let call = routes.tickets.get(&ticket)?;
                let draft = &self.calls.get(call)?.body.draft;
                Some((draft.name().to_owned(), draft.caller().to_owned()))
            };
            let who = |ticket| call(ticket).unwrap_or_default();
            let leads_on = |queue: &QueueId| {
                let service = settings.queues.get(queue);
                service.is_some_and(|service| service.overflow_transfer_dst.is_some())
            };
            queue_log.note(note, who, leads_on, clock, now);
        }
        if queue_log.begins_a_day() {
            // After what happened just now: it is in them already.
            let agents = queue.pasts().map(|(agent, past)| (agent.clone(), past));
            queue_log.begin(agents, clock, now);
        }
        outputs.extend(queue_log.entries.drain(..).map(Output::QueueLog));
    }

    fn let_look_ups_out(&mut self) {
        let look_ups = self.board.trunks.outbox.drain(..);
        let outputs = look_ups.map(|(id, look_up)| Output::LookUp { id, look_up });
        self.board.outputs.extend(outputs);
    }

    fn sip_event(&mut self, event: sip::Event, now: Instant) {
        match event {
            sip::Event::Incoming { leg, invite } => self.incoming(leg, *invite, now),
            sip::Event::Cancelled { leg, reason } => {
                self.hear_reason(leg, reason);
                self.leg_event(leg, now, Event::Ended(leg, Cause::Cancelled))
            }
            sip::Event::Ringing {
                leg,
                status: _,
                answer,
            } => self.leg_event(leg, now, Event::Ringing(leg, answer)),
            sip::Event::Answered { leg, answer } => {
                self.leg_event(leg, now, Event::Answered(leg, answer))
            }
            sip::Event::Refused {
                leg,
                status,
                retry_after,
                targets,
            } => {
                let refusal = Refusal {
                    status,
                    retry_after,
                    targets,
                };
                self.leg_event(leg, now, Event::Refused(leg, refusal));
            }
            sip::Event::Acknowledged { leg, answer } => {
                self.leg_event(leg, now, Event::Acknowledged(leg, answer))
            }
            sip::Event::Reoffered { leg, offer } => {
                if self.board.routes.legs.contains_key(&leg) {
                    self.leg_event(leg, now, Event::Reoffered(leg, offer));
                } else {
                    self.board.sip.reject(leg, Status(481), now);
                }
            }
            sip::Event::RefreshDue { leg } => self.leg_event(leg, now, Event::RefreshDue(leg)),
            sip::Event::Reanswered { leg, result } => {
                self.leg_event(leg, now, Event::Reanswered(leg, result.ok().flatten()));
            }
            // What a phone answers to the reports of its transfer changes nothing.
            sip::Event::RepliedInDialog { .. } => {}
            sip::Event::Referred { leg, refer } => self.referred(leg, *refer, now),
            sip::Event::Digit { leg, digit } => {
                self.leg_event(leg, now, Event::Digit(leg, digit, KeyBy::Info));
            }
            sip::Event::Ended { leg, ending } => self.leg_ended(leg, ending, now),
            sip::Event::Replied {
                request,
                cseq,
                reply,
            } => self.trunk_replied(request, cseq, &reply, now),
            sip::Event::NotificationDue {
                subscription,
                account,
            } => self.tell_watcher(subscription, &account, now),
            sip::Event::Reach {
                account,
                reachable: _,
            } => self.board.tell_reach(&account, now),
            sip::Event::Banned(ban) => tell_ban(&ban),
        }
    }

    fn leg_ended(&mut self, leg: LegId, ending: Ending, now: Instant) {
        let cause = match ending {
            Ending::Bye(reason) => {
                self.hear_reason(leg, reason);
                Cause::HangUp
            }
            Ending::NoAck | Ending::PeerGone => Cause::PeerGone,
            Ending::Expired => Cause::SessionExpired,
        };
        self.leg_event(leg, now, Event::Ended(leg, cause));
    }

    fn trunk_replied(
        &mut self,
        request: RequestId,
        cseq: u32,
        reply: &Result<Box<Message>, NoReply>,
        now: Instant,
    ) {
        let outside = &self.board.settings.outside;
        let trunks = &mut self.board.trunks;
        trunks.handle_reply(request, cseq, reply, outside, now);
    }

    fn queue_output(&mut self, output: queue::Output, now: Instant) {
        let routes = &mut self.board.routes;
        match output {
            queue::Output::Offer {
                offer,
                ticket,
                queue: _,
                agent,
                why,
            } => {
                debug!(offer = offer.0, ticket = ticket.0, ?why, "picked");
                let offered = Offered {
                    ticket,
                    agent: &agent,
                    picked: &why,
                };
                let engine = &self.board.queue;
                self.board.queue_log.offered(
                    &offered,
                    || engine.candidates(ticket, now),
                    &self.board.clock,
                    now,
                );
                if let Some(call) = routes.tickets.get(&ticket).copied() {
                    routes.offers.insert(offer, call);
                    self.step(call, Event::Offered(offer, agent), now);
                }
            }
            queue::Output::Withdraw { offer, cause } => {
                if let Some(call) = routes.offers.remove(&offer) {
                    self.step(call, Event::Withdrawn(offer, cause), now);
                }
            }
            queue::Output::TimedOut { ticket, limit } => {
                if let Some(call) = routes.tickets.remove(&ticket) {
                    self.step(call, Event::WaitedTooLong(limit), now);
                }
            }
            queue::Output::StatusChanged { agent, status } => {
                info!(
                    agent = shown(&agent.0),
                    ?status,
                    "an agent who does not answer"
                );
            }
            queue::Output::QueueGone { ticket } => {
                if let Some(call) = routes.tickets.remove(&ticket) {
                    self.step(call, Event::QueueGone, now);
                }
            }
        }
    }

    pub(super) fn media_event(&mut self, event: media::Event, now: Instant) {
        let (stream, event) = match event {
            media::Event::Played { leg, play } => (leg, Event::Played(play)),
            media::Event::Digit { leg, digit } => {
                (leg, Event::Digit(LegId(leg.0), digit, KeyBy::Rtp))
            }
            media::Event::Silent { leg, after } => (leg, Event::Silent(LegId(leg.0), after)),
            media::Event::Closed {
                leg,
                port: _,
                stats,
            } => (leg, Event::Closed(LegId(leg.0), stats)),
            media::Event::Figures { leg, stats } => {
                if let Some(call) = self.board.routes.streams.get(&leg)
                    && let Some(call) = self.calls.get_mut(call)
                    && let Some(leg) = call.body.legs.get_mut(&LegId(leg.0))
                {
                    leg.figures = Some(Box::new(stats));
                }
                return;
            }
            media::Event::Recorded { recording, result } => {
                if let Some(call) = self.board.routes.recordings.remove(&recording) {
                    self.step(call, Event::Recorded(recording, result), now);
                }
                return;
            }
        };
        if let Some(call) = self.board.routes.streams.get(&stream).copied() {
            self.step(call, event, now);
        }
    }

    /// A leg said why it ends: the call passes it on if it ends with it.
    fn hear_reason(&mut self, leg: LegId, reason: Option<Reason>) {
        if let Some(call) = self.board.routes.legs.get(&leg)
            && let Some(call) = self.calls.get_mut(call)
        {
            call.body.reason = reason;
        }
    }

    fn leg_event(&mut self, leg: LegId, now: Instant, event: Event) {
        if let Some(call) = self.board.routes.legs.get(&leg).copied() {
            self.step(call, event, now);
        }
    }
}

fn tell_ban(ban: &Ban) {
    let Ban {
        address,
        time,
        spares_known,
        untold,
    } = ban;
    warn!(%address, ?time, spares_known, untold, "banned: too many wrong passwords");
}
