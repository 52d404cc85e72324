//! What we ask a trunk: OPTIONS and REGISTER.

use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::{Account, Request};
use sip::{Flow, Header, Method};

use super::register::Registration;
use super::settings::Trunk;

/// Whether it is there (RFC 3261 section 11).
pub(super) fn options(account: &Account, trunk: &Trunk, flow: Flow) -> Request {
    let (domain, scheme) = (&trunk.domain, trunk.scheme());
    Request {
        method: Method::Options,
        uri: format!("{scheme}:{domain}"),
        flow,
        from: format!("<{scheme}:ringmaster@{domain}>"),
        to: format!("<{scheme}:{domain}>"),
        thread: None,
        headers: Vec::new(),
        body: None,
        peer: Some(account.clone()),
    }
}

/// REGISTER for so long (RFC 3261 section 10.2); `ours` is where it sees us.
pub(super) fn registered(
    account: &Account,
    trunk: &Trunk,
    registration: &Registration,
    (flow, ours): (Flow, SocketAddr),
    expires: Duration,
) -> Option<Request> {
    let credentials = trunk.credentials.as_ref()?;
    let (domain, scheme) = (&trunk.domain, trunk.scheme());
    let address = format!(
        "<{scheme}:{}@{domain}>",
        sip::uri::escape_user(&credentials.user)
    );
    // RFC 3261 section 26.2.2: the scheme says it.
    let transport = if trunk.sips {
        ""
    } else {
        flow.transport.uri_parameter()
    };
    let contact = format!("<{scheme}:{}@{ours}{transport}>", credentials.line());
    Some(Request {
        method: Method::Register,
        uri: format!("{scheme}:{domain}"),
        flow,
        from: address.clone(),
        to: address,
        thread: Some((registration.call_id.clone(), registration.cseq)),
        headers: vec![
            (Header::Contact, contact),
            (Header::Expires, expires.as_secs().to_string()),
        ],
        body: None,
        peer: Some(account.clone()),
    })
}
