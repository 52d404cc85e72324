//! From a codec's payloads to samples, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;
use ropus::{Channels, DecodeMode};

use crate::codec::{Codec, Rate};
use crate::g711::Law;

/// Samples of the longest payload that is decoded: 120 ms at 16 kHz, the longest packet of Opus.
const MAX_SAMPLES: usize = 1_920;

/// What a codec remembers from one payload to the next.
pub(crate) struct Decoder {
    codec: Codec,
    rate: Rate,
    state: State,
    /// Where a payload is decoded.
    scratch: Box<[i16; MAX_SAMPLES]>,
}

enum State {
    G711(Law),
    G722(Box<G722Decoder>),
    Opus(Box<ropus::Decoder>),
    L16,
    /// What cannot be decoded is silence of its length.
    Silence,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// Decodes to the codec's own rate.
    pub(crate) fn new(codec: Codec) -> Self {
        Self::at(codec, codec.rate())
    }

    /// Decodes to a rate, if the codec can be decoded to it, else to the codec's own.
    pub(crate) fn at(codec: Codec, rate: Rate) -> Self {
        let rate = match codec {
            Codec::Opus => rate,
            Codec::Pcmu
            | Codec::Pcma
            | Codec::G722
            | Codec::L16Narrow
            | Codec::L16Wide
            | Codec::G729
            | Codec::Gsm => codec.rate(),
        };
        Self {
            codec,
            rate,
            state: State::new(codec, rate),
            scratch: Box::new([0; MAX_SAMPLES]),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples in a second of what comes out.
    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// The samples of a payload; none if it is broken. What is longer than the longest packet of Opus is cut off.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> &[i16] {
        let scratch = &mut self.scratch[..];
        let length = match &mut self.state {
            State::G711(law) => {
                let table = law.decoded();
                let octets = &payload[..payload.len().min(MAX_SAMPLES)];
                for (sample, octet) in scratch.iter_mut().zip(octets) {
                    *sample = table[usize::from(*octet)];
                }
                octets.len()
            }
            State::L16 => {
                let (octets, _) = payload.as_chunks::<2>();
                let octets = &octets[..octets.len().min(MAX_SAMPLES)];
                for (sample, octets) in scratch.iter_mut().zip(octets) {
                    *sample = i16::from_be_bytes(*octets);
                }
                octets.len()
            }
            State::G722(decoder) => {
                let octets = &payload[..payload.len().min(MAX_SAMPLES / 2)];
                decoder.decode_into(octets, scratch).unwrap_or(0)
            }
            State::Silence => {
                let length = (self.codec.ticks(payload) as usize).min(MAX_SAMPLES);
                scratch[..length].fill(0);
                length
            }
            // Nothing is for Opus a loss to be guessed.
            State::Opus(_) if payload.is_empty() => 0,
            State::Opus(_) => self.opus(payload, MAX_SAMPLES, DecodeMode::Normal),
        };
        &self.scratch[..length]
    }

    /// What the lost payload before this one said, `samples` long, as far as this one tells; empty if the codec does not.
    pub(crate) fn recover(&mut self, next: &[u8], samples: usize) -> &[i16] {
        let length = if next.is_empty() {
            0
        } else {
            self.opus(next, samples, DecodeMode::Fec)
        };
        &self.scratch[..length]
    }

    /// What may have been said in `samples` that are lost, if the codec itself can guess; a multiple of 2.5 ms.
    pub(crate) fn guess(&mut self, samples: usize) -> Option<&[i16]> {
        if !matches!(self.state, State::Opus(_)) {
            return None;
        }
        let length = self.opus(&[], samples, DecodeMode::Normal);
        Some(&self.scratch[..length])
    }

    /// Lets Opus decode into the first `samples` of the scratch, and gives how many there are; none if the codec is another. A fault in the decoder of what a
    /// stranger sent is a lost packet, not the end of all calls of the worker.
    fn opus(&mut self, packet: &[u8], samples: usize, mode: DecodeMode) -> usize {
        let State::Opus(decoder) = &mut self.state else {
            return 0;
        };
        let scratch = &mut self.scratch[..samples.min(MAX_SAMPLES)];
        let work = || decoder.decode(packet, scratch, mode).unwrap_or(0);
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            self.state = State::new(self.codec, self.rate);
            0
        })
    }
}

impl State {
    fn new(codec: Codec, rate: Rate) -> Self {
        match codec {
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::Pcma => Self::G711(Law::A),
            Codec::G722 => Self::G722(Box::default()),
            Codec::Opus => Self::Opus(Box::new(
                ropus::Decoder::new(rate.hz(), Channels::Mono)
                    .expect("invariant: 8 and 16 kHz are rates of Opus"),
            )),
            Codec::L16Narrow | Codec::L16Wide => Self::L16,
            Codec::G729 | Codec::Gsm => Self::Silence,
        }
    }
}
