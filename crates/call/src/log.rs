//! What a call says in the log: at most ten lines at INFO, and no phone number above DEBUG.

/// Lines of a call at INFO besides its first and its last one; further ones are told at DEBUG. A call that wanders
/// from queue to queue, or whose agents vanish one after the other, has more.
pub(crate) const MAX_MILESTONES: u8 = 8;

/// Digits that make a name a phone number: `201` is one, `team2` is none.
const NUMBER: usize = 3;

/// A name as it may stand at INFO: administrators name agents and queues as they like, also by their numbers.
pub(crate) fn shown(name: &str) -> &str {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if digits < NUMBER { name } else { "(number)" }
}

/// A line at INFO, as long as the call has some left.
macro_rules! milestone {
    ($body:expr, $($line:tt)+) => {
        if $body.takes_milestone() {
            tracing::info!($($line)+)
        } else {
            tracing::debug!($($line)+)
        }
    };
}
pub(crate) use milestone;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_phone_number_is_not_shown() {
        assert_eq!(shown("support"), "support");
        assert_eq!(shown("team2"), "team2");
        assert_eq!(shown("201"), "(number)");
        assert_eq!(shown("+49 30 901820"), "(number)");
        assert_eq!(shown("agent-201"), "(number)");
    }
}
