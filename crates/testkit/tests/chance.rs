//! What holds of messages of the RFCs and of real phones that are damaged by chance: what the fuzz targets hold, and more.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use sip::{Frame, Framer, Message};
use testkit::targets::run;

/// Every sample of `crates/sip/tests/data`, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip/tests/data");
    let mut files = Vec::new();
    for folder in [
        data.clone(),
        data.join("rfc4475"),
        data.join("rfc5118/wire"),
    ] {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    files.retain(|file| {
        file.extension()
            .is_some_and(|it| it == "sip" || it == "dat")
    });
    files.sort();
    let read = |file| fs::read(file).expect("a sample that can be read");
    files.iter().map(read).collect()
}

/// A sample with some octets replaced, removed and doubled.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let samples = samples();
    let edits = prop::collection::vec((any::<Index>(), 0..4u8, any::<u8>()), 0..6);
    (0..samples.len(), edits).prop_map(move |(sample, edits)| {
        let mut octets = samples[sample].clone();
        for (place, edit, octet) in edits {
            let at = place.index(octets.len());
            match edit {
                0 => octets[at] = octet,
                1 => drop(octets.remove(at)),
                2 => octets.insert(at, octet),
                _ => octets.insert(at, b"\r\n ;,<>\"@:%="[usize::from(octet) % 12]),
            }
        }
        octets
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_read_without_harm(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        for target in ["datagram", "stream", "round_trip", "uri", "headers", "description"] {
            run(target, &octets);
        }
    }

    #[test]
    fn damaged_messages_are_read_and_answered_without_harm(octets in damaged()) {
        run("datagram", &octets);
        run("round_trip", &octets);
    }

    #[test]
    fn a_stream_gives_the_same_at_any_split(
        parts in prop::collection::vec(prop_oneof![4 => damaged(), 1 => Just(b"\r\n".to_vec()), 1 => Just(b"\r\n\r\n".to_vec())], 1..4),
        cuts in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let count = u8::try_from(cuts.len()).expect("below 8");
        run("stream", &[vec![count], cuts, parts.concat()].concat());
    }

    #[test]
    fn a_message_with_its_length_is_the_same_in_a_datagram_and_on_a_stream(octets in damaged()) {
        let mut framer = Framer::default();
        framer.push(&octets);
        if let Some(Frame::Message(framed)) = framer.poll() {
            let message = Message::parse(octets.into()).expect("a stream gave it");
            prop_assert!(message.headers().eq(framed.headers()));
            prop_assert_eq!(message.body(), framed.body());
        }
    }

    #[test]
    fn any_uri_is_read_without_harm(text in "(sip|sips|tel|x):[ -~]{0,40}") {
        run("uri", text.as_bytes());
    }

    #[test]
    fn any_session_description_is_read_without_harm(octets in damaged(), lines in prop::collection::vec("[a-z]=[ -~]{0,40}", 0..12)) {
        let start = octets.windows(4).position(|part| part == b"v=0\r").unwrap_or(octets.len());
        run("description", &octets[start..]);
        let odd = format!("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\n{}", lines.join("\r\n"));
        run("description", odd.as_bytes());
    }
}
