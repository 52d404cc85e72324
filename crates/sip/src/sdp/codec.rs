//! The codecs that we speak, and the payload types under which they go.

use smallvec::SmallVec;

/// The audio codecs that we speak, and those that we only pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioCodec {
    /// G.711 mu-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9.
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// 16 bit samples at 16 kHz (RFC 3551 section 4.5.11).
    L16Wide,
    /// 16 bit samples at 8 kHz.
    L16Narrow,
    /// G.729, static payload type 18: passed on as it is.
    G729,
    /// GSM full rate, static payload type 3: passed on as it is.
    Gsm,
}

impl AudioCodec {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Opus,
        Self::L16Wide,
        Self::L16Narrow,
        Self::G729,
        Self::Gsm,
    ];

    /// Whether we can say something in it: what is only passed on needs a peer on both sides who speaks it.
    #[must_use]
    pub const fn is_spoken(self) -> bool {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus | Self::L16Wide | Self::L16Narrow => {
                true
            }
            Self::G729 | Self::Gsm => false,
        }
    }

    /// Its payload type if the session has given it no other: static (RFC 3551 section 6), or what most others use.
    const fn usual_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16Wide => 112,
            Self::L16Narrow => 113,
            Self::G729 => 18,
            Self::Gsm => 3,
        }
    }

    /// The encoding name (RFC 3551 section 6, RFC 7587 section 6.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16Wide | Self::L16Narrow => "L16",
            Self::G729 => "G729",
            Self::Gsm => "GSM",
        }
    }

    /// What an rtpmap says: the name, the clock of the timestamps and, of Opus alone, the channels that its decoder must take
    /// (RFC 7587 section 7). G.722 has the clock of 8 kHz by an old mistake (RFC 3551 section 4.5.2).
    pub(super) const fn encoding(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
            Self::L16Wide => "L16/16000",
            Self::L16Narrow => "L16/8000",
            Self::G729 => "G729/8000",
            Self::Gsm => "GSM/8000",
        }
    }

    /// What an fmtp says: of Opus, that we make use of what a packet tells again of the one before (RFC 7587 section 6.1).
    pub(super) const fn parameters(self) -> Option<&'static str> {
        match self {
            Self::Opus => Some("useinbandfec=1"),
            Self::Pcmu
            | Self::Pcma
            | Self::G722
            | Self::L16Wide
            | Self::L16Narrow
            | Self::G729
            | Self::Gsm => None,
        }
    }

    /// What its timestamps count in a second.
    pub(super) const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16Narrow | Self::G729 | Self::Gsm => {
                8_000
            }
            Self::L16Wide => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// The clock of the comfort noise that goes with it (RFC 3389 section 4); none for codecs that have a way of their own.
    pub(super) const fn noise_clock(self) -> Option<u32> {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16Narrow | Self::Gsm | Self::L16Wide => {
                Some(self.clock_rate())
            }
            Self::Opus | Self::G729 => None,
        }
    }

    const fn is_g711(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }
}

/// Codecs, the best first, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codecs(SmallVec<[AudioCodec; AudioCodec::ALL.len()]>);

impl Default for Codecs {
    /// G.711, which everybody speaks.
    fn default() -> Self {
        Self::of([AudioCodec::Pcmu, AudioCodec::Pcma])
    }
}

impl Codecs {
    /// These, in their order.
    #[must_use]
    pub fn of(codecs: impl IntoIterator<Item = AudioCodec>) -> Self {
        let mut unique = SmallVec::new();
        for codec in codecs {
            if !unique.contains(&codec) {
                unique.push(codec);
            }
        }
        Self(unique)
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = AudioCodec> {
        self.0.iter().copied()
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contain(&self, codec: AudioCodec) -> bool {
        self.0.contains(&codec)
    }

    /// The same with this one first.
    #[must_use]
    pub fn led_by(&self, first: AudioCodec) -> Self {
        Self::of([first].into_iter().chain(self.iter()))
    }

    /// Those in which we can say something.
    #[must_use]
    pub fn spoken(&self) -> Self {
        Self::of(self.iter().filter(|codec| codec.is_spoken()))
    }

    /// Those that the others have too, in the order of the others, and our forms of G.711, which become each other at no cost;
    /// all of ours if that leaves none.
    pub(super) fn meeting(&self, others: &Self) -> Self {
        let common = others.iter().filter(|codec| self.contain(*codec));
        // Of what the others speak nothing else becomes G.711.
        let others_speak = others.iter().any(AudioCodec::is_spoken);
        let g711 = self.iter().filter(|codec| codec.is_g711() && others_speak);
        let met = Self::of(common.chain(g711));
        if met.0.is_empty() { self.spoken() } else { met }
    }
}

/// The format of keys that are told (RFC 4733).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Its payload type.
    pub payload_type: u8,
    /// What its durations count in a second.
    pub clock_rate: u32,
}

/// The format of comfort noise (RFC 3389).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComfortNoise {
    /// Its payload type, as the peer expects it.
    pub payload_type: u8,
    /// The one that we expect; nearly always the same.
    pub receive_payload_type: u8,
}

/// A payload type of comfort noise, and the clock of its timestamps in Hz.
pub(super) type Noise = (u8, u32);

/// The static payload type of comfort noise at 8 kHz (RFC 3551 section 6), and one for that at 16 kHz.
const COMFORT_NOISES: [Noise; 2] = [(13, 8_000), (114, 16_000)];

/// The dynamic payload types (RFC 3551 section 6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// What nearly every phone uses for telephone-event, and what browsers use for the one at the clock of Opus.
const TELEPHONE_EVENTS: [TelephoneEvent; 2] = [
    TelephoneEvent {
        payload_type: 101,
        clock_rate: 8_000,
    },
    TelephoneEvent {
        payload_type: 110,
        clock_rate: 48_000,
    },
];

/// Payload types of a session.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    codecs: [(AudioCodec, u8); AudioCodec::ALL.len()],
    events: [TelephoneEvent; TELEPHONE_EVENTS.len()],
    noises: [Noise; COMFORT_NOISES.len()],
}

/// Codecs with their payload types, and telephone-events.
pub(super) type Formats = (
    SmallVec<[(u8, AudioCodec); AudioCodec::ALL.len()]>,
    SmallVec<[TelephoneEvent; TELEPHONE_EVENTS.len()]>,
);

/// Payload types of comfort noise.
pub(super) type Noises = SmallVec<[Noise; COMFORT_NOISES.len()]>;

impl Default for Numbers {
    fn default() -> Self {
        Self {
            codecs: AudioCodec::ALL.map(|codec| (codec, codec.usual_payload_type())),
            events: TELEPHONE_EVENTS,
            noises: COMFORT_NOISES,
        }
    }
}

impl Numbers {
    /// The payload type of a codec in our descriptions.
    pub(super) fn of(&self, codec: AudioCodec) -> u8 {
        let known = self.codecs.iter().find(|(it, _)| *it == codec);
        known.map_or(codec.usual_payload_type(), |(_, number)| *number)
    }

    /// An offer of the peer that we answered had these numbers: ours are the same from now on, and what had them before gets others.
    pub(super) fn learn(
        &mut self,
        codec: AudioCodec,
        number: u8,
        event: Option<TelephoneEvent>,
        noise: Option<Noise>,
    ) {
        // A static codec under a dynamic number: its own number means it as well.
        let is_dynamic = DYNAMIC.contains(&codec.usual_payload_type());
        if let Some((_, known)) = self.codecs.iter_mut().find(|(it, _)| *it == codec)
            && is_dynamic
        {
            *known = number;
        }
        if let Some(event) = event {
            let same_clock = |it: &&mut TelephoneEvent| it.clock_rate == event.clock_rate;
            if let Some(known) = self.events.iter_mut().find(same_clock) {
                *known = event;
            }
        }
        let is_dynamic = |(number, _): &Noise| DYNAMIC.contains(number);
        if let Some(noise) = noise.filter(is_dynamic)
            && let Some(known) = self.noises.iter_mut().find(|(_, clock)| *clock == noise.1)
        {
            *known = noise;
        }
        let event = event.map(|event| event.payload_type);
        let noise = noise.map(|(number, _)| number);
        let taken = |other: u8| other == number || [event, noise].contains(&Some(other));
        for at in 0..self.codecs.len() {
            let (other, its) = self.codecs[at];
            if other != codec && taken(its) {
                self.codecs[at].1 = self.free();
            }
        }
        for at in 0..self.events.len() {
            let its = self.events[at].payload_type;
            if Some(its) != event && taken(its) {
                self.events[at].payload_type = self.free();
            }
        }
        for at in 0..self.noises.len() {
            let its = self.noises[at].0;
            if Some(its) != noise && taken(its) {
                self.noises[at].0 = self.free();
            }
        }
    }

    /// A dynamic number that means nothing yet.
    fn free(&self) -> u8 {
        let used = |number: &u8| {
            self.codecs.iter().any(|(_, it)| it == number)
                || self.events.iter().any(|it| it.payload_type == *number)
                || self.noises.iter().any(|(its, _)| its == number)
        };
        let mut free = DYNAMIC.filter(|number| !used(number));
        free.next().unwrap_or(*DYNAMIC.end())
    }

    /// The comfort noises of an offer of these codecs.
    pub(super) fn noises(&self, codecs: &[AudioCodec]) -> Noises {
        let goes_with = |(_, clock): &&Noise| {
            let mut codecs = codecs.iter();
            codecs.any(|codec| codec.noise_clock() == Some(*clock))
        };
        self.noises.iter().filter(goes_with).copied().collect()
    }

    /// The payload type under which we expect comfort noise beside a codec, by our offer.
    pub(super) fn noise(&self, codec: AudioCodec) -> Option<u8> {
        self.noises(&[codec]).first().map(|(number, _)| *number)
    }

    /// The formats of an offer of these codecs: telephone-event at the clock of each that has one, always at 8 kHz.
    pub(super) fn offer(&self, codecs: &[AudioCodec]) -> Formats {
        let events = self.events.iter().filter(|event| {
            event.clock_rate == 8_000
                || codecs
                    .iter()
                    .any(|codec| codec.clock_rate() == event.clock_rate)
        });
        let formats = codecs.iter().map(|codec| (self.of(*codec), *codec));
        (formats.collect(), events.copied().collect())
    }
}
