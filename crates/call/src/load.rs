//! What is held for calls.

/// What the switch holds for calls, as counts: all 0 when no call stands and the last transaction is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that are not forgotten yet.
    pub calls: usize,
    /// Calls that wait for a moment of their own.
    pub deadlines: usize,
    /// SIP dialogs, also those whose BYE is not answered yet.
    pub dialogs: usize,
    /// SIP transactions of both sides.
    pub transactions: usize,
    /// Legs whose events lead to a call.
    pub legs: usize,
    /// RTP streams.
    pub streams: usize,
    /// Recordings that are not on disk yet.
    pub recordings: usize,
    /// Callers in the queue engine, who wait or talk.
    pub callers: usize,
    /// Their tickets, as calls hold them.
    pub tickets: usize,
    /// Agents' phones that ring.
    pub offers: usize,
    /// Phones in calls that no queue gave them.
    pub phones_in_calls: usize,
    /// Accounts that have calls outside.
    pub accounts_outside: usize,
}
