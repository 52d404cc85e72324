//! Reading a session description (RFC 8866): what an audio stream needs, everything else passed over.

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use super::crypto::Line;
use super::dtls::Wanted;
use super::{AudioCodec, Direction, Disagreement, TelephoneEvent};

/// Streams of a description; more is refused as malformed. Phones offer one to four.
const MAX_STREAMS: usize = 16;
/// Formats of a stream that are looked at, the rest is passed over. Phones offer up to 25.
const MAX_FORMATS: usize = 32;
/// Octets of the kind, protocol, first format or tag of a stream, which we send back; longer is malformed.
const MAX_WORD: usize = 64;

/// Keys of a stream that are looked at, the rest is passed over. Phones offer one to eight.
const MAX_KEYS: usize = 8;

/// The largest payload type: the field has seven bits (RFC 3550 section 5.1).
const MAX_PAYLOAD_TYPE: u8 = 127;

/// A session description as far as offer/answer needs it.
#[derive(Debug)]
pub(super) struct Description<'a> {
    /// Its streams, in order.
    pub(super) streams: SmallVec<[Stream<'a>; 4]>,
    /// The tags of the streams that share a port (RFC 9143), one after the other.
    bundle: &'a str,
}

/// One m= line and what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Stream<'a> {
    /// `audio`, `video`, ...
    pub(super) kind: &'a str,
    /// 0 if the stream is refused or ended.
    pub(super) port: u16,
    /// `RTP/AVP`, ...
    pub(super) protocol: &'a str,
    /// What it means; none for what we do not speak.
    pub(super) profile: Option<Profile>,
    /// The protocol times feedback.
    pub(super) feedback: bool,
    /// The first format, for the line that refuses the stream.
    pub(super) first_format: &'a str,
    /// Payload types and what they mean, in the order of the m= line.
    pub(super) formats: SmallVec<[(u8, Format); MAX_FORMATS]>,
    /// Where the peer receives; none without a c= line that names an address.
    pub(super) address: Option<IpAddr>,
    /// Who sends, as the peer sees it.
    pub(super) direction: Direction,
    /// The payload type of Opus with which the peer wants no packets in silence (RFC 7587 section 6.1).
    pub(super) dtx: Option<u8>,
    /// Keys of SRTP that we can use, the one that the peer likes best first.
    pub(super) keys: SmallVec<[Line; 1]>,
    /// RTP and RTCP may share a port (RFC 5761).
    pub(super) mux: bool,
    /// Where RTCP goes, if it is not the port after that of RTP (RFC 3605).
    pub(super) rtcp: Option<(u16, Option<IpAddr>)>,
    /// DTLS and ICE.
    pub(super) wanted: Wanted<'a>,
    /// Its tag (RFC 5888); empty without one.
    pub(super) mid: &'a str,
}

/// The ways of RTP that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// RFC 3551.
    Plain,
    /// RFC 3711, with keys in the description.
    Srtp,
    /// RFC 5764, with keys by DTLS.
    Dtls,
}

/// What stands in an m= line: the way of RTP, and whether feedback is timed by RFC 4585, which for us is the same.
const PROTOCOLS: [(&str, Profile, bool); 6] = [
    ("RTP/AVP", Profile::Plain, false),
    ("RTP/AVPF", Profile::Plain, true),
    ("RTP/SAVP", Profile::Srtp, false),
    ("RTP/SAVPF", Profile::Srtp, true),
    ("UDP/TLS/RTP/SAVP", Profile::Dtls, false),
    ("UDP/TLS/RTP/SAVPF", Profile::Dtls, true),
];

impl Profile {
    /// As it stands in an m= line.
    pub(super) fn name(self, feedback: bool) -> &'static str {
        let mut protocols = PROTOCOLS.iter();
        let found = protocols.find(|(_, profile, timed)| (*profile, *timed) == (self, feedback));
        found.map_or("RTP/AVP", |(name, _, _)| name)
    }

    fn named(name: &str) -> Option<(Self, bool)> {
        let mut protocols = PROTOCOLS.iter();
        let found = protocols.find(|(known, _, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, profile, feedback)| (*profile, *feedback))
    }
}

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A codec that we speak.
    Audio(AudioCodec),
    /// Named events (RFC 4733), whose durations count so much in a second.
    TelephoneEvent(u32),
    /// Comfort noise (RFC 3389), of this clock.
    ComfortNoise(u32),
    /// Anything else.
    Unknown,
}

impl<'a> Description<'a> {
    /// Reads a description with its lines in any order: lines before the first m= belong to the session.
    /// Lines of an unknown type, or of no use here, are passed over unread.
    pub(super) fn parse(octets: &'a [u8]) -> Result<Self, Disagreement> {
        let mut streams: SmallVec<[Stream<'a>; 4]> = SmallVec::new();
        let (mut address, mut direction) = (None, Direction::SendRecv);
        let (mut wanted, mut bundle) = (Wanted::default(), "");
        let mut lines = octets
            .split(|octet| *octet == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .filter(|line| !line.is_empty());
        // RFC 8866 section 5.1: the version comes first; by it we know a session description.
        if lines.next() != Some(b"v=0") {
            return Err(Disagreement::Malformed);
        }
        // A line that is no UTF-8 is free text (s=, i=) of no use here.
        for line in lines.flat_map(str::from_utf8) {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            if name == "m" {
                let stream = Stream::parse(value, address, direction);
                let stream = stream.map(|stream| Stream { wanted, ..stream });
                let stream = stream.filter(|_| streams.len() < MAX_STREAMS);
                streams.push(stream.ok_or(Disagreement::Malformed)?);
                continue;
            }
            match (name, streams.last_mut()) {
                ("c", None) => address = connection(value),
                ("c", Some(stream)) => stream.address = connection(value),
                ("a", None) => {
                    direction = direction_attribute(value).unwrap_or(direction);
                    wanted.attribute(value);
                    bundle = value.strip_prefix("group:BUNDLE ").unwrap_or(bundle);
                }
                ("a", Some(stream)) => stream.attribute(value),
                _ => {}
            }
        }
        Ok(Self { streams, bundle })
    }

    /// Whether a stream shares its port with others.
    pub(super) fn bundles(&self, stream: &Stream<'_>) -> bool {
        self.bundle
            .split_ascii_whitespace()
            .any(|mid| mid == stream.mid)
    }
}

impl<'a> Stream<'a> {
    /// Reads `audio 49170 RTP/AVP 0 8 101`; address and direction of the session hold until the stream has its own.
    fn parse(value: &'a str, address: Option<IpAddr>, direction: Direction) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (kind, port, protocol) = (words.next()?, words.next()?, words.next()?);
        // RFC 8866 section 5.14: `49170/2` is a number of ports.
        let port = port.split('/').next()?;
        let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number)?;
        let formats = words
            .clone()
            .take(MAX_FORMATS)
            .flat_map(str::parse)
            .filter(|payload_type| *payload_type <= MAX_PAYLOAD_TYPE);
        let formats = formats
            .map(|payload_type| (payload_type, Format::of_static(payload_type)))
            .collect();
        let first_format = words.next()?;
        if ![kind, protocol, first_format].into_iter().all(is_word) {
            return None;
        }
        let (profile, feedback) = Profile::named(protocol).unzip();
        Some(Self {
            kind,
            port,
            protocol,
            profile,
            feedback: feedback.unwrap_or(false),
            first_format,
            formats,
            address,
            direction,
            dtx: None,
            keys: SmallVec::new(),
            mux: false,
            rtcp: None,
            wanted: Wanted::default(),
            mid: "",
        })
    }

    /// Whether it is audio, and neither refused nor ended.
    pub(super) fn is_open_audio(&self) -> bool {
        self.kind == "audio" && self.port != 0
    }

    /// The codecs that we speak, with their payload types, in the order of the m= line.
    pub(super) fn codecs(&self) -> impl Iterator<Item = (u8, AudioCodec)> {
        self.formats
            .iter()
            .filter_map(|(payload_type, format)| match format {
                Format::Audio(codec) => Some((*payload_type, *codec)),
                Format::TelephoneEvent(_) | Format::ComfortNoise(_) | Format::Unknown => None,
            })
    }

    /// How keys are told beside this codec: at its clock, or else at 8 kHz, as some phones do beside any (RFC 4733 section 2.1).
    pub(super) fn telephone_event(&self, codec: AudioCodec) -> Option<TelephoneEvent> {
        let events = || {
            self.formats
                .iter()
                .filter_map(|(payload_type, format)| match format {
                    Format::TelephoneEvent(clock_rate) => Some(TelephoneEvent {
                        payload_type: *payload_type,
                        clock_rate: *clock_rate,
                    }),
                    Format::Audio(_) | Format::ComfortNoise(_) | Format::Unknown => None,
                })
        };
        let at = |clock_rate| events().find(|event| event.clock_rate == clock_rate);
        at(codec.clock_rate()).or_else(|| at(8_000))
    }

    /// The comfort noise that goes with this codec, if any is there.
    pub(super) fn comfort_noise(&self, codec: AudioCodec) -> Option<u8> {
        let clock = codec.noise_clock()?;
        let mut formats = self.formats.iter();
        let found = formats.find(|(_, format)| *format == Format::ComfortNoise(clock));
        found.map(|(payload_type, _)| *payload_type)
    }

    /// Where the peer wants its RTCP, if its RTP goes to `remote`.
    pub(super) fn reports_go_to(&self, remote: SocketAddr) -> SocketAddr {
        let next = (remote.port().wrapping_add(1), None);
        let (port, address) = self.rtcp.unwrap_or(next);
        SocketAddr::new(address.unwrap_or(remote.ip()), port)
    }

    /// Takes a direction, a key of SRTP, or `rtpmap:101 telephone-event/8000` (RFC 8866 section 6.6).
    fn attribute(&mut self, value: &'a str) {
        if let Some(line) = value.strip_prefix("crypto:") {
            let line = Line::parse(line).filter(|_| self.keys.len() < MAX_KEYS);
            self.keys.extend(line);
            return;
        }
        if let Some(rtcp) = value.strip_prefix("rtcp:") {
            let (port, at) = rtcp.split_once(' ').unwrap_or((rtcp, ""));
            self.rtcp = port.parse().ok().map(|port| (port, connection(at)));
            return;
        }
        self.mux |= value == "rtcp-mux";
        self.direction = direction_attribute(value).unwrap_or(self.direction);
        self.wanted.attribute(value);
        if let Some(mid) = value.strip_prefix("mid:") {
            self.mid = if is_word(mid) { mid } else { "" };
        }
        if let Some((payload_type, parameters)) = value
            .strip_prefix("fmtp:")
            .and_then(|format| format.split_once(' '))
        {
            let mut parameters = parameters.split(';').map(str::trim);
            let payload_type = payload_type.parse().ok();
            let asks = parameters.any(|it| it.eq_ignore_ascii_case("usedtx=1"));
            self.dtx = payload_type.filter(|_| asks).or(self.dtx);
            return;
        }
        let mapping = value
            .strip_prefix("rtpmap:")
            .and_then(|map| map.split_once(' '));
        let Some((payload_type, encoding)) = mapping else {
            return;
        };
        let Ok(payload_type) = payload_type.parse::<u8>() else {
            return;
        };
        for (_, format) in self
            .formats
            .iter_mut()
            .filter(|(listed, _)| *listed == payload_type)
        {
            *format = Format::of_encoding(encoding.trim_ascii());
        }
    }
}

/// RFC 8866 section 9, `token`: what our answer repeats.
fn is_word(word: &str) -> bool {
    word.len() <= MAX_WORD && word.bytes().all(|octet| octet.is_ascii_graphic())
}

impl Format {
    /// Static payload types need no rtpmap (RFC 3551 section 6).
    const fn of_static(payload_type: u8) -> Self {
        match payload_type {
            0 => Self::Audio(AudioCodec::Pcmu),
            8 => Self::Audio(AudioCodec::Pcma),
            9 => Self::Audio(AudioCodec::G722),
            18 => Self::Audio(AudioCodec::G729),
            3 => Self::Audio(AudioCodec::Gsm),
            13 => Self::ComfortNoise(8_000),
            _ => Self::Unknown,
        }
    }

    /// `PCMU/8000` or `PCMU/8000/1`; names compare in any case (RFC 4855 section 3).
    fn of_encoding(encoding: &str) -> Self {
        let mono = encoding.strip_suffix("/1").unwrap_or(encoding);
        let (name, rate) = mono.split_once('/').unwrap_or((mono, ""));
        if name.eq_ignore_ascii_case("telephone-event") {
            return match rate {
                "8000" => Self::TelephoneEvent(8_000),
                "16000" => Self::TelephoneEvent(16_000),
                "48000" => Self::TelephoneEvent(48_000),
                _ => Self::Unknown,
            };
        }
        if name.eq_ignore_ascii_case("CN") {
            return match rate {
                "8000" => Self::ComfortNoise(8_000),
                "16000" => Self::ComfortNoise(16_000),
                _ => Self::Unknown,
            };
        }
        // Some write the rate of the sound, not that of the clock.
        if mono.eq_ignore_ascii_case("G722/16000") {
            return Self::Audio(AudioCodec::G722);
        }
        let codec = AudioCodec::ALL
            .into_iter()
            .find(|codec| mono.eq_ignore_ascii_case(codec.encoding()));
        codec.map_or(Self::Unknown, Self::Audio)
    }
}

/// Reads `IN IP4 192.0.2.1` or `IN IP4 224.2.1.1/127`; names are not looked up here.
fn connection(value: &str) -> Option<IpAddr> {
    let mut words = value.split_ascii_whitespace();
    let (Some("IN"), Some("IP4" | "IP6"), Some(address)) =
        (words.next(), words.next(), words.next())
    else {
        return None;
    };
    // IPv4-mapped IPv6 is IPv4 on the wire (RFC 5118 section 4.9).
    address
        .split('/')
        .next()?
        .parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// The direction that an attribute names, as its sender sees it.
fn direction_attribute(value: &str) -> Option<Direction> {
    match value {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}
