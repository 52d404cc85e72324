//! MESSAGE between phones (RFC 3428): sent on to every binding of the called account; the first 2xx is passed back.
//!
//! What is written stays unread: any media type goes through as it came.

use std::collections::BTreeMap;
use std::time::Instant;

use super::wire::{Pending, response_flow};
use super::{Account, Binding, Endpoint};
use crate::dialog::{Dialog, MAX_FORWARDS, Parties};
use crate::token::Token;
use crate::transaction::{ClientKey, Failure, Purpose};
use crate::{Header, Message, Method, identity};

/// Octets of the longest text: more than fits a datagram with its headers is not for the pager (RFC 3428 section 8). 413.
const MAX_OCTETS: usize = 1300;

/// Most messages under way, each some 3 KiB for up to 32 s; a further one gets 503 with Retry-After.
const MAX_MESSAGES: usize = 1024;

/// Most messages under way of one account, so that one who writes to phones that are off leaves room for others; 503, too.
const MAX_OF_ACCOUNT: usize = 16;

/// A message under way; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageId(u64);

/// One message of a phone that waits for an answer.
#[derive(Debug)]
struct Forwarded {
    sender: Account,
    pending: Pending,
    tag: Token,
    /// Copies that are not answered yet.
    open: usize,
    /// The refusal that says most so far.
    refusal: Option<u16>,
}

/// All messages under way.
#[derive(Debug, Default)]
pub(super) struct Messages {
    by_id: BTreeMap<MessageId, Forwarded>,
    last: u64,
}

impl Endpoint {
    /// MESSAGE, in a dialog or outside: it makes none and belongs to none (RFC 3428 section 4).
    pub(super) fn message(&mut self, pending: &Pending, now: Instant) {
        let Pending { key, request, flow } = pending;
        if !self.wire.layer.has_room(false) {
            return self.refuse_full(request, *flow);
        }
        let Some(sender) = self.authenticate(request, *flow, now) else {
            return;
        };
        if !self.messages.has_room(&sender) {
            return self.refuse_full(request, *flow);
        }
        self.wire
            .layer
            .open(*key, Method::Message, response_flow(request, *flow), None);
        let tag = self.wire.draw();
        match self.receivers(&sender, request) {
            Ok((account, bindings)) => {
                let id = self.messages.add(Forwarded {
                    sender,
                    pending: pending.clone(),
                    tag,
                    open: bindings.len(),
                    refusal: None,
                });
                for binding in &bindings {
                    self.forward(id, &account, binding, now);
                }
            }
            Err(status) => self.wire.respond(pending, status, tag.as_str(), &[], now),
        }
    }

    /// Who is to get the message, and where; or the status that refuses it.
    fn receivers(
        &self,
        sender: &Account,
        request: &Message,
    ) -> Result<(Account, Vec<Binding>), u16> {
        if !identity::speaks_for(request, sender) {
            return Err(403);
        }
        // RFC 3261 section 16.3, item 3.
        if request.max_forwards() == Some(0) {
            return Err(483);
        }
        if request.body().len() > MAX_OCTETS {
            return Err(413);
        }
        let account = request.uri().and_then(|uri| uri.user().map(Into::into));
        let account = Account(account.ok_or(404_u16)?);
        if !self.authenticator.knows(&account) {
            return Err(404);
        }
        let bindings = self.registrar.bindings(&account);
        if bindings.is_empty() {
            return Err(480);
        }
        Ok((account, bindings))
    }

    /// Sends one copy.
    fn forward(&mut self, id: MessageId, account: &Account, binding: &Binding, now: Instant) {
        let Some(forwarded) = self.messages.by_id.get(&id) else {
            return;
        };
        let request = &forwarded.pending.request;
        let display = identity::display(request, &forwarded.sender);
        let parties = Parties {
            contact: &binding.contact,
            called: &account.0,
            called_host: None,
            caller: &forwarded.sender.0,
            caller_host: None,
            line: None,
            display: display.as_deref(),
            private: identity::wants_privacy(request),
            // RFC 7332 section 4: carried on, so that even a loop through others ends.
            max_forwards: request
                .max_forwards()
                .unwrap_or(MAX_FORWARDS)
                .saturating_sub(1),
            opening: Vec::new(),
        };
        let tokens = [self.wire.draw(), self.wire.draw()];
        let dialog = Dialog::outgoing(parties, binding.flow, &self.wire.nat, tokens);
        let branch = self.wire.draw();
        // Section 4: no Contact, as a MESSAGE makes no dialog.
        let mut writer = dialog.request(Method::Message, dialog.last_cseq(), branch);
        for header in [
            Header::ContentDisposition,
            Header::ContentEncoding,
            Header::ContentLanguage,
            Header::Date,
            Header::MimeVersion,
            Header::Subject,
        ] {
            writer.copy(request, header);
        }
        writer.header(Header::UserAgent, &self.wire.product);
        let body = request.body();
        let kind = request.header(Header::ContentType);
        let octets = writer.finish(kind.map(|kind| (kind, &body[..])));
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.wire
            .layer
            .request(key, octets, binding.flow, Purpose::Message(id), now);
    }

    /// A copy was answered.
    pub(super) fn message_answered(&mut self, id: MessageId, status: u16, now: Instant) {
        match status {
            ..=199 => {}
            200..=299 => self.answer_message(id, status, now),
            300.. => self.copy_refused(id, Some(status), now),
        }
    }

    /// A copy got no answer.
    pub(super) fn message_failed(&mut self, id: MessageId, failure: Failure, now: Instant) {
        match failure {
            Failure::Timeout => self.copy_refused(id, None, now),
            Failure::Transport => self.copy_refused(id, Some(480), now),
        }
    }

    fn copy_refused(&mut self, id: MessageId, status: Option<u16>, now: Instant) {
        let Some(forwarded) = self.messages.by_id.get_mut(&id) else {
            return;
        };
        forwarded.open = forwarded.open.saturating_sub(1);
        forwarded.refusal = [forwarded.refusal, status.map(passed_on)]
            .into_iter()
            .flatten()
            .min_by_key(|status| rank(*status));
        if forwarded.open > 0 {
            return;
        }
        match forwarded.refusal {
            Some(status) => self.answer_message(id, status, now),
            // RFC 4320 section 4.2: no 408. The sender's own timer has run out with ours.
            None => {
                if let Some(forwarded) = self.messages.by_id.remove(&id) {
                    self.wire.layer.forget(forwarded.pending.key);
                }
            }
        }
    }

    /// The sender gets its answer; what other phones say later is dropped.
    fn answer_message(&mut self, id: MessageId, status: u16, now: Instant) {
        if let Some(forwarded) = self.messages.by_id.remove(&id) {
            let tag = forwarded.tag;
            self.wire
                .respond(&forwarded.pending, status, tag.as_str(), &[], now);
        }
    }
}

impl Messages {
    fn has_room(&self, sender: &Account) -> bool {
        let of_sender = |message: &&Forwarded| message.sender == *sender;
        self.by_id.len() < MAX_MESSAGES
            && self.by_id.values().filter(of_sender).count() < MAX_OF_ACCOUNT
    }

    fn add(&mut self, forwarded: Forwarded) -> MessageId {
        self.last += 1;
        let id = MessageId(self.last);
        self.by_id.insert(id, forwarded);
        id
    }
}

/// What the sender is told of a phone's refusal: never a challenge or a redirection that is not meant for it,
/// nor that a server is overloaded (RFC 3261 section 16.7).
fn passed_on(status: u16) -> u16 {
    match status {
        400 | 402..=406 | 409..=499 | 600.. => status,
        _ => 480,
    }
}

/// 6xx before all (RFC 3261 section 16.7 step 6), then what is wrong with the message, then that nobody was there.
fn rank(status: u16) -> (u8, u16) {
    match status {
        600.. => (0, status),
        480 => (2, status),
        _ => (1, status),
    }
}
