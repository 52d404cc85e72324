//! The queue log on disk: one JSON line for each event, each with the CRC-32 of what stands before it in its line, on disk as soon as
//! the disk can.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use call::queue_log::{Entry, Memory};
use tracing::warn;

use crate::journal::{Journal, Line, newest};

/// The writer of the queue log.
pub(crate) type QueueLog = Journal<Entry>;

/// What stands between an entry and its checksum.
const MARK: &str = ",\"crc\":\"";

impl Line for Entry {
    const WHAT: &str = "queue log entries";
    /// Some 200 MB: a day of a busy switch.
    const MAX_WAITING: usize = 400_000;
    /// What agents did is known to them at once, and must be known after a kill.
    const GROUP_DELAY: Duration = Duration::ZERO;

    fn day(&self) -> &str {
        self.day()
    }

    fn write(&self, octets: &mut Vec<u8>) {
        let start = octets.len();
        serde_json::to_writer(&mut *octets, self).expect("an entry is made of texts and numbers");
        octets.pop();
        let crc = crc32fast::hash(&octets[start..]);
        octets.extend_from_slice(format!("{MARK}{crc:08x}\"}}").as_bytes());
    }
}

/// The entries of a file, in order. Lines that are none, or whose checksum is another, are passed over, and the log says how many.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read(path: &Path, mut take: impl FnMut(Entry)) -> io::Result<()> {
    let mut faulty = 0_u64;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        match entry(&line?) {
            Some(entry) => take(entry),
            None => faulty += 1,
        }
    }
    if faulty > 0 {
        warn!(path = %path.display(), faulty, "lines of the queue log are damaged");
    }
    Ok(())
}

fn entry(line: &[u8]) -> Option<Entry> {
    let text = str::from_utf8(line).ok()?;
    let (entry, crc) = text.rsplit_once(MARK)?;
    let crc = u32::from_str_radix(crc.strip_suffix("\"}")?, 16).ok()?;
    let is_whole = crc32fast::hash(entry.as_bytes()) == crc;
    let entry = is_whole.then(|| format!("{entry}}}"))?;
    serde_json::from_str(&entry).ok()
}

/// What the newest file says of agents.
///
/// # Errors
/// The folder is there, but it or the file cannot be read.
pub(crate) fn memory(folder: &Path) -> io::Result<Memory> {
    let mut memory = Memory::default();
    if folder.exists()
        && let Some(path) = newest(folder)?
    {
        read(&path, |entry| memory.take(entry))?;
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use call::queue_log::{AgentStatus, Event};

    use super::*;

    fn status(agent: &str) -> Entry {
        Entry {
            at: "2026-11-20T12:00:00.000Z".to_owned(),
            event: Event::Status {
                agent: agent.to_owned(),
                status: AgentStatus::OnBreak {
                    reason: "lunch".to_owned(),
                },
            },
        }
    }

    #[test]
    fn an_entry_is_one_line_of_json_with_its_checksum_and_reads_back() {
        let mut octets = Vec::new();
        status("201").write(&mut octets);
        let text = String::from_utf8(octets.clone()).unwrap();
        assert!(text.starts_with(
            "{\"at\":\"2026-11-20T12:00:00.000Z\",\"event\":\"status\",\"agent\":\"201\",\
             \"status\":\"on-break\",\"reason\":\"lunch\",\"crc\":\""
        ));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["crc"].as_str().map(str::len), Some(8));
        assert_eq!(entry(&octets), Some(status("201")));
    }

    #[test]
    fn what_is_damaged_is_passed_over_and_all_else_read() {
        let path =
            std::env::temp_dir().join(format!("ringmaster-queue-log-{}", std::process::id()));
        let mut octets = Vec::new();
        for agent in ["201", "202", "203"] {
            status(agent).write(&mut octets);
            octets.push(b'\n');
        }
        let place = octets
            .windows(5)
            .position(|five| five == b"\"202\"")
            .unwrap();
        octets[place + 1] = b'3';
        octets.extend_from_slice(b"{\"at\":\"20");
        fs::write(&path, &octets).unwrap();
        let mut entries = Vec::new();
        read(&path, |entry| entries.push(entry)).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(entries, [status("201"), status("203")]);
    }
}
