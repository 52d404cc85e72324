use std::f64::consts::PI;

use std::io::Cursor;
use std::time::Duration;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// The folder of the repository.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sounds")
}

#[test]
fn every_sound_is_listed_with_its_checksum_and_built_in() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut files = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if ["README.md", "make.sh", "music.py", "voices.py"].contains(&name) {
            continue;
        }
        files += 1;
        let octets = fs::read(&path).unwrap();
        let checksum: String = Sha256::digest(&octets)
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        assert!(
            readme.contains(&format!("{checksum}  {name}\n")),
            "{name} has the checksum {checksum}: run make.sh"
        );
        assert!(
            readme.contains(&format!("| `{name}` |")),
            "{name} is not described in sounds/README.md"
        );
        let of_voices = VOICES.iter().flat_map(|(language, sound, parts)| {
            let name = language.name();
            [
                (format!("{name}.ogg"), *sound),
                (format!("{name}.parts"), parts.as_bytes()),
            ]
        });
        let mut of_voices = of_voices.filter(|(file, _)| file == name);
        let inside = built_in(name).or_else(|| of_voices.next().map(|(_, inside)| inside));
        assert!(
            inside.is_some_and(|inside| inside == octets),
            "{name} is not in the binary"
        );
    }
    assert_eq!(files, BUILT_IN.len() + 2 * VOICES.len());
}

#[test]
fn all_sounds_together_stay_below_one_megabyte() {
    let voices = VOICES.iter().map(|(_, octets, _)| octets.len());
    let size: usize = BUILT_IN
        .iter()
        .map(|(_, octets)| octets.len())
        .chain(voices)
        .sum();
    assert!(size < 1_000_000, "{size} octets");
}

#[test]
fn every_sound_is_loud_enough_and_not_clipped() {
    for (name, octets) in BUILT_IN {
        let samples = narrow(decode(octets.to_vec(), Path::new(name), false).unwrap());
        let peak = samples
            .iter()
            .map(|sample| sample.unsigned_abs())
            .max()
            .unwrap();
        assert!(peak < 29_000, "{name} peaks at {peak} of 32768");
        let level = decibels(&samples);
        assert!(
            (-24.0..=-16.0).contains(&level),
            "{name} is at {level:.1} dB of full scale"
        );
    }
}

#[test]
fn the_music_is_long_and_has_no_seam() {
    let octets = built_in("music.flac").unwrap().to_vec();
    let samples = narrow(decode(octets, Path::new("music.flac"), true).unwrap());
    assert_eq!(samples.len(), 307_200, "12 bars of 3.2 s");
    let step = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
    let largest = samples
        .windows(2)
        .map(|pair| step(pair[0], pair[1]))
        .max()
        .unwrap();
    let seam = step(samples[samples.len() - 1], samples[0]);
    assert!(
        seam <= largest / 2,
        "a jump of {seam} where the loop closes; elsewhere up to {largest}"
    );
}

#[test]
fn wav_mp3_flac_and_ogg_are_decoded_to_their_whole_length() {
    for (name, seconds) in [
        ("start.wav", 6.622),
        ("logged-in.mp3", 2.055),
        ("music.flac", 38.4),
        ("announcement.ogg", 4.381),
    ] {
        let samples = samples_of(name).unwrap();
        let length = samples.len() as f64 / f64::from(RATE);
        assert!((length - seconds).abs() < 0.001, "{name} lasts {length} s");
    }
}

#[test]
fn a_stereo_file_of_another_rate_becomes_one_channel_at_16_khz() {
    let octets = wav(44_100, 2, |channel, time| {
        if channel == 0 {
            0.5 * (2.0 * PI * 1_000.0 * time).sin()
        } else {
            0.0
        }
    });
    let decoded = decode(octets, Path::new("tone.wav"), false).unwrap();
    let Decoded::Wide(samples) = decoded else {
        panic!("{decoded:?}")
    };
    assert_eq!(samples.len(), 16_000);
    // Half the level in one of two channels: a quarter in their mean.
    let level = decibels(&samples[2_000..14_000]);
    assert!((level - (-12.04 - 3.01)).abs() < 0.1, "{level:.2} dB");
}

#[test]
fn what_a_phone_line_cannot_carry_is_kept_for_codecs_that_can() {
    let octets = wav(48_000, 1, |_, time| 0.5 * (2.0 * PI * 6_000.0 * time).sin());
    let decoded = decode(octets, Path::new("tone.wav"), false).unwrap();
    let Decoded::Wide(samples) = &decoded else {
        panic!("{decoded:?}")
    };
    assert!((decibels(&samples[2_000..14_000]) + 9.03).abs() < 0.1);
    // And where it cannot be carried nothing folds back.
    assert!(decibels(&narrow(decoded)[1_000..7_000]) < -75.0);
}

#[test]
fn a_file_of_8_khz_stays_as_it_is() {
    let octets = wav(8_000, 1, |_, time| 0.3 * (2.0 * PI * 1_000.0 * time).sin());
    let decoded = decode(octets, Path::new("tone.wav"), false).unwrap();
    assert!(matches!(decoded, Decoded::Narrow(samples) if samples.len() == 8_000));
}

#[test]
fn loud_and_soft_sounds_become_equally_loud_and_none_is_clipped() {
    let noisy = |level: f64| {
        let tone = move |hz: f64, time: f64| (2.0 * PI * hz * time).sin();
        wav(16_000, 1, move |_, time| {
            level * (tone(400.0, time) + tone(1_100.0, time)) / 2.0
        })
    };
    let evened = |level: f64| {
        let decoded = decode(noisy(level), Path::new("noise.wav"), true).unwrap();
        narrow(decoded)
    };
    let levels = [0.02, 0.1, 0.9].map(|level| decibels(&evened(level)[1_000..7_000]));
    for level in levels {
        assert!((level - levels[0]).abs() < 0.2, "{levels:?}");
    }
    // A click in near silence would need more than there is room for.
    let click = wav(16_000, 1, |_, time| {
        if time < 0.001 {
            0.8
        } else {
            0.004 * (2_000.0 * time).sin()
        }
    });
    let Decoded::Wide(samples) = decode(click, Path::new("click.wav"), true).unwrap() else {
        panic!("not wide")
    };
    let peak = samples.iter().map(|it| it.unsigned_abs()).max().unwrap();
    assert!((26_000..30_000).contains(&peak), "{peak}");
    let silence = decode(wav(16_000, 1, |_, _| 0.0), Path::new("silence.wav"), true).unwrap();
    assert_eq!(silence, Decoded::Wide(vec![0; 16_000]));
}

#[test]
fn one_name_is_decoded_once_and_again_when_its_file_has_changed() {
    let folder = temporary("changed");
    fs::copy(self::folder().join("start.wav"), folder.join("a.wav")).unwrap();
    fs::copy(self::folder().join("music.flac"), folder.join("b.flac")).unwrap();
    let mut library = Library::default();
    let mut load = |even| {
        let loaded = library.load(&folder, ["a.wav", "b.flac"], even);
        [&loaded["a.wav"], &loaded["b.flac"]].map(|it| Arc::clone(it.as_ref().unwrap()))
    };
    let [a, b] = load(true);
    let [same_a, same_b] = load(true);
    assert!(Arc::ptr_eq(&a, &same_a) && Arc::ptr_eq(&b, &same_b));
    let file = fs::File::options()
        .write(true)
        .open(folder.join("a.wav"))
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap() - MINUTE;
    file.set_modified(modified).unwrap();
    let [new_a, same_b] = load(true);
    assert!(!Arc::ptr_eq(&a, &new_a) && Arc::ptr_eq(&b, &same_b));
    let [other_a, _] = load(false);
    assert!(!Arc::ptr_eq(&new_a, &other_a));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_binary_alone_has_its_sounds() {
    let loaded = Library::default().load(Path::new("/nonexistent"), ["announcement.ogg"], true)["announcement.ogg"].is_ok();
    assert!(loaded);
}

#[test]
fn a_sound_that_cannot_be_used_says_which_and_what_to_do() {
    let folder = temporary("unusable");
    fs::write(folder.join("text.wav"), "This is no sound. ".repeat(100)).unwrap();
    fs::write(folder.join("empty.mp3"), "").unwrap();
    fs::File::create(folder.join("huge.wav"))
        .unwrap()
        .set_len(MAX_FILE + 1)
        .unwrap();
    fs::create_dir_all(folder.join("folder.wav")).unwrap();
    let mut library = Library::default();
    for (name, part) in [
        ("none.wav", "put a WAV, MP3, FLAC or Ogg file there"),
        ("text.wav", "convert it, for example: sox"),
        ("empty.mp3", "convert it, for example: sox"),
        ("huge.wav", "the limit is 67108864"),
        ("folder.wav", "cannot read the sound"),
    ] {
        let loaded = library.load(&folder, [name], true).remove(name).unwrap();
        let message = loaded.unwrap_err().to_string();
        assert!(
            message.contains(part) && message.contains(name),
            "{message}"
        );
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_cut_or_spoilt_file_never_ends_the_program() {
    for (name, octets) in BUILT_IN {
        for cut in [1, 10, 50, 200, octets.len() / 2] {
            let _ = decode(octets[..cut].to_vec(), Path::new(name), true);
        }
        for place in (0..octets.len().min(4_000)).step_by(37) {
            let mut spoilt = octets[..octets.len().min(8_000)].to_vec();
            spoilt[place] ^= 0xff;
            let _ = decode(spoilt, Path::new(name), true);
        }
    }
}

/// The decoder multiplies channels by octets of a sample in 16 bits; with overflow checks it panics.
#[test]
fn a_wav_file_of_more_channels_than_the_decoder_can_reckon_with_is_a_broken_file() {
    let mut octets = built_in("start.wav").unwrap().to_vec();
    assert_eq!(octets[22..24], [1, 0], "one channel");
    octets[22..24].copy_from_slice(&[0, 128]);
    let fault = decode(octets, Path::new("start.wav"), true).unwrap_err();
    assert!(fault.to_string().contains("start.wav"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// In the process that decodes it: whatever stands in a file, there are samples or a reason.
    #[test]
    fn no_octets_make_a_decoder_panic(
        sound in 0..BUILT_IN.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        removed in any::<prop::sample::Index>(),
    ) {
        let (name, octets) = BUILT_IN[sound];
        let mut octets = octets[..octets.len().min(12_000)].to_vec();
        for (place, octet) in changes {
            let length = octets.len();
            octets[place.index(length)] = octet;
        }
        let at = removed.index(octets.len());
        octets.drain(at..(at + 3).min(octets.len()));
        if let Err(fault) = decode(octets, Path::new(name), true) {
            prop_assert!(fault.to_string().contains(name));
        }
    }
}

/// A folder of its own for a test.
fn temporary(name: &str) -> PathBuf {
    let folder = format!("ringmaster-sounds-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// As they are heard on a phone line.
fn narrow(decoded: Decoded) -> Vec<i16> {
    Sound::from(decoded).samples()
}

/// A second of sound as a 16-bit WAV file.
fn wav(rate: u32, channels: u16, signal: impl Fn(u16, f64) -> f64) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut octets = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut octets, spec).unwrap();
    for n in 0..rate {
        for channel in 0..channels {
            let sample = signal(channel, f64::from(n) / f64::from(rate));
            writer.write_sample((sample * 32_767.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    octets.into_inner()
}

/// The RMS level against full scale.
fn decibels(samples: &[i16]) -> f64 {
    let power = samples
        .iter()
        .map(|x| (f64::from(*x) / 32_768.0).powi(2))
        .sum::<f64>()
        / samples.len() as f64;
    10.0 * power.max(1e-20).log10()
}

#[test]
fn each_voice_has_all_its_parts_and_a_file_takes_the_place_of_one() {
    for (_, language) in call::spoken::LANGUAGES {
        let parts = built_in_parts(language, true).unwrap();
        for name in language.parts() {
            let part = parts.get(name).unwrap_or_else(|| panic!("no {name}"));
            let samples = part.samples();
            let length = samples.len() as f64 / f64::from(RATE);
            assert!((0.15..4.0).contains(&length), "{name} lasts {length} s");
            let level = decibels(&samples);
            assert!(
                (-32.0..=-12.0).contains(&level),
                "{name} is at {level:.1} dB"
            );
        }
        assert_eq!(parts.len(), language.parts().count());
    }
    let folder = temporary("voice");
    fs::create_dir_all(folder.join("en")).unwrap();
    let mut library = Library::default();
    assert!(library.voice(&folder, Language::English, true).is_ok());
    fs::copy(self::folder().join("start.wav"), folder.join("en/7.wav")).unwrap();
    assert!(library.voice(&folder, Language::English, true).is_ok());
    assert_eq!(library.parts[&Language::English].len(), 1);
    fs::write(folder.join("en/7.wav"), "no sound").unwrap();
    let fault = library.voice(&folder, Language::English, true).unwrap_err();
    assert!(fault.to_string().contains("en/7.wav"), "{fault}");
    fs::remove_dir_all(&folder).unwrap();
}
