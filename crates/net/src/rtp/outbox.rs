//! What a worker tells others: events to call control, never lost; taps to the recorder, lost rather than late.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use media::mixer::{RecordingId, Tap};
use tokio::sync::mpsc;

use super::Event;

/// Taps collected before they are handed over, at the latest: the recorder is woken 50 times a second.
const TAP_INTERVAL: Duration = Duration::from_millis(20);

/// How often the last batch is tried, once each `TAP_INTERVAL`: 1 s, in which a recorder that is alive takes many.
const FINISH_TRIES: usize = 50;

/// Packets in one batch at the most, some 280 KiB: what 250 recorded calls send within `TAP_INTERVAL`.
const MAX_BATCH: usize = 512;

/// Events on their way to call control. When the channel is full they stay here in order and are tried again;
/// a leg makes a handful in its life, so that the legs of the worker bound their number.
#[derive(Debug)]
pub(super) struct Events {
    sender: mpsc::Sender<Event>,
    waiting: VecDeque<Event>,
}

impl Events {
    /// Events for this channel.
    pub(super) fn new(sender: mpsc::Sender<Event>) -> Self {
        Self {
            sender,
            waiting: VecDeque::new(),
        }
    }

    /// Tells an event, after those that wait.
    pub(super) fn push(&mut self, event: Event) {
        // Figures come again in a second: they need not wait.
        let passes = matches!(event, Event::Media(media::Event::Figures { .. }));
        if passes && self.is_waiting() {
            return;
        }
        self.waiting.push_back(event);
        self.flush();
    }

    /// Tries again to send what waits.
    pub(super) fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match self.sender.try_reserve() {
                Ok(permit) => {
                    if let Some(event) = self.waiting.pop_front() {
                        permit.send(event);
                    }
                }
                Err(mpsc::error::TrySendError::Full(())) => return,
                // Nobody listens any more: the switch ends.
                Err(mpsc::error::TrySendError::Closed(())) => self.waiting.clear(),
            }
        }
    }

    /// Whether events wait for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// Taps on their way to the recorder.
#[derive(Debug)]
pub(super) struct Taps {
    sender: SyncSender<Vec<Tap>>,
    batch: Vec<Tap>,
    /// Packets in `batch`; starts and ends are not counted.
    packets: usize,
    /// When the batch must go; none while it is empty.
    due: Option<Instant>,
    /// Recordings begun and not ended.
    open: BTreeSet<RecordingId>,
    dropped: u64,
}

impl Taps {
    /// Taps for this channel.
    pub(super) fn new(sender: SyncSender<Vec<Tap>>) -> Self {
        Self {
            sender,
            batch: Vec::new(),
            packets: 0,
            due: None,
            open: BTreeSet::new(),
            dropped: 0,
        }
    }

    /// Adds a tap. A packet that finds the recorder behind by its whole channel and one more batch is dropped
    /// and counted; the start and the end of a recording are always kept.
    pub(super) fn push(&mut self, tap: Tap, now: Instant) {
        match &tap {
            Tap::Packet { .. } => {
                if self.packets == MAX_BATCH {
                    self.send(now);
                }
                if self.packets == MAX_BATCH {
                    self.dropped += 1;
                    return;
                }
                self.packets += 1;
            }
            Tap::Start { recording, .. } => {
                self.open.insert(*recording);
            }
            Tap::End { recording, .. } => {
                self.open.remove(recording);
            }
        }
        self.due.get_or_insert(now + TAP_INTERVAL);
        self.batch.push(tap);
    }

    /// Sends the batch if it is due.
    pub(super) fn flush(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.send(now);
        }
    }

    /// When `flush` has something to do.
    pub(super) fn next_flush(&self) -> Option<Instant> {
        self.due
    }

    /// Ends all recordings: their packets come no more.
    pub(super) fn end_all(&mut self, now: Instant) {
        for recording in std::mem::take(&mut self.open) {
            self.push(Tap::End { recording, at: now }, now);
        }
    }

    /// The last of all: recordings still open end, and what is collected goes, unless the recorder is stuck.
    pub(super) fn finish(&mut self, now: Instant) {
        self.end_all(now);
        for _ in 0..FINISH_TRIES {
            self.send(now);
            if self.due.is_none() {
                return;
            }
            std::thread::sleep(TAP_INTERVAL);
        }
    }

    /// Packets that the recorder never got.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn send(&mut self, now: Instant) {
        let capacity = self.batch.len();
        match self.sender.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => {
                self.batch.reserve(capacity);
                self.packets = 0;
                self.due = None;
            }
            Err(TrySendError::Full(batch)) => {
                self.batch = batch;
                self.due = Some(now + TAP_INTERVAL);
            }
            Err(TrySendError::Disconnected(_)) => {
                self.dropped += self.packets as u64;
                self.packets = 0;
                self.due = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::LegId;
    use media::mixer::{Codec, Content, Payload, PlayId, Side};
    use media::packet::{RtpTimestamp, Ssrc};

    fn played(play: u64) -> Event {
        Event::Media(media::Event::Played {
            leg: LegId(1),
            play: PlayId(play),
        })
    }

    fn packet(timestamp: u32, at: Instant) -> Tap {
        Tap::Packet {
            recording: RecordingId(1),
            side: Side::Left,
            content: Content::Sound,
            volume: media::loudness::Volume::default(),
            codec: Codec::Pcmu,
            timestamp: RtpTimestamp(timestamp),
            ssrc: Ssrc(0),
            at,
            payload: Payload::new(&[]),
        }
    }

    #[test]
    fn events_that_find_the_channel_full_come_later_in_order() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut events = Events::new(sender);
        for play in 0..3 {
            events.push(played(play));
        }
        assert!(events.is_waiting());
        for play in 0..3 {
            let event = receiver.try_recv().unwrap();
            assert_eq!(format!("{event:?}"), format!("{:?}", played(play)));
            events.flush();
        }
        assert!(!events.is_waiting());
    }

    #[test]
    fn taps_leave_as_one_batch_when_20_ms_are_over() {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let mut taps = Taps::new(sender);
        let start = Instant::now();
        taps.push(packet(1, start), start);
        taps.push(packet(2, start), start + TAP_INTERVAL / 2);
        taps.flush(start + TAP_INTERVAL / 2);
        assert!(receiver.try_recv().is_err());
        taps.flush(start + TAP_INTERVAL);
        assert_eq!(receiver.try_recv().unwrap().len(), 2);
        assert_eq!(taps.next_flush(), None);
    }

    #[test]
    fn a_recorder_that_is_behind_loses_packets_but_never_an_end() {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let mut taps = Taps::new(sender);
        let now = Instant::now();
        let recording = RecordingId(1);
        taps.push(
            Tap::Start {
                recording,
                path: "a".into(),
                at: now,
            },
            now,
        );
        for timestamp in 0..3 * MAX_BATCH as u32 {
            taps.push(packet(timestamp, now), now);
        }
        taps.push(Tap::End { recording, at: now }, now);
        assert_eq!(
            taps.dropped(),
            MAX_BATCH as u64,
            "one batch in the channel, one here"
        );
        assert_eq!(receiver.try_recv().unwrap().len(), MAX_BATCH + 1);
        taps.flush(now + TAP_INTERVAL);
        let rest = receiver.try_recv().unwrap();
        assert!(matches!(rest.last(), Some(Tap::End { .. })));
        taps.end_all(now);
        assert_eq!(taps.next_flush(), None, "no recording is open");
    }
}
