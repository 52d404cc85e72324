//! Fuzz targets: what must hold of any octets. `crates/fuzz` drives them with libFuzzer, a test of this crate replays
//! the corpora.
//!
//! A target panics when something does not hold; it never reports otherwise.

mod messages;
mod program;
mod sessions;
mod streams;

/// What is done with an input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus in `crates/fuzz/corpus`.
pub const TARGETS: [(&str, Target); 10] = [
    ("datagram", messages::datagram),
    ("stream", messages::stream),
    ("round_trip", messages::round_trip),
    ("uri", messages::uri),
    ("headers", messages::headers),
    ("description", sessions::description),
    ("negotiation", sessions::negotiation),
    ("transactions", program::transactions),
    ("dialogs", program::dialogs),
    ("streams", streams::streams),
];

/// The target of this name.
///
/// # Panics
/// There is none.
pub fn run(name: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.expect("a target of this name");
    target(input);
}

/// The octets of a program, one after the other; when they are used up there are zeros.
struct Octets<'a> {
    rest: &'a [u8],
}

impl Octets<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    /// One of these.
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.next()) % of.len()]
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
