//! The limit on open files, which is the limit on legs: each leg holds one UDP socket, each TCP phone one connection.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard limit and returns the limit in force (`u64::MAX`: none).
///
/// Most systems start a service with 1,024 open files, which is 500 calls, though the hard limit allows more.
///
/// # Errors
/// The kernel refused; the old limit stays in force.
pub fn raise_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        )?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
