//! The story: a customer calls the queue, hears what the sample promises, an agent comes, they talk, and all of it is on disk.
//!
//! Each line is printed when it happened, and each sound was recognised in what the phone received.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use media::tone;
use sip::endpoint::Account;

use super::ANNOUNCE_EVERY;
use super::ear::{self, Match};
use super::ladder::{Arrow, Ladder, indented};
use super::phone::{News, Order, Phone};
use crate::config::Checked;
use crate::log::say;
use crate::sounds::{RATE, samples_of};

/// Accounts and number of the sample configuration.
const CUSTOMER: &str = "210";
const AGENT: &str = "201";
const QUEUE: &str = "700";
/// What they say to each other, in Hz: far enough apart to be told from each other in one recording.
const CUSTOMER_HZ: f64 = 440.0;
const AGENT_HZ: f64 = 880.0;
/// How long they talk.
const TALK: Duration = Duration::from_secs(5);
/// How long anything may take on loopback before the story gives up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much like the original a sound is at least: G.711 alone costs 0.001.
const LIKENESS: f64 = 0.98;
/// How far the other side's tone stands above everything else, in dB; G.711 allows 38.
const CLEARANCE: f64 = 30.0;
/// How loud a tone is at least that somebody hears, in dB of full scale; the phones speak at -10 dB.
const AUDIBLE: f64 = -20.0;
/// How long the agent's phone rings.
const RINGING: Duration = Duration::from_secs(1);
/// How often a file is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// Samples in a second.
const SECOND: usize = RATE as usize;

/// Tells the story on a running switch.
///
/// # Errors
/// What did not come true, for people.
pub(super) fn tell(checked: &Checked, switch: SocketAddr) -> Result<(), String> {
    let phone = |account: &str| {
        let password = checked
            .phones
            .get(&Account(account.into()))
            .map(|password| password.0.clone());
        let password = password.ok_or(format!("the sample has no phone {account}"))?;
        Phone::start(account, &password, switch).map_err(|error| error.to_string())
    };
    let scene = Scene {
        customer: phone(CUSTOMER)?,
        agent: phone(AGENT)?,
        ladder: Ladder::new(CUSTOMER, AGENT),
    };
    scene.customer_calls()?;
    scene.customer_waits()?;
    scene.agent_comes()?;
    scene.they_talk()?;
    scene.they_hang_up()?;
    let recording = find(&checked.recordings, "wav")?;
    let record = find(&checked.call_records, "jsonl")?;
    show_recording(&recording)?;
    show_record(&record, &recording)?;
    scene.leave()
}

struct Scene {
    customer: Phone,
    agent: Phone,
    ladder: Ladder,
}

impl Scene {
    fn customer_calls(&self) -> Result<(), String> {
        let Self {
            customer, ladder, ..
        } = self;
        let asked = Instant::now();
        customer.order(Order::Register);
        let at = customer.expect(News::Registered, PATIENCE)?;
        let digest = "password as a SHA-256 digest";
        ladder.line(asked, Arrow::FromCustomer, "REGISTER", digest);
        ladder.line(at, Arrow::ToCustomer, "200 OK", "");
        let called = Instant::now();
        customer.order(Order::Call(QUEUE));
        let at = customer.expect(News::Answered, PATIENCE)?;
        let queue = "the queue \"support\"";
        ladder.line(called, Arrow::FromCustomer, "INVITE 700", queue);
        ladder.line(at, Arrow::ToCustomer, "200 OK", "");
        Ok(())
    }

    /// Start sound, music, announcement, music: each is recognised in what came, sample by sample.
    fn customer_waits(&self) -> Result<(), String> {
        let Self {
            customer, ladder, ..
        } = self;
        let sound = samples_of("start.wav").map_err(|error| error.to_string())?;
        let (first, heard) = customer.hear(sound.len() + SECOND)?;
        let start = recognised("start sound", ear::whole(&sound, &heard))?;
        let told = remark(&sound, start);
        ladder.line(
            time(first, start.at),
            Arrow::ToCustomer,
            "start sound",
            &told,
        );

        let music = samples_of("music.flac").map_err(|error| error.to_string())?;
        let later = start.at + sound.len() + SECOND;
        let (_, heard) = customer.hear(later + SECOND)?;
        let notes = music_at(&heard[later..], &music, SECOND)?;
        let began = later - notes.at;
        let told = format!("from its first note, {:.1} % alike", 100.0 * notes.likeness);
        ladder.line(
            time(first, began),
            Arrow::ToCustomer,
            "music on hold",
            &told,
        );

        let sound = samples_of("announcement.ogg").map_err(|error| error.to_string())?;
        let due = began + ANNOUNCE_EVERY.as_secs() as usize * SECOND;
        let (_, heard) = customer.hear(due + sound.len() + SECOND / 2)?;
        let earliest = due - SECOND / 2;
        let found = recognised("announcement", ear::whole(&sound, &heard[earliest..]))?;
        let announced = earliest + found.at..earliest + found.at + sound.len();
        let told = remark(&sound, found);
        ladder.line(
            time(first, announced.start),
            Arrow::ToCustomer,
            "announcement",
            &told,
        );

        let later = announced.end + SECOND / 2;
        let (_, heard) = customer.hear(later + SECOND)?;
        music_at(
            &heard[later..],
            &music,
            announced.start - began + SECOND / 2,
        )?;
        let told = "goes on where the announcement broke in";
        ladder.line(
            time(first, announced.end),
            Arrow::ToCustomer,
            "music on hold",
            told,
        );
        Ok(())
    }

    /// An agent's phone comes, and rings at once.
    fn agent_comes(&self) -> Result<(), String> {
        let Self { agent, ladder, .. } = self;
        let asked = Instant::now();
        agent.order(Order::Register);
        let registered = agent.expect(News::Registered, PATIENCE)?;
        ladder.line(
            asked,
            Arrow::FromAgent,
            "REGISTER",
            "an agent's phone comes",
        );
        ladder.line(registered, Arrow::ToAgent, "200 OK", "");
        let rang = agent.expect(News::Rings, PATIENCE)?;
        let wait = rang.saturating_duration_since(registered).as_secs_f64() * 1_000.0;
        ladder.line(
            rang,
            Arrow::ToAgent,
            "INVITE",
            &format!("rings {wait:.1} ms later"),
        );
        std::thread::sleep(RINGING);
        let picked = Instant::now();
        agent.order(Order::Answer);
        let connected = agent.expect(News::Connected, PATIENCE)?;
        ladder.line(picked, Arrow::FromAgent, "200 OK", "picks up");
        ladder.line(connected, Arrow::ToAgent, "ACK", "");
        Ok(())
    }

    fn they_talk(&self) -> Result<(), String> {
        let Self {
            customer,
            agent,
            ladder,
        } = self;
        let began = Instant::now();
        customer.order(Order::Speak(CUSTOMER_HZ));
        agent.order(Order::Speak(AGENT_HZ));
        let talked = |phone: &Phone| phone.hear(phone.heard() + TALK.as_secs() as usize * SECOND);
        let (_, heard) = talked(customer)?;
        let clearance = [
            clearance(
                "the customer",
                &heard[heard.len() - 2 * SECOND..],
                AGENT_HZ,
                CUSTOMER_HZ,
            )?,
            clearance(
                "the agent",
                &last(agent, 2 * SECOND)?,
                CUSTOMER_HZ,
                AGENT_HZ,
            )?,
        ];
        let [customer, agent] = clearance;
        let remark =
            format!("each hears the other, and not itself: {customer:.0} dB, {agent:.0} dB");
        ladder.line(began, Arrow::Both, "talk: 440 Hz / 880 Hz", &remark);
        Ok(())
    }

    fn they_hang_up(&self) -> Result<(), String> {
        let Self {
            customer,
            agent,
            ladder,
        } = self;
        let hung_up = Instant::now();
        customer.order(Order::HangUp);
        let ended = agent.expect(News::Ended, PATIENCE)?;
        customer.expect(News::Ended, PATIENCE)?;
        ladder.line(hung_up, Arrow::FromCustomer, "BYE", "the customer hangs up");
        ladder.line(ended, Arrow::ToAgent, "BYE", "the agent wraps up");
        Ok(())
    }

    /// The test phones make room for real ones.
    fn leave(&self) -> Result<(), String> {
        for phone in [&self.customer, &self.agent] {
            phone.order(Order::Unregister);
            phone.expect(News::Unregistered, PATIENCE)?;
        }
        Ok(())
    }
}

/// When the phone heard a sample.
fn time(first: Instant, sample: usize) -> Instant {
    first + Duration::from_secs_f64(sample as f64 / f64::from(RATE))
}

/// The music that was heard is the one of this place, give or take 50 ms.
fn music_at(heard: &[i16], music: &[i16], place: usize) -> Result<Match, String> {
    let places = place - SECOND / 20..place + SECOND / 20;
    recognised(
        "music on hold at its place",
        ear::piece_in(heard, music, places),
    )
}

fn recognised(what: &str, found: Option<Match>) -> Result<Match, String> {
    let found = found.ok_or(format!("the customer did not hear the {what}"))?;
    if found.likeness < LIKENESS {
        let percent = 100.0 * found.likeness;
        return Err(format!(
            "what the customer heard is only {percent:.0} % like the {what}"
        ));
    }
    Ok(found)
}

fn remark(sound: &[i16], found: Match) -> String {
    let seconds = sound.len() as f64 / f64::from(RATE);
    format!(
        "heard to its end: {seconds:.1} s, {:.1} % alike",
        100.0 * found.likeness
    )
}

fn last(phone: &Phone, count: usize) -> Result<Vec<i16>, String> {
    let (_, mut heard) = phone.hear(count)?;
    Ok(heard.split_off(heard.len() - count))
}

/// How far one tone stands above the other, in dB.
fn clearance(who: &str, heard: &[i16], wanted: f64, other: f64) -> Result<f64, String> {
    let level = tone::level(heard, wanted);
    let clearance = level - tone::level(heard, other);
    // A tone that nobody hears can also stand far above another.
    if level < AUDIBLE || clearance < CLEARANCE {
        return Err(format!(
            "{who} hears {wanted} Hz at {level:.0} dB, only {clearance:.0} dB above {other} Hz"
        ));
    }
    // Pure silence on the other side: minus infinity.
    Ok(clearance.min(99.0))
}

/// Waits for a file that the switch writes when the call is over.
fn find(folder: &Path, extension: &str) -> Result<PathBuf, String> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(found) = newest(folder, extension) {
            return Ok(found);
        }
        std::thread::sleep(LOOK);
    }
    Err(format!(
        "no .{extension} file came into {}",
        folder.display()
    ))
}

fn newest(folder: &Path, extension: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let inside = |path: PathBuf| {
        if path.is_dir() {
            newest(&path, extension)
        } else {
            Some(path)
        }
    };
    entries
        .filter_map(inside)
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .max()
}

fn show_recording(path: &Path) -> Result<(), String> {
    let read = || {
        hound::WavReader::open(path)?
            .into_samples::<i16>()
            .collect::<Result<Vec<i16>, _>>()
    };
    let samples = read().map_err(|error| format!("{}: {error}", path.display()))?;
    let (left, right): (Vec<i16>, Vec<i16>) = samples
        .chunks_exact(2)
        .map(|frame| (frame[0], frame[1]))
        .unzip();
    let seconds = left.len() as f64 / f64::from(RATE);
    // The tones are there once both phones were told to speak.
    let middle = left.len() / 4..left.len() * 3 / 4;
    let customer = clearance(
        "the left channel",
        &left[middle.clone()],
        CUSTOMER_HZ,
        AGENT_HZ,
    )?;
    let agent = clearance("the right channel", &right[middle], AGENT_HZ, CUSTOMER_HZ)?;
    say(format_args!("\nThe recording: {}", path.display()));
    say(format_args!(
        "  {seconds:.2} s, stereo: left the customer (440 Hz, {customer:.0} dB above 880 Hz), right the agent (880 Hz, {agent:.0} dB above 440 Hz)"
    ));
    Ok(())
}

fn show_record(path: &Path, recording: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = recording.file_name().unwrap_or_default().to_string_lossy();
    let of_this_call = |line: &&str| line.contains(&*name);
    let line = text
        .lines()
        .find(of_this_call)
        .ok_or("the call record does not name the recording")?;
    say(format_args!("\nThe call record: {}", path.display()));
    say(indented(line));
    Ok(())
}
