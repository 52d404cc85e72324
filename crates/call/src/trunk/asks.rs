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

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time has to start somewhere"
)]
mod tests {
    use std::time::Instant;

    use sip::Transport;
    use sip::digest::Credentials;

    use super::*;
    use crate::trunk::{Caller, Shown};

    fn trunk(sips: bool) -> Trunk {
        Trunk {
            hosts: Vec::new(),
            domain: "provider.example".to_owned(),
            tls_name: None,
            tls_authorities: None,
            tls_certificate: None,
            tls_verify: false,
            sips,
            credentials: Some(Credentials {
                user: "alice".to_owned(),
                password: "secret".to_owned(),
                realm: "provider.example".to_owned(),
            }),
            register: Some(Duration::from_secs(600)),
            options: None,
            sources: Vec::new(),
            max_calls: 1,
            calls_per_second: 1,
            number_out: Vec::new(),
            number_in: Vec::new(),
            caller: Caller::Anonymous,
            identity: Shown::From,
            trusted: false,
            numbers: Vec::new(),
        }
    }

    /// The Request-URI, To and Contact of a REGISTER over TLS to a provider that sees us at 203.0.113.7.
    fn register(sips: bool) -> [String; 3] {
        let (trunk, account) = (trunk(sips), Account("provider".into()));
        let flow = Flow {
            transport: Transport::Tls,
            local: "192.168.1.5:5061".parse().unwrap(),
            remote: "192.0.2.9:5061".parse().unwrap(),
        };
        let way = (flow, "203.0.113.7:15061".parse().unwrap());
        let expires = Duration::from_secs(600);
        let registration = Registration::new(expires, "id".to_owned(), Instant::now());
        let request = registered(&account, &trunk, &registration, way, expires).unwrap();
        let contact = request.headers.into_iter().next().unwrap().1;
        let line = trunk.credentials.unwrap().line();
        [request.uri, request.to, contact.replace(&line, "LINE")]
    }

    #[test]
    fn a_provider_beyond_a_router_is_told_where_it_sees_us() {
        let told = [
            "sip:provider.example",
            "<sip:alice@provider.example>",
            "<sip:LINE@203.0.113.7:15061;transport=tls>",
        ];
        assert_eq!(register(false), told);
    }

    #[test]
    fn sips_says_by_itself_that_it_is_over_tls() {
        let told = [
            "sips:provider.example",
            "<sips:alice@provider.example>",
            "<sips:LINE@203.0.113.7:15061>",
        ];
        assert_eq!(register(true), told);
    }
}
