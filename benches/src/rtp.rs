//! One direction out and one in: 20 ms packets of marked PCMU, so that every lost one is counted, or of speech.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::speech::Speech;
use crate::srtp::{Key, Protection};

/// Between two packets of a stream.
pub(crate) const PACKET_TIME: Duration = Duration::from_millis(20);

/// RTP header and 160 octets of PCMU.
pub(crate) const PACKET_OCTETS: usize = HEADER_OCTETS + 160;
const HEADER_OCTETS: usize = 12;

/// The SSRC of stream 0; that of each other stream is so many more.
pub(crate) const FIRST_SSRC: u32 = 0x1000_0000;

/// At the head of a payload: this packet is counted. As PCMU it is a click, and no switch here looks at it.
const MARK: u32 = 0x524d_424d;

/// What a stream sent and got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Marked packets sent.
    pub(crate) sent: u64,
    /// Different marked packets received.
    pub(crate) received: u64,
    /// Marked packets that came again.
    pub(crate) duplicates: u64,
    /// Marked packets of a stream that this one should not hear.
    pub(crate) foreign: u64,
    /// From the other side's send call to our receive call, in microseconds.
    pub(crate) delays: Vec<u32>,
    /// Packets received, of streams that hear what cannot be marked: sound that the switch decodes, mixes or makes.
    pub(crate) heard: u64,
    /// Sequence numbers that are missing between those.
    pub(crate) gaps: u64,
    /// Those that hold no sound.
    pub(crate) silent: u64,
}

/// A socket with a stream out and a stream in.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: UdpSocket,
    local: SocketAddr,
    id: u32,
    /// Where to, and the stream that must come back.
    partner: Option<(SocketAddr, u32)>,
    /// What it says; none: marked packets. Who says something hears what cannot be marked, too.
    speech: Option<Arc<Speech>>,
    protection: Option<Protection>,
    packet: Vec<u8>,
    /// The newest sequence number that came, of what cannot be marked.
    newest: Option<u16>,
    sequence: u16,
    timestamp: u32,
    /// One bit for every marked packet of the partner that came.
    seen: Vec<u64>,
    tally: Tally,
}

impl Stream {
    /// A stream on a free loopback port; `id` is its mark.
    pub(crate) fn new(id: u32) -> Result<Self, String> {
        let open = || {
            let socket = UdpSocket::bind(("127.0.0.1", 0))?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let (socket, local) =
            open().map_err(|error: std::io::Error| format!("no socket for RTP: {error}"))?;
        let mut packet = vec![0xd5; PACKET_OCTETS];
        packet[..HEADER_OCTETS].fill(0);
        packet[0] = 0x80;
        packet[8..12].copy_from_slice(&(FIRST_SSRC + id).to_be_bytes());
        let sequence = (id.wrapping_mul(40_503) & 0x7fff) as u16;
        Ok(Self {
            socket,
            local,
            id,
            partner: None,
            speech: None,
            protection: None,
            packet,
            newest: None,
            sequence,
            timestamp: id.wrapping_mul(7_919),
            seen: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Where the stream listens.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends to `to` from now, and expects to hear `partner`.
    pub(crate) fn connect(&mut self, to: SocketAddr, partner: u32) {
        self.partner = Some((to, partner));
    }

    /// Sends nothing from now.
    pub(crate) fn disconnect(&mut self) {
        self.partner = None;
    }

    /// Says that from now, and hears what cannot be marked.
    pub(crate) fn say(&mut self, speech: Arc<Speech>) {
        self.speech = Some(speech);
    }

    /// Talks encrypted from now.
    pub(crate) fn encrypt(&mut self, ours: &Key, theirs: &Key) -> Result<(), String> {
        self.protection = Some(Protection::new(ours, theirs)?);
        Ok(())
    }

    /// Packets heard since they were counted, of who hears what cannot be marked.
    pub(crate) fn heard(&self) -> Option<u64> {
        self.speech.as_ref().map(|_| self.tally.heard)
    }

    /// Takes what was counted and begins anew.
    pub(crate) fn take_tally(&mut self) -> Tally {
        self.seen.clear();
        std::mem::take(&mut self.tally)
    }

    /// Sends the next packet; false: nobody to send to.
    pub(crate) fn send(&mut self, marked: bool, since_start: Duration) -> bool {
        let Some((to, _)) = self.partner else {
            return false;
        };
        self.packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        let ticks = match &self.speech {
            None => self.write_mark(marked, since_start),
            Some(speech) => {
                let turn = self.id.wrapping_mul(37) as usize + usize::from(self.sequence);
                self.packet[1] = speech.payload_type;
                self.packet.truncate(HEADER_OCTETS);
                self.packet.extend(speech.payload(turn));
                speech.ticks
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        // A full socket buffer is loss like any other: it is counted as sent and missed at the other end.
        let _ = match &mut self.protection {
            None => self.socket.send_to(&self.packet, to),
            Some(protection) => match protection.protect(&self.packet) {
                Some(protected) => self.socket.send_to(protected.as_ref(), to),
                None => Ok(0),
            },
        };
        self.tally.sent += u64::from(marked);
        true
    }

    /// Gives what the clock of PCMU goes on by.
    fn write_mark(&mut self, marked: bool, since_start: Duration) -> u32 {
        self.packet[1] = 0;
        let payload = &mut self.packet[HEADER_OCTETS..];
        payload[..4].copy_from_slice(&if marked { MARK } else { 0 }.to_be_bytes());
        payload[4..8].copy_from_slice(&self.id.to_be_bytes());
        payload[8..16].copy_from_slice(&self.tally.sent.to_be_bytes());
        payload[16..24].copy_from_slice(&(since_start.as_micros() as u64).to_be_bytes());
        160
    }

    /// Reads one packet; false when there is none.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], start: Instant) -> bool {
        let length = match self.socket.recv(buffer) {
            Ok(length) => length,
            Err(error) => return error.kind() == ErrorKind::ConnectionRefused,
        };
        let plain = match &mut self.protection {
            None => Some(length),
            Some(protection) => protection.open(buffer, length),
        };
        match plain {
            // What is forged counts as lost.
            None => {}
            Some(length) if self.speech.is_some() => self.hear(&buffer[..length]),
            Some(PACKET_OCTETS) => {
                self.count(&buffer[HEADER_OCTETS..PACKET_OCTETS], start.elapsed());
            }
            Some(_) => {}
        }
        true
    }

    /// Counts a packet by its sequence number.
    fn hear(&mut self, packet: &[u8]) {
        let Some((header, payload)) = packet.split_at_checked(HEADER_OCTETS) else {
            return;
        };
        // RTCP that is meant for the stream one port below (RFC 5761 section 4 tells them apart).
        if (192..224).contains(&header[1]) {
            return;
        }
        let number = u16::from_be_bytes([header[2], header[3]]);
        let ahead = number.wrapping_sub(self.newest.unwrap_or(number.wrapping_sub(1)));
        match ahead {
            0 => {
                self.tally.duplicates += 1;
                return;
            }
            1..0x8000 => {
                self.tally.gaps += u64::from(ahead) - 1;
                self.newest = Some(number);
            }
            // A late one fills the gap that was counted.
            0x8000.. => self.tally.gaps = self.tally.gaps.saturating_sub(1),
        }
        self.tally.heard += 1;
        self.tally.silent += u64::from(is_silent(payload));
    }

    fn count(&mut self, payload: &[u8], since_start: Duration) {
        let word = |at: usize| payload[at..at + 4].try_into().map_or(0, u32::from_be_bytes);
        let long = |at: usize| payload[at..at + 8].try_into().map_or(0, u64::from_be_bytes);
        if word(0) != MARK {
            return;
        }
        if self.partner.is_some_and(|(_, partner)| partner != word(4)) {
            self.tally.foreign += 1;
            return;
        }
        let number = long(8) as usize;
        let (index, bit) = (number / 64, 1 << (number % 64));
        if self.seen.len() <= index {
            self.seen.resize(index + 1, 0);
        }
        if self.seen[index] & bit != 0 {
            self.tally.duplicates += 1;
            return;
        }
        self.seen[index] |= bit;
        self.tally.received += 1;
        self.tally
            .delays
            .push((since_start.as_micros() as u64).saturating_sub(long(16)) as u32);
    }
}

/// Whether a payload of PCMU holds nothing but zeros and the smallest steps; one of Opus, whether it is as short as silence.
fn is_silent(payload: &[u8]) -> bool {
    payload.len() < 16 || payload.iter().all(|octet| octet & 0x7f >= 0x7c)
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lost_doubled_or_foreign_packet_is_counted() {
        let start = Instant::now();
        let (mut a, mut b, mut stranger) = (
            Stream::new(1).unwrap(),
            Stream::new(2).unwrap(),
            Stream::new(3).unwrap(),
        );
        a.connect(b.local(), 2);
        b.connect(a.local(), 1);
        stranger.connect(b.local(), 2);
        let mut buffer = [0; 2048];
        for number in 0..100 {
            a.send(true, start.elapsed());
            // One packet of a hundred is read by nobody.
            while b.receive(&mut buffer, start) {}
            if number == 50 {
                b.seen[0] |= 1 << 63;
            }
        }
        stranger.send(true, start.elapsed());
        a.send(false, start.elapsed());
        while b.receive(&mut buffer, start) {}
        let (sent, got) = (a.take_tally(), b.take_tally());
        assert_eq!(
            (sent.sent, got.received, got.duplicates, got.foreign),
            (100, 99, 1, 1)
        );
        assert_eq!(got.delays.len(), 99);
    }

    #[test]
    fn sound_that_cannot_be_marked_is_counted_by_its_numbers() {
        let start = Instant::now();
        let speech = Arc::new(Speech::pcmu());
        let (mut a, mut b) = (Stream::new(1).unwrap(), Stream::new(2).unwrap());
        for stream in [&mut a, &mut b] {
            stream.say(Arc::clone(&speech));
        }
        let (one, two) = (Key::of("1"), Key::of("2"));
        a.encrypt(&one, &two).unwrap();
        b.encrypt(&two, &one).unwrap();
        a.connect(b.local(), 2);
        let mut buffer = [0; 2048];
        for number in 0..100 {
            a.send(true, start.elapsed());
            if number % 10 == 5 {
                // One that never comes.
                b.socket.recv(&mut buffer).unwrap();
            }
            while b.receive(&mut buffer, start) {}
        }
        let got = b.take_tally();
        assert_eq!((got.heard, got.gaps, got.duplicates), (90, 10, 0));
        assert!(got.silent < 50, "{got:?}");
    }
}
