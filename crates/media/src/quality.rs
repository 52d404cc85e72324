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
/// Lost packets count by how many there were and whether they came in bursts, jitter by the buffer that it takes. What the network
/// delays cannot be seen in one direction alone, and what the peer hears of us not at all.
#[must_use]
pub fn mos(stats: &StreamStats) -> Option<f64> {
    if stats.received == 0 {
        return None;
    }
    let delay = (OWN_DELAY + 2 * stats.max_jitter).as_secs_f64() * 1000.0;
    let talking_at_once = 0.11 * (delay - CONVERSATIONAL).max(0.0);
    let loss = stats.loss();
    let impairment = 100.0 * loss / (100.0 * loss / burst_ratio(stats) + ROBUSTNESS) * 95.0;
    let rating = (BEST - 0.024 * delay - talking_at_once - impairment).clamp(0.0, 100.0);
    // G.107 annex B.
    let score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    Some(score.max(1.0))
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

    fn score(received: u64, lost: u64, gaps: u64, jitter: u64) -> f64 {
        mos(&stats(received, lost, gaps, jitter)).expect("something came")
    }

    #[test]
    fn a_clean_stream_is_as_good_as_a_line_gets_and_none_has_no_score() {
        assert!((score(1_000, 0, 0, 0) - 4.38).abs() < 0.01);
        assert_eq!(mos(&StreamStats::default()), None);
    }

    /// G.107 by hand: 5 % of loss by chance leave R = 93.2 - 1.44 - 95 * 5 / (5 + 25.1) = 76.0.
    #[test]
    fn loss_counts_as_in_the_e_model() {
        let rating: f64 = 93.2 - 1.44 - 95.0 * 5.0 / 30.1;
        let by_hand = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
        assert!((score(950, 50, 50, 0) - by_hand).abs() < 0.01);
        assert!((by_hand - 3.87).abs() < 0.02);
    }

    #[test]
    fn bursts_are_worse_than_single_losses_and_jitter_than_none() {
        let (single, bursts) = (score(900, 100, 100, 0), score(900, 100, 20, 0));
        assert!(single - bursts > 0.3, "{single} {bursts}");
        let (even, uneven) = (score(1_000, 0, 0, 0), score(1_000, 0, 0, 150));
        assert!(even - uneven > 0.5, "{even} {uneven}");
        assert!(score(10, 990, 1, 2_000) >= 1.0);
    }
}
