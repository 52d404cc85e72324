//! More requests than the table of transactions holds for 32 s each: those that are over make room.

use std::time::Duration;

use bytes::Bytes;
use sip::{Message, Output};

use crate::bench::Bench;
use crate::phone::{Phone, SWITCH};

/// Server transactions for requests outside dialogs, as `transaction::layer` says.
const TABLE: usize = 65_536;

impl Bench {
    /// Gives a request to the endpoint; tells whether its only answer is a 200.
    fn is_answered_with_200(&mut self, request: String, phone: &Phone) -> bool {
        let message = Message::parse(Bytes::from(request)).unwrap();
        self.endpoint.handle_message(message, phone.flow, self.now);
        let mut answers = std::iter::from_fn(|| self.endpoint.poll_output()).filter_map(|output| {
            if let Output::Transmit { octets, .. } = output {
                Some(octets)
            } else {
                None
            }
        });
        answers
            .next()
            .is_some_and(|answer| answer.starts_with(b"SIP/2.0 200 "))
            && answers.next().is_none()
    }
}

#[test]
fn five_thousand_registrations_a_second_are_all_answered_and_the_table_stays_bounded() {
    const PER_SECOND: u32 = 5_000;
    const SECONDS: u32 = 40;
    let mut bench = Bench::new();
    let mut phone = Phone::new("201");
    let (uri, to) = (format!("sip:{SWITCH}"), format!("<sip:201@{SWITCH}>"));
    let text = phone.write("REGISTER", &uri, &to, &[], "");
    phone.send(&mut bench, &text);
    let challenge = bench.only();
    let (mut answered, mut most) = (0, 0);
    let memory = allocation_counter::measure(|| {
        for number in 1..=PER_SECOND * SECONDS {
            let lines = [
                format!("Contact: <{}>", phone.contact()),
                phone.authorization(&challenge, "REGISTER", &uri, number),
            ];
            let text = phone.write("REGISTER", &uri, &to, &lines, "");
            answered += u32::from(bench.is_answered_with_200(text, &phone));
            most = most.max(bench.endpoint.transactions());
            bench.advance(Duration::from_secs(1) / PER_SECOND);
        }
    });
    assert_eq!((answered, most), (PER_SECOND * SECONDS, TABLE));
    assert!(memory.bytes_max < 100_000_000, "{memory:?}");
    bench.advance(Duration::from_secs(33));
    assert_eq!(bench.endpoint.transactions(), 0);
}
