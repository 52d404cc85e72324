//! Safe by default: a password that anybody can guess never meets a network.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::mistake::{Mistakes, Place};
use super::phones::Phone;
use super::ringmaster::{RawRtp, RawSip};

/// Passwords of the sample begin so.
pub(super) const SAMPLE_PREFIX: &str = "ringmaster-";

/// Shortest password that counts as one on a network (characters): programs that scan for open switches try all shorter ones.
const SHORTEST: usize = 8;

/// Shortest password of digits alone (characters): they are tried first.
const SHORTEST_OF_DIGITS: usize = 14;

/// What everybody guesses; compared without case and without digits at the end.
const COMMON: [&str; 9] = [
    "password",
    "passwort",
    "passw0rd",
    "secret",
    "changeme",
    "qwertyui",
    "qwertyuiop",
    "asterisk",
    "ringmaster",
];

/// The first address that programs on other machines can reach, and where it is written.
pub(super) fn exposed(sip: &RawSip, rtp: &RawRtp) -> Option<(String, Place)> {
    let listener = sip
        .listeners
        .iter()
        .find(|it| !it.value.address.ip().is_loopback());
    let address = rtp.addresses.iter().find(|it| !it.value.is_loopback());
    listener
        .map(|listener| (listener.value.to_string(), listener.place))
        .or_else(|| address.map(|address| (format!("RTP on {}", address.value), address.place)))
}

/// Refuses guessable passwords if others can try them. What works but is not safe comes back as lines for people.
pub(super) fn check(
    phones: &[Phone],
    exposed: Option<(String, Place)>,
    file: &Path,
    mistakes: &mut Mistakes,
) -> Vec<String> {
    let mut points = Vec::new();
    let mut weak = 0;
    for phone in phones
        .iter()
        .filter(|phone| !phone.password.value.0.is_empty())
    {
        let Some(why) = guessable(&phone.account.0, &phone.password.value.0) else {
            continue;
        };
        weak += 1;
        if let Some((address, place)) = &exposed {
            let text = format!(
                "`{}` has {why}, and `{address}` is open to other machines",
                phone.account.0
            );
            mistakes.add_also(phone.password.place, text, "address", Some(*place));
            mistakes.hint(
                "`ringmaster init DIR` writes a configuration for your network with random passwords",
            );
        }
    }
    if weak > 0 && exposed.is_none() {
        points.push(format!(
            "passwords of {weak} phones can be guessed, so only this machine can reach the switch: \
             `ringmaster init DIR` writes a configuration for your network"
        ));
    }
    let mode = std::fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 && weak == 0 {
        points.push(format!(
            "every user of this machine can read the passwords in {0}: chmod 600 {0}",
            file.display()
        ));
    }
    points
}

fn guessable(phone: &str, password: &str) -> Option<&'static str> {
    let lower = password.to_lowercase();
    let digits = password.chars().all(|letter| letter.is_ascii_digit());
    let length = password.chars().count();
    let stem = lower.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if lower.starts_with(SAMPLE_PREFIX) && lower.len() <= SAMPLE_PREFIX.len() + phone.len() {
        Some("a sample password")
    } else if lower == phone.to_lowercase() {
        Some("its own number as password")
    } else if COMMON.contains(&stem) {
        Some("a password that everybody guesses")
    } else if length < SHORTEST || (digits && length < SHORTEST_OF_DIGITS) {
        Some("a password that is too short")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_anybody_tries_are_guessable() {
        for password in [
            "ringmaster-201",
            "201",
            "Password",
            "password1",
            "Secret2024",
            "short",
            "123456789",
            "Ringmaster-999",
        ] {
            assert!(guessable("201", password).is_some(), "{password}");
        }
    }

    #[test]
    fn random_passwords_are_not() {
        for password in [
            "kcw7-q9xm-3tzp-hv4d",
            "correct horse battery staple",
            "9w4hf8qp",
        ] {
            assert_eq!(guessable("201", password), None, "{password}");
        }
    }
}
