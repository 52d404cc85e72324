//! What a phone makes of what the switch sends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::g711::Law;
use rsip::SipMessage;

use super::line::{Giving, Line};
use super::{Behaviour, Offer, Phone, PhoneState};
use crate::wire::{self, Challenge, Key};

/// No phone rings for ever: not when the CANCEL is lost for good either.
const RINGS_FOR: Duration = Duration::from_secs(120);

impl Phone {
    pub(super) fn handle_response(&mut self, message: &SipMessage, status: u16, now: Instant) {
        let key = Key::of(message);
        if !self.transactions.answered(&key, status >= 200) {
            if key.method == "INVITE" && status >= 200 && self.acknowledges {
                self.transactions.acknowledge_again(&key);
            }
            return;
        }
        match key.method.as_str() {
            "REGISTER" if status >= 200 => self.handle_register_response(message, status, now),
            "SUBSCRIBE" if status >= 200 => {
                self.handle_subscribe_response(message, &key, status, now)
            }
            "REFER" if status >= 200 => self.refer_status = Some(status),
            "INVITE" if self.call_id() == Some(key.call_id.as_str()) => {
                self.handle_invite_response(message, &key, status, now);
            }
            _ => {}
        }
    }

    fn handle_register_response(&mut self, message: &SipMessage, status: u16, now: Instant) {
        match &mut self.registering {
            Some(registering) if status == 401 && !registering.challenged => {
                registering.challenged = true;
                self.challenge = Some(Challenge::of(message));
                self.send_register(now);
            }
            Some(_) | None => {
                self.registering = None;
                self.bindings = wire::values(message, "Contact")
                    .map(str::to_owned)
                    .collect();
                self.note_status(message, status);
            }
        }
    }

    fn handle_invite_response(
        &mut self,
        message: &SipMessage,
        key: &Key,
        status: u16,
        now: Instant,
    ) {
        let Some(line) = &mut self.line else { return };
        let initial = line.state != PhoneState::Talking;
        match status {
            100..200 if !initial => {}
            100..200 => {
                line.proceeding = true;
                line.early = wire::value(message, "To")
                    .expect("every response has it")
                    .to_owned();
                if status >= 180 {
                    line.state = PhoneState::RingingBack;
                }
                if line.giving == Giving::Wanted {
                    self.cancel(now);
                } else {
                    self.take_early(message, now);
                }
            }
            200..300 => self.answered(message, key, initial, now),
            401 if initial && !line.challenged && line.giving == Giving::Not => {
                line.challenged = true;
                line.proceeding = false;
                self.send_ack(message, key, "");
                self.challenge = Some(Challenge::of(message));
                self.send_invite(now);
            }
            // It speaks from a new address.
            401 if !initial && !line.challenged => {
                line.challenged = true;
                let offer = line.offer;
                self.send_ack(message, key, "");
                self.challenge = Some(Challenge::of(message));
                self.reinvite(offer, now);
            }
            _ => {
                self.send_ack(message, key, "");
                self.note_status(message, status);
                if initial {
                    self.line = None;
                }
            }
        }
    }

    fn answered(&mut self, message: &SipMessage, key: &Key, initial: bool, now: Instant) {
        self.take_description(message);
        self.note_status(message, 200);
        let Some(line) = &mut self.line else { return };
        line.state = PhoneState::Talking;
        line.challenged = false;
        if initial {
            line.cseq += std::mem::take(&mut line.pracks);
            line.remote = wire::value(message, "To")
                .expect("every response has it")
                .to_owned();
        }
        if let Some(contact) = wire::value(message, "Contact") {
            line.remote_target = bare_uri(contact);
        }
        let codec = line.codec;
        let direction = match line.offer {
            // Nothing was offered if a reliable 18x did so before.
            Offer::Late(direction) => {
                (self.late_answer && !message.body().is_empty()).then_some(direction)
            }
            Offer::Direction(_) | Offer::Codec(_) | Offer::Unknown => self.ack_describes,
        };
        let body = direction.map_or(String::new(), |direction| {
            self.description(direction, &[codec])
        });
        self.send_ack(message, key, &body);
        match self.line.as_ref().map_or(Giving::Not, |line| line.giving) {
            Giving::Not => {}
            // The answer and the CANCEL crossed: the user has hung up all the same.
            Giving::Wanted | Giving::Up => self.hang_up(now),
            Giving::Over => self.line = None,
        }
    }

    fn note_status(&mut self, message: &SipMessage, status: u16) {
        self.last_status = Some(status);
        self.retry_after = wire::value(message, "Retry-After").map(str::to_owned);
    }

    // --- requests ------------------------------------------------------------------------------------------------

    pub(super) fn handle_request(&mut self, message: &SipMessage, now: Instant) {
        let key = Key::of(message);
        let ours = self.call_id() == Some(key.call_id.as_str());
        if key.method == "ACK" {
            self.transactions.answered(&key, true);
            if ours {
                self.take_description(message);
            }
            return;
        }
        if self
            .transactions
            .repeated(wire::branch(message), &key.method)
        {
            return;
        }
        if matches!(key.method.as_str(), "BYE" | "CANCEL") {
            self.got_reason = wire::value(message, "Reason").map(str::to_owned);
        }
        match key.method.as_str() {
            "INVITE" if ours => self.handle_reinvite(message, now),
            "INVITE" if wire::tag(wire::value(message, "To").unwrap_or_default()).is_some() => {
                self.respond(message, 481, "", now);
            }
            "INVITE" => self.handle_invite(message, &key, now),
            "UPDATE" if ours && !message.body().is_empty() => self.handle_reinvite(message, now),
            "PRACK" if ours => self.handle_prack(message, &key, now),
            "CANCEL" => {
                let rings = ours && self.state() == PhoneState::Ringing;
                self.respond(message, if rings { 200 } else { 481 }, "", now);
                if rings {
                    self.refuse(487, now);
                }
            }
            "BYE" => {
                let known = ours || self.left.as_ref() == Some(&key.call_id);
                self.respond(message, if known { 200 } else { 481 }, "", now);
                if ours {
                    self.transactions.forget_call(&key.call_id);
                    self.line = None;
                }
            }
            // Reports of a REFER outlive its call (RFC 5057 section 3.1).
            "NOTIFY" if ours || self.left.as_ref() == Some(&key.call_id) => {
                self.note_report(message);
                self.respond(message, 200, "", now);
            }
            "NOTIFY" => self.handle_notify(message, &key, now),
            _ => self.respond(message, 200, "", now),
        }
    }

    fn note_report(&mut self, notify: &SipMessage) {
        let state = wire::value(notify, "Subscription-State").expect("every NOTIFY has it");
        let state = state.split(';').next().unwrap_or_default();
        let body = String::from_utf8_lossy(notify.body());
        let status = body.lines().next().unwrap_or_default();
        self.reports.push(format!("{status} ({state})"));
    }

    /// Answers, and remembers the answer for when the request comes again.
    pub(super) fn respond(&mut self, request: &SipMessage, status: u16, body: &str, now: Instant) {
        let key = Key::of(request);
        let tag = match &self.line {
            Some(line) if line.call_id == key.call_id => line.tag.clone(),
            Some(_) | None => format!("{}s", self.name),
        };
        let contact = match status {
            300..400 if !self.forwards.is_empty() => self.forwards.clone(),
            _ => self.contact_value(),
        };
        let mut headers = vec![("Contact", contact)];
        let pause = self.asks_for_pause.filter(|_| status >= 300);
        headers.extend(pause.map(|seconds| ("Retry-After", seconds.to_string())));
        if let Some(realm) = self.challenges.filter(|_| status == 407) {
            let challenge =
                format!("Digest realm=\"{realm}\", nonce=\"n\", algorithm=MD5, qop=\"auth\"");
            headers.push(("Proxy-Authenticate", challenge));
        }
        let rseq = self.next_rseq(request, status);
        if let Some(rseq) = rseq {
            headers.push(("Require", "100rel".to_owned()));
            headers.push(("RSeq", rseq.to_string()));
        }
        if status < 300 && matches!(key.method.as_str(), "INVITE" | "UPDATE") {
            headers.extend(self.abilities());
        }
        let octets = wire::response(request, status, &tag, &headers, body);
        self.transactions
            .keep_answer(wire::branch(request), &key.method, octets.clone());
        if key.method == "INVITE" && status >= 200 {
            let key = Key::new(&key.call_id, key.cseq, "ACK");
            self.transactions.send_until_answered(octets, key, now);
        } else if let Some(rseq) = rseq {
            let key = Key::new(&key.call_id, rseq, "PRACK");
            self.transactions.send_until_answered(octets, key, now);
        } else {
            self.transactions.send(octets);
        }
    }

    fn handle_invite(&mut self, message: &SipMessage, key: &Key, now: Instant) {
        if self.behaviour == Behaviour::Dead {
            return;
        }
        if self.line.is_some() {
            self.refused_for_busy += 1;
            return self.respond(message, 486, "", now);
        }
        if self.challenges.is_some() && wire::value(message, "Proxy-Authorization").is_none() {
            return self.respond(message, 407, "", now);
        }
        self.counter += 1;
        let tag = format!("{}t{}", self.name, self.counter);
        let copied = |name| {
            wire::value(message, name)
                .expect("every INVITE has it")
                .to_owned()
        };
        self.line = Some(Line {
            call_id: key.call_id.clone(),
            local: format!("{};tag={tag}", copied("To")),
            remote: copied("From"),
            remote_target: bare_uri(&copied("Contact")),
            invite: Some(message.clone()),
            tag,
            ..Line::new(PhoneState::Ringing, self.codec)
        });
        self.referred_by = wire::value(message, "Referred-By").map(str::to_owned);
        self.take_description(message);
        if let Behaviour::Refuse(status) = self.behaviour {
            return self.refuse(status, now);
        }
        if self.early_media {
            let codec = self.line.as_ref().map_or(self.codec, |line| line.codec);
            let body = self.description("sendrecv", &[codec]);
            self.respond(message, 183, &body, now);
        } else {
            self.respond(message, 180, "", now);
        }
        self.act_at = match self.behaviour {
            Behaviour::AnswerAfter(after) => Some((now + after, None)),
            Behaviour::RefuseAfter(after, status) => Some((now + after, Some(status))),
            Behaviour::Ring => Some((now + RINGS_FOR, Some(480))),
            Behaviour::Refuse(_) | Behaviour::Dead => None,
        };
    }

    fn handle_reinvite(&mut self, message: &SipMessage, now: Instant) {
        if self
            .call_id()
            .is_some_and(|it| self.transactions.offers(it))
        {
            // Glare: RFC 3261 section 14.2, RFC 3311 section 5.2.
            return self.respond(message, 491, "", now);
        }
        self.take_description(message);
        if let Some(line) = &self.line {
            let codec = line.codec;
            let body = self.description("sendrecv", &[codec]);
            self.respond(message, 200, &body, now);
        }
    }

    pub(super) fn take_description(&mut self, message: &SipMessage) {
        let body = String::from_utf8_lossy(message.body());
        if !body.is_empty() {
            self.told = body.clone().into_owned();
        }
        let Some(line) = &mut self.line else { return };
        let ip = body.lines().find_map(|l| {
            l.strip_prefix("c=IN IP4 ")
                .or_else(|| l.strip_prefix("c=IN IP6 "))
        });
        let media = body.lines().find_map(|l| l.strip_prefix("m=audio "));
        if let (Some(ip), Some(media)) = (ip, media) {
            let mut words = media.split(' ');
            let port = words.next().and_then(|port| port.parse().ok());
            let codec = words.find_map(|word| match word {
                "0" => Some(Law::Mu),
                "8" => Some(Law::A),
                _ => None,
            });
            // One with other formats chooses among them itself.
            let codec = codec.or((!self.formats.is_empty()).then_some(line.codec));
            if let (Ok(ip), Some(port), Some(codec)) = (ip.trim().parse(), port, codec) {
                line.rtp = Some(SocketAddr::new(ip, port));
                line.codec = codec;
            }
        }
    }
}

pub(super) fn bare_uri(contact: &str) -> String {
    let uri = contact
        .split('<')
        .nth(1)
        .and_then(|rest| rest.split('>').next())
        .unwrap_or(contact);
    uri.split(';').next().unwrap_or(uri).to_owned()
}
