//! What a phone makes of the answers to its requests.

use std::time::Instant;

use super::{Event, Phone, State};
use crate::sip::digest::Challenge;
use crate::sip::message::{Request, acknowledgement};
use crate::sip::text::{Text, audio_address, parameter};
use crate::srtp::Key;

impl Phone {
    pub(super) fn handle_response(
        &mut self,
        status: u16,
        text: &Text<'_>,
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        let branch = text
            .header("Via", "v")
            .and_then(|via| parameter(via, "branch"))
            .unwrap_or_default();
        let Some(index) = self.pending.iter().position(|one| one.branch == branch) else {
            self.repeat(branch, status, text);
            return;
        };
        let invite = self.pending[index].request.method == "INVITE";
        if status < 200 {
            if invite {
                self.pending[index].again = None;
            }
            if status == 180 {
                events.push(Event::Ringing);
            }
            return;
        }
        let one = self.pending.swap_remove(index);
        if invite && status >= 300 {
            let to = text.header("To", "t").unwrap_or_default();
            let ack = acknowledgement(&one.request, &one.branch, self.local, to, &one.request.uri);
            self.send(&ack);
            self.refused = Some((one.branch.clone(), ack));
        }
        match status {
            200..=299 => self.succeed(&one.request, text, events),
            401 | 407 if self.take_challenge(status, text, one.nonce.as_deref()) => {
                let mut request = one.request;
                request.cseq += 1;
                if let Some(call) = self
                    .call
                    .as_mut()
                    .filter(|call| call.call_id == request.call_id)
                {
                    call.cseq = request.cseq;
                }
                self.request(request, now);
            }
            _ => self.close(&one.request, status, events),
        }
    }

    /// A response whose transaction is over: the ACK was lost, or is on its way.
    fn repeat(&self, branch: &str, status: u16, text: &Text<'_>) {
        if text.cseq().is_none_or(|(_, method)| method != "INVITE") || status < 200 {
            return;
        }
        if let Some((_, ack)) = self
            .refused
            .as_ref()
            .filter(|(refused, _)| refused == branch)
        {
            self.send(ack);
        } else if let Some(call) = self
            .call
            .as_ref()
            .filter(|call| call.call_id == text.call_id())
        {
            self.send(&call.last);
        }
    }

    /// True: a new challenge that we can answer.
    fn take_challenge(&mut self, status: u16, text: &Text<'_>, answered: Option<&str>) -> bool {
        let (name, compact) = if status == 401 {
            ("WWW-Authenticate", "WWW-Authenticate")
        } else {
            ("Proxy-Authenticate", "Proxy-Authenticate")
        };
        let challenge = text
            .lines(name, compact)
            .find_map(|value| Challenge::take(status, value));
        let fresh = challenge.filter(|challenge| Some(challenge.nonce()) != answered);
        let taken = fresh.is_some();
        if taken {
            self.counters.challenges += 1;
            self.challenge = fresh;
        }
        taken
    }

    fn succeed(&mut self, request: &Request, text: &Text<'_>, events: &mut Vec<Event>) {
        match request.method {
            "REGISTER" => events.push(Event::Registered),
            "BYE" => {
                self.call = None;
                events.push(Event::Released);
            }
            _ => {
                let Some(call) = self
                    .call
                    .as_mut()
                    .filter(|call| call.call_id == request.call_id)
                else {
                    return;
                };
                call.state = State::Talking;
                call.remote = text.header("To", "t").unwrap_or_default().to_owned();
                call.target = text.contact().unwrap_or(&call.target).to_owned();
                self.serial += 1;
                let branch = format!("z9hG4bK{}a{}", self.local.port(), self.serial);
                call.last =
                    acknowledgement(request, &branch, self.local, &call.remote, &call.target);
                call.audio = audio_address(text.body);
                call.their_key = Key::find(text.body);
                let (octets, audio) = (call.last.clone(), call.audio);
                self.send(&octets);
                match audio {
                    Some(audio) => events.push(Event::Answered(audio)),
                    None => events.push(Event::Refused(488)),
                }
            }
        }
    }

    /// A request of ours came to nothing.
    pub(super) fn close(&mut self, request: &Request, status: u16, events: &mut Vec<Event>) {
        match request.method {
            "REGISTER" => events.push(Event::Refused(status)),
            "BYE" => {
                self.call = None;
                events.push(Event::Released);
            }
            _ => {
                self.call = None;
                events.push(Event::Refused(status));
            }
        }
    }
}
