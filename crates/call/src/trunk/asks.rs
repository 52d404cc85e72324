//! What we ask a trunk: OPTIONS and REGISTER.

use std::time::Duration;

use sip::endpoint::{Account, Request};
use sip::{Flow, Header, Method};

use super::register::Registration;
use super::settings::Trunk;

/// Whether it is there (RFC 3261 section 11).
pub(super) fn options(account: &Account, trunk: &Trunk, flow: Flow) -> Request {
    let domain = &trunk.domain;
    Request {
        method: Method::Options,
        uri: format!("sip:{domain}"),
        flow,
        from: format!("<sip:ringmaster@{domain}>"),
        to: format!("<sip:{domain}>"),
        thread: None,
        headers: Vec::new(),
        body: None,
        peer: Some(account.clone()),
    }
}

/// REGISTER for so long (RFC 3261 section 10.2).
pub(super) fn registered(
    account: &Account,
    trunk: &Trunk,
    registration: &Registration,
    flow: Flow,
    expires: Duration,
) -> Option<Request> {
    let credentials = trunk.credentials.as_ref()?;
    let domain = &trunk.domain;
    let address = format!(
        "<sip:{}@{domain}>",
        sip::uri::escape_user(&credentials.user)
    );
    let transport = flow.transport.uri_parameter();
    let contact = format!("<sip:{}@{}{transport}>", credentials.line(), flow.local);
    Some(Request {
        method: Method::Register,
        uri: format!("sip:{domain}"),
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
