//! RTCP of one leg (RFC 3550 section 6): what we report to its peer, and what the peer reports to us. Nothing is passed on
//! from the other leg of a call: its numbers are those of another stream.

use std::time::{Duration, Instant};

use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Compound, DelaySinceLastReceiverReport, DelaySinceLastReceiverReportBlock, Packet,
    ReceiverReferenceTime, ReceiverReport, ReportBlock, ReportBlockBuilder, Sdes, SdesChunk,
    SdesItem, SenderReport, Xr,
};

use crate::draws::Draws;
use crate::event::StreamStats;
use crate::packet::{RtpTimestamp, Ssrc, ticks_in, time_of_ticks};
use crate::quality;

/// The mean time between two reports (RFC 3550 section 6.2: the least for a session of two). Each is drawn between a half and
/// one and a half of it, so that the phones of a switch do not all report at once.
const INTERVAL: Duration = Duration::from_secs(5);

/// A round trip that takes longer is a peer that cannot count.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(30);

/// By so many ticks the two clocks and their roundings may make a round trip look negative (1 ms).
const ROUNDING: i32 = 66;

/// What one side lost is told in 24 bits (RFC 3550 section 6.4.1).
const MAX_LOST: u64 = 0x7f_ffff;

/// What a figure of VoIP metrics is that is not known (RFC 3611 section 4.7).
const UNKNOWN: u8 = 127;
/// So many packets without a loss end a burst (RFC 3611 section 4.7.2).
const GAPS_BY: u8 = 16;

/// Ticks of the middle 32 bits of an NTP timestamp in a second.
const SHORT_TICKS: u32 = 1 << 16;

/// What the peer reports of what we send.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeerReport {
    /// Packets of ours that it missed.
    pub lost: u64,
    /// The interarrival jitter of ours at its place, at the end.
    pub jitter: Duration,
    /// The highest that it reported.
    pub max_jitter: Duration,
    /// The mean opinion score that it gives what it hears, where it tells one (RFC 3611 section 4.7), 1 to 5.
    pub mos: Option<f64>,
}

/// What we send, for a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) ssrc: Ssrc,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) clock_rate: u32,
    /// The timestamp that a sample of this moment would have.
    pub(crate) timestamp: RtpTimestamp,
}

/// The peer's stream as it came, for a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reception {
    pub(crate) ssrc: Ssrc,
    /// With the count of cycles.
    pub(crate) highest: u32,
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// In ticks.
    pub(crate) jitter: u32,
}

/// The reports of one leg, in both directions.
#[derive(Debug)]
pub(crate) struct Reports {
    /// RFC 3550 section 4: who has no clock of the day counts from some moment of its own.
    epoch: Instant,
    /// Our name (RFC 7022 section 4.2).
    name: u64,
    draws: Draws,
    /// When the next one leaves.
    due: Instant,
    /// Packets that we had sent at the last one.
    told: u64,
    /// The peer's stream, with what was expected and received of it, at the last one.
    reported: Option<(Ssrc, u64, u64)>,
    /// The peer's last sender report (its middle 32 bits), and when it came.
    sender_report: Option<(u32, Instant)>,
    /// The peer's last reference time (RFC 3611 section 4.4), whose it is and when it came.
    reference: Option<(Ssrc, u32, Instant)>,
    peer: Option<PeerReport>,
    /// The peer tells how it likes what it hears (RFC 3611 section 4.7), and so may want to know how we do.
    peer_rates: bool,
    /// Round trips measured, and their sum.
    trips: (u32, Duration),
}

impl Reports {
    /// The first report leaves within half the time of the others (RFC 3550 section 6.2).
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        let mut reports = Self {
            epoch: now,
            name: seed,
            draws: Draws::new(seed),
            due: now,
            told: 0,
            reported: None,
            sender_report: None,
            reference: None,
            peer: None,
            peer_rates: false,
            trips: (0, Duration::ZERO),
        };
        reports.due = now + reports.interval() / 2;
        reports
    }

    /// When the next report leaves.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What the peer said of what we send, last.
    pub(crate) fn peer(&self) -> Option<PeerReport> {
        self.peer
    }

    /// How long a packet takes to the peer and back, on average.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let (count, sum) = self.trips;
        (count > 0).then(|| sum / count)
    }

    fn interval(&mut self) -> Duration {
        INTERVAL / 2 + INTERVAL.mul_f64((self.draws.next() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// The time since the epoch as of NTP: seconds and their fraction, 32 bits each.
    fn ntp(&self, now: Instant) -> u64 {
        let time = now.saturating_duration_since(self.epoch);
        (time.as_secs() << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)
    }

    /// The next report: a sender's if we sent something since the last, else a receiver's.
    pub(crate) fn write(
        &mut self,
        sending: &Sending,
        reception: Option<Reception>,
        stats: &StreamStats,
        now: Instant,
    ) -> Vec<u8> {
        self.due = now + self.interval();
        let block = reception.map(|reception| self.block(&reception, now));
        let ssrc = sending.ssrc.0;
        let name = format!("{:016x}", self.name);
        let compound = Compound::builder();
        let compound = if sending.packets > self.told {
            let report = SenderReport::builder(ssrc)
                .ntp_timestamp(self.ntp(now))
                .rtp_timestamp(sending.timestamp.0)
                // Modulo 2^32, as the fields are.
                .packet_count(sending.packets as u32)
                .octet_count(sending.octets as u32);
            compound.add_packet(
                block
                    .into_iter()
                    .fold(report, |report, block| report.add_report_block(block)),
            )
        } else {
            let report = ReceiverReport::builder(ssrc);
            compound.add_packet(
                block
                    .into_iter()
                    .fold(report, |report, block| report.add_report_block(block)),
            )
        };
        self.told = sending.packets;
        // RFC 7022 section 4.2: a name that tells nobody where we are, the same for the whole session.
        let item = SdesItem::builder(SdesItem::CNAME, &name);
        let chunk = SdesChunk::builder(ssrc).add_item(item);
        let mut compound = compound.add_packet(Sdes::builder().add_chunk(chunk));
        if let Some((source, reference, came)) = self.reference.take() {
            let answer = DelaySinceLastReceiverReportBlock::builder()
                .ssrc(source.0)
                .last_receiver_report(reference)
                .delay_since_last_receiver_report_timestamp(short_time(now - came));
            let block = DelaySinceLastReceiverReport::builder().add_block(answer);
            compound = compound.add_packet(Xr::builder().sender_ssrc(ssrc).add_block(block));
        }
        let mut packet = octets(&compound);
        if let Some(reception) = reception {
            packet.extend(self.rating(sending, reception.ssrc, stats));
        }
        packet
    }

    /// How we like what the peer says, if it tells the same of us.
    fn rating(&self, sending: &Sending, source: Ssrc, stats: &StreamStats) -> Vec<u8> {
        let (Some(rating), Some(mos), true) =
            (quality::rating(stats), quality::mos(stats), self.peer_rates)
        else {
            return Vec::new();
        };
        let mut octets = vec![0x80, 207, 0, 10];
        octets.extend(sending.ssrc.0.to_be_bytes());
        octets.extend([VoipMetrics::BLOCK_TYPE, 0, 0, 8]);
        octets.extend(source.0.to_be_bytes());
        // Lost packets in 256ths; none are thrown away, and bursts are not told apart.
        let loss = (stats.loss() * 256.0).min(255.0) as u8;
        octets.extend([loss, 0, 0, loss, 0, 0, 0, 0]);
        let trip = stats.round_trip.unwrap_or_default().as_millis();
        octets.extend(u16::try_from(trip).unwrap_or(u16::MAX).to_be_bytes());
        octets.extend([0, 0, UNKNOWN, UNKNOWN, UNKNOWN, GAPS_BY]);
        let tenths = (mos * 10.0).round() as u8;
        octets.extend([rating.round() as u8, UNKNOWN, tenths, tenths]);
        // Concealment and the jitter buffer are the phone's on the other side.
        octets.extend([0; 8]);
        octets
    }

    /// The last report: we leave (RFC 3550 section 6.3.7).
    pub(crate) fn bye(
        &mut self,
        sending: &Sending,
        reception: Option<Reception>,
        stats: &StreamStats,
        now: Instant,
    ) -> Vec<u8> {
        let mut packet = self.write(sending, reception, stats, now);
        let bye = Bye::builder().add_source(sending.ssrc.0);
        packet.extend(octets(&bye));
        packet
    }

    /// RFC 3550 appendix A.3.
    fn block(&mut self, reception: &Reception, now: Instant) -> ReportBlockBuilder {
        let Reception {
            ssrc,
            highest,
            expected,
            received,
            jitter,
        } = *reception;
        let before = self.reported.replace((ssrc, expected, received));
        let (_, expected_before, received_before) = before
            .filter(|(source, ..)| *source == ssrc)
            .unwrap_or((ssrc, 0, 0));
        let expected_since = expected.saturating_sub(expected_before);
        let lost_since = expected_since.saturating_sub(received.saturating_sub(received_before));
        let fraction = (lost_since * 256).checked_div(expected_since).unwrap_or(0);
        let block = ReportBlock::builder(ssrc.0)
            .fraction_lost(fraction.min(255) as u8)
            .cumulative_lost(expected.saturating_sub(received).min(MAX_LOST) as u32)
            .extended_sequence_number(highest)
            .interarrival_jitter(jitter);
        match self.sender_report {
            Some((report, came)) => block
                .last_sender_report_timestamp(report)
                .delay_since_last_sender_report_timestamp(short_time(now - came)),
            None => block,
        }
    }

    /// Takes what the peer reports; false if it is no RTCP.
    pub(crate) fn read(&mut self, packet: &[u8], sending: &Sending, now: Instant) -> bool {
        let Ok(compound) = Compound::parse(packet) else {
            return false;
        };
        for packet in compound.flatten() {
            match packet {
                Packet::Sr(report) => {
                    self.sender_report = Some(((report.ntp_timestamp() >> 16) as u32, now));
                    for block in report.report_blocks() {
                        self.read_block(&block, sending, now);
                    }
                }
                Packet::Rr(report) => {
                    for block in report.report_blocks() {
                        self.read_block(&block, sending, now);
                    }
                }
                Packet::Xr(report) => self.read_extended(&report, sending, now),
                Packet::App(_)
                | Packet::Bye(_)
                | Packet::Sdes(_)
                | Packet::TransportFeedback(_)
                | Packet::PayloadFeedback(_)
                | Packet::Unknown(_) => {}
            }
        }
        true
    }

    fn read_block(&mut self, block: &ReportBlock<'_>, sending: &Sending, now: Instant) {
        if block.ssrc() != sending.ssrc.0 {
            return;
        }
        // Of 24 bits with a sign; duplicates can make it negative.
        let lost = u64::from(block.cumulative_lost());
        let lost = if lost > MAX_LOST { 0 } else { lost };
        let jitter = time_of_ticks(block.interarrival_jitter().into(), sending.clock_rate);
        let before = self.peer.unwrap_or_default();
        self.peer = Some(PeerReport {
            lost: lost.min(sending.packets),
            jitter,
            max_jitter: before.max_jitter.max(jitter),
            mos: before.mos,
        });
        let (report, delay) = (
            block.last_sender_report_timestamp(),
            block.delay_since_last_sender_report_timestamp(),
        );
        if report != 0 {
            self.measure(report, delay, now);
        }
    }

    /// RFC 3550 section 6.4.1: the time since our report, less the time that it lay at the peer's.
    fn measure(&mut self, report: u32, delay: u32, now: Instant) {
        let short = (self.ntp(now) >> 16) as u32;
        let ticks = short.wrapping_sub(report).wrapping_sub(delay).cast_signed();
        if ticks < -ROUNDING {
            return;
        }
        let trip = time_of_ticks(ticks.max(0).cast_unsigned().into(), SHORT_TICKS);
        if trip <= MAX_ROUND_TRIP {
            self.trips.0 += 1;
            self.trips.1 += trip;
        }
    }

    fn read_extended(&mut self, report: &Xr<'_>, sending: &Sending, now: Instant) {
        for block in report.block_iter() {
            if let Ok(reference) = block.parse_into::<ReceiverReferenceTime<'_>>() {
                let short = (reference.ntp_timestamp() >> 16) as u32;
                self.reference = Some((Ssrc(report.sender_ssrc()), short, now));
            }
            if let Ok(metrics) = block.parse_into::<VoipMetrics>()
                && metrics.ssrc == sending.ssrc
            {
                self.peer_rates = true;
                let before = self.peer.unwrap_or_default();
                let mos = metrics.mos.or(before.mos);
                self.peer = Some(PeerReport { mos, ..before });
            }
        }
    }
}

/// How a phone likes what it hears (RFC 3611 section 4.7).
struct VoipMetrics {
    ssrc: Ssrc,
    /// Its score for listening, 1 to 5.
    mos: Option<f64>,
    header: [u8; 4],
}

impl XrBlockStaticType for VoipMetrics {
    const BLOCK_TYPE: u8 = 7;
}

impl XrBlockParser<'_> for VoipMetrics {
    fn parse(octets: &[u8]) -> Result<Self, rtcp_types::RtcpParseError> {
        let block: &[u8; 36] =
            octets
                .first_chunk()
                .ok_or(rtcp_types::RtcpParseError::Truncated {
                    expected: 36,
                    actual: octets.len(),
                })?;
        // In tenths; 127: it is not known.
        let mos = Some(block[26]).filter(|mos| (10..=50).contains(mos));
        Ok(Self {
            ssrc: Ssrc(u32::from_be_bytes([block[4], block[5], block[6], block[7]])),
            mos: mos.map(|mos| f64::from(mos) / 10.0),
            header: [block[0], block[1], block[2], block[3]],
        })
    }

    fn header_data(&self) -> [u8; 4] {
        self.header
    }
}

/// A time in 65,536ths of a second.
fn short_time(time: Duration) -> u32 {
    u32::try_from(ticks_in(time, SHORT_TICKS)).unwrap_or(u32::MAX)
}

fn octets(packet: &impl RtcpPacketWriter) -> Vec<u8> {
    let length = packet
        .calculate_size()
        .expect("invariant: every field is in its range");
    let mut octets = vec![0; length];
    packet.write_into_unchecked(&mut octets);
    octets
}
