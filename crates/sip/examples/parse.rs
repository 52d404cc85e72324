//! What one message costs to read and to write, beside rsip: `cargo run --release -p sip --example parse`.
//!
//! Each line is a name, nanoseconds, and allocations. The time is the best of many short stretches, so that a busy machine
//! disturbs it little.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock and may stop where something is wrong"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rsip::headers::ToTypedHeader as _;
use rsip::message::HeadersExt as _;
use sip::endpoint::Status;
use sip::header::Header;
use sip::message::Writer;
use sip::overload::{Rank, refusal};
use sip::{Message, Method};

/// Operations between two looks at the clock.
const STRETCH: u32 = 200;
/// Stretches.
const TRIES: u32 = 2_000;

const INVITE: &[u8] = include_bytes!("../tests/data/yealink-invite.sip");
const REGISTER: &[u8] = include_bytes!("../tests/data/yealink-register.sip");

fn measure<T>(what: &str, mut act: impl FnMut() -> T) {
    let allocations = allocation_counter::measure(|| drop(black_box(act()))).count_total;
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        for _ in 0..STRETCH {
            black_box(act());
        }
        best = best.min(start.elapsed());
    }
    let nanoseconds = best.as_nanos() / u128::from(STRETCH);
    println!("{what} {nanoseconds} {allocations}");
}

/// What a registrar reads of a REGISTER.
fn read_registration(register: &Message) -> bool {
    let contacts = register.contacts().map(|contacts| {
        black_box(contacts);
    });
    let typed = (
        register.uri(),
        register.via(),
        register.from(),
        register.to(),
    );
    let more = (register.cseq(), register.call_id(), register.expires());
    let credentials = register.credentials(Header::Authorization).next();
    black_box((typed, more, credentials, contacts)).3.is_ok()
}

fn main() {
    let (invite, register) = (Bytes::from_static(INVITE), Bytes::from_static(REGISTER));
    measure("parse_invite", || Message::parse(invite.clone()).unwrap());
    measure("check_invite", || {
        Message::parse(invite.clone()).unwrap().validate().unwrap();
    });
    measure("parse_register_typed", || {
        assert!(read_registration(
            &Message::parse(register.clone()).unwrap()
        ));
    });
    let source = "192.0.2.9:5060".parse().unwrap();
    let message = Message::parse(invite.clone()).unwrap();
    let body = message.body();
    measure("write_answer", || {
        let mut writer = Writer::answer(&message, Status(200), Some("0123456789abcdef"), source);
        writer.header(Header::Contact, "<sip:192.0.2.1:5060>");
        writer.finish(Some(("application/sdp", &body[..])))
    });
    measure("write_request", || {
        let mut writer = Writer::request(Method::Invite, "sip:201@192.0.2.9:5060");
        writer.copy_top_via(&message);
        for header in [Header::From, Header::To, Header::CallId, Header::CSeq] {
            writer.copy(&message, header);
        }
        writer.header(Header::MaxForwards, 70);
        writer.header(Header::Contact, "<sip:192.0.2.1:5060>");
        writer.finish(Some(("application/sdp", &body[..])))
    });
    measure("rank_invite", || Rank::of(INVITE));
    measure("refuse_invite", || {
        let request = Message::parse(Bytes::copy_from_slice(INVITE)).unwrap();
        refusal(&request, source)
    });
    measure("rsip_parse_invite", || rsip::SipMessage::try_from(INVITE));
    measure("rsip_parse_register_typed", || {
        let message = rsip::SipMessage::try_from(REGISTER).unwrap();
        let typed = |header: Result<bool, rsip::Error>| header.unwrap_or_default();
        // What it cannot read costs it less.
        black_box((
            typed(message.via_header().and_then(|it| it.typed()).map(|_| true)),
            typed(
                message
                    .from_header()
                    .and_then(|it| it.typed())
                    .map(|_| true),
            ),
            typed(message.to_header().and_then(|it| it.typed()).map(|_| true)),
            typed(
                message
                    .cseq_header()
                    .and_then(|it| it.typed())
                    .map(|_| true),
            ),
            typed(
                message
                    .contact_header()
                    .and_then(|it| it.typed())
                    .map(|_| true),
            ),
        ));
    });
    let parsed = rsip::SipMessage::try_from(INVITE).unwrap();
    measure("rsip_write_invite", || parsed.to_string());
}
