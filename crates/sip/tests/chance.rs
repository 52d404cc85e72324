//! Properties of what is written, whatever it is made of. Those of what is read are beside the fuzz targets in `testkit`.

use bytes::Bytes;
use proptest::prelude::*;
use sip::header::{Contacts, Header};
use sip::message::Writer;
use sip::{Message, Method};

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,12}"
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![Just("INVITE".to_owned()), Just("BYE".to_owned()), token()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_again(
        (method, user, host) in (method(), "[^\\r\\n]{1,20}", "[a-z][a-z0-9.-]{0,12}"),
        (display, tag, call_id) in (prop::option::of("[^\\r\\n]{1,20}"), token(), token()),
        (number, branch, body) in (any::<u32>(), token(), prop::option::of(prop::collection::vec(any::<u8>(), 0..200))),
    ) {
        let uri = format!("sip:{}@{host}", sip::uri::escape_user(&user));
        let mut writer = Writer::request(Method::parse(&method).unwrap(), &uri);
        writer.header(Header::Via, format_args!("SIP/2.0/UDP {host}:5062;branch={branch};rport"));
        writer.address(Header::From, display.as_deref(), &uri, Some(&tag));
        writer.address(Header::To, None, &uri, None);
        writer.address(Header::Contact, display.as_deref(), &uri, None);
        writer.header(Header::CallId, &call_id);
        writer.header(Header::CSeq, format_args!("{number} {method}"));
        writer.header(Header::MaxForwards, 70);
        let octets = writer.finish(body.as_deref().map(|body| ("application/octet-stream", body)));
        let message = Message::parse(octets).unwrap();
        prop_assert_eq!(message.validate(), Ok(()));
        prop_assert_eq!(message.method().unwrap().as_str(), &method);
        prop_assert_eq!(message.request_uri(), Some(uri.as_str()));
        prop_assert_eq!(message.uri().unwrap().user().unwrap(), user);
        prop_assert_eq!(message.via().unwrap().branch(), Some(branch.as_str()));
        let from = message.from().unwrap();
        let shown = from.display();
        prop_assert_eq!(shown.as_deref(), display.as_deref());
        prop_assert_eq!(from.tag(), Some(tag.as_str()));
        prop_assert_eq!(message.call_id(), Some(call_id.as_str()));
        prop_assert_eq!(message.cseq().unwrap().number, number);
        prop_assert_eq!(message.max_forwards(), Some(70));
        let alone = matches!(message.contacts(), Ok(Contacts::List(list)) if list.len() == 1);
        prop_assert!(alone);
        prop_assert_eq!(message.body(), Bytes::from(body.unwrap_or_default()));
    }

    #[test]
    fn no_value_breaks_out_of_its_line(text in "[\\x00-\\x7f]{0,40}", tag in "[\\x00-\\x7f]{0,10}") {
        let mut writer = Writer::request(Method::Options, &text);
        writer.header(Header::Subject, &text);
        writer.address(Header::From, Some(&text), &text, Some(&tag));
        writer.header(Header::Via, "SIP/2.0/UDP a");
        let octets = writer.finish(Some((&text, b"")));
        let text = str::from_utf8(&octets).unwrap();
        prop_assert_eq!(text.matches('\n').count(), 7);
        prop_assert_eq!(text.matches('\r').count(), 7);
        prop_assert!(text.ends_with("\r\n\r\n"));
        let written = text.split("\r\n").map(|line| line.split([' ', ':']).next().unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(written, ["OPTIONS", "Subject", "From", "Via", "Content-Type", "Content-Length", "", ""]);
    }
}
