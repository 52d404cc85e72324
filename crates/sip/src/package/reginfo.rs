//! application/reginfo+xml: the bindings of an account (RFC 3680 section 5).

use std::fmt::Write as _;

use super::xml::Escaped;
use crate::dialog::HostOf;
use crate::uri::escape_user;

/// The whole document: all bindings by their Contact URIs. How long each lasts is left out, as `expires` is optional
/// and a refresh is no news.
pub(crate) fn reginfo(account: &str, host: HostOf, version: u32, contacts: &[&str]) -> String {
    let account = escape_user(account);
    let account = Escaped(&account);
    // Section 4.7.1: without a binding the registration is not there (yet, or any more).
    let state = if contacts.is_empty() {
        "init"
    } else {
        "active"
    };
    let mut text = format!(
        "<?xml version=\"1.0\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{version}\" state=\"full\">\r\n\
         <registration aor=\"sip:{account}@{host}\" id=\"{account}\" state=\"{state}\">\r\n"
    );
    for contact in contacts {
        let (id, uri) = (id_of(contact), Escaped(contact));
        write!(
            text,
            "<contact id=\"{id:016x}\" state=\"active\" event=\"created\"><uri>{uri}</uri></contact>\r\n"
        )
        .expect("invariant: writing into a string cannot fail");
    }
    text + "</registration>\r\n</reginfo>\r\n"
}

/// The same for the same Contact in every document (section 5.3): FNV-1a, which need not be secret.
fn id_of(contact: &str) -> u64 {
    contact
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        })
}
