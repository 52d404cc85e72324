//! The limit on open files, which is the limit on legs: each leg holds one UDP socket, each TCP phone one connection.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard limit and returns the limit in force (`u64::MAX`: none).
///
/// Most systems start a service with 1,024 open files, which is 500 calls, though the hard limit allows more.
#[must_use]
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // What the kernel refuses stays as it is.
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    in_force.unwrap_or(u64::MAX)
}
