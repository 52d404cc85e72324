//! Media without sound, for tests of hours: it knows only when a sound ends and when a leg closes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use media::mixer::{Command, Event, LegId, PlayId, Port, RecordingId, StreamStats};

/// Answers the commands of call control as the mixer would, in time and order.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    ports: BTreeMap<LegId, Port>,
    plays: BTreeMap<LegId, (Instant, PlayId)>,
    /// The same in the order of their ends.
    ends: BTreeSet<(Instant, LegId)>,
    recordings: BTreeMap<RecordingId, Instant>,
    events: VecDeque<Event>,
}

impl Stopwatch {
    pub(crate) fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open {
                leg,
                port,
                settings: _,
            } => {
                self.ports.insert(leg, port);
            }
            Command::Play {
                leg, sound, play, ..
            } => {
                self.stop_play(leg);
                let end = now + sound.duration();
                self.plays.insert(leg, (end, play));
                self.ends.insert((end, leg));
            }
            Command::StopPlay { leg } => self.stop_play(leg),
            Command::Bridge { a, b } => {
                self.stop_play(a);
                self.stop_play(b);
            }
            Command::Record { recording, .. } => {
                self.recordings.insert(recording, now);
            }
            Command::StopRecording { recording } => {
                if let Some(start) = self.recordings.remove(&recording) {
                    self.events.push_back(Event::Recorded {
                        recording,
                        result: Ok(now - start),
                    });
                }
            }
            Command::Close { leg } => {
                self.stop_play(leg);
                if let Some(port) = self.ports.remove(&leg) {
                    self.events.push_back(Event::Closed {
                        leg,
                        port,
                        stats: StreamStats::default(),
                    });
                }
            }
            Command::Update { .. }
            | Command::PauseRecording { .. }
            | Command::Press { .. }
            | Command::Mix { .. }
            | Command::Unmix { .. }
            | Command::Background { .. }
            | Command::Echo { .. }
            | Command::Unbridge { .. } => {}
        }
    }

    fn stop_play(&mut self, leg: LegId) {
        if let Some((end, _)) = self.plays.remove(&leg) {
            self.ends.remove(&(end, leg));
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((end, leg)) = self.ends.first().copied()
            && end <= now
        {
            self.ends.pop_first();
            if let Some((_, play)) = self.plays.remove(&leg) {
                self.events.push_back(Event::Played { leg, play });
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// No stream, no sound, no recording.
    pub(crate) fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.plays.is_empty() && self.recordings.is_empty()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
