//! What a phone sends again until it is answered, and what it answers again (RFC 3261 sections 17 and 13.3.1.4).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::Transport;

use crate::wire::Key;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// What has no answer after 64*T1 is given up.
const GIVE_UP: Duration = Duration::from_secs(32);
/// Answers and ACKs that are kept for requests and responses that come again.
const MAX_KEPT: usize = 32;

#[derive(Debug)]
struct Awaited {
    octets: Bytes,
    key: Key,
    /// When it is sent again; none after a provisional answer to an INVITE, or over TCP.
    again: Option<Instant>,
    interval: Duration,
    /// When it is given up; none once an INVITE has a provisional answer.
    until: Option<Instant>,
}

/// The transactions of one phone.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// Over TCP requests are sent once.
    reliable: bool,
    awaited: Vec<Awaited>,
    /// The last answer to each request, by branch and method.
    answers: VecDeque<((String, String), Bytes)>,
    /// The ACK of each final answer.
    acks: VecDeque<(Key, Bytes)>,
    outbox: VecDeque<Bytes>,
}

impl Transactions {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            reliable: transport.is_reliable(),
            ..Self::default()
        }
    }

    pub(crate) fn send(&mut self, octets: Bytes) {
        self.outbox.push_back(octets);
    }

    /// Sends until the answer comes that `key` names.
    pub(crate) fn send_until_answered(&mut self, octets: Bytes, key: Key, now: Instant) {
        self.outbox.push_back(octets.clone());
        // A 2xx is repeated over TCP too (section 13.3.1.4).
        let repeats = !self.reliable || key.method == "ACK";
        self.awaited.push(Awaited {
            octets,
            key,
            again: repeats.then_some(now + T1),
            interval: T1,
            until: Some(now + GIVE_UP),
        });
    }

    /// Whether somebody waits for this answer. A provisional one only stops the repetition.
    pub(crate) fn answered(&mut self, key: &Key, finally: bool) -> bool {
        let Some(position) = self.awaited.iter().position(|sent| sent.key == *key) else {
            return false;
        };
        if finally {
            self.awaited.remove(position);
        } else {
            let sent = &mut self.awaited[position];
            sent.again = None;
            if key.method == "INVITE" {
                sent.until = None;
            }
        }
        true
    }

    /// Whether an INVITE or UPDATE of its own waits for its final answer.
    pub(crate) fn offers(&self, call_id: &str) -> bool {
        let offers = |key: &Key| matches!(key.method.as_str(), "INVITE" | "UPDATE");
        self.awaited
            .iter()
            .any(|sent| sent.key.call_id == call_id && offers(&sent.key))
    }

    pub(crate) fn forget_call(&mut self, call_id: &str) {
        self.awaited
            .retain(|sent| sent.key.call_id != call_id || sent.key.method == "BYE");
    }

    pub(crate) fn keep_ack(&mut self, key: Key, ack: Bytes) {
        self.acks.truncate(MAX_KEPT - 1);
        self.acks.push_front((key, ack));
    }

    /// A final answer came again: so does its ACK.
    pub(crate) fn acknowledge_again(&mut self, key: &Key) {
        if let Some((_, ack)) = self.acks.iter().find(|(kept, _)| kept == key) {
            self.outbox.push_back(ack.clone());
        }
    }

    pub(crate) fn keep_answer(&mut self, branch: &str, method: &str, answer: Bytes) {
        let key = (branch.to_owned(), method.to_owned());
        self.answers.retain(|(kept, _)| *kept != key);
        self.answers.truncate(MAX_KEPT - 1);
        self.answers.push_front((key, answer));
    }

    /// Whether the request came before; it gets its answer again then.
    pub(crate) fn repeated(&mut self, branch: &str, method: &str) -> bool {
        let kept = self
            .answers
            .iter()
            .find(|((of, kind), _)| of == branch && kind == method);
        if let Some((_, answer)) = kept {
            self.outbox.push_back(answer.clone());
        }
        kept.is_some()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.awaited
            .iter()
            .flat_map(|sent| [sent.again, sent.until])
            .flatten()
            .min()
    }

    /// Repeats what is due; gives what was given up.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<Key> {
        let due = |sent: &mut Awaited| sent.until.is_some_and(|until| until <= now);
        let given_up = self.awaited.extract_if(.., due);
        let given_up = given_up.map(|sent| sent.key).collect();
        for sent in &mut self.awaited {
            if sent.again.is_some_and(|again| again <= now) {
                sent.interval = (sent.interval * 2).min(T2);
                sent.again = Some(now + sent.interval);
                self.outbox.push_back(sent.octets.clone());
            }
        }
        given_up
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outbox.pop_front()
    }
}
