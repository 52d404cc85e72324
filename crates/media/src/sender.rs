//! The stream that a leg's peer hears: one source, numbered and timed without a break, whoever feeds it.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::command::PortIndex;
use crate::packet::{
    Header, PayloadType, RtpTimestamp, SequenceNumber, Ssrc, ticks_in, time_of_ticks,
};
use crate::receiver::StreamNumber;
use crate::rtcp::Sending;

/// One outgoing RTP stream.
#[derive(Debug)]
pub(crate) struct Sender {
    ssrc: Ssrc,
    /// Ticks of the timestamps in a second.
    clock_rate: u32,
    /// The highest number sent.
    sequence: SequenceNumber,
    /// The timestamp of the sample after the last one sent ...
    timestamp: RtpTimestamp,
    /// ... and when that sample is due.
    due: Instant,
    feed: Feed,
    sent: u64,
    octets: u64,
}

/// Where the stream's packets come from. Each change begins a talk-spurt.
#[derive(Clone, Copy, Debug)]
enum Feed {
    Nothing,
    Frames,
    Relay(Relay),
}

/// How the numbers of an incoming stream become ours: loss, reordering and pauses of the talker stay as they are.
#[derive(Clone, Copy, Debug)]
struct Relay {
    talker: Talker,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// The first packet of the talker that has a number of ours: an older one would get a number that is taken.
    first: SequenceNumber,
}

/// An incoming stream: it begins anew with the SSRC, or when sequence or time jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Talker {
    pub(crate) port: PortIndex,
    pub(crate) stream: StreamNumber,
}

impl Sender {
    pub(crate) fn new(
        ssrc: Ssrc,
        sequence: SequenceNumber,
        timestamp: RtpTimestamp,
        clock_rate: u32,
        now: Instant,
    ) -> Self {
        Self {
            ssrc,
            clock_rate,
            sequence,
            timestamp,
            due: now,
            feed: Feed::Nothing,
            sent: 0,
            octets: 0,
        }
    }

    /// From now on timestamps count so many ticks in a second; they go on from where they are.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32, now: Instant) {
        if clock_rate != self.clock_rate {
            self.timestamp = self.timestamp_at(now);
            self.due = self.due.max(now);
            self.clock_rate = clock_rate;
            self.feed = Feed::Nothing;
        }
    }

    /// A packet leaves, with so many octets of payload.
    pub(crate) fn count(&mut self, octets: usize) {
        self.sent += 1;
        self.octets += octets as u64;
    }

    /// RTP packets sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// What there is to report of the stream.
    pub(crate) fn sending(&self, now: Instant) -> Sending {
        Sending {
            ssrc: self.ssrc,
            packets: self.sent,
            octets: self.octets,
            clock_rate: self.clock_rate,
            timestamp: self.timestamp_now(now),
        }
    }

    /// The header for a packet of `talker` on its way to our peer; None if it is older than the moment we turned to this talker.
    /// `ticks`: the time that its audio takes, 0 for a telephone-event.
    pub(crate) fn relay(
        &mut self,
        talker: Talker,
        header: &Header,
        payload_type: PayloadType,
        ticks: u32,
        now: Instant,
    ) -> Option<Header> {
        let (relay, begins) = match self.feed {
            Feed::Relay(relay) if relay.talker == talker => (relay, false),
            Feed::Relay(_) | Feed::Frames | Feed::Nothing => {
                (self.turn_to(talker, header, now), true)
            }
        };
        if header.sequence.since(relay.first) < 0 {
            return None;
        }
        let sequence = header.sequence.advanced(relay.sequence_offset);
        let timestamp = header.timestamp.advanced(relay.timestamp_offset);
        if sequence.since(self.sequence) > 0 {
            self.sequence = sequence;
        }
        let end = timestamp.advanced(ticks);
        if ticks > 0 && end.since(self.timestamp) > 0 {
            self.timestamp = end;
            self.due = now + time_of_ticks(ticks.into(), self.clock_rate);
        }
        // RFC 3551 section 4.1: the marker bit tells the listener that a talk-spurt begins, a good moment to adapt its playout.
        let marker = header.marker || begins;
        Some(Header {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
            payload: header.payload.clone(),
        })
    }

    fn turn_to(&mut self, talker: Talker, header: &Header, now: Instant) -> Relay {
        let relay = Relay {
            talker,
            sequence_offset: self.sequence.advanced(1).0.wrapping_sub(header.sequence.0),
            timestamp_offset: self.timestamp_at(now).0.wrapping_sub(header.timestamp.0),
            first: header.sequence,
        };
        self.feed = Feed::Relay(relay);
        relay
    }

    /// A packet of `talker` that our peer could not understand: it is left out without looking like a loss.
    pub(crate) fn leave_out(&mut self, talker: Talker, sequence: SequenceNumber) {
        if let Feed::Relay(relay) = &mut self.feed
            && relay.talker == talker
            && sequence
                .advanced(relay.sequence_offset)
                .since(self.sequence)
                == 1
        {
            relay.sequence_offset = relay.sequence_offset.wrapping_sub(1);
            relay.first = sequence.advanced(1);
        }
    }

    /// The header for a frame of 20 ms that is due at `due`.
    pub(crate) fn frame(&mut self, payload_type: PayloadType, due: Instant) -> rtp::header::Header {
        let marker = !matches!(self.feed, Feed::Frames);
        self.feed = Feed::Frames;
        self.sequence = self.sequence.advanced(1);
        let timestamp = self.timestamp_at(due);
        self.timestamp = timestamp.advanced(self.clock_rate / FRAMES_PER_SECOND);
        self.due = due + FRAME;
        rtp::header::Header {
            version: 2,
            marker,
            payload_type: payload_type.0,
            sequence_number: self.sequence.0,
            timestamp: timestamp.0,
            ssrc: self.ssrc.0,
            ..rtp::header::Header::default()
        }
    }

    /// The header for a report of a key, where the sound beside it is not relayed: the event begins at `since`, on our time line (RFC 4733 section 2.5.1.2); None: now.
    pub(crate) fn event(
        &mut self,
        payload: Range<usize>,
        payload_type: PayloadType,
        since: Option<RtpTimestamp>,
        now: Instant,
    ) -> Header {
        self.feed = Feed::Nothing;
        self.sequence = self.sequence.advanced(1);
        Header {
            marker: since.is_none(),
            payload_type,
            sequence: self.sequence,
            timestamp: since.unwrap_or_else(|| self.timestamp_at(now)),
            ssrc: self.ssrc,
            payload,
        }
    }

    /// Nothing goes out for now; what comes next begins a talk-spurt, at the timestamp of its time.
    pub(crate) fn pause(&mut self) {
        self.feed = Feed::Nothing;
    }

    /// The timestamp of a sample of this moment: unlike those that are sent it may lie before the last.
    fn timestamp_now(&self, now: Instant) -> RtpTimestamp {
        let ahead = self.due.saturating_duration_since(now);
        let back = ticks_in(ahead, self.clock_rate) as u32;
        self.timestamp_at(now).advanced(back.wrapping_neg())
    }

    /// RFC 3550 section 5.1: the timestamp runs on with the clock while nothing is sent, and never back.
    fn timestamp_at(&self, now: Instant) -> RtpTimestamp {
        // Modulo 2^32 as every RTP timestamp.
        self.timestamp
            .advanced(ticks_in(now.saturating_duration_since(self.due), self.clock_rate) as u32)
    }
}

/// The time between frames.
pub(crate) const FRAME: Duration = Duration::from_millis(20);
pub(crate) const FRAMES_PER_SECOND: u32 = 50;
