//! What a phone makes of requests.

use super::{Call, Event, Phone, State};
use crate::sip::message::{repeated, response};
use crate::sip::text::{Text, audio_address};
use crate::srtp::Key;

impl Phone {
    pub(super) fn handle_request(
        &mut self,
        method: &str,
        text: &Text<'_>,
        events: &mut Vec<Event>,
    ) {
        let ours = self
            .call
            .as_ref()
            .is_some_and(|call| call.call_id == text.call_id());
        match method {
            "INVITE" if ours => self.reinvited(text),
            "INVITE" => self.invited(text, events),
            "ACK" if ours => self.acknowledged(events),
            "ACK" => {}
            "CANCEL" if ours => self.cancelled(text, events),
            "BYE" => {
                // A BYE that comes again after the call is gone gets its 200 again.
                self.respond("200 OK", text);
                if ours {
                    self.call = None;
                    events.push(Event::Ended);
                }
            }
            "OPTIONS" | "CANCEL" => self.respond("200 OK", text),
            _ => self.respond("501 Not Implemented", text),
        }
    }

    fn respond(&self, status: &str, text: &Text<'_>) {
        self.send(&response(status, &repeated(text, ""), "", ""));
    }

    fn invited(&mut self, text: &Text<'_>, events: &mut Vec<Event>) {
        if self.call.is_some() {
            self.respond("486 Busy Here", text);
            return;
        }
        self.serial += 1;
        let tag = format!("a{}x{}", self.local.port(), self.serial);
        let repeated = repeated(text, &format!(";tag={tag}"));
        let last = response("180 Ringing", &repeated, &self.contact(), "");
        self.send(&last);
        self.call = Some(Call {
            state: State::Alerting,
            call_id: text.call_id().to_owned(),
            local: format!("{};tag={tag}", text.header("To", "t").unwrap_or_default()),
            remote: text.header("From", "f").unwrap_or_default().to_owned(),
            target: text.contact().unwrap_or_default().to_owned(),
            cseq: 100,
            media: self.local,
            audio: audio_address(text.body),
            their_key: Key::find(text.body),
            repeated,
            last,
        });
        events.push(Event::Incoming);
    }

    /// The INVITE again, or a re-INVITE: the first gets the last response again, the other the session as it stands.
    fn reinvited(&mut self, text: &Text<'_>) {
        let contact = self.contact();
        let Some(call) = &mut self.call else { return };
        if call.state == State::Talking {
            call.audio = audio_address(text.body).or(call.audio);
            call.their_key = Key::find(text.body).or(call.their_key.take());
            let media = call.media;
            let description = self.answering_description(media);
            let octets = response("200 OK", &repeated(text, ""), &contact, &description);
            self.send(&octets);
        } else {
            let octets = call.last.clone();
            self.send(&octets);
        }
    }

    fn acknowledged(&mut self, events: &mut Vec<Event>) {
        let Some(call) = &mut self.call else { return };
        if let State::Answering { .. } = call.state {
            call.state = State::Talking;
            match call.audio {
                Some(audio) => events.push(Event::Connected(audio)),
                None => events.push(Event::Refused(488)),
            }
        }
    }

    fn cancelled(&mut self, text: &Text<'_>, events: &mut Vec<Event>) {
        self.respond("200 OK", text);
        if let Some(call) = self.call.take_if(|call| call.state == State::Alerting) {
            // Sent once: the ACK or the retransmitted INVITE would bring it again, and on loopback nothing is lost.
            self.send(&response("487 Request Terminated", &call.repeated, "", ""));
            events.push(Event::Cancelled);
        }
    }
}
