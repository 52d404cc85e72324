//! The call record while its call lives.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use media::mixer::{RecordingId, StreamStats};
use media::quality;
use queue::{AgentId, QueueId};
use sip::endpoint::{Account, Status};
use sip::sdp::{Agreed, AudioCodec};

use crate::clock::Clock;
use crate::leg::{Leg, Media};
use crate::record::{
    CallRecord, LegRecord, MAX_LEGS, MediaRecord, Outcome, Pause, RecordingRecord, ReportedMedia,
    TransferKind, TransferRecord, Visit,
};
use crate::{Cause, Party, trouble};

/// Most pauses of one recording; beyond, it records on.
const MAX_PAUSES: usize = 100;
/// Most transfers that one record lists; later ones are left out. Those that fail count, too.
const MAX_TRANSFERS: usize = 100;

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Draft {
    name: String,
    caller: String,
    caller_name: Option<String>,
    dialled: String,
    start: Instant,
    pub(crate) answer: Option<Instant>,
    visits: Vec<DraftVisit>,
    transfers: Vec<DraftTransfer>,
    supervisors: BTreeSet<Account>,
    joined_calls: Vec<String>,
    recordings: Vec<DraftRecording>,
    legs: Vec<LegRecord>,
    legs_omitted: usize,
    end: Option<(Instant, Cause, Party)>,
}

#[derive(Debug)]
struct DraftVisit {
    queue: QueueId,
    joined: Instant,
    left: Option<(Instant, Outcome)>,
    agent: Option<AgentId>,
    talk: Duration,
    hold: Duration,
}

#[derive(Debug)]
struct DraftTransfer {
    at: Instant,
    kind: TransferKind,
    by: String,
    to: String,
    status: Option<Status>,
}

#[derive(Debug)]
struct DraftRecording {
    id: RecordingId,
    path: String,
    start: Instant,
    end: Option<Instant>,
    /// The end of the last is not known while it lasts.
    pauses: Vec<(Instant, Option<Instant>)>,
    result: Option<Result<Duration, String>>,
}

impl Draft {
    pub(crate) fn new(
        name: &str,
        caller: String,
        caller_name: Option<String>,
        dialled: String,
        now: Instant,
    ) -> Self {
        Self {
            name: name.to_owned(),
            caller,
            caller_name,
            dialled,
            start: now,
            answer: None,
            visits: Vec::new(),
            transfers: Vec::new(),
            supervisors: BTreeSet::new(),
            joined_calls: Vec::new(),
            recordings: Vec::new(),
            legs: Vec::new(),
            legs_omitted: 0,
            end: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn caller(&self) -> &str {
        &self.caller
    }

    pub(crate) fn dialled(&self) -> &str {
        &self.dialled
    }

    /// Whether somebody may mean this call by a name: its own, who calls or what was dialled.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        [&*self.name, &self.caller, &self.dialled].contains(&name)
    }

    /// The call in a few words.
    pub(crate) fn told(&self, now: Instant) -> String {
        let seconds = now.saturating_duration_since(self.start).as_secs();
        let Self {
            name,
            caller,
            dialled,
            ..
        } = self;
        format!("call {name} of {caller} to {dialled}, for {seconds} s")
    }

    // --- queues --------------------------------------------------------------------------------------------------

    pub(crate) fn joined(&mut self, queue: &QueueId, now: Instant) {
        self.visits.push(DraftVisit {
            queue: queue.clone(),
            joined: now,
            left: None,
            agent: None,
            talk: Duration::ZERO,
            hold: Duration::ZERO,
        });
    }

    pub(crate) fn left(&mut self, outcome: Outcome, now: Instant) {
        if let Some(visit) = self.visits.last_mut() {
            visit.left = Some((now, outcome));
        }
    }

    /// How long the caller has waited in queues, one after the other, without an agent.
    pub(crate) fn waited_unserved(&self) -> Duration {
        let visits = self.visits.iter().rev();
        let unserved = visits.map_while(|visit| match visit.left {
            Some((_, Outcome::Answered)) | None => None,
            Some((left, _)) => Some(left - visit.joined),
        });
        unserved.sum()
    }

    /// The last wait ended with this agent; which of the visits it was.
    pub(crate) fn served_by(&mut self, agent: &AgentId, now: Instant) -> usize {
        if let Some(visit) = self.visits.last_mut() {
            visit.left = Some((now, Outcome::Answered));
            visit.agent = Some(agent.clone());
        }
        self.visits.len().saturating_sub(1)
    }

    /// How long the caller waited in one of its visits.
    pub(crate) fn waited(&self, visit: usize) -> Duration {
        let visit = self.visits.get(visit);
        let waited = visit.and_then(|visit| Some(visit.left?.0 - visit.joined));
        waited.unwrap_or_default()
    }

    pub(crate) fn talked(&mut self, visit: usize, talk: Duration) {
        if let Some(visit) = self.visits.get_mut(visit) {
            visit.talk = talk;
        }
    }

    /// For so long one of the two held.
    pub(crate) fn held(&mut self, visit: usize, time: Duration) {
        if let Some(visit) = self.visits.get_mut(visit) {
            visit.hold += time;
        }
    }

    /// A fault of ours ended the wait, if there was one.
    pub(crate) fn abandoned(&mut self, now: Instant) {
        if let Some(visit) = self.visits.last_mut() {
            visit.left.get_or_insert((now, Outcome::Closed));
        }
    }

    /// The agent was gone at once: the caller waits on.
    pub(crate) fn waits_on(&mut self, visit: usize) {
        if let Some(visit) = self.visits.get_mut(visit) {
            visit.left = None;
            visit.agent = None;
        }
    }

    /// Visits to queues so far.
    pub(crate) fn visits(&self) -> usize {
        self.visits.len()
    }

    /// Another call's story becomes part of this one's. `goes_on`: what the other waits in goes on, so it stands last.
    pub(crate) fn join(&mut self, other: Self, goes_on: bool) {
        if goes_on {
            self.visits.extend(other.visits);
        } else {
            self.visits.splice(..0, other.visits);
        }
        self.joined_calls.push(other.name);
        self.joined_calls.extend(other.joined_calls);
        self.supervisors.extend(other.supervisors);
        self.transfers.extend(other.transfers);
        self.transfers.sort_by_key(|transfer| transfer.at);
        self.recordings.extend(other.recordings);
        self.recordings.sort_by_key(|recording| recording.start);
        self.legs.extend(other.legs);
        self.legs_omitted += other.legs_omitted;
    }

    // --- transfers -----------------------------------------------------------------------------------------------

    pub(crate) fn transfer_began(
        &mut self,
        kind: TransferKind,
        by: String,
        to: &str,
        now: Instant,
    ) {
        if self.transfers.len() < MAX_TRANSFERS {
            self.transfers.push(DraftTransfer {
                at: now,
                kind,
                by,
                to: to.to_owned(),
                status: None,
            });
        }
    }

    /// The last transfer that goes on came to its end.
    pub(crate) fn transfer_ended(&mut self, status: Status) {
        let mut latest = self.transfers.iter_mut().rev();
        if let Some(transfer) = latest.find(|transfer| transfer.status.is_none()) {
            transfer.status = Some(status);
        }
    }

    /// A supervisor is with a phone of the call.
    pub(crate) fn supervised_by(&mut self, supervisor: &Account) {
        self.supervisors.insert(supervisor.clone());
    }

    // --- recordings ----------------------------------------------------------------------------------------------

    /// Which recording of the call the next one is, from 1.
    pub(crate) fn next_recording(&self) -> usize {
        self.recordings.len() + 1
    }

    pub(crate) fn recording_began(&mut self, id: RecordingId, path: String, now: Instant) {
        self.recordings.push(DraftRecording {
            id,
            path,
            start: now,
            end: None,
            pauses: Vec::new(),
            result: None,
        });
    }

    /// The recording pauses, or goes on after a pause; true if it pauses now.
    pub(crate) fn toggle_pause(&mut self, id: RecordingId, now: Instant) -> bool {
        let Some(recording) = self.recording(id) else {
            return false;
        };
        if let Some((_, end @ None)) = recording.pauses.last_mut() {
            *end = Some(now);
            return false;
        }
        if recording.pauses.len() == MAX_PAUSES {
            return false;
        }
        recording.pauses.push((now, None));
        true
    }

    /// Whether it pauses now.
    pub(crate) fn pauses(&self, id: RecordingId) -> bool {
        let recording = self.recordings.iter().find(|recording| recording.id == id);
        let last = recording.and_then(|recording| recording.pauses.last());
        last.is_some_and(|(_, end)| end.is_none())
    }

    pub(crate) fn recording_ended(&mut self, id: RecordingId, now: Instant) {
        if let Some(recording) = self.recording(id) {
            recording.end = Some(now);
        }
    }

    pub(crate) fn recorded(&mut self, id: RecordingId, result: Result<Duration, String>) {
        if let Some(recording) = self.recording(id) {
            recording.result = Some(result);
        }
    }

    fn recording(&mut self, id: RecordingId) -> Option<&mut DraftRecording> {
        let mut recordings = self.recordings.iter_mut();
        recordings.find(|recording| recording.id == id)
    }

    /// The recordings whose files are not closed yet.
    pub(crate) fn open_recordings(&self) -> impl Iterator<Item = RecordingId> + '_ {
        self.recordings
            .iter()
            .filter(|recording| recording.result.is_none())
            .map(|recording| recording.id)
    }

    // --- legs ----------------------------------------------------------------------------------------------------

    pub(crate) fn add_leg(&mut self, leg: &Leg, clock: &Clock, now: Instant) {
        if self.legs.len() >= MAX_LEGS {
            // The legs that were answered tell the most, and they end last.
            let unanswered = self.legs.iter().position(|leg| leg.answer.is_none());
            self.legs.remove(unanswered.unwrap_or(0));
            self.legs_omitted += 1;
        }
        let wall = |at: Instant| clock.moment(at).rfc3339();
        self.legs.push(LegRecord {
            leg: leg.id.0,
            role: leg.role.name(),
            account: leg.account.0.to_string(),
            paid_by: leg.payer.as_ref().map(|payer| payer.0.to_string()),
            number: leg.number.clone(),
            agent: leg.role.agent().map(|agent| agent.0.to_string()),
            call_id: leg.call_id.clone(),
            flow: format!("{} {}", leg.flow.transport, leg.flow.remote),
            start: wall(leg.times.start),
            ring: leg.times.ring.map(wall),
            answer: leg.times.answer.map(wall),
            end: wall(leg.times.end.unwrap_or(now)),
            status: leg.status.map(|status| status.0),
            srtp: leg
                .agreed
                .and_then(|agreed| match (agreed.dtls, agreed.crypto) {
                    (Some(_), _) => Some("DTLS-SRTP"),
                    (None, crypto) => crypto.map(|crypto| crypto.suite.name()),
                }),
            codec: leg.codec().map(AudioCodec::name),
            media: match &leg.media {
                Media::Closed(stats) => Some(media_record(stats, leg.agreed.as_ref())),
                Media::Reserved | Media::AwaitsAck(_) | Media::Open | Media::Closing => None,
            },
        });
    }

    // --- the end -------------------------------------------------------------------------------------------------

    /// The first cause counts.
    pub(crate) fn ended(&mut self, cause: Cause, by: Party, now: Instant) {
        self.end.get_or_insert((now, cause, by));
    }

    pub(crate) fn finish(&mut self, clock: &Clock, now: Instant) -> CallRecord {
        let wall = |at: Instant| clock.moment(at).rfc3339();
        let (end, cause, ended_by) = self
            .end
            .unwrap_or((now, Cause::InternalError, Party::Switch));
        self.legs.sort_by_key(|leg| leg.leg);
        CallRecord {
            call: self.name.clone(),
            caller: self.caller.clone(),
            caller_name: self.caller_name.clone(),
            dialled: self.dialled.clone(),
            start: wall(self.start),
            answer: self.answer.map(wall),
            end: wall(end),
            duration_ms: whole_millis(end - self.start),
            cause,
            ended_by,
            queues: self
                .visits
                .iter()
                .map(|visit| visit.finish(clock, end))
                .collect(),
            transfers: self
                .transfers
                .iter()
                .map(|transfer| transfer.finish(clock))
                .collect(),
            joined_calls: std::mem::take(&mut self.joined_calls),
            supervisors: self
                .supervisors
                .iter()
                .map(|supervisor| supervisor.0.to_string())
                .collect(),
            recordings: self
                .recordings
                .iter()
                .map(|recording| recording.finish(clock, end))
                .collect(),
            legs: std::mem::take(&mut self.legs),
            legs_omitted: self.legs_omitted,
        }
    }
}

impl DraftVisit {
    fn finish(&self, clock: &Clock, end: Instant) -> Visit {
        let (left, outcome) = self.left.unwrap_or((end, Outcome::Abandoned));
        Visit {
            queue: self.queue.0.to_string(),
            joined: clock.moment(self.joined).rfc3339(),
            wait_ms: whole_millis(left - self.joined),
            outcome,
            agent: self.agent.as_ref().map(|agent| agent.0.to_string()),
            talk_ms: whole_millis(self.talk),
            hold_ms: whole_millis(self.hold),
        }
    }
}

impl DraftTransfer {
    fn finish(&self, clock: &Clock) -> TransferRecord {
        TransferRecord {
            at: clock.moment(self.at).rfc3339(),
            kind: self.kind,
            by: self.by.clone(),
            to: self.to.clone(),
            status: self.status.map_or(487, |status| status.0),
        }
    }
}

impl DraftRecording {
    fn finish(&self, clock: &Clock, end: Instant) -> RecordingRecord {
        let (duration, error) = match &self.result {
            Some(Ok(duration)) => (*duration, None),
            Some(Err(error)) => (Duration::ZERO, Some(error.clone())),
            None => (
                Duration::ZERO,
                Some("the recorder did not finish it in time".to_owned()),
            ),
        };
        let end = self.end.unwrap_or(end);
        let wall = |at: Instant| clock.moment(at).rfc3339();
        let pauses = self.pauses.iter().map(|(from, to)| Pause {
            start: wall(*from),
            end: wall(to.unwrap_or(end)),
        });
        RecordingRecord {
            path: self.path.clone(),
            start: wall(self.start),
            end: wall(end),
            duration_ms: whole_millis(duration),
            pauses: pauses.collect(),
            error,
        }
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn media_record(stats: &StreamStats, agreed: Option<&Agreed>) -> MediaRecord {
    MediaRecord {
        received: stats.received,
        sent: stats.sent,
        lost: stats.lost,
        rejected: stats.rejected,
        jitter_ms: millis(stats.jitter),
        max_jitter_ms: millis(stats.max_jitter),
        longest_pause_ms: millis(stats.longest_pause),
        mos: quality::mos(stats).map(hundredths),
        round_trip_ms: stats.round_trip.map(millis),
        reported: stats
            .peer
            .zip(quality::reported_mos(stats))
            .map(|(report, mos)| ReportedMedia {
                lost: report.lost,
                max_jitter_ms: millis(report.max_jitter),
                mos: hundredths(mos),
            }),
        trouble: agreed.and_then(|agreed| trouble::of(stats, agreed)),
    }
}

/// To a hundredth of a millisecond.
fn hundredths(mos: f64) -> f64 {
    (mos * 100.0).round() / 100.0
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
