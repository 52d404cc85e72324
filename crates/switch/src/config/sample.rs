//! The sample configuration, which documents every setting. It is inside the binary, so that `init` and `demo` write the
//! same text with other values.

use std::net::SocketAddr;

use super::passwords::SAMPLE_PREFIX;
use super::{File, Listener};

/// The address that the sample listens on.
const ADDRESS: &str = "127.0.0.1";

/// The same with its port.
const LISTENER: &str = "127.0.0.1:5060";

/// The texts of the files in `config/`.
pub(crate) const TEXTS: [(File, &str); 5] = [
    (
        File::Ringmaster,
        include_str!("../../../../config/ringmaster.toml"),
    ),
    (File::Phones, include_str!("../../../../config/phones.toml")),
    (File::Queues, include_str!("../../../../config/queues.toml")),
    (
        File::Numbers,
        include_str!("../../../../config/numbers.toml"),
    ),
    (File::Trunks, include_str!("../../../../config/trunks.toml")),
];

/// The sample for another address and port, with all folders inside that of the configuration.
pub(crate) fn adapted(address: SocketAddr) -> [(File, String); 5] {
    TEXTS.map(|(file, text)| match file {
        File::Ringmaster => (file, adapted_switch(text, address)),
        File::Phones | File::Queues | File::Numbers | File::Trunks => (file, text.to_owned()),
    })
}

/// The text of ringmaster.toml with one more address to listen on.
pub(crate) fn with_listener(switch: &str, listener: Listener) -> String {
    let mut changed = String::with_capacity(switch.len());
    for line in switch.lines() {
        match line
            .strip_prefix("listen = ")
            .and_then(|it| it.strip_suffix(']'))
        {
            Some(listeners) => {
                changed.extend(["listen = ", listeners, ", \"", &listener.to_string(), "\"]"]);
            }
            None => changed.push_str(line),
        }
        changed.push('\n');
    }
    changed
}

fn adapted_switch(text: &str, address: SocketAddr) -> String {
    let mut adapted = String::with_capacity(text.len());
    for line in text.lines() {
        // Comments hold for every address.
        if line.starts_with('#') {
            adapted.push_str(line);
        } else {
            let line = line
                .replace(LISTENER, &address.to_string())
                .replace(ADDRESS, &address.ip().to_string())
                .replace("\"../var/", "\"")
                .replace("\"../", "\"");
            adapted.push_str(&line);
        }
        adapted.push('\n');
    }
    adapted
}

/// The text of phones.toml with another password in the place of each sample password.
///
/// # Errors
/// The first of `password`.
pub(crate) fn with_passwords<E>(
    phones: &str,
    mut password: impl FnMut() -> Result<String, E>,
) -> Result<String, E> {
    let start = format!("\"{SAMPLE_PREFIX}");
    let mut changed = String::with_capacity(phones.len());
    for line in phones.lines() {
        match line.split_once(&start).filter(|_| !line.starts_with('#')) {
            Some((before, rest)) => {
                let after = rest.split_once('"').map_or("", |(_, after)| after);
                changed.extend([before, "\"", &password()?, "\"", after]);
            }
            None => changed.push_str(line),
        }
        changed.push('\n');
    }
    Ok(changed)
}
