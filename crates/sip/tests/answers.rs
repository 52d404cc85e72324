//! The messages of RFC 4475 and RFC 5118 meet the whole endpoint.

use crate::bench::{Bench, describe_all, udp};
use crate::corpus::{Sample, rfc};

fn satisfies(sample: &Sample, answers: &[u16]) -> bool {
    let accepted = &sample.accepted;
    let finals: Vec<u16> = answers
        .iter()
        .copied()
        .filter(|status| *status >= 200)
        .collect();
    if answers.is_empty() {
        return accepted.iter().any(|token| token == "silent");
    }
    accepted.iter().any(|token| match token.as_str() {
        "silent" => false,
        "liberal" => finals.iter().all(|status| *status < 500),
        token => match token.strip_prefix('!') {
            Some(_) => !finals
                .iter()
                .any(|status| accepted.contains(&format!("!{status}"))),
            None => answers.contains(&token.parse().unwrap()),
        },
    })
}

/// Requests are sent eleven times at most (RFC 3261 section 17.1.2.2); two or three are enough here.
const MOST_REPEATED: usize = 3;

fn judge(folder: &str, expected: usize) {
    let samples = rfc(folder);
    assert_eq!(samples.len(), expected);
    let mut wrong = Vec::new();
    for sample in &samples {
        let mut bench = Bench::new();
        // Over UDP a request that is too short for its answer gets it when it is repeated.
        let sent = (0..MOST_REPEATED).find_map(|_| {
            bench.receive(&sample.octets, udp("192.0.2.77:5060"));
            Some(bench.take_sent()).filter(|sent| !sent.is_empty())
        });
        let sent = sent.unwrap_or_default();
        let answers: Vec<u16> = sent
            .iter()
            .filter_map(|m| m.status())
            .map(|s| s.0)
            .collect();
        assert_eq!(
            answers.len(),
            sent.len(),
            "{}: only responses leave",
            sample.name
        );
        assert!(
            answers.len() <= 1,
            "{}: {}",
            sample.name,
            describe_all(&sent)
        );
        if !satisfies(sample, &answers) {
            wrong.push(format!(
                "{}: {answers:?}, not {:?}",
                sample.name, sample.accepted
            ));
        }
        // Nobody has shown who they are: nothing may be kept.
        assert!(
            bench.events.is_empty() && bench.is_quiet(),
            "{}",
            sample.name
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_message_of_rfc_4475_gets_an_answer_that_satisfies_it() {
    judge("rfc4475", 49);
}

#[test]
fn every_message_of_rfc_5118_gets_an_answer_that_satisfies_it() {
    judge("rfc5118", 12);
}
