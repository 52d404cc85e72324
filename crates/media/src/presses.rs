//! Keys that a leg's peer is to hear, one after the other: by reports (RFC 4733) where that was agreed on, else as tones.

use std::collections::VecDeque;

use crate::dtmf;
use crate::inband;
use crate::packet::RtpTimestamp;

/// Frames that a key is down: 100 ms, as phones do.
const DOWN: u16 = 5;
/// Frames after it: three times the end is told (RFC 4733 section 2.5.1.4).
const UP: u16 = 3;
/// Keys that may wait: more than anybody presses in a second.
const MAX_WAITING: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Presses {
    waiting: VecDeque<char>,
    current: Option<Press>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: char,
    /// Frames of it that were sent.
    frames: u16,
    /// When it began on our time line, once something of it was sent.
    since: Option<RtpTimestamp>,
}

/// What a frame of a press is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    press: Press,
}

impl Presses {
    pub(crate) fn push(&mut self, key: char) {
        if self.waiting.len() < MAX_WAITING && dtmf::event_of(key).is_some() {
            self.waiting.push_back(key);
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Option<Step> {
        let press = match self.current {
            Some(press) => press,
            None => Press {
                key: self.waiting.pop_front()?,
                frames: 0,
                since: None,
            },
        };
        let frames = press.frames + 1;
        self.current = (frames < DOWN + UP).then_some(Press { frames, ..press });
        Some(Step { press })
    }

    /// The press began at this timestamp.
    pub(crate) fn begin(&mut self, since: RtpTimestamp) {
        if let Some(press) = &mut self.current {
            press.since.get_or_insert(since);
        }
    }
}

impl Step {
    /// When the press began; none: now.
    pub(crate) fn since(&self) -> Option<RtpTimestamp> {
        self.press.since
    }

    /// As a report (RFC 4733 section 2.3), at a clock of so many ticks in 20 ms.
    pub(crate) fn report(&self, ticks: u32) -> [u8; 4] {
        let Press { key, frames, .. } = self.press;
        let ends = if frames < DOWN { 0 } else { 0x80 };
        let duration = u32::from((frames + 1).min(DOWN)) * ticks;
        let [high, low] = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
        [dtmf::event_of(key).unwrap_or(0), ends | 10, high, low]
    }

    /// As sound, 20 ms at 8 kHz.
    pub(crate) fn sound(&self, frame: &mut [i16]) {
        let Press { key, frames, .. } = self.press;
        if frames < DOWN {
            inband::fill(key, usize::from(frames) * frame.len(), frame);
        } else {
            frame.fill(0);
        }
    }
}
