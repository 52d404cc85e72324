//! Session timers (RFC 4028): who refreshes a session, when, and when it ends because nobody did.

use std::time::{Duration, Instant};

use super::ask::InDialog;
use super::leg::{Leg, Outgoing, Progress, Standing, State};
use super::wire::Wire;
use super::{Ending, Endpoint, Event, LegId, Reason};
use crate::header::{Params, decimal};
use crate::message::Writer;
use crate::transaction::Purpose;
use crate::{Header, Message, Method};

/// The shortest session interval that we agree to: the least that there is (RFC 4028 section 5). Shorter ones get 422.
pub const MIN_SESSION_EXPIRES: Duration = Duration::from_secs(90);

/// The same for Min-SE.
const MIN_SE: &str = "90";

/// The longest interval that is counted with: a day. Longer ones are as good as none.
const MAX_SESSION_EXPIRES: u32 = 86_400;

/// A session ends this long before its interval is over, or a third of the interval if that is less (RFC 4028 section 10).
const END_EARLY: Duration = Duration::from_secs(32);

/// A refresh that was refused for a while (491, 500, ...) is tried again after this.
const REFRESH_AGAIN: Duration = Duration::from_secs(10);

/// How often an interval is raised after 422: each proxy on the way may ask once, and there are rarely three.
const MAX_RAISES: u8 = 3;

/// Who keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresher {
    Us,
    Peer,
}

/// The timer of a session that has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionTimer {
    interval: Duration,
    /// The least that somebody on the way agreed to (a 422 said it).
    least: Duration,
    refresher: Refresher,
    /// When we refresh, if we are to and have not yet.
    refresh_at: Option<Instant>,
    end_at: Instant,
}

/// What an INVITE or UPDATE of ours asks of the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    interval: Duration,
    /// The least that somebody on the way agreed to (a 422 said it).
    least: Duration,
    /// Who refreshes; left to the peer in the INVITE that makes the session.
    refresher: Option<Refresher>,
    raises: u8,
}

/// What a peer's INVITE or UPDATE asks of the session.
#[derive(Clone, Copy, Debug)]
struct Asked {
    interval: Option<Duration>,
    least: Duration,
    refresher: Option<Refresher>,
    /// The peer knows RFC 4028.
    knows: bool,
}

impl SessionTimer {
    fn start(interval: Duration, least: Duration, refresher: Refresher, now: Instant) -> Self {
        let early = END_EARLY.min(interval / 3);
        Self {
            interval,
            least,
            refresher,
            refresh_at: match refresher {
                // Section 10: after half of the interval.
                Refresher::Us => Some(now + interval / 2),
                Refresher::Peer => None,
            },
            end_at: now + interval - early,
        }
    }

    /// The answer to a request of the peer (section 9, table 2); `ours` is the interval that we would like.
    /// None if the peer knows no timers and nobody on the way asked for one.
    pub(super) fn granted(
        request: &Message,
        ours: Duration,
        current: Option<&Self>,
        now: Instant,
    ) -> Option<Self> {
        let asked = Asked::of(request);
        if !asked.knows && asked.interval.is_none() {
            return None;
        }
        // Section 9: never longer than asked for, never below the Min-SE of the request.
        let interval = asked.interval.map_or(ours, |asked| asked.min(ours));
        let interval = interval.max(asked.least);
        let refresher = if asked.knows {
            // Who did so before goes on (section 7.4). Else we: a peer that is gone is noticed by its silence.
            let before = current.map(|timer| timer.refresher);
            asked.refresher.or(before).unwrap_or(Refresher::Us)
        } else {
            Refresher::Us
        };
        Some(Self::start(interval, asked.least, refresher, now))
    }

    /// What the 2xx to a request of ours says (section 7.2). None: the session has no timer.
    pub(super) fn agreed(response: &Message, wish: &Wish, now: Instant) -> Option<Self> {
        let (interval, refresher) = session_expires(response)?;
        let refresher = match refresher {
            Some("uas") => Refresher::Peer,
            // The parameter must be there in a response; who forgets it leaves it to us.
            Some(_) | None => Refresher::Us,
        };
        Some(Self::start(
            interval.max(MIN_SESSION_EXPIRES),
            wish.least,
            refresher,
            now,
        ))
    }

    /// Writes what our 2xx grants; the peer is the user agent client.
    pub(super) fn write(&self, writer: &mut Writer) {
        let seconds = self.interval.as_secs();
        match self.refresher {
            Refresher::Us => {
                writer.header(
                    Header::SessionExpires,
                    format_args!("{seconds};refresher=uas"),
                );
            }
            Refresher::Peer => {
                writer.header(
                    Header::SessionExpires,
                    format_args!("{seconds};refresher=uac"),
                );
                // Section 9: the client must then act on it.
                writer.header(Header::Require, "timer");
            }
        }
    }

    /// After a 422 to a refresh: the interval that somebody on the way insists on. `false` if it asks for nothing new.
    pub(super) fn raise(&mut self, refusal: &Message) -> bool {
        let mut wish = self.wish();
        let raised = wish.raise(refusal);
        (self.interval, self.least) = (wish.interval, wish.least);
        raised
    }

    /// What a request of ours in a session with this timer asks for: that all stays as it is (section 7.4).
    pub(super) fn wish(&self) -> Wish {
        Wish {
            interval: self.interval,
            least: self.least,
            refresher: Some(self.refresher),
            raises: 0,
        }
    }

    pub(super) fn waits_for(&self, at: Instant) -> bool {
        self.refresh_at == Some(at) || self.end_at == at
    }
}

impl Wish {
    /// For the INVITE that makes a session.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            least: MIN_SESSION_EXPIRES,
            refresher: None,
            raises: 0,
        }
    }

    /// Writes it into a request of ours, in which we are the client.
    pub(super) fn write(&self, writer: &mut Writer) {
        let seconds = self.interval.as_secs();
        writer.header(
            Header::SessionExpires,
            format_args!("{seconds}{}", self.refresher()),
        );
        if let Some(least) = self.least() {
            writer.header(Header::MinSe, least);
        }
    }

    /// The same for `InDialog`.
    fn headers(&self) -> Vec<(Header, String)> {
        let seconds = self.interval.as_secs();
        let expires = format!("{seconds}{}", self.refresher());
        let least = self.least().map(|least| (Header::MinSe, least.to_string()));
        [(Header::SessionExpires, expires)]
            .into_iter()
            .chain(least)
            .collect()
    }

    fn refresher(&self) -> &'static str {
        match self.refresher {
            None => "",
            Some(Refresher::Us) => ";refresher=uac",
            Some(Refresher::Peer) => ";refresher=uas",
        }
    }

    /// The value of Min-SE. Section 7.1: the default needs no words; what a 422 asked for is repeated (section 7.3).
    fn least(&self) -> Option<u64> {
        (self.least > MIN_SESSION_EXPIRES).then_some(self.least.as_secs())
    }

    /// After a 422 (section 7.3): the interval that somebody on the way insists on. `false` if it asks for nothing new
    /// or too often.
    pub(super) fn raise(&mut self, refusal: &Message) -> bool {
        let Some(least) = min_se(refusal) else {
            return false;
        };
        if least <= self.least || self.raises >= MAX_RAISES {
            return false;
        }
        self.raises += 1;
        self.least = least;
        self.interval = self.interval.max(least);
        true
    }
}

impl Asked {
    fn of(request: &Message) -> Self {
        let expires = session_expires(request);
        Self {
            interval: expires.map(|(interval, _)| interval),
            least: min_se(request).unwrap_or_default().max(MIN_SESSION_EXPIRES),
            refresher: match expires.and_then(|(_, refresher)| refresher) {
                Some("uac") => Some(Refresher::Peer),
                Some("uas") => Some(Refresher::Us),
                Some(_) | None => None,
            },
            knows: request
                .tokens(Header::Supported)
                .any(|option| option.eq_ignore_ascii_case("timer")),
        }
    }
}

impl Wire {
    /// Wakes the leg when something is due in its session's timer.
    pub(super) fn watch(&mut self, leg: LegId, timer: Option<&SessionTimer>) {
        if let Some(timer) = timer {
            for at in [timer.refresh_at, Some(timer.end_at)].into_iter().flatten() {
                self.wake(leg, at);
            }
        }
    }
}

/// Whether a peer's request asks for an interval below our least: 422 with Min-SE (RFC 4028 section 9).
pub(super) fn too_small(request: &Message) -> Option<(u16, (Header, &'static &'static str))> {
    let (interval, _) = session_expires(request)?;
    (interval < MIN_SESSION_EXPIRES).then_some((422, (Header::MinSe, &MIN_SE)))
}

/// `1800;refresher=uac` (RFC 4028 section 4): the interval and the parameter.
fn session_expires(message: &Message) -> Option<(Duration, Option<&str>)> {
    let value = message.header(Header::SessionExpires)?;
    let end = value.find(';').unwrap_or(value.len());
    let seconds = decimal(value[..end].trim_ascii()).filter(|_| end > 0)?;
    let refresher = Params::parse(&value[end..]).ok()?.value("refresher");
    let interval = Duration::from_secs(seconds.min(MAX_SESSION_EXPIRES).into());
    Some((interval, refresher))
}

fn min_se(message: &Message) -> Option<Duration> {
    let value = message.header(Header::MinSe)?;
    let seconds = decimal(value.split(';').next()?.trim_ascii())?;
    Some(Duration::from_secs(seconds.min(MAX_SESSION_EXPIRES).into()))
}

impl Endpoint {
    /// Our INVITE got 422: again with a longer interval (RFC 4028 section 7.3). `false` if that is of no use.
    pub(super) fn invite_again(&mut self, id: LegId, refusal: &Message, now: Instant) -> bool {
        let Some(Leg {
            dialog,
            state: State::Outgoing(outgoing),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return false;
        };
        let Outgoing {
            branch,
            progress,
            offer,
            wish,
            early,
            ..
        } = outgoing;
        match progress {
            Progress::Calling | Progress::Proceeding => {}
            Progress::CancelHeld(_) | Progress::Cancelled { .. } => return false,
        }
        if !wish.raise(refusal) {
            return false;
        }
        // The early dialogs of the one that was refused are over (RFC 3261 section 12.3).
        early.clear();
        let cseq = dialog.next_cseq();
        *progress = Progress::Calling;
        *branch = self
            .wire
            .invite(dialog, cseq, offer, Some(*wish), Purpose::Invite(id), now);
        true
    }

    /// Something may be due in the session's timer.
    pub(super) fn session_time(&mut self, id: LegId, now: Instant) {
        let Some(Leg {
            dialog,
            peer_updates,
            state: State::Standing(Standing {
                timer: Some(timer), ..
            }),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        if timer.end_at <= now {
            // Section 10: nobody refreshed the session.
            let reason = Reason {
                protocol: "SIP".to_owned(),
                cause: 408,
                text: "Session expired".to_owned(),
            };
            self.say_bye(id, Some(&reason), now);
            let ending = Ending::Expired;
            return self.wire.tell(Event::Ended { leg: id, ending });
        }
        if timer.refresh_at.is_none_or(|at| at > now) {
            return;
        }
        timer.refresh_at = None;
        if !*peer_updates {
            // Section 7.4: a re-INVITE that changes nothing; only the owner can describe the session.
            return self.wire.tell(Event::RefreshDue { leg: id });
        }
        // Section 7.4: UPDATE is the better one, as it needs no description.
        let update = InDialog {
            method: Method::Update,
            headers: timer.wish().headers(),
            body: None,
        };
        let cseq = dialog.next_cseq();
        self.wire
            .ask(dialog, cseq, &update, Purpose::Refresh(id), now);
    }

    /// A refresh by UPDATE was answered or not (RFC 4028 sections 7.2 and 10).
    pub(super) fn refreshed(
        &mut self,
        id: LegId,
        status: u16,
        answer: Option<&Message>,
        now: Instant,
    ) {
        let Some(Leg {
            dialog,
            state: State::Standing(standing),
            ..
        }) = self.legs.get_mut(&id)
        else {
            return;
        };
        match (status, answer) {
            (..=199, _) => {}
            (200..=299, Some(answer)) => {
                dialog.refresh(answer);
                if let Some(timer) = standing.timer.take() {
                    standing.timer = SessionTimer::agreed(answer, &timer.wish(), now);
                    self.wire.watch(id, standing.timer.as_ref());
                }
            }
            // RFC 3261 section 12.2.1.2; no answer counts as 408.
            (408 | 481, _) => self.peer_is_gone(id, now),
            // A flow that failed (503) may have a new one soon: the phone registers again.
            (_, answer) => {
                if let Some(timer) = &mut standing.timer {
                    if let Some(refusal) = answer.filter(|_| status == 422) {
                        timer.raise(refusal);
                    }
                    timer.refresh_at = Some(now + REFRESH_AGAIN);
                    self.wire.wake(id, now + REFRESH_AGAIN);
                }
            }
        }
    }
}
