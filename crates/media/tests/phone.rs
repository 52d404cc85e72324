//! Phones that talk RTP, and the mixer between them, in virtual time.
//!
//! Packets are written and read with webrtc-rs `rtp`, not with our own code.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::g711::Law;
use media::mixer::{
    Codec, Component, Limits, OUTPUT_OCTETS, Port, PortIndex, Rtcp, Security, StreamSettings, Tap,
    TelephoneEvent,
};
use media::srtp::MAX_TAG_OCTETS;
use media::{Command, Event, LegId, Mixer, Output, Transmit};
use webrtc_util::marshal::{Marshal, Unmarshal};

pub(crate) const FRAME: Duration = Duration::from_millis(20);
pub(crate) const LIMITS: Limits = Limits {
    rtp_timeout: Duration::from_secs(30),
    hold_timeout: Duration::from_secs(1800),
};

/// A packet that the mixer sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) port: PortIndex,
    pub(crate) to: SocketAddr,
    pub(crate) packet: rtp::packet::Packet,
}

/// RTCP that the mixer sent.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) at: Duration,
    pub(crate) port: PortIndex,
    pub(crate) component: Component,
    pub(crate) to: SocketAddr,
    pub(crate) octets: Vec<u8>,
}

/// The mixer, its clock and all that came out of it.
pub(crate) struct World {
    pub(crate) mixer: Mixer,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Sent>,
    /// What else left: of STUN and DTLS ...
    pub(crate) letters: Vec<(PortIndex, SocketAddr, Vec<u8>)>,
    /// ... and of RTCP.
    pub(crate) reports: Vec<Report>,
    /// All but the figures that are told each second.
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) figures: Vec<(Duration, LegId, media::mixer::StreamStats)>,
    pub(crate) taps: Vec<Tap>,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "an instant to count from; it never moves by itself"
    )]
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        Self {
            mixer: Mixer::new(LIMITS, 7),
            start,
            now: start,
            sent: Vec::new(),
            letters: Vec::new(),
            reports: Vec::new(),
            events: Vec::new(),
            figures: Vec::new(),
            taps: Vec::new(),
        }
    }

    /// A phone with an open leg.
    pub(crate) fn phone(&mut self, number: u16, codec: Codec) -> Phone {
        let phone = Phone::new(number, codec);
        self.open(&phone);
        phone
    }

    /// Opens the phone's leg.
    pub(crate) fn open(&mut self, phone: &Phone) {
        let (leg, port, settings) = (phone.leg, phone.port(), phone.settings);
        self.command(Command::Open {
            leg,
            port,
            settings,
        });
    }

    /// The world's time of a moment.
    pub(crate) fn since_start(&self, moment: Instant) -> Duration {
        moment - self.start
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.mixer.handle_command(command, self.now);
        self.drain();
    }

    /// A datagram comes to a phone's port.
    pub(crate) fn receive(&mut self, port: PortIndex, source: SocketAddr, mut datagram: Vec<u8>) {
        let length = datagram.len();
        datagram.resize(length + MAX_TAG_OCTETS, 0);
        let now = self.now;
        let transmit = self
            .mixer
            .handle_packet(port, source, &mut datagram, length, now);
        if let Some(transmit) = transmit {
            self.note(transmit, &datagram);
        }
        self.drain();
    }

    /// The phone sends a packet from its own address.
    pub(crate) fn send(&mut self, phone: &Phone, packet: &rtp::packet::Packet) {
        self.receive(
            phone.port().index,
            phone.address,
            packet
                .marshal()
                .expect("a packet that can be written")
                .to_vec(),
        );
    }

    /// Lets time pass, waking the mixer whenever it wants.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.mixer.poll_timeout().filter(|&(at, _)| at <= end) {
            self.now = self.now.max(at);
            self.mixer.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The driver sleeps until `then`, whatever the mixer wants.
    pub(crate) fn wake_at(&mut self, then: Instant) {
        self.now = then;
        self.mixer.handle_timeout(then);
        self.drain();
    }

    /// The phones talk, a tone each, a packet each 20 ms.
    pub(crate) fn talk(&mut self, phones: &mut [(&mut Phone, f64)], time: Duration) {
        for _ in 0..time.as_millis() / FRAME.as_millis() {
            for (phone, hz) in &mut *phones {
                let packet = phone.tone(*hz);
                self.send(phone, &packet);
            }
            self.run(FRAME);
        }
    }

    /// What left for the phone's leg since the last call, in order.
    pub(crate) fn heard(&mut self, phone: &Phone) -> Vec<Sent> {
        let (heard, rest) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|sent| sent.port == phone.port().index);
        self.sent = rest;
        heard
    }

    /// The events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
            .into_iter()
            .map(|(_, event)| event)
            .collect()
    }

    fn drain(&mut self) {
        let mut buffer = [0; OUTPUT_OCTETS];
        while let Some(output) = self.mixer.poll_output(&mut buffer) {
            match output {
                Output::Send(transmit) => self.note(transmit, &buffer),
                Output::Event(Event::Figures { leg, stats }) => {
                    self.figures.push((self.now - self.start, leg, stats));
                }
                Output::Event(event) => self.events.push((self.now - self.start, event)),
                Output::Tap(tap) => self.taps.push(tap),
            }
        }
    }

    fn note(&mut self, transmit: Transmit, datagram: &[u8]) {
        let datagram = &datagram[..transmit.len];
        if (200..=207).contains(&datagram[1]) {
            return self.reports.push(Report {
                at: self.now - self.start,
                port: transmit.port,
                component: transmit.component,
                to: transmit.to,
                octets: datagram.to_vec(),
            });
        }
        assert_eq!(transmit.component, Component::Rtp);
        if datagram[0] < 128 {
            let letter = (transmit.port, transmit.to, datagram.to_vec());
            return self.letters.push(letter);
        }
        let packet =
            rtp::packet::Packet::unmarshal(&mut &datagram[..]).expect("the mixer sends RTP");
        self.sent.push(Sent {
            at: self.now - self.start,
            port: transmit.port,
            to: transmit.to,
            packet,
        });
    }
}

/// A phone: its side of a leg.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) leg: LegId,
    pub(crate) address: SocketAddr,
    pub(crate) settings: StreamSettings,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// Samples of tone spoken.
    spoken: u32,
}

impl Phone {
    pub(crate) fn new(number: u16, codec: Codec) -> Self {
        let address = SocketAddr::from(([10, 0, 0, 1], 40_000 + number));
        let payload_type = match codec {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Opus => 111,
            Codec::L16Narrow => 112,
            Codec::L16Wide => 113,
            Codec::G729 => 18,
            Codec::Gsm => 3,
        };
        let clock_rate = codec.clock_rate();
        let settings = StreamSettings {
            remote: address,
            signalling_host: Some(address.ip()),
            codec,
            payload_type,
            receive_payload_type: payload_type,
            telephone_event: Some(TelephoneEvent {
                payload_type: 101,
                clock_rate,
            }),
            comfort_noise: None,
            dtx: false,
            loudness: media::loudness::Loudness::default(),
            send: true,
            receive: true,
            security: Security::Plain,
            rtcp: Rtcp::Port(SocketAddr::from(([10, 0, 0, 1], 50_000 + number))),
        };
        let n = u32::from(number);
        Self {
            leg: LegId(u64::from(number)),
            address,
            settings,
            ssrc: 0xabc0_0000 + n,
            sequence: 65_530,
            timestamp: u32::MAX - 3000 * n,
            spoken: 0,
        }
    }

    pub(crate) fn port(&self) -> Port {
        let index = self.leg.0 as u16;
        Port {
            worker: 0,
            index: PortIndex(index),
            local: SocketAddr::from(([10, 0, 0, 100], 20_000 + index)),
        }
    }

    /// The next packet: 20 ms of a tone at -6 dB.
    pub(crate) fn tone(&mut self, hz: f64) -> rtp::packet::Packet {
        let step = std::f64::consts::TAU * hz / 8000.0;
        let from = self.spoken;
        self.spoken += 160;
        let sample = |n| ((f64::from(n) * step).sin() * 16_384.0) as i16;
        let samples: Vec<i16> = (from..self.spoken).map(sample).collect();
        self.say(&samples)
    }

    /// The next packet, with these samples.
    pub(crate) fn say(&mut self, samples: &[i16]) -> rtp::packet::Packet {
        let law = self
            .settings
            .codec
            .law()
            .expect("a phone that speaks G.711");
        let payload: Vec<u8> = samples.iter().map(|&sample| law.encode(sample)).collect();
        let packet = self.packet(self.settings.payload_type, payload);
        self.timestamp = self.timestamp.wrapping_add(samples.len() as u32);
        packet
    }

    /// The next packet, with a payload of any kind; the timestamp stays.
    pub(crate) fn packet(&mut self, payload_type: u8, payload: Vec<u8>) -> rtp::packet::Packet {
        let header = rtp::header::Header {
            version: 2,
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        rtp::packet::Packet {
            header,
            payload: payload.into(),
        }
    }
}

/// The samples of packets, in the codec of their payload type, laid one behind the other.
pub(crate) fn samples(packets: &[Sent]) -> Vec<i16> {
    let decode = |sent: &Sent| {
        let law = if sent.packet.header.payload_type == 8 {
            Law::A
        } else {
            Law::Mu
        };
        sent.packet
            .payload
            .iter()
            .map(|&octet| law.decode(octet))
            .collect::<Vec<_>>()
    };
    packets.iter().flat_map(decode).collect()
}

/// One source, numbers without a gap, time that never goes back and runs with the clock.
pub(crate) fn assert_continuous(packets: &[Sent]) {
    assert_continuous_at(packets, 8_000);
}

/// The same with timestamps of another clock.
pub(crate) fn assert_continuous_at(packets: &[Sent], clock_rate: u32) {
    let frame = clock_rate / 50;
    for (n, pair) in packets.windows(2).enumerate() {
        let (one, two) = (&pair[0].packet.header, &pair[1].packet.header);
        assert_eq!(one.ssrc, two.ssrc, "packet {n}");
        assert_eq!(
            one.sequence_number.wrapping_add(1),
            two.sequence_number,
            "packet {n}"
        );
        let advance = two.timestamp.wrapping_sub(one.timestamp);
        let elapsed =
            (pair[1].at - pair[0].at).as_micros() as i64 * i64::from(clock_rate / 1000) / 1000;
        assert!(
            advance >= frame && (i64::from(advance) - elapsed).abs() <= i64::from(frame),
            "packet {n}: {advance} ticks in {elapsed}"
        );
    }
}
