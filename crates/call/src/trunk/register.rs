//! One registration of ours at a trunk, kept alive (RFC 3261 section 10.2).

use std::time::{Duration, Instant};

use sip::Message;
use sip::endpoint::{NoReply, RequestId};
use sip::header::Contacts;

/// After the first failure we try again after this ...
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// ... and after many after this (RFC 5626 section 4.5: base 30 s, at most 1,800 s).
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// The longest binding that we ask for, whatever Min-Expires says.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The shortest binding that counts: refreshing more often than that is no registration but an attack.
const SHORTEST: Duration = Duration::from_secs(20);
/// The longest Retry-After that is obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// See the module.
#[derive(Debug)]
pub(crate) struct Registration {
    /// What REGISTER asks for now: the setting, or more if the registrar wants so.
    expires: Duration,
    /// Call-ID and the next CSeq number: both go on from refresh to refresh (section 10.2).
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    state: State,
    /// The last pause after a failure; zero while it works.
    pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// REGISTER shall leave then.
    Due(Instant),
    /// It waits for its answer.
    Asked(RequestId),
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Registered for so long.
    Registered(Duration),
    /// Asked to ask for longer (423); it is done at once.
    Longer,
    /// The registrar refused.
    Refused(u16),
    /// The registrar could not be reached, or cannot serve (5xx).
    Unreachable,
}

impl Registration {
    pub(crate) fn new(expires: Duration, call_id: String, now: Instant) -> Self {
        Self {
            expires,
            call_id,
            cseq: 1,
            state: State::Due(now),
            pause: Duration::ZERO,
        }
    }

    /// What REGISTER asks for.
    pub(crate) fn expires(&self) -> Duration {
        self.expires
    }

    /// When REGISTER shall leave.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due(at) => Some(at),
            State::Asked(_) => None,
        }
    }

    /// There is nobody to ask now: again after a pause.
    pub(crate) fn postpone(&mut self, now: Instant) {
        self.state = State::Due(now + FIRST_PAUSE / 6);
    }

    pub(crate) fn asked(&mut self, request: RequestId) {
        self.state = State::Asked(request);
    }

    /// The answer; `line` is the user part of our Contact, `spread` from 0 to 1 keeps many switches from refreshing together.
    pub(crate) fn answered(
        &mut self,
        reply: &Result<Box<Message>, NoReply>,
        cseq: u32,
        line: &str,
        spread: f64,
        now: Instant,
    ) -> Outcome {
        self.cseq = cseq.wrapping_add(1);
        let message = match reply {
            Ok(message) => message,
            Err(NoReply::Timeout | NoReply::FlowFailed | NoReply::NoRoom) => {
                self.back_off(None, spread, now);
                return Outcome::Unreachable;
            }
        };
        let status = message.status().map_or(0, |status| status.0);
        match status {
            200..=299 => {
                let granted = granted(message, line).unwrap_or(self.expires).max(SHORTEST);
                // Early enough for a lost answer (32 s) where there is time, and never in the last moment.
                let share = 0.75 + 0.1 * spread;
                self.state = State::Due(now + granted.mul_f64(share));
                self.pause = Duration::ZERO;
                Outcome::Registered(granted)
            }
            // Section 10.2.8.
            423 if let Some(least) = message.min_expires() => {
                let least = Duration::from_secs(least.into());
                if least <= self.expires || least > LONGEST {
                    self.back_off(None, spread, now);
                    return Outcome::Refused(423);
                }
                self.expires = least;
                self.state = State::Due(now);
                Outcome::Longer
            }
            _ => {
                let after = message.retry_after();
                let after = after.map(|seconds| Duration::from_secs(seconds.into()));
                self.back_off(after, spread, now);
                match status {
                    408 | 500..=599 => Outcome::Unreachable,
                    _ => Outcome::Refused(status),
                }
            }
        }
    }

    fn back_off(&mut self, retry_after: Option<Duration>, spread: f64, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        // RFC 5626 section 4.5: from half of it to all of it.
        let wait = self.pause.mul_f64(0.5 + 0.5 * spread);
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        self.state = State::Due(now + wait.max(asked));
    }
}

/// For how long our Contact is bound: the registrar lists all of the account, ours is the one with our line
/// (RFC 3261 section 10.2.4).
fn granted(message: &Message, line: &str) -> Option<Duration> {
    let Ok(Contacts::List(contacts)) = message.contacts() else {
        return None;
    };
    let ours = contacts
        .iter()
        .find(|contact| contact.uri.user().as_deref() == Some(line));
    let seconds = ours
        .and_then(|contact| contact.expires())
        .or_else(|| message.expires())?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
mod tests {
    use super::*;

    fn reply(status: &str, lines: &str) -> Result<Box<Message>, NoReply> {
        Ok(Box::new(message(status, lines)))
    }

    fn message(status: &str, lines: &str) -> Message {
        let text = format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n{lines}\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn wait(registration: &Registration, now: Instant) -> u64 {
        (registration.due().unwrap() - now).as_secs()
    }

    #[test]
    fn it_is_refreshed_before_our_own_contact_expires() {
        let now = Instant::now();
        let mut registration = Registration::new(Duration::from_secs(600), "r".into(), now);
        let contacts =
            "Contact: <sip:other@192.0.2.9>;expires=40, <sip:line@192.0.2.1:5060>;expires=300\r\n";
        let outcome = registration.answered(&reply("200 OK", contacts), 4, "line", 0.5, now);
        assert_eq!(outcome, Outcome::Registered(Duration::from_secs(300)));
        assert_eq!((wait(&registration, now), registration.cseq), (240, 5));
        registration.answered(&reply("200 OK", "Expires: 100\r\n"), 5, "line", 0.5, now);
        assert_eq!(wait(&registration, now), 80);
        registration.answered(&reply("200 OK", ""), 6, "line", 0.5, now);
        assert_eq!(wait(&registration, now), 480);
    }

    #[test]
    fn a_registrar_that_wants_longer_bindings_gets_them_once() {
        let now = Instant::now();
        let mut registration = Registration::new(Duration::from_secs(60), "r".into(), now);
        let brief = reply("423 Interval Too Brief", "Min-Expires: 120\r\n");
        assert_eq!(
            registration.answered(&brief, 1, "line", 0.0, now),
            Outcome::Longer
        );
        assert_eq!(
            (registration.expires().as_secs(), registration.due()),
            (120, Some(now))
        );
        assert_eq!(
            registration.answered(&brief, 2, "line", 0.0, now),
            Outcome::Refused(423)
        );
        assert_eq!(wait(&registration, now), 15);
    }

    #[test]
    fn failures_are_followed_by_growing_pauses() {
        let mut now = Instant::now();
        let mut registration = Registration::new(Duration::from_secs(60), "r".into(), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            registration.answered(&Err(NoReply::Timeout), 1, "line", 1.0, now);
            pauses.push(wait(&registration, now));
            now = registration.due().unwrap();
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1800, 1800]);
        let busy = reply("503 Service Unavailable", "Retry-After: 3000\r\n");
        assert_eq!(
            registration.answered(&busy, 1, "line", 1.0, now),
            Outcome::Unreachable
        );
        assert_eq!(wait(&registration, now), 3_000);
        registration.answered(&reply("200 OK", ""), 1, "line", 1.0, now);
        registration.answered(&reply("403 Forbidden", ""), 1, "line", 1.0, now);
        assert_eq!(wait(&registration, now), 30);
    }
}
