//! From a file to samples, equally loud if that is asked for.

use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use ebur128::{EbuR128, Mode};
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::{RATE, SoundError};

/// Longest sound.
const MAX_LENGTH: Duration = Duration::from_secs(3_600);
/// Sample rates that are read, in Hz: telephone to studio.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// Most channels of a file: 7.1.
const MAX_CHANNELS: usize = 8;
/// What the best codec of a phone carries, in Hz.
const WIDE: u32 = 16_000;
/// How loud all sounds are, in LUFS (EBU R 128): that of the built-in ones, a little above people who talk.
const LOUDNESS: f64 = -21.0;
/// The most that a sound is made louder or softer, in dB: what asks for more is no music and no speech.
const MAX_GAIN: f64 = 20.0;
/// The highest peak that a sound may be raised to: 1 dB below full scale.
const MAX_PEAK: f32 = 0.89;

/// The samples of a sound: one channel, 16 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Of 8 kHz: there is nothing above it in the file.
    Narrow(Vec<i16>),
    /// Of 16 kHz.
    Wide(Vec<i16>),
}

/// Decodes a whole file. `even`: as loud as all others that are.
pub(crate) fn decode(octets: Vec<u8>, path: &Path, even: bool) -> Result<Decoded, SoundError> {
    // The decoders are not ours: a fault of theirs is one of the file.
    let read = catch_unwind(|| read(octets, path));
    let (mono, rate) = read.unwrap_or_else(|panic| {
        Err(SoundError::Undecodable {
            file: path.to_owned(),
            reason: format!("a fault of the decoder: {}", net::panic_message(&*panic)),
        })
    })?;
    let to = if rate > RATE { WIDE } else { RATE };
    let mut samples = match rate == to {
        true => mono,
        false => media::resample::whole(&mono, rate, to),
    };
    if even {
        let gain = gain(&samples, to);
        samples.iter_mut().for_each(|sample| *sample *= gain);
    }
    let whole = |sample: &f32| (sample * 32_768.0).round() as i16;
    let samples = samples.iter().map(whole).collect();
    Ok(match to {
        WIDE => Decoded::Wide(samples),
        _ => Decoded::Narrow(samples),
    })
}

/// What makes the sound as loud as it shall be; 1 if it is silence, or too short to tell.
fn gain(samples: &[f32], rate: u32) -> f32 {
    let loudness = EbuR128::new(1, rate, Mode::I).and_then(|mut meter| {
        meter.add_frames_f32(samples)?;
        meter.loudness_global()
    });
    let Some(loudness) = loudness.ok().filter(|it| it.is_finite()) else {
        return 1.0;
    };
    let gain = (LOUDNESS - loudness).clamp(-MAX_GAIN, MAX_GAIN);
    let gain = 10f64.powf(gain / 20.0) as f32;
    let peak = samples
        .iter()
        .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    gain.min((MAX_PEAK / peak).max(1.0))
}

/// One channel at the rate of the file.
fn read(octets: Vec<u8>, path: &Path) -> Result<(Vec<f32>, u32), SoundError> {
    let undecodable = |reason: String| SoundError::Undecodable {
        file: path.to_owned(),
        reason,
    };
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let stream = MediaSourceStream::new(Box::new(Cursor::new(octets)), Default::default());
    let fault = |fault: Fault| undecodable(fault.to_string());
    let (formats, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let probe = symphonia::default::get_probe();
    let mut reader = probe
        .probe(&hint, stream, formats, metadata)
        .map_err(fault)?;
    let track = reader
        .default_track(TrackType::Audio)
        .ok_or_else(|| undecodable("no audio in it".to_owned()))?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| undecodable("unknown codec".to_owned()))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(fault)?;

    let mut mono: Vec<f32> = Vec::new();
    let mut rate = None;
    let mut frames: Vec<f32> = Vec::new();
    while let Some(packet) = reader.next_packet().map_err(fault)? {
        if packet.track_id != track_id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(fault)?;
        let (found, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        if !RATES.contains(&found) || rate.is_some_and(|rate| rate != found) {
            return Err(undecodable(format!("sample rate {found} Hz")));
        }
        if channels == 0 || channels > MAX_CHANNELS {
            return Err(undecodable(format!("{channels} channels")));
        }
        rate = Some(found);
        decoded.copy_to_vec_interleaved(&mut frames);
        let frames = frames.chunks_exact(channels);
        mono.extend(frames.map(|frame| frame.iter().sum::<f32>() / channels as f32));
        if mono.len() as u64 > MAX_LENGTH.as_secs() * u64::from(found) {
            return Err(SoundError::TooBig {
                file: path.to_owned(),
                excess: format!("is longer than {MAX_LENGTH:?}: shorten it"),
            });
        }
    }
    let rate = rate.ok_or_else(|| undecodable("no audio in it".to_owned()))?;
    Ok((mono, rate))
}
