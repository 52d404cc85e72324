//! Who a caller is, who it says it is, and who may know (RFC 3323, RFC 3325).
//!
//! A phone is who it authenticates as. What it asserts of itself (P-Asserted-Identity) is never read and never passed on:
//! a request of ours is written anew. Of peers that the owner trusts it is read.

use crate::endpoint::Account;
use crate::header::NameAddr;
use crate::{Header, Message};

/// The display name of a caller who wants to stay unknown (RFC 3323 section 4.1.1.3).
pub const ANONYMOUS_NAME: &str = "Anonymous";

/// The URI of such a caller.
pub const ANONYMOUS_URI: &str = "sip:anonymous@anonymous.invalid";

/// The host of such a caller, by which it is known.
const ANONYMOUS_HOST: &str = "anonymous.invalid";

/// Whether the From of a request may stand for this account: it names the account, or nobody at all (RFC 3323 section 4.1.1.3).
/// Who authenticates as one account does not speak for another (RFC 3261 section 22.1).
#[must_use]
pub(crate) fn speaks_for(request: &Message, account: &Account) -> bool {
    is_anonymous(request)
        || request.from().and_then(|from| from.uri.user()).as_deref() == Some(&*account.0)
}

/// Whether the caller is not to be shown to who is called: it asks for privacy, or its From names nobody.
///
/// `id` hides the identity that we vouch for (RFC 3325 section 9.3), `header` and `user` what tells of the caller elsewhere
/// (RFC 3323 section 4.2); a B2BUA that writes its requests anew hides all of it or nothing. `session` asks for what every
/// call here has (its media comes from us); `critical` for no more than we do. `none` is the caller's word that all is to be shown.
#[must_use]
pub fn wants_privacy(request: &Message) -> bool {
    let has = |wanted: &str| {
        request
            .values(Header::Privacy)
            .flat_map(|value| value.split([';', ',']))
            .any(|value| value.trim_matches([' ', '\t']).eq_ignore_ascii_case(wanted))
    };
    if has("none") {
        return false;
    }
    is_anonymous(request) || ["id", "user", "header"].into_iter().any(has)
}

/// The name that an account's request shows: of P-Preferred-Identity if that names the account (RFC 3325 section 9.2: another
/// one is passed over), else of From.
#[must_use]
pub(crate) fn display(request: &Message, account: &Account) -> Option<String> {
    let preferred = request
        .list(Header::PPreferredIdentity)
        .flat_map(NameAddr::parse)
        .find(|preferred| preferred.uri.user().as_deref() == Some(&*account.0))
        .and_then(|preferred| preferred.display().map(Into::into));
    let from = || {
        let from = request.from()?;
        from.display().map(Into::into)
    };
    // "Anonymous" is the name of nobody.
    preferred.or_else(|| (!is_anonymous(request)).then(from).flatten())
}

/// Who is calling, as a peer vouches for it that is trusted: the first of its identities that has a number (RFC 3325
/// section 9.1: one is a SIP URI, the other a tel URI).
#[must_use]
pub(crate) fn asserted(request: &Message) -> Option<NameAddr<'_>> {
    let mut asserted = request
        .list(Header::PAssertedIdentity)
        .flat_map(NameAddr::parse);
    asserted.find(|asserted| asserted.uri.user().is_some())
}

fn is_anonymous(request: &Message) -> bool {
    let from = request.from();
    let uri = from.as_ref().and_then(|from| from.uri.sip());
    uri.is_some_and(|uri| match uri.host {
        crate::uri::Host::Name(name) => name.eq_ignore_ascii_case(ANONYMOUS_HOST),
        crate::uri::Host::V4(_) | crate::uri::Host::V6(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> Message {
        let from = if lines.contains("From:") {
            ""
        } else {
            "From: \"Alice\" <sip:201@x>;tag=1\r\n"
        };
        let text = format!(
            "INVITE sip:700@x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\n{from}{lines}\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn privacy_is_what_hides_a_name_and_none_overrules_it() {
        for (lines, private) in [
            ("", false),
            ("Privacy: id\r\n", true),
            ("Privacy: ID ; critical\r\n", true),
            ("privacy :\tuser;header\r\n", true),
            ("Privacy: session\r\n", false),
            ("Privacy: critical\r\n", false),
            ("Privacy: none\r\n", false),
            ("Privacy: id\r\nPrivacy: none\r\n", false),
            ("Privacy: idiot\r\n", false),
            ("From: <sip:anonymous@ANONYMOUS.invalid>;tag=1\r\n", true),
        ] {
            assert_eq!(wants_privacy(&request(lines)), private, "{lines}");
        }
    }

    #[test]
    fn an_account_speaks_for_itself_or_for_nobody() {
        let account = Account("201".into());
        for (lines, right) in [
            ("", true),
            ("From: <sip:202@x>;tag=1\r\n", false),
            ("From: <sip:anonymous@anonymous.invalid>;tag=1\r\n", true),
            ("From: <sip:202@anonymous.invalid.x>;tag=1\r\n", false),
            ("From: <tel:+4930>;tag=1\r\n", false),
        ] {
            assert_eq!(speaks_for(&request(lines), &account), right, "{lines}");
        }
    }

    #[test]
    fn a_preferred_identity_names_the_account_or_is_passed_over() {
        let account = Account("201".into());
        let name = |lines| display(&request(lines), &account);
        assert_eq!(name("").as_deref(), Some("Alice"));
        assert_eq!(
            name("P-Preferred-Identity: \"Sales\" <sip:201@x>\r\n").as_deref(),
            Some("Sales")
        );
        assert_eq!(
            name("P-Preferred-Identity: \"The boss\" <sip:202@x>\r\n").as_deref(),
            Some("Alice")
        );
        let anonymous = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\n";
        assert_eq!(name(anonymous), None);
        let both = format!("{anonymous}P-Preferred-Identity: \"Alice\" <sip:201@x>\r\n");
        assert_eq!(name(&both).as_deref(), Some("Alice"));
    }
}
