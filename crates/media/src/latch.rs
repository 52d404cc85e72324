//! Symmetric RTP: whose packets a leg takes, and where its own go.
//!
//! The peer told in SDP where it listens. Behind a NAT that is wrong, and the true address shows only in what comes from it. Whoever
//! believes the first packet from anywhere hands the call to a stranger who sprays the port range (RTP bleed, RTP injection). So:
//! * the SDP address is believed at once and always;
//! * another source on the host of the SDP address or of the signalling must go on for some packets while the SDP address is mute;
//! * any other source for more packets, and only some time after learning began;
//! * after that, the source is locked: another one is taken only if it goes on with SSRC and sequence (a NAT gave the peer another port),
//!   or after the locked one was mute for long.
//!
//! Until a source is locked our packets go to the SDP address, and nothing of a candidate is heard. An SDP address on another host than
//! the signalling gets a few seconds of sound only, unless it talks: one INVITE must not aim an hour of music at a third party.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::command::StreamSettings;
use crate::packet::{SequenceNumber, Ssrc};

/// Packets in sequence that make a source on a known host the peer: 100 ms of talk, under which a spray of the port range rarely stays in order.
const KNOWN_HOST_PACKETS: u32 = 5;

/// The same for a source on a host that nobody named.
const FOREIGN_HOST_PACKETS: u32 = 10;

/// How long a candidate must have talked at least: real speech is paced, a flood is not.
const KNOWN_HOST_TALK: Duration = Duration::from_millis(70);

/// The same for a source on a host that nobody named.
const FOREIGN_HOST_TALK: Duration = Duration::from_millis(160);

/// How long the named addresses have precedence over all others after learning began.
const HOLD_OFF: Duration = Duration::from_millis(500);

/// A locked source may be followed by one that goes on with its SSRC and sequence after it was mute for so long: three packets.
const REBIND_AFTER: Duration = Duration::from_millis(60);

/// How many packets may be lost over a change of the source (5 s).
const REBIND_WINDOW: i16 = 250;

/// A locked source may be followed by any other after it was mute for so long: it has lost its network, not its voice.
const RELEARN_AFTER: Duration = Duration::from_secs(10);

/// Sources watched at a time. The one that got least far makes room, those on named hosts last,
/// so that a spray from many addresses does not push out a peer that talks.
const MAX_CANDIDATES: usize = 4;

/// A candidate may lose two packets in a row. One that sprays a range of ports with one count skips far more at each of them.
const CANDIDATE_GAP: i16 = 3;

/// A candidate mute for so long begins anew.
const CANDIDATE_PAUSE: Duration = Duration::from_millis(500);

/// Packets that leave for a host which neither signals nor talks, from the beginning or since the peer was last heard: 5 s.
/// A phone that can hear us answers with RTP in well under a second.
const UNPROVEN_PACKETS: u16 = 250;

/// Decides for every packet whether it is the peer's.
#[derive(Debug)]
pub(crate) struct Latch {
    /// From SDP.
    expected: SocketAddr,
    signalling_host: Option<IpAddr>,
    /// The peer may send: only then does its silence mean anything.
    receive: bool,
    /// When learning began.
    since: Instant,
    locked: Option<Lock>,
    candidates: Vec<Candidate>,
    /// How many more packets may leave for a host that nobody has proven.
    unproven_left: u16,
}

#[derive(Debug)]
struct Lock {
    source: SocketAddr,
    heard: Instant,
    /// SDP has named another address since: the next source in order may follow.
    outdated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    /// On the host of the SDP address or of the signalling.
    known_host: bool,
    ssrc: Ssrc,
    newest: SequenceNumber,
    packets: u32,
    since: Instant,
    heard: Instant,
}

impl Latch {
    pub(crate) fn new(settings: &StreamSettings, now: Instant) -> Self {
        Self {
            expected: settings.remote,
            signalling_host: settings.signalling_host,
            receive: settings.receive,
            since: now,
            locked: None,
            candidates: Vec::new(),
            unproven_left: UNPROVEN_PACKETS,
        }
    }

    /// SDP agreed on something new. Another address than before begins learning anew; until then, the locked source is still heard.
    pub(crate) fn update(&mut self, settings: &StreamSettings, now: Instant) {
        let moved = settings.remote != self.expected;
        self.expected = settings.remote;
        self.signalling_host = settings.signalling_host;
        self.receive = settings.receive;
        self.candidates = Vec::new();
        if let Some(lock) = &mut self.locked {
            lock.heard = now;
            lock.outdated |= moved;
        }
        if moved {
            self.since = now;
        }
    }

    /// True if the source is locked.
    pub(crate) fn is_locked_to(&self, source: SocketAddr) -> bool {
        self.locked
            .as_ref()
            .is_some_and(|lock| lock.source == source)
    }

    /// Where the peer's packets come from, once that is learned.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        let lock = self.locked.as_ref().filter(|lock| !lock.outdated)?;
        Some(lock.source)
    }

    /// Where our next packet goes; None if no address is known that one could send to (a phone behind a NAT, or one that names none for
    /// hold), or if the one in SDP had its share and says nothing.
    pub(crate) fn next_destination(&mut self) -> Option<SocketAddr> {
        let to = match &self.locked {
            Some(lock) if !lock.outdated => return Some(lock.source),
            Some(_) | None => self.expected,
        };
        if to.port() == 0 || to.ip().is_unspecified() {
            return None;
        }
        if Some(to.ip()) != self.signalling_host && !self.is_locked_to(to) {
            self.unproven_left = self.unproven_left.checked_sub(1)?;
        }
        Some(to)
    }

    /// True if the packet is the peer's. `newest`: the SSRC and highest number that came from the peer so far.
    pub(crate) fn admits(
        &mut self,
        source: SocketAddr,
        ssrc: Ssrc,
        sequence: SequenceNumber,
        newest: Option<(Ssrc, SequenceNumber)>,
        now: Instant,
    ) -> bool {
        if let Some(lock) = &mut self.locked
            && lock.source == source
        {
            lock.heard = now;
            // The new address had its time to speak up and did not: the peer stays where it was.
            lock.outdated &= now.saturating_duration_since(self.since) < HOLD_OFF;
            return true;
        }
        if source == self.expected
            || self.follows(ssrc, sequence, newest, now)
            || self.convinces(source, ssrc, sequence, now)
        {
            self.locked = Some(Lock {
                source,
                heard: now,
                outdated: false,
            });
            self.candidates = Vec::new();
            self.unproven_left = UNPROVEN_PACKETS;
            return true;
        }
        false
    }

    /// A new source that goes on with the stream of the old one, which has fallen silent: a NAT rebinding.
    fn follows(
        &self,
        ssrc: Ssrc,
        sequence: SequenceNumber,
        newest: Option<(Ssrc, SequenceNumber)>,
        now: Instant,
    ) -> bool {
        let (Some(lock), Some((old_ssrc, old_sequence))) = (&self.locked, newest) else {
            return false;
        };
        now.saturating_duration_since(lock.heard) >= REBIND_AFTER
            && ssrc == old_ssrc
            && (1..=REBIND_WINDOW).contains(&sequence.since(old_sequence))
    }

    /// A source that has talked long enough while nobody with a better claim did.
    fn convinces(
        &mut self,
        source: SocketAddr,
        ssrc: Ssrc,
        sequence: SequenceNumber,
        now: Instant,
    ) -> bool {
        if let Some(lock) = &self.locked {
            let silence = if lock.outdated {
                REBIND_AFTER
            } else {
                RELEARN_AFTER
            };
            if !self.receive || now.saturating_duration_since(lock.heard) < silence {
                return false;
            }
        }
        let candidate = self.candidate(source, ssrc, sequence, now);
        let (packets, talk, hold_off) = if candidate.known_host {
            (KNOWN_HOST_PACKETS, KNOWN_HOST_TALK, Duration::ZERO)
        } else {
            (FOREIGN_HOST_PACKETS, FOREIGN_HOST_TALK, HOLD_OFF)
        };
        candidate.packets >= packets
            && now.saturating_duration_since(candidate.since) >= talk
            && now.saturating_duration_since(self.since) >= hold_off
    }

    fn candidate(
        &mut self,
        source: SocketAddr,
        ssrc: Ssrc,
        sequence: SequenceNumber,
        now: Instant,
    ) -> Candidate {
        let host = source.ip();
        let fresh = Candidate {
            source,
            known_host: host == self.expected.ip() || Some(host) == self.signalling_host,
            ssrc,
            newest: sequence,
            packets: 1,
            since: now,
            heard: now,
        };
        let known = self
            .candidates
            .iter()
            .position(|candidate| candidate.source == source);
        let place = match known {
            Some(place) => {
                let candidate = &mut self.candidates[place];
                let goes_on = candidate.ssrc == ssrc
                    && (1..=CANDIDATE_GAP).contains(&sequence.since(candidate.newest))
                    && now.saturating_duration_since(candidate.heard) < CANDIDATE_PAUSE;
                if goes_on {
                    candidate.newest = sequence;
                    candidate.packets = candidate.packets.saturating_add(1);
                    candidate.heard = now;
                } else {
                    *candidate = fresh;
                }
                place
            }
            None if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.push(fresh);
                self.candidates.len() - 1
            }
            None => {
                let rank = |&place: &usize| {
                    let candidate = &self.candidates[place];
                    (candidate.known_host, candidate.packets, candidate.heard)
                };
                let weakest = (0..MAX_CANDIDATES).min_by_key(rank).unwrap_or(0);
                self.candidates[weakest] = fresh;
                weakest
            }
        };
        self.candidates[place]
    }
}
