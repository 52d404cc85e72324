//! What streams say whose packets the switch decodes: harmonics that swell and fade, in PCMU or Opus. And what Opus costs by itself.

use std::hint::black_box;
use std::time::Duration;

use ropus::{Application, Bitrate, Channels, DecodeMode, Decoder, Encoder, InbandFec};

use crate::machine;
use crate::sip::message::OPUS_PAYLOAD_TYPE;

/// Frames until it begins again: 10 s.
const FRAMES: usize = 500;
/// 20 ms at 16 kHz, which the switch has Opus work at.
const FRAME_SAMPLES: usize = 320;
/// An Opus packet of speech is smaller.
const MAX_OPUS_OCTETS: usize = 640;

/// Packets that are sent in turn.
#[derive(Debug)]
pub(crate) struct Speech {
    /// Of their RTP headers.
    pub(crate) payload_type: u8,
    /// What the RTP clock goes on by from one to the next.
    pub(crate) ticks: u32,
    payloads: Vec<Vec<u8>>,
}

impl Speech {
    /// In G.711.
    pub(crate) fn pcmu() -> Self {
        let narrow = |frame: &[i16]| frame.iter().step_by(2).map(|it| mu_law(*it)).collect();
        Self {
            payload_type: 0,
            ticks: 160,
            payloads: samples().chunks(FRAME_SAMPLES).map(narrow).collect(),
        }
    }

    /// In Opus, encoded as the switch does it.
    pub(crate) fn opus() -> Result<Self, String> {
        let mut encoder = encoder()?;
        let samples = samples();
        let encode = |frame| encode(&mut encoder, frame);
        Ok(Self {
            payload_type: OPUS_PAYLOAD_TYPE,
            ticks: 960,
            payloads: samples
                .chunks(FRAME_SAMPLES)
                .map(encode)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The packet that is sent in that turn.
    pub(crate) fn payload(&self, turn: usize) -> &[u8] {
        &self.payloads[turn % self.payloads.len()]
    }
}

/// CPU time of Opus alone, on the measured core: so many calls decode a frame of one side and encode one for it each 20 ms.
pub(crate) fn cost_of_opus(calls: usize, seconds: u64) -> Result<Duration, String> {
    let worker = std::thread::spawn(move || {
        machine::pin(machine::MEASURED_CORE)?;
        let (speech, samples) = (Speech::opus()?, samples());
        let open = |_| Ok((encoder()?, decoder()?));
        let mut ends: Vec<(Encoder, Decoder)> =
            (0..calls).map(open).collect::<Result<_, String>>()?;
        let mut decoded = [0; FRAME_SAMPLES];
        let before = machine::cpu_time(std::process::id())?;
        for round in 0..seconds as usize * 50 {
            for (call, (encoder, decoder)) in ends.iter_mut().enumerate() {
                let turn = round + call * 37;
                let (packet, start) = (speech.payload(turn), turn % FRAMES * FRAME_SAMPLES);
                let done = decoder.decode(packet, &mut decoded, DecodeMode::Normal);
                black_box(done.map_err(|error| format!("Opus: {error}"))?);
                black_box(encode(encoder, &samples[start..start + FRAME_SAMPLES])?);
            }
        }
        Ok(machine::cpu_time(std::process::id())? - before)
    });
    worker.join().map_err(|_| "Opus panicked".to_owned())?
}

fn encode(encoder: &mut Encoder, frame: &[i16]) -> Result<Vec<u8>, String> {
    let mut packet = [0; MAX_OPUS_OCTETS];
    let length = encoder.encode(frame, &mut packet);
    let length = length.map_err(|error| format!("Opus: {error}"))?;
    Ok(packet[..length].to_vec())
}

/// As the switch sets it.
fn encoder() -> Result<Encoder, String> {
    Encoder::builder(16_000, Channels::Mono, Application::Voip)
        .bitrate(Bitrate::Bits(28_000))
        .complexity(3)
        .inband_fec(InbandFec::Enabled)
        .packet_loss_perc(10)
        .build()
        .map_err(|error| format!("Opus: {error}"))
}

fn decoder() -> Result<Decoder, String> {
    Decoder::new(16_000, Channels::Mono).map_err(|error| format!("Opus: {error}"))
}

/// At 16 kHz, nothing above 4 kHz.
fn samples() -> Vec<i16> {
    let sample = |n: usize| {
        let time = n as f64 / 16_000.0;
        let pitch = 120.0 + 30.0 * (2.0 * time).sin();
        let swell = 0.5 + 0.5 * (8.0 * time).sin();
        let harmonic =
            |h: u32| (time * pitch * f64::from(h) * std::f64::consts::TAU).sin() / f64::from(h);
        ((1..20).map(harmonic).sum::<f64>() * swell * 4_000.0) as i16
    };
    (0..FRAMES * FRAME_SAMPLES).map(sample).collect()
}

/// ITU-T G.711, mu-law: sign, exponent and mantissa of the magnitude and 132, inverted.
fn mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 132;
    let exponent = 8 - magnitude.leading_zeros() as u16;
    let mantissa = magnitude >> (exponent + 3) & 0x0f;
    !(sign | (exponent << 4 | mantissa) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_has_the_values_of_the_table() {
        assert_eq!([0, -1, 32_767, -32_768].map(mu_law), [0xff, 0x7f, 0x80, 0]);
        assert_eq!(mu_law(1_000), 0xce);
    }

    #[test]
    fn opus_costs_something() {
        assert_eq!(Speech::opus().unwrap().payloads.len(), FRAMES);
        assert!(cost_of_opus(1, 1).unwrap() < Duration::from_secs(10));
    }
}
