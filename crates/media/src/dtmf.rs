//! Keys pressed on the peer's phone, sent as telephone-event (RFC 4733).

use crate::packet::RtpTimestamp;
use crate::receiver::StreamNumber;

/// Octets of one event report (RFC 4733 section 2.3).
const REPORT_OCTETS: usize = 4;

/// Events in one packet that are looked at (RFC 4733 section 2.5.1.5); no one presses more keys in 20 ms.
const MAX_REPORTS: usize = 4;

/// The longest duration that a report can carry, in samples (8.2 s); a longer press goes on in another segment.
const MAX_DURATION: u16 = u16::MAX;

/// The keys of events 0 to 15 (RFC 4733 table 3).
const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// Tells one press from the next, however often each is reported.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    /// The press reported last.
    last: Option<Press>,
}

#[derive(Debug)]
struct Press {
    stream: StreamNumber,
    event: u8,
    /// The timestamp of its newest segment: RFC 4733 section 2.5.1.2, it names the press in all of its reports.
    start: RtpTimestamp,
    ended: bool,
}

impl Keypad {
    /// Takes the payload of a telephone-event packet; calls `pressed` once for each new press.
    pub(crate) fn take(
        &mut self,
        stream: StreamNumber,
        timestamp: RtpTimestamp,
        payload: &[u8],
        mut pressed: impl FnMut(char),
    ) {
        let mut start = timestamp;
        for report in payload.chunks_exact(REPORT_OCTETS).take(MAX_REPORTS) {
            let duration = u16::from_be_bytes([report[2], report[3]]);
            // RFC 4733 section 2.3.5: no duration at all belongs to states, and no key is one.
            if duration == 0 {
                continue;
            }
            if let Some(key) = self.report(stream, report[0], start, report[1] & 0x80 != 0) {
                pressed(key);
            }
            // RFC 4733 section 2.5.1.5: the next event of a packet begins where this one ended.
            start = start.advanced(u32::from(duration));
        }
    }

    fn report(
        &mut self,
        stream: StreamNumber,
        event: u8,
        start: RtpTimestamp,
        ended: bool,
    ) -> Option<char> {
        let last = self.last.as_mut().filter(|last| last.stream == stream);
        if let Some(last) = last {
            let since = start.since(last.start);
            // RFC 4733 section 2.5.1.3: a long press goes on in a segment that begins where the full one before it ended.
            let goes_on = event == last.event && !last.ended && since == i32::from(MAX_DURATION);
            if goes_on {
                last.start = start;
            }
            if since == 0 || goes_on {
                last.ended |= ended;
                return None;
            }
            // A late report of a press before the last one.
            if since < 0 {
                return None;
            }
        }
        self.last = Some(Press {
            stream,
            event,
            start,
            ended,
        });
        KEYS.get(usize::from(event)).copied()
    }
}

/// The event of a key.
pub(crate) fn event_of(key: char) -> Option<u8> {
    let place = KEYS.iter().position(|other| *other == key)?;
    u8::try_from(place).ok()
}

/// Writes the durations of reports for another clock, one of the two rates in Hz.
pub(crate) fn rescale(payload: &mut [u8], from: u32, to: u32) {
    if from == to {
        return;
    }
    for report in payload.chunks_exact_mut(REPORT_OCTETS) {
        let duration = u32::from(u16::from_be_bytes([report[2], report[3]]));
        let scaled = u64::from(duration) * u64::from(to) / u64::from(from.max(1));
        let scaled = u16::try_from(scaled).unwrap_or(MAX_DURATION);
        report[2..].copy_from_slice(&scaled.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamNumber = StreamNumber(1);
    const END: u8 = 0x80;

    /// The keys heard when these reports come: event, flags, timestamp, duration.
    fn keys(reports: &[(u8, u8, u32, u16)]) -> String {
        let mut keypad = Keypad::default();
        let mut heard = String::new();
        for &(event, flags, timestamp, duration) in reports {
            let [high, low] = duration.to_be_bytes();
            keypad.take(
                STREAM,
                RtpTimestamp(timestamp),
                &[event, flags | 10, high, low],
                |key| heard.push(key),
            );
        }
        heard
    }

    #[test]
    fn a_press_is_told_once_however_often_it_is_reported() {
        assert_eq!(
            keys(&[
                (5, 0, 1000, 160),
                (5, 0, 1000, 320),
                (5, 0, 1000, 480),
                (5, END, 1000, 640),
                (5, END, 1000, 640),
                (5, END, 1000, 640)
            ]),
            "5"
        );
    }

    #[test]
    fn the_same_key_twice_is_two_presses() {
        assert_eq!(
            keys(&[
                (1, 0, 1000, 160),
                (1, END, 1000, 640),
                (1, 0, 3000, 160),
                (1, END, 3000, 640)
            ]),
            "11"
        );
    }

    #[test]
    fn a_press_is_told_even_if_only_its_last_report_comes() {
        assert_eq!(keys(&[(7, END, 1000, 640)]), "7");
    }

    #[test]
    fn a_lost_end_does_not_join_two_presses() {
        assert_eq!(
            keys(&[
                (3, 0, 1000, 160),
                (3, 0, 1000, 320),
                (3, 0, 4000, 160),
                (3, END, 4000, 640)
            ]),
            "33"
        );
    }

    #[test]
    fn a_late_report_of_an_earlier_press_is_not_another_press() {
        assert_eq!(
            keys(&[
                (1, 0, 1000, 160),
                (2, 0, 3000, 160),
                (1, END, 1000, 640),
                (2, END, 3000, 640)
            ]),
            "12"
        );
    }

    #[test]
    fn a_press_longer_than_a_report_can_say_is_still_one() {
        let second = 1000 + 0xffff;
        assert_eq!(
            keys(&[
                (9, 0, 1000, 0xfff0),
                (9, 0, 1000, 0xffff),
                (9, 0, second, 160),
                (9, 0, second, 320),
                (9, END, second, 480)
            ]),
            "9"
        );
    }

    #[test]
    fn a_press_right_after_the_end_of_a_long_one_is_another() {
        assert_eq!(
            keys(&[(9, END, 1000, 0xffff), (9, 0, 1000 + 0xffff, 160)]),
            "99"
        );
    }

    #[test]
    fn timestamps_may_wrap_between_presses() {
        assert_eq!(
            keys(&[(1, END, u32::MAX - 100, 80), (2, END, 700, 80)]),
            "12"
        );
    }

    #[test]
    fn all_sixteen_keys_have_their_character_and_a_hook_flash_has_none() {
        let reports: Vec<_> = (0..=16)
            .map(|event| (event, END, u32::from(event) * 2000, 640))
            .collect();
        assert_eq!(keys(&reports), "0123456789*#ABCD");
    }

    #[test]
    fn several_events_in_one_packet_are_several_presses() {
        let mut keypad = Keypad::default();
        let mut heard = String::new();
        let payload = [1, END, 1, 0x90, 2, END, 1, 0x90];
        for _ in 0..3 {
            keypad.take(STREAM, RtpTimestamp(5000), &payload, |key| heard.push(key));
        }
        assert_eq!(heard, "12");
    }

    #[test]
    fn short_payloads_and_durations_of_zero_are_nothing() {
        assert_eq!(keys(&[(1, 0, 1000, 0)]), "");
        let mut keypad = Keypad::default();
        keypad.take(STREAM, RtpTimestamp(0), &[1, 0, 1], |_| panic!("no key"));
        keypad.take(STREAM, RtpTimestamp(0), &[], |_| panic!("no key"));
    }

    #[test]
    fn a_stream_that_begins_anew_may_use_older_timestamps() {
        let mut keypad = Keypad::default();
        let mut heard = String::new();
        keypad.take(
            StreamNumber(1),
            RtpTimestamp(90_000),
            &[1, END, 1, 0],
            |key| heard.push(key),
        );
        keypad.take(StreamNumber(2), RtpTimestamp(10), &[1, END, 1, 0], |key| {
            heard.push(key)
        });
        assert_eq!(heard, "11");
    }
}
