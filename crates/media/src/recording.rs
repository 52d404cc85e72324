//! From tapped packets to stereo samples.

use std::time::Instant;

use crate::mixer::Tap;

/// Puts the two sides of one recording on one time line: interleaved stereo (left, right), 16 bit, 8 kHz.
///
/// The driver hands over the recording's [`Tap`]s in order and may write what `advance` gives at once.
#[derive(Debug)]
pub struct Aligner {}

#[expect(
    unused_variables,
    clippy::needless_pass_by_ref_mut,
    reason = "skeleton"
)]
impl Aligner {
    /// A recording that begins at `start`, the time of its [`Tap::Start`].
    #[must_use]
    pub fn new(start: Instant) -> Self {
        unimplemented!()
    }
    /// Takes a [`Tap::Packet`] of this recording; other taps are ignored.
    pub fn handle_tap(&mut self, tap: &Tap) {
        unimplemented!()
    }
    /// Appends to `samples` what is settled at `now`: all up to half a second before it. Call it at least each half second:
    /// with the `at` of the newest tap, or with the clock when no tap waits.
    pub fn advance(&mut self, now: Instant, samples: &mut Vec<i16>) {
        unimplemented!()
    }
    /// Appends the rest up to `end`, the time of [`Tap::End`]; the whole is then as long as the recording was.
    pub fn finish(self, end: Instant, samples: &mut Vec<i16>) {
        unimplemented!()
    }
}
