//! Messages that both parsers read alike, changed by rules of RFC 3261: what is legal is read as before, in any combination; what is
//! not is refused. What rsip makes of each change is written down beside the section that says who is right: where the two differ,
//! the RFC is on our side.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::corpus::{phones, rfc};
use crate::differential::{Facts, difference, ours, theirs};

/// A message in parts that can be changed without a parser.
#[derive(Clone)]
struct Parts {
    start: String,
    fields: Vec<Field>,
    body: Vec<u8>,
}

#[derive(Clone)]
struct Field {
    name: String,
    /// What stands between the name and the value.
    colon: &'static str,
    value: String,
}

/// What a header field is called in full, in short, and how it is found.
const NAMES: [(&str, &str); 8] = [
    ("Via", "v"),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("Contact", "m"),
    ("Content-Length", "l"),
    ("Content-Type", "c"),
    ("Supported", "k"),
];

impl Field {
    fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            colon: ": ",
            value: value.into(),
        }
    }

    fn is(&self, name: &str) -> bool {
        let short = NAMES.iter().find(|(long, _)| *long == name);
        self.name.eq_ignore_ascii_case(name)
            || short.is_some_and(|(_, short)| self.name.eq_ignore_ascii_case(short))
    }
}

impl Parts {
    /// Of a message whose head is text with lines that end in CR LF.
    fn of(octets: &[u8]) -> Option<Self> {
        let end = octets.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = str::from_utf8(&octets[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let fields = lines.map(|line| line.split_once(':'));
        let fields =
            fields.map(|field| field.map(|(name, value)| Field::new(name.trim(), value.trim())));
        Some(Self {
            start,
            fields: fields.collect::<Option<_>>()?,
            body: octets[end + 4..].to_vec(),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for field in &self.fields {
            text.push_str(&format!("{}{}{}\r\n", field.name, field.colon, field.value));
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }

    fn is_request(&self) -> bool {
        !self.start.trim_start().starts_with("SIP/")
    }

    /// Changes the value of the first field of this name.
    fn edit(&mut self, name: &str, change: impl FnOnce(&mut String)) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.is(name)) {
            change(&mut field.value);
        }
    }

    fn remove(&mut self, name: &str) {
        self.fields.retain(|field| !field.is(name));
    }

    fn double(&mut self, name: &str) {
        let field = self.fields.iter().find(|field| field.is(name)).cloned();
        self.fields.extend(field);
    }
}

/// What the RFC says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The message means what it meant.
    Same,
    /// The message is refused.
    Refused,
}

/// What rsip makes of it, over all samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rsip {
    /// The same as the RFC says.
    Agrees,
    /// Something else for some message.
    Differs,
}

use Rsip::{Agrees, Differs};
use Verdict::{Refused, Same};

struct Mutation {
    name: &'static str,
    verdict: Verdict,
    section: &'static str,
    rsip: Rsip,
    change: fn(&mut Parts),
}

const fn mutation(
    name: &'static str,
    verdict: Verdict,
    section: &'static str,
    rsip: Rsip,
    change: fn(&mut Parts),
) -> Mutation {
    Mutation {
        name,
        verdict,
        section,
        rsip,
        change,
    }
}

const MUTATIONS: &[Mutation] = &[
    mutation("compact names", Same, "7.3.3", Differs, |parts| {
        for field in &mut parts.fields {
            let short = NAMES.iter().find(|(name, _)| field.is(name));
            field.name = short.map_or(field.name.clone(), |(_, short)| (*short).to_owned());
        }
    }),
    mutation("names in small letters", Same, "7.3.1", Agrees, |parts| {
        for field in &mut parts.fields {
            field.name.make_ascii_lowercase();
        }
    }),
    mutation("names in capitals", Same, "7.3.1", Agrees, |parts| {
        for field in &mut parts.fields {
            field.name.make_ascii_uppercase();
        }
    }),
    mutation(
        "white space before the colon",
        Same,
        "7.3.1",
        Differs,
        |parts| {
            for field in &mut parts.fields {
                field.colon = " \t: ";
            }
        },
    ),
    mutation(
        "no white space after the colon",
        Same,
        "7.3.1",
        Agrees,
        |parts| {
            for field in &mut parts.fields {
                field.colon = ":";
            }
        },
    ),
    mutation("values on a second line", Same, "7.3.1", Differs, |parts| {
        for field in &mut parts.fields {
            field.colon = ":\r\n ";
        }
    }),
    mutation(
        "white space at the end of lines",
        Same,
        "7.3.1",
        Differs,
        |parts| {
            for field in &mut parts.fields {
                field.value.push_str(" \t ");
            }
        },
    ),
    mutation("fields in another order", Same, "7.3.1", Agrees, |parts| {
        // Only fields of one name have an order among themselves.
        parts
            .fields
            .sort_by_key(|field| field.name.to_ascii_lowercase());
    }),
    mutation("fields that nobody knows", Same, "8.2.2", Agrees, |parts| {
        parts
            .fields
            .insert(0, Field::new("X-Odd", "a:b;c=\"d, <e>\", f"));
        parts.fields.push(Field::new("Y", ""));
    }),
    mutation(
        "a display name with quotes and brackets",
        Same,
        "25.1",
        Differs,
        |parts| {
            parts.edit("From", |from| {
                if let Some(at) = from.find('<') {
                    from.replace_range(..at, r#""A \"<sip:b>\", c;tag=d \\" "#);
                }
            });
        },
    ),
    mutation(
        "an unknown parameter with a quoted value",
        Same,
        "25.1",
        Differs,
        |parts| {
            parts.edit("To", |to| {
                if to.contains('<') {
                    to.push_str(";x=\"a;tag=b, c\"");
                }
            });
        },
    ),
    mutation("white space in Via", Same, "25.1", Differs, |parts| {
        parts.edit("Via", |via| {
            *via = via.replacen("SIP/2.0/", "SIP / 2.0 / ", 1)
        });
    }),
    mutation("parameters in capitals", Same, "7.3.1", Agrees, |parts| {
        parts.edit("Via", |via| *via = via.replacen(";branch=", ";BRANCH=", 1));
    }),
    mutation(
        "a second Via behind a comma",
        Same,
        "7.3.1",
        Agrees,
        |parts| {
            // In a response it would be one that is not for us.
            if parts.is_request() {
                parts.edit("Via", |via| {
                    via.push_str(", SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKbehind")
                });
            }
        },
    ),
    mutation(
        "empty lines before the message",
        Same,
        "7.5",
        Differs,
        |parts| {
            parts.start.insert_str(0, "\r\n\r\n");
        },
    ),
    mutation("octets behind the body", Same, "18.3", Differs, |parts| {
        // Without a length the body is what the datagram holds.
        if parts.fields.iter().any(|field| field.is("Content-Length")) {
            parts.body.extend(b"INVITE sip:a SIP/2.0\r\n\r\n");
        }
    }),
    mutation("no From", Refused, "8.1.1", Differs, |parts| {
        parts.remove("From")
    }),
    mutation("no To", Refused, "8.1.1", Differs, |parts| {
        parts.remove("To")
    }),
    mutation("no Call-ID", Refused, "8.1.1", Differs, |parts| {
        parts.remove("Call-ID")
    }),
    mutation("no CSeq", Refused, "8.1.1", Differs, |parts| {
        parts.remove("CSeq")
    }),
    mutation("no Via", Refused, "8.1.1", Differs, |parts| {
        parts.remove("Via")
    }),
    mutation("two From", Refused, "7.3.1", Differs, |parts| {
        parts.double("From")
    }),
    mutation("two To", Refused, "7.3.1", Differs, |parts| {
        parts.double("To")
    }),
    mutation("two Call-ID", Refused, "7.3.1", Differs, |parts| {
        parts.double("Call-ID")
    }),
    mutation("two CSeq", Refused, "7.3.1", Differs, |parts| {
        parts.double("CSeq")
    }),
    mutation("an empty Call-ID", Refused, "25.1", Differs, |parts| {
        parts.edit("Call-ID", String::clear);
    }),
    mutation(
        "a CSeq above 2^32-1",
        Refused,
        "8.1.1.5",
        Differs,
        |parts| {
            parts.edit("CSeq", |cseq| cseq.insert_str(0, "99999999999"));
        },
    ),
    mutation(
        "a CSeq without a number",
        Refused,
        "25.1",
        Differs,
        |parts| {
            parts.edit("CSeq", |cseq| "OPTIONS".clone_into(cseq));
        },
    ),
    mutation(
        "a quote that does not end",
        Refused,
        "25.1",
        Differs,
        |parts| {
            parts.edit("From", |from| from.insert(0, '"'));
        },
    ),
    mutation(
        "a bracket that does not end",
        Refused,
        "25.1",
        Differs,
        |parts| {
            parts.edit("To", |to| "<sip:a@b;tag=c".clone_into(to));
        },
    ),
    mutation(
        "an address without a scheme",
        Refused,
        "25.1",
        Differs,
        |parts| {
            parts.edit("From", |from| "<alice>;tag=c".clone_into(from));
        },
    ),
    mutation(
        "a Content-Length beyond the datagram",
        Refused,
        "18.3",
        Differs,
        |parts| {
            parts.remove("Content-Length");
            parts.fields.push(Field::new("Content-Length", "9999"));
        },
    ),
    mutation(
        "a Content-Length below zero",
        Refused,
        "20.14",
        Differs,
        |parts| {
            parts.remove("Content-Length");
            parts.fields.push(Field::new("Content-Length", "-1"));
        },
    ),
    mutation("two lengths", Refused, "20.14", Differs, |parts| {
        parts.remove("Content-Length");
        let length = parts.body.len();
        for length in [length, length + 1] {
            parts
                .fields
                .push(Field::new("Content-Length", length.to_string()));
        }
    }),
    mutation("a line without a colon", Refused, "7.3", Agrees, |parts| {
        let mut field = Field::new("Oddity", "");
        field.colon = "";
        parts.fields.push(field);
    }),
    mutation(
        "a version that nobody has",
        Refused,
        "7.1",
        Agrees,
        |parts| {
            parts.start = parts.start.replacen("SIP/2.0", "SIP/7.0", 1);
        },
    ),
];

/// The samples that both read, and alike.
static SAMPLES: LazyLock<Vec<Parts>> = LazyLock::new(|| {
    let samples = [rfc("rfc4475"), rfc("rfc5118"), phones()].concat();
    let alike = |octets: &[u8]| ours(octets)[0].is_some() && difference(octets).is_none();
    let parts = samples.iter().filter(|sample| alike(&sample.octets));
    let parts = parts.filter_map(|sample| Parts::of(&sample.octets));
    // Written anew from its parts it is still one.
    parts.filter(|parts| alike(&parts.write())).collect()
});

#[test]
fn each_legal_change_means_the_same_and_each_other_is_refused_whatever_rsip_does() {
    assert!(SAMPLES.len() >= 10, "{}", SAMPLES.len());
    let mut wrong = Vec::new();
    for mutation in MUTATIONS {
        let mut rsip = Agrees;
        for parts in SAMPLES.iter() {
            let mut changed = parts.clone();
            (mutation.change)(&mut changed);
            let (before, after) = (parts.write(), changed.write());
            let expected = |facts: Facts| match mutation.verdict {
                Same => facts,
                Refused => Default::default(),
            };
            let (name, section) = (mutation.name, mutation.section);
            if ours(&after) != expected(ours(&before)) {
                wrong.push(format!(
                    "{name} ({section}): {:?}",
                    String::from_utf8_lossy(&after)
                ));
            }
            if theirs(&after) != expected(theirs(&before)) {
                rsip = Differs;
            }
        }
        if rsip != mutation.rsip {
            wrong.push(format!("{}: rsip {rsip:?}", mutation.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn legal_changes_may_come_together(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        fault in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let parts = sample.get(&SAMPLES);
        let of = |verdict| MUTATIONS.iter().filter(move |it| it.verdict == verdict).collect::<Vec<_>>();
        let (legal, faults) = (of(Same), of(Refused));
        let mut changed = parts.clone();
        // Twice the same would be another change.
        let mut changes: Vec<usize> = changes.iter().map(|change| change.index(legal.len())).collect();
        changes.sort_unstable();
        changes.dedup();
        let fault = fault.map(|fault| *fault.get(&faults));
        let names: Vec<_> = changes.iter().map(|at| legal[*at].name).chain(fault.map(|it| it.name)).collect();
        for at in changes {
            (legal[at].change)(&mut changed);
        }
        // The fault last: no legal change mends it.
        if let Some(fault) = fault {
            (fault.change)(&mut changed);
        }
        let expected = if fault.is_some() { Default::default() } else { ours(&parts.write()) };
        prop_assert_eq!(ours(&changed.write()), expected, "{:?}", names);
    }
}
