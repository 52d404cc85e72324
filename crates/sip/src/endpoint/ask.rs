//! Requests of ours inside a dialog and their final answers (RFC 3261 section 12.2.1).

use std::time::Instant;

use bytes::Bytes;

use super::leg::{Leg, State};
use super::{Endpoint, Event, LegId, NoReply, RequestId};
use crate::dialog::Dialog;
use crate::transaction::{ClientKey, Failure, Purpose};
use crate::{Header, Message, Method};

/// Most requests of the owner that wait for their answers in one dialog; a further one is not sent. One key press, one
/// transfer and its reports are a handful; each is over after 32 s.
const MAX_UNDER_WAY: u8 = 16;

/// What the owner wants to say inside a dialog.
#[derive(Clone, Debug)]
pub struct InDialog {
    /// Any method but INVITE, ACK, CANCEL and BYE, which have commands of their own.
    pub method: Method<'static>,
    /// Header fields beside those that the dialog writes (Via, Max-Forwards, Route, From, To, Call-ID, CSeq, User-Agent,
    /// and Contact where the method refreshes the target).
    pub headers: Vec<(Header, String)>,
    /// Content-Type and body.
    pub body: Option<(String, Bytes)>,
}

impl Endpoint {
    /// Sends a request inside a dialog; `RepliedInDialog` tells how it ended.
    ///
    /// `None` if there is no dialog to send it in (no leg, a leg that ends, an INVITE of ours without a reliable answer)
    /// or too many wait for their answers already; nothing is sent then.
    pub fn ask(&mut self, leg: LegId, request: &InDialog, now: Instant) -> Option<RequestId> {
        let found = self.legs.get_mut(&leg)?;
        if found.asked >= MAX_UNDER_WAY {
            return None;
        }
        let (cseq, dialog) = found.next_request()?;
        self.last_request += 1;
        let id = RequestId(self.last_request);
        let purpose = Purpose::Ask(leg, id, request.method);
        self.wire.ask(dialog, cseq, request, purpose, now);
        found.asked += 1;
        self.drop_stale_timers();
        Some(id)
    }

    /// A request of the owner has its final answer, or got none (RFC 3261 section 8.1.3.1).
    pub(super) fn replied_in_dialog(
        &mut self,
        leg: LegId,
        request: RequestId,
        reply: Result<&Message, Failure>,
    ) {
        let Some(Leg { state, asked, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        *asked = asked.saturating_sub(1);
        let reply = match reply {
            Ok(response) => Ok(Box::new(response.clone())),
            Err(Failure::Timeout) => Err(NoReply::Timeout),
            Err(Failure::Transport) => Err(NoReply::FlowFailed),
        };
        match state {
            State::Incoming(_) | State::Outgoing(_) | State::Standing(_) => {
                self.wire.tell(Event::RepliedInDialog {
                    leg,
                    request,
                    reply,
                });
            }
            // For its owner the leg is gone.
            State::Leaving { .. } | State::Left => {}
        }
    }
}

impl super::wire::Wire {
    /// Sends a request in a dialog.
    pub(super) fn ask(
        &mut self,
        dialog: &Dialog,
        cseq: u32,
        request: &InDialog,
        purpose: Purpose,
        now: Instant,
    ) {
        let branch = self.draw();
        let mut writer = dialog.request(request.method, cseq, branch);
        if refreshes_target(request.method) {
            writer.header(Header::Contact, dialog.contact());
        }
        for (header, value) in &request.headers {
            writer.header(*header, value);
        }
        writer.header(Header::UserAgent, &self.product);
        let body = request.body.as_ref();
        let octets = writer.finish(body.map(|(kind, octets)| (&**kind, &**octets)));
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.layer.request(key, octets, dialog.flow, purpose, now);
    }
}

/// Whether a request of this method says where its sender is (RFC 3261 section 12.2, RFC 3311 section 5.1, RFC 6665
/// section 4.4.1, RFC 3515 section 2.2).
fn refreshes_target(method: Method<'_>) -> bool {
    match method {
        Method::Invite | Method::Update | Method::Notify | Method::Refer | Method::Subscribe => {
            true
        }
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Message
        | Method::Prack
        | Method::Publish
        | Method::Other(_) => false,
    }
}
