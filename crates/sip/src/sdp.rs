//! Session descriptions (RFC 8866) and the offer/answer state of a dialog (RFC 3264), for one audio stream.
//!
//! Read by a lean reader of our own. The `sdp` crate of webrtc-rs (0.17, tried) holds senders to the order of lines and refuses
//! a whole description for one unknown line, kind of media or protocol, a missing `s=`, the `t=` line of RFC 5118 section 4.6 or a
//! session id above 64 bits: phones send all of these, and RFC 3264 section 6 wants unknown streams answered with port 0.

mod codec;
mod crypto;
mod description;
mod dtls;
mod objection;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use smallvec::SmallVec;

use codec::Numbers;
pub use codec::{AudioCodec, Codecs, ComfortNoise, TelephoneEvent};
use codec::{Noise, Noises};
use crypto::Line;
pub use crypto::{Crypto, Encryption, Keying, Secret, Suite};
use description::{Description, Profile, Stream};
use dtls::Web;
pub use dtls::{Dtls, Ice};
pub(crate) use objection::Objection;

/// Who may send, seen from our side (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Both send.
    SendRecv,
    /// Only we send: the peer holds nobody, it only listens.
    SendOnly,
    /// Only the peer sends.
    RecvOnly,
    /// Nobody sends.
    Inactive,
}

impl Direction {
    const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether we send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the peer sends.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same, seen from the other side.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// What both allow.
    #[must_use]
    pub const fn limited_by(self, limit: Self) -> Self {
        Self::of(
            self.sends() && limit.sends(),
            self.receives() && limit.receives(),
        )
    }

    /// The attribute (RFC 8866 section 6.7).
    const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// What both sides agreed on for the audio stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where the peer wants its RTP. The unspecified address (old spelling of hold) comes only with a direction that does not send;
    /// with port 0 if the peer ended the stream (another spelling of hold).
    pub remote: SocketAddr,
    /// The codec of both directions.
    pub codec: AudioCodec,
    /// The payload type that the peer expects for the codec.
    pub payload_type: u8,
    /// The one that we expect; nearly always the same.
    pub receive_payload_type: u8,
    /// telephone-event (RFC 4733) if both speak it, as the peer expects it.
    pub telephone_event: Option<TelephoneEvent>,
    /// The codec is Opus, and the peer wants no packets while nothing is to be heard (RFC 7587 section 6.1).
    pub wants_dtx: bool,
    /// Comfort noise (RFC 3389) if both speak it.
    pub comfort_noise: Option<ComfortNoise>,
    /// Where the peer wants its RTCP; none: where it wants its RTP (RFC 5761).
    pub rtcp: Option<SocketAddr>,
    /// Who sends, from our side.
    pub direction: Direction,
    /// How packets are protected by keys of the descriptions (RFC 4568).
    pub crypto: Option<Crypto>,
    /// How they are protected by keys of DTLS; without this and `crypto`, not at all.
    pub dtls: Option<Dtls>,
}

/// Why no agreement came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The body is no session description: 400.
    #[error("the body is not a session description")]
    Malformed,
    /// No stream or codec in common: 488 (RFC 3261 section 21.4.26).
    #[error("no codec in common")]
    NothingInCommon,
    /// An answer that would do, but wants its sound at this address, which is of another family than ours: the session has to
    /// move (`Session::move_to`).
    #[error("the sound is wanted in another family of addresses, at {0}")]
    OtherFamily(IpAddr),
}

/// Where the peer of this description wants its sound: an address of its first audio stream that is a place. None if it cannot
/// be read, or names none.
#[must_use]
pub fn wanted_at(description: &[u8]) -> Option<IpAddr> {
    let description = Description::parse(description).ok()?;
    let mut streams = description.streams.iter();
    let audio = streams.find(|stream| stream.kind == "audio" && stream.port != 0)?;
    audio.address.filter(|address| !address.is_unspecified())
}

/// One m= line of the session; none is ever taken away (RFC 3264 section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// Our audio stream.
    Audio,
    /// A stream that we refused: its kind, protocol and first format, for its line with port 0.
    Refused {
        kind: String,
        protocol: String,
        format: String,
    },
}

/// The offer/answer state of one dialog.
#[derive(Clone, Debug)]
pub struct Session {
    local: SocketAddr,
    id: u64,
    /// The version of `body`; grows by one with each change (RFC 3264 section 8).
    version: u64,
    /// What we said last, after the o= line; empty before the first description.
    body: String,
    slots: Vec<Slot>,
    /// The codecs that we take, the best first.
    codecs: Codecs,
    /// Those that we offer.
    offers: Codecs,
    /// Which payload types mean what: kept for the whole life of the session (RFC 3264 section 8.3.2).
    numbers: Numbers,
    /// Comfort noise is agreed on with who offers it, and is in our offers where the other leg has it.
    noise: Noisy,
    /// The direction of our last offer.
    offered: Direction,
    /// The peer has ended the stream (port 0); its next offer, or ours, opens it again.
    ended: bool,
    encryption: Encryption,
    /// None: there are no keys, and no SRTP.
    secret: Option<Secret>,
    /// The lines of our last offer or answer about keys: none for a plain stream.
    keys: SmallVec<[Line; Suite::ALL.len()]>,
    /// What was agreed on last.
    crypto: Option<Crypto>,
    /// Reports go beside the packets, as our last offer or answer says. We offer it to who offered it, and to browsers.
    mux: bool,
    /// None: there is no certificate, and no DTLS.
    web: Option<Web>,
    /// What was agreed on last.
    dtls: Option<Dtls>,
    /// The way of RTP of our last offer or answer, and whether it times feedback.
    profile: Profile,
    feedback: bool,
}

/// What a session says of comfort noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noisy {
    /// Nothing.
    Never,
    /// It is answered to who offers it.
    Answers,
    /// It is in our offers, too.
    Offers,
}

/// How packets are protected.
type Protection = (Option<Crypto>, Option<Dtls>);

/// What a stream of the peer is.
#[derive(Clone, Copy, Debug)]
enum Says {
    Offer,
    Answer,
    /// The end of the stream, by either of the two.
    End,
}

impl Session {
    /// A session whose RTP arrives at `local`; `id` becomes the session id of the origin line. It speaks G.711 and takes no SRTP.
    #[must_use]
    pub fn new(local: SocketAddr, id: u64) -> Self {
        let slots = vec![Slot::Audio];
        Self {
            local,
            id,
            version: 0,
            body: String::new(),
            slots,
            codecs: Codecs::default(),
            offers: Codecs::default(),
            numbers: Numbers::default(),
            noise: Noisy::Answers,
            offered: Direction::SendRecv,
            ended: false,
            encryption: Encryption::Refused,
            secret: None,
            keys: SmallVec::new(),
            crypto: None,
            mux: false,
            web: None,
            dtls: None,
            profile: Profile::Plain,
            feedback: false,
        }
    }

    /// The same with DTLS, for a certificate of this SHA-256. `offers`: our offers ask for it, for the peer is a browser.
    #[must_use]
    pub fn with_dtls(mut self, fingerprint: [u8; 32], offers: bool) -> Self {
        self.web = Some(Web::new(fingerprint, offers));
        self
    }

    /// The same with SRTP, its keys made from this secret.
    #[must_use]
    pub fn with_srtp(mut self, encryption: Encryption, secret: Secret) -> Self {
        self.encryption = encryption;
        self.secret = Some(secret);
        self
    }

    /// The same with these codecs.
    #[must_use]
    pub fn with_codecs(mut self, codecs: Codecs) -> Self {
        self.offers = codecs.spoken();
        self.codecs = codecs;
        self
    }

    /// The same without comfort noise: the peer is not to suppress its silence.
    #[must_use]
    pub fn without_comfort_noise(mut self) -> Self {
        self.noise = Noisy::Never;
        self
    }

    /// The other leg of the call has comfort noise: ours is asked for it, for it then goes through as it is. Without that we do
    /// not ask, for it would have to be made into sound.
    pub fn meet_comfort_noise(&mut self) {
        if self.noise == Noisy::Answers {
            self.noise = Noisy::Offers;
        }
    }

    /// The other leg of the call speaks these, the best first: they and G.711 are what we offer from now on, so that the peer
    /// does not choose something that would have to be decoded and encoded again, unless nothing else is left to it.
    pub fn meet(&mut self, other: &Codecs) {
        self.offers = self.codecs.meeting(other);
    }

    /// Whether an offer has comfort noise that we would take.
    #[must_use]
    pub fn takes_comfort_noise(&self, offer: &[u8]) -> bool {
        let offer = Description::parse(offer);
        let mut streams = offer.iter().flat_map(|offer| &offer.streams);
        self.noise != Noisy::Never
            && streams.any(|stream| {
                let mut codecs = stream.codecs();
                codecs.any(|(_, codec)| stream.comfort_noise(codec).is_some())
            })
    }

    /// The codecs of an offer that we would take, in its order.
    #[must_use]
    pub fn common(&self, offer: &[u8]) -> Codecs {
        let offer = Description::parse(offer);
        let streams = offer.iter().flat_map(|offer| &offer.streams);
        let audio = streams.filter(|stream| stream.is_open_audio());
        let codecs = audio.flat_map(|stream| stream.codecs().map(|(_, codec)| codec));
        Codecs::of(codecs.filter(|codec| self.codecs.contain(*codec)))
    }

    /// Where our RTP arrives.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// From now on our RTP arrives somewhere else: the peer learns it by our next offer.
    pub fn move_to(&mut self, local: SocketAddr) {
        self.local = local;
    }

    /// Our next offer. `prefer` puts one codec first, so that both legs of a call agree on the same.
    pub fn offer(&mut self, direction: Direction, prefer: Option<AudioCodec>) -> Bytes {
        let mut codecs: SmallVec<[AudioCodec; AudioCodec::ALL.len()]> =
            self.offers.iter().collect();
        if let Some(prefer) = prefer.filter(|it| self.codecs.contain(*it) && !codecs.contains(it)) {
            codecs.push(prefer);
        }
        // A stable sort: the preferred one first, the others as they were.
        codecs.sort_by_key(|codec| Some(*codec) != prefer);
        self.offered = direction;
        self.ended = false;
        self.choose_profile();
        let (formats, events) = self.numbers.offer(&codecs);
        let noises = match self.noise {
            Noisy::Offers => self.numbers.noises(&codecs),
            Noisy::Never | Noisy::Answers => Noises::new(),
        };
        self.describe(&formats, &noises, &events, direction, Says::Offer)
    }

    /// The way of RTP of our next offer: what was agreed on stays.
    fn choose_profile(&mut self) {
        let is_first = self.version == 0;
        let by_dtls = |web: &Web| web.offers || self.encryption == Encryption::Dtls;
        let asks = is_first && self.web.as_ref().is_some_and(by_dtls);
        if self.dtls.is_some() || (asks && self.encryption != Encryption::Refused) {
            self.profile = Profile::Dtls;
            // As browsers write it.
            self.feedback |= is_first && self.web.as_ref().is_some_and(|web| web.offers);
            return;
        }
        if self.keys.is_empty() && self.encryption == Encryption::Required {
            let key = |(tag, suite)| self.our_line(tag, suite);
            self.keys = (1..).zip(Suite::ALL).filter_map(key).collect();
        }
        self.profile = if self.keys.is_empty() {
            Profile::Plain
        } else {
            Profile::Srtp
        };
    }

    /// Answers the peer's offer; the direction is the peer's mirrored, limited by `direction`.
    /// `prefer` is chosen if the peer offers it, else the peer's first codec that we speak.
    ///
    /// # Errors
    /// The session stays as it was, for a refusal of the offer.
    pub fn answer(
        &mut self,
        offer: &[u8],
        direction: Direction,
        prefer: Option<AudioCodec>,
    ) -> Result<(Bytes, Agreed), Disagreement> {
        let offer = Description::parse(offer)?;
        let find = |usable: &dyn Fn(&Stream<'_>) -> Option<Agreed>| {
            let mut streams = offer.streams.iter().enumerate();
            streams.find_map(|(index, stream)| Some((index, usable(stream)?)))
        };
        // A stream that the peer ends (RFC 3264 section 8.2) is a hold as long as the call stands: some phones hold so.
        // A call that begins without a stream is none.
        // Who offers the same sound twice, plain and encrypted, wants it encrypted.
        let agree = |stream: &Stream<'_>| self.agree(stream, Says::Offer, direction, prefer);
        let is_secure = |agreed: &Agreed| agreed.crypto.is_some() || agreed.dtls.is_some();
        let open = find(&|stream| agree(stream).filter(is_secure)).or_else(|| find(&agree));
        let ended = || find(&|stream| self.agree_on_the_end(stream));
        let (chosen, agreed) = open
            .or_else(|| if self.version > 0 { ended() } else { None })
            .ok_or(Disagreement::NothingInCommon)?;
        self.ended = offer.streams[chosen].port == 0;
        // RFC 3264 section 6: a line for each of the offer's, in its order; those we do not take have port 0.
        self.slots = offer
            .streams
            .iter()
            .enumerate()
            .map(|(index, stream)| {
                if index == chosen {
                    Slot::Audio
                } else {
                    refused(stream)
                }
            })
            .collect();
        let noise = agreed.comfort_noise.zip(agreed.codec.noise_clock());
        let noise: Option<Noise> = noise.map(|(noise, clock)| (noise.payload_type, clock));
        self.numbers.learn(
            agreed.codec,
            agreed.payload_type,
            agreed.telephone_event,
            noise,
        );
        // Once agreed on, it stays in what we offer.
        if noise.is_some() {
            self.noise = Noisy::Offers;
        }
        if !self.ended {
            let line = offer.streams[chosen].keys.first();
            let line = line.filter(|_| agreed.crypto.is_some());
            let ours = line.and_then(|line| self.our_line(line.tag, line.suite));
            self.keys = ours.into_iter().collect();
            let stream = &offer.streams[chosen];
            self.profile = stream.profile.unwrap_or(self.profile);
            self.feedback = stream.feedback;
            self.mux = stream.mux;
            self.settle(stream, &agreed, Some((stream.mid, offer.bundles(stream))));
        }
        let description = self.describe(
            &[(agreed.payload_type, agreed.codec)],
            noise.as_slice(),
            agreed.telephone_event.as_slice(),
            agreed.direction,
            Says::Answer,
        );
        Ok((description, agreed))
    }

    /// Takes the peer's answer to our last offer.
    ///
    /// # Errors
    /// `NothingInCommon` if our audio stream was refused, or answered with nothing that we offered; `OtherFamily` if nothing but
    /// its address stands in the way.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Agreed, Disagreement> {
        let answer = Description::parse(answer)?;
        let audio = self
            .slots
            .iter()
            .position(|slot| *slot == Slot::Audio)
            .expect("invariant: a session has its audio stream");
        let stream = answer
            .streams
            .get(audio)
            .ok_or(Disagreement::NothingInCommon)?;
        let agreed = self
            .agree(stream, Says::Answer, self.offered, None)
            .ok_or_else(|| self.objection_to(stream))?;
        self.settle(stream, &agreed, None);
        Ok(agreed)
    }

    /// What was agreed on of keys holds until the next agreement.
    fn settle(&mut self, stream: &Stream<'_>, agreed: &Agreed, mid: Option<(&str, bool)>) {
        (self.crypto, self.dtls) = (agreed.crypto, agreed.dtls);
        if let Some((web, dtls)) = self.web.as_mut().zip(agreed.dtls.as_ref()) {
            web.take(&stream.wanted, dtls, mid);
        }
    }

    /// Why an answer is of no use.
    fn objection_to(&self, stream: &Stream<'_>) -> Disagreement {
        let elsewhere = stream.address.filter(|address| {
            let there = Self {
                local: SocketAddr::new(*address, self.local.port()),
                ..self.clone()
            };
            there
                .agree(stream, Says::Answer, self.offered, None)
                .is_some()
        });
        elsewhere.map_or(Disagreement::NothingInCommon, Disagreement::OtherFamily)
    }

    /// What this stream of the peer comes to, if we can take it.
    fn agree(
        &self,
        stream: &Stream<'_>,
        says: Says,
        limit: Direction,
        prefer: Option<AudioCodec>,
    ) -> Option<Agreed> {
        let takes = stream.is_open_audio();
        let (crypto, dtls) = match says {
            Says::Offer => self.keys_of_offer(stream)?,
            Says::Answer => self.keys_of_answer(stream)?,
            Says::End => (self.crypto, self.dtls),
        };
        // ICE finds out where packets go: what the description says of it may be anything.
        let has_ice = dtls.is_some_and(|dtls| dtls.ice.is_some());
        let address = stream
            .address
            .filter(|address| takes && (has_ice || self.reaches(*address)))?;
        let codecs = || {
            stream
                .codecs()
                .filter(|(_, codec)| self.codecs.contain(*codec))
        };
        let mut preferred = codecs().filter(|(_, codec)| Some(*codec) == prefer);
        // What is only passed on is nothing without somebody else who has it; an answer has it by our offer.
        let may_be_first = |(_, codec): &(u8, AudioCodec)| {
            codec.is_spoken() || matches!(says, Says::Answer | Says::End)
        };
        let (payload_type, codec) = preferred.next().or_else(|| codecs().find(may_be_first))?;
        let receive_payload_type = match says {
            Says::Answer => self.numbers.of(codec),
            Says::Offer | Says::End => payload_type,
        };
        // RFC 3264 section 8.4: the unspecified address is the old way to hold; nothing may be sent there.
        let reachable = Direction::of(!address.is_unspecified() || has_ice, true);
        let remote = SocketAddr::new(address, stream.port);
        // Our own offers of DTLS have it.
        let offers_mux = self.mux || dtls.is_some() || matches!(says, Says::Offer);
        let mux = has_ice || (stream.mux && offers_mux);
        Some(Agreed {
            remote,
            rtcp: (!mux).then(|| stream.reports_go_to(remote)),
            codec,
            payload_type,
            receive_payload_type,
            telephone_event: stream.telephone_event(codec),
            wants_dtx: codec == AudioCodec::Opus && stream.dtx == Some(payload_type),
            comfort_noise: self.noise_of(stream, says, codec),
            direction: stream
                .direction
                .mirrored()
                .limited_by(limit)
                .limited_by(reachable),
            crypto,
            dtls,
        })
    }

    /// Comfort noise beside a codec, if both have it.
    fn noise_of(&self, stream: &Stream<'_>, says: Says, codec: AudioCodec) -> Option<ComfortNoise> {
        let payload_type = stream.comfort_noise(codec)?;
        let receive_payload_type = match (says, self.noise) {
            (_, Noisy::Never) | (Says::Answer, Noisy::Answers) => return None,
            (Says::Answer, Noisy::Offers) => self.numbers.noise(codec)?,
            (Says::Offer | Says::End, Noisy::Answers | Noisy::Offers) => payload_type,
        };
        Some(ComfortNoise {
            payload_type,
            receive_payload_type,
        })
    }

    /// How packets are protected if we take this offer; None: we cannot.
    fn keys_of_offer(&self, stream: &Stream<'_>) -> Option<Protection> {
        match (stream.profile?, self.encryption) {
            (Profile::Plain, Encryption::Accepted | Encryption::Refused) => Some((None, None)),
            (Profile::Plain, Encryption::Required | Encryption::Dtls)
            | (Profile::Srtp | Profile::Dtls, Encryption::Refused) => None,
            (Profile::Srtp, Encryption::Accepted | Encryption::Required | Encryption::Dtls) => {
                Some((Some(self.crypto_with(stream.keys.first()?)?), None))
            }
            (Profile::Dtls, Encryption::Accepted | Encryption::Required | Encryption::Dtls) => {
                let (web, secret) = self.web.as_ref().zip(self.secret.as_ref())?;
                Some((None, Some(web.of_offer(&stream.wanted, secret)?)))
            }
        }
    }

    /// How packets are protected by this answer; None: it is none to our offer. With keys it has the tag and the suite of one of our
    /// lines (RFC 4568 section 5.1.3).
    fn keys_of_answer(&self, stream: &Stream<'_>) -> Option<Protection> {
        match stream.profile.filter(|profile| *profile == self.profile)? {
            Profile::Plain => Some((None, None)),
            Profile::Srtp => {
                let offered = |line: &&Line| {
                    let mut ours = self.keys.iter();
                    ours.any(|own| (own.tag, own.suite) == (line.tag, line.suite))
                };
                let line = stream.keys.iter().find(offered)?;
                Some((Some(self.crypto_with(line)?), None))
            }
            Profile::Dtls => {
                let (web, secret) = self.web.as_ref().zip(self.secret.as_ref())?;
                Some((None, Some(web.of_answer(&stream.wanted, secret)?)))
            }
        }
    }

    fn crypto_with(&self, theirs: &Line) -> Option<Crypto> {
        Some(Crypto {
            suite: theirs.suite,
            ours: self.secret.as_ref()?.keying(theirs.suite),
            theirs: theirs.keying,
        })
    }

    fn our_line(&self, tag: u32, suite: Suite) -> Option<Line> {
        let keying = self.secret.as_ref()?.keying(suite);
        Some(Line { tag, suite, keying })
    }

    /// What a stream comes to that the peer ends with port 0: nobody sends.
    fn agree_on_the_end(&self, stream: &Stream<'_>) -> Option<Agreed> {
        let still = Stream {
            // Port and address do not matter any more.
            port: u16::from(stream.port == 0),
            address: Some(self.nowhere()),
            ..stream.clone()
        };
        let agreed = self.agree(&still, Says::End, Direction::Inactive, None)?;
        Some(Agreed {
            remote: SocketAddr::new(self.nowhere(), 0),
            ..agreed
        })
    }

    /// The unspecified address of our family.
    fn nowhere(&self) -> IpAddr {
        if self.local.ip().to_canonical().is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        }
    }

    /// Whether our socket can send there: the same family; never to a group.
    fn reaches(&self, address: IpAddr) -> bool {
        // The unspecified address of either family is a hold, not a place.
        let same_family = address.is_ipv4() == self.local.ip().to_canonical().is_ipv4();
        !is_group(address) && (same_family || address.is_unspecified())
    }

    /// Writes a description; one that says the same as the last keeps its version (RFC 3264 section 8).
    fn describe(
        &mut self,
        formats: &[(u8, AudioCodec)],
        noises: &[Noise],
        events: &[TelephoneEvent],
        direction: Direction,
        says: Says,
    ) -> Bytes {
        let address = self.local.ip().to_canonical();
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let port = if self.ended { 0 } else { self.local.port() };
        let mut body = String::with_capacity(600);
        let web = self.web.as_ref().zip(self.secret.as_ref());
        let (session, stream) = match web.filter(|_| self.profile == Profile::Dtls) {
            Some((web, secret)) => {
                let candidate = format!("{address} {port}");
                let answers = matches!(says, Says::Answer);
                let lines = web.stream_lines(secret, &candidate, self.mux || !answers, answers);
                (web.session_lines(), lines)
            }
            None => {
                let keys = self.keys.iter().map(Line::to_string);
                let mux = self.mux.then(|| "a=rtcp-mux\r\n".to_owned());
                (String::new(), keys.chain(mux).collect())
            }
        };
        let protocol = self.profile.name(self.feedback);
        let written = write!(body, "s=-\r\nc=IN {family} {address}\r\nt=0 0\r\n{session}")
            .and_then(|()| {
                self.slots.iter().try_for_each(|slot| match slot {
                    Slot::Audio => {
                        write!(body, "m=audio {port} {protocol}")?;
                        write_formats(&mut body, formats, noises, events)?;
                        write!(body, "{stream}a=ptime:20\r\na={}\r\n", direction.name())
                    }
                    Slot::Refused {
                        kind,
                        protocol,
                        format,
                    } => write!(body, "m={kind} 0 {protocol} {format}\r\n"),
                })
            });
        written.expect("invariant: writing to a String cannot fail");
        if body != self.body {
            self.version += 1;
            self.body = body;
        }
        format!(
            "v=0\r\no=- {} {} IN {family} {address}\r\n{}",
            self.id, self.version, self.body
        )
        .into()
    }
}

/// Whether more than one host listens at an address.
fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// The formats of our audio stream (RFC 8866 sections 5.14 and 6).
fn write_formats(
    body: &mut String,
    formats: &[(u8, AudioCodec)],
    noises: &[Noise],
    events: &[TelephoneEvent],
) -> std::fmt::Result {
    let codecs = formats.iter().map(|(payload_type, _)| *payload_type);
    let events_have = events.iter().map(|event| event.payload_type);
    let noises_have = noises.iter().map(|(payload_type, _)| *payload_type);
    for payload_type in codecs.chain(noises_have).chain(events_have) {
        write!(body, " {payload_type}")?;
    }
    body.push_str("\r\n");
    for (payload_type, codec) in formats {
        write!(body, "a=rtpmap:{payload_type} {}\r\n", codec.encoding())?;
        if let Some(parameters) = codec.parameters() {
            write!(body, "a=fmtp:{payload_type} {parameters}\r\n")?;
        }
    }
    for (payload_type, clock_rate) in noises {
        write!(body, "a=rtpmap:{payload_type} CN/{clock_rate}\r\n")?;
    }
    for TelephoneEvent {
        payload_type,
        clock_rate,
    } in events
    {
        // RFC 4733 section 3.2: the sixteen DTMF keys.
        write!(
            body,
            "a=rtpmap:{payload_type} telephone-event/{clock_rate}\r\na=fmtp:{payload_type} 0-15\r\n"
        )?;
    }
    Ok(())
}

/// What a refused stream's line needs (RFC 3264 section 6: at least one format stays).
fn refused(stream: &Stream<'_>) -> Slot {
    Slot::Refused {
        kind: stream.kind.to_owned(),
        protocol: stream.protocol.to_owned(),
        format: stream.first_format.to_owned(),
    }
}
