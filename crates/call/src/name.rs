//! The name of a recording: the administrator's template filled in.

use std::path::PathBuf;

/// What a template may name: `{date}` `{time}` `{queue}` `{caller}` `{agent}` `{call}`.
pub(crate) struct Fields<'a> {
    pub(crate) date: &'a str,
    pub(crate) time: &'a str,
    pub(crate) queue: &'a str,
    pub(crate) caller: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) call: &'a str,
}

/// Fills the template in and adds `.wav` (and `-2`, `-3`, ... for the further recordings of one call).
///
/// Values come from the network: only letters, digits, `+`, `_` and `-` of them are written,
/// so that no value can name another folder.
pub(crate) fn recording(template: &str, fields: &Fields<'_>, ordinal: usize) -> PathBuf {
    let mut name = template.to_owned();
    for (key, value) in [
        ("{date}", fields.date),
        ("{time}", fields.time),
        ("{queue}", fields.queue),
        ("{caller}", fields.caller),
        ("{agent}", fields.agent),
        ("{call}", fields.call),
    ] {
        name = name.replace(key, &safe(value));
    }
    if ordinal > 1 {
        name.push_str(&format!("-{ordinal}"));
    }
    name.push_str(".wav");
    PathBuf::from(name)
}

fn safe(value: &str) -> String {
    value
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '+' | '_' | '-') {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_caller_cannot_leave_the_recordings_folder() {
        let fields = Fields {
            date: "2026-11-20",
            time: "212000",
            queue: "support",
            caller: "../../etc/passwd",
            agent: "anna",
            call: "1",
        };
        assert_eq!(
            recording("{date}/{time}-{queue}-{caller}-{agent}", &fields, 1),
            PathBuf::from("2026-11-20/212000-support-______etc_passwd-anna.wav"),
        );
        assert_eq!(recording("{call}", &fields, 2), PathBuf::from("1-2.wav"));
    }
}
