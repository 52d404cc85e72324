//! What a phone says and hears: RTP of 20 ms.

use std::net::SocketAddr;
use std::time::Duration;

use media::g711::Law;
use media::tone::sine;

use super::{Phone, PhoneState};

/// Samples in 20 ms.
const FRAME: usize = 160;

/// The keys of events 0 to 15 (RFC 4733 table 3).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

impl Phone {
    /// Whether it sends RTP now: in a call, or while it rings with early media.
    pub(crate) fn speaks_now(&self) -> bool {
        let early = self.early_media && self.state() == PhoneState::Ringing;
        !self.mute && (early || self.state() == PhoneState::Talking)
    }

    /// The phone's next 20 ms of RTP, if it talks.
    pub(crate) fn next_packet(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        if !self.speaks_now() || !self.alive {
            return None;
        }
        let frame = self.next_frame();
        let pattern = self.says();
        let line = self.line.as_mut()?;
        let to = line.rtp?;
        line.sequence = line.sequence.wrapping_add(1);
        line.timestamp = line.timestamp.wrapping_add(FRAME as u32);
        if let Some((payload_type, payload)) = pattern {
            let (sequence, time) = (line.sequence, line.timestamp);
            let packet = rtp(payload_type, sequence, time, line.caller, &payload);
            return Some((to, packet));
        }
        let payload: Vec<u8> = frame
            .iter()
            .map(|sample| line.codec.encode(*sample))
            .collect();
        let payload_type = match line.codec {
            Law::Mu => 0,
            Law::A => 8,
        };
        Some((
            to,
            rtp(
                payload_type,
                line.sequence,
                line.timestamp,
                line.caller,
                &payload,
            ),
        ))
    }

    /// The three packets of a key press (RFC 4733), as phones send them when the key is let go.
    pub(crate) fn key_packets(&mut self, digit: char) -> Vec<(SocketAddr, Vec<u8>)> {
        let event = KEYS.iter().position(|key| char::from(*key) == digit);
        let event = event.expect("a key of the phone") as u8;
        let Some(line) = &mut self.line else {
            return Vec::new();
        };
        let Some(to) = line.rtp else {
            return Vec::new();
        };
        let timestamp = line.timestamp;
        (0..3)
            .map(|_| {
                line.sequence = line.sequence.wrapping_add(1);
                (
                    to,
                    rtp(
                        101,
                        line.sequence,
                        timestamp,
                        line.caller,
                        &[event, 0x8A, 0x03, 0x20],
                    ),
                )
            })
            .collect()
    }

    fn next_frame(&mut self) -> Vec<i16> {
        let Some(hz) = self.speaks else {
            return vec![0; FRAME];
        };
        if self.voice.len() < FRAME {
            self.voice = sine(hz, 8_000, Duration::from_secs(1));
            self.voice.reverse();
        }
        let rest = self.voice.len() - FRAME;
        let mut frame = self.voice.split_off(rest);
        frame.reverse();
        frame
    }

    pub(crate) fn hear(&mut self, packet: &[u8]) {
        let Some(line) = &self.line else { return };
        if !self.formats.is_empty() {
            self.got = Some((packet[1] & 0x7F, packet[12..].to_vec()));
            return;
        }
        let codec = match packet.get(1).map(|octet| octet & 0x7F) {
            Some(0) => Law::Mu,
            Some(8) => Law::A,
            Some(101) => return self.hear_key(packet),
            Some(_) | None => return,
        };
        let early = line.state == PhoneState::RingingBack && line.rtp.is_some();
        if early || line.state == PhoneState::Talking {
            self.heard
                .extend(packet[12..].iter().map(|octet| codec.decode(*octet)));
        }
    }

    /// A report of a key: the first has the marker.
    fn hear_key(&mut self, packet: &[u8]) {
        let key = packet
            .get(12)
            .and_then(|event| KEYS.get(usize::from(*event)));
        self.keys.extend(
            key.filter(|_| packet[1] & 0x80 != 0)
                .map(|key| char::from(*key)),
        );
    }
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, caller: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(if caller { 0x1111_1111u32 } else { 0x2222_2222 }.to_be_bytes());
    packet.extend(payload);
    packet
}
