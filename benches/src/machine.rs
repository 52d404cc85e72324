//! What the kernel knows: cores, CPU time and memory of a process, the day.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::{Value, json};

/// The core of whatever is measured.
pub(crate) const MEASURED_CORE: usize = 0;
/// The core of the load generator.
pub(crate) const LOAD_CORE: usize = 1;

/// One tick of `/proc/PID/stat`: USER_HZ is 100 on every Linux port that Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// The hidden run of this binary that becomes another program: `PROGRAM ARGUMENT..` on the measured core.
pub(crate) const MEASURE: &str = "measure";

/// Keeps the calling thread on one core, and what it starts from now.
pub(crate) fn pin(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
        .map_err(|error| format!("cannot run on core {core}: {error} (two cores are needed)"))
}

/// A command that runs on the measured core and ends with us, however we end: an orphan would disturb every later run.
pub(crate) fn measured(program: &OsStr) -> Result<Command, String> {
    let me = std::env::current_exe().map_err(|error| format!("where is this binary? {error}"))?;
    let mut command = Command::new(me);
    command.arg(MEASURE).arg(program);
    Ok(command)
}

/// Becomes the program of `measured`; both the core and the signal outlive the exec. Returns only if that fails.
pub(crate) fn become_measured(mut words: impl Iterator<Item = String>) -> String {
    let Some(program) = words.next() else {
        return "measure which program?".to_owned();
    };
    if let Err(error) = pin(MEASURED_CORE) {
        return error;
    }
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return format!("no signal at the end of the bench: {error}");
    }
    let error = Command::new(&program).args(words).exec();
    format!("{program} does not start: {error}")
}

/// Files that a run with many phones and RTP ports may open.
const FILES: u64 = 200_000;

/// Lets this process, and what it starts from now, open as many files as the system allows: each phone is a socket.
pub(crate) fn allow_files() -> Result<(), String> {
    let limit = Rlimit {
        current: Some(FILES),
        maximum: Some(FILES),
    };
    // Beyond the hard limit only with a privilege.
    let mut allowed = getrlimit(Resource::Nofile);
    if allowed.maximum.is_none_or(|most| most >= FILES)
        || setrlimit(Resource::Nofile, limit).is_err()
    {
        allowed.current = allowed.maximum;
        setrlimit(Resource::Nofile, allowed).map_err(|error| format!("open files: {error}"))?;
    }
    Ok(())
}

/// User and system time that the process has used, its ended threads included; in steps of 10 ms.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, String> {
    cpu_time_at(pid, 11)
}

/// The same of those of our child processes that have ended and were waited for.
pub(crate) fn cpu_time_of_children() -> Result<Duration, String> {
    cpu_time_at(std::process::id(), 13)
}

/// `first`: the field of the user time after the name; that of the system time is the next (proc_pid_stat(5)).
fn cpu_time_at(pid: u32, first: usize) -> Result<Duration, String> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses and may hold spaces: count from the last parenthesis.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u32>().ok());
    match (ticks(first), ticks(first + 1)) {
        (Some(user), Some(system)) => Ok(TICK * (user + system)),
        _ => Err(format!("/proc/{pid}/stat is not as proc(5) says")),
    }
}

/// Resident memory of the process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64, String> {
    let status = read(&format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .ok_or_else(|| format!("/proc/{pid}/status has no VmRSS"))
}

/// File descriptors that the process has open.
pub(crate) fn open_files(pid: u32) -> Result<usize, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .map_err(|error| format!("/proc/{pid}/fd: {error}"))?;
    Ok(entries.count())
}

/// What a reader must know about the machine to place the figures.
pub(crate) fn description() -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown");
    json!({
        "cpu": model.trim_start_matches([' ', '\t', ':']),
        "cores": cpu.lines().filter(|line| line.starts_with("processor")).count(),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "load_average_before": fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next(),
    })
}

/// By how much the machine wakes a thread too late that has slept: 1,000 times, three seconds in all.
pub(crate) fn wakes_late() -> Vec<Duration> {
    const SLEEP: Duration = Duration::from_millis(3);
    let late = |_| {
        let asleep = Instant::now();
        thread::sleep(SLEEP);
        asleep.elapsed().saturating_sub(SLEEP)
    };
    (0..1_000).map(late).collect()
}

/// Today in UTC, `2026-11-20`.
pub(crate) fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The Gregorian date of a day counted from 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(20_777), (2026, 11, 20));
    }

    #[test]
    fn the_own_process_has_memory_and_files() {
        let pid = std::process::id();
        assert!(cpu_time(pid).is_ok());
        assert!(resident_kib(pid).unwrap() > 0);
        assert!(open_files(pid).unwrap() > 0);
    }
}
