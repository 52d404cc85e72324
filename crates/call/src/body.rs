//! What a call is in every state alike: its legs, and what is written down of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use media::Sound;
use media::mixer::StreamStats;
use media::mixer::{Command, PlayId};
use sip::endpoint::{Account, Invite, LegId, Outgoing, Reason, Status};
use sip::sdp::{AudioCodec, Direction, Session};
use tracing::{Span, debug, info};

use crate::Cause;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::leg::{Leg, Media, Role, Signalling, Times, stream_settings};

/// Most bindings of one account that ring at once.
const MAX_FORKS: usize = 10;

/// A call without its state.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) span: Span,
    pub(crate) caller: LegId,
    pub(crate) caller_account: Account,
    caller_name: Option<String>,
    pub(crate) legs: BTreeMap<LegId, Leg>,
    pub(crate) draft: Draft,
    /// Redirections from queue to queue so far.
    pub(crate) redirections: usize,
}

/// Whose leg it is decides whether its phone counts as busy: a phone that rings or talks for a queue does not.
fn counts_as_busy(role: &Role) -> bool {
    match role {
        Role::Caller | Role::Callee => true,
        Role::Agent(_) => false,
    }
}

impl Body {
    /// A call of one leg: its caller, unanswered. None if no RTP port is free.
    pub(crate) fn new(
        name: &str,
        leg: LegId,
        invite: Invite,
        fx: &mut Effects<'_>,
    ) -> Option<Self> {
        let port = fx.take_port(invite.flow.local.ip(), None)?;
        fx.enter_call(&invite.account);
        let caller = Leg {
            id: leg,
            role: Role::Caller,
            account: invite.account.clone(),
            flow: invite.flow,
            call_id: Some(invite.call_id),
            port,
            session: Session::new(port.local, fx.next_session()),
            agreed: None,
            signalling: Signalling::Incoming(invite.offer),
            media: Media::Reserved,
            times: Times::start(fx.now),
            status: None,
        };
        let span = tracing::info_span!("call", id = name);
        span.in_scope(|| {
            info!("begins");
            debug!(
                caller = &*invite.account.0,
                dialled = invite.dialled,
                "dialled"
            );
        });
        let draft = Draft::new(
            name,
            &invite.account,
            invite.display.clone(),
            invite.dialled,
            fx.now,
        );
        Some(Self {
            span,
            caller: leg,
            caller_account: invite.account,
            caller_name: invite.display,
            legs: BTreeMap::from([(leg, caller)]),
            draft,
            redirections: 0,
        })
    }

    pub(crate) fn leg(&self, leg: LegId) -> Option<&Leg> {
        self.legs.get(&leg)
    }

    pub(crate) fn caller_is_answered(&self) -> bool {
        self.leg(self.caller)
            .is_some_and(|leg| leg.signalling == Signalling::Up)
    }

    // --- sessions ------------------------------------------------------------------------------------------------

    /// The codec that the unanswered caller would get, so that the called phone is offered the same one first.
    pub(crate) fn preferred_codec(&self) -> Result<Option<AudioCodec>, Cause> {
        let Some(leg) = self.leg(self.caller) else {
            return Ok(None);
        };
        match &leg.signalling {
            Signalling::Incoming(Some(offer)) => leg
                .session
                .clone()
                .answer(offer, Direction::SendRecv, None)
                .map(|(_, agreed)| Some(agreed.codec))
                .map_err(|_| Cause::NotAcceptable),
            Signalling::Incoming(None)
            | Signalling::Calling
            | Signalling::Up
            | Signalling::Down => Ok(leg.codec()),
        }
    }

    /// Answers the caller's INVITE, if that has not been done.
    pub(crate) fn pick_up(
        &mut self,
        prefer: Option<AudioCodec>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Cause> {
        let Some(leg) = self.legs.get_mut(&self.caller) else {
            return Err(Cause::InternalError);
        };
        let Signalling::Incoming(offer) = &leg.signalling else {
            return Ok(());
        };
        if let Some(offer) = offer.clone() {
            let (answer, agreed) = leg
                .session
                .answer(&offer, Direction::SendRecv, prefer)
                .map_err(|_| Cause::NotAcceptable)?;
            leg.agreed = Some(agreed);
            fx.answer(leg.id, answer);
            open(leg, Vec::new(), fx);
        } else {
            // An INVITE without an offer: ours goes in the 200, the answer comes in the ACK (RFC 3261 section 13.2.1).
            let offer = leg.session.offer(Direction::SendRecv, prefer);
            fx.answer(leg.id, offer);
            leg.media = Media::AwaitsAck(Vec::new());
        }
        leg.signalling = Signalling::Up;
        leg.times.answer = Some(fx.now);
        leg.status = Some(Status(200));
        self.draft.answer.get_or_insert(fx.now);
        Ok(())
    }

    /// Rings every binding of an account. The legs that ring, or why none does.
    pub(crate) fn dial(
        &mut self,
        account: &Account,
        role: &Role,
        fx: &mut Effects<'_>,
    ) -> Result<Vec<LegId>, Cause> {
        let prefer = self.preferred_codec()?;
        let worker = self.leg(self.caller).map(|leg| leg.port.worker);
        let bindings = fx.bindings(account);
        if bindings.is_empty() {
            return Err(Cause::Unregistered);
        }
        let mut ringing = Vec::new();
        for binding in bindings.into_iter().take(MAX_FORKS) {
            let Some(port) = fx.take_port(binding.flow.local.ip(), worker) else {
                break;
            };
            let mut session = Session::new(port.local, fx.next_session());
            let offer = session.offer(Direction::SendRecv, prefer);
            let flow = binding.flow;
            let leg = fx.invite(Outgoing {
                binding,
                caller: self.caller_account.0.to_string(),
                display: self.caller_name.clone(),
                offer,
            });
            if counts_as_busy(role) {
                fx.enter_call(account);
            }
            self.legs.insert(
                leg,
                Leg {
                    id: leg,
                    role: role.clone(),
                    account: account.clone(),
                    flow,
                    call_id: None,
                    port,
                    session,
                    agreed: None,
                    signalling: Signalling::Calling,
                    media: Media::Reserved,
                    times: Times::start(fx.now),
                    status: None,
                },
            );
            ringing.push(leg);
        }
        if ringing.is_empty() {
            Err(Cause::SwitchFull)
        } else {
            Ok(ringing)
        }
    }

    /// A called phone answered our offer: its stream opens.
    pub(crate) fn take_answer(
        &mut self,
        leg: LegId,
        answer: Option<Bytes>,
        fx: &mut Effects<'_>,
    ) -> Result<Option<AudioCodec>, Cause> {
        let Some(leg) = self.legs.get_mut(&leg) else {
            return Err(Cause::InternalError);
        };
        leg.signalling = Signalling::Up;
        leg.times.answer = Some(fx.now);
        leg.status = Some(Status(200));
        let answer = answer.ok_or(Cause::NotAcceptable)?;
        leg.agreed = Some(
            leg.session
                .accept(&answer)
                .map_err(|_| Cause::NotAcceptable)?,
        );
        open(leg, Vec::new(), fx);
        Ok(leg.codec())
    }

    /// The ACK of our 200 came. If our 200 had the offer, the ACK must have the answer.
    pub(crate) fn acknowledged(
        &mut self,
        leg: LegId,
        answer: Option<Bytes>,
        fx: &mut Effects<'_>,
    ) -> Result<(), Cause> {
        let Some(leg) = self.legs.get_mut(&leg) else {
            return Ok(());
        };
        match std::mem::replace(&mut leg.media, Media::Reserved) {
            Media::AwaitsAck(commands) => {
                let answer = answer.ok_or(Cause::NotAcceptable)?;
                leg.agreed = Some(
                    leg.session
                        .accept(&answer)
                        .map_err(|_| Cause::NotAcceptable)?,
                );
                open(leg, commands, fx);
            }
            Media::Open => {
                leg.media = Media::Open;
                // The answer to the offer in our 200 to a re-INVITE without one.
                if let Some(answer) = answer {
                    leg.agreed = Some(
                        leg.session
                            .accept(&answer)
                            .map_err(|_| Cause::NotAcceptable)?,
                    );
                    update(leg, fx);
                }
            }
            other @ (Media::Reserved | Media::Closing | Media::Closed(_)) => leg.media = other,
        }
        Ok(())
    }

    /// re-INVITE or UPDATE: agrees on the new session or refuses it, in which case the old one stays (RFC 3261 section 14.2).
    pub(crate) fn renegotiate(&mut self, leg: LegId, offer: Option<&Bytes>, fx: &mut Effects<'_>) {
        let Some(leg) = self.legs.get_mut(&leg) else {
            return;
        };
        let codec = leg.codec();
        let Some(offer) = offer else {
            let offer = leg.session.offer(Direction::SendRecv, codec);
            fx.answer(leg.id, offer);
            return;
        };
        match leg.session.answer(offer, Direction::SendRecv, codec) {
            Ok((answer, agreed)) => {
                leg.agreed = Some(agreed);
                fx.answer(leg.id, answer);
                update(leg, fx);
            }
            Err(_) => fx.reject(leg.id, Status(488)),
        }
    }

    // --- media ---------------------------------------------------------------------------------------------------

    /// A command for the leg's stream: at once, or when the ACK has opened it; none for a stream that ends.
    fn command(&mut self, leg: LegId, command: Command, fx: &mut Effects<'_>) {
        let Some(leg) = self.legs.get_mut(&leg) else {
            return;
        };
        match &mut leg.media {
            Media::Open => fx.media(leg.port.worker, command),
            Media::AwaitsAck(commands) => commands.push(command),
            Media::Reserved | Media::Closing | Media::Closed(_) => {}
        }
    }

    /// Plays a sound once; `Event::Played` tells its end.
    pub(crate) fn play(&mut self, leg: LegId, sound: Arc<Sound>, fx: &mut Effects<'_>) -> PlayId {
        let play = fx.next_play();
        self.command(
            leg,
            Command::Play {
                leg: media::LegId(leg.0),
                sound,
                play,
            },
            fx,
        );
        play
    }

    /// What the leg hears while nothing else is to be heard.
    pub(crate) fn background(
        &mut self,
        leg: LegId,
        sound: Option<Arc<Sound>>,
        fx: &mut Effects<'_>,
    ) {
        self.command(
            leg,
            Command::Background {
                leg: media::LegId(leg.0),
                sound,
            },
            fx,
        );
    }

    pub(crate) fn stop_play(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        self.command(
            leg,
            Command::StopPlay {
                leg: media::LegId(leg.0),
            },
            fx,
        );
    }

    pub(crate) fn echo(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        self.command(
            leg,
            Command::Echo {
                leg: media::LegId(leg.0),
            },
            fx,
        );
    }

    /// The two hear each other from now (or from the ACK that opens the caller's stream).
    pub(crate) fn bridge(&mut self, a: LegId, b: LegId, fx: &mut Effects<'_>) {
        self.command(
            self.later_of(a, b),
            Command::Bridge {
                a: media::LegId(a.0),
                b: media::LegId(b.0),
            },
            fx,
        );
    }

    pub(crate) fn unbridge(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        self.command(
            leg,
            Command::Unbridge {
                leg: media::LegId(leg.0),
            },
            fx,
        );
    }

    /// Records what the two say.
    pub(crate) fn record(
        &mut self,
        left: LegId,
        right: LegId,
        path: std::path::PathBuf,
        fx: &mut Effects<'_>,
    ) -> media::mixer::RecordingId {
        let recording = fx.next_recording();
        let command = Command::Record {
            recording,
            path,
            left: media::LegId(left.0),
            right: media::LegId(right.0),
        };
        self.command(self.later_of(left, right), command, fx);
        recording
    }

    pub(crate) fn stop_recording(
        &self,
        recording: media::mixer::RecordingId,
        fx: &mut Effects<'_>,
    ) {
        if let Some(leg) = self.legs.get(&self.caller) {
            fx.media(leg.port.worker, Command::StopRecording { recording });
        }
    }

    /// Of two legs the one whose stream opens last: a command for both must wait for it.
    fn later_of(&self, a: LegId, b: LegId) -> LegId {
        match self.leg(b).map(|leg| &leg.media) {
            Some(Media::AwaitsAck(_)) => b,
            Some(Media::Reserved | Media::Open | Media::Closing | Media::Closed(_)) | None => a,
        }
    }

    // --- ringing -------------------------------------------------------------------------------------------------

    /// A called phone rings.
    pub(crate) fn mark_ringing(&mut self, leg: LegId, fx: &Effects<'_>) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.times.ring.get_or_insert(fx.now);
        }
    }

    /// Tells the caller once that the called phone rings.
    pub(crate) fn ring_caller(&mut self, fx: &mut Effects<'_>) {
        if let Some(leg) = self.legs.get_mut(&self.caller)
            && let Signalling::Incoming(_) = leg.signalling
            && leg.times.ring.is_none()
        {
            leg.times.ring = Some(fx.now);
            fx.ring(leg.id);
        }
    }

    // --- ends ----------------------------------------------------------------------------------------------------

    /// Ends a leg as its dialog's state asks: 4xx for an INVITE that waits, CANCEL for one of ours, BYE for a dialog.
    pub(crate) fn release(
        &mut self,
        leg: LegId,
        status: Status,
        reason: Option<Reason>,
        fx: &mut Effects<'_>,
    ) {
        let Some(found) = self.legs.get(&leg) else {
            return;
        };
        match found.signalling {
            Signalling::Incoming(_) => {
                fx.reject(leg, status);
                self.mark_over(leg, Some(status), fx);
            }
            Signalling::Calling => {
                fx.cancel(leg, reason);
                self.mark_over(leg, Some(Status(487)), fx);
            }
            Signalling::Up => {
                fx.bye(leg, reason);
                self.mark_over(leg, None, fx);
            }
            Signalling::Down => {}
        }
    }

    /// The leg's dialog is over: its stream ends too, and its phone is free again.
    pub(crate) fn mark_over(&mut self, leg: LegId, status: Option<Status>, fx: &mut Effects<'_>) {
        let id = leg;
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.signalling == Signalling::Down {
            return;
        }
        leg.signalling = Signalling::Down;
        leg.times.end = Some(fx.now);
        leg.status = leg.status.or(status);
        fx.forget_dialog(leg.id);
        if counts_as_busy(&leg.role) {
            fx.leave_call(&leg.account);
        }
        match &leg.media {
            Media::Open => {
                leg.media = Media::Closing;
                let stream = leg.stream();
                fx.media(leg.port.worker, Command::Close { leg: stream });
            }
            Media::Reserved => fx.return_port(leg.port),
            Media::AwaitsAck(commands) => {
                for command in commands {
                    if let Command::Record { recording, .. } = command {
                        let never = "the call ended before it began".to_owned();
                        fx.forget_recording(*recording);
                        self.draft.recorded(*recording, Err(never));
                    }
                }
                leg.media = Media::Reserved;
                fx.return_port(leg.port);
            }
            Media::Closing | Media::Closed(_) => {}
        }
        self.write_down_if_over(id, fx);
    }

    /// The leg's stream has ended.
    pub(crate) fn stream_closed(&mut self, leg: LegId, stats: StreamStats, fx: &mut Effects<'_>) {
        let id = leg;
        if let Some(leg) = self.legs.get_mut(&id) {
            fx.forget_stream(leg.stream());
            leg.media = Media::Closed(stats);
            self.write_down_if_over(id, fx);
        }
    }

    fn write_down_if_over(&mut self, leg: LegId, fx: &Effects<'_>) {
        if self.legs.get(&leg).is_some_and(Leg::is_over)
            && let Some(leg) = self.legs.remove(&leg)
        {
            self.draft.add_leg(&leg, &fx.board.clock, fx.now);
        }
    }
}

/// Opens the leg's stream as agreed, then gives it the commands that waited for it.
fn open(leg: &mut Leg, commands: Vec<Command>, fx: &mut Effects<'_>) {
    let Some(agreed) = &leg.agreed else { return };
    let open = Command::Open {
        leg: leg.stream(),
        port: leg.port,
        settings: stream_settings(agreed, &leg.flow),
    };
    leg.media = Media::Open;
    fx.route_stream(leg.stream());
    fx.media(leg.port.worker, open);
    for command in commands {
        fx.media(leg.port.worker, command);
    }
}

fn update(leg: &Leg, fx: &mut Effects<'_>) {
    if let (Some(agreed), Media::Open) = (&leg.agreed, &leg.media) {
        fx.media(
            leg.port.worker,
            Command::Update {
                leg: leg.stream(),
                settings: stream_settings(agreed, &leg.flow),
            },
        );
    }
}
