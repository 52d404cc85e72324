//! How well a peer can be understood, from what came of its stream: the E-model (ITU-T G.107) with what a switch in the middle knows.

use std::time::Duration;

use crate::event::StreamStats;

/// The rating of a call without loss and delay, all else by default (G.107 table 2 and section 7).
const BEST: f64 = 93.2;

/// How well loss is borne: G.711 with concealment (G.113 appendix I). For the other codecs that we speak nothing better is
/// standardized on this scale.
const ROBUSTNESS: f64 = 25.1;

/// A frame of 20 ms and a jitter buffer of 40 ms: what every phone adds.
const OWN_DELAY: Duration = Duration::from_millis(60);

/// Beyond this delay people begin to talk at once (Cole and Rosenbluth's form of G.107 section 7.4).
const CONVERSATIONAL: f64 = 177.3;

/// The mean opinion score of what came from a peer, 1 (bad) to 4.4 (as good as a line gets); None if nothing came.
///
/// Lost packets count by how many there were and whether they came in bursts, jitter by the buffer that it takes, and half of the
/// round trip where the peer's reports have shown one.
#[must_use]
pub fn mos(stats: &StreamStats) -> Option<f64> {
    rating(stats).map(score_of)
}

/// The rating behind it (R of the E-model), 0 to 93.
#[must_use]
pub fn rating(stats: &StreamStats) -> Option<f64> {
    if stats.received == 0 {
        return None;
    }
    let delay = one_way(stats) + 2 * stats.max_jitter;
    Some(rated(delay, stats.loss(), burst_ratio(stats)))
}

/// The same of what the peer heard of us: as it says itself, or by what it reports of loss and jitter; None if it reported nothing.
#[must_use]
pub fn reported_mos(stats: &StreamStats) -> Option<f64> {
    let report = stats.peer.filter(|_| stats.sent > 0)?;
    let loss = report.lost as f64 / stats.sent as f64;
    let by_figures = || score_of(rated(one_way(stats) + 2 * report.max_jitter, loss, 1.0));
    Some(report.mos.unwrap_or_else(by_figures))
}

/// What the network and a phone add.
fn one_way(stats: &StreamStats) -> Duration {
    OWN_DELAY + stats.round_trip.unwrap_or_default() / 2
}

fn rated(delay: Duration, loss: f64, burst_ratio: f64) -> f64 {
    let delay = delay.as_secs_f64() * 1000.0;
    let talking_at_once = 0.11 * (delay - CONVERSATIONAL).max(0.0);
    let impairment = 100.0 * loss / (100.0 * loss / burst_ratio + ROBUSTNESS) * 95.0;
    (BEST - 0.024 * delay - talking_at_once - impairment).clamp(0.0, 100.0)
}

/// G.107 annex B.
fn score_of(rating: f64) -> f64 {
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    score.max(1.0)
}

/// How much longer runs of lost packets are than chance makes them (G.107 section 7.5); 1 for loss without a pattern.
fn burst_ratio(stats: &StreamStats) -> f64 {
    if stats.lost == 0 || stats.gaps == 0 {
        return 1.0;
    }
    let mean = stats.lost as f64 / stats.gaps as f64;
    (mean * (1.0 - stats.loss())).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(received: u64, lost: u64, gaps: u64, jitter: u64) -> StreamStats {
        StreamStats {
            received,
            lost,
            gaps,
            max_jitter: Duration::from_millis(jitter),
            ..StreamStats::default()
        }
    }

    fn score_of(received: u64, lost: u64, gaps: u64, jitter: u64) -> f64 {
        mos(&stats(received, lost, gaps, jitter)).expect("something came")
    }

    #[test]
    fn a_clean_stream_is_as_good_as_a_line_gets_and_none_has_no_score() {
        assert!((score_of(1_000, 0, 0, 0) - 4.38).abs() < 0.01);
        assert_eq!(mos(&StreamStats::default()), None);
    }

    /// G.107 by hand: 5 % of loss by chance leave R = 93.2 - 1.44 - 95 * 5 / (5 + 25.1) = 76.0.
    #[test]
    fn loss_counts_as_in_the_e_model() {
        let rating: f64 = 93.2 - 1.44 - 95.0 * 5.0 / 30.1;
        let by_hand = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
        assert!((score_of(950, 50, 50, 0) - by_hand).abs() < 0.01);
        assert!((by_hand - 3.87).abs() < 0.02);
    }

    #[test]
    fn bursts_are_worse_than_single_losses_and_jitter_than_none() {
        let (single, bursts) = (score_of(900, 100, 100, 0), score_of(900, 100, 20, 0));
        assert!(single - bursts > 0.3, "{single} {bursts}");
        let (even, uneven) = (score_of(1_000, 0, 0, 0), score_of(1_000, 0, 0, 150));
        assert!(even - uneven > 0.5, "{even} {uneven}");
        assert!(score_of(10, 990, 1, 2_000) >= 1.0);
    }

    /// G.107: half of 400 ms on the way leave R = 93.2 - 0.024 * 260 - 0.11 * (260 - 177.3) = 77.9.
    #[test]
    fn a_long_way_counts_once_it_is_known() {
        let far = StreamStats {
            round_trip: Some(Duration::from_millis(400)),
            ..stats(1_000, 0, 0, 0)
        };
        let rating: f64 = 77.9;
        let by_hand = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
        assert!((mos(&far).expect("something came") - by_hand).abs() < 0.01);
    }

    #[test]
    fn what_the_peer_reports_is_scored_as_what_we_count_unless_it_has_a_score_of_its_own() {
        let report = crate::rtcp::PeerReport {
            lost: 50,
            ..crate::rtcp::PeerReport::default()
        };
        let reported = |sent, peer| {
            let heard = StreamStats {
                sent,
                peer,
                ..StreamStats::default()
            };
            reported_mos(&heard)
        };
        assert_eq!(reported(1_000, None), None);
        assert_eq!(reported(0, Some(report)), None);
        let by_us = reported(1_000, Some(report)).expect("it reported");
        assert!((by_us - score_of(950, 50, 50, 0)).abs() < 0.01);
        let mos = Some(2.5);
        assert_eq!(
            reported(1_000, Some(crate::rtcp::PeerReport { mos, ..report })),
            mos
        );
    }
}
