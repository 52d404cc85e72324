//! Extensions that a phone may know: reliable provisional answers (RFC 3262), session timers (RFC 4028), UPDATE (RFC 3311).

use std::time::Instant;

use rsip::SipMessage;

use super::{Offer, Phone};
use crate::wire::{self, Key};

/// The first RSeq of a phone.
const FIRST_RSEQ: u32 = 4_711;

impl Phone {
    /// The header fields by which it says what it can do.
    pub(super) fn abilities(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        let options = [
            (self.reliable, "100rel"),
            (self.session_expires.is_some(), "timer"),
        ];
        let supported: Vec<&str> = options
            .into_iter()
            .filter_map(|(knows, option)| knows.then_some(option))
            .collect();
        if !supported.is_empty() {
            headers.push(("Supported", supported.join(", ")));
        }
        if let Some(expires) = self.session_expires {
            headers.push(("Session-Expires", expires.to_owned()));
        }
        if self.allows_update {
            headers.push(("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE".to_owned()));
        }
        headers
    }

    /// The RSeq of this provisional answer, if it is to be reliable.
    pub(super) fn next_rseq(&mut self, invite: &SipMessage, status: u16) -> Option<u32> {
        let supported = wire::value(invite, "Supported").unwrap_or_default();
        let takes = (101..200).contains(&status) && supported.contains("100rel");
        let line = self.line.as_mut().filter(|_| takes && self.reliable)?;
        let rseq = line.rseq.map_or(FIRST_RSEQ, |last| last + 1);
        line.rseq = Some(rseq);
        Some(rseq)
    }

    /// A PRACK for its answer.
    pub(super) fn handle_prack(&mut self, message: &SipMessage, key: &Key, now: Instant) {
        let named = wire::value(message, "RAck").and_then(|rack| rack.split(' ').next());
        let rseq = named.and_then(|rseq| rseq.parse().ok()).unwrap_or_default();
        let key = Key::new(&key.call_id, rseq, "PRACK");
        let known = self.transactions.answered(&key, true);
        self.respond(message, if known { 200 } else { 481 }, "", now);
    }

    /// A provisional answer to its INVITE: it takes what is described, and says so if it is asked to.
    pub(super) fn take_early(&mut self, message: &SipMessage, now: Instant) {
        self.take_description(message);
        let rseq = wire::value(message, "RSeq").and_then(|rseq| rseq.parse().ok());
        let (Some(line), Some(rseq)) = (&mut self.line, rseq) else {
            return;
        };
        if line.rseq.is_some_and(|last| rseq <= last) {
            return;
        }
        line.rseq = Some(rseq);
        line.pracks += 1;
        let (invite, cseq, codec) = (line.cseq, line.cseq + line.pracks, line.codec);
        let (local, call_id) = (line.local.clone(), line.call_id.clone());
        let contact = wire::value(message, "Contact").expect("an early dialog has a target");
        let target = super::responses::bare_uri(contact);
        let body = match line.offer {
            Offer::Late(direction) if !message.body().is_empty() => {
                self.description(direction, &[codec])
            }
            Offer::Late(_) | Offer::Direction(_) | Offer::Codec(_) | Offer::Unknown => {
                String::new()
            }
        };
        let to = wire::value(message, "To").expect("every response has it");
        let headers = [
            ("Via", self.via()),
            ("Max-Forwards", "70".to_owned()),
            ("From", local),
            ("To", to.to_owned()),
            ("Call-ID", call_id.clone()),
            ("CSeq", format!("{cseq} PRACK")),
            ("RAck", format!("{rseq} {invite} INVITE")),
        ];
        let octets = wire::request("PRACK", &target, &headers, &body);
        let key = Key::new(&call_id, cseq, "PRACK");
        self.transactions.send_until_answered(octets, key, now);
    }
}
