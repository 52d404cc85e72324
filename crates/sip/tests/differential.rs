//! Our parser against rsip: where they read a message differently, who is right is written down.

use rsip::headers::{ToTypedHeader as _, UntypedHeader as _};
use rsip::message::HeadersExt as _;
use sip::Message;

use crate::corpus::{phones, rfc};

/// What a parser says of one aspect of a message; none if it refuses the message or cannot say.
type Fact = Option<String>;

/// One for each of `ASPECTS`; a message that is refused has none.
pub(crate) type Facts = [Fact; 8];

/// Every difference, and why we are right: the rule that rsip breaks or leaves to its user.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "wsinv",
        "rsip refuses",
        "folded lines and white space around the separators are legal: RFC 3261 section 7.3.1",
    ),
    (
        "intmeth",
        "rsip refuses",
        "a method is any token: RFC 3261 section 7.1",
    ),
    (
        "esc01",
        "rsip refuses",
        "a value may begin on its second line: RFC 3261 section 7.3.1",
    ),
    (
        "esc02",
        "rsip refuses",
        "a method is any token, '%' included: RFC 3261 section 25.1",
    ),
    (
        "longreq",
        "rsip refuses",
        "names compare in any case, compact ones too: RFC 3261 section 7.3.3",
    ),
    (
        "dblreq",
        "call-id body",
        "compact names, and the body ends where Content-Length says: RFC 3261 sections 7.3.3 and 18.3",
    ),
    (
        "semiuri",
        "rsip refuses",
        "the user part may hold semicolons: RFC 3261 section 25.1",
    ),
    (
        "badinv01",
        "we refuse",
        "Via and Contact have empty parameters: RFC 4475 section 3.1.2.1",
    ),
    (
        "clerr",
        "we refuse",
        "the datagram ends before Content-Length: RFC 3261 section 18.3",
    ),
    (
        "ncl",
        "we refuse",
        "Content-Length is negative: RFC 4475 section 3.1.2.3",
    ),
    (
        "scalarlg",
        "we refuse",
        "CSeq is above 2^32-1: RFC 4475 section 3.1.2.5",
    ),
    (
        "quotbal",
        "we refuse",
        "the quote of To does not end: RFC 4475 section 3.1.2.6",
    ),
    (
        "ltgtruri",
        "we refuse",
        "brackets around the Request-URI: RFC 4475 section 3.1.2.7",
    ),
    (
        "regbadct",
        "we refuse",
        "a URI with '?' needs brackets: RFC 3261 section 20.10",
    ),
    (
        "badaspec",
        "we refuse",
        "spaces inside the brackets of To: RFC 4475 section 3.1.2.14",
    ),
    (
        "baddn",
        "we refuse",
        "no empty line after the header section: RFC 3261 section 7",
    ),
    (
        "mismatch01",
        "we refuse",
        "CSeq names another method: RFC 3261 section 8.1.1.5",
    ),
    (
        "insuf",
        "we refuse",
        "no From, To and Call-ID: RFC 3261 section 8.1.1",
    ),
    (
        "unkscm",
        "rsip refuses",
        "any scheme is well-formed and gets 416: RFC 3261 section 8.2.2.1",
    ),
    (
        "unksm2",
        "contact",
        "a Contact may have any scheme: RFC 3261 section 20.10",
    ),
    (
        "multi01",
        "we refuse",
        "From, To, Call-ID, CSeq and Max-Forwards stand twice: RFC 4475 section 3.3.8",
    ),
    ("mcl01", "we refuse", "two lengths: RFC 4475 section 3.3.9"),
    (
        "bcast",
        "we refuse",
        "a response with a second Via is not ours: RFC 3261 section 8.1.3.3",
    ),
    (
        "regescrt",
        "contact",
        "compact names: RFC 3261 section 7.3.3",
    ),
    (
        "ipv6-good",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.1",
    ),
    (
        "port-ambiguous",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.3",
    ),
    (
        "port-unambiguous",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.4",
    ),
    (
        "via-received-param-with-delim",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.5",
    ),
    (
        "via-received-param-no-delim",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.5",
    ),
    (
        "ipv6-in-sdp",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.6",
    ),
    (
        "mult-ip-in-header",
        "via",
        "sent-by may be an IPv6 reference: RFC 5118 section 4.7",
    ),
    (
        "mult-ip-in-sdp",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.8",
    ),
    (
        "ipv4-mapped-ipv6",
        "via contact",
        "a host may be an IPv6 reference: RFC 5118 section 4.9",
    ),
    (
        "ipv6-bug-abnf-3-colons",
        "rsip refuses",
        "tolerated because the grammar of RFC 3261 makes it: RFC 5118 section 4.10",
    ),
    (
        "ipv6-correct-abnf-2-colons",
        "rsip refuses",
        "a host may be an IPv6 reference: RFC 5118 section 4.10",
    ),
    (
        "baresip-invite",
        "start via contact",
        "IPv6 references; rsip also rewrites transport=tcp in capitals, which is the same URI: RFC 3261 section 19.1.4",
    ),
    (
        "baresip-register",
        "contact",
        "quoted parameter values (+sip.instance): RFC 3261 section 25.1",
    ),
    (
        "cisco-hold",
        "via from to call-id contact",
        "compact names: RFC 3261 section 7.3.3",
    ),
    (
        "grandstream-register",
        "contact",
        "quoted parameter values (+sip.instance): RFC 3261 section 25.1",
    ),
    (
        "linphone-invite",
        "contact",
        "quoted parameter values with commas: RFC 3261 section 25.1",
    ),
    (
        "yealink-register",
        "contact",
        "quoted parameter values (+sip.instance): RFC 3261 section 25.1",
    ),
];

const ASPECTS: [&str; 8] = [
    "start", "via", "from", "to", "call-id", "cseq", "contact", "body",
];

pub(crate) fn ours(octets: &[u8]) -> Facts {
    let Some(message) = Message::parse(octets.to_vec().into())
        .ok()
        .filter(|message| message.validate().is_ok())
    else {
        return Default::default();
    };
    let start = match message.method() {
        Some(method) => format!("{method} {}", message.request_uri().unwrap()),
        None => message.status().unwrap().0.to_string(),
    };
    let cseq = message.cseq().unwrap();
    [
        Some(start),
        message
            .via()
            .and_then(|via| via.branch())
            .map(str::to_owned),
        message
            .from()
            .and_then(|from| from.tag())
            .map(str::to_owned),
        message.to().and_then(|to| to.tag()).map(str::to_owned),
        message.call_id().map(str::to_owned),
        Some(format!("{} {}", cseq.number, cseq.method)),
        message
            .contact()
            .map(|contact| contact.uri.text().to_owned()),
        Some(message.body().len().to_string()),
    ]
}

pub(crate) fn theirs(octets: &[u8]) -> Facts {
    let Ok(message) = rsip::SipMessage::try_from(octets.to_vec()) else {
        return Default::default();
    };
    let start = match &message {
        rsip::SipMessage::Request(request) => format!("{} {}", request.method(), request.uri()),
        rsip::SipMessage::Response(response) => response.status_code().code().to_string(),
    };
    let via = message.via_header().ok().and_then(|via| via.typed().ok());
    let via = via.and_then(|via| via.branch().map(|branch| branch.value().to_owned()));
    let cseq = message.cseq_header().ok();
    let cseq = cseq.and_then(|cseq| Some(format!("{} {}", cseq.seq().ok()?, cseq.method().ok()?)));
    [
        Some(start),
        via,
        message
            .from_header()
            .ok()
            .and_then(|from| from.tag().ok()?)
            .map(|tag| tag.value().to_owned()),
        message
            .to_header()
            .ok()
            .and_then(|to| to.tag().ok()?)
            .map(|tag| tag.value().to_owned()),
        message
            .call_id_header()
            .ok()
            .map(|id| id.value().to_owned()),
        cseq,
        message
            .contact_header()
            .ok()
            .and_then(|contact| contact.uri().ok())
            .map(|uri| uri.to_string()),
        Some(message.body().len().to_string()),
    ]
}

/// How the two differ on a message: one refuses it, or they read some aspects differently.
pub(crate) fn difference(octets: &[u8]) -> Option<String> {
    let (ours, theirs) = (ours(octets), theirs(octets));
    match (&ours[0], &theirs[0]) {
        (None, None) => None,
        (None, Some(_)) => Some("we refuse".to_owned()),
        (Some(_), None) => Some("rsip refuses".to_owned()),
        (Some(_), Some(_)) => {
            let aspects = ASPECTS
                .iter()
                .zip(ours.iter().zip(&theirs))
                .filter(|(_, (ours, theirs))| ours != theirs);
            let aspects: Vec<_> = aspects.map(|(aspect, _)| *aspect).collect();
            (!aspects.is_empty()).then(|| aspects.join(" "))
        }
    }
}

#[test]
fn where_we_read_differently_from_rsip_is_known() {
    let samples = [rfc("rfc4475"), rfc("rfc5118"), phones()].concat();
    let found: Vec<_> = samples
        .iter()
        .filter_map(|sample| Some((sample.name.as_str(), difference(&sample.octets)?)))
        .collect();
    let known: Vec<_> = KNOWN
        .iter()
        .map(|(name, difference, _)| (*name, (*difference).to_owned()))
        .collect();
    assert_eq!(found, known);
}
