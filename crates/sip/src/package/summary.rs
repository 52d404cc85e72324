//! application/simple-message-summary (RFC 3842 section 5).

use crate::dialog::HostOf;

/// The summary of an account without voice mail: nothing waits.
pub(crate) fn empty_summary(account: &str, host: HostOf) -> String {
    let account = crate::uri::escape_user(account);
    format!(
        "Messages-Waiting: no\r\nMessage-Account: sip:{account}@{host}\r\nVoice-Message: 0/0 (0/0)\r\n"
    )
}
