//! phones.toml: who may register.

use std::sync::Arc;

use call::trunk::Allowance;
use sip::endpoint::Account;
use sip::sdp::{Codecs, Encryption};
use toml::de::DeTable;

use super::Password;
use super::audio::RawAudio;
use super::defaults;
use super::mistake::{Located, Mistakes, Place, shortened};
use super::names::is_dialable;
use super::section::Section;
use super::source::File;
use super::trunks;

/// Most phones: ten for each call that a large machine carries.
const MAX_PHONES: usize = 100_000;

/// Longest password (octets): what phones can store is shorter.
const MAX_PASSWORD: usize = 128;

/// One phone as it was written.
pub(super) struct Phone {
    pub(super) account: Account,
    pub(super) place: Place,
    pub(super) password: Located<Password>,
    /// What it may do outside, if that is not what everybody may.
    pub(super) outside: Option<Allowance>,
    /// Whether its sound is encrypted, if that is not as with everybody.
    pub(super) srtp: Option<Encryption>,
    pub(super) codecs: Option<Codecs>,
    pub(super) audio: RawAudio,
    /// Its user may supervise others.
    pub(super) supervisor: bool,
}

/// Reads the file.
pub(super) fn read(
    table: Option<&DeTable<'_>>,
    everybody: Allowance,
    mistakes: &mut Mistakes,
) -> Vec<Phone> {
    let mut file = Section::file(File::Phones, table, mistakes);
    let mut phones = Vec::new();
    let mut section = file.table("phones");
    let entries = section.entries();
    if entries.len() > MAX_PHONES {
        section
            .mistakes
            .add(section.place(), format!("more than {MAX_PHONES} phones"));
    }
    for entry in entries.into_iter().take(MAX_PHONES) {
        let name = &entry.name;
        if !is_dialable(&name.value) {
            let text = format!(
                "`{}` cannot be a phone: use up to 32 letters, digits and `-._+*#`",
                shortened(&name.value)
            );
            section.mistakes.add(name.place, text);
        }
        let mut phone = section.enter(&entry);
        let password = phone
            .required_text("password")
            .map(|text| checked(text, phone.mistakes));
        let outside = phone
            .is_written("outside")
            .then(|| trunks::allowance(phone.table("outside"), everybody));
        let srtp = phone.encryption();
        let codecs = phone.codecs();
        let audio = RawAudio::read(&mut phone);
        let supervisor = phone.flag("supervisor").unwrap_or(defaults::SUPERVISOR);
        phone.finish();
        phones.push(Phone {
            account: Account(Arc::from(name.value.as_str())),
            place: name.place,
            outside,
            srtp,
            codecs,
            audio,
            supervisor,
            // Without a password there is a mistake already; this one is told as no other.
            password: password.unwrap_or_else(|| Located {
                value: Password(String::new()),
                place: name.place,
            }),
        });
    }
    file.finish();
    phones
}

fn checked(text: Located<String>, mistakes: &mut Mistakes) -> Located<Password> {
    let password = &text.value;
    // The text itself is never in a message: messages end in terminals and tickets.
    if password.is_empty() {
        mistakes.add(text.place, "`password` is empty".to_owned());
    } else if password.len() > MAX_PASSWORD {
        mistakes.add(
            text.place,
            format!("`password` is longer than {MAX_PASSWORD} octets"),
        );
    } else if password.chars().any(char::is_control) {
        mistakes.add(
            text.place,
            "`password` holds a character that nobody can type".to_owned(),
        );
    }
    Located {
        value: Password(text.value),
        place: text.place,
    }
}
