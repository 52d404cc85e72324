//! The voice and the ear of a test phone: RTP with G.711, 20 ms a packet.

use std::f64::consts::TAU;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use media::g711::Law;
use sip::sdp::{Agreed, AudioCodec};

/// Samples of a packet.
const FRAME: usize = 160;
/// How loud the phone speaks: 10 dB below the loudest, as people do.
const AMPLITUDE: f64 = 10_000.0;
/// Octets before the payload: no CSRC, no extension (RFC 3550 section 5.1).
const HEADER: usize = 12;

/// All that a phone heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// When the first packet came.
    pub(super) first: Option<Instant>,
    /// 8 kHz.
    pub(super) samples: Vec<i16>,
}

pub(super) struct Audio {
    socket: UdpSocket,
    local: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    agreed: Option<Agreed>,
    /// The phone is in a call.
    running: bool,
    hz: Option<f64>,
    spoken: u32,
    sequence: u16,
}

impl Audio {
    pub(super) fn open(local: SocketAddr, heard: Arc<Mutex<Heard>>) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            heard,
            agreed: None,
            running: false,
            hz: None,
            spoken: 0,
            sequence: 0,
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// What SDP agreed on; the phone is silent until `resume`.
    pub(super) fn agree(&mut self, agreed: Agreed) {
        self.agreed = Some(agreed);
    }

    pub(super) fn resume(&mut self) {
        self.running = true;
    }

    pub(super) fn start(&mut self, agreed: Agreed) {
        self.agree(agreed);
        self.resume();
    }

    pub(super) fn stop(&mut self) {
        self.running = false;
        self.hz = None;
    }

    pub(super) fn speak(&mut self, hz: f64) {
        self.hz = Some(hz);
    }

    /// 20 ms are over: takes what came and sends one packet.
    pub(super) fn tick(&mut self) {
        let Some(agreed) = self.agreed else { return };
        // Its session has no other codecs.
        let law = if agreed.codec == AudioCodec::Pcmu {
            Law::Mu
        } else {
            Law::A
        };
        let mut packet = [0; 1_500];
        while let Ok(length) = self.socket.recv(&mut packet) {
            let is_speech =
                length > HEADER && packet[0] == 0x80 && packet[1] & 0x7f == agreed.payload_type;
            if is_speech && let Ok(mut heard) = self.heard.lock() {
                heard.first.get_or_insert_with(Instant::now);
                heard.samples.extend(
                    packet[HEADER..length]
                        .iter()
                        .map(|octet| law.decode(*octet)),
                );
            }
        }
        if self.running {
            let packet = self.packet(law, agreed.payload_type);
            // A lost packet is a click; the story measures levels.
            let _ = self.socket.send_to(&packet, agreed.remote);
        }
    }

    fn packet(&mut self, law: Law, payload_type: u8) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEADER + FRAME);
        packet.extend([0x80, payload_type]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.spoken.to_be_bytes());
        // One phone, one stream: the port is as good as a random SSRC here.
        packet.extend(u32::from(self.local.port()).to_be_bytes());
        for n in 0..FRAME as u32 {
            let time = f64::from(self.spoken + n) / 8_000.0;
            let sample = self
                .hz
                .map_or(0.0, |hz| AMPLITUDE * (TAU * hz * time).sin());
            packet.push(law.encode(sample as i16));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.spoken += FRAME as u32;
        packet
    }
}
