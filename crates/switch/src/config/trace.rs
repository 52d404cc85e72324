//! The section [trace]: who may see what passes, and how.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::defaults;
use super::mistake::{Located, shortened};
use super::ringmaster::absolute;
use super::section::Section;
use crate::trace::{Export, SOCKET_NAME};

/// The longest path of a Unix socket, in octets (unix(7): 108 with the final NUL).
const MAX_SOCKET: usize = 107;

/// The trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The Unix socket where `ringmaster trace` asks (absolute).
    pub(crate) socket: PathBuf,
    /// Where all messages are exported to.
    pub(crate) export: Option<Export>,
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
        let hep = section.text("hep");
        let default = u64::from(defaults::CAPTURE_ID);
        let capture_id = section.number_or("capture_id", 0..=u64::from(u32::MAX), "", default);
        let collector = hep.and_then(|hep| collector(&hep, &mut section));
        section.finish();
        let export = collector.map(|collector| Export {
            collector,
            capture_id: capture_id.map_or(defaults::CAPTURE_ID, |id| id.value as u32),
        });
        Self {
            socket: path,
            export,
        }
    }
}

fn collector(hep: &Located<String>, section: &mut Section<'_, '_>) -> Option<SocketAddr> {
    let address = hep
        .value
        .strip_prefix("udp:")
        .and_then(|text| text.parse().ok());
    let usable = |address: &SocketAddr| address.port() != 0 && !address.ip().is_unspecified();
    let collector = address.filter(usable);
    if collector.is_none() {
        let written = shortened(&hep.value);
        let text = format!("`{written}`: write `udp:ADDRESS:PORT`, such as `udp:192.0.2.9:9060`");
        section.mistakes.add(hep.place, text);
    }
    collector
}
