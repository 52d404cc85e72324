//! Requests that are made of an INVITE of ours: the ACK of its refusal, and its CANCEL.

use bytes::Bytes;

use crate::dialog::MAX_FORWARDS;
use crate::message::Writer;
use crate::{Header, Message, Method};

/// The ACK for a refusal: the INVITE's Request-URI, Via, Route, From, Call-ID and CSeq number, the response's To (section 17.1.1.3).
pub(super) fn refusal_ack(invite: &Bytes, response: &Message) -> Option<Bytes> {
    let invite = Message::parse(invite.clone()).ok()?;
    Some(derived(&invite, Method::Ack, response)?.finish(None))
}

/// Begins the CANCEL of an INVITE (section 9.1); its headers go on, e.g. with Reason.
pub(crate) fn cancel(invite: &Bytes) -> Option<Writer> {
    let invite = Message::parse(invite.clone()).ok()?;
    derived(&invite, Method::Cancel, &invite)
}

fn derived(invite: &Message, method: Method<'_>, to: &Message) -> Option<Writer> {
    let mut writer = Writer::request(method, invite.request_uri()?);
    writer.copy_top_via(invite);
    writer.header(Header::MaxForwards, MAX_FORWARDS);
    writer.copy(invite, Header::Route);
    writer.copy(invite, Header::From);
    writer.copy(to, Header::To);
    writer.copy(invite, Header::CallId);
    writer.header(
        Header::CSeq,
        format_args!("{} {method}", invite.cseq()?.number),
    );
    Some(writer)
}
