//! What a test phone heard, measured: which sound, where in it, how much like it.

use std::ops::Range;

/// Samples that are compared at once: 0.1 s at 8 kHz.
const PIECE: usize = 800;

/// A piece of sound found in another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// Where it begins, in samples.
    pub(super) at: usize,
    /// 1 for the same but for its loudness, 0 for something else.
    pub(super) likeness: f64,
}

/// Where `sound` is in `heard`, from its first sample to its last.
pub(super) fn whole(sound: &[i16], heard: &[i16]) -> Option<Match> {
    // Its loudest piece says where; then the whole is compared there.
    let loudest = sound
        .chunks_exact(PIECE)
        .enumerate()
        .max_by(|(_, a), (_, b)| power(a).total_cmp(&power(b)));
    let (index, piece) = loudest?;
    let before = index * PIECE;
    // Further back the whole would not fit.
    let last = heard.len().checked_sub(sound.len())? + before;
    let at = piece_in(piece, heard, before..last + 1)?.at - before;
    let part = heard.get(at..at + sound.len())?;
    Some(Match {
        at,
        likeness: likeness(sound, part),
    })
}

/// Where in a range of places in `sound` the first 0.1 s of `piece` fit best.
pub(super) fn piece_in(piece: &[i16], sound: &[i16], places: Range<usize>) -> Option<Match> {
    let piece = piece.get(..PIECE)?;
    let matches = places.filter_map(|at| {
        let likeness = likeness(piece, sound.get(at..at + PIECE)?);
        Some(Match { at, likeness })
    });
    matches.max_by(|a, b| a.likeness.total_cmp(&b.likeness))
}

/// The correlation of two signals of the same length, without their loudness.
fn likeness(a: &[i16], b: &[i16]) -> f64 {
    let product: f32 = a
        .iter()
        .zip(b)
        .map(|(a, b)| f32::from(*a) * f32::from(*b))
        .sum();
    let powers = power(a) * power(b);
    if powers > 0.0 {
        f64::from(product) / powers.sqrt()
    } else {
        0.0
    }
}

fn power(samples: &[i16]) -> f64 {
    samples
        .iter()
        .map(|sample| f32::from(*sample).powi(2))
        .map(f64::from)
        .sum()
}

#[cfg(test)]
mod tests {
    use media::g711::Law;

    use super::*;

    #[test]
    fn a_sound_is_found_whole_behind_silence_and_a_codec() {
        let sound = noise(20_000, 1);
        let mut heard = vec![0; 1_234];
        heard.extend(
            sound
                .iter()
                .map(|sample| Law::A.decode(Law::A.encode(*sample))),
        );
        heard.extend([0; 500]);
        let found = whole(&sound, &heard).unwrap();
        assert_eq!(found.at, 1_234);
        assert!(found.likeness > 0.99, "{found:?}");
    }

    #[test]
    fn a_sound_that_was_cut_or_is_another_is_not_found() {
        let sound = noise(20_000, 1);
        assert_eq!(whole(&sound, &sound[..19_000]), None);
        let other = whole(&sound, &noise(30_000, 2));
        assert!(other.is_none_or(|found| found.likeness < 0.5), "{other:?}");
    }

    fn noise(length: usize, seed: u32) -> Vec<i16> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8_192
        };
        (0..length).map(next).collect()
    }
}
