//! The call record: what happened, as one line of JSON.

use serde::Serialize;

/// One call, written when all its legs are closed.
#[derive(Clone, Debug, Serialize)]
pub struct CallRecord {
    /// The call's number, unique for this start of the switch and the next.
    pub call: String,
}
