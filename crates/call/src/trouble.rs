//! What was wrong with the sound of a phone, in the words in which one would tell its owner.

use std::time::Duration;

use media::mixer::StreamStats;
use media::quality;
use sip::sdp::Agreed;

/// A phone that is well sends 20 to 50 packets a second, also in silence.
const PAUSE: Duration = Duration::from_secs(2);
/// A score below this has people ask again (ITU-T G.107 annex B: many users dissatisfied).
const POOR: f64 = 3.6;

/// What was wrong, if anything was: the one thing that explains most.
pub(crate) fn of(stats: &StreamStats, agreed: &Agreed) -> Option<String> {
    if stats.longest_pause >= PAUSE {
        return Some(if stats.received == 0 {
            nothing_came(stats, agreed)
        } else {
            let seconds = stats.longest_pause.as_secs_f64();
            format!("nothing came from it for {seconds:.1} s")
        });
    }
    let Some(score) = quality::mos(stats).filter(|score| *score < POOR) else {
        return it_heard_badly(stats);
    };
    let (percent, jitter) = (stats.loss() * 100.0, stats.max_jitter.as_millis());
    let bursts = if stats.lost > 3 * stats.gaps {
        ", many at once"
    } else {
        ""
    };
    Some(if percent >= 1.0 {
        format!("{percent:.1} % of its packets were lost{bursts} (MOS {score:.1})")
    } else if let Some(trip) = stats.round_trip.filter(|trip| *trip > 4 * stats.max_jitter) {
        let trip = trip.as_millis();
        format!("packets take {trip} ms to it and back (MOS {score:.1})")
    } else {
        format!("its packets came unevenly, by up to {jitter} ms (MOS {score:.1})")
    })
}

/// What came from it was well, and it says that what came to it was not.
fn it_heard_badly(stats: &StreamStats) -> Option<String> {
    let report = stats.peer?;
    let score = quality::reported_mos(stats).filter(|score| *score < POOR)?;
    let percent = report.lost as f64 * 100.0 / stats.sent.max(1) as f64;
    Some(if percent >= 1.0 {
        format!("it reports that {percent:.1} % of what we sent never came (MOS {score:.1})")
    } else {
        let jitter = report.max_jitter.as_millis();
        format!("it reports bad sound, with a jitter of up to {jitter} ms (MOS {score:.1})")
    })
}

fn nothing_came(stats: &StreamStats, agreed: &Agreed) -> String {
    let (told, rejected) = (agreed.remote, stats.rejected);
    match (agreed.dtls, rejected) {
        (Some(_), _) if stats.sent > 0 => "nothing came from it after its handshake (DTLS)".into(),
        (Some(_), 0) => "no handshake (ICE, DTLS): nothing came from it at all".into(),
        (Some(_), _) => format!("no handshake (ICE, DTLS): {rejected} packets proved nothing"),
        (None, 0) => format!(
            "nothing came from it: its session description says {told}, packets came from nowhere"
        ),
        (None, _) => format!(
            "nothing came from it: its session description says {told}, and {rejected} packets that came were not proved to be its own"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::mixer::PeerReport;
    use sip::sdp::{AudioCodec, Direction};

    fn words(stats: StreamStats) -> Option<String> {
        let agreed = Agreed {
            remote: ([10, 0, 0, 5], 4000).into(),
            codec: AudioCodec::Pcma,
            payload_type: 8,
            receive_payload_type: 8,
            telephone_event: None,
            comfort_noise: None,
            wants_dtx: false,
            direction: Direction::SendRecv,
            rtcp: None,
            crypto: None,
            dtls: None,
        };
        of(&stats, &agreed)
    }

    fn fine() -> StreamStats {
        StreamStats {
            received: 1_000,
            sent: 1_000,
            ..StreamStats::default()
        }
    }

    #[test]
    fn what_explains_most_is_told_in_words() {
        let fine = fine();
        assert_eq!(words(fine), None);
        let longest_pause = Duration::from_millis(12_300);
        for (stats, told) in [
            (
                StreamStats {
                    received: 0,
                    longest_pause,
                    ..fine
                },
                "nothing came from it: its session description says 10.0.0.5:4000, packets came from nowhere",
            ),
            (
                StreamStats {
                    received: 0,
                    rejected: 7,
                    longest_pause,
                    ..fine
                },
                "nothing came from it: its session description says 10.0.0.5:4000, and 7 packets that came were not proved to be its own",
            ),
            (
                StreamStats {
                    longest_pause,
                    ..fine
                },
                "nothing came from it for 12.3 s",
            ),
            (
                StreamStats {
                    lost: 111,
                    gaps: 20,
                    ..fine
                },
                "10.0 % of its packets were lost, many at once (MOS 2.9)",
            ),
            (
                StreamStats {
                    max_jitter: Duration::from_millis(210),
                    ..fine
                },
                "its packets came unevenly, by up to 210 ms (MOS 2.5)",
            ),
        ] {
            assert_eq!(words(stats).as_deref(), Some(told));
        }
    }

    #[test]
    fn what_the_phone_reports_is_told_where_what_came_from_it_was_well() {
        let fine = fine();
        for (stats, told) in [
            (
                StreamStats {
                    peer: Some(PeerReport {
                        lost: 120,
                        ..PeerReport::default()
                    }),
                    ..fine
                },
                "it reports that 12.0 % of what we sent never came (MOS 3.2)",
            ),
            (
                StreamStats {
                    round_trip: Some(Duration::from_millis(600)),
                    ..fine
                },
                "packets take 600 ms to it and back (MOS 3.3)",
            ),
            (
                StreamStats {
                    peer: Some(PeerReport {
                        mos: Some(3.1),
                        max_jitter: Duration::from_millis(4),
                        ..PeerReport::default()
                    }),
                    ..fine
                },
                "it reports bad sound, with a jitter of up to 4 ms (MOS 3.1)",
            ),
        ] {
            assert_eq!(words(stats).as_deref(), Some(told));
        }
    }
}
