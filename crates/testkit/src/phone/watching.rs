//! What a phone watches: SUBSCRIBE, and the NOTIFYs that come for it (RFC 6665).

use std::time::Instant;

use rsip::SipMessage;

use super::{Phone, host};
use crate::wire::{self, Challenge, Key};

/// One subscription.
#[derive(Debug)]
pub(super) struct Lamp {
    event: &'static str,
    call_id: String,
    cseq: u32,
    /// Where its SUBSCRIBEs go: whom it watches, then Contact of the switch.
    target: String,
    /// To of its SUBSCRIBEs.
    remote: String,
    expires: u32,
    challenged: bool,
}

impl Phone {
    /// Watches somebody: `dialog`, `message-summary` or `reg`.
    pub fn watch(&mut self, event: &'static str, whom: &str, now: Instant) {
        let target = format!("sip:{whom}@{}", host(self.server.ip()));
        let place = self.lamps.len();
        self.lamps.push(Lamp {
            event,
            call_id: format!("{}-watches-{place}", self.name),
            cseq: 0,
            remote: format!("<{target}>"),
            target,
            expires: 3_600,
            challenged: false,
        });
        self.send_subscribe(place, now);
    }

    /// Ends all that it watches.
    pub fn unwatch(&mut self, now: Instant) {
        for place in 0..self.lamps.len() {
            self.lamps[place].expires = 0;
            self.lamps[place].challenged = false;
            self.send_subscribe(place, now);
        }
    }

    fn send_subscribe(&mut self, place: usize, now: Instant) {
        let via = self.via();
        let contact = self.contact_value();
        self.lamps[place].cseq += 1;
        let target = self.lamps[place].target.clone();
        let credentials = self.credentials("SUBSCRIBE", &target);
        let lamp = &self.lamps[place];
        let mut headers = vec![
            ("Via", via),
            ("Max-Forwards", "70".to_owned()),
            (
                "From",
                format!(
                    "<sip:{}@{}>;tag={}w",
                    self.account,
                    host(self.server.ip()),
                    self.name
                ),
            ),
            ("To", lamp.remote.clone()),
            ("Call-ID", lamp.call_id.clone()),
            ("CSeq", format!("{} SUBSCRIBE", lamp.cseq)),
            ("Contact", contact),
            ("Event", lamp.event.to_owned()),
            ("Expires", lamp.expires.to_string()),
        ];
        headers.extend(credentials);
        let octets = wire::request("SUBSCRIBE", &lamp.target, &headers, "");
        let key = Key::new(&lamp.call_id, lamp.cseq, "SUBSCRIBE");
        self.transactions.send_until_answered(octets, key, now);
    }

    pub(super) fn handle_subscribe_response(
        &mut self,
        message: &SipMessage,
        key: &Key,
        status: u16,
        now: Instant,
    ) {
        let of_lamp = |lamp: &Lamp| lamp.call_id == key.call_id;
        let Some(place) = self.lamps.iter().position(of_lamp) else {
            return;
        };
        let lamp = &mut self.lamps[place];
        match status {
            401 if !lamp.challenged => {
                lamp.challenged = true;
                self.challenge = Some(Challenge::of(message));
                self.send_subscribe(place, now);
            }
            200..300 => {
                if let (Some(to), Some(contact)) =
                    (wire::value(message, "To"), wire::value(message, "Contact"))
                {
                    lamp.remote = to.to_owned();
                    lamp.target = contact.trim_matches(['<', '>']).to_owned();
                }
                self.last_status = Some(status);
            }
            _ => self.last_status = Some(status),
        }
    }

    pub(super) fn handle_notify(&mut self, message: &SipMessage, key: &Key, now: Instant) {
        if !self.lamps.iter().any(|lamp| lamp.call_id == key.call_id) {
            return self.respond(message, 481, "", now);
        }
        let state = wire::value(message, "Subscription-State").unwrap_or_default();
        let document = String::from_utf8_lossy(message.body()).into_owned();
        self.notified.push((state.to_owned(), document));
        self.respond(message, 200, "", now);
    }
}
