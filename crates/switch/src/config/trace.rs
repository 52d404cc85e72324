//! The section [trace]: who may see what passes, and how.

use std::path::{Path, PathBuf};

use super::mistake::shortened;
use super::ringmaster::absolute;
use super::section::Section;
use crate::trace::SOCKET_NAME;

/// The longest path of a Unix socket, in octets (unix(7): 108 with the final NUL).
const MAX_SOCKET: usize = 107;

/// The trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The Unix socket where `ringmaster trace` asks (absolute).
    pub(crate) socket: PathBuf,
}

impl Trace {
    /// Reads the section; `base` is where relative paths start.
    pub(super) fn read(mut section: Section<'_, '_>, base: &Path) -> Self {
        let socket = section.text("socket");
        let path = absolute(
            base,
            socket.as_ref().map_or(SOCKET_NAME, |socket| &socket.value),
        );
        if let Some(socket) = socket {
            let length = path.as_os_str().len();
            if socket.value.is_empty() || path.is_dir() {
                let text = format!("`{}` is no name for a socket", shortened(&socket.value));
                section.mistakes.add(socket.place, text);
            } else if length > MAX_SOCKET {
                let text = format!(
                    "the path of a socket has at most {MAX_SOCKET} octets, this one {length}"
                );
                section.mistakes.add(socket.place, text);
            }
        }
        section.finish();
        Self { socket: path }
    }
}
