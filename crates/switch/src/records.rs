//! Call records: one JSON line for each call, safe on disk before the call is forgotten. A disk that fails keeps their calls waiting, so that
//! at `max_calls` new calls are refused.

mod spent;

use std::time::Duration;

use call::CallRecord;
use call::exchange::CallId;

use crate::journal::{Journal, Line};
pub(crate) use spent::{since_midnight, spent_on};

/// The writer of call records. One at most waits for each call that the exchange holds.
pub(crate) type CallRecords = Journal<Entry>;

/// A record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) call: CallId,
    pub(crate) record: Box<CallRecord>,
}

impl Line for Entry {
    const WHAT: &str = "call records";
    /// The exchange has fewer calls: one record of each.
    const MAX_WAITING: usize = usize::MAX;
    const GROUP_DELAY: Duration = Duration::from_millis(100);

    fn day(&self) -> &str {
        // The end is RFC 3339: the day is its first ten characters.
        self.record.end.get(..10).unwrap_or("unknown-day")
    }

    fn write(&self, octets: &mut Vec<u8>) {
        serde_json::to_writer(octets, &self.record)
            .expect("a call record is made of texts and numbers");
    }
}

#[cfg(test)]
mod tests;
