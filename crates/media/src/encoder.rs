//! From samples to a codec's payloads, 20 ms each.

use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;
use ropus::{Application, Bitrate, Channels, InbandFec};

use crate::codec::{Codec, Rate};
use crate::g711::Law;
use crate::resample::Resampler;

/// Octets of the longest payload that is made: 20 ms of L16 at 16 kHz.
pub(crate) const MAX_ENCODED_OCTETS: usize = 640;

/// What Opus spends on wideband speech and what protects it (RFC 7587 section 3.1.1: 16 to 20 kbit/s for wideband speech, and
/// half as much again for what the packet before said).
const OPUS_BITRATE: u32 = 28_000;
/// Of 0 to 10: beyond it speech of 16 kHz hardly gains, and the cost doubles.
const OPUS_COMPLEXITY: u8 = 3;
/// Packets in a hundred that Opus is prepared to lose: its least for telling the packet before again.
const OPUS_EXPECTED_LOSS: u8 = 10;

/// What a codec remembers from one payload to the next, on the way to it.
pub(crate) struct Encoder {
    codec: Codec,
    state: State,
    /// Opus leaves out packets while nothing is to be heard.
    dtx: bool,
    /// It has begun to do so.
    is_silent: bool,
    /// From the narrow and from the wide samples that it is given to its own.
    resampler: Option<Resampler>,
    from: Rate,
    resampled: Vec<i16>,
}

enum State {
    G711(Law),
    G722(Box<G722Encoder>),
    Opus(Box<ropus::Encoder>),
    L16,
    /// Nothing can be said.
    Nothing,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// With `dtx` Opus encodes nothing while nothing is to be heard, but for what tells so, and a sign of life each 400 ms.
    pub(crate) fn new(codec: Codec, dtx: bool) -> Self {
        let state = match codec {
            Codec::Pcmu => State::G711(Law::Mu),
            Codec::Pcma => State::G711(Law::A),
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus => State::Opus(Box::new(
                ropus::Encoder::builder(codec.rate().hz(), Channels::Mono, Application::Voip)
                    .bitrate(Bitrate::Bits(OPUS_BITRATE))
                    .complexity(OPUS_COMPLEXITY)
                    .dtx(dtx)
                    .inband_fec(InbandFec::Enabled)
                    .packet_loss_perc(OPUS_EXPECTED_LOSS)
                    .build()
                    .expect("invariant: settings that Opus has"),
            )),
            Codec::L16Narrow | Codec::L16Wide => State::L16,
            Codec::G729 | Codec::Gsm => State::Nothing,
        };
        Self {
            codec,
            state,
            dtx,
            is_silent: false,
            resampler: None,
            from: codec.rate(),
            resampled: Vec::with_capacity(codec.rate().frame()),
        }
    }

    /// Whether it is the one that `new` would make.
    pub(crate) fn is_for(&self, codec: Codec, dtx: bool) -> bool {
        (self.codec, self.dtx) == (codec, dtx)
    }

    /// Encodes 20 ms of this rate into the front of `payload`, which has [`MAX_ENCODED_OCTETS`], and gives their number; 0 if
    /// nothing is to be sent.
    pub(crate) fn encode(&mut self, samples: &[i16], rate: Rate, payload: &mut [u8]) -> usize {
        if self.from != rate {
            self.from = rate;
            self.resampler = Resampler::new(rate, self.codec.rate());
        }
        let samples = match &mut self.resampler {
            Some(resampler) => {
                self.resampled.clear();
                resampler.resample(samples, &mut self.resampled);
                &self.resampled[..]
            }
            None => samples,
        };
        match &mut self.state {
            State::G711(law) => {
                for (octet, sample) in payload.iter_mut().zip(samples) {
                    *octet = law.encode(*sample);
                }
                samples.len()
            }
            State::L16 => {
                let (octets, _) = payload.as_chunks_mut::<2>();
                for (octets, sample) in octets.iter_mut().zip(samples) {
                    *octets = sample.to_be_bytes();
                }
                2 * samples.len()
            }
            State::G722(encoder) => encoder.encode_into(samples, payload).unwrap_or(0),
            State::Opus(encoder) => {
                let length = encoder.encode(samples, payload).unwrap_or(0);
                // The first packet without sound tells that those after it are missing.
                let was_silent = self.is_silent;
                self.is_silent = self.dtx && self.codec.falls_silent(&payload[..length]);
                if was_silent && self.is_silent {
                    0
                } else {
                    length
                }
            }
            State::Nothing => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::Decoder;
    use crate::tone;
    use std::time::Duration;

    /// A second of a tone at 8 kHz through a codec, as samples of 8 kHz.
    fn through(codec: Codec, hz: f64) -> Vec<i16> {
        let (mut encoder, mut decoder) = (Encoder::new(codec, false), Decoder::new(codec));
        let mut back = Resampler::new(codec.rate(), Rate::Narrow);
        let mut payload = [0; MAX_ENCODED_OCTETS];
        let mut heard = Vec::new();
        for frame in tone::sine(hz, 8_000, Duration::from_secs(1)).chunks(160) {
            let length = encoder.encode(frame, Rate::Narrow, &mut payload);
            assert_eq!(codec.ticks(&payload[..length]), codec.clock_rate() / 50);
            let samples = decoder.decode(&payload[..length]);
            assert_eq!(samples.len(), codec.rate().frame());
            match &mut back {
                Some(resampler) => resampler.resample(samples, &mut heard),
                None => heard.extend_from_slice(samples),
            }
        }
        heard
    }

    #[test]
    fn a_tone_comes_through_every_codec_at_its_level() {
        let sent = tone::level(&tone::sine(400.0, 8_000, Duration::from_secs(1)), 400.0);
        for codec in Codec::ALL {
            for hz in [400.0, 1_000.0, 2_500.0] {
                let heard = through(codec, hz);
                let level = tone::level(&heard[2_000..6_000], hz);
                assert!(
                    (level - sent).abs() < 1.0,
                    "{codec:?} {hz} Hz: {level:.1} dB of {sent:.1}"
                );
            }
        }
    }

    #[test]
    fn what_opus_lost_is_told_again_by_the_packet_after() {
        let (mut encoder, mut decoder) =
            (Encoder::new(Codec::Opus, false), Decoder::new(Codec::Opus));
        let tone = tone::sine(400.0, 8_000, Duration::from_secs(1));
        let packets: Vec<Vec<u8>> = tone
            .chunks(160)
            .map(|frame| {
                let mut payload = [0; MAX_ENCODED_OCTETS];
                let length = encoder.encode(frame, Rate::Narrow, &mut payload);
                payload[..length].to_vec()
            })
            .collect();
        for packet in &packets[..20] {
            decoder.decode(packet);
        }
        // Number 20 is lost.
        let recovered = decoder.recover(&packets[21], 320).to_vec();
        let narrow: Vec<i16> = recovered.iter().step_by(2).copied().collect();
        assert!(tone::level(&narrow, 400.0) > -20.0);
    }

    #[test]
    fn broken_payloads_are_no_sound_and_no_harm() {
        for codec in Codec::ALL {
            let mut decoder = Decoder::new(codec);
            for length in [0, 1, 2, 3, 159, 700, 1_460] {
                for octet in [0x00, 0x03, 0x7f, 0xff] {
                    let payload = vec![octet; length];
                    assert!(decoder.decode(&payload).len() <= 1_920);
                }
            }
            assert!(decoder.recover(&[0xff; 3], 320).len() <= 320);
        }
    }
}
