use std::f64::consts::PI;
use std::process::{Command, Stdio};
use std::sync::mpsc::SyncSender;

use hound::WavReader;
use media::g711::Law;
use media::mixer::{Codec, Content, Payload, Side};
use media::packet::{RtpTimestamp, Ssrc};
use media::tone;
use proptest::prelude::*;

use super::*;

/// Set for the child of `a_killed_recorder_loses_less_than_a_second`.
const FOLDER_OF_CHILD: &str = "RINGMASTER_TEST_RECORDINGS";
const TICK: Duration = Duration::from_millis(20);

#[test]
fn the_customer_is_left_and_the_agent_right() {
    let folder = Folder::new("sides");
    let bench = Bench::new(&folder.0);
    bench.record(1, "2026-11-20/a.wav", 150);
    let results = bench.end();
    assert_eq!(results, [(RecordingId(1), Ok(Duration::from_secs(3)))]);
    let (left, right) = channels(&folder.0.join("2026-11-20/a.wav"));
    assert_eq!(left.len(), 24_000);
    // Leave out the edges, where late packets may be missing.
    let (left, right) = (&left[4_000..20_000], &right[4_000..20_000]);
    assert!(tone::level(left, 440.0) > -12.0 && tone::level(left, 880.0) < -50.0);
    assert!(tone::level(right, 880.0) > -12.0 && tone::level(right, 440.0) < -50.0);
}

#[test]
fn a_killed_recorder_loses_less_than_a_second() {
    if let Some(folder) = std::env::var_os(FOLDER_OF_CHILD) {
        return record_until_killed(Path::new(&folder));
    }
    let folder = Folder::new("killed");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "recorder::tests::a_killed_recorder_loses_less_than_a_second",
        ])
        .env(FOLDER_OF_CHILD, &folder.0)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let unfinished = folder.0.join("2026-11-20/call.wav.part");
    let started = Instant::now();
    while !unfinished.exists() && started.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(TICK);
    }
    std::thread::sleep(Duration::from_millis(2_500));
    child.kill().unwrap();
    child.wait().unwrap();

    // As it lies there, before any repair.
    assert!(
        WavReader::open(&unfinished).unwrap().duration() >= 12_000,
        "1.5 s of 2.5 s"
    );
    repair::all_below(&folder.0);
    assert!(!unfinished.exists());
    let repaired = WavReader::open(folder.0.join("2026-11-20/call.partial.wav")).unwrap();
    assert!(repaired.duration() >= 12_000);
    assert_eq!(repaired.spec(), SPEC);
}

/// What the child does: a recording without an end, in real time.
fn record_until_killed(folder: &Path) {
    let bench = Bench::new(folder);
    let start = Instant::now();
    bench.start(1, "2026-11-20/call.wav", start);
    for tick in 0..1_000 {
        let at = start + TICK * tick;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        bench.packets(1, tick, at);
    }
}

#[test]
fn a_living_recording_is_not_repaired_and_a_torn_one_is() {
    let folder = Folder::new("torn");
    let bench = Bench::new(&folder.0);
    bench.record(1, "whole.wav", 50);
    assert_eq!(bench.end().len(), 1);
    let whole = fs::read(folder.0.join("whole.wav")).unwrap();

    // Killed in the middle of a write: sizes of before, three octets of a frame too many.
    let mut torn = whole[..44 + 8_000 * 2 + 3].to_vec();
    torn[4..8].copy_from_slice(&36_u32.to_le_bytes());
    torn[40..44].copy_from_slice(&0_u32.to_le_bytes());
    fs::create_dir_all(folder.0.join("2026/11")).unwrap();
    fs::write(folder.0.join("2026/11/torn.wav.part"), &torn).unwrap();
    fs::write(folder.0.join("empty.wav.part"), b"RIFF").unwrap();
    fs::write(
        folder.0.join("note.wav.part"),
        "not a recording at all, but longer than a header",
    )
    .unwrap();
    fs::write(folder.0.join("living.wav.part"), &torn).unwrap();
    let living = File::open(folder.0.join("living.wav.part")).unwrap();
    living.lock().unwrap();

    repair::all_below(&folder.0);
    assert_eq!(
        WavReader::open(folder.0.join("2026/11/torn.partial.wav"))
            .unwrap()
            .duration(),
        4_000
    );
    assert!(!folder.0.join("empty.wav.part").exists());
    assert!(folder.0.join("note.wav.part").exists());
    assert!(folder.0.join("living.wav.part").exists());
}

/// What a recorder writes first, for both sides.
fn header() -> Vec<u8> {
    let mut octets = std::io::Cursor::new(Vec::new());
    WavWriter::new(&mut octets, SPEC)
        .unwrap()
        .finalize()
        .unwrap();
    octets.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A file that was killed anywhere, with octets that a failing disk has changed: it can be played, or it is left as it is.
    #[test]
    fn what_a_kill_left_can_be_played_or_is_left_alone(
        samples in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let folder = Folder::new("chance");
        let mut octets = [header(), samples].concat();
        for (place, octet) in spoilt {
            let length = octets.len();
            octets[place.index(length)] = octet;
        }
        octets.truncate(cut.index(octets.len() + 1));
        let left = folder.0.join("a.wav.part");
        fs::write(&left, &octets).unwrap();
        repair::all_below(&folder.0);
        let repaired = folder.0.join("a.partial.wav");
        if repaired.exists() {
            let whole = fs::read(&repaired).unwrap();
            prop_assert_eq!(&whole[44..], &octets[44..][..(octets.len() - 44) / 4 * 4]);
            prop_assert!(!left.exists());
            prop_assert_eq!(u32::from_le_bytes([whole[40], whole[41], whole[42], whole[43]]) as usize, whole.len() - 44);
        } else {
            // Less than a header is nothing.
            prop_assert!(left.exists() || octets.len() < 44);
        }
    }
}

#[test]
fn a_full_disk_keeps_what_was_written_and_says_what_is_missing() {
    let folder = Folder::new("full");
    let bench = Bench::new(&folder.0);
    let start = Instant::now();
    bench.start(1, "a.wav", start);
    // The second write fails.
    let mut recording = Recording {
        id: RecordingId(2),
        path: folder.0.join("b.wav"),
        start,
        sink: Sink::Open(Tape::open(&folder.0, Path::new("b.wav"), start).unwrap()),
        samples: vec![100; 32_000],
        written: 0,
    };
    recording.write(start);
    recording.fail("No space left on device".to_owned());
    recording.samples = vec![100; 32_000];
    recording.write(start);
    let Event::Recorded {
        recording: id,
        result,
    } = recording.finish(start).close()
    else {
        panic!("another event");
    };
    assert_eq!(id, RecordingId(2));
    assert_eq!(
        result.unwrap_err(),
        "No space left on device; the first 2.0 s are in the file that ends in .partial.wav"
    );
    assert_eq!(
        WavReader::open(folder.0.join("b.partial.wav"))
            .unwrap()
            .duration(),
        16_000
    );
    assert_eq!(bench.end().len(), 1, "the other recording is whole");
}

#[test]
fn a_fault_in_one_recording_ends_no_other() {
    let folder = Folder::new("fault");
    let start = Instant::now();
    let recording = |id, name: &str| Recording {
        id: RecordingId(id),
        path: folder.0.join(name),
        start,
        sink: Sink::Open(Tape::open(&folder.0, Path::new(name), start).unwrap()),
        samples: Vec::new(),
        written: 0,
    };
    let (mut one, other) = (recording(1, "one.wav"), recording(2, "other.wav"));
    one.align(|_, _| panic!("for the test"));
    let results = [one, other].map(
        |recording| match recording.finish(start + TICK * 50).close() {
            Event::Recorded { result, .. } => result,
            Event::Played { .. }
            | Event::Digit { .. }
            | Event::Silent { .. }
            | Event::Figures { .. }
            | Event::Closed { .. } => {
                panic!("not an event of the recorder")
            }
        },
    );
    assert!(
        results[0]
            .as_ref()
            .unwrap_err()
            .contains("a fault of Ringmaster")
    );
    assert_eq!(results[1], Ok(Duration::from_secs(1)));
}

#[test]
fn a_name_never_leads_out_of_the_folder_nor_over_a_recording_that_exists() {
    let folder = Folder::new("names");
    let bench = Bench::new(&folder.0);
    bench.record(1, "../outside.wav", 10);
    bench.record(2, "/tmp/outside.wav", 10);
    bench.record(3, "twice.wav", 10);
    bench.record(4, "twice.wav", 10);
    let results: BTreeMap<_, _> = bench.end().into_iter().collect();
    let fault = |id| results[&RecordingId(id)].as_ref().unwrap_err().clone();
    assert!(
        fault(1).contains("below the recordings folder"),
        "{}",
        fault(1)
    );
    assert!(
        fault(2).contains("below the recordings folder"),
        "{}",
        fault(2)
    );
    assert!(results[&RecordingId(3)].is_ok());
    assert!(!fault(4).is_empty());
}

#[test]
fn many_recordings_at_once_are_all_whole() {
    let folder = Folder::new("many");
    let bench = Bench::new(&folder.0);
    let start = Instant::now() - Duration::from_secs(3);
    let start_of = |id: u64| Tap::Start {
        recording: RecordingId(id),
        path: format!("{id}.wav").into(),
        at: start,
    };
    let mut taps: Vec<Tap> = (0..200).map(start_of).collect();
    for tick in 0..100 {
        let [left, right] = packets(0, tick, start + TICK * tick);
        for id in 0..200 {
            taps.extend([left.clone(), right.clone()].map(|tap| of_recording(tap, id)));
        }
    }
    let at = start + TICK * 100;
    taps.extend((0..200).map(|id| Tap::End {
        recording: RecordingId(id),
        at,
    }));
    bench.taps.send(taps).unwrap();
    let results = bench.end();
    assert_eq!(results.len(), 200);
    for (id, result) in results {
        assert_eq!(result, Ok(Duration::from_secs(2)), "{id:?}");
    }
}

/// A recorder and the place of the RTP workers.
struct Bench {
    recorder: Recorder,
    taps: SyncSender<Vec<Tap>>,
    events: Receiver<Event>,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let (taps, receiver) = mpsc::sync_channel(64);
        let (sender, events) = mpsc::channel();
        let report = move |event| sender.send(event).unwrap();
        let recorder = Recorder::start(folder, Format::Wav, receiver, report).unwrap();
        Self {
            recorder,
            taps,
            events,
        }
    }

    fn tap(&self, tap: Tap) {
        self.taps.send(vec![tap]).unwrap();
    }

    fn start(&self, id: u64, name: &str, at: Instant) {
        self.tap(Tap::Start {
            recording: RecordingId(id),
            path: name.into(),
            at,
        });
    }

    fn packets(&self, id: u64, tick: u32, at: Instant) {
        self.taps.send(packets(id, tick, at).into()).unwrap();
    }

    /// A whole recording of so many ticks, faster than real time.
    fn record(&self, id: u64, name: &str, ticks: u32) {
        let start = Instant::now() - TICK * ticks;
        self.start(id, name, start);
        for tick in 0..ticks {
            self.packets(id, tick, start + TICK * tick);
        }
        self.tap(Tap::End {
            recording: RecordingId(id),
            at: start + TICK * ticks,
        });
    }

    /// What was reported until all files are closed.
    fn end(self) -> Vec<(RecordingId, Result<Duration, String>)> {
        drop(self.taps);
        self.recorder.join();
        let report = |event| match event {
            Event::Recorded { recording, result } => (recording, result),
            Event::Played { .. }
            | Event::Digit { .. }
            | Event::Silent { .. }
            | Event::Figures { .. }
            | Event::Closed { .. } => {
                panic!("not an event of the recorder")
            }
        };
        self.events.into_iter().map(report).collect()
    }
}

/// 20 ms of both sides: 440 Hz from the customer, 880 Hz from the agent.
fn packets(id: u64, tick: u32, at: Instant) -> [Tap; 2] {
    [(Side::Left, 440.0), (Side::Right, 880.0)].map(|(side, hz)| {
        let octet = |n| {
            let time = f64::from(tick * 160 + n) / 8_000.0;
            Law::Mu.encode((16_000.0 * (2.0 * PI * hz * time).sin()) as i16)
        };
        let payload: Vec<u8> = (0..160).map(octet).collect();
        Tap::Packet {
            recording: RecordingId(id),
            side,
            content: Content::Sound,
            volume: media::loudness::Volume::default(),
            codec: Codec::Pcmu,
            timestamp: RtpTimestamp(tick * 160),
            ssrc: Ssrc(side as u32 + 1),
            at,
            payload: Payload::new(&payload),
        }
    })
}

fn of_recording(mut tap: Tap, id: u64) -> Tap {
    let (Tap::Start { recording, .. } | Tap::Packet { recording, .. } | Tap::End { recording, .. }) =
        &mut tap;
    *recording = RecordingId(id);
    tap
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("ringmaster-recorder-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn channels(path: &Path) -> (Vec<i16>, Vec<i16>) {
    let samples: Vec<i16> = WavReader::open(path)
        .unwrap()
        .into_samples()
        .map(Result::unwrap)
        .collect();
    samples
        .chunks_exact(2)
        .map(|frame| (frame[0], frame[1]))
        .unzip()
}
