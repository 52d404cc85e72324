//! RTP between the phones and the switch, and what the mixer has to say.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::mixer::{
    Command, Event, LegId, Mixer, OUTPUT_OCTETS, Port, RecordingId, StreamStats, Tap,
};
use media::recording::Aligner;
use media::srtp::MAX_TAG_OCTETS;

use super::{FRAME, Media, PhoneId, Recorder, World};

impl World {
    /// A phone's user presses a key.
    pub fn press(&mut self, phone: PhoneId, digit: char) {
        let now = self.now;
        for (to, packet) in self.phones[phone.0].key_packets(digit) {
            let from = self.phones[phone.0].rtp();
            self.rtp_to_switch(from, to, packet, now);
        }
        self.pump();
    }

    pub(super) fn command(&mut self, worker: u16, command: Command) {
        if self.worker_is_stuck {
            return;
        }
        if let Command::Open { leg, port, .. } = command
            && self.ports_are_broken
        {
            let stats = StreamStats::default();
            return self.media_event(Event::Closed { leg, port, stats });
        }
        match &mut self.media {
            Media::Mixers(mixers) => {
                mixers[usize::from(worker)].handle_command(command, self.now);
            }
            Media::Stopwatch(stopwatch) => stopwatch.handle_command(command, self.now),
        }
    }

    /// A leg goes on on another worker, on a place that no port of that one has.
    pub(super) fn pass(&mut self, leg: LegId, from: u16, to: u16) {
        let Media::Mixers(mixers) = &mut self.media else {
            return;
        };
        if let Some(passenger) = mixers[usize::from(from)].take_out(leg, self.now) {
            let local = passenger.port().local;
            let home = self.rtp_ports[&local];
            // The indices of all workers together are counted through.
            let port = Port { worker: to, ..home };
            self.passed.insert(local, port);
            self.passes += 1;
            mixers[usize::from(to)].take_in(passenger, port, self.now);
        }
    }

    pub(super) fn media_time(&mut self) {
        match &mut self.media {
            Media::Mixers(mixers) => {
                let now = self.now;
                let is_due =
                    |mixer: &&mut Mixer| mixer.poll_timeout().is_some_and(|(at, _)| at <= now);
                for mixer in mixers.iter_mut().filter(is_due) {
                    mixer.handle_timeout(now);
                }
            }
            Media::Stopwatch(stopwatch) => return stopwatch.handle_timeout(self.now),
        }
        if self.next_frame <= self.now {
            for n in 0..self.phones.len() {
                let from = self.phones[n].rtp();
                if let Some((to, packet)) = self.phones[n].next_packet() {
                    self.rtp_to_switch(from, to, packet, self.now);
                }
            }
            self.next_frame = self.now + FRAME;
        }
    }

    fn rtp_to_switch(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        mut packet: Vec<u8>,
        now: Instant,
    ) {
        let port = self.passed.get(&to).or_else(|| self.rtp_ports.get(&to));
        let Some(port) = port.copied() else {
            return;
        };
        let Media::Mixers(mixers) = &mut self.media else {
            return;
        };
        let mixer = &mut mixers[usize::from(port.worker)];
        let length = packet.len();
        packet.resize(length + MAX_TAG_OCTETS, 0);
        if let Some(transmit) = mixer.handle_packet(port.index, from, &mut packet, length, now)
            && let Some(phone) = self.by_rtp.get(&transmit.to)
        {
            self.phones[phone.0].hear(&packet[..transmit.len]);
        }
    }

    /// Takes what the media has to say; true if there was something.
    pub(super) fn media_events(&mut self) -> bool {
        let mut said = false;
        match &mut self.media {
            Media::Mixers(_) => {
                let mut buffer = [0; OUTPUT_OCTETS];
                while let Some(output) = self.poll_mixer(&mut buffer) {
                    said = true;
                    match output {
                        media::Output::Send(transmit) => {
                            if let Some(phone) = self.by_rtp.get(&transmit.to) {
                                self.phones[phone.0].hear(&buffer[..transmit.len]);
                            }
                        }
                        media::Output::Event(event) => self.media_event(event),
                        media::Output::Tap(tap) => self.tap(tap),
                    }
                }
            }
            Media::Stopwatch(_) => {
                while let Media::Stopwatch(stopwatch) = &mut self.media
                    && let Some(event) = stopwatch.poll_event()
                {
                    said = true;
                    self.media_event(event);
                }
            }
        }
        said
    }

    fn poll_mixer(&mut self, buffer: &mut [u8]) -> Option<media::Output> {
        match &mut self.media {
            Media::Mixers(mixers) => mixers.iter_mut().find_map(|it| it.poll_output(buffer)),
            Media::Stopwatch(_) => None,
        }
    }

    fn media_event(&mut self, event: media::Event) {
        let free = if let media::Event::Closed { port, .. } = &event {
            // It goes back to its own worker.
            self.passed.remove(&port.local);
            self.rtp_ports.get(&port.local).copied()
        } else {
            None
        };
        self.exchange.handle_media(event, self.now);
        self.exchange.handle_ports(free.as_slice());
    }

    fn tap(&mut self, tap: Tap) {
        match tap {
            Tap::Start {
                recording,
                path,
                at,
            } => {
                self.aligners.insert(recording, (path, Aligner::new(at)));
                if self.recorder == Recorder::Fails {
                    self.aligners.remove(&recording);
                    self.recorded(recording, Err("the disk is full".to_owned()));
                }
            }
            Tap::Packet { recording, .. } => {
                if let Some((_, aligner)) = self.aligners.get_mut(&recording) {
                    aligner.handle_tap(&tap);
                }
            }
            Tap::End { recording, at } => {
                let Some((path, aligner)) = self.aligners.remove(&recording) else {
                    return;
                };
                let mut samples = Vec::new();
                aligner.finish(at, &mut samples);
                let duration = Duration::from_secs_f64(samples.len() as f64 / 2.0 / 8_000.0);
                self.recordings.insert(
                    path,
                    samples
                        .chunks_exact(2)
                        .map(|pair| [pair[0], pair[1]])
                        .collect(),
                );
                if self.recorder == Recorder::Works {
                    self.recorded(recording, Ok(duration));
                }
            }
        }
    }

    fn recorded(&mut self, recording: RecordingId, result: Result<Duration, String>) {
        let event = Event::Recorded { recording, result };
        self.exchange.handle_media(event, self.now);
    }

    /// The level of a tone in the last `stretch` that the phone heard, in dB against full scale.
    #[must_use]
    pub fn heard(&self, phone: PhoneId, hz: f64, stretch: Duration) -> f64 {
        let heard = &self[phone].heard;
        let samples = (stretch.as_secs_f64() * 8_000.0) as usize;
        media::tone::level(&heard[heard.len().saturating_sub(samples)..], hz)
    }
}
