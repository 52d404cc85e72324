//! The messages of RFC 4475 and RFC 5118: each verdict that the message layer can give.

use bytes::Bytes;
use sip::header::Header;
use sip::message::Defect;
use sip::{Frame, Framer, Message, Method};

use crate::corpus::{Sample, one, rfc};

/// What the message layer says of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Goes on to the user agent.
    Taken,
    /// Answered with this status.
    Answered(u16),
    /// Dropped without an answer.
    Silent,
}

fn judge(octets: &[u8]) -> (Verdict, Option<Defect>) {
    let source = "192.0.2.99:5060".parse().unwrap();
    match Message::parse(Bytes::copy_from_slice(octets)) {
        Err(fault) => match fault.answers(source).next() {
            None => (Verdict::Silent, Some(fault.defect)),
            Some(answer) => {
                let answer = Message::parse(answer).expect("our own answer is well-formed");
                assert_eq!(answer.status(), Some(fault.defect.status()));
                (
                    Verdict::Answered(fault.defect.status().0),
                    Some(fault.defect),
                )
            }
        },
        Ok(message) => match message.validate() {
            Ok(()) => (Verdict::Taken, None),
            Err(defect) if message.is_request() => {
                (Verdict::Answered(defect.status().0), Some(defect))
            }
            Err(defect) => (Verdict::Silent, Some(defect)),
        },
    }
}

/// Messages whose verdict comes from a higher layer: the message layer must take them, with the reason.
const LEFT_TO_THE_USER_AGENT: &[(&str, &str)] = &[
    (
        "intmeth",
        "501 or 404: which methods and users there are, the endpoint knows",
    ),
    ("esc02", "501: the method is unknown to the endpoint"),
    (
        "unreason",
        "a response without a transaction is dropped by the transaction layer",
    ),
    (
        "noreason",
        "a response without a transaction is dropped by the transaction layer",
    ),
    (
        "badbranch",
        "a branch of the magic cookie alone is judged by the transaction layer",
    ),
    (
        "unkscm",
        "416 comes after the method was looked at (RFC 3261 section 8.2.2.1)",
    ),
    (
        "novelsc",
        "416 comes after the method was looked at (RFC 3261 section 8.2.2.1)",
    ),
    (
        "unksm2",
        "that To names no SIP address, the registrar says (RFC 3261 section 10.3)",
    ),
    ("bext01", "420: the endpoint knows which extensions it has"),
    ("invut", "415: the endpoint knows which bodies it reads"),
    ("regaut01", "401 comes from the registrar"),
    (
        "sdp01",
        "406 comes from the endpoint (see Message::accepts)",
    ),
    ("zeromf", "an endpoint processes it as normal"),
];

fn check(folder: &str) {
    let samples = rfc(folder);
    let mut wrong = Vec::new();
    for Sample {
        name,
        octets,
        accepted,
    } in &samples
    {
        let (verdict, defect) = judge(octets);
        let left = LEFT_TO_THE_USER_AGENT.iter().any(|(left, _)| left == name);
        let right = match verdict {
            // Taken is right where the user agent decides, or where some answer but 400 is asked for.
            Verdict::Taken => {
                left || accepted.iter().any(|code| {
                    code.starts_with('!') || matches!(code.as_str(), "200" | "481" | "liberal")
                })
            }
            Verdict::Answered(status) => !left && accepted.contains(&status.to_string()),
            Verdict::Silent => !left && accepted.iter().any(|code| code == "silent"),
        };
        if !right {
            wrong.push(format!(
                "{name}: {verdict:?} for {defect:?}, accepted {accepted:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        samples.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_rfc_4475_message_gets_its_verdict() {
    assert_eq!(rfc("rfc4475").len(), 49);
    check("rfc4475");
}

#[test]
fn every_rfc_5118_message_gets_its_verdict() {
    assert_eq!(rfc("rfc5118").len(), 12);
    check("rfc5118");
}

#[test]
fn invalid_messages_get_exactly_their_status() {
    for (name, defect, status) in [
        ("clerr", Defect::BodyTruncated, 400),
        ("ncl", Defect::ContentLength, 400),
        ("mcl01", Defect::ContentLength, 400),
        ("scalar02", Defect::Malformed(Header::CSeq), 400),
        ("quotbal", Defect::Malformed(Header::To), 400),
        ("ltgtruri", Defect::RequestUri, 400),
        ("lwsruri", Defect::RequestLine, 400),
        ("lwsstart", Defect::RequestLine, 400),
        ("trws", Defect::RequestLine, 400),
        ("escruri", Defect::RequestUri, 400),
        ("regbadct", Defect::Malformed(Header::Contact), 400),
        ("badaspec", Defect::Malformed(Header::To), 400),
        ("baddn", Defect::NoBlankLine, 400),
        ("badvers", Defect::Version, 505),
        ("mismatch01", Defect::MethodMismatch, 400),
        ("mismatch02", Defect::MethodMismatch, 400),
        ("insuf", Defect::Missing(Header::From), 400),
        ("multi01", Defect::Repeated(Header::From), 400),
    ] {
        assert_eq!(
            judge(&one("rfc4475", name)),
            (Verdict::Answered(status), Some(defect)),
            "{name}"
        );
    }
    assert_eq!(
        judge(&one("rfc5118", "ipv6-bad")),
        (Verdict::Answered(400), Some(Defect::RequestUri))
    );
}

#[test]
fn faulty_responses_are_dropped() {
    for (name, defect) in [
        ("scalarlg", Defect::Malformed(Header::CSeq)),
        ("bigcode", Defect::StatusCode),
        ("bcast", Defect::ForeignResponse),
    ] {
        assert_eq!(
            judge(&one("rfc4475", name)),
            (Verdict::Silent, Some(defect)),
            "{name}"
        );
    }
}

fn message(name: &str) -> Message {
    Message::parse(one("rfc4475", name).into()).unwrap()
}

#[test]
fn the_short_tortuous_invite_reads_as_the_rfc_says() {
    let invite = message("wsinv");
    assert_eq!(invite.method(), Some(Method::Invite));
    assert_eq!(
        invite.request_uri(),
        Some("sip:vivekg@chair-dnrc.example.com;unknownparam")
    );
    assert_eq!(invite.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(
        invite.from().unwrap().display().unwrap(),
        "J Rosenberg \\\""
    );
    assert_eq!(invite.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(invite.max_forwards(), Some(68));
    assert_eq!(invite.cseq().unwrap().number, 9);
    assert_eq!(invite.header(Header::Subject), Some(""));
    assert_eq!(
        invite.other("newfangledheader").next(),
        Some("newfangled value   continued newfangled value")
    );
    let vias: Vec<_> = invite.vias().map(|via| via.unwrap()).collect();
    assert_eq!(
        vias.iter().map(|via| via.transport).collect::<Vec<_>>(),
        ["UDP", "TCP", "UDP"]
    );
    assert_eq!(
        vias.iter()
            .map(|via| via.branch().unwrap())
            .collect::<Vec<_>>(),
        ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    );
    let route = invite.routes().next().unwrap().unwrap();
    assert!(route.uri.sip().unwrap().is_loose_router());
    let contact = invite.contact().unwrap();
    assert_eq!(contact.display().unwrap(), "Quoted string \"\"");
    assert_eq!(contact.params.value("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("secondparam").unwrap().raw, None);
    assert_eq!(contact.q(), Some(330));
    assert_eq!(invite.body().len(), 150);
}

#[test]
fn nul_and_escapes_are_neither_cut_nor_resolved_twice() {
    let wide = message("intmeth");
    assert_eq!(
        wide.method(),
        Some(Method::Other("!interesting-Method0123456789_*+`.%indeed'~"))
    );
    assert_eq!(
        wide.call_id(),
        Some("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{")
    );
    assert_eq!(
        wide.to().unwrap().display().unwrap(),
        "BEL:\x07 NUL:\0 DEL:\x7f"
    );
    assert_eq!(
        wide.from().unwrap().display().unwrap(),
        "token1~` token2'+_ token3*%!.-"
    );
    let null = message("escnull");
    assert_eq!(null.to().unwrap().uri.user().unwrap(), "null-\0-null");
    let escaped = message("esc01");
    assert_eq!(escaped.from().unwrap().uri.user().unwrap(), "I have spaces");
    assert!(
        escaped
            .contact()
            .unwrap()
            .uri
            .sip()
            .unwrap()
            .is_loose_router()
    );
    assert_eq!(message("esc02").list(Header::Contact).count(), 2);
}

#[test]
fn bodies_end_where_content_length_says() {
    assert_eq!(message("dblreq").body(), "");
    let parts = message("mpart01").body();
    assert_eq!(parts.len(), 553);
    assert!(parts.contains(&0));
    let rest = one("rfc4475", "inv2543");
    let body = rest.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(
        message("inv2543").body(),
        rest[body..],
        "without Content-Length: the rest of the datagram"
    );
}

#[test]
fn reason_phrases_may_be_odd_or_empty() {
    assert!(
        message("unreason")
            .reason_phrase()
            .unwrap()
            .starts_with("= 2**3 * 5**2 но сто")
    );
    assert_eq!(message("noreason").reason_phrase(), Some(""));
}

/// What each octet of a stream at a time gives: frames as words, and how it stands at the end.
fn on_a_stream(octets: &[u8], size: usize) -> Vec<String> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for part in octets.chunks(size) {
        framer.push(part);
        while let Some(frame) = framer.poll() {
            found.push(match frame {
                Frame::Message(_) => "message".to_owned(),
                Frame::Ping => "ping".to_owned(),
                Frame::Refused(fault) => format!("refused {:?}", fault.defect),
                Frame::Lost(fault) => format!("lost {:?}", fault.defect),
            });
        }
    }
    if framer.is_incomplete() {
        found.push("incomplete".to_owned());
    }
    found
}

#[test]
fn on_a_stream_only_framing_faults_cost_the_connection() {
    let samples = [rfc("rfc4475"), rfc("rfc5118")].concat();
    let mut unusual = Vec::new();
    for Sample { name, octets, .. } in &samples {
        let frames = on_a_stream(octets, octets.len());
        assert_eq!(on_a_stream(octets, 1), frames, "{name}");
        if frames != ["message"] {
            unusual.push(format!("{name}: {}", frames.join(", ")));
        }
    }
    assert_eq!(
        unusual,
        [
            // The second message's body is longer than its Content-Length; the rest is no message.
            "dblreq: message, message, lost NotSip",
            "clerr: incomplete",
            "ncl: lost ContentLength",
            "lwsruri: refused RequestLine",
            "lwsstart: refused RequestLine",
            "trws: refused RequestLine",
            "baddn: incomplete",
            "badvers: refused Version",
            "bigcode: refused StatusCode",
            "mcl01: lost ContentLength",
            "inv2543: lost NoContentLength",
        ]
    );
}
