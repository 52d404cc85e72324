//! Media without sound, for tests of hours: it knows only when a sound ends and when a leg closes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use media::mixer::{Command, Event, LegId, PlayId, Port, RecordingId, StreamStats};

/// Answers the commands of call control as the mixer would, in time and order.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    ports: BTreeMap<LegId, Port>,
    plays: BTreeMap<LegId, (Instant, PlayId)>,
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
            Command::Play { leg, sound, play } => {
                self.plays.insert(leg, (now + sound.duration(), play));
            }
            Command::StopPlay { leg } => {
                self.plays.remove(&leg);
            }
            Command::Bridge { a, b } => {
                self.plays.remove(&a);
                self.plays.remove(&b);
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
                self.plays.remove(&leg);
                if let Some(port) = self.ports.remove(&leg) {
                    self.events.push_back(Event::Closed {
                        leg,
                        port,
                        stats: StreamStats::default(),
                    });
                }
            }
            Command::Update { .. }
            | Command::Background { .. }
            | Command::Echo { .. }
            | Command::Unbridge { .. } => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let over: Vec<LegId> = self
            .plays
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(leg, _)| *leg)
            .collect();
        for leg in over {
            if let Some((_, play)) = self.plays.remove(&leg) {
                self.events.push_back(Event::Played { leg, play });
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.plays.values().map(|(at, _)| *at).min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
