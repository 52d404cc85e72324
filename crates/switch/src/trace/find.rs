//! Which switches run on this machine: the kernel lists their sockets, so the trace needs no configuration to find one.

use std::path::PathBuf;

/// The name of a switch's socket unless the configuration gives another.
pub(crate) const SOCKET_NAME: &str = "ringmaster.sock";

/// Where Linux lists the Unix sockets of the machine (proc(5)).
const LIST: &str = "/proc/net/unix";

/// The flag of a listening socket in that list (`__SO_ACCEPTCON`).
const LISTENS: &str = "00010000";

/// Why the trace does not know which switch to ask; each says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFound {
    #[error(
        "no switch runs on this machine that could be traced: start one with `ringmaster run`; if one runs in a container, or its \
         socket has another name than {SOCKET_NAME}, name it with --socket PATH (`socket` of [trace] in its ringmaster.toml)"
    )]
    None,
    #[error("several switches run on this machine: choose one with --socket PATH\n{}", list(.0))]
    Several(Vec<PathBuf>),
}

fn list(paths: &[PathBuf]) -> String {
    let lines: Vec<String> = paths
        .iter()
        .map(|path| format!("  --socket {}", path.display()))
        .collect();
    lines.join("\n")
}

/// The socket of the only switch that runs here.
///
/// # Errors
/// There is none, or more than one.
pub(super) fn socket() -> Result<PathBuf, NotFound> {
    // Where the list cannot be read, the user must name the socket anyway.
    of_list(&std::fs::read_to_string(LIST).unwrap_or_default())
}

fn of_list(list: &str) -> Result<PathBuf, NotFound> {
    let mut found: Vec<PathBuf> = list.lines().filter_map(listening).collect();
    found.sort();
    found.dedup();
    match found.len() {
        0 => Err(NotFound::None),
        1 => Ok(found.remove(0)),
        _ => Err(NotFound::Several(found)),
    }
}

/// The path of a listening socket of a switch: `Num RefCount Protocol Flags Type St Inode Path`.
fn listening(line: &str) -> Option<PathBuf> {
    let is_listening = line.split_whitespace().nth(3) == Some(LISTENS);
    // A path may have blanks, so it is whatever follows the seven columns.
    let path = PathBuf::from(&line[line.find(" /")? + 1..]);
    (is_listening && path.file_name()?.to_str()? == SOCKET_NAME).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n";
    const OTHERS: &str =
        "0000000000000000: 00000002 00000000 00010000 0001 01 21415 /run/other.sock
0000000000000000: 00000003 00000000 00000000 0001 03 21416 /srv/a b/ringmaster.sock
0000000000000000: 00000003 00000000 00000000 0001 03 21417\n";
    const ONE: &str =
        "0000000000000000: 00000002 00000000 00010000 0001 01 21418 /srv/a b/ringmaster.sock\n";
    const TWO: &str =
        "0000000000000000: 00000002 00000000 00010000 0001 01 21419 /tmp/x/ringmaster.sock\n";

    #[test]
    fn the_only_switch_is_found_and_of_two_the_user_chooses() {
        assert_eq!(of_list(&[HEAD, OTHERS].concat()), Err(NotFound::None));
        assert_eq!(
            of_list(&[HEAD, OTHERS, ONE].concat()),
            Ok("/srv/a b/ringmaster.sock".into())
        );
        let several = of_list(&[HEAD, TWO, ONE].concat()).unwrap_err().to_string();
        assert!(
            several.ends_with(
                "\n  --socket /srv/a b/ringmaster.sock\n  --socket /tmp/x/ringmaster.sock"
            ),
            "{several}"
        );
    }
}
