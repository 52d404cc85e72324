//! What a peer says, decoded onto one time line: a jitter buffer that is as short as the network allows, and fills what is missing.
//!
//! Time is counted in samples from an epoch. A packet has its place on the line by its RTP timestamp; listeners read stretches
//! of the line at their own times, each once the time has come. What is read is made then: decoded, or guessed if nothing
//! is there. A packet that comes after its place was read moves the line back, so that it is heard after all and what follows
//! has more time; a line that for some seconds had more time than it needed is moved forward, a pitch period at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::codec::{Codec, Rate};
use crate::decoder::Decoder;
use crate::loudness::{Leveller, Volume};
use crate::noise::Noise;
use crate::packet::{RtpTimestamp, SequenceNumber, ticks_in, time_of_ticks};
use crate::receiver::StreamNumber;

/// Samples that stay readable behind the newest: half a second at 16 kHz.
const LINE: usize = 8_192;

/// The least time that a packet waits for its turn.
const MARGIN: Duration = Duration::from_millis(5);
/// A line is moved forward only if every packet of this time had more to spare than `SPARE`.
const WATCH: Duration = Duration::from_secs(3);
const SPARE: Duration = Duration::from_millis(15);
/// The longest that packets may have to wait; who is later than that is lost.
const MAX_DELAY: Duration = Duration::from_millis(400);
/// So many packets in a row that were too late are no longer jitter: the path has become slower.
const MAX_LATE: u32 = 10;
/// A packet that stands further ahead than this begins the line anew.
const MAX_AHEAD: Duration = Duration::from_millis(1_000);
/// Packets that may wait: a second of 10 ms each.
const MAX_WAITING: usize = 100;
/// A reader that comes after more than this finds nothing old: what waited until then is passed over.
const MAX_UNREAD: Duration = Duration::from_millis(500);

/// How long a guess has the full level, and when it has become silence (ITU-T G.711 appendix I).
const GUESS_WHOLE: Duration = Duration::from_millis(10);
const GUESS_ENDS: Duration = Duration::from_millis(60);
/// Pitch periods that are looked for: 66 to 400 Hz.
const PITCH_SHORTEST: Duration = Duration::from_micros(2_500);
const PITCH_LONGEST: Duration = Duration::from_millis(15);
/// What is compared for it, and how long one sound passes into another.
const PITCH_LOOKS_AT: Duration = Duration::from_millis(10);
const FADE: Duration = Duration::from_millis(4);

/// What a talker's packets have become.
#[derive(Debug)]
pub(crate) struct Ear {
    epoch: Instant,
    decoder: Decoder,
    /// The sample at place p is at p modulo the length.
    line: Box<[i16; LINE]>,
    /// All before this place is made.
    head: i64,
    /// Packets by their place, less `moved`.
    waiting: BTreeMap<i64, Waiting>,
    anchor: Option<Anchor>,
    /// Samples by which the line was moved back so far.
    moved: i64,
    late: u32,
    watch: Watch,
    /// Samples that the line is to be moved forward.
    spare: i64,
    /// The guess under way: samples guessed so far, and the period that is repeated.
    guess: Option<Guess>,
    /// Samples guessed in all.
    guessed: u64,
    /// The talker has fallen silent, and sends nothing until it says something.
    quiet: Option<Quiet>,
    volume: Volume,
    leveller: Option<Leveller>,
    /// The last packet of sound that was decoded, and the timestamp of what follows it.
    last: Option<(SequenceNumber, RtpTimestamp)>,
}

/// A packet that waits for its turn.
#[derive(Debug)]
enum Waiting {
    Sound {
        sequence: SequenceNumber,
        timestamp: RtpTimestamp,
        payload: Vec<u8>,
    },
    Noise(Vec<u8>),
}

/// What is heard of a talker who has fallen silent.
#[derive(Debug)]
enum Quiet {
    /// Comfort noise that it described.
    Noise(Noise),
    /// What the codec makes of it.
    Codec,
}

/// Where a timestamp of a stream stands, less `moved`.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    stream: StreamNumber,
    timestamp: RtpTimestamp,
    place: i64,
}

/// The least time that a packet had to spare since then.
#[derive(Clone, Copy, Debug)]
struct Watch {
    since: Instant,
    least: i64,
}

#[derive(Clone, Copy, Debug)]
struct Guess {
    length: i64,
    period: usize,
}

impl Ear {
    /// What it decodes is as loud as `volume` makes it.
    pub(crate) fn new(codec: Codec, volume: Volume, now: Instant) -> Self {
        Self {
            volume,
            leveller: Leveller::new(volume, codec.rate()),
            epoch: now,
            decoder: Decoder::new(codec),
            line: Box::new([0; LINE]),
            head: 0,
            waiting: BTreeMap::new(),
            anchor: None,
            moved: 0,
            late: 0,
            watch: Watch {
                since: now,
                least: i64::MAX,
            },
            spare: 0,
            guess: None,
            guessed: 0,
            quiet: None,
            last: None,
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.decoder.codec()
    }

    pub(crate) fn volume(&self) -> Volume {
        self.volume
    }

    pub(crate) fn rate(&self) -> Rate {
        self.decoder.rate()
    }

    /// How long it had to guess.
    pub(crate) fn guessed(&self) -> Duration {
        time_of_ticks(self.guessed, self.rate().hz())
    }

    /// A packet of the talker.
    pub(crate) fn take(
        &mut self,
        stream: StreamNumber,
        sequence: SequenceNumber,
        timestamp: RtpTimestamp,
        payload: &[u8],
        now: Instant,
    ) {
        // What was not read in time is not made any more.
        let turn = self.place_of(now).max(self.head);
        let by_time = self.by_time(stream, timestamp);
        let by_time = by_time.filter(|&place| place - turn <= self.samples(MAX_AHEAD));
        let place = match by_time {
            Some(place) if place >= turn => {
                self.late = 0;
                place
            }
            Some(place) if turn - place <= self.samples(MAX_DELAY) => {
                self.late = 0;
                let later = turn + self.samples(MARGIN) - place;
                self.move_by(later);
                place + later
            }
            Some(_) if self.late < MAX_LATE => {
                self.late += 1;
                return;
            }
            Some(_) | None => {
                self.late = 0;
                self.waiting.clear();
                turn + self.samples(MARGIN)
            }
        };
        self.see(place - turn, now);
        let place = place - self.moved;
        self.anchor = Some(Anchor {
            stream,
            timestamp,
            place,
        });
        if self.waiting.len() < MAX_WAITING {
            let waiting = Waiting::Sound {
                sequence,
                timestamp,
                payload: payload.to_vec(),
            };
            self.waiting.insert(place, waiting);
        }
    }

    /// The talker falls silent: comfort noise from here on until it says something. It does not matter if that comes late.
    pub(crate) fn take_noise(
        &mut self,
        stream: StreamNumber,
        timestamp: RtpTimestamp,
        payload: &[u8],
        now: Instant,
    ) {
        let turn = self.place_of(now).max(self.head);
        let place = self.by_time(stream, timestamp).unwrap_or(turn);
        let is_near = place - turn <= self.samples(MAX_AHEAD);
        let place = place.max(turn) - self.moved;
        if is_near && self.waiting.len() < MAX_WAITING {
            let noise = || Waiting::Noise(payload.to_vec());
            self.waiting.entry(place).or_insert_with(noise);
        }
    }

    /// Where a timestamp stands, if it goes on with what came before.
    fn by_time(&self, stream: StreamNumber, timestamp: RtpTimestamp) -> Option<i64> {
        let anchor = self.anchor.filter(|anchor| anchor.stream == stream)?;
        let since = self.samples_of(timestamp.since(anchor.timestamp));
        Some(anchor.place + since + self.moved)
    }

    /// What is heard from `at` on, for as long as `frame` is; its rate is that of the ear.
    pub(crate) fn read(&mut self, at: Instant, frame: &mut [i16]) {
        let from = self.place_of(at);
        let until = from + frame.len() as i64;
        if until - self.head > self.samples(MAX_UNREAD) {
            self.head = from;
            self.guess = None;
            self.waiting = self.waiting.split_off(&(from - self.moved));
        }
        while self.head < until {
            self.make(until);
        }
        let oldest = self.head - LINE as i64;
        for (place, sample) in (from..until).zip(frame) {
            *sample = if place < oldest {
                0
            } else {
                self.line[place.rem_euclid(LINE as i64) as usize]
            };
        }
    }

    /// Makes what comes next, at least one sample and for a guess not beyond `until`.
    fn make(&mut self, until: i64) {
        let Some(next) = self.waiting.first_entry() else {
            return self.fill(i64::MAX, until);
        };
        let place = *next.key() + self.moved;
        if place <= self.head {
            match next.remove() {
                Waiting::Sound {
                    sequence,
                    timestamp,
                    payload,
                } => {
                    self.forgive(sequence, timestamp);
                    let end = timestamp.advanced(self.codec().ticks(&payload));
                    self.last = Some((sequence, end));
                    self.decode(place, &payload);
                    let silent = self.codec().falls_silent(&payload);
                    self.quiet = silent.then_some(Quiet::Codec);
                }
                Waiting::Noise(payload) => {
                    self.quiet = Noise::new(&payload).map(Quiet::Noise);
                    self.guess = None;
                }
            }
        } else {
            self.fill(place, until);
        }
    }

    /// What was guessed before a packet that follows the last one by its number was no loss, but a silence of the talker.
    fn forgive(&mut self, sequence: SequenceNumber, timestamp: RtpTimestamp) {
        let follows = |(last, _): &(SequenceNumber, RtpTimestamp)| sequence.since(*last) == 1;
        if let (Some((_, end)), Some(guess)) = (self.last.filter(follows), self.guess) {
            let silence = self.samples_of(timestamp.since(end)).clamp(0, guess.length);
            self.guessed = self.guessed.saturating_sub(silence.unsigned_abs());
        }
    }

    fn decode(&mut self, place: i64, payload: &[u8]) {
        let samples = self.decoder.decode(payload);
        let skipped = usize::try_from(self.head - place).unwrap_or(0);
        let mut samples = samples.get(skipped..).unwrap_or(&[]).to_vec();
        if samples.is_empty() {
            return;
        }
        self.level(&mut samples);
        if let Some(guess) = self.guess.take() {
            // The guess goes on for a moment under what is real again.
            let fade = self.samples(FADE) as usize;
            let fade = fade.min(samples.len());
            for (n, sample) in samples[..fade].iter_mut().enumerate() {
                let guessed = self.guessed_sample(&guess, n as i64);
                *sample = mixed(guessed, *sample, n, fade);
            }
        }
        if self.spare > 0 {
            self.shorten(&mut samples);
        }
        self.push(&samples);
    }

    /// Nothing is there until `next`.
    fn fill(&mut self, next: i64, until: i64) {
        let gap = next - self.head;
        let lost = usize::try_from(gap).unwrap_or(usize::MAX);
        if self.quiet.is_some() {
            return self.keep_quiet(gap.min(until - self.head));
        }
        // One packet is missing, and the one after it is here.
        if self.guess.is_none()
            && lost <= 2 * self.rate().frame()
            && let Some((
                _,
                Waiting::Sound {
                    sequence,
                    payload: after,
                    ..
                },
            )) = self.waiting.first_key_value()
            && self.last.is_none_or(|(last, _)| sequence.since(last) != 1)
        {
            let mut recovered = self.decoder.recover(after, lost).to_vec();
            if recovered.len() == lost {
                self.level(&mut recovered);
                return self.push(&recovered);
            }
        }
        let count = gap.min(until - self.head);
        self.guessed += count.unsigned_abs();
        let guess = match self.guess {
            Some(guess) => guess,
            None => Guess {
                length: 0,
                period: self.period(),
            },
        };
        let samples: Vec<i16> = if guess.length > self.samples(GUESS_ENDS) {
            vec![0; count as usize]
        } else if let Some(own) = self
            .decoder
            .guess(count as usize)
            .filter(|own| own.len() == count as usize)
        {
            let mut own = own.to_vec();
            self.level(&mut own);
            own
        } else {
            (0..count).map(|n| self.guessed_sample(&guess, n)).collect()
        };
        self.push(&samples);
        self.guess = Some(Guess {
            length: guess.length + count,
            ..guess
        });
    }

    /// So many samples while the talker says nothing.
    fn keep_quiet(&mut self, count: i64) {
        let count = usize::try_from(count).unwrap_or(0);
        let mut samples = vec![0; count];
        match &mut self.quiet {
            Some(Quiet::Noise(noise)) => noise.fill(&mut samples),
            Some(Quiet::Codec) => {
                // Opus guesses in steps of 2.5 ms.
                let step = self.decoder.rate().frame() / 8;
                let made = self.decoder.guess(count.next_multiple_of(step));
                for (sample, made) in samples.iter_mut().zip(made.unwrap_or_default()) {
                    *sample = *made;
                }
            }
            None => {}
        }
        self.level(&mut samples);
        self.push(&samples);
    }

    /// The sample `n` after the head if the last period goes on, ever quieter.
    fn guessed_sample(&self, guess: &Guess, n: i64) -> i16 {
        let (whole, ends) = (self.samples(GUESS_WHOLE), self.samples(GUESS_ENDS));
        let age = guess.length + n;
        let left = (ends - age).clamp(0, ends - whole);
        let place = self.head - guess.length - guess.period as i64 + age % guess.period as i64;
        let sample = i64::from(self.line[place.rem_euclid(LINE as i64) as usize]);
        (sample * left / (ends - whole)) as i16
    }

    /// The pitch period of what was said last: where it resembles itself most.
    fn period(&self) -> usize {
        let looked_at = self.samples(PITCH_LOOKS_AT) as usize;
        let longest = self.samples(PITCH_LONGEST) as usize;
        let recent: Vec<i16> = (self.head - (looked_at + longest) as i64..self.head)
            .map(|place| self.line[place.rem_euclid(LINE as i64) as usize])
            .collect();
        let shortest = self.samples(PITCH_SHORTEST) as usize;
        best_lag(&recent, shortest..=longest, looked_at)
    }

    /// Takes a pitch period out, if the samples hold one.
    fn shorten(&mut self, samples: &mut Vec<i16>) {
        let fade = self.samples(FADE) as usize;
        let shortest = self.samples(PITCH_SHORTEST) as usize;
        let longest = (self.samples(PITCH_LONGEST).min(self.spare)) as usize;
        let longest = longest.min(samples.len().saturating_sub(fade));
        if longest < shortest {
            return;
        }
        // From behind: the start of what is kept resembles the start of what is taken out.
        let reversed: Vec<i16> = samples[..longest + fade].iter().rev().copied().collect();
        let lag = best_lag(&reversed, shortest..=longest, fade);
        for n in 0..fade {
            samples[n] = mixed(samples[n], samples[n + lag], n, fade);
        }
        samples.drain(fade..fade + lag);
        self.spare -= lag as i64;
        self.move_by(-(lag as i64));
    }

    /// What has just been decoded becomes as loud as it is to be; guesses from what was heard are so already.
    fn level(&mut self, samples: &mut [i16]) {
        if let Some(leveller) = &mut self.leveller {
            leveller.apply(samples);
        }
    }

    fn push(&mut self, samples: &[i16]) {
        for &sample in samples {
            self.line[self.head.rem_euclid(LINE as i64) as usize] = sample;
            self.head += 1;
        }
    }

    /// All that is to come is heard so many samples later.
    fn move_by(&mut self, samples: i64) {
        self.moved += samples;
        self.watch.least = i64::MAX;
        if samples > 0 {
            self.spare = 0;
        }
    }

    /// A packet had so many samples to spare.
    fn see(&mut self, spare: i64, now: Instant) {
        self.watch.least = self.watch.least.min(spare);
        if now.saturating_duration_since(self.watch.since) >= WATCH {
            let enough = self.samples(SPARE);
            self.spare = if self.watch.least > enough && self.watch.least < i64::MAX {
                self.watch.least - self.samples(MARGIN)
            } else {
                0
            };
            self.watch = Watch {
                since: now,
                least: i64::MAX,
            };
        }
    }

    fn place_of(&self, at: Instant) -> i64 {
        ticks_in(at.saturating_duration_since(self.epoch), self.rate().hz()) as i64
    }

    fn samples(&self, time: Duration) -> i64 {
        ticks_in(time, self.rate().hz()) as i64
    }

    fn samples_of(&self, ticks: i32) -> i64 {
        i64::from(ticks) * i64::from(self.rate().hz()) / i64::from(self.codec().clock_rate())
    }
}

/// The lag among these at which the last `length` samples resemble the ones before them most (normalized cross-correlation).
fn best_lag(samples: &[i16], lags: std::ops::RangeInclusive<usize>, length: usize) -> usize {
    let end = samples.len();
    let last = &samples[end - length..];
    let likeness = |lag: &usize| {
        let before = &samples[end - length - lag..end - lag];
        let (mut product, mut power) = (0.0f32, 1.0f32);
        for (a, b) in last.iter().zip(before) {
            product += f32::from(*a) * f32::from(*b);
            power += f32::from(*b) * f32::from(*b);
        }
        product / power.sqrt()
    };
    let shortest = *lags.start();
    lags.map(|lag| (likeness(&lag), lag))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or(shortest, |(_, lag)| lag)
}

/// The sample `n` of `length` on the way from one sound to another.
fn mixed(from: i16, to: i16, n: usize, length: usize) -> i16 {
    let (n, length) = (n as i32, length as i32);
    ((i32::from(from) * (length - n) + i32::from(to) * n) / length) as i16
}
