//! Keys as tones in the sound (ITU-T Q.23), for phones that do not tell them by RFC 4733: heard, and made.

use crate::g711::Law;
use crate::packet::SAMPLE_RATE;
use crate::tone;

/// The tones of the rows and of the columns of a keypad, in Hz.
const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// Samples that are judged together: 12.75 ms, in which each tone goes round nearly whole times.
const BLOCK: usize = 102;
/// What each of both tones must have: some -45 dB of a full-scale sine (ITU-T Q.24: down to -25 dBm).
const LEAST_POWER: f64 = 8.0e7;
/// How much louder one of both may be: the column by 4 dB, the row by 8 dB (Q.24 annex A).
const COLUMN_AHEAD: f64 = 2.5;
const ROW_AHEAD: f64 = 6.3;
/// By how much each stands above the others of its group: 8 dB.
const ABOVE_OTHERS: f64 = 6.3;
/// Both tones together are nearly all there is: of the power that two pure tones have (half the block) so much. Speech has more
/// besides.
const NEARLY_ALL: f64 = 42.0;

/// The level of each tone that is made, as a peak: -10 dB.
const PEAK: f64 = 10_000.0;

/// Listens to the sound of one phone.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    block: Vec<i16>,
    /// What the last two blocks held.
    before: [Option<char>; 2],
    /// The key that is down.
    down: Option<char>,
}

impl Detector {
    /// Listens to a payload; `pressed` is called once for each press.
    pub(crate) fn take(&mut self, law: Law, payload: &[u8], mut pressed: impl FnMut(char)) {
        for octet in payload {
            self.block.push(law.decode(*octet));
            if self.block.len() == BLOCK {
                let key = key_in(&self.block);
                self.block.clear();
                self.judge(key, &mut pressed);
            }
        }
    }

    /// A key is down from its second block on, and up after two without it.
    fn judge(&mut self, key: Option<char>, pressed: &mut impl FnMut(char)) {
        let [one, two] = self.before;
        if key.is_some() && key == two && key != self.down {
            self.down = key;
            key.map(pressed);
        } else if key != self.down && two != self.down && one != self.down {
            self.down = None;
        }
        self.before = [two, key];
    }
}

/// The loudest of a group, if it stands above the others.
fn loudest(block: &[i16], group: &[f64; 4]) -> Option<(usize, f64)> {
    let powers = group.map(|hz| tone::power(block, hz));
    let (place, most) = (0..4).zip(powers).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let others = (0..4).filter(|other| *other != place);
    let stands_out = others
        .map(|other| powers[other])
        .all(|other| other * ABOVE_OTHERS < most);
    (most >= LEAST_POWER && stands_out).then_some((place, most))
}

fn key_in(block: &[i16]) -> Option<char> {
    // Most blocks are speech or silence: the rows alone say so of nearly all of them.
    let (row, row_power) = loudest(block, &ROWS)?;
    let (column, column_power) = loudest(block, &COLUMNS)?;
    let all: f64 = block.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let is_even = column_power < row_power * COLUMN_AHEAD && row_power < column_power * ROW_AHEAD;
    let is_alone = row_power + column_power > all * NEARLY_ALL;
    (is_even && is_alone).then_some(KEYS[row][column])
}

/// Fills a frame with the tones of a key that have sounded for so many samples (8 kHz) already.
pub(crate) fn fill(key: char, since: usize, frame: &mut [i16]) {
    let place = |line: &[char; 4]| line.iter().position(|other| *other == key);
    let mut places = (0..4).zip(KEYS.iter().map(place));
    let Some((row, column)) = places.find_map(|(row, column)| Some((row, column?))) else {
        return frame.fill(0);
    };
    for (n, sample) in (since..).zip(frame) {
        let time = n as f64 / f64::from(SAMPLE_RATE) * std::f64::consts::TAU;
        let both = (time * ROWS[row]).sin() + (time * COLUMNS[column]).sin();
        *sample = (both * PEAK) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The keys that are heard in samples, through G.711.
    fn heard(samples: &[i16]) -> String {
        let mut detector = Detector::default();
        let mut keys = String::new();
        let octets: Vec<u8> = samples
            .iter()
            .map(|sample| Law::A.encode(*sample))
            .collect();
        // In packets of any length.
        for payload in octets.chunks(160) {
            detector.take(Law::A, payload, |key| keys.push(key));
        }
        keys
    }

    /// Two tones for so many milliseconds, at these peaks, this much off their pitch.
    fn keyed(key: char, millis: usize, peaks: (f64, f64), off: f64) -> Vec<i16> {
        let (row, column) = (0..4)
            .flat_map(|row| (0..4).map(move |column| (row, column)))
            .find(|(row, column)| KEYS[*row][*column] == key)
            .expect("a key");
        let sample = |n: usize| {
            let time = n as f64 / 8_000.0 * std::f64::consts::TAU * off;
            let both =
                peaks.0 * (time * ROWS[row]).sin() + peaks.1 * (time * COLUMNS[column]).sin();
            both as i16
        };
        (0..millis * 8).map(sample).collect()
    }

    const LOUD: (f64, f64) = (8_000.0, 8_000.0);

    #[test]
    fn each_key_is_heard_once_however_long_it_is_down() {
        for key in KEYS.into_iter().flatten() {
            for millis in [45, 70, 500, 3_000] {
                let press = [keyed(key, millis, LOUD, 1.0), vec![0; 400]].concat();
                assert_eq!(heard(&press), key.to_string(), "{millis} ms");
            }
        }
    }

    #[test]
    fn keys_in_a_row_and_the_same_twice_are_told_apart() {
        let number: Vec<i16> = "0170551#"
            .chars()
            .flat_map(|key| [keyed(key, 60, LOUD, 1.0), vec![0; 400]].concat())
            .collect();
        assert_eq!(heard(&number), "0170551#");
    }

    /// ITU-T Q.24: levels, twist, and pitch that must be borne, and what must not.
    #[test]
    fn what_is_a_key_and_what_is_none() {
        let key = |peaks, off| heard(&[keyed('5', 80, peaks, off), vec![0; 400]].concat());
        assert_eq!(key((300.0, 300.0), 1.0), "5", "quiet");
        assert_eq!(key((16_000.0, 16_000.0), 1.0), "5", "loud");
        assert_eq!(key((9_000.0, 4_500.0), 1.0), "5", "6 dB of twist");
        assert_eq!(key((4_500.0, 6_000.0), 1.0), "5", "2.5 dB of the other");
        assert_eq!(key(LOUD, 1.015), "5", "1.5 % off");
        assert_eq!(key(LOUD, 1.05), "", "5 % off");
        assert_eq!(key((50.0, 50.0), 1.0), "", "too quiet");
        assert_eq!(key((12_000.0, 2_000.0), 1.0), "", "15 dB of twist");
        assert_eq!(heard(&keyed('5', 15, LOUD, 1.0)), "", "too short");
        for hz in [697.0, 941.0, 1_209.0, 1_477.0, 425.0, 1_000.0] {
            assert_eq!(
                heard(&tone::sine(hz, 12_000, Duration::from_secs(1))),
                "",
                "{hz} Hz alone"
            );
        }
    }

    /// A tone with others beside it, as a voice has, is none.
    #[test]
    fn a_key_in_noise_is_heard_and_a_chord_is_not() {
        let mut noise = 1_u32;
        let mut hiss = |level: f64| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((noise >> 16) as f64 / 32_768.0 - 1.0) * level
        };
        let mut noisy = |level: f64| -> Vec<i16> {
            let press = [keyed('8', 100, LOUD, 1.0), vec![0; 400]].concat();
            press
                .iter()
                .map(|sample| (f64::from(*sample) + hiss(level)) as i16)
                .collect()
        };
        assert_eq!(heard(&noisy(1_000.0)), "8");
        let chord: Vec<i16> = std::iter::zip(
            keyed('8', 500, LOUD, 1.0),
            tone::sine(330.0, 9_000, Duration::from_millis(500)),
        )
        .map(|(a, b)| a + b)
        .collect();
        assert_eq!(heard(&chord), "");
    }

    #[test]
    fn what_is_made_is_heard() {
        for key in KEYS.into_iter().flatten() {
            let mut press = vec![0; 1_600];
            for (place, frame) in press[..800].chunks_mut(160).enumerate() {
                fill(key, place * 160, frame);
            }
            assert_eq!(heard(&press), key.to_string());
        }
    }
}
